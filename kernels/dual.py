"""Pointwise kernels: E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] for Gaussians u, v.

Each function takes t together with 1 - t and 1 + t, which the caller has without loss.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.cosines import BLOCK, ROWS, cosines

REACH = 8.8  # standard deviations kept: exp(-8.8^2/2) = 1.5e-17
DECAY = 22.0  # 4 / (cosh p + cosh m)^2 has lost exp(-44) at |p| = DECAY
COARSEST = 0.66


@njit(cache=True)
def _grid(spread, reach):
    """Step and count of the trapezoid rule in a standard normal variable times `spread`."""
    if spread == 0.0:
        return COARSEST, int(REACH / COARSEST) + 1
    # The error is exp(-2 pi y / step + y^2/2), y up to the poles at pi / spread.
    pole = math.pi / spread
    step = COARSEST if pole > 9.3 else 2.0 * math.pi * pole / (45.0 + 0.5 * pole * pole)
    return step, int(min(REACH, reach / spread) / step) + 1


@njit(cache=True)
def tanh_slope_dual(minus, plus, variance):
    """E[sech^2(u) sech^2(v)] = E[4 / (cosh p + cosh m)^2], p = u + v and m = u - v independent.

    Both expectations by the trapezoid rule; all terms are positive.
    """
    wide, narrow = math.sqrt(2.0 * variance * plus), math.sqrt(2.0 * variance * minus)
    hp, np_ = _grid(wide, DECAY)
    hm, nm = _grid(narrow, DECAY)
    cosh_m, weight_m = np.empty(nm), np.empty(nm)
    for j in range(nm):
        y = j * hm
        cosh_m[j] = math.cosh(narrow * y)
        weight_m[j] = math.exp(-0.5 * y * y) * (0.5 if j == 0 else 1.0)
    total = 0.0
    for i in range(np_):
        x = i * hp
        c = math.cosh(wide * x)
        s = 0.0
        for j in range(nm):
            g = c + cosh_m[j]
            s += weight_m[j] / (g * g)
        total += s * math.exp(-0.5 * x * x) * (0.5 if i == 0 else 1.0)
    # four quadrants, two densities 1/sqrt(2 pi), the factor 4
    return total * hp * hm * (16.0 / (2.0 * math.pi))


@njit(cache=True)
def tanh_dual(t, minus, plus, variance):
    """E[tanh u tanh v] = E[(cosh p - cosh m) / (cosh p + cosh m)], odd in t.

    With p = alpha x and m = beta y for standard normal x, y, the mean of the integrand and of
    its image under x <-> y is, for t > 0, a quotient of positive quantities,
    (sinh(a s) sinh(b s) + sinh(a r) sinh(b r)) / ((cosh alpha x + cosh beta y) (x <-> y)) with
    s = x + y, r = x - y, a = (alpha + beta)/2, b = (alpha - beta)/2: no cancellation at small t.
    All is scaled by exp(alpha s), so nothing overflows.
    """
    if t < 0.0:
        return -tanh_dual(-t, plus, minus, variance)
    alpha, beta = math.sqrt(2.0 * variance * plus), math.sqrt(2.0 * variance * minus)
    a, b = 0.5 * (alpha + beta), 2.0 * variance * t / (alpha + beta)
    h, _ = _grid(alpha, np.inf)
    size = int(REACH / h) + 1
    x = np.arange(size) * h
    u, v = np.exp(-alpha * x), np.exp(-beta * x)
    weight = np.exp(-0.5 * x * x)
    weight[0] = 0.5
    table = np.empty(2 * size)
    for j in range(2 * size):
        table[j] = 0.25 * math.expm1(-2.0 * a * (j * h)) * math.expm1(-2.0 * b * (j * h))
    total = 0.0
    for i in range(size):
        s = 0.0
        for j in range(i + 1):  # x_j <= x_i; the rest by symmetry
            numerator = table[i + j] + table[i - j] * (u[j] * u[j])
            first = 1.0 + u[i] * u[i] + u[i] * v[j] + math.exp(beta * x[j] - alpha * x[i])
            rise = min(beta * x[i] - alpha * x[j], 700.0)
            second = 1.0 + u[j] * u[j] + u[j] * v[i] + math.exp(rise)
            s += weight[j] * (0.5 if i == j else 1.0) * numerator / (first * second)
        total += weight[i] * s
    # four quadrants, two triangles, (1/2)^-2 of the denominators, two densities
    return total * h * h * (4.0 * 2.0 * 4.0 / (2.0 * math.pi))


@njit(cache=True)
def sigmoidal_kernel(t, minus, plus, offset, amplitude, rate, variance, dual, tangent):
    """Dual F(t) + tangent q t D(t) for x -> offset + amplitude tanh(rate x)."""
    q = variance * rate * rate
    value = 0.0
    if dual != 0.0:
        value += dual * (offset * offset + amplitude * amplitude * tanh_dual(t, minus, plus, q))
    if tangent != 0.0:
        value += tangent * (amplitude * amplitude) * (q * t * tanh_slope_dual(minus, plus, q))
    return value


@njit(nogil=True, cache=True)
def sigmoidal_values(t, out, *network):
    """`sigmoidal_kernel` over a flat array."""
    for i in range(t.size):
        out[i] = sigmoidal_kernel(t[i], 1.0 - t[i], 1.0 + t[i], *network)


@njit(nogil=True, cache=True)
def sigmoidal_apart(minus, plus, out, *network):
    """`sigmoidal_kernel` over flat arrays of 1 - t and 1 + t."""
    for i in range(minus.size):
        out[i] = sigmoidal_kernel(0.5 * (plus[i] - minus[i]), minus[i], plus[i], *network)


@njit(nogil=True, cache=True)
def sigmoidal_tiles(x, y, columns, out, mirror, first, step, *network):
    """`sigmoidal_kernel` between the rows of x and of y: every step-th group of rows.

    columns, mirror: as for `composed.composed_tiles`.
    """
    place, products = np.empty((3, BLOCK)), np.empty((ROWS, BLOCK))
    for low in range(ROWS * first, out.shape[0], ROWS * step):
        high = min(low + ROWS, out.shape[0])
        width = high if mirror else out.shape[1]
        for left in range(0, width, BLOCK):
            right = min(left + BLOCK, width)
            for i in range(low, high):
                cosines(i, low, high, x, y, columns, left, right, products, place)
                for j in range(left, min(right, i + 1) if mirror else right):
                    t, minus, plus = place[0, j - left], place[1, j - left], place[2, j - left]
                    out[i, j] = sigmoidal_kernel(t, minus, plus, *network)
                    if mirror:
                        out[j, i] = out[i, j]
