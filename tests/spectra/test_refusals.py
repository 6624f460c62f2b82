"""Refusals state the true cause; zeros of users' activations are settled or refused at once."""

import math
import time

import flint
import mpmath
import numpy as np
import pytest
from flint import arb, fmpq, fmpq_poly

import ntkspec
from ntkspec import Cube, Network, NtkspecError, Sphere, ZonalKernel, spectrum, user_activation
from ntkspec.precision import working_precision
from ntkspec.spectra.parity import parity


def refused(call, *arguments, **options):
    start = time.process_time()
    with pytest.raises(NtkspecError) as caught:
        call(*arguments, **options)
    assert time.process_time() - start < 60.0
    text = str(caught.value)
    assert "so small" not in text
    return text


@pytest.mark.parametrize(
    "parameters, dim, degree, cause, size",
    [
        (dict(activation="leaky_relu", depth=2, slope=0.99), 3, 10**6, "nodes", 1000003),
        (dict(activation="tanh"), 3, 999_999, "coefficients", 999_999),
        (dict(activation="sigmoid"), 2, 999_999, "coefficients", 999_999),
        (dict(activation="erf", depth=2), 3, 99_999, "bits", 99_999),
        (dict(activation="gelu", depth=2), 3, 20_000, "bits", 20_000),
    ],
)
def test_the_cause_is_named(parameters, dim, degree, cause, size):
    text = refused(ntkspec.eigenvalues, Network(**parameters), dim, [degree])
    assert cause in text and str(size) in text and "lower" in text


@pytest.mark.parametrize("name", ["silu", "softplus"])
def test_too_steep_a_layer_is_named_as_the_user_wrote_it(name):
    """Before, the words were about the argument of tanh, which the network does not have."""
    network = Network(name, depth=1, weight_variance=1e4)
    text = refused(ntkspec.spectrum, network, 3, 64)
    assert f"the variance before a layer of {name} is 10000" in text and "tanh" not in text


@pytest.mark.slow
def test_too_many_cosine_coefficients():
    """lambda_1 is not small, but the kernel varies fast near t = 1.

    On the circle a shifted contour gives it; the integral is that of the closed dual of sin,
    E[sin u sin v] = e^(-q) sinh(q r), by tanh-sinh in panels that shrink towards t = 1.
    """
    network = Network("sin", depth=3, weight_variance=900, trained="all")
    text = refused(ntkspec.eigenvalues, network, 3, [1])
    assert "cosine coefficients" in text and "weight_variance" in text
    with mpmath.workdps(40):

        def kernel(x):
            variance, q = mpmath.mpf(900), 900 * mpmath.cos(x)
            tangent = q
            for _ in range(3):
                value = mpmath.exp(-variance) * mpmath.sinh(q)
                tangent *= mpmath.exp(-variance) * mpmath.cosh(q)
                variance = 900 * mpmath.exp(-variance) * mpmath.sinh(variance)
                q, tangent = 900 * value, 900 * (value + tangent)
            return tangent / 900  # the readout

        panels = [0, *(mpmath.mpf(10) ** (-k / 3) for k in range(24, 0, -1)), mpmath.pi / 2]
        right = mpmath.quad(lambda x: kernel(x) * mpmath.cos(x), panels) * 2 / mpmath.pi
    assert ntkspec.eigenvalues(network, 2, [1])[0] == pytest.approx(float(right), rel=1e-14)


def square(x):
    return x * x


SLOW = pytest.mark.slow


def swish(x):
    return x / (1 + (-x).exp())


def opaque(function):
    """The same function, whose operations are not followed."""
    return lambda x: function(flint.arb(x))


def cubic(x):
    return x**3 - 2 * x


#: What is given, the degrees that it makes 0, and what is to be declared.
UNDECLARED = [
    (opaque(square), {}, [1, 3], "symmetry='even' and polynomial=2"),
    (square, dict(polynomial=2), [1, 3], "symmetry='even' and polynomial=2"),
    (swish, {}, [3, 5], "declare polynomial=1"),
    pytest.param(opaque(flint.arb.tanh), {}, [0, 2, 4], "declare symmetry='odd'", marks=SLOW),
    pytest.param(
        opaque(lambda x: (-x * x / 2).exp()), {}, [1, 3, 5], "symmetry='even'", marks=SLOW
    ),
    pytest.param(opaque(cubic), {}, [0, 2], "symmetry='odd' and polynomial=3", marks=SLOW),
]


@pytest.mark.parametrize("function, declared, zeros, advice", UNDECLARED)
def test_zeros_that_are_not_declared_are_refused_at_once(function, declared, zeros, advice):
    network = Network(user_activation(function, arithmetic="flint", **declared))
    text = refused(ntkspec.eigenvalues, network, 3, range(6))
    assert f"degrees {', '.join(map(str, zeros))}" in text
    assert advice in text
    assert "cannot be distinguished from 0" in text
    # The other degrees are computed.
    others = [k for k in range(3) if k not in zeros]
    assert np.all(ntkspec.eigenvalues(network, 3, others) > 0.0)


def test_zeros_of_zonal_kernels_and_on_the_cube():
    kernel = ZonalKernel(lambda t: t * t, arithmetic="flint")
    assert "degrees 1" in refused(ntkspec.eigenvalues, kernel, 3, range(3))
    assert "degrees 1" in refused(spectrum, kernel, Cube(6), range(3))


POLYNOMIALS = {
    "x": (lambda x: x, 1, "odd"),
    "x^2": (square, 2, "even"),
    "x^2 - 1": (lambda x: x * x - 1, 2, "even"),
    "x^3 - 2x": (cubic, 3, "odd"),
    "x^4": (lambda x: x**4, 4, "even"),
}


@pytest.mark.parametrize(
    "name, depth, bias, trained, kernel",
    [
        ("x", 1, 0.0, "all", "ntk"),
        ("x^2", 1, 0.0, "hidden", "ntk"),
        ("x^2", 2, 0.5, "all", "ntk"),
        ("x^2 - 1", 2, 0.0, "hidden", "ntk"),
        ("x^3 - 2x", 1, 0.5, "all", "nngp"),
        pytest.param("x^3 - 2x", 2, 0.5, "all", "ntk", marks=pytest.mark.slow),
        pytest.param("x^4", 1, 0.0, "all", "ntk", marks=pytest.mark.slow),
    ],
)
def test_declared_polynomials_have_exact_zeros(name, depth, bias, trained, kernel):
    """The kernel is a polynomial in t of degree p^L: interpolated, it gives all eigenvalues."""
    function, degree, symmetry = POLYNOMIALS[name]
    sigma = user_activation(
        function, arithmetic="flint", symmetry=symmetry, polynomial=degree, name=name
    )
    network = Network(sigma, depth=depth, bias_variance=bias, trained=trained)
    last = degree**depth
    # Independent: moments of Gaussians are exact by Gauss-Hermite rules in the plane.
    x, w = np.polynomial.hermite_e.hermegauss(20)
    w = w / w.sum()

    def dual(f, q, c):
        u = np.sqrt(q) * x[:, np.newaxis]
        v = c / np.sqrt(q) * x[:, np.newaxis] + np.sqrt(max(q - c * c / q, 0.0)) * x
        return float(w @ (f(u) * f(v)) @ w)

    def slope(z):
        return {
            "x": np.ones_like(z), "x^2": 2 * z, "x^2 - 1": 2 * z, "x^3 - 2x": 3 * z**2 - 2,
            "x^4": 4 * z**3,
        }[name]  # fmt: skip

    def whole(t):
        q, c = 1.0 + bias, t + bias
        tangent = c
        for layer in range(depth):
            f, d = dual(function, q, c), dual(slope, q, c)
            if layer == depth - 1:
                break
            q, c = dual(function, q, q) + bias, f + bias
            tangent = c + tangent * d
        if kernel == "nngp":
            return f
        return tangent * d + (f if trained == "all" else 0.0)

    nodes, weights = np.polynomial.legendre.leggauss(12)
    values = np.array([whole(t) for t in nodes])
    found = ntkspec.eigenvalues(network, 3, range(last + 6), kernel=kernel)
    assert np.all(found[last + 1 :] == 0.0)
    expected = [
        0.5 * np.sum(weights * values * np.polynomial.legendre.Legendre.basis(k)(nodes))
        for k in range(last + 1)
    ]
    assert found[: last + 1] == pytest.approx(np.array(expected), rel=1e-9, abs=1e-11 * whole(1.0))


def test_a_constant_has_no_tangent_kernel():
    sigma = user_activation(
        lambda x: 0 * x + 2, arithmetic="flint", symmetry="even", polynomial=0, name="constant"
    )
    assert np.all(ntkspec.eigenvalues(Network(sigma), 3, range(4)) == 0.0)
    assert ntkspec.eigenvalues(Network(sigma), 3, range(3), kernel="nngp").tolist() == [
        4.0,
        0.0,
        0.0,
    ]
    assert parity(Network(sigma), "ntk").vanishes(0)


def test_small_eigenvalues_are_not_taken_for_zeros():
    """exp(s t) has lambda_k = sqrt(pi / (2 s)) I_(k+1/2)(s) for d = 3 (DLMF 10.60.7)."""
    kernel = ZonalKernel(lambda t: (t / 50).exp(), arithmetic="flint")
    found = ntkspec.eigenvalues(kernel, 3, range(12))
    with mpmath.workdps(40):
        s = mpmath.mpf(1) / 50
        factor = mpmath.sqrt(mpmath.pi / (2 * s))
        right = [float(factor * mpmath.besseli(k + mpmath.mpf(0.5), s)) for k in range(12)]
    assert found == pytest.approx(np.array(right), rel=1e-12)
    assert flint.ctx.prec == 53


@pytest.mark.parametrize("domain", [Sphere(3), Sphere(10**5), Cube(500)])
@pytest.mark.parametrize("name", ["elu", "selu", "polynomial(0, 1, 0.5)"])
@pytest.mark.parametrize(("depth", "variance"), [(100, 0.01), (30, 1e4), (100, 1e4)])
def test_variances_beyond_doubles_end_in_a_sentence(name, depth, variance, domain):
    network = Network(name, depth=depth, weight_variance=variance)
    with pytest.raises(NtkspecError, match="depth"):
        spectrum(network, domain, 6)


def test_a_kernel_beyond_doubles():
    """K(1) of 10 squares is 2^1627: in rational numbers, K' = w (q^2 + 2 K^2)."""
    covariance, q = fmpq_poly([0, 1]), fmpq(1)
    for _ in range(10):
        covariance, q = q * q + 2 * covariance * covariance, 3 * q * q
    found = spectrum(Network("square", depth=10), 3, [0, 6, 400], kernel="nngp")
    for i, k in enumerate((0, 6, 400)):
        # <t^n, P_k> for d = 3: n! / (2^m m! (2k + 2m + 1)!!), n = k + 2m.
        weight = fmpq(math.factorial(k), math.prod(range(1, 2 * k + 2, 2)))
        total = fmpq(0)
        for n in range(k, 1025, 2):
            total += covariance[n] * weight
            m = (n - k) // 2 + 1
            weight *= fmpq((n + 1) * (n + 2), 2 * m * (2 * k + 2 * m + 1))
        with working_precision(128):
            log = float((arb(total.numer()) / arb(total.denom())).log())
        assert abs(found.log_eigenvalues[i] - log) <= found.relative_error[i] + 4e-16 * abs(log)


@pytest.mark.parametrize("name", ["sin", "cos", "gaussian"])
def test_networks_that_multiply_errors_are_refused_in_a_sentence(name):
    """Each layer multiplies the angle between two inputs by some hundred."""
    with pytest.raises(NtkspecError, match="lower the weight_variance"):
        ntkspec.spectrum(Network(name, depth=20, weight_variance=1e4), 3, [1, 2])
