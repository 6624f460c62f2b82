"""gelu: x Phi(x), Phi the distribution function of the standard normal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.entire import determinant, entire

__all__ = ["GELU"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import ndtr

    x = np.asarray(x, np.float64)
    return np.asarray(x * ndtr(x))


def derivative(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import ndtr

    x = np.asarray(x, np.float64)
    return np.asarray(ndtr(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _cdf(x: Any) -> Any:
    return (-x / (0 * x + 2).sqrt()).erfc() / 2


def ball(x: Any) -> Any:
    return x * _cdf(x)


def ball_derivative(x: Any) -> Any:
    return _cdf(x) + x * ((-x * x / 2).exp() / (2 * x.pi()).sqrt())


def dual(point: Any, q: Any) -> tuple[Any, Any]:
    """By Stein's lemma from E[Phi(u) Phi(v)] and E[phi(u) phi(v)]: docs, "Closed forms"."""
    c = q * point.cosine
    square = determinant(point, q)
    root = square.sqrt()
    both = 1 / (2 * point.pi * root)
    joint = (1 + 2 / point.pi * (c / root).atan()) / 4
    apart = q * q * point.minus * (1 + point.cosine)  # q^2 - c^2
    value = c * joint + both * (q * apart + q * q + c * c) / (1 + q)
    slope = joint + both * c * (2 / (1 + q) + 1 / square)
    return value, slope


GELU = entire("gelu", value, derivative, ball, ball_derivative, dual, polynomial=1)
