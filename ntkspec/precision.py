"""The working precision of balls, which python-flint and mpmath keep for the whole process.

`flint.ctx` and `mpmath.mp` are one object for all threads: a thread that raises the precision
raises it for the others too.  So every computation in balls runs under one lock, which the same
thread may take again.  python-flint never releases Python's own lock while it computes, so threads
lose nothing by waiting here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flint import ctx

from ntkspec.locks import PROCESS_STATE

__all__ = ["exclusive", "extra_precision", "working_precision"]

#: Precision in bits and length of power series before a computation asks for others.
BITS, LENGTH = 53, 10


class _Holder:
    """The thread that computes, and the precisions that it found."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.found: tuple[int, int, int | None] = (BITS, LENGTH, None)

    def start(self) -> None:
        """Note what there is, and set the precision of doubles."""
        self.found = (ctx.prec, ctx.cap, _mpmath_precision())
        self.thread = threading.get_ident()
        _set_precisions(BITS, LENGTH, BITS)

    def finish(self) -> None:
        """Put back what was there."""
        _set_precisions(*self.found)
        self.thread = None

    def after_fork(self) -> None:
        """Drop, in a child process, the precision of a thread that it lacks."""
        if self.thread not in (None, threading.get_ident()):
            self.finish()


def _mpmath_precision() -> int | None:
    """Bits of mpmath, if anyone has imported it."""
    module: Any = sys.modules.get("mpmath")
    mp = getattr(module, "mp", None)
    return None if mp is None else int(mp.prec)


def _set_precisions(bits: int, length: int, mpmath_bits: int | None) -> None:
    ctx.prec, ctx.cap = bits, length
    if mpmath_bits not in (None, _mpmath_precision()) and "mpmath" in sys.modules:
        sys.modules["mpmath"].mp.prec = mpmath_bits


_holder = _Holder()
os.register_at_fork(after_in_child=_holder.after_fork)


@contextmanager
def exclusive() -> Iterator[None]:
    """Keep other threads out of balls, and start from the precision of doubles.

    Also a decorator.  What other code left in `flint.ctx` and `mpmath.mp` has no effect inside,
    and is put back at the end.

    Examples
    --------
    >>> with ctx.workprec(100), exclusive():
    ...     ctx.prec
    53
    """
    with PROCESS_STATE:
        if _holder.thread is not None:
            yield
            return
        _holder.start()
        try:
            yield
        finally:
            _holder.finish()


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Compute with balls of so many bits, and keep other threads out.

    Examples
    --------
    >>> with working_precision(200):
    ...     ctx.prec
    200
    """
    with exclusive(), ctx.workprec(bits):
        yield


@contextmanager
def extra_precision(bits: int) -> Iterator[None]:
    """Compute with so many bits more than now, and keep other threads out.

    Examples
    --------
    >>> with working_precision(200), extra_precision(30):
    ...     ctx.prec
    230
    """
    with working_precision(ctx.prec + bits):
        yield
