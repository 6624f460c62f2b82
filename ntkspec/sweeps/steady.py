"""A monotonic clock for dask."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["steady_clock"]

_lock = threading.Lock()
_users = 0
_replaced: list[object] = []


@contextmanager
def steady_clock() -> Iterator[None]:
    """Make dask in this process wait by a monotonic clock.

    distributed delays messages by some milliseconds after the last one, and tornado sleeps until
    a time of day.  If the system clock is set back an hour in between, both wait for an hour and
    the sweep hangs.  The usual clock is restored when the last user leaves; users may overlap,
    in any thread.
    """
    from distributed import batched
    from tornado.ioloop import IOLoop

    global _users
    with _lock:
        if _users == 0:
            offset = time.time() - time.monotonic()

            def now(*loop: IOLoop) -> float:
                return offset + time.monotonic()

            _replaced[:] = [IOLoop.time, batched.time]  # type: ignore[attr-defined]
            IOLoop.time = now  # type: ignore[method-assign, assignment]
            batched.time = now  # type: ignore[attr-defined]
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                IOLoop.time, batched.time = _replaced  # type: ignore[method-assign, assignment, attr-defined]
