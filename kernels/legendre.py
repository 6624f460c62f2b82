"""Legendre polynomials in dimension d: P_k(t) = C_k^nu(t) / C_k^nu(1), nu = (d-2)/2."""

from __future__ import annotations

import numpy as np
from numba import njit

SMALL = 2.0**-500


@njit(cache=True, inline="always")
def _next(k, dim, t, minus, p, q, near):
    """From degree k >= 1 to k + 1; q is P_(k-1), or near t = 1 the difference P_k - P_(k-1).

    The difference form of the recurrence (Reinsch) takes 1 - t as it is: near 1 the usual form
    would lose the digits in which P_k differs from 1.
    """
    a = 2.0 * k + dim - 2.0
    b = k + dim - 2.0
    if near:
        q = (k * q - a * minus * p) / b
        return p + q, q
    return (a * t * p - k * q) / b, p


@njit(cache=True)
def legendre(degrees, dim, t, out):
    """P_k(t) for increasing degrees and t in [-1, 1] (flat) into out (degrees, t).

    The two running values are scaled up together when they become small, so that an amplitude
    below the range of doubles underflows in the result alone.
    """
    for i in range(t.size):
        x = abs(t[i])
        minus = 1.0 - x
        near = x > 0.5
        p, q, e = 1.0, 0.0, 0
        k = 0
        for j in range(degrees.size):
            while k < degrees[j]:
                if k == 0:
                    p, q = x, (-minus if near else 1.0)
                else:
                    p, q = _next(k, dim, x, minus, p, q, near)
                if abs(p) < SMALL and abs(q) < SMALL:
                    p /= SMALL
                    q /= SMALL
                    e += 1
                k += 1
            value = p if e == 0 else p * SMALL if e == 1 else p * SMALL * SMALL if e == 2 else 0.0
            out[j, i] = -value if t[i] < 0.0 and k % 2 == 1 else value


@njit(cache=True)
def funk_hecke_sums(degrees, dim, t, weighted, total, size):
    """Sums of weighted[i] P_k(t_i) and of their moduli, for increasing degrees."""
    row = np.empty((degrees.size, 1))
    one = np.empty(1)
    total[:] = 0.0
    size[:] = 0.0
    lost = np.zeros(degrees.size)
    for i in range(t.size):
        one[0] = t[i]
        legendre(degrees, dim, one, row)
        for j in range(degrees.size):
            term = weighted[i] * row[j, 0]
            s = total[j] + term
            z = s - total[j]
            lost[j] += (total[j] - (s - z)) + (term - z)
            total[j] = s
            size[j] += abs(term)
    total += lost
