"""The correlation of two Gaussians, as a cosine and as an angle."""

from __future__ import annotations

from typing import Any

from flint import acb, arb, arb_series

from ntkspec.duals.pairs import PairSeries

__all__ = ["Correlation", "powers"]


class Correlation:
    """Correlation cos(theta) of two Gaussians of equal variance: real or complex balls, or series.

    The angle is given where it is known without loss, and is otherwise the principal arccos.
    """

    __slots__ = ("_angle", "_sine", "cosine", "pi")

    def __init__(self, cosine: Any, angle: Any = None) -> None:
        self.cosine = cosine
        self.pi = arb.pi()
        self._angle = angle
        self._sine: Any = None

    @property
    def angle(self) -> Any:
        """Theta, in [0, pi] for real balls."""
        if self._angle is None:
            self._angle = _arccos(self.cosine)
        return self._angle

    @property
    def sine(self) -> Any:
        """Sin(theta)."""
        if self._sine is None:
            self._sine = self.angle.sin()
        return self._sine

    @property
    def is_series(self) -> bool:
        """Whether this is a power series, and not a number."""
        return isinstance(self.cosine, (arb_series, PairSeries))

    @property
    def start(self) -> Correlation:
        """The first coefficients of a series."""
        return Correlation(self.cosine[0], self.angle[0])

    @property
    def minus(self) -> Any:
        """1 - cos(theta), without cancellation where the angle is known."""
        if self._angle is None:
            return 1 - self.cosine
        half = (self._angle / 2).sin()
        return 2 * half * half

    @classmethod
    def full(cls) -> Correlation:
        """Correlation 1."""
        return cls(arb(1), arb(0))


def _arccos(cosine: Any) -> Any:
    """Arccos of a ball; the part of a real one outside [-1, 1] is rounding and is cut off."""
    if isinstance(cosine, (arb_series, PairSeries)):
        slope = cosine.derivative() * (1 - cosine * cosine).rsqrt()
        return cosine[0].acos() - slope.integral()
    if isinstance(cosine, acb) or (cosine < 1 and cosine > -1):
        return cosine.acos()
    upper, lower = cosine.upper(), cosine.lower()
    first = arb(0) if not upper < 1 else upper.acos()
    last = arb.pi() if not lower > -1 else lower.acos()
    return first.union(last)


def powers(z: acb, count: int) -> list[acb]:
    """1, z, ..., z^(count-1), each by few multiplications, so that the balls stay small.

    A ball's square box grows with every turn, so that Horner's rule on the unit circle would lose
    digits in proportion to the degree.
    """
    row = [acb(1), z]
    for n in range(2, count):
        row.append(row[n // 2] * row[n - n // 2])
    return row[:count]
