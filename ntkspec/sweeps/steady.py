"""A clock for dask that never goes back."""

from __future__ import annotations

import time

__all__ = ["steady_clock"]


def steady_clock() -> None:
    """Have this process's dask wait by a clock that runs on when the machine's is set back.

    distributed holds messages until some milliseconds after the last one, and tornado sleeps until
    a time of day: where the clock goes back an hour in between, both wait for that hour, and a
    sweep hangs.
    """
    from distributed import batched
    from tornado.ioloop import IOLoop

    offset = time.time() - time.monotonic()

    def now(*loop: IOLoop) -> float:
        return offset + time.monotonic()

    IOLoop.time = now  # type: ignore[method-assign, assignment]
    batched.time = now  # type: ignore[attr-defined]
