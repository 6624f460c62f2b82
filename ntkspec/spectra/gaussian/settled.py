"""Eigenvalues of the operators in the radius, with increasing effort until two runs agree.

For every degree of spherical harmonics there is an operator in the radius alone,

    (A_l f)(r) = E[lambda_l(r, r') f(r')],   r^2 = |x|^2 / d,

with lambda_l(r, r') the eigenvalue on the sphere of t -> K(t; r, r'); its eigenvalues are those of
K, each N(d, l) times.  A rule in r in many digits makes it a matrix; nodes, terms and digits are
raised together until two runs agree, and their difference is the error given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.domains import Domain, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.gaussian.radial import leading_eigenvalues
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Eigenvalues, Route, Source

__all__ = ["Effort", "Operators", "radial_route"]

ROUNDING = 2.0**-53
#: Accepted relative difference of two runs.
AGREEMENT = 2.0**-43
MOST_RUNS = 9

Doubles = NDArray[np.float64]
#: By degree and rank.
Values = list[list[arb]]


@dataclass(frozen=True)
class Effort:
    """Nodes in the radius and the angle, terms of the series, range of the radius, and digits.

    The weight cut off, e^-reach, is a relative error of every eigenvalue, as the eigenfunctions
    have norm 1; the digits e^-nats must cover the fall of the eigenvalues too.
    """

    nodes: int
    angles: int
    terms: int
    reach: float
    nats: float

    @classmethod
    def first(cls, dim: int, degree: int, radial: int) -> Effort:
        """Initial effort; small, as most of the work is in the last run."""
        terms = 64 + 2 * degree + 8 * radial + 700 // dim
        return cls(28 + 2 * radial, 24 + degree, terms, 56.0, 70.0 + 12.0 * radial)

    def more(self, nodes: bool, terms: bool, nats: float) -> Effort:
        """Increase the limiting parameters of the last run, and the others in proportion."""
        return Effort(
            self.nodes * 5 // 4 if nodes else self.nodes,
            self.angles * 5 // 4,
            -(-self.terms * 7 // 5) if terms else self.terms,
            self.reach + 2.0,
            max(self.nats + 6.0, nats),
        )

    @property
    def bits(self) -> int:
        """The working precision."""
        return int(self.nats / math.log(2.0)) + 40


class Operators(Protocol):
    """The matrices sqrt(W_i W_j) lambda_l(r_i, r_j), at an effort."""

    def cut(self) -> Operators | None:
        """Return the same with the terms of the previous run, if that is cheap."""

    def diagonal(self, degree: int) -> list[arb]:
        """Return the diagonal of a degree's matrix."""

    def column(self, degree: int, j: int) -> list[arb]:
        """Return a column of a degree's matrix."""


def radial_route(
    name: str,
    takes: Callable[[Source, Domain, Kernel], str | None],
    operators: Callable[[Network, int, Kernel, Effort], Operators],
    serves: str,
) -> Route:
    """Make a route from a function that returns the operators of a network at an effort."""

    def eigenvalues(
        source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
    ) -> Eigenvalues:
        assert isinstance(source, Network)
        assert isinstance(domain, Gaussian)

        def make(effort: Effort) -> Operators:
            return operators(source, domain.dim, kernel, effort)

        return settled(make, parity(source, kernel), domain, degrees.tolist())

    return Route(name, takes, eigenvalues, serves=serves)


@exclusive()
def settled(
    make: Callable[[Effort], Operators], zeros: Parity, domain: Gaussian, degrees: list[int]
) -> Eigenvalues:
    """Raise the effort until runs agree in every eigenvalue that is not an exact zero.

    Each run is compared with itself without its last terms, and with the run before, at equally
    many terms, for the nodes.  `make` is called at the precision of the effort.
    """
    dim, count = domain.dim, domain.radial
    ranks = [min(count, _rank(zeros, degree, count)) for degree in degrees]
    effort = Effort.first(dim, max(degrees), count)
    before: Values | None = None
    lacks_terms = False
    for _ in range(MOST_RUNS):
        values, cut = _run(make, effort, degrees, ranks)
        by_terms = _differences(values, values if cut is None else cut)
        lacks_nodes = True
        if before is not None:
            by_nodes = _differences(cut if cut and lacks_terms else values, before)
            lacks_nodes = by_nodes.max(initial=0.0) > AGREEMENT
            if not lacks_nodes and by_terms.max(initial=0.0) <= AGREEMENT:
                return _as_doubles(values, by_nodes + by_terms, count)
        before = values
        lacks_terms = cut is None or by_terms.max(initial=0.0) > AGREEMENT
        falls = [math.log(float(v[0] / v[-1])) for v in values if v and v[-1] > 0]
        effort = effort.more(lacks_nodes, lacks_terms, 48.0 + max(falls, default=0.0))
    raise NtkspecError(
        f"the eigenvalues of degrees {degrees[0]} to {degrees[-1]} in dimension {dim} do not "
        f"settle with {effort.nodes} nodes and {effort.terms} terms; lower the degree, radial or "
        "the variances"
    )


def _run(
    make: Callable[[Effort], Operators], effort: Effort, degrees: list[int], ranks: list[int]
) -> tuple[Values, Values | None]:
    """Eigenvalues with all terms and, if that is cheap, with the terms of the previous run."""
    with working_precision(effort.bits):
        operators = make(effort)
        values = _leading(operators, degrees, ranks, effort)
        cut = operators.cut()
        return values, None if cut is None else _leading(cut, degrees, ranks, effort)


def _leading(operators: Operators, degrees: list[int], ranks: list[int], effort: Effort) -> Values:
    values: Values = []
    for degree, rank in zip(degrees, ranks, strict=True):
        if rank == 0:
            values.append([])
            continue
        column = partial(operators.column, degree)
        diagonal = operators.diagonal(degree)
        values.append(leading_eigenvalues(diagonal, column, rank, effort.nats))
    return values


def _rank(zeros: Parity, degree: int, most: int) -> int:
    """Number of nonzero eigenvalues of a degree, for t^n with n from a finite list."""
    if zeros.main is None or degree % 2 == zeros.main:
        return most
    return sum(n >= degree and (n - degree) % 2 == 0 for n in zeros.others)


def _differences(values: Values, before: Values) -> Doubles:
    """Relative differences, with rows padded by 0."""
    rows = []
    for row, old in zip(values, before, strict=True):
        pairs = zip(row, old, strict=True)
        rows.append([abs(float(1 - y / x)) if x > 0 else math.inf for x, y in pairs])
    width = max((len(row) for row in rows), default=0)
    return np.array([row + [0.0] * (width - len(row)) for row in rows]).reshape(len(rows), width)


def _as_doubles(values: Values, difference: Doubles, count: int) -> Eigenvalues:
    shape = (len(values), count)
    mantissa, exponent, error = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape)
    for k, row in enumerate(values):
        for j, ball in enumerate(row):
            mantissa[k, j], exponent[k, j] = split(ball)
            error[k, j] = 2.0 * difference[k, j] + 2.0 * ROUNDING
    return mantissa, exponent, error
