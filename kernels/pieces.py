"""Functions given on panels: their values and their Hermite coefficients."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True)
def piecewise(x, edges, series, out):
    """Sum the series of each point's panel, by Clenshaw's recurrence.

    x: (N,) points; edges: (P + 1,) increasing; series: (P, n) Chebyshev coefficients, n >= 2.
    Points beyond the ends take the nearest panel.
    """
    panels, n = series.shape
    for i in range(x.size):
        low, high = 0, panels
        while high - low > 1:
            middle = (low + high) // 2
            if x[i] < edges[middle]:
                high = middle
            else:
                low = middle
        left, right = edges[low], edges[low + 1]
        t = (2.0 * x[i] - left - right) / (right - left)
        b1, b2 = 0.0, 0.0
        for j in range(n - 1, 0, -1):
            b1, b2 = series[low, j] + 2.0 * t * b1 - b2, b1
        out[i] = series[low, 0] + t * b1 - b2


@njit(cache=True)
def hermite_sums(z, weighted, out):
    """Sums of weighted values times the normalized Hermite polynomials of degrees 0 to N - 1.

    z, weighted: (M,) nodes and values times weights; out: (N,).
    """
    out[:] = 0.0
    up, down = out.copy(), out.copy()
    for n in range(out.size):
        up[n], down[n] = 1.0 / math.sqrt(n + 1.0), math.sqrt(n / (n + 1.0))
    part = out.copy()
    for i in range(z.size):
        if i % 32 == 0:
            out += part
            part[:] = 0.0
        before, here = 0.0, 1.0
        for n in range(out.size):
            part[n] += weighted[i] * here
            before, here = here, z[i] * up[n] * here - down[n] * before
    out += part
