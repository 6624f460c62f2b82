"""Kernels of a user's activation in doubles, with bounds on their errors.

Only values of the function are known, so it is resolved first (`ntkspec.duals.pieces`) by panels
on which it is a polynomial to rounding, with its kinks and jumps at their edges.  Then

* E[f(u) f(v)] = sum of h_n^2 rho^n with h_n its Hermite coefficients, one-dimensional integrals.
  The remainder after N terms is at most |rho|^N (E[f^2] - sum of h_n^2): Parseval's bound.
* Near rho = 1 and -1, where these terms do not suffice, a rule in the plane: in polar coordinates
  for a function that is smooth or has its kink at 0, else in the coordinates u + v and u - v, with
  the kinks as edges of panels.  At rho = 1, -1, 0.8 and -0.8 the one-dimensional integrals give
  the error of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.duals.pieces import ORDER, Pieces, check_square_integrable, resolve
from ntkspec.errors import NtkspecError
from ntkspec.kernels.pieces import hermite_sums
from ntkspec.locks import cached_property
from ntkspec.rules import Activate, Affine, Join, Program, State, follow

__all__ = ["Expectation", "PlainKernel"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

ROUNDING = 2.0**-53
#: Rounding of a layer's dual, relative to its value at correlation 1.
FLOOR = 2e-15
#: Errors of the polar rule, in the same measure, with which it is used, and of the coarser one.
ACCURATE, BESIDE = 5.0 * FLOOR, 1e-13
#: Terms of the Hermite series, and width of the panels that integrate them; more for a smooth
#: function whose series is longer.
TERMS = ((400, 0.5), (1600, 0.25), (4000, 0.15))
#: Terms for a function with a kink or a jump, whose series decays too slowly for more.
BROKEN = 1600
#: Range of the Gaussian integrals in standard deviations, depending on the function.
REACHES = (9.5, 12.5, 17.0, 23.0, 31.0, 38.0)
#: The function must be finite up to this argument.
FINITE = 12.5
#: Correlations at which the rules in the plane are measured.
CHECKS = (1.0, -1.0, 0.8, -0.8)
#: Nodes of the polar rules in a sector and in the radius, until one is accurate; of the coarser one
#: that is compared, the share.  Rules of more nodes than LONG are those of panels of half of it.
LONG = 96
POLAR, COARSE = ((48, 96), (96, 192), (192, 384), (384, 768)), 0.75
POLAR_REACH = 12.5
#: Nodes of the inner rule on a panel in the plane, and panels of the outer one.
INNER = 24
OUTER_PANELS = 64
#: Largest numbers of kinks and panels for the rule in the plane.
MOST_BREAKS, MOST_EDGES = 12, 80


class PlainKernel:
    """K(cos theta) of a network with a user's activation in doubles, and bounds on its error.

    Angles are given by sin(theta / 2) and cos(theta / 2), or common multiples of them, such as the
    distances of a point from another one and from its antipode: near 0 and pi only these determine
    the distance of a correlation from 1 and -1.
    """

    def __init__(self, network: Any, kernel: str) -> None:
        self.network, self.kernel = network, kernel
        self.duals: dict[Any, _Duals] = {}
        with np.errstate(all="ignore"):
            self.top = abs(float(self._compose(np.zeros(1), np.ones(1), 0.0, 0.0)[0][0]))

    def __call__(self, sine: Array, cosine: Array) -> tuple[Array, Array]:
        """Return the values and bounds on their absolute errors."""
        with np.errstate(all="ignore"):
            value, error = self._compose(sine, cosine, 0.0, 0.0)
            if len(self.network.sigmas) > 1:
                # Errors of the hidden layers change the variances and the correlations of later
                # layers; two runs with such errors measure by how much.
                for scale, turn in ((1.0, 0.0), (0.0, 1.0)):
                    error = error + 2.0 * np.abs(
                        self._compose(sine, cosine, scale, turn)[0] - value
                    )
        return value, error + FLOOR * len(self.network.sigmas) * self.top

    def _compose(
        self, sine: Array, cosine: Array, scale: float, turn: float
    ) -> tuple[Array, Array]:
        """K, and a bound from the errors of its last duals.

        Those of the others are added, `scale` and `turn` times, to the variances and correlations.
        """
        program = self.network.program
        length = np.hypot(sine, cosine)
        last = len(program.activations) - 1
        apart, along = (sine / length) ** 2, (cosine / length) ** 2
        doubts = [np.zeros_like(apart), np.zeros_like(apart)]

        def activate(index: int, state: State) -> State:
            place = state.covariance
            if not 1e-290 < place.variance < 1e290:
                raise NtkspecError(
                    f"the variance before layer {index + 1} is {place.variance:.3g}, which is out "
                    "of range; change weight_variance, bias_variance or depth"
                )
            dual = self._dual(program.activations[index], place.variance)
            theta = 2.0 * np.arctan2(
                np.sqrt(np.maximum(place.apart, 0.0)), np.sqrt(np.maximum(place.along, 0.0))
            )
            value, error = dual.function(theta)
            tangent = None
            if state.tangent is not None:
                before = np.asarray(getattr(state.tangent, "value", state.tangent))
                slope, doubt = dual.slope(theta)
                tangent = before * (slope if index == last else slope + turn * doubt)
                if index == last:
                    doubts[1] = np.abs(before) * doubt
            full, at_one = dual.function.full, dual.function.floor
            odd, even, doubt = dual.halves(theta, value, error)
            if index == last:
                doubts[0] = error
                return State(_Place(odd, even, full), tangent)
            larger = 1.0 + scale * at_one / full if full > 0.0 else 1.0
            apart, along = larger * odd, larger * even
            # Towards the nearer end, where the angle changes most, or away from it when the end
            # itself is within reach.
            least, doubt = np.minimum(apart, along), turn * doubt
            shift = np.where(least > doubt, -doubt, 2.0 * doubt)
            shift = np.where(apart <= along, shift, -shift)
            return State(_Place(apart + shift, along - shift, full + scale * at_one), tangent)

        end = follow(
            program, State(_Place(apart, along, 1.0)), activate,
            lambda index, state: state.covariance.variance, tangent=self.kernel == "ntk",
        )  # fmt: skip
        gain, own = _last_gains(program)
        if self.kernel == "nngp":
            return end.covariance.value, gain * doubts[0]
        value = np.asarray(getattr(end.tangent, "value", end.tangent))
        return value, gain * doubts[1] + own * doubts[0]

    def _dual(self, sigma: Any, variance: float) -> _Duals:
        key = sigma, variance
        if key not in self.duals:
            self.duals[key] = _Duals(sigma, variance)
        return self.duals[key]


class _Place:
    """Halves of variance minus and plus covariance, E[(u - v)^2] / 4 and E[(u + v)^2] / 4."""

    __array_ufunc__ = None  # numpy's operators leave sums with arrays to this class

    def __init__(self, apart: Array, along: Array, variance: float) -> None:
        self.apart, self.along, self.variance = apart, along, variance

    @property
    def value(self) -> Array:
        """The covariance."""
        return self.along - self.apart

    def __mul__(self, factor: float) -> _Place:
        return _Place(factor * self.apart, factor * self.along, factor * self.variance)

    __rmul__ = __mul__

    def __truediv__(self, size: float) -> _Place:
        return self * (1.0 / size)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, _Place):
            return _Place(
                self.apart + other.apart, self.along + other.along, self.variance + other.variance
            )
        if isinstance(other, float):
            return _Place(self.apart, self.along + other, self.variance + other)
        return self.value + other

    __radd__ = __add__


def _last_gains(program: Program) -> tuple[float, float]:
    """Factors of the last activation's F in q, and of F in T beside T D, at the end."""
    *_, after = (i for i, step in enumerate(program.steps) if isinstance(step, Activate))
    gain, own = 1.0, 0.0
    for step in program.steps[after + 1 :]:
        if isinstance(step, Affine):
            gain, own = step.weight * gain, step.own * gain + step.weight * own
        elif isinstance(step, Join):
            gain, own = step.square * gain, step.square * own
    return gain, own


class _Duals:
    """E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] at a variance."""

    def __init__(self, sigma: Any, variance: float) -> None:
        self.sigma, self.variance = sigma, variance
        self.root = math.sqrt(variance)
        check_square_integrable(self._log_size, variance, sigma.name)
        self.slow = sigma.user and sigma.arithmetic != "double"
        # A kink that is known is where it is, however smooth the function is there.
        self.known = (0.0,) if sigma.singularity.kind == "kink" else ()
        self.function = Expectation(self._scaled(sigma.value), self.slow, self.known)

    def _log_size(self, x: float) -> float:
        size = abs(float(self._call(self.sigma.value, np.array([x]))[0]))
        return math.log(size) if size > 0.0 else -math.inf

    def _scaled(self, function: Function) -> Function:
        return lambda z: self._call(function, (self.root * z).ravel()).reshape(z.shape)

    def _call(self, function: Any, x: Array) -> Array:
        try:
            result = np.asarray(function(x), dtype=np.float64)
        except NtkspecError:
            raise
        except Exception as error:
            raise NtkspecError(
                f"{self.sigma.name} failed on an array: {type(error).__name__}: {error}"
            ) from error
        if result.shape != x.shape:
            raise NtkspecError(
                f"{self.sigma.name} returned shape {result.shape} for arguments of shape {x.shape}"
            )
        bad = ~np.isfinite(result)
        if bad.any() and np.abs(x[bad]).min() <= FINITE * self.root:
            raise NtkspecError(
                f"{self.sigma.name} returned a value that is not finite at {float(x[bad][0])!r}"
            )
        return np.where(bad, np.inf, result)

    def halves(self, theta: Array, value: Array, error: Array) -> tuple[Array, Array, Array]:
        """E[(sigma(u) - sigma(v))^2] / 4, the same with a sum, and the error of the smaller.

        value, error: what `function` returned.
        """
        full = self.function.full
        odd = np.maximum(0.5 * (full - value), 0.0)
        even = np.maximum(0.5 * (full + value), 0.0)
        doubt = np.where(theta == 0.0, 0.0, error)  # at 0 both variances are equal
        ends = theta == math.pi
        if ends.any():
            parts = self.function.halves_at_pi()
            odd[ends], even[ends] = parts[0][0], parts[1][0]
            doubt[ends] = min(parts)[1]
        return odd, even, doubt

    def slope(self, theta: Array) -> tuple[Array, Array]:
        """E[sigma'(u) sigma'(v)] and a bound on its error."""
        value, error = self._derivative(theta)
        if self.sigma.ball_derivative is None:
            return value / self.variance, error / self.variance
        return value, error

    @cached_property
    def _derivative(self) -> Expectation:
        """Use sigma' or, if not given, d/dz sigma(root z) from the series of sigma."""
        if self.sigma.ball_derivative is not None:
            return Expectation(self._scaled(self.sigma.derivative), self.slow, self.known)
        pieces = self.function.pieces
        jumps = pieces.jumps()
        size = np.abs(pieces.series).sum(axis=1)
        wide = jumps > 1e-7 * np.maximum(np.maximum(size[1:], size[:-1]), 1e-3 * self.function.norm)
        if pieces.graded or wide.any() or self.function.missed > 1e-6 * self.function.norm:
            at = self.root * float(
                pieces.edges[1:-1][np.argmax(jumps)] if wide.any() else pieces.edges[0]
            )
            where = f"jumps near {at:.6g}" if wide.any() else "could not be resolved"
            raise NtkspecError(
                f"{self.sigma.name} {where} and was given without its derivative: its neural "
                "tangent kernel cannot be computed; give the derivative, or use kernel = 'nngp'"
            )
        return Expectation.of_slope(self.function)


class Expectation:
    """E[f(u) f(v)] of two standard Gaussians of correlation cos(theta), and its error.

    A slow function, as those of high precision are, is evaluated at fewer points, and replaced by
    its polynomials on the panels.  `known` are its breaks, as far as they are known.  `full` and
    `mirror` are the values at correlations 1 and -1, `squares` the h_n^2, `missed` bounds the part
    of f that the panels miss in the norm sqrt(E[f^2]), and `floor` is an error of all values.
    """

    def __init__(
        self, function: Function, slow: bool = False, known: tuple[float, ...] = ()
    ) -> None:
        self.function = function
        self.reach, outside = _reach(function)
        count = 2 * math.ceil(self.reach) + 1
        first = np.linspace(-1.0, 1.0, count) * self.reach
        first[1:-1] += 0.0137
        z = 0.5 * (first[1:] + first[:-1])
        rough = float(np.sqrt(np.mean(function(z) ** 2 * _density(z)) * 2.0 * self.reach))

        def negligible(low: Array, high: Array) -> Array:
            return np.asarray(2e-17 * rough * np.exp(0.25 * _inner(low, high) ** 2))

        self.pieces = resolve(function, first, negligible, 64 if slow else 1024, known=known)
        if slow:
            self.function = self.pieces.values
        self._integrate(self.pieces, np.zeros(self.pieces.misfit.size), outside)
        self._displace(self.pieces.misplaced(self.norm))

    @classmethod
    def of_slope(cls, of: Expectation) -> Expectation:
        """Expectations of the derivative of another's function."""
        self = cls.__new__(cls)
        self.function, self.reach = of.pieces.derivative(), of.reach
        self._integrate(of.pieces, of.pieces.derivative_noise(), 0.0)
        self._displace(of.pieces.misplaced_slope(self.norm))
        return self

    def _displace(self, error: float) -> None:
        """Add the errors from kinks and jumps that are not exactly at their breaks."""
        self.displaced = error
        self.floor += error

    def _integrate(self, pieces: Pieces, doubt: Array, outside: float) -> None:
        self.pieces = pieces
        both = np.union1d(pieces.edges, -pieces.edges)
        for terms, width in TERMS:
            z, weight = _rule(_split(both, width))
            weight = weight * _density(z)
            values = self.function(z)
            self.full = float(weight @ values**2)
            self.squares = np.empty(terms)
            hermite_sums(z, weight * values, self.squares)
            self.squares **= 2
            # With a kink at 0 only, the polar rule is used where these terms do not suffice.
            polar = pieces.breaks.size > 0 and not np.any(pieces.breaks)
            slow = polar or (pieces.breaks.size > 0 and terms >= BROKEN)
            if slow or self.tail <= FLOOR * self.full:
                break
        self.nodes = z, weight
        self.mirror = float(weight @ (values * self.function(-z)))
        self.norm = math.sqrt(self.full)
        mass = _mass(pieces.edges)
        self.missed = math.sqrt(float(mass @ (pieces.misfit + doubt) ** 2))
        # Far out the density and the arguments have more than one rounding.
        rounding = max(FLOOR * self.full, 2.0 * ROUNDING * float(weight @ (values * z) ** 2))
        self.floor = 2.0 * self.norm * self.missed + self.missed**2 + 2.0 * outside + rounding

    def halves_at_pi(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """E[(f(z) - f(-z))^2] / 4 and E[(f(z) + f(-z))^2] / 4, each with a bound on its error."""
        z, weight = self.nodes
        far = np.arange(self.reach, 40.0, 0.1)
        halves = []
        for sign in (-1.0, 1.0):
            part = float(weight @ (0.5 * (self.function(z) + sign * self.function(-z))) ** 2)
            with np.errstate(all="ignore"):
                rest = 0.5 * (self.function(far) + sign * self.function(-far))
                beyond = np.exp(2.0 * np.log(np.abs(rest)) - 0.5 * far * far)
            beyond = np.where(np.isfinite(beyond), beyond, 0.0)
            error = 2.0 * math.sqrt(part) * self.missed + self.missed**2 + self.displaced
            halves.append((part, error + 2.0 * float(beyond.sum()) + FLOOR * part))
        return halves[0], halves[1]

    @property
    def tail(self) -> float:
        """Remainder of the Hermite series at correlation 1."""
        return max(self.full - float(self.squares.sum()), 0.0) + 8.0 * ROUNDING * self.full

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Return the values at angles in [0, pi] and bounds on their errors."""
        rho = np.cos(theta)
        value, error = self._series(rho)
        value[theta == 0.0], error[theta == 0.0] = self.full, 0.0
        value[theta == math.pi], error[theta == math.pi] = self.mirror, 0.0
        poor = np.flatnonzero(error > FLOOR * self.full)
        if poor.size and self._polar_error <= ACCURATE * self.full:
            for i in poor:
                value[i], error[i] = self._polar(float(theta[i]))
        elif poor.size and self._followed:
            for i in poor:
                other, bound = self._plane(float(theta[i]))
                bound += self._plane_error
                if bound < error[i]:
                    value[i], error[i] = other, bound
        return value, error + self.floor

    def _series(self, rho: Array) -> tuple[Array, Array]:
        """By the Hermite series, with Parseval's bound on the rest."""
        value = np.polynomial.polynomial.polyval(rho, self.squares)
        rest = np.abs(rho) ** self.squares.size * self.tail
        half = 0.5 * np.where(rho > 0.0, rest, 0.0)  # the rest is positive there
        return value + half, np.where(rho > 0.0, half, rest)

    def _known(self, rho: float) -> float:
        if abs(rho) == 1.0:
            return self.full if rho > 0.0 else self.mirror
        return float(self._series(np.array([rho]))[0][0])

    # --- polar coordinates -----------------------------------------------------------------------

    @cached_property
    def _polar_error(self) -> float:
        """Error of the polar rule at known values; infinite if the rule does not apply."""
        return self._polar_choice[0]

    @cached_property
    def _polar_choice(self) -> tuple[float, tuple[int, int]]:
        """That error, and the first rule that is accurate beside a coarser one, or the last."""
        if self.pieces.graded or np.any(self.pieces.breaks != 0.0) or self.reach > POLAR_REACH:
            return math.inf, POLAR[0]
        for rule in POLAR:
            error, beside = (
                max(
                    abs(_polar_rule(self.function, math.acos(rho), one) - self._known(rho))
                    for rho in CHECKS
                )
                for one in (rule, _coarser(rule))
            )
            if error <= ACCURATE * self.full and beside <= BESIDE * self.full:
                break
        return error, rule

    def _polar(self, theta: float) -> tuple[float, float]:
        error, rule = self._polar_choice
        fine = _polar_rule(self.function, theta, rule)
        return fine, abs(fine - _polar_rule(self.function, theta, _coarser(rule))) + error

    # --- the coordinates u + v and u - v ---------------------------------------------------------

    @cached_property
    def _followed(self) -> bool:
        few = self.pieces.breaks.size <= MOST_BREAKS and self.pieces.edges.size <= MOST_EDGES
        return few and self.missed < 1e-6 * self.norm

    @cached_property
    def _plane_error(self) -> float:
        return max(
            abs(self._plane(math.acos(rho))[0] - self._known(rho)) for rho in CHECKS if abs(rho) < 1
        )

    def _plane(self, theta: float) -> tuple[float, float]:
        """Panels in both directions: u = a x + b y, v = s (a x - b y), a >= b."""
        if theta <= 0.5 * math.pi:
            a, b, s = math.cos(theta / 2), math.sin(theta / 2), 1.0
        else:
            a, b, s = math.sin(theta / 2), math.cos(theta / 2), -1.0
        edges, reach = self.pieces.edges[1:-1], self.reach
        x, w = _legendre(INNER)

        def along(y: Array) -> Array:
            """Integral over x at each y."""
            shift = b * y.reshape(-1, 1)
            ends = np.concatenate([(edges - shift) / a, (s * edges + shift) / a], axis=1)
            ends = np.clip(ends, -reach, reach)
            ends = np.sort(np.pad(ends, ((0, 0), (1, 1)), constant_values=reach), axis=1)
            ends[:, 0] = -reach
            half = 0.5 * np.diff(ends, axis=1)[:, :, np.newaxis]
            nodes = 0.5 * (ends[:, 1:] + ends[:, :-1])[:, :, np.newaxis] + half * x
            turn = shift[:, :, np.newaxis]
            values = self.function(a * nodes + turn) * self.function(s * (a * nodes - turn))
            total: Array = np.sum(values * half * w * _density(nodes), axis=(1, 2))
            return total.reshape(y.shape)

        def in_parts(y: Array) -> Array:
            flat = y.ravel()
            step = max(1, 400_000 // (2 * edges.size * INNER))
            parts = [along(flat[i : i + step]) for i in range(0, flat.size, step)]
            return np.concatenate(parts).reshape(y.shape)

        known = self.pieces.breaks
        meet = (known[:, np.newaxis] - s * known).ravel() / (2.0 * b)
        low = 0.0 if s > 0.0 else -reach
        start = np.linspace(low, reach, math.ceil((reach - low) / 1.5) + 1)
        meet = meet[(meet > low) & (meet < reach)]
        first = _apart(np.union1d(start, meet), meet)
        pieces = resolve(
            in_parts, first, lambda p, q: 2e-17 * self.full * np.exp(0.5 * _inner(p, q) ** 2),
            8, OUTER_PANELS,
        )  # fmt: skip
        half = 0.5 * np.diff(pieces.edges)[:, np.newaxis]
        nodes, weights = _legendre(ORDER)
        middle = 0.5 * (pieces.edges[1:] + pieces.edges[:-1])[:, np.newaxis]
        values = pieces.series @ np.polynomial.chebyshev.chebvander(nodes, ORDER - 1).T
        double = 2.0 if s > 0.0 else 1.0
        value = double * float(np.sum(values * half * weights * _density(middle + half * nodes)))
        return value, double * float(_mass(pieces.edges) @ pieces.misfit)


def _reach(function: Function) -> tuple[float, float]:
    """Range on which the function matters, and the part of E[f^2] beyond it."""
    z = np.arange(0.0, 40.0, 0.1) + 0.037
    with np.errstate(all="ignore"):
        values = np.maximum(np.abs(function(z)), np.abs(function(-z)))
        logs = 2.0 * np.log(values) - 0.5 * z * z
    logs[~np.isfinite(logs)] = -np.inf
    share = np.exp(logs)
    whole = float(share.sum())
    for reach in REACHES:
        outside = float(share[z > reach - 0.2].sum())
        if outside <= 1e-18 * whole:
            return reach, outside
    return REACHES[-1], outside


def _inner(low: Array, high: Array) -> Array:
    """Modulus of the panel's point nearest to 0, limited to the range of the exponential."""
    return np.minimum(np.maximum(np.maximum(low, -high), 0.0), 36.0)


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))


def _mass(edges: Array) -> Array:
    """Bound on the Gaussian mass of each panel."""
    return np.diff(edges) * _density(_inner(edges[:-1], edges[1:]))


@lru_cache(maxsize=8)
def _legendre(n: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(n)


def _split(edges: Array, width: float) -> Array:
    """Edges with panels of at most a width."""
    parts = [
        np.linspace(low, high, max(1, math.ceil((high - low) / width)), endpoint=False)
        for low, high in pairwise(edges)
    ]
    return np.append(np.concatenate(parts), edges[-1])


def _apart(edges: Array, kept: Array) -> Array:
    """Edges that are at least 1e-6 away from `kept`, or in it."""
    if kept.size == 0:
        return edges
    far = np.abs(edges[:, np.newaxis] - kept).min(axis=1)
    inside = (far == 0.0) | (far > 1e-6)
    inside[[0, -1]] = True
    return np.asarray(edges[inside])


def _rule(edges: Array) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on panels."""
    x, w = _legendre(ORDER)
    half = 0.5 * np.diff(edges)[:, np.newaxis]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, np.newaxis]
    return (middle + half * x).ravel(), (half * w).ravel()


def _coarser(rule: tuple[int, int]) -> tuple[int, int]:
    return int(COARSE * rule[0]), int(COARSE * rule[1])


def _in_parts(count: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes on [-1, 1], many of them on panels, as long rules round too much."""
    if count <= LONG:
        return _legendre(count)
    panels = math.ceil(2 * count / LONG)
    x, w = _legendre(LONG // 2)
    middle = (2.0 * np.arange(panels) + 1.0) / panels - 1.0
    return (middle[:, np.newaxis] + x / panels).ravel(), np.tile(w / panels, panels)


def _polar_rule(function: Function, theta: float, rule: tuple[int, int]) -> float:
    """Gauss-Legendre in the radius and in the sectors between the rays u = 0 and v = 0."""
    x, w = _in_parts(rule[0])
    radial, radial_weights = _in_parts(rule[1])
    r = 0.5 * POLAR_REACH * (radial + 1.0)
    density = 0.5 * POLAR_REACH * radial_weights * r * np.exp(-0.5 * r**2) / (2.0 * math.pi)
    edges = np.array([-0.5, theta / np.pi - 0.5, 0.5, theta / np.pi + 0.5, 1.5]) * np.pi
    half = 0.5 * np.diff(edges)
    a = (edges[:-1] + half)[:, np.newaxis] + np.outer(half, x)
    weights = np.outer(half, w).ravel()
    first = function(r[:, np.newaxis] * np.cos(a.ravel()))
    second = function(r[:, np.newaxis] * np.cos(a.ravel() - theta))
    return float(density @ (first * second) @ weights)
