"""Kernel matrices between vectors of any norm, against double integrals that use no dual."""

import contextlib
import itertools
import math
import tracemalloc
import warnings
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkspec import Linear, Network, Normalize, Residual, data_spectrum, user_activation
from ntkspec.activations import Kink, activation, piecewise_polynomial
from ntkspec.activations.catalogue import ACTIVATIONS
from ntkspec.duals import Correlation
from ntkspec.duals.norms import _beyond
from ntkspec.errors import NtkspecError
from ntkspec.networks import pointwise
from ntkspec.precision import working_precision

#: Every name of the catalogue, with other parameters too.
NAMES = (
    *ACTIVATIONS[:-1], "polynomial(0.5, -1, 0.25, 0.1)", "leaky_relu(-0.7)", "relu_power(3)",
    "swish(2)", "celu(0.5)", "shifted_relu(-0.5)", "snake(0.7)", "gabor(3, 0.5)",
)  # fmt: skip
#: One name or more of each kind of dual; the others are slow where each takes long.
KINDS = (
    "relu", "step", "relu_power(3)", "leaky_relu(-0.7)", "tanh", "softplus", "elu", "hard_tanh",
    "shifted_relu", "hard_swish", "erf", "gelu", "sin", "cos", "gaussian", "exp", "snake(0.7)",
    "gabor(3, 0.5)", "polynomial(0.5, -1, 0.25, 0.1)",
)  # fmt: skip
SOME = [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
#: sqrt(a), sqrt(b), rho.
PAIRS = [(1.0, 1.0, 0.3), (0.5, 1.2, 0.9), (1.2, 0.7, -0.8), (0.9, 1.1, 0.999), (0.05, 1.0, 0.0)]
#: Of every name and pair those of every test run: the third pair, for `KINDS` the second too.
CASES = [
    pytest.param(name, pair, marks=[] if i == 2 or (i == 1 and name in KINDS) else pytest.mark.slow)
    for name in NAMES
    for i, pair in enumerate(PAIRS)
]
#: What is promised, relative to sqrt(K(x, x) K(y, y)).
ROUNDING, CORNER = 2e-14, 1e-12
CORNERS = ("elu", "celu", "selu", "softsign", "finer")


def allowed(name):
    return CORNER if name.split("(")[0] in CORNERS else ROUNDING


def legendre(edges, width):
    """Gauss-Legendre on panels of at most a width between the edges of each row."""
    x, w = np.polynomial.legendre.leggauss(20)
    low, high = edges[..., :-1], edges[..., 1:]
    count = max(1, math.ceil(float((high - low).max()) / width))
    at = np.arange(count) / count
    starts = low[..., None] + (high - low)[..., None] * at
    half = 0.5 * (high - low)[..., None, None] / count
    nodes = starts[..., None] + half * (1.0 + x)
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), (half * w * np.ones_like(nodes)).reshape(shape)


def places(sigma):
    """Kinks of an activation."""
    if sigma.kinks:
        return sorted({float(kink.place) for kink in sigma.kinks})
    return [0.0] if sigma.singularity.kind == "kink" else []


def double_integral(sigma, function, a, b, rho):
    """E[f(u) f(v)], u = a x, v = b (rho x + sqrt(1 - rho^2) y), with kinks as edges of panels."""
    density = lambda z: np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)  # noqa: E731
    kinks, reach = np.array(places(sigma)), 11.0
    rest = math.sqrt((1.0 - rho) * (1.0 + rho))
    edges = np.clip(np.concatenate([[-reach], kinks / a, [reach]]), -reach, reach)
    # Near a kink of v the inner integral changes fast in x where rho is close to 1.
    meet = np.concatenate([kinks / (b * rho) + s * rest * reach for s in (-1, -0.3, 0, 0.3, 1)])\
        if abs(rho) > 0.5 else np.zeros(0)  # fmt: skip
    edges = np.unique(np.clip(np.concatenate([edges, meet]), -reach, reach))
    x, wx = legendre(edges, 1.0 if rest else 0.2)
    if rest == 0.0:
        return float(np.sum(wx * density(x) * function(a * x) * function(b * rho * x)))
    total = 0.0
    for part in np.array_split(np.arange(x.size), 8):
        start = rho * x[part, None]
        inside = np.sort(np.clip((kinks / b - start) / rest, -reach, reach), axis=1)
        ends = np.full((part.size, 1), reach)
        y, wy = legendre(np.concatenate([-ends, inside, ends], axis=1), 1.0)
        inner = np.sum(wy * density(y) * function(b * (start + rest * y)), axis=1)
        total += float(np.sum(wx[part] * density(x[part]) * function(a * x[part]) * inner))
    return total


def vectors(a, b, rho):
    """Two vectors of norms a and b at the correlation rho."""
    return np.array([[a, 0.0], [b * rho, b * math.sqrt((1.0 - rho) * (1.0 + rho))]])


@pytest.mark.parametrize("name, pair", CASES, ids=str)
def test_one_layer_is_the_double_integral(name, pair):
    a, b, rho = pair
    sigma = activation(name)
    network = Network(name)
    x = vectors(*pair)
    found = network.nngp_matrix(x)
    size = math.sqrt(found[0, 0] * found[1, 1])
    value = double_integral(sigma, sigma.value, a, b, rho)
    assert abs(found[0, 1] - value) <= allowed(name) * size
    if name == "step":
        return
    found = network.ntk_matrix(x)
    slope = double_integral(sigma, sigma.derivative, a, b, rho)
    size = math.sqrt(found[0, 0] * found[1, 1])
    assert abs(found[0, 1] - a * b * rho * slope) <= allowed(name) * size


@pytest.mark.parametrize("name", NAMES)
def test_diagonals_are_single_integrals(name):
    sigma = activation(name)
    for a in (0.3, 1.0, 1.2):
        x = np.array([[a, 0.0], [0.0, 0.8]])
        value = double_integral(sigma, sigma.value, a, a, 1.0)
        assert Network(name).nngp_matrix(x)[0, 0] == pytest.approx(value, rel=allowed(name))
        if name != "step":
            slope = double_integral(sigma, sigma.derivative, a, a, 1.0)
            found = Network(name).ntk_matrix(x)[0, 0]
            assert found == pytest.approx(a * a * slope, rel=allowed(name))


def test_a_user_made_polynomial_with_jumps_of_both_kinds_at_and_off_zero():
    kinks = [Kink(0, 1, 1), Kink(0, 2, -1), Kink(-1, 2, 2), Kink(1, 1, -2), Kink(1, 2, -1)]
    sigma = piecewise_polynomial("jumps", [0.5, -1], kinks)
    for a, b, rho in PAIRS[1:3]:
        x = vectors(a, b, rho)
        for found, function, factor in (
            (Network(sigma).nngp_matrix(x), sigma.value, 1.0),
            (Network(sigma).ntk_matrix(x), sigma.derivative, a * b * rho),
        ):
            right = factor * double_integral(sigma, function, a, b, rho)
            assert abs(found[0, 1] - right) <= 2e-14 * math.sqrt(found[0, 0] * found[1, 1])


def points(size=30, dim=5, seed=0):
    """Vectors of norms from 0.1 to 2."""
    x = np.random.default_rng(seed).standard_normal((size, dim))
    return x * np.linspace(0.1, 2.0, size)[:, None] / np.linalg.norm(x, axis=1, keepdims=True)


#: Networks of all parts.
DEEP = {
    "bias": dict(depth=3, bias_variance=0.3, trained="all"),
    "zero": dict(depth=2, bias_variance=0.5, bias="zero", trained="all"),
    "normalize": dict(depth=2, bias_variance=0.1, normalize=True, trained="all"),
    "layers": dict(depth=2, weight_variance=[1.5, 0.5], bias_variance=[0.0, 0.2], trained={1, 3}),
    "readout": dict(readout_variance=2.0, readout_bias_variance=0.3, trained="all"),
    "standard": dict(depth=2, parameterization="standard", trained="all"),
}


@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "tanh", "hard_tanh", "elu", "silu", "sin"])
@pytest.mark.parametrize("form", DEEP)
def test_deep_networks_are_the_rules_of_their_parts(name, form):
    """By the rules in plain numpy with duals from networks of one layer and two points each."""
    network = Network(name, **DEEP[form])
    x = np.array([[0.8, 0.1], [-0.3, 1.1]])
    assert network.ntk_matrix(x) == pytest.approx(by_rules(network, x)[1], rel=3e-13, abs=1e-14)
    assert network.nngp_matrix(x) == pytest.approx(by_rules(network, x)[0], rel=3e-13, abs=1e-14)


def duals(sigma, q):
    """F and D at a covariance matrix of two points, by a network of one layer."""
    a, b = math.sqrt(q[0, 0]), math.sqrt(q[1, 1])
    x = vectors(a, b, min(q[0, 1] / (a * b), 1.0))
    one = Network(sigma)
    return one.nngp_matrix(x), one.ntk_matrix(x) / (x @ x.T)


def by_rules(network, x):
    """q and T at the end, from the rules of the parts as `Network.serial` states them."""
    q, total = x @ x.T, np.zeros((2, 2))

    def through(parts, q, total):
        for part in parts:
            if isinstance(part, Linear):
                w, b, own, own_bias = part.rule
                q, total = w * q + b, own * q + own_bias + w * total
            elif isinstance(part, Normalize):
                size = np.sqrt(np.outer(np.diag(q), np.diag(q)))
                q, total = q / size, total / size
            elif isinstance(part, Residual):
                inner = through(part.parts, q, total)
                q, total = (y + part.scale**2 * z for y, z in zip((q, total), inner))
            else:
                f, d = duals(part, q)
                q, total = f, total * d
        return q, total

    return through(network.parts, q, total)


def test_residual_networks_are_the_rules_of_their_parts():
    network = Network.serial(
        Linear(1.2, 0.1), Residual("relu", Linear(2.0), Residual("gelu", Linear(0.5, 0.2)), scale=0.5),  # noqa: E501
        Normalize(), "tanh", Linear(1.0, 0.3),
    )  # fmt: skip
    x = np.array([[0.8, 0.1], [-0.3, 1.1]])
    value, tangent = by_rules(network, x)
    assert network.nngp_matrix(x) == pytest.approx(value, rel=1e-13)
    assert network.ntk_matrix(x) == pytest.approx(tangent, rel=1e-13)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("more", [{"depth": 2, "bias_variance": 0.1, "trained": "all"}])
def test_vectors_of_nearly_one_norm_have_the_kernel_of_the_sphere(name, more):
    """Two routes: of K(t), and of two variances, which nearly agree."""
    if name == "step" or (name == "exp" and more):
        return
    network = Network(name, **more)
    x = points(12)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = np.concatenate([x, -x[:2], x[:2] + 1e-7 * x[2:4]])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    on_sphere = network.ntk_matrix(x)
    x[0] *= 1.0 + 1e-14
    close = network.ntk_matrix(x)
    assert not np.array_equal(on_sphere, close)
    # Errors of a corner's first layer grow in the second; finer's kernel on the sphere comes with a
    # bound of 1e-12.
    limit = 5e-12 if name.split("(")[0] in CORNERS else ROUNDING
    change = np.abs(close - on_sphere) / on_sphere.max()
    assert change[1:, 1:].max() <= limit
    # The norm of the first changes by 1e-14, and its kernel by up to 18 times that, the degree of
    # relu_power(3) through two layers.
    assert change[0].max() <= limit + 18e-14


def beyond_kinks(a, b, rho):
    """E[(u - 1)_+ (v - 1)_+] by Plackett: its second derivative in the covariance is a density."""
    with mp.workdps(30):
        a, b, rho = map(mp.mpf, (a, b, rho))
        c = a * b * rho

        def mean(s):
            return s * mp.npdf(1 / s) - mp.ncdf(-1 / s)

        def density(s):
            rest = a * a * b * b - s * s
            return mp.exp(-(a * a + b * b - 2 * s) / (2 * rest)) / (2 * mp.pi * mp.sqrt(rest))

        bent = mp.quad(lambda s: (c - s) * density(s), mp.linspace(0, c, 5)) if rho else 0
        return float(mean(a) * mean(b) + mp.ncdf(-1 / a) * mp.ncdf(-1 / b) * c + bent)


@pytest.mark.parametrize("a", [0.3, 0.45, 1.0])
def test_kinks_far_out_keep_their_digits(a):
    """Little of the Gaussian is beyond the kink, and the terms at rho = 1 nearly cancel at 0."""
    b = 1.001 * a
    for rho in (-0.5, 0.0, 0.3, 0.8, 0.99):
        found = Network("shifted_relu").nngp_matrix(vectors(a, b, rho))
        size = math.sqrt(found[0, 0] * found[1, 1])
        assert abs(found[0, 1] - beyond_kinks(a, b, rho)) <= ROUNDING * size


@pytest.mark.parametrize("norm", [0.03, 1.0, 12.0, 1e3, 1e5, 1e10])
@pytest.mark.parametrize(
    "name",
    ["hard_tanh", "relu6", "hard_sigmoid", "hard_swish", "shifted_relu(0.5)", "shifted_relu(-2)"],
)
def test_between_kinks_wide_vectors_are_refused_before_they_lose_digits(name, norm):
    """Against the duals in balls of many digits, by bivariate normal probabilities."""
    network, angles = Network(name), np.array([0.0, 0.4, 1.5, 2.9])
    points = norm * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([points, 2.0 * points[:1]])
    for kernel in ("ntk", "nngp"):
        with working_precision(250):
            q = arb(norm) ** 2
            value, slope = network.sigmas[0].dual(q)
            expected = []
            for angle in angles:
                at = Correlation(arb(angle).cos(), arb(angle)) if angle else Correlation.full()
                found = value(at) if kernel == "nngp" else q * at.cosine * slope(at)
                expected.append(float(found.mid()))
        known = []
        for tolerance in (1e-12, 1e-8, 1e-3, 1.0):
            with contextlib.suppress(NtkspecError):
                matrix = getattr(network, f"{kernel}_matrix")(points, tolerance=tolerance)
                known.append(tolerance)
                assert np.abs(matrix[0, :4] - expected).max() <= tolerance * expected[0]
        assert norm > 12.0 or known[0] == 1e-12


def test_integrals_beyond_a_kink_have_all_digits():
    """int_p^inf (z - p)^k phi(z) dz = k! phi(p) exp(p^2/4) U(k + 1/2, p), parabolic cylinders."""
    for p in (0.05, 1.0, 3.3, 10.0):
        density, *found = _beyond(np.array([p]), np.ones(1))[:, 0]
        with mp.workdps(30):
            bell = mp.npdf(p) * mp.exp(mp.mpf(p) ** 2 / 4)
            right = [float(mp.factorial(k) * bell * mp.pcfu(k + 0.5, p)) for k in range(5)]
            assert density == pytest.approx(float(mp.npdf(p)), rel=1e-15)
        np.testing.assert_allclose(found, right, rtol=3e-15)


@pytest.mark.parametrize("name", ["elu", "softsign"])
def test_later_layers_do_not_multiply_what_a_series_leaves_out(name):
    """At rho = 1 by single integrals; a correlation of 1 + 2e-13 would cost elu 4e-11."""
    x, bias = np.array([[2.0, 0.0], [0.1, 0.2], [0.0, 1.0]]), 0.3
    found = Network(name, depth=2, bias_variance=bias).nngp_matrix(x)
    sigma = activation(name)
    for i, norm in enumerate(np.linalg.norm(x, axis=1)):
        first = double_integral(sigma, sigma.value, *[math.sqrt(norm**2 + bias)] * 2, 1.0)
        second = double_integral(sigma, sigma.value, *[math.sqrt(first + bias)] * 2, 1.0)
        assert found[i, i] == pytest.approx(second, rel=CORNER)


@pytest.mark.parametrize("name", ["tanh", "elu", "relu", "user"])
@pytest.mark.parametrize("norm", [0.3, 5.0])
def test_one_norm_is_a_variance_of_the_first_layer(name, norm):
    sigma = user_activation(lambda x: np.abs(np.tanh(x)), name="u") if name == "user" else name
    x = points(8)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = Network(sigma, depth=2).nngp_matrix(norm * x)
    scaled = Network(sigma, depth=2, weight_variance=[norm**2, 1.0])
    np.testing.assert_allclose(found, scaled.nngp_matrix(x), rtol=1e-11, atol=1e-13)


def is_symmetric_positive_and_does_not_turn(name, depth, bias, seed):
    network = Network(name, depth=depth, bias_variance=bias, trained="all")
    x = points(12, 4, seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
    for kernel in (network.ntk_matrix, network.nngp_matrix):
        found = kernel(x)
        assert np.array_equal(found, found.T)
        size = np.sqrt(np.outer(np.diag(found), np.diag(found)))
        assert np.linalg.eigvalsh(found / size).min() > -1e-11
        assert np.abs(kernel(x @ turn) / size - found / size).max() < 1e-11
        assert np.abs(kernel(x[:7], x) / size[:7] - found[:7] / size[:7]).max() < 1e-13


@settings(max_examples=5, deadline=None)
@given(
    st.sampled_from(["relu", "gelu", "tanh", "hard_swish", "gabor(2, 1)", "snake"]),
    st.integers(1, 2), st.sampled_from([0.0, 0.3]), st.integers(0, 10**6),
)  # fmt: skip
def test_matrices_are_symmetric_positive_and_do_not_turn(name, depth, bias, seed):
    is_symmetric_positive_and_does_not_turn(name, depth, bias, seed)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_matrices_with_a_corner_do_not_turn(depth, bias):
    is_symmetric_positive_and_does_not_turn("elu", depth, bias, 0)


@pytest.mark.parametrize("name, degree", [("relu", 2), ("abs", 2), ("relu_power(3)", 6)])
def test_homogeneous_networks_scale(name, degree):
    """By powers of two, which round nothing, value for value.  Other factors round x itself, so
    that a kernel which is small because its vectors are nearly orthogonal moves by more than its
    own digits: there the error is measured beside |K(x, x) K(y, y)|^(1/2)."""
    network, x = Network(name), points()
    matrix = network.ntk_matrix(x)
    for factor in (2.0 ** np.arange(-15, 15), np.linspace(1e-3, 1e3, 30)):
        found = network.ntk_matrix(factor[:, None] * x)
        right = matrix * np.outer(factor, factor) ** (degree // 2)
        scale = np.sqrt(np.outer(np.diag(right), np.diag(right)))
        assert np.max(np.abs(found - right) / scale) < 1e-14
        if factor[0] == 2.0**-15:
            np.testing.assert_allclose(found, right, rtol=1e-13)


@pytest.mark.parametrize("name", ["relu", "tanh", "relu6", "elu", "erf"])
def test_the_same_direction_and_close_vectors_keep_their_digits(name):
    """K(x, (1 + e) x) and K(x, x + e y) come near K(x, x) as e does, also in later layers."""
    network = Network(name, depth=3, bias_variance=0.2)
    x = np.array([0.8, 0.5])
    for e in (1e-6, 1e-8, 1e-10):
        for other in ((1.0 + e) * x, x + e * np.array([-0.5, 0.8])):
            found = network.ntk_matrix(np.stack([x, other, 0.1 * x]))
            assert abs(found[0, 1] / found[0, 0] - 1.0) < 30 * e


@pytest.mark.parametrize("name", SOME)
def test_vectors_of_norm_zero(name):
    """Their argument is constant: 0, or the bias, which all vectors share."""
    sigma = activation(name)
    x = np.array([[0.0, 0.0], [0.7, 0.2], [0.0, 0.0], [-1.1, 0.9]])
    at_zero = float(sigma.value(np.zeros(1))[0])
    found = Network(name).nngp_matrix(x)
    assert found[0, 0] == found[0, 2] == at_zero**2
    mean = double_integral(sigma, sigma.value, math.hypot(0.7, 0.2), 1.0, 0.0)
    mean /= double_integral(sigma, sigma.value, 1.0, 1.0, 0.0) ** 0.5 or 1.0
    if at_zero:
        assert abs(found[0, 1]) == pytest.approx(abs(at_zero * mean), rel=1e-12)
    else:
        assert found[0, 1] == 0.0
    if name == "step":
        return
    assert (Network(name).ntk_matrix(x)[0] == 0.0).all()
    zero_bias = Network(name, bias_variance=0.5, bias="zero").ntk_matrix(x)
    slope = float(sigma.derivative(np.zeros(1))[0])
    assert zero_bias[0, 0] == pytest.approx(0.5 * slope**2, rel=1e-14, abs=0.0)
    with_bias = Network(name, bias_variance=0.5, trained="all").ntk_matrix(x)
    assert np.linalg.eigvalsh(with_bias).min() > -1e-12 * with_bias.max()
    # The bias alone is an argument of variance 0.5 at vectors of norm 0.
    alone = Network(name, weight_variance=0.5, trained="all").nngp_matrix([[1.0, 0.0]])
    assert Network(name, bias_variance=0.5).nngp_matrix(x)[0, 0] == pytest.approx(alone[0, 0])


def test_vectors_divided_by_the_root_of_their_dimension():
    x = points()
    network = Network("gelu", depth=2)
    np.testing.assert_allclose(
        network.ntk_matrix(x, fan_in=True), network.ntk_matrix(x / math.sqrt(5)), rtol=1e-13
    )


def test_single_precision_gives_single_precision():
    x = 0.5 * points()
    for network in (Network("relu"), Network("tanh")):
        double = network.ntk_matrix(x.astype(np.float32).astype(float))
        single = network.ntk_matrix(x.astype(np.float32))
        assert single.dtype == np.float32 and double.dtype == np.float64
        np.testing.assert_allclose(single, double, rtol=1e-7)
        assert network.ntk_matrix(x.astype(np.float32), x).dtype == np.float64


@pytest.mark.parametrize("name", ["relu", "tanh", "relu6"])
@pytest.mark.parametrize("size", [1, 257, 600])
def test_matrices_do_not_depend_on_threads(name, size, monkeypatch):
    x, found = 0.5 * points(size), []
    for threads in (1, 2, 3):
        monkeypatch.setattr(pointwise, "available_threads", lambda threads=threads: threads)
        found.append((Network(name).nngp_matrix(x), Network(name).nngp_matrix(x, x[:300])))
    for whole, part in found[1:]:
        assert np.array_equal(whole, found[0][0]) and np.array_equal(part, found[0][1])


def test_a_matrix_takes_no_temporary_of_its_size():
    x, network = points(1500), Network("relu", depth=2)
    network.ntk_matrix(x[:300])
    tracemalloc.start()
    network.ntk_matrix(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.05 * 8 * 1500**2


@pytest.mark.parametrize(
    "given, words",
    [
        ([1.0, 2.0], "shape"), (np.zeros((0, 3)), "shape"), (np.zeros((3, 0)), "shape"),
        ([["a", "b"]], "numbers"), ([[1.0], [2.0, 3.0]], "numbers"), ([[1.0, math.nan]], "0, 1"),
        ([[math.inf, 1.0]], "finite"), (np.zeros((2, 2, 2)), "shape"), ([[1 + 2j]], "numbers"),
    ],
)  # fmt: skip
def test_what_are_no_vectors(given, words):
    with pytest.raises(NtkspecError, match=words):
        Network("relu").ntk_matrix(given)
    with pytest.raises(NtkspecError, match="others"):
        Network("relu").ntk_matrix([[1.0, 0.0]], given)


def test_refusals_say_what_to_do():
    x = points()
    with pytest.raises(NtkspecError, match="one dimension"):
        Network("relu").ntk_matrix(x, x[:, :2])
    for call in (Network("tanh").ntk_matrix, partial(data_spectrum, "tanh", count=2)):
        with pytest.raises(NtkspecError, match="fan_in=True"):
            call(10.0 * x)
        with pytest.raises(NtkspecError, match="scale the vectors down, lower"):
            call(30.0 * x, fan_in=True)
    with pytest.raises(NtkspecError, match="Normalize"):
        Network("relu", normalize=True).ntk_matrix(np.concatenate([x, 0.0 * x[:1]]))
    with pytest.raises(NtkspecError, match="leave the range of float64; scale the vectors down"):
        Network("relu", depth=3).ntk_matrix(1e200 * x)
    with pytest.raises(NtkspecError, match="weights = 'sphere'"):
        Network("relu", weights="sphere").ntk_matrix(x)
    with pytest.raises(NtkspecError, match="fan_in"):
        Network("relu").ntk_matrix(x, fan_in="yes")
    with pytest.raises(NtkspecError, match="one norm"):
        Network(user_activation(lambda x: np.maximum(x, 0.3 * x * x), kinks=[0.0])).nngp_matrix(x)


def test_a_smooth_function_of_a_user():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sigma = user_activation(np.tanh, lambda x: np.cosh(x) ** -2.0)
    x = 0.5 * points()
    for kernel in ("ntk_matrix", "nngp_matrix"):
        mine, ours = (getattr(Network(s, depth=2), kernel)(x) for s in (sigma, "tanh"))
        np.testing.assert_allclose(mine, ours, rtol=1e-12, atol=1e-13)
    with pytest.raises(NtkspecError, match="derivative"):
        Network(user_activation(lambda x: np.tanh(x) ** 2)).ntk_matrix(x)


def _of_angles(value, slope):
    """Duals that are sqrt(a b)^p times functions of the angle: (power, value, slope)."""

    def dual(a, b, c):
        size = mp.sqrt(a * b)
        angle = mp.acos(max(min(c / size, mp.mpf(1)), mp.mpf(-1)))
        return value(size, angle), slope(size, angle)

    return dual


def _ramp(angle):
    return (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / (2 * mp.pi)


def _half(angle):
    return (mp.pi - angle) / (2 * mp.pi)


def _parabola(angle):
    return (3 * mp.sin(angle) * mp.cos(angle) + (mp.pi - angle) * (1 + 2 * mp.cos(angle) ** 2)) / (
        2 * mp.pi
    )


def _erf(a, b, c):
    whole = (1 + 2 * a) * (1 + 2 * b)
    return 2 / mp.pi * mp.asin(2 * c / mp.sqrt(whole)), 4 / mp.pi / mp.sqrt(whole - 4 * c * c)


#: E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] (Cho and Saul 2009, Williams 1997).
FORMULAS = {
    "relu": _of_angles(lambda size, t: size * _ramp(t), lambda size, t: _half(t)),
    "leaky_relu(0.5)": _of_angles(
        lambda size, t: size * (1.25 * _ramp(t) - _ramp(mp.pi - t)),
        lambda size, t: 1.25 * _half(t) + _half(mp.pi - t),
    ),
    "relu_power(2)": _of_angles(
        lambda size, t: size**2 * _parabola(t), lambda size, t: 4 * size * _ramp(t)
    ),
    "erf": _erf,
}


def _both_kernels(name, depth, bias, x, y):
    """The tangent kernel and the other by the rules of the layers."""

    def inner(u, v):
        return sum(mp.mpf(float(p)) * mp.mpf(float(q)) for p, q in zip(u, v, strict=True))

    a, b, c, total = inner(x, x), inner(y, y), inner(x, y), mp.mpf(0)
    for _ in range(depth):
        a, b, c = a + bias, b + bias, c + bias
        total += c
        (_, of_a), (_, of_b) = FORMULAS[name](a, a, a)[::-1], FORMULAS[name](b, b, b)[::-1]
        c, slope = FORMULAS[name](a, b, c)
        a, b, total = of_a, of_b, total * slope
    return total, c


FAR_NORMS = (1e-160, 3e-100, 1.0, 1e40, 1e100, 1e160)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("bias", [0.0, pytest.param(0.125, marks=pytest.mark.slow)])
@pytest.mark.parametrize("depth", [1, 3])
def test_vectors_of_all_norms_are_right_or_refused(name, bias, depth):
    network = Network(name, depth=depth, bias_variance=bias)
    directions = np.array([[0.6, 0.8, 0.0], [0.28, -0.1, 0.95]])
    right = 0
    for i, first in enumerate(FAR_NORMS):
        for second in FAR_NORMS[i:]:
            x = directions * np.array([[first], [second]])
            with mp.workdps(700):
                pairs = ((x[0], x[0]), (x[0], x[1]), (x[1], x[1]))
                known = [_both_kernels(name, depth, bias, *pair) for pair in pairs]
            for at, matrix in enumerate((network.ntk_matrix, network.nngp_matrix)):
                own, cross, other = (both[at] for both in known)
                try:
                    found = matrix(x)
                except NtkspecError:
                    continue
                right += 1
                for value, exact, size in (
                    (found[0, 0], own, own), (found[1, 1], other, other),
                    (found[0, 1], cross, mp.sqrt(own * other)),
                ):  # fmt: skip
                    error = abs(mp.mpf(float(value)) - exact)
                    assert error <= ROUNDING * size + mp.mpf(5e-324), (first, second, at)
    assert right >= 12


@pytest.mark.parametrize("name", ["tanh", "softsign", "elu", "hard_tanh", "snake(0.7)", "finer"])
def test_short_vectors_see_the_slope_at_0(name):
    x = vectors(1e-100, 3e-60, 0.7)
    for depth in (1, 2):
        network = Network(name, depth=depth)
        np.testing.assert_allclose(network.nngp_matrix(x), x @ x.T, rtol=1e-12)
        np.testing.assert_allclose(network.ntk_matrix(x), depth * (x @ x.T), rtol=1e-12)
        for matrix in (network.ntk_matrix, network.nngp_matrix):
            with pytest.raises(NtkspecError, match="scale the vectors up"):
                matrix(vectors(1e-150, 1.0, 0.7))


def test_limits_that_depend_on_the_direction_are_refused():
    x = vectors(1e-150, 1.0, 0.7)
    step = Network.serial(Linear(), Residual(Linear(), "step", Linear()))
    late = Network.serial(Linear(bias_variance=1.0, bias="zero"), "relu", Linear())
    for network, kernel in ((step, "nngp_matrix"), (late, "ntk_matrix")):
        with pytest.raises(NtkspecError, match="scale the vectors up"):
            getattr(network, kernel)(x)


def test_single_precision_has_its_range():
    x = np.array([[1e30, 0.0], [0.0, 1.0]], np.float32)
    with pytest.raises(NtkspecError, match=r"leave the range of float32; .*, or give float64"):
        Network("relu").ntk_matrix(x)
    assert Network("relu").ntk_matrix(np.float64(x))[0, 0] == pytest.approx(5e59)


def test_rows_have_the_values_of_the_matrix_at_all_norms():
    x = np.random.default_rng(0).standard_normal((5, 3)) * np.geomspace(1e-150, 1e150, 5)[:, None]
    for network in (Network("relu"), Network("relu_power(2)")):
        try:
            known = network.ntk_matrix(x)
        except NtkspecError:
            continue
        out = np.empty((3, 2))
        rows = pointwise.Rows(network, x, "ntk", 1e-12, False)
        rows.fill(slice(1, 4), slice(2, 4), out)
        assert np.array_equal(out, known[1:4, 2:4])


def near_zero(name):
    """Power series of sigma at 0, to the right and to the left."""
    elu = mp.taylor(lambda x: mp.exp(x) - 1, 0, 5)
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.67326324235437728481704")
    logistic = mp.taylor(lambda x: mp.log(1 + mp.exp(x)), 0, 5)
    line, nothing = [0, 1, 0, 0, 0, 0], [0] * 6
    return {
        "selu": ([scale * x for x in line], [scale * alpha * x for x in elu]),
        "elu": (line, elu),
        "tanh": (mp.taylor(mp.tanh, 0, 5),) * 2,
        "softplus": (logistic, logistic),
        "relu6": (line, nothing),
        "hard_swish": ([0, 0.5, mp.mpf(1) / 6, 0, 0, 0],) * 2,
        "snake": (mp.taylor(lambda x: x + mp.sin(x) ** 2, 0, 5),) * 2,
        "gelu": (mp.taylor(lambda x: x * mp.ncdf(x), 0, 5),) * 2,
        "cos": (mp.taylor(mp.cos, 0, 5),) * 2,
    }[name]


def by_powers(right_and_left, a, b, theta):
    """E[f(u) f(v)] of functions with these power series, in polar coordinates: small a and b."""
    ends = [-mp.pi / 2, theta - mp.pi / 2, mp.pi / 2, theta + mp.pi / 2, 3 * mp.pi / 2]
    total = mp.mpf(0)
    for low, high in itertools.pairwise(ends):
        middle = (low + high) / 2
        first = right_and_left[0 if mp.cos(middle) > 0 else 1]
        second = right_and_left[0 if mp.cos(middle - theta) > 0 else 1]
        for (i, x), (j, y) in itertools.product(enumerate(first), enumerate(second)):
            if x and y and i + j <= 5:
                angle = mp.quad(
                    lambda z, i=i, j=j: mp.cos(z) ** i * mp.cos(z - theta) ** j, [low, high]
                )
                radius = mp.mpf(2) ** (mp.mpf(i + j) / 2) * mp.gamma(mp.mpf(i + j) / 2 + 1)
                total += x * y * a**i * b**j * radius * angle / (2 * mp.pi)
    return total


@pytest.mark.parametrize("norm, other", [(1e-100, 2e-100), (1e-100, 1e-50), (1e-8, 3e-8)])
@pytest.mark.parametrize(
    "name", ["selu", "elu", "tanh", "softplus", "relu6", "hard_swish", "snake", "gelu", "cos"]
)
def test_small_norms_are_those_of_the_power_series_at_zero(name, norm, other):
    with mp.workdps(40):
        theta = mp.acos(mp.mpf("0.6"))
        series = near_zero(name)
        slopes = tuple([k * part[k] for k in range(1, 6)] for part in series)
        x = [[norm, 0.0], [0.6 * other, 0.8 * other]]
        network = Network(name)
        for matrix, parts in ((network.nngp_matrix, series), (network.ntk_matrix, slopes)):
            found = matrix(x)
            true = by_powers(parts, mp.mpf(norm), mp.mpf(other), theta)
            if parts is slopes:
                true *= mp.mpf(norm) * mp.mpf(other) * mp.cos(theta)
            size = math.sqrt(found[0, 0]) * math.sqrt(found[1, 1])
            # cos has no slope at 0: its kernel falls below the doubles, and is 0.
            assert abs(found[0, 1] - float(true)) <= 2e-14 * size + 1e-300, matrix


@pytest.mark.parametrize("norm, way", [(1e-100, "up"), (1e100, "down")])
def test_squares_beyond_doubles_are_refused_with_the_reason(norm, way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for matrix in (Network("polynomial").ntk_matrix, Network("polynomial").nngp_matrix):
            with pytest.raises(NtkspecError, match=f"leave the range of doubles.*vectors {way}"):
                matrix([[norm, 0.0], [0.6 * norm, 2.0 * norm]])
        for name in ("hard_tanh", "gelu", "erf", "tanh"):
            with pytest.raises(NtkspecError):
                Network(name).ntk_matrix([[1e100, 0.0], [0.0, 2e100]])
