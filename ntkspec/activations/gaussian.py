"""gaussian: e^(-x^2/2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.entire import determinant, entire

__all__ = ["GAUSSIAN"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * np.square(np.asarray(x, np.float64))))


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    return -np.asarray(x, np.float64) * value(x)


def ball(x: Any) -> Any:
    return (-x * x / 2).exp()


def ball_derivative(x: Any) -> Any:
    return -x * (-x * x / 2).exp()


def dual(point: Any, q: Any) -> tuple[Any, Any]:
    c = q * point.cosine
    square = determinant(point, q)
    value = 1 / square.sqrt()
    return value, value * c / square


GAUSSIAN = entire("gaussian", value, derivative, ball, ball_derivative, dual, symmetry="even")
