"""What `ntkspec sweep` has dask load in each of its own worker processes."""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the one that ends the workers.

    And wait by a clock that never goes back.
    """
    from ntkspec.sweeps.steady import steady_clock

    steady_clock()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
