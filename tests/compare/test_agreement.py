"""Predicted and measured rates of networks that train, at the width that a plan names."""

import math

import numpy as np
import pytest

import ntkspec
from ntkspec import GD, Network
from ntkspec.operators import Operator
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.network import start
from ntkspec.trainer.points import random_points
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.residual import Applied
from ntkspec.trainer.sobolev import L2Loss
from ntkspec.trainer.targets import applied

POINTS = {
    "circle": ntkspec.circle(16),
    "sphere": random_points(60, 3, seed=0),
    "ten": random_points(40, 10, seed=0),
}
SCREENED = Operator("laplace", -1.0)
BIASES = {
    "random": {"bias_variance": 0.5},
    "zero": {"bias_variance": 0.5, "bias": "zero"},
    "none": {},
}


def test_a_deep_network_agrees_with_infinite_width():
    run = ntkspec.train(
        Network("tanh", depth=2, trained="all", bias_variance=0.1), POINTS["circle"],
        ntkspec.harmonics([1, 2], 0.005), width=256, seeds=3, steps=100,
        optimizer=GD(step_size=0.5), threads=1,
    )  # fmt: skip
    found = run.compare()
    assert len(found) == 2
    for row in found:
        assert row.error_source == "random networks" and 0.01 < row.predicted_error < 0.05
        assert abs(row.points.ratio - 1.0) < 3.0 * row.predicted_error
        assert row.finite.ratio == pytest.approx(1.0, abs=0.005)


#: All pairs of a bias and points of two hidden layers, and those of three whose width is at most
#: 4096 and whose steps take seconds.
PLANNED = [
    *[
        (activation, 2, bias, points, 1)
        for activation in ("tanh", "gelu", "relu") for bias in BIASES for points in POINTS
    ],
    ("tanh", 3, "random", "circle", 1), ("tanh", 3, "zero", "circle", 1),
    ("tanh", 3, "zero", "sphere", 1), ("tanh", 3, "zero", "ten", 1),
    ("tanh", 3, "none", "sphere", 1), ("tanh", 3, "none", "ten", 1),
    ("tanh", 2, "random", "sphere", 2), ("tanh", 2, "zero", "circle", 2),
    ("gelu", 2, "random", "circle", 2), ("gelu", 2, "none", "sphere", 2),
    ("relu", 2, "none", "sphere", 2), ("relu", 2, "none", "ten", 2),
    ("relu", 3, "zero", "circle", 2),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "depth", "bias", "points", "degree"), PLANNED)
def test_at_the_planned_width_rates_are_within_three_percent(
    activation, depth, bias, points, degree
):
    """Of the points' rates; and within 0.5 % of those by each network's own kernel."""
    network = Network(activation, depth=depth, trained="all", **BIASES[bias])
    data, target = POINTS[points], ntkspec.harmonics(degree, 0.005)
    plan = ntkspec.plan(network, data, target, accuracy=0.03, threads=1)
    width = next(one.width for one in plan.options if one.seeds == 5)
    assert width <= 4096
    run = ntkspec.train(
        network, data, target, width=width, seeds=5, steps=plan.steps,
        optimizer=GD(step_size=plan.step_size), threads=1,
    )  # fmt: skip
    (row,) = run.compare()
    assert row.points.ratio == pytest.approx(1.0, abs=0.03)
    assert row.finite.ratio == pytest.approx(1.0, abs=0.005)
    assert row.verdict == row.finite.verdict == "agrees"


# --- minibatches ---------------------------------------------------------------------------------


def of_batches(kernel, residual, rows, batch, steps):
    """Variances (steps + 1, K) of linear functionals over the draws of the batches, exactly.

    With S the points drawn, E S = B/n and E S M S = pairs * M, so that the second moment M of the
    residual becomes E (1 - K S) M (1 - K S)'.
    """
    once, n = batch / len(residual), len(residual)
    pairs = np.full((n, n), once * (batch - 1) / (n - 1))
    np.fill_diagonal(pairs, once)
    mean, moment, found = residual, np.outer(residual, residual), []
    for _ in range(steps + 1):
        found.append(np.einsum("ki,ij,kj->k", rows, moment, rows) - (rows @ mean) ** 2)
        mean = mean - once * kernel @ mean
        mixed = once * kernel @ moment
        moment = moment - mixed - mixed.T + kernel @ (pairs * moment) @ kernel.T
    return np.array(found)


@pytest.mark.parametrize(
    ("depth", "operator", "draws"),
    [(1, None, 30), (1, SCREENED, 30), *[
        pytest.param(depth, operator, 500, marks=pytest.mark.slow)
        for depth in (1, 2) for operator in (None, SCREENED)
    ]],
)  # fmt: skip
def test_the_mean_over_batches_falls_as_full_descent_does(depth, operator, draws):
    """Of one network under its own kernel, within its exact error bars at each step."""
    data, batch, last = ntkspec.circle(24), 6, 60
    target, loss = ntkspec.harmonics([1, 3], 0.003, kind="sine"), L2Loss(data)
    network, size = Network("tanh", depth=depth, trained="all"), 0.5
    if operator is not None:
        target, size = applied(target, operator, 2), 0.15 / depth
    y = target.values(data.x)
    rows = np.array([target.component(k, data.x) for k in target.degrees]) * data.weights
    found = np.empty((draws, last + 1, 2))

    def observed():
        made = start(network, 128, 2, seed=0)
        return made if operator is None else Applied(made, operator)

    for draw in range(draws):
        made = observed()
        descent = Descent(made, data.x, y, loss, step_size=size, batch=batch, seed=draw, threads=1)
        for step in range(last + 1):
            found[draw, step] = rows @ descent.residual
            descent.advance(1)
    kernel = observed().tangent_matrix(data.x)
    training = LinearTraining(kernel, loss_factor(np.diag(data.weights)))
    mean = training.amplitudes(size, range(last + 1), -y, rows)
    variance = of_batches(size / batch * kernel, -y, rows, batch, last)
    error = np.sqrt(variance[1:] / draws)
    assert np.abs((found.mean(axis=0) - mean)[1:] / error).max() < 4.0
    spread = found.var(axis=0, ddof=1)[1:] / variance[1:]
    assert np.abs(spread.mean(axis=0) - 1.0).max() < 6.0 * math.sqrt(2.0 / draws)
    # The rate of the mean curve, with the error by leaving out a tenth after another.
    for k, exact in enumerate(mean.T):
        right = decay_rate(range(last + 1), exact)
        parts = [np.delete(found[..., k], np.s_[i::10], axis=0).mean(axis=0) for i in range(10)]
        rates = np.array([decay_rate(range(last + 1), one).rate for one in parts])
        measured = decay_rate(range(last + 1), found[..., k].mean(axis=0)).rate
        assert right.status == "measured"
        assert abs(measured - right.rate) < 3.0 * math.sqrt(9.0 * rates.var())
