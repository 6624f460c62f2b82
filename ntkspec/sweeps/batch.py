"""Resources requested from a batch system: the [cluster] table of a recipe, or options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.parameters import byte_count, whole_number

__all__ = ["KINDS", "LOOPBACK", "Batch", "checked_dashboard"]

#: Names of batch systems, with their classes in dask-jobqueue.
KINDS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
ADDRESS = re.compile(r"[A-Za-z0-9_.-]+:([0-9]{1,5})")
WALLTIME = re.compile(r"(?:(?:(\d+)-)?(\d+):([0-5]?\d)|(\d+)):([0-5]\d)")
#: Default address of dask's dashboard: any free port, reachable from this machine only.
LOOPBACK = "127.0.0.1:0"
LEAST_MEMORY = 100_000_000  # of a worker; forgotten units fall below it


@dataclass(frozen=True)
class Batch:
    """Jobs of a batch system that run dask workers.

    Attributes
    ----------
    kind : str
        Batch system, one of `KINDS`.
    jobs : int
        Jobs to keep running.
    workers : int
        Worker processes in each job, of one thread each.
    memory : str
        Of a job, as "4GB".
    walltime : str
        Of a job, as "HH:MM:SS", "MM:SS" or "D-HH:MM:SS"; workers retire before it ends.
    partition, account : str
        Queue and account; empty: the batch system's own.
    prologue : tuple of str
        Lines of the job script before the worker starts.
    directives : tuple of str
        Further directives of the job script, as "--qos=low".
    interface : str
        Network interface of scheduler and workers; empty: the machine's own.
    host : str
        Address at which the scheduler listens; the jobs must reach it.  Empty: that of the
        interface, or the one by which this machine reaches others.
    dashboard : str
        Where dask's dashboard listens, as "HOST:PORT"; port 0 is any free one.

    Examples
    --------
    >>> batch = Batch(jobs=4, walltime="1-00:00:00", prologue=["module load python"])
    >>> batch.seconds
    86400
    >>> Batch(jobs=0)
    Traceback (most recent call last):
    ntkspec.errors.NtkspecError: jobs = 0 is not allowed; it must be a whole number >= 1
    """

    kind: str = "slurm"
    jobs: int = 1
    workers: int = 1
    memory: str = "4GB"
    walltime: str = "01:00:00"
    partition: str = ""
    account: str = ""
    prologue: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    interface: str = ""
    host: str = ""
    dashboard: str = LOOPBACK

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise _refused("kind", self.kind, f"use {', '.join(KINDS)}")
        for name in ("jobs", "workers"):
            object.__setattr__(self, name, whole_number(getattr(self, name), name, 1))
        if not byte_count(self.memory) >= LEAST_MEMORY * self.workers:
            raise _refused(
                "memory", self.memory, 'write it as "4GB", at least 100MB for each worker'
            )
        if not isinstance(self.walltime, str) or not self.seconds:
            raise _refused(
                "walltime", self.walltime, 'write "HH:MM:SS", "MM:SS" or "D-HH:MM:SS", more than 0'
            )
        for name in ("partition", "account", "interface", "host"):
            value = getattr(self, name)
            if not isinstance(value, str) or re.search(r"\s", value):
                raise _refused(name, value, "it must be a string without spaces")
        if self.host and self.interface:
            raise NtkspecError(
                f"host = {self.host!r} and interface = {self.interface!r} are not allowed together"
            )
        checked_dashboard(self.dashboard)
        for name in ("prologue", "directives"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not all(_is_line(line) for line in value):
                raise _refused(name, value, "it must be a list of single-line strings")
            object.__setattr__(self, name, tuple(value))

    @property
    def seconds(self) -> int:
        """Walltime in seconds; 0 where it is not one."""
        found = WALLTIME.fullmatch(self.walltime)
        if found is None:
            return 0
        days, hours, minutes, minutes_alone, seconds = (int(n or 0) for n in found.groups())
        return ((days * 24 + hours) * 60 + minutes + minutes_alone) * 60 + seconds


def checked_dashboard(address: str) -> str:
    """Return where the dashboard listens, or raise NtkspecError unless it is a host and a port.

    Any other than the default needs bokeh.

    Examples
    --------
    >>> checked_dashboard("0.0.0.0:8787")
    '0.0.0.0:8787'
    """
    found = ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None or int(found.group(1)) > 65535:
        raise _refused(
            "dashboard", address,
            "write HOST:PORT; 127.0.0.1:8787 is for this machine alone, 0.0.0.0:8787 for all",
        )  # fmt: skip
    if address != LOOPBACK and find_spec("bokeh") is None:
        raise NtkspecError(f"dashboard = {address!r} needs bokeh; pip install 'ntkspec[dashboard]'")
    return address


def _refused(name: str, value: Any, allowed: str) -> NtkspecError:
    return NtkspecError(f"{name} = {value!r} is not allowed; {allowed}")


def _is_line(text: Any) -> bool:
    return isinstance(text, str) and len(text.splitlines()) == 1
