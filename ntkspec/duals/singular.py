"""Where the kernel of a network with a kink at 0 is singular, and how: powers of 1 - t and z + t.

With rho = q_1(t) / q_1(1), z = 1 + 2 s_b / s_w and B = q_1(1) / s_w, 1 - rho = (1 - t) / B and
1 + rho = (z + t) / B.  The duals are entire functions of the angle arccos(rho_l) of their layer,
so that K is singular only where a rho_l is 1 or -1; in |t| <= 1 that is t = 1 and, without bias,
t = -1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flint import arb, arb_series, fmpq

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import Layers, series_length

__all__ = ["Power", "powers_at_one", "powers_beyond", "root_at_one"]


class Power(NamedTuple):
    """One term, coefficient (1 - t)^power or coefficient (z + t)^power."""

    power: fmpq
    coefficient: arb


def root_at_one(network: Any) -> int:
    """K is a power series in (1 - t)^(1/(2 root)) at t = 1: each step but the last takes a root.

    1 - rho_(l+1) = theta_l / pi for the step function, and the angle is the root of that.
    """
    power = network.sigma.homogeneous[0] if network.sigma.homogeneous else 1
    return int(2 ** (network.depth - 1)) if power == 0 else 1


def powers_at_one(layers: Layers, root: int, below: int) -> list[Power]:
    """The powers of 1 - t that are no whole numbers, below a whole one, in (1 - t)^(1/(2 root))."""
    # A root needs the coefficients of half of its leading power beyond those it returns.
    last = 2 * root * below
    size = last + root + len(layers.duals)
    full = [value(Correlation.full()) for value, _ in layers.duals]
    with series_length(size):
        x = arb_series([0] * root + [1], size)  # its square is 1 - t
        lead = 2 * root  # of the series of 1 - rho in the variable

        def place(layer: int, covariance: Any, dual: Any) -> Correlation:
            nonlocal lead
            if layer == 0:
                half = x / _twice_scale(layers).sqrt()
                return Correlation(1 - 2 * half * half, 2 * half.asin())
            if root > 1:
                lead //= 2
            gap = (full[layer - 1] - dual) * layers.weight / layers.variances[layer]
            gap = _moved(gap, -lead, size)  # the coefficients before are 0
            half = _moved((gap / 2).sqrt(), lead // 2, size).asin()
            return Correlation(1 - _moved(gap, lead, size), 2 * half)

        kernel = layers.composed(
            layers.variances[0] * (1 - 2 * x * x / _twice_scale(layers)), place
        )
        return _powers(kernel, root, last)


def powers_beyond(layers: Layers, below: int) -> list[Power]:
    """The powers of z + t that are no whole numbers, below a whole one.

    For activations that are not even: with those |rho_2| = 1 again, and K is as at 1.
    """
    size = 2 * below
    with series_length(size):
        x = arb_series([0, 1], size)

        def place(layer: int, covariance: Any, dual: Any) -> Correlation:
            if layer == 0:
                half = x / _twice_scale(layers).sqrt()
                return Correlation(2 * half * half - 1, arb.pi() - 2 * half.asin())
            return Correlation(covariance / layers.variances[layer])

        kernel = layers.composed(
            layers.variances[0] * (2 * x * x / _twice_scale(layers) - 1), place
        )
        return _powers(kernel, 1, size)


def _twice_scale(layers: Layers) -> arb:
    """2 B, by which (1 - t) and (z + t) are the halves of 1 - rho and 1 + rho."""
    return 2 * layers.variances[0] / layers.weight


def _powers(kernel: Any, root: int, size: int) -> list[Power]:
    return [Power(fmpq(i, 2 * root), kernel[i]) for i in range(size) if i % (2 * root)]


def _moved(series: Any, by: int, size: int) -> Any:
    """The series times the variable to a power, which may be negative."""
    return arb_series([series[i - by] if i >= by else 0 for i in range(size)], size)
