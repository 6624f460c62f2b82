"""Where the kernel of a network with a kink at 0 is singular, and how: powers of 1 - t and z + t.

With rho = q_1(t) / q_1(1), z = 1 + 2 s_b / s_w and B = q_1(1) / s_w, 1 - rho = (1 - t) / B and
1 + rho = (z + t) / B.  The duals are entire functions of the angle arccos(rho_l) of their layer,
so that K is singular only where a rho_l is 1 or -1; in |t| <= 1 that is t = 1 and, without bias,
t = -1.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from flint import arb, arb_series, fmpq

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import Layers, series_length
from ntkspec.rules import State

__all__ = ["Power", "powers_at_one", "powers_beyond", "root_at_one"]


class Power(NamedTuple):
    """One term, coefficient (1 - t)^power or coefficient (z + t)^power."""

    power: fmpq
    coefficient: arb


def root_at_one(network: Any) -> int:
    """K is a power series in (1 - t)^(1/(2 root)) at t = 1: each step but the last takes a root.

    1 - rho_(l+1) = theta_l / pi for the step function, and the angle is the root of that.
    """
    steps = sum(
        sigma.homogeneous is not None and sigma.homogeneous[0] == 0 for sigma in network.sigmas
    )
    last = network.sigmas[-1].homogeneous
    return int(2 ** (steps - (last is not None and last[0] == 0)))


def powers_at_one(layers: Layers, root: int, below: int) -> list[Power]:
    """The powers of 1 - t that are no whole numbers, below a whole one, in (1 - t)^(1/(2 root))."""
    # A root needs the coefficients of half of its leading power beyond those it returns.
    last = 2 * root * below
    size = last + root + len(layers.duals)
    with series_length(size):
        square = arb_series([0] * (2 * root) + [1], size)  # 1 - t
        start = State(1 - square, None, square)
        return _powers(layers.composed(start, partial(_near, layers, root, size)), root, last)


def powers_beyond(layers: Layers, below: int) -> list[Power]:
    """The powers of z + t that are no whole numbers, below a whole one.

    For activations without a jump, or that are not even or odd.
    """
    root, last = 1, 2 * below
    size = last + root + len(layers.duals)
    bias, weight = layers.ratio
    z = 1 + 2 * bias / weight
    with series_length(size):
        square = arb_series([0] * (2 * root) + [1], size)  # z + t
        start = State(square - z, None, 1 + z - square)
        return _powers(layers.composed(start, partial(_near, layers, root, size)), root, last)


def _near(layers: Layers, root: int, size: int, index: int, state: State) -> Correlation:
    """The correlation of an activation's arguments, which may tend to 1 or -1."""
    variance = layers.variances[index]
    gap = state.gap / variance
    if gap[0].contains(0):
        half = _half_angle(gap, root, size)
        return Correlation(1 - gap, 2 * half)
    rest = 2 - gap
    if rest[0].contains(0):
        half = _half_angle(rest, root, size)
        return Correlation(rest - 1, arb.pi() - 2 * half)
    return Correlation(1 - gap)


def _half_angle(gap: Any, root: int, size: int) -> Any:
    """arcsin((gap / 2)^(1/2) of a series that vanishes at 0."""
    lead = next(i for i in range(size) if i == 2 * root or not gap[i].contains(0))
    series = _moved(gap, -lead, size)
    return _moved((series / 2).sqrt(), lead // 2, size).asin()


def _powers(kernel: Any, root: int, size: int) -> list[Power]:
    return [Power(fmpq(i, 2 * root), kernel[i]) for i in range(size) if i % (2 * root)]


def _moved(series: Any, by: int, size: int) -> Any:
    """The series times the variable to a power, which may be negative."""
    return arb_series([series[i - by] if i >= by else 0 for i in range(size)], size)
