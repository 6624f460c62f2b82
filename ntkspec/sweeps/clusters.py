"""Where tasks run: this machine, an existing dask cluster, or a batch system."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntkspec.errors import NtkspecError
from ntkspec.files.text import printable
from ntkspec.parameters import whole_number
from ntkspec.results import library
from ntkspec.sweeps.batch import KINDS, LOOPBACK, Batch, checked_dashboard
from ntkspec.sweeps.steady import steady_clock

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["External", "Local", "Where", "dask_client", "job_script"]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30
CLOSE_SECONDS = 5
SCHEDULER = {
    # Workers that a task may lose; dask's default of 3 is soon reached where jobs are cancelled.
    "distributed.scheduler.allowed-failures": 10,
    # Dask's intervals of 10 to 500 ms take some percent of a processor.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
}
#: A line of a job's script for the same.  With the profile on, a worker on Python 3.11 can
#: deadlock: a thread that starts waits for `sys._current_frames`, whose garbage collection waits
#: for the thread.
NO_PROFILE = "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False"
CANCEL_SECONDS = 60  # for all jobs
KEEP_SECONDS = 5  # between two looks after the jobs
# Longer than the 15 s that dask gives workers to return, so that it does not end the new job.
LOST_SECONDS = 25
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 600.0  # after a job that ended before its workers came
#: A worker needs arrays of the same size for the next block; freeing them in between
#: would cost 1 to 2 ns an eigenvalue for new pages.
KEEP_PAGES = {
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**30,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**32,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
#: Without these a worker serves pages on all interfaces, even without a dashboard.
NO_DASHBOARD = ("--no-dashboard", "--dashboard-address", LOOPBACK)
SUBMISSION_ERRORS = (OSError, RuntimeError, ValueError)
# Lists the waiting and running jobs with a number.
QUEUES = {"slurm": ("squeue", "--noheader", "--jobs")}


@dataclass(frozen=True)
class Local:
    """Processes of one thread each on this machine.

    Attributes
    ----------
    workers : int or None
        How many; one for each processor if not given.
    dashboard : str
        Where dask's dashboard listens, as "HOST:PORT"; by default on this machine alone.

    Examples
    --------
    >>> Local(2)
    Local(workers=2, dashboard='127.0.0.1:0')
    """

    workers: int | None = None
    dashboard: str = LOOPBACK

    def __post_init__(self) -> None:
        if self.workers is not None:
            object.__setattr__(self, "workers", whole_number(self.workers, "workers", 1))
        checked_dashboard(self.dashboard)


@dataclass(frozen=True)
class External:
    """A running dask scheduler.

    Attributes
    ----------
    address : str or None
        As "tcp://host:8786" or "tls://host:8786".
    file : Path or None
        The file that the scheduler wrote, instead of the address.
    tls_ca, tls_cert, tls_key : Path or None
        Authority, certificate and key (PEM), where the scheduler asks for TLS.

    Examples
    --------
    >>> External(address="tcp://10.0.0.7:8786").address
    'tcp://10.0.0.7:8786'
    """

    address: str | None = None
    file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.address) == bool(self.file):
            raise NtkspecError("give either the address of a scheduler or its file")
        if self.file is not None and not self.file.is_file():
            raise NtkspecError(f"scheduler_file = {str(self.file)!r} does not exist")
        given = {name: path for name, path in self._tls.items() if path is not None}
        if given and len(given) < 3:
            missing = ", ".join(name for name in self._tls if name not in given)
            raise NtkspecError(f"tls_ca, tls_cert and tls_key go together; not given: {missing}")
        for name, path in given.items():
            if not path.is_file():
                raise NtkspecError(f"{name} = {str(path)!r} does not exist")

    @property
    def _tls(self) -> dict[str, Path | None]:
        return {"tls_ca": self.tls_ca, "tls_cert": self.tls_cert, "tls_key": self.tls_key}

    @property
    def _name(self) -> str:
        if self.file is not None:
            return f"scheduler_file = {str(self.file)!r}"
        return f"scheduler = {self.address!r}"


Where = Local | External | Batch


@contextmanager
def dask_client(where: Where) -> Iterator[Client]:
    """Connect to a cluster; at the end close only what this call started."""
    Client = library("distributed", "a sweep on workers", "sweeps").Client
    dask = library("dask", "a sweep on workers", "sweeps")

    if isinstance(where, External):
        with steady_clock(), _dask_quiet(), _connected(where) as client:
            yield client
        return
    with (
        steady_clock(),
        dask.config.set(SCHEDULER),
        _local(where) if isinstance(where, Local) else _jobs(where) as cluster,
    ):
        client = Client(cluster)
        try:
            yield client
        finally:
            client.close(timeout=CLOSE_SECONDS)


def job_script(batch: Batch) -> str:
    """Return the job script that is submitted to a batch system.

    Examples
    --------
    >>> print(job_script(Batch(partition="long")).splitlines()[3])
    #SBATCH -p long
    """
    job = _cluster_class(batch).job_cls("tcp://SCHEDULER", name="ntkspec-0", **_options(batch))
    return str(job.job_script())


@contextmanager
def _connected(where: External) -> Iterator[Client]:
    from distributed import Client

    security = _security(where)
    address = where.address or _written_address(where)
    if address.startswith("tls://") and security is None:
        raise NtkspecError(f"{where._name}: {address} needs tls_ca, tls_cert and tls_key")
    if not address.startswith("tls://") and security is not None:
        raise NtkspecError(f"{where._name}: with tls_ca the address must begin with tls://")
    try:
        with ThreadPoolExecutor(1) as thread:  # this thread may run a loop already, as in notebooks
            thread.submit(asyncio.run, _meet(address, security)).result()
        client = Client(address, security=security, timeout=CONNECT_SECONDS)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        said = str(error) or f"nothing within {CONNECT_SECONDS} s"
        raise NtkspecError(f"{where._name}: no dask scheduler answers ({said})") from None
    try:
        yield client
    finally:
        client.close(timeout=CLOSE_SECONDS)


def _security(where: External) -> Any:
    from distributed.security import Security

    if where.tls_ca is None:
        return None
    security = Security(
        require_encryption=True,
        tls_ca_file=str(where.tls_ca),
        tls_client_cert=str(where.tls_cert),
        tls_client_key=str(where.tls_key),
    )
    try:
        security.get_connection_args("client")
    except OSError as error:  # includes the errors of ssl
        raise NtkspecError(
            f"tls_ca, tls_cert and tls_key are not a valid set of certificates and key ({error})"
        ) from None
    return security


@contextmanager
def _dask_quiet() -> Iterator[None]:
    """Silence dask's logs, which hold tracebacks when a scheduler of others ends."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _written_address(where: External) -> str:
    """Read a scheduler's file; dask would wait forever for a damaged one."""
    assert where.file is not None
    try:
        return str(json.loads(where.file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NtkspecError(f"{where._name} was not written by a dask scheduler") from None


async def _meet(address: str, security: Any) -> None:
    """Connect with a time limit: the client would wait forever for a silent server."""
    from distributed.comm.core import connect

    options = security.get_connection_args("client") if security else {}
    comm = await asyncio.wait_for(
        connect(address, timeout=CONNECT_SECONDS, **options), CONNECT_SECONDS
    )
    await comm.close()


@contextmanager
def _local(where: Local) -> Iterator[Any]:
    import dask
    from distributed import LocalCluster

    with _ctrl_c_for_us_alone(), dask.config.set(KEEP_PAGES):
        cluster = LocalCluster(
            n_workers=where.workers or os.cpu_count() or 1,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=where.dashboard,
            # The client raises errors of tasks anyway; the rest is noise.
            silence_logs=logging.CRITICAL,
        )
    try:
        yield cluster
    finally:
        cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def _ctrl_c_for_us_alone() -> Iterator[None]:
    """Block SIGINT in the threads started here, and in the workers that they start.

    A terminal sends SIGINT to every process; the main process ends the workers.
    """
    # Starting it in any thread would unblock the signal.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _jobs(batch: Batch) -> Iterator[Any]:
    cluster = keeper = None
    cluster_class = _cluster_class(batch)
    try:
        try:
            cluster = cluster_class(
                scheduler_options=_listening(batch),
                silence_logs=logging.CRITICAL,
                **_options(batch),
            )
            cluster.sync(_submit, cluster, batch.jobs)
        except SUBMISSION_ERRORS as error:
            raise NtkspecError(
                f"cluster = {batch.kind!r}: no job could be submitted ({_reason(error)})"
            ) from None
        keeping = _Keeper(cluster, batch).run()
        keeper = asyncio.run_coroutine_threadsafe(keeping, cluster.loop.asyncio_loop)
        yield cluster
    finally:
        if keeper is not None:
            keeper.cancel()
        if cluster is not None:
            for job in cluster.workers.values():
                _closing(job)
            cluster.close(timeout=CANCEL_SECONDS)


def _cluster_class(batch: Batch) -> Any:
    try:
        import dask_jobqueue
    except ImportError:
        raise NtkspecError(
            f"cluster = {batch.kind!r} needs dask-jobqueue; pip install 'ntkspec[clusters]'"
        ) from None

    return getattr(dask_jobqueue, KINDS[batch.kind])


def _listening(batch: Batch) -> dict[str, Any]:
    """Addresses of scheduler and dashboard, never on all interfaces unless requested."""
    import dask
    from distributed.utils import get_ip

    options = {"dashboard_address": batch.dashboard}
    of_site = dask.config.get(f"jobqueue.{batch.kind}.interface", None)
    if batch.host or not (batch.interface or of_site):
        options["host"] = batch.host or get_ip()
    return options


def _options(batch: Batch) -> dict[str, Any]:
    """Options of the job classes of dask-jobqueue."""
    hours, minutes, seconds = batch.seconds // 3600, batch.seconds // 60 % 60, batch.seconds % 60
    account = "account" if batch.kind in ("slurm", "pbs", "moab") else "project"
    options = {
        "job_name": "ntkspec",
        "python": sys.executable,
        "cores": batch.workers,
        "processes": batch.workers,
        "memory": batch.memory,
        "walltime": f"{hours:02d}:{minutes:02d}:{seconds:02d}",
        "queue": batch.partition or None,
        account: batch.account or None,
        "interface": batch.interface or None,
        "job_script_prologue": [NO_PROFILE, *batch.prologue],
        "job_extra_directives": list(batch.directives),
        "worker_extra_args": [*_lifetime(batch.seconds), *NO_DASHBOARD],
    }
    if batch.kind == "lsf":  # LSF counts in minutes
        hours, minutes = divmod(-(-batch.seconds // 60), 60)
        options["walltime"] = f"{hours:02d}:{minutes:02d}"
    if batch.kind == "oar":  # the name of its memory property differs between sites
        options["memory_per_core_property_name"] = "not_applicable"
    return options


def _lifetime(walltime: int) -> list[str]:
    """Make workers retire a tenth of the walltime early, at least a minute, not all at once."""
    margin = min(max(60, walltime // 10), walltime // 2)
    return ["--lifetime", f"{walltime - margin}s", "--lifetime-stagger", f"{margin // 2}s"]


async def _submit(cluster: Any, jobs: int) -> None:
    """Submit jobs up to a number; cluster.scale() would hide errors."""
    while len(cluster.worker_spec) < jobs:
        cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster._correct_state()


def _reason(error: Exception) -> str:
    """Message of the batch system, taken from dask-jobqueue's error."""
    said = str(error).rpartition("stderr:\n")[2].strip()
    return said.splitlines()[0] if said else type(error).__name__


class _Keeper:
    """Resubmits jobs that ended, whether by walltime, kill or failure.

    dask-jobqueue resubmits only after walltime and kill, with an adaptive cluster and one
    worker per job.
    """

    def __init__(self, cluster: Any, batch: Batch) -> None:
        self._cluster, self._batch = cluster, batch
        self._last_seen: dict[Any, float] = {}
        self._pause, self._not_before = FIRST_PAUSE, 0.0

    async def run(self) -> None:
        """Watch the jobs until cancelled."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            try:
                await self._look(time.monotonic())
            except SUBMISSION_ERRORS as error:
                _warn(f"the state of the jobs is unknown ({_reason(error)})")

    async def _look(self, now: float) -> None:
        jobs = self._cluster.workers
        failed = []
        for name in list(jobs):
            if self._has_workers(name):
                self._last_seen[name] = now
                self._pause = FIRST_PAUSE
            elif name not in self._last_seen:
                if now >= self._not_before and not await _in_queue(self._batch.kind, jobs[name]):
                    failed.append(name)
            elif now - self._last_seen[name] > LOST_SECONDS:
                await self._drop(name)
        if failed:
            numbers = ", ".join(jobs[name].job_id for name in failed if jobs[name].job_id)
            if numbers:
                _warn(f"job {numbers} ended at once (see its output); submitting it again")
            self._wait_longer(now)
            for name in failed:
                await self._drop(name)
        # dask has dropped the others.
        self._last_seen = {name: seen for name, seen in self._last_seen.items() if name in jobs}
        if len(jobs) < self._batch.jobs:
            try:
                await _submit(self._cluster, self._batch.jobs)
            except SUBMISSION_ERRORS as error:
                _warn(f"no job could be submitted ({_reason(error)})")
                self._wait_longer(now)

    def _has_workers(self, name: Any) -> bool:
        suffixes = self._cluster.worker_spec[name].get("group", [""])
        names = {f"{name}{suffix}" for suffix in suffixes}
        return any(str(w.name) in names for w in self._cluster.scheduler.workers.values())

    def _wait_longer(self, now: float) -> None:
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _drop(self, name: Any) -> None:
        job = self._cluster.workers.pop(name)
        await job.close()
        _closing(job)


async def _in_queue(kind: str, job: Any) -> bool:
    """Whether a job waits or runs; True if unknown."""
    if job.job_id is None:  # it could not be submitted
        return False
    if kind not in QUEUES:
        return True
    process = await asyncio.create_subprocess_exec(
        *QUEUES[kind],
        job.job_id,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    listed, errors = await process.communicate()
    # A job that ended is not listed, and some minutes later its number is unknown.
    return bool(listed) or (process.returncode != 0 and b"Invalid job id" not in errors)


def _closing(job: Any) -> None:
    """Mark a job as closing, as dask expects; dask-jobqueue does not."""
    from distributed.core import Status

    job.status = Status.closing


def _warn(message: str) -> None:
    logger.warning("%s", printable(message))
