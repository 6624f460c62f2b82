"""The trainer's harmonics, against scipy's and mpmath's, which share no formula with them."""

import math

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ntkspec import NtkspecError
from ntkspec.trainer import energy
from ntkspec.trainer.energy import degree_energy
from ntkspec.trainer.harmonics import (
    Basis,
    axis,
    count,
    harmonic,
    multiplicity,
    zonal,
)
from ntkspec.trainer.points import circle, from_array, product_rule, random_points


def on_sphere(n, dim, seed=0):
    return random_points(n, dim, seed).x


@pytest.mark.parametrize("dim", [2, 3, 5, 12])
@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40])
def test_legendre_is_a_scaled_gegenbauer_polynomial(dim, degree):
    t = np.array([-1.0, -0.7, 0.01, 0.3, 0.999, 1.0])
    x = np.zeros((t.size, dim))
    x[:, 0], x[:, -1] = np.sqrt(1.0 - t**2), t
    got = zonal(dim, degree, x, np.eye(dim)[-1]) / math.sqrt(multiplicity(dim, degree))
    with mpmath.workdps(40):
        for value, at in zip(got, t):
            if dim == 2:
                exact = mpmath.chebyt(degree, mpmath.mpf(at))
            else:
                nu = mpmath.mpf(dim - 2) / 2
                exact = mpmath.gegenbauer(degree, nu, mpmath.mpf(at)) / mpmath.gegenbauer(
                    degree, nu, 1
                )
            assert value == pytest.approx(float(exact), abs=2e-14)


@given(st.integers(2, 30), st.integers(0, 30))
def test_numbers_of_harmonics_are_differences_of_numbers_of_monomials(dim, degree):
    # homogeneous polynomials of degree k are |x|^2 times those of degree k - 2, and harmonics
    def monomials(k):
        return math.comb(k + dim - 1, dim - 1) if k >= 0 else 0

    assert multiplicity(dim, degree) == monomials(degree) - monomials(degree - 2)
    assert count(dim, degree) == sum(multiplicity(dim, k) for k in range(degree + 1))


def test_the_basis_on_the_circle_is_sine_and_cosine():
    angle = np.linspace(-3, 3, 11)
    x = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    for k in (1, 5, 30):
        assert harmonic(2, k, 0, x) == pytest.approx(np.sqrt(2) * np.cos(k * angle), abs=1e-13)
        assert harmonic(2, k, 1, x) == pytest.approx(np.sqrt(2) * np.sin(k * angle), abs=1e-13)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 20])
def test_the_basis_of_the_sphere_is_that_of_scipy(degree):
    x = np.concatenate((on_sphere(40, 3), [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]))
    theta, phi = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    for order in range(degree + 1):
        # scipy: unit norm under the surface measure, with (-1)^m
        wave = (
            (-1) ** order * math.sqrt(4 * math.pi) * special.sph_harm_y(degree, order, theta, phi)
        )
        if order == 0:
            assert harmonic(3, degree, 0, x) == pytest.approx(wave.real, abs=1e-12)
            continue
        scale = math.sqrt(2.0)
        even, odd = (harmonic(3, degree, 2 * order - 1 + i, x) for i in (0, 1))
        assert even == pytest.approx(scale * wave.real, abs=1e-12)
        assert odd == pytest.approx(scale * wave.imag, abs=1e-12)


@pytest.mark.parametrize("dim, degree", [(2, 9), (3, 6), (4, 4), (5, 2)])
def test_the_basis_is_orthonormal(dim, degree):
    # Monte Carlo would not see 1e-13; a product of Gauss-Legendre rules in angles shares no node
    # with the trainer's Gauss-Gegenbauer rules
    x, weights = angles_rule(dim, 24 if dim < 5 else 18)
    values = Basis(x, degree).matrix()
    gram = values.T @ (weights[:, np.newaxis] * values)
    assert gram == pytest.approx(np.eye(count(dim, degree)), abs=1e-12)


def angles_rule(dim, nodes):
    """Points and weights of the sphere by Gauss-Legendre in each polar angle."""
    angle = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
    x, weights = np.stack((np.cos(angle), np.sin(angle)), axis=1), np.full(nodes, 1 / nodes)
    for d in range(3, dim + 1):
        t, w = np.polynomial.legendre.leggauss(nodes)
        theta = np.pi / 2 * (t + 1)
        w = w * np.sin(theta) ** (d - 2)
        rest = (np.sin(theta)[:, None, None] * x).reshape(-1, d - 1)
        x = np.column_stack((rest, np.repeat(np.cos(theta), len(weights))))
        weights = np.outer(w / w.sum(), weights).ravel()
    return x, weights


@pytest.mark.parametrize("dim, degree", [(2, 5), (3, 12), (4, 6), (10, 3)])
def test_the_addition_theorem_holds(dim, degree):
    # sum_m Y_km(x) Y_km(y) = N P_k(<x,y>), any orthonormal basis; the right side by mpmath
    x, y = on_sphere(2, dim, seed=3)
    size = multiplicity(dim, degree)
    pair = np.array([[harmonic(dim, degree, m, [v])[0] for m in range(size)] for v in (x, y)])
    nu = mpmath.mpf(dim - 2) / 2
    t = mpmath.fdot(x.tolist(), y.tolist())
    legendre = (
        mpmath.chebyt(degree, t)
        if dim == 2
        else mpmath.gegenbauer(degree, nu, t) / mpmath.gegenbauer(degree, nu, 1)
    )
    assert pair[0] @ pair[1] == pytest.approx(size * float(legendre), abs=1e-12 * size)
    assert pair[0] @ pair[0] == pytest.approx(size, rel=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_single_functions_are_columns_of_the_basis(dim):
    x = on_sphere(5, dim)
    columns = Basis(x, 3).matrix().T
    names = [(k, m) for k in range(4) for m in range(multiplicity(dim, k))]
    for column, (k, m) in zip(columns, names):
        assert harmonic(dim, k, m, x) == pytest.approx(column, abs=1e-14)


@pytest.mark.parametrize("dim", [2, 3, 8])
def test_the_first_function_is_zonal(dim):
    x = on_sphere(20, dim)
    for k in range(5):
        assert harmonic(dim, k, 0, x) == pytest.approx(zonal(dim, k, x, axis(dim)), abs=1e-13)


@pytest.mark.parametrize("order", [0, 1, 30, 900, 1499, 1500])
def test_the_highest_degree_keeps_its_digits(order):
    # at the equator, near a pole where powers of the sine underflow, and between
    degree, angles = 1500, [np.pi / 2, 1e-8, 0.3, 0.7, 1.2]
    x = np.array([[math.sin(a), 0.0, math.cos(a)] for a in angles])
    got = harmonic(3, degree, max(0, 2 * order - 1), x)
    for value, (sine, _, cosine) in zip(got, x):
        assert value == pytest.approx(in_balls(degree, order, sine, cosine), abs=1e-10)


def in_balls(degree, order, sine, cosine):
    """sqrt(2k+1) times the normalized Legendre function of order m (times sqrt(2)), at phi = 0."""
    with ctx.workprec(4000):
        m, t = order, arb(cosine)
        value = t.gegenbauer_c(arb(degree - m), arb(2 * m + 1) / 2)
        # (2m-1)!! and (k-m)!/(k+m)!
        double = arb(2 * m).gamma() / (arb(m).gamma() * arb(2) ** (m - 1)) if m else arb(1)
        ratio = arb(degree - m + 1).gamma() / arb(degree + m + 1).gamma()
        scale = arb((2 if m else 1) * (2 * degree + 1)) * ratio
        return float((value * double * arb(sine) ** m * scale.sqrt()).mid())


def test_degrees_beyond_the_reach_of_doubles_are_refused():
    with pytest.raises(NtkspecError, match=r"degree = 1501 is not allowed; in dim >= 3 .* 1500"):
        harmonic(3, 1501, 0, [[1.0, 0.0, 0.0]])


@pytest.mark.parametrize("points", [circle(32), product_rule(20, 3), product_rule(8, 4)])
def test_energies_of_polynomials_are_their_squared_norms(points):
    dim = points.dim
    r = 2.0 * harmonic(dim, 3, 1, points.x) - 0.5 * harmonic(dim, 4, 0, points.x) + 1.0
    found = degree_energy(r, points, [0, 1, 2, 3, 4])
    assert found == pytest.approx([1.0, 0.0, 0.0, 4.0, 0.25], abs=1e-13)


@pytest.mark.parametrize("n, dim, last", [(300, 2, 40), (150, 3, 11), (90, 5, 4), (400, 10, 2)])
def test_energies_are_the_double_sum(n, dim, last):
    points = random_points(n, dim, seed=1)
    rng = np.random.default_rng(2)
    weights = rng.random(n)
    points = from_array(points.x, weights / weights.sum())
    r = rng.standard_normal(n)
    t = np.clip(points.x @ points.x.T, -1, 1)
    nu = (dim - 2) / 2
    cr = points.weights * r
    for k, found in zip(range(last + 1), degree_energy(r, points, range(last + 1))):
        p = special.eval_chebyt(k, t) if dim == 2 else special.eval_gegenbauer(k, nu, t)
        scale = multiplicity(dim, k) / (1 if dim == 2 else special.eval_gegenbauer(k, nu, 1.0))
        assert found == pytest.approx(scale * cr @ p @ cr, rel=1e-11)


@pytest.mark.parametrize("n, dim", [(500, 2), (400, 3), (200, 6)])
def test_both_routes_to_energies_agree(n, dim):
    points = random_points(n, dim, seed=1)
    r = np.random.default_rng(2).standard_normal(n)
    pairs = energy._energy_by_pairs(points.x, points.weights * r, 5)
    basis = [c @ c for c in Basis(points.x, 5).coefficients(points.weights * r)]
    assert pairs == pytest.approx(basis, rel=1e-11)


def test_many_degrees_in_a_high_dimension_take_the_pairs():
    # 10^11 harmonics: the recurrence over pairs alone can do it
    points = random_points(50, 10, seed=0)
    found = degree_energy(np.ones(50), points, [64])
    functions = [zonal(10, 64, points.x, pole) for pole in points.x]
    wanted = math.sqrt(multiplicity(10, 64)) * np.mean(functions)
    assert found[0] == pytest.approx(wanted, rel=1e-12)


def test_energies_take_degrees_as_they_come():
    points = circle(16)
    r = points.x[:, 0]
    assert degree_energy(r, points, [3, 1, 1]) == pytest.approx([0.0, 0.5, 0.5], abs=1e-15)
    assert degree_energy(r, points, []).shape == (0,)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: multiplicity(1, 2), "dim = 1 is not allowed; it must be a whole number >= 2"),
        (lambda: multiplicity(3, -1), "degree = -1 is not allowed"),
        (lambda: multiplicity(3, 1.5), "degree = 1.5 is not allowed"),
        (lambda: multiplicity(3, True), "degree = True is not allowed"),
        (lambda: harmonic(3, 2, 5, [[1.0, 0, 0]]), "index = 5 is not allowed; .* 0 to 4"),
        (lambda: harmonic(2, 0, 1, [[1.0, 0]]), "index = 1 is not allowed"),
        (lambda: harmonic(3, 2, 0, [[1.0, 0]]), "points have dimension 2; dim = 3"),
        (lambda: harmonic(3, 2, 0, [1.0, 0]), r"points of shape \(2,\) are not allowed"),
        (lambda: zonal(3, 2, "x", [1.0, 0, 0]), "points must be an .* array of numbers"),
        (lambda: zonal(3, 2, np.eye(3), [1.0, 0]), "pole must have 3 coordinates"),
        (lambda: degree_energy([1.0], circle(2), [0]), r"r of shape \(1,\)"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(NtkspecError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
