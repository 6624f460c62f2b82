"""What spectra foretell, held against kernel regression that is really done on random points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg
from scipy.special import eval_gegenbauer

import ntkspec
from ntkspec import Network, NtkspecError, predict
from ntkspec.cli import main
from ntkspec.predict import (
    effective_dimension,
    learning_curve,
    learning_times,
    modes,
    samples_to_learn,
)
from ntkspec.predict.modes import log_multiplicity
from ntkspec.predict.times import sobolev_weights
from ntkspec.spectra.spectrum import multiplicity
from ntkspec.sweeps import Local, run_sweep
from ntkspec.trainer.points import circle, random_points
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss

# --- the witness ---------------------------------------------------------------------------------


def on_sphere(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    x = rng.standard_normal((n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def harmonic(dim: int, degree: int, t: np.ndarray) -> np.ndarray:
    """sqrt(N) P_k(t): a zonal harmonic of power 1, by scipy's Gegenbauer polynomials."""
    nu = 0.5 * (dim - 2)
    count = math.comb(degree + dim - 1, dim - 1) - (
        math.comb(degree + dim - 3, dim - 1) if degree > 1 else 0
    )
    return eval_gegenbauer(degree, nu, t) / eval_gegenbauer(degree, nu, 1.0) * math.sqrt(count)


class Regression:
    """Kernel ridge regression on n random points, its error measured on as many new points.

    Shares nothing with what it tests but the kernel's values: no spectrum enters.
    """

    def __init__(self, network, kernel, dim, power, noise, ridge, seed, fresh=600):
        self.network, self.kernel, self.dim, self.power = network, kernel, dim, power
        self.noise, self.ridge, self.fresh = noise, ridge, fresh
        self.rng = np.random.default_rng(seed)

    def once(self, n: int) -> tuple[float, float, dict[int, float]]:
        """Test error, training error, and the part of each degree's component that is learned."""
        x = on_sphere(self.rng, n + self.fresh, self.dim)
        gram = self.network.ntk_matrix(x) if self.kernel == "ntk" else self.network.nngp_matrix(x)
        parts = {
            k: math.sqrt(p) * harmonic(self.dim, k, x @ on_sphere(self.rng, 1, self.dim)[0])
            for k, p in self.power.items()
        }
        f = sum(parts.values())
        y = f[:n] + math.sqrt(self.noise) * self.rng.standard_normal(n)
        system = gram[:n, :n] + self.ridge * np.eye(n)
        found = gram[:, :n] @ linalg.solve(system, y, assume_a="pos")
        new = slice(n, None)
        learned = {k: float(found[new] @ g[new] / (g[new] @ g[new])) for k, g in parts.items()}
        error = float(np.mean((found[new] - f[new]) ** 2))
        return error, float(np.mean((found[:n] - y) ** 2)), learned


CASES = [
    # activation, parameters, kernel, dim, power, noise, ridge
    ("relu", {}, "ntk", 3, {1: 1.0, 4: 0.5}, 0.1, 1e-2),
    ("relu", {"trained": "all"}, "ntk", 10, {1: 1.0, 2: 1.0}, 0.1, 1e-2),
    ("tanh", {}, "ntk", 3, {1: 1.0, 3: 1.0}, 0.1, 1e-3),
    ("erf", {}, "nngp", 5, {1: 1.0, 3: 0.5}, 0.1, 1e-3),
    ("gelu", {"depth": 2, "trained": "all", "bias_variance": 0.1}, "ntk", 10, {2: 1.0}, 0.05, 0.0),
    # A degree whose eigenvalue is zero is never learned.
    ("relu", {}, "ntk", 10, {1: 1.0, 3: 1.0}, 0.0, 0.0),
]


def within_the_spread(case, n: int, repetitions: int, seed: int) -> None:
    """Errors and learned parts: the prediction is within two standard deviations of repetitions.

    So it cannot be told from one more repetition; means of many are tested apart.
    """
    name, parameters, kernel, dim, power, noise, ridge = case
    network = Network(name, **parameters)
    witness = Regression(network, kernel, dim, power, noise, ridge, seed)
    runs = [witness.once(n) for _ in range(repetitions)]
    curve = learning_curve(network, dim, [n], power, noise=noise, ridge=ridge, kernel=kernel)
    for predicted, measured in (
        (curve.test_error[0], [r[0] for r in runs]),
        (curve.train_error[0], [r[1] for r in runs]),
        *((curve.learnability[0, k], [r[2][k] for r in runs]) for k in power),
    ):
        # Interpolation leaves rounding alone on the training points.
        spread = 2.0 * np.std(measured, ddof=1) + 1e-9
        assert abs(predicted - np.mean(measured)) <= spread, (predicted, measured)


@pytest.mark.parametrize("case", CASES)
def test_learning_curves_lie_in_the_spread_of_regression(case):
    within_the_spread(case, 150, 12, 1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 500, 2000])
@pytest.mark.parametrize("case", CASES)
def test_learning_curves_lie_in_the_spread_up_to_2000_points(case, n):
    within_the_spread(case, n, 16, n)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("case", [CASES[1], CASES[3]])
def test_the_mean_of_many_repetitions(case, n):
    """With noise and ridge within 5 % of the mean of 200 repetitions, and three standard errors.

    The theory is exact for many modes only: the 5 % are its own.
    """
    name, parameters, kernel, dim, power, noise, ridge = case
    witness = Regression(Network(name, **parameters), kernel, dim, power, noise, ridge, n)
    measured = [witness.once(n)[0] for _ in range(200)]
    curve = learning_curve(
        Network(name, **parameters), dim, [n], power, noise=noise, ridge=ridge, kernel=kernel
    )
    slack = 0.05 * curve.test_error[0] + 3 * np.std(measured) / math.sqrt(200)
    assert abs(np.mean(measured) - curve.test_error[0]) < slack


@pytest.mark.parametrize(("name", "dim"), [("relu", 3), ("tanh", 3), ("gelu", 10)])
def test_effective_dimension_is_that_of_real_kernel_matrices(name, dim):
    """Tr K (K + n r)^-1 of random points, within three standard errors and 2 %."""
    network, rng, n = Network(name), np.random.default_rng(4), 250
    ridges = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    found = []
    for _ in range(6):
        values = linalg.eigvalsh(network.ntk_matrix(on_sphere(rng, n, dim)) / n)
        found.append([np.sum(values / (values + r)) for r in ridges])
    predicted = effective_dimension(network, dim, ridges, samples=n)
    slack = 3 * np.std(found, axis=0) / math.sqrt(6) + 0.02 * predicted.of_samples
    assert np.all(np.abs(np.mean(found, axis=0) - predicted.of_samples) < slack)
    # The operator itself, where n points hold far more functions than count.
    assert predicted.of_samples[0] == pytest.approx(predicted.effective_dimension[0], rel=0.05)
    assert np.all(predicted.of_samples < predicted.effective_dimension)
    assert np.all(predicted.second < predicted.effective_dimension)


@pytest.mark.parametrize(("name", "degree"), [("relu", 2), ("tanh", 3)])
def test_half_of_a_degree_is_learned_at_the_number_foretold(name, degree):
    network = Network(name)
    n = samples_to_learn(network, 10, degrees=[degree]).samples[0]
    witness = Regression(network, "ntk", 10, {degree: 1.0}, 0.0, 0.0, 7)
    for factor, expected in ((0.5, None), (1.0, 0.5), (2.0, None)):
        learned = np.mean([witness.once(round(factor * n))[2][degree] for _ in range(8)])
        if expected:
            assert learned == pytest.approx(expected, abs=0.06)
        else:
            assert (learned < 0.45) if factor < 1 else (learned > 0.55)


def test_times_are_those_of_gradient_flow_on_many_points():
    """Gradient flow of the kernel on equispaced points of the circle, integrated exactly."""
    network, points = Network("relu", trained="all"), circle(64)
    gram = network.ntk_matrix(points.x)
    angle = np.arctan2(points.x[:, 1], points.x[:, 0])
    for s in (0.0, 1.0):
        loss = SobolevLoss(points, s=s) if s else L2Loss(points)
        flow = gram @ loss.matrix()
        for degree in (1, 2, 4):
            t = learning_times(network, 2, 0.1, s=s, degrees=[degree]).times[0]
            left = linalg.expm(-t * flow) @ np.cos(degree * angle)
            # Aliases add the eigenvalues of degrees 64 - k, 64 + k, ..., 1 % at degree 4.
            assert np.linalg.norm(left) / np.linalg.norm(np.cos(degree * angle)) == pytest.approx(
                0.1, rel=0.03
            )


# --- invariants ----------------------------------------------------------------------------------


@given(
    n=st.floats(1.0, 1e6),
    ridge=st.sampled_from([0.0, 1e-6, 1e-2, 10.0]),
    name=st.sampled_from(["relu", "tanh", "gelu"]),
    dim=st.sampled_from([2, 3, 10, 1000]),
)
def test_kappa_solves_its_equation(n, ridge, name, dim):
    """n = sum N L + delta / kappa, summed plainly over the degrees, and within its bounds."""
    curve = learning_curve(name, dim, [n], {1: 1.0}, ridge=ridge)
    low, high = curve.kappa_bounds[0]
    assert low <= curve.kappa[0] <= high
    known = modes(name, dim)
    counts = np.exp(known.log_multiplicities + np.log(curve.learnability[0] + 1e-320))
    rest = np.array(known.rest) / curve.kappa[0]
    total = np.sum(counts) + ridge / curve.kappa[0]
    # The product N L has the error of ln Gamma; the rest is known to its bounds.
    assert total <= n * (1 + 1e-9) + 1e-9 * rest[1]
    assert total + rest[1] >= n * (1 - 1e-9)


@given(
    power=st.dictionaries(st.integers(0, 20), st.floats(0.0, 10.0), min_size=1, max_size=4),
    noise=st.floats(0.0, 2.0),
    ridge=st.floats(0.0, 1.0),
)
def test_errors_are_the_sums_of_their_degrees(power, noise, ridge):
    curve = learning_curve("tanh", 5, [3, 30, 300], power, noise=noise, ridge=ridge)
    assert np.all(curve.of_degree >= 0.0)
    assert_allclose(curve.of_degree.sum(axis=1), curve.test_error, rtol=1e-6, atol=1e-9)
    assert_allclose(curve.test_error + noise, curve.noisy_test_error, rtol=1e-12)
    assert np.all(curve.train_error <= curve.noisy_test_error * (1 + 1e-12))


def test_without_samples_that_matter_the_error_is_the_target():
    curve = learning_curve("relu", 10, [1], {0: 0.0, 2: 1.0}, ridge=1e9)
    assert curve.test_error[0] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 10, 1000])
def test_multiplicities_in_logarithms(dim):
    degrees = np.arange(60)
    assert_allclose(
        log_multiplicity(dim, degrees), np.log(multiplicity(dim, degrees)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("weight", ["power", "laplacian"])
@pytest.mark.parametrize("s", [-1.0, 0.5, 2.0])
def test_weights_are_the_trainers(weight, s):
    points = random_points(40, 3, 1)
    loss = SobolevLoss(points, s=s, weight=weight, max_degree=4)
    mine = np.exp(sobolev_weights(3, np.arange(5), s, weight))
    assert_allclose(mine, loss.multiplier(np.arange(5)), rtol=1e-14)


def test_times_beyond_doubles_and_of_steps():
    times = learning_times("tanh", 100, 0.5, degrees=[1, 2, 801])
    assert times.times[1] == math.inf
    assert times.log_times[1] == math.inf
    assert times.log_times[2] == pytest.approx(
        math.log(math.log(2.0)) - ntkspec.eigenvalues("tanh", 100, [801], log=True)[0], rel=1e-14
    )
    flow = learning_times("relu", 3, 0.1, degrees=[1])
    for step in (1e-6, 1e-2, 8.0, 16.0):
        steps = learning_times("relu", 3, 0.1, step_size=step, degrees=[1])
        assert steps.times[0] == pytest.approx(
            math.log(0.1) / math.log(abs(1 - step / 12)), rel=1e-9
        )
    slow = learning_times("relu", 3, 0.1, step_size=1e-9, degrees=[1])
    assert slow.times[0] * 1e-9 == pytest.approx(flow.times[0], rel=1e-8)


def test_polynomials_of_few_functions_are_learned_to_the_end():
    """K(t) = (1 + t)^2 / 4 has rank 9 at d = 3: from 9 points on nothing is left."""
    spectrum = ntkspec.spectrum(lambda t: (1 + t) ** 2 / 4, 3, range(3), tolerance=1e-10)
    curve = learning_curve(spectrum, None, [4, 20], {1: 1.0, 2: 1.0})
    assert curve.test_error[0] > 0.1
    assert curve.test_error[1] < 1e-6


def test_sources_agree(tmp_path):
    (tmp_path / "r.toml").write_text(
        'dims = [3, 5]\ndegrees = "0:129"\nchecks = {samples = 0}\nnetworks = [{activation="relu"}]'
    )
    run_sweep(tmp_path / "r.toml", tmp_path / "t.h5", Local(1))
    with ntkspec.open_table(tmp_path / "t.h5") as table:
        part = table.select("relu")
    curves = [
        learning_curve(source, 5, [20, 200], {1: 1.0})
        for source in ("relu", Network("relu"), ntkspec.spectrum("relu", 5, range(129)), part,
                       modes("relu", 5))
    ]  # fmt: skip
    for curve in curves[1:]:
        assert_allclose(curve.test_error, curves[0].test_error, rtol=1e-10)
    with pytest.raises(NtkspecError, match=r"dim = None is not allowed; the slice.* 3, 5"):
        modes(part)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: learning_times("relu", error=1.0), "error = 1.0 is not allowed"),
        (lambda: learning_times("relu", error="x"), "error = 'x'"),
        (lambda: learning_times("relu", weight="h1", degrees=[1]), "weight = 'h1'"),
        (lambda: learning_times("relu", step_size=100.0, degrees=[0, 1]), "must be below 24"),
        (lambda: learning_times("relu", step_size=-1.0), "step_size = -1.0"),
        (lambda: learning_times("relu", degrees=[]), "degrees = "),
        (lambda: effective_dimension("relu", ridge=0.0), "ridge = 0.0"),
        (lambda: effective_dimension("relu", max_degree=-1), "max_degree = -1"),
        (lambda: learning_curve("relu", samples=[0.5]), "samples = "),
        (lambda: learning_curve("relu", power={}), "power = {}"),
        (lambda: learning_curve("relu", power={1: -1.0}), "power = "),
        (lambda: learning_curve("relu", noise=-1), "noise = -1"),
        (lambda: learning_curve("relu", ridge=math.nan), "ridge = nan"),
        (
            lambda: learning_curve(modes("relu", max_degree=3), power={5: 1.0}),
            "degree of the target = 5 is not among",
        ),
        (lambda: samples_to_learn("relu", level=1.0), "level = 1.0"),
        (lambda: modes(ntkspec.spectrum("relu", 3, [0], normalization="surface")), "surface"),
        (lambda: modes(ntkspec.spectrum("relu", 3, [0]), 4), "dim = 4"),
    ],
)
def test_bad_input_is_said_in_a_sentence(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()


@pytest.mark.parametrize(
    "line",
    [
        "times tanh --degrees 1:12:2 --error 0.1 --s 1 --weight laplacian",
        "times relu --degrees 1 --step 0.5",
        "samples relu --dim 10 --degrees 0:5",
        "curve relu --dim 10 --target 1:1 --target 2:0.5 --noise 0.1 --ridge 1e-3",
        "freedom gelu --depth 3 --ridge 1e-2 --ridge 1e-4",
    ],
)
@pytest.mark.parametrize("layout", ["text", "csv", "json"])
def test_the_command(line, layout):
    result = CliRunner().invoke(main, ["predict", *line.split(), "--format", layout])
    assert result.exit_code == 0, result.output
    assert "nan" not in result.output.lower()
    if layout == "csv" and line.startswith("samples"):
        rows = [row.split(",") for row in result.output.splitlines()]
        assert rows[0][:2] == ["degree", "samples"]
        assert rows[4][1] == "inf"
        assert float(rows[2][1]) == samples_to_learn("relu", 10, degrees=[1]).samples[0]


@pytest.mark.parametrize("line", ["curve relu --target a:1", "times relu --error 2"])
def test_the_command_says_what_is_wrong(line):
    result = CliRunner().invoke(main, ["predict", *line.split()])
    assert result.exit_code == 2
    assert "is not allowed" in result.output


def test_it_is_reached_from_the_package():
    assert ntkspec.predict is predict
