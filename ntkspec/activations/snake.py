"""snake: x + sin(a x)^2 / a (Ziyin et al. 2020), which is x + (1 - cos(2 a x)) / (2 a)."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation
from ntkspec.activations.entire import entire
from ntkspec.activations.names import called
from ntkspec.activations.scaled import scaled
from ntkspec.activations.trigonometric import sin_dual

__all__ = ["snake"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x + np.sin(x) ** 2)


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    return 1.0 + np.sin(2.0 * np.asarray(x, np.float64))


def ball(x: Any) -> Any:
    return x + x.sin() ** 2


def ball_derivative(x: Any) -> Any:
    return 1 + (2 * x).sin()


def dual(point: Any, q: Any) -> tuple[Any, Any]:
    """Those of x and of (1 - cos 2x) / 2, which is even."""
    odd, even = sin_dual(point, 4 * q)
    return q * point.cosine + (1 - 2 * (-2 * q).exp() + even) / 4, 1 + odd


_BASE = entire("snake", value, derivative, ball, ball_derivative, dual, polynomial=1)


@lru_cache(maxsize=64)
def snake(a: float = 1.0) -> Activation:
    """x + sin(a x)^2 / a: that of a = 1 with both axes scaled."""
    return scaled(_BASE, called("snake", a), Fraction(a))
