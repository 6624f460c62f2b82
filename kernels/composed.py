"""Pointwise kernels whose duals are closed forms, composed by layers in vector loops.

A block of entries goes through a layer in one loop without branches or calls, which the compiler
turns into vector instructions; arcsine and exponential are polynomials (`elementary`).

Each layer takes rho, 1 - rho and 1 + rho, and gives the dual F, F(1) - F, F(1) + F and the slope D.
The differences are computed as such, so that points that nearly meet or are nearly opposite keep
their digits through any depth.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.cosines import BLOCK, ROWS, cosines
from ntkspec.kernels.elementary import exp_parts, polynomial

#: The activations' numbers.
LINEAR, STEP, ERF, SIN, COS, GAUSSIAN, GELU, EXP = 0, 1, 2, 3, 4, 5, 6, 7
#: asin(y)/y as a polynomial in y^2 <= 1/2, and (sin x - x cos x)/x^3 in x^2 <= pi^2/4, the last
#: coefficient first: Chebyshev fits of 50 digits (mpmath.chebyfit), with errors of 6e-19, 1e-20.
ASIN = (
    1.4326072705765098, -6.008042872156452, 11.99054929620933, -14.884387574231052,
    12.830658050319302, -8.097162378402428, 3.878312067627145, -1.4218180318389972,
    0.41616195625122965, -0.08458119964926274, 0.02446902457333711, 0.00758177172566054,
    0.011778012699157943, 0.01394720494599378, 0.017353770558111315, 0.022372118687437575,
    0.03038194552436468, 0.04464285712523146, 0.075000000000152, 0.16666666666666616, 1.0,
)  # fmt: skip
SINE_LESS = (
    1.4368543040845002e-16, -4.496357855186313e-14, 1.0705980092810418e-11, -1.927085189071458e-09,
    2.505210837935269e-07, -2.2045855379159512e-05, 0.0011904761904761834, -0.03333333333333333,
    0.3333333333333333,
)  # fmt: skip
PI, HALF_PI, INV_PI = 3.141592653589793, 1.5707963267948966, 0.3183098861837907
#: Least exponent: exp(-700) is a normal number.
LEAST = -700.0


@njit(error_model="numpy", fastmath={"contract"}, cache=True, inline="always")
def _small_angle(small):
    """arccos(1 - small) for 0 <= small <= 1."""
    u = 0.5 * small
    return 2.0 * math.sqrt(u) * polynomial(ASIN, u)


@njit(error_model="numpy", fastmath={"contract"}, cache=True, inline="always")
def angle_of(sine, cosine):
    """The angle in [0, pi/2] of this sine and cosine."""
    low = min(sine, cosine)
    angle = low * polynomial(ASIN, low * low)
    return angle if sine <= cosine else HALF_PI - angle


@njit(error_model="numpy", fastmath={"contract"}, cache=True, inline="always")
def expm1_down(y):
    """exp(y) - 1 for y <= 0."""
    power, rest = exp_parts(max(y, LEAST))
    return power * rest + (power - 1.0)


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def linear_dual(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """Power 1 with slope a for x < 0 (Cho and Saul 2009).

    With the smaller angle x of the two points and g = sin x - x cos x, the terms of F, F(1) - F and
    F(1) + F do not cancel.
    """
    a = constants[0]
    kink = (1.0 - a) * (1.0 - a) * (0.5 * INV_PI)
    near, far, middle = 0.5 * (1.0 + a * a), 0.5 * (1.0 + a) ** 2, 0.25 * (1.0 + a) ** 2
    full = variance * near
    for j in range(n):
        r = rho[j]
        ahead = r >= 0.0
        x = _small_angle(minus[j] if ahead else plus[j])
        square = x * x
        g = kink * (x * square * polynomial(SINE_LESS, square))
        value[j] = variance * ((near if ahead else a) * r + g)
        deficit[j] = variance * ((near * minus[j] if ahead else far - a * plus[j]) - g)
        slope[j] = near - kink * x if ahead else a + kink * x
        surplus[j] = full + value[j]
    if a < 0.0:
        # Near a right angle the slope is small.
        for j in range(n):
            r = min(max(rho[j], -0.7), 0.7)
            inner = middle + kink * (r * polynomial(ASIN, r * r))
            slope[j] = inner if r == rho[j] else slope[j]


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def step_dual(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """1 for x > 0."""
    for j in range(n):
        ahead = rho[j] >= 0.0
        x = (0.5 * INV_PI) * _small_angle(minus[j] if ahead else plus[j])
        value[j] = 0.5 - x if ahead else x
        deficit[j] = x if ahead else 0.5 - x
        surplus[j] = 0.5 + value[j]
        slope[j] = 0.0


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _erf(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """Williams 1997, eq. 11: F is the arcsine of A rho, A = 2 q / (1 + 2 q)."""
    a, root, full = constants[0], constants[1], constants[2]
    steep = 2.0 / (1.0 + 2.0 * variance)
    for j in range(n):
        r = rho[j]
        both, size = minus[j] * plus[j], abs(r)
        cosine = math.sqrt(root * root + (a * a) * both)
        sine = a * size
        # The angle between those of A and A |rho|.
        gap = angle_of(a * both / (cosine + size * root), root * cosine + a * sine)
        v, d = (2.0 * INV_PI) * angle_of(sine, cosine), (2.0 * INV_PI) * gap
        ahead = r >= 0.0
        value[j] = v if ahead else -v
        deficit[j] = d if ahead else full + v
        surplus[j] = full + v if ahead else d
        slope[j] = (2.0 * INV_PI) * steep / cosine


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _wave(n, rho, minus, plus, value, deficit, surplus, slope, variance, odd):
    """exp(-q) sinh(q rho) for the sine, exp(-q) cosh(q rho) for the cosine."""
    at_one = math.expm1(-2.0 * variance)
    full = -0.5 * at_one if odd else 0.5 * (2.0 + at_one)
    for j in range(n):
        r = rho[j]
        ahead = r >= 0.0
        less = expm1_down(-variance * (minus[j] if ahead else plus[j]))
        ratio = expm1_down(-2.0 * variance * abs(r))
        large = 1.0 + less
        sinh, cosh = -0.5 * large * ratio, 0.5 * (large + large * (1.0 + ratio))
        other = less + ratio + less * ratio  # exp(-q (1 + |rho|)) - 1
        if odd:
            d = -0.5 * less * (2.0 + other)
            value[j] = sinh if ahead else -sinh
            deficit[j] = d if ahead else full + sinh
            surplus[j] = full + sinh if ahead else d
            slope[j] = cosh
        else:
            value[j] = cosh
            deficit[j] = 0.5 * less * other
            surplus[j] = full + cosh
            slope[j] = sinh if ahead else -sinh


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _gaussian(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """F = 1/sqrt(1 + 2 q + q^2 (1 - rho^2)) for exp(-x^2/2)."""
    least = math.sqrt(1.0 + 2.0 * variance)
    inverse = 1.0 / least
    for j in range(n):
        more = (variance * variance) * (minus[j] * plus[j])
        root = math.sqrt(least * least + more)
        share = 1.0 / (root * (root + least))
        v = share * (root + least)
        value[j] = v
        deficit[j] = more * share * inverse
        surplus[j] = inverse + v
        slope[j] = variance * rho[j] * (v * v * v)


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _exp(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """F = D = exp(q + q rho)."""
    full = constants[2]
    for j in range(n):
        less = expm1_down(-variance * minus[j])
        v = full * (1.0 + less)
        value[j] = v
        deficit[j] = -full * less
        surplus[j] = full + v
        slope[j] = v


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def _gelu(n, rho, minus, plus, value, deficit, surplus, slope, variance, constants):
    """F = c (1/4 + asin(A rho)/(2 pi)) + M (q^2 + c^2 (1 - q)/(1 + q)), c = q rho, A = q/(1 + q).

    By Stein's lemma, with M = E[phi(u) phi(v)] = 1/(2 pi sqrt((1 + q)^2 - c^2)).
    """
    a, root, full = constants[0], constants[1], constants[2]
    q, hat = variance, 1.0 / (1.0 + variance)
    share = (1.0 - q) * hat
    at_one, density = 0.25 + (0.5 * INV_PI) * math.asin(a), 0.5 * INV_PI * hat / root
    for j in range(n):
        r = rho[j]
        ahead = r >= 0.0
        both, size, c = minus[j] * plus[j], abs(r), q * r
        cosine = math.sqrt(root * root + (a * a) * both)
        sine = a * size
        angle = (0.5 * INV_PI) * angle_of(sine, cosine)
        of_both = 0.25 + (angle if ahead else -angle)
        m = (0.5 * INV_PI) * hat / cosine
        value[j] = c * of_both + m * (q * q) * (both + r * r * (2.0 * hat))
        slope[j] = of_both + m * c * hat * (2.0 + hat / (cosine * cosine))
        gap = angle_of(a * both / (cosine + size * root), root * cosine + a * sine)
        less = q * minus[j] * at_one + c * ((0.5 * INV_PI) * gap)
        of_density = density * ((a * a) * both) / (cosine * (cosine + root))
        less += (q * q) * (of_density * (2.0 * hat) + m * both * share)
        deficit[j] = less if ahead else full - value[j]
        surplus[j] = full + value[j]


@njit(error_model="numpy", fastmath={"contract"}, nogil=True, cache=True)
def _through_layers(n, rho, minus, plus, out, work, sigma, weight, bias, variances, constants,
                    dual, tangent):  # fmt: skip
    """Dual F_L + tangent T_L D_L for n entries; rho, minus and plus are those of the points."""
    value, deficit, surplus, slope, total = work[0], work[1], work[2], work[3], work[4]
    depth = constants.shape[0]
    q = variances[0]
    share = weight / q
    for j in range(n):
        total[j] = weight * rho[j] + bias
        rho[j] = total[j] / q
        minus[j] = share * minus[j]
        plus[j] = share * plus[j] + 2.0 * bias / q
    for i in range(depth):
        arguments = (n, rho, minus, plus, value, deficit, surplus, slope, variances[i])
        if sigma == LINEAR:
            linear_dual(*arguments, constants[i])
        elif sigma == STEP:
            step_dual(*arguments, constants[i])
        elif sigma == ERF:
            _erf(*arguments, constants[i])
        elif sigma == SIN:
            _wave(*arguments, True)
        elif sigma == COS:
            _wave(*arguments, False)
        elif sigma == GAUSSIAN:
            _gaussian(*arguments, constants[i])
        elif sigma == EXP:
            _exp(*arguments, constants[i])
        else:
            _gelu(*arguments, constants[i])
        if i == depth - 1:
            break
        q = variances[i + 1]
        share = weight / q
        for j in range(n):
            covariance = weight * value[j] + bias
            total[j] = covariance + weight * total[j] * slope[j]
            rho[j] = covariance / q
            minus[j] = share * deficit[j]
            plus[j] = share * surplus[j] + 2.0 * bias / q
    for j in range(n):
        out[j] = dual * value[j] + tangent * total[j] * slope[j]


@njit(error_model="numpy", nogil=True, cache=True)
def composed_values(t, out, *network):
    """The kernel over a flat array."""
    place, work = np.empty((3, BLOCK)), np.empty((5, BLOCK))
    for start in range(0, t.size, BLOCK):
        n = min(BLOCK, t.size - start)
        for j in range(n):
            x = t[start + j]
            place[0, j], place[1, j], place[2, j] = x, 1.0 - x, 1.0 + x
        _through_layers(n, place[0], place[1], place[2], out[start : start + n], work, *network)


@njit(error_model="numpy", nogil=True, cache=True)
def composed_apart(minus, plus, out, *network):
    """The kernel over flat arrays of 1 - t and 1 + t."""
    place, work = np.empty((3, BLOCK)), np.empty((5, BLOCK))
    for start in range(0, minus.size, BLOCK):
        n = min(BLOCK, minus.size - start)
        for j in range(n):
            apart, along = minus[start + j], plus[start + j]
            place[0, j], place[1, j], place[2, j] = 0.5 * (along - apart), apart, along
        _through_layers(n, place[0], place[1], place[2], out[start : start + n], work, *network)


@njit(error_model="numpy", nogil=True, cache=True)
def composed_tiles(x, y, columns, out, mirror, first, step, *network):
    """Every step-th tile of the matrix between the rows of x and of y, unit vectors.

    columns: y transposed, the number of coordinates a multiple of 4; mirror: y is x, and tiles are
    copied to their mirror images; first: the number of the first tile.
    """
    place, work = np.empty((3, BLOCK)), np.empty((5, BLOCK))
    products = np.empty((ROWS, BLOCK))
    height, width = out.shape
    wide = (width + BLOCK - 1) // BLOCK
    number = 0
    for down in range((height + BLOCK - 1) // BLOCK):
        for across in range(down + 1 if mirror else wide):
            number += 1
            if (number - 1) % step != first:
                continue
            left, right = across * BLOCK, min((across + 1) * BLOCK, width)
            low, high = down * BLOCK, min((down + 1) * BLOCK, height)
            for i in range(low, high):
                cosines(i, low, high, x, y, columns, left, right, products, place)
                n = (min(right, i + 1) if mirror else right) - left
                _through_layers(
                    n, place[0], place[1], place[2], out[i, left : left + n], work, *network
                )
            if mirror:
                for j in range(left, right):
                    for i in range(max(low, j + 1), high):
                        out[j, i] = out[i, j]
