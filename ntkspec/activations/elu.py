"""elu: x for x > 0, e^x - 1 for x < 0; and selu, which has other slopes on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, PreparedDual, Singularity

__all__ = ["ALPHA", "ELU", "LAMBDA", "SELU"]

#: Of Klambauer et al. 2017, in doubles as libraries have them: selu(x) = LAMBDA x for x > 0, and
#: LAMBDA ALPHA (e^x - 1) for x < 0.
LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772


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
    return LAMBDA * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0.0)))


def selu_derivative(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    left = ALPHA * np.exp(np.minimum(x, 0.0))
    return LAMBDA * np.where(x > 0, 1.0, np.where(x < 0, left, 0.5 * (1.0 + ALPHA)))


def selu_ball(x: Any, sign: int) -> Any:
    return x * LAMBDA if sign > 0 else (x.exp() - 1) * ALPHA * LAMBDA


def selu_ball_derivative(x: Any, sign: int) -> Any:
    return LAMBDA + 0 * x if sign > 0 else x.exp() * ALPHA * LAMBDA


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
    PreparedDual("elu_dual", (ALPHA, LAMBDA)),
    Singularity("kink", 1),
)
