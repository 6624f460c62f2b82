"""Hermite moments of tanh as integrals of one sign, and sequences of known ratios."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.elementary import polynomial
from ntkspec.kernels.scaled import (
    HUGE,
    TINY,
    dd_add,
    dd_div,
    dd_mul,
    exp_scaled,
    fma,
    normalized,
    scaled_mul,
    two_sum,
)

PI_2_HI = 1.5707963267948966
PI_2_LO = 6.123233995736766e-17
SMALL = 100  # below, the nodes are anchored at s = 0, where the integrand is even
NEGLIGIBLE = 1e-19
#: log(1 + x) = r (2 + y (2/3 + 2/5 y + ...)), r = x / (2 + x), y = r^2; the last one first.
LOG_TERMS = tuple(2.0 / k for k in range(37, 2, -2))
STEEP = 1e4  # pi / (2 sqrt q) from which on the integrals are scaled by their peaks
#: Points of the interpolation in an octave, and T_j there.
POINTS = 26
TURNS = np.outer(np.arange(POINTS), 2 * np.arange(POINTS) + 1) % (4 * POINTS)
CHEBYSHEV = np.sin(np.pi / (2 * POINTS) * (POINTS - np.minimum(TURNS, 4 * POINTS - TURNS)))
SMALLEST = 2.0**-250
DROPPED = 2.0**-140  # of the sum of the moduli


@njit(cache=True)
def log1pmx(x):
    """log(1 + x) - x without cancellation (the series in x / (2 + x) where |x| <= 1/2)."""
    if abs(x) > 0.5:
        return math.log1p(x) - x
    # r = x / (2 + x) and the product r x, the largest term, with what their rounding leaves.
    two, low = two_sum(2.0, x)
    r = x / two
    rest = (fma(-r, two, x) - r * low) / two
    y, top = r * r, r * x
    return r * y * polynomial(LOG_TERMS, y) - (fma(r, x, -top) + rest * x) - top


@njit(cache=True, inline="always")
def _one_minus_exp(x):
    """1 - exp(-x) for x > 0."""
    return 1.0 if x > 40.0 else -math.expm1(-x)


@njit(cache=True)
def stirling_root(n):
    """(n/e)^(n/2) / sqrt(n!) for a whole n >= 1."""
    if n > 18:
        return _stirling_series(float(n))
    factorial = 1.0
    for j in range(2, n + 1):
        factorial *= j
    return math.pow(float(n), 0.5 * n) * math.exp(-0.5 * n) / math.sqrt(factorial)


@njit(cache=True)
def _stirling_series(n):
    """The same for n > 18, whole or not."""
    r = 1.0 / n
    y = r * r
    # ln n! - n ln n + n - ln(2 pi n)/2 (DLMF 5.11.1)
    c = r * (1 / 12.0 - y * (1 / 360.0 - y * (1 / 1260.0 - y * (1 / 1680.0 - y / 1188.0))))
    return math.exp(-0.5 * c) * math.pow(2.0 * math.pi * n, -0.25)


@njit(cache=True, inline="always")
def _kernel(x, double):
    """e^x / (2 sinh x), and for the double pole e^x cosh(x) / (2 sinh^2(x)), for x > 0."""
    below = _one_minus_exp(2.0 * x)
    return (2.0 - below) / (below * below) if double else 1.0 / below


@njit(cache=True)
def _anchored(n, b, peak, rest, height, double):
    """Int_0^inf s^n e^(-s^2/2) / sinh(b s) ds over e^(-b s) at the peak, nodes at multiples of h.

    For s = peak (1 + y) the exponent falls from its top by n (y - log(1 + y)) + (peak y)^2 / 2,
    less `rest` y; the peak rounded leaves rest = n - peak^2 - b peak.
    """
    # The nearest pole, at s = i pi / b, adds e^(-2 pi^2 / (b h)) times some 1 / h if double.
    h = (0.25 if double else 0.3) * min(1.0, 0.5 * math.pi / b)
    first = max(1, int(peak / h))
    total = 0.0
    for step in (1, -1):
        j = first if step == 1 else first - 1
        while j > 0:
            x = j * h - peak
            y = x / peak
            term = math.exp(n * log1pmx(y) - 0.5 * x * x + rest * y) * _kernel(b * j * h, double)
            total += term
            j += step
            if not term > NEGLIGIBLE * total:  # or no number
                break
    if n == 1:  # the node at 0: s / sinh(b s) -> 1 / b, half weight
        total += 0.25 * math.exp(0.5 - height) / b
    if n == 2 and double:  # s^2 cosh(b s) / sinh^2(b s) -> 1 / b^2
        total += 0.125 * math.exp(1.0 - height) / (b * b)
    return 2.0 * h * total


@njit(cache=True)
def _centred(n, b, peak, double):
    """The same for large n, nodes around the peak, where `rest` is nothing."""
    h = 0.5 / math.sqrt(1.0 + n / (peak * peak))
    total = 0.0
    for step in (1, -1):
        j = 0 if step == 1 else -1
        while peak + j * h > 0.0:
            x = j * h
            term = math.exp(n * log1pmx(x / peak) - 0.5 * x * x) * _kernel(b * (peak + x), double)
            total += term
            j += step
            if not term > NEGLIGIBLE * total:  # or no number
                break
    return 2.0 * h * total


@njit(cache=True)
def _steep_moment(n, b, double):
    """The moment times sqrt(q) where b is large, as mantissa and exponent.

    For s = peak (1 + y) the logarithm of s^n e^(-s^2/2 - b s) falls from its top by
    n (y - log(1 + y)) + (peak y)^2 / 2, which does not cancel for any b.
    """
    root = math.sqrt(float(n))
    peak = 2.0 * n / (b + math.hypot(b, 2.0 * root))
    near = 0.3 * 0.5 * math.pi / (b * peak)
    h = near if n < SMALL else 0.5 / math.sqrt(n + peak * peak)
    first = int(1.0 / h) if n < SMALL else 0
    start = first * h - 1.0 if n < SMALL else 0.0
    total = 0.0
    for step in (1, -1):
        j = 0 if step == 1 else -1
        while start + j * h > 0.5 * h - 1.0:
            y = start + j * h
            term = math.exp(n * log1pmx(y) - 0.5 * (peak * y) * (peak * y))
            term *= _kernel(b * peak * (1.0 + y), double)
            total += term
            j += step
            if not term > NEGLIGIBLE * total:  # or no number
                break
    if n == 1 or (n == 2 and double):  # the node at 0, half weight
        total += 0.25 * math.exp(b * peak + 0.5 * peak * peak) / (b * peak) ** n
    ratio, power = math.frexp(peak / root)
    log = n * math.log(ratio) - 0.5 * (peak * peak - n) - b * peak
    m, exponent = exp_scaled(log, 0.0)
    m *= 2.0 * h * total * stirling_root(n)
    return normalized(m * peak * (b if double else 1.0), exponent + n * power)


def moment_error(variance, last):
    """Bound on the relative error of `hermite_moment` for n up to `last`, in units of 2^-53.

    The height of the peak over exp(-b p) is exp(-b^2 / 4) or more, and its logarithm is rounded.
    """
    b = PI_2_HI / math.sqrt(variance)
    return 16.0 + (8.0 * last if b > STEEP else 0.75 * b * b)


@njit(cache=True)
def hermite_moment(n, variance, low, double):
    """|E[sigma(sqrt(q) Z) He_n(Z)]| / sqrt(n!) as mantissa and exponent, q = variance + low.

    Of tanh, for odd n: q^(-1/2) (n!)^(-1/2) int_0^inf s^n e^(-s^2/2) / sinh(b s) ds with
    b = pi / (2 sqrt q), the Fourier transform of tanh against that of the Gaussian; and of
    x tanh(x) / sqrt(q) for even n (`double`), with b cosh(b s) / sinh^2(b s) in its place.  The
    trapezoid rule converges geometrically: the integrand is analytic in a strip, even, and of one
    sign.
    """
    rh, bh, bl = _steepness(variance, low)
    if bh > STEEP:
        m, exponent = _steep_moment(n, bh, double)
        return normalized(m / rh, exponent)
    peak, rest, scale, ph, pl = _peak(float(n), bh, bl)
    if n < SMALL:
        integral = _anchored(float(n), bh, peak, rest, scale - ph, double)
    else:
        integral = _centred(float(n), bh, peak, double)
    m, exponent = _exp_less(scale, ph, pl)
    factor = bh if double else 1.0
    return normalized(m * integral * stirling_root(n) * factor / rh, exponent)


@njit(cache=True, inline="always")
def _steepness(variance, low):
    """sqrt(q) for q = variance + low, and b = (pi/2) / sqrt(q) as a double-double."""
    rh = math.sqrt(variance)
    rl = (low - fma(rh, rh, -variance)) / (2.0 * rh)
    bh = PI_2_HI / rh
    return rh, bh, (-fma(bh, rh, -PI_2_HI) - bh * rl + PI_2_LO) / rh


@njit(cache=True, inline="always")
def _peak(n, bh, bl):
    """The peak p of s^n exp(-s^2/2 - b s), n - p^2 - b p for p rounded, and its height.

    The height over (n/e)^(n/2) is exp(c - b p) with c = n/2 (log(1 - z) + z), z = b p / n; it comes
    as c and b p, a double-double.
    """
    peak = 2.0 * n / (bh + math.sqrt(bh * bh + 4.0 * n))
    h, low = two_sum(peak, bh)
    h, low = dd_mul(peak, 0.0, h, low + bl)
    rest = (n - h) - low
    ph, pl = dd_mul(bh, bl, peak, rest / (2.0 * peak + bh))
    z = ph / n
    low = (fma(-z, n, ph) + pl) / n
    return peak, rest, 0.5 * n * (log1pmx(-z) - z / (1.0 - z) * low), ph, pl


@njit(cache=True, inline="always")
def _exp_less(scale, ph, pl):
    """exp(scale - (ph + pl)) as mantissa and exponent."""
    ph, e = two_sum(ph, -scale)
    return exp_scaled(-ph, -(pl + e))


@njit(cache=True)
def hermite_moments(first, variance, low, double, mantissa, exponent):
    """Fill `hermite_moment` for n = first, first + 2, ... into the arrays.

    From SMALL on, its factor beside exp(scale - b peak) is interpolated in each octave of n, by
    Chebyshev polynomials: it is analytic where Re n > 0, so that each point takes 5.8 times the
    error away.
    """
    rh, bh, bl = _steepness(variance, low)
    size, i = mantissa.size, 0
    while i < size and (first + 2 * i < SMALL or bh > STEEP):
        mantissa[i], exponent[i] = hermite_moment(first + 2 * i, variance, low, double)
        i += 1
    start = float(SMALL)
    series = np.empty(POINTS)
    factor = (bh if double else 1.0) / rh
    while i < size:
        if first + 2 * i < 2.0 * start:
            _octave(start, bh, double, factor, series)
        while i < size and first + 2 * i < 2.0 * start:
            n = float(first + 2 * i)
            _, _, scale, ph, pl = _peak(n, bh, bl)
            m, power = _exp_less(scale, ph, pl)
            mantissa[i], exponent[i] = normalized(
                m * _chebyshev(series, 2.0 * n / start - 3.0), power
            )
            i += 1
        start *= 2.0


@njit(cache=True)
def _octave(start, b, double, factor, series):
    """Chebyshev series of the moment over exp(scale - b peak) for start <= n <= 2 start."""
    values = np.empty(POINTS)
    for k in range(POINTS):
        n = start * (1.5 + 0.5 * CHEBYSHEV[1, k])
        peak = 2.0 * n / (b + math.sqrt(b * b + 4.0 * n))
        values[k] = factor * _centred(n, b, peak, double) * _stirling_series(n)
    middle = values[POINTS // 2]
    for j in range(POINTS):
        total = 0.0
        for k in range(POINTS):
            total += (values[k] - middle) * CHEBYSHEV[j, k]
        series[j] = total * (2.0 if j > 0 else 1.0) / POINTS
    series[0] += middle


@njit(cache=True, inline="always")
def _chebyshev(series, x):
    """The sum of series[j] T_j(x), by Clenshaw's recurrence."""
    here, before = 0.0, 0.0
    for j in range(POINTS - 1, 0, -1):
        here, before = series[j] + (2.0 * x * here - before), here
    return series[0] + (x * here - before)


@njit(cache=True)
def hypergeometric(
    start, exponent, xh, xl, power, top, bottom, sh, sl, places, mantissa, exponents
):
    """Fill c_0 = start 2^exponent and c_(m+1) = c_m x top[m] / bottom[m] into the arrays.

    x = (xh + xl) 2^power, and for s = sh + sl > 0 times (s + places[m])^2.
    """
    h, low, e = start, 0.0, exponent
    for m in range(mantissa.size):
        if sh > 0.0:
            a, b = two_sum(sh, places[m])
            a, b = dd_mul(a, b + sl, a, b + sl)
            a, b = dd_mul(a, b, h, low)
            mantissa[m], exponents[m] = normalized(a + b, e)
        else:
            mantissa[m], exponents[m] = normalized(h, e)
        if m < top.size:
            h, low, e = scaled_mul(h, low, e + power, xh, xl)
            a, b = dd_div(top[m], 0.0, bottom[m], 0.0)
            h, low, e = scaled_mul(h, low, e, a, b)


@njit(cache=True, inline="always")
def _dd_root(x):
    """The square root of a double as a double-double."""
    h = math.sqrt(x)
    return h, -fma(h, h, -x) / (2.0 * h)


@njit(cache=True, error_model="numpy")
def hermite_sums(nodes, weights, starts, first, out):
    """Sums sum_i w_i psi_n(z_i) for n = first, first + 2, ..., first 0 or 1, as double-doubles.

    psi_n(z) = He_n(z) e^(-z^2/4) / sqrt(n!).  Double-doubles are two rows; nodes z, weights and
    starts psi_0 are (2, B, L) arrays, whose blocks of L nodes are summed element by element, for
    the vector instructions.
    """
    lanes = nodes.shape[2]
    here, before = starts.copy(), np.zeros_like(starts)
    high, low = np.empty(lanes), np.empty(lanes)
    steps = np.zeros((4, 2))
    if first == 1:
        _rise(0.0, steps[:2])
        for block in range(nodes.shape[1]):
            _hermite_step(nodes[:, block], here[:, block], before[:, block], steps[0], steps[1])
    for i in range(out.shape[1]):
        n = first + 2.0 * i
        _rise(n, steps[:2])
        _rise(n + 1.0, steps[2:])
        high[:] = 0.0
        low[:] = 0.0
        for block in range(nodes.shape[1]):
            _add_products(weights[:, block], here[:, block], high, low)
            for s in (0, 2):
                _hermite_step(
                    nodes[:, block], here[:, block], before[:, block], steps[s], steps[s + 1]
                )
        th, tl = 0.0, 0.0
        for j in range(lanes):
            th, tl = dd_add(th, tl, high[j], low[j])
        out[0, i], out[1, i] = th, tl


@njit(cache=True, error_model="numpy")
def _rise(n, out):
    """1 / sqrt(n + 1) and -sqrt(n / (n + 1)), the factors of psi_(n+1)."""
    rh, rl = _dd_root(n + 1.0)
    ah, al = dd_div(1.0, 0.0, rh, rl)
    out[0, 0], out[0, 1] = ah, al
    if n > 0.0:
        rh, rl = _dd_root(n)
        out[1, 0], out[1, 1] = dd_mul(-rh, -rl, ah, al)
    else:
        out[1, 0], out[1, 1] = 0.0, 0.0


@njit(cache=True, error_model="numpy")
def _add_products(weights, here, high, low):
    wh, wl, ph, pl = weights[0], weights[1], here[0], here[1]
    for j in range(high.size):
        p = wh[j] * ph[j]
        d = fma(wh[j], ph[j], -p) + (wh[j] * pl[j] + wl[j] * ph[j])
        high[j], c = two_sum(high[j], p)
        low[j] += c + d


@njit(cache=True, error_model="numpy")
def _hermite_step(nodes, here, before, a, b):
    """psi_(n+1) and psi_n from psi_n and psi_(n-1)."""
    zh, zl, ph, pl, qh, ql = nodes[0], nodes[1], here[0], here[1], before[0], before[1]
    ah, al, bh, bl = a[0], a[1], b[0], b[1]
    for j in range(zh.size):
        h, e = ph[j], pl[j]
        sh, sl = dd_mul(zh[j], zl[j], h, e)
        sh, sl = dd_mul(sh, sl, ah, al)
        uh, ul = dd_mul(bh, bl, qh[j], ql[j])
        ph[j], pl[j] = dd_add(sh, sl, uh, ul)
        qh[j], ql[j] = h, e


@njit(cache=True, error_model="numpy")
def fourier_moments(squares, terms, exponents, starts, first, mantissa, low_part, exponent, lost):
    """Sums over nodes w_i > 0 of g_i w_i^n / sqrt(n!), n = first, first + 2, ..., scaled.

    A sum is (mantissa + low_part) 2^exponent.  Squares of increasing nodes and terms (2, N), times
    2^(500 exponents), are double-doubles; the terms are those of n = first + 2 starts, which
    increase, and overwritten.  Before they are negligible; those that have become so on the left of
    the peak are for good.  Into `lost`: the sums of the moduli over those of the sums.
    """
    begin, end = 0, 0
    high, low = terms[0], terms[1]
    parts = np.empty((3, exponents.size))
    for i in range(mantissa.size):
        n = first + 2.0 * i
        while end < exponents.size and starts[end] <= i:
            end += 1
        now = slice(begin, end)
        top = np.max(exponents[now])
        _scale(high[now], low[now], exponents[now], top, parts)
        least = parts[2, 0]
        total, rest, size = _dd_sum(parts[:, : end - begin])
        mantissa[i], exponent[i] = normalized(total, 500 * top)
        low_part[i] = rest * (mantissa[i] / total)
        lost[i] = size / abs(total)
        if least < DROPPED * size and begin + 1 < end:
            begin += 1
            now = slice(begin, end)
        rh, rl = _dd_root((n + 1.0) * (n + 2.0))
        rh, rl = dd_div(1.0, 0.0, rh, rl)
        _multiply(squares[:, now], rh, rl, high[now], low[now])
        for j in range(begin, end):
            if abs(high[j]) < SMALLEST:
                high[j], low[j], exponents[j] = high[j] * HUGE, low[j] * HUGE, exponents[j] - 1
            elif abs(high[j]) > 1.0 / SMALLEST:
                high[j], low[j], exponents[j] = high[j] * TINY, low[j] * TINY, exponents[j] + 1


@njit(cache=True, error_model="numpy")
def _scale(high, low, exponents, top, out):
    """Double-doubles and their moduli, in units of 2^(500 top)."""
    for j in range(high.size):
        scale = 1.0 if exponents[j] == top else TINY if exponents[j] == top - 1 else 0.0
        out[0, j], out[1, j], out[2, j] = high[j] * scale, low[j] * scale, abs(high[j]) * scale


@njit(cache=True, error_model="numpy")
def _dd_sum(parts):
    """Sums of double-doubles and of their moduli, by halves; `parts` is overwritten."""
    size = parts.shape[1]
    while size > 1:
        half = (size + 1) // 2
        _add_half(parts[:, : size - half], parts[:, half:size])
        size = half
    return parts[0, 0], parts[1, 0], parts[2, 0]


@njit(cache=True, error_model="numpy")
def _add_half(parts, others):
    ah, al, bh, bl = parts[0], parts[1], others[0], others[1]
    for j in range(ah.size):
        ah[j], al[j] = dd_add(ah[j], al[j], bh[j], bl[j])
    am, bm = parts[2], others[2]
    for j in range(am.size):
        am[j] += bm[j]


@njit(cache=True, error_model="numpy")
def _multiply(factors, rh, rl, high, low):
    fh, fl = factors[0], factors[1]
    for j in range(high.size):
        h, e = dd_mul(fh[j], fl[j], rh, rl)
        high[j], low[j] = dd_mul(high[j], low[j], h, e)
