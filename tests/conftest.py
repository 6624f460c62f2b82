"""Common configuration and fixtures."""

from __future__ import annotations

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

# The first call of a compiled function may take seconds.
settings.register_profile("quick", deadline=None, max_examples=40)
# For `make test-all`, which names it.
settings.register_profile("thorough", deadline=None)
settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """Let one process of pytest-xdist compile what most tests use, half a minute, for all."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    import fcntl

    import ntkspec
    from ntkspec.kernels import CACHE_DIR

    with (CACHE_DIR / "tests.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for name in ("relu", "tanh", "gelu"):
            for depth in (1, 2):
                network = ntkspec.Network(name, depth=depth)
                ntkspec.spectrum(network, 3, range(9))
                ntkspec.spectra.table_block(network, [2, 3, 4, 5], range(9))


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
