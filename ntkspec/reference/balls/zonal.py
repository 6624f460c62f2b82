"""Eigenvalues of zonal kernels by quadrature of their definition.

On the sphere by the tanh-sinh rule in theta, t = cos(theta), halved until two rules agree; on the
cube by sums over the distances.  The built-in kernels are evaluated from their names, by formulas
in theta of this module; a user's kernel by its function.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import mpmath
from flint import arb, ctx, fmpz

from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.description import Reference

__all__ = ["zonal_references"]

LN2 = math.log(2.0)
MOST_BITS = 40_000
#: First step of the rule, and how often it is halved at most.
STEP, HALVINGS = 0.125, 12

Pointwise = Callable[[arb, int], arb]


def _distance(angle: arb) -> arb:
    return 2 * (angle / 2).sin()


def _matern(angle: arb, dim: int, nu: float, length: float) -> arb:
    z = (2 * arb(nu)).sqrt() * _distance(angle) / arb(length)
    return 2 * (z / 2) ** arb(nu) * z.bessel_k(nu) / arb(nu).gamma()


def _arc_cosine(angle: arb, dim: int, order: int) -> arb:
    """2 E[u^n v^n; u, v > 0] in polar coordinates.

    n! / pi times the integral of (cos x + cos y)^n over 0 < y < pi - x, x the angle.
    """
    end, total = arb.pi() - angle, arb(0)
    integrals = [end, end.sin()]
    for i in range(2, order + 1):
        part = end.cos() ** (i - 1) * end.sin()
        integrals.append((part + (i - 1) * integrals[i - 2]) / i)
    for i in range(order + 1):
        total += math.comb(order, i) * angle.cos() ** (order - i) * integrals[i]
    return total * arb(order + 1).gamma() / arb.pi()


#: The built-in kernels as functions of the angle, the dimension and their parameters.
FORMULAS: dict[str, Callable[..., arb]] = {
    "gaussian": lambda x, dim, length: (-((_distance(x) / arb(length)) ** 2) / 2).exp(),
    "laplace": lambda x, dim, length: (-_distance(x) / arb(length)).exp(),
    "matern": _matern,
    "gamma_exponential": lambda x, dim, gamma, length: (
        -((_distance(x) / arb(length)) ** arb(gamma))
    ).exp(),
    "rational_quadratic": lambda x, dim, alpha, length: (
        (1 + _distance(x) ** 2 / (2 * arb(alpha) * arb(length) ** 2)) ** -arb(alpha)
    ),
    "polynomial": lambda x, dim, degree, offset: (x.cos() + arb(offset)) ** degree,
    "arc_cosine": _arc_cosine,
    "poisson": lambda x, dim, r: (
        (1 - arb(r) ** 2) / (1 - 2 * arb(r) * x.cos() + arb(r) ** 2) ** (arb(dim) / 2)
    ),
}


def _pointwise(kernel: Any) -> Pointwise:
    """K as a function of the angle and the dimension."""
    name, _, arguments = kernel.name.partition("(")
    if name in FORMULAS and arguments and kernel.parameters().get("zonal") == kernel.name:
        values = ast.literal_eval(f"({arguments[:-1]},)")
        return lambda angle, dim: FORMULAS[name](angle, dim, *values)
    return lambda angle, dim: kernel.in_balls(dim)(angle.cos())


def _is_zero(kernel: Any, degree: int) -> bool:
    """Whether an eigenvalue is declared to be 0, or is that of a polynomial of lower degree."""
    main, others, last = kernel.zeros
    if last is not None and degree > last:
        return True
    return main is not None and degree % 2 != main and degree not in others


@exclusive()
def _on_spheres(
    network: Any, degrees: dict[int, list[int]], *, kernel: str, digits: int
) -> dict[tuple[int, int], Reference]:
    return {
        (dim, k): reference
        for dim, wanted in degrees.items()
        for k, reference in _of_sphere(network, dim, sorted(set(wanted)), digits).items()
    }


def _of_sphere(kernel: Any, dim: int, degrees: list[int], digits: int) -> dict[int, Reference]:
    """Raise the precision until all eigenvalues have the digits."""
    found = {k: _zero("zero by parity or degree") for k in degrees if _is_zero(kernel, k)}
    wanted = [k for k in degrees if k not in found]
    bits, kept = 128 + int(digits / math.log10(2.0)), int(digits / math.log10(2.0)) + 4
    while wanted:
        with working_precision(bits):
            values, errors, n = _integrals(_pointwise(kernel), dim, wanted, kept)
            method = f"tanh-sinh in theta, {n} nodes, {bits} bits"
            for k in list(wanted):
                if errors[k] < abs(values[k]).lower() * arb(2) ** -kept or bits > MOST_BITS:
                    wanted.remove(k)
                    found[k] = Reference(_mpf(values[k]), _mpf(errors[k]), method)
        bits *= 2
    return found


def _integrals(
    values: Pointwise, dim: int, degrees: list[int], kept: int
) -> tuple[dict[int, arb], dict[int, arb], int]:
    """Sums of the rule, and the differences from those of twice its step, with the rounding."""
    half = arb(dim) / 2
    constant = half.gamma() / (arb.pi().sqrt() * (half - arb(0.5)).gamma())
    # sin^(d-2) K falls as exp(-2 pi sinh u) or faster.
    end = math.asinh((ctx.prec + 16) * LN2 / math.pi) + 0.25
    wanted, last = set(degrees), degrees[-1]
    sums = {k: arb(0) for k in degrees}
    step, n = arb(STEP), 0
    points = [STEP * i for i in range(-int(end / STEP), int(end / STEP) + 1)]
    before: dict[int, arb] | None = None
    for _ in range(HALVINGS):
        for u in points:
            sigma = (-arb.pi() * arb(u).sinh()).exp()
            angle = arb.pi() / (1 + sigma)
            weight = arb.pi() ** 2 * arb(u).cosh() * sigma / (1 + sigma) ** 2
            # sin is computed from the nearer end.
            sine = (angle if u < 0 else arb.pi() * sigma / (1 + sigma)).sin()
            weight = weight * sine ** (dim - 2) * values(angle, dim)
            _add_legendre(sums, weight, angle.cos(), dim, wanted, last)
        n += len(points)
        found = {k: constant * step * total for k, total in sums.items()}
        floor = arb(2) ** (12 - ctx.prec) * abs(values(arb(2) ** -40, dim))
        if before is not None:
            errors = {
                k: arb((abs(found[k] - before[k]) + floor + found[k].rad()).upper())
                for k in degrees
            }
            if all(errors[k] < abs(found[k]).lower() * arb(2) ** -kept or errors[k] < 4 * floor
                   for k in degrees):  # fmt: skip
                break
        before, step = found, step / 2
        width = float(step)
        points = [width * i for i in range(-int(end / width), int(end / width) + 1) if i % 2]
    return found, errors, n


def _add_legendre(
    sums: dict[int, arb], weight: arb, t: arb, dim: int, wanted: set[int], last: int
) -> None:
    """Add weight P_k(t) for the wanted degrees, by the three-term recurrence."""
    here, following = weight, weight * t
    for k in range(last + 1):
        if k in wanted:
            sums[k] += here
        here, following = (
            following, ((2 * k + dim) * t * following - (k + 1) * here) / (k + dim - 1)
        )  # fmt: skip


@exclusive()
def _on_cubes(
    network: Any, degrees: dict[int, list[int]], *, kernel: str, digits: int
) -> dict[tuple[int, int], Reference]:
    found = {}
    for dim, wanted in degrees.items():
        bits = 64 + 2 * int(digits / math.log10(2.0)) + 4 * dim
        with working_precision(bits):
            values = _pointwise(network)
            at = [values((arb(dim - 2 * j) / dim).acos(), dim) for j in range(dim + 1)]
            for k in set(wanted):
                if _is_zero(network, k):
                    found[dim, k] = _zero("zero by parity")
                    continue
                total = arb(0)
                for j, value in enumerate(at):
                    total += value * sum(
                        (-1) ** i * math.comb(k, i) * math.comb(dim - k, j - i)
                        for i in range(max(0, j - dim + k), min(j, k) + 1)
                    )
                total /= fmpz(2) ** dim
                method = f"sum over the {dim + 1} distances, {bits} bits"
                found[dim, k] = Reference(_mpf(total), _mpf(arb(total.rad())), method)
    return found


def _under_gaussian(
    network: Any, degrees: dict[int, list[int]], *, kernel: str, digits: int
) -> dict[tuple[int, int], Reference]:
    """Those of the sphere times E[(|x|^2 / d)^P] = (2/d)^P Gamma(d/2 + P) / Gamma(d/2)."""
    found = _on_spheres(network, degrees, kernel=kernel, digits=digits + 2)
    with working_precision(64 + 4 * digits):
        for (dim, k), one in found.items():
            half, power = arb(dim) / 2, arb(network.radial_power)
            moment = (half + power).gamma() / half.gamma() / half**power
            value, error = (_mpf(arb(x) * moment) for x in (one.value, one.error))
            method = f"{one.method}, times a moment of the radius"
            found[dim, k] = Reference(value, error, method)
    return found


def _zero(method: str) -> Reference:
    return Reference(mpmath.mpf(0), mpmath.mpf(0), method)


def _mpf(ball: arb) -> mpmath.mpf:
    return mpmath.make_mpf(ball.mid()._mpf_)


#: The references of each domain, by dimension and degree.
zonal_references: dict[str, Callable[..., dict[tuple[int, int], Reference]]] = {
    "sphere": _on_spheres,
    "cube": _on_cubes,
    "gaussian": _under_gaussian,
}
