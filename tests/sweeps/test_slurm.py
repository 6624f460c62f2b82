"""Sweeps on a real SLURM: arrays, jobs of dask workers, kills; the same bits at the end."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from local_slurm import NoSlurmError, local_slurm
from paths import JOBS
from table_numbers import datasets

from ntkspec.errors import NtkspecError
from ntkspec.sweeps.batch import Batch
from ntkspec.sweeps.clusters import dask_client

pytestmark = pytest.mark.slurm

# Hundreds of small blocks: seconds of work, to be killed in the middle.
RECIPE = """
dims = "2:32"
degrees = "0:200"
block_eigenvalues = 50
[checks]
samples = 1
digits = 20
[[networks]]
activation = "tanh"
[[networks]]
activation = "relu"
depth = 2
"""
BLOCKS = 290
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


class Slurm:
    """Commands run from one folder."""

    def __init__(self, environment, folder):
        self.environment, self.folder = environment, folder

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def start(self, *command):
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def submit(self, *arguments):
        return self.run("sbatch", "--parsable", *arguments)

    def states(self, job):
        """States of a job, or of the tasks of an array."""
        shown = self.run("scontrol", "show", "job", job).split()
        return [word.partition("=")[2] for word in shown if word.startswith("JobState=")]

    def wait(self, condition, seconds=150):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.report()
            time.sleep(0.05)

    def wait_for(self, job):
        self.wait(lambda: set(self.states(job)) <= ENDED)
        return self.states(job)

    def report(self):
        outputs = [f"{path.name}: {path.read_text()}" for path in self.folder.glob("*.out")]
        return "\n".join([self.run("squeue"), *outputs])


@pytest.fixture(scope="session")
def daemons(tmp_path_factory):
    """SLURM, with the commands `ntkspec` and `dask` of this environment on the PATH of its jobs."""
    bin_folder = tmp_path_factory.mktemp("bin")
    for name, module in (("ntkspec", "ntkspec"), ("dask", "dask")):
        command = bin_folder / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        command.chmod(0o755)
    try:
        with local_slurm() as environment:
            yield {**environment, "PATH": f"{bin_folder}:{environment['PATH']}"}
    except NoSlurmError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture
def slurm(daemons, tmp_path, monkeypatch):
    (tmp_path / "small.toml").write_text(RECIPE)
    for name, value in daemons.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # where jobs write their output
    made = Slurm(daemons, tmp_path)
    yield made
    made.run("scancel", "--quiet", "--user=root")
    made.wait(lambda: not made.run("squeue", "--noheader"))


@pytest.fixture(scope="session")
def table(daemons, tmp_path_factory):
    """The table made in one process."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "small.toml").write_text(RECIPE)
    one = Slurm(daemons, folder)
    one.run("ntkspec", "sweep", "small.toml", "-o", "t.h5", "--shard", "1/1")
    one.run("ntkspec", "merge", "t.h5.parts", "-o", "t.h5")
    return folder / "t.h5"


def assert_same_bits(one, two):
    first, second = datasets(one), datasets(two)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
        assert first[name].dtype.hasobject or first[name].tobytes() == second[name].tobytes()


def blocks_in(folder):
    return len(list(folder.glob("t.h5.parts/*.h5")))


def merge_after(slurm, job):
    merge = "ntkspec merge t.h5.parts -o t.h5"
    assert slurm.wait_for(slurm.submit(f"--dependency=afterok:{job}", "--wrap", merge)) == [
        "COMPLETED"
    ], slurm.report()


def test_an_array_then_the_merge(slurm, table):
    job = slurm.submit("--array=1-3", str(JOBS / "slurm-array.sh"), "small.toml", "t.h5")
    merge_after(slurm, job)
    assert slurm.states(job) == ["COMPLETED"] * 3
    assert_same_bits(table, slurm.folder / "t.h5")


def test_an_array_cancelled_in_the_middle_and_submitted_again(slurm, table):
    array = ["--array=1-2", str(JOBS / "slurm-array.sh"), "small.toml", "t.h5"]
    job = slurm.submit(*array)
    slurm.wait(lambda: blocks_in(slurm.folder) >= 3)
    slurm.run("scancel", f"{job}_1")
    assert sorted(slurm.wait_for(job)) == ["CANCELLED", "COMPLETED"]
    before = blocks_in(slurm.folder)
    assert before < BLOCKS
    refused = subprocess.run(
        ["ntkspec", "merge", "t.h5.parts", "-o", "t.h5"], capture_output=True, text=True
    )
    assert refused.returncode != 0 and "missing" in refused.stderr
    merge_after(slurm, slurm.submit(*array))
    assert_same_bits(table, slurm.folder / "t.h5")


def test_an_array_task_out_of_time_goes_back_to_the_queue(slurm, table):
    job = slurm.submit("--array=1-1", str(JOBS / "slurm-array.sh"), "small.toml", "t.h5")
    slurm.wait(lambda: blocks_in(slurm.folder) >= 3)
    slurm.run("scancel", "--batch", "--signal=USR1", job)  # as SLURM does before the end
    slurm.wait(lambda: slurm.states(job) == ["PENDING"])
    assert 3 <= blocks_in(slurm.folder) < BLOCKS
    merge_after(slurm, job)
    assert "Restarts=1" in slurm.run("scontrol", "show", "job", job)
    assert_same_bits(table, slurm.folder / "t.h5")


def test_dask_inside_one_job(slurm, table):
    job = slurm.submit(
        "--ntasks=2", "--mem-per-cpu=1G", str(JOBS / "slurm-dask.sh"), "small.toml", "t.h5"
    )
    assert slurm.wait_for(job) == ["COMPLETED"], slurm.report()
    assert_same_bits(table, slurm.folder / "t.h5")
    assert not list(slurm.folder.glob("*.json"))


def sweep_on_slurm(slurm):
    wishes = ["--jobs", "2", "--memory", "1GB", "--walltime", "30:00", "--partition", "short"]
    return slurm.start(
        "ntkspec", "sweep", "small.toml", "-o", "t.h5", "--cluster", "slurm", *wishes
    )


def test_a_sweep_that_submits_its_jobs(slurm, table):
    """One job is cancelled in the middle: another takes its place, and nothing is lost."""
    sweep = sweep_on_slurm(slurm)
    slurm.wait(lambda: blocks_in(slurm.folder) >= 3)
    first = slurm.run("squeue", "--noheader", "--format=%i").split()
    assert len(first) == 2
    slurm.run("scancel", first[0])
    output, _ = sweep.communicate(timeout=150)
    assert sweep.returncode == 0, output
    assert_same_bits(table, slurm.folder / "t.h5")
    slurm.wait(lambda: not slurm.run("squeue", "--noheader"))


def test_a_sweep_killed_with_its_jobs_and_started_again(slurm, table):
    sweep = sweep_on_slurm(slurm)
    slurm.wait(lambda: blocks_in(slurm.folder) >= 3)
    sweep.kill()
    sweep.communicate()
    # Its workers see that the scheduler is gone.
    slurm.wait(lambda: not slurm.run("squeue", "--noheader"))
    before = blocks_in(slurm.folder)
    assert before < BLOCKS
    output, _ = sweep_on_slurm(slurm).communicate(timeout=150)
    assert f"{BLOCKS} blocks, {before} by earlier runs" in output
    assert_same_bits(table, slurm.folder / "t.h5")


def test_the_job_script_is_what_sbatch_takes(slurm):
    wishes = ["--partition", "short", "--prologue", "echo hello", "--memory", "1GB"]
    script = slurm.run("ntkspec", "sweep", "small.toml", "--cluster", "slurm", "--dry-run", *wishes)
    assert "#SBATCH -p short\n" in script
    assert "\necho hello\n" in script
    (slurm.folder / "job.sh").write_text(script)
    slurm.run("sbatch", "--test-only", "job.sh")
    assert not slurm.run("squeue", "--noheader")


def test_workers_retire_before_the_walltime_and_others_come(slurm):
    batch = Batch(jobs=1, workers=2, memory="1GB", walltime="01:00", partition="short")
    with dask_client(batch) as client:
        first = last = client.submit(os.getenv, "SLURM_JOB_ID", pure=False).result(timeout=60)
        deadline = time.monotonic() + 150
        while first == last:
            assert time.monotonic() < deadline, slurm.report()
            time.sleep(0.5)
            last = client.submit(os.getenv, "SLURM_JOB_ID", pure=False).result(timeout=100)
    assert slurm.states(first) == ["COMPLETED"], "it ended by itself, before its time"
    assert slurm.wait_for(last) == ["CANCELLED"], "nobody needed it any more"


def test_a_job_that_ends_at_once(slurm, caplog):
    once = f"test -e {slurm.folder}/marker || {{ touch {slurm.folder}/marker; exit 1; }}"
    batch = Batch(memory="1GB", walltime="30:00", prologue=[once])
    with dask_client(batch) as client:
        assert client.submit(pow, 2, 5).result(timeout=60) == 32
    assert "ended at once" in caplog.text


def test_the_batch_system_refuses(slurm):
    message = "sbatch: error: invalid partition specified: none"
    with pytest.raises(NtkspecError, match=message), dask_client(Batch(partition="none")):
        pass
