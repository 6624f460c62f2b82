"""Duals of a user's activation in high precision: the Gaussian expectation by quadrature.

In polar coordinates u = sqrt(q) r cos(a), v = sqrt(q) r cos(a - theta).  Smooth: trapezoid rule in
a, where the mean over a is a convolution, so E[sigma sigma] = sum_j E_r|s_j(r)|^2 cos(j theta) with
s_j the Fourier coefficients of a -> sigma(sqrt(q) r cos a).  With a kink at 0: polynomials in a on
both sides, which are convolved over the sectors between the rays on which u or v is 0.  This is not
a proof: the caller compares runs of different precision.  To keep two runs from agreeing by
accident, the function is resolved in doubles first (`ntkspec.duals.pieces`): a function that is
not smooth enough is refused, and each dual is compared with that of the panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from flint import acb, arb, arb_mat, arb_poly, ctx, fmpz_mat, fmpz_poly
from numpy.typing import NDArray

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.kinked import chebyshev_coefficients, interpolated
from ntkspec.duals.pieces import check_square_integrable
from ntkspec.duals.plain import Expectation
from ntkspec.errors import NtkspecError
from ntkspec.precision import extra_precision, working_precision

__all__ = ["sampled_dual"]

Function = Callable[[Any], Any]

LN2 = math.log(2.0)
#: Correlations at which a dual is compared with that of the panels, and the allowed difference
#: relative to the value at 1.
CHECKS = (1.0, 0.75, -0.5, -1.0)
AGREED = 1e-11
#: Largest refinement of the rules.
FINEST = 8
#: Every FEW-th radius determines the number of angles of the trapezoid rule, up to a limit.
FEW = 8
MOST_ANGLES = 8192
#: Largest numbers of terms on a side of a kink, and of radii there.
MOST_TERMS, MOST_RADII = 256, 1024
#: Largest number of bits of the working precision missing at that limit.
SPARE = 64
#: Bits beyond the working precision of the coefficients on the sides of a kink.
GUARD = 32
NEAR_KINK = (
    "on one side of 0 the activation has a pole or a branch point too near; lower "
    "weight_variance, or give a function of doubles"
)


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
        # A kink that is declared is where it is, however smooth the function is there.
        known = Expectation(in_doubles, slow=True, known=(0.0,) if kink else ())
    bad = known.pieces.breaks if not kink else known.pieces.breaks[known.pieces.breaks != 0.0]
    if bad.size or known.pieces.graded or known.missed > AGREED * known.norm:
        if kink and known.pieces.graded and not bad.size:
            raise NtkspecError(
                f"{name} has a root, a pole or too narrow a feature beside its kink at 0, where a "
                "function of flint or mpmath numbers must be smooth on both sides; give a function "
                "of doubles"
            )
        at = f" near {root * bad[np.argmin(np.abs(bad))]:.6g}" if bad.size else ""
        raise NtkspecError(
            f"{name} has a kink, a jump or too narrow a feature{at} that is not declared: give the "
            "places of all kinks as kinks=[0.0, ...], or a function of doubles"
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


def _radii(bits: int, finer: int) -> int:
    """Number of radii that suffices for functions without singularities."""
    return finer * (24 + int(0.9 * bits * LN2))


def _radial_rule(bits: int, n: int) -> list[tuple[arb, arb]]:
    """n nodes r and weights of r exp(-r^2/2) dr on [0, R], the rest below 2^-bits."""
    end = arb(2.0 * bits * LN2 + 20.0).sqrt()
    rule = []
    for i in range(n):
        x, weight = arb.legendre_p_root(n, i, True)
        r = end * (1 + x) / 2
        rule.append((r, weight * end / 2 * r * (-r * r / 2).exp()))
    return rule


def _by_cosines(function: Function, root: Any, finer: int) -> tuple[Function, Function]:
    """Smooth: cosine coefficients f_j, and d/d(cos theta) of their sum."""
    bits = ctx.prec
    rule, count = _radial_rule(bits, _radii(bits, finer)), 128 * finer
    for part in (rule[::FEW], rule):  # a few radii determine the number of angles
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
    terms, slopes = chebyshev_sum(coefficients), chebyshev_sum(_differentiated(coefficients))
    return lambda point: terms(point.cosine) + radius, lambda point: slopes(point.cosine)


def _check_resolved(noise: arb, largest: arb) -> None:
    """Raise when the last coefficients are so large that no higher precision would help."""
    if noise > largest * arb(2) ** (SPARE - ctx.prec):
        raise NtkspecError(
            f"the activation's dual needs more than {MOST_ANGLES} angles at {ctx.prec} bits: the "
            "activation has a pole or a branch point too near the real axis; lower "
            "weight_variance, or give a function of doubles"
        )


def chebyshev_sum(coefficients: list[arb]) -> Callable[[Any], Any]:
    """The sum of c_j T_j(x) as a function of x in [-1, 1].

    Each T_j comes from those of half its degree by few multiplications: its ball is j^2 times as
    wide as that of x.  Horner's rule and Clenshaw's widen the balls by a factor with every term.
    """
    row = arb_mat([coefficients])

    def total(x: Any) -> Any:
        values = [arb(1), x]
        for j in range(2, len(coefficients)):
            values.append(2 * values[j // 2] * values[j - j // 2] - values[j % 2])
        return (row * arb_mat([[value] for value in values[: len(coefficients)]]))[0, 0]

    return total


def _differentiated(coefficients: list[arb]) -> list[arb]:
    """Chebyshev coefficients of the derivative."""
    result = [arb(0)] * (len(coefficients) + 1)
    for j in range(len(coefficients) - 1, 0, -1):
        result[j - 1] = result[j + 1] + 2 * j * coefficients[j]
    result[0] /= 2
    return result[: len(coefficients)]


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
    with extra_precision(GUARD):
        same, opposite, noise = _convolutions(function, root, finer)
    spare = 3 * (len(same) + 1)

    def local(x: Any) -> Any:
        with extra_precision(spare):
            return same((1 - x.mid()) / 2) + opposite((1 + x.mid()) / 2)

    coefficients: list[arb] = []

    def series(values: list[arb]) -> Callable[[Any], Any]:
        coefficients[:] = chebyshev_coefficients(values)
        return chebyshev_sum(coefficients)

    found = interpolated(local, series, 24 + bits // 4, arb(2) ** (28 - bits))
    if found is None:
        raise NtkspecError(
            f"the activation's dual is no polynomial of the angle to {bits} bits: {NEAR_KINK}"
        )
    terms, gap = found
    radius = gap + arb(0, (noise * 8).upper())
    slopes = chebyshev_sum(_differentiated(coefficients))

    def place(point: Correlation) -> Any:
        return 2 * point.angle / arb.pi() - 1

    def value(point: Correlation) -> Any:
        return terms(place(point)) + radius

    def differentiated(point: Correlation) -> Any:
        return -slopes(place(point)) * 2 / arb.pi() / point.sine

    return value, differentiated


def _convolutions(function: Function, root: Any, finer: int) -> tuple[arb_poly, arb_poly, arb]:
    """E[sigma sigma] over the sectors of u v > 0 and of u v < 0, and the size of what is left out.

    They are polynomials p of 1 - theta / pi and of theta / pi.  On a side of the kink let
    sigma(+-sqrt(q) r cos a) = sum_i c_i(r) x^i, x = 1/2 - a / pi; it is even in a.  A sector of
    angle pi z has a from pi/2 - pi z to pi/2, and x of v is z less x of u: with M_ij the integral
    of c_i c_j r exp(-r^2/2), p(z) = sum_ij M_ij i! j! / (i + j + 1)! z^(i+j+1) / 2.
    """
    bits = ctx.prec - GUARD
    rule, missed = _settled_rule(function, root, bits, finer)
    count = finer * (24 + bits // 4)
    for part in (rule[::FEW], rule):  # a few radii determine the number of terms
        while True:
            right, left = _sides(function, root, part, count)
            same = right.transpose() * right + left.transpose() * left
            sizes = [abs(entry.mid()) for entry in same.entries()]
            largest, noise = max(sizes), max(sizes[-4 * count :])
            if noise <= largest * arb(2) ** -bits or count >= MOST_TERMS:
                break
            count = count * 4 // 3
    # The radii come from that of q too, which no longer rule makes smaller.
    noise = (noise + missed + max(entry.rad() for entry in same.entries())).upper()
    if noise > largest * arb(2) ** (SPARE - bits):
        raise NtkspecError(
            f"the activation's dual needs more than {MOST_TERMS} terms on a side of its kink at "
            f"{bits} bits: {NEAR_KINK}"
        )
    mixed = right.transpose() * left
    with extra_precision(12 * count):
        powers = _shifted_chebyshev(count)
        return _convolved(same, powers), _convolved(mixed + mixed.transpose(), powers), noise


def _settled_rule(
    function: Function, root: Any, bits: int, finer: int
) -> tuple[list[tuple[arb, arb]], arb]:
    """A radial rule, and how it differs from a shorter one, which is little unless it is long."""
    before: list[arb] = []
    count = _radii(bits, finer)
    while True:
        rule = _radial_rule(bits, count)
        right, left = _sides(function, root, rule, FEW)
        now = (right.transpose() * right + left.transpose() * left).entries()
        if before:
            missed = max(abs((x - y).mid()) for x, y in zip(before, now, strict=True))
            largest = max(abs(x.mid()) for x in now)
            if missed <= largest * arb(2) ** -bits:
                return rule, arb(0)
            if count >= MOST_RADII:
                return rule, missed
        before, count = now, count * 4 // 3


def _sides(function: Function, root: Any, rule: Any, count: int) -> tuple[arb_mat, arb_mat]:
    """Chebyshev coefficients in a of sigma(+-sqrt(q) r cos a), one row for each radius.

    Those of T_2j(2 a / pi), times the root of the radius's weight.
    """
    pi = arb.pi()
    angles = [pi * (2 * i + 1) / (2 * count) for i in range(count)]
    cosines = [(pi / 2 * (angle / 2).cos()).cos() for angle in angles]
    transform = arb_mat(
        [[(angle * j).cos() * (2 if j else 1) / count for j in range(count)] for angle in angles]
    )
    sides = []
    for sign in (1, -1):
        rows = [
            [weight.sqrt() * function(sign * root * r * c) for c in cosines] for r, weight in rule
        ]
        sides.append(arb_mat(rows) * transform)
    return sides[0], sides[1]


@lru_cache(maxsize=4)
def _shifted_chebyshev(count: int) -> fmpz_mat:
    """Coefficients in x of T_2j(1 - 2 x), one row for each j."""
    step = fmpz_poly([1, -2])
    before, now = fmpz_poly([1]), step
    rows = []
    for j in range(2 * count - 1):
        if j % 2 == 0:
            rows.append([int(before[i]) for i in range(2 * count - 1)])
        before, now = now, 2 * step * now - before
    return fmpz_mat(rows)


def _convolved(products: arb_mat, powers: fmpz_mat) -> arb_poly:
    """The polynomial of `_convolutions` from the products of Chebyshev coefficients."""
    n = powers.ncols()
    wide = arb_mat(powers)
    middle = arb_mat(
        [[products[i, j].mid() for j in range(powers.nrows())] for i in range(powers.nrows())]
    )
    moments = wide.transpose() * middle * wide
    factorials = [arb(math.factorial(i)) for i in range(2 * n)]
    totals = [arb(0)] * (2 * n)
    for i in range(n):
        for j in range(n):
            totals[i + j + 1] += factorials[i] * factorials[j] * moments[i, j]
    return arb_poly([total / factorials[k] / 2 for k, total in enumerate(totals)])
