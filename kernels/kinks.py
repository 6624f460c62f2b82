"""Loops for networks with kinks away from 0: Hermite moments, Darboux's coefficients, sums.

Double-doubles where sums cancel; `docs/kinks.rst`, "Kinks away from 0".
"""

from __future__ import annotations

import math

from numba import njit

from ntkspec.kernels.scaled import dd_add, dd_div, dd_mul, fma, two_sum

#: Weights are rescaled beyond 2**BIG; steps between two looks at a sum's rest.
BIG, LOOK = 300, 16
#: Fraction of a sum that the rest may be; an eigenvalue is much smaller where powers cancel it.
NOTHING = 2.0**-112


@njit(cache=True, inline="always")
def _root(x):
    """Square root of an exact double as a double-double."""
    if x == 0.0:
        return 0.0, 0.0
    s = math.sqrt(x)
    return s, fma(-s, s, x) / (2.0 * s)


@njit(cache=True)
def moments(places, slopes, curvatures, high, low, size):
    """h_n for n >= 2 as double-doubles, and the sums of the moduli of their terms.

    h_n = sum_i (s_i p_(n-2) + c_i p_(n-3) / sqrt(n-2)) / sqrt(n (n-1)), p_m = He_m(x) / sqrt(m!) at
    x = places[i]; places, slopes (s) and curvatures (c) (2, I) are double-doubles.
    """
    count = high.size
    for i in range(places.shape[1]):
        xh, xl = places[0, i], places[1, i]
        before_h, before_l, ph, pl = 0.0, 0.0, 1.0, 0.0
        for n in range(2, count):
            m = float(n - 2)
            th, tl = dd_mul(slopes[0, i], slopes[1, i], ph, pl)
            uh, ul = 0.0, 0.0
            if m > 0.0 and curvatures[0, i] != 0.0:
                rh, rl = _root(m)
                uh, ul = dd_mul(curvatures[0, i], curvatures[1, i], before_h, before_l)
                uh, ul = dd_div(uh, ul, rh, rl)
            th, tl = dd_add(th, tl, uh, ul)
            rh, rl = _root((m + 1.0) * (m + 2.0))
            th, tl = dd_div(th, tl, rh, rl)
            high[n], low[n] = dd_add(high[n], low[n], th, tl)
            size[n] += abs(th) + abs(uh) / rh
            # sqrt(m + 1) p_(m+1) = x p_m - sqrt(m) p_(m-1)
            ah, al = dd_mul(xh, xl, ph, pl)
            sh, sl = _root(m)
            bh, bl = dd_mul(sh, sl, before_h, before_l)
            ah, al = dd_add(ah, al, -bh, -bl)
            sh, sl = _root(m + 1.0)
            before_h, before_l = ph, pl
            ph, pl = dd_div(ah, al, sh, sl)


@njit(cache=True)
def squared(dual, tangent, high, low):
    """(dual + tangent n) h_n^2 in place of h_n; the factors are double-doubles (2,)."""
    for n in range(high.size):
        h, e = dd_mul(high[n], low[n], high[n], low[n])
        th, tl = dd_mul(tangent[0], tangent[1], float(n), 0.0)
        th, tl = dd_add(dual[0], dual[1], th, tl)
        high[n], low[n] = dd_mul(h, e, th, tl)


@njit(cache=True)
def darboux(powers, coefficients, far, high, low, size):
    """Subtract the Taylor coefficients of sum_i c_i (1 - t)^s_i + e_i (1 + t)^s_i.

    coefficients, far (2, I): c_i and e_i as double-doubles.  size: sums of the terms' moduli.
    """
    for i in range(powers.size):
        s = powers[i]
        th, tl = coefficients[0, i], coefficients[1, i]
        fh, fl = far[0, i], far[1, i]
        for n in range(high.size):
            sign = -1.0 if n % 2 else 1.0
            uh, ul = dd_add(th, tl, sign * fh, sign * fl)
            high[n], low[n] = dd_add(high[n], low[n], -uh, -ul)
            size[n] += abs(uh)
            rh, rl = dd_div(n - s, 0.0, n + 1.0, 0.0)
            th, tl = dd_mul(th, tl, rh, rl)
            fh, fl = dd_mul(fh, fl, rh, rl)


@njit(cache=True)
def weighted_row(degrees, dim, terms, bounds, rest, weights, exponents, sums, errors):
    """Sums over n = k, k + 2, ... of terms[:, n] w(k, n) and bounds[n] w(k, n), over 2**exponents.

    terms (2, N) and sums (2, degrees) are double-doubles, and so is w(k, n), the eigenvalue of
    degree k of t^n.  rest[n] bounds the sum of the moduli of the terms from n on.  weights:
    w(k, n) at the last n that is reached.
    """
    k, wh, wl = 0, 1.0, 0.0
    we = 0
    last = terms.shape[1]
    for at in range(degrees.size):
        while k < degrees[at]:
            rh, rl = dd_div(k + 1.0, 0.0, 2.0 * k + dim, 0.0)
            wh, wl = dd_mul(wh, wl, rh, rl)
            k += 1
            if wh < 2.0**-BIG:
                wh, wl, we = wh * 2.0**BIG, wl * 2.0**BIG, we - BIG
        h, low, e = wh, wl, we
        total, lost, error = 0.0, 0.0, 0.0
        n = k
        while n < last:
            term = h * terms[0, n]
            lost += fma(h, terms[0, n], -term) + (h * terms[1, n] + low * terms[0, n])
            total, rounding = two_sum(total, term)
            lost += rounding
            error += h * bounds[n]
            up = (n + 1.0) * (n + 2.0)
            down = float(n - k + 2) * (n + k + dim)
            if (n - k) % (2 * LOOK) == 0 and up < down and h * rest[n] < NOTHING * abs(total):
                break
            rh, rl = dd_div(up, 0.0, down, 0.0)
            h, low = dd_mul(h, low, rh, rl)
            n += 2
            if h > 2.0**BIG:
                h, low, e = h * 2.0**-BIG, low * 2.0**-BIG, e + BIG
                total, lost, error = total * 2.0**-BIG, lost * 2.0**-BIG, error * 2.0**-BIG
            elif h < 2.0**-BIG and abs(total) < 2.0**-BIG:
                h, low, e = h * 2.0**BIG, low * 2.0**BIG, e - BIG
                total, lost, error = total * 2.0**BIG, lost * 2.0**BIG, error * 2.0**BIG
        sums[0, at], sums[1, at] = two_sum(total, lost)
        errors[at], exponents[at] = error + NOTHING * abs(total), e
        weights[at] = h
