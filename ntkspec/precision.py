"""The working precision of balls, a global setting of python-flint and mpmath.

All threads share `flint.ctx` and `mpmath.mp`, so a thread that raises the precision raises it for
the others too.  Every computation in balls therefore runs under one reentrant lock.  python-flint
does not release the global interpreter lock while it computes, so waiting here costs nothing.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flint import arb, ctx

from ntkspec.errors import NtkspecError
from ntkspec.locks import PROCESS_STATE

__all__ = ["exclusive", "extra_precision", "split", "working_precision"]

#: Default precision in bits and length of power series.
BITS, LENGTH = 53, 10
#: Largest exponent of 2 of a number that is split into a mantissa and an exponent.
LARGEST_EXPONENT = 2**62


class _Holder:
    """The computing thread, and the precisions to restore."""

    def __init__(self) -> None:
        self.thread: int | None = None
        self.found: tuple[int, int, int | None] = (BITS, LENGTH, None)

    def start(self) -> None:
        """Save the precisions, and set that of doubles."""
        self.found = (ctx.prec, ctx.cap, _mpmath_precision())
        self.thread = threading.get_ident()
        _set_precisions(BITS, LENGTH, BITS)

    def finish(self) -> None:
        """Restore the saved precisions."""
        _set_precisions(*self.found)
        self.thread = None

    def after_fork(self) -> None:
        """In a child process, drop the precision of a thread that was not forked."""
        if self.thread not in (None, threading.get_ident()):
            self.finish()


def _mpmath_precision() -> int | None:
    """Bits of mpmath, if it is imported."""
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
    """Lock out other threads, and start from the precision of doubles.

    Also a decorator.  The settings of `flint.ctx` and `mpmath.mp` have no effect inside and are
    restored at the end.

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
    """Compute with balls of this many bits, and lock out other threads.

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
    """Compute with this many more bits than now, and lock out other threads.

    Examples
    --------
    >>> with working_precision(200), extra_precision(30):
    ...     ctx.prec
    230
    """
    with working_precision(ctx.prec + bits):
        yield


def split(ball: arb) -> tuple[float, int]:
    """Midpoint of a ball as a mantissa in [1, 2), rounded, and an exponent of 2.

    Examples
    --------
    >>> split(arb(10))
    (1.25, 3)
    """
    man, exp = (int(x) for x in ball.mid().man_exp())
    if man == 0:
        return 0.0, 0
    size = abs(man).bit_length()
    shift = size - 64
    top = man >> shift if shift > 0 else man << -shift
    m, e = math.frexp(float(top))
    if abs(exp) > LARGEST_EXPONENT:
        raise NtkspecError(
            f"a number near 2^{exp} is beyond the range of exponents, 2^(+-2^62); change "
            "weight_variance, bias_variance or depth"
        )
    return 2.0 * m, exp + shift + e - 1
