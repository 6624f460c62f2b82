"""Gauss-Legendre rules in balls, and how many nodes they need."""

from __future__ import annotations

import math
from functools import lru_cache

from flint import arb

from ntkspec.precision import working_precision

__all__ = ["entire_rule_size", "fejer_series", "gauss_legendre"]


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
