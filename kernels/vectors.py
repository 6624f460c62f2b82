"""Kernels between vectors of any norm: duals of two variances, composed by layers.

For a pair of points the covariance c goes from part to part with the distances

    g = sqrt(a b) - c,   h = sqrt(a b) + c

from its ends, a and b the variances of both points: c / sqrt(a b) is the correlation rho, and
g / sqrt(a b) and h / sqrt(a b) are 1 - rho and 1 + rho without loss.  The variances of a point
depend on its norm alone: they, and what the duals need of them, come in tables.

A block of entries goes through a part in loops of vector instructions, as in `composed`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.composed import (
    COS,
    ERF,
    EXP,
    GAUSSIAN,
    GELU,
    LINEAR,
    SIN,
    STEP,
    angle_of,
    expm1_down,
    linear_dual,
    step_dual,
)
from ntkspec.kernels.cosines import BLOCK, ROWS, cosines
from ntkspec.kernels.elementary import exp
from ntkspec.kernels.layers import ACTIVATE, AFFINE, BRANCH, NONE, ODD, SCALE, layer

#: Further activations: a power from its panels, the Hermite series, the same with a kink at 0,
#: a polynomial between kinks, gabor and snake.
POWER, SERIES, CORNER, KINKS, GABOR, SNAKE = 8, 9, 10, 11, 12, 13
INV_PI = 0.3183098861837907
HALF_INV_PI = 0.5 * INV_PI
INV_ROOT_2PI = 0.3989422804014327
#: Relative difference of roots of variances below which the distance of two points of the same
#: direction comes from the metric; for kinks, whose distance is less smooth.
NEAR, NEAR_KINKS = 2.5e-5, 2.5e-6
#: 1 - rho below which differences of what a kink at 0 adds come from its slope.
CLOSE = 1e-4
#: Exponents below which an exponential is left out, negative.
FAINT = 42.0
#: Most kinks, and most powers of what is taken off at a kink at 0.
MOST_KINKS, MOST_POWERS = 8, 16
#: Gauss-Legendre rules on [0, 1].
SIX = tuple(
    (0.5 * (float(x) + 1.0), 0.5 * float(w))
    for x, w in zip(*np.polynomial.legendre.leggauss(6), strict=True)
)
NODES, WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(16)[0] + 1.0),
                  0.5 * np.polynomial.legendre.leggauss(16)[1])  # fmt: skip


# --- closed forms: value, the value at rho = 1, the deficit from it, and the slope ---------------


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _erf(n, ra, rb, rho, minus, plus, value, top, deficit, slope):
    """(2 / pi) asin(A rho), A = 2 sqrt(a b / ((1 + 2 a) (1 + 2 b))) (Williams 1997, eq. 11)."""
    a = ra * ra
    for j in range(n):
        b = rb[j] * rb[j]
        inverse = 1.0 / math.sqrt((1.0 + 2.0 * a) * (1.0 + 2.0 * b))
        big, root = 2.0 * ra * rb[j] * inverse, math.sqrt(1.0 + 2.0 * a + 2.0 * b) * inverse
        both, size = minus[j] * plus[j], abs(rho[j])
        cosine = math.sqrt(root * root + (big * big) * both)
        sine = big * size
        gap = angle_of(big * both / (cosine + size * root), root * cosine + big * sine)
        v = (2.0 * INV_PI) * angle_of(sine, cosine)
        value[j] = v if rho[j] >= 0.0 else -v
        top[j] = v + (2.0 * INV_PI) * gap
        deficit[j] = (2.0 * INV_PI) * gap
        slope[j] = (4.0 * INV_PI) * inverse / cosine


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _wave(n, ra, rb, rho, minus, plus, value, top, deficit, slope, odd):
    """exp(-(a + b)/2) sinh(c) for the sine, exp(-(a + b)/2) cosh(c) for the cosine."""
    for j in range(n):
        rr = ra * rb[j]
        apart = ra - rb[j]
        ahead = rho[j] >= 0.0
        near = rr * (minus[j] if ahead else plus[j])
        far = rr * (plus[j] if ahead else minus[j])
        less, opposite = expm1_down(-near), expm1_down(-far)
        scale = 0.5 * (1.0 + expm1_down(-0.5 * apart * apart))
        twice = expm1_down(-2.0 * (rr * abs(rho[j])))
        large = scale * (1.0 + less)
        sinh, cosh = -large * twice, large * (2.0 + twice)
        ratio = expm1_down(-2.0 * rr)
        if odd:
            value[j] = sinh if ahead else -sinh
            top[j] = -scale * ratio
            deficit[j] = -scale * less * (2.0 + opposite)
            slope[j] = cosh
        else:
            value[j] = cosh
            top[j] = scale * (2.0 + ratio)
            deficit[j] = scale * less * opposite
            slope[j] = sinh if ahead else -sinh


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _gaussian(n, ra, rb, rho, minus, plus, value, top, deficit, slope):
    """1 / sqrt((1 + a) (1 + b) - c^2) for exp(-x^2/2)."""
    a = ra * ra
    for j in range(n):
        b, rr = rb[j] * rb[j], ra * rb[j]
        least = 1.0 + a + b
        more = (rr * minus[j]) * (rr * plus[j])
        square = least + more
        root, first = math.sqrt(square), math.sqrt(least)
        v = 1.0 / root
        value[j] = v
        top[j] = 1.0 / first
        deficit[j] = more / (root * first * (root + first))
        slope[j] = rr * rho[j] * (v / square)


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _exp(n, ra, rb, rho, minus, plus, value, top, deficit, slope):
    """exp((a + b)/2 + c), for the slope too."""
    a = ra * ra
    for j in range(n):
        rr, apart = ra * rb[j], ra - rb[j]
        full = math.exp(a + rb[j] * rb[j] - 0.5 * apart * apart)
        less = expm1_down(-rr * minus[j])
        value[j] = slope[j] = full * (1.0 + less)
        top[j] = full
        deficit[j] = -full * less


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _gelu(n, ra, rb, rho, minus, plus, value, top, deficit, slope):
    """F = c A + M (a b - c^2 + c^2 / (1 + a) + c^2 / (1 + b)), by Stein's lemma.

    A = P(u' > 0, v' > 0) and M the density at 0 of (u', v') = (u, v) and unit noise.
    """
    a = ra * ra
    for j in range(n):
        b, rr = rb[j] * rb[j], ra * rb[j]
        inverse = 1.0 / math.sqrt((1.0 + a) * (1.0 + b))
        k = 1.0 / (1.0 + a) + 1.0 / (1.0 + b)
        big, root = rr * inverse, math.sqrt(1.0 + a + b) * inverse
        r = rho[j]
        ahead = r >= 0.0
        both, size, c = minus[j] * plus[j], abs(r), rr * r
        cosine = math.sqrt(root * root + (big * big) * both)
        sine = big * size
        angle = HALF_INV_PI * angle_of(sine, cosine)
        gap = HALF_INV_PI * angle_of(
            big * both / (cosine + size * root), root * cosine + big * sine
        )
        of_both = 0.25 + (angle if ahead else -angle)
        at_one = 0.25 + (angle + gap)
        m, first = HALF_INV_PI * inverse / cosine, HALF_INV_PI * inverse / root
        square = rr * rr
        x = square * both
        v = c * of_both + m * (x + (c * c) * k)
        value[j] = v
        slope[j] = of_both + m * c * (k + (inverse / cosine) ** 2)
        t = rr * at_one + first * (square * k)
        top[j] = t
        denser = first * ((big * big) * both) / (cosine * (cosine + root))
        less = rr * minus[j] * at_one + c * gap + denser * (square * k) + m * x * (k - 1.0)
        deficit[j] = less if ahead else t - v


@njit(error_model="numpy", cache=True)
def _gabor(n, ra, rb, rho, minus, plus, value, top, deficit, slope, constants):
    """cos(omega x) exp(-w x^2/2): the factors make another Gaussian pair, as in `_corner`.

    F = (exp(-omega^2 m) + exp(-omega^2 p)) / (2 sqrt(Delta)), m and p half the variances of the
    difference and the sum of that pair.
    """
    square, w = constants[0], constants[1]
    for j in range(n):
        rr, apart = ra * rb[j], ra - rb[j]
        ahead = rho[j] >= 0.0
        g = rr * (minus[j] if ahead else plus[j])
        c = rr * abs(rho[j])
        a_b = ra * ra + rb[j] * rb[j]
        far = 0.5 * apart * apart
        x = g * (rr + c)  # a b - c^2
        first = 1.0 + w * a_b
        delta = first + w * w * x
        m, p = (far + g + w * x) / delta, (far + 2.0 * rr - g + w * x) / delta
        low, high = math.exp(-square * m), math.exp(-square * p)
        v = 0.5 * (low + high) / math.sqrt(delta)
        # What is lost from c = sqrt(a b) on, of both terms.
        both = first * delta
        m_less = (g + w * x * (1.0 - far * w / first)) / delta
        p_less = ((w * x - g) * first - (far + 2.0 * rr) * w * w * x) / both
        narrower = 0.5 * math.log1p(w * w * x / first)
        root = 0.5 / math.sqrt(first)
        near_top = root * math.exp(-square * far / first)
        far_top = root * math.exp(-square * (far + 2.0 * rr) / first)
        less = -near_top * math.expm1(-square * m_less - narrower)
        less -= far_top * math.expm1(-square * p_less - narrower)
        turn = 2.0 * w * w * c
        m_rise, p_rise = (turn * m - 1.0 - 2.0 * w * c), (turn * p + 1.0 - 2.0 * w * c)
        turned = square * (m_rise * low + p_rise * high) / math.sqrt(delta)
        steep = 0.5 * (turn * v - turned) / delta
        value[j], top[j], deficit[j] = v, near_top + far_top, less
        slope[j] = steep if ahead else -steep


@njit(error_model="numpy", cache=True)
def _snake(n, ra, rb, rho, minus, plus, value, top, deficit, slope, constants):
    """x + sin(r x)^2 / r = x + (1 - cos(2 r x)) / (2 r), of which the second part is even."""
    r = constants[0]
    k = 2.0 * r * r
    for j in range(n):
        rr, apart = ra * rb[j], ra - rb[j]
        c, size = rr * rho[j], rr * abs(rho[j])
        ahead = rho[j] >= 0.0
        g = rr * (minus[j] if ahead else plus[j])
        far = 0.5 * apart * apart
        ends = math.expm1(-k * ra * ra) * math.expm1(-k * rb[j] * rb[j])
        wave = -0.5 * math.exp(-k * (far + g)) * math.expm1(-2.0 * k * size)
        most = -0.5 * math.exp(-k * far) * math.expm1(-2.0 * k * rr)
        v = c + (ends + 2.0 * wave * wave) / (2.0 * k)
        full = rr + (ends + 2.0 * most * most) / (2.0 * k)
        steep = -0.5 * math.exp(-2.0 * k * (far + g)) * math.expm1(-4.0 * k * size)
        less = -0.5 * math.exp(-k * far) * math.expm1(-k * g) * (1.0 + math.exp(k * (g - 2.0 * rr)))
        value[j], top[j], slope[j] = v, full, 1.0 + (steep if ahead else -steep)
        deficit[j] = g + less * (most + wave) / k if ahead else full - v


# --- Hermite series ------------------------------------------------------------------------------


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _part(n, i, left, start, count, fx, fy, taken, square, value, steep, sums):
    """sum p_k s^k, sum_k (sum_(m > k) p_m) s^k and sum p_k, p_k products of both points' moments.

    taken: the row of the moments whose products are subtracted, or -1.
    """
    for j in range(n):
        value[j], steep[j], sums[j] = 0.0, 0.0, 0.0
    for k in range(count - 1, -1, -1):
        f, column = fx[start + k, i], fy[start + k, left : left + n]
        if taken < 0:
            for j in range(n):
                p = f * column[j]
                steep[j] = steep[j] * square[j] + sums[j]
                sums[j] += p
                value[j] = value[j] * square[j] + p
        else:
            g, other = fx[taken + k, i], fy[taken + k, left : left + n]
            for j in range(n):
                p = f * column[j] - g * other[j]
                steep[j] = steep[j] * square[j] + sums[j]
                sums[j] += p
                value[j] = value[j] * square[j] + p


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _part_value(n, i, left, start, count, fx, fy, taken, square, value):
    """The first sum of `_part` alone."""
    for j in range(n):
        value[j] = 0.0
    for k in range(count - 1, -1, -1):
        f, column = fx[start + k, i], fy[start + k, left : left + n]
        if taken < 0:
            for j in range(n):
                value[j] = value[j] * square[j] + f * column[j]
        else:
            g, other = fx[taken + k, i], fy[taken + k, left : left + n]
            for j in range(n):
                p = f * column[j] - g * other[j]
                value[j] = value[j] * square[j] + p


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _series(n, i, left, rows, fx, fy, rho, minus, plus, value, top, deficit, slope, work,
            gaps, tangent):  # fmt: skip
    """sum_n (h_n(a) h_n(b) - s_n(a) s_n(b)) rho^n and the same for the slope.

    rows: first row, numbers of even and odd terms, and the first row of s_n or -1; of the value,
    then of the slope.  The even terms stand before the odd ones.
    """
    square, one, two, three = work[0], work[1], work[2], work[3]
    for j in range(n):
        square[j] = rho[j] * rho[j]
    start, even, odd, taken = rows[0], rows[1], rows[2], rows[3]
    also = -1 if taken < 0 else taken + even
    if gaps:
        _part(n, i, left, start, even, fx, fy, taken, square, one, two, three)
        for j in range(n):
            value[j], top[j] = one[j], three[j]
            deficit[j] = (minus[j] * plus[j]) * two[j]
        _part(n, i, left, start + even, odd, fx, fy, also, square, one, two, three)
        for j in range(n):
            value[j] += rho[j] * one[j]
            top[j] += three[j]
            deficit[j] += (minus[j] * plus[j]) * two[j] + minus[j] * one[j]
    else:
        _part_value(n, i, left, start, even, fx, fy, taken, square, value)
        _part_value(n, i, left, start + even, odd, fx, fy, also, square, one)
        for j in range(n):
            value[j] += rho[j] * one[j]
    if tangent:
        start, even, odd, taken = rows[4], rows[5], rows[6], rows[7]
        also = -1 if taken < 0 else taken + even
        _part_value(n, i, left, start, even, fx, fy, taken, square, slope)
        _part_value(n, i, left, start + even, odd, fx, fy, also, square, one)
        for j in range(n):
            slope[j] += rho[j] * one[j]


# --- a kink at 0 ---------------------------------------------------------------------------------


@njit(error_model="numpy", cache=True)
def _half_moments(rho, sine, angle, size, moments):
    """E[u^j v^k; u > 0, v > 0] for j, k < size, of standard Gaussians, by Stein's lemma."""
    edge = np.empty(MOST_POWERS + 2)  # E[delta(u) v^k; v > 0]
    edge[0], edge[1] = 0.5 * INV_ROOT_2PI, HALF_INV_PI * sine
    for k in range(2, size):
        edge[k] = (k - 1) * sine * sine * edge[k - 2]
    moments[0, 0] = HALF_INV_PI * (math.pi - angle)
    for k in range(1, size):
        before = edge[0] if k == 1 else (k - 1) * moments[0, k - 2]
        moments[0, k] = moments[k, 0] = before + rho * edge[k - 1]
    for j in range(1, size):
        for k in range(j, size):
            before = edge[k] if j == 1 else (j - 1) * moments[j - 2, k]
            moments[j, k] = moments[k, j] = before + rho * k * moments[j - 1, k - 1]


@njit(error_model="numpy", cache=True)
def _corner(ra, rb, rho, minus, plus, width, first, second, count, moments):
    """E[f(u) f(v)] of f(x) = sum_k first_k x^k exp(-width x^2/2) for x > 0, and that of second.

    The exponentials make another Gaussian pair, of variances a' and b' and the covariance c'.
    """
    a, b, rr = ra * ra, rb * rb, ra * rb
    apart = (rr * minus) * (rr * plus)  # a b - c^2
    whole = 1.0 + width * (a + b) + width * width * apart
    a_new, b_new = (a + width * apart) / whole, (b + width * apart) / whole
    # The product of two variances may vanish where its root does not.
    c_new, sine = rr * rho / whole, rr * math.sqrt(minus * plus / whole)
    root_a, root_b = math.sqrt(a_new), math.sqrt(b_new)
    both = root_a * root_b
    angle = math.atan2(sine, c_new)
    _half_moments(c_new / both, sine / both, angle, count, moments)
    value, slope, power = 0.0, 0.0, 1.0
    for j in range(count):
        v, s, other = 0.0, 0.0, 1.0
        for k in range(count):
            v += first[k] * other * moments[j, k]
            s += second[k] * other * moments[j, k]
            other *= root_b
        value += first[j] * power * v
        slope += second[j] * power * s
        power *= root_a
    root = math.sqrt(whole)
    return value / root, slope / root


@njit(error_model="numpy", cache=True)
def _corners(n, ra, rb, rho, minus, plus, value, top, deficit, slope, constants, gaps):
    """Add what was taken off at a kink at 0 to value, top, deficit and slope."""
    width, count = constants[0], int(constants[1])
    first, second = constants[2 : 2 + count], constants[2 + count : 2 + 2 * count]
    moments = np.empty((count, count))
    for j in range(n):
        arguments = (width, first, second, count, moments)
        v, s = _corner(ra, rb[j], rho[j], minus[j], plus[j], *arguments)
        value[j] += v
        slope[j] += s
        if gaps:
            t, _ = _corner(ra, rb[j], 1.0, 0.0, 2.0, *arguments)
            top[j] += t
            less = t - v
            if minus[j] < CLOSE:
                # F(1) - F = sqrt(a b) int D sin, over the angle.
                theta, less = 2.0 * math.asin(math.sqrt(0.5 * minus[j])), 0.0
                for x, weight in SIX:
                    sine = math.sin(0.5 * theta * x)
                    at = 2.0 * sine * sine
                    _, d = _corner(ra, rb[j], 1.0 - at, at, 2.0 - at, *arguments)
                    less += weight * d * math.sin(theta * x)
                less *= theta * ra * rb[j]
            deficit[j] += less


# --- kinks anywhere ------------------------------------------------------------------------------


#: Columns of a kink: its place, 1 if it adds to its right and -1 if to its left, jumps of the slope
#: and of the curvature, its density, and int_p^inf (z - p)^k phi(z) dz, k < 5, of p = |place|.
PLACE, WAY, SLOPE, CURVE, DENSITY, BEYOND = 0, 1, 2, 3, 4, 5
COLUMNS = 10


@njit(error_model="numpy", cache=True)
def side_kinks(root, count, constants, features, at, flip, base, kinks):
    """sigma(root z), or sigma(-root z) if flip, as a polynomial around 0 and what kinks add to it.

    constants: the polynomial around 0, and from number 4 on place, jump of the slope and of the
    curvature of each kink; features: density and integrals beyond it in six rows for each kink, at
    the column `at`.  Fills base (3,) and kinks (count, COLUMNS).
    """
    sign = -1.0 if flip else 1.0
    base[0], base[1], base[2] = constants[1], sign * root * constants[2], root * root * constants[3]
    for m in range(count):
        place, c, d = constants[4 + 3 * m], constants[5 + 3 * m], constants[6 + 3 * m]
        kink = kinks[m]
        kink[PLACE] = sign * (place / root)
        kink[WAY] = sign * (1.0 if place > 0.0 else -1.0)
        kink[SLOPE], kink[CURVE] = c * root, sign * d * root * root
        for k in range(6):
            kink[DENSITY + k] = features[6 * m + k, at]


@njit(error_model="numpy", cache=True)
def _around(base, kink, out):
    """A polynomial in powers of the way from a kink, z - place or place - z."""
    place, way = kink[PLACE], kink[WAY]
    out[0] = base[0] + place * (base[1] + place * base[2])
    out[1] = way * (base[1] + 2.0 * place * base[2])
    out[2] = base[2]


@njit(error_model="numpy", cache=True)
def _added(kink, start, out):
    """What a kink adds, in powers of the way from a start that is not nearer to 0."""
    c, d = kink[SLOPE], kink[WAY] * kink[CURVE]
    shift = kink[WAY] * (start - kink[PLACE])
    out[0] = shift * (c + 0.5 * d * shift)
    out[1] = c + d * shift
    out[2] = 0.5 * d


@njit(error_model="numpy", cache=True)
def _products_beyond(p, q, kink, sums):
    """Add the integrals of p q, p' q' and of p'' q'' beyond a kink."""
    for r in range(3):
        for s in range(3):
            sums[0] += p[r] * q[s] * kink[BEYOND + r + s]
            if r > 0 and s > 0:
                sums[1] += (r * s) * p[r] * q[s] * kink[BEYOND + r + s - 2]
    sums[2] += 4.0 * p[2] * q[2] * kink[BEYOND]


@njit(error_model="numpy", cache=True)
def at_one(count, base, kinks, other_base, others, p, q, sums):
    """E[f g], E[f' g'], and E[f'' g''] but for products of deltas, of the same Gaussian variable.

    p, q: room for polynomials; sums: the three results.
    """
    a0, a1, a2 = base[0], base[1], base[2]
    b0, b1, b2 = other_base[0], other_base[1], other_base[2]
    sums[0] = a0 * b0 + a1 * b1 + a0 * b2 + a2 * b0 + 3.0 * a2 * b2
    sums[1] = a1 * b1 + 4.0 * a2 * b2
    sums[2] = 4.0 * a2 * b2
    for m in range(count):
        # What a kink adds, times the other's polynomial.
        _added(kinks[m], kinks[m, PLACE], p)
        _around(other_base, kinks[m], q)
        _products_beyond(p, q, kinks[m], sums)
        sums[2] += 2.0 * b2 * kinks[m, SLOPE] * kinks[m, DENSITY]
        _added(others[m], others[m, PLACE], q)
        _around(base, others[m], p)
        _products_beyond(p, q, others[m], sums)
        sums[2] += 2.0 * a2 * others[m, SLOPE] * others[m, DENSITY]
        for k in range(count):
            one, two = kinks[m], others[k]
            if one[WAY] == two[WAY]:
                first = abs(one[PLACE]) >= abs(two[PLACE])
                start = one[PLACE] if first else two[PLACE]
                _added(one, start, p)
                _added(two, start, q)
                _products_beyond(p, q, one if first else two, sums)
            # A delta where the other has added to the second derivative.
            apart = one[PLACE] - two[PLACE]
            half = 0.5 if apart == 0.0 else 1.0
            if apart * two[WAY] >= 0.0:
                sums[2] += half * one[SLOPE] * one[DENSITY] * two[WAY] * two[CURVE]
            if -apart * one[WAY] >= 0.0:
                sums[2] += half * two[SLOPE] * two[DENSITY] * one[WAY] * one[CURVE]


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _pair_of_kinks(one, two, top, near, sums, room):
    """Add the integrals over angles up to theta that one pair of kinks gives.

    top: sin(theta/2); near: 1 - cos(theta).  With p, q the kinks,
    exp(-(p - q)^2 / (8 sin^2(x/2)) - (p + q)^2 / (8 cos^2(x/2))) / (2 pi) dx is the density at them
    times the differential of the correlation cos(x).  The variable is r = sin(x/2), on panels that
    shrink towards 0, where the exponential vanishes with all derivatives unless p = q.
    """
    p, q, c, d, e, f = one[PLACE], two[PLACE], one[SLOPE], one[CURVE], two[SLOPE], two[CURVE]
    curved = d != 0.0 or f != 0.0
    alpha, beta = 0.125 * (p - q) * (p - q), 0.125 * (p + q) * (p + q)
    straight = alpha < 1e-34
    least = 0.0 if straight else math.sqrt(alpha / FAINT)
    high = top
    size = NODES.size
    square, bells = room[0], room[1]
    while high > least:
        low = 0.5 * high if high > 2.0 * least and not (straight and high < 0.5) else least
        width = high - low
        for i in range(size):
            r = low + width * NODES[i]
            square[i] = r * r
        if straight:
            for i in range(size):
                bells[i] = exp(-beta / (1.0 - square[i]))
        else:
            for i in range(size):
                bells[i] = exp(-alpha / square[i] - beta / (1.0 - square[i]))
        flat, turned = 0.0, 0.0
        for i in range(size):
            bells[i] *= (INV_PI * width) * WEIGHTS[i] / math.sqrt(1.0 - square[i])
        for i in range(size):
            flat += bells[i]
            turned += bells[i] * (near - 2.0 * square[i])  # cos(x) - cos(theta)
        sums[0] += c * e * flat
        sums[1] += c * e * turned
        if curved:
            for i in range(size):
                over = near - 2.0 * square[i]
                apart, along = 0.25 * (p - q) / square[i], 0.25 * (p + q) / (1.0 - square[i])
                steep = (c * f * (along + apart) + d * e * (along - apart) + d * f) * bells[i]
                sums[2] += steep * over
                sums[3] += 0.5 * steep * over * over
        high = low


@njit(error_model="numpy", cache=True)
def _kinked(n, i, left, ra, rb, start, fx, fy, rho, minus, plus, value, top, deficit, slope,
            constants, symmetry):  # fmt: skip
    """A polynomial between kinks: the second derivatives in rho, integrated from rho = +-1.

    For rho < 0 it is that of sigma(u) and sigma(-v) at -rho.
    """
    count = int(constants[0])
    mine, others = np.empty((count, COLUMNS)), np.empty((count, COLUMNS))
    base, other_base, p, q = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    ends, sums, room = np.empty(3), np.empty(4), np.empty((2, NODES.size))
    of_x, of_y = fx[start : start + 6 * count], fy[start : start + 6 * count]
    side_kinks(ra, count, constants, of_x, i, False, base, mine)
    for j in range(n):
        flip = rho[j] < 0.0
        near = plus[j] if flip else minus[j]
        side_kinks(rb[j], count, constants, of_y, left + j, flip, other_base, others)
        at_one(count, base, mine, other_base, others, p, q, ends)
        v, s, curve = ends[0], ends[1], ends[2]
        sums[:] = 0.0
        sine = math.sqrt(0.5 * near)
        for m in range(count):
            for k in range(count):
                _pair_of_kinks(mine[m], others[k], sine, near, sums, room)
        less = near * (s - 0.5 * near * curve) - sums[1] + sums[3]
        steep = (s - sums[0] - near * curve + sums[2]) / (ra * rb[j])
        value[j] = v - less
        if flip and symmetry != NONE:
            sign = -1.0 if symmetry == ODD else 1.0
            slope[j], top[j], deficit[j] = -steep, sign * v, sign * less
        elif flip:
            slope[j] = -steep
            side_kinks(rb[j], count, constants, of_y, left + j, False, other_base, others)
            at_one(count, base, mine, other_base, others, p, q, ends)
            top[j] = ends[0]
            deficit[j] = top[j] - value[j]
        else:
            slope[j] = steep
            top[j] = v
            deficit[j] = less


@njit(error_model="numpy", cache=True)
def kinked_at_one(roots, others, constants, features, other_features, out):
    """E[f g], E[f] and E[f'] of f = sigma(root z) and g = sigma(other z), in the rows of out."""
    count = int(constants[0])
    kinks, second = np.empty((count, COLUMNS)), np.empty((count, COLUMNS))
    base, other, p, q, ends = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for i in range(roots.size):
        side_kinks(roots[i], count, constants, features, i, False, base, kinks)
        side_kinks(others[i], count, constants, other_features, i, False, other, second)
        at_one(count, base, kinks, other, second, p, q, ends)
        out[0, i] = ends[0]
        second[:, SLOPE], second[:, CURVE] = 0.0, 0.0
        other[0], other[1], other[2] = 1.0, 0.0, 0.0
        at_one(count, base, kinks, other, second, p, q, ends)
        out[1, i] = ends[0]
        other[0], other[1] = 0.0, 1.0
        at_one(count, base, kinks, other, second, p, q, ends)
        out[2, i] = ends[1]


@njit(error_model="numpy", cache=True)
def closed_at_one(sigma, constants, a_roots, b_roots, out):
    """E[sigma(a z) sigma(b z)] for closed forms."""
    one, none, two = np.ones(1), np.zeros(1), np.full(1, 2.0)
    value, top, deficit, slope = np.empty(1), np.empty(1), np.empty(1), np.empty(1)
    arguments = (one, none, two, value, top, deficit, slope)
    for i in range(a_roots.size):
        a, b = a_roots[i], b_roots[i : i + 1]
        if sigma == ERF:
            _erf(1, a, b, *arguments)
        elif sigma == SIN:
            _wave(1, a, b, *arguments, True)
        elif sigma == COS:
            _wave(1, a, b, *arguments, False)
        elif sigma == GAUSSIAN:
            _gaussian(1, a, b, *arguments)
        elif sigma == GELU:
            _gelu(1, a, b, *arguments)
        elif sigma == GABOR:
            _gabor(1, a, b, *arguments, constants)
        elif sigma == SNAKE:
            _snake(1, a, b, *arguments, constants)
        else:
            _exp(1, a, b, *arguments)
        out[i] = value[0]


@njit(error_model="numpy", cache=True)
def corner_at_one(roots, constants, value, slope):
    """E[f^2] and E[f'^2] of what is taken off at a kink at 0."""
    width, count = constants[0], int(constants[1])
    moments = np.empty((count, count))
    first, second = constants[2 : 2 + count], constants[2 + count : 2 + 2 * count]
    for i in range(roots.size):
        value[i], slope[i] = _corner(
            roots[i], roots[i], 1.0, 0.0, 2.0, width, first, second, count, moments
        )


# --- through the parts ---------------------------------------------------------------------------


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _power(n, ra, rb, rho, minus, plus, c, g, h, slope, constants, table):
    """x^p on either side of 0, from the panels for variance 1."""
    power, levels, symmetry = int(constants[0]), int(constants[1]), int(constants[2])
    root, far, line, full = int(constants[3]), int(constants[4]), constants[5], constants[6]
    for j in range(n):
        rr = ra * rb[j]
        v, less, s, more = layer(
            rho[j], minus[j], plus[j], table, levels, symmetry, root, far, line, 1.0, full
        )
        scale = rr ** (power - 1) if power > 0 else 1.0
        slope[j] = scale * s
        scale = scale * rr if power > 0 else 1.0
        c[j], g[j], h[j] = scale * v, scale * less, scale * more


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _finished(n, ra, rb, root, roots, metric, metrics, near_by, rho, value, top, deficit, symmetry,
              c, g, h):  # fmt: skip
    """The covariance after an activation and its distances from the ends.

    sqrt(F(a, a) F(b, b)) - F(a, b) at rho = 1 comes from the metric where a and b nearly agree.
    Near an end the covariance comes from its distance, so that they agree: what a series leaves out
    would else be a correlation of a little more than 1, which a later layer multiplies.
    """
    for j in range(n):
        rr = root * roots[j]
        turn = (ra - rb[j]) / (ra + rb[j])
        ratio = 4.0 * turn * (1.0 + turn * turn / 3.0)
        small = 0.25 * (metric + metrics[j]) * ratio * ratio * rr
        apart = small if abs(turn) < near_by else max(rr - top[j], 0.0)
        near = apart + deficit[j]
        if symmetry == ODD and rho[j] < 0.0:
            c[j] = near - rr if near < 0.5 * rr else value[j]
            g[j], h[j] = rr - c[j], near
        else:
            c[j] = rr - near if near < 0.5 * rr else value[j]
            g[j], h[j] = near, rr + c[j]


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _sides(n, flat_row, flat, mean, means, rise, rises, root, roots, value, slope, c, g, h):
    """Where a variance is 0 both factors are independent."""
    for j in range(n):
        if flat_row or flat[j]:
            v = mean * means[j]
            value[j], slope[j] = v, rise * rises[j]
            c[j], h[j] = v, root * roots[j] + v
            g[j] = 0.0 if flat_row and flat[j] else max(root * roots[j] - v, 0.0)


@njit(error_model="numpy", nogil=True, fastmath={"contract"}, cache=True, inline="always")
def _through(n, i, left, c, g, h, total, work, stack, tangent, steps, kinds, symmetry, gaps,
             constants, rows, table, of_x, of_y):  # fmt: skip
    """Follow n entries of the row i, from the column `left` on, through the parts.

    c, g, h: those of the points, overwritten by those of the end; total: the tangent.
    """
    roots_x, flats_x, means_x, rises_x, metric_x, fx = of_x
    roots_y, flats_y, means_y, rises_y, metric_y, fy = of_y
    right = left + n
    rho, minus, plus = work[0], work[1], work[2]
    value, top, deficit, slope, free = work[3], work[4], work[5], work[6], work[7:11]
    at, depth = 0, 0
    for j in range(n):
        total[j] = 0.0
    for s in range(steps.shape[0]):
        kind = steps[s, 0]
        ra, rb = roots_x[s, i], roots_y[s, left:right]
        ra_new, rb_new = roots_x[s + 1, i], roots_y[s + 1, left:right]
        if kind == AFFINE:
            w, b, own, own_bias = steps[s, 1], steps[s, 2], steps[s, 3], steps[s, 4]
            if tangent:
                for j in range(n):
                    total[j] = own * c[j] + own_bias + w * total[j]
            if b == 0.0:
                for j in range(n):
                    c[j], g[j], h[j] = w * c[j], w * g[j], w * h[j]
            else:
                for j in range(n):
                    rr, new = w * ra * rb[j], ra_new * rb_new[j]
                    apart = ra - rb[j]
                    more = w * b * (ra * ra + rb[j] * rb[j]) + b * b
                    g[j] = w * g[j] + w * b * apart * apart / (new + rr + b)
                    h[j] = w * h[j] + b + more / (new + rr)
                    c[j] = w * c[j] + b
        elif kind == SCALE:
            for j in range(n):
                factor = 1.0 / (ra * rb[j])
                c[j], g[j], h[j] = factor * c[j], factor * g[j], factor * h[j]
                total[j] *= factor
        elif kind == BRANCH:
            kept = stack[depth]
            for j in range(n):
                kept[0, j], kept[1, j], kept[2, j], kept[3, j] = c[j], g[j], h[j], total[j]
            depth += 1
        elif kind == ACTIVATE:
            sigma, numbers, even = kinds[at], constants[at], symmetry[at]
            flat_row, flat = flats_x[at, i], flats_y[at, left:right]
            any_flat = flat_row or flat.any()
            # The layers see the variance 1 where it is 0.
            sa, sb = 1.0 if flat_row else ra, work[11]
            for j in range(n):
                sb[j] = 1.0 if flat[j] else rb[j]
            for j in range(n):
                inverse = 1.0 / (sa * sb[j])
                rho[j], minus[j], plus[j] = inverse * c[j], inverse * g[j], inverse * h[j]
            if any_flat:
                for j in range(n):
                    if flat_row or flat[j]:
                        rho[j], minus[j], plus[j] = 0.0, 1.0, 1.0
            arguments = (rho, minus, plus, value, top, deficit, slope)
            if sigma in (LINEAR, STEP, POWER):
                if sigma == LINEAR:
                    linear_dual(n, rho, minus, plus, value, deficit, h, slope, 1.0, numbers)
                    for j in range(n):
                        rr = sa * sb[j]
                        c[j], g[j], h[j] = rr * value[j], rr * deficit[j], rr * h[j]
                elif sigma == STEP:
                    step_dual(n, rho, minus, plus, c, g, h, slope, 1.0, numbers)
                else:
                    panels = table[rows[at, 0] : rows[at, 1]]
                    _power(n, sa, sb, rho, minus, plus, c, g, h, slope, numbers, panels)
            else:
                if sigma == ERF:
                    _erf(n, sa, sb, *arguments)
                elif sigma == SIN:
                    _wave(n, sa, sb, *arguments, True)
                elif sigma == COS:
                    _wave(n, sa, sb, *arguments, False)
                elif sigma == GAUSSIAN:
                    _gaussian(n, sa, sb, *arguments)
                elif sigma == GELU:
                    _gelu(n, sa, sb, *arguments)
                elif sigma == EXP:
                    _exp(n, sa, sb, *arguments)
                elif sigma == GABOR:
                    _gabor(n, sa, sb, *arguments, numbers)
                elif sigma == SNAKE:
                    _snake(n, sa, sb, *arguments, numbers)
                elif sigma == KINKS:
                    _kinked(n, i, left, sa, sb, rows[at, 0], fx, fy, *arguments, numbers, even)
                else:
                    if even != NONE:
                        # At |rho|: distances from the nearer end.
                        for j in range(n):
                            if rho[j] < 0.0:
                                rho[j] = -rho[j]
                                minus[j], plus[j] = plus[j], minus[j]
                    _series(n, i, left, rows[at], fx, fy, *arguments, free, gaps[at], tangent)
                    if sigma == CORNER:
                        _corners(n, sa, sb, *arguments, numbers, gaps[at])
                    if even != NONE:
                        for j in range(n):
                            if c[j] < 0.0:
                                rho[j] = -rho[j]
                                if even == ODD:
                                    value[j] = -value[j]
                                else:
                                    slope[j] = -slope[j]
                if gaps[at]:
                    _finished(
                        n, sa, sb, ra_new, rb_new, metric_x[at, i], metric_y[at, left:right],
                        NEAR_KINKS if sigma == KINKS else NEAR, rho, value, top, deficit, even,
                        c, g, h,
                    )  # fmt: skip
                else:
                    for j in range(n):
                        c[j] = value[j]
            if any_flat:
                _sides(
                    n, flat_row, flat, means_x[at, i], means_y[at, left:right], rises_x[at, i],
                    rises_y[at, left:right], ra_new, rb_new, value, slope, c, g, h,
                )  # fmt: skip
            if tangent:
                for j in range(n):
                    total[j] *= slope[j]
            at += 1
        else:
            square = steps[s, 1]
            depth -= 1
            kept = stack[depth]
            begin = int(steps[s, 2])
            qa, qb = roots_x[begin, i], roots_y[begin, left:right]
            for j in range(n):
                turn = qa * rb[j] - ra * qb[j]
                both = qa * qb[j] + square * (ra * rb[j])
                new = ra_new * rb_new[j] + both
                extra = square * turn * turn / new if new > 0.0 else 0.0
                c[j] = kept[0, j] + square * c[j]
                g[j] = kept[1, j] + square * g[j] + extra
                h[j] = kept[2, j] + square * h[j] + extra
                total[j] = kept[3, j] + square * total[j]


@njit(error_model="numpy", nogil=True, fastmath={"contract"}, cache=True)
def vector_tiles(x, y, columns, out, mirror, first, step, tangent, steps, kinds, symmetry, gaps,
                 constants, rows, table, of_x, of_y):  # fmt: skip
    """Every step-th tile of the matrix between the rows of x and of y, unit vectors or 0.

    They are the directions of points, whose norms and what follows from them are in of_x and of_y;
    columns, mirror, first: as for `composed.composed_tiles`.
    """
    place, work = np.empty((3, BLOCK)), np.empty((12, BLOCK))
    total, products = np.empty(BLOCK), np.empty((ROWS, BLOCK))
    stack = np.empty((steps.shape[0], 4, BLOCK))
    norms_x, norms_y = of_x[0][0], of_y[0][0]
    height, width = out.shape
    wide = (width + BLOCK - 1) // BLOCK
    number = 0
    for down in range((height + BLOCK - 1) // BLOCK):
        for across in range(down + 1 if mirror else wide):
            number += 1
            if (number - 1) % step != first:
                continue
            left = across * BLOCK
            low, high = down * BLOCK, min((down + 1) * BLOCK, height)
            right = min(left + BLOCK, width)
            for i in range(low, high):
                cosines(i, low, high, x, y, columns, left, right, products, place)
                n = (min(right, i + 1) if mirror else right) - left
                norm, norms = norms_x[i], norms_y[left : left + n]
                for j in range(n):
                    rr = norm * norms[j]
                    place[0, j], place[1, j], place[2, j] = (
                        rr * place[0, j], rr * place[1, j], rr * place[2, j],
                    )  # fmt: skip
                _through(
                    n, i, left, place[0], place[1], place[2], total, work, stack, tangent, steps,
                    kinds, symmetry, gaps, constants, rows, table, of_x, of_y,
                )  # fmt: skip
                values, row = total if tangent else place[0], out[i, left : left + n]
                for j in range(n):
                    row[j] = values[j]
            if mirror:
                for j in range(left, right):
                    for i in range(max(low, j + 1), high):
                        out[j, i] = out[i, j]
