"""Fourier coefficients of a power series in t(z) = sum_j w_j cos(2 pi b_j.z), by positive terms.

The coefficients of t^n are the probabilities of a walk with steps b_j and -b_j.  A box of
frequencies is laid out as a cycle of T = 2 half + 1 places, to which a frequency goes by the
numbers of its rows and columns: a homomorphism, so that the walk on the cycle adds the
probabilities of all frequencies that share a place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Places that are summed in one pass over the features, so that they stay in the nearest cache.
BLOCK = 2048
#: Features that one pass adds; two that are left over have a pass of their own.
FEATURES = 4


@njit(cache=True, nogil=True, error_model="numpy")
def horner(coefficients, offsets, halves, half, out):
    """Sum_n a_n t^n on the cycle, at the places 0 to `half`, by P <- t P + a_n.

    coefficients: a_0, a_1, ...; offsets, halves: the places of b_j, from 0 to `half`, and w_j / 2,
    an even number.  A term has FEATURES / 2 + 1 roundings from w_j, and one more for every FEATURES
    features.
    """
    widest = 0
    for j in range(offsets.size):
        widest = max(widest, offsets[j])
    size = half + 1 + 2 * widest
    quads = offsets.size // FEATURES * FEATURES
    before, after = np.zeros(size), np.zeros(size)
    for n in range(coefficients.size - 1, -1, -1):
        # What so many steps reach; beyond it all is 0 still.
        last = widest + min(half, (coefficients.size - 1 - n) * widest) + 1
        for first in range(widest, last, BLOCK):
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
        after[widest] += coefficients[n]
        # The places beyond both ends, by symmetry.
        for i in range(1, widest + 1):
            after[widest - i] = after[widest + i]
            after[widest + half + i] = after[widest + half + 1 - i]
        before, after = after, before
    out[:] = before[widest : widest + half + 1]
