"""The dimension walk: lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).

Both terms are >= 0, so walking down in d loses nothing.  A value is stored as m with the value
m * 2**(512 e); e, the scale, is the same for all rows of a band in one column.  Where a band
starts, m is below 2**256; a pair of rows multiplies it by less than 2**64, so that no band of
BAND rows overflows.  Neither do values underflow, because they grow from row to row; what is lost
of a right neighbor that underflows in the scale of its left one is below 2**-700 of the sum.

Errors: write u = 2**-53.  The slope 2/d and the factor 1 + 2k/d carry one rounding each, the sum
one more, since the product is fused with it.  Expanded down to the given rows and columns, a value
is a sum of positive terms, one for each path of steps to the right and up.  A step to the right
multiplies a term by one factor 1 + delta, |delta| <= u, a step up by three.  A path in a block of
K columns has at most K steps to the right, and from a row that is p pairs of rows below the given
ones at most p steps up.  So the relative error is at most (1 + s)(1 + u)**(K + 3p) - 1, where s
bounds the error of the given values.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.elementary import logarithm
from ntkspec.kernels.scaled import fma

STRIDE = 512
HALF_UP = 2.0**256
DOWN = 2.0**-512
#: Rows that are filled between two choices of scales, a multiple of 4.
BAND = 16
SMALLEST_NORMAL = 2.0**-1022


@njit(cache=True)
def relative(number, shift):
    """Number * 2**shift."""
    return math.ldexp(number, int(min(max(shift, -4000), 4000)))


@njit(cache=True)
def start(low, low_exponent, high, high_exponent, value, scale):
    """Scales (K,) of two rows of scaled numbers, and value (2, K), the rows in these scales."""
    e = 0
    for n in range(scale.size - 1, -1, -1):
        if low[n] != 0.0 or high[n] != 0.0:
            from_low = high[n] == 0.0 or (low[n] != 0.0 and low_exponent[n] > high_exponent[n])
            top = low_exponent[n] if from_low else high_exponent[n]
            e = (top + STRIDE // 2) // STRIDE
        scale[n] = e
        value[0, n] = relative(low[n], low_exponent[n] - STRIDE * e)
        value[1, n] = relative(high[n], high_exponent[n] - STRIDE * e)


@njit(cache=True, nogil=True)
def walk(
    dims, first_degree, first, count, tail, tail_exponent, value, scale, out, log_out, row, column,
    width,
):  # fmt: skip
    """Fill a part of two arrays with the eigenvalues and logarithms of D dimensions.

    dims: D >= 3 consecutive dimensions, which are the rows of `out` and `log_out` from `row` on.
    There are one or two chains, of the degrees of one parity each.  Chain p has the degrees
    first_degree[p] + 2 j, j < count[p], which are the columns column + first[p] + 2 j, of
    `width` columns in all; a single chain writes zeros into the others.
    value (P, BAND + 2, K) holds the chain's rows of the last two dimensions as its last rows, in
    the scales of scale (P, K); both are working memory.  tail, tail_exponent (P, D - 2): scaled
    values of the degree after the chain's last in the other dimensions.
    """
    chains, stop = count.size, dims.size - 2
    slope, ends, end_exponents = np.empty(BAND), np.empty(BAND), np.empty(BAND, np.int64)
    paired = (width - first[0]) // 2 if chains == 1 else 0
    if chains == 1 and first[0] == 1:
        out[row : row + dims.size, column] = 0.0
        log_out[row : row + dims.size, column] = -np.inf
    for p in range(chains):
        for i in range(2):
            at = row + stop + i
            finish(
                value[p, BAND + i], scale[p], count[p], out[at], log_out[at], column, first[p],
                paired,
            )  # fmt: skip
    while stop > 0:
        size = min(BAND, stop)
        for p in range(chains):
            for i in range(BAND):
                at = stop - BAND + i
                # Rows below the first dimension complete a group of four; they are not used.
                slope[i] = 2.0 / dims[at] if at >= 0 else 0.0
                ends[i] = tail[p, at] if at >= 0 else 0.0
                end_exponents[i] = tail_exponent[p, at] if at >= 0 else 0
            fill(
                slope, float(first_degree[p]), count[p], ends, end_exponents, value[p], scale[p],
                size,
            )  # fmt: skip
            for i in range(BAND - size, BAND):
                at = row + stop - BAND + i
                finish(
                    value[p, i], scale[p], count[p], out[at], log_out[at], column, first[p], paired
                )
            rescale(value[p], scale[p], count[p])
        stop -= size


@njit(cache=True)
def fill(slope, first_degree, count, tail, tail_exponent, value, scale, size):
    """Fill the last `size` rows of a band, and up to three more, from the two rows below it."""
    for i in range(BAND - 1, BAND - 1 - size, -4):
        e = scale[count - 1]
        a = relative(tail[i], tail_exponent[i] - STRIDE * e)
        b = relative(tail[i - 1], tail_exponent[i - 1] - STRIDE * e)
        c = relative(tail[i - 2], tail_exponent[i - 2] - STRIDE * e)
        d = relative(tail[i - 3], tail_exponent[i - 3] - STRIDE * e)
        stop = count
        while stop > 0:
            if scale[stop - 1] != e:
                shift = STRIDE * (e - scale[stop - 1])
                a, b, c, d = (
                    relative(a, shift), relative(b, shift), relative(c, shift), relative(d, shift)
                )  # fmt: skip
                e = scale[stop - 1]
            begin = beginning(scale, stop)
            a, b, c, d = four_rows(
                slope[i], slope[i - 1], slope[i - 2], slope[i - 3],
                first_degree + 2.0 * (stop - 1), begin, stop, value[i + 2], value[i + 1], value[i],
                value[i - 1], value[i - 2], value[i - 3], a, b, c, d,
            )  # fmt: skip
            stop = begin


@njit(cache=True)
def beginning(scale, stop):
    """Return the first of the columns before `stop` that have the scale of the last of them."""
    n = stop - 1
    while n > 0 and scale[n - 1] == scale[stop - 1]:
        n -= 1
    return n


@njit(cache=True)
def four_rows(
    slope_a, slope_b, slope_c, slope_d, degree, begin, stop, above_a, above_b, row_a, row_b, row_c,
    row_d, a, b, c, d,
):  # fmt: skip
    """Fill four rows in columns of one scale; return their values in the first column.

    Rows a and b do not depend on each other, nor do c and d, which follow one column behind.
    """
    n = stop - 1
    a = fma(fma(slope_a, degree, 1.0), above_a[n], a)
    b = fma(fma(slope_b, degree, 1.0), above_b[n], b)
    row_a[n], row_b[n] = a, b
    for n in range(stop - 2, begin - 1, -1):
        c = fma(fma(slope_c, degree, 1.0), a, c)
        d = fma(fma(slope_d, degree, 1.0), b, d)
        row_c[n + 1], row_d[n + 1] = c, d
        degree -= 2.0
        a = fma(fma(slope_a, degree, 1.0), above_a[n], a)
        b = fma(fma(slope_b, degree, 1.0), above_b[n], b)
        row_a[n], row_b[n] = a, b
    c = fma(fma(slope_c, degree, 1.0), a, c)
    d = fma(fma(slope_d, degree, 1.0), b, d)
    row_c[begin], row_d[begin] = c, d
    return a, b, c, d


@njit(cache=True)
def rescale(value, scale, count):
    """Make the band's first two rows the last two, with scales in which they are below 2**256."""
    for n in range(count):
        x, y = value[0, n], value[1, n]
        while max(x, y) >= HALF_UP:
            x *= DOWN
            y *= DOWN
            scale[n] += 1
        value[BAND, n], value[BAND + 1, n] = x, y


@njit(cache=True, error_model="numpy")
def finish(value, scale, count, out, log_out, column, first, paired):
    """Write eigenvalues and logarithms of a row into columns column + first + 2 n.

    A value below the smallest normal double becomes 0, with its logarithm kept; an exact zero
    has the logarithm -inf.  The first `paired` of them have an exact zero on the right.
    """
    to = np.uint64(column + first)
    stop = count
    while stop > 0:
        begin = beginning(scale, stop)
        shift = STRIDE * scale[stop - 1]
        # Both factors are normal numbers; a value that needs more than their product is 0 or inf.
        half = min(max(shift, -1000), 1000)
        one, two = relative(1.0, half), relative(1.0, min(max(shift - half, -1000), 1000))
        extra = float(shift)
        least = relative(SMALLEST_NORMAL, -shift)
        for n in range(np.uint64(begin), np.uint64(min(stop, paired))):
            at = to + n + n
            beside = at + np.uint64(1)
            out[at], log_out[at] = converted(value[n], least, one, two, extra)
            out[beside], log_out[beside] = 0.0, -np.inf
        for n in range(np.uint64(max(begin, paired)), np.uint64(stop)):
            at = to + n + n
            out[at], log_out[at] = converted(value[n], least, one, two, extra)
        stop = begin


@njit(cache=True, error_model="numpy")
def converted(x, least, one, two, extra):
    """A value as a double, x times two powers of 2, and the logarithm of x * 2**extra.

    Numbers below `least` become 0 before the products, as those that underflow take much time.
    """
    v = (x if x >= least else 0.0) * one * two
    return v, logarithm(x, extra) if x > 0.0 else -np.inf
