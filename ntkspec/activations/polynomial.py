"""polynomial: c0 + c1 x + c2 x^2 + ..., by its coefficients."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Fixed
from ntkspec.activations.entire import entire
from ntkspec.activations.names import called
from ntkspec.activations.powers import leaky_relu
from ntkspec.errors import NtkspecError
from ntkspec.parameters import shown

__all__ = ["MOST_DEGREE", "polynomial"]

MOST_DEGREE = 16

Coefficients = tuple[float, ...]


def value(c: Coefficients, x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.polynomial.polynomial.polyval(np.asarray(x, np.float64), c))


def ball(c: Coefficients, x: Any) -> Any:
    total = 0 * x
    for one in reversed(c):
        total = total * x + one
    return total


def dual(c: Coefficients, point: Any, q: Any) -> tuple[Any, Any]:
    """E[sigma(u) sigma(v)] = sum_n n! g_n^2 cov^n, g_n = E[sigma^(n)(u)] / n!, and its slope."""
    covariance = q * point.cosine
    total, slope = 0 * covariance, 0 * covariance
    for n in reversed(range(len(c))):
        g = 0 * q
        for j in range((len(c) - 1 - n) // 2 + 1):
            pairs = math.factorial(n + 2 * j) // (math.factorial(n) * 2**j * math.factorial(j))
            g += c[n + 2 * j] * q**j * pairs
        slope = slope * covariance + total
        total = total * covariance + math.factorial(n) * g * g
    return total, slope


@lru_cache(maxsize=64)
def polynomial(*coefficients: float) -> Activation:
    """c0 + c1 x + c2 x^2 + ...; the square x^2 without coefficients, leaky_relu(1) for x."""
    c = tuple(map(float, coefficients)) or (0.0, 0.0, 1.0)
    while c and c[-1] == 0.0:
        c = c[:-1]
    if len(c) < 2 or len(c) > MOST_DEGREE + 1:
        raise NtkspecError(
            f"polynomial{shown(coefficients)} is not allowed; give 2 to {MOST_DEGREE + 1} "
            "coefficients, the constant first, of which another one is not 0"
        )
    if c == (0.0, 1.0):
        return leaky_relu(1.0)
    slopes = tuple(n * one for n, one in enumerate(c))[1:]
    powers = {n % 2 for n, one in enumerate(c) if one}
    known = {"polynomial": len(c) - 1, "symmetry": ("even", "odd")[powers.pop()]}
    return entire(
        called("polynomial", *c), Fixed(value, (c,)), Fixed(value, (slopes,)), Fixed(ball, (c,)),
        Fixed(ball, (slopes,)), Fixed(dual, (c,)), coefficients=c, **({} if powers else known),
    )  # fmt: skip
