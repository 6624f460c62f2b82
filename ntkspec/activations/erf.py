"""erf, the error function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.entire import determinant, entire

__all__ = ["ERF"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import erf

    return np.asarray(erf(np.asarray(x, np.float64)))


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(2.0 / math.sqrt(math.pi) * np.exp(-np.square(np.asarray(x, np.float64))))


def ball(x: Any) -> Any:
    return x.erf()


def ball_derivative(x: Any) -> Any:
    return 2 / x.pi().sqrt() * (-x * x).exp()


def dual(point: Any, q: Any) -> tuple[Any, Any]:
    """Williams 1997, eq. 11; arcsin by arctan, which keeps its digits near 1."""
    c = q * point.cosine
    root = determinant(point, 2 * q).sqrt()
    return 2 / point.pi * (2 * c / root).atan(), 4 / point.pi / root


ERF = entire("erf", value, derivative, ball, ball_derivative, dual, symmetry="odd")
