"""The implicit regularization kappa for n samples and a ridge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ntkspec.errors import NtkspecError
from ntkspec.parameters import is_one_of, shown
from ntkspec.predict.modes import Modes

__all__ = ["Regularization", "RidgeScale", "checked_ridge_scale", "doubt_at", "regularization"]

Array = NDArray[np.float64]
RidgeScale = Literal["matrix", "operator"]

#: Range below its upper bound in which kappa is searched, in natural logarithms.
MOST_FALL = 1e5


@dataclass(frozen=True)
class Regularization:
    """ln kappa for each number of samples, by `regularization`.

    Attributes
    ----------
    samples, ridge : (S,) float64 array
        n, and delta of K + delta I for each.
    log_kappa, least, most : (S,) float64 array
        With the likely rest of the spectrum, and bounds; -inf if there are more samples than
        functions and no ridge.
    """

    samples: Array
    ridge: Array
    log_kappa: Array
    least: Array
    most: Array


def regularization(known: Modes, samples: Array, ridge: Array) -> Regularization:
    """Solve n = sum N L + delta / kappa, L = lambda / (lambda + kappa), for kappa.

    Parameters
    ----------
    known : Modes
    samples, ridge : (S,) float64 array
        n and delta.

    Returns
    -------
    Regularization

    Notes
    -----
    The right side falls in kappa, and is at most (K(1) + delta) / kappa: so kappa is at most
    (K(1) + delta) / n, and Brent's method in ln kappa goes down from there.  The rest of the
    spectrum enters by its bounds (`Modes.rest_freedom`), so the solutions with the least and the
    most of it bound kappa.

    Examples
    --------
    >>> from ntkspec.predict.modes import modes
    >>> found = regularization(modes("relu"), np.array([10.0]), np.zeros(1))
    >>> np.exp([found.least[0], found.log_kappa[0], found.most[0]]).round(5)
    array([0.01423, 0.01423, 0.01423])
    """
    roots = np.array(
        [
            [_root(known, n, delta, part) for part in range(3)]
            for n, delta in zip(samples.tolist(), ridge.tolist(), strict=True)
        ]
    )
    least, likely, most = roots.T
    return Regularization(samples, ridge, np.clip(likely, least, most), least, most)


def doubt_at(known: Modes, samples: Array, ridge: Array) -> float:
    """Relative uncertainty of n from the rest of the spectrum, at kappa of the largest sample size.

    Examples
    --------
    >>> from ntkspec.predict.modes import modes
    >>> [doubt_at(modes("relu", 3, max_degree=k), np.array([100.0]), np.zeros(1)) < 1e-3
    ...  for k in (32, 256)]
    [False, True]
    """
    n, delta = float(samples.max()), float(ridge[np.argmax(samples)])
    if delta == 0.0 and known.freedom(-math.inf).sum() < n and known.rest[1] > 0.0:
        return math.inf  # at least as many functions as samples
    below, _, above = known.rest_freedom(_root(known, n, delta, 1))
    return float((above - below) / n) if math.isfinite(above) else math.inf


def checked_ridge_scale(scale: RidgeScale) -> RidgeScale:
    """Return the scale of a ridge.

    Raises
    ------
    NtkspecError
        For anything but "matrix" and "operator".

    Examples
    --------
    >>> checked_ridge_scale("matrix")
    'matrix'
    """
    if not is_one_of(scale, ("matrix", "operator")):
        raise NtkspecError(
            f"ridge_scale = {shown(scale)} is not allowed; use 'matrix' or 'operator'"
        )
    return scale


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
    highest = math.log(most + ridge) - math.log(n) + 1e-9
    fall = 1.0
    while excess(highest - fall) <= 0.0:
        fall *= 2.0
        if fall > MOST_FALL:  # more samples than functions: no regularization
            return -math.inf
    return float(brentq(excess, highest - fall, highest, xtol=1e-13, rtol=1e-14))
