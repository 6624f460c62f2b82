"""Every benchmark runs at its smallest setting and writes valid JSON."""

import json

import pytest

from bench import (
    accuracy,
    data,
    engine,
    estimate,
    growth,
    inputs,
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
        (lambda: data.run(("wine",), 2, 2), ["data"]),
        (lambda: spectra.run(((6, 40),)), ["spectra"]),
        (lambda: engine.run(("relu", "gelu"), (1,), (2, 3), 9, 5.0), ["engine"]),
        (lambda: estimate.run(every=60, repeats=1), ["estimate"]),
        (lambda: growth.run((1,)), ["growth", "single"]),
        pytest.param(lambda: start.run(1), ["start"], marks=pytest.mark.slow),
        pytest.param(lambda: inputs.run(20, 16, 30, 700), ["inputs"], marks=pytest.mark.slow),
        (lambda: kernels.run(100, 10), ["kernels"]),
        pytest.param(lambda: memory.run((10, 20), 30), ["memory"], marks=pytest.mark.slow),
        pytest.param(
            lambda: scale.run(1, (2, 20), 2**20), ["scale", "scale-costs"], marks=pytest.mark.slow
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


def test_a_sweep_is_limited_by_its_workers_its_client_or_its_disk():
    block = (0.1, 1e6)  # 10^6 of them
    assert scale.hours(block, 10, 1e12, 36.0, 1e-3) == pytest.approx(((1e4 + 36) / 3600, "workers"))
    assert scale.hours(block, 1000, 1e12, 0.0, 1e-3)[1] == "client and scheduler"
    assert scale.hours(block, 1000, 1e12, 0.0, 0.0)[1] == "workers"
    assert scale.hours(block, 1000, 1.6e9, 0.0, 1e-3) == (1e4 / 3600, "file system")
