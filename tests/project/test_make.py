"""`make spectra` as a whole: killed, run to the end, run again; the bits are one process's."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from manual import NUMBER, README, blocks, commands
from paths import ROOT
from table_numbers import datasets

from ntkspec.sweeps import run_shard
from ntkspec.sweeps.merge import merge

RECIPE = """
dims = "2:20"
degrees = "0:200"
block_eigenvalues = 1000
checks = {samples = 1, digits = 20}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(),
    reason="make works in the checkout's own environment, and these tests run in another",
)


def make(folder, **options):
    """The make process, leader of a group of its own."""
    command = ["make", "spectra", f"OUT={folder}", f"RECIPE={folder / 'r.toml'}", "SAMPLES=2"]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **options)


def check_readme(printed, folder):
    """What is printed has the lines that the README shows, in order, but for other numbers."""
    (console,) = blocks(README, "console")
    shown = dict(commands(console.text))
    (wanted,) = (lines for line, lines in shown.items() if line.startswith("make spectra"))
    there = iter(NUMBER.sub("#", printed.replace(str(folder), "out")).splitlines())
    for line in wanted:
        assert line == "..." or NUMBER.sub("#", line) in there, f"{line} is not in\n{printed}"


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_kills_then_the_same_bits_then_nothing_to_do(tmp_path, kills):
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "r.toml").write_text(RECIPE)
    run_shard(whole / "r.toml", whole / "spectra.h5", "1/1")
    merge([whole / "spectra.h5.parts"], whole / "spectra.h5")
    moments = random.Random()
    for _ in range(kills):
        process = make(killed, **quiet)
        time.sleep(moments.uniform(0.5, 5.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    whole_run = make(killed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed, _ = whole_run.communicate(timeout=200)
    assert whole_run.returncode == 0, printed
    check_readme(printed, killed)
    one, two = datasets(whole / "spectra.h5"), datasets(killed / "spectra.h5")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert sorted(p.name for p in killed.glob("f*")) == ["figure3.png", "figure3.svg"]

    before = {path: path.stat().st_mtime_ns for path in killed.iterdir()}
    assert make(killed, **quiet).wait(timeout=20) == 0
    assert {path: path.stat().st_mtime_ns for path in killed.iterdir()} == before
