"""Truncated power series of double-doubles, with bounds on the errors of all coefficients.

A series is an array of three rows: leading parts, remainders, and bounds on the absolute errors.
Sums of m products are added without normalizing in between, which costs at most (m + 4)^2 2^-106
of the sum of their moduli.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import dd_div, dd_mul, fma, two_sum

#: Square of the rounding of doubles, with a margin for the roundings of the bounds themselves.
SQUARE = 1.01 * 2.0**-106
#: Bound on the relative error of a quotient, or of a few sums and products.
ROUNDING = 2.0**-101


@njit(cache=True, error_model="numpy")
def _add_multiple(xh, xl, xe, b, high, low, error, moduli):
    """Add a number times the start of a series, and the errors and the moduli of the terms."""
    bh, bl, be = b[0], b[1], b[2]
    size, both = abs(xh), abs(xh) + xe
    for m in range(high.size):
        p = xh * bh[m]
        e = fma(xh, bl[m], fma(xl, bh[m], fma(xh, bh[m], -p)))
        s, d = two_sum(high[m], p)
        high[m] = s
        low[m] += d + e
        modulus = abs(bh[m])
        moduli[m] = fma(size, modulus, moduli[m])
        error[m] = fma(both, be[m], fma(xe, modulus, error[m]))


@njit(cache=True, error_model="numpy")
def _length(a, most):
    """Number of coefficients up to the last one that is not 0."""
    n = min(a.shape[1], most)
    while n > 0 and a[0, n - 1] == 0.0 and a[2, n - 1] == 0.0:
        n -= 1
    return n


@njit(cache=True, error_model="numpy")
def product(a, b, out):
    """The product of two series, as many coefficients as `out` has; `a` may have fewer."""
    size = out.shape[1]
    moduli = np.zeros(size)
    out[:] = 0.0
    rows, columns = _length(a, size), _length(b, size)
    for i in range(rows):
        if a[0, i] != 0.0 or a[2, i] != 0.0:
            end = min(i + columns, size)
            _add_multiple(
                a[0, i], a[1, i], a[2, i], b,
                out[0, i:end], out[1, i:end], out[2, i:end], moduli[i:end],
            )  # fmt: skip
    for n in range(size):
        out[0, n], out[1, n] = two_sum(out[0, n], out[1, n])
        terms = min(n + 1, rows, columns)
        out[2, n] = 1.01 * out[2, n] + (terms + 4.0) ** 2 * SQUARE * moduli[n]


@njit(cache=True, error_model="numpy")
def total(a, b, out):
    """The sum of two series; `a` may have fewer coefficients."""
    out[:] = b
    for n in range(min(a.shape[1], b.shape[1])):
        h, e = two_sum(a[0, n], b[0, n])
        out[0, n], out[1, n] = two_sum(h, e + (a[1, n] + b[1, n]))
        out[2, n] = 1.01 * (a[2, n] + b[2, n]) + ROUNDING * (abs(a[0, n]) + abs(b[0, n]))


@njit(cache=True, error_model="numpy")
def derivative(a, out):
    """The derivative of a series, its last coefficient unknown: 0."""
    out[:] = 0.0
    for n in range(1, a.shape[1]):
        h, e = dd_mul(a[0, n], a[1, n], float(n), 0.0)
        out[0, n - 1], out[1, n - 1] = h, e
        out[2, n - 1] = 1.01 * n * a[2, n] + ROUNDING * abs(h)


@njit(cache=True, error_model="numpy")
def integral(a, out):
    """The integral of a series from 0."""
    out[:, 0] = 0.0
    for n in range(1, a.shape[1]):
        h, e = dd_div(a[0, n - 1], a[1, n - 1], float(n), 0.0)
        out[0, n], out[1, n] = h, e
        out[2, n] = 1.01 * a[2, n - 1] / n + ROUNDING * abs(h)


@njit(cache=True, error_model="numpy")
def solution(f, p, out):
    """Solve f y' = p y + g; y_0, g_0, g_1, ... in `out` on entry, and y on return.

    `f` has one coefficient where it is a constant.
    """
    high, low, error = out[0], out[1], out[2]
    size = high.size
    moduli = np.abs(high)
    apart = f[2, 0] / abs(f[0, 0])
    f_length, p_length = _length(f, size), _length(p, size)
    for n in range(size):
        if n:
            h, e = two_sum(high[n], low[n])
            r = 1.01 * error[n] + (2.0 * n + 5.0) ** 2 * SQUARE * moduli[n]
            dh, dl = dd_mul(f[0, 0], f[1, 0], float(n), 0.0)
            h, e = dd_div(h, e, dh, dl)
            high[n], low[n] = h, e
            error[n] = 1.01 * (r / abs(dh) + abs(h) * (apart + ROUNDING)) / (1.0 - apart)
        if high[n] == 0.0 and error[n] == 0.0:
            continue
        end = min(n + 1 + p_length, size)
        _add_multiple(
            high[n], low[n], error[n], p,
            high[n + 1 : end], low[n + 1 : end], error[n + 1 : end], moduli[n + 1 : end],
        )  # fmt: skip
        if n and f_length > 1:
            h, e = dd_mul(high[n], low[n], -float(n), 0.0)
            end = min(n + f_length, size)
            _add_multiple(
                h, e, 1.01 * n * error[n] + ROUNDING * abs(h), f[:, 1:],
                high[n + 1 : end], low[n + 1 : end], error[n + 1 : end], moduli[n + 1 : end],
            )  # fmt: skip
