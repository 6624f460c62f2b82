"""softsign and finer: odd, analytic on either side of 0, where the second derivative jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Function, PreparedDual, Singularity

__all__ = ["FINER", "SOFTSIGN"]


def softsign(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x / (1.0 + np.abs(x)))


def softsign_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray((1.0 + np.abs(np.asarray(x, np.float64))) ** -2.0)


def softsign_ball(x: Any, sign: int) -> Any:
    return x / (1 + sign * x)


def softsign_ball_derivative(x: Any, sign: int) -> Any:
    return 1 / ((1 + sign * x) * (1 + sign * x))


def finer(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(np.sin((np.abs(x) + 1.0) * x))


def finer_derivative(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray((2.0 * np.abs(x) + 1.0) * np.cos((np.abs(x) + 1.0) * x))


def finer_ball(x: Any, sign: int) -> Any:
    return ((sign * x + 1) * x).sin()


def finer_ball_derivative(x: Any, sign: int) -> Any:
    return (2 * sign * x + 1) * ((sign * x + 1) * x).cos()


def _odd(
    name: str, value: Function, derivative: Function, ball: Any, ball_derivative: Any
) -> Activation:
    return Activation(
        name, value, derivative, ball, ball_derivative,
        PreparedDual("moment_dual", (name,)), Singularity("kink", 2), symmetry="odd",
    )  # fmt: skip


#: x / (1 + |x|).
SOFTSIGN = _odd("softsign", softsign, softsign_derivative, softsign_ball, softsign_ball_derivative)
#: sin((|x| + 1) x) (Liu et al. 2024).
FINER = _odd("finer", finer, finer_derivative, finer_ball, finer_ball_derivative)
