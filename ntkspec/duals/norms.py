"""What duals of two variances need of every norm, for the kernels between vectors.

E[sigma(u) sigma(v)] for centred Gaussians u, v of variances a, b and correlation rho is

* a formula for powers on either side of 0, erf, gelu, sin, cos, exp and exp(-x^2/2);
* for polynomials between kinks an integral over the angle (`kernels.vectors`);
* else the sum of h_n(a) h_n(b) rho^n, h_n(a) = E[sigma(sqrt(a) Z) He_n(Z)] / sqrt(n!), which
  converges fast where sigma is smooth: the rest after N terms is at most |rho|^N times the root of
  both remainders E[sigma^2] - sum h_n^2 (Parseval and Cauchy-Schwarz);
* for a kink at 0 the same after a function with the same kink, whose dual is known, is taken off:
  P(x) exp(-w x^2/2) for x > 0 and 0 for x < 0, P a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_series
from numpy.typing import NDArray

from ntkspec.duals.layers import series_length
from ntkspec.duals.panels import homogeneous_panels, step_rows
from ntkspec.errors import NtkspecError
from ntkspec.kernels import composed, vectors
from ntkspec.kernels.layers import COEFFICIENTS, EVEN, NONE, ODD
from ntkspec.precision import exclusive, working_precision
from ntkspec.rules import Activate, Affine, Branch, Scale

__all__ = ["VectorTables", "vector_tables"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

CLOSED = ("erf", "sin", "cos", "gaussian", "gelu", "exp", "gabor", "snake")
UNIT = 2.0**-53
#: Variances below are 0, or refused where the kernel would be; above, they are refused.
LEAST, MOST = 1e-290, 1e290
#: Closed forms with products of two variances, and the variances from which these are refused.
SQUARED, MOST_SQUARED = (composed.ERF, composed.GAUSSIAN, vectors.GABOR), 1e145
#: Terms of a Hermite series that are tried, and the remainder allowed, relative to the whole; with
#: a kink at 0.
TERMS = (64, 128, 256, 512, 1024, 2048, 4096)
ALLOWED, ALLOWED_KINKED = 5e-15, 5e-14
#: Remainder after so many terms from which no number of terms is enough for a pole.
HOPELESS = 512, 3e-3
#: Remainder from which terms are left out, relative to the whole; with a kink at 0.
NEGLIGIBLE, NEGLIGIBLE_KINKED = 1e-17, 2e-15
#: Nodes on a panel of the rule for moments, first widths of panels for so many terms, and least.
NODES = 24
WIDTHS = {64: 1.0, 128: 1.0, 256: 0.5, 512: 0.5, 1024: 0.25, 2048: 0.25, 4096: 0.15}
LEAST_WIDTH = 0.004
#: Points and terms that are integrated together.
POINTS, ROWS = 1024, 64
#: Coefficients, and constants of a layer.
CONSTANTS = 2 + 2 * (vectors.MOST_POWERS + 2)
#: Powers of what is taken off at a kink at 0, and its widths w that are tried, in units of the
#: scale of sigma.
POWERS, SHARPNESS = 12, (0.3, 0.1, 1.0, 3.0, 7.0, 10.0)
#: Step in the logarithm of the variance for the metric of a closed form, and of one with kinks.
STEP, STEP_OF_KINKS = 0.02, 0.004
#: Panels for integrals beyond a kink, and nodes on each.  The outer weights of a rule of many nodes
#: are known to 1e-12 only: one of 72 nodes gave integrals to 5e-14.
BEYOND = 6, 16


class Side(NamedTuple):
    """Tables of one side's points, a column for each point.

    roots: of the variances before each part and at the end; flat: where they are 0 before an
    activation; means, rises: E[sigma], E[sigma'] where some are flat; metric: of the directions of
    sigma(sqrt(a) Z) in log a; features: moments, or what kinks need.
    """

    roots: Array
    flat: NDArray[np.bool_]
    means: Array
    rises: Array
    metric: Array
    features: Array


class VectorTables(NamedTuple):
    """Arguments of `ntkspec.kernels.vectors.vector_tiles` after `tangent`, and what is left out.

    left_out: bound of the error that series leave, or kinks by cancellation, relative to the size
    of their layer.
    """

    program: tuple[Any, ...]
    rows: Side
    columns: Side
    left_out: float


@dataclass
class _Layer:
    """One activation at all variances."""

    kind: int
    full: Array
    constants: tuple[float, ...] = ()
    mean: Any = 0.0
    rise: Any = 0.0
    metric: Any = 0.0
    features: Array = field(default_factory=lambda: np.zeros((0, 0)))
    #: First row, even and odd terms and first row taken off, of the value, then of the slope.
    rows: tuple[int, ...] = (0, 0, 0, -1, 0, 0, 0, -1)
    left_out: float = 0.0


def vector_tables(network: Any, squares: Array, others: Array | None, kernel: str) -> VectorTables:
    """Tables for points of the given squared norms, and for others, by default the same.

    Raises
    ------
    NtkspecError
        When a variance leaves the range of doubles, a vector that a Normalize meets is 0, or an
        activation is not covered.
    """
    both = squares if others is None else np.concatenate([squares, others])
    values, places = np.unique(both, return_inverse=True)
    program, tangent = network.program, kernel == "ntk"
    steps = step_rows(program, [1.0] * sum(isinstance(x, Scale) for x in program.steps))
    q = _settled(values, network, kernel)
    roots, flat, kept, layers = [np.sqrt(q)], list[Any](), list[Any](), list[_Layer]()
    last = len(program.activations) - 1
    for step in program.steps:
        if isinstance(step, Affine):
            q = step.weight * q + step.bias
        elif isinstance(step, Activate):
            flat.append(q == 0.0)
            spread = np.where(q == 0.0, 1.0, q)
            gaps = step.number < last
            layer = _prepared(program.activations[step.number], spread, tangent, gaps)
            if flat[-1].any():
                _lay_flat(layer, program.activations[step.number], flat[-1])
            layers.append(layer)
            q = layer.full
        elif isinstance(step, Scale):
            if (q == 0.0).any():
                raise NtkspecError(
                    "a vector of norm 0 has no direction after Normalize; leave such vectors out, "
                    "or give the network a bias"
                )
            q = np.ones_like(q)
        elif isinstance(step, Branch):
            kept.append(q)
        else:
            q = kept.pop() + step.square * q
        if not (q < MOST).all():
            raise _too_long(q, network.name)
        q = _settled(q, network, kernel)
        # What cancellation made negative is refused by the bound.
        roots.append(np.sqrt(np.maximum(q, 0.0)))
    side = _side(roots, flat, layers, values.size)
    sides = [_columns(side, places[: squares.size])]
    if others is not None:
        sides.append(_columns(side, places[squares.size :]))
    tables = _program(steps, program.activations, layers)
    return VectorTables(tables, sides[0], sides[-1], max((x.left_out for x in layers), default=0.0))


def _too_long(q: Array, name: str) -> NtkspecError:
    size = float(q.max())
    grows = f"to {size:.3g}" if math.isfinite(size) else "beyond doubles"
    return NtkspecError(
        f"the variance of the longest vector grows {grows} in {name}, which is out of "
        "range; scale the vectors down, or lower weight_variance or depth"
    )


def _settled(q: Array, network: Any, kernel: str) -> Array:
    """Variances, those below `LEAST` as 0 where the kernel keeps its digits without them."""
    faint = (q > 0.0) & (q < LEAST)
    if not faint.any():
        return q
    degrees = network.program.degrees(kernel == "ntk")
    if degrees.least > 0 or degrees.turns:
        raise NtkspecError(
            f"the variance of the shortest vector falls to {q[faint].min():.3g} in "
            f"{network.name}, which is out of range; scale the vectors up, or give vectors of "
            "norm 0 as zeros"
        )
    return np.where(faint, 0.0, q)


def _lay_flat(layer: _Layer, sigma: Any, flat: NDArray[np.bool_]) -> None:
    """Where the variance is 0 sigma is constant."""
    zero = np.zeros(1)
    value = float(sigma.value(zero)[0])
    slope = float(sigma.derivative(zero)[0]) if sigma.derivative is not None else 0.0
    layer.full = np.where(flat, value * value, layer.full)
    layer.mean = np.where(flat, value, layer.mean)
    layer.rise = np.where(flat, slope, layer.rise)


def _columns(side: Side, places: NDArray[np.intp]) -> Side:
    """Tables of these columns, in this order."""
    parts: list[Any] = [np.ascontiguousarray(x[:, places]) for x in side]
    return Side(*parts)


def _side(roots: list[Array], flat: list[Any], layers: list[_Layer], count: int) -> Side:
    def rows(parts: list[Any], kind: type) -> Any:
        table: Any = np.zeros((len(parts), count), kind)
        for row, part in zip(table, parts, strict=True):
            row[:] = part
        return table

    features = [np.zeros((0, count)), *(x.features for x in layers if x.features.size)]
    return Side(
        rows(roots, np.float64), rows(flat, np.bool_), rows([x.mean for x in layers], np.float64),
        rows([x.rise for x in layers], np.float64), rows([x.metric for x in layers], np.float64),
        np.concatenate(features),
    )  # fmt: skip


def _program(steps: Array, sigmas: tuple[Any, ...], layers: list[_Layer]) -> tuple[Any, ...]:
    constants = np.zeros((len(layers), CONSTANTS))
    rows = np.zeros((len(layers), 8), np.int64)
    panels, start, first = [np.zeros((0, 3, COEFFICIENTS))], 0, 0
    for at, (sigma, layer) in enumerate(zip(sigmas, layers, strict=True)):
        constants[at, : len(layer.constants)] = layer.constants
        rows[at] = layer.rows
        if layer.kind == vectors.POWER:
            table = homogeneous_panels(sigma)[0]
            rows[at, :2] = start, start + len(table)
            panels.append(table)
            start += len(table)
        elif layer.features.size:
            shift = [first, 0, 0, first if layer.rows[3] >= 0 else 0]
            rows[at] += np.array(shift * 2)
            first += len(layer.features)
    symmetry = [{"odd": ODD, "even": EVEN, None: NONE}[sigma.symmetry] for sigma in sigmas]
    gaps = [at < len(layers) - 1 for at in range(len(layers))]
    return (
        steps, np.array([x.kind for x in layers], np.int64), np.array(symmetry, np.int64),
        np.array(gaps, np.bool_), constants, rows, np.concatenate(panels),
    )  # fmt: skip


# --- activations ---------------------------------------------------------------------------------


def _prepared(sigma: Any, q: Array, tangent: bool, gaps: bool) -> _Layer:
    """One activation at positive variances."""
    if sigma.homogeneous is not None:
        return _homogeneous(sigma, q)
    if not sigma.user and sigma.shape.base.partition("(")[0] in CLOSED:
        return _closed(sigma, q, gaps)
    if sigma.kinks and not sigma.user:
        return _kinked(sigma, q, gaps)
    kind = sigma.singularity.kind
    if sigma.user and kind in ("kink", "kinks"):
        raise NtkspecError(
            f"{sigma.name} is your function with a kink: its kernel is known between vectors of "
            "one norm only; scale all vectors to one norm, or describe it by "
            "ntkspec.activations.piecewise_polynomial"
        )
    return _summed(sigma, q, tangent, gaps)


def _homogeneous(sigma: Any, q: Array) -> _Layer:
    power, right, left = sigma.homogeneous
    factor = 1.0
    for odd in range(1, 2 * power, 2):
        factor *= odd
    full = 0.5 * (right * right + left * left) * factor * q**power
    if power == 1 and right == 1.0:
        return _Layer(composed.LINEAR, full, (0.0 - left,), rise=0.5 * (1.0 - left))
    if power == 0 and (right, left) == (1.0, 0.0):
        return _Layer(composed.STEP, full, mean=0.5)
    numbers = power, *homogeneous_panels(sigma)[1]
    return _Layer(vectors.POWER, full, numbers)


def _closed(sigma: Any, q: Array, gaps: bool) -> _Layer:
    root = np.sqrt(q)
    number, constants = _formula(sigma)
    if number in SQUARED and not q.max() < MOST_SQUARED:
        raise _too_long(q, sigma.name)

    def at_one(a: Array, b: Array) -> Array:
        out = np.empty_like(a)
        vectors.closed_at_one(number, np.array(constants), a, b, out)
        return out

    with np.errstate(over="ignore", invalid="ignore"):
        full = at_one(root, root)
        metric: Any = 0.0
        if gaps:
            found = [_apart(at_one, root, step) for step in (STEP, 0.5 * STEP)]
            metric = np.maximum((4.0 * found[1] - found[0]) / 3.0, 0.0)
        mean, rise = _means(sigma, q)
    return _Layer(number, full, constants, mean, rise, metric)


def _formula(sigma: Any) -> tuple[int, tuple[float, ...]]:
    """The number of a closed form and its constants."""
    base = sigma.shape.base
    if base == "snake":
        return vectors.SNAKE, (float(sigma.shape.inner),)
    if base.startswith("gabor"):
        omega, scale = sigma.value.arguments
        return vectors.GABOR, (omega * omega, 2.0 * scale * scale)
    return getattr(composed, base.upper()), (0.0,)


def _means(sigma: Any, q: Array) -> tuple[Any, Any]:
    """E[sigma], where sigma(0) is not 0, and E[sigma'] of a closed form."""
    base = sigma.shape.base
    if base == "snake":
        return 0.0, 1.0
    if base.startswith("gabor"):
        omega, scale = sigma.value.arguments
        whole = 1.0 + 2.0 * scale * scale * q
        return np.exp(-0.5 * omega * omega * q / whole) / np.sqrt(whole), 0.0
    found: dict[str, tuple[Any, Any]] = {
        "erf": (0.0, 2.0 / math.sqrt(math.pi) / np.sqrt(1.0 + 2.0 * q)),
        "sin": (0.0, np.exp(-0.5 * q)),
        "cos": (np.exp(-0.5 * q), 0.0),
        "gaussian": (1.0 / np.sqrt(1.0 + q), 0.0),
        "gelu": (0.0, 0.5),
        "exp": (np.exp(0.5 * q), np.exp(0.5 * q)),
    }
    return found[base]


def _apart(at_one: Callable[[Array, Array], Array], root: Array, step: float) -> Array:
    """2 (1 - cos) / step^2 of the directions of sigma(sqrt(a) Z) so far apart in log a."""
    a, b = root * math.exp(0.25 * step), root * math.exp(-0.25 * step)
    cosine = at_one(a, b) / np.sqrt(at_one(a, a)) / np.sqrt(at_one(b, b))
    return np.asarray(2.0 * (1.0 - cosine) / step**2)


def _kinked(sigma: Any, q: Array, gaps: bool) -> _Layer:
    """A polynomial between kinks: its densities there, and integrals beyond them."""
    places = sorted({kink.place for kink in sigma.kinks})
    if len(places) > vectors.MOST_KINKS:
        raise NtkspecError(
            f"{sigma.name} has {len(places)} kinks, and between vectors of different norms at "
            f"most {vectors.MOST_KINKS} are covered; scale all vectors to one norm"
        )
    constants = np.array(_pieces(sigma, places))
    where = np.array([float(place) for place in places])

    def found(a: Array, b: Array) -> Array:
        out = np.empty((3, a.size))
        vectors.kinked_at_one(a, b, constants, _beyond(where, a), _beyond(where, b), out)
        return out

    root = np.sqrt(q)
    full, mean, rise = found(root, root)
    metric: Any = 0.0
    if gaps:
        few = [_apart(lambda a, b: found(a, b)[0], root, s * STEP_OF_KINKS) for s in (1.0, 0.5)]
        metric = np.maximum(2.0 * few[1] - few[0], 0.0)
    features = _beyond(where, root)
    # The polynomial around 0 and what the kinks add cancel, the more the wider the inputs.
    constant, linear, quadratic = np.abs(constants[1:4])
    _, slopes, curves = np.abs(constants[4:]).reshape(-1, 3).T
    moments = features.reshape(len(places), 6, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        size = constant + root * (linear + slopes @ np.sqrt(moments[:, 3]))
        size += q * (2.0 * quadratic + 0.5 * curves @ np.sqrt(moments[:, 5]))
        left_out = 2.0 * UNIT * _largest(size * size, full)
    return _Layer(
        vectors.KINKS, full, tuple(constants), mean, rise / root, metric, features,
        left_out=left_out,
    )  # fmt: skip


def _pieces(sigma: Any, places: list[Fraction]) -> list[float]:
    """The number of kinks, the polynomial around 0, and place and jumps of each kink."""
    base = [*sigma.dual.arguments[0], *[Fraction(0)] * 3][:3]
    kinks = []
    for place in places:
        slope, curve = (
            sum((k.jump for k in sigma.kinks if (k.place, k.order) == (place, order)), Fraction(0))
            for order in (1, 2)
        )
        kinks += [float(place), float(slope), float(curve)]
        if place <= 0:
            base[0] += -slope * place + curve * place * place / 2
            base[1] += slope - curve * place
            base[2] += curve / 2
    return [float(len(places)), *map(float, base), *kinks]


def _beyond(places: Array, roots: Array) -> Array:
    """Densities at kinks, and int_p^inf (z - p)^k phi(z) dz, k < 5, p = |place| / root, in rows."""
    panels, nodes = BEYOND
    x, w = np.polynomial.legendre.leggauss(nodes)
    at = (np.arange(panels)[:, np.newaxis] + 0.5 * (x + 1.0)).reshape(-1, 1) / panels
    share = np.tile(0.5 * w / panels, panels)[:, np.newaxis]
    features = []
    for place in places:
        p = abs(place) / roots
        density = np.exp(-0.5 * p * p) / math.sqrt(2.0 * math.pi)
        # exp(-p t - t^2/2) is exp(-50) at this t.
        end = 100.0 / (p + np.sqrt(p * p + 100.0))
        t = end * at
        weight = end * share * np.exp(-t * (p + 0.5 * t)) * density
        features += [density, *(np.sum(weight * t**k, axis=0) for k in range(5))]
    return np.array(features)


# --- Hermite series ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Corner:
    """P(x) exp(-width x^2/2) for x > 0, and its derivative, by the coefficients of P and P'."""

    width: float
    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def constants(self) -> tuple[float, ...]:
        return (self.width, float(len(self.first)), *self.first, *self.second)

    def value(self, x: Array) -> Array:
        return self._at(self.first, x)

    def slope(self, x: Array) -> Array:
        return self._at(self.second, x)

    def _at(self, coefficients: tuple[float, ...], x: Array) -> Array:
        ahead = np.maximum(x, 0.0)
        found = np.polynomial.polynomial.polyval(ahead, coefficients)
        return np.where(x > 0.0, found * np.exp(-0.5 * self.width * ahead * ahead), 0.0)


@lru_cache(maxsize=64)
@exclusive()
def _corner(sigma: Any, sharpness: float) -> _Corner:
    """What has the kink of sigma at 0: from the power series on both sides."""
    width = sharpness * float(sigma.shape.inner) ** 2
    size = POWERS + 1
    with working_precision(128), series_length(size):
        x = arb_series([0, 1], size)
        jump = sigma.ball(x, 1) - sigma.ball(x, -1)
        bell = (x * x * arb(0.5 * width)).exp()
        polynomial = jump * bell
        first = [float(polynomial[k].mid()) for k in range(size)]
    second = [0.0] * (size + 1)
    for k in range(1, size):
        second[k - 1] += k * first[k]
        second[k + 1] -= width * first[k]
    first[0] = 0.0
    return _Corner(width, (*first, 0.0), tuple(second))


class _Rule(NamedTuple):
    """Nodes z > 0, and weights times exp(-z^2/4) / sqrt(2 pi)."""

    nodes: Array
    weights: Array


@lru_cache(maxsize=16)
def _rule(reach: float, width: float) -> _Rule:
    """Gauss-Legendre on panels from 0 to the reach."""
    count = math.ceil(reach / width)
    edges = np.linspace(0.0, reach, count + 1)
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * reach / count
    nodes = (0.5 * (edges[1:] + edges[:-1])[:, np.newaxis] + half * x).ravel()
    bell = np.exp(-0.25 * nodes * nodes) / math.sqrt(2.0 * math.pi)
    return _Rule(nodes, np.tile(half * w, count) * bell)


def _moments(rule: _Rule, even: Array, odd: Array, terms: int) -> Array:
    """Sums over the nodes of psi_n times columns, for n < terms: those of `even` for even n.

    psi_n(z) = He_n(z) exp(-z^2/4) / sqrt(n!).
    """
    z = rule.nodes
    before, here = np.zeros_like(z), np.exp(-0.25 * z * z)
    out = np.empty((terms, even.shape[1]))
    block = np.empty((ROWS, z.size))
    for first in range(0, terms, ROWS):
        for row in range(ROWS):
            n = first + row
            block[row] = here
            before, here = here, (z * here - math.sqrt(n) * before) / math.sqrt(n + 1.0)
        out[first : first + ROWS : 2] = block[::2] @ even
        out[first + 1 : first + ROWS : 2] = block[1::2] @ odd
    return out


class _Found(NamedTuple):
    """Moments in rows, and the mean square, of a function at all variances."""

    moments: Array
    full: Array


def _integrated(functions: Sequence[Function], q: Array, terms: int, rule: _Rule) -> list[_Found]:
    """Moments of several functions."""
    count = len(functions)
    moments, full = np.empty((count, terms, q.size)), np.empty((count, q.size))
    bell = np.exp(-0.25 * rule.nodes * rule.nodes) * rule.weights
    weights = rule.weights[:, np.newaxis]
    for low in range(0, q.size, POINTS):
        some = slice(low, low + POINTS)
        x = rule.nodes[:, np.newaxis] * np.sqrt(q[some])
        even, odd = np.empty((2, x.shape[0], count, x.shape[1]))
        for at, function in enumerate(functions):
            with np.errstate(over="ignore", invalid="ignore"):
                # Beyond the reach of the Gaussian values may overflow.
                ahead, behind = (
                    np.nan_to_num(function(y), posinf=0.0, neginf=0.0) for y in (x, -x)
                )
            full[at, some] = (ahead * ahead + behind * behind).T @ bell
            even[:, at], odd[:, at] = weights * (ahead + behind), weights * (ahead - behind)
        flat = (x.shape[0], count * x.shape[1])
        found = _moments(rule, even.reshape(flat), odd.reshape(flat), terms)
        moments[:, :, some] = np.moveaxis(found.reshape(terms, count, -1), 1, 0)
    return [_Found(*pair) for pair in zip(moments, full, strict=True)]


def _reach(functions: list[Function], most: float) -> float:
    """Standard deviations beyond which nothing counts."""
    z = np.linspace(0.0, 38.0, 381)
    with np.errstate(all="ignore"):
        logs = [
            np.log(np.maximum(np.abs(f(math.sqrt(most) * z)), np.abs(f(-math.sqrt(most) * z))))
            for f in functions
        ]
    reach = 12.5
    for log in logs:
        known = np.where(np.isfinite(log), log, -np.inf)
        size = 0.5 * math.log(
            np.mean(np.exp(np.minimum(2.0 * known - 0.5 * z * z, 700.0))) + 1e-300
        )
        beyond = z[known - 0.25 * z * z > size - 40.0]
        reach = max(reach, float(beyond.max(initial=0.0)))
    return reach


def _summed(sigma: Any, q: Array, tangent: bool, gaps: bool) -> _Layer:
    """The moments of an activation, as many as are needed."""
    functions = [sigma.value]
    if tangent:
        if sigma.ball_derivative is None:
            raise NtkspecError(
                f"{sigma.name} was given without its derivative, which the neural tangent kernel "
                "between vectors of different norms needs; give it to user_activation"
            )
        functions.append(sigma.derivative)
    kinked = sigma.singularity.kind == "kink"
    corners = [_corner(sigma, sharpness) for sharpness in SHARPNESS] if kinked else [None]
    probes = np.unique(np.quantile(q, [0.0, 0.5, 1.0]))
    reach = _reach(functions, float(q.max()))
    for terms in TERMS:
        rule, known = _checked_rule(sigma, functions, probes, terms, reach)
        left_out, corner = _best(corners, known, probes, terms, rule)
        if left_out <= (ALLOWED_KINKED if kinked else ALLOWED):
            break
        pole = sigma.singularity.kind == "pole"
        if pole and terms >= HOPELESS[0] and left_out > HOPELESS[1]:
            break
    count = len(functions)
    both = _integrated([*functions, *_taken(corner)[:count]], q, terms, rule)
    found, less = both[:count], both[count:]
    left_out = _left_out(found, less, corner, q)
    metric: Any = _metric(found[0], sigma, q, rule) if gaps else 0.0
    features, rows = _features(found, less)
    return _Layer(
        vectors.CORNER if corner else vectors.SERIES, found[0].full,
        corner.constants if corner else (), found[0].moments[0],
        found[1].moments[0] if tangent else 0.0, metric, features, rows, left_out,
    )  # fmt: skip


def _taken(corner: _Corner | None) -> list[Function]:
    """What is taken off at a kink at 0, and its derivative."""
    return [] if corner is None else [corner.value, corner.slope]


def _best(
    corners: Sequence[_Corner | None], known: list[_Found], q: Array, terms: int, rule: _Rule
) -> tuple[float, _Corner | None]:
    """The corner that leaves the least error, after it."""
    count = len(known)
    functions = [f for one in corners for f in _taken(one)[:count]]
    found = _integrated(functions, q, terms, rule) if functions else []
    errors = [
        _left_out(known, found[at * count : (at + 1) * count], one, q)
        for at, one in enumerate(corners)
    ]
    least = int(np.argmin(errors))
    return errors[least], corners[least]


def _checked_rule(
    sigma: Any, functions: list[Function], probes: Array, terms: int, reach: float
) -> tuple[_Rule, list[_Found]]:
    """A rule that agrees with one of half its width, and what it gives."""
    width, before = WIDTHS[terms], math.inf
    rule = _rule(reach, width)
    known = _integrated(functions, probes, terms, rule)
    full = known[0].full
    if not np.all((full > 0.0) & np.isfinite(full)):
        way = "up" if np.any(full == 0.0) else "down"
        raise NtkspecError(
            f"squares of {sigma.name} leave the range of doubles at variances from "
            f"{probes.min():.3g} to {probes.max():.3g}; scale the vectors {way}"
        )
    while width > LEAST_WIDTH:
        width *= 0.5
        finer = _rule(reach, width)
        found = _integrated(functions, probes, terms, finer)
        change = max(
            _largest(np.linalg.norm(x.moments - y.moments, axis=0), np.sqrt(y.full))
            for x, y in zip(known, found, strict=True)
        )
        # Below 1e-12 a change that falls no more is rounding.
        if change <= 4e-15 or (change <= 1e-12 and change > 0.1 * before):
            return rule, known
        rule, known, before = finer, found, change
    raise NtkspecError(
        f"{sigma.name} varies too fast for its Hermite moments at the variance "
        f"{probes.max():.4g}; scale the vectors down, or lower weight_variance"
    )


def _largest(part: Array, whole: Array) -> float:
    """The largest ratio; infinite where a rule has missed all of a function."""
    ratios = np.divide(part, whole, out=np.full(part.shape, np.inf), where=whole > 0.0)
    return float(np.max(ratios))


def _left_out(found: list[_Found], less: list[_Found], corner: _Corner | None, q: Array) -> float:
    """The largest part of E[sigma^2] and E[sigma'^2] that the terms miss."""
    known: list[Any] = [0.0, 0.0]
    if corner is not None:
        known = [np.empty_like(q), np.empty_like(q)]
        vectors.corner_at_one(np.sqrt(q), np.array(corner.constants), known[0], known[1])
    worst = 0.0
    for at, one in enumerate(found):
        whole = np.sum(one.moments**2, axis=0) + known[at]
        if less:
            whole = whole - np.sum(less[at].moments ** 2, axis=0)
        worst = max(worst, _largest(np.abs(one.full - whole), one.full))
    return worst


def _metric(found: _Found, sigma: Any, q: Array, rule: _Rule) -> Array:
    """|d/ds of the direction of sigma(sqrt(a) Z)|^2, s = log a."""
    metric = np.empty(q.size)
    if sigma.derivative is None:
        n = np.arange(found.moments.shape[0] - 2.0)[:, np.newaxis]
        h = found.moments
        along = 0.5 * (n * h[:-2] + np.sqrt((n + 1.0) * (n + 2.0)) * h[2:])
        size, share = np.sum(along**2, axis=0), np.sum(along * h[:-2], axis=0)
        return np.asarray(np.maximum(size / found.full - (share / found.full) ** 2, 0.0))
    bell = np.tile(np.exp(-0.25 * rule.nodes * rule.nodes) * rule.weights, 2)
    nodes = np.concatenate([rule.nodes, -rule.nodes])[:, np.newaxis]
    for low in range(0, q.size, POINTS):
        x = nodes * np.sqrt(q[low : low + POINTS])
        along = 0.5 * x * sigma.derivative(x)
        size, share = (along * along).T @ bell, (along * sigma.value(x)).T @ bell
        full = found.full[low : low + POINTS]
        metric[low : low + POINTS] = np.maximum(size / full - (share / full) ** 2, 0.0)
    return metric


def _features(found: list[_Found], less: list[_Found]) -> tuple[Array, tuple[int, ...]]:
    """Rows of even, then odd moments, without those that are negligible."""
    parts: list[Array] = []
    rows: list[int] = []
    first = 0
    for at in range(2):
        if at >= len(found):
            rows += [0, 0, 0, -1]
            continue
        one, full = found[at], found[at].full
        size = one.moments**2
        if less:
            size = np.abs(size - less[at].moments ** 2)
        share = np.max(np.divide(size, full, out=np.ones_like(size), where=full > 0.0), axis=1)
        counts = []
        for parity in (0, 1):
            tail = np.cumsum(share[parity::2][::-1])[::-1]
            least = NEGLIGIBLE_KINKED if less else NEGLIGIBLE
            counts.append(int(np.count_nonzero(tail > least)))
        start = first
        for source in [one, *less[at : at + 1]]:
            for parity in (0, 1):
                kept = source.moments[parity::2][: counts[parity]]
                # Products of numbers that count for nothing would be denormal, and slow.
                parts.append(np.where(np.abs(kept) < 1e-30 * np.sqrt(full), 0.0, kept))
            first += sum(counts)
        rows += [start, *counts, start + sum(counts) if less else -1]
    return np.concatenate(parts), tuple(rows)
