"""The job scripts that need no batch system to run: the shell loop, and PBS by its variables."""

import os
import signal
import subprocess
import sys
import time

import pytest
from paths import JOBS
from sweeping import assert_same_bits, make_table

from ntkspec.sweeps.merge import merge

RECIPE = """
dims = "2:40"
degrees = "0:120"
block_eigenvalues = 1000
[checks]
samples = 1
digits = 20
[[networks]]
activation = "relu"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose name has a space, as folders may."""
    made = tmp_path / "a folder"
    made.mkdir()
    (made / "small.toml").write_text(RECIPE)
    command = tmp_path / "our ntkspec"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m ntkspec "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("NTKSPEC", str(command))
    return made


def run(script, *arguments, **environment):
    return subprocess.run(
        [str(JOBS / script), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def by_one_process(folder):
    """The same table made by one process."""
    return make_table(folder / "small.toml", folder / "one.h5")


def test_the_shell_loop(folder):
    out = folder / "t.h5"
    done = run("shell-loop.sh", folder / "small.toml", out, 2)
    assert done.returncode == 0, done.stderr
    assert_same_bits(out, by_one_process(folder))


def test_the_shell_loop_says_where_a_shard_failed(folder):
    (folder / "small.toml").write_text(RECIPE.replace("relu", "rleu"))
    done = run("shell-loop.sh", folder / "small.toml", folder / "t.h5", 1)
    assert done.returncode == 2
    assert "rleu" in done.stderr
    assert "the same command again" in done.stderr
    assert not (folder / "t.h5").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_shell_loop_takes_its_processes_with_it(folder, number):
    (folder / "small.toml").write_text(RECIPE.replace('"relu"', '"gelu"\ndepth = 3'))
    process = subprocess.Popen(
        [str(JOBS / "shell-loop.sh"), "small.toml", "t.h5", "2"],
        cwd=folder,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2)
    process.send_signal(number)
    assert process.wait(20) == 130
    deadline = time.monotonic() + 20
    while _group_is_alive(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _group_is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_pbs_array(folder):
    given = dict(RECIPE="small.toml", OUT="t.h5", SHARDS="2", PBS_O_WORKDIR=str(folder))
    for name, index in (("PBS_ARRAY_INDEX", "1"), ("PBS_ARRAYID", "2")):
        done = run("pbs-array.sh", **given, **{name: index})
        assert done.returncode == 0, done.stderr
    out = folder / "t.h5"
    merge([f"{out}.parts"], out)
    assert_same_bits(out, by_one_process(folder))


@pytest.mark.parametrize("script", ["slurm-array.sh", "slurm-dask.sh", "shell-loop.sh"])
def test_without_arguments_scripts_say_what_they_need(script):
    done = run(script, "recipe.toml")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


def test_the_pbs_array_says_what_it_needs():
    done = run("pbs-array.sh", RECIPE="small.toml", OUT="t.h5")
    assert done.returncode != 0
    assert "SHARDS: give it with qsub -v" in done.stderr
