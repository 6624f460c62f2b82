"""What a batch system is asked for: the recipe's [cluster] table, overridden by options."""

from __future__ import annotations

from dataclasses import dataclass

from ntkspec.errors import NtkspecError

__all__ = ["KINDS", "Batch"]

#: Batch systems by their names here, with their classes of dask-jobqueue.
KINDS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}


@dataclass(frozen=True)
class Batch:
    """Jobs of a batch system that hold dask workers.

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
        Of a job, as "HH:MM:SS" or "MM:SS"; workers retire before it ends.
    partition, account : str
        Queue and account; empty: the batch system's own.
    prologue : tuple of str
        Lines of the job script before the worker starts.
    directives : tuple of str
        Further directives of the job script, as "--qos=low".
    interface : str
        Network interface of scheduler and workers; empty: the machine's own.
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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise NtkspecError(f"kind = {self.kind!r} is not allowed; use {', '.join(KINDS)}")
