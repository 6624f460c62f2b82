"""Composition of power series with positive coefficients.

All coefficients are >= 0, so that every sum keeps its relative accuracy.  The first argument of a
composition is expanded around the start of the second: F(c + p y) = sum_j b_j y^j with
b_j = sum_n a_n C(n, j) c^(n-j) p^j, whose weights are at most 1 where c + p = 1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import (
    HUGE,
    TINY,
    dd_div,
    dd_mul,
    normalized,
    scaled_mul,
    two_prod,
    two_sum,
)

#: Bits below the largest term of a sum from which terms are left out.
LEFT_OUT = 80.0
#: Below, values are taken for 0: denormal numbers are slow.
FLOOR = 1e-290
#: How many terms beyond the last window are looked at for those that count.
STEP = 128
#: Roundings of a coefficient that `shifted` returns, and the error of one of `shifted_pairs`.
ROUNDINGS, PAIR_ERROR = 1.5, 2.0**-64
#: Terms beside the largest that logarithms leave out.
NOTHING = 1e-14
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


@njit(cache=True, error_model="numpy")
def shifted(am, ae, first, stride, ch, cl, ph, pl, bm, be):
    """`shifted_pairs` of doubles.  A b_j has at most ROUNDINGS roundings."""
    shifted_pairs(
        am, np.zeros(am.size), ae, first, stride, ch, cl, ph, pl, bm, np.empty(bm.size), be
    )


@njit(cache=True, error_model="numpy")
def shifted_pairs(am, al, ae, first, stride, ch, cl, ph, pl, bm, bl, be):
    """Scaled b_j = sum_n a_n C(n, j) c^(n-j) p^j for j = 0, 1, ..., into bm, bl and be.

    am + al, ae: scaled a_n > 0 for n = first, first + stride, ..., stride 1 or 2; c = ch + cl > 0
    and p = pl + ph > 0.  The weight of the largest term of each j is carried as a scaled
    double-double from that of the j before; the other terms follow from it by products outwards,
    and are added from the smallest to the largest.  The error of a b_j as a double-double is at
    most PAIR_ERROR for 2^16 terms.
    """
    count = am.size
    lf = log2_factorials(first + stride * count)
    lc = math.log2(ch)
    # log2 of a_n n! c^n; log2 of m! for m of either parity; a_(n+stride) / a_n times c^stride and
    # (n + 1) ... (n + stride), and its inverse.
    logs, falls = np.empty(count), np.empty((2, lf.size // stride + 1))
    rise, sink, place = np.empty((2, count)), np.empty((2, count)), np.empty(count)
    for s in range(stride):
        for i in range(s, lf.size, stride):
            falls[s, i // stride] = lf[i]
    sh, sl = (ch, cl) if stride == 1 else dd_mul(ch, cl, ch, cl)
    for i in range(count):
        n = first + stride * i
        logs[i] = math.log2(am[i]) + ae[i] + lf[n] + n * lc
        place[i] = n
        if i + 1 < count:
            h, e = dd_div(am[i + 1], al[i + 1], am[i], al[i])
            h, e = dd_mul(h, e, sh, sl)
            h, e = dd_mul(h, e, (n + 1.0) if stride == 1 else (n + 1.0) * (n + 2.0), 0.0)
            scale = 2.0 ** (ae[i + 1] - ae[i])
            rise[0, i], rise[1, i] = h * scale, e * scale
            h, e = dd_div(1.0, 0.0, h, e)
            sink[0, i + 1], sink[1, i + 1] = h / scale, e / scale
    sizes, steps, terms = np.empty(count), np.empty((2, count)), np.empty((2, count))
    xh, xl = dd_div(ph, pl, ch, cl)
    wh, wl, we = 1.0, 0.0, np.int64(0)
    n = 0
    at = 0
    low = high = 0
    for j in range(bm.size):
        start = 0 if j <= first else (j - first + stride - 1) // stride
        if start >= count:
            bm[j], bl[j], be[j] = 0.0, 0.0, 0
            continue
        # The window of terms that count, by approximate logarithms: it moves up with j.
        start = max(start, low)
        rest = first + stride * start - j
        end = min(max(high, start) + STEP, count)
        while True:
            size = _differences(logs[start:end], falls[rest % stride, rest // stride :], sizes)
            peak = np.argmax(sizes[:size])
            floor = sizes[peak] - LEFT_OUT
            high = size - 1
            while sizes[high] < floor:
                high -= 1
            if end == count or high + STEP // 2 < size:
                break
            end = min(2 * end, count)
        low = 0
        while sizes[low] < floor:
            low += 1
        low, peak, high = low + start, peak + start, high + start
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
        _risen(rise[:, peak:high], place[peak:high], j, stride, steps)
        above, far_above = _outwards(steps, high - peak, terms)
        _sunk(sink[:, low + 1 : peak + 1], place[low + 1 : peak + 1], j, stride, steps)
        below, far_below = _outwards(steps, peak - low, terms)
        total, e = two_sum(above, below)
        total, d = two_sum(1.0, total)
        h, e = dd_mul(total, d + (e + (far_above + far_below)), wh, wl)
        h, e = dd_mul(h, e, am[peak], al[peak])
        high_part = h + e
        bm[j], be[j] = normalized(high_part, we + ae[peak])
        bl[j] = (e - (high_part - h)) * (bm[j] / high_part)


@njit(cache=True, error_model="numpy")
def log_derivatives(am, ae, first, stride, out):
    """Logarithms of sum_n a_n C(n, j) for j = 0, 1, ..., to about 1e-10; -inf where there is none.

    am, ae: scaled a_n > 0 for n = first, first + stride, ..., stride 1 or 2, such that the terms of
    each j rise to one peak and fall.
    """
    count = am.size
    lf = log2_factorials(first + stride * count)
    rise, fall = np.empty(count), np.empty(count)
    for i in range(count - 1):
        n = first + stride * i
        rise[i] = am[i + 1] / am[i] * 2.0 ** (ae[i + 1] - ae[i]) * (n + 1.0)
        rise[i] *= 1.0 if stride == 1 else n + 2.0
        fall[i] = 1.0 / rise[i]
    peak = 0
    for j in range(out.size):
        start = 0 if j <= first else (j - first + stride - 1) // stride
        if start >= count:
            out[j] = -np.inf
            continue
        peak = max(peak, start)
        m = first + stride * peak - j
        while peak < count - 1 and rise[peak] > (m + 1.0) * (1.0 if stride == 1 else m + 2.0):
            peak += 1
            m += stride
        total, term = 1.0, 1.0
        for i in range(peak, count - 1):
            rest = first + stride * i - j + 1.0
            term *= rise[i] / (rest if stride == 1 else rest * (rest + 1.0))
            total += term
            if term < NOTHING:
                break
        term = 1.0
        for i in range(peak - 1, start - 1, -1):
            rest = first + stride * i - j + 1.0
            term *= fall[i] * (rest if stride == 1 else rest * (rest + 1.0))
            total += term
            if term < NOTHING:
                break
        size = math.log2(am[peak] * total) + ae[peak] + lf[m + j] - lf[m] - lf[j]
        out[j] = math.log(2.0) * size


@njit(cache=True, error_model="numpy")
def _differences(a, b, out):
    for i in range(a.size):
        out[i] = a[i] - b[i]
    return a.size


@njit(cache=True, error_model="numpy")
def _risen(rise, place, j, stride, out):
    """Ratios of the terms after to those at these places, as double-doubles."""
    for i in range(place.size):
        m = place[i] - j
        under = m + 1.0 if stride == 1 else (m + 1.0) * (m + 2.0)
        out[0, i], out[1, i] = dd_div(rise[0, i], rise[1, i], under, 0.0)


@njit(cache=True, error_model="numpy")
def _sunk(sink, place, j, stride, out):
    """Ratios of the terms before to those at these places, from the last place on."""
    last = place.size - 1
    for i in range(place.size):
        m = place[i] - j
        over = m if stride == 1 else m * (m - 1.0)
        out[0, last - i], out[1, last - i] = dd_mul(sink[0, i], sink[1, i], over, 0.0)


@njit(cache=True, error_model="numpy")
def _outwards(ratios, count, terms):
    """Sum of the products of the first ratios, 1, 2, ..., as a sum of two doubles."""
    h, low = 1.0, 0.0
    for i in range(count):
        h, low = dd_mul(h, low, ratios[0, i], ratios[1, i])
        terms[0, i], terms[1, i] = h, low
    total = rest = 0.0
    for i in range(count - 1, -1, -1):
        total, e = two_sum(total, terms[0, i])
        rest += e + terms[1, i]
    return total, rest


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
        start = min(i + first_b, size)
        _add_row(1.0, part[start:size], out[start:size])
    for n in range(size):
        if out[n] < FLOOR:
            out[n] = 0.0


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_rows(a, i, end, b, first_b, size, out):
    """Products of coefficients i to end of a with b into out, from power i on.

    Slices, since only indices that cannot be negative let the compiler use vector instructions.
    """
    out[min(i + first_b, size) : size] = 0.0
    while i + UNROLLED <= end:
        start = min(i + 7 + first_b, size)
        for q in range(UNROLLED - 1):
            _add_row(a[i + q], b[first_b:], out[min(i + q + first_b, start) : start])
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        a4, a5, a6, a7 = a[i + 4], a[i + 5], a[i + 6], a[i + 7]
        o, n = out[start:size], start - i
        b0, b1, b2, b3 = b[n:], b[n - 1 :], b[n - 2 :], b[n - 3 :]
        b4, b5, b6, b7 = b[n - 4 :], b[n - 5 :], b[n - 6 :], b[n - 7 :]
        for m in range(o.size):
            o[m] += ((a0 * b0[m] + a1 * b1[m]) + (a2 * b2[m] + a3 * b3[m])) + (
                (a4 * b4[m] + a5 * b5[m]) + (a6 * b6[m] + a7 * b7[m])
            )
        i += UNROLLED
    while i < end:
        _add_row(a[i], b[first_b:], out[min(i + first_b, size) : size])
        i += 1


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_row(x, b, out):
    for m in range(out.size):
        out[m] += x * b[m]


@njit(cache=True, error_model="numpy")
def multiply_exactly(a, first_a, b, first_b, size, out):
    """The product with each coefficient rounded once: sums in double-doubles."""
    out[:size] = 0.0
    low = np.zeros(size)
    end = min(a.size, size)
    for i in range(first_a, end):
        start = min(i + first_b, size)
        _add_row_exactly(a[i], b[first_b:], out[start:size], low[start:])
    for n in range(size):
        out[n] += low[n]
        if out[n] < FLOOR:
            out[n] = 0.0


@njit(cache=True, error_model="numpy")
def _add_row_exactly(x, b, high, low):
    for m in range(high.size):
        p, e = two_prod(x, b[m])
        high[m], d = two_sum(high[m], p)
        low[m] += d + e


@njit(cache=True)
def product(a, first_a, b, first_b, size, exactly, out):
    """`multiply_exactly` or `multiply`."""
    if exactly:
        multiply_exactly(a, first_a, b, first_b, size, out)
    else:
        multiply(a, first_a, b, first_b, size, out)


@njit(cache=True)
def roundings(size, exactly):
    """Roundings that a coefficient of a product of `size` coefficients has at most."""
    return 1.01 if exactly else BLOCK // UNROLLED + UNROLLED + 4.0 + size // BLOCK


@njit(cache=True, error_model="numpy")
def compose(outers, inner, exactly, out):
    """Rows of `outers` (R, J) composed with a series that begins at power 1, into out (R, N).

    Brent and Kung (1978): powers of the inner series to m, then Horner's rule in its m-th power.
    Returns two numbers of roundings: a term in the j-th power of `inner` has at most j times the
    first plus the second.  `exactly`: products and sums are rounded once.
    """
    rows, terms = outers.shape
    size = inner.size
    m = max(1, min(int(math.sqrt(rows * terms)) + 1, terms))
    powers = np.zeros((m + 1, size))
    powers[0, 0] = 1.0
    powers[1] = inner
    for i in range(2, m + 1):
        half = i // 2
        product(powers[half], half, powers[i - half], i - half, size, exactly, powers[i])
    blocks = (terms + m - 1) // m
    moved, sums, low = np.empty(size), np.empty(size), np.empty(size)
    for r in range(rows):
        total = out[r]
        total[:] = 0.0
        for s in range(blocks - 1, -1, -1):
            need = size - s * m
            if need <= 0:
                continue
            if s < blocks - 1:
                product(total[:need], 0, powers[m], m, need, exactly, moved)
                total[:need] = moved[:need]
            here = outers[r, s * m : min(s * m + min(m, need), terms)]
            if exactly:
                low[:need] = 0.0
                for i in range(here.size):
                    _add_row_exactly(here[i], powers[i, i:need], total[i:need], low[i:need])
                _add_row(1.0, low[:need], total[:need])
            else:
                for first in range(0, here.size, UNROLLED):
                    sums[first:need] = 0.0
                    for i in range(first, min(first + UNROLLED, here.size)):
                        _add_row(here[i], powers[i, i:need], sums[i:need])
                    _add_row(1.0, sums[first:need], total[first:need])
    each = roundings(size, exactly)
    added = 2.0 if exactly else m // UNROLLED + UNROLLED + 2.0
    return each + (each + added) / m, added
