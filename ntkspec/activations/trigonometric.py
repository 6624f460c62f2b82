"""sin and cos."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.entire import entire

__all__ = ["COS", "SIN"]


def sin(x: ArrayLike) -> NDArray[np.float64]:
    return np.sin(np.asarray(x, np.float64))


def cos(x: ArrayLike) -> NDArray[np.float64]:
    return np.cos(np.asarray(x, np.float64))


def cos_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return -np.sin(np.asarray(x, np.float64))


def ball_sin(x: Any) -> Any:
    return x.sin()


def ball_cos(x: Any) -> Any:
    return x.cos()


def ball_cos_derivative(x: Any) -> Any:
    return -x.sin()


def sin_dual(point: Any, q: Any) -> tuple[Any, Any]:
    c = q * point.cosine
    if hasattr(c, "sinh") and abs(c) < 1:
        damping = (-q).exp()
        return damping * c.sinh(), damping * c.cosh()
    # One exponential each: products of a large and a small one would know q twice.
    up, down = (-q * point.minus).exp() / 2, (-q * (1 + point.cosine)).exp() / 2
    return up - down, up + down


def cos_dual(point: Any, q: Any) -> tuple[Any, Any]:
    return sin_dual(point, q)[::-1]


SIN = entire("sin", sin, cos, ball_sin, ball_cos, sin_dual, symmetry="odd")
COS = entire("cos", cos, cos_derivative, ball_cos, ball_cos_derivative, cos_dual, symmetry="even")
