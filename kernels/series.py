"""From a power series of one sign to the spectrum: lambda_k = sum_m a_(k+2m) w(k, m).

w(k, m) = (k+2m)! Gamma(d/2) / (2^(k+2m) m! Gamma(k+m+d/2)) is the eigenvalue of degree k of the
kernel t^(k+2m).  It is never computed from Gamma functions, whose logarithms lose digits: it is
carried as a scaled double-double along a path of neighbours that starts at w(0, 0) = 1 and
follows the largest terms as k grows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import dd_div, fma, normalized, scaled_times, two_sum

NEGLIGIBLE = 2.0**-58
RUN = 64  # degrees or dimensions that share one set of terms
CHUNK = 128
#: Bits by which the largest terms of a run of degrees or dimensions may differ at its start.
REACH = 700.0


@njit(cache=True)
def ratios(mantissa, exponent, high, low):
    """a_(i+1) / a_i as double-doubles, for scaled a_i > 0; 0 where a_i = 0."""
    for i in range(mantissa.size - 1):
        if mantissa[i] == 0.0:
            high[i] = low[i] = 0.0
            continue
        h, e = dd_div(mantissa[i + 1], 0.0, mantissa[i], 0.0)
        scale = 2.0 ** (exponent[i + 1] - exponent[i])
        high[i] = h * scale
        low[i] = e * scale


@njit(cache=True, inline="always")
def _above(k, m, dim):
    """Numerator and denominator of w(k, m + 1) / w(k, m), whole numbers."""
    n = float(k + 2 * m)
    return (n + 1.0) * (n + 2.0), 2.0 * (m + 1.0) * (2.0 * k + 2.0 * m + dim)


@njit(cache=True)
def _climb(k, m, parity, dim, rho, wh, wl, we):
    """Move along m to the largest term of degree k; a returned m < 0: more coefficients needed."""
    while True:
        i = (k - parity) // 2 + m
        if i >= rho.size:
            return -1, wh, wl, we
        numerator, denominator = _above(k, m, dim)
        if rho[i] * numerator <= denominator:
            break
        wh, wl, we = scaled_times(wh, wl, we, numerator, denominator)
        m += 1
    while m > 0:
        i = (k - parity) // 2 + m
        numerator, denominator = _above(k, m - 1, dim)
        if rho[i - 1] * numerator >= denominator:
            break
        wh, wl, we = scaled_times(wh, wl, we, denominator, numerator)
        m -= 1
    return m, wh, wl, we


@njit(cache=True)
def _reach_up(k, m, parity, dim, rho):
    """First m whose following terms are negligible against the one at m; -1: too few."""
    t, s = 1.0, 1.0
    i = (k - parity) // 2 + m
    while i < rho.size:
        numerator, denominator = _above(k, m, dim)
        r = rho[i] * numerator / denominator
        # What follows is t r / (1 - r) times a small factor: the ratios vary slowly.
        if r < 1.0 and t * r < NEGLIGIBLE * s * (1.0 - r):
            return m
        t *= r
        s += t
        m += 1
        i += 1
    return -1


@njit(cache=True)
def _reach_down(k, m, parity, dim, rho):
    """Last m whose preceding terms are negligible against the one at m."""
    t, s = 1.0, 1.0
    i = (k - parity) // 2 + m
    while m > 0:
        numerator, denominator = _above(k, m - 1, dim)
        r = denominator / (numerator * rho[i - 1])
        if r < 1.0 and t * r < NEGLIGIBLE * s * (1.0 - r):
            break
        t *= r
        s += t
        m -= 1
        i -= 1
    return m


@njit(cache=True)
def _fill(k, m, low, high, parity, dim, rho_high, rho_low):
    """Terms low..high of degree k over the term at m, by compensated products."""
    terms = np.empty(high - low + 1)
    terms[m - low] = 1.0
    offset = (k - parity) // 2
    th, tl = 1.0, 0.0
    for j in range(m, high):
        numerator, denominator = _above(k, j, dim)
        inverse = 1.0 / denominator
        p = numerator * rho_high[offset + j]
        r = p * inverse
        rest = fma(numerator, rho_high[offset + j], -p) + numerator * rho_low[offset + j]
        rest += fma(-r, denominator, p)
        h = th * r
        tl = tl * r + (th * (rest * inverse) + fma(th, r, -h))
        th = h
        terms[j + 1 - low] = th + tl
    th, tl = 1.0, 0.0
    for j in range(m, low, -1):
        d, numerator = _above(k, j - 1, dim)
        denominator = d * rho_high[offset + j - 1]
        inverse = 1.0 / denominator
        r = numerator * inverse
        rest = fma(-r, denominator, numerator)
        rest -= r * (fma(d, rho_high[offset + j - 1], -denominator) + d * rho_low[offset + j - 1])
        h = th * r
        tl = tl * r + (th * (rest * inverse) + fma(th, r, -h))
        th = h
        terms[j - 1 - low] = th + tl
    return terms


@njit(cache=True, fastmath={"reassoc"})
def _chunk_sum(chunk):
    # Terms of one sign: in any order, the sum's error is at most a rounding per term.
    s = 0.0
    for j in range(chunk.size):
        s += chunk[j]
    return s


@njit(cache=True)
def _sum(terms):
    """Sum of the terms, with an error of about CHUNK roundings for any number of terms."""
    s, c = 0.0, 0.0
    whole = terms.size - terms.size % CHUNK
    for first in range(0, whole, CHUNK):
        s, e = two_sum(s, _chunk_sum(terms[first : first + CHUNK]))
        c += e
    s, e = two_sum(s, _chunk_sum(terms[whole:]))
    return s + (c + e)


@njit(cache=True)
def _run(terms, inverses, first, step, wh, we, mantissa, exponent):
    """Sums of the terms, then of their images under moves of 2 in degree or dimension.

    A move multiplies term j by (first + 2 j) / x for the degree, by first for the dimension
    (step = 0), with the 1 / x in `inverses`, which shifts by one each time.
    """
    size = terms.size
    # Whole numbers as doubles: processors have no vector conversion.
    doubled = 2.0 * np.arange(size)
    for b in range(mantissa.size):
        s = _sum(terms)
        mantissa[b], exponent[b] = normalized(wh * s, we)
        if b + 1 == mantissa.size:
            return
        # Powers of two keep the sum near 1 through any number of moves.
        scale = 1.0
        if s < 1e-60 or s > 1e60:
            e = exponent[b] - we
            scale = 2.0 ** (-e)
            we += e
        shifted = inverses[b : b + size]
        if step == 0:
            factor = scale * first
            for j in range(size):
                terms[j] *= factor * shifted[j]
            first += 2.0
        else:
            for j in range(size):
                terms[j] *= (scale * (first + doubled[j])) * shifted[j]
            first -= 2.0


@njit(cache=True, inline="always")
def _next_degree(k, m, dim, wh, wl, we):
    """W(k + 2, m - 1) from w(k, m), of the same power of t; w(k + 2, 0) from w(k, 0)."""
    if m > 0:
        wh, wl, we = scaled_times(wh, wl, we, 2.0 * m, 2.0 * k + 2.0 * m + dim)
        return m - 1, wh, wl, we
    n = float(k)
    wh, wl, we = scaled_times(
        wh, wl, we, (n + 1.0) * (n + 2.0), (2.0 * n + dim) * (2.0 * n + 2.0 + dim)
    )
    return m, wh, wl, we


@njit(cache=True)
def _raise_degree(k, m, parity, dim, rho, wh, wl, we):
    """The largest term of degree k + 2, from that of degree k."""
    m, wh, wl, we = _next_degree(k, m, dim, wh, wl, we)
    return _climb(k + 2, m, parity, dim, rho, wh, wl, we)


@njit(cache=True)
def _start(degree, parity, dim, rho):
    """The largest term of a degree, along a path from w(parity, 0)."""
    wh, wl, we = 1.0, 0.0, np.int64(0)
    if parity == 1:
        wh, wl = dd_div(1.0, 0.0, float(dim), 0.0)
    m, wh, wl, we = _climb(parity, 0, parity, dim, rho, wh, wl, we)
    for k in range(parity, degree, 2):
        if m < 0:
            break
        m, wh, wl, we = _raise_degree(k, m, parity, dim, rho, wh, wl, we)
    return m, wh, wl, we


@njit(cache=True)
def _run_length(values, at):
    """How many values from one on are steps of 2, at most RUN."""
    count = 1
    while count < RUN and at + count < values.size and values[at + count] == values[at] + 2 * count:
        count += 1
    return count


@njit(cache=True)
def _sums(k, m, low, high, parity, dim, am, ae, rho_high, rho_low, wh, we, first, step, mantissa,
          exponent):  # fmt: skip
    """`_run` from the terms low to high of degree k, of which that at m is the largest."""
    terms = _fill(k, m, low, high, parity, dim, rho_high, rho_low)
    inverses = 1.0 / (2.0 * k + 2.0 * low + dim + 2.0 * np.arange(terms.size + mantissa.size))
    i = (k - parity) // 2 + m
    _run(terms, inverses, first, step, wh * am[i], we + ae[i], mantissa, exponent)


@njit(cache=True)
def row(degrees, parity, dim, am, ae, rho_high, rho_low, mantissa, exponent):
    """Eigenvalues of increasing degrees of one parity in one dimension.

    am, ae: scaled a_n > 0 for n = parity, parity + 2, ...; rho: their ratios.  Returns how many
    of the degrees were done: fewer than all means that more coefficients are needed.
    """
    k = degrees[0]
    m, wh, wl, we = _start(k, parity, dim, rho_high)
    at = 0
    while at < degrees.size:
        while k < degrees[at] and m >= 0:
            m, wh, wl, we = _raise_degree(k, m, parity, dim, rho_high, wh, wl, we)
            k += 2
        if m < 0:
            return at
        count = _run_length(degrees, at)
        # The terms of the last degree of the run reach highest, those of the first lowest.
        lm, lh, ll, le = m, wh, wl, we
        for j in range(count - 1):
            lm, lh, ll, le = _raise_degree(k + 2 * j, lm, parity, dim, rho_high, lh, ll, le)
            if lm < 0:
                return at
        last = degrees[at + count - 1]
        high = _reach_up(last, lm, parity, dim, rho_high)
        if high < 0:
            return at
        high = max(high + count - 1, m)
        low = _reach_down(k, m, parity, dim, rho_high)
        done = slice(at, at + count)
        _sums(
            k, m, low, high, parity, dim, am, ae, rho_high, rho_low, wh, we, 2.0 * low, 1,
            mantissa[done], exponent[done],
        )  # fmt: skip
        k, m, wh, wl, we = last, lm, lh, ll, le
        at += count
    return at


@njit(cache=True)
def column(degree, parity, dims, am, ae, rho_high, rho_low, mantissa, exponent):
    """Eigenvalues of one degree in increasing dimensions of one parity, as in `row`."""
    k = degree
    dim = dims[0]
    m, wh, wl, we = _start(k, parity, dim, rho_high)
    at = 0
    while at < dims.size:
        while dim < dims[at] and m >= 0:
            m, wh, wl, we = _raise_dim(k, m, parity, dim, rho_high, wh, wl, we)
            dim += 2
        if m < 0:
            return at
        count = _run_length(dims, at)
        # The terms of the first dimension of the run reach highest, those of the last lowest.
        lm, lh, ll, le = m, wh, wl, we
        for j in range(count - 1):
            lm, lh, ll, le = _raise_dim(k, lm, parity, dim + 2 * j, rho_high, lh, ll, le)
        last = dims[at + count - 1]
        high = _reach_up(k, m, parity, dim, rho_high)
        if high < 0:
            return at
        low = min(_reach_down(k, lm, parity, last, rho_high), m)
        done = slice(at, at + count)
        _sums(
            k, m, low, high, parity, dim, am, ae, rho_high, rho_low, wh, we, float(dim), 0,
            mantissa[done], exponent[done],
        )  # fmt: skip
        dim, m, wh, wl, we = last, lm, lh, ll, le
        at += count
    return at


@njit(cache=True)
def _raise_dim(k, m, parity, dim, rho, wh, wl, we):
    """The largest term in dimension dim + 2, from that in dimension dim."""
    wh, wl, we = scaled_times(wh, wl, we, float(dim), 2.0 * k + 2.0 * m + dim)
    return _climb(k, m, parity, dim + 2, rho, wh, wl, we)


# --- any positive coefficients -------------------------------------------------------------------


@njit(cache=True)
def _log2(mantissa, exponent):
    """Logarithms to base 2 of scaled numbers."""
    out = np.full(mantissa.size, -np.inf)
    for i in range(mantissa.size):
        if mantissa[i] > 0.0:
            out[i] = math.log2(mantissa[i]) + exponent[i]
    return out


@njit(cache=True)
def _log2_tables(parity, dim, la, size):
    """The parts of log2 of a_n w(k, m) that depend on n, on m, and on k + m, to about 1e-9."""
    by_power = np.empty(la.size)
    total, n = 0.0, 0
    for i in range(la.size):
        while n < parity + 2 * i:
            n += 1
            total += math.log2(n) - 1.0
        by_power[i] = la[i] + total
    by_m = np.zeros(la.size + 1)
    for m in range(1, la.size + 1):
        by_m[m] = by_m[m - 1] + math.log2(m)
    by_sum = np.zeros(size)
    for j in range(1, size):
        by_sum[j] = by_sum[j - 1] + math.log2(0.5 * dim + j - 1.0)
    return by_power, by_m, by_sum


@njit(cache=True)
def _window(k, parity, by_power, by_m, by_sum, bits):
    """First and last power that count, and the largest term, of a degree: indices and log2."""
    start = (k - parity) // 2
    top, peak = -np.inf, start
    for i in range(start, by_power.size):
        x = by_power[i] - by_m[i - start] - by_sum[k + i - start]
        if x > top:
            top, peak = x, i
    low, high = start, by_power.size - 1
    while by_power[high] - by_m[high - start] - by_sum[k + high - start] < top - bits:
        high -= 1
    while by_power[low] - by_m[low - start] - by_sum[k + low - start] < top - bits:
        low += 1
    return low, peak, high, top


@njit(cache=True, inline="always")
def _moved(k, m, goal, dim, wh, wl, we):
    """W(k, goal) from w(k, m)."""
    while m < goal:
        numerator, denominator = _above(k, m, dim)
        wh, wl, we = scaled_times(wh, wl, we, numerator, denominator)
        m += 1
    while m > goal:
        numerator, denominator = _above(k, m - 1, dim)
        wh, wl, we = scaled_times(wh, wl, we, denominator, numerator)
        m -= 1
    return wh, wl, we


@njit(cache=True)
def any_row(degrees, parity, dim, am, ae, rho_high, rho_low, bits, mantissa, exponent):
    """`row` for any a_n > 0; terms below 2^-bits of a degree's largest are left out."""
    la = _log2(am, ae)
    last = degrees[-1]
    by_power, by_m, by_sum = _log2_tables(parity, dim, la, last + am.size + 2)
    k, m = parity, 0
    wh, wl, we = 1.0, 0.0, np.int64(0)
    if parity == 1:
        wh, wl = dd_div(1.0, 0.0, float(dim), 0.0)
    at = 0
    while at < degrees.size:
        first = degrees[at]
        low, peak, high, top = _window(first, parity, by_power, by_m, by_sum, bits)
        count = 1
        while (
            count < RUN and at + count < degrees.size and degrees[at + count] == first + 2 * count
        ):
            degree = degrees[at + count]
            i, j, h, _ = _window(degree, parity, by_power, by_m, by_sum, bits)
            start = (first - parity) // 2
            if by_power[j] - by_m[j - start] - by_sum[first + j - start] < top - REACH:
                break
            low, high = min(low, i), max(high, h)
            count += 1
        while k < first:
            m, wh, wl, we = _next_degree(k, m, dim, wh, wl, we)
            k += 2
        start = (k - parity) // 2
        wh, wl, we = _moved(k, m, peak - start, dim, wh, wl, we)
        m = peak - start
        done = slice(at, at + count)
        _sums(
            k, m, low - start, high - start, parity, dim, am, ae, rho_high, rho_low, wh, we,
            2.0 * (low - start), 1, mantissa[done], exponent[done],
        )  # fmt: skip
        at += count


@njit(cache=True)
def any_column(degree, parity, dims, am, ae, rho_high, rho_low, bits, mantissa, exponent):
    """`column` for any a_n > 0, as `any_row`."""
    la = _log2(am, ae)
    k, start = degree, (degree - parity) // 2
    at, m, dim = 0, 0, dims[0]
    wh, wl, we = 1.0, 0.0, np.int64(0)
    for j in range(k):  # w(k, 0) = k! Gamma(d/2) / (2^k Gamma(k + d/2))
        wh, wl, we = scaled_times(wh, wl, we, j + 1.0, 2.0 * j + dim)
    while at < dims.size:
        count = 1
        while count < RUN and at + count < dims.size and dims[at + count] == dims[at] + 2 * count:
            count += 1
        by_power, by_m, by_sum = _log2_tables(parity, dims[at], la, k + am.size + 2)
        low, peak, high, top = _window(k, parity, by_power, by_m, by_sum, bits)
        while True:
            end = dims[at + count - 1]
            by_power, by_m, by_sum = _log2_tables(parity, end, la, k + am.size + 2)
            i, j, h, _ = _window(k, parity, by_power, by_m, by_sum, bits)
            by_power, by_m, by_sum = _log2_tables(parity, dims[at], la, k + am.size + 2)
            x = by_power[j] - by_m[j - start] - by_sum[k + j - start]
            if count == 1 or x >= top - REACH:
                break
            count = count // 2
        low, high = min(low, i), max(high, h)
        while dim < dims[at]:
            wh, wl, we = scaled_times(wh, wl, we, float(dim), 2.0 * k + 2.0 * m + dim)
            dim += 2
        wh, wl, we = _moved(k, m, peak - start, dim, wh, wl, we)
        m = peak - start
        done = slice(at, at + count)
        _sums(
            k, m, low - start, high - start, parity, dim, am, ae, rho_high, rho_low, wh, we,
            float(dim), 0, mantissa[done], exponent[done],
        )  # fmt: skip
        at += count


@njit(cache=True)
def log_weights(degrees, dim, power, out):
    """Natural logarithms of w(k, n) at n = power or power + 1, whichever has the parity of k."""
    for i in range(degrees.size):
        k = degrees[i]
        n = power + (power + k) % 2
        m = (n - k) // 2
        out[i] = (
            math.lgamma(n + 1.0) + math.lgamma(0.5 * dim) - n * math.log(2.0)
            - math.lgamma(m + 1.0) - math.lgamma(k + m + 0.5 * dim)
        )  # fmt: skip
