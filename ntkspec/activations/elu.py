"""elu: x for x > 0, e^x - 1 for x < 0; and selu, which has other slopes on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, PreparedDual, Singularity
from ntkspec.conventions import SELU_ALPHA, SELU_LAMBDA

__all__ = ["ELU", "SELU"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(np.asarray(x, dtype=np.float64), 0.0)))


def ball(x: Any, sign: int) -> Any:
    return x if sign > 0 else x.exp() - 1


def ball_derivative(x: Any, sign: int) -> Any:
    return 1 + 0 * x if sign > 0 else x.exp()


def selu(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return SELU_LAMBDA * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def selu_derivative(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    left = SELU_ALPHA * np.exp(np.minimum(x, 0.0))
    return SELU_LAMBDA * np.where(x > 0, 1.0, np.where(x < 0, left, 0.5 * (1.0 + SELU_ALPHA)))


def selu_ball(x: Any, sign: int) -> Any:
    return x * SELU_LAMBDA if sign > 0 else (x.exp() - 1) * SELU_ALPHA * SELU_LAMBDA


def selu_ball_derivative(x: Any, sign: int) -> Any:
    return SELU_LAMBDA + 0 * x if sign > 0 else x.exp() * SELU_ALPHA * SELU_LAMBDA


ELU = Activation(
    "elu",
    value,
    derivative,
    ball,
    ball_derivative,
    PreparedDual("elu_dual"),
    Singularity("kink", 2),
)
SELU = Activation(
    "selu",
    selu,
    selu_derivative,
    selu_ball,
    selu_ball_derivative,
    PreparedDual("elu_dual", (SELU_ALPHA, SELU_LAMBDA)),
    Singularity("kink", 1),
)
