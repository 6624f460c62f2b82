"""relu, leaky_relu, abs, step and relu_power: powers on either side of a kink at 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, PreparedDual, Singularity

__all__ = ["ABS", "RELU", "STEP", "leaky_relu", "own_parameters", "relu_power"]


@dataclass(frozen=True)
class Sides:
    """The function right x^power for x > 0 and left |x|^power for x < 0, of float64 arrays."""

    power: int
    right: float
    left: float

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        x = np.asarray(x, dtype=np.float64)
        size: NDArray[np.float64] = np.abs(x) ** self.power
        at_zero = 0.5 * (self.right + self.left) * size
        return np.where(x > 0, self.right * size, np.where(x < 0, self.left * size, at_zero))


@dataclass(frozen=True)
class BallSides:
    """The same function of a ball, with the sign of its argument."""

    power: int
    right: float
    left: float

    def __call__(self, x: Any, sign: int) -> Any:
        return self.right * x**self.power if sign > 0 else self.left * (-x) ** self.power


def homogeneous(name: str, power: int, right: float, left: float, **known: Any) -> Activation:
    """sigma(x) = right x^power for x > 0, left |x|^power for x < 0 (Cho and Saul 2009)."""
    slopes = power - 1, power * right, -power * left
    return Activation(
        name,
        Sides(power, right, left),
        Sides(*slopes) if power > 0 else None,
        BallSides(power, right, left),
        BallSides(*slopes) if power > 0 else None,
        PreparedDual("homogeneous_dual", (power, right, left)),
        Singularity("kink", power),
        homogeneous=(power, right, left),
        **known,
    )


@lru_cache(maxsize=64)
def leaky_relu(slope: float = 0.1) -> Activation:
    """x for x > 0, slope times x for x < 0."""
    known: dict[str, Any] = {"symmetry": "even"} if slope == -1.0 else {"polynomial": 1}
    return homogeneous("leaky_relu", 1, 1.0, -slope, **known)


@lru_cache(maxsize=64)
def relu_power(power: int = 2) -> Activation:
    """max(x, 0)^power."""
    return homogeneous("relu_power", power, 1.0, 0.0, polynomial=power)


def own_parameters(sigma: Activation) -> dict[str, Any]:
    """Slope of leaky_relu and power of relu_power, which are no part of their names; else None.

    Examples
    --------
    >>> own_parameters(leaky_relu(0.2))
    {'slope': 0.2, 'power': None}
    """
    power, _, left = sigma.homogeneous or (0, 0.0, 0.0)
    return {
        "slope": 0.0 - left if sigma.name == "leaky_relu" else None,
        "power": power if sigma.name == "relu_power" else None,
    }


RELU = homogeneous("relu", 1, 1.0, 0.0, polynomial=1)
ABS = homogeneous("abs", 1, 1.0, 1.0, symmetry="even")
STEP = homogeneous("step", 0, 1.0, 0.0, polynomial=0)
