"""Acceptance of values: the ball is small enough, and two runs of different effort agree."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import mpmath
from flint import arb, ctx

from ntkspec.errors import NtkspecError
from ntkspec.precision import working_precision
from ntkspec.reference.description import Description, Kernel, Reference

__all__ = ["GROWTH", "Integral", "Run", "agreed_value", "to_mpf"]

#: Factor on the number of nodes from run to run.
GROWTH = 1.2
MAX_RUNS = 12


@dataclass(frozen=True)
class Run:
    """Result of one run of an integral, and a bound on the omitted parts."""

    value: arb
    tail: arb
    method: str


class Integral(ABC):
    """An eigenvalue as an integral that can be computed with any effort, from `bits` on."""

    bits: int

    def __init__(self, network: Description, kernel: Kernel, dim: int, degree: int) -> None:
        self.network, self.dim, self.degree = network, dim, degree
        self.variance, self.mixture = network.weight_variance, network.mixture(kernel)

    @abstractmethod
    def zero_scale(self) -> arb:
        """Return a size below every eigenvalue that is not 0."""

    @abstractmethod
    def run(self, effort: float) -> Run:
        """Integrate; the number of nodes grows with the effort."""


def agreed_value(integral: Integral, digits: int) -> Reference:
    """Raise the precision until the ball is small, the effort until two runs agree."""
    bits, effort = integral.bits, 1.0
    before: Run | None = None
    for _ in range(MAX_RUNS):
        with working_precision(bits):
            run = integral.run(effort)
            size = max(abs(run.value.mid()), integral.zero_scale())
            allowed = size / arb(10) ** digits
            if not run.value.rad() < allowed / 8:
                bits += _missing_bits(run.value, allowed)
                before = None
                continue
            if before is not None:
                error = (abs(run.value - before.value) + run.tail + run.value.rad()).upper()
                if error < allowed:
                    return Reference(to_mpf(run.value), to_mpf(error), run.method)
            before, effort = run, effort * GROWTH
    raise NtkspecError(
        f"digits = {digits} was not reached for dim = {integral.dim}, degree = {integral.degree}: "
        "no two runs of the reference quadrature agreed"
    )


def _missing_bits(value: arb, allowed: arb) -> int:
    if not value.is_finite():
        return int(ctx.prec)
    lost = float((value.rad() / allowed).log()) / math.log(2.0)
    return 24 + max(int(lost), 0)


def to_mpf(ball: arb) -> mpmath.mpf:
    """Return the midpoint exactly, at any precision of mpmath."""
    return mpmath.make_mpf(ball.mid()._mpf_)
