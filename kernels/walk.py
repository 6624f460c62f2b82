"""The dimension walk: lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).

Both terms are >= 0, so walking down in d loses nothing.  Values are kept as m * 2**(512 e) with
m in [2**-256, 2**256): the exponents of neighbours are mostly equal, and then a step is one
multiply-add.  Zeros have the exponent of NOTHING, below all others.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import LN2_HI, LN2_LO

STRIDE = 512
DOWN = 2.0**-512
HALF_UP = 2.0**256
NOTHING = -(2**30)


@njit(cache=True)
def coarse(mantissa, exponent, out, out_exponent):
    """From mantissa * 2**exponent to the walk's own form, elementwise."""
    for i in range(mantissa.size):
        if mantissa[i] == 0.0:
            out[i] = 0.0
            out_exponent[i] = NOTHING
        else:
            e = (exponent[i] + STRIDE // 2) // STRIDE
            out[i] = math.ldexp(mantissa[i], exponent[i] - STRIDE * e)
            out_exponent[i] = e


@njit(cache=True, inline="always")
def _add(mx, ex, my, ey):
    if ex == ey:
        m = mx + my
        e = ex
    elif ex > ey:
        m = mx + my * DOWN if ex == ey + 1 else mx
        e = ex
    else:
        m = my + mx * DOWN if ey == ex + 1 else my
        e = ey
    if m >= HALF_UP:
        m *= DOWN
        e += 1
    return m, e


@njit(cache=True)
def walk(dims, first_degree, tail, tail_exponent, value, exponent, error, seed_error, bound):
    """Fill rows D-3, ..., 0 of one parity of degrees from rows D-2, D-1 and one tail column.

    dims: D consecutive dimensions; column j of value, exponent (D, K) is the degree
    first_degree + 2 j; tail: (D,) values of the degree after the last.  `error` is work space
    of shape (2, K); `seed_error` bounds the relative error of rows and tail given, `bound` (D,)
    receives that of each row: a running error analysis (Higham 2002, section 3.3), in which
    each quantity carries a bound on its absolute error in units of the last place.
    """
    unit = 2.0**-53
    rows, columns = value.shape
    for i in range(rows - 1, max(rows - 3, -1), -1):
        bound[i] = seed_error
        for j in range(columns):
            error[i % 2, j] = seed_error / unit
    for i in range(rows - 3, -1, -1):
        m, e = tail[i], tail_exponent[i]
        relative = seed_error / unit
        worst = 0.0
        slope = 2.0 / dims[i]
        for j in range(columns - 1, -1, -1):
            c = 1.0 + slope * (first_degree + 2 * j)
            step = c * value[i + 2, j]
            # c carries three roundings, the product one, the sum one
            inherited = error[i % 2, j] + 4.0
            previous, previous_exponent = m, e
            m, e = _add(m, e, step, exponent[i + 2, j])
            if e == exponent[i + 2, j] and e == previous_exponent and m > 0.0:
                share = step / m
                relative = relative + (inherited - relative) * share + 1.0
            else:
                relative = max(relative, inherited) + 1.0
            value[i, j] = m
            exponent[i, j] = e
            error[i % 2, j] = relative
            worst = max(worst, relative)
        bound[i] = worst * unit


@njit(cache=True)
def finish(value, exponent, log_value):
    """Walk's form to doubles in place; `log_value` holds the logarithms of the mantissas."""
    for i in range(value.size):
        e = exponent[i]
        if value[i] == 0.0:
            log_value[i] = -np.inf
        elif e != 0:
            k = float(STRIDE) * e
            log_value[i] = k * LN2_HI + (k * LN2_LO + log_value[i])
            v = math.ldexp(value[i], STRIDE * e)
            value[i] = v if v >= 2.2250738585072014e-308 else 0.0
