"""`make spectra` as a whole: killed, run to the end, run again."""

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
from table_numbers import datasets

ROOT = Path(__file__).parent.parent
RECIPE = """
dims = "2:60"
degrees = "0:300"
block_eigenvalues = 2000
checks = {samples = 3}
networks = [{activation = "relu"}, {activation = "leaky_relu"}, {activation = "sigmoid"},
            {activation = "tanh"}]
"""

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(),
    reason="make works in the checkout's own environment, and these tests run in another",
)


def make(folder, **options):
    """The make process, leader of a group of its own."""
    command = ["make", "spectra", f"OUT={folder}", f"RECIPE={folder / 'r.toml'}", "SAMPLES=6"]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **options)


def test_three_kills_then_the_same_bits_then_nothing_to_do(tmp_path):
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "r.toml").write_text(RECIPE)
    assert make(whole, **quiet).wait(timeout=200) == 0
    moments = random.Random()
    for _ in range(3):
        process = make(killed, **quiet)
        time.sleep(moments.uniform(0.5, 8.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert make(killed, **quiet).wait(timeout=200) == 0
    one, two = datasets(whole / "spectra.h5"), datasets(killed / "spectra.h5")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert sorted(p.name for p in killed.glob("f*")) == ["figure3.png", "figure3.svg"]

    before = {path: path.stat().st_mtime_ns for path in killed.iterdir()}
    assert make(killed, **quiet).wait(timeout=20) == 0
    assert {path: path.stat().st_mtime_ns for path in killed.iterdir()} == before
