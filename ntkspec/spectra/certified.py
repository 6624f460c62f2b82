"""Rigorous enclosures of eigenvalues: every step is an inclusion.

* Smooth activations: the trapezoid rule on the circle takes c_j + (c_(2n-j) + c_(2n+j) + ...) for
  the cosine coefficient c_j of K.  All c_j >= 0 (K is a power series with squares for
  coefficients), so the excess is bounded by a tail sum, and that by K(cosh eta), since
  sum c_j cosh(j eta) = K(cosh eta), or, where K ends at t = 1, by derivatives at t = 1.
* Kinks at 0: Gauss-Legendre in theta on [0, pi]; the remainder is bounded by |K| on a Bernstein
  ellipse (Trefethen, Approximation Theory and Approximation Practice, theorem 19.3), and K is
  proved to be analytic and bounded there by evaluating it in balls that cover the ellipse.
* Dimensions beyond 2000, and those where few coefficients are enough for elu and deep step
  functions: Taylor coefficients in balls, all >= 0, and bounds of those left out
  (`ntkspec.duals.tails`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
from flint import acb, arb, ctx
from numpy.typing import NDArray

from ntkspec.activations import Singularity
from ntkspec.conventions import Shape
from ntkspec.domains import Cube, Domain, Sphere, as_domain, refuse_density
from ntkspec.duals import Correlation, Layers, taylor
from ntkspec.duals.elu import enclosed_elu_dual
from ntkspec.duals.growth import Growth
from ntkspec.duals.squares import FAMILIES, times
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import whole_number
from ntkspec.precision import exclusive, working_precision
from ntkspec.rules import Program, State
from ntkspec.spectra import zonal
from ntkspec.spectra.cube.layers import LayerValues, ZonalValues
from ntkspec.spectra.cube.sums import Values, enclosed
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source, as_source
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.seeds import CosineMoments, GaussMoments, base_row
from ntkspec.spectra.taylor import Coefficients, series_sum
from ntkspec.zonal import ZonalKernel

__all__ = ["Certificate", "certify"]

LN2 = math.log(2.0)
MOST_DEGREE = 2000
MOST_BITS = 8000
MOST_COEFFICIENTS = 4000
#: Number of Taylor coefficients that take less time than quadrature.
FEW_COEFFICIENTS = 800
#: Depth to which the quadrature serves the step function.
MOST_STEPS = 8
#: Arcs of the circle on which a removable singularity is enclosed.
ARCS = 256
CIRCLE = 1.5
ELLIPSES = (
    1.008, 1.015, 1.03, 1.05, 1.08, 1.12, 1.18, 1.25, 1.35, 1.5, 1.7, 2.0, 2.4, 3.0, 4.0, 6.0,
)  # fmt: skip


@dataclass(frozen=True)
class Certificate:
    """Proven enclosures of eigenvalues under the uniform probability measure.

    Attributes
    ----------
    network, domain, kernel
        The kernel and domain of the eigenvalues.
    degrees : (K,) int64 array
    lower, upper : tuple of mpmath.mpf
        lambda_k lies in [lower, upper]; both are 0 for an exact zero.
    balls : tuple of str
        The same as decimals, midpoint and radius.
    method : str

    Examples
    --------
    >>> proof = certify("relu", dim=3, degrees=[8], digits=20)
    >>> print(proof.balls[0])
    [0.00027847290039062500000000 +/- 3e-31]
    """

    network: Source
    domain: Domain
    kernel: Kernel
    degrees: NDArray[np.int64]
    lower: tuple[mpmath.mpf, ...]
    upper: tuple[mpmath.mpf, ...]
    balls: tuple[str, ...]
    method: str

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.domain.dim


@exclusive()
def certify(
    network: Source | str,
    domain: Domain | int | None = None,
    degrees: int | str | Iterable[int] = range(11),
    *,
    dim: int | None = None,
    digits: int = 20,
    kernel: Kernel = "ntk",
) -> Certificate:
    """Compute proven enclosures of a kernel's eigenvalues.

    Parameters
    ----------
    network : Network, ZonalKernel or str
        Zonal kernels of `ntkspec.zonal`, and those with declared coefficients or, for functions of
        balls, a declared radius: the proof is right if the declarations are.
    domain : Sphere, Cube or int, optional
        A sphere of any dimension, or a cube to 2000; an integer stands for `Sphere`.  By default
        `Sphere(3)`.
    degrees : int, str or iterable of int
        To 2000.
    dim : int, optional
        Dimension of the sphere, instead of `domain`.
    digits : int
        Correct decimal digits of each enclosure, 1 to 500.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Certificate

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed; if nothing can be proved (a user's activation) or no
        proof is known (step of more than 8 layers in low dimensions; weights on a sphere; the
        Gaussian measure); if the proof needs more than 8000 bits or 4000 Taylor coefficients.

    Examples
    --------
    >>> proof = certify(Network("relu", depth=2), dim=3, degrees=[1, 3], digits=15)
    >>> print(proof.balls[1])
    [0.00410065302610278063 +/- 1.56e-21]
    """
    net = as_source(network)
    where = as_domain(domain, dim)
    refuse_density("certify", where)
    wanted = where.check_degrees(degrees)
    whole_number(digits, "digits", 1, 500)
    if isinstance(net, Network):
        net.check_kernel(kernel)
        _refuse(net, where, kernel, int(wanted.max()))
    zeros = parity(net, kernel)
    nonzero = sorted({int(k) for k in wanted if not zeros.vanishes(int(k))})
    if not nonzero:
        found, method = dict[int, arb](), "zero by parity"
    elif isinstance(net, ZonalKernel):
        found, method = _of_zonal(net, where, zeros, nonzero, digits)
    elif isinstance(where, Cube):
        found, method = _on_the_cube(
            LayerValues(_proved(net), kernel), where.dim, zeros, nonzero, digits
        )
    elif _has_series(net, where.dim, kernel, nonzero[-1]):
        found, method = _by_series(net, where.dim, kernel, nonzero, digits)
    else:
        found, method = _enclose(net, where.dim, kernel, nonzero, digits)
    balls = [found.get(int(k), arb(0)) for k in wanted]
    with working_precision(4 * digits + 64):  # the ends are rounded outwards
        return Certificate(
            net, where, kernel, wanted,
            tuple(_mpf(ball.lower()) for ball in balls),
            tuple(_mpf(ball.upper()) for ball in balls),
            tuple(ball.str(digits + 3) for ball in balls), method,
        )  # fmt: skip


def _of_zonal(
    net: ZonalKernel, where: Domain, zeros: Parity, degrees: list[int], digits: int
) -> tuple[dict[int, arb], str]:
    """By the enclosures that the routes of zonal kernels start from, or values on the cube."""
    proofs = zonal.proofs(net)
    if not isinstance(where, (Sphere, Cube)) or not proofs:
        why = "no proof is known there" if proofs else "nothing is declared that proves it"
        raise NtkspecError(
            f"domain = {where!r} is not allowed for {net.name}: {why}; certify kernels of "
            "ntkspec.zonal, or with declared coefficients or radius, on a Sphere or a Cube"
        )
    if isinstance(where, Cube):
        _refuse_large(where, degrees[-1])
        return _on_the_cube(ZonalValues(net, "ntk", True), where.dim, zeros, degrees, digits)
    wanted = int(digits / math.log10(2.0)) + 2
    for method, enclosures in proofs:
        bits = 96 + wanted
        while bits <= 4 * MOST_BITS:
            with working_precision(bits), suppress(Passed):
                balls = enclosures(where.dim, degrees)
                if all(ball.rel_accuracy_bits() >= wanted for ball in balls):
                    return dict(zip(degrees, balls, strict=True)), f"{method}, {bits} bits"
            bits *= 2
    raise NtkspecError(
        f"the enclosures of {net.name} need more than {4 * MOST_BITS} bits or too many terms; "
        "lower degrees or digits"
    )


def _refuse(net: Network, domain: Domain, kernel: Kernel, degree: int) -> None:
    if not isinstance(domain, (Sphere, Cube)):
        raise NtkspecError(
            f"domain = {domain!r} is not allowed: no proof is known there; certify the spectrum on "
            "a Sphere or a Cube, or use ntkspec.spectrum, whose relative_error is an estimate"
        )
    _refuse_large(domain, degree)
    if net.user:
        raise NtkspecError(
            f"nothing can be proved about {net.name}, a Python callable that is known "
            "at points only; use ntkspec.spectrum"
        )
    for sigma in net.sigmas:
        if sigma.name in UNPROVED:
            raise NtkspecError(
                f"certify has no proof for {sigma.name}: the errors of the rules for its duals are "
                "not bounded; use ntkspec.spectrum"
            )
    if net.weights == "sphere":
        raise NtkspecError("certify takes Gaussian weights; weights = 'sphere' has no proof here")
    if isinstance(domain, Cube) or _has_series(net, domain.dim, kernel, degree):
        return
    for sigma in net.sigmas:
        if sigma.kinks:
            raise NtkspecError(
                f"certify has no proof for {sigma.name}, which has kinks away from 0; use "
                "ntkspec.spectrum"
            )
    if not net.uniform:
        kinds = {sigma.singularity == Singularity("kink", 0) for sigma in net.sigmas}
        kinked = [sigma.singularity.kind == "kink" for sigma in net.sigmas]
        if True in kinds or not (all(kinked) and net.program.serial):
            raise NtkspecError(
                f"no proof is known for {net!r} in dim = {domain.dim}; certify takes networks of "
                "smooth activations only, or of kinks only without residual branches; use "
                "ntkspec.spectrum, or dim > 2000"
            )
    if _deep_step(net) and not _has_series(net, domain.dim, kernel, degree):
        raise NtkspecError(
            f"certify has no proof for {net.name} of depth = {net.depth} with dim = {domain.dim} "
            f"and degree = {degree}: each layer halves the power of 1 - t in the kernel, and the "
            f"quadrature serves to depth {MOST_STEPS}; take a higher dim, or a lower depth"
        )


def _refuse_large(domain: Domain, degree: int) -> None:
    if degree > MOST_DEGREE or (isinstance(domain, Cube) and domain.dim > MOST_DEGREE):
        raise NtkspecError(
            f"dim = {domain.dim} with degree = {degree} is not allowed; certify takes degrees to "
            f"{MOST_DEGREE}, and on the cube dim to {MOST_DEGREE}"
        )


def _on_the_cube(
    values: Values, dim: int, zeros: Parity, degrees: list[int], digits: int
) -> tuple[dict[int, arb], str]:
    """By exact sums over balls that enclose the values of the kernel on the cube."""
    kept = int(digits / math.log10(2.0)) + 2
    found = enclosed(values, zeros, dim, degrees, kept, lambda ball: ball.rel_accuracy_bits())
    return found, f"exact sums over the {dim + 1} values of K on the cube"


#: Activations whose duals come from rules without bounds on their errors.
UNPROVED = ("selu", "softsign", "finer")


def _deep_step(net: Network) -> bool:
    steps = (sigma.singularity == Singularity("kink", 0) for sigma in net.sigmas)
    return all(steps) and len(net.sigmas) > MOST_STEPS


def _has_series(net: Network, dim: int, kernel: Kernel, degree: int) -> bool:
    """Whether the sum over Taylor coefficients is the proof."""
    if dim > MOST_DEGREE:
        return True
    bases = {sigma.shape.base for sigma in net.sigmas}
    if not net.uniform and bases <= set(FAMILIES) - {"elu", "mish"}:
        return True
    if bases != {"elu"} and not _deep_step(net):
        return False
    series = Coefficients(net, kernel, parity(net, kernel))
    return series.predicted(dim, degree) <= FEW_COEFFICIENTS


def _by_series(
    net: Network, dim: int, kernel: Kernel, degrees: list[int], digits: int
) -> tuple[dict[int, arb], str]:
    """More coefficients and bits until all enclosures are narrow enough."""
    wanted = int(digits / math.log10(2.0)) + 2
    series = Coefficients(net, kernel, parity(net, kernel))
    count = series.predicted(dim, max(degrees)) + wanted
    bits = 96 + wanted + 2 * dim.bit_length() + max(degrees)
    while True:
        if count > MOST_COEFFICIENTS or bits > MOST_BITS:
            raise NtkspecError(
                f"the enclosures of {net.name} need more than {MOST_COEFFICIENTS} Taylor "
                f"coefficients or {MOST_BITS} bits; lower degrees or digits, or take a higher dim"
            )
        with working_precision(bits):
            try:
                a = taylor.in_balls(net, kernel, count)
            except taylor.OutOfRangeError:
                raise NtkspecError(
                    f"the Taylor coefficients of {net.name} need too many Hermite moments; lower "
                    "bias_variance"
                ) from None
            sums = {k: series_sum(a, k, dim) for k in degrees}
            found, left = {}, False
            for k, (total, weight) in sums.items():
                log_tail = series.bounds(count).log_tail(count, k, dim)
                tail = _upto(weight * (arb(log_tail).exp() if log_tail < np.inf else arb("inf")))
                found[k] = total + tail
                left |= not tail.upper() < abs(total).lower() * arb(2) ** -(wanted + 2)
            missing = max(wanted - int(x.rel_accuracy_bits()) for x in found.values())
        if missing <= 0:
            return found, f"{count} Taylor coefficients, {bits} bits, tail by derivatives at t = 1"
        if left:
            count += count // 4
        else:
            bits += max(missing + 16, 32)


def _enclose(
    net: Network, dim: int, kernel: Kernel, degrees: list[int], digits: int
) -> tuple[dict[int, arb], str]:
    """Raise the precision until all enclosures are narrow enough."""
    proof: _ByEllipse | _ByTail | None = None
    wanted = int(digits / math.log10(2.0)) + 2
    bits = 64 + wanted + 2 * dim.bit_length() + 4 * max(degrees).bit_length()
    while bits <= MOST_BITS:
        with working_precision(bits):
            layers = Layers(_proved(net), kernel)
            if proof is None:  # its bounds hold at any precision
                kinked = net.kind == "kink"
                proof = (_ByEllipse if kinked else _ByTail)(net, kernel, layers)
            row, method = proof.row(layers, dim, max(degrees))
            missing = max(wanted - row[k].rel_accuracy_bits() for k in degrees)
            if missing <= 0:
                return {k: row[k] for k in degrees}, method
        bits += max(missing + 8, 32) if missing < bits // 2 else bits // 2
    raise NtkspecError(
        f"the enclosures need more than {MOST_BITS} bits; lower degrees, dim or digits"
    )


def _proved(net: Network) -> Any:
    """The network with duals that are enclosures at all angles: those of elu have their own."""
    if all(sigma.shape.base != "elu" for sigma in net.sigmas):
        return net
    sigmas = tuple(
        replace(sigma, dual=_enclosed(sigma.shape)) if sigma.shape.base == "elu" else sigma
        for sigma in net.sigmas
    )
    return SimpleNamespace(program=Program(net.program.steps, sigmas), user=False)


def _enclosed(shape: Shape) -> Any:
    """Duals of elu, or of a scaled one."""
    if shape.inner == shape.outer == 1:
        return enclosed_elu_dual

    def dual(q: arb) -> tuple[Any, Any]:
        value, slope = enclosed_elu_dual(times(q, shape.inner**2))
        return (
            lambda point: times(value(point), shape.outer**2),
            lambda point: times(slope(point), (shape.inner * shape.outer) ** 2),
        )

    return dual


def _mpf(ball: arb) -> mpmath.mpf:
    return mpmath.make_mpf(ball.mid()._mpf_)


# --- smooth activations --------------------------------------------------------------------------


class _ByTail:
    """Rows by the trapezoid rule, aliasing bounded by the growth of the kernel."""

    def __init__(self, net: Network, kernel: Kernel, layers: Layers) -> None:
        self.parity = parity(net, kernel).whole
        self.growth = Growth(net, layers)

    def row(self, layers: Layers, dim: int, degree: int) -> tuple[list[arb], str]:
        """Enclosures at the working precision, and a description of the method."""
        tail = self.growth.tail
        n = max(_first_below(self.growth, -ctx.prec * LN2) + 2, degree + dim)
        source = CosineMoments(layers, n, self.parity)
        n = source.n
        # c_j lies between the rule's value minus the tail from 2n - j on, and the rule's value.
        for j, c in enumerate(source.coefficients):
            if j == n:
                source.coefficients[j] = arb(0, (abs(c) + tail(n)).upper())
            else:
                source.coefficients[j] = c - _upto(tail(2 * n - j))
        # In the plane a moment is one coefficient; otherwise all after the n-th contribute.
        rest = arb(0, tail(n + 1).upper()) if dim > 2 else arb(0)
        moments = [m + rest for m in source.moments(dim, degree + 1)]
        method = f"trapezoid rule, {n} intervals, {ctx.prec} bits, aliasing by {self.growth.how}"
        return base_row(moments, dim), method


def _upto(bound: arb) -> arb:
    """The interval [0, bound] as a ball."""
    half = bound.upper() / 2
    return arb(half.mid(), (half + half.rad()).upper())


def _first_below(growth: Growth, log_bound: float) -> int:
    """Nearly the smallest N from which the tail is proved to be below exp(log_bound)."""
    n = 32
    while not growth.tail(n) < arb(log_bound).exp():
        n += max(8, n // 12)
        if n > 20_000:
            raise NtkspecError("the enclosures need more than 20000 nodes; lower digits or degrees")
    return n


# --- kinks ---------------------------------------------------------------------------------------


class _ByEllipse:
    """Rows by Gauss-Legendre, the remainder bounded on ellipses."""

    def __init__(self, net: Network, kernel: Kernel, layers: Layers) -> None:
        whole = parity(net, kernel).whole
        even = whole == 0
        jump = any(sigma.singularity.order == 0 for sigma in net.sigmas)
        self.parity = whole if even else None
        self.root = 2 ** (len(net.sigmas) - 1) if jump else 1
        ellipse = _RootEllipse(layers, self.root) if jump else _Ellipse(layers, 2 if even else 1)
        self.bounds = []
        for rho in ELLIPSES:  # each holds those before it
            size = ellipse.bound(rho)
            if size is None:
                break
            self.bounds.append((rho, size, ellipse.reach(rho)))
        if not self.bounds:
            raise NtkspecError(
                f"no ellipse was found on which the kernel of {net!r} "
                f"and bias_variance = {net.bias_variance:g} is proved to be analytic; take a lower "
                "depth or variances, or a dim above 2000"
            )

    def row(self, layers: Layers, dim: int, degree: int) -> tuple[list[arb], str]:
        """Enclosures at the working precision, and a description of the method."""

        def nodes(bound: tuple[float, arb, arb]) -> int:
            rho, size, reach = bound
            log_size = float(size.log()) + (degree + dim) * float(reach)
            return math.ceil((ctx.prec * LN2 + max(log_size, 0.0) + 4.0) / (2.0 * math.log(rho)))

        rho, size, reach = best = min(self.bounds, key=nodes)
        source = GaussMoments(layers, 0, root=self.root, nodes=nodes(best), parity=self.parity)
        moments = [
            m + arb(0, _remainder(size, reach, rho, source.n, dim, j).upper())
            for j, m in enumerate(source.moments(dim, degree + 1))
        ]
        method = (
            f"Gauss-Legendre in theta, {source.n} nodes, {ctx.prec} bits, "
            f"remainder by |K| < {float(size.upper()):.3g} on the ellipse of {rho}"
        )
        return base_row(moments, dim), method


def _remainder(size: arb, reach: arb, rho: float, n: int, dim: int, j: int) -> arb:
    """(64/15) max |f| rho^(-2n) / (1 - rho^-2), times half the interval, for f with cos(j x).

    |sin x| and |cos j x| are bounded by |Im x| <= reach; half the interval is at most pi/2.
    """
    r = arb(rho)
    growth = size * reach.cosh() ** (dim - 2) * (j * reach).cosh()
    # c_d <= sqrt(d)
    return arb(dim).sqrt() * arb.pi() / 2 * arb(64) / 15 * growth * r ** (-2 * n) / (1 - r**-2)


class _BranchCutError(Exception):
    """The kernel is not known to be analytic on a box."""


class _Ellipse:
    """Bounds of |K| on ellipses with foci 0 and pi / parts, for activations with a kink."""

    #: How often a box is halved at most.
    splits = 5

    def __init__(self, layers: Layers, parts: int) -> None:
        self.layers, self.parts = layers, parts
        self.spreads: dict[int, arb] = {}

    def reach(self, rho: float) -> arb:
        """Bound of |Im theta|: the smaller semi-axis."""
        r = arb(rho)
        return arb.pi() / (4 * self.parts) * (r - 1 / r)

    def boxes(self, rho: float) -> Iterator[acb]:
        """Balls that cover the ellipse's upper half."""
        return _boxes(rho, arb.pi() / (2 * self.parts))

    def bound(self, rho: float) -> arb | None:
        """An upper bound of |K| inside, or None if analyticity is not proved."""
        with working_precision(64):
            worst, boxes = arb(0), list(self.boxes(rho))
            if any(self._value(box.mid()) is None for box in boxes):
                return None
            for box in boxes:
                size = self._size(box, self.splits)
                if size is None:
                    return None
                worst = worst.max(size)
            return worst.upper()

    def _value(self, box: acb) -> arb | None:
        """A bound of |K| over a box that is small enough for one."""
        with suppress(_BranchCutError):
            value = self._kernel(box)
            if value.is_finite() and abs(value) < 1e30:
                return arb(abs(value).upper())
        return None

    def _size(self, box: acb, splits: int) -> arb | None:
        """The same, of parts of the box if need be."""
        size = self._value(box)
        if size is not None:
            return size
        if splits == 0:
            return None
        worst = arb(0)
        for part in _quarters(box):
            size = self._size(part, splits - 1)
            if size is None:
                return None
            worst = worst.max(size)
        return worst

    def _kernel(self, angle: Any) -> Any:
        """K on a box of angles; raises where the box may meet a branch cut."""
        net, cosine = self.layers, angle.cos()

        def place(index: int, state: State) -> Correlation:
            nonlocal angle, cosine
            if index or not net.ratio[0].is_zero():
                cosine = state.covariance / net.variances[index]
                if index:
                    ratio = self._ratio(index, angle, state.gap)
                else:
                    bias, weight = net.ratio
                    half = (angle / 2).sinc()
                    ratio = weight / (weight + bias) * half * half / 2
                angle = _narrower(_next_angle(angle, ratio), cosine)
            return Correlation(cosine, angle)

        return net.composed(State(cosine, None, 1 - cosine), place)

    def _ratio(self, index: int, angle: acb, gap: acb) -> Any:
        """(1 - rho) / angle^2 of an activation's arguments, `angle` that of the one before.

        It is entire; near 0 by its middle and Cauchy's estimate.
        """
        size = abs(angle).upper()
        if not size < 0.75 * CIRCLE:
            return gap / (self.layers.variances[index] * angle * angle)
        middle = angle.mid()
        if abs(middle) < 1e-3:
            middle = acb(1e-3)
        here = self._quotient(index, middle)
        # |h'(z)| <= V R / (R^2 - |z|^2) where |h - centre| <= V on the circle of radius R
        slope = self._spread(index) * CIRCLE / (arb(CIRCLE) ** 2 - size * size)
        reach = arb(0, (slope * abs(angle - middle)).upper())
        return here + acb(reach, reach)

    def _quotient(self, index: int, angle: acb) -> Any:
        """The ratio from the angle alone."""
        layers = self.layers
        dual = layers.duals[index - 1][0](Correlation(angle.cos(), angle))
        scale = layers.between[index] / layers.variances[index]
        return scale * (layers.fulls[index - 1] - dual) / (angle * angle)

    def _spread(self, index: int) -> arb:
        """Largest distance of the ratio from a constant, on a circle around 0."""
        if index not in self.spreads:
            pieces = []
            for i in range(ARCS):
                turn = arb((2 * i + 1) / ARCS, 1.01 / ARCS)
                z = CIRCLE * acb(turn.cos_pi(), turn.sin_pi())
                pieces.append(self._quotient(index, z))
            centre = pieces[0].mid()
            spread = arb(0)
            for piece in pieces:
                spread = spread.max(abs(piece - centre).upper())
            self.spreads[index] = spread.upper()
        return self.spreads[index]


class _RootEllipse(_Ellipse):
    """The same for the step function, in x with theta = pi x^root and foci 0 and 1.

    Its dual is (pi - theta) / (2 pi), so 1 - rho' = kappa theta and a layer takes a square root:
    theta_l = x^m h_l with m halved at each layer and h_l analytic.
    """

    def __init__(self, layers: Layers, root: int) -> None:
        super().__init__(layers, 1)
        self.root = root
        if root > 8:  # x^root is steep
            self.splits = 9

    def reach(self, rho: float) -> arb:
        """Bound of |Im theta| over the boxes."""
        with working_precision(64):
            bounds = [abs((arb.pi() * box**self.root).imag).upper() for box in self.boxes(rho)]
            return arb(max(bounds, key=float))

    def boxes(self, rho: float) -> Iterator[acb]:
        """Balls that cover the ellipse's upper half."""
        return _boxes(rho, arb(0.5))

    def _kernel(self, x: Any) -> Any:
        """K times the derivative of theta; raises where the box may meet a branch cut."""
        net, power = self.layers, self.root
        h: Any = acb(arb.pi())
        bias, weight = net.ratio
        if not bias.is_zero():
            half = (x**power * h / 2).sinc()
            h = _next_angle(h, weight / (weight + bias) * half * half / 2, x**power)
        for variance, weight in zip(net.variances[1:], net.between[1:], strict=True):
            kappa = weight / (2 * arb.pi() * variance)
            w = kappa * h * x**power / 2
            if not (h.real > 0 and (w.real < 1 or not w.imag.contains(0))):
                raise _BranchCutError
            h, power = 2 * _root(kappa * h / 2) * _arcsin_ratio(w), power // 2
        value = (arb.pi() - x**power * h) / (2 * arb.pi())
        return value * 2 * self.root * x ** (self.root - 1)


def _next_angle(angle: acb, ratio: acb, factor: Any = 1) -> acb:
    """Arccos(1 - ratio (factor angle)^2) / factor, analytic; it vanishes with the angle."""
    w = ratio * (factor * angle) * (factor * angle) / 2
    for sure, box in ((ratio.real > 0, ratio), (w.real < 1, w)):
        if not sure and box.imag.contains(0):
            raise _BranchCutError
    return angle * _root(2 * ratio) * _arcsin_ratio(w)


def _narrower(angle: acb, cosine: acb) -> acb:
    """A box of angles from the box of their cosines, where it is sure which arccos they are."""
    flat = abs(1 - cosine * cosine).lower()
    if not (flat > 0.01 and abs(angle.real) < 4):
        return angle
    middle = cosine.mid()
    reach = arb(0, (abs(cosine - middle) / flat.sqrt()).upper())
    found, turn = middle.acos() + acb(reach, reach), 2 * arb.pi()
    # On the box, which is convex, each of these is an analytic function with that cosine.
    others = (-found, turn - found, found - turn, found + turn)
    return angle if any(angle.overlaps(other) for other in others) else found


def _root(x: acb) -> acb:
    """Square root over a (convex) box off the cut: that of the middle, and the derivative."""
    middle = x.mid()
    size = abs(x).lower()
    if not size > 0:
        return x.sqrt()
    reach = arb(0, (abs(x - middle) / (2 * size.sqrt())).upper())
    return middle.sqrt() + acb(reach, reach)


def _arcsin_ratio(w: acb) -> acb:
    """Arcsin(sqrt w) / sqrt w, analytic off [1, inf)."""
    size = abs(w).upper()
    if size < 0.5:
        total, term = acb(0), acb(1)
        for k in range(40):
            total += term / (2 * k + 1)
            term = term * w * (2 * k + 1) / (2 * k + 2)
        rest = (size**40 / (1 - size)).upper()
        return total + acb(arb(0, rest), arb(0, rest))
    root, middle = w.sqrt(), w.mid()
    wide = root.asin() / root
    # Much narrower: the value at the midpoint, and the derivative over the (convex) box.
    slope = (abs(1 / (1 - w).sqrt()) + abs(wide)) / (2 * abs(w))
    reach = arb(0, (slope * abs(w - middle)).upper())
    here = middle.sqrt()
    return here.asin() / here + acb(reach, reach)


def _boxes(rho: float, half: arb) -> Iterator[acb]:
    """Boxes that cover the upper half of the ellipse with foci 0 and 2 half.

    K takes conjugate values below.
    """
    width = 0.5 * float(half) * (rho + 1.0 / rho)
    height = 0.5 * float(half) * (rho - 1.0 / rho)
    columns = max(16, math.ceil(2.0 * width / 0.15))
    rows = max(2, math.ceil(height / 0.15))
    for i in range(columns):
        x = -width + 2.0 * width * (i + 0.5) / columns
        nearest = max(abs(x) - width / columns, 0.0)
        top = height * math.sqrt(max(1.0 - (nearest / width) ** 2, 0.0)) + 1e-9
        for j in range(rows):
            if height * j / rows > top:
                break
            y = height * (j + 0.5) / rows
            yield acb(
                half + arb(x, 1.000001 * width / columns),
                arb(y, 0.500001 * height / rows),
            )


def _quarters(box: acb) -> Iterator[acb]:
    x, y = box.real, box.imag
    dx, dy = x.rad() / 2, y.rad() / 2
    for sx in (-1, 1):
        for sy in (-1, 1):
            yield acb(arb(x.mid() + sx * dx, 1.0001 * dx), arb(y.mid() + sy * dy, 1.0001 * dy))
