"""Kernels on small problems: compiled in the suite, as Python under `make coverage`.

Values come from closed forms, from the engine's other routes or from numpy.  Sizes are the smallest
that meet every branch that is asked for, because loops in Python are a thousand times slower.
"""

import numba
import numpy as np
import pytest

import ntkspec
from ntkspec import Network
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.spectra import table_block
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.points import random_points
from ntkspec.trainer.sobolev import L2Loss


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


def test_an_exponential_kernel_by_a_gauss_rule():
    """exp(t - 1) has positive eigenvalues whose sum, with multiplicities, is its value at 1."""
    kernel = ntkspec.ZonalKernel(lambda t: np.exp(t - 1))
    found = ntkspec.spectrum(kernel, 3, range(9), tolerance=1e-3)
    assert found.eigenvalues @ found.multiplicities == pytest.approx(1.0, rel=1e-6)


@pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="its kernels are overloads, which exist only compiled"
)
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_step_of_descent_is_that_of_numpy(name, precision):
    sigma, points = activation(name), random_points(5, 3, seed=1)
    network = start(sigma, 8, 3, seed=0, precision=precision)
    weights, readout = network.weights.astype(float), network.readout.astype(float)
    target = points.x[:, 0]
    descent = Descent(network, points.x, target, L2Loss(points), step_size=0.01)
    descent.advance(1)
    slope = sigma.derivative(points.x @ weights.T) * readout / np.sqrt(8)
    gradient = -(slope * target[:, None]).T @ points.x / 5  # the start is zero
    np.testing.assert_allclose(
        descent.network.weights, weights - 0.01 * gradient,
        rtol=1e-12 if precision == "float64" else 1e-5, atol=1e-7,
    )  # fmt: skip
