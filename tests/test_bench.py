"""Every benchmark runs at its smallest setting and writes valid JSON."""

import json

import pytest

from bench import accuracy, estimate, growth, kernels, memory, pointwise, report, spectra, start


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "OUT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "run,names",
    [
        (accuracy.run, ["accuracy"]),
        (lambda: spectra.run(((6, 40),)), ["spectra"]),
        (lambda: estimate.run(every=40, repeats=1), ["estimate"]),
        (lambda: growth.run((1,)), ["growth", "single"]),
        pytest.param(lambda: start.run(1), ["start"], marks=pytest.mark.slow),
        (lambda: kernels.run(100, 10), ["kernels"]),
        (lambda: memory.run((10, 20), 30), ["memory"]),
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
