"""Plans: widths and seeds whose mean rates have the accuracy, by random networks' own kernels."""

import math
from dataclasses import replace

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


def test_the_title_promises_nothing_of_degrees_without_a_rate():
    made = plan("tanh", CIRCLE, ntkspec.harmonics([1, 2, 3], 0.05), accuracy=0.2)
    assert made.degrees == (1, 2, 3) and made.rates[1] == 0.0
    assert "for degrees 1, 3: " in made.title() and made.title().endswith("; no rate of 2)")


@pytest.mark.parametrize(
    ("network", "power"), [(Network("tanh"), 1), (Network("tanh", depth=2), 2)]
)
def test_the_time_counts_steps_and_records(network, power, monkeypatch):
    """As that of `ntkspec train --plan`, from steps at the width itself up to 1024."""
    measured = []

    def shortest(work):
        work()
        measured.append(work)
        return 1.0

    monkeypatch.setattr("ntkspec.trainer.runs.estimate._shortest", shortest)
    made = plan(network, CIRCLE, ntkspec.harmonics([1, 3], 0.05), accuracy=0.03, steps=400)
    assert len(measured) == 2 * len(made.options), "a step and a record of each"
    widths = [one.width for one in made.options]
    assert min(widths) < 1024 < max(widths)
    for one, seconds in zip(made.options, made.seconds, strict=True):
        more = max(1.0, one.width / 1024) ** power
        assert seconds == pytest.approx(one.seeds * (400 + 201) * more)


def test_times_are_shown_in_readable_units():
    made = replace(
        plan("tanh", CIRCLE, ntkspec.harmonics(1, 0.05), accuracy=0.2),
        seconds=np.array([0.02, 110.0, 7300.0, 1.38896e6, 1e10]),
    )
    assert made.summary()["time"] == ["20 ms", "110 s", "2.0 h", "16 days", "317 years"]
    assert "16 days" in repr(made) and made.to_pandas().seconds[3] == 1.38896e6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(3)), "no degree of the target is learned"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), accuracy=0.0), "accuracy = 0.0"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), loss="l1"), "loss = 'l1'"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), step_size="a"), "step_size = 'a'"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), step_size=-1), "step_size = -1"),
        (
            lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), step_size=1e9),
            r"step_size = 1e\+09 is not allowed; at infinite width it must be below 16",
        ),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), steps=0), "steps = 0"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), steps=1.5), "steps = 1.5"),
        (lambda: plan("relu", CIRCLE, ntkspec.harmonics(2), steps=1), "too few to measure a rate"),
        (lambda: plan("gaussian", CIRCLE, ntkspec.harmonics(14)), "leave it out, or give steps"),
        (lambda: plan("step", CIRCLE, ntkspec.harmonics(1)), "step cannot be trained by gradient"),
    ],
)
def test_nonsense_gets_one_sentence(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()
