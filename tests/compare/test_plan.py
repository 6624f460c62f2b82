"""Plans: widths and seeds whose mean rates have the accuracy, by random networks' own kernels."""

import math

import numpy as np
import pytest

import ntkspec
from ntkspec import Network, NtkspecError, Sobolev
from ntkspec.compare import plan
from ntkspec.compare.scatter import own_rates

CIRCLE = ntkspec.circle(32)


@pytest.mark.parametrize(
    ("network", "degrees", "loss"),
    [
        (Network("relu"), [2, 4], "l2"),
        (Network("tanh", weight_variance=2.0, trained="all"), [1, 3], Sobolev(0.5)),
        (Network("tanh", bias="zero", bias_variance=0.5), [1, 2], "l2"),
        (Network("tanh", depth=2, bias_variance=0.1, trained="all"), [1, 2], "l2"),
    ],
    ids=str,
)
def test_means_over_seeds_have_the_accuracy(network, degrees, loss):
    """Of 24 groups of seeds, as many as two standard errors promise: 95 %, and the bias aside."""
    target = ntkspec.harmonics(degrees, 0.05)
    made = plan(network, CIRCLE, target, accuracy=0.1, loss=loss)
    assert made.source == ("exact" if network.depth == 1 and network.bias != "zero" else
                           "random networks")  # fmt: skip
    width, seeds = next((one for one in made.options if one.seeds == 5), made.options[0])
    steps = np.unique(np.rint(np.geomspace(1, made.steps, 150)).astype(int))
    at = ntkspec.trainer.sobolev.SobolevLoss(CIRCLE, 0.5) if loss != "l2" else None
    own = own_rates(
        network, CIRCLE, target, width, made.step_size, np.r_[0, steps],
        loss=at, networks=24 * seeds, first_seed=10_000,
    )  # fmt: skip
    means = own.ratios.reshape(24, seeds, -1).mean(axis=1)
    inside = np.abs(means - 1.0) < 0.1
    assert inside.mean(axis=0).min() >= 0.8
    # Nor is it twice as wide as needed: at a quarter of the width many miss it.
    small = own_rates(
        network, CIRCLE, target, max(4, width // 8) // 2 * 2, made.step_size, np.r_[0, steps],
        loss=at, networks=24 * seeds, first_seed=10_000,
    )  # fmt: skip
    assert (np.abs(small.ratios.reshape(24, seeds, -1).mean(axis=1) - 1.0) < 0.1).mean() < 0.95


def test_the_steps_show_every_degree():
    made = plan("relu", CIRCLE, ntkspec.harmonics([1, 2, 4], 0.05), accuracy=0.2)
    assert np.all((made.rates > 0.0) & (made.rates <= 0.2 * (1 + 1e-9)))
    assert (1.0 - made.rates.min()) ** made.steps == pytest.approx(0.08, rel=0.05)
    run = ntkspec.train(
        "relu", CIRCLE, ntkspec.harmonics([1, 2, 4], 0.05), width=made.width, seeds=2,
        steps=made.steps, optimizer=ntkspec.GD(step_size=made.step_size),
    )  # fmt: skip
    rows = run.compare().rows
    assert all(row.seeds == 2 for row in rows), "every degree is measured"
    assert all(abs(row.points.ratio - 1.0) < 0.4 for row in rows)


def test_it_is_shown():
    made = plan("tanh", CIRCLE, ntkspec.harmonics(1, 0.05), accuracy=0.2)
    assert repr(made).startswith("TrainingPlan(0.2 for degrees 1: ")
    frame = made.to_pandas()
    assert list(frame.columns) == ["width", "seeds", "steps", "seconds"]
    assert (frame.width[0], frame.seeds[0]) == (made.width, made.seeds)
    assert frame.seconds.is_monotonic_increasing and math.isfinite(frame.seconds.iloc[-1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(3)), "no degree of the target is learned"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), accuracy=0.0), "accuracy = 0.0"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), loss="l1"), "loss = 'l1'"),
        (lambda: plan("gaussian", CIRCLE, ntkspec.harmonics(14)), "leave it out, or give steps"),
        (lambda: plan("step", CIRCLE, ntkspec.harmonics(1)), "step has no neural tangent kernel"),
    ],
)
def test_nonsense_gets_one_sentence(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()
