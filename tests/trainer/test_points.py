"""Points of the sphere: exact to the degree they say, and bad ones refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkspec import NtkspecError
from ntkspec.trainer import designs
from ntkspec.trainer.points import (
    circle,
    cloud,
    fibonacci,
    from_array,
    product_rule,
    random_points,
    spherical_design,
)


def monomial_mean(powers):
    """Mean over the sphere of x_1^a_1 ... x_d^a_d, by integrating against a Gaussian.

    E[prod Z_i^a_i] = prod (a_i - 1)!! is the mean times E[|Z|^(sum a)].
    """
    if any(a % 2 for a in powers):
        return 0.0
    odd = math.prod(math.prod(range(1, a, 2)) for a in powers)
    radius = math.prod(len(powers) + 2 * i for i in range(sum(powers) // 2))
    return odd / radius


def mean_error(points, degree, seed=0, tries=60):
    """Largest error of a rule over powers of the coordinates, and monomials at random."""
    rng = np.random.default_rng(seed)
    errors = []
    even = np.full(points.dim, 1 / points.dim)
    for powers in (
        *(degree * np.eye(points.dim, dtype=int)),
        *rng.multinomial(degree, even, tries),
    ):
        got = points.weights @ np.prod(points.x**powers, axis=1)
        errors.append(abs(got - monomial_mean(powers.tolist())))
    return max(errors)


MAKERS = {
    "circle": lambda: circle(17),
    "product-2": lambda: product_rule(9, 2),
    "product-3": lambda: product_rule(14, 3),
    "product-4": lambda: product_rule(7, 4),
    "product-7": lambda: product_rule(4, 7),
    "design": lambda: spherical_design(11),
    "weighted": lambda: cloud(300, 3, seed=1).with_quadrature_weights(),
    "weighted-2": lambda: random_points(60, 2, seed=1).with_quadrature_weights(),
    "weighted-5": lambda: random_points(200, 5, seed=1).with_quadrature_weights(2),
    "array": lambda: from_array(np.concatenate((np.eye(4), -np.eye(4)))),
}


@pytest.mark.parametrize("name", MAKERS)
def test_rules_are_exact_to_the_degree_they_say(name):
    points = MAKERS[name]()
    assert points.exact_degree >= 1
    for degree in range(1, points.exact_degree + 1):
        assert mean_error(points, degree) < 1e-14
    assert np.linalg.norm(points.x, axis=1) == pytest.approx(1.0, abs=1e-15)
    assert points.weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert points.weights.min() >= 0.0


@pytest.mark.parametrize("name", ["circle", "product-2", "product-3", "product-4", "array"])
def test_rules_are_not_exact_beyond(name):
    points = MAKERS[name]()
    assert mean_error(points, points.exact_degree + 1, tries=300) > 1e-8


@pytest.mark.parametrize("points", [random_points(50, 3, 0), fibonacci(50), cloud(50, 4, 0)])
def test_points_of_unknown_exactness_have_exact_degree_0(points):
    assert points.exact_degree == 0
    assert mean_error(points, 1) > 1e-9 or mean_error(points, 2) > 1e-9


@given(st.integers(1, 200))
def test_the_circle_is_in_order(n):
    points = circle(n)
    angle = 2 * np.pi * np.arange(n) / n
    assert points.x == pytest.approx(np.stack((np.cos(angle), np.sin(angle)), axis=1), abs=1e-15)
    assert points.equispaced and points.n == n and points.dim == 2


def test_only_the_circle_in_order_is_equispaced():
    x = circle(6).x
    assert from_array(x).equispaced
    assert not from_array(x[::-1]).equispaced
    assert not from_array(x, [0.2, 0.2, 0.2, 0.2, 0.1, 0.1]).equispaced
    assert not random_points(6, 2, 0).equispaced
    assert not product_rule(3, 3).equispaced


def test_given_points_are_measured():
    # vertices of the icosahedron: a spherical 5-design
    g = (1 + math.sqrt(5)) / 2
    x = [
        np.roll([0, a, b * g], shift) / math.hypot(1, g)
        for a in (-1, 1)
        for b in (-1, 1)
        for shift in range(3)
    ]
    assert from_array(x).exact_degree == 5
    rule = product_rule(8, 3)
    assert from_array(rule.x, rule.weights).exact_degree == 8
    assert from_array(rule.x).exact_degree < 8
    # asked for one degree, the circle says all it has
    assert from_array(circle(40).x).exact_degree == 39


def test_points_a_little_off_are_normalized():
    points = from_array([[1.0 + 5e-9, 0.0], [0.0, 1.0]])
    assert points.x.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_seeds_repeat_and_differ():
    for maker in (
        lambda seed: random_points(20, 4, seed),
        lambda seed: cloud(20, 3, seed),
        lambda seed: cloud(20, 2, seed, density="cluster"),
        lambda seed: cloud(20, 3, seed, density=lambda x: 1 + x[:, 0]),
    ):
        assert np.array_equal(maker(1).x, maker(1).x)
        assert not np.array_equal(maker(1).x, maker(2).x)


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_random_points_are_uniform(dim):
    x = random_points(40000, dim, seed=0).x
    assert x.T @ x / len(x) == pytest.approx(np.eye(dim) / dim, abs=0.02)
    assert np.abs(x.mean(axis=0)).max() < 0.02


def test_a_spiral_keeps_its_distances():
    x = fibonacci(400).x
    cosines = x @ x.T
    np.fill_diagonal(cosines, -1.0)
    nearest = np.sqrt(2 - 2 * cosines.max(axis=1)) * math.sqrt(400)
    assert nearest.min() > 3.0 and nearest.max() < 3.6


@pytest.mark.parametrize("dim", [2, 3, 8])
@pytest.mark.parametrize("concentration", [0.0, 1.0, 6.0])
def test_a_cap_has_the_mean_of_its_law(dim, concentration):
    # integral of t exp(c t) (1-t^2)^((d-3)/2) over that without t, by Gauss-Legendre in the angle
    nodes, w = np.polynomial.legendre.leggauss(200)
    theta = np.pi / 2 * (nodes + 1)
    w = w * np.exp(concentration * np.cos(theta)) * np.sin(theta) ** (dim - 2)
    x = cloud(30000, dim, seed=3, concentration=concentration).x
    along = x[:, 0] if dim == 2 else x[:, -1]
    assert along.mean() == pytest.approx(w @ np.cos(theta) / w.sum(), abs=0.02)


def test_a_users_density_is_sampled():
    # 1 + z^3: E[z] = int z^4/2 = 1/5 on S^2; and a sharp peak, met after the first points
    x = cloud(40000, 3, seed=0, density=lambda x: 1 + x[:, 2] ** 3).x
    assert x[:, 2].mean() == pytest.approx(0.2, abs=0.01)
    peak = cloud(500, 3, seed=0, density=lambda x: 1e-6 + (x[:, 0] > 0.99)).x
    assert (peak[:, 0] > 0.99).mean() > 0.99


def test_clusters_hold_half_of_the_points():
    x = cloud(1000, 3, seed=0, density="cluster", concentration=1000.0).x
    near = (x @ x.T > 0.98).sum(axis=1)
    assert 450 < (near > 80).sum() < 650


@pytest.mark.parametrize("degree", [1, 2, 7, 16, 25])
def test_designs_are_exact_with_few_points(degree):
    points = spherical_design(degree)
    last = degree + 1 - degree % 2
    assert points.exact_degree == last
    assert points.n <= last * (last + 1) / 2 + last / 2 + 8
    assert np.array_equal(points.x, spherical_design(degree).x)
    assert mean_error(points, last) < 1e-15 and mean_error(points, last - 1) < 1e-14
    # well separated, as the spiral that they come from
    cosines = points.x @ points.x.T
    np.fill_diagonal(cosines, -1.0)
    assert np.sqrt((2 - 2 * cosines.max()) * points.n) > 2.2


@pytest.mark.slow
@pytest.mark.parametrize("degree", range(27, 64, 4))
def test_large_designs_are_exact(degree):
    assert spherical_design(degree).exact_degree == degree


def test_a_design_that_is_not_found_is_refused(monkeypatch):
    monkeypatch.setattr(designs, "MOST_STEPS", 1)
    with pytest.raises(NtkspecError, match="degree = 13: no spherical design was found"):
        designs.design_points.__wrapped__(13)


SQUARE = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: circle(0), "n = 0 is not allowed; it must be a whole number >= 1"),
        (lambda: circle(2.5), "n = 2.5 is not allowed"),
        (lambda: circle(10**12), "1000000000000 points in dim = 2 .* 2.4e\\+13 bytes"),
        (lambda: random_points(5, 1, 0), "dim = 1 is not allowed"),
        (lambda: random_points(5, 3, -1), "seed = -1 is not allowed"),
        (lambda: random_points(5, 10**9, 0), "5 points in dim = 1000000000 are not allowed"),
        (lambda: product_rule(0, 3), "degree = 0 is not allowed; .* >= 1"),
        (lambda: product_rule(8, 40), "points in dim = 40 are not allowed: they take"),
        (lambda: spherical_design(64), "degree = 64 is not allowed; the largest is 63"),
        (lambda: spherical_design(0), "degree = 0 is not allowed"),
        (lambda: cloud(5, 3, 0, density="ring"), "density = 'ring' is not allowed; use 'cap'"),
        (lambda: cloud(5, 3, 0, concentration=-1), "concentration = -1 is not allowed"),
        (lambda: cloud(5, 3, 0, concentration="x"), "concentration = 'x' is not allowed"),
        (lambda: cloud(5, 3, 0, len, concentration=1.0), "concentration is for a named density"),
        (lambda: cloud(5, 3, 0, lambda x: x), r"density returned shape \(16384, 3\)"),
        (lambda: cloud(5, 3, 0, lambda x: x[:, 0]), "density is -.* not be negative"),
        (lambda: cloud(5, 3, 0, lambda x: 0 * x[:, 0]), "density is too narrow"),
        (lambda: cloud(5, 3, 0, lambda x: float("a")), "density failed on an .* array"),
        (
            lambda: from_array([[1.0, 0.1], [0.0, 1.0]]).with_quadrature_weights(),
            "quadrature weights are for points on the sphere, and these have norms from 1 to 1.00",
        ),
        (lambda: from_array([[3.0, 1.0], [0.0, 1.0], [3.0, 1.0]]), r"points\[2\] is the same as"),
        (lambda: from_array([[0.0, 1.0], [np.nan, 1.0]]), r"points\[1\] has norm nan"),
        (lambda: from_array([*SQUARE, SQUARE[1]]), r"points\[4\] is the same as points\[1\]"),
        (lambda: from_array(np.ones((3, 1))), r"points of shape \(3, 1\) are not allowed"),
        (lambda: from_array(np.ones((0, 3))), r"points of shape \(0, 3\) are not allowed"),
        (lambda: from_array([1.0, 0.0]), r"points of shape \(2,\) are not allowed"),
        (lambda: from_array("points"), "points must be an .* array of numbers"),
        (lambda: from_array(SQUARE, [1.0]), r"weights of shape \(1,\) .* each of 4 points"),
        (lambda: from_array(SQUARE, "x"), "weights must be numbers, one for each"),
        (lambda: from_array(SQUARE, [1.5, -0.5, 0, 0]), r"weights\[1\] = -0.5 is not allowed"),
        (lambda: from_array(SQUARE, [1, 1, 1, 1]), "weights sum to 4; the sum must be 1"),
        (lambda: from_array(SQUARE, [1, np.nan, 1, 1]), r"weights\[1\] = nan"),
        (lambda: circle(9).with_quadrature_weights(9), "degree = 9 .* up to degree 8"),
    ],
)
def test_bad_input_gets_a_message(call, message):
    with pytest.raises(NtkspecError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_twins_among_many_are_found():
    x = fibonacci(3000).x
    with pytest.raises(NtkspecError, match=r"points\[3000\] is the same as points\[1234\]"):
        from_array(np.concatenate((x, x[1234:1235])))
