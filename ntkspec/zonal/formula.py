"""What the formula of a built-in zonal kernel offers; importing it does not import flint."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

__all__ = ["Formula"]


@dataclass(frozen=True)
class Formula(ABC):
    """A zonal kernel in closed form, a function of balls."""

    #: K is analytic for complex t with |t| below this, and its Taylor coefficients are >= 0.
    radius: ClassVar[Any] = math.inf
    #: Whether the kernel is the same function of t in all dimensions.
    fixed: ClassVar[bool] = True
    #: Parity of the degrees that may all be nonzero, or None for both; the degrees of the other
    #: parity that do not vanish; and the last degree of a polynomial.
    zeros: ClassVar[Any] = (None, (), None)
    #: P where the literature has (|x| |x'|)^P K(t) off the unit sphere.
    radial_power: ClassVar[Any] = None
    #: `coefficients(count)` returns the first Taylor coefficients at t = 0 as balls; `powers(goal)`
    #: terms whose exponents increase, and a bound, below 2^-goal, of the rest on [-1, 1];
    #: `eigenvalues(dim, degrees)` those of increasing degrees.  None where they are not known.
    coefficients: ClassVar[Any] = None
    powers: ClassVar[Any] = None
    eigenvalues: ClassVar[Any] = None
    maker: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The call that makes the kernel."""
        values = ", ".join(repr(getattr(self, one.name)) for one in fields(self))
        return f"{self.maker}({values})"

    @property
    def has_powers(self) -> bool:
        """Whether `powers` is known for these parameters."""
        return self.powers is not None

    @abstractmethod
    def __call__(self, t: Any) -> Any:
        """K(t) of a ball."""

    def in_dim(self, dim: int) -> Any:
        """The kernel in a dimension, as a function of t."""
        return self

    def ends(self) -> dict[int, tuple[float, float]]:
        """Exponents of the first singular terms at t = 1 and -1, and their amplitudes."""
        if not self.has_powers:
            return {}
        lead = next(one for one in self.powers(16)[0] if not one.polynomial)
        return {1: (float(lead.exponent), lead.amplitude)}
