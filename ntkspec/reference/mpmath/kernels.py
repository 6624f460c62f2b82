"""K(t) of a network at points t, layer by layer, in mpmath's arithmetic.

The recursion is the definition (Jacot et al. 2018, theorem 1): q_1 = s_w t + s_b,
F_l, D_l = E[sigma(u) sigma(v)], E[sigma'(u) sigma'(v)] at variance q_l(1) and covariance q_l(t),
q_(l+1) = s_w F_l + s_b, T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.reference.description import Description, Kernel
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.expectations import Dual, EluDual, PowersDual, SmoothDual
from ntkspec.reference.mpmath.sigmas import SMOOTH, powers

__all__ = ["NetworkKernel", "sigma_values"]


class NetworkKernel:
    """The kernel of a network with Gaussian weights.

    `second` takes other rules for the Gaussian expectations, where they are not in closed form.
    """

    def __init__(
        self, precision: Precision, network: Description, kernel: Kernel, second: bool
    ) -> None:
        self.precision, mp = precision, precision.mp
        self.mixture = network.mixture(kernel)
        self.weight, self.bias = mp.mpf(network.weight_variance), mp.mpf(network.bias_variance)
        self.layers: list[tuple[Any, Dual]] = []
        variance = self.weight + self.bias
        for _ in range(network.depth):
            dual = _dual(precision, network, variance, second)
            self.layers.append((variance, dual))
            variance = self.weight * dual.at(mp.one)[0] + self.bias

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
        s_w, s_b, (of_f, of_d) = self.weight, self.bias, self.mixture
        one = self.precision.mp.one
        q = tangent = s_w * t + s_b
        correlations, total = [], None
        for variance, dual in self.layers:
            r = max(min(q / variance, one), -one)
            correlations.append(r)
            f, d = dual.at(r)
            hidden = tangent * d
            total = of_f * f + of_d * hidden
            q = s_w * f + s_b
            tangent = q + s_w * hidden
        return total, correlations


def _dual(precision: Precision, network: Description, variance: Any, second: bool) -> Dual:
    name = network.activation
    if network.clipped:
        raise NtkspecError(
            f"activation = {name!r} is not allowed with method = 'mpmath'; use 'balls'"
        )
    homogeneous = powers(network)
    if homogeneous is not None:
        return PowersDual(precision, homogeneous, variance)
    if name == "elu":
        return EluDual(precision, variance, second)
    return SmoothDual(precision, SMOOTH[name], variance, second)


def sigma_values(
    precision: Precision, network: Description, scale: Any, points: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """sigma and sigma' at scale t for each of the points t != 0."""
    mp, name = precision.mp, network.activation
    values, slopes = [], []
    homogeneous = powers(network)
    for t in points:
        x = scale * t
        if homogeneous is not None:
            p, side = homogeneous.power, mp.one if t > 0 else mp.mpf(homogeneous.left)
            value = side * abs(x) ** p
            slope = p * value / x if p else mp.zero
        elif name == "elu":
            value, slope = (x, mp.one) if t > 0 else (mp.expm1(x), mp.exp(x))
        else:
            sigma, size = SMOOTH[name], abs(x)
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
    return 2**network.depth if network.activation == "step" else 2


def lost_digits(network: Description) -> int:
    """Digits that the angle loses near t = +-1."""
    return 0 if network.smooth else math.ceil(3.5 * root_order(network))
