"""Composition of power series with positive coefficients.

All coefficients are >= 0, so that every sum keeps its relative accuracy.  The first argument of a
composition is expanded around the start of the second: F(c + p y) = sum_j b_j y^j with
b_j = sum_n a_n C(n, j) c^(n-j) p^j, whose weights are at most 1 where c + p = 1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import HUGE, TINY, dd_div, normalized, scaled_mul, two_sum

#: Bits below the largest term of a sum from which terms are left out.
LEFT_OUT = 80.0
#: Below, values are taken for 0: denormal numbers are slow.
FLOOR = 1e-290
#: Rows that a product adds in one pass, and in one partial sum.
UNROLLED = 8
BLOCK = 64


@njit(cache=True)
def log2_factorials(size):
    """The logarithms to base 2 of 0!, 1!, ..., to about 1e-10."""
    out = np.zeros(size)
    for n in range(1, size):
        out[n] = out[n - 1] + math.log2(n)
    return out


@njit(cache=True)
def shifted(am, ae, first, stride, ch, cl, ph, pl, bm, be):
    """Scaled b_j = sum_n a_n C(n, j) c^(n-j) p^j for j = 0, 1, ..., into bm and be.

    am, ae: scaled a_n > 0 for n = first, first + stride, ...; c = ch + cl > 0, p = pl + ph > 0.
    The weight of the largest term of each j is carried as a scaled double-double from that of the
    j before; the other terms follow from it by plain products outwards.
    """
    count = am.size
    last = first + stride * (count - 1)
    lf = log2_factorials(last + 1)
    la = np.empty(count)
    for i in range(count):
        la[i] = math.log2(am[i]) + ae[i]
    lc, _lp = math.log2(ch), math.log2(ph)
    xh, xl = dd_div(ph, pl, ch, cl)
    wh, wl, we = 1.0, 0.0, np.int64(0)
    n = 0
    at = 0
    worst = 0.0
    for j in range(bm.size):
        # The window of terms that count, by approximate logarithms.
        low_i = 0 if j <= first else (j - first + stride - 1) // stride
        if low_i >= count:
            bm[j], be[j] = 0.0, 0
            continue
        top, peak = -np.inf, low_i
        for i in range(low_i, count):
            m = first + stride * i
            x = la[i] + lf[m] - lf[m - j] + (m - j) * lc
            if x > top:
                top, peak = x, i
        high = count - 1
        m = first + stride * high
        while la[high] + lf[m] - lf[m - j] + (m - j) * lc < top - LEFT_OUT:
            high -= 1
            m -= stride
        low = low_i
        m = first + stride * low
        while la[low] + lf[m] - lf[m - j] + (m - j) * lc < top - LEFT_OUT:
            low += 1
            m += stride
        # The weight of the peak.
        goal = first + stride * peak
        while n < goal or (n == at and at < j):
            # n + 1 over n + 1 - at, times c
            h, e = dd_div(n + 1.0, 0.0, n + 1.0 - at, 0.0)
            wh, wl, we = scaled_mul(wh, wl, we, h, e)
            wh, wl, we = scaled_mul(wh, wl, we, ch, cl)
            n += 1
        while at < j:
            h, e = dd_div(float(n - at), 0.0, at + 1.0, 0.0)
            wh, wl, we = scaled_mul(wh, wl, we, h, e)
            wh, wl, we = scaled_mul(wh, wl, we, xh, xl)
            at += 1
        while n > goal:
            h, e = dd_div(float(n - at), 0.0, float(n), 0.0)
            wh, wl, we = scaled_mul(wh, wl, we, h, e)
            h, e = dd_div(wh, wl, ch, cl)
            wh, wl = h, e
            if wh > HUGE:
                wh, wl, we = wh * TINY, wl * TINY, we + 500
            n -= 1
        total, rest, far = 1.0, 0.0, 0.0
        t = 1.0
        for i in range(peak, high):
            m = first + stride * i
            for s in range(1, stride + 1):
                t *= (m + s) * ch / (m + s - j)
            x = t * (am[i + 1] / am[peak]) * 2.0 ** (ae[i + 1] - ae[peak])
            total, e = two_sum(total, x)
            rest += e
            far += x * (i + 1 - peak)
        t = 1.0
        for i in range(peak, low, -1):
            m = first + stride * i
            for s in range(stride):
                t *= (m - s - j) / ((m - s) * ch)
            x = t * (am[i - 1] / am[peak]) * 2.0 ** (ae[i - 1] - ae[peak])
            total, e = two_sum(total, x)
            rest += e
            far += x * (peak - i + 1)
        total += rest
        worst = max(worst, 3.0 * stride * far / total + 6.0)
        bm[j], be[j] = normalized(wh * am[peak] * total, we + ae[peak])
    return worst


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def multiply(a, first_a, b, first_b, size, out):
    """First coefficients of the product of two series that begin at first_a and first_b.

    Partial sums of BLOCK rows are added to `out`; see `roundings`.
    """
    out[:size] = 0.0
    part = np.empty(size)
    end = min(a.size, size)
    for i in range(first_a, end, BLOCK):
        _add_rows(a, i, min(i + BLOCK, end), b, first_b, size, part)
        for n in range(min(i + first_b, size), size):
            out[n] += part[n]
    for n in range(size):
        if out[n] < FLOOR:
            out[n] = 0.0


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_rows(a, i, end, b, first_b, size, out):
    """Products of coefficients i to end of a with b into out, from power i on."""
    for n in range(min(i + first_b, size), size):
        out[n] = 0.0
    while i + UNROLLED <= end:
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        a4, a5, a6, a7 = a[i + 4], a[i + 5], a[i + 6], a[i + 7]
        start = min(i + 7 + first_b, size)
        for q in range(UNROLLED - 1):
            for n in range(i + q + first_b, start):
                out[n] += a[i + q] * b[n - i - q]
        for n in range(start, size):
            out[n] += (
                (a0 * b[n - i] + a1 * b[n - i - 1]) + (a2 * b[n - i - 2] + a3 * b[n - i - 3])
            ) + ((a4 * b[n - i - 4] + a5 * b[n - i - 5]) + (a6 * b[n - i - 6] + a7 * b[n - i - 7]))
        i += UNROLLED
    while i < end:
        x = a[i]
        for n in range(i + first_b, size):
            out[n] += x * b[n - i]
        i += 1


@njit(cache=True)
def roundings(size):
    """Roundings that a coefficient of a product of `size` coefficients has at most."""
    return BLOCK // UNROLLED + UNROLLED + 4 + size // BLOCK


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def compose(outers, inner, out):
    """Rows of `outers` (R, J) composed with a series that begins at power 1, into out (R, N).

    Brent and Kung (1978): powers of the inner series to m, then Horner's rule in its m-th power.
    Returns two numbers of roundings: a term in the j-th power of `inner` has at most j times the
    first plus the second.
    """
    rows, terms = outers.shape
    size = inner.size
    m = max(1, min(int(math.sqrt(rows * terms)) + 1, terms))
    powers = np.zeros((m + 1, size))
    powers[0, 0] = 1.0
    powers[1] = inner
    for i in range(2, m + 1):
        half = i // 2
        multiply(powers[half], half, powers[i - half], i - half, size, powers[i])
    blocks = (terms + m - 1) // m
    product, sums = np.empty(size), np.empty(size)
    for r in range(rows):
        total = out[r]
        total[:] = 0.0
        for s in range(blocks - 1, -1, -1):
            need = size - s * m
            if need <= 0:
                continue
            if s < blocks - 1:
                multiply(total[:need], 0, powers[m], m, need, product)
                total[:need] = product[:need]
            for first in range(0, min(m, terms - s * m), UNROLLED):
                last = min(first + UNROLLED, m, terms - s * m)
                for n in range(first, need):
                    sums[n] = 0.0
                for i in range(first, last):
                    b = outers[r, s * m + i]
                    p = powers[i]
                    for n in range(i, need):
                        sums[n] += b * p[n]
                for n in range(first, need):
                    total[n] += sums[n]
    each = roundings(size)
    added = m // UNROLLED + UNROLLED + 2.0
    return each + (each + added) / m, added
