"""Powers of the cosine on the Boolean cube: the walk of Ehrenfest, with terms of one sign.

t^n has the eigenvalues c_(n,k) at the parities of k coordinates of {-1, 1}^d, and
c_(n+1,k) = (k/d) c_(n,k-1) + ((d-k)/d) c_(n,k+1).  In g_(n,k) = c_(n,k) d^k / k! a step is one
multiply-add: g_(n+1,k) = g_(n,k-1) + (d-k)(k+1)/d^2 g_(n,k+1).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import normalized, scaled_times

#: Steps between two renewals of the exponents.
BLOCK = 16
#: Largest difference of the exponents of the coefficients between them: no term is denormal.
SPREAD = 500


@njit(cache=True)
def powers_sum(dim, am, ae, mantissa, exponent, roundings):
    """Scaled sum_n a_n c_(n,k) for k = 0, 1, ...

    am, ae: scaled a_n >= 0; the sums go into mantissa and exponent, and the number of roundings
    of each into the last argument: a step up has one, a step down three, so that c_(n,k) has
    2n - k, which the terms weight.
    """
    degrees = mantissa.size
    width = min(am.size + 2, dim + 1)
    gamma = np.empty(width)
    for k in range(width):
        gamma[k] = float((dim - k) * (k + 1)) / float(dim * dim)
    g, new = np.zeros(width + 1), np.zeros(width + 1)
    shift = np.zeros(width + 1, np.int64)
    up, down = np.ones(width), gamma.copy()
    sums, sum_exponents = np.zeros(degrees), np.zeros(degrees, np.int64)
    part, moments = np.zeros(degrees), np.zeros(degrees)
    steps, step_exponents = np.zeros(degrees), np.zeros(degrees, np.int64)
    alpha = np.empty(BLOCK)
    g[0] = 1.0
    last = 0
    while last < am.size:
        first = last
        last, base = _block(am, ae, first)
        for n in range(first, last):
            alpha[n - first] = math.ldexp(am[n], int(ae[n] - base)) if am[n] > 0.0 else 0.0
        part[:] = 0.0
        moments[:] = 0.0
        reached = min(last + 1, width)
        for n in range(first, last):
            a = alpha[n - first]
            if a > 0.0:
                for k in range(min(degrees, reached)):
                    x = a * g[k]
                    part[k] += x
                    moments[k] += n * x
            new[0] = down[0] * g[1]
            for k in range(1, reached):
                new[k] = up[k] * g[k - 1] + down[k] * g[k + 1]
            g, new = new, g
        for k in range(min(degrees, reached)):
            if part[k] > 0.0:
                _add(sums, sum_exponents, k, part[k], base + shift[k])
            if moments[k] > 0.0:
                _add(steps, step_exponents, k, moments[k], base + shift[k])
        for k in range(reached):
            if g[k] > 0.0:
                _, e = math.frexp(g[k])
                g[k] = math.ldexp(g[k], -e)
                shift[k] += e
            elif k > 0:  # of the other parity: any exponent near those of the neighbours
                shift[k] = shift[k - 1]
        if g[0] == 0.0 and reached > 1:
            shift[0] = shift[1]
        for k in range(reached, width + 1):
            shift[k] = shift[reached - 1]
        for k in range(width):
            x = shift[k - 1] - shift[k] if k > 0 else 0
            up[k] = math.ldexp(1.0, int(min(max(x, -1000), 1000)))
            x = shift[k + 1] - shift[k]
            down[k] = math.ldexp(gamma[k], int(min(max(x, -1000), 1000)))
    wh, wl, we = 1.0, 0.0, np.int64(0)
    for k in range(degrees):
        if k > 0:
            wh, wl, we = scaled_times(wh, wl, we, float(k), float(dim))
        mean = 0.0
        if steps[k] > 0.0:
            mean = math.ldexp(steps[k] / sums[k], int(step_exponents[k] - sum_exponents[k]))
        roundings[k] = 2.0 * mean - k + am.size / BLOCK + BLOCK + 4.0
        mantissa[k], exponent[k] = normalized(wh * sums[k], we + sum_exponents[k])


@njit(cache=True)
def _block(am, ae, first):
    """The end of a block of coefficients of like exponents, and the largest of these."""
    last, base, low, found = first, np.int64(0), np.int64(0), False
    while last < min(first + BLOCK, am.size):
        if am[last] > 0.0:
            high = max(base, ae[last]) if found else ae[last]
            low = min(low, ae[last]) if found else ae[last]
            if high - low > SPREAD:
                break
            base, found = high, True
        last += 1
    return last, base


@njit(cache=True, inline="always")
def _add(sums, exponents, k, value, exponent):
    """Add a scaled number to a sum."""
    m, e = math.frexp(value)
    e += exponent
    if sums[k] == 0.0:
        sums[k], exponents[k] = m, e
        return
    low = max(min(e - exponents[k], 1000), -1000)
    if low > 0:
        sums[k] = math.ldexp(sums[k], -low) + m
        exponents[k] = e
    else:
        sums[k] += math.ldexp(m, low)
