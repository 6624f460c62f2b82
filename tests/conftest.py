"""Common configuration and fixtures."""

from __future__ import annotations

import gc
import os
import signal
import tomllib

# A shell that starts the tests in the background leaves Ctrl-C ignored, and so would every process
# that a test starts to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before numpy is imported: processes of pytest-xdist that each use all cores for their matrices
# wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from paths import TESTS

# The first call of a compiled function may take seconds.  `make test` draws the same examples each
# time, so that a change passes or fails by what it changes; `make test-all` draws new ones.
settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("thorough", deadline=None, derandomize=False)
settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """Let one process of pytest-xdist compile a function, and the others take it from the cache.

    The processes that tests start do without the lock.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    import fcntl

    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    from ntkspec.kernels import CACHE_DIR

    compiled, depth = Dispatcher.compile, 0

    def compile_or_wait(self, signature):
        nonlocal depth
        with global_compiler_lock:  # first, as a thread that compiles has it already
            if depth == 0:
                fcntl.flock(file, fcntl.LOCK_EX)
            depth += 1
            try:
                return compiled(self, signature)
            finally:
                depth -= 1
                if depth == 0:
                    fcntl.flock(file, fcntl.LOCK_UN)

    with (CACHE_DIR / "tests.lock").open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", compile_or_wait)
        yield


@pytest.fixture(scope="session")
def at_hand():
    """A scheduler with one worker, in threads of this process: `where` of a sweep.

    Tests that are not of processes need none: a client and a worker of their own spend five seconds
    of processor time on their imports.
    """
    import dask
    from distributed import LocalCluster

    from ntkspec.sweeps import External
    from ntkspec.sweeps.clusters import SCHEDULER

    with dask.config.set(SCHEDULER):
        cluster = LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0", silence_logs=50, memory_limit=0,
        )  # fmt: skip
    with cluster:
        yield External(cluster.scheduler_address)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector leave modules and tests alone, and run less often."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


LOST_TWINS = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the cases of slow.toml as slow, and collect those that do not exist."""
    twins = tomllib.loads((TESTS / "slow.toml").read_text(encoding="utf-8"))["twins"]
    slow = {f"tests/{twin['file']}::{case}" for twin in twins for case in twin["cases"]}
    found = {item.nodeid: item for item in items}
    for name in slow & found.keys():
        found[name].add_marker("slow")
    files = {name.partition("::")[0] for name in found}
    lost = [name for name in slow - found.keys() if name.partition("::")[0] in files]
    config.stash[LOST_TWINS] = [] if any("::" in one for one in config.args) else sorted(lost)


@pytest.fixture
def lost_twins(request: pytest.FixtureRequest) -> list[str]:
    """Cases of slow.toml that are missing in the collected files."""
    return request.config.stash[LOST_TWINS]
