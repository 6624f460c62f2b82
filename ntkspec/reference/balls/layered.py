"""Eigenvalues of the general network (any depth, bias, activation) by an independent route.

Only the definition is shared with the engine: the Gaussian expectations of each layer
by two-dimensional quadrature (`expectations`), the layers composed at the nodes of a rule in
theta = arccos t (`sampled`), and the Gegenbauer integral by that rule, all in balls (Arb) at a
working precision set by the smallest result:

* smooth sigma: from the cosine coefficients c_j of K, lambda_k = sum_j c_j m_j with the mean m_j of
  cos(j theta) P_k(cos theta) on the sphere, which is 0 for j < k;
* sigma with a kink at 0: by the rule of the samples.

One pass serves all depths, kernels, dimensions and degrees.  A value is accepted when its ball is
small enough *and* a second pass with 1.2 times as many nodes everywhere agrees.  One that is not 0
(`ntkspec.reference.zeros`) but cannot be distinguished from it takes more bits.  It is rounded to
the digits that are asked for and two more, so it does not depend on the samples, which may be those
of a dearer entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from flint import arb, arb_mat, ctx

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.balls.agreement import GROWTH, to_mpf
from ntkspec.reference.balls.expectations import log_series_eigenvalue, smooth_of
from ntkspec.reference.balls.kernels import GUARD_BITS
from ntkspec.reference.balls.legendre import (
    cosine_means,
    dot,
    legendre,
    log_multiplicity,
    measure_constant,
)
from ntkspec.reference.balls.sampled import Effort, Samples, on_ladder, samples
from ntkspec.reference.description import Description, Kernel, Reference, checked_digits, describe
from ntkspec.reference.zeros import is_zero

__all__ = ["Case", "reference_effort", "reference_spectra", "reference_spectrum"]

MAX_PASSES = 14


class Case(NamedTuple):
    """One kernel in one dimension, for given activation and variances.

    Examples
    --------
    >>> Case(3, "ntk", 2, "hidden")
    Case(dim=3, kernel='ntk', depth=2, trained='hidden')
    """

    dim: int
    kernel: Kernel = "ntk"
    depth: int = 1
    trained: Literal["hidden", "all"] = "hidden"


@exclusive()
def reference_spectrum(
    network: Any,
    dim: int,
    degrees: Sequence[int],
    *,
    kernel: Kernel = "ntk",
    digits: int = 40,
) -> list[Reference]:
    """Compute eigenvalues of a network's kernel, with Gaussian weights, in one pass.

    Parameters
    ----------
    network, dim, kernel, digits
        As for `reference_eigenvalue`.
    degrees : sequence of int
        Each k >= 0, in any order.

    Returns
    -------
    list of Reference
        In the order of `degrees`.

    Raises
    ------
    NtkspecError
        As for `reference_eigenvalue`.

    Examples
    --------
    >>> import mpmath
    >>> from types import SimpleNamespace
    >>> net = SimpleNamespace(activation="relu", weight_variance=1.0)
    >>> [mpmath.nstr(r.value, 8) for r in reference_spectrum(net, 3, [0, 1, 2], digits=20)]
    ['0.0625', '0.083333333', '0.02734375']
    """
    net = describe(network)
    case = Case(dim, kernel, net.depth, net.trained)  # type: ignore[arg-type]
    return reference_spectra(net, [case], degrees, digits=digits)[case]


def reference_effort(
    network: Any, dim: int, degree: int, *, kernel: Kernel = "ntk", digits: int = 25
) -> Effort:
    """Return the effort of the samples from which `reference_spectrum` begins.

    Examples
    --------
    >>> reference_effort("gelu", 3, 10).bits
    182
    """
    net = describe(network)
    return _Plan(net, [Case(dim, kernel)], {dim: [degree]}, digits).effort()


@exclusive()
def reference_spectra(
    network: Any,
    cases: Iterable[Case],
    degrees: Sequence[int] | Mapping[int, Sequence[int]],
    *,
    digits: int = 20,
) -> dict[Case, list[Reference]]:
    """Compute many kernels of one activation, s_w and s_b, sharing all the work.

    Parameters
    ----------
    network, digits
        As for `reference_eigenvalue`, and so are the errors raised; the network's depth and
        trained are ignored.
    cases : iterable of Case
    degrees : sequence of int, or mapping from dim to such
        The same for all cases, or by dimension.

    Returns
    -------
    dict from Case to list of Reference
        Lists in the order of the degrees.  The smallest requested eigenvalue determines the
        working precision of all.

    Examples
    --------
    >>> import mpmath
    >>> from types import SimpleNamespace
    >>> net = SimpleNamespace(activation="relu", weight_variance=1.0)
    >>> case = Case(3, "ntk", 1, "hidden")
    >>> [mpmath.nstr(r.value, 8) for r in reference_spectra(net, [case], [0, 1])[case]]
    ['0.0625', '0.083333333']
    """
    net = describe(network)
    if net.weights != "gaussian":
        raise NtkspecError(
            f"weights = {net.weights!r} is not allowed here; use reference_eigenvalue"
        )
    wanted = list(dict.fromkeys(cases))
    for case in wanted:
        whole_number(case.dim, "dim", 2)
        of_case = replace(net, depth=case.depth, trained=case.trained)
        describe(of_case).mixture(case.kernel)
    digits = checked_digits(digits)
    by_dim = {
        dim: [
            whole_number(k, "degree", 0)
            for k in (degrees[dim] if isinstance(degrees, Mapping) else degrees)
        ]
        for dim in {case.dim for case in wanted}
    }
    return _until_agreement(_Plan(net, wanted, by_dim, digits))


@dataclass(frozen=True)
class _Plan:
    """The requested values and their precision, from estimates of the smallest eigenvalue."""

    network: Description
    cases: list[Case]
    degrees: dict[int, list[int]]
    digits: int

    @property
    def depth(self) -> int:
        return max(case.depth for case in self.cases)

    @property
    def bits_kept(self) -> int:
        """Bits of the values: their digits and two more."""
        return math.ceil((self.digits + 2) * math.log2(10.0))

    def computed(self, dim: int) -> list[int]:
        """All degrees and their neighbours, which give the scale for zeros."""
        around = {k + i for k in self.degrees[dim] for i in (-1, 0, 1)}
        return sorted(k for k in around if k >= 0)

    def is_zero(self, case: Case, degree: int) -> bool:
        """Whether a value is 0."""
        network = replace(self.network, depth=case.depth, trained=case.trained)
        return is_zero(network, case.kernel, degree)

    def log_floor(self, dim: int, degree: int) -> float:
        """Estimate the log of a nonzero eigenvalue, preferably too small."""
        net, s = self.network, self.network.weight_variance
        if net.smooth:
            return log_series_eigenvalue(smooth_of(net), s, dim, degree) - 3.0
        order = max(sigma.order for sigma in net.sigmas)
        power = -(2 * max(order, 1) + 3) * math.log1p(degree)
        return power - log_multiplicity(dim, degree) - 3.0

    def effort(self) -> Effort:
        """Return what the samples must serve.

        Errors in the values at nodes show with the sum of the absolute cosines in P_k, which is 1,
        those in cosine coefficients with m_j, at most N^(-1/2).
        """
        guard = GUARD_BITS * (1 if self.network.smooth else 2)
        rounding = 0.0
        for dim, degrees in self.degrees.items():
            for k in degrees:
                small = self.log_floor(dim, k)
                if self.network.smooth:
                    small += log_multiplicity(dim, k) / 2
                rounding = max(rounding, self.digits * math.log(10.0) - small)
        bits = on_ladder(rounding / math.log(2.0) + guard)
        nats = (bits - guard) * math.log(2.0) + 10.0
        if self.network.smooth:
            return Effort(bits, nats)
        return Effort(bits, nats, on_ladder(max(max(self.computed(d)) + d for d in self.degrees)))


# --- accepting values ---------------------------------------------------------------------------

#: Values by degree.
_Row = dict[int, arb]
_Values = dict[Case, _Row]


def _until_agreement(plan: _Plan) -> dict[Case, list[Reference]]:
    """Pairs of passes with more nodes or bits, until all values are accepted."""
    effort, trouble = plan.effort(), ""
    before: _Values | None = None
    network = replace(plan.network, depth=plan.depth)
    for _ in range(MAX_PASSES):
        found = samples(network, effort)
        effort = found.effort
        with working_precision(found.effort.bits):
            after = _spectra(plan, found)
            if not all(x.is_finite() for row in after.values() for x in row.values()):
                effort = effort._replace(bits=effort.bits + effort.bits // 2)
                before, trouble = None, " (not finite)"
                continue
            if before is not None:
                wrong = _not_yet_right(plan, before, after)
                if not wrong:
                    return {c: _references(plan, c, before[c], after[c]) for c in plan.cases}
                trouble = " for {}, degree {}".format(*max(wrong, key=lambda w: w.excess)[:2])
                more = max(w.missing_bits for w in wrong)
                if more:
                    effort = effort._replace(
                        bits=effort.bits + more, nats=effort.nats + more * math.log(2.0)
                    )
                    before = None
                    continue
            before, effort = after, effort.grown(GROWTH)
    raise NtkspecError(
        f"digits = {plan.digits} was not reached{trouble}: "
        "no two passes of the reference quadrature agreed"
    )


class _Wrong(NamedTuple):
    case: Case
    degree: int
    excess: float
    missing_bits: int


def _not_yet_right(plan: _Plan, before: _Values, after: _Values) -> list[_Wrong]:
    """Positions of too large errors, their excess (log), and its part from rounding."""
    wrong = []
    for case, values in after.items():
        errors = _errors(plan, before[case], values)
        allowed = _allowed(plan, case, values, errors)
        for k in plan.degrees[case.dim]:
            if k not in allowed:
                wrong.append(_Wrong(case, k, math.inf, ctx.prec // 2))
                continue
            error, limit, radius = errors[k], allowed[k], values[k].rad()
            if not error < limit:
                bits = 0
                if not 8 * radius < limit:
                    bits = 16 + max(int(float((radius / limit).log()) / math.log(2.0)), 0)
                wrong.append(_Wrong(case, k, float((error / limit).log()), bits))
    return wrong


def _errors(plan: _Plan, before: _Row, after: _Row) -> _Row:
    """Return the difference of two passes, both radii and the rounding included."""
    rounding = arb(2) ** -plan.bits_kept
    return {
        k: (abs(value - before[k]) + abs(value) * rounding).upper() for k, value in after.items()
    }


def _allowed(plan: _Plan, case: Case, values: _Row, errors: _Row) -> _Row:
    """Half of 10^-digits of the value, or of the smaller neighbour of one that is 0.

    None for one that is not 0 but cannot be distinguished from it.
    """
    sizes = {k: abs(x.mid()) for k, x in values.items() if abs(x.mid()) > errors[k]}
    result = {}
    for k in values:
        size = sizes.get(k)
        if size is None and not plan.is_zero(case, k):
            continue
        if size is None:
            near = [sizes[i] for i in (k - 1, k + 1) if i in sizes]
            size = min(near) if near else arb(plan.log_floor(case.dim, k)).exp()
        result[k] = size / (2 * arb(10) ** plan.digits)
    return result


def _references(plan: _Plan, case: Case, before: _Row, after: _Row) -> list[Reference]:
    errors = _errors(plan, before, after)
    allowed = _allowed(plan, case, after, errors)
    method = f"Gaussian expectation of every layer in polar form, {plan.effort().bits} bits or more"
    found = []
    for k in plan.degrees[case.dim]:
        value = after[k].mid() if abs(after[k].mid()) > errors[k] else arb(0)
        with working_precision(plan.bits_kept):
            value = (+value).mid()
        with working_precision(53):
            error = allowed[k].upper()
        found.append(Reference(to_mpf(value), to_mpf(error), method))
    return found


# --- one pass -----------------------------------------------------------------------------------


def _spectra(plan: _Plan, found: Samples) -> _Values:
    """All requested values, from the kernels at the nodes."""
    result: _Values = {}
    for dim in plan.degrees:
        cases = [case for case in plan.cases if case.dim == dim]
        numbers = found.coefficients if plan.network.smooth else found.values
        rows = [numbers(c.kernel, c.depth, c.trained) for c in cases]
        degrees = plan.computed(dim)
        values = (_by_cosines if plan.network.smooth else _by_nodes)(found, dim, degrees, rows)
        for case, row in zip(cases, values, strict=True):
            result[case] = dict(zip(degrees, row, strict=True))
    return result


def _by_cosines(
    found: Samples, dim: int, degrees: list[int], rows: list[list[arb]]
) -> list[list[arb]]:
    """sum_j c_j m_j for each degree and each row of coefficients."""
    values: list[list[arb]] = [[] for _ in rows]
    for k in degrees:
        means = cosine_means(dim, k, len(found.points))
        for row, mine in zip(rows, values, strict=True):
            mine.append(dot(row[k::2], means))
    return values


def _by_nodes(
    found: Samples, dim: int, degrees: list[int], rows: list[list[arb]]
) -> list[list[arb]]:
    """The rule of the samples, for each degree and each row of values."""
    constant = measure_constant(dim)
    weights = [
        constant * b * p.imag ** (dim - 2) for b, p in zip(found.base, found.points, strict=True)
    ]
    weighted = arb_mat([[w * x for w, x in zip(weights, row, strict=True)] for row in rows])
    by_degree: dict[int, list[arb]] = {}
    for parity in (0, 1):
        some = [k for k in degrees if k % 2 == parity]
        if some:
            polynomials = arb_mat(legendre(dim, some, found.points))
            columns = (weighted * polynomials.transpose()).transpose().tolist()
            by_degree |= dict(zip(some, columns, strict=True))
    return [[by_degree[k][n] for k in degrees] for n in range(len(rows))]
