"""The power of functions by degree and frequency, against functions whose power is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import eval_gegenbauer, iv, lpmv
from scipy.stats import ortho_group

from ntkspec import Cube, Gaussian, NtkspecError, Sphere, Torus, VonMises
from ntkspec.domains import multiplicity
from ntkspec.predict import learning_curve, power


def even_moment(exponents, dim):
    """E prod x_i^(2 a_i) on the sphere: prod (2 a_i - 1)!! / (d (d + 2) ...)."""
    above = math.prod(math.prod(range(1, 2 * a, 2)) for a in exponents)
    return above / math.prod(range(dim, dim + 2 * sum(exponents), 2))


@pytest.mark.parametrize("dim", [2, 3, 4, 5])
def test_monomials(dim):
    """x_1 x_2 is a harmonic; x_1^2 is 1 / d and one; x_1^3 is 3 x_1 / (d + 2) and one."""
    second, fourth, sixth = (even_moment([a], dim) for a in (1, 2, 3))
    product = power(lambda x: x[:, 0] * x[:, 1], dim, max_degree=4)
    assert_allclose(product.power, [0, 0, even_moment([1, 1], dim), 0, 0], atol=1e-15)
    square = power(lambda x: x[:, 0] ** 2, dim, max_degree=3)
    assert_allclose(square.power, [1 / dim**2, 0, fourth - 1 / dim**2, 0], atol=1e-15)
    cube = power(lambda x: x[:, -1] ** 3, dim, max_degree=3)
    first = (3.0 / (dim + 2)) ** 2 * second
    assert_allclose(cube.power, [0, first, 0, sixth - first], atol=1e-15)
    assert cube.rest <= 1e-15 and cube.total == pytest.approx(sixth)


@pytest.mark.parametrize("dim", [2, 3, 4])
@pytest.mark.parametrize("r", [0.3, 0.6])
def test_poissons_kernel(dim, r):
    """(1 - r^2) / |1 - r t|^d has the power N_k r^(2 k)."""
    axis = np.arange(1.0, dim + 1.0) / np.linalg.norm(np.arange(1.0, dim + 1.0))

    def kernel(x):
        return (1 - r * r) / (1 + r * r - 2 * r * (x @ axis)) ** (dim / 2)

    k = np.arange(13)
    right = multiplicity(dim, k) * r ** (2.0 * k)
    whole = (1 + r * r) / (1 - r * r) ** (dim - 1)  # the kernel of r^2 at t = 1
    for found in (power(kernel, dim, max_degree=12), power(kernel, dim, max_degree=12, axis=axis)):
        assert_allclose(found.power, right, rtol=1e-9, atol=1e-17)
        assert np.all(np.abs(found.power - right) <= found.errors)
        assert abs(found.total - whole) <= found.total_error + 1e-14 * whole
        assert found.rest == pytest.approx(whole - right.sum(), rel=1e-7)


def test_functions_of_one_direction_in_high_dimensions():
    """P_7 in 300 dimensions, by scipy: its power is 1 / N."""
    dim, axis = 300, np.ones(300)

    def harmonic(x):
        t, nu = x @ axis / math.sqrt(dim), dim / 2 - 1
        return eval_gegenbauer(7, nu, t) / eval_gegenbauer(7, nu, 1.0)

    found = power(harmonic, dim, max_degree=10, axis=axis)
    assert found.power[7] * multiplicity(dim, [7])[0] == pytest.approx(1.0)
    assert np.delete(found.power, 7).max() < 1e-20 * found.power[7] + 1e-30


def test_a_harmonic_of_three_dimensions_by_its_formula():
    def harmonic(x):
        return lpmv(3, 5, x[:, 2]) * np.cos(3 * np.arctan2(x[:, 1], x[:, 0]))

    whole = math.factorial(8) / math.factorial(2) / 11 / 2
    found = power(harmonic, 3, max_degree=8)
    assert_allclose(found.power, [0, 0, 0, 0, 0, whole, 0, 0, 0], rtol=1e-12, atol=1e-10)


def test_exponentials_on_the_circle():
    """exp(a cos theta) has the coefficients I_k(a)."""
    found = power(lambda x: np.exp(1.5 * x[:, 0]), Sphere(2), max_degree=9)
    right = iv(np.arange(10), 1.5) ** 2 * np.where(np.arange(10) == 0, 1.0, 2.0)
    assert_allclose(found.power, right, rtol=1e-10, atol=1e-17)
    assert found.total == pytest.approx(iv(0, 3.0))


def test_jumps_have_honest_errors():
    """sign(x_1) in three dimensions: (2 k + 1) (int_0^1 P_k)^2 for odd k."""
    right = np.array([0.0, 3 / 4, 0.0, 7 / 64, 0.0, 11 / 256])
    for found in (
        power(lambda x: np.sign(x[:, 0]), 3, max_degree=5, tolerance=3e-2),
        power(lambda x: np.sign(x @ [0.6, 0.48, 0.64]), 3, max_degree=5, tolerance=3e-2),
        power(lambda x: np.sign(x[:, 0]), 3, max_degree=5, tolerance=1e-2, axis=[1, 0, 0]),
    ):
        assert np.all(np.abs(found.power - right) <= found.errors)
        assert found.rest == pytest.approx(1.0 - right.sum(), abs=0.02)
    with pytest.raises(NtkspecError, match="which exceeds tolerance = 1e-08: raise the tolerance"):
        power(lambda x: np.sign(x[:, 0] + 0.3), 3)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_trigonometric_polynomials_on_the_torus(dim):
    wanted = np.arange(1, dim + 1)

    def wave(x):
        return 3.0 + 2.0 * np.cos(2 * np.pi * (x @ wanted) + 0.4)

    found = power(wave, Torus.plain(dim), max_degree=4)
    right = np.zeros((9,) * dim)
    right[(4,) * dim] = 9.0
    right[tuple(4 + wanted)] = right[tuple(4 - wanted)] = 1.0
    assert_allclose(found.power, right, atol=1e-13)
    assert found.total == pytest.approx(11.0) and found.rest < 1e-12
    assert found.to_xarray()["power"].shape == (9,) * dim


def test_the_gaussian_measure_goes_by_harmonics():
    """x / sqrt(d): x_1^2 is |x|^2 / d and a harmonic of degree 2."""
    dim = 3
    found = power(lambda x: x[:, 0] ** 2 + x[:, 1], Gaussian(dim), max_degree=4)
    constant = (dim + 2) / dim / dim**2  # E |x|^4 / d^2
    assert_allclose(found.power, [constant, 1 / dim, 3 / dim**2 - constant, 0, 0], atol=1e-14)


@settings(max_examples=15, deadline=None)
@given(
    dim=st.integers(2, 4),
    exponents=st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
)
def test_powers_add_up_and_do_not_turn(dim, exponents, seed):
    """Parseval for polynomials, whose squares have moments in closed form; and rotations."""
    turn = ortho_group.rvs(dim, random_state=seed)
    exponents = [one[:dim] for one in exponents]

    def polynomial(x):
        return sum(
            (i + 1.0) * np.prod(x ** np.array(one), axis=1) for i, one in enumerate(exponents)
        )

    whole = 0.0
    for i, one in enumerate(exponents):
        for j, other in enumerate(exponents):
            both = np.add(one, other)
            if not np.any(both % 2):
                whole += (i + 1) * (j + 1) * even_moment((both // 2).tolist(), dim)
    plain = power(polynomial, dim, max_degree=8)
    turned = power(lambda x: polynomial(x @ turn), dim, max_degree=8)
    assert plain.power.sum() == pytest.approx(whole, rel=1e-11)
    assert plain.total == pytest.approx(whole, rel=1e-11) and plain.rest <= 1e-11 * whole
    assert_allclose(turned.power, plain.power, atol=1e-12 * whole)


def test_power_beyond_the_last_degree_is_never_learned():
    """Half of the power of x + sqrt(7/3) P_3(x) is in degree 3: E P_3^2 = 1/7."""

    def function(x):
        t = x[:, 0]
        return t + math.sqrt(7 / 3) * (2.5 * t**3 - 1.5 * t)

    target = power(function, dim=3, max_degree=1)
    assert_allclose([target.power[1], target.rest], 1 / 3, rtol=1e-12)
    found = learning_curve("gelu", 3, [1000], target)
    alone = learning_curve("gelu", 3, [1000], {1: 1 / 3})
    whole = learning_curve("gelu", 3, [1000], {1: 1 / 3, 3: 1 / 3})
    assert found.test_error[0] >= 1 / 3 > 1e3 * alone.test_error[0]
    least, most = found.test_error_bounds[0]
    assert least <= whole.test_error[0] <= most and least <= found.test_error[0] <= most


@pytest.mark.parametrize("other", [4, Cube(3), Gaussian(3)])
def test_the_power_of_a_target_on_another_domain_is_refused(other):
    target = power(lambda x: x[:, 0], dim=3, max_degree=2)
    with pytest.raises(NtkspecError, match="power is that of a target on the sphere, dim = 3"):
        learning_curve("erf", other, [10], target)


def test_learning_curves_take_it():
    target = power(lambda x: x[:, 0] + x[:, 1] * x[:, 2], dim=3, max_degree=4)
    found = learning_curve("relu", 3, [10, 100], target)
    right = learning_curve("relu", 3, [10, 100], {1: 1 / 3, 2: 1 / 15})
    assert_allclose(found.test_error, right.test_error, rtol=1e-10)
    assert target[1] == pytest.approx(1 / 3) and len(target.to_pandas()) == 5
    assert "domain = sphere, dim = 3" in repr(target)


@pytest.mark.parametrize(
    ("function", "domain", "options", "words"),
    [
        (3.0, 3, {}, "function = 3.0 is not allowed"),
        (lambda x: x, 3, {}, "must return a real number for each"),
        (lambda x: x[:, 0] * 1j, 3, {}, "must return a real number for each"),
        (lambda x: x[:, 0] / 0, 3, {}, "must be finite everywhere"),
        (lambda x: x[:, 7], 3, {}, "function failed at an array of points of shape"),
        (lambda x: x[:, 0], Cube(3), {}, "domain = .* is not allowed; powers are for"),
        (lambda x: x[:, 0], Sphere(3, density=VonMises(1.0)), {}, "is not allowed"),
        (lambda x: x[:, 0], 3, {"max_degree": -1}, "max_degree = -1"),
        (lambda x: x[:, 0], 3, {"tolerance": 0}, "tolerance = 0"),
        (lambda x: x[:, 0], 3, {"axis": [1, 0]}, r"axis = \[1, 0\]"),
        (lambda x: x[:, 0], Torus.plain(2), {"axis": [1, 0]}, r"axis = \[1, 0\]"),
        (lambda x: x[:, 0] + x[:, 1], 3, {"axis": [1, 0, 0]}, "no function of that"),
        (lambda x: x[:, 0], 12, {}, "needs more points than are allowed: .* give axis"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_refused(function, domain, options, words):
    with pytest.raises(NtkspecError, match=words):
        power(function, domain, **options)
