"""Fourier coefficients of a power series in t(z) = sum_j w_j cos(2 pi b_j.z), by positive terms.

The coefficients of t^n are the probabilities of a walk with steps b_j and -b_j.  A box of
frequencies is laid out as a cycle of T = 2 half + 1 rows, to which a frequency goes by a
homomorphism, so that the walk on the cycle adds the probabilities of all frequencies that share a
place.  Rows have one place, or those of the last coordinate where the walk is its own mirror image
along it: half a cycle of 2 width - 1 places.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Places that are summed in one pass over the features, so that they stay in the nearest cache.
BLOCK = 2048
#: Features that one pass adds; two that are left over have a pass of their own.
FEATURES = 4


@njit(cache=True, nogil=True, error_model="numpy")
def horner(coefficients, rows, columns, halves, half, width, out):
    """Sum_n a_n t^n in rows 0 to `half` of `width` places each, by P <- t P + a_n.

    coefficients: a_0, a_1, ...; rows, columns, halves: the places of b_j and w_j / 2, an even
    number.  Rows are from 0 to `half`; columns have a sign, and are 0 for a width of 1.  A term has
    FEATURES / 2 + 1 roundings from w_j, and one more for every FEATURES features.
    """
    high, margin = 0, 0
    for j in range(rows.size):
        high = max(high, rows[j])
        margin = max(margin, abs(columns[j]))
    stride = width + 2 * margin
    offsets = np.abs(rows * stride + columns)
    origin = high * stride + margin
    size = (half + 1 + 2 * high) * stride
    quads = offsets.size // FEATURES * FEATURES
    before, after = np.zeros(size), np.zeros(size)
    for n in range(coefficients.size - 1, -1, -1):
        # What so many steps reach; beyond it all is 0 still.
        reach = min(half, (coefficients.size - 1 - n) * high)
        last = origin + reach * stride + width
        for first in range(origin, last, BLOCK):
            end = min(first + BLOCK, last)
            place = after[first:end]
            if quads < offsets.size:
                g, h = halves[quads], halves[quads + 1]
                p, q = offsets[quads], offsets[quads + 1]
                a, b = before[first - p : end - p], before[first + p : end + p]
                c, d = before[first - q : end - q], before[first + q : end + q]
                for i in range(place.size):
                    place[i] = g * (a[i] + b[i]) + h * (c[i] + d[i])
            else:
                place[:] = 0.0
            for j in range(0, quads, FEATURES):
                g, h, k, m = halves[j], halves[j + 1], halves[j + 2], halves[j + 3]
                p, q, r, s = offsets[j], offsets[j + 1], offsets[j + 2], offsets[j + 3]
                a, b = before[first - p : end - p], before[first + p : end + p]
                c, d = before[first - q : end - q], before[first + q : end + q]
                e, f = before[first - r : end - r], before[first + r : end + r]
                u, v = before[first - s : end - s], before[first + s : end + s]
                for i in range(place.size):
                    one = g * (a[i] + b[i]) + h * (c[i] + d[i])
                    two = k * (e[i] + f[i]) + m * (u[i] + v[i])
                    place[i] += one + two
        after[origin] += coefficients[n]
        # The places beyond both ends, by symmetry: those of rows, and then whole rows.
        for r in range(high, high + reach + 1):
            low, top = r * stride + margin, r * stride + margin + width - 1
            for i in range(1, margin + 1):
                after[low - i] = after[low + i]
                after[top + i] = after[top + 1 - i]
        for i in range(1, high + 1):
            up, down = (high + i) * stride, (high + half + 1 - i) * stride
            after[up - 2 * i * stride : up - (2 * i - 1) * stride] = after[up : up + stride]
            after[down + (2 * i - 1) * stride : down + 2 * i * stride] = after[down : down + stride]
        before, after = after, before
    for r in range(half + 1):
        out[r] = before[origin + r * stride : origin + r * stride + width]
