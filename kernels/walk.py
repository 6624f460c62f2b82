"""The dimension walk: lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).

Both terms are >= 0, so walking down in d loses nothing.  Values are kept as m * 2**(512 e) with
m in [2**-256, 2**256): the exponents of neighbours are mostly equal, and then a step is one
multiply-add.  Zeros have the exponent of NOTHING, below all others.
"""

from __future__ import annotations

import math

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
            out[i] = math.ldexp(mantissa[i], int(exponent[i] - STRIDE * e))
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


@njit(cache=True, inline="always")
def _step(m, e, relative, above, above_exponent, above_error, c):
    """One eigenvalue from its right neighbour (m, e) and c times the one above it.

    The relative error of the sum is the mean of those of its parts, weighted by them, and one
    rounding more; c carries three roundings and its product one.
    """
    step = c * above
    inherited = above_error + 4.0
    new, new_exponent = _add(m, e, step, above_exponent)
    if new_exponent == above_exponent and new_exponent == e and new > 0.0:
        share = step / new
        relative = relative * (1.0 - share) + (inherited * share + 1.0)
    else:
        relative = max(relative, inherited) + 1.0
    return new, new_exponent, relative


@njit(cache=True)
def walk(dims, first_degree, tail, tail_exponent, value, exponent, seed_error, error, bound):
    """Fill rows D-3, ..., 0 of one parity of degrees from rows D-2, D-1 and one tail column.

    dims: D consecutive dimensions; column j of value, exponent (D, K) is the degree
    first_degree + 2 j; tail: (D-2,) values of the degree after the last.  `seed_error` bounds
    the tail's relative error, `error` (2, K) those of the two rows given, even rows first, and
    then of the two last filled; `bound` (D-2,) receives the largest of each row: a running
    error analysis (Higham 2002, section 3.3), all in units of the last place.  Rows i and i - 1
    do not depend on each other and are filled together.
    """
    rows, columns = value.shape
    for i in range(rows - 3, -1, -2):
        j = max(i - 1, 0)  # a single last row is filled twice, with equal values
        am, ae, ar, aw, aslope = tail[i], tail_exponent[i], seed_error, 0.0, 2.0 / dims[i]
        bm, be, br, bw, bslope = tail[j], tail_exponent[j], seed_error, 0.0, 2.0 / dims[j]
        above_a, above_b = error[(i + 2) % 2], error[(j + 2) % 2]
        for n in range(columns - 1, -1, -1):
            degree = float(first_degree + 2 * n)
            am, ae, ar = _step(
                am, ae, ar, value[i + 2, n], exponent[i + 2, n], above_a[n], 1.0 + aslope * degree
            )
            bm, be, br = _step(
                bm, be, br, value[j + 2, n], exponent[j + 2, n], above_b[n], 1.0 + bslope * degree
            )
            value[i, n], exponent[i, n], above_a[n] = am, ae, ar
            value[j, n], exponent[j, n] = bm, be
            if j != i:
                above_b[n] = br
            aw, bw = max(aw, ar), max(bw, br)
        bound[i], bound[j] = aw, bw


@njit(cache=True)
def finish(value, exponent, log_mantissa, out, log_out, first):
    """The walk's form (R, K) to doubles and logarithms, in columns first, first + 2, ... of out.

    A value below the smallest normal double becomes 0, with its logarithm kept; an exact zero
    has the logarithm -inf.
    """
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            e, v, log = exponent[i, j], value[i, j], log_mantissa[i, j]
            if e != 0 and v != 0.0:
                k = float(STRIDE) * e
                log = k * LN2_HI + (k * LN2_LO + log)
                if e > 0:
                    v = math.ldexp(v, STRIDE * e)
                else:
                    v = v * DOWN if e == -1 else v * DOWN * DOWN if e == -2 else 0.0
                    v = v if v >= 2.2250738585072014e-308 else 0.0
            out[i, first + 2 * j] = v
            log_out[i, first + 2 * j] = log
