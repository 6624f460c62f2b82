"""Largest eigenvalues of degrees for any law of the norm, in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flint import arb, ctx

from ntkspec.errors import NtkspecError
from ntkspec.precision import exclusive
from ntkspec.reference.balls.agreement import agreed_value
from ntkspec.reference.balls.eigenvalue import reference_eigenvalue
from ntkspec.reference.balls.gaussian import MOST_DIGITS
from ntkspec.reference.balls.legendre import gauss_legendre
from ntkspec.reference.balls.radial import RadialOperator
from ntkspec.reference.description import Description, Kernel, Reference, describe, scaled_exactly
from ntkspec.reference.norms import NormLaw

__all__ = ["ball_references", "in_a_ball"]


def in_a_ball(network: Description) -> bool:
    """Whether `ball_references` takes a network.

    Examples
    --------
    >>> in_a_ball(describe("gelu")), in_a_ball(describe("elu"))
    (True, False)
    """
    known = network.smooth or network.radial_power is not None
    return known and network.weights == "gaussian"


@exclusive()
def ball_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 50,
    **law: Any,
) -> dict[tuple[int, int], Reference]:
    """Compute the largest eigenvalue of each degree independently of the engine.

    Of smooth networks to 15 digits at most.  The law has the parameters of `NormLaw`.

    Examples
    --------
    >>> import mpmath
    >>> found = ball_references("relu", {3: [1]}, digits=20, radius=2.0)
    >>> mpmath.nstr(found[3, 1].value, 10)  # E |x|^2 = 12/5 times 1/12
    '0.2'
    """
    net = describe(network)
    if not in_a_ball(net):
        raise NtkspecError(
            f"activation = {net.activation!r} with weights = {net.weights!r} and bias_variance = "
            f"{net.bias_variance} is not allowed in a ball; use a smooth activation or powers "
            "without bias, and Gaussian weights"
        )
    norms = NormLaw(**law)
    return {
        (dim, k): _reference(net, kernel, dim, k, digits, norms)
        for dim, wanted in degrees.items()
        for k in wanted
    }


def _reference(
    net: Description, kernel: Kernel, dim: int, degree: int, digits: int, law: NormLaw
) -> Reference:
    power = net.radial_power
    if power is None:
        digits = min(digits, MOST_DIGITS)
        return agreed_value(_BallOperator(net, kernel, dim, degree, digits, law), digits)
    one = reference_eigenvalue(net, dim, degree, kernel=kernel, digits=digits + 2)
    scaled = scaled_exactly(one, ("value", "error"), law.moment(dim, power), digits)
    return replace(one, **scaled, method=f"{one.method}, times a moment of the norm")


class _BallOperator(RadialOperator):
    """The operator of a degree in the norm, under its law."""

    def __init__(
        self,
        network: Description,
        kernel: Kernel,
        dim: int,
        degree: int,
        digits: int,
        law: NormLaw,
    ) -> None:
        self.law = law
        super().__init__(network, kernel, dim, degree, digits)

    def typical(self) -> list[tuple[float, float]]:
        """Norms with the logarithms of their shares, one of which has most of the eigenvalue."""
        if atoms := self.law.atoms():
            return [(float(r), math.log(w)) for r, w in atoms]
        share = -math.log1p(2 * self.degree / self.dim) if self.law.radii == "uniform" else 0.0
        return [(self.law.radius, share)]

    def rule(self, effort: float) -> tuple[list[arb], list[arb]]:
        """Norms and weights."""
        radius = arb(self.law.radius)
        if atoms := self.law.atoms():
            self.far = max(float(r) for r, _ in atoms)
            exact = [[arb(x.numerator) / x.denominator for x in atom] for atom in atoms]
            return [r for r, _ in exact], [w for _, w in exact]
        if self.law.radii == "gaussian":
            radii, weights = super().rule(effort)
            self.far *= self.law.radius
            return [radius * r for r in radii], weights
        # The density is d r^(d-1) on [0, 1].
        low = math.exp(-(self.digits * math.log(10.0) + 14.0) / self.dim)
        low = low if low > 0.01 else 0.0
        count = 2 * math.ceil((0.85 * self.digits + 6 + self.degree / 4) * effort)
        width, radii, weights = (1 - arb(low)) / 2, [], []
        for x, w in gauss_legendre(count, ctx.prec):
            r = arb(low) + width * (1 + x)
            radii.append(radius * r)
            weights.append(w * width * self.dim * r ** (self.dim - 1))
        self.far = self.law.radius
        return radii, weights
