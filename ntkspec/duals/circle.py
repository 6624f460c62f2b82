"""Power series in t and their values on a circle |t| = r < 1, by Fourier transforms in doubles.

With M points and r = e^(-37/M) the coefficient n is known beside that of n + M, which is 1e-16 of
it at most.  Coefficients that fall slowly, as n^(-1/2), keep a relative accuracy up to n = M / 8;
those that fall faster are had from derivatives, divided by n.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["Circle"]

#: Nats that the circle damps the coefficient M by, and points for each coefficient.
NATS, POINTS = 37.0, 8

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


class Circle:
    """The upper half of the circle, for power series with real coefficients."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.points = 2 * scipy.fft.next_fast_len(POINTS * count // 2, real=True)
        n = np.arange(self.points, dtype=np.float64)
        self.damping = np.exp(-NATS / self.points * n)
        half = self.points // 2
        angle = 2.0 * math.pi / self.points * n[: half + 1]
        r, short = math.exp(-NATS / self.points), -math.expm1(-NATS / self.points)
        sine, cosine = np.sin(0.5 * angle), np.sin(0.5 * angle[::-1])
        turned = 2.0 * r * sine * cosine
        #: t, 1 - t and 1 + t, without cancellation.
        self.t: Complex = r * (1.0 - 2.0 * sine * sine) + 1j * turned
        self.minus: Complex = short + 2.0 * r * sine * sine - 1j * turned
        self.plus: Complex = short + 2.0 * r * cosine * cosine + 1j * turned

    def values(self, damped: Array) -> Complex:
        """Values of the power series whose M coefficients times r^n are given."""
        found: Complex = np.conj(scipy.fft.rfft(damped))
        return found

    def damped(self, values: Complex) -> Array:
        """The M coefficients of a power series, the n-th times r^n."""
        found: Array = scipy.fft.irfft(np.conj(values), self.points)
        return found

    def integrated(self, values: Complex, first: float) -> Array:
        """The damped coefficients of the integral, which is `first` at 0."""
        out = np.empty(self.points)
        out[0] = first
        out[1:] = self.damped(values)[:-1] * (self.damping[1] / np.arange(1.0, self.points))
        return out

    @staticmethod
    def mean(values: Complex) -> float:
        """The value at t = 0."""
        whole = 2.0 * np.sum(values[1:-1].real) + values[0].real + values[-1].real
        return float(whole / (2 * values.size - 2))

    def opposite(self, values: Complex) -> Complex:
        """Values at -t."""
        return np.conj(values[::-1])
