"""Predictions on the torus, against sums over all frequencies and regression really done."""

import math

import command_line
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

import ntkspec
from ntkspec import Network, NtkspecError, Torus, predict

SMOOTH = Network("erf", bias_variance=0.3)
KINKED = Network("relu", bias_variance=0.1)
LINE, PLANE = Torus([[1], [2]], amplitudes=[1.0, 0.7]), Torus([[1, 0], [0, 1], [1, 1]])
CUBE = Torus.plain(3)
#: Points of a grid in each coordinate, on which sums are those of all frequencies to rounding.
POINTS = {1: 256, 2: 64, 3: 24}
#: What the frequencies beyond the grid add, which fold into it.
FOLDED = {1: 1e-12, 2: 1e-12, 3: 1e-9}


def all_frequencies(network, torus):
    """Eigenvalue of every frequency vector: the Fourier transform of the kernel's values."""
    n, dim = POINTS[torus.dim], torus.dim
    axes = np.meshgrid(*[np.arange(n) / n] * dim, indexing="ij")
    x = torus.features(np.stack(axes, axis=-1).reshape(-1, dim))
    values = network.ntk_matrix(x[:1], x).reshape((n,) * dim)
    return np.maximum(np.fft.fftn(values).real / n**dim, 0.0)


def kappa_of(every, n, ridge):
    """The root of n = sum lambda / (lambda + kappa) + ridge / kappa."""

    def excess(log):
        kappa = math.exp(log)
        return float(np.sum(every / (every + kappa))) + ridge / kappa - n

    return math.exp(brentq(excess, -30.0, 10.0, xtol=1e-13))


@pytest.mark.parametrize("torus", [LINE, PLANE, CUBE])
def test_effective_dimensions_are_sums_over_all_frequencies(torus):
    every, rtol = all_frequencies(SMOOTH, torus), FOLDED[torus.dim]
    found = predict.effective_dimension(SMOOTH, torus, [1e-1, 1e-2, 1e-3], samples=50)
    for i, r in enumerate(found.ridge):
        right = float(np.sum(every / (every + r)))
        assert found.effective_dimension[i] == pytest.approx(right, rel=rtol * 1e3)
        assert found.bounds[i, 0] * (1 - 1e-9) <= right <= found.bounds[i, 1] * (1 + 1e-9)
        assert found.second[i] == pytest.approx(float(np.sum((every / (every + r)) ** 2)), rel=1e-6)
        kept = 50 - 50 * r / kappa_of(every, 50, 50 * r)
        assert found.of_samples[i] == pytest.approx(kept, rel=1e-6)
    # A term for each frequency and its negative.
    modes = predict.modes(SMOOTH, torus)
    some = modes.places((2,) * torus.dim)[0]
    value = every[(2,) * torus.dim]
    assert_allclose(found.of_degree[:, some], 2.0 * value / (value + found.ridge), rtol=1e-6)


@pytest.mark.parametrize("torus, m", [(LINE, (3,)), (PLANE, (1, -2)), (CUBE, (0, 1, 1))])
def test_learning_curves_and_sample_sizes_are_sums_over_all_frequencies(torus, m):
    every = all_frequencies(SMOOTH, torus)
    ridge, noise, n = 1e-2, 0.1, 30
    kappa = kappa_of(every, n, ridge)
    learned = every / (every + kappa)
    power = {m: 0.75, tuple(-x for x in m): 0.25, (0,) * torus.dim: 0.5}
    missed = (1.0 - learned[m]) ** 2 * 1.0 + (1.0 - learned[(0,) * torus.dim]) ** 2 * 0.5
    noisy = n / (n - np.sum(learned**2)) * (missed + noise)
    curve = predict.learning_curve(SMOOTH, torus, [n], power, noise=noise, ridge=ridge)
    assert curve.kappa[0] == pytest.approx(kappa, rel=1e-6)
    assert curve.test_error[0] == pytest.approx(noisy - noise, rel=1e-6)
    assert curve.test_error_bounds[0] == pytest.approx([noisy - noise] * 2, rel=1e-4)
    assert curve.of_degree.sum() == pytest.approx(curve.test_error[0], rel=1e-6)
    sizes = predict.samples_to_learn(SMOOTH, torus, 0.2, size=2, ridge=ridge)
    for row, samples, bounds in zip(sizes.degrees, sizes.samples, sizes.bounds, strict=True):
        level = every[tuple(np.atleast_1d(row))] * 0.2 / 0.8
        right = np.sum(every / (every + level)) + ridge / level
        assert samples == pytest.approx(right, rel=1e-6)
        assert bounds[0] * (1 - 1e-6) <= right <= bounds[1] * (1 + 1e-6)
    # One of each frequency and its negative.
    assert len(sizes.samples) == (5**torus.dim + 1) // 2


def test_one_frequency_is_the_circle():
    torus, target = Torus([[1]]), {1: 1.0, 2: 0.5}
    curves = [
        predict.learning_curve(KINKED, where, [20, 100], target, noise=0.1, ridge=1e-2)
        for where in (torus, 2)
    ]
    assert_allclose(curves[0].test_error, curves[1].test_error, rtol=1e-3)
    sizes = [
        predict.samples_to_learn(KINKED, where, degrees=range(5)).samples for where in (torus, 2)
    ]
    assert_allclose(*sizes, rtol=1e-4)
    dims = [predict.effective_dimension(KINKED, where, 1e-3).bounds[0] for where in (torus, 2)]
    assert dims[0][0] <= dims[1][1] and dims[1][0] <= dims[0][1]


def target(x):
    """A function of a torus of any dimension, with many frequencies."""
    return np.exp(np.cos(2 * np.pi * x[:, 0])) + np.sin(2 * np.pi * (x[:, 0] + 2.0 * x[:, -1]))


@pytest.mark.parametrize("network", [SMOOTH, KINKED])
@pytest.mark.parametrize("torus", [LINE, PLANE])
def test_a_curve_is_that_of_regression_really_done(network, torus):
    n, noise, ridge, rng = 150, 0.1, 0.1, np.random.default_rng(1)
    power = predict.power(target, torus, max_degree=8)
    curve = predict.learning_curve(network, torus, [n], power, noise=noise, ridge=ridge)
    errors = []
    for _ in range(40):
        x, new = rng.random((n, torus.dim)), rng.random((300, torus.dim))
        inputs = torus.features(x)
        labels = target(x) + math.sqrt(noise) * rng.standard_normal(n)
        weights = np.linalg.solve(network.ntk_matrix(inputs) + ridge * np.eye(n), labels)
        found = network.ntk_matrix(torus.features(new), inputs) @ weights
        errors.append(np.mean((found - target(new)) ** 2))
    # The theory takes the waves at the points to be Gaussian; the mean has a standard error of 7 %.
    assert abs(curve.test_error[0] / np.mean(errors) - 1.0) < 0.15
    # Other features predict something else.
    other = predict.learning_curve(
        network, Torus(8 * np.eye(torus.dim)), [n], power, noise=noise, ridge=ridge
    )
    assert abs(other.test_error[0] / np.mean(errors) - 1.0) > 0.3


@pytest.mark.parametrize("torus", [LINE, PLANE, CUBE])
@pytest.mark.parametrize("network", [SMOOTH, KINKED])
def test_bounds_hold_with_more_frequencies(network, torus):
    few, many = (ntkspec.spectrum(network, torus, size) for size in (3, 12 if torus.dim < 3 else 6))
    curves = [
        predict.learning_curve(one, samples=[5, 30, 300], power={(1,) * torus.dim: 1.0}, noise=0.1)
        for one in (few, many)
    ]
    low, high = curves[0].test_error_bounds.T
    assert np.all((low <= curves[1].test_error) & (curves[1].test_error <= high))
    dims = [predict.effective_dimension(one, ridge=[1e-2, 1e-4]) for one in (few, many)]
    (low, high), right = dims[0].bounds.T, dims[1].effective_dimension
    assert np.all((low <= right) & (right <= high))


def test_eigenvalues_that_are_not_known_are_in_the_rest():
    whole = ntkspec.spectrum(KINKED, PLANE, 96, tolerance=math.inf)
    some = ntkspec.spectrum(KINKED, PLANE, 96, tolerance=1e-3)
    assert np.isnan(some.eigenvalues).any()
    modes = predict.modes(some)
    assert modes.log_eigenvalues.size < (2 * 96 + 1) ** 2 // 2
    assert modes.rest[1] > predict.modes(whole).rest[0]
    beyond = whole.eigenvalues[np.isnan(some.eigenvalues)]
    assert beyond[np.isfinite(beyond)].max() <= math.exp(modes.log_largest_beyond)
    # What is known of a target there counts as never learned, and a power of one's own is refused.
    bad = np.argwhere(np.isnan(some.eigenvalues))[0] - [0, 96]
    with pytest.raises(NtkspecError, match="not among the frequencies that are known"):
        predict.learning_curve(some, samples=[10], power={tuple(bad.tolist()): 1.0})


def test_results_name_frequencies():
    found = predict.learning_curve(SMOOTH, PLANE, [10, 20], {(0, -1): 1.0}, max_degree=2)
    data = found.to_xarray()
    row = predict.modes(SMOOTH, PLANE, max_degree=2).places((0, 1))[0]
    assert data["power"].values[row] == 1.0 == data["power"].values.sum()
    assert (data["frequency_1"].values[row], data["frequency_2"].values[row]) == (0, 1)
    for one in (found, predict.effective_dimension(SMOOTH, PLANE, max_degree=2)):
        assert "row" in one.axes() and one == one and repr(one)
    line = predict.samples_to_learn(SMOOTH, LINE, degrees=[3, 1])
    assert line.columns()["frequency"].tolist() == [3, 1]
    assert predict.samples_to_learn(SMOOTH, PLANE).degrees.max() == 12


@pytest.mark.parametrize(
    "call, message",
    [(lambda: predict.learning_curve("erf", PLANE, [10], {1: 1.0}), r"\(m_1, m_2\): power"),
     (lambda: predict.learning_curve("erf", PLANE, [10], [0.0, 1.0]), "dimension 2"),
     (lambda: predict.learning_curve("erf", LINE, [10], {1: -1.0}), "{m: power}"),
     (lambda: predict.learning_curve("erf", LINE, [10], {1.5: 1.0}), "{m: power}"),
     (lambda: predict.learning_curve("erf", LINE, [10], {3: 1.0}, max_degree=2), "up to 2"),
     (lambda: predict.learning_curve(
         "erf", PLANE, [10], predict.power(lambda x: x[:, 0], dim=3)), "the target's"),
     (lambda: predict.samples_to_learn("erf", PLANE, degrees=[1]), "give size"),
     (lambda: predict.samples_to_learn("erf", LINE, degrees=[1], size=2), "both given"),
     (lambda: predict.samples_to_learn("erf", 3, size=2), "of a torus"),
     (lambda: predict.samples_to_learn(ntkspec.spectrum("erf", LINE, 4), size=5), "smaller"),
     (lambda: predict.effective_dimension(ntkspec.spectrum("erf", LINE, 4), PLANE), "what is"),
     (lambda: predict.effective_dimension("erf", PLANE, max_degree=5000), "frequencies up to 5000"),
     (lambda: predict.minibatch_curve("erf", LINE, samples=10, batch=2), "has frequencies")],
)  # fmt: skip
def test_what_is_not_allowed_on_a_torus(call, message):
    with pytest.raises(NtkspecError, match=message):
        call()


@pytest.mark.parametrize(
    "arguments, found",
    [(("times", "--size", 1), lambda: predict.learning_times("erf", PLANE, size=1)),
     (("samples", "--size", 1), lambda: predict.samples_to_learn("erf", PLANE, size=1)),
     (("freedom", "--ridge", 0.01), lambda: predict.effective_dimension("erf", PLANE, 0.01)),
     (("curve", "--target", "1,-2:1", "--samples", 10),
      lambda: predict.learning_curve("erf", PLANE, 10, {(1, -2): 1.0}))],
)  # fmt: skip
def test_the_commands_on_a_torus(arguments, found):
    command, *options = arguments
    torus = ("--domain", "torus", "--frequencies", "1,0;0,1;1,1")
    done = command_line.ntkspec("predict", command, "erf", *torus, *options, "--format", "csv")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    columns = found().columns()
    assert lines[0].split(",") == list(columns)
    rows = np.array([line.split(",") for line in lines[1:]], dtype=float)
    assert_allclose(rows, np.stack([*columns.values()], axis=1).astype(float))


def test_the_commands_on_a_torus_of_one_dimension():
    torus = ("--domain", "torus", "--frequencies", "1,2", "--format", "csv")
    done = command_line.ntkspec("predict", "times", "erf", *torus)
    assert done.stdout.splitlines()[0].startswith("frequency,")
    assert len(done.stdout.splitlines()) == 14
    done = command_line.ntkspec(
        "predict", "curve", "erf", *torus, "--target", "3:1", "--samples", 10, "--by-degree"
    )
    assert done.stdout.splitlines()[0] == "samples,frequency,learnability,bias,variance"
    assert done.stdout.splitlines()[1].startswith("10.0,3,")
