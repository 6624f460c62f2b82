"""Truncated power series of double-doubles, with bounds on the errors of all coefficients.

A series is an array of three rows: leading parts, remainders, and bounds on the absolute errors.
Sums of m products are added without normalizing in between, which costs at most (m + 4)^2 2^-106
of the sum of their moduli.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import dd_div, dd_mul, fma, two_sum

#: Square of the rounding of doubles, with a margin for the roundings of the bounds themselves.
SQUARE = 1.01 * 2.0**-106
#: Bound on the relative error of a quotient, or of a few sums and products.
ROUNDING = 2.0**-101
#: Numbers below are taken for 0.
FLOOR = 2.0**-900


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
def squares(a, out):
    """The squares of the coefficients of a series."""
    for n in range(a.shape[1]):
        size = abs(a[0, n])
        out[0, n], out[1, n] = dd_mul(a[0, n], a[1, n], a[0, n], a[1, n])
        out[2, n] = 1.01 * (2.0 * size + a[2, n]) * a[2, n] + ROUNDING * size * size


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


@njit(cache=True, error_model="numpy")
def shifted(a, c, p, out):
    """Coefficients in y of sum_n a_n (c + p y)^n, a_n >= 0; double-doubles c, p >= 0, c + p <= 1.

    By Horner's rule: sums of positive terms.  What c + p lacks or exceeds 1 by is a rounding.
    """
    size = out.shape[1]
    ch, cl, ph, pl = c[0], c[1], p[0], p[1]
    old = np.zeros((3, size))
    out[:] = 0.0
    count = a.shape[1]
    for n in range(count - 1, -1, -1):
        end = min(size, count - n)
        old[:, :end] = out[:, :end]
        _horner_step(old[:, :end], ch, cl, ph, pl, out[:, :end])
        h, e = two_sum(out[0, 0], a[0, n])
        out[0, 0], out[1, 0] = two_sum(h, e + (out[1, 0] + a[1, n]))
        out[2, 0] += a[2, n]
    for j in range(size):
        out[2, j] = (1.0 + 1e-9 * count) * out[2, j] + ROUNDING * (count + 4.0) * out[0, j]


@njit(cache=True, error_model="numpy")
def _horner_step(old, ch, cl, ph, pl, out):
    """Multiply a series by c + p y; its smallest numbers become 0, as denormal ones are slow."""
    oh, ol, oe, h, low, e = old[0], old[1], old[2], out[0], out[1], out[2]
    h[0], low[0] = dd_mul(oh[0], ol[0], ch, cl)
    e[0] = ch * oe[0]
    before_h, before_l, before_e = oh[:-1], ol[:-1], oe[:-1]
    oh, ol, oe, h, low, e = oh[1:], ol[1:], oe[1:], h[1:], low[1:], e[1:]
    for j in range(h.size):
        xh, xl = dd_mul(oh[j], ol[j], ch, cl)
        yh, yl = dd_mul(before_h[j], before_l[j], ph, pl)
        s, d = two_sum(xh, yh)
        d += xl + yl
        whole = 1.0 if s > FLOOR else 0.0
        h[j], low[j] = whole * s, whole * d
        error = ch * oe[j] + ph * before_e[j]
        e[j] = error if error > FLOOR else 0.0


@njit(cache=True, error_model="numpy")
def composed(outer, inner, out):
    """The series `outer` of a series that begins at power 1, by Brent and Kung (1978)."""
    size = out.shape[1]
    terms = min(_length(outer, size), size)
    m = max(1, int(math.sqrt(float(terms))))
    powers = np.zeros((m + 1, 3, size))
    powers[0, 0, 0] = 1.0
    powers[1] = inner
    for i in range(2, m + 1):
        product(powers[i // 2], powers[i - i // 2], powers[i])
    out[:] = 0.0
    moved, moduli = np.empty_like(out), np.empty(size)
    for s in range((terms + m - 1) // m - 1, -1, -1):
        need = size - s * m  # what is multiplied by the m-th power s times more
        product(out[:, :need], powers[m], moved[:, :need])
        out[:, :need] = moved[:, :need]
        moduli[:need] = np.abs(out[0, :need])
        first, last = s * m, min(s * m + m, terms)
        for i in range(first, last):
            _add_multiple(
                outer[0, i], outer[1, i], outer[2, i], powers[i - first],
                out[0, :need], out[1, :need], out[2, :need], moduli[:need],
            )  # fmt: skip
        for n in range(need):
            out[0, n], out[1, n] = two_sum(out[0, n], out[1, n])
            out[2, n] = 1.01 * out[2, n] + (m + 5.0) ** 2 * SQUARE * moduli[n]
