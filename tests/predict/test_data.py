"""What data predict, held against kernel regression that is really done on parts of them."""

import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import eval_hermitenorm
from scipy.stats import ortho_group

from ntkspec import Network, NtkspecError, data_spectrum, spectrum, user_activation
from ntkspec.predict import from_data, learning_curve, modes, target_modes
from ntkspec.predict.ansatz import ansatz, hermite_products, powers, principal_axes
from ntkspec.predict.data import MOST_POINTS

NETWORK = Network("relu", trained="all", bias_variance=0.1)
METHODS = ["eigenvectors", "hermite"]
SLOW = pytest.mark.slow


def sphere(rng, n, dim):
    x = rng.standard_normal((n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def measured(x, y, sizes, ridge, repetitions):
    """Mean errors of regression on random points; it shares the matrix with what it tests."""
    rng = np.random.default_rng(1)
    matrix = NETWORK.ntk_matrix(x)
    means = []
    for n in sizes:
        found = []
        for _ in range(repetitions):
            order = rng.permutation(len(x))
            old, new = order[:n], order[n:]
            weights = np.linalg.solve(matrix[np.ix_(old, old)] + ridge * np.eye(n), y[old])
            found.append(np.mean((matrix[np.ix_(new, old)] @ weights - y[new]) ** 2, axis=0))
        means.append(np.mean(found, axis=0))
    return np.array(means)


def prepared(x):
    x = x - x.mean(axis=0)
    return x / math.sqrt(np.mean(np.sum(x**2, axis=1)))


# --- data whose answer is known ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_uniform_points_have_the_learning_curve_of_the_sphere(method):
    """The exact spectrum in 30 dimensions; 1100 points leave some 6 % to chance.

    Half of them find the power in all 495 harmonics of degrees 1 and 2.
    """
    rng, dim, sizes = np.random.default_rng(1), 30, [30, 100, 500]
    x = sphere(rng, 1100, dim)
    parts = math.sqrt(dim) * x[:, 0], math.sqrt(dim * (dim + 2)) * x[:, 1] * x[:, 2]
    y = sum(part / np.sqrt(np.mean(part**2)) for part in parts)
    y = np.stack([y, y + 0.5 * rng.standard_normal(1100)], axis=1)
    found = from_data(NETWORK, x, y, samples=sizes, ridge=1e-2, method=method)
    known, power = modes(NETWORK, dim, max_degree=12), {1: 1.0, 2: 1.0}
    for i, noise in enumerate((0.0, 0.25)):
        exact = learning_curve(known, None, sizes, power, ridge=1e-2, noise=noise)
        assert_allclose(found.noisy_test_error[:, i], exact.noisy_test_error, rtol=0.15)
        assert_allclose(found.train_error[:, i], exact.train_error, rtol=0.2)
    assert_allclose(found.overfitting, exact.overfitting, rtol=0.08)
    # The ansatz has k! / d^k for k! / (d (d + 2) ...).
    assert_allclose(found.kappa, exact.kappa, rtol=0.003 if method == "eigenvectors" else 0.06)
    known = from_data(NETWORK, x, y, samples=sizes, ridge=1e-2, noise=0.25, method=method)
    assert_allclose(known.test_error, found.noisy_test_error - 0.25)


@pytest.mark.parametrize(
    ("points", "count", "bound"), [(1000, 6, 0.1), pytest.param(4000, 120, 0.15, marks=SLOW)]
)
def test_the_ansatz_holds_for_gaussian_data(points, count, bound):
    """Eigenvalues of a kernel matrix; a finite one exceeds the limit where they are small."""
    rng, dim = np.random.default_rng(2), 200
    variances = 1.0 / (np.arange(dim) + 6.0)
    variances /= variances.sum()
    x = rng.standard_normal((points, dim)) * np.sqrt(variances)
    right = np.linalg.eigvalsh(NETWORK.ntk_matrix(x))[::-1][:count] / points
    found = ansatz(NETWORK, "ntk", variances, count).eigenvalues
    assert_allclose(found, right, rtol=bound)


def test_powers_of_gaussian_data_are_those_of_the_polynomial():
    rng = np.random.default_rng(3)
    gammas = np.array([0.4, 0.3, 0.2, 0.1])
    z = rng.standard_normal((4000, 4))
    y = 2.0 * z[:, 0] + z[:, 1] * z[:, 3] + 0.5 * rng.standard_normal(4000)
    found = from_data(NETWORK, z * np.sqrt(gammas), y, method="hermite", noise=0.25).modes
    right = {(0,): 4.0, (1, 3): 1.0}
    for product, power in zip(found.products, found.power, strict=True):
        assert power == pytest.approx(right.get(product, 0.0), abs=0.15)
    assert found.rest[0] == pytest.approx(0.25, abs=0.02)
    assert found.power.sum() + found.rest[0] == pytest.approx(np.mean(y**2))


def test_noise_has_no_power_in_products():
    rng = np.random.default_rng(4)
    found = from_data(NETWORK, rng.standard_normal((600, 20)), rng.standard_normal(600),
                      method="hermite").modes  # fmt: skip
    assert found.cumulative[-1] < 0.1


# --- the parts of the ansatz ---------------------------------------------------------------------


def test_the_largest_eigenvalues_are_those_of_brute_force():
    """All products of 4 coordinates to degree 9, with the coefficients of the closed form of relu:
    K(t) = (sqrt(1 - t^2) + 2 (pi - arccos t) t) / (2 pi).
    """
    from mpmath import acos, mp, pi, sqrt, taylor

    mp.dps = 40
    coefficients = taylor(lambda t: (sqrt(1 - t * t) + 2 * (pi - acos(t)) * t) / (2 * pi), 0, 9)
    gammas = [0.28, 0.27, 0.24, 0.21]
    listed = []
    for degree, coefficient in enumerate(coefficients):
        level = [
            float(math.factorial(degree) * coefficient) * math.prod(gammas[i] for i in product)
            for product in combinations_with_replacement(range(4), degree)
        ]
        # Degrees whose sum is more than twice their part are a rest.
        if sum(level) <= 2.0 * float(coefficient) or coefficient == 0:
            listed += [value for value in level if value > 0.0]
    found = ansatz(Network("relu", trained="all"), "ntk", np.array(gammas), 1000)
    assert_allclose(found.eigenvalues, sorted(listed, reverse=True), rtol=1e-13)
    assert len(set(found.products)) == len(found.products) == len(listed)
    for product, value in zip(found.products, found.eigenvalues, strict=True):
        right = math.factorial(len(product)) * coefficients[len(product)]
        assert value == pytest.approx(float(right) * math.prod(gammas[i] for i in product))
    fewer = ansatz(Network("relu", trained="all"), "ntk", np.array(gammas), 7)
    assert_allclose(fewer.eigenvalues, found.eigenvalues[:7], rtol=1e-15)
    assert fewer.rest == pytest.approx(found.rest + found.eigenvalues[7:].sum(), rel=0.2)


def test_products_are_hermite_polynomials_of_scipy():
    z = np.random.default_rng(5).standard_normal((6, 3))
    found = hermite_products(z, ((), (2,), (0, 0, 0, 1), (1,) * 6))

    def h(k, x):
        return eval_hermitenorm(k, x) / math.sqrt(math.factorial(k))

    right = [np.ones(6), z[:, 2], h(3, z[:, 0]) * z[:, 1], h(6, z[:, 1])]
    assert_allclose(found, np.stack(right, axis=1), rtol=1e-12, atol=1e-14)


def test_whitened_coordinates_are_uncorrelated():
    x = prepared(
        np.random.default_rng(6).standard_normal((50, 3)) @ [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    )
    axes = principal_axes(x)
    assert axes.variances.size == 2 and axes.variances.sum() == pytest.approx(1.0)
    assert_allclose(axes.whitened.T @ axes.whitened / 50, np.eye(2), atol=1e-12)


# --- what must not matter ------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_order_rotations_shifts_and_units_do_not_matter(method):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((80, 4)) * [3.0, 2.0, 1.0, 0.5]
    y = np.stack([x[:, 0] * x[:, 1], np.sign(x[:, 2])], axis=1)
    options = dict(samples=[10, 40, 80], method=method)
    found = from_data(NETWORK, x, y, **options)
    order, turn = rng.permutation(80), ortho_group.rvs(4, random_state=8)
    again = from_data(NETWORK, 7.0 * x[order] @ turn + 5.0, y[order], **options)
    assert_allclose(again.test_error, found.test_error, rtol=1e-6)
    assert_allclose(again.modes.eigenvalues, found.modes.eigenvalues, rtol=1e-6, atol=1e-15)
    assert again.modes.products == found.modes.products
    assert again.scale == pytest.approx(7.0 * found.scale)


@pytest.mark.parametrize("method", METHODS)
def test_several_outputs_are_single_ones(method):
    rng = np.random.default_rng(9)
    x = rng.standard_normal((60, 5))
    y = np.stack([x[:, 0], x[:, 1] ** 2], axis=1)
    both = from_data(NETWORK, x, y, method=method)
    for i in (0, 1):
        one = from_data(NETWORK, x, y[:, i], method=method)
        assert_allclose(both.test_error[:, i], one.test_error, rtol=1e-9)
        assert_allclose(both.modes.power[:, i], one.modes.power, rtol=1e-9, atol=1e-12)
        assert one.test_error.shape == one.samples.shape and one.modes.power.ndim == 1


# --- what is exact -------------------------------------------------------------------------------


def test_with_all_points_the_error_is_that_at_points_left_out():
    rng = np.random.default_rng(10)
    x, ridge = rng.standard_normal((40, 3)), 0.02
    y = x[:, 0] + 0.3 * rng.standard_normal(40)
    found = from_data(NETWORK, x, y, samples=[40], ridge=ridge).test_error
    matrix = NETWORK.ntk_matrix(prepared(x))
    missed = []
    for i in range(40):
        others = np.delete(np.arange(40), i)
        system = matrix[np.ix_(others, others)] + ridge * np.eye(39)
        missed.append(y[i] - matrix[i, others] @ np.linalg.solve(system, y[others]))
    assert_allclose(found, np.mean(np.square(missed)), rtol=1e-9)


def test_the_loss_is_that_of_gradient_flow_on_the_points():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((30, 3))
    y = np.sin(x[:, 0])
    modes = from_data(NETWORK, x, y, centre=False).modes
    step, residual = 0.01, y.copy()
    matrix = NETWORK.ntk_matrix(x)
    for _ in range(2000):
        residual = residual - step * matrix @ residual / 30
    assert_allclose(modes.loss([0.0, 20.0]), [np.mean(y**2), np.mean(residual**2)], rtol=0.01)
    assert_allclose(modes.times, math.log(100.0) / modes.eigenvalues)
    assert modes.cumulative[-1] == pytest.approx(1.0)


def test_samples_that_grow_make_kappa_fall_and_the_ridge_scales():
    x = np.random.default_rng(12).standard_normal((100, 6))
    for method in METHODS:
        one = from_data(NETWORK, x, x[:, 0], samples=[20, 50, 100], ridge=1e-4, method=method,
                        ridge_scale="operator")  # fmt: skip
        assert_allclose(one.ridge, [2e-3, 5e-3, 1e-2])
        other = from_data(NETWORK, x, x[:, 0], samples=50, ridge=5e-3, method=method)
        assert_allclose(one.test_error[1], other.test_error[0], rtol=1e-9)
        assert np.all(np.diff(one.kappa) < 0.0)
        assert one.learnability.shape == (3, one.modes.ranks.size)
    beyond = from_data(NETWORK, x, x[:, 0], samples=[1000], method="hermite")
    assert 0.0 < beyond.test_error[0] < one.test_error[0]


def test_linear_regression_is_least_squares():
    """K = <x, y> without a ridge: noise n / (n - d) on new points, and (n - d) / n on the old."""
    rng = np.random.default_rng(17)
    x = rng.standard_normal((500, 8))
    y = x @ rng.standard_normal(8) + rng.standard_normal(500)
    found = from_data("polynomial(0, 1)", x, y, samples=[20, 400], ridge=0.0, kernel="nngp",
                      method="hermite")  # fmt: skip
    noise = found.modes.rest[0]
    n = found.samples
    assert noise == pytest.approx(1.0, abs=0.15)
    assert_allclose(found.kappa, 0.0)
    assert_allclose(found.noisy_test_error, noise * n / (n - 8.0), rtol=1e-12)
    assert_allclose(found.train_error, noise * (n - 8.0) / n, rtol=1e-12)


# --- real data -----------------------------------------------------------------------------------


def real(name):
    """Points that scikit-learn ships, standardized but for the digits, and targets."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, label = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits":
        return x, np.stack([2.0 * (label % 2) - 1.0, 2.0 * (label >= 5) - 1.0, label == 0], axis=1)
    x = StandardScaler().fit_transform(x)
    if name == "diabetes":
        return x, ((label - label.mean()) / label.std()).reshape(-1, 1)
    if name == "wine":
        return x, np.stack([2.0 * (label == 0) - 1.0, 2.0 * (label == 1) - 1.0], axis=1)
    return x, 2.0 * label.reshape(-1, 1) - 1.0


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("digits", [50, 200]),
        pytest.param("digits", [100, 600], marks=SLOW),
        ("breast_cancer", [50, 200]),
        ("diabetes", [50, 200]),
        ("wine", [40, 80]),
    ],
)
def test_measured_over_predicted_errors(name, sizes):
    """Random halves of the points predict; regression is done on random parts of all.

    The ranges are those of docs/from_data.rst, and the spread of a few repetitions.
    """
    pytest.importorskip("sklearn")
    x, y = real(name)
    if max(sizes) <= 200:
        x, y = x[:800], y[:800]
    found = measured(prepared(x), y, sizes, 1e-3, 6)
    for method, least, most in (("eigenvectors", 0.75, 1.3), ("hermite", 0.55, 1.25)):
        foretold = []
        for seed in range(3):
            half = np.random.default_rng(seed).permutation(len(x))[: len(x) // 2]
            foretold.append(from_data(NETWORK, x[half], y[half], samples=sizes, method=method))
        ratio = found / np.mean([one.test_error for one in foretold], axis=0)
        assert np.all((least < ratio) & (ratio < most)), ratio


# --- results and refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_results_are_tables_and_pictures(method):
    x = np.random.default_rng(13).standard_normal((30, 3))
    y = np.stack([x[:, 0], x[:, 1]], axis=1)
    found = from_data("relu", x, y, samples=[10, 20], method=method)
    assert found == from_data("relu", x, y, samples=[10, 20], method=method)
    frame, modes = found.to_pandas(), found.modes.to_pandas()
    assert len(frame) == 4 and {"samples", "output", "test_error"} <= set(frame)
    assert len(modes) == 2 * found.modes.ranks.size and set(modes["output"]) == {0, 1}
    assert_allclose(modes["power"], found.modes.power.ravel())
    assert_allclose(modes["time"][::2], found.modes.times)
    assert found.to_xarray()["test_error"].shape == (2, 2)
    assert found.modes.to_xarray()["power"].dims == ("rank", "output")
    assert len(found) == 2 and found[10].shape == (2,)
    assert "DataCurve: network = relu" in repr(found)
    from matplotlib.figure import Figure

    assert len(found.plot(Figure().subplots()).lines) == 2
    assert found.modes.plot(Figure().subplots()).lines


def test_repeated_points_are_said():
    x = np.random.default_rng(14).standard_normal((20, 3))
    x[5] = x[3]
    found = from_data(NETWORK, x, x[:, 0])
    assert found.repeated == 1 and "repeated = 1" in repr(found)
    with pytest.raises(NtkspecError, match="singular to rounding: 1 points are repeated"):
        from_data(NETWORK, x, x[:, 0], ridge=0.0)


@pytest.mark.parametrize("form", [np.asarray, list, lambda y: y.astype(object), np.ndarray.tolist])
def test_booleans_are_0_and_1(form):
    given = X[:, 0] > 0
    one = from_data(NETWORK, X, form(given), samples=[5, 10])
    right = from_data(NETWORK, X, given.astype(float), samples=[5, 10])
    assert np.array_equal(one.test_error, right.test_error)
    both = np.stack([given, ~given], axis=1)
    several = from_data(NETWORK, X, form(both), samples=[5, 10])
    assert several.test_error.shape == (2, 2)
    spectrum = data_spectrum(NETWORK, X, count=3)
    assert np.array_equal(
        target_modes(spectrum, form(given)).power, target_modes(spectrum, 1 * given).power
    )


def test_words_and_masks_are_no_booleans():
    for wrong in (["yes", "no"] * 10, np.ma.masked_array(X[:, 0] > 0, X[:, 1] > 0), [None] * 20):
        with pytest.raises(NtkspecError, match="targets"):
            from_data(NETWORK, X, wrong)


X = np.random.default_rng(15).standard_normal((20, 3))
Y = X[:, 0]


@pytest.mark.parametrize(
    ("points", "targets", "options", "words"),
    [
        (X[:, 0], Y, {}, "points of shape"),
        (X[:5], Y[:5], {}, "at least 10 vectors"),
        (np.zeros((0, 3)), np.zeros(0), {}, "points of shape"),
        ([["a"] * 3] * 20, Y, {}, "give numbers"),
        (np.where(X[4, 1] == X, np.nan, X), Y, {}, r"points\[4, 1\] = nan"),
        (X, np.where(Y[7] == Y, np.inf, Y), {}, r"targets\[7\] = inf"),
        (X, Y[:19], {}, "20 points have 19 targets"),
        (X, np.zeros((20, 0)), {}, "targets of shape"),
        (X, np.zeros((20, 1, 1)), {}, "targets of shape"),
        (X, Y, {"method": "fourier"}, "method = 'fourier'"),
        (X, Y, {"samples": [0]}, "at least 1"),
        (X, Y, {"samples": [21]}, "up to 20 samples"),
        (X, Y, {"ridge": -1.0}, "ridge = -1.0"),
        (X, Y, {"noise": 1e3}, "noise = 1000 is more than the mean square"),
        (X, np.stack([Y, 1e-3 * Y], 1), {"noise": 1e-2}, "of the targets of output 1"),
        (X, Y, {"noise": math.inf}, "noise = inf"),
        (1e-150 * X, Y, {}, "largest modulus of points is"),
        (X, 1e-150 * Y, {}, "largest modulus of targets is"),
        (X, Y, {"samples": np.array([5, 21])}, "samples = 21 is not allowed"),
        (X, Y, {"noise": math.nan}, "noise = nan"),
        (X, Y, {"error": 0.0}, "error = 0.0"),
        (X, Y, {"kernel": "rbf"}, "kernel = 'rbf'"),
        (X, Y, {"method": "hermite", "centre": False}, "centre = False"),
        (X, Y, {"centre": 1}, "centre = 1"),
        (np.full((20, 3), 0.1), Y, {}, "all points are equal"),
        (np.where(X[4, 1] == X, 1e200, X), Y, {}, r"points\[4, 1\] = 1e\+200"),
        (np.ones((MOST_POINTS + 1, 1)), np.ones(MOST_POINTS + 1), {}, "use method = 'hermite'"),
    ],
)
def test_what_is_refused(points, targets, options, words):
    with pytest.raises(NtkspecError, match=words):
        from_data("relu", points, targets, **options)


def test_the_ansatz_needs_taylor_coefficients():
    network = Network(user_activation(lambda x: x * (x > 0.3)))
    with pytest.raises(NtkspecError, match="use method = 'eigenvectors'"):
        from_data(network, X, Y, method="hermite")


def test_estimated_powers_fall_and_add_up():
    rng = np.random.default_rng(16)
    z, y = rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    found, rest = powers(z, ((), (0,), (1,), (2,), (0, 0), (0, 1)), y)
    assert np.all(found >= 0.0)
    assert_allclose(found.sum(axis=0) + rest, np.mean(y**2, axis=0))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 60), st.integers(1, 8), st.integers(1, 3))
def test_targets_have_their_power_along_eigenvectors_or_in_the_rest(seed, size, count, outputs):
    """Parseval, and the loss of gradient flow for all eigenvectors."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((size, 4)), rng.standard_normal((size, outputs))
    found = target_modes(data_spectrum("relu", x, count=count), y)
    assert_allclose(found.power.sum(axis=0) + found.rest, np.mean(y**2, axis=0), rtol=1e-12)
    whole = target_modes(data_spectrum("relu", x, count=size), y[:, 0])
    matrix = Network("relu").ntk_matrix(x) / size
    values, vectors = np.linalg.eigh(matrix)
    left = vectors @ (np.exp(-3.0 * values) * (vectors.T @ y[:, 0]))
    assert_allclose(whole.loss([3.0]), [np.mean(left**2)], rtol=1e-9)
    assert_allclose(whole.rest, 0.0, atol=1e-20)


@pytest.mark.parametrize("unit", [1e-90, 1e90])
def test_units_do_not_matter_as_far_as_points_are_accepted(unit):
    """A homogeneous kernel is that of points in another unit, times its square."""
    x, y = X * unit, Y
    expected = from_data("relu", X, y, samples=[5, 20], centre=False, ridge=0.0)
    found = from_data("relu", x, y, samples=[5, 20], centre=False, ridge=0.0)
    assert_allclose(found.test_error, expected.test_error, rtol=1e-6)
    assert_allclose(found.kappa, expected.kappa * unit**2, rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_ridge_beside_which_the_kernel_is_nothing_learns_nothing():
    found = from_data("relu", X, Y, samples=[5, 20], ridge=1e300)
    assert_allclose(found.test_error[1], np.mean(Y**2), rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_what_has_the_eigenvalue_0_is_left_for_ever():
    s = data_spectrum("relu", np.zeros((20, 2)), count=3)
    found = target_modes(s, Y)
    assert_allclose(found.loss([0.0, 1.0, math.inf]), np.mean(Y**2), rtol=1e-12)


@pytest.mark.parametrize("other", [5, spectrum("relu", 3, degrees=[0, 1])])
def test_modes_of_another_spectrum_are_refused(other):
    with pytest.raises(NtkspecError, match=r"give what ntkspec\.data_spectrum returns"):
        target_modes(other, Y)


def test_wrong_targets_of_a_spectrum():
    s = data_spectrum("relu", np.eye(5), count=2)
    for y, words in ((np.ones(4), "5 points have 4 targets"), (np.full(5, np.inf), "= inf is not")):
        with pytest.raises(NtkspecError, match=words):
            target_modes(s, y)


@pytest.mark.parametrize("seed", range(5))
def test_the_variance_of_targets_that_are_noise_is_allowed(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((60, 4)), 0.5 * rng.standard_normal(60)
    found = from_data("relu", x, y, noise=0.25, samples=[20])
    assert 0.0 <= found.test_error[0] < 1.0
