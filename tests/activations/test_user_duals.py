"""Duals of functions that are known by their values, in balls and in doubles."""

import math
import time

import draws
import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import ntkspec
from ntkspec import Network, user_activation
from ntkspec.duals import Correlation, sampled
from ntkspec.duals.plain import Expectation
from ntkspec.errors import NtkspecError
from ntkspec.precision import working_precision


def half_tanh(x):
    """A kink at 0, and poles at i pi / 2."""
    return x.tanh() if x > 0 else -x / 2


def test_the_balls_of_a_long_series_stay_small():
    count, angle = 3000, 1.234
    with working_precision(128):
        x = arb(angle).cos()
        total = sampled.chebyshev_sum([arb(1) / (j + 1) for j in range(count)])(x)
        expected = sum((j * arb(angle)).cos() / (j + 1) for j in range(count))
        assert total.overlaps(expected)
        assert total.rad() < arb(2) ** -95


def test_a_dual_that_is_a_long_series_in_the_angle():
    """In monomials of the angle its terms are 2^20 times as large as the sum."""
    root = 5.0
    angles = [0.0, 0.01, 1.3, 3.1]

    def in_doubles(z):
        return np.where(z > 0, np.tanh(root * z), -0.5 * root * z)

    expected, bounds = Expectation(in_doubles, slow=True)(np.array(angles))
    with working_precision(60):
        value, _ = sampled._by_sectors(half_tanh, arb(root), 1)
        balls = [value(Correlation(arb(a).cos(), arb(a))) for a in angles]
        assert all(ball.rad() < arb(2) ** -30 for ball in balls)
    found = [float(ball.mid()) for ball in balls]
    assert np.all(np.abs(found - expected) < bounds + 1e-10)


def in_the_plane(function, variance, t, nodes=700):
    """E[f(u) f(v)] as an integral over u and the part of v that is independent, both cut at 0."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    reach, rest = 13.0, math.sqrt(1.0 - t * t)
    total = 0.0
    for sign in (1.0, -1.0):
        u, weights = sign * 0.5 * reach * (1.0 + x), 0.5 * reach * w
        cut = np.clip(-t * u / rest, -reach, reach)[:, np.newaxis]
        inner = 0.0
        for low, high in ((-reach, cut), (cut, reach)):
            half = 0.5 * (high - low)
            z = low + half * (1.0 + x)
            v = t * u[:, np.newaxis] + rest * z
            values = function(math.sqrt(variance) * v) * np.exp(-0.5 * z * z)
            inner = inner + (values * half) @ w
        values = function(math.sqrt(variance) * u) * np.exp(-0.5 * u * u)
        total += float((weights * values) @ inner) / (2.0 * math.pi)
    return total


@pytest.mark.parametrize("variance", [0.5, 2.0, 4.0])
def test_finer_keeps_its_digits_at_large_variances(variance):
    # Its slope oscillates the faster the larger the argument, and it has a kink in its second
    # derivative that no search finds to more than half of the digits.
    network = Network("finer", weight_variance=variance)
    sigma = network.sigma
    for kernel in ("nngp", "ntk"):
        cosines = np.array([1.0, 1.0 - 1e-9, 0.999, 0.95, -0.9])
        values, bounds = network.with_error(cosines, kernel=kernel)
        assert np.all(bounds <= 2e-13 * values[0])
        function = sigma.value if kernel == "nngp" else sigma.derivative
        for t, value in zip(cosines[2:], values[2:], strict=True):
            factor = 1.0 if kernel == "nngp" else variance * t
            true = factor * in_the_plane(function, variance, t)
            assert abs(value - true) <= 2e-13 * values[0], (kernel, t)
    assert network.ntk_matrix(np.eye(2)).shape == (2, 2)


def test_a_declared_kink_at_zero_is_not_searched_for():
    # Of the fifth derivative: a search would place it a part in a hundred off.
    sigma = user_activation(
        lambda x: np.abs(x) ** 5, lambda x: 5.0 * np.abs(x) ** 3 * x, name="fifth", kinks=[0.0],
        arithmetic="double",
    )  # fmt: skip
    cosines = np.array([0.9999, 0.9, 0.3])
    for kernel, function in (("nngp", sigma.value), ("ntk", sigma.derivative)):
        values, bounds = Network(sigma).with_error(cosines, kernel=kernel)
        top = Network(sigma).with_error(np.ones(1), kernel=kernel)[0][0]
        for t, value, bound in zip(cosines, values, bounds, strict=True):
            true = (t if kernel == "ntk" else 1.0) * in_the_plane(function, 1.0, t)
            assert abs(value - true) <= bound + 1e-14 * top and bound <= 1e-13 * top


RELUS = {
    "max": (lambda x: x.max(arb(0)), lambda x: np.maximum(x, 0.0)),
    "abs": (lambda x: (x + abs(x)) / 2, lambda x: 0.5 * (x + np.abs(x))),
    "if": (lambda x: x if x > 0 else 0 * x, lambda x: np.where(x > 0, x, 0.0)),
    "cubed": (lambda x: x * x * abs(x), lambda x: x * x * np.abs(x)),
}
FACTORS = {
    "tanh": (lambda x: x.tanh(), np.tanh),
    "sin": (lambda x: x.sin(), np.sin),
    "exp": (lambda x: (-x / 2).exp(), lambda x: np.exp(-0.5 * x)),
    "erf": (lambda x: x.erf() * x, lambda x: special.erf(x) * x),
}


@draws.examples(6, 60)
@given(
    writing=st.sampled_from(sorted(RELUS)), factor=st.sampled_from(sorted(FACTORS)),
    added=st.sampled_from(sorted(FACTORS)), part=st.sampled_from([0.0, 0.5]),
    variance=st.sampled_from([0.3, 1.0, 2.0]),
)  # fmt: skip
def test_declared_kinks_of_any_order_in_high_precision(writing, factor, added, part, variance):
    """A product with a function that vanishes at 0 has its kink in a higher derivative there."""
    (relu, relu_), (times, times_), (plus, plus_) = RELUS[writing], FACTORS[factor], FACTORS[added]
    sigma = user_activation(
        lambda x: relu(x) * times(x) + arb(part) * plus(x), arithmetic="flint", kinks=[0.0]
    )
    with working_precision(64):
        value, _ = sigma.dual(arb(variance))
        balls = {t: value(Correlation(arb(t))) for t in (0.9, -0.6)}
    for t, ball in balls.items():
        true = in_the_plane(lambda x: relu_(x) * times_(x) + part * plus_(x), variance, t, 200)
        assert ball.rad() < 1e-10
        assert abs(float(ball.mid()) - true) <= 1e-12 * (1.0 + abs(true))


def test_a_kink_in_high_precision_is_as_fast_as_it_is_exact():
    sigma = user_activation(lambda x: (x + abs(x)) / 2, arithmetic="flint", kinks=[0.0])
    start = time.process_time()
    mine = ntkspec.spectrum(Network(sigma), 3, range(9))
    assert time.process_time() - start < 8.0
    known = ntkspec.eigenvalues("relu", 3, range(9))
    assert np.all(np.abs(mine.eigenvalues - known) <= mine.relative_error * known + 1e-15 * known)


def test_a_root_at_a_declared_kink_is_refused_with_its_place():
    sigma = user_activation(lambda x: abs(x).sqrt(), arithmetic="flint", kinks=[0.0])
    with pytest.raises(NtkspecError, match=r"beside its kink at 0.*doubles"):
        ntkspec.spectrum(Network(sigma), 3, [0, 2])
