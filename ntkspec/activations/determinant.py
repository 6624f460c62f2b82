"""The determinant that the closed duals of erf, gelu and gaussian share."""

from __future__ import annotations

from typing import Any

__all__ = ["determinant"]


def determinant(point: Any, q: Any) -> Any:
    """(1 + q)^2 - c^2 for c = q cos(theta), in balls."""
    return (1 + q * point.minus) * (1 + q + q * point.cosine)
