"""The dimension walk: lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).

Both terms are >= 0, so walking down in d loses nothing.  A value is stored as m with the value
m * 2**(512 e); e, the scale, is the same for all rows of a band in one column.  Where a band
starts, m is below 2**256; a pair of rows multiplies it by less than 2**64, so that no band of
BAND rows overflows.  Neither do values underflow, because they grow from row to row: a band starts
from numbers of 2**-512 at least, or exact zeros, above which all are zeros.  So none is subnormal.
What is lost of a right neighbor that underflows in the scale of its left one is below 2**-500 of
the sum.  Both limits are checked where a band starts: in neighboring dimensions, terms of
eigenvalues differ by a factor of sqrt(n + k + d) at most, where n is their power of t.

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

from ntkspec.kernels.elementary import logarithm, logarithm_numbers
from ntkspec.kernels.scaled import fma

STRIDE = 512
HALF_UP = 2.0**256
DOWN = 2.0**-512
#: Rows that are filled between two choices of scales, a multiple of 4.
BAND = 16
#: Columns of a tile that is written by columns.
NARROW = 16
#: The least number that starts a band.
LEAST = 2.0**-512
SMALLEST_NORMAL = 2.0**-1022


@njit(cache=True)
def relative(number, shift):
    """Number * 2**shift."""
    return math.ldexp(number, int(min(max(shift, -4000), 4000)))


@njit(cache=True)
def checked(x, y, nonzero):
    """The same two numbers in one scale, if they leave what follows in the range of doubles."""
    if max(x, y) >= HALF_UP or (nonzero and min(x, y) < LEAST):
        raise ValueError("eigenvalues of neighboring dimensions differ too much for a walk")
    return x, y


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
        x = relative(low[n], low_exponent[n] - STRIDE * e)
        y = relative(high[n], high_exponent[n] - STRIDE * e)
        value[0, n], value[1, n] = checked(x, y, low[n] != 0.0 and high[n] != 0.0)


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
    chains, numbers = count.size, logarithm_numbers()
    slope, edge = np.zeros(BAND), np.zeros((chains, BAND))
    # Degrees of the first chain that have a column of the other parity on their right.
    paired = (width - first[0]) // 2
    cuts, scaling = np.empty(count[0] + 2, np.int64), np.empty((chains, count[0] + 1, 4))
    if first[0] == 1:
        out[row : row + dims.size, column] = 0.0
        log_out[row : row + dims.size, column] = -np.inf
    todo, low, high = dims.size, BAND, BAND + 2
    while True:
        tiles = cut(scale, count[0], paired, cuts, scaling)
        for p in range(chains if high == BAND else 0):
            for i in range(low, BAND):
                at = todo - BAND + i
                slope[i] = 2.0 / dims[at]
                e = tail_exponent[p, at] - STRIDE * scale[p, count[p] - 1]
                edge[p, i] = relative(tail[p, at], e)
            fill(value[p], scale[p], count[p], cuts, low, slope, first_degree[p], edge[p])
        # Long rows are written one after the other, for the sake of memory.
        size = high - low if count[0] < 4 * NARROW else 1
        for i in range(low, high, size):
            for j in range(tiles - 1, -1, -1):
                write(
                    value, (i, i + size), (cuts[j + 1], cuts[j]), paired, scaling[:, j], numbers,
                    out, log_out, row + todo - high + i, column + first[0],
                )  # fmt: skip
        todo -= high - low
        if todo == 0:
            break
        if high == BAND:
            rescale(value, scale, count)
        low, high = max(BAND - todo, 0), BAND


@njit(cache=True)
def cut(scale, count, paired, cuts, scaling):
    """Cut columns into tiles in which each chain has one scale; return their number.

    Tile j has the columns from cuts[j + 1] to cuts[j], from right to left, and in scaling (P, j)
    what `converted` needs.  A column that lacks a neighbor on its right is a tile of its own.
    """
    cuts[0], tiles, chains = count, 0, scale.shape[0]
    while cuts[tiles] > 0:
        n = cuts[tiles] - 1
        while n > 0 and n != paired:
            if scale[0, n - 1] != scale[0, n] or scale[chains - 1, n - 1] != scale[chains - 1, n]:
                break
            n -= 1
        for p in range(chains):
            # Both factors are normal numbers; what needs more than their product is 0 or inf.
            shift = STRIDE * scale[p, n]
            half = min(max(shift, -1000), 1000)
            scaling[p, tiles, 0] = relative(SMALLEST_NORMAL, -shift)
            scaling[p, tiles, 1] = relative(1.0, half)
            scaling[p, tiles, 2] = relative(1.0, min(max(shift - half, -1000), 1000))
            scaling[p, tiles, 3] = shift
        tiles += 1
        cuts[tiles] = n
    return tiles


@njit(cache=True)
def fill(value, scale, count, cuts, low, slope, first_degree, edge):
    """Fill the rows of a band from `low` on, and up to three more, from the two rows below it.

    The additional ones complete a group of four and are not used.
    """
    for i in range(BAND - 1, low - 1, -4):
        j, e = 0, scale[count - 1]
        while cuts[j] > count:
            j += 1
        while cuts[j] > 0:
            left, right = cuts[j + 1], cuts[j]
            if scale[left] != e:
                for n in range(i - 3, i + 1):
                    edge[n] = relative(edge[n], STRIDE * (e - scale[left]))
                e = scale[left]
            four_rows(value, i, left, right, slope, first_degree + 2.0 * (right - 1), edge)
            j += 1


@njit(cache=True)
def four_rows(value, i, left, right, slope, degree, edge):
    """Fill row i and the three before it in columns of one scale, from the right.

    Edge has the values on the right of the columns, then those of the first column.  Rows i and
    i - 1 do not depend on each other, nor do those before them, which follow one column behind.
    """
    i, last = np.uint64(i), np.uint64(right - 1)
    one, two, three = i - np.uint64(1), i - np.uint64(2), i - np.uint64(3)
    above, beside = i + np.uint64(2), i + np.uint64(1)
    slope_a, slope_b, slope_c, slope_d = slope[i], slope[one], slope[two], slope[three]
    a, b, c, d = edge[i], edge[one], edge[two], edge[three]
    a = fma(fma(slope_a, degree, 1.0), value[above, last], a)
    b = fma(fma(slope_b, degree, 1.0), value[beside, last], b)
    value[i, last], value[one, last] = a, b
    for step in range(np.uint64(1), np.uint64(right - left)):
        n = last - step
        c = fma(fma(slope_c, degree, 1.0), a, c)
        d = fma(fma(slope_d, degree, 1.0), b, d)
        value[two, n + np.uint64(1)], value[three, n + np.uint64(1)] = c, d
        degree -= 2.0
        a = fma(fma(slope_a, degree, 1.0), value[above, n], a)
        b = fma(fma(slope_b, degree, 1.0), value[beside, n], b)
        value[i, n], value[one, n] = a, b
    c = fma(fma(slope_c, degree, 1.0), a, c)
    d = fma(fma(slope_d, degree, 1.0), b, d)
    value[two, left], value[three, left] = c, d
    edge[i], edge[one], edge[two], edge[three] = a, b, c, d


@njit(cache=True)
def rescale(value, scale, count):
    """Make the band's first two rows the last two, with scales in which they are below 2**256."""
    for p in range(count.size):
        for n in range(count[p]):
            x, y = value[p, 0, n], value[p, 1, n]
            while HALF_UP <= max(x, y) < np.inf:
                x *= DOWN
                y *= DOWN
                scale[p, n] += 1
            value[p, BAND, n], value[p, BAND + 1, n] = checked(x, y, value[p, 1, n] != 0.0)


@njit(cache=True, error_model="numpy")
def write(value, rows, columns, paired, scaling, numbers, out, log_out, row, column):
    """Write rows of a tile into columns column + 2 n and, if there is one, the next.

    The next is that of the second chain, or an exact zero.  The longer loop is the inner one.
    """
    low, high, left, right = (
        np.uint64(rows[0]), np.uint64(rows[1]), np.uint64(columns[0]), np.uint64(columns[1])
    )  # fmt: skip
    row, column = np.uint64(row), np.uint64(column)
    beside = 0 if columns[1] > paired else value.shape[0]
    first, second = scaling[0], scaling[-1]
    x, y = (first[0], first[1], first[2], first[3]), (second[0], second[1], second[2], second[3])
    if right - left < np.uint64(NARROW):
        for n in range(left, right):
            for i in range(low, high):
                at = row + (i - low)
                put(value, i, n, beside, x, y, numbers, out, log_out, at, column + n + n)
        return
    for i in range(low, high):
        at = row + (i - low)
        if beside == 1:
            for n in range(left, right):
                put(value, i, n, 1, x, y, numbers, out, log_out, at, column + n + n)
        else:
            for n in range(left, right):
                put(value, i, n, 2, x, y, numbers, out, log_out, at, column + n + n)


@njit(cache=True, error_model="numpy")
def put(value, i, n, beside, x, y, numbers, out, log_out, at, to):
    """Write what is in row i and column n of one or two chains."""
    out[at, to], log_out[at, to] = converted(value[0, i, n], x, numbers)
    if beside == 1:
        out[at, to + np.uint64(1)], log_out[at, to + np.uint64(1)] = 0.0, numbers[0]
    elif beside == 2:
        out[at, to + np.uint64(1)], log_out[at, to + np.uint64(1)] = converted(
            value[1, i, n], y, numbers
        )


@njit(cache=True, error_model="numpy")
def converted(x, scaling, numbers):
    """A value as a double, x times two powers of 2, and the logarithm of x * 2**power.

    A value below the smallest normal double becomes 0, with its logarithm kept; an exact zero
    has the logarithm -inf.  Numbers below `least` become 0 before the products, as those that
    underflow take much time.
    """
    least, one, two, power = scaling
    v = (x if x >= least else 0.0) * one * two
    return v, logarithm(x, power, numbers) if x > 0.0 else numbers[0]
