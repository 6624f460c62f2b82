"""Handling of Ctrl-C and of a batch system's SIGTERM at any moment."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "ending_soon", "hide_errors_of_finalizers"]

INTERRUPTED, TERMINATED = 130, 143

SECONDS_TO_CLOSE = 5.0
#: Seconds until a lost interrupt is raised again.
SOON = 0.01
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


class Interrupt(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, with the exit code.

    A plain KeyboardInterrupt that passes through code compiled from a string, as in the definition
    of a named tuple during an import, makes Python end by SIGINT whatever the exit code.
    """


@contextmanager
def ending_soon(message: str) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end this process; has no effect outside the main thread.

    They raise `Interrupt`, a KeyboardInterrupt, with the exit code.  If a finalizer swallows it
    (dask has many), it is raised again.  An object that it left half made may fail in its
    finalizer; that is not printed.  If the cluster takes long to close, the process prints the
    message and exits, and its workers with it; a killed sweep can be resumed like any other.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    first: float | None = None
    code = INTERRUPTED

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal first, code
        logging.disable()  # hide messages of a cluster that is being closed
        if number == signal.SIGTERM:
            code = TERMINATED
        first = first or time.monotonic()
        left = first + SECONDS_TO_CLOSE - time.monotonic()
        if left <= 0.0:
            os.write(2, f"{message}\n".encode())
            os._exit(code)
        signal.setitimer(signal.ITIMER_REAL, left)
        raise Interrupt(code)

    def lost(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        elif first is None:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, lost
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def hide_errors_of_finalizers() -> None:
    """Hide errors of finalizers from now on: an interrupted process ends with objects half made."""
    sys.unraisablehook = lambda unraisable: None
