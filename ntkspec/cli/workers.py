"""Set-up of the worker processes of `ntkspec sweep`, loaded by dask."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import Any

__all__ = ["dask_setup", "dask_teardown"]

_life = ExitStack()


def dask_setup(worker: Any) -> None:
    """Use a monotonic clock, and ignore Ctrl-C.

    A terminal sends Ctrl-C to every process; the main process ends the workers.
    """
    from ntkspec.sweeps.steady import steady_clock

    _life.enter_context(steady_clock())
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def dask_teardown(worker: Any) -> None:
    """Restore the clock."""
    _life.close()
