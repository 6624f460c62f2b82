"""Every benchmark runs at its smallest setting and writes valid JSON."""

import dataclasses
import json

import pytest

from bench import (
    accuracy,
    engine,
    estimate,
    growth,
    kernels,
    memory,
    pointwise,
    report,
    scale,
    spectra,
    start,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "OUT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "run,names",
    [
        (accuracy.run, ["accuracy"]),
        (lambda: spectra.run(((6, 40),)), ["spectra"]),
        (lambda: engine.run(("relu", "gelu"), (1,), (2, 3), 9, 5.0), ["engine"]),
        (lambda: estimate.run(every=60, repeats=1), ["estimate"]),
        (lambda: growth.run((1,)), ["growth", "single"]),
        pytest.param(lambda: start.run(1), ["start"], marks=pytest.mark.slow),
        (lambda: kernels.run(100, 10), ["kernels"]),
        pytest.param(lambda: memory.run((10, 20), 30), ["memory"], marks=pytest.mark.slow),
        pytest.param(  # starts six clusters; what it simulates is tested below
            lambda: scale.run((2**10,), (1, 20), tasks=50, repeats=1, deep=2**9, real=0.5),
            ["scale", "scale-blocks", "scale-inputs", "scale-validation"],
            marks=pytest.mark.slow,
        ),
        (lambda: pointwise.run((1,), 10, theirs=False), ["pointwise"]),
    ],
)
def test_it_runs_and_writes_json(run, names, folder):
    goals = run()
    for name in names:
        document = json.loads((folder / f"{name}.json").read_text())
        assert document["rows"]
        assert document["machine"]["cores"] >= 1
    assert all(isinstance(goal["met"], bool) for goal in goals)


def test_accuracy_goals_are_met():
    assert all(goal["met"] for goal in accuracy.run())


BLOCKS = scale.Costs(seconds=[1.0], bytes=1.0, scheduler=1e-3, start=0.0, rate=1e9)


@pytest.mark.parametrize("workers", [1, 7, 200])
def test_few_workers_are_all_busy(workers):
    outcome = scale.simulate(BLOCKS, workers, 10**7)
    assert outcome.seconds == pytest.approx(10**7 / workers, rel=0.02)
    assert outcome.limit == "compute"


@pytest.mark.parametrize("workers", [2000, 20_000])
def test_many_workers_are_held_up_by_the_scheduler(workers):
    outcome = scale.simulate(BLOCKS, workers, 10**7)
    assert outcome.seconds == pytest.approx(10**7 * BLOCKS.scheduler, rel=0.02)
    assert outcome.limit == "scheduler"
    assert outcome.efficiency == pytest.approx(1 / (workers * BLOCKS.scheduler), rel=0.02)


def test_a_file_system_has_its_rate():
    slow = dataclasses.replace(BLOCKS, rate=100.0, scheduler=0.0)
    outcome = scale.simulate(slow, 1000, 10**6)
    assert outcome.seconds == pytest.approx(10**4, rel=0.02)
    assert outcome.limit == "file system"


def test_a_single_task_takes_its_parts():
    costs = scale.Costs(seconds=[3.0], bytes=50.0, scheduler=0.25, start=2.0, rate=100.0)
    assert scale.simulate(costs, 1, 1).seconds == 2.0 + 3.0 + 0.5
    assert scale.simulate(dataclasses.replace(costs, start=0.0), 1, 1).seconds == 0.25 + 3.0 + 0.5
