"""Sums over many Chebyshev polynomials in balls, as the duals of a user's function need them."""

import numpy as np
from flint import arb

from ntkspec.duals import Correlation, sampled
from ntkspec.duals.plain import Expectation
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
