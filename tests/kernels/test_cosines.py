"""Cosines between unit vectors of few and many coordinates, near and far, against whole numbers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkspec import Network
from ntkspec.kernels.cosines import BLOCK, ROWS, cosines, distances

#: Rounding of a sum of squares of so many coordinates, four in one pass, relative to it.
ULP = 2.0**-53


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def exact(x, y):
    """t, 1 - t and 1 + t of doubles as if their norms were 1: halves of squares, in fractions."""
    pairs = [(Fraction(float(a)), Fraction(float(b))) for a, b in zip(x, y, strict=True)]
    minus = sum((a - b) ** 2 for a, b in pairs) / 2
    plus = sum((a + b) ** 2 for a, b in pairs) / 2
    return float((plus - minus) / 2), float(minus), float(plus)


def found(x, y, first, left, right, low=None):
    """What `cosines` gives for row `first` of x, its tile beginning at row `low`."""
    place, products = np.full((3, BLOCK), np.nan), np.full((ROWS, BLOCK), np.nan)
    columns = np.ascontiguousarray(y.T)
    begin = first if low is None else low
    for i in range(begin, first + 1):
        cosines(i, begin, len(x), x, y, columns, left, right, products, place)
    return place[:, : right - left]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from([4, 16, 20, 64, 300]),
    st.sampled_from([1e-12, 1e-8, 1e-4, 0.1, 1.0, 10.0]), st.sampled_from([-1.0, 1.0]),
)  # fmt: skip
def test_distances_keep_their_digits(seed, dim, apart, side):
    """Points that nearly meet or are nearly opposite, and any others."""
    rng = np.random.default_rng(seed)
    x = unit(rng.standard_normal((2, dim)))
    y = unit(side * x[rng.integers(0, 2, 9)] + apart * rng.standard_normal((9, dim)) / dim**0.5)
    y[3] = x[0]
    t, minus, plus = found(x, y, 0, 0, 9)
    for j in range(9):
        true, near, far = exact(x[0], y[j])
        limit = (8 + dim / 4) * ULP
        assert abs(t[j] - true) <= limit
        # Norms differ from 1 by rounding, which the larger distance shows.
        assert abs(minus[j] - near) <= limit * (near if near < 0.45 else 1.0)
        assert abs(plus[j] - far) <= limit * (far if far < 0.45 else 1.0)


@pytest.mark.parametrize("dim", [8, 24])
def test_a_cosine_does_not_depend_on_its_tile(dim):
    rng = np.random.default_rng(dim)
    x, y = unit(rng.standard_normal((7, dim))), unit(rng.standard_normal((200, dim)) + 0.2)
    whole = found(x, y, 6, 0, 200, low=0)
    for low in range(7):
        for left, right in ((0, 1), (3, 90), (199, 200), (64, 197)):
            assert np.array_equal(found(x, y, 6, left, right, low), whole[:, left:right])


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "elu"])
@pytest.mark.parametrize("dim", [15, 16, 17, 100])
def test_matrices_of_many_coordinates_are_the_kernel_at_the_cosines(name, dim):
    """More rows than a tile has, repeated and opposite ones, and a row number that 4 leaves."""
    rng = np.random.default_rng(dim)
    x = unit(rng.standard_normal((270, dim)) + 0.3)
    x[5], x[261] = x[0], -x[0]
    network = Network(name, depth=2)
    t = np.clip(x @ x.T, -1.0, 1.0)
    t[[0, 5, 0, 5], [5, 0, 0, 5]] = 1.0
    t[[0, 261, 5, 261], [261, 0, 261, 5]] = -1.0
    np.fill_diagonal(t, 1.0)
    value = network.ntk(t)
    np.testing.assert_allclose(network.ntk_matrix(x), value, rtol=0, atol=2e-13 * value.max())
    part = network.ntk_matrix(x[:6], x)
    np.testing.assert_allclose(part, value[:6], rtol=0, atol=2e-13 * value.max())
    longer = x * np.geomspace(0.5, 2.0, 270)[:, np.newaxis]
    whole, some = network.ntk_matrix(longer), network.ntk_matrix(longer, longer[[0, 5, 261]])
    np.testing.assert_allclose(some, whole[:, [0, 5, 261]], rtol=0, atol=2e-13 * whole.max())


@pytest.mark.parametrize("dim", [4, 20])
@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (7, BLOCK), (3, 2 * BLOCK + 1)])
def test_distances_of_a_whole_tile_are_those_of_its_rows(dim, shape):
    rng = np.random.default_rng(shape[1])
    x, y = unit(rng.standard_normal((shape[0], dim))), unit(rng.standard_normal((shape[1], dim)))
    minus, plus = np.full((2, *shape), np.nan)
    distances(x, y, np.ascontiguousarray(y.T), minus, plus)
    for i, j in [(0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 2)]:
        _, less, more = exact(x[i], y[j])
        assert minus[i, j] == pytest.approx(less, rel=2e-15)
        assert plus[i, j] == pytest.approx(more, rel=2e-15)
    assert np.all(np.isfinite(minus) & np.isfinite(plus))
