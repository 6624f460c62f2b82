"""The Funk-Hecke integral c_d int K(t) P_k(t) (1-t^2)^((d-3)/2) dt by Gauss-Jacobi rules.

* K smooth on [-1, 1], or d so large that the weight hides the ends: the Gauss-Gegenbauer rule.
* K with roots of 1 - t and 1 + t (sigma with a kink): the interval is cut at t = 0, and with
  1 -+ t = u^m either half becomes an integral over 0 < u < 1 with the weight u^(m (d-1)/2 - 1) of
  a Gauss-Jacobi rule; the rest is analytic in u.  Where K has a branch point just beyond t = -1,
  that half is cut further, in panels that shrink towards u = 0.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.jacobi import jacobi_rule, legendre_values

__all__ = ["coefficients", "multiplicity", "plain_size", "sphere_rule", "split_rule"]

#: Nodes t and weights that sum to 1.
Rule = tuple[list[Any], list[Any]]
#: Largest degree considered for a rule in t.
MOST_MISSED = 1200


def sphere_rule(precision: Precision, n: int, dim: int) -> Rule:
    """Gauss-Gegenbauer rule with n nodes."""
    exponent = precision.mp.mpf(dim - 3) / 2
    return jacobi_rule(precision, n, exponent, exponent)


def split_rule(
    precision: Precision, n: int, dim: int, order: int = 2, distance: float = math.inf
) -> Rule:
    """Rule of n nodes on each panel for K analytic in u on either side of t = 0, 1 -+ t = u^order.

    `distance` is that of a branch point from u = 0 on the side of t = -1.
    """
    mp = precision.mp
    exponent = mp.mpf(order * (dim - 1)) / 2 - 1
    # c_d m; the Jacobi rule's weights sum to 1, those of u^exponent to 1 / (exponent + 1).
    constant = order * measure_constant(precision, dim)
    first = jacobi_rule(precision, n, mp.zero, exponent)
    widths = [mp.one]
    while float(widths[-1]) > 4 * distance:
        widths.append(widths[-1] / 2)
    legendre = jacobi_rule(precision, n, mp.zero, mp.zero) if len(widths) > 1 else None
    points: list[Any] = []
    weights: list[Any] = []
    for side, reach in ((1, mp.one), (-1, widths[-1])):
        scale = constant * reach ** (exponent + 1) / (exponent + 1)
        for x, w in zip(*first, strict=True):
            _place(precision, reach * (1 + x) / 2, w * scale, side, order, dim, points, weights)
    if legendre is not None:
        for wide in widths[1:]:
            for x, w in zip(*legendre, strict=True):
                u = wide * (3 + x) / 2
                weight = constant * wide * w * u**exponent
                _place(precision, u, weight, -1, order, dim, points, weights)
    return points, weights


def _place(
    precision: Precision, u: Any, weight: Any, side: int, order: int, dim: int,
    points: list[Any], weights: list[Any],
) -> None:  # fmt: skip
    """Add t = side (1 - u^order), with the remaining factor of (1 - t^2)^((d-3)/2)."""
    power = u**order
    points.append(side * (1 - power))
    weights.append(weight * (2 - power) ** (precision.mp.mpf(dim - 3) / 2))


def coefficients(
    precision: Precision, dim: int, top: int, rule: Rule, *rows: Sequence[Any]
) -> list[list[Any]]:
    """lambda_0, ..., lambda_top of each function, given by its values at the nodes of a rule."""
    mp, bits = precision.mp, precision.bits
    points, weights = rule
    weighted = [[precision.fixed(w * x) for w, x in zip(weights, row, strict=True)] for row in rows]
    sums = [[0] * (top + 1) for _ in rows]
    for i, values in enumerate(legendre_values(precision, dim, top, points)):
        for row, total in zip(weighted, sums, strict=True):
            x = row[i]
            for k, p in enumerate(values):
                total[k] += x * p
    roots = [mp.sqrt(multiplicity(dim, k)) for k in range(top + 1)]
    return [
        [precision.float(s >> bits) / root for s, root in zip(total, roots, strict=True)]
        for total in sums
    ]


def measure_constant(precision: Precision, dim: int) -> Any:
    """c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2))."""
    mp = precision.mp
    return mp.gammaprod([mp.mpf(dim) / 2], [mp.mpf(dim - 1) / 2]) / mp.sqrt(mp.pi)


def multiplicity(dim: int, degree: int) -> int:
    """N(d, k), the dimension of the space of spherical harmonics of degree k."""
    if degree == 0:
        return 1
    return math.comb(degree + dim - 1, dim - 1) - (
        math.comb(degree + dim - 3, dim - 1) if degree > 1 else 0
    )


def plain_size(nats: float, dim: int, top: int) -> float:
    """Estimate the nodes that a Gauss-Gegenbauer rule needs for a K with kinks at t = +-1.

    Its coefficient of degree j, times sqrt(N), falls at least like (j! / (d)_j)^(1/2); inf where
    that takes too many.
    """

    def fallen(j: int) -> float:
        return (math.lgamma(dim + j) - math.lgamma(dim) - math.lgamma(j + 1)) / 2

    if fallen(MOST_MISSED) < nats:
        return math.inf
    return (bisect_left(range(MOST_MISSED), nats, key=fallen) + top) / 2 + 8
