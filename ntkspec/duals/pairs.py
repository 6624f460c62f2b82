"""Truncated power series of double-doubles: several times faster than those of balls.

Every coefficient carries a bound on its error, as a ball does.  Numbers below 2^-1022 become 0, so
that the bounds hold for coefficients that are far above that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.kernels import pairs

__all__ = ["PairSeries"]


class PairSeries:
    """A power series; `rows` are the leading parts, the remainders and the bounds on the errors."""

    __slots__ = ("rows",)

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self.rows = rows

    @classmethod
    def variable(cls, count: int) -> PairSeries:
        """The series t with this many coefficients."""
        rows = np.zeros((3, count))
        rows[0, 1] = 1.0
        return cls(rows)

    @classmethod
    def of_balls(cls, balls: list[arb]) -> PairSeries:
        """The series with these coefficients."""
        return cls(np.concatenate([_constant(ball) for ball in balls], axis=1))

    def __getitem__(self, n: int) -> arb:
        high, low, error = self.rows[:, n].tolist()
        ball: arb = arb(high, error) + low
        return ball

    def __mul__(self, other: Any) -> PairSeries:
        other = other.rows if isinstance(other, PairSeries) else _constant(other)
        return self._new(pairs.product, other, self.rows)

    def __add__(self, other: Any) -> PairSeries:
        other = other.rows if isinstance(other, PairSeries) else _constant(other)
        return self._new(pairs.total, other, self.rows)

    __rmul__, __radd__ = __mul__, __add__

    def __neg__(self) -> PairSeries:
        high, low, error = self.rows
        return PairSeries(np.stack([-high, -low, error]))

    def __sub__(self, other: Any) -> PairSeries:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> PairSeries:
        return (-self).__add__(other)

    def __truediv__(self, number: Any) -> PairSeries:
        return self * (1 / arb(number))

    def squared(self) -> PairSeries:
        """The squares of the coefficients."""
        return self._new(pairs.squares, self.rows)

    def derivative(self) -> PairSeries:
        """The derivative, its last coefficient unknown."""
        return self._new(pairs.derivative, self.rows)

    def integral(self) -> PairSeries:
        """The integral from 0."""
        return self._new(pairs.integral, self.rows)

    def rsqrt(self) -> PairSeries:
        """The inverse of the square root: r with f r' = -f' r / 2."""
        found = np.zeros_like(self.rows)
        found[:, :1] = _constant(self[0].rsqrt())
        pairs.solution(self.rows, (self.derivative() * arb(-0.5)).rows, found)
        return PairSeries(found)

    def solved(self, slope: PairSeries, start: arb) -> PairSeries:
        """The series y with y' = slope y + this one, y_0 = start."""
        found = np.empty_like(self.rows)
        found[:, :1], found[:, 1:] = _constant(start), self.rows[:, :-1]
        pairs.solution(_ONE, slope.rows, found)
        return PairSeries(found)

    def shifted(self, start: arb, part: arb, count: int) -> PairSeries:
        """The first coefficients in y of this series of start + part y; both add up to 1."""
        out = np.empty((3, count))
        pairs.shifted(self.rows, _constant(start)[:, 0].copy(), _constant(part)[:, 0].copy(), out)
        return PairSeries(out)

    def of(self, inner: PairSeries) -> PairSeries:
        """Compose with a series that has no constant term; with an odd one, in t^2."""
        if inner.rows[:, ::2].any():
            return inner._new(pairs.composed, self.rows, inner.rows)
        found = np.zeros_like(inner.rows)
        half = PairSeries(inner.rows[:, 1::2].copy())
        square = np.zeros((3, found[:, ::2].shape[1]))
        square[:, 1:] = (half * half).rows[:, : square.shape[1] - 1]
        for parity in (0, 1):
            outer = self.rows[:, parity::2].copy()
            if outer.any():
                part = np.empty_like(square)
                pairs.composed(outer, square, part)
                some = PairSeries(part[:, : found[:, parity::2].shape[1]].copy())
                found[:, parity::2] = (some * half if parity else some).rows
        return PairSeries(found)

    def _new(self, operation: Any, *arguments: NDArray[np.float64]) -> PairSeries:
        out = np.empty_like(self.rows)
        operation(*arguments, out)
        return PairSeries(out)


def _constant(number: Any) -> NDArray[np.float64]:
    """A number as a series of one coefficient."""
    ball = arb(number)
    high = float(ball.mid())
    low = float((ball - high).mid())
    return np.array([[high], [low], [float(abs(ball - high - low).upper())]])


_ONE = np.array([[1.0], [0.0], [0.0]])
