"""Gauss-Gegenbauer rules to the last digit: a Newton step in double-double."""

from __future__ import annotations

from numba import njit

from ntkspec.kernels.scaled import dd_div, dd_mul, two_sum

SMALL = 2.0**-300


@njit(cache=True)
def last_two(n, dim, t):
    """P_n(t) and P_(n-1)(t), n >= 1, as double-doubles with a common factor 2**(-300 e)."""
    ph, pl, qh, ql = t, 0.0, 1.0, 0.0
    e = 0
    for k in range(1, n):
        ah, al = dd_mul(ph, pl, t, 0.0)
        ah, al = dd_mul(ah, al, 2.0 * k + dim - 2.0, 0.0)
        bh, bl = dd_mul(qh, ql, float(k), 0.0)
        s, r = two_sum(ah, -bh)
        r += al - bl
        h = s + r
        ah, al = dd_div(h, r - (h - s), k + dim - 2.0, 0.0)
        ph, pl, qh, ql = ah, al, ph, pl
        if abs(ph) < SMALL and abs(qh) < SMALL:
            ph, pl, qh, ql = ph / SMALL, pl / SMALL, qh / SMALL, ql / SMALL
            e += 1
    return ph, pl, qh, ql, e


@njit(cache=True)
def polish(n, dim, nodes, weights, exponents):
    """Correct nodes t >= 0 in place; weights * 2**exponents up to a common factor.

    With (1-t^2) P_n' = n (P_(n-1) - t P_n) and Legendre's differential equation, both the
    distance to the root and the weight 1 / ((1-r^2) P_n'(r)^2) at the root r itself follow from
    P_n and P_(n-1) at the rounded node: near t = 1 that rounding alone would cost half the digits.
    Returns the largest correction of the last step.
    """
    worst = 0.0
    for i in range(nodes.size):
        t = nodes[i]
        for _ in range(3):
            ph, pl, qh, ql, e = last_two(n, dim, t)
            ah, al = dd_mul(ph, pl, t, 0.0)
            across = (1.0 - t) * (1.0 + t)
            slope = n * ((qh - ah) + (ql - al)) / across
            step = -(ph + pl) / slope
            moved = t + step
            if moved == t:
                break
            t = moved
        worst = max(worst, abs(step))
        nodes[i] = t
        curvature = ((dim - 1.0) * t * slope - n * (n + dim - 2.0) * ph) / across
        slope += step * curvature
        across -= 2.0 * t * step
        weights[i], exponents[i] = 1.0 / (across * slope * slope), 600 * e
    return worst
