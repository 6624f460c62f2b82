"""Whether a user's function of doubles is one of the catalogue's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ntkspec.activations.catalogue import ACTIVATIONS, activation
from ntkspec.activations.names import called

__all__ = ["recognized"]

#: Largest degree of polynomials that are recognized.
MOST_FITTED = 6

#: Where a function is compared with those of the catalogue.
POINTS = np.append(np.linspace(-4.0, 4.0, 49) + 0.013, 1.0)
#: Where one that agrees there is compared again, for features between.
DENSE = np.linspace(-4.0, 4.0, 4001) + 0.0007
#: Values at 1 of those that need scipy, which is imported only if these agree.
AT_ONE = {"erf": math.erf(1.0), "gelu": 0.5 + 0.5 * math.erf(math.sqrt(0.5))}


def recognized(function: Callable[[Any], Any]) -> str | None:
    """Name of the catalogue's activation with the same values at 4051 points, to rounding.

    Examples
    --------
    >>> recognized(lambda x: np.where(x > 0, x, 0.01 * x))
    'leaky_relu(0.01)'
    >>> recognized(np.tan) is None
    True
    """
    values = _values(function, POINTS)
    if values is None:
        return None
    for name in _candidates(values):
        if np.allclose(activation(name).value(POINTS), values, rtol=1e-13, atol=1e-15):
            dense = _values(function, DENSE)
            same = dense is not None and np.allclose(
                activation(name).value(DENSE), dense, rtol=1e-13, atol=4e-15
            )
            return name if same else None
    return None


def _values(function: Callable[[Any], Any], points: Any) -> Any:
    """Values, or None if they are not those of an activation."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            values = np.asarray(function(points.copy()), np.float64)
    except Exception:  # refused, with the reason, when a kernel is computed
        return None
    return values if values.shape == points.shape and np.isfinite(values).all() else None


def _candidates(values: Any) -> Iterator[str]:
    """Names with their default parameters, and with those that the values suggest."""
    for name in ACTIVATIONS:
        if abs(AT_ONE.get(name, values[-1]) - values[-1]) < 1e-9:
            yield name
    slope = round(float(values[0] / POINTS[0]), 12)
    if abs(slope) < 1e6:
        yield f"leaky_relu({slope!r})"
    yield from (f"relu_power({power})" for power in range(3, 6))
    fit = np.polynomial.Polynomial.fit(POINTS, values, MOST_FITTED).convert().coef
    coefficients = np.trim_zeros(np.round(fit, 10), "b")
    if coefficients.size > 1 and np.abs(coefficients).max() < 1e6:
        yield called("polynomial", *coefficients.tolist())
