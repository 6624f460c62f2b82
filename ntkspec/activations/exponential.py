"""exp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.entire import entire

__all__ = ["EXP"]


def value(x: ArrayLike) -> NDArray[np.float64]:
    return np.exp(np.asarray(x, np.float64))


def ball(x: Any) -> Any:
    return x.exp()


def dual(point: Any, q: Any) -> tuple[Any, Any]:
    found = (q + q * point.cosine).exp()
    return found, found


EXP = entire("exp", value, value, ball, ball, dual)
