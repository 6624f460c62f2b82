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

from numba import njit

from ntkspec.kernels.dual import products

COEFFICIENTS = 16
#: Symmetries of sigma, as numbers.
NONE, ODD, EVEN = 0, 1, 2


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
def kernel(t, minus, plus, weight, bias, variances, fulls, tables, starts, levels, symmetry, root,
           far, line, dual, tangent):  # fmt: skip
    """Dual F_L(t) + tangent T_L(t) D_L(t) of a network.

    variances: q_1(1), ..., q_(L+1)(1); fulls: F_l(1); tables: those of all layers one after the
    other, that of layer l from starts[l] to starts[l + 1]; levels: (L,).
    """
    depth = fulls.size
    covariance = weight * t + bias
    rho = covariance / variances[0]
    if bias > 0.0:
        minus = weight * minus / variances[0]
        plus = (weight * plus + 2.0 * bias) / variances[0]
    total = covariance
    for i in range(depth):
        value, deficit, slope, surplus = layer(
            rho, minus, plus, tables[starts[i] : starts[i + 1]], levels[i], symmetry, root, far,
            line, variances[i], fulls[i],
        )  # fmt: skip
        if i == depth - 1:
            break
        covariance = weight * value + bias
        total = covariance + weight * total * slope
        rho = covariance / variances[i + 1]
        minus = weight * deficit / variances[i + 1]
        plus = (weight * surplus + 2.0 * bias) / variances[i + 1]
    return dual * value + tangent * total * slope


@njit(nogil=True, cache=True)
def layered_values(t, out, weight, bias, variances, fulls, tables, starts, levels, symmetry, root,
                   far, line, dual, tangent):  # fmt: skip
    """`kernel` over a flat array."""
    for i in range(t.size):
        x = t[i]
        out[i] = kernel(
            x, 1.0 - x, 1.0 + x, weight, bias, variances, fulls, tables, starts, levels, symmetry,
            root, far, line, dual, tangent,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def layered_tiles(x, columns, out, first, step, weight, bias, variances, fulls, tables, starts,
                  levels, symmetry, root, far, line, dual, tangent):  # fmt: skip
    """`kernel` between every step-th row of x (unit vectors) and those before it."""
    for i in range(first, x.shape[0], step):
        for j in range(i + 1):
            t, minus, plus = products(x, i, j)
            out[i, j] = kernel(
                t, minus, plus, weight, bias, variances, fulls, tables, starts, levels,
                symmetry, root, far, line, dual, tangent,
            )  # fmt: skip
            out[j, i] = out[i, j]
