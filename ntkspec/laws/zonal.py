"""Laws of zonal kernels, from their singularities at t = 1 and -1 or from closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

from ntkspec.errors import NtkspecError
from ntkspec.laws.form import Law, branch_point, by_parity
from ntkspec.precision import working_precision
from ntkspec.zonal import ZonalKernel, formulas
from ntkspec.zonal.formula import Formula

__all__ = ["zonal_law"]


def zonal_law(kernel: ZonalKernel, dim: int) -> Law:
    """Law of a kernel on the sphere.

    Raises
    ------
    NtkspecError
        When nothing that determines it is known.
    """
    with working_precision(128):
        smooth = _of_formula(kernel.formula, dim)
        if smooth is not None:
            return smooth
        ends = kernel.ends()
    if ends:
        return _of_ends(kernel, ends, dim)
    if kernel.radius == math.inf:
        return Law("superexponential", math.nan, math.nan, math.nan, 1.0)
    last = kernel.zeros[2]
    if last is not None:
        raise NtkspecError(f"{kernel.name} is a polynomial: its spectrum ends at degree {last}")
    if kernel.radius is not None:
        raise NtkspecError(
            f"{kernel.name} has no derived law: its radius bounds the decay, which is at least "
            f"exp(-{math.acosh(kernel.radius):.4g} k), but does not determine it"
        )
    raise NtkspecError(
        f"{kernel.name} has no derived law: its singularities are unknown; declare "
        "singularities=, or use ntkspec.fit"
    )


def _of_formula(formula: Formula | None, dim: int) -> Law | None:
    """Closed forms, and those of branch points off [-1, 1]."""
    match formula:
        case formulas.Poisson(r=r):
            return Law("geometric", 0.0, 0.0, -math.log(r), 1.0)
        case formulas.RationalQuadratic(alpha=alpha):
            b = float(formula.rate)  # (1 + b - b t)^-alpha
            distance = float((1 + 1 / formula.rate).acosh())
            form = branch_point(dim, distance, alpha)
            return replace(form, log_constant=form.log_constant - alpha * math.log(b))
        case formulas.Gaussian() | formulas.GammaExponential(gamma=2.0):
            # exp(-c) (c/2)^k Gamma(d/2) / Gamma(k + d/2)
            c = float(formula.rate)
            constant = math.lgamma(dim / 2) - c
            return Law(
                "superexponential", constant, 1.0 - dim / 2, -math.log(c / 2.0), 1.0, factorial=1.0
            )
    return None


def _of_ends(kernel: ZonalKernel, ends: dict[int, tuple[float, float]], dim: int) -> Law:
    """From c (1 - t)^s, and c (1 + t)^s with the factor (-1)^k.

    lambda_k ~ c / Gamma(-s) 2^(s+d-2) Gamma(d/2) Gamma(s + (d-1)/2) / sqrt(pi) k^(1-d-2s).
    """
    s = min(exponent for exponent, _ in ends.values())
    first, last = (
        ends[at][1] if at in ends and ends[at][0] == s else 0.0 for at in (1, -1)
    )  # fmt: skip
    constant = (s + dim - 2) * math.log(2.0) + math.lgamma(dim / 2) - 0.5 * math.log(math.pi)
    form = Law("power", constant + math.lgamma(s + (dim - 1) / 2), 1.0 - dim - 2.0 * s, 0.0, 1.0)
    if first == 0.0:  # of the same size in all degrees
        first, last = last, 0.0
    return by_parity(form, first, last, kernel.zeros[0])
