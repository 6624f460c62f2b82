"""Hermite moments against the same expectations integrated another way."""

import math

import mpmath
import numpy as np
import pytest
from flint import arb, ctx

from ntkspec.duals.hermite import hermite_series
from ntkspec.duals.moments import fourier_moments, pair_moments
from ntkspec.duals.moments import moments as moments_in_balls
from ntkspec.kernels import moments
from ntkspec.precision import working_precision


def reference(n, variance):
    """E[tanh(sqrt(q) Z) He_n(Z)] / sqrt(n!) on the real line, by the trapezoid rule in balls.

    No Fourier transform: the alternating integrand itself, at enough bits to bear it.
    """
    ctx.prec = 200 + 6 * n
    try:
        root = arb(variance).sqrt()
        step = arb(math.pi**2 / 2 / (90 + n) / max(1.0, math.sqrt(variance)))
        # odd integrand, even over the line: twice the half line
        total, j = arb(0), 1
        reach = 14 + 2.2 * math.sqrt(n)
        while j * float(step) < reach:
            z = step * j
            he, before = z, arb(1)
            for k in range(1, n):
                he, before = z * he - k * before, he
            total += he * (root * z).tanh() * (-z * z / 2).exp()
            j += 1
        value = 2 * total * step / (2 * arb.pi()).sqrt() / arb(n).gamma().sqrt() / arb(n).sqrt()
        return mpmath.mpf(value.str(30, radius=False))
    finally:
        ctx.prec = 53


def scaled_value(n, variance):
    mantissa, exponent = moments.hermite_moment(n, variance, 0.0, False)
    return mpmath.ldexp(mpmath.mpf(mantissa), int(exponent))


def test_mean_of_sech_squared():
    # By Stein and integration at 30 digits: E[tanh(Z) Z] = E[sech^2(Z)] = 0.60570550960215882558
    with mpmath.workdps(30):
        assert abs(scaled_value(1, 1.0) / mpmath.mpf("0.60570550960215882558") - 1) < 4e-16


@pytest.mark.parametrize("variance", [0.04, 0.25, 1.0, 3.0])
@pytest.mark.parametrize("n", [1, 3, 17, 19, 99, 101, 151])
def test_against_the_real_line(n, variance):
    # 99 | 101 and 17 | 19 are the switches of the nodes and of Stirling's formula
    with mpmath.workdps(30):
        ratio = abs(scaled_value(n, variance) / reference(n, variance))
        assert abs(ratio - 1) < 2.0**-53 * moments.moment_error(variance, n)


def test_large_degrees_against_their_asymptotics():
    # h_n^2 -> (4 pi/q) (2 pi n)^(-1/2) exp(b^2/2 - 2 b sqrt n), b = pi / (2 sqrt q)
    with mpmath.workdps(30):
        ratios = []
        for n in (10**4 + 1, 10**6 + 1):
            b = mpmath.pi / 2
            law = 4 * mpmath.pi / mpmath.sqrt(2 * mpmath.pi * n)
            law *= mpmath.exp(b * b / 2 - 2 * b * mpmath.sqrt(n))
            ratios.append(float(scaled_value(n, 1.0) ** 2 / law - 1))
        assert abs(ratios[1]) < 2e-3
        assert ratios[0] / ratios[1] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("variance", [0.3, 1.0, 9.0])
def test_moments_of_mish_are_within_their_bound(variance):
    with working_precision(160):
        exact = moments_in_balls(arb(variance), "mish", 100)
        found = fourier_moments(arb(variance), "mish", 100)
        assert found.error < 1e-20
        for n, value in enumerate(balls(found), 2):
            assert abs(abs(value) / abs(exact[n]) - 1).upper() <= found.error


def balls(found):
    return [
        (arb(float(high)) + float(low)) * arb(2) ** int(e)
        for high, low, e in zip(found.high, found.low, found.exponent)
    ]


@pytest.mark.parametrize("variance", [0.01, 0.3, 4.0, 100.0])
def test_moments_by_fourier_integrals_against_the_residues(variance):
    """Of tanh(x), and of x tanh(x) = silu(2x) - x, by rules in balls on lines between the poles."""
    with working_precision(400):
        for name, family, q in (("tanh", "tanh", 1), ("x tanh(x)", "silu", 4)):
            exact = hermite_series(arb(variance) * q, family, 900.0, 60).terms
            found = fourier_moments(arb(variance), name, 120)
            for mine, square in zip(balls(found), exact):
                assert abs(mine * mine / square - 1).upper() <= 2.001 * found.error


@pytest.mark.parametrize("variance", [1e-4, 0.01, 0.3, 30.0])
@pytest.mark.parametrize("name, first", [("tanh", 1), ("x tanh(x)", 2)])
def test_many_moments_against_fourier_integrals(name, first, variance):
    """The integrand at the nodes of the last moments is far below the range of doubles at n = 1."""
    right = fourier_moments(arb(variance), name, 4096)
    double, unit = first == 2, 1.0 if first == 1 else math.sqrt(variance)
    n = np.arange(first, 4096, 2)
    mantissa, exponent = np.empty(n.size), np.empty(n.size, np.int64)
    moments.hermite_moments(first, variance, 0.0, double, mantissa, exponent)
    apart = np.abs(np.ldexp(right.high, right.exponent - exponent)) / (unit * mantissa) - 1.0
    bound = 2.0**-53 * (moments.moment_error(variance, n[-1]) + 4.0)
    assert np.abs(apart).max() < bound
    for i in (0, 40, 60, 1500):
        m, e = moments.hermite_moment(int(n[i]), variance, 0.0, double)
        assert math.ldexp(m, int(e - exponent[i])) == pytest.approx(mantissa[i], rel=2e-15)


@pytest.mark.parametrize("name", ["softsign", "finer"])
@pytest.mark.parametrize("variance", [0.3, 4.0])
def test_moments_in_double_doubles_are_within_their_bounds(name, variance):
    with working_precision(128):
        rows = pair_moments(arb(variance), name, 160)
    with working_precision(150):
        exact = moments_in_balls(arb(variance), name, 160)
        for n, (high, low, error) in enumerate(rows.T.tolist()):
            assert abs(arb(high) + low - exact[n]).upper() <= error
            assert error < 1e-26
