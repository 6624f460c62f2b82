"""swish and celu: silu and elu with both axes scaled, and what makes such activations."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Function, Singularity
from ntkspec.activations.elu import ELU
from ntkspec.activations.names import called
from ntkspec.activations.sigmoidal import SILU
from ntkspec.conventions import Shape

__all__ = ["celu", "scaled", "swish"]


@lru_cache(maxsize=64)
def swish(beta: float = 1.0) -> Activation:
    """x / (1 + e^(-beta x)) = silu(beta x) / beta (Ramachandran et al. 2017)."""
    return scaled(SILU, called("swish", beta), Fraction(beta)) if beta != 1.0 else SILU


@lru_cache(maxsize=64)
def celu(alpha: float = 1.0) -> Activation:
    """x for x > 0, alpha (e^(x/alpha) - 1) for x < 0: alpha elu(x / alpha) (Barron 2017)."""
    return scaled(ELU, called("celu", alpha), 1 / Fraction(alpha)) if alpha != 1.0 else ELU


def scaled(base: Activation, name: str, rate: Fraction) -> Activation:
    """base(rate x) / rate, which has the slopes of the base."""
    assert base.derivative is not None
    return Activation(
        name,
        _Scaled(base.value, float(rate), float(1 / rate)),
        _Scaled(base.derivative, float(rate)),
        _BallScaled(base.ball, rate, 1 / rate),
        _BallScaled(base.ball_derivative, rate),
        _ScaledDual(base.dual, rate),
        Singularity(
            base.singularity.kind, base.singularity.order, base.singularity.distance / float(rate)
        ),
        symmetry=base.symmetry,
        polynomial=base.polynomial,
        scaled=Shape(base.name, rate, 1 / rate),
    )


@dataclass(frozen=True)
class _Scaled:
    """outer function(inner x), of float64 arrays."""

    function: Function
    inner: float
    outer: float = 1.0

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        inner = self.inner * np.asarray(x, np.float64)
        return np.asarray(self.outer * self.function(inner))


@dataclass(frozen=True)
class _BallScaled:
    """The same of a ball, and of the sign of its argument at a kink."""

    function: Any
    inner: Fraction
    outer: Fraction = Fraction(1)

    def __call__(self, x: Any, *sign: int) -> Any:
        return _times(self.function(_times(x, self.inner), *sign), self.outer)


@dataclass(frozen=True)
class _ScaledDual:
    """Both duals of base(rate x) / rate, from those of the base."""

    base: Any
    rate: Fraction

    def __call__(self, q: Any) -> tuple[Function, Function]:
        value, slope = self.base(_times(q, self.rate**2))
        return (lambda point: _times(value(point), self.rate**-2)), slope


def _times(x: Any, factor: Fraction) -> Any:
    """A ball or a series times a rational number."""
    return x * factor.numerator / factor.denominator
