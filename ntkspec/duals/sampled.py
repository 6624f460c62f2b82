"""Duals of a user's activation in high precision: the Gaussian expectation by quadrature.

In polar coordinates u = sqrt(q) r cos(a), v = sqrt(q) r cos(a - theta).  Smooth: trapezoid rule in
a, where the mean over a is a convolution, so E[sigma sigma] = sum_j E_r|s_j(r)|^2 cos(j theta) with
s_j the Fourier coefficients of a -> sigma(sqrt(q) r cos a).  With a kink at 0: Gauss-Legendre over
the sectors between the rays on which u or v is 0, at Chebyshev points in theta.  This is not a
proof: the caller compares runs of different precision.  To keep two runs from agreeing by
accident, the function is resolved in doubles first (`ntkspec.duals.pieces`): a function that is
not smooth enough is refused, and each dual is compared with that of the panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from flint import acb, acb_mat, arb, ctx
from numpy.typing import NDArray

from ntkspec.duals.correlation import Correlation, powers
from ntkspec.duals.kinked import Expansion
from ntkspec.duals.pieces import check_square_integrable
from ntkspec.duals.plain import Expectation
from ntkspec.errors import NtkspecError
from ntkspec.precision import working_precision

__all__ = ["sampled_dual"]

Function = Callable[[Any], Any]

LN2 = math.log(2.0)
#: Correlations at which a dual is compared with that of the panels, and the allowed difference
#: relative to the value at 1.
CHECKS = (1.0, 0.75, -0.5, -1.0)
AGREED = 1e-11
#: Largest refinement of the rules.
FINEST = 8
#: Angles of the trapezoid rule: one radius in FEW tells how many, up to a limit.
FEW = 8
MOST_ANGLES = 8192
#: Bits of the working precision that a dual may lack at that limit.
SPARE = 64


def sampled_dual(
    q: Any,
    function: Function,
    derivative: Function | None,
    kink: bool,
    known: tuple[Expectation, Expectation | None],
) -> tuple[Function, Function]:
    """Duals of sigma and sigma' as functions of a `Correlation`.

    known: the expectations in doubles, from `resolved`.
    """
    root = q.sqrt()
    value, differentiated = _checked(function, root, kink, known[0])
    if derivative is None or known[1] is None:
        return value, lambda point: differentiated(point) / q
    return value, _checked(derivative, root, kink, known[1])[0]


def resolved(q: float, function: Function, kink: bool, name: str) -> Expectation:
    """Resolve a function of balls at a variance in doubles.

    Raises
    ------
    NtkspecError
        When it is not square integrable, or has a kink, a jump or a feature too narrow for the
        rules of high precision.
    """
    check_square_integrable(lambda x: _log_size(function, x), q, name)
    root = math.sqrt(q)

    def in_doubles(z: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = [float(function(arb(root * x)).mid()) for x in z.ravel().tolist()]
        return np.array(flat).reshape(z.shape)

    with np.errstate(all="ignore"), working_precision(64):
        known = Expectation(in_doubles, probes=64)
    bad = known.pieces.breaks if not kink else known.pieces.breaks[known.pieces.breaks != 0.0]
    if bad.size or known.pieces.graded or known.missed > AGREED * known.norm:
        at = f" near {root * bad[np.argmin(np.abs(bad))]:.6g}" if bad.size else ""
        allowed = "be smooth apart from 0" if kink else "be smooth, or say kink=True for one at 0"
        raise NtkspecError(
            f"{name} has a kink, a jump or too narrow a feature{at}: a function of flint or mpmath "
            f"numbers must {allowed}; give a function of doubles instead"
        )
    return known


def _checked(
    function: Function, root: Any, kink: bool, known: Expectation
) -> tuple[Function, Function]:
    """A dual and its derivative, by rules that are fine enough to agree with the panels."""
    angles = [math.acos(rho) for rho in CHECKS]
    expected, bounds = known(np.array(angles))
    finer = 1
    while finer <= FINEST:
        made = _by_sectors(function, root, finer) if kink else _by_cosines(function, root, finer)
        points = [
            Correlation(arb(rho), arb(angle)) for rho, angle in zip(CHECKS, angles, strict=True)
        ]
        errors = [
            abs(float(made[0](point).mid()) - value) - bound
            for point, value, bound in zip(points, expected, bounds, strict=True)
        ]
        if max(errors) <= AGREED * known.full:
            return made
        finer *= 2
    raise NtkspecError(
        "the activation varies too fast for the rules of high precision; give a function of "
        "doubles, or lower weight_variance"
    )


def _log_size(function: Function, x: float) -> float:
    size = abs(function(arb(x))).upper()
    return float(size.log().mid()) if size > 0 else -math.inf


def _radial_rule(bits: int, finer: int) -> list[tuple[arb, arb]]:
    """Nodes r and weights of r exp(-r^2/2) dr on [0, R], the rest below 2^-bits."""
    end = arb(2.0 * bits * LN2 + 20.0).sqrt()
    n = finer * (24 + int(0.9 * bits * LN2))
    rule = []
    for i in range(n):
        x, weight = arb.legendre_p_root(n, i, True)
        r = end * (1 + x) / 2
        rule.append((r, weight * end / 2 * r * (-r * r / 2).exp()))
    return rule


def _by_cosines(function: Function, root: Any, finer: int) -> tuple[Function, Function]:
    """Smooth: cosine coefficients f_j, and d/d(cos theta) of their sum."""
    bits = ctx.prec
    rule, count = _radial_rule(bits, finer), 128 * finer
    for part in (rule[::FEW], rule):  # a few radii tell how many angles are needed
        while True:
            coefficients, noise = _spectrum(function, root, part, count)
            largest = max(abs(c).upper() for c in coefficients)
            if noise <= largest * arb(2) ** -bits:
                break
            if count >= MOST_ANGLES:
                _check_resolved(noise, largest)
                break
            count = count * 3 // 2 if count.bit_count() == 1 else count * 4 // 3
    radius = arb(0, (noise * 8).upper())
    terms = _on_the_circle(coefficients)
    slopes = _on_the_circle([j * c for j, c in enumerate(coefficients)])

    def value(point: Correlation) -> Any:
        return terms(point).real + radius

    def differentiated(point: Correlation) -> Any:
        if not abs(point.sine) > arb(2) ** (-bits // 3):  # sin(j x) / sin x -> +-j
            flip = point.cosine < 0
            signs = [
                j * j * c * ((-1) ** (j + 1) if flip else 1) for j, c in enumerate(coefficients)
            ]
            return sum(signs, arb(0))
        return slopes(point).imag / point.sine

    return value, differentiated


def _check_resolved(noise: arb, largest: arb) -> None:
    """Raise when the last coefficients are so large that no higher precision would help."""
    if noise > largest * arb(2) ** (SPARE - ctx.prec):
        raise NtkspecError(
            f"the activation's dual needs more than {MOST_ANGLES} angles at {ctx.prec} bits: the "
            "activation has a pole or a branch point too near the real axis; lower "
            "weight_variance, or give a function of doubles"
        )


def _on_the_circle(coefficients: list[arb]) -> Callable[[Correlation], acb]:
    """The sum of c_j e^(i j theta) as a function of the correlation cos(theta)."""
    size = math.isqrt(len(coefficients)) + 1
    padded = coefficients + [arb(0)] * (-len(coefficients) % size)
    rows = acb_mat([padded[i : i + size] for i in range(0, len(padded), size)])

    def total(point: Correlation) -> acb:
        small = powers(acb(point.cosine, point.sine), size + 1)
        parts = rows * acb_mat([[z] for z in small[:size]])
        large = powers(small[size], rows.nrows())
        return sum((parts[i, 0] * z for i, z in enumerate(large)), acb(0))

    return total


def _spectrum(function: Function, root: Any, rule: Any, count: int) -> tuple[list[arb], arb]:
    """f_j for j <= count / 2, and the size of the last coefficients."""
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


def _by_sectors(function: Function, root: Any, finer: int) -> tuple[Function, Function]:
    """Kink at 0: an expansion in theta, and d/d(cos theta) of it."""
    bits = ctx.prec
    rule = _radial_rule(bits, finer)
    n = 2 * finer * (12 + bits // 8)
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
