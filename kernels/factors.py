"""Products with a matrix that is given by its factor."""

from __future__ import annotations

from numba import njit


@njit(cache=True, fastmath={"reassoc", "contract"})
def factor_product(factor, r, out):
    """B' B r into out, for the factor B (m, n); four rows at a time, each read once.

    The sums do not depend on a number of threads, as those of BLAS do.
    """
    rows, n = factor.shape
    out[:] = 0.0
    whole = rows - rows % 4
    for m in range(0, whole, 4):
        f, g, h, k = factor[m], factor[m + 1], factor[m + 2], factor[m + 3]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            a += f[i] * r[i]
            b += g[i] * r[i]
            c += h[i] * r[i]
            d += k[i] * r[i]
        for i in range(n):
            out[i] += a * f[i] + b * g[i] + c * h[i] + d * k[i]
    for m in range(whole, rows):
        f = factor[m]
        a = 0.0
        for i in range(n):
            a += f[i] * r[i]
        for i in range(n):
            out[i] += a * f[i]
