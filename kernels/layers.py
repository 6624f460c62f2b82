"""Pointwise kernels of any network: piecewise polynomials for the duals, composed by layers.

Near rho = 1 the duals are smooth functions of y = sqrt((1 - rho)/2), near -1 of
z = sqrt((1 + rho)/2).  The distances 1 - rho and 1 + rho go from layer to layer by themselves,
never as a difference, so points that nearly meet or are nearly opposite keep their digits through
any depth.

A table of one layer is an array (panels, 3, COEFFICIENTS) of polynomials in the panel's local
variable: the deficit (F(1) - F)/y^2 (or /y), the value F and the slope D.  The first half of the
panels is the near side, the second the far one.  The far one holds f and f' of
F = line q rho + z^far f and D = line + z^(far - 2) f', so that F and D keep their digits where they
vanish at rho = -1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.cosines import BLOCK, ROWS, cosines

COEFFICIENTS = 16
#: Symmetries of sigma, and kinds of a part's rule, as numbers.
NONE, ODD, EVEN = 0, 1, 2
AFFINE, ACTIVATE, SCALE, BRANCH, JOIN = 0, 1, 2, 3, 4


@njit(cache=True, inline="always")
def panel(y, levels):
    """Number of the panel of 0 <= y <= sqrt(1/2), and the local variable in [-1, 1].

    Panels: [0, 2^-levels], then four to each octave up to 1.
    """
    m, e = math.frexp(y)  # y = m 2^e, 1/2 <= m < 1
    if y == 0.0 or e <= -levels:
        return 0, math.ldexp(y, int(levels) + 1) - 1.0
    quarter = int(8.0 * m) - 4
    return 4 * (e + levels) - 3 + quarter, 16.0 * m - (2 * quarter + 9)


@njit(cache=True, inline="always")
def _three(coefficients, x):
    """Three polynomials at x, by Horner's scheme."""
    a, b, c = coefficients[0, -1], coefficients[1, -1], coefficients[2, -1]
    for j in range(COEFFICIENTS - 2, -1, -1):
        a = a * x + coefficients[0, j]
        b = b * x + coefficients[1, j]
        c = c * x + coefficients[2, j]
    return a, b, c


@njit(cache=True, inline="always")
def layer(rho, minus, plus, table, levels, symmetry, root, far, line, variance, full):
    """F(rho), F(1) - F(rho), D(rho), and F(1) + F(rho).

    root: the deficit is y^root times its polynomial; full: F(1).
    """
    if rho >= 0.0 or symmetry != NONE:
        size = minus if rho >= 0.0 else plus
        y = math.sqrt(0.5 * size)
        at, x = panel(y, levels)
        deficit, value, slope = _three(table[at], x)
        deficit *= 0.5 * size if root == 2 else y
        if symmetry == ODD:
            value *= rho
            if rho < 0.0:
                return value, full - value, slope, deficit
        elif symmetry == EVEN:
            slope *= rho
        return value, deficit, slope, full + value
    z = math.sqrt(0.5 * plus)
    at, x = panel(z, levels)
    deficit, value, slope = _three(table[table.shape[0] // 2 + at], x)
    if far > 0:
        value = value * z**far + line * variance * rho
        slope = slope * z ** max(far - 2, 0) + line
    return value, full - value, slope, full + value


@njit(cache=True)
def kernel(t, minus, plus, stack, steps, variances, fulls, tables, starts, levels, symmetry, root,
           far, line, tangent):  # fmt: skip
    """The NTK (`tangent`) or the NNGP kernel of a network.

    steps: the rules of the parts, a kind and its numbers in each row; variances, fulls: q(1) and
    F(1) of every activation; tables: those of all activations one after the other, that of number
    l from starts[l] to starts[l + 1]; levels, symmetry, root, far, line: of every activation;
    stack: room for what residual branches are added to, (depth of branches, 4).
    """
    q, total, at, top = t, 0.0, 0, 0
    for i in range(steps.shape[0]):
        kind = steps[i, 0]
        if kind == ACTIVATE:
            size = variances[at]
            q, minus, slope, plus = layer(
                q / size, minus / size, plus / size, tables[starts[at] : starts[at + 1]],
                levels[at], symmetry[at], root[at], far[at], line[at], size, fulls[at],
            )  # fmt: skip
            total *= slope
            at += 1
        elif kind == AFFINE:
            weight, bias = steps[i, 1], steps[i, 2]
            total = steps[i, 3] * q + steps[i, 4] + weight * total
            q = weight * q + bias
            minus *= weight
            plus = weight * plus + 2.0 * bias
        elif kind == SCALE:
            factor = steps[i, 1]
            q, total, minus, plus = q / factor, total / factor, minus / factor, plus / factor
        elif kind == BRANCH:
            stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = q, total, minus, plus
            top += 1
        else:
            square = steps[i, 1]
            top -= 1
            q, total = stack[top, 0] + square * q, stack[top, 1] + square * total
            minus, plus = stack[top, 2] + square * minus, stack[top, 3] + square * plus
    return total if tangent else q


@njit(nogil=True, cache=True)
def layered_values(t, out, steps, *network):
    """`kernel` over a flat array."""
    stack = np.empty((steps.shape[0], 4))
    for i in range(t.size):
        x = t[i]
        out[i] = kernel(x, 1.0 - x, 1.0 + x, stack, steps, *network)


@njit(nogil=True, cache=True)
def layered_apart(minus, plus, out, steps, *network):
    """`kernel` over flat arrays of 1 - t and 1 + t."""
    stack = np.empty((steps.shape[0], 4))
    for i in range(minus.size):
        apart, along = minus[i], plus[i]
        out[i] = kernel(0.5 * (along - apart), apart, along, stack, steps, *network)


@njit(nogil=True, cache=True)
def layered_tiles(x, y, columns, out, mirror, first, step, steps, *network):
    """`kernel` between the rows of x and of y: every step-th group of rows.

    columns, mirror: as for `composed.composed_tiles`.
    """
    stack = np.empty((steps.shape[0], 4))
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
                    out[i, j] = kernel(t, minus, plus, stack, steps, *network)
                    if mirror:
                        out[j, i] = out[i, j]
