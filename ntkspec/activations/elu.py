"""elu: x for x > 0, e^x - 1 for x < 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, PreparedDual, Singularity

__all__ = ["ELU"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(np.asarray(x, dtype=np.float64), 0.0)))


def ball(x: Any, sign: int) -> Any:
    return x if sign > 0 else x.exp() - 1


def ball_derivative(x: Any, sign: int) -> Any:
    return 1 + 0 * x if sign > 0 else x.exp()


ELU = Activation(
    "elu",
    value,
    derivative,
    ball,
    ball_derivative,
    PreparedDual("elu_dual"),
    Singularity("kink", 2),
)
