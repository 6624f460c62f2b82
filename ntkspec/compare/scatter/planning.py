"""Widths and numbers of seeds for a given accuracy of mean rates.

The accuracy is two standard errors of the mean over the seeds, relative to the rate, and the size
of the mean's bias where that is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, whole_number

__all__ = ["Choice", "accuracy_of", "choices", "width_for"]

Array = NDArray[np.float64]

#: Standard errors that count as the accuracy.
ERRORS = 2.0
#: Numbers of seeds among which a plan chooses.
SEEDS = (2, 3, 5, 10, 20)
#: Smallest number of independent neurons over the relative variance of one: with fewer, a rate
#: scatters by more than a third, and the first order of the prediction fails.
LEAST_NEURONS = 10.0


class Choice(NamedTuple):
    """A width and a number of seeds that give an accuracy.

    Examples
    --------
    >>> Choice(1024, 5).width
    1024
    """

    width: int
    seeds: int


def accuracy_of(
    relative_variances: ArrayLike,
    width: int,
    seeds: int,
    *,
    antisymmetric: bool = True,
    bias: ArrayLike = 0.0,
) -> Array:
    """Accuracy of the mean rates over seeds: two standard errors and the bias.

    Parameters
    ----------
    relative_variances : (K,) array_like
        Of the rates for one neuron, as in `RateScatter.relative_variances`.
    width, seeds : int
    antisymmetric : bool
        Whether half of the neurons are independent.
    bias : (K,) array_like
        Relative bias of the rates times the width; it falls as 1/width.

    Returns
    -------
    (K,) ndarray of float64

    Raises
    ------
    NtkspecError
        If a number is not allowed.

    Examples
    --------
    >>> accuracy_of([0.5], 2048, 8).round(6)
    array([0.015625])
    """
    squares, offset = _checked(relative_variances, bias, antisymmetric)
    width, seeds = whole_number(width, "width", least=1), whole_number(seeds, "seeds", least=1)
    return np.asarray(ERRORS * np.sqrt(squares / (width * seeds)) + offset / width)


def width_for(
    relative_variances: ArrayLike,
    accuracy: float,
    seeds: int,
    *,
    antisymmetric: bool = True,
    bias: ArrayLike = 0.0,
) -> int:
    """Smallest width at which the mean rates over a number of seeds have an accuracy.

    Parameters
    ----------
    relative_variances : (K,) array_like
        Of the rates for one neuron, as in `RateScatter.relative_variances`.  NaN, a degree that
        measures no rate, is left out.
    accuracy : float
        Relative, for each degree.
    seeds : int
    antisymmetric : bool
        Whether half of the neurons are independent; the width is then even.
    bias : (K,) array_like
        Relative bias of the rates times the width; it falls as 1/width.

    Returns
    -------
    int

    Raises
    ------
    NtkspecError
        If a number is not allowed, or no degree measures a rate.

    Notes
    -----
    The width also has ten independent neurons for each unit of relative variance, so that one
    network's rate scatters by less than a third: the prediction is of first order.

    Examples
    --------
    3 % for ReLU on the circle at degree 8, whose relative variance is 0.469, from 5 seeds:

    >>> width_for([0.469], 0.03, 5)
    834
    """
    seeds = whole_number(seeds, "seeds", least=1)
    wanted = number(accuracy, "accuracy", 1e-9, 1e9)
    squares, offset = _checked(relative_variances, bias, antisymmetric)
    # (bias / width) + (spread / sqrt(width)) = accuracy, quadratic in sqrt(width).
    spread = ERRORS * np.sqrt(squares / seeds)
    roots = (spread + np.sqrt(spread**2 + 4.0 * offset * wanted)) / (2.0 * wanted)
    width = max(1, math.ceil(float(np.max(np.maximum(roots**2, LEAST_NEURONS * squares)))))
    return width + width % 2 if antisymmetric else width


def choices(
    relative_variances: ArrayLike,
    accuracy: float,
    *,
    seeds: Iterable[int] = SEEDS,
    antisymmetric: bool = True,
    bias: ArrayLike = 0.0,
) -> list[Choice]:
    """Widths for several numbers of seeds, all of one accuracy; their costs decide between them.

    Parameters
    ----------
    relative_variances, accuracy, antisymmetric, bias
        As for `width_for`.
    seeds : iterable of int

    Returns
    -------
    list of Choice

    Raises
    ------
    NtkspecError
        If a number is not allowed, or no degree measures a rate.

    Examples
    --------
    >>> choices([0.18, 0.469], 0.03, seeds=[2, 5])
    [Choice(width=2086, seeds=2), Choice(width=834, seeds=5)]
    >>> choices([0.469], 0.03, seeds=[5], bias=[30.0])  # -3 % at width 1024
    [Choice(width=2422, seeds=5)]
    """
    options = {"antisymmetric": antisymmetric, "bias": bias}
    return [
        Choice(width_for(relative_variances, accuracy, count, **options), count)  # type: ignore[arg-type]
        for count in seeds
    ]


def _checked(
    relative_variances: ArrayLike, bias: ArrayLike, antisymmetric: bool
) -> tuple[Array, Array]:
    """Variances for one unit of the width and sizes of the bias, of degrees that have a rate."""
    variances = np.atleast_1d(np.asarray(relative_variances, dtype=np.float64))
    offset = np.broadcast_to(np.abs(np.asarray(bias, dtype=np.float64)), variances.shape)
    kept = ~np.isnan(variances)
    if variances.ndim != 1 or not kept.any():
        raise NtkspecError("no degree has a rate to plan for: relative_variances has no number")
    squares, offset = variances[kept], offset[kept]
    if not (np.isfinite(squares).all() and (squares >= 0.0).all() and np.isfinite(offset).all()):
        raise NtkspecError("relative_variances must be finite and >= 0, and bias finite")
    return squares * (2.0 if antisymmetric else 1.0), offset
