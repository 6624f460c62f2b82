"""The Sobolev loss: by FFT and by projections, against DFT matrices and sums in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from ntkspec import NtkspecError
from ntkspec.trainer.harmonics import harmonic, multiplicity
from ntkspec.trainer.points import (
    circle,
    cloud,
    from_array,
    product_rule,
    random_points,
    spherical_design,
)
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss, resolved_degree


def dft_matrix(n, mu):
    """F* diag(mu) F / n with numpy's unitary DFT matrix, mu_k of the frequency's modulus."""
    f = np.fft.fft(np.eye(n), norm="ortho")
    frequency = np.abs(np.fft.fftfreq(n, 1 / n)).round().astype(int)
    return (f.conj().T @ (mu[frequency][:, None] * f)).real / n


@pytest.mark.parametrize("n", [1, 2, 3, 8, 17, 64])
@pytest.mark.parametrize("s", [-1.0, 0.0, 0.5, 1.0])
def test_on_the_circle_it_is_the_matrix_of_the_dft(n, s):
    loss = SobolevLoss(circle(n), s)
    exact = dft_matrix(n, (1.0 + np.arange(n // 2 + 1)) ** (2 * s))
    assert loss.max_degree == n // 2
    assert loss.matrix() == pytest.approx(exact, abs=1e-13 * np.abs(exact).max())
    r = np.random.default_rng(0).standard_normal(n)
    assert loss.apply(r) == pytest.approx(exact @ r, abs=1e-13 * np.abs(exact).max() * n)
    assert loss.value(r) == pytest.approx(0.5 * r @ exact @ r, rel=1e-12)


@pytest.mark.parametrize("n", [9, 32, 33, 200])
@pytest.mark.parametrize("s", [-1.0, 1.0, 1.7])
@pytest.mark.parametrize("weight", ["power", "laplacian"])
def test_projections_agree_with_the_fft(n, s, weight):
    # the same points in another order are no longer `equispaced`
    points, degree = circle(n), (n - 1) // 2
    order = np.random.default_rng(0).permutation(n)
    by_fft = SobolevLoss(points, s, weight, max_degree=degree)
    shuffled = from_array(points.x[order])
    by_projections = SobolevLoss(shuffled, s, weight, max_degree=degree)
    assert points.equispaced and not shuffled.equispaced
    size = np.abs(by_fft.matrix()).max()
    assert by_projections.matrix() == pytest.approx(
        by_fft.matrix()[np.ix_(order, order)], abs=1e-13 * size
    )
    r = np.random.default_rng(1).standard_normal(n)
    assert by_projections.apply(r[order]) == pytest.approx(
        by_fft.apply(r)[order], abs=1e-13 * size * n
    )


@pytest.mark.parametrize("dim, n", [(2, 40), (3, 50), (5, 60)])
@pytest.mark.parametrize("weight", ["power", "laplacian"])
def test_projections_are_sums_of_legendre_polynomials(dim, n, weight):
    rng = np.random.default_rng(0)
    weights = rng.random(n)
    points = from_array(random_points(n, dim, 3).x, weights / weights.sum())
    loss = SobolevLoss(points, 0.75, weight, max_degree=3)
    t, nu = np.clip(points.x @ points.x.T, -1, 1), (dim - 2) / 2
    exact = np.zeros((n, n))
    for k in range(4):
        p = special.eval_chebyt(k, t) if dim == 2 else special.eval_gegenbauer(k, nu, t)
        p = p / (1 if dim == 2 else special.eval_gegenbauer(k, nu, 1.0))
        mu = (1 + k) ** 1.5 if weight == "power" else (1 + k * (k + dim - 2)) ** 0.75
        assert loss.multiplier(k) == pytest.approx(mu, rel=1e-14)
        exact += mu * multiplicity(dim, k) * p
    exact *= np.outer(points.weights, points.weights)
    assert loss.matrix() == pytest.approx(exact, abs=1e-13 * exact.max())
    r = rng.standard_normal(n)
    assert loss.apply(r) == pytest.approx(exact @ r, abs=1e-13 * exact.max() * n)


@pytest.mark.parametrize(
    "points",
    [
        circle(30),
        product_rule(12, 3),
        spherical_design(9),
        product_rule(6, 5),
        cloud(200, 3, 0).with_quadrature_weights(),
        random_points(90, 2, 0).with_quadrature_weights(),
    ],
    ids=["circle", "product", "design", "five", "cloud", "random"],
)
@pytest.mark.parametrize("s", [-0.5, 1.0])
def test_harmonics_are_eigenvectors_where_the_rule_is_exact(points, s):
    loss = SobolevLoss(points, s)
    assert 2 * loss.max_degree <= points.exact_degree + 1
    for degree in range(min(loss.max_degree, points.exact_degree // 2) + 1):
        for index in {0, multiplicity(points.dim, degree) - 1}:
            y = harmonic(points.dim, degree, index, points.x)
            mu = float(1 + degree) ** (2 * s)
            assert loss.apply(y) == pytest.approx(mu * points.weights * y, abs=1e-12)
            assert loss.value(y) == pytest.approx(mu / 2, rel=1e-11)


@settings(max_examples=40)
@given(
    st.integers(2, 5),
    st.integers(1, 80),
    st.floats(-3, 3),
    st.integers(0, 1000),
    st.sampled_from(["power", "laplacian"]),
    st.booleans(),
)
def test_it_is_symmetric_and_not_negative(dim, n, s, seed, weight, on_circle):
    points = circle(n) if on_circle else random_points(n, dim, seed)
    loss = SobolevLoss(points, s, weight)
    p = loss.matrix()
    assert np.array_equal(p, p.T)
    values = np.linalg.eigvalsh(p)
    assert values.min() >= -1e-13 * values.max()
    r, q = np.random.default_rng(seed).standard_normal((2, n))
    assert loss.value(r) >= 0.0
    assert loss.apply(r + 2 * q) == pytest.approx(
        loss.apply(r) + 2 * loss.apply(q), abs=1e-12 * values.max() * n
    )
    assert q @ loss.apply(r) == pytest.approx(r @ loss.apply(q), abs=1e-12 * values.max() * n)
    assert loss.value(r) == pytest.approx(0.5 * r @ p @ r, rel=1e-9, abs=1e-14 * values.max())


@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(2, 60))
def test_exponents_add(s, more, n):
    # n P is diag(mu) in the harmonics of the circle: the product has the sum of the exponents
    points = circle(n)
    r = np.random.default_rng(0).standard_normal(n)
    twice = n * SobolevLoss(points, s).apply(n * SobolevLoss(points, more).apply(r))
    once = n * SobolevLoss(points, s + more).apply(r)
    scale = (1.0 + n / 2) ** (2 * (abs(s) + abs(more)))
    assert twice == pytest.approx(once, abs=1e-12 * scale)


def test_exponent_zero_is_the_plain_loss_on_the_circle():
    points = circle(50)
    r = np.random.default_rng(0).standard_normal(50)
    plain, sobolev = L2Loss(points), SobolevLoss(points, 0.0)
    assert sobolev.apply(r) == pytest.approx(plain.apply(r), abs=1e-16)
    assert sobolev.value(r) == pytest.approx(plain.value(r), rel=1e-14)


def test_the_plain_loss():
    points = from_array(np.eye(3), [0.2, 0.3, 0.5])
    loss, r = L2Loss(points), np.array([1.0, -2.0, 3.0])
    assert loss.apply(r) == pytest.approx([0.2, -0.6, 1.5])
    assert loss.value(r) == pytest.approx((0.2 + 1.2 + 4.5) / 2)
    assert loss.matrix() == pytest.approx(np.diag([0.2, 0.3, 0.5]))
    assert loss.multiplier([0, 3]).tolist() == [1.0, 1.0] and loss.s is None


def test_the_laplacian_weight_at_one_is_the_energy_of_the_gradient():
    # int |grad f|^2 + f^2 of f = x y on S^2: mean of x^2 + y^2 - 4 x^2 y^2 + x^2 y^2
    rule = product_rule(8, 3)
    f = rule.x[:, 0] * rule.x[:, 1]
    exact = 2 / 3 - 3 / 15
    assert SobolevLoss(rule, 1.0, "laplacian").value(f) == pytest.approx(exact / 2, rel=1e-13)


def test_degrees_above_the_largest_have_no_weight():
    loss = SobolevLoss(circle(64), 1.0, max_degree=5)
    assert loss.multiplier([4, 5, 6, 40]).tolist() == [25.0, 36.0, 0.0, 0.0]
    assert loss.value(harmonic(2, 6, 0, circle(64).x)) == pytest.approx(0.0, abs=1e-25)
    assert loss.value(harmonic(2, 5, 0, circle(64).x)) == pytest.approx(18.0)


def test_the_degree_taken_follows_the_rule():
    assert SobolevLoss(product_rule(11, 3), 1.0).max_degree == 5
    assert SobolevLoss(random_points(100, 3, 0), 1.0).max_degree == 6
    assert SobolevLoss(random_points(512, 10, 0), 1.0).max_degree == 2
    assert SobolevLoss(circle(33), 1.0).max_degree == 16
    rule = random_points(100, 3, 0).with_quadrature_weights()
    assert resolved_degree(rule) == rule.exact_degree // 2


def test_residuals_of_single_precision_are_weighed_in_double():
    for points in (circle(16), random_points(20, 3, 0)):
        r = np.random.default_rng(0).standard_normal(points.n).astype(np.float32)
        loss = SobolevLoss(points, 1.0)
        assert loss.apply(r).dtype == np.float64
        assert loss.apply(r) == pytest.approx(loss.apply(r.astype(np.float64)), abs=1e-16)


def test_it_does_not_change_the_residual():
    for points in (circle(16), random_points(20, 3, 0)):
        r = np.random.default_rng(0).standard_normal(points.n)
        before = r.copy()
        SobolevLoss(points, 1.0).apply(r)
        assert np.array_equal(r, before)


@pytest.mark.parametrize("s", [-200.0, -1e300])
def test_weights_may_vanish(s):
    loss = SobolevLoss(circle(16), s)
    assert loss.multiplier([0, 8])[0] == 1.0 and loss.multiplier([0, 8])[1] < 1e-300
    assert np.isfinite(loss.apply(np.ones(16))).all()


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: SobolevLoss(circle(8), math.nan), "s = nan is not allowed; .* finite number"),
        (lambda: L2Loss(circle(8)).apply([1.0]), r"r of shape \(1,\) .* each of 8 points"),
        (lambda: SobolevLoss(circle(8), 1.0).apply(np.ones(7)), r"r of shape \(7,\)"),
        (lambda: SobolevLoss(random_points(9, 3, 0), 1.0).value(np.ones(8)), r"of shape \(8,\)"),
        (lambda: SobolevLoss(circle(8), "auto"), "s = 'auto' is not allowed"),
        (lambda: SobolevLoss(circle(64), 400), "s = 400 .* at degree 32 its weight exceeds"),
        (lambda: SobolevLoss(circle(64), 1e308), r"s = 1e\+308 is not allowed: at degree 32"),
        (
            lambda: SobolevLoss(circle(8), 1.0, "heat"),
            "weight = 'heat' is not allowed; use 'power'",
        ),
        (lambda: SobolevLoss(circle(8), 1.0, max_degree=5), "8 points .* resolve degrees up to 4"),
        (lambda: SobolevLoss(circle(8), 1.0, max_degree=-1), "max_degree = -1 is not allowed"),
        (
            lambda: SobolevLoss(random_points(10, 3, 0), 1.0, max_degree=3),
            "max_degree = 3 is not allowed; 10 points in dim = 3 resolve degrees up to 2",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(NtkspecError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
