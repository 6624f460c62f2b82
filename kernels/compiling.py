"""A line on the terminal when numba compiles for long, so that nobody waits without a reason."""

from __future__ import annotations

import sys
import threading
import time

from numba.core import event

__all__ = ["CompilingNotice", "someone_waits"]

#: Seconds of compilation in this process after which the line is printed.
PATIENCE = 1.0
LINE = "ntkspec: compiling functions for their first use; the code is cached for later runs"


def someone_waits() -> bool:
    """Whether standard error is a terminal, or Python is used interactively, as in a notebook."""
    return hasattr(sys, "ps1") or (sys.stderr is not None and sys.stderr.isatty())


class CompilingNotice(event.Listener):
    """Prints one line in a process, once numba has compiled for a second in all.

    Parameters
    ----------
    patience : float
        That time, in seconds.

    Examples
    --------
    >>> CompilingNotice(patience=60.0).shown
    False
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.shown = False
        self._left, self._depth, self._begun = patience, 0, 0.0
        self._timer: threading.Timer | None = None

    def notify(self, event: event.Event) -> None:
        """Heed the functions of this package only."""
        if event.data["dispatcher"].py_func.__module__.startswith("ntkspec."):
            super().notify(event)

    def on_start(self, event: event.Event) -> None:
        """Begin to count, unless a function is compiled that another one calls."""
        self._depth += 1
        if self._depth == 1 and not self.shown:
            self._begun = time.monotonic()
            self._timer = threading.Timer(max(0.0, self._left), self._show)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: event.Event) -> None:
        """Stop counting."""
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= time.monotonic() - self._begun

    def _show(self) -> None:
        if not self.shown:
            self.shown = True
            print(LINE, file=sys.stderr, flush=True)
