"""Closed forms through the layers, and matrices by tiles on threads."""

import math
import tracemalloc

import numpy as np
import pytest
from flint import acb, arb

from ntkspec import Network
from ntkspec.kernels import layers
from ntkspec.networks import pointwise
from ntkspec.networks.composed import composed_arguments
from ntkspec.precision import working_precision
from ntkspec.reference.balls.kernels import LayeredKernels
from ntkspec.reference.description import describe
from ntkspec.threads import available_threads

CLOSED = ("relu", "leaky_relu", "abs", "step", "erf", "sin", "cos", "gaussian", "gelu")
T = [-1.0, -1.0 + 1e-9, -0.8, -0.3, 0.0, 1e-7, 0.4, 0.75, 1.0 - 1e-6, 1.0 - 1e-12, 1.0]


def points(size, dim=5):
    x = np.random.default_rng(7).standard_normal((size, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("depth", [1, 3])
def test_gelu_is_that_of_the_reference(depth, weight):
    """By the reference's expectations in polar form, which use no closed form."""
    depth = 1 if weight > 1.0 else depth
    network = Network("gelu", depth=depth, weight_variance=weight, bias_variance=0.2, trained="all")
    with working_precision(150):
        angles = [acb(arb(t), (1 - arb(t) ** 2).sqrt()) for t in T]
        rows = LayeredKernels(describe(network), depth, 60.0).at(angles)
        for kernel in ("ntk", "nngp"):
            right = rows[kernel, depth, "all"]
            for x, y in zip(getattr(network, kernel)(T).tolist(), right, strict=True):
                assert abs(arb(x) - y) < 4e-15 * right[-1]


@pytest.mark.parametrize("name", [name for name in CLOSED if name != "step"])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_closed_forms_are_those_of_the_tables(name, bias):
    t = np.linspace(-1.0, 1.0, 1001)
    for depth in (1, 2, 4):
        network = Network(name, depth=depth, bias_variance=bias, trained="all")
        tables = pointwise._panels(network)
        right = np.empty(t.size)
        layers.layered_values(t, right, *tables, True)
        np.testing.assert_allclose(network.ntk(t), right, rtol=0.0, atol=1e-14 * right[-1])


def test_which_networks_have_closed_forms():
    assert all(composed_arguments(Network(name)) for name in CLOSED)
    assert composed_arguments(Network("gelu", depth=15, weight_variance=256.0)) is None
    for name in ("tanh", "silu", "elu", "relu_power"):
        assert composed_arguments(Network(name)) is None


@pytest.mark.parametrize("name", ["relu", "gelu", "silu"])
@pytest.mark.parametrize("size", [1, 127, 128, 129, 500])
def test_matrices_do_not_depend_on_threads(name, size, monkeypatch):
    x = points(size)
    network = Network(name, depth=2, bias_variance=0.1)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(pointwise, "available_threads", lambda threads=threads: threads)
        found.append(network.ntk_matrix(x))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[0], found[0].T)
    # 1 - t is computed from the differences, so the last digits are others than those of t.
    np.testing.assert_allclose(found[0], network.ntk(np.clip(x @ x.T, -1, 1)), rtol=1e-7)


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "several")
    assert available_threads() >= 1


def test_a_matrix_takes_no_temporary_of_its_size():
    x = points(1500)
    network = Network("relu", depth=2)
    network.ntk_matrix(x[:300])
    tracemalloc.start()
    network.ntk_matrix(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.05 * 8 * 1500**2


def test_values_of_any_shape():
    network = Network("erf", depth=2)
    t = np.linspace(-1.0, 1.0, 300).reshape(3, 100)
    assert network.ntk(t).shape == (3, 100)
    assert network.ntk(t)[1, 7] == network.ntk(t[1, 7])
    assert math.isclose(float(network.nngp(1.0)), float(network.nngp([1.0])[0]))
    assert network.ntk(np.empty(0)).size == 0
