"""The implicit regularization kappa for n samples and a ridge."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ntkspec.predict.modes import Modes

__all__ = ["Regularization", "RidgeScale", "doubt_at", "log_root", "regularization"]

Array = NDArray[np.float64]
RidgeScale = Literal["matrix", "operator"]

#: Range below its upper bound in which kappa is searched, in natural logarithms.
MOST_FALL = 1e5


@dataclass(frozen=True)
class Regularization:
    """ln kappa for numbers of samples and ridges, with the likely rest of the spectrum and bounds.

    -inf if there are more samples than functions and no ridge.
    """

    samples: Array
    ridge: Array
    log_kappa: Array
    least: Array
    most: Array


def regularization(known: Modes, samples: Array, ridge: Array) -> Regularization:
    """Solve n = sum N L + delta / kappa, L = lambda / (lambda + kappa), for kappa.

    The right side falls in kappa, and is at most (K(1) + delta) / kappa: so kappa is at most
    (K(1) + delta) / n, and Brent's method in ln kappa goes down from there.  The rest of the
    spectrum enters by its bounds (`Modes.rest_freedom`), so the solutions with the least and the
    most of it bound kappa.
    """
    roots = np.array(
        [
            [_root(known, n, delta, part) for part in range(3)]
            for n, delta in zip(samples.tolist(), ridge.tolist(), strict=True)
        ]
    )
    # Where the rest hardly counts, the rounding of the roots may exchange the bounds.
    least, most = np.sort(roots[:, ::2], axis=1).T
    return Regularization(samples, ridge, np.clip(roots[:, 1], least, most), least, most)


def doubt_at(known: Modes, samples: Array, ridge: Array) -> float:
    """Relative uncertainty of n from the rest of the spectrum, at kappa of the largest n."""
    n, delta = float(samples.max()), float(ridge[np.argmax(samples)])
    if delta == 0.0 and known.freedom(-math.inf).sum() < n and known.rest[1] > 0.0:
        return math.inf  # at least as many functions as samples
    below, _, above = known.rest_freedom(_root(known, n, delta, 1))
    return float((above - below) / n) if math.isfinite(above) else math.inf


def _root(known: Modes, n: float, ridge: float, part: int) -> float:
    """ln kappa with the least (0), likely (1) or most (2) of the rest."""

    def excess(log_kappa: float) -> float:
        x = np.array(log_kappa)
        of_ridge = math.exp(min(700.0, math.log(ridge) - log_kappa)) if ridge else 0.0
        rest = float(known.rest_freedom(x)[part])
        return float(known.freedom(x).sum()) + rest + of_ridge - n

    # The eigenvalues may exceed the trace by its error.
    most = max(known.trace * (1.0 + 1e-9), float(known.shares.sum()) * known.trace + known.rest[1])
    # A little more, so that the sum is below n in spite of rounding.
    return log_root(excess, math.log(most + ridge) - math.log(n) + 1e-9)


def log_root(excess: Callable[[float], float], highest: float) -> float:
    """Return the logarithm where a falling function is 0, at most `highest`; -inf if nowhere."""
    fall = 1.0
    while excess(highest - fall) <= 0.0:
        fall *= 2.0
        if fall > MOST_FALL:  # more samples than functions: no regularization
            return -math.inf
    return float(brentq(excess, highest - fall, highest, xtol=1e-13, rtol=1e-14))
