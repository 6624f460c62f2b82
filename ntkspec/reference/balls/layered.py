"""Eigenvalues of the general network (any depth, bias, activation) by an independent route.

Only the definition is shared with the engine: the Gaussian expectations of each layer
by two-dimensional quadrature (`expectations`), the layers composed at the nodes of a rule in
theta = arccos t, and the Gegenbauer integral by that rule, all in balls (Arb) at a working
precision set by the smallest result.  The rules:

* smooth sigma: K is smooth and even on the circle; equal angles, with the weights that integrate
  cos(n theta) sin(theta)^(d-2) exactly (Fejer's first rule, for the measure of dimension d);
* sigma with a kink at 0: K is analytic in theta on [0, pi], the ends included; Gauss-Legendre in
  theta, in panels where a small bias leaves a branch point close to theta = pi.  Only step, whose
  dual is linear in theta, composes to theta^(1/2), theta^(1/4), ...: with
  theta = pi y^(2^(depth-1)) the integrand is analytic in y.

One pass serves all depths, kernels, dimensions and degrees.  A value is accepted when its ball is
small enough *and* a second pass with 1.2 times as many nodes everywhere agrees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from flint import acb, arb, arb_mat, ctx, fmpq

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.balls.agreement import GROWTH, to_mpf
from ntkspec.reference.balls.expectations import (
    PARTS,
    highest_frequency,
    log_series_eigenvalue,
)
from ntkspec.reference.balls.kernels import GUARD_BITS, LayeredKernels, point_at
from ntkspec.reference.balls.legendre import (
    cosine_series,
    cosine_sums,
    entire_rule_size,
    fejer_series,
    gauss_legendre,
    log_multiplicity,
    measure_constant,
    powers_of,
)
from ntkspec.reference.description import Description, Kernel, Reference, checked_digits, describe

__all__ = ["Case", "reference_spectra", "reference_spectrum"]

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

    def computed(self, dim: int) -> list[int]:
        """All degrees and their neighbours, which give the scale for zeros."""
        around = {k + i for k in self.degrees[dim] for i in (-1, 0, 1)}
        return sorted(k for k in around if k >= 0)

    def log_floor(self, dim: int, degree: int) -> float:
        """Estimate the log of a nonzero eigenvalue, preferably too small."""
        net, s = self.network, self.network.weight_variance
        if net.smooth:
            return log_series_eigenvalue(PARTS[net.activation], s, dim, degree) - 3.0
        power = -(2 * max(net.order, 1) + 3) * math.log1p(degree)
        return power - log_multiplicity(dim, degree) - 3.0

    def nats(self) -> tuple[float, float]:
        """Return -log of the absolute error allowed to the nodes, and to the rounding.

        What the nodes miss of K is rough, and the mean of abs(P_k) is at most N^(-1/2); rounding
        shows with the sum of the absolute cosines in P_k, which is 1.
        """
        digits = self.digits * math.log(10.0)
        nodes = rounding = 0.0
        for dim, degrees in self.degrees.items():
            for k in degrees:
                small = self.log_floor(dim, k)
                rounding = max(rounding, digits - small)
                nodes = max(nodes, digits - small - log_multiplicity(dim, k) / 2)
        return nodes + 10.0, rounding


# --- accepting values ---------------------------------------------------------------------------

#: Values by degree.
_Row = dict[int, arb]
_Values = dict[Case, _Row]


def _until_agreement(plan: _Plan) -> dict[Case, list[Reference]]:
    """Pairs of passes with more nodes or bits, until all values are accepted."""
    nats, rounding = plan.nats()
    bits = int(rounding / math.log(2.0)) + GUARD_BITS * (1 if plan.network.smooth else 2)
    before: _Values | None = None
    effort, trouble = 1.0, ""
    for _ in range(MAX_PASSES):
        with working_precision(bits):
            passed = _Pass(plan, nats, effort)
            after = passed.spectra()
            if not all(x.is_finite() for row in after.values() for x in row.values()):
                bits, before, trouble = bits + bits // 2, None, " (not finite)"
                continue
            if before is not None:
                wrong = _not_yet_right(plan, before, after)
                if not wrong:
                    method = passed.method()
                    return {
                        c: _references(plan, c, before[c], after[c], method) for c in plan.cases
                    }
                trouble = " for {}, degree {}".format(*max(wrong, key=lambda w: w.excess)[:2])
                more = max(w.missing_bits for w in wrong)
                if more:
                    bits, nats, before = bits + more, nats + more * math.log(2.0), None
                    continue
            before, effort = after, effort * GROWTH
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
        errors = _errors(before[case], values)
        allowed = _allowed(plan, case, values, errors)
        for k in plan.degrees[case.dim]:
            error, limit, radius = errors[k], allowed[k], values[k].rad()
            if not error < limit:
                bits = 0
                if not 8 * radius < limit:
                    bits = 16 + max(int(float((radius / limit).log()) / math.log(2.0)), 0)
                wrong.append(_Wrong(case, k, float((error / limit).log()), bits))
    return wrong


def _errors(before: _Row, after: _Row) -> _Row:
    """Return the difference of two passes, both radii included."""
    return {k: abs(value - before[k]).upper() for k, value in after.items()}


def _allowed(plan: _Plan, case: Case, values: _Row, errors: _Row) -> _Row:
    """10^-digits of the value, or of the smaller neighbour of one that may be 0."""
    sizes = {k: abs(x.mid()) for k, x in values.items() if abs(x.mid()) > errors[k]}
    result = {}
    for k in values:
        near = [sizes[i] for i in (k - 1, k + 1) if i in sizes]
        size = sizes.get(k)
        if size is None:
            size = min(near) if near else arb(plan.log_floor(case.dim, k)).exp()
        result[k] = size / arb(10) ** plan.digits
    return result


def _references(plan: _Plan, case: Case, before: _Row, after: _Row, method: str) -> list[Reference]:
    errors = _errors(before, after)
    return [Reference(to_mpf(after[k]), to_mpf(errors[k]), method) for k in plan.degrees[case.dim]]


# --- one pass -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Nodes e^(i theta), 0 < theta < pi, and by dimension the weights of K P_k there."""

    points: list[acb]
    weights: dict[int, list[arb]]


class _Pass:
    """All requested values, with numbers of nodes that grow with the effort."""

    def __init__(self, plan: _Plan, nats: float, effort: float) -> None:
        self.plan, self.nats, self.effort = plan, nats, effort
        self.kernels = LayeredKernels(plan.network, plan.depth, nats * effort)
        self.weight, self.bias = self.kernels.weight, self.kernels.bias
        self.layers = self.kernels.layers
        self.grid = self._smooth_grid() if plan.network.smooth else self._kinked_grid()

    def method(self) -> str:
        """Describe the method."""
        return (
            "Gaussian expectation of every layer in polar form, "
            f"{len(self.grid.points)} nodes in theta, {ctx.prec} bits"
        )

    def _smooth_grid(self) -> _Grid:
        """Equal angles, as many as resolve the roughest layer and P_k."""
        sigma = PARTS[self.plan.network.activation]
        slope, highest = float(self.weight), 0.0
        for _, dual in self.layers:
            # dq_l/dt at t = 1 stands for q_l(1): the layer's singularity as seen in t
            highest = max(highest, highest_frequency(sigma, slope, self.nats))
            slope *= float(self.weight * dual.at_zero()[1])
        top = max(max(self.plan.computed(dim)) for dim in self.plan.degrees)
        n = 2 * math.ceil((1.1 * highest + top + 8) * self.effort / 2)
        points = []
        for m in range(n):
            sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * m + 1, 2 * n))
            points.append(acb(cosine, sine))
        rows = {dim: fejer_series(dim, n) for dim in self.plan.degrees}
        sums = cosine_sums(list(rows.values()), points)
        return _Grid(points, dict(zip(rows, sums, strict=True)))

    def _kinked_grid(self) -> _Grid:
        """Gauss-Legendre in y, theta = pi y^power, in one panel or in some graded towards y = 1."""
        power = 2 ** (self.plan.depth - 1) if self.plan.network.activation == "step" else 1
        bandwidth = max(
            (max(self.plan.computed(dim)) + dim) * math.pi / 2 * power for dim in self.plan.degrees
        )
        points, base = [], []
        for low, width in _panels(self._distance_at_pi() / (math.pi * power)):
            # Other singularities lie at about the distance of the interval's length, or farther.
            wave, nats = bandwidth * width, self.nats
            size = max(entire_rule_size(wave + 1.0, nats), wave / 4 + nats / 1.4)
            for x, w in gauss_legendre(2 * math.ceil(size * self.effort / 2), ctx.prec):
                y = arb(low) + arb(width) * (1 + x) / 2
                sine, cosine = (arb.pi() * y**power).sin_cos()
                points.append(acb(cosine, sine))
                base.append(arb.pi() * power * y ** (power - 1) * w * arb(width) / 2)
        weights = {}
        for dim in self.plan.degrees:
            constant = measure_constant(dim)
            weights[dim] = [
                constant * b * p.imag ** (dim - 2) for b, p in zip(base, points, strict=True)
            ]
        return _Grid(points, weights)

    def _distance_at_pi(self) -> float:
        """Estimate how near to theta = pi a layer's theta_l has a branch point, cos theta_l = +-1.

        A small bias, or leaky_relu almost linear, puts one there; cos theta_l = +-1 at theta = pi
        itself is none, for then theta_l is analytic.
        """
        nearest, q = math.inf, self.bias - self.weight
        for variance, dual in self.layers:
            cosine = q / variance
            gap = 1 - abs(cosine)
            point = acb(-1 if cosine < 0 else 1)
            if gap > 0:
                nearest = min(nearest, math.sqrt(2 * float(gap)))
                point = point_at(cosine)
            q = self.weight * dual.at([point])[0][0] + self.bias
        return nearest

    def spectra(self) -> _Values:
        kernels = self.kernels.at(self.grid.points)
        cosines = _cosine_table(self.grid.points, self.plan)
        result: _Values = {}
        for dim, weights in self.grid.weights.items():
            cases = [case for case in self.plan.cases if case.dim == dim]
            weighted = arb_mat(
                [
                    [
                        w * x
                        for w, x in zip(weights, kernels[c.kernel, c.depth, c.trained], strict=True)
                    ]
                    for c in cases
                ]
            )
            degrees = self.plan.computed(dim)
            rows = [_cosine_row(dim, k, cosines.nrows()) for k in degrees]
            legendre = arb_mat(rows) * cosines
            table = (weighted * legendre.transpose()).tolist()
            for case, row in zip(cases, table, strict=True):
                result[case] = dict(zip(degrees, row, strict=True))
        return result


def _panels(distance: float) -> list[tuple[float, float]]:
    """Start and width of intervals that make up [0, 1], halved towards a singularity near 1."""
    panels, low, width = [], 0.0, 1.0
    while width > 4 * distance and width > 1e-12:
        width /= 2
        panels.append((low, width))
        low += width
    return [*panels, (low, width)]


def _cosine_table(points: Sequence[acb], plan: _Plan) -> arb_mat:
    """cos(j theta): row j, column theta."""
    top = max(max(plan.computed(dim)) for dim in plan.degrees)
    powers = [powers_of(p, top + 1) for p in points]
    return arb_mat([[row[j].real for row in powers] for j in range(top + 1)])


def _cosine_row(dim: int, degree: int, length: int) -> list[arb]:
    """Coefficients of P_k in cos(j theta), j < length."""
    row = [arb(0)] * length
    for i, b in enumerate(cosine_series(dim, degree)):
        row[2 * i + degree % 2] = b
    return row
