"""Sweeps and dask clusters as processes that tests watch, kill and compare."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from table_numbers import datasets

from ntkspec.sweeps import run_shard
from ntkspec.sweeps.merge import merge

DASK = str(Path(sys.executable).with_name("dask"))


def make_table(recipe, path, *, layout="single"):
    """Compute a recipe's table in this process: the table of `run_sweep`, without workers."""
    run_shard(recipe, path, "1/1")
    return merge([f"{path}.parts"], path, layout=layout)


def table_of(text, folder, *, layout="single"):
    """Write a recipe as r.toml into a folder and make its table, t.h5, there."""
    (folder / "r.toml").write_text(text)
    return make_table(folder / "r.toml", folder / "t.h5", layout=layout)


def assert_same_bits(one, two):
    """Assert that two tables are equal to the bit."""
    first, second = datasets(one), datasets(two)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes() or first[name].dtype.hasobject, name
        np.testing.assert_array_equal(first[name], second[name])


def until(condition, seconds=60, process=None):
    """Wait until a condition holds; fail after a timeout or if the process has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        assert process is None or process.poll() is None or condition(), "it has ended"
        time.sleep(0.05)


class Sweep:
    """`ntkspec sweep` in a new session, with its standard error stream in a file.

    The file is beside the table, or in a folder `logs`.
    """

    def __init__(self, recipe, out, *options, command="sweep", env=None, logs=None):
        self.out = Path(out)
        self.log = (logs or self.out.parent) / f"log-{time.monotonic_ns()}"
        arguments = [recipe, "-o", out, "--log-json", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ntkspec", command, *map(str, arguments)],
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
                env=os.environ | (env or {}),
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill_all()
        self.log.unlink(missing_ok=True)

    @property
    def errors(self):
        return self.log.read_text()

    @property
    def events(self):
        """The lines of its log so far."""
        return [json.loads(x) for x in self.errors.splitlines() if x.startswith('{"time')]

    def notes(self, event):
        return [e for e in self.events if e["event"] == event]

    @property
    def blocks(self):
        """The existing blocks: their files, or their records that are not empty."""
        found = self.out.with_name(f"{self.out.name}.parts").glob("n[0-9]*")
        return sorted(p for p in found if p.suffix in (".h5", ".json") and size_of(p))

    @property
    def workers(self):
        """Processes of its workers."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [p for p in children if "spawn_main" in " ".join(p.cmdline())]

    def until(self, condition, seconds=60):
        until(condition, seconds, self.process)

    def ended(self, seconds=120):
        """Wait for the end; return the exit code."""
        return self.process.wait(timeout=seconds)

    def kill_all(self):
        """Kill the client with all its workers."""
        kill_session(self.process)


def size_of(path):
    """Size of a file; 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def kill_session(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def session_is_alive(process):
    """Whether a session has any process left, apart from zombies."""
    for one in psutil.process_iter(["pid", "status"]):
        try:
            mine = os.getpgid(one.info["pid"]) == process.pid
        except ProcessLookupError:
            continue
        if mine and one.info["status"] != psutil.STATUS_ZOMBIE:
            return True
    return False


def listening():
    """Addresses at which this process, and those that it started, wait for connections."""
    me = psutil.Process()
    sockets = set()
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            sockets |= {
                (process.pid, *one.laddr)
                for one in process.net_connections("inet")
                if one.status == psutil.CONN_LISTEN
            }
    return sockets


class Cluster:
    """A dask scheduler and workers, as started by someone else."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self._processes = []
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self.file
        )
        until(lambda: self.file.exists() and self.file.stat().st_size)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self._processes:
            kill_session(process)

    def worker(self, *options):
        """Start a worker with its nanny."""
        return self._start(
            "worker", "--scheduler-file", self.file, "--nthreads", "1", "--no-dashboard", *options
        )

    def _start(self, *arguments):
        process = subprocess.Popen(
            [DASK, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd=self.file.parent,
        )  # fmt: skip
        self._processes.append(process)
        return process


@contextlib.contextmanager
def small_disk(folder, size, options=""):
    """A separate file system in memory."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", folder], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
