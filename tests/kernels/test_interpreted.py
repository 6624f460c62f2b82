"""Kernels on small problems: compiled in the suite, as Python under `make coverage`.

Values come from closed forms, from the engine's other routes or from numpy.  Sizes are the smallest
that meet every branch that is asked for, because loops in Python are a thousand times slower.
"""

import math

import numba
import numpy as np
import pytest
from numpy.polynomial import chebyshev, hermite_e

import ntkspec
from ntkspec import Network
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.kernels import composed, descent, dual, elementary, gauss, legendre, pieces, sigma
from ntkspec.kernels.factors import factor_product
from ntkspec.spectra import table_block
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.points import random_points
from ntkspec.trainer.sobolev import L2Loss

#: What numba has instead of Python: overloads by types, and instructions of the processor.
OVERLOADS = {
    elementary: ["exp_parts", "polynomial", "constant"],
    sigma: ["value", "slope", "normal_cdf"],
    composed: [],
    descent: ["dot", "add_scaled", "row", "move", "square"],
}
INSTRUCTIONS = {
    "fused": lambda a, b, c: a * b + c,
    "plus": lambda a, b: a + b,
    "times": lambda a, b: a * b,
    "bits_of": lambda x: np.float64(x).view(np.uint64),
    "from_bits": lambda bits: bits.view(np.float64),
    "opaque": lambda x: x,
    "power_of_two": lambda shifted: (
        (shifted.view(np.int64) + 1023 << 52).view(np.float64)
        if shifted.dtype == np.float64
        else (shifted.view(np.int32) + np.int32(127) << np.int32(23)).view(np.float32)
    ),
}


@pytest.fixture(autouse=True)
def as_python(monkeypatch):
    """Without the compiler, let Python do what overloads and intrinsics do."""
    if not numba.config.DISABLE_JIT:
        return
    stand_ins = dict(INSTRUCTIONS)
    for module, names in OVERLOADS.items():
        for name in names:
            chosen = getattr(module, f"_{name}")
            stand_ins[name] = lambda *given, chosen=chosen: chosen(*map(numba.typeof, given))(
                *given
            )
    for module in OVERLOADS:
        for name in stand_ins.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, stand_ins[name])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_a_table_has_the_spectra_of_its_rows(name, kernel):
    block = table_block(Network(name), [2, 3, 4, 7], [0, 1, 2, 3, 8], kernel=kernel)
    for row, dim in zip(block.eigenvalues, (2, 3, 4, 7)):
        direct = ntkspec.eigenvalues(name, dim, [0, 1, 2, 3, 8], kernel=kernel)
        np.testing.assert_allclose(row, direct, rtol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("depth,bias", [(1, 0.0), (2, 0.0), (2, 0.1)])
def test_a_matrix_has_the_pointwise_kernel(name, depth, bias):
    network = Network(name, depth=depth, bias_variance=bias)
    kernel = "nngp" if name == "step" else "ntk"
    angle = np.array([0.0, 0.4, 2.0, np.pi])
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    matrix = getattr(network, f"{kernel}_matrix")(points)
    values = getattr(network, kernel)(np.cos(angle))
    np.testing.assert_allclose(matrix[0], values, rtol=1e-12, atol=1e-13)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="a minute as Python; its loops are below")
def test_an_exponential_kernel_by_a_gauss_rule():
    """exp(t - 1) has positive eigenvalues whose sum, with multiplicities, is its value at 1."""
    kernel = ntkspec.ZonalKernel(lambda t: np.exp(t - 1))
    found = ntkspec.spectrum(kernel, 3, range(9), tolerance=1e-3)
    assert found.eigenvalues @ found.multiplicities == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_step_of_descent_is_that_of_numpy(name, precision):
    known, points = activation(name), random_points(5, 3, seed=1)
    network = start(name, 8, 3, seed=0, precision=precision)
    weights, readout = (one.astype(float) for one in network.parameters.values())
    target = points.x[:, 0]
    trained = Descent(network, points.x, target, L2Loss(points), step_size=0.01)
    trained.advance(1)
    slope = known.derivative(points.x @ weights.T) * readout[0] / np.sqrt(8)
    gradient = -(slope * target[:, None]).T @ points.x / 5  # the start is zero
    np.testing.assert_allclose(
        trained.network.parameters["weights_1"], weights - 0.01 * gradient,
        rtol=1e-12 if precision == "float64" else 1e-5, atol=1e-7,
    )  # fmt: skip


T = np.array([-1.0, -0.7, -1e-3, 0.0, 0.3, 0.9, 1.0])


def test_legendre_polynomials_by_their_sums():
    """In dimension 3 those of Legendre, in dimension 2 cosines; sums as in plain numpy."""
    degrees = np.array([0, 1, 2, 5, 9])
    found = np.empty((5, T.size))
    legendre.legendre(degrees, 3, T, found)
    for k, values in zip(degrees, found):
        expected = np.polynomial.legendre.legval(T, np.eye(10)[k])
        np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-15)
    legendre.legendre(degrees, 2, T, found)
    np.testing.assert_allclose(found, np.cos(degrees[:, None] * np.arccos(T)), atol=1e-13)
    total, size = np.empty(5), np.empty(5)
    legendre.funk_hecke_sums(degrees, 2, T, T + 2, total, size)
    np.testing.assert_allclose(total, found @ (T + 2), atol=1e-13)
    np.testing.assert_allclose(size, np.abs(found) @ (T + 2), atol=1e-13)


def test_a_gauss_rule_is_polished_to_numpys():
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half, found, exponents = nodes[4:] * (1 + 1e-9), np.empty(4), np.empty(4, np.int64)
    gauss.polish(8, 3, half, found, exponents)
    np.testing.assert_allclose(half, nodes[4:], rtol=4e-16)
    np.testing.assert_allclose(found / found.sum(), weights[4:] / weights[4:].sum(), rtol=1e-14)
    assert not exponents.any()


@pytest.mark.parametrize("rows", [1, 4, 6])
def test_a_factor_product_is_that_of_matrices(rows):
    factor = np.arange(3.0 * rows).reshape(rows, 3) ** 0.5
    out = np.empty(3)
    factor_product(factor, T[1:4], out)
    np.testing.assert_allclose(out, factor.T @ (factor @ T[1:4]), rtol=1e-13)


def test_a_function_on_panels_and_its_hermite_coefficients():
    edges, series = np.array([-1.0, 0.0, 1.0]), np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.25]])
    out = np.empty(T.size)
    pieces.piecewise(T, edges, series, out)
    local = np.where(T < 0, 2 * T + 1, 2 * T - 1)
    expected = np.where(T < 0, *(chebyshev.chebval(local, one) for one in series))
    np.testing.assert_allclose(out, expected, atol=1e-15)
    z, sums = np.linspace(-3, 3, 40), np.empty(5)
    pieces.hermite_sums(z, np.ones(40), sums)
    for n in range(5):
        polynomial = hermite_e.hermeval(z, np.eye(5)[n]) / math.sqrt(math.factorial(n))
        assert sums[n] == pytest.approx(polynomial.sum(), abs=1e-12)


@pytest.mark.parametrize("variance", [0.25, 1.0])
def test_duals_of_tanh_by_a_product_rule(variance):
    """E[tanh u tanh v] and E[sech^2 u sech^2 v] for normal u, v of correlation t."""
    z, weight = hermite_e.hermegauss(60)
    weight = np.outer(weight, weight) / (2 * np.pi)
    for t in T[1:-1]:
        u = math.sqrt(variance) * z[:, None]
        v = math.sqrt(variance) * (t * z[:, None] + math.sqrt(1 - t * t) * z)
        value = np.sum(weight * np.tanh(u) * np.tanh(v))
        slope = np.sum(weight / (np.cosh(u) * np.cosh(v)) ** 2)
        assert dual.tanh_dual(t, 1 - t, 1 + t, variance) == pytest.approx(value, abs=1e-6)
        assert dual.tanh_slope_dual(1 - t, 1 + t, variance) == pytest.approx(slope, rel=1e-5)


def test_values_and_matrices_of_kernels_are_those_of_single_numbers():
    points = np.stack([np.cos(T), np.sin(T), 0.0 * T, 0.0 * T], axis=1)
    columns = np.ascontiguousarray(points.T)
    network = (0.5, 0.5, 0.5, 1.5, 1.0, 0.5)
    matrix, values = np.empty((T.size, T.size)), np.empty(T.size)
    for first in (0, 1):
        dual.sigmoidal_tiles(points, points, columns, matrix, True, first, 2, *network)
    dual.sigmoidal_values(T, values, *network)
    for i, t in enumerate(T):
        single = dual.sigmoidal_kernel(t, 1 - t, 1 + t, *network)
        assert values[i] == pytest.approx(single, rel=1e-14)
        t = math.cos(T[i] - T[0])
        single = dual.sigmoidal_kernel(t, 1 - t, 1 + t, *network)
        assert matrix[i, 0] == matrix[0, i] == pytest.approx(single, rel=1e-12)
