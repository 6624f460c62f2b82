"""mish: x tanh(log(1 + e^x)) (Misra 2019)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, PreparedDual, Singularity

__all__ = ["MISH"]


def _share(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """tanh(log(1 + e^x)) and its derivative, from e^-|x|."""
    e = np.exp(-np.abs(x))
    right = 1.0 + 2.0 * e + 2.0 * e * e
    left = e * e + 2.0 * e + 2.0
    value = np.where(x > 0, (1.0 + 2.0 * e) / right, e * (e + 2.0) / left)
    slope = np.where(x > 0, e * e * (1.0 + e) / right**2, e * (1.0 + e) / left**2)
    return value, 4.0 * slope


def value(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x * _share(x)[0])


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    share, slope = _share(x)
    return np.asarray(share + x * slope)


def ball(x: Any) -> Any:
    e = x.exp()
    w = e * (e + 2)
    return x * w / (w + 2)


def ball_derivative(x: Any) -> Any:
    e = x.exp()
    w = e * (e + 2)
    return w / (w + 2) + 4 * x * e * (e + 1) / ((w + 2) * (w + 2))


#: Its poles nearest to the real line are at log(sqrt(2)) +- 3 pi i / 4.
MISH = Activation(
    "mish", value, derivative, ball, ball_derivative,
    PreparedDual("moment_dual", ("mish",)), Singularity("pole", distance=0.75 * math.pi),
)  # fmt: skip
