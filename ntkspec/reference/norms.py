"""Laws of the norm of the inputs, independent of their direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ntkspec.reference.description import radial_moment

__all__ = ["NormLaw"]


@dataclass(frozen=True)
class NormLaw:
    """Uniform in the ball, coordinates N(0, 1/d), or norms with weights; all times a radius.

    Examples
    --------
    >>> NormLaw("uniform", radius=2.0).moment(3, 1)
    Fraction(12, 5)
    """

    radii: Literal["uniform", "gaussian"] | float | Sequence[float] = "uniform"
    weights: float | Sequence[float] | None = None
    radius: float = 1.0

    def atoms(self) -> list[tuple[Fraction, Fraction]]:
        """Norms and probabilities; none of a law with a density."""
        if isinstance(self.radii, str):
            return []
        norms = [self.radii] if isinstance(self.radii, float | int) else list(self.radii)
        given = [self.weights] if isinstance(self.weights, float | int) else self.weights
        weights = [Fraction(w) for w in given or [1] * len(norms)]
        scale, total = Fraction(self.radius), sum(weights)
        return [(scale * Fraction(r), w / total) for r, w in zip(norms, weights, strict=True)]

    def moment(self, dim: int, power: int) -> Fraction:
        """E |x|^(2 power)."""
        if atoms := self.atoms():
            return sum((w * r ** (2 * power) for r, w in atoms), Fraction(0))
        scale = Fraction(self.radius) ** (2 * power)
        if self.radii == "gaussian":
            return scale * radial_moment(dim, power)
        return scale * Fraction(dim, dim + 2 * power)
