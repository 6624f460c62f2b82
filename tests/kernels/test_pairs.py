"""Power series of double-doubles against those of balls: every coefficient within its bound."""

import pytest
from flint import arb, arb_series

from ntkspec.duals import Correlation
from ntkspec.duals.kinked import elu_dual, homogeneous_dual
from ntkspec.duals.layers import series_length
from ntkspec.duals.pairs import PairSeries
from ntkspec.precision import working_precision

COUNT = 60


def agree(mine, theirs, relative):
    for n in range(COUNT - 1):
        assert mine[n].overlaps(theirs[n]), n
        assert float(mine[n].rad()) <= relative * abs(float(theirs[n].mid())) + 1e-300, n


@pytest.fixture(params=[0, 0.3, 1 - 1e-5])
def correlations(request):
    """The correlation c + (1 - c) t in both arithmetics."""
    with working_precision(256), series_length(COUNT):
        c = arb(request.param)
        mine = (1 - c) * PairSeries.variable(COUNT) + c
        yield mine, arb_series([c, 1 - c], COUNT)


def test_arithmetic(correlations):
    mine, theirs = correlations
    agree(1 - mine * mine, 1 - theirs * theirs, 1e-24)
    mine, theirs = (1 - mine * mine).rsqrt(), (1 - theirs * theirs).rsqrt()
    agree(mine, theirs, 1e-20)
    agree(-(mine / 3 - mine * mine), -(theirs / 3 - theirs * theirs), 1e-20)
    agree(mine.integral(), theirs.integral(), 1e-20)
    agree(mine.derivative(), theirs.derivative(), 1e-20)


def test_a_linear_differential_equation(correlations):
    mine, theirs = correlations
    growth = (-2 * theirs).integral().exp()
    known = growth * (arb("0.7") + (theirs / growth).integral())
    agree(mine.solved(-2 * mine, arb("0.7")), known, 1e-15)


@pytest.mark.parametrize("power", [0, 1, 3])
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_duals_of_powers(correlations, power, left):
    value, slope = homogeneous_dual(arb("1.3"), power, 1.0, left)
    mine, theirs = map(Correlation, correlations)
    agree(value(mine), value(theirs), 1e-18)
    if power:
        agree(slope(mine), slope(theirs), 1e-18)


def test_duals_of_elu(correlations):
    value, slope = elu_dual(arb("1.3"))
    mine, theirs = map(Correlation, correlations)
    agree(value(mine), value(theirs), 1e-15)
    agree(slope(mine), slope(theirs), 1e-15)


@pytest.mark.parametrize("q", ["1e-4", "1", "30", "1e4"])
@pytest.mark.parametrize("angle", ["0.01", "1.5", "3.1"])
def test_duals_of_elu_as_the_precision_grows(q, angle):
    """Rules of more nodes: what the fewer ones leave out is within their bounds."""
    found = []
    for bits in (100, 300):
        with working_precision(bits):
            turned = arb_series([angle, 1], 2)
            point = Correlation(turned.cos(), turned)
            found.append([dual(point)[0] for dual in elu_dual(arb(q))])
    for few, many in zip(*found, strict=True):
        assert few.overlaps(many)
        assert abs(few - many) < 1e-20
