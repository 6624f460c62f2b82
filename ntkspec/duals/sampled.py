"""Duals of a user's activation in high precision: the Gaussian expectation by quadrature.

In polar coordinates u = sqrt(q) r cos(a), v = sqrt(q) r cos(a - theta).  Smooth: trapezoid rule in
a, where the mean over a is a convolution, so E[sigma sigma] = sum_j E_r|s_j(r)|^2 cos(j theta) with
s_j the Fourier coefficients of a -> sigma(sqrt(q) r cos a).  With a kink at 0: Gauss-Legendre over
the sectors between the rays on which u or v is 0, at Chebyshev points in theta.  Nothing is
proved here: the caller compares runs of different precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from flint import acb, acb_poly, arb, ctx

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.kinked import Expansion
from ntkspec.errors import NtkspecError

__all__ = ["check_square_integrable", "sampled_dual"]

Function = Callable[[Any], Any]

LN2 = math.log(2.0)


def check_square_integrable(log_size: Callable[[float], float], q: float, name: str) -> None:
    """Raise unless sigma(x)^2 exp(-x^2 / (2q)) dies out; log_size(x) = log|sigma(x)|."""
    for sign in (1.0, -1.0):
        sizes = [2.0 * log_size(sign * z * math.sqrt(q)) - 0.5 * z * z for z in (9.0, 18.0, 36.0)]
        if not (sizes[0] < 10.0 and sizes[1] <= sizes[0] and sizes[2] <= min(sizes[1], -100.0)):
            raise NtkspecError(
                f"{name} is not square integrable against the Gaussian of variance {q:.6g} "
                "before it: it grows too fast"
            )


def sampled_dual(
    q: Any, function: Function, derivative: Function | None, kink: bool
) -> tuple[Function, Function]:
    """Duals of sigma and sigma' as functions of a `Correlation`."""
    check_square_integrable(lambda x: _log_size(function, x), float(q.mid()), "the activation")
    root = q.sqrt()
    maker = _by_sectors if kink else _by_cosines
    value, differentiated = maker(function, root)
    if derivative is None:
        return value, lambda point: differentiated(point) / q
    return value, maker(derivative, root)[0]


def _log_size(function: Function, x: float) -> float:
    size = abs(function(arb(x))).upper()
    return float(size.log().mid()) if size > 0 else -math.inf


def _radial_rule(bits: int) -> list[tuple[arb, arb]]:
    """Nodes r and weights of r exp(-r^2/2) dr on [0, R], the rest below 2^-bits."""
    end = arb(2.0 * bits * LN2 + 20.0).sqrt()
    n = 24 + int(0.9 * bits * LN2)
    rule = []
    for i in range(n):
        x, weight = arb.legendre_p_root(n, i, True)
        r = end * (1 + x) / 2
        rule.append((r, weight * end / 2 * r * (-r * r / 2).exp()))
    return rule


def _by_cosines(function: Function, root: Any) -> tuple[Function, Function]:
    """Smooth: cosine coefficients f_j, and d/d(cos theta) of their sum."""
    bits = ctx.prec
    count = 128
    rule = _radial_rule(bits)
    while True:
        coefficients, noise = _spectrum(function, root, rule, count)
        if noise < arb(2) ** (-bits) * max(abs(coefficients[0]), arb(1)) or count >= 16384:
            break
        count *= 2
    radius = arb(0, (noise * 8).upper())
    terms = acb_poly(coefficients)
    slopes = acb_poly([j * c for j, c in enumerate(coefficients)])

    def value(point: Correlation) -> Any:
        return terms(acb(point.cosine, point.sine)).real + radius

    def differentiated(point: Correlation) -> Any:
        if not abs(point.sine) > arb(2) ** (-bits // 3):  # sin(j x) / sin x -> +-j
            flip = point.cosine < 0
            signs = [
                j * j * c * ((-1) ** (j + 1) if flip else 1) for j, c in enumerate(coefficients)
            ]
            return sum(signs, arb(0))
        return slopes(acb(point.cosine, point.sine)).imag / point.sine

    return value, differentiated


def _spectrum(function: Function, root: Any, rule: Any, count: int) -> tuple[list[arb], arb]:
    """f_j for j <= count / 2, and the size of the last ones."""
    half = count // 2
    cosines = [(arb.pi() * 2 * i / count).cos() for i in range(half + 1)]
    total = [arb(0)] * (half + 1)
    for r, weight in rule:
        samples = [function(root * r * c) for c in cosines]
        circle = acb.dft([acb(s) for s in samples + samples[-2:0:-1]])
        for j in range(half + 1):
            size = circle[j].real / count
            total[j] += weight * size * size * (1 if j in (0, half) else 2)
    noise = sum((abs(x).upper() for x in total[-4:]), arb(0))
    return total, noise


def _by_sectors(function: Function, root: Any) -> tuple[Function, Function]:
    """Kink at 0: an expansion in theta, and d/d(cos theta) of it."""
    bits = ctx.prec
    rule = _radial_rule(bits)
    n = 2 * (12 + bits // 8)
    nodes = [arb.legendre_p_root(n, i, True) for i in range(n)]

    def at(angle: Any) -> Any:
        edges = [-arb.pi() / 2, angle - arb.pi() / 2, arb.pi() / 2, angle + arb.pi() / 2]
        edges.append(3 * arb.pi() / 2)
        total = arb(0)
        for low, high in pairwise(edges):
            half = (high - low) / 2
            if not abs(half) > arb(2) ** -bits:
                continue
            for x, weight in nodes:
                a = low + half * (1 + x)
                first, second = root * a.cos(), root * (a - angle).cos()
                for r, density in rule:
                    total += half * weight * density * function(r * first) * function(r * second)
        return total / (2 * arb.pi())

    expansion = Expansion(at, 1, arb(2) ** 16)

    def value(point: Correlation) -> Any:
        return expansion(point.angle)

    def differentiated(point: Correlation) -> Any:
        return -expansion.derivative(point.angle) / point.sine

    return value, differentiated
