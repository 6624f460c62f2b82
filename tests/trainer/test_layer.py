"""Compiled steps against plain numpy, for any activation, dimension, width and precision."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkspec
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.errors import NtkspecError
from ntkspec.trainer import layer as layers
from ntkspec.trainer.layer import Layer

TRAINABLE = [name for name in ACTIVATIONS if name != "step"]


def problem(n, width, dim, seed=0, number=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, dim))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    w = rng.standard_normal((width, dim))
    a = rng.choice([-1.0, 1.0], width)
    g = rng.standard_normal(n) / n
    return x.astype(number), w.astype(number), a.astype(number), g


def plain_values(sigma, x, w, a):
    return sigma.value(x @ w.T) @ a / np.sqrt(len(w))


def plain_step(sigma, x, w, a, g, size, readout_too):
    """Plain numpy in doubles: the gradients of sum_i g_i f(x_i), then f at the new weights."""
    root = np.sqrt(len(w))
    slopes = sigma.derivative(x @ w.T)
    weights = a[:, np.newaxis] * ((slopes * g[:, np.newaxis]).T @ x) / root
    readout = sigma.value(x @ w.T).T @ g / root
    w = w - size * weights
    a = a - size * readout if readout_too else a
    return w, a, plain_values(sigma, x, w, a)


@pytest.mark.parametrize("readout_too", [False, True])
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_step_is_that_of_plain_numpy(name, readout_too):
    sigma = activation(name)
    x, w, a, g = problem(70, 300, 3)
    expected = plain_step(sigma, x, w, a, g, 3.0, readout_too)
    here = Layer(sigma, x)
    np.testing.assert_allclose(here.values(w, a), plain_values(sigma, x, w, a), atol=2e-14)
    found = here.step(w, a, g, 3.0, readout_too)
    np.testing.assert_allclose(w, expected[0], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(a, expected[1], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found, expected[2], atol=3e-14)


SHAPES = dict(
    name=st.sampled_from(["relu", "tanh"]),
    n=st.integers(1, 600),
    width=st.integers(1, 600),
    readout_too=st.booleans(),
    size=st.sampled_from([1e-3, 0.5, 30.0]),
)


def agrees_in_shape(name, n, width, dim, readout_too, size):
    sigma = activation(name)
    x, w, a, g = problem(n, width, dim, seed=n)
    expected = plain_step(sigma, x, w, a, g, size, readout_too)
    found = Layer(sigma, x).step(w, a, g, size, readout_too)
    np.testing.assert_allclose(w, expected[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a, expected[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found, expected[2], rtol=1e-12, atol=1e-12)


@given(dim=st.sampled_from([3, 17, 40]), **SHAPES)
@settings(max_examples=30)
def test_any_shape(dim, **shape):
    """Blocks that are not full, groups that are not four, dimensions unrolled and not."""
    agrees_in_shape(dim=dim, **shape)


@pytest.mark.slow  # compiled for half a minute; dimension 3 above is unrolled too
@given(dim=st.sampled_from([2, layers.MOST_UNROLLED]), **SHAPES)
@settings(max_examples=30)
def test_any_shape_in_other_unrolled_dimensions(dim, **shape):
    agrees_in_shape(dim=dim, **shape)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("dim", [3, 20])
def test_single_precision(name, dim):
    sigma = activation(name)
    x, w, a, g = problem(100, 1000, dim, number=np.float32)
    expected = plain_step(sigma, *(v.astype(np.float64) for v in (x, w, a)), g, 1.0, False)
    found = Layer(sigma, x).step(w, a, g, 1.0, False)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, expected[0], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(found, expected[2], atol=5e-6)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("number", [np.float64, np.float32])
@pytest.mark.parametrize("dim", [3, 20])
def test_the_number_of_threads_does_not_change_a_bit(name, number, dim):
    results = []
    for threads in (1, 2, 3, 7):
        x, w, a, g = problem(300, 5000, dim, number=number)
        here = Layer(activation(name), x, threads)
        f = [here.step(w, a, g, 0.3, False) for _ in range(3)][-1]
        results.append((f.tobytes(), w.tobytes()))
    assert len(set(results)) == 1


def test_steps_of_tanh_take_either_route():
    """Small moves use tanh's theorem of addition, large ones do not: both are numpy's step."""
    sigma = activation("tanh")
    for size in (1e-4, 1e-1, 1e3):
        x, w, a, g = problem(50, 64, 3)
        expected = plain_step(sigma, x, w, a, g, size, False)
        found = Layer(sigma, x).step(w, a, g, size, False)
        np.testing.assert_allclose(found, expected[2], rtol=1e-13, atol=1e-14)


def test_a_users_activation_is_trained_too():
    mine = ntkspec.user_activation(lambda x: np.sin(x) ** 2, lambda x: np.sin(2 * x))
    x, w, a, g = problem(30, 700, 3)
    expected = plain_step(mine, x, w, a, g, 1.0, True)
    found = Layer(mine, x).step(w, a, g, 1.0, True)
    np.testing.assert_allclose(found, expected[2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_no_array_of_points_by_neurons(name):
    """At 2000 points and 20,000 neurons it would take 320 MB; a step takes 2 % of that."""
    x, w, a, g = problem(2000, 20_000, 3)
    here = Layer(activation(name), x, 1)
    here.step(w, a, g, 0.1, False)
    tracemalloc.start()
    here.step(w, a, g, 0.1, False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.02 * 8 * 2000 * 20_000


def test_what_is_not_a_number_stays_so():
    for name in ("relu", "tanh", "sigmoid"):
        x, w, a, _ = problem(20, 16, 2)
        w[3] = np.nan
        assert np.isnan(Layer(activation(name), x).values(w, a)).all()


def test_what_is_not_allowed():
    x, *_ = problem(5, 4, 2)
    with pytest.raises(NtkspecError, match="threads = 0 is not allowed"):
        Layer(activation("relu"), x, 0)


def test_plain_and_compiled_agree(monkeypatch):
    x, w, a, g = problem(90, 520, 3)
    compiled = Layer(activation("tanh"), x).step(w.copy(), a.copy(), g, 0.5, False)
    monkeypatch.setattr(layers, "MOST_UNROLLED", 1)
    plain = Layer(activation("tanh"), x).step(w.copy(), a.copy(), g, 0.5, False)
    np.testing.assert_allclose(plain, compiled, atol=1e-14)
