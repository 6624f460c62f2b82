"""What ``compare``, ``plot`` and ``info`` say of a run whose trainings are not all finished."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ntkspec
from training import run_of

from ntkspec.compare import compare
from ntkspec.plots import run_picture
from ntkspec.plots.comparison import comparison_picture
from ntkspec.trainer.runs import open_run, train_run, training

RECIPE = """
steps = 60
records = 20
network = {activation = "relu", width = [32, 64], seeds = 3}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2], amplitudes = 0.1}
loss = {s = ["l2", 0.5]}
"""
NAMES = [
    f"{loss},width={width},seed={seed}"
    for loss in ("l2", "s=0.5")
    for width in (32, 64)
    for seed in range(3)
]


class Stopped(Exception):
    """Stands for a kill: no interrupt that is kept."""


def stop_in(monkeypatch, number: int, error: type[BaseException]) -> None:
    """Let `number` trainings finish, and stop the next one in its middle."""
    steps, begun = training.Descent.advance, []

    def stopping(self, count):
        if self.steps == 0:
            begun.append(None)
        if len(begun) > number and self.steps > 20:
            raise error
        steps(self, count)

    monkeypatch.setattr(training.Descent, "advance", stopping)


def unfinished(folder, number: int, error: type[BaseException] = KeyboardInterrupt):
    (folder / "r.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, number, error)
        with pytest.raises(error):
            train_run(folder / "r.toml", folder / "run.h5", threads=1, checkpoint=0.0)
    return folder / "run.h5"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_of(RECIPE, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def stopped_in_the_fifth(tmp_path_factory):
    """Four trainings are finished, and one is in its middle."""
    return unfinished(tmp_path_factory.mktemp("stopped"), 4)


def test_a_whole_run_misses_nothing(whole):
    result = ntkspec("compare", whole, "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["complete"] and found["missing"] == []
    assert {row["expected"] for row in found["rows"]} == {3}
    assert "missing" not in ntkspec("compare", whole).output


@pytest.mark.parametrize(
    ("number", "error"), [(0, KeyboardInterrupt), (2, Stopped), (9, KeyboardInterrupt)]
)
def test_what_is_missing_is_named(whole, tmp_path, number, error):
    path = unfinished(tmp_path, number, error)
    run = open_run(path)
    status = "interrupted" if error is KeyboardInterrupt else "training"
    done = run.members[number].steps_done
    assert [one.name for one in run.missing] == NAMES[number:]
    assert [one.status for one in run.missing] == [status] + ["not begun"] * (11 - number)
    words = [f"{NAMES[number]}: {status} after {done} of 60 steps"]
    words += [f"{name}: not begun" for name in NAMES[number + 1 :]]

    text = ntkspec("compare", path)
    assert text.exit_code == 1
    assert f"{number} of 12 trainings are finished; missing:" in text.stdout
    assert all(word in text.stdout for word in words)

    table = ntkspec("compare", path, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    found = json.loads(ntkspec("compare", path, "--format", "json").stdout)
    assert table.exit_code == 1 and all(word in table.stderr for word in words)
    assert [one["name"] for one in found["missing"]] == NAMES[number:]
    assert not found["complete"]

    finished = set(NAMES[:number])
    expected = {(r.loss, r.width, r.degree): r for r in compare(open_run(whole)).rows}
    by_json = {(row["loss"], row["width"], row["degree"]): row for row in found["rows"]}
    assert by_json.keys() == expected.keys()  # nothing is left out silently
    for key, right in expected.items():
        mine = [name for name in NAMES if name.startswith(f"{key[0]},width={key[1]},")]
        row, count = by_json[key], len(finished & set(mine))
        assert row["seeds"] <= count and row["expected"] == 3
        if count == 3:
            assert row["points"]["verdict"] == right.points.verdict
            assert (row["seeds"], row["measured"]) == (right.seeds, right.measured)
            assert row["missing"] == []
        else:
            assert {row[level]["verdict"] for level in ("continuum", "points", "finite")} == {
                "no verdict"
            }
            assert "the run is unfinished" in row["points"]["reason"]
            assert [one.partition(":")[0] for one in row["missing"]] == mine[count:]
    for row in rows:
        if row["width"] == "inf":
            continue
        right = by_json[row["loss"], int(row["width"]), int(row["degree"])]
        assert row["missing"] == "; ".join(right["missing"])
        assert (row["seeds"], row["expected"]) == (str(right["seeds"]), "3")
    for limit in found["extrapolated"]:
        done = all(name in finished for name in NAMES if name.startswith(limit["loss"] + ","))
        assert done or limit["points"]["verdict"] == "no verdict"


def test_pictures_name_what_is_missing(stopped_in_the_fifth, tmp_path):
    path = stopped_in_the_fifth
    run = open_run(path)
    comparison_picture(compare(run), run, [tmp_path / "c.svg"])
    run_picture(run, [tmp_path / "r.svg"], tmp_path / "r.csv")
    for name in ("c.svg", "r.svg"):
        text = (tmp_path / name).read_text()  # matplotlib writes words as comments too
        assert "8 trainings of the run not finished:" in text
        assert NAMES[4] in text and "and 5 more" in text
    rows = list(csv.DictReader((tmp_path / "r.csv").open()))
    missing = [row for row in rows if row["panel"] == "missing"]
    assert [(r["loss"], r["width"], r["seed"]) for r in missing] == [
        (loss, width.partition("=")[2], seed.partition("=")[2])
        for loss, width, seed in (name.split(",") for name in NAMES[4:])
    ]
    assert missing[0]["series"] == "interrupted" and float(missing[0]["x"]) > 20
    result = ntkspec("plot", path, "-o", tmp_path / "again.png")
    assert result.exit_code == 0 and f"{NAMES[5]}: not begun" in result.stderr
    result = ntkspec("compare", path, "--picture", tmp_path / "c.png")
    assert result.exit_code == 1 and (tmp_path / "c.png").exists()
    printed = ntkspec("compare", path, "--format", "csv").stdout
    result = ntkspec("compare", path, "-o", tmp_path / "c.csv")
    assert result.exit_code == 1 and (tmp_path / "c.csv").read_text() == printed
    assert result.stdout == ""


def test_with_nothing_finished_there_is_no_picture(tmp_path):
    path = unfinished(tmp_path, 0)
    for command, option in (("plot", "-o"), ("compare", "--picture")):
        result = ntkspec(command, path, option, tmp_path / "c.png")
        assert result.exit_code == 2 and "Traceback" not in result.output
    assert not (tmp_path / "c.png").exists()
    result = ntkspec("compare", path)
    assert result.exit_code == 1 and "0 of 12 trainings are finished" in result.stdout


def test_info_counts_what_is_finished(stopped_in_the_fifth):
    text = ntkspec("info", stopped_in_the_fifth).stdout
    assert "5 of 12 trainings have begun, 4 are finished" in text


@pytest.mark.parametrize("at", [0.3, 0.7, None])
def test_a_damaged_checkpoint_is_named(stopped_in_the_fifth, tmp_path, at):
    """A byte is flipped, or half of the file is gone; the others are compared."""
    shutil.copytree(stopped_in_the_fifth.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / stopped_in_the_fifth.name
    run = open_run(path)
    victim = run.members[1]._file
    content = bytearray(victim.read_bytes())
    if at is None:
        content = content[: len(content) // 2]
    else:
        content[int(at * len(content))] ^= 1
    victim.write_bytes(content)
    result = ntkspec("compare", path)
    assert result.exit_code == 1 and f"{NAMES[1]}: damaged" in result.stdout
    assert "3 of 12 trainings are finished" in result.stdout
    text = ntkspec("info", path).stdout
    assert "3 are finished" in text and f"damaged, to be trained again: {victim}" in text


def test_a_diverged_training_is_named(tmp_path, monkeypatch):
    """The run ends without one seed, and its comparison is not a plain one."""
    (tmp_path / "r.toml").write_text(RECIPE)
    steps, begun = training.Descent.advance, []

    def exploding(self, count):
        if self.steps == 0:
            begun.append(None)
        if len(begun) == 2 and self.steps > 20:
            raise training.Diverged("the loss grew")
        steps(self, count)

    with monkeypatch.context() as patch:
        patch.setattr(training.Descent, "advance", exploding)
        train_run(tmp_path / "r.toml", tmp_path / "run.h5", threads=1)
    run = open_run(tmp_path / "run.h5")
    assert run.finished and [(one.name, one.status) for one in run.missing] == [
        (NAMES[1], "diverged")
    ]
    result = ntkspec("compare", tmp_path / "run.h5")
    assert result.exit_code == 1 and f"{NAMES[1]}: diverged after" in result.stdout
    rows = [row for row in compare(run).rows if (row.loss, row.width) == ("l2", 32)]
    assert {row.verdict for row in rows} == {"no verdict"}
    assert {row.expected for row in rows} == {3}


def test_a_killed_training_is_compared_for_what_it_is(tmp_path):
    """SIGKILL at some moment, as a batch system does it."""
    long = RECIPE.replace("steps = 60", "steps = 60000").replace("[32, 64]", "[64]")
    (tmp_path / "r.toml").write_text(long)
    out = tmp_path / "run.h5"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ntkspec", "train", str(tmp_path / "r.toml")),
            *("-o", str(out), "--checkpoint", "0.1"),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    parts = tmp_path / "run.h5.parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("*0.h5")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run = open_run(out)
    assert not run.finished and 0 < len(run.missing) <= 6
    result = ntkspec("compare", out)
    assert result.exit_code == 1
    assert f"{6 - len(run.missing)} of 6 trainings are finished" in result.stdout
    for one in run.missing:
        assert str(one) in result.stdout
    assert all(
        math.isnan(row.kernel_movement) or np.isfinite(row.kernel_movement)
        for row in compare(run).rows
    )
