"""The Sobolev loss on an interval, against scipy's sine and cosine transforms and integrals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from ntkspec import NtkspecError
from ntkspec.trainer.interval import IntervalLoss, midpoints
from ntkspec.trainer.points import circle
from ntkspec.trainer.sobolev import SobolevLoss


def transform_matrix(n, ends, mu):
    """S' diag(mu) S / n by scipy's orthonormal transforms of the second kind."""
    if ends == "dirichlet":
        rows, weights = fft.dst(np.eye(n), type=2, norm="ortho", axis=0), mu[1 : n + 1]
    else:
        rows, weights = fft.dct(np.eye(n), type=2, norm="ortho", axis=0), mu[:n]
    return rows.T @ (weights[:, None] * rows) / n


@pytest.mark.parametrize("n", [1, 2, 3, 8, 17, 64])
@pytest.mark.parametrize("s", [-2.0, -1.0, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("ends", ["dirichlet", "neumann"])
@pytest.mark.parametrize("weight", ["power", "laplacian"])
def test_it_is_the_matrix_of_the_transform(n, s, ends, weight):
    k = np.arange(n + 1.0)
    mu = (1 + k) ** (2 * s) if weight == "power" else (1 + k**2) ** s
    exact = transform_matrix(n, ends, mu)
    loss = IntervalLoss(n, s, ends, weight)
    assert loss.multiplier(k) == pytest.approx(mu, rel=1e-13)
    assert loss.matrix() == pytest.approx(exact, abs=1e-13 * np.abs(exact).max())
    r = np.random.default_rng(0).standard_normal(n)
    assert loss.apply(r) == pytest.approx(exact @ r, abs=1e-13 * n * np.abs(exact).max())
    assert loss.value(r) == pytest.approx(0.5 * r @ exact @ r, rel=1e-11)


@pytest.mark.parametrize("n", [1, 2, 9, 32])
def test_periodic_ends_make_it_the_circle(n):
    on_circle, loss = SobolevLoss(circle(n), 0.7), IntervalLoss(n, 0.7, "periodic")
    r = np.random.default_rng(0).standard_normal(n)
    assert np.array_equal(loss.apply(r), on_circle.apply(r))
    assert np.array_equal(loss.matrix(), on_circle.matrix())
    assert loss.value(r) == pytest.approx(on_circle.value(r), rel=1e-14)


@pytest.mark.parametrize("ends", ["dirichlet", "neumann", "periodic"])
def test_exponent_zero_is_half_the_mean_square(ends):
    r = np.random.default_rng(0).standard_normal(21)
    loss = IntervalLoss(21, 0.0, ends)
    assert loss.value(r) == pytest.approx(np.mean(r**2) / 2, rel=1e-13)
    assert loss.matrix() == pytest.approx(np.eye(21) / 21, abs=1e-15)


def test_waves_of_each_kind_have_their_weight():
    x, k = midpoints(40), 6
    for ends, wave in [
        ("dirichlet", np.sin(np.pi * k * x)),
        ("neumann", np.cos(np.pi * k * x)),
        ("periodic", np.sin(2 * np.pi * k * x + 0.3)),
    ]:
        loss = IntervalLoss(40, -1.5, ends)
        assert loss.apply(wave) == pytest.approx(7.0**-3 * wave / 40, abs=1e-16)
        assert loss.value(wave) == pytest.approx(7.0**-3 / 4, rel=1e-13)


def test_minus_one_is_the_energy_of_the_inverse_laplacian():
    # r = x (1 - x): 1/2 sum over odd k of (8/(pi k)^3)^2 / 2 (1 + k^2)^-1
    k = np.arange(1.0, 4000, 2)
    exact = np.sum((8 / (np.pi * k) ** 3) ** 2 / (1 + k**2)) / 4
    loss = IntervalLoss(400, -1.0, weight="laplacian")
    assert loss.value(loss.x * (1 - loss.x)) == pytest.approx(exact, rel=1e-5)


def test_frequencies_above_the_largest_have_no_weight():
    loss = IntervalLoss(32, 1.0, max_degree=5)
    assert loss.max_degree == 5
    assert loss.value(np.sin(6 * np.pi * loss.x)) == pytest.approx(0.0, abs=1e-27)
    assert loss.value(np.sin(5 * np.pi * loss.x)) == pytest.approx(9.0)


@given(
    st.integers(1, 60),
    st.floats(-3, 3),
    st.sampled_from(["dirichlet", "neumann", "periodic"]),
    st.integers(0, 1000),
)
def test_it_is_symmetric_and_not_negative(n, s, ends, seed):
    loss = IntervalLoss(n, s, ends)
    p = loss.matrix()
    assert p == pytest.approx(p.T, abs=1e-15 * np.abs(p).max())
    values = np.linalg.eigvalsh(p)
    assert values.min() >= -1e-13 * values.max()
    r = np.random.default_rng(seed).standard_normal(n)
    before = r.copy()
    assert loss.apply(r) == pytest.approx(p @ r, abs=1e-13 * n * values.max())
    assert np.array_equal(r, before)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: IntervalLoss(0, 1.0), "n = 0 is not allowed; it must be a whole number >= 1"),
        (lambda: IntervalLoss(8, 1.0, "open"), "ends = 'open' is not allowed; use 'diri"),
        (lambda: IntervalLoss(8, np.nan), "s = nan is not allowed"),
        (lambda: IntervalLoss(8, 1.0, max_degree=9), "max_degree = 9 is not allowed"),
        (lambda: IntervalLoss(8, 1.0).apply(np.ones(7)), r"r of shape \(7,\) .* 8 midpoints"),
        (lambda: IntervalLoss(8, 1.0).value(np.ones((8, 1))), r"r of shape \(8, 1\)"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(NtkspecError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
