"""Singular values of matrices whose columns differ in scale beyond doubles, and their bounds."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MOST_SWEEPS = 60
#: Columns are orthogonal when their cosine is below this.
ORTHOGONAL = 2.0**-52
#: Relative gaps of eigenvalues are known to this.
GAP = 1e-12


@njit(cache=True)
def jacobi(columns, log_scale, left):
    """One-sided Jacobi rotations of columns u_j 2**log_scale[j], in place; returns the sweeps.

    On entry the scales fall and are even powers, so that their quotients are exact; `left` is the
    unit matrix, whose columns are rotated too.  The rotation of u_p and u_q, r = d_q/d_p, is
    written as x - (k x - f y), k = 1 - cos, which keeps the columns' norms to the last digits.
    """
    n = columns.shape[0]
    for sweep in range(MOST_SWEEPS):
        rotated = 0
        for p in range(n - 1):
            for q in range(p + 1, n):
                up, uq = columns[p], columns[q]
                pp, qq, pq = 0.0, 0.0, 0.0
                for i in range(n):
                    pp += up[i] * up[i]
                    qq += uq[i] * uq[i]
                    pq += up[i] * uq[i]
                if abs(pq) <= ORTHOGONAL * math.sqrt(pp) * math.sqrt(qq):
                    continue
                rotated += 1
                r = math.ldexp(1.0, max(int(log_scale[q] - log_scale[p]), -1074))
                z = (r * r * qq - pp) / (2.0 * pq)
                t = 1.0 / (abs(z) + math.sqrt(r * r + z * z))
                if z < 0.0:
                    t = -t
                s = r * t
                h = math.sqrt(1.0 + s * s)
                k = s * s / (h * (1.0 + h))
                c = 1.0 / h
                f, g = c * r * s, c * t
                for i in range(n):
                    x, y = up[i], uq[i]
                    up[i] = x - (k * x + f * y)
                    uq[i] = y - (k * y - g * x)
                f = c * s
                for i in range(n):
                    x, y = left[p, i], left[q, i]
                    left[p, i] = x - (k * x + f * y)
                    left[q, i] = y - (k * y - f * x)
        if rotated == 0:
            return sweep
    return MOST_SWEEPS


@njit(cache=True)
def excess(logs, couplings, log_beyond, most, out):
    """Bounds of the relative excess of a kernel's eigenvalues over those of its leading part.

    The leading part has the falling eigenvalues 2**logs; all others of the uniform sphere are at
    most 2**log_beyond, the density at most `most`, and couplings[j] is the squared norm of what
    the density times eigenfunction j has beyond the leading part.  See docs/density.rst; inf where
    nothing is proved.
    """
    n = logs.size
    for i in range(n):
        beyond = math.exp(min(math.log(2.0) * (log_beyond - logs[i]), 700.0))
        if not _holds(logs, couplings, beyond, most, i, 1.0):
            out[i] = np.inf
            continue
        low, high = math.log(1e-20), 0.0
        if _holds(logs, couplings, beyond, most, i, 1e-20):
            out[i] = 1e-20
            continue
        while high - low > 0.02:
            middle = 0.5 * (low + high)
            if _holds(logs, couplings, beyond, most, i, math.exp(middle)):
                high = middle
            else:
                low = middle
        out[i] = math.exp(high)


@njit(cache=True)
def _holds(logs, couplings, beyond, most, i, x):
    """Whether no more than i eigenvalues are at least 1 + x times the i-th of the leading part.

    In units of that eigenvalue: modes i to j - 1 by the trace, those from j on by their norm.
    """
    room = 1.0 + x - most * beyond
    total = 0.0
    for j in range(i, logs.size):
        s = math.exp(math.log(2.0) * (logs[j] - logs[i]))
        gap = x + max(0.0, 1.0 - s - GAP)
        if j > i and total + most * beyond * s / gap < room:
            return True
        total += beyond * s * couplings[j] / gap
        if not total < room:
            return False
    return True
