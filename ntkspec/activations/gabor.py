"""gabor: cos(omega x) exp(-(scale x)^2), the real part of WIRE's (Saragadam et al. 2023)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Fixed
from ntkspec.activations.entire import entire
from ntkspec.activations.names import called
from ntkspec.activations.trigonometric import COS
from ntkspec.errors import NtkspecError

__all__ = ["gabor"]


def value(omega: float, scale: float, x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(np.cos(omega * x) * np.exp(-np.square(scale * x)))


def derivative(omega: float, scale: float, x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    turn = omega * np.sin(omega * x) + 2.0 * scale**2 * x * np.cos(omega * x)
    return np.asarray(-turn * np.exp(-np.square(scale * x)))


def ball(omega: float, scale: float, x: Any) -> Any:
    return (x * omega).cos() * (-((x * scale) ** 2)).exp()


def ball_derivative(omega: float, scale: float, x: Any) -> Any:
    turn = omega * (x * omega).sin() + 2 * (x * scale) * scale * (x * omega).cos()
    return -turn * (-((x * scale) ** 2)).exp()


def dual(omega: float, scale: float, point: Any, q: Any) -> tuple[Any, Any]:
    """By the sum and the difference of u and v, which are independent, of variances 2 q (1 +- rho).

    cos(omega u) cos(omega v) is half of the sum of their cosines, and the factor narrows each.
    """
    near, far = q * point.minus, q * (1 + point.cosine)
    narrow, wide = (1 + 2 * scale * (scale * x) for x in (near, far))
    low, high = ((-omega * (omega * x)).exp() for x in (near / narrow, far / wide))
    total, root = low + high, (narrow * wide).sqrt()
    turned = omega * (omega * (low / (narrow * narrow) - high / (wide * wide)))
    narrowed = scale * (scale * (total * (1 / narrow - 1 / wide)))
    return total / (2 * root), (turned + narrowed) / (2 * root)


@lru_cache(maxsize=64)
def gabor(omega: float = 10.0, scale: float = 1.0) -> Activation:
    """cos(omega x) exp(-(scale x)^2)."""
    if omega == scale == 0.0:
        raise NtkspecError("gabor(0, 0) is not allowed; it is constant")
    if scale == 0.0 and omega == 1.0:
        return COS
    parts = [
        Fixed(part, (omega, scale)) for part in (value, derivative, ball, ball_derivative, dual)
    ]
    return entire(called("gabor", omega, scale), *parts, symmetry="even")
