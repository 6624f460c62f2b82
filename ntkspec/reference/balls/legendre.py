"""Legendre polynomials of any dimension in balls, their measure, and Gauss-Legendre rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from flint import acb, arb, arb_mat, fmpq

from ntkspec.precision import working_precision

__all__ = [
    "cosine_means",
    "cosine_series",
    "cosine_sums",
    "dot",
    "entire_rule_size",
    "fejer_series",
    "gauss_legendre",
    "legendre",
    "log_multiplicity",
    "measure_constant",
    "powers_of",
]

#: Nodes whose powers are stored at a time, to bound the memory at thousands of bits.
POINTS_AT_ONCE = 256


def cosine_series(dim: int, degree: int) -> list[arb]:
    """b_l, l = 0..k//2, with P_k(cos x) = sum_l b_l cos((2l + k mod 2) x); all b_l >= 0, sum 1.

    C_k^nu(cos x) = sum_j (nu)_j (nu)_(k-j) / (j! (k-j)!) cos((k-2j) x), DLMF 18.5.11.
    """
    twice_nu = dim - 2
    half = degree // 2
    if degree == 0:
        return [arb(1)]
    if twice_nu == 0:
        return [arb(0)] * half + [arb(1)]
    c = arb(fmpq(twice_nu, 2)).rising(degree) / arb(twice_nu).rising(degree)
    series = []
    for j in range(half + 1):
        series.append(c if 2 * j == degree else 2 * c)
        c *= arb((twice_nu + 2 * j) * (degree - j)) / (
            (j + 1) * max(twice_nu + 2 * (degree - j - 1), 1)
        )
    return series[::-1]


def cosine_means(dim: int, degree: int, below: int) -> list[arb]:
    """Means of cos(j x) P_k(cos x) on the sphere, j = k, k + 2, ... < below; 0 for smaller j.

    The first is 1 / (b N) with the coefficient b of cos(k x) in P_k; the ratios are those of the
    connection coefficients of Chebyshev to Gegenbauer polynomials, DLMF 18.18.16.
    """
    k, d = degree, dim
    multiplicity = 1 if k == 0 else (2 * k + d - 2) * math.comb(k + d - 3, k - 1) // k
    if k and d == 2:
        multiplicity = 2
    mean = 1 / (cosine_series(d, k)[-1] * multiplicity)
    means = []
    for j in range(k, below, 2):
        means.append(mean)
        n = (j - k) // 2
        mean *= (j + 2) * (n + k) * (2 * n + 2 - d) if j else 2 - d
        mean /= j * (n + 1) * (d + 2 * (n + k)) if j else d
    return means


def legendre(dim: int, degrees: Sequence[int], points: Sequence[acb]) -> list[list[arb]]:
    """P_k(Re p) for points p = e^(i theta) on the unit circle; degrees of one parity.

    The absolute error is at the working precision, as a sum of cosines with positive weights.
    """
    rows = [cosine_series(dim, degree) for degree in degrees]
    return cosine_sums(rows, points, first=degrees[0] % 2, step=2)


def cosine_sums(
    rows: Sequence[Sequence[arb]], points: Sequence[acb], *, first: int = 0, step: int = 1
) -> list[list[arb]]:
    """sum_j row[j] cos((first + step j) theta) at the points e^(i theta); first is 0 or 1.

    Matrix products are used, since a three-term recurrence inflates the balls exponentially.
    """
    length = max(map(len, rows))
    giants = math.isqrt(length) // 3 + 1
    babies = -(-length // giants)
    padded = [[*row, *[arb(0)] * (giants * babies - len(row))] for row in rows]
    tables = [arb_mat(giants, babies, row) for row in padded]
    result: list[list[arb]] = [[] for _ in rows]
    for start in range(0, len(points), POINTS_AT_ONCE):
        some = points[start : start + POINTS_AT_ONCE]
        powers = [powers_of(p**step, babies + 1) for p in some]
        cosines = arb_mat([[row[a].real for row in powers] for a in range(babies)])
        sines = arb_mat([[row[a].imag for row in powers] for a in range(babies)])
        steps = [powers_of(row[babies], giants) for row in powers]
        if first:
            steps = [[p * power for power in row] for p, row in zip(some, steps, strict=True)]
        for values, table in zip(result, tables, strict=True):
            values += _real_parts(steps, table * cosines, table * sines)
    return result


def _real_parts(steps: list[list[acb]], real: arb_mat, imag: arb_mat) -> list[arb]:
    """Re sum_b steps[i][b] (real[b, i] + i imag[b, i]) for every point i."""
    values = [arb(0)] * len(steps)
    for b, (reals, imags) in enumerate(zip(real.tolist(), imag.tolist(), strict=True)):
        for i, (step, x, y) in enumerate(zip(steps, reals, imags, strict=True)):
            values[i] += step[b].real * x - step[b].imag * y
    return values


def powers_of(z: acb, count: int) -> list[acb]:
    """1, z, ..., z^(count-1), each by few multiplications, so that the balls stay small."""
    powers = [acb(1), z]
    for n in range(2, count):
        powers.append(powers[n // 2] * powers[n - n // 2])
    return powers[:count]


def measure_constant(dim: int) -> arb:
    """c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2))."""
    half = arb(fmpq(dim, 2))
    return half.gamma() / (arb.pi().sqrt() * (half - arb(fmpq(1, 2))).gamma())


def log_multiplicity(dim: int, degree: int) -> float:
    """Log of (2k+d-2)/k binom(k+d-3, k-1)."""
    if degree == 0:
        return 0.0
    k, d = degree, dim
    return math.log((2 * k + d - 2) / k) + (
        math.lgamma(k + d - 2) - math.lgamma(k) - math.lgamma(d - 1)
    )


def dot(left: Sequence[arb], right: Sequence[arb]) -> arb:
    """Sum of products."""
    total = arb(0)
    for a, b in zip(left, right, strict=True):
        total += a * b
    return total


def entire_rule_size(half_bandwidth: float, nats: float) -> int:
    """Gauss-Legendre nodes that integrate exp(i half_bandwidth x) over [-1, 1] to e^-nats.

    The first Legendre coefficient missed, of order m = 2n, falls like the Bessel function
    J_m(m / cosh a) ~ exp(-m (a - tanh a)), DLMF 10.19.3.
    """
    n = int(half_bandwidth / 2) + 8
    while True:
        a = math.acosh(max(2 * n / half_bandwidth, 1.0))
        if 2 * n * (a - math.tanh(a)) > nats:
            return n
        n += 1 + n // 64


@lru_cache(maxsize=64)
def gauss_legendre(n: int, bits: int) -> list[tuple[arb, arb]]:
    """Nodes and weights on [-1, 1] at this precision; n even."""
    with working_precision(bits):
        half = [arb.legendre_p_root(n, i, True) for i in range(n // 2)]
    return [*half, *((-x, w) for x, w in reversed(half))]


def fejer_series(dim: int, n: int) -> list[arb]:
    """Coefficients in cos(j theta) of the weights of the rule at theta = (m + 1/2) pi / n.

    From c_d int cos(j theta) sin(theta)^(d-2) dtheta, j = 0, 2, ...: 1, then times (j+2-d)/(j+d).
    """
    series, moment = [arb(0)] * n, arb(1)
    for j in range(0, n, 2):
        series[j] = moment / n * (2 if j else 1)
        moment *= arb(j + 2 - dim) / (j + dim)
    return series
