"""Proven bounds of what the Taylor coefficients of a kernel from any number on add.

From derivatives at 1, all of them positive: F^(j)(1) / j! = sum_n C(n, j) h_n^2, composed through
the layers; and from K(r) at r > 1 where K is entire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.conventions import Shape
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.growth import DISTANCES, mish_factor
from ntkspec.duals.layers import Layers
from ntkspec.duals.squares import (
    BOUNDED,
    EXPONENTIAL,
    FAMILIES,
    MOST_VARIANCE,
    RATIOS,
    UNIT,
    VARIANCE_BITS,
    double_double,
    squares_to,
    times,
    variances_of,
)
from ntkspec.kernels import taylor
from ntkspec.precision import working_precision
from ntkspec.rules import State, follow

__all__ = [
    "ORDERS",
    "TailBounds",
    "enough_derivatives",
    "log_binomials",
    "log_bounds",
    "log_derivatives",
    "log_tail",
    "more_orders",
    "tail_bounds",
]

#: Orders of the derivatives at t = 1 that bound the tail.
ORDERS = (48, 96, 160)
#: By how much the order that bounds best may exceed its estimate.
SPARE = 1.15
#: Most Hermite moments that the bounds of all layers together are computed from.
MOST_MOMENTS = 2**17
#: Powers of two that keep derivatives in the range of doubles.
SCALE = 4
#: Least variance before an activation for which bounds are known, and the inverse of the largest.
LEAST = 1e-280
LN2 = math.log(2.0)

Array = NDArray[np.float64]


def log_bounds(shape: Shape, q: float, count: int) -> Array:
    """Logarithms of upper bounds of F^(j)(1) / j!, j < count: `growth.derivative_bound`."""
    return _log_bounds(shape.base, q * float(shape.inner**2), count) + _log_factor(shape)


def _log_factor(shape: Shape) -> float:
    return 2.0 * math.log(shape.outer)


def _log_bounds(family: str, q: float, count: int) -> Array:
    """The bounds of an activation that is not scaled.

    For elu to j = 2, which is F''(1) / 2 = q^2 E[sigma''^2] / 2 <= q^2 / 4; infinite after that.
    """
    above = 1e-9
    if family == "elu":
        known = [math.log(q + 1.0), math.log(q), 2.0 * math.log(0.5 * q)]
        return np.concatenate([known, np.full(max(count - 3, 0), np.inf)])[:count] + above
    if family == "selu":  # |selu(x)| <= bound |x|, |selu'(x)| <= bound; F''(1) is infinite
        bound = 2.0 * math.log(math.prod(EXPONENTIAL[family])) + math.log(q)
        return np.concatenate([[bound, bound], np.full(max(count - 2, 0), np.inf)])[:count] + above
    if family == "softplus":  # its derivative is the sigmoid
        inner = _log_bounds("sigmoid", q, count)
        mean = 0.5 * math.log(q + 1.0) + 1.0  # softplus(x) <= |x| + log 2
        j = np.arange(1.0, count)
        return np.concatenate([[2.0 * mean], math.log(q) + inner[:-1] - np.log(j)]) + above
    j = np.arange(1.0, count)
    if family in RATIOS:
        return _ratio_bounds(family, q, np.arange(count + 0.0))
    half = family != "tanh"
    r = math.pi * DISTANCES.get(family, 1.0) * j / (j + 1.0)
    if family == "mish":
        size = np.array([float(mish_factor(arb(x)).upper()) for x in r])
        square = size**2
    else:
        size = np.maximum(np.tan(0.5 * r if half else r), 1.0)
        square = ((0.5 * (1.0 + size)) if half else size) ** 2
    if family in ("silu", "mish"):
        square *= 2.0 * (q + r * r)
    factorials = np.cumsum(np.log(j))
    rest = j * math.log(q) + factorials - 2.0 * j * np.log(r) + np.log(square)
    start = math.log(q) if family in ("silu", "mish") else 0.0
    return np.concatenate([[start], rest]) + above


def _ratio_bounds(family: str, q: float, j: Array) -> Array:
    """From x / (1 - x) = q, x = q / (1 + q), and h_n^2 <= x^n times a constant.

    erf: F is at most 1 up to its singularity at 1 + 1 / (2 q).
    """
    powers: Array = j * math.log(2.0 * q if family == "erf" else q) + 1e-9
    if family in ("sin", "cos"):
        powers[1:] -= np.cumsum(np.log(j[1:]))
        return powers
    if family == "gelu":
        powers += math.log((2.0 + q) ** 2 / (2.0 * math.pi))
        powers[:2] = np.logaddexp(powers[:2], math.log(q))
    return powers


def more_orders(log_f: Array, n: int, asked: int) -> int | None:
    """How many derivatives bound the moments from n on better; None where these are enough.

    `asked`: how many were asked for; there may be fewer, where the others are beyond any range.

    The last ones grow as c j, so that f_j / C(n, j) falls to about j = sqrt(n / c).
    """
    values = log_f - log_binomials(n, log_f.size)
    if log_f.size < ORDERS[0] or values[-1] > values[:-1].min():
        return None
    best = math.sqrt(n * (log_f.size - 1.0) * math.exp(log_f[-2] - log_f[-1]))
    more = [orders for orders in ORDERS if orders > asked]
    return next((orders for orders in more if orders > SPARE * best), max(more, default=None))


def enough_derivatives(shape: Shape, q: arb, depth: int, count: int) -> Array:
    """`log_derivatives` of as many orders as bound the moments from number `count` on best."""
    orders: int | None = ORDERS[0]
    while orders is not None:
        found = log_derivatives(shape, q, orders + 1, depth)  # as many as `tail_bounds` asks for
        orders = more_orders(found, count, orders)
    return found


def log_derivatives(shape: Shape, q: arb, orders: int, depth: int) -> Array:
    """Logarithms of upper bounds of F^(j)(1) / j! = sum_n C(n, j) h_n^2, j < orders: almost sharp.

    The sum over the first moments, and `log_bounds` for the others: C(n, j) / C(n, i) falls with n
    for i >= j.  Of fewer moments in deep networks.
    """
    most = max(MOST_MOMENTS // depth, 1024)
    with working_precision(VARIANCE_BITS):
        inner = times(q, shape.inner**2)
    found = _log_derivatives(shape.base, *double_double(inner), orders, most)
    return found + _log_factor(shape)


@lru_cache(maxsize=256)
def _log_derivatives(family: str, high: float, low: float, orders: int, most: int) -> Array:
    rough = _log_bounds(family, high * (1.0 + 2.0 * UNIT), 2 * orders)
    if family in EXPONENTIAL or high > MOST_VARIANCE:
        return rough[:orders]
    if family in RATIOS:
        enough = 3.0 * (orders + 20.0) * (1.0 + high)
    else:
        b = math.pi * DISTANCES.get(family, 1.0) / math.sqrt(high)
        enough = 2.5 * (orders / b) ** 2 + 2.0 * orders
    size = 256
    while size < min(enough, most):
        size *= 2
    found = squares_to(family, high, low, size)
    known = np.empty(orders)
    taylor.log_derivatives(found.mantissa, found.exponent, found.first, found.stride, known)
    with np.errstate(divide="ignore"):
        known[:2] = np.logaddexp(known[:2], np.log([found.constant + found.linear, found.linear]))
    n = found.first + found.stride * found.mantissa.size
    falls = np.minimum.accumulate((rough - log_binomials(n, rough.size))[::-1])[::-1]
    rest = log_binomials(n, orders) + falls[:orders]
    sharp: Array = np.logaddexp(known, rest) + 1e-9
    return np.minimum(sharp, rough[:orders])


def log_binomials(n: int, count: int) -> Array:
    """log C(n, j), j < count; -inf beyond n."""
    j = np.arange(1.0, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.log(np.maximum(n + 1.0 - j, 0.0)) - np.log(j)
    return np.concatenate([[0.0], np.cumsum(steps)])


def log_tail(log_f: Array, n: int) -> float:
    """Bound of log sum_(m >= n) of the coefficients whose derivatives at 1 log_f bounds."""
    count = min(log_f.size, n + 1)
    return float(np.min(log_f[:count] - log_binomials(n, count)))


@dataclass(frozen=True)
class TailBounds:
    """Bounds of the sum of a_n over n >= N, weighted by eigenvalues of t^n.

    `log_f`: log of upper bounds of K^(j)(1) / j!; `log_r`, `log_k`: log r and log K(r), r > 1.
    """

    log_f: Array
    log_r: Array
    log_k: Array

    def log_sum(self, n: int) -> float:
        """Upper bound of the logarithm of the sum of the coefficients from a_n on."""
        return min(
            log_tail(self.log_f, n), float(np.min(self.log_k - n * self.log_r, initial=np.inf))
        )

    def log_tail(self, first: int, degree: int, dim: int) -> float:
        """Upper bound of log(sum_(n >= N) a_n w(k, n) / w(k, N)), N = first or first + 1.

        Where a weight w(k, n) / C(n, j), or w(k, n) r^-n, is proved to fall from N on.
        """
        best = np.inf
        j = np.arange(min(self.log_f.size, first + 1))
        steep = first * (dim - 1.0 + 2.0 * j) > (j - 1.0) * (j - 2.0) + (degree - 2.0) * (
            degree + dim
        )
        if steep.any():
            terms = self.log_f[: j.size] - log_binomials(first, j.size)
            best = float(np.min(terms[steep]))
        r2 = np.exp(2.0 * self.log_r)
        n = float(first)
        value = r2 * (n - degree + 2.0) * (n + degree + dim) - (n + 1.0) * (n + 2.0)
        slope = r2 * (2.0 * n + dim + 2.0) - (2.0 * n + 3.0)
        falls = (value > 0.0) & (slope > 0.0)
        return min(best, float(np.min((self.log_k - n * self.log_r)[falls], initial=np.inf)))


@lru_cache(maxsize=64)
def tail_bounds(network: Any, kernel: str, orders: int = ORDERS[-1]) -> TailBounds:
    """Proven bounds of what the Taylor coefficients from any N on add to an eigenvalue."""
    none = np.empty(0)
    bases = {sigma.shape.base for sigma in network.sigmas}
    with working_precision(VARIANCE_BITS):
        doubles = all(LEAST < float(q) < 1.0 / LEAST for q in variances_of(network.program)[0])
    if not doubles:
        return TailBounds(np.full(1, np.inf), none, none)
    if bases <= set(FAMILIES + BOUNDED) and bases & set(BOUNDED):
        orders = 2 if bases & set(EXPONENTIAL) else orders
        while orders > 1:
            log_f = _composed_derivatives(network, kernel, orders)
            if np.all(np.isfinite(log_f)):
                return TailBounds(log_f, none, none)
            orders = orders * 3 // 4
        return TailBounds(np.full(1, np.inf), none, none)
    with working_precision(VARIANCE_BITS):
        layers = Layers(network, kernel)
        log_f = np.array([float(layers.at_one().log().upper()) + 1e-9])
        if any(sigma.singularity.kind != "entire" for sigma in network.sigmas):
            return TailBounds(log_f, none, none)
        log_r, log_k = [], []
        for i in range(-40, 24):
            r = (arb(2) ** (arb(i) / 4)).exp()
            value = layers.at(Correlation(r))
            if not (value.is_finite() and value > 0):
                break
            log_r.append(float(r.log().lower()))
            log_k.append(float(value.log().upper()) + 1e-9)
    return TailBounds(log_f, np.array(log_r), np.array(log_k))


def _composed_derivatives(network: Any, kernel: str, orders: int) -> Array:
    """Logarithms of upper bounds of K^(j)(1) / j!, j < orders: the composition at t = 1.

    All derivatives of the duals are positive, so that bounds of them compose to bounds.
    """
    program, depth = network.program, len(network.sigmas)
    j = np.arange(orders)
    scale = 2.0**-SCALE
    with working_precision(VARIANCE_BITS):
        variances, sizes = variances_of(program)

    def activate(index: int, state: State) -> State:
        ball, shape = variances[index], program.activations[index].shape
        q = float(ball)
        above = state.covariance.copy()
        above[0] = 0.0
        logs = log_derivatives(shape, ball, orders + 1, depth)
        # Powers of (rho - 1) / scale, and of the variable of the composition.
        f = np.exp(logs - np.arange(orders + 1) * math.log(1.0 / scale))
        d = (j + 1.0) * f[1:] / (q * scale)
        out = np.empty((2, orders))
        taylor.compose(np.stack([f[:-1], d]), above / (q * scale), False, out)
        value, slope = np.maximum(out, 1e-285)
        if state.tangent is None:
            return State(value)
        product = np.empty(orders)
        taylor.multiply(state.tangent, 0, slope, 0, orders, product)
        return State(value, np.maximum(product, 1e-285))

    start = np.zeros(orders)
    start[:2] = 1.0, scale
    one = np.zeros(orders)
    one[0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"), working_precision(VARIANCE_BITS):
        end = follow(
            program, State(start), activate, lambda index, _: float(sizes[index]),
            tangent=kernel == "ntk", constant=lambda bias: bias * one,
        )  # fmt: skip
        found = end.tangent if kernel == "ntk" else end.covariance
        log_f: Array = np.log(found) + j * math.log(1.0 / scale) + 1e-9
        return log_f
