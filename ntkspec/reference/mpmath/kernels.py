"""K(t) of a network at points t, layer by layer, in mpmath's arithmetic.

The recursion is the definition (Jacot et al. 2018, theorem 1): q_1 = s_w t + s_b,
F_l, D_l = E[sigma(u) sigma(v)], E[sigma'(u) sigma'(v)] at variance q_l(1) and covariance q_l(t),
q_(l+1) = s_w F_l + s_b, T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ntkspec.reference.description import Dense, Description, Kernel, Norm, Sum, chain
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.expectations import (
    Dual,
    EluDual,
    ExpDual,
    PolynomialDual,
    PowersDual,
    SmoothDual,
)
from ntkspec.reference.mpmath.sigmas import powers, smooth

__all__ = ["NetworkKernel", "expectations_of", "sigma_values"]


class NetworkKernel:
    """The kernel of a network with Gaussian weights.

    `second` takes other rules for the Gaussian expectations, where they are not in closed form.
    """

    def __init__(
        self, precision: Precision, network: Description, kernel: Kernel, second: bool
    ) -> None:
        self.precision, self.kernel, self.second = precision, kernel, second
        network.mixture(kernel)
        self.parts = network.parts or chain(network)
        #: q(1) and the dual at every activation, and q(1) at every normalization.
        self.layers: list[tuple[Any, Dual]] = []
        self.norms: list[Any] = []
        mp = precision.mp
        self._through(self.parts, mp.one, mp.zero, _Place(self, filling=True))

    def values(self, points: Sequence[Any]) -> list[Any]:
        """K at each of the points t."""
        return [self._walk(t)[0] for t in points]

    def gap(self) -> float:
        """Smallest 1 - |r| > 0 of the correlations r of all layers at t = -1, or 2.

        Where a layer's r comes close to +-1 its expectation has a branch point beyond t = -1.
        """
        gaps = [float(1 - abs(r)) for r in self._walk(-self.precision.mp.one)[1]]
        return min((gap for gap in gaps if gap > 1e-14), default=2.0)

    def _walk(self, t: Any) -> tuple[Any, list[Any]]:
        place = _Place(self, filling=False)
        q, tangent = self._through(self.parts, t, self.precision.mp.zero, place)
        return q if self.kernel == "nngp" else tangent, place.correlations

    def _through(self, parts: Any, q: Any, tangent: Any, place: _Place) -> tuple[Any, Any]:
        """q and T after the parts."""
        for part in parts:
            if isinstance(part, Dense):
                tangent = part.own * q + part.own_bias + part.weight * tangent
                q = part.weight * q + part.bias
            elif isinstance(part, Sum):
                branch_q, branch_tangent = self._through(part.branch, q, tangent, place)
                q, tangent = q + part.square * branch_q, tangent + part.square * branch_tangent
            elif isinstance(part, Norm):
                size = place.norm(q)
                q, tangent = q / size, tangent / size
            else:
                q, slope = place.dual(part, q)
                tangent = tangent * slope
        return q, tangent


class _Place:
    """A walk through the parts: at t = 1 it fills the kernel's duals, else it uses them in turn."""

    def __init__(self, kernel: NetworkKernel, filling: bool) -> None:
        self.kernel, self.filling = kernel, filling
        self.correlations: list[Any] = []
        self.layer = self.normalized = 0

    def dual(self, sigma: Description, q: Any) -> tuple[Any, Any]:
        """F and D of the next activation."""
        kernel, one = self.kernel, self.kernel.precision.mp.one
        if self.filling:
            kernel.layers.append((q, _dual(kernel.precision, sigma, q, kernel.second)))
        variance, dual = kernel.layers[self.layer]
        self.layer += 1
        r = max(min(q / variance, one), -one)
        self.correlations.append(r)
        return dual.at(r)

    def norm(self, q: Any) -> Any:
        """q(1) at the next normalization."""
        if self.filling:
            self.kernel.norms.append(q)
        self.normalized += 1
        return self.kernel.norms[self.normalized - 1]


def _dual(precision: Precision, network: Description, variance: Any, second: bool) -> Dual:
    homogeneous = powers(network)
    if homogeneous is not None:
        return PowersDual(precision, homogeneous, variance)
    if network.exponential:
        return EluDual(precision, network.exponential, variance, second)
    if network.base == "polynomial":
        return PolynomialDual(precision, network.numbers, variance)
    if network.base == "exp":
        return ExpDual(precision, variance)
    return SmoothDual(precision, smooth(network), variance, second)


def expectations_of(network: Description) -> str:
    """How the expectations of a network's activations are computed."""
    return " and ".join(dict.fromkeys(_expectation(sigma) for sigma in network.sigmas))


def _expectation(sigma: Description) -> str:
    if sigma.exponential:
        return "Gauss-Legendre in sectors of the plane"
    if sigma.base in ("polynomial", "exp"):
        return "moments of Gaussians"
    return "trapezoid rule in the plane" if sigma.smooth else "arc-cosine kernels"


def sigma_values(
    precision: Precision, network: Description, scale: Any, points: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """sigma and sigma' at scale t for each of the points t != 0."""
    mp, sides = precision.mp, network.exponential
    values, slopes = [], []
    homogeneous = powers(network)
    right, left, rate = (mp.mpf(y.numerator) / y.denominator for y in sides or (0, 0, 0))
    for t in points:
        x = scale * t
        if homogeneous is not None:
            p, side = homogeneous.power, mp.one if t > 0 else mp.mpf(homogeneous.left)
            value = side * abs(x) ** p
            slope = p * value / x if p else mp.zero
        elif sides:
            value, slope = right * x, right
            if t < 0:
                value, slope = left * mp.expm1(rate * x), left * rate * mp.exp(rate * x)
        elif network.base == "polynomial":
            value, slope = mp.polyval(network.numbers[::-1], x, derivative=True)
        elif network.base == "exp":
            value = slope = mp.exp(x)
        else:
            sigma, size = smooth(network), abs(x)
            pair = sigma.pair(precision, size, sigma.companion(precision, size))
            if t < 0:
                pair = sigma.opposite(precision, size, *pair)
            value, slope = (precision.float(n) for n in pair)
        values.append(value)
        slopes.append(slope)
    return values, slopes


def root_order(network: Description) -> int:
    """Order m such that a kinked network's K is analytic in (1 -+ t)^(1/m) at t = +-1.

    An expectation is analytic in the angle between u and v, which is the square root of 1 - r.
    Only for step, whose expectation falls by the angle itself, do the roots of the layers multiply.
    """
    return int(2 ** max(network.steps, 1))


def lost_digits(network: Description) -> int:
    """Digits that the angle loses near t = +-1."""
    return 0 if network.smooth else math.ceil(3.5 * root_order(network))
