"""Momentum and minibatches: predicted decays against the iterations themselves."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg

import ntkspec
from ntkspec import NtkspecError, predict
from ntkspec.cli import main
from ntkspec.predict.descent import log_times_to, settled

# --- the heavy ball -------------------------------------------------------------------------------


def decay(x: float, beta: float) -> float:
    """-ln of the larger modulus of the two roots, by mpmath at 60 digits."""
    with mpmath.workdps(60):
        x, beta = mpmath.mpf(x), mpmath.mpf(beta)
        middle = (1 + beta - x) / 2
        root = mpmath.sqrt(middle**2 - beta)
        return float(-mpmath.log(max(abs(middle + root), abs(middle - root))))


def predicted(x: float, beta: float) -> float:
    log_time = log_times_to(math.exp(-1.0), np.log([x]), 1.0, beta)
    return math.exp(-float(log_time[0]))


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-300, 1.0), st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.999]))
def test_the_decay_of_a_step_is_that_of_the_larger_root(part, beta):
    """From the smallest rates to the edge of stability, where 1 - |z| would cancel."""
    x = part * 2.0 * (1.0 + beta) * (1.0 - 1e-6)
    edges = [(1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2]
    if min(abs(x / edge - 1.0) for edge in edges) < 1e-9:
        return  # a double root: the modulus moves like a square root
    assert predicted(x, beta) == pytest.approx(decay(x, beta), rel=1e-9)


@pytest.mark.parametrize("beta,x", [(0.5, 0.05), (0.9, 0.001), (0.9, 1.0), (0.9, 3.79), (0.0, 1.7)])
def test_the_iteration_falls_at_the_predicted_rate(beta, x):
    values = [1.0, 1.0 - x]
    for _ in range(20000):
        now, before = values[-1], values[-2]
        values.append(now - x * now + beta * (now - before))
        if abs(values[-1]) < 1e-250:
            break
    size = np.log(np.abs(np.array(values)) + 1e-300)
    # Peaks, as a component may oscillate.
    first, last = len(size) // 4, len(size) - 1
    peak = [size[i : i + 40].max() for i in (first, last - 40)]
    assert (peak[0] - peak[1]) / (last - 40 - first) == pytest.approx(predicted(x, beta), rel=0.03)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
def test_stability_ends_at_twice_one_plus_momentum(beta):
    rate = math.exp(predict.learning_times("tanh", 3, degrees=[1]).log_rates[0])
    edge = 2.0 * (1.0 + beta) / rate
    below = predict.learning_times(
        "tanh", 3, degrees=[1], step_size=edge * (1 - 1e-9), momentum=beta
    )
    assert below.times[0] > 1e6
    with pytest.raises(NtkspecError, match=f"must be below {edge:.6g}"):
        predict.learning_times("tanh", 3, degrees=[1], step_size=edge * (1 + 1e-9), momentum=beta)


def test_without_momentum_it_is_plain_descent():
    one = predict.learning_times("relu", 3, degrees=[1, 2, 4], step_size=3.0)
    assert_allclose(one.times, math.log(0.01) / np.log1p(-3.0 * np.exp(one.log_rates)), rtol=1e-13)
    assert one.momentum == 0.0 and "momentum" not in repr(one)


def test_the_best_step_and_momentum_are_best():
    """Neither a change of the step nor one of the momentum makes the slowest degree faster."""
    degrees = [1, 3, 5]
    best = predict.learning_times("tanh", 3, degrees=degrees, momentum="best")
    assert np.ptp(best.times) < 1e-5 * best.times[0]
    low, high = np.exp([best.log_rates.min(), best.log_rates.max()])
    root = (math.sqrt(high) - math.sqrt(low)) / (math.sqrt(high) + math.sqrt(low))
    assert best.momentum == pytest.approx(root**2)
    assert best.step_size == pytest.approx(4.0 / (math.sqrt(high) + math.sqrt(low)) ** 2)
    for step in (0.9, 0.99, 1.01, 1.1):
        for shift in (-0.05, -0.005, 0.0, 0.005, 0.02):
            size, beta = best.step_size * step, best.momentum + shift
            if size * high < 2.0 * (1.0 + beta):
                other = predict.learning_times(
                    "tanh", 3, degrees=degrees, step_size=size, momentum=beta
                )
                assert other.times.max() > best.times.max() * (1 - 1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.7])
def test_the_best_step_for_a_momentum(beta):
    best = predict.learning_times("tanh", 3, degrees=[1, 3, 5], step_size="best", momentum=beta)
    for factor in (0.95, 1.02):
        if best.step_size * factor * math.exp(best.log_rates.max()) >= 2 * (1 + beta):
            continue
        other = predict.learning_times(
            "tanh", 3, degrees=[1, 3, 5], step_size=best.step_size * factor, momentum=beta
        )
        assert other.times.max() > best.times.max() * (1 - 1e-9)


def test_a_pinn_with_momentum():
    found = predict.pinn("tanh", 3, degrees=[1, 3, 5], momentum="best")
    slow = predict.pinn("tanh", 3, degrees=[1, 3, 5], step_size="best")
    assert found.times.max() < 0.7 * slow.times.max()


# --- minibatches ----------------------------------------------------------------------------------


class Minibatches:
    """The mean of r r' over all draws, without a spectrum: B of n points of the circle, sin.

    Of the residual of u'' - u, if so, by derivatives of the kernel on a finer grid.
    """

    def __init__(self, n: int, batch: int, eta: float, residual: bool = False) -> None:
        angles, grid = 2 * np.pi * np.arange(n) / n, np.pi * np.arange(2 * n) / n
        self.angles, self.n, self.batch = angles, n, batch
        values = math.exp(-1.0) * np.cos(grid) * np.cosh(np.cos(grid))
        if residual:
            values = np.fft.irfft((np.arange(n + 1) ** 2 + 1) ** 2 * np.fft.rfft(values))
        self.kernel = eta / batch * linalg.toeplitz(values[::2])
        once = batch / n
        self.pairs = np.full((n, n), once * (batch - 1) / (n - 1))
        np.fill_diagonal(self.pairs, once)
        self.once = once

    def step(self, moment: np.ndarray) -> np.ndarray:
        """E (1 - K S) M (1 - K S)', S the drawn points: E S = B/n, E S M S = pairs * M."""
        k = self.kernel
        mixed = self.once * k @ moment
        return moment - mixed - mixed.T + k @ (self.pairs * moment) @ k.T

    def energy(self, moment: np.ndarray, degree: int) -> float:
        waves = np.stack([np.cos(degree * self.angles), np.sin(degree * self.angles)])
        waves *= math.sqrt(2.0) / self.n
        return float(np.einsum("ai,ij,aj->", waves, moment, waves))


def predicted_energies(n, batch, eta, residual, **options):
    source = {"source": "sin", "domain": 2, "max_degree": n // 2 - 1}
    if residual:
        source = {"source": predict.pinn("sin", 2, "laplace(shift=-1)", degrees=range(n // 2))}
    return predict.minibatch_curve(step_size=eta, samples=n, batch=batch, **source, **options)


@pytest.mark.parametrize("n,batch,eta,residual", [
    (24, 4, 2.0, False), (24, 1, 0.5, False), (24, 23, 3.0, False), (24, 24, 3.0, False),
    (28, 6, 0.1, True), (28, 1, 0.02, True),
])  # fmt: skip
def test_energies_are_exact_where_points_integrate_exactly(n, batch, eta, residual):
    exact = Minibatches(n, batch, eta, residual)
    r = np.sqrt(2.0) * (np.cos(exact.angles) + 0.5 * np.sin(3 * exact.angles + 0.3))
    moment = np.outer(r, r)
    found = predicted_energies(n, batch, eta, residual, power={1: 1.0, 3: 0.25}, steps=range(8))
    for step in range(8):
        wanted = [exact.energy(moment, k) for k in (1, 3, 5)]
        assert_allclose(found.energy[step, [1, 3, 5]], wanted, rtol=1e-10, atol=1e-14)
        assert found.loss[step] == pytest.approx(np.trace(moment) / n, rel=1e-10)
        moment = exact.step(moment)


def test_energies_of_many_random_draws():
    """The recursion against descent that is really run."""
    n, batch, eta, steps, draws = 24, 6, 2.0, 5, 4000
    one = Minibatches(n, batch, eta)
    rng = np.random.default_rng(0)
    r = np.tile(np.sqrt(2.0) * np.cos(one.angles), (draws, 1))
    for _ in range(steps):
        drawn = rng.permuted(np.tile(np.arange(n) < batch, (draws, 1)), axis=1)
        r = r - (r * drawn) @ one.kernel
    found = predict.minibatch_curve(
        "sin", 2, eta, samples=n, batch=batch, power={1: 1.0}, steps=[steps], max_degree=11
    )
    squares = np.mean(r**2, axis=1)
    error = squares.std() / math.sqrt(draws)
    assert abs(squares.mean() - found.loss[0]) < 4 * error < 0.1 * found.loss[0]
    mean = np.mean(r @ np.cos(one.angles)) * math.sqrt(2.0) / n
    assert mean**2 == pytest.approx(found.mean_energy[0, 1], rel=0.1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("n,batch", [(24, 2), (24, 6), (24, 20), (24, 23)])
def test_the_threshold_is_where_the_mean_square_grows(n, batch, residual):
    edge = predicted_energies(n, batch, 1.0, residual).most_step_size
    for factor, grows in ((0.98, False), (1.02, True)):
        exact = Minibatches(n, batch, factor * edge, residual)
        wave = np.cos(exact.angles)
        moment, sizes = np.outer(wave, wave), [0.0]
        for _ in range(1000):
            moment = exact.step(moment)
            size = np.trace(moment)
            moment = 0.5 * (moment + moment.T) / size
            sizes.append(sizes[-1] + math.log(size))
        assert (sizes[1000] - sizes[500] > 1.0) == grows


def test_both_conditions_decide():
    """Full batches: 2 / lambda; nearly full ones: the second condition, just below it."""
    top = ntkspec.eigenvalues("sin", 2, degrees=[1])[0]
    full = predict.minibatch_curve("sin", 2, samples=24, batch=24)
    assert full.most_step_size == pytest.approx(2.0 / top, rel=1e-12)
    for batch in (1, 8, 23):
        found = predict.minibatch_curve("sin", 2, samples=24, batch=batch)
        omega = (24 - batch) / (batch * 23)
        s = ntkspec.spectrum("sin", 2, degrees=range(40))
        x = found.most_step_size * s.eigenvalues
        assert np.all(x * (1 - omega) < 2.0)
        assert np.sum(omega * s.multiplicities * x / (2 - x * (1 - omega))) == pytest.approx(1.0)


def test_the_rest_of_the_trace_counts_in_the_threshold():
    far = predict.minibatch_curve("relu", 3, samples=500, batch=5, max_degree=300)
    near = predict.minibatch_curve("relu", 3, samples=500, batch=5, max_degree=30)
    assert near.most_step_size == pytest.approx(far.most_step_size, rel=2e-3)


def test_steps_in_any_order_and_shapes_of_results():
    one = predict.minibatch_curve("relu", 3, samples=64, batch=8, steps=[5, 0, 2])
    two = predict.minibatch_curve("relu", 3, samples=64, batch=8, steps=[0, 2, 5])
    assert_allclose(one.energy, two.energy[[2, 0, 1]])
    assert one.energy.shape == (3, one.degrees.size) and len(one) == 3
    assert_allclose(one.energy.sum(axis=1), one.loss)


def test_energies_beyond_doubles_are_infinite():
    found = predict.minibatch_curve(
        "relu", 3, 1e3, samples=500, batch=5, power={1: 1.0, 3: 0.5}, steps=[0, 2000, 3000]
    )
    moved = found.degrees[np.isinf(found.energy[1])]
    assert {0, 1, 2} <= set(moved.tolist()) and 3 not in moved
    assert not np.isnan(found.energy).any() and found.energy[2, found.degrees == 3] == [0.5]


def test_minibatches_of_a_residual():
    """The residual's eigenvalues take the place of the kernel's."""
    residual = predict.pinn("sin", 2, "laplace(shift=-1)", degrees=range(12))
    found = predict.minibatch_curve(residual, None, 0.2, samples=24, batch=6, power={1: 1.0})
    rates = np.exp(residual.log_rates)
    omega = (24 - 6) / (6 * 23)
    x, counts = 0.2 * rates, np.r_[1.0, np.full(11, 2.0)]
    wanted = np.zeros(12)
    wanted[1] = 1.0
    once = (1 - x) ** 2 * wanted + omega * x**2 * (counts * wanted.sum() - wanted)
    assert_allclose(found.energy[1], once, rtol=1e-12)


# --- what is refused ------------------------------------------------------------------------------


def curve(source="tanh", domain=3, step_size=1.0, **options):
    return predict.minibatch_curve(
        source, domain, step_size, **{"samples": 8, "batch": 2, **options}
    )


@pytest.mark.parametrize("call,message", [
    (lambda: predict.learning_times("tanh", 3, optimizer="adam"), "'adam' is not predicted"),
    (lambda: predict.learning_times("tanh", 3, optimizer=3), "optimizer = 3"),
    (lambda: predict.learning_times("tanh", 3, momentum=0.9), "without a step_size"),
    (lambda: predict.learning_times("tanh", 3, momentum=1.0, step_size=1.0), "momentum = 1.0"),
    (lambda: predict.learning_times("tanh", 3, momentum=-0.1, step_size=1.0), "momentum = -0.1"),
    (lambda: predict.learning_times("tanh", 3, momentum="x", step_size=1.0), "momentum = 'x'"),
    (lambda: predict.learning_times("tanh", 3, step_size="x"), "step_size = 'x'"),
    (lambda: predict.learning_times("tanh", 3, step_size=math.nan), "step_size = nan"),
    (lambda: predict.learning_times("tanh", 3, step_size=1.0, momentum="best"), "comes with"),
    (lambda: predict.learning_times("tanh", 3, step_size="best", degrees=[2]), "no best value"),
    (lambda: predict.learning_times("tanh", 3, step_size="best", degrees=[1, 901]), "in doubles"),
    (lambda: curve(batch=9), "batch = 9"),
    (lambda: curve(samples=1), "samples = 1"),
    (lambda: curve(batch=0), "batch = 0"),
    (lambda: curve(steps=[-1]), "steps = -1"),
    (lambda: curve(steps=[0.5]), "give whole numbers"),
    (lambda: curve(steps=[10**7]), "steps = 10000000"),
    (lambda: curve(step_size=0.0), "step_size = 0.0"),
    (lambda: curve(power={999: 1.0}), "degree of the target = 999"),
    (lambda: curve(power={1: -1.0}), "power"),
    (lambda: curve(optimizer="adam"), "'adam' is not predicted"),
    (lambda: curve(predict.pinn("tanh", 3, s=1.0), None), "L2 of the residual alone"),
    (lambda: curve(predict.pinn("tanh", 3, degrees=[1, 3]), None), r"every degree takes part"),
    (lambda: curve(predict.pinn("tanh", 3, degrees=range(4)), None), "the last two have"),
    (lambda: curve(predict.pinn("tanh", 3), 3), "leave them out"),
])  # fmt: skip
def test_what_is_not_allowed_is_refused_in_a_sentence(call, message):
    with pytest.raises(NtkspecError, match=message):
        call()


@pytest.mark.parametrize("options", [{"step_size": "best"}, {"momentum": "best"}])
def test_best_values_are_for_the_degrees_that_are_learned(options):
    never = predict.learning_times("relu", 3, degrees=[1, 2, 9, 11, 4], **options)
    learned = predict.learning_times("relu", 3, degrees=[1, 2, 4], **options)
    assert (never.step_size, never.momentum) == (learned.step_size, learned.momentum)
    assert np.isposinf(never.times).tolist() == [False, False, True, True, False]
    with pytest.raises(NtkspecError, match=r"exactly 0.*parity.*bias"):
        predict.learning_times("relu", 3, degrees=[9, 11], **options)
    biased = ntkspec.Network("relu", bias_variance=0.1)
    assert np.isfinite(predict.learning_times(biased, 3, degrees=[9, 11], **options).times).all()


def test_settled_values_of_one_degree():
    one = np.array([0.0])
    assert settled(one, "best", "best", np.array([3]), one) == (pytest.approx(1.0), 0.0)


@pytest.mark.parametrize("degrees", [[8], [2, 8], [0, 4, 8]])
@pytest.mark.parametrize(
    "times",
    [
        lambda **options: predict.learning_times("relu", 2, error=0.1, **options),
        lambda **options: predict.pinn("gelu", 2, "laplace(shift=-1)", error=0.1, **options),
        lambda **options: predict.pinn(
            "gelu", 2, "laplace(shift=-1)", error=0.1, points=40, **options
        ),
    ],
)
def test_degrees_that_are_not_asked_about_do_not_diverge(times, degrees):
    """The best step is that of all degrees up to the last, and a larger one is refused."""
    whole = times(degrees=range(9))
    largest = 2.0 * math.exp(-float(np.max(whole.log_rates)))
    slowest = np.exp(whole.log_rates[degrees]).min()
    best = times(degrees=degrees, step_size="best")
    assert best.step_size == pytest.approx(2.0 / (2.0 / largest + slowest), rel=1e-12)
    assert np.all(best.times > 1.0)
    times(degrees=degrees, step_size=0.999 * largest)
    with pytest.raises(NtkspecError, match="diverges, it must be below"):
        times(degrees=degrees, step_size=1.001 * largest)


# --- the command line -----------------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_the_command_takes_a_momentum():
    done = run("times", "tanh", "--degrees", "1,3", "--momentum", "best", "--format", "csv")
    assert done.exit_code == 0, done.output
    times = [float(line.split(",")[2]) for line in done.stdout.split()[1:]]
    assert (
        times == predict.learning_times("tanh", 3, degrees=[1, 3], momentum="best").times.tolist()
    )


def test_the_command_prints_energies():
    done = run(
        "minibatch", "tanh", "--samples", 100, "--batch", 10, "--target", "1:1", "--target", "3:1",
        "--steps", "0,5", "--format", "csv",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    head, *rows = done.stdout.split()
    assert head == "step,degree,energy,mean_energy,loss,most_step_size" and len(rows) == 4
    found = predict.minibatch_curve(
        "tanh", 3, samples=100, batch=10, power={1: 1.0, 3: 1.0}, steps=[0, 5]
    )
    assert float(rows[2].split(",")[2]) == found.energy[1, 1]
