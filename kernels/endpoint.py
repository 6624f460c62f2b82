"""Spectra of powers at the ends of [-1, 1] and beyond, and of few Taylor terms, row by row.

All sums are double-doubles with one exponent: terms may cancel by many digits.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import HUGE, TINY, dd_add, dd_div, dd_mul, scaled_times, two_prod

#: Terms that have fallen this far below the first one are left out.
FALLEN = 2.0**-450


@njit(cache=True)
def add(high, low, exponent, at, hi, lo, e):
    """Add a scaled double-double to an element of arrays of them, with leading parts near 1."""
    if hi == 0.0:
        return
    shift = math.frexp(hi)[1]
    hi, lo, e = math.ldexp(hi, -shift), math.ldexp(lo, -shift), e + shift
    if high[at] != 0.0:
        apart = exponent[at] - e
        if apart > 0:
            if apart > 400:
                return
            hi, lo, e = math.ldexp(hi, -apart), math.ldexp(lo, -apart), exponent[at]
        elif apart < -400:
            high[at], low[at] = 0.0, 0.0
        else:
            high[at], low[at] = math.ldexp(high[at], apart), math.ldexp(low[at], apart)
    hi, lo = dd_add(high[at], low[at], hi, lo)
    shift = math.frexp(hi)[1] if hi != 0.0 else 0
    high[at], low[at] = math.ldexp(hi, -shift), math.ldexp(lo, -shift)
    exponent[at] = e + shift if hi != 0.0 else 0


@njit(cache=True, inline="always")
def _quotient(a, b, c, d):
    """The double-double a b / (c d)."""
    p, pl = two_prod(a, b)
    q, ql = two_prod(c, d)
    return dd_div(p, pl, q, ql)


@njit(cache=True)
def _weighted(ch, cl, mh, ml, count):
    """Sum of the first terms c_i m_i, from the last."""
    hi, lo = 0.0, 0.0
    for i in range(count - 1, -1, -1):
        p, pl = dd_mul(ch[i], cl[i], mh[i], ml[i])
        hi, lo = dd_add(hi, lo, p, pl)
    return hi, lo


@njit(cache=True)
def endpoint_row(degrees, dim, powers, ch, cl, mh, ml, e, negligible, high, low, exponent):
    """Add sum_i c_i M_i(k) for increasing degrees k of one parity, M_i of (1 - t)^s_i.

    mh, ml: M_i at the first degree, over 2^e; overwritten by those of the last one.
    M(k + 1) / M(k) = (k - s) / (k + s + d - 1).  The last terms are left out from the degree on
    where they are below `negligible` times the sum.
    """
    count = powers.size
    k = degrees[0]
    for at in range(degrees.size):
        while k < degrees[at]:
            for i in range(count):
                s = powers[i]
                b = k + s + dim - 1.0
                hi, lo = _quotient(k - s, k + 1.0 - s, b, b + 1.0)
                mh[i], ml[i] = dd_mul(mh[i], ml[i], hi, lo)
            if abs(mh[0]) < TINY:
                for i in range(count):
                    mh[i] *= HUGE
                    ml[i] *= HUGE
                e -= 500
            while count > 1 and abs(mh[count - 1]) < FALLEN * abs(mh[0]):
                count -= 1
            k += 2
        hi, lo = _weighted(ch, cl, mh, ml, count)
        while count > 1 and abs(ch[count - 1] * mh[count - 1]) < negligible * abs(hi):
            count -= 1
        add(high, low, exponent, at, hi, lo, e)


@njit(cache=True)
def endpoint_column(degree, dims, powers, ch, cl, mh, ml, e, high, low, exponent):
    """The same for one degree in increasing dimensions of one parity."""
    dim = dims[0]
    for at in range(dims.size):
        while dim < dims[at]:
            for i in range(powers.size):
                b = degree + powers[i] + dim - 1.0
                hi, lo = _quotient(float(dim), 2.0 * powers[i] + dim - 1.0, b, b + 1.0)
                mh[i], ml[i] = dd_mul(mh[i], ml[i], hi, lo)
            if abs(mh[0]) < TINY:
                for i in range(powers.size):
                    mh[i] *= HUGE
                    ml[i] *= HUGE
                e -= 500
            dim += 2
        hi, lo = _weighted(ch, cl, mh, ml, powers.size)
        add(high, low, exponent, at, hi, lo, e)


@njit(cache=True)
def _taylor_sum(k, dim, bh, bl):
    """Sum of b_n w(k, n) / w(k, k) over n = k, k + 2, ..., scaled."""
    th, tl, e = 1.0, 0.0, np.int64(0)
    hi, lo = bh[k], bl[k]
    for n in range(k, bh.size - 2, 2):  # w(k, n + 2) / w(k, n)
        numerator, denominator = (n + 1.0) * (n + 2.0), (n + 2.0 - k) * (n + k + float(dim))
        qh, ql = dd_div(numerator, 0.0, denominator, 0.0)
        th, tl = dd_mul(th, tl, qh, ql)
        if th < TINY and numerator < denominator:
            break
        if th > HUGE:
            th, tl, hi, lo, e = th * TINY, tl * TINY, hi * TINY, lo * TINY, e + 500
        ph, pl = dd_mul(th, tl, bh[n + 2], bl[n + 2])
        hi, lo = dd_add(hi, lo, ph, pl)
    return hi, lo, e


@njit(cache=True)
def taylor_row(degrees, dim, bh, bl, scale, high, low, exponent):
    """Add 2^scale sum_n b_n w(k, n) for increasing degrees of one parity below the size of b."""
    wh, wl, we = 1.0, 0.0, np.int64(scale)
    k = degrees[0] % 2
    if k == 1:
        wh, wl = dd_div(1.0, 0.0, float(dim), 0.0)
    for at in range(degrees.size):
        if degrees[at] >= bh.size:
            return
        while k < degrees[at]:
            wh, wl, we = scaled_times(
                wh, wl, we, (k + 1.0) * (k + 2.0), (2.0 * k + dim) * (2.0 * k + 2.0 + dim)
            )
            k += 2
        hi, lo, e = _taylor_sum(k, dim, bh, bl)
        hi, lo = dd_mul(hi, lo, wh, wl)
        add(high, low, exponent, at, hi, lo, we + e)


@njit(cache=True)
def taylor_column(degree, dims, bh, bl, scale, high, low, exponent):
    """The same for one degree in increasing dimensions of one parity."""
    if degree >= bh.size:
        return
    dim = dims[0]
    wh, wl, we = 1.0, 0.0, np.int64(scale)
    for k in range(degree):
        wh, wl, we = scaled_times(wh, wl, we, k + 1.0, 2.0 * k + dim)
    for at in range(dims.size):
        while dim < dims[at]:
            wh, wl, we = scaled_times(wh, wl, we, float(dim), 2.0 * degree + dim)
            dim += 2
        hi, lo, e = _taylor_sum(degree, dim, bh, bl)
        hi, lo = dd_mul(hi, lo, wh, wl)
        add(high, low, exponent, at, hi, lo, we + e)


@njit(cache=True)
def power_coefficients(powers, ch, cl, zh, zl, high, low, moduli):
    """Add the Taylor coefficients of sum_i c_i (1 + t / z)^s_i, and their terms' moduli, to arrays.

    The errors are at most 2^-100 (n + 8 + number of powers / 16) times the moduli.
    """
    for i in range(powers.size):
        s = powers[i]
        th, tl = ch[i], cl[i]
        for n in range(high.size):
            high[n], low[n] = dd_add(high[n], low[n], th, tl)
            moduli[n] += abs(th)
            hi, lo = dd_mul(zh, zl, n + 1.0, 0.0)
            hi, lo = dd_div(s - n, 0.0, hi, lo)
            th, tl = dd_mul(th, tl, hi, lo)


@njit(cache=True)
def _descend(degrees, dim, s, ch, cl, top, fh, fl, gh, gl, e, zh, zl, yh, yl, high, low, exponent):
    """Add c f_k, with f and g the eigenvalues of (z - t)^s and of its derivative at `top`.

    g_k = z g_(k+1) + (k+s+d-1) f_(k+1) and (k-s) f_k = z g_k - g_(k+1).
    """
    at = degrees.size - 1
    while at >= 0 and degrees[at] > top:
        at -= 1
    k = top
    while at >= 0:
        if k == degrees[at]:
            hi, lo = dd_mul(ch, cl, fh, fl)
            add(high, low, exponent, at, hi, lo, e)
            at -= 1
        k -= 1
        ah, al = dd_mul(fh, fl, k + s + dim - 1.0, 0.0)
        ph, pl = dd_mul(yh, yl, gh, gl)
        qh, ql = dd_mul(zh, zl, ah, al)
        ph, pl = dd_add(ph, pl, qh, ql)
        fh, fl = dd_div(ph, pl, k - s, 0.0)
        ph, pl = dd_mul(zh, zl, gh, gl)
        gh, gl = dd_add(ah, al, ph, pl)
        if abs(gh) > HUGE:
            fh, fl, gh, gl, e = fh * TINY, fl * TINY, gh * TINY, gl * TINY, e + 500


@njit(cache=True)
def beyond_row(degrees, dim, first, ch, cl, top, fh, fl, ph, pl, e, zh, zl, yh, yl, negligible,
               high, low, exponent):  # fmt: skip
    """Add sum_i c_i f_k^(first + i) for increasing degrees k, f^(s) the eigenvalue of (z - t)^s.

    f, p: f^(first) and f^(first - 1) at the degree `top`, above all powers, over 2^e; y = z^2 - 1.
    All terms have one sign where k > s, downwards in k and upwards in s:
    (k-s-1) (k+s+d-1) f^(s+1) = (s+1) (s y f^(s-1) - (2s+d-1) z f^(s)).
    Terms below `negligible` times the largest are left out in all degrees; down to the degree
    `top` / r they grow by less than (2 r)^2 beside those before.
    """
    grows = (2.0 * top / max(degrees[0], 1)) ** 2
    largest = 0.0
    for i in range(ch.size):
        s = first + i
        size = abs(ch[i] * fh) * grows**i
        largest = max(largest, abs(ch[i] * fh))
        if size >= negligible * largest:
            gh, gl = dd_mul(ph, pl, -s, 0.0)
            _descend(
                degrees, dim, s, ch[i], cl[i], top, fh, fl, gh, gl, e, zh, zl, yh, yl, high, low,
                exponent,
            )  # fmt: skip
        ah, al = dd_mul(yh, yl, ph, pl)
        ah, al = dd_mul(ah, al, s, 0.0)
        bh, bl = dd_mul(zh, zl, fh, fl)
        bh, bl = dd_mul(bh, bl, -(2.0 * s + dim - 1.0), 0.0)
        ah, al = dd_add(ah, al, bh, bl)
        qh, ql = _quotient(s + 1.0, 1.0, top - s - 1.0, top + s + dim - 1.0)
        ph, pl = fh, fl
        fh, fl = dd_mul(ah, al, qh, ql)
