"""Users' activations with poles and branch points off the real axis, in high precision.

Right values: the same functions in doubles, within their bounds; and E[sigma'^2] by mpmath.
"""

import time

import mpmath
import numpy as np
import pytest

import ntkspec
from ntkspec import Network, NtkspecError, user_activation
from ntkspec.spectra import table_block

#: sigma for flint and mpmath numbers, sigma and sigma' in doubles, symmetry.
FAMILY = {
    "root": (
        lambda x: (1 + x * x).sqrt(),
        lambda x: mpmath.sqrt(1 + x * x),
        lambda x: np.sqrt(1 + x * x),
        lambda x: x / np.sqrt(1 + x * x),
        "even",
    ),
    "atan": (lambda x: x.atan(), mpmath.atan, np.arctan, lambda x: 1 / (1 + x * x), "odd"),
    "root sigmoid": (
        lambda x: x / (1 + x * x).sqrt(),
        lambda x: x / mpmath.sqrt(1 + x * x),
        lambda x: x / np.sqrt(1 + x * x),
        lambda x: (1 + x * x) ** -1.5,
        "odd",
    ),
    "logarithm": (
        lambda x: (x * x).log1p(),
        lambda x: mpmath.log(1 + x * x),
        lambda x: np.log1p(x * x),
        lambda x: 2 * x / (1 + x * x),
        "even",
    ),
    "rational": (
        lambda x: 1 / (1 + x * x),
        lambda x: 1 / (1 + x * x),
        lambda x: 1 / (1 + x * x),
        lambda x: -2 * x / (1 + x * x) ** 2,
        "even",
    ),
    "gaussian": (
        lambda x: (-x * x).exp(),
        lambda x: mpmath.exp(-x * x),
        lambda x: np.exp(-x * x),
        lambda x: -2 * x * np.exp(-x * x),
        "even",
    ),
    "log cosh": (
        lambda x: (2 * x.cosh()).log(),
        lambda x: mpmath.log(2 * mpmath.cosh(x)),
        lambda x: np.logaddexp(x, -x),
        np.tanh,
        "even",
    ),
}


def check(name, arithmetic, dim, kernel, declared, **network):
    flint, of_mpmath, function, derivative, symmetry = FAMILY[name]
    in_balls = flint if arithmetic == "flint" else of_mpmath
    first = 0 if symmetry == "even" else 1
    degrees = range(9) if declared else range(first, 9, 2)
    symmetry = symmetry if declared else None
    ours = user_activation(in_balls, arithmetic=arithmetic, symmetry=symmetry)
    plain = user_activation(function, derivative, symmetry=symmetry)
    got = ntkspec.spectrum(Network(ours, **network), dim, degrees, kernel=kernel)
    right = ntkspec.spectrum(
        Network(plain, **network), dim, degrees, kernel=kernel, tolerance=np.inf
    )
    some = right.eigenvalues != 0.0
    assert np.array_equal(got.eigenvalues != 0.0, some)
    assert np.all(some[first::2] if declared else some)
    error = np.abs(got.eigenvalues[some] / right.eigenvalues[some] - 1)
    assert np.all(error <= right.relative_error[some] + 1e-15)
    assert error[0] < 1e-13 and got.relative_error.max() < 1e-15


def test_a_branch_point_off_the_real_axis():
    check("root", "flint", 3, "ntk", True)


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["flint", "mpmath"])
@pytest.mark.parametrize("name", FAMILY)
def test_singularities_off_the_real_axis(name, arithmetic):
    for kernel in ("ntk", "nngp"):
        for dim in (2, 3, 10) if arithmetic == "flint" else (3,):
            check(name, arithmetic, dim, kernel, True)
    check(name, arithmetic, 3, "ntk", False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [{"depth": 2}, {"depth": 2, "bias_variance": 0.1}, {"weight_variance": 25.0}]
)
def test_singularities_in_deep_and_wide_ranging_networks(network):
    check("root", "flint", 3, "ntk", "bias_variance" not in network, **network)


@pytest.mark.slow
def test_the_trace_is_the_expectation_at_one():
    """The sum of N lambda is K(1) = E[sigma'^2], here of x/sqrt(1 + x^2), by mpmath."""
    sigma = user_activation(FAMILY["root"][0], arithmetic="flint", symmetry="even")
    s = ntkspec.spectrum(Network(sigma), 3, range(0, 61, 2))
    with mpmath.workdps(20):
        right = mpmath.quad(lambda x: mpmath.npdf(x) * x * x / (1 + x * x), [-12, -3, 0, 3, 12])
    assert np.dot(s.multiplicities, s.eigenvalues) == pytest.approx(float(right), rel=1e-13)


def test_a_singularity_too_near_the_real_axis_is_refused_quickly():
    sigma = user_activation(lambda x: (x * x + 1e-4).sqrt(), arithmetic="flint", symmetry="even")
    start = time.process_time()
    with pytest.raises(NtkspecError, match=r"near the real axis.*weight_variance.*doubles"):
        ntkspec.spectrum(Network(sigma), 3, [0, 2, 4])
    assert time.process_time() - start < 10


@pytest.mark.slow
def test_a_polynomial_that_is_not_declared_is_refused_with_advice():
    sigma = user_activation(lambda x: x * x * x, arithmetic="flint", symmetry="odd")
    with pytest.raises(NtkspecError, match=r"degrees 5: .*symmetry='odd' and polynomial=3"):
        ntkspec.spectrum(Network(sigma), 3, [1, 3, 5])
    declared = user_activation(
        lambda x: x * x * x, arithmetic="flint", symmetry="odd", polynomial=3
    )
    assert ntkspec.eigenvalues(Network(declared), 3, [1, 3, 5])[-1] == 0.0


def clip_of_mpmath(x):
    return x if abs(x) < 1 else mpmath.sign(x)


CLIPS = {"flint": lambda x: x if abs(x) < 1 else x / abs(x), "mpmath": clip_of_mpmath}


@pytest.mark.parametrize("arithmetic", CLIPS)
@pytest.mark.parametrize(
    ("network", "kernel", "degrees"),
    [
        ({}, "ntk", ()),
        pytest.param({}, "nngp", range(8), marks=pytest.mark.slow),
        pytest.param({"depth": 2, "bias_variance": 0.1}, "ntk", range(8), marks=pytest.mark.slow),
    ],
)
def test_kinks_away_from_0_keep_their_bounds(arithmetic, network, kernel, degrees):
    """Against hard_tanh of the catalogue."""
    sigma = user_activation(
        CLIPS[arithmetic], arithmetic=arithmetic, kinks=[-1, 1], symmetry="odd", name="clip"
    )
    mine, known = Network(sigma, **network), Network("hard_tanh", **network)
    t = np.array([-1.0, 0.3, 1.0])
    assert getattr(mine, kernel)(t) == pytest.approx(getattr(known, kernel)(t), abs=1e-12)
    with pytest.raises(NtkspecError, match=r"doubles only.*give .*piecewise_polynomial"):
        table_block(mine, [3, 4], [1])
    if degrees:
        got = ntkspec.spectrum(mine, 3, degrees, kernel=kernel, tolerance=1e-6)
        right = ntkspec.eigenvalues(known, 3, degrees, kernel=kernel)
        some = right != 0.0
        assert np.array_equal(got.eigenvalues != 0.0, some)
        error = np.abs(got.eigenvalues[some] / right[some] - 1)
        assert np.all(error <= got.relative_error[some]) and error[0] < 1e-13


def test_a_kink_that_is_not_declared_is_refused():
    sigma = user_activation(CLIPS["flint"], arithmetic="flint", kinks=[0.0], symmetry="odd")
    with pytest.raises(NtkspecError, match=r"near -?1 that is not declared: give the places"):
        ntkspec.spectrum(Network(sigma), 3, [1])
