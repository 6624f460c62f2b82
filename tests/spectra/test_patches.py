"""Spectra on patches, against tensor quadrature and means of kernels written out here."""

import math
from itertools import permutations

import mpmath
import numpy as np
import pytest
from mpmath_rules import gauss_legendre

import ntkspec
from ntkspec import Linear, Network, NtkspecError, patches_spectrum

pytestmark = pytest.mark.filterwarnings("error")


def rule(dim, nodes=28):
    """Nodes and weights of the measure of a cosine in dimension 2 or 3, in mpmath numbers."""
    if dim == 2:
        t = [mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * nodes)) for i in range(nodes)]
        return t, [mpmath.mpf(1) / nodes] * nodes
    t, w = zip(*gauss_legendre(nodes), strict=True)
    return list(t), list(w)


def zonal(dim, degree, x):
    return mpmath.chebyt(degree, x) if dim == 2 else mpmath.legendre(degree, x)


class Erf:
    """E[erf erf] and E[erf' erf'] at a variance (Williams 1997)."""

    @staticmethod
    def value(q, c):
        return 2 / mpmath.pi * mpmath.asin(2 * c / (1 + 2 * q))

    @staticmethod
    def slope(q, c):
        return 4 / mpmath.pi / mpmath.sqrt((1 + 2 * q) ** 2 - 4 * c * c)


class Sine:
    @staticmethod
    def value(q, c):
        return mpmath.exp(-q) * mpmath.sinh(c)

    @staticmethod
    def slope(q, c):
        return mpmath.exp(-q) * mpmath.cosh(c)


def tree_kernel(layer, weights, biases, trained, kernel, ts):
    """The kernel of a tree at the cosines of all patches, in the order of the layers' rules."""
    w, b = weights, biases
    q1 = w[0] + b[0]
    first = [layer.value(q1, w[0] * t + b[0]) for t in ts]
    q2 = w[1] * layer.value(q1, q1) + b[1]
    c = w[1] * sum(first) / len(ts) + b[1]
    if kernel == "nngp":
        return layer.value(q2, c)
    tangents = [(w[0] * t + b[0]) * layer.slope(q1, w[0] * t + b[0]) for t in ts]
    tangent = (c + w[1] * sum(tangents) / len(ts)) * layer.slope(q2, c)
    return tangent + (layer.value(q2, c) if trained == "all" else 0)


@pytest.mark.parametrize(
    ("name", "layer", "dim", "kernel", "weights", "biases", "trained"),
    [
        ("erf", Erf, 3, "nngp", (1.0, 1.0), (0.0, 0.0), "hidden"),
        ("erf", Erf, 3, "ntk", (1.5, 0.75), (0.25, 0.125), "all"),
        ("erf", Erf, 2, "ntk", (1.0, 2.0), (0.0, 0.5), "hidden"),
        ("sin", Sine, 2, "nngp", (2.0, 1.0), (0.5, 0.0), "hidden"),
        ("sin", Sine, 3, "ntk", (1.0, 1.0), (0.0, 0.0), "all"),
    ],
)
def test_tree_against_tensor_quadrature(name, layer, dim, kernel, weights, biases, trained):
    network = Network(name, depth=2, weight_variance=weights, bias_variance=biases, trained=trained)
    found = patches_spectrum(network, 2, dim, depth=2, degrees=range(5), kernel=kernel)
    with mpmath.workdps(25):
        t, w = rule(dim, 36)
        values = [
            [tree_kernel(layer, weights, biases, trained, kernel, (x, y)) for y in t] for x in t
        ]
        for i, degrees in enumerate(found.multidegrees):
            k = (*degrees, 0, 0)[:2]
            one = [u * zonal(dim, k[0], x) for x, u in zip(t, w, strict=True)]
            two = [u * zonal(dim, k[1], x) for x, u in zip(t, w, strict=True)]
            true = mpmath.fdot(one, [mpmath.fdot(two, row) for row in values])
            got = mpmath.ldexp(mpmath.mpf(found.mantissas[i]), int(found.exponents[i]))
            if got == 0:
                assert abs(true) < 1e-18
            else:
                assert abs(got / true - 1) <= min(found.relative_error[i] + 1e-15, 1e-12), degrees


def test_kinked_tree_against_tensor_quadrature():
    # ReLU's duals by the arc-cosine formulas (Cho and Saul 2009); Gauss rules in the angles.
    def value(rho):
        a = np.arccos(np.clip(rho, -1.0, 1.0))
        return (np.sin(a) + (np.pi - a) * np.cos(a)) / (2.0 * np.pi)

    def slope(rho):
        return (np.pi - np.arccos(np.clip(rho, -1.0, 1.0))) / (2.0 * np.pi)

    x, w = np.polynomial.legendre.leggauss(240)
    angle = 0.5 * np.pi * (1.0 + x)
    t, w = np.cos(angle), 0.25 * np.pi * w * np.sin(angle)
    c = 0.5 * (value(t)[:, None] + value(t)) + 0.25
    rho = c / 0.75
    tangent = (c + 0.5 * ((t * slope(t))[:, None] + t * slope(t))) * slope(rho)
    kernel = 0.75 * value(rho) + tangent
    network = Network("relu", depth=2, bias_variance=(0.0, 0.25), trained="all")
    found = patches_spectrum(network, 2, 3, depth=2, degrees=range(4))
    for i, degrees in enumerate(found.multidegrees):
        one, two = (w * np.polynomial.legendre.Legendre.basis(k)(t) for k in (*degrees, 0, 0)[:2])
        true = one @ kernel @ two
        assert abs(found.eigenvalues[i] / true - 1.0) <= found.relative_error[i] + 1e-10, degrees
        assert found.eigenvalues[i] <= true * (1.0 + 1e-10)
    assert found.relative_error.max() < 1e-2


@pytest.mark.parametrize("activation", ["erf", "tanh", "gelu", "cos", "silu"])
def test_one_patch_is_the_sphere(activation):
    network = Network(activation, depth=2, bias_variance=0.1, trained="all")
    found = patches_spectrum(network, 1, 5, depth=2, degrees=range(9))
    whole = ntkspec.spectrum(network, 5, range(9))
    apart = np.abs(found.log_eigenvalues - whole.log_eigenvalues)
    assert np.all(apart <= found.relative_error + 1e-12)


@pytest.mark.parametrize("count", [3, 40])
def test_the_diagonal_of_many_patches(count):
    # K at equal cosines is the network's kernel: sum_K N lambda over each total degree, and the
    # mean over all inputs of K(x, x').
    network = Network("erf", depth=2, bias_variance=0.2, trained="all")
    found = patches_spectrum(network, count, 4, depth=2, degrees=range(7))
    total = found.multiplicities @ found.eigenvalues
    assert total < found.trace
    assert found.trace == pytest.approx(float(network.ntk(1.0)), rel=1e-13)
    assert total / found.trace > 0.9
    assert found.relative_error.max() < 1e-10
    for one, n in zip(found.multidegrees, found.multiplicities, strict=True):
        assert len(one) <= count
        assert n == _places(one, count) * np.prod(ntkspec.domains.multiplicity(4, [*one, 0]))


def _places(degrees, count):
    if count > 6:
        ways = math.perm(count, len(degrees))
        return ways // math.prod(math.factorial(degrees.count(k)) for k in set(degrees))
    return len(set(permutations([*degrees, *[0] * (count - len(degrees))])))


def test_tree_against_a_mean_over_points():
    # Without any formula: the eigenvalue of the constant function, and of degree 1 in one patch,
    # are means of K times zonal functions over independent pairs.
    rng = np.random.default_rng(3)
    size, count, dim = 200_000, 3, 4
    x, y = (rng.standard_normal((size, count, dim)) for _ in range(2))
    cosines = np.sum(x * y, axis=2) / np.linalg.norm(x, axis=2) / np.linalg.norm(y, axis=2)
    b2 = 0.5
    first = 2.0 / np.pi * np.arcsin(2.0 * cosines / 3.0)
    q2 = 2.0 / np.pi * np.arcsin(2.0 / 3.0) + b2
    values = 2.0 / np.pi * np.arcsin(2.0 * (first.mean(axis=1) + b2) / (1.0 + 2.0 * q2))
    network = Network("erf", depth=2, bias_variance=(0.0, b2))
    found = patches_spectrum(network, count, dim, depth=2, degrees=range(3), kernel="nngp")
    for one, eigenvalue in zip(found.multidegrees, found.eigenvalues, strict=True):
        if one in ((), (1,), (1, 1)):
            each = values * np.prod(cosines[:, : len(one)], axis=1)
            assert abs(each.mean() - eigenvalue) < 5.0 * each.std() / math.sqrt(size)


def test_pooling_against_a_kernel_matrix():
    # On a product grid of the circle, Nystrom's eigenvalues are the operator's up to aliases.
    nodes, count = 16, 2
    a = np.array([[2.0, 0.5], [0.5, 1.0]])
    angle = 2.0 * np.pi * np.arange(nodes) / nodes
    network = Network("sin", bias_variance=0.5)
    kappa = network.ntk(np.cos(angle[:, None] - angle))
    shape = (nodes,) * 4
    parts = {
        (0, 0): kappa[:, None, :, None], (0, 1): kappa[:, None, None, :],
        (1, 0): kappa[None, :, :, None], (1, 1): kappa[None, :, None, :],
    }  # fmt: skip
    matrix = sum(a[i, j] * np.broadcast_to(part, shape) for (i, j), part in parts.items())
    true = np.linalg.eigvalsh(matrix.reshape(nodes**2, -1))[::-1] / nodes**2
    found = patches_spectrum(network, count, 2, pooling=a, degrees=range(8))
    mine = np.sort(np.repeat(found.eigenvalues, found.multiplicities.astype(int)))[::-1]
    assert mine[:12] == pytest.approx(true[:12], rel=1e-7)


def test_names_of_pooling_are_their_matrices():
    ones = np.ones((4, 4))
    for name, matrix in (("sum", ones), ("mean", ones / 16.0), (None, np.eye(4) / 4.0)):
        one = patches_spectrum("gelu", 4, 6, pooling=name, degrees=range(5))
        two = patches_spectrum("gelu", 4, 6, pooling=matrix, degrees=range(5))
        assert one.trace == pytest.approx(two.trace, rel=1e-14)
        for k in range(5):
            assert set(one[k].round(12)) == set(two[k].round(12))
        total = one.multiplicities @ one.eigenvalues
        assert total < one.trace * (1.0 + 1e-14)


def test_ill_conditioned_pooling_keeps_its_digits():
    a = np.array([[1.0, 1.0 - 2.0**-30], [1.0 - 2.0**-30, 1.0]])
    found = patches_spectrum("erf", 2, 3, pooling=a, degrees=[1])
    assert found[1][1] / found[1][0] == pytest.approx(2.0**-30 / (2.0 - 2.0**-30), rel=1e-14)


def test_eigenvalues_beyond_doubles_keep_their_logarithms():
    found = patches_spectrum("tanh", 8, 100, degrees=[2001])
    alone = ntkspec.spectrum("tanh", 100, [2001])
    assert found.eigenvalues[0] == 0.0
    assert found.log_eigenvalues[0] == pytest.approx(alone.log_eigenvalues[0] - math.log(8.0))
    wide = patches_spectrum("erf", 2, 10**6, depth=2, degrees=[61])
    assert wide.eigenvalues.max() < 1e-290
    assert np.all(np.isfinite(wide.log_eigenvalues))
    assert wide.relative_error.max() < 1e-2


def _erf(c, q):
    """E[erf erf] and E[erf' erf'] at variance q."""
    value = 2.0 / np.pi * np.arcsin(2.0 * c / (1.0 + 2.0 * q))
    return value, 4.0 / np.pi / np.sqrt((1.0 + 2.0 * q) ** 2 - 4.0 * c * c)


def _tree(t):
    """The tangent kernel of a tree of erf with bias variance 0.3, all trained, at (n, m, p)."""
    first, slope = _erf(t + 0.3, 1.3)
    q = _erf(1.3, 1.3)[0] + 0.3
    c = first.mean(axis=2) + 0.3
    value, outer = _erf(c, q)
    return value + (c + ((t + 0.3) * slope).mean(axis=2)) * outer


COUNT, DIM = 3, 6
TARGETS = {
    "one": lambda x: x[:, 0, 0] * x[:, 0, 1] * math.sqrt(DIM * (DIM + 2.0)),
    "two": lambda x: x[:, 0, 0] * x[:, 1, 1] * DIM,
    "mean": lambda x: np.sum(x[:, :, 0] * x[:, :, 1], axis=1) * math.sqrt(DIM * (DIM + 2.0) / 3.0),
}


@pytest.mark.parametrize("target", ["one", "two", "mean"])
def test_learning_curves_against_regression(target):
    rng = np.random.default_rng(0)
    ridge, sizes, goal = 1e-2, [40, 120], TARGETS[target]
    network = Network("erf", depth=2, bias_variance=0.3, trained="all")
    if target == "mean":
        network = Network("erf", bias_variance=0.3)
        s = patches_spectrum(network, COUNT, DIM, pooling="mean", degrees=range(30))
        radial = 0
    else:
        s = patches_spectrum(network, COUNT, DIM, depth=2)
        radial = s.radial[s.multidegrees.index((2,) if target == "one" else (1, 1))]
    curve = ntkspec.predict.learning_curve(s, samples=sizes, power={(2, radial): 1.0}, ridge=ridge)

    def kernel(x, y):
        if target == "mean":
            t = np.einsum("apd,bqd->abpq", x, y)
            return ((t + 0.3) * _erf(t + 0.3, 1.3)[1]).mean(axis=(2, 3))
        return _tree(np.einsum("apd,bpd->abp", x, y))

    def points(size):
        x = rng.standard_normal((size, COUNT, DIM))
        return x / np.linalg.norm(x, axis=2, keepdims=True)

    new = points(400)
    for size, predicted in zip(sizes, curve.test_error, strict=True):
        errors = []
        for _ in range(16):
            x = points(size)
            weights = np.linalg.solve(kernel(x, x) + ridge * np.eye(size), goal(x))
            errors.append(np.mean((kernel(new, x) @ weights - goal(new)) ** 2))
        assert np.mean(errors) == pytest.approx(predicted, rel=0.12), size


def test_pooling_shares_samples():
    # The mean over patches is learned from fewer samples than patches with weights of their own:
    # of degree 2, p N functions are N.
    apart = patches_spectrum("gelu", 6, 4, degrees=range(60))
    pooled = patches_spectrum("gelu", 6, 4, pooling="mean", degrees=range(60))
    one, two = (
        ntkspec.predict.samples_to_learn(s, error=0.5, degrees=[2]).samples[0]
        for s in (apart, pooled)
    )
    assert two < one / 3.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pooling": "max"}, "pooling that is trained"),
        ({"pooling": [[1.0]]}, "a row for each patch"),
        ({"pooling": [[1.0, 2.0], [2.0, 1.0]]}, "positive semidefinite"),
        ({"pooling": [[1e308, 1e308], [1e308, 1e308]]}, "of modulus up to"),
        ({"pooling": [[1.0, 0.0], [0.0, np.nan]]}, r"pooling\[1, 1\] = nan"),
        ({"pooling": [[1.0, 0.0], [0.5, 1.0]]}, "not symmetric"),
        ({"pooling": "sum", "depth": 2}, "leave it out"),
        ({"depth": 3}, "depth"),
        ({"count": 0}, "count"),
        ({"dim": 1}, "dim"),
        ({"network": Network("erf", depth=3), "depth": 2}, "one hidden layer on the patches"),
        ({"network": ntkspec.zonal.gaussian(), "depth": 2}, "two hidden layers"),
        ({"network": "relu", "depth": 2, "tolerance": 1e-12}, "raise the tolerance"),
        ({"network": Network("relu"), "depth": 2}, "give a Network of depth = 2"),
        ({"depth": 2, "degrees": [300]}, "from 0 to 200"),
        ({"count": 100, "depth": 2, "degrees": [40]}, "multi-degrees"),
    ],
)
def test_refusals(change, words):
    given = {"network": "erf", "count": 2, "dim": 3, "degrees": [1], **change}
    with pytest.raises(NtkspecError, match=words):
        patches_spectrum(given.pop("network"), given.pop("count"), given.pop("dim"), **given)


def test_frozen_layers_and_readouts():
    # The rules of the parts, at equal cosines: one patch again, with each part's own summands.
    network = Network.serial(
        Linear(2.0, trained=False), "erf", Linear(1.5, 0.25, bias="zero"), "gelu", Linear(0.5, 0.1)
    )
    for kernel in ("ntk", "nngp"):
        found = patches_spectrum(network, 1, 3, depth=2, degrees=range(6), kernel=kernel)
        whole = ntkspec.spectrum(network, 3, range(6), kernel=kernel)
        assert found.eigenvalues == pytest.approx(whole.eigenvalues, rel=1e-12)
