"""Numbers of one precision: a separate mpmath context, and fixed-point integers.

mpmath's global context is shared by the whole process, so every computation here makes a separate
one.  Long sums are sums of integers in units of 2^-bits, as in mpmath's elementary functions:
the error of a sum is absolute, and the quantities summed are of moderate size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import mul
from typing import Any

import mpmath
from mpmath.libmp import from_man_exp, to_fixed

__all__ = ["Precision"]

GUARD_DIGITS = 12


class Precision:
    """An arithmetic whose results are accurate to about 10^-digits.

    `mp` is a separate mpmath context with guard digits; `bits` are those of fixed-point integers,
    and `one` is 1 among them.
    """

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.mp: Any = mpmath.mp.clone()
        self.mp.dps = digits + GUARD_DIGITS
        self.bits = int(self.mp.prec) + 8
        self.one = 1 << self.bits

    @property
    def nats(self) -> float:
        """-log of the target error."""
        return self.digits * math.log(10.0)

    def fixed(self, x: Any) -> int:
        """Return the integer nearest below x 2^bits."""
        return int(to_fixed(x._mpf_, self.bits))

    def float(self, n: int, units: int = 1) -> Any:
        """Return n 2^(-bits units)."""
        return self.mp.make_mpf(from_man_exp(n, -self.bits * units, self.mp.prec, "n"))

    @staticmethod
    def dot(left: Iterable[int], right: Iterable[int]) -> int:
        """Sum of products, in units of 2^(-2 bits); the shorter list sets the length."""
        return sum(map(mul, left, right))
