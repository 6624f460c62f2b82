"""Where tasks run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntkspec.sweeps.batch import Batch

__all__ = ["External", "Local", "Where", "dask_client", "job_script"]


@dataclass(frozen=True)
class Local:
    workers: int | None = None


@dataclass(frozen=True)
class External:
    address: str | None = None
    file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


Where = Local | External | Batch


def job_script(batch: Batch) -> str:
    raise NotImplementedError


@contextmanager
def dask_client(where: Where) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if isinstance(where, Local):
        with (
            LocalCluster(
                n_workers=where.workers or os.cpu_count(),
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
    else:
        with Client(address=where.address, scheduler_file=where.file) as client:
            yield client
