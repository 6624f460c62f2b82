"""Quadrature weights for given points, against linear and quadratic programs solved by others."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from ntkspec import NtkspecError
from ntkspec.trainer.cubature import exact_degree, quadrature_weights, rule_error
from ntkspec.trainer.harmonics import count
from ntkspec.trainer.points import circle, cloud, fibonacci, product_rule, random_points


def kernel(x, degree):
    """G_L(<x_i,x_j>) = sum_k N(d,k) P_k: weights of sum 1 are exact if all its row sums are 1."""
    dim = x.shape[1]
    t = np.clip(x @ x.T, -1.0, 1.0)
    if dim == 2:
        return 1 + 2 * sum(special.eval_chebyt(k, t) for k in range(1, degree + 1))
    nu = (dim - 2) / 2
    return sum((k + nu) / nu * special.eval_gegenbauer(k, nu, t) for k in range(degree + 1))


def least(x, degree):
    """Least sum of violations with weights >= 0, by HiGHS: 0 where a rule exists."""
    g = kernel(x, degree)
    n = len(x)
    cost = np.concatenate((np.zeros(n), np.ones(2 * n)))
    equal = np.vstack((np.hstack((g / n, np.eye(n), -np.eye(n))), 1.0 / n - cost / n))
    return optimize.linprog(cost, A_eq=equal, b_eq=np.ones(n + 1), method="highs").fun


CLOUDS = {
    "circle": random_points(40, 2, 1),
    "sphere": random_points(60, 3, 2),
    "cap": cloud(80, 3, 3, concentration=1.5),
    "clusters": cloud(80, 2, 4, density="cluster"),
    "four": random_points(90, 4, 5),
    "spiral": fibonacci(50),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_weights_are_exact_and_their_degree_is_the_largest(name):
    x = CLOUDS[name].x
    weights, degree = quadrature_weights(x)
    assert weights.min() >= 0.0 and weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert kernel(x, degree) @ weights == pytest.approx(np.ones(len(x)), abs=1e-11)
    assert degree >= 1
    assert least(x, degree) < 1e-7
    assert least(x, degree + 1) > 1e-6


@pytest.mark.parametrize("name", CLOUDS)
def test_weights_are_the_nearest_to_equal_ones(name):
    # the quadratic program by scipy's bounded least squares, with a penalty on the conditions
    x = CLOUDS[name].x
    weights, degree = quadrature_weights(x)
    degree = max(1, degree - 1)
    weights, _ = quadrature_weights(x, degree)
    n = len(x)
    penalty = 1e5
    rows = np.concatenate((np.eye(n), penalty * kernel(x, degree) / n))
    right = np.concatenate((np.ones(n), penalty * np.ones(n)))
    other = optimize.lsq_linear(rows, right, bounds=(0, np.inf), tol=1e-14, max_iter=500).x / n
    assert weights == pytest.approx(other, abs=2e-5)
    assert np.sum((weights - 1 / n) ** 2) <= np.sum((other - 1 / n) ** 2) * (1 + 1e-4) + 1e-12


def test_symmetric_points_keep_equal_weights():
    for points in (circle(20), product_rule(7, 2)):
        weights, degree = quadrature_weights(points.x)
        assert weights == pytest.approx(1 / points.n, abs=1e-15)
        assert degree == points.exact_degree


def test_gauss_points_are_given_their_weights():
    # more conditions than points, and one rule alone
    rule = product_rule(7, 3)
    weights, degree = quadrature_weights(rule.x)
    assert degree == 7 and count(3, 7) > rule.n
    assert weights == pytest.approx(rule.weights, abs=1e-12)


def test_one_point_is_exact_to_nothing():
    weights, degree = quadrature_weights([[0.0, 1.0]])
    assert weights.tolist() == [1.0] and degree == 0


def test_points_on_one_side_are_exact_to_nothing():
    # on a cap x_3 > 0 the mean of x_3 cannot be 0
    x = cloud(200, 3, 0, density=lambda x: (x[:, 2] > 0.1) * 1.0).x
    weights, degree = quadrature_weights(x)
    assert degree == 0 and weights == pytest.approx(1 / 200)
    with pytest.raises(
        NtkspecError, match=r"degree = 1 is not allowed; .* can be exact up to degree 0"
    ):
        quadrature_weights(x, 1)


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(2, 120), st.integers(0, 10**6))
def test_any_cloud_gets_a_rule(dim, n, seed):
    x = random_points(n, dim, seed).x
    weights, degree = quadrature_weights(x)
    assert weights.min() >= 0.0 and weights.sum() == pytest.approx(1.0, abs=1e-13)
    assert rule_error(x, weights, degree) <= 1e-12
    if degree > 0:
        lower, _ = quadrature_weights(x, degree)
        assert lower == pytest.approx(weights, abs=1e-12)


def test_a_rotation_turns_the_rule():
    x = random_points(70, 3, 1).x
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    first, degree = quadrature_weights(x)
    second, again = quadrature_weights(x @ turn.T)
    assert degree == again and first == pytest.approx(second, abs=1e-10)


@pytest.mark.parametrize(
    "n, dim, least_degree",
    [
        (512, 2, 40),
        (512, 3, 11),
        pytest.param(2048, 2, 150, marks=pytest.mark.slow),
        pytest.param(2048, 3, 22, marks=pytest.mark.slow),
        (2048, 10, 2),
    ],
)
def test_many_points_take_seconds(n, dim, least_degree):
    x = random_points(n, dim, 7).x
    before = time.monotonic()
    weights, degree = quadrature_weights(x)
    assert time.monotonic() - before < 60.0
    assert rule_error(x, weights, degree) <= 1e-12
    assert degree >= least_degree


def test_errors_are_row_sums_of_the_kernel():
    points = random_points(30, 3, 0)
    w = points.weights
    by_degree = [w @ (kernel(points.x, k) - kernel(points.x, k - 1)) @ w for k in range(1, 5)]
    assert rule_error(points.x, w, 4) == pytest.approx(np.sqrt(max(by_degree)), rel=1e-10)


def test_the_degree_of_a_rule_is_measured():
    for degree in (1, 2, 3, 6, 11):
        rule = product_rule(degree, 3)
        assert exact_degree(rule.x, rule.weights) == degree
    assert exact_degree(random_points(20, 5, 0).x, np.full(20, 0.05)) == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: quadrature_weights(circle(9).x, 0), "degree = 0 is not allowed; .* >= 1"),
        (
            lambda: quadrature_weights(circle(9).x, 9),
            "degree = 9 is not allowed; .* up to degree 8",
        ),
        (lambda: quadrature_weights(circle(9).x, 10**9), "degree = 1000000000 is not allowed"),
        (lambda: quadrature_weights([1.0, 0.0]), r"points of shape \(2,\) are not allowed"),
    ],
)
def test_bad_input_gets_a_message(call, message):
    with pytest.raises(NtkspecError, match=message):
        call()
