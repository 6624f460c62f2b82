"""Predictions from the spectra of every domain and of users' kernels.

The right values come from kernels' values alone: all 2^d points of a small cube, Gauss-Hermite
rules in the plane, and the Gaussian kernel's spectrum on the sphere in Bessel functions.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from draws import examples
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, linalg, optimize
from scipy.special import ive

import ntkspec
from ntkspec import Cube, Gaussian, Network, NtkspecError, ZonalKernel, predict, user_activation
from ntkspec.spectra.trace import trace as kernel_trace

RIDGES = np.array([1e-1, 1e-2, 1e-3, 1e-5])


@dataclass
class Truth:
    """All eigenvalues of an operator, each as often as it occurs, and what follows from them."""

    values: np.ndarray

    def freedom(self, ridge, power=1):
        return np.array([np.sum((self.values / (self.values + r)) ** power) for r in ridge])

    def kappa(self, n, delta):
        def excess(x):
            k = math.exp(x)
            return np.sum(self.values / (self.values + k)) + delta / k - n

        return math.exp(optimize.brentq(excess, -60.0, 5.0, xtol=1e-14))

    def test_error(self, n, delta, value, noise):
        """Of a target of power 1 along an eigenfunction with this eigenvalue."""
        kappa = self.kappa(n, delta)
        learned = self.values / (self.values + kappa)
        missed = (kappa / (value + kappa)) ** 2 + noise
        return missed * n / (n - np.sum(learned**2)) - noise

    def samples(self, value, error, delta=0.0):
        kappa = value * error / (1.0 - error)
        return np.sum(self.values / (self.values + kappa)) + delta / kappa


def check_against(truth: Truth, source, *, value, key, exact: bool) -> None:
    """Everything that `ntkspec.predict` says of a spectrum, for the target of one eigenvalue."""
    slack = dict(rtol=2e-9, atol=1e-12)
    freedom = predict.effective_dimension(source, ridge=RIDGES, samples=40)
    for bounds, right in (
        (freedom.bounds, truth.freedom(RIDGES)),
        (freedom.second_bounds, truth.freedom(RIDGES, 2)),
    ):
        assert np.all(bounds[:, 0] <= right * (1 + 1e-9)), (bounds, right)
        assert np.all(bounds[:, 1] >= right * (1 - 1e-9)), (bounds, right)
    degree = key[0] if isinstance(key, tuple) else key
    radial = key[1] if isinstance(key, tuple) else 0
    for error, delta in ((0.5, 0.0), (0.1, 1e-2)):
        found = predict.samples_to_learn(source, error=error, ridge=delta, degrees=[degree])
        right = truth.samples(value, error, delta)
        low, high = found.bounds[radial]
        assert low <= right * (1 + 1e-9) and right <= high * (1 + 1e-9)
        if exact:
            assert_allclose(found.samples[radial], right, **slack)
    for delta in (1e-3, 1e-1):
        curve = predict.learning_curve(
            source, samples=[5, 20, 60], power={key: 1.0}, noise=0.2, ridge=delta
        )
        right = [truth.test_error(n, delta, value, 0.2) for n in (5, 20, 60)]
        kappa = [truth.kappa(n, delta) for n in (5, 20, 60)]
        assert np.all(curve.kappa_bounds[:, 0] <= np.multiply(kappa, 1 + 1e-9))
        assert np.all(curve.kappa_bounds[:, 1] >= np.multiply(kappa, 1 - 1e-9))
        assert np.all(curve.test_error_bounds[:, 0] <= np.add(right, 1e-9))
        assert np.all(curve.test_error_bounds[:, 1] >= np.subtract(right, 1e-9))
        if exact:
            assert_allclose(curve.test_error, right, **slack)
    times = predict.learning_times(source, error=0.1, degrees=[degree])
    assert_allclose(times.times[radial], math.log(10.0) / value, rtol=1e-9)
    if exact:
        assert_allclose(freedom.effective_dimension, truth.freedom(RIDGES), **slack)
        assert_allclose(freedom.second, truth.freedom(RIDGES, 2), **slack)
        right = [40 * (1 - r / truth.kappa(40, 40 * r)) for r in RIDGES]
        assert_allclose(freedom.of_samples, right, rtol=1e-8)


# --- the cube ------------------------------------------------------------------------------------


def cube(dim: int) -> np.ndarray:
    return np.array(list(itertools.product([-1.0, 1.0], repeat=dim)))


def rippled(t):
    """Positive definite on the small cube, but not in all dimensions: lambda_2 > lambda_0."""
    return t * t - 0.1 + 0.1 * t + 0.01 * (2 * t).exp()


CUBES = {
    "relu": Network("relu"),
    "deep": Network("gelu", depth=2, bias_variance=0.1, trained="all"),
    "tanh": Network("tanh", weight_variance=2.0),
    "laplace": ZonalKernel(lambda t: (-(2 - 2 * t).sqrt()).exp(), arithmetic="flint"),
    "rippled": ZonalKernel(rippled, arithmetic="flint"),
}


def on_cube(source, dim: int) -> tuple[Truth, dict[int, float]]:
    """All eigenvalues by numpy from the 2^d x 2^d matrix, and those at the parities by x^S."""
    x = cube(dim)
    if isinstance(source, Network):
        gram = source.ntk_matrix(x / math.sqrt(dim))
    else:
        cosines = np.rint(x @ x.T).astype(int)
        known = {c: float(source.function(arb(c) / dim).mid()) for c in range(-dim, dim + 1)}
        gram = np.vectorize(known.get)(cosines)
    gram /= x.shape[0]
    parities = {k: np.prod(x[:, :k], axis=1) for k in range(dim + 1)}
    return (
        Truth(np.maximum(linalg.eigvalsh(gram), 0.0)),
        {k: float(p @ gram @ p) / x.shape[0] for k, p in parities.items()},
    )


@pytest.mark.parametrize("name", CUBES)
def test_the_cube_as_its_points_have_it(name):
    truth, values = on_cube(CUBES[name], 8)
    check_against(truth, ntkspec.spectrum(CUBES[name], Cube(8)), value=values[1], key=1, exact=True)


@cache
def seven(name: str) -> tuple[Truth, dict[int, float]]:
    return on_cube(CUBES[name], 7)


@examples(8, 20)
@given(
    name=st.sampled_from(list(CUBES)),
    degrees=st.sets(st.integers(0, 7), min_size=1).map(lambda some: sorted({1, *some})),
)
def test_some_degrees_of_the_cube_bound_the_rest(name, degrees):
    truth, values = seven(name)
    spectrum = ntkspec.spectrum(CUBES[name], Cube(7), degrees)
    check_against(truth, spectrum, value=values[1], key=1, exact=degrees == list(range(8)))


def test_gradient_flow_on_all_points_of_the_cube():
    """Each parity decays in the matrix exponential as its learning time says, s = 0 and 1."""
    dim, x = 6, cube(6)
    network = Network("relu", trained="all")
    gram = network.ntk_matrix(x / math.sqrt(dim)) / x.shape[0]
    spectrum = ntkspec.spectrum(network, Cube(dim))
    for s in (0.0, 1.0):
        found = predict.learning_times(spectrum, error=0.1, s=s)
        for k in (0, 1, 2, 4):
            parity = np.prod(x[:, :k], axis=1)
            # The loss's weight is (1 + k)^(2s) on the parity's own line, which the flow keeps.
            left = linalg.expm(-found.times[k] * (1.0 + k) ** (2 * s) * gram) @ parity
            assert_allclose(left, 0.1 * parity, atol=1e-9)


def test_the_cube_of_the_issue():
    """d = 30, by the sum over all degrees of binomials with K's own eigenvalues in 60 digits."""
    import mpmath

    with mpmath.workdps(60):

        def kernel(j):
            t = 1 - mpmath.mpf(2 * j) / 30
            return t * (mpmath.pi - mpmath.acos(t)) / (2 * mpmath.pi)

        total = mpmath.mpf(0)
        for k in range(31):
            value = (
                sum(
                    (-1) ** i * math.comb(k, i) * math.comb(30 - k, j - i) * kernel(j)
                    for j in range(31)
                    for i in range(min(j, k) + 1)
                )
                / mpmath.mpf(2) ** 30
            )
            total += mpmath.binomial(30, k) * value / (value + mpmath.mpf("1e-3"))
    found = predict.effective_dimension(ntkspec.spectrum("relu", Cube(30)), ridge=1e-3)
    assert_allclose(found.effective_dimension[0], float(total), rtol=1e-11)
    assert_allclose(found.effective_dimension[0], 229.47, atol=0.005)


# --- the Gaussian measure ------------------------------------------------------------------------


def in_the_plane(kernel, nodes: int) -> Truth:
    """Eigenvalues by a tensor Gauss-Hermite rule for N(0, I_2), inputs x / sqrt(2)."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    x = np.array([(a, b) for a in z for b in z]) / math.sqrt(2.0)
    weights = np.sqrt(np.outer(w, w).ravel() / w.sum() ** 2)
    gram = kernel(x @ x.T, np.sum(x**2, axis=1)) * np.outer(weights, weights)
    return Truth(np.maximum(linalg.eigvalsh(gram), 0.0))


#: E[sin u sin v] = e^(-(q+q')/2) sinh c; E[cos u cos v], the dual of the slopes, has cosh c.
WAVES = {
    ("sin", "nngp"): lambda c, q: np.exp(-0.5 * (q[:, None] + q)) * np.sinh(c),
    ("cos", "nngp"): lambda c, q: np.exp(-0.5 * (q[:, None] + q)) * np.cosh(c),
    ("sin", "ntk"): lambda c, q: np.exp(-0.5 * (q[:, None] + q)) * c * np.cosh(c),
}


@cache
def waves(name: str, kernel: str) -> Truth:
    return in_the_plane(WAVES[name, kernel], 32)


def relu_nngp(c, q):
    size = np.sqrt(np.outer(q, q))
    t = np.clip(c / size, -1.0, 1.0)
    return size / (2 * np.pi) * (np.sqrt(1 - t * t) + t * (np.pi - np.arccos(t)))


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("sin", "nngp"),
        pytest.param("cos", "nngp", marks=pytest.mark.slow),
        pytest.param("sin", "ntk", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("degrees", "radial"), [(range(5), 2), ([0, 1, 2], 1)])
def test_the_gaussian_measure_by_gauss_hermite_rules(name, kernel, degrees, radial):
    truth = waves(name, kernel)
    spectrum = ntkspec.spectrum(name, Gaussian(2, radial), degrees, kernel=kernel)
    trace, error = kernel_trace(spectrum.network, spectrum.domain, kernel)
    assert_allclose(trace, truth.values.sum(), rtol=1e-7)
    if kernel == "nngp":  # E[sin^2] = (1 - E e^(-2q)) / 2, E e^(-2q) = (1 + 4/d)^(-d/2)
        assert abs(trace - {"sin": 1 / 3, "cos": 2 / 3}[name]) <= error
    degree = 1 if name == "sin" else 2
    key = (degree, radial - 1)
    value = float(spectrum.eigenvalues[list(degrees).index(degree), radial - 1])
    # Twice in the plane; that it is an eigenvalue, the rule says too.
    assert np.sort(np.abs(truth.values - value))[1] < 1e-6 * value
    check_against(truth, spectrum, value=value, key=key, exact=False)


def test_a_homogeneous_network_under_the_gaussian_measure():
    """A kink: the rule is good to 1e-3 alone, so the freedom at large ridges."""
    truth = in_the_plane(relu_nngp, 32)
    spectrum = ntkspec.spectrum("relu", Gaussian(2, 3), range(30), kernel="nngp")
    found = predict.effective_dimension(spectrum, ridge=[1e-1, 1e-2])
    assert_allclose(found.effective_dimension, truth.freedom([1e-1, 1e-2]), rtol=3e-3)
    assert found.degrees.size == found.radial.size == 30 * 3
    # Exact zeros are never learned.
    assert np.all(np.isinf(predict.samples_to_learn(spectrum).samples[found.radial > 0]))


# --- users' kernels on the sphere ----------------------------------------------------------------


def gaussian_kernel(gamma: float, arithmetic: str) -> ZonalKernel:
    functions = {
        "double": lambda t: np.exp(gamma * (t - 1.0)),
        "flint": lambda t: (gamma * (t - 1)).exp(),
        "mpmath": lambda t: __import__("mpmath").exp(gamma * (t - 1)),
    }
    return ZonalKernel(functions[arithmetic], arithmetic=arithmetic)


def bessel(gamma: float, dim: int, count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of exp(gamma (t - 1)): e^-gamma (2/gamma)^nu Gamma(nu+1) I_(k+nu)(gamma)."""
    k, nu = np.arange(count), dim / 2 - 1
    values = math.gamma(nu + 1) * (2 / gamma) ** nu * ive(k + nu, gamma)
    counts = np.array(
        [math.comb(i + dim - 1, i) - (math.comb(i + dim - 3, i - 2) if i > 1 else 0) for i in k],
        dtype=float,
    )
    kept = counts * values > 1e-25
    return values[kept], counts[kept]


@pytest.mark.parametrize(
    ("arithmetic", "gamma", "dim"),
    [("double", 1.0, 3), ("double", 4.0, 5), ("flint", 4.0, 5), ("mpmath", 1.0, 3)],
)
@pytest.mark.parametrize("way", ["itself", "spectrum"])
def test_users_kernels_by_bessel_functions(arithmetic, gamma, dim, way):
    values, counts = bessel(gamma, dim)
    kernel = gaussian_kernel(gamma, arithmetic)
    few = range(5) if arithmetic == "double" else range(12)
    if way == "spectrum":
        source = ntkspec.spectrum(kernel, dim, few, tolerance=1e-9)
    else:
        source = predict.modes(kernel, dim, max_degree=None if arithmetic == "double" else 11)
    truth = Truth(np.repeat(values, np.minimum(counts, 4000).astype(int)))
    check_against(truth, source, value=values[2], key=2, exact=False)


def test_a_users_kernel_as_a_source_is_resolved():
    values, counts = bessel(2.0, 3)
    right = [np.sum(counts * values / (values + r)) for r in RIDGES]
    # In doubles few degrees are known; the smallest ridge feels what is beyond.
    for arithmetic, error in (("double", 1e-4), ("flint", 1e-9)):
        found = predict.effective_dimension(gaussian_kernel(2.0, arithmetic), 3, RIDGES)
        assert np.all(found.bounds[:, 0] <= right) and np.all(right <= found.bounds[:, 1])
        assert_allclose(found.effective_dimension, right, rtol=error)
    laplace = CUBES["laplace"]  # falls as k^-3
    found = predict.effective_dimension(laplace, 3, ridge=1e-2)
    low, high = found.bounds[0]
    assert low < found.effective_dimension[0] < high < low * 1.001


def test_users_activations_in_doubles():
    """tanh given as a function, against tanh of the catalogue."""
    given_, known = Network(ntkspec.user_activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2)), "tanh"
    mine = predict.effective_dimension(given_, 3, [1e-2, 1e-4])
    right = predict.effective_dimension(known, 3, [1e-2, 1e-4]).effective_dimension
    assert np.all(mine.bounds[:, 0] <= right) and np.all(right <= mine.bounds[:, 1])
    assert_allclose(mine.effective_dimension, right, rtol=1e-4)


@pytest.mark.parametrize("dim", [2, 3, 40])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_weights_on_a_sphere(name, dim):
    """K(1) = E sigma'(sqrt(d) u)^2 by scipy's adaptive rule."""
    network = Network(name, weights="sphere")
    slope = (lambda x: np.cosh(x) ** -4.0) if name == "tanh" else (lambda x: float(x > 0))

    def density(a):
        return math.sin(a) ** (dim - 2)

    right = integrate.quad(
        lambda a: slope(math.sqrt(dim) * math.cos(a)) * density(a),
        0,
        math.pi,
        points=[math.pi / 2],
        epsabs=1e-13,
        limit=200,
    )[0]
    right /= integrate.quad(density, 0, math.pi, epsabs=1e-13)[0]
    known = predict.modes(network, dim)
    assert_allclose(known.trace, right, rtol=1e-11)
    assert 0.0 <= known.rest[0] <= known.rest[1] < 0.3 * known.trace


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ZonalKernel(np.tanh), "eigenvalue of degree 3 is -0.0129"),
        (lambda: ZonalKernel(lambda t: t * t - 0.05 * t), "not positive definite"),
        (lambda: ZonalKernel(lambda t: t - 2.0), "degree 0 is -2"),
        (
            lambda: ntkspec.spectrum(
                ZonalKernel(lambda t: t.exp() - 2 * t * t, arithmetic="flint"), Cube(9)
            ),
            "eigenvalue of degree 2 is -",
        ),
        # Nothing negative is given, but what is given is more than all there is.
        (
            lambda: ntkspec.spectrum(
                ZonalKernel(lambda t: (2 * t).sin(), arithmetic="flint"), 3, [1]
            ),
            "more than the trace",
        ),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        predict.modes,
        predict.effective_dimension,
        predict.learning_times,
        predict.samples_to_learn,
        lambda source: predict.learning_curve(source, samples=[10], power={1: 1.0}),
    ],
)
@pytest.mark.filterwarnings("ignore:the kernel is not positive definite")
def test_kernels_that_are_not_positive_definite_are_refused(make, words, function):
    with pytest.raises(NtkspecError, match=words):
        function(make())


def test_what_has_no_meaning_on_a_domain_is_refused():
    on = ntkspec.spectrum("relu", Cube(5)), ntkspec.spectrum("relu", Gaussian(5))
    for spectrum in on:
        with pytest.raises(NtkspecError, match="weight = 'laplacian' is not allowed"):
            predict.learning_times(spectrum, s=1.0, weight="laplacian")
        with pytest.raises(NtkspecError, match="radial = 1"):
            predict.learning_curve(spectrum, samples=[3], power={(1, 1): 1.0})
        with pytest.raises(NtkspecError, match="dim = 6"):
            predict.modes(spectrum, 6)
    unknown = ntkspec.spectrum(ZonalKernel(np.exp), 3, [0, 30], tolerance=math.inf)
    with pytest.raises(NtkspecError, match=r"degree = 30: .* sign"):
        predict.modes(unknown)


@pytest.mark.parametrize(
    "source", [ZonalKernel(lambda t: np.exp(t - 1)), Network(user_activation(np.tanh))]
)
def test_the_degrees_that_nobody_names_are_those_that_are_known(source):
    """Of functions of doubles small eigenvalues are not known."""
    found = predict.samples_to_learn(source, 3)
    assert found.degrees.size and found.degrees.max() <= 12
    again = predict.samples_to_learn(source, 3, degrees=found.degrees)
    assert np.array_equal(found.samples, again.samples)


def test_degrees_of_a_slice_may_be_in_any_order_and_repeated():
    sorted_ = ntkspec.spectrum("relu", 3, [0, 1, 2, 4, 8])
    with ntkspec.atlas() as atlas:
        part = atlas.select("relu", dim=[3, 3], degrees=[4, 0, 2, 2, 1, 8])
    for one in (part, ntkspec.spectrum("relu", 3, [4, 0, 2, 2, 1, 8])):
        assert predict.modes(one).degrees.tolist() == [0, 1, 2, 4, 8]
        np.testing.assert_allclose(
            predict.learning_times(one, degrees=[8, 1, 4]).times,
            predict.learning_times(sorted_, degrees=[8, 1, 4]).times,
            rtol=1e-13,
        )
        np.testing.assert_allclose(
            predict.effective_dimension(one, ridge=[1e-3]).bounds,
            predict.effective_dimension(sorted_, ridge=[1e-3]).bounds,
            rtol=1e-12,
        )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: predict.modes(predict.modes("relu", 3), 5), "given is on the sphere, dim = 3"),
        (
            lambda: predict.learning_times(predict.modes("relu", 3), Cube(5)),
            r"domain = Cube\(dim=5\) is not allowed",
        ),
        (
            lambda: predict.modes(ntkspec.spectrum("relu", 3, [0]), kernel="nngp"),
            "kernel = 'nngp' is not allowed; what is given has kernel = 'ntk'",
        ),
        (lambda: predict.modes(ntkspec.spectrum("relu", [3, 4], [0])), "has several dims, 3, 4"),
        (lambda: predict.learning_curve("relu", 3, "10"), "samples = '10' is not allowed"),
        (lambda: predict.learning_curve("relu", 3, [[1, 2]]), r"samples = \[\[1, 2\]\] is not all"),
        (lambda: predict.learning_curve("relu", 3, 10, {2.5: 1.0}), r"power = \{2.5: 1.0\} is not"),
        (lambda: predict.learning_curve("relu", 3, 10, {1: "1"}), r"power = \{1: '1'\} is not"),
        (lambda: predict.learning_curve("relu", 3, 10, {math.inf: 1.0}), r"power = \{inf: 1.0\}"),
        (lambda: predict.learning_curve("relu", 3, 10, 10**400), "power = 1000.* is not allowed"),
        (lambda: predict.learning_curve("relu", 3, 10, [[0, 1]]), r"power = \[\[0, 1\]\] is not"),
        (lambda: predict.effective_dimension("relu", 3, "x"), "ridge = 'x' is not allowed"),
        (lambda: predict.effective_dimension("relu", 3, [[1.0]]), r"ridge = \[\[1.0\]\] is not"),
        (lambda: predict.fractional_variances("relu", 3, readout=(True, "0")), "readout = "),
    ],
)
def test_what_does_not_belong_together_is_refused(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()


def test_parts_of_a_degree_have_their_rank():
    xarray = pytest.importorskip("xarray")
    curve = predict.learning_curve("erf", Gaussian(4, radial=2), [10], {(1, 0): 1.0})
    freedom = predict.effective_dimension("erf", Gaussian(4, radial=2), [1e-2])
    for dataset in (curve.to_xarray(), freedom.to_xarray()):
        assert isinstance(dataset, xarray.Dataset) and "radial" in dataset.coords
        assert dataset.radial.to_numpy().tolist() == [0, 1] * 9
