"""tanh, sigmoid, silu and softplus: made from tanh, with poles or branch points off the real line.

Their duals are series in Hermite moments (`ntkspec.duals.hermite`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Function, PreparedDual, Singularity

__all__ = ["SIGMOID", "SILU", "SOFTPLUS", "TANH"]


def _slope(x: ArrayLike, amplitude: float, rate: float) -> NDArray[np.float64]:
    """Derivative of amplitude tanh(rate x)."""
    z = np.exp(-2.0 * rate * np.abs(np.asarray(x, np.float64)))
    return np.asarray(amplitude * rate * 4.0 * z / (1.0 + z) ** 2)


def tanh(x: ArrayLike) -> NDArray[np.float64]:
    return np.tanh(np.asarray(x, np.float64))


def tanh_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return _slope(x, 1.0, 1.0)


def tanh_ball(x: Any) -> Any:
    return x.tanh()


def tanh_ball_derivative(x: Any) -> Any:
    return x.sech() ** 2


def sigmoid(x: ArrayLike) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(x, np.float64))


def sigmoid_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return _slope(x, 0.5, 0.5)


def sigmoid_ball(x: Any) -> Any:
    return ((x / 2).tanh() + 1) / 2


def sigmoid_ball_derivative(x: Any) -> Any:
    return (x / 2).sech() ** 2 / 4


def silu(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(x, np.float64) * sigmoid(x)


def silu_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return sigmoid(x) + np.asarray(x, np.float64) * sigmoid_derivative(x)


def silu_ball(x: Any) -> Any:
    return x * sigmoid_ball(x)


def silu_ball_derivative(x: Any) -> Any:
    return sigmoid_ball(x) + x * sigmoid_ball_derivative(x)


def softplus(x: ArrayLike) -> NDArray[np.float64]:
    return np.logaddexp(0.0, np.asarray(x, np.float64))


def softplus_ball(x: Any) -> Any:
    """x/2 + log(2 cosh(x/2)), whose branch cuts keep off the strip |Im x| < pi."""
    return x / 2 + (2 * (x / 2).cosh()).log()


def from_tanh(
    name: str, *functions: Function, distance: float = math.pi, **known: Any
) -> Activation:
    """Describe an activation made from tanh by its four functions and the nearest singularity."""
    value, derivative, ball, ball_derivative = functions
    dual = PreparedDual("hermite_dual", (name,))
    singularity = Singularity("pole", distance=distance)
    return Activation(name, value, derivative, ball, ball_derivative, dual, singularity, **known)


TANH = from_tanh(
    "tanh", tanh, tanh_derivative, tanh_ball, tanh_ball_derivative,
    distance=0.5 * math.pi, symmetry="odd", tanh=(0.0, 1.0, 1.0),
)  # fmt: skip
SIGMOID = from_tanh(
    "sigmoid", sigmoid, sigmoid_derivative, sigmoid_ball, sigmoid_ball_derivative,
    polynomial=0, tanh=(0.5, 0.5, 0.5),
)  # fmt: skip
SILU = from_tanh("silu", silu, silu_derivative, silu_ball, silu_ball_derivative, polynomial=1)
SOFTPLUS = from_tanh("softplus", softplus, sigmoid, softplus_ball, sigmoid_ball, polynomial=1)
