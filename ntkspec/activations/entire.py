"""What the entire activations with duals in closed form share."""

from __future__ import annotations

from typing import Any

from ntkspec.activations.activation import Activation, ClosedDual, Function, Singularity

__all__ = ["determinant", "entire"]


def entire(
    name: str,
    value: Function,
    derivative: Function,
    ball: Function,
    ball_derivative: Function,
    dual: Any,
    **known: Any,
) -> Activation:
    """Describe an entire activation; dual(point, q) returns both duals, as for `ClosedDual`."""
    singularity = Singularity("entire")
    return Activation(
        name, value, derivative, ball, ball_derivative, ClosedDual(dual), singularity, **known
    )


def determinant(point: Any, q: Any) -> Any:
    """(1 + q)^2 - c^2 for c = q cos(theta), in balls: in the duals of erf, gelu and gaussian."""
    return (1 + q * point.minus) * (1 + q + q * point.cosine)
