"""Which eigenvalues the references take for 0, against power series; small ones are not among them.

The series have the Hermite coefficients of the activation's values, by Gauss-Legendre between its
kinks, and are composed as polynomials.
"""

import numpy as np
import pytest
from numpy.polynomial import Polynomial, hermite_e, legendre

import ntkspec
from ntkspec import Linear, Network, Normalize, Residual
from ntkspec.reference import zeros
from ntkspec.reference.balls import Case, reference_eigenvalue, reference_spectra
from ntkspec.reference.balls.cube import cube_references as cube_by_balls
from ntkspec.reference.description import describe
from ntkspec.reference.mpmath import gauss_jacobi_spectra
from ntkspec.reference.mpmath.cube import cube_references as cube_by_mpmath

NAMES = [
    *sorted(set(ntkspec.activations.ACTIVATIONS) - {"gabor", "leaky_relu", "polynomial"}),
    "gabor(2, 0.5)", "leaky_relu(0.3)", "leaky_relu(1)", "leaky_relu(-1)", "relu_power(3)",
    "celu(0.5)", "swish(2)",
    "polynomial(1, 0, 2)", "polynomial(0, 1, 0, -1)", "polynomial(0, 1, 0, 0, 3)",
]  # fmt: skip
#: Powers that are looked at.
COUNT = 14


def hermite_coefficients(sigma, variance):
    """E[sigma(sqrt(q) z) He_n(z)] / sqrt(n!), n < COUNT."""
    scale = np.sqrt(variance)
    kinks = [float(kink.place) / scale for kink in sigma.kinks]
    edges = np.unique(np.clip([*np.linspace(-12, 12, 49), 0.0, *kinks], -12, 12))
    x, w = legendre.leggauss(30)
    half = np.diff(edges)[:, None] / 2
    z = edges[:-1, None] + half * (1 + x)
    density = half * w * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    values = sigma.value(scale * z) * density
    size = 1.0
    found = []
    for n in range(COUNT):
        size *= max(n, 1)
        row = hermite_e.hermeval(z, [0.0] * n + [1.0])
        found.append(np.sum(values * row) / np.sqrt(size))
    return np.array(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_powers_of_an_activation_are_its_hermite_coefficients(name):
    network = Network(name)
    ends = zeros.powers_of(describe(network))
    rows = [hermite_coefficients(network.sigma, q) for q in (0.05, 1.0, 8.0)]
    largest = np.max([abs(row) / max(abs(row)) for row in rows], axis=0)
    for parity, end in enumerate(ends):
        mine = largest[parity::2]
        powers = np.arange(parity, COUNT, 2)
        assert np.all(mine[powers > end] < 1e-11), (name, parity)
        if end == np.inf:
            assert max(mine[powers > 4]) > 1e-5, (name, parity)
        elif end >= 0:
            assert mine[powers == end] > 1e-3, (name, parity)


def cut(series):
    return Polynomial(series.coef[:COUNT])


def composed(coefficients, inner):
    total, power = Polynomial([0.0]), Polynomial([1.0])
    for c in coefficients:
        total += c * power
        power = cut(power * inner)
    return total


def kernels(parts, q, tangent):
    """Both kernels after the parts, as series in t."""
    for part in parts:
        if hasattr(part, "weight_variance"):
            weight, bias = part.weight_variance, part.bias_variance
            tangent = (weight * q + bias if part.trained else 0.0) + weight * tangent
            q = weight * q + bias
        elif hasattr(part, "parts"):
            branch = kernels(part.parts, q, tangent)
            q, tangent = (x + part.scale**2 * y for x, y in zip((q, tangent), branch, strict=True))
        elif hasattr(part, "value"):
            squares = hermite_coefficients(part, q(1.0)) ** 2
            squares[squares < 1e-22] = 0.0
            inner = q / q(1.0)
            slopes = squares[1:] * np.arange(1, COUNT) / q(1.0)
            tangent = cut(tangent * composed(slopes, inner))
            q = composed(squares, inner)
        else:
            q, tangent = q / q(1.0), tangent / q(1.0)
    return q, tangent


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize(
    "network",
    [
        Network("relu", bias_variance=0.0),
        Network("relu", bias_variance=0.3),
        Network("relu", depth=2),
        Network("tanh", depth=3),
        Network("gaussian", depth=2),
        Network("abs", depth=2, bias_variance=0.2),
        Network("sigmoid", depth=2),
        Network(["erf", "relu"]),
        Network(["relu", "erf"]),
        Network(["abs", "gelu"]),
        Network(["tanh", "abs"], bias_variance=0.1),
        Network(["polynomial(0, 0, 1)", "polynomial(0, 1, 0, 1)"]),
        Network(["polynomial(0, 1, 0, 1)", "polynomial(1, 0, 1)"], bias_variance=0.5),
        Network.serial(
            Linear(1.0), Residual("polynomial(0, 0, 1)", Linear(2.0), scale=0.5), Normalize(),
            "tanh", Linear(1.0),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_the_zeros_of_a_network_are_those_of_its_series(network, kernel):
    q, tangent = kernels(network.parts, Polynomial([0.0, 1.0]), Polynomial([0.0]))
    series = np.zeros(COUNT)
    mine = (q if kernel == "nngp" else tangent).coef
    series[: mine.size] = mine
    known = describe(network)
    # The last powers are cut off.
    for degree in range(COUNT - 4):
        assert zeros.is_zero(known, kernel, degree) == (series[degree::2].max() < 1e-20), degree


#: Of (erf, relu) the odd eigenvalues fall geometrically, the even ones as a power: relu is x / 2
#: and an even function.
STEEP = Network(["erf", "relu"])


def test_small_values_beside_large_ones_have_their_digits():
    degrees = [98, 99]
    case = Case(3, "nngp", 2, "hidden")
    found = reference_spectra(STEEP, [case], degrees, digits=8)[case]
    engine = ntkspec.spectrum(STEEP, 3, degrees, kernel="nngp")
    assert abs(found[1].value / found[0].value) < 1e-30
    for one, m, e, bound in zip(
        found, engine.mantissas, engine.exponents, engine.relative_error, strict=True
    ):
        assert one.error < 1e-8 * one.value
        assert abs(float(m / (one.value * 2 ** -int(e)) - 1)) <= bound + 1e-8


def test_both_references_have_the_digits_of_small_values():
    found = gauss_jacobi_spectra(STEEP, {3: [30, 31]}, kernel="nngp", digits=6)
    for degree in (30, 31):
        one = reference_eigenvalue(STEEP, 3, degree, kernel="nngp", digits=8)
        assert found[3, degree].error < 1e-6 * one.value
        assert abs(found[3, degree].value / one.value - 1) < 1e-6


@pytest.mark.slow
def test_on_the_cube_too():
    degrees = {32: [30, 31]}
    found = [by(STEEP, degrees, kernel="nngp", digits=5) for by in (cube_by_balls, cube_by_mpmath)]
    for degree in (30, 31):
        balls, other = (one[32, degree] for one in found)
        assert balls.error < 1e-5 * balls.value
        assert abs(other.value / balls.value - 1) < 1e-5
