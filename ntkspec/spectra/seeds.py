"""Seeds of the dimension walk in ball arithmetic, for networks without a special series.

The pointwise kernel K(cos theta) is sampled at a precision set by the smallest eigenvalue wanted,
and integrated against cosines:

* kernels with kinks are analytic in theta on [0, pi]: Gauss-Legendre in theta;
* smooth kernels are smooth and even on the circle: the trapezoid rule, which gives their cosine
  coefficients, from which the moments with any power of sin theta follow.

From the moments of one dimension come its eigenvalues, and from those of the two lowest
dimensions all higher ones by the walk upwards,
lambda_k^(d+2) = (lambda_k^(d) - lambda_(k+2)^(d)) d / (d + 2k): it cancels as many digits as the
eigenvalues fall, which the precision covers and the balls' radii measure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from flint import acb, acb_mat, arb, arb_poly, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import Layers, powers
from ntkspec.duals.clipped import single
from ntkspec.duals.darboux import kinks_of
from ntkspec.duals.singular import root_at_one
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.rules import Affine
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Scaled

__all__ = ["ROUTE", "BallSeeds", "CosineMoments", "GaussMoments", "Moments", "first_bits", "ladder"]

LN2 = math.log(2.0)
#: Bits that every eigenvalue must keep.
KEPT = 60
#: Bits above which a ball that contains a midpoint of two doubles is taken for that midpoint.
SETTLED = 2 * KEPT
#: The first precision tried is a multiple, so that neighbouring dimensions share the duals.
STEP = 32
MOST_BITS = 24_000
MOST_BITS_UNPROVED = 900
MOST_NODES = 40_000
#: Bits at which the fall of a kernel is looked for.
PROBED = 128
ROUNDING = 2.0**-53

Values = Callable[[Any], Any]
#: A degree, and by how many nats the cosine coefficients have fallen there.
Fall = tuple[int, float]
#: Degrees that are needed; None: all.
Degrees = frozenset[int] | None


# --- moments of the kernel against cosines -------------------------------------------------------


class Moments(Protocol):
    """M_j = c_d int_0^pi K(cos x) sin^(d-2) x cos(j x) dx."""

    def moments(self, dim: int, count: int) -> list[arb]:
        """M_0, ..., M_(count - 1) at the working precision."""


class GaussMoments:
    """Moments of a kernel that is analytic in theta^(1/root) on [0, pi], by Gauss-Legendre.

    `reach`, the largest degree plus dimension needed, and `effort` determine the number of nodes
    unless it is given.  A kernel with a parity as a function of t needs half of the interval.
    """

    def __init__(
        self,
        values: Values,
        reach: int,
        effort: float = 1.0,
        root: int = 1,
        nodes: int = 0,
        parity: int | None = None,
    ) -> None:
        nats = ctx.prec * LN2
        n = nodes or math.ceil(effort * (0.55 * reach * root + 0.36 * nats + 24.0))
        self.n = 2 * math.ceil(n / 2)
        if self.n > MOST_NODES:
            raise NtkspecError(
                f"the quadrature over the angle would need {self.n} nodes, and at most "
                f"{MOST_NODES} are computed: their number grows with the degree plus the "
                f"dimension, here {reach}, and with the precision, here {ctx.prec} bits; lower the "
                "degree or the dimension"
            )
        self.parity = parity
        end = arb.pi() if parity is None else arb.pi() / 2
        self.points: list[acb] = []
        self.sines: list[arb] = []
        self.weighted: list[arb] = []
        for i in range(self.n // 2):
            x, weight = arb.legendre_p_root(self.n, i, True)
            for u in ((1 - x) / 2, (1 + x) / 2):
                angle = end * u**root
                sine, cosine = angle.sin_cos()
                self.points.append(acb(cosine, sine))
                self.sines.append(sine)
                jacobian = arb.pi() / 2 * root * u ** (root - 1)
                self.weighted.append(jacobian * weight * values(angle))

    def moments(self, dim: int, count: int) -> list[arb]:
        """M_0, ..., M_(count - 1); those of the wrong parity are 0."""
        sums = self.sums(dim, count)
        if self.parity is not None:
            sums = [x if j % 2 == self.parity else arb(0) for j, x in enumerate(sums)]
        return sums

    def sums(self, dim: int, count: int) -> list[arb]:
        """Sums over the nodes; cos(j x) = Re z^a z^(b G) as one product of matrices."""
        constant = _measure_constant(dim)
        factors = [w * s ** (dim - 2) for w, s in zip(self.weighted, self.sines, strict=True)]
        babies = math.isqrt(count) + 1
        giants = -(-count // babies)
        small = [powers(z, babies + 1) for z in self.points]
        steps = [powers(row[babies], giants) for row in small]
        left = acb_mat(
            [[w * row[b] for w, row in zip(factors, steps, strict=True)] for b in range(giants)]
        )
        product = left * acb_mat([row[:babies] for row in small])
        flat = [constant * product[b, a].real for b in range(giants) for a in range(babies)]
        return flat[:count]


class CosineMoments:
    """Moments of a smooth kernel from its cosine coefficients, K(cos x) = sum c_i cos(i x).

    By the trapezoid rule with n intervals on [0, pi]; a kernel with a parity as a function of t
    needs half of the values.
    """

    def __init__(self, values: Values, n: int, parity: int | None) -> None:
        if n > MOST_NODES:
            raise NtkspecError(
                f"the kernel would have to be computed at {n} angles, and at most {MOST_NODES} "
                f"are: at {ctx.prec} bits that many of its cosine coefficients count; lower the "
                "weight_variance, the depth or the degree"
            )
        self.n = n = 2 * math.ceil(n / 2)
        step = arb.pi() / n
        half = [values(step * i) for i in range(n // 2 + 1)]
        if parity is None:
            rest = [values(step * i) for i in range(n // 2 + 1, n + 1)]
        else:
            rest = [(-1) ** parity * value for value in half[-2::-1]]
        samples = half + rest
        circle = acb.dft([acb(x) for x in samples + samples[-2:0:-1]])
        self.coefficients = [c.real / n for c in circle[: n + 1]]
        self.coefficients[0] /= 2
        self.coefficients[n] /= 2

    def moments(self, dim: int, count: int) -> list[arb]:
        """M_j = sum_i c_i (s_(i+j) + s_(i-j)) / 2, s_m = c_d int sin^(d-2) x cos(m x) dx."""
        c = self.coefficients
        if dim == 2:
            short = [c[0], *[x / 2 for x in c[1:count]]]
            return short + [arb(0)] * (count - len(short))
        reach = self.n + count
        s = [arb(0)] * (2 * reach + 1)
        ball = arb(1)
        for m in range(0, reach + 1, 2):
            s[reach + m] = s[reach - m] = ball
            ball = -ball * (dim - 2 - m) / (dim + m)
            if ball.is_zero():
                break
        both = [*[x / 2 for x in c[:0:-1]], c[0], *[x / 2 for x in c[1:]]]
        product = arb_poly(both) * arb_poly(s)
        return [product[self.n + reach + j] for j in range(count)]

    def settled(self, count: int, stretch: float) -> bool:
        """Whether c_(2n-j) is negligible in the rule's c_j, j < count.

        Extrapolates the fall so far as exp(-C j^stretch).
        """
        tail = max(float(abs(x).upper()) for x in self.coefficients[-4:])
        size = max(float(abs(x).upper()) for x in self.coefficients[:4])
        noise = max(float(x.rad()) for x in self.coefficients[-4:])
        if tail <= 4.0 * noise:
            return True
        nats: float = math.log(size / tail) * ((2 * self.n - count) / self.n) ** stretch
        return nats > ctx.prec * LN2


def _measure_constant(dim: int) -> arb:
    """c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2))."""
    return arb(fmpq(dim, 2)).gamma() / (arb.pi().sqrt() * arb(fmpq(dim - 1, 2)).gamma())


# --- from moments to eigenvalues -----------------------------------------------------------------


def base_row(moments: Sequence[arb], dim: int) -> list[arb]:
    """lambda_0, lambda_1, ... from M_0, M_1, ... of the same dimension.

    P_k(cos x) = sum_j b_j b_(k-j) cos((k-2j) x) / sum_j b_j b_(k-j), b_j = (nu)_j / j!,
    nu = (d-2)/2 (DLMF 18.5.11).
    """
    if dim == 2:
        return list(moments)
    nu = arb(fmpq(dim - 2, 2))
    b = [arb(1)]
    for j in range(1, len(moments)):
        b.append(b[-1] * (nu + j - 1) / j)
    row, whole = [], arb(1)
    for k in range(len(moments)):
        if k:
            whole = whole * (dim + k - 3) / k
        total = arb(0)
        for j in range((k + 1) // 2):
            total += b[j] * b[k - j] * moments[k - 2 * j]
        total *= 2
        if k % 2 == 0:
            total += b[k // 2] * b[k // 2] * moments[0]
        row.append(total / whole)
    return row


def ladder(row: list[arb], dim: int, last: int) -> dict[int, list[arb]]:
    """Rows of dimensions dim, dim + 2, ... up to last; each is two degrees shorter."""
    rows = {dim: row}
    for d in range(dim, last - 1, 2):
        row = [(row[k] - row[k + 2]) * d / (d + 2 * k) for k in range(len(row) - 2)]
        rows[d + 2] = row
    return rows


# --- the route -----------------------------------------------------------------------------------


class _Plane:
    """Eigenvalues of dimensions low..high and degrees 0..last, as balls."""

    def __init__(self, low: int, high: int, last: int, wanted: Degrees) -> None:
        self.low, self.high, self.last, self.wanted = low, high, last, wanted
        self.rows: dict[int, list[arb]] = {}

    def empty(self) -> _Plane:
        """The same task without results."""
        return _Plane(self.low, self.high, self.last, self.wanted)

    def covers(self, low: int, high: int, last: int, wanted: Degrees) -> bool:
        known = self.wanted is None or (wanted is not None and wanted <= self.wanted)
        return self.low <= low and high <= self.high and last <= self.last and known

    def degrees(self, parity: Parity) -> list[int]:
        """The needed degrees that are not zero by parity."""
        degrees = range(self.last + 1) if self.wanted is None else sorted(self.wanted)
        return [k for k in degrees if not parity.vanishes(k)]

    def fill(self, source: Moments) -> None:
        for dim in range(self.low, min(self.low + 2, self.high + 1)):
            count = self.last + 1 + (self.high - dim) // 2 * 2
            row = base_row(source.moments(dim, count), dim)
            self.rows.update(ladder(row, dim, self.high))

    def missing_bits(self, parity: Parity) -> int:
        """Bits missing in the eigenvalue of worst relative accuracy; 0 if all have enough.

        Each must also be so narrow that all of it is rounded to one double.  So the double does
        not depend on the precision, nor on which eigenvalues are computed together.
        """
        worst = KEPT
        for row in self.rows.values():
            for k in self.degrees(parity):
                worst = min(worst, bits_kept(row[k]))
        return KEPT - worst

    def like_zeros(self, parity: Parity) -> list[int]:
        """The degrees of the lowest dimension that look like exact zeros."""
        row = dict(enumerate(self.rows[self.low]))
        return like_zeros({k: row[k] for k in self.degrees(parity)}, row)

    def differs(self, other: _Plane, parity: Parity) -> bool:
        """Whether the lowest rows of two planes differ by more than the last bits kept."""
        for dim in range(self.low, min(self.low + 2, self.high + 1)):
            for k in self.degrees(parity):
                mine, theirs = self.rows[dim][k], other.rows[dim][k]
                limit = abs(self.rows[dim][k]).upper() * arb(2) ** (4 - KEPT)
                if not abs(mine - theirs) < limit:
                    return True
        return False


class BallSeeds:
    """Rows and columns of eigenvalues by ball arithmetic, for one computation.

    Results are kept for the next row or column, so threads must not share an object.

    kernel_function() returns K(cos theta) as a function of the angle, prepared for the working
    precision; `kind`, that of the activation's singularity, chooses the rule.  A kernel with a kink
    is analytic in theta^(1/root).  Unless its values are `proved` to be enclosures, two precisions
    must agree.  fall() returns `first_fall` of a smooth kernel, where the caller keeps it;
    small(degrees) by how many nats one of these eigenvalues is at least below what is added up.
    """

    #: Rounding to a double; the balls are much smaller than that.
    relative_error = 2.0 * ROUNDING
    walks = True
    degrees_alone = False

    def __init__(
        self,
        kernel_function: Callable[[], Values],
        parity: Parity,
        kind: str,
        root: int = 1,
        proved: bool = True,
        fall: Callable[[], Fall] | None = None,
        small: Callable[[Sequence[int]], float] | None = None,
    ) -> None:
        self.kernel_function, self.parity = kernel_function, parity
        self.kind, self.root, self.proved = kind, root, proved
        self._fall = fall or partial(first_fall, kernel_function, parity.whole)
        self._small = small
        self.plane: _Plane | None = None

    @classmethod
    def of_network(cls, network: Network, kernel: Kernel) -> BallSeeds:
        """Seeds of a network's kernel."""
        fall = partial(_network_fall, network, kernel)
        return cls(
            lambda: Layers(network, kernel), parity(network, kernel), network.kind,
            root_at_one(network), proved=not network.user, fall=fall,
            small=partial(_beyond_kinks, network, kernel),
        )  # fmt: skip

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self.parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: Degrees = None) -> None:
        """Compute all eigenvalues for rows and columns of these dimensions and degrees.

        All degrees to the last count when `wanted` is None.
        """
        if self.plane is None or not self.plane.covers(low, high, last, wanted):
            self.plane = self._compute(_Plane(low, high, last, wanted))

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Eigenvalues of increasing degrees of one parity, scaled."""
        last = int(degrees[-1])
        self.prepare(dim, dim, last, frozenset(degrees.tolist()))
        assert self.plane is not None
        row = self.plane.rows[dim]
        return self._scaled([row[int(k)] for k in degrees], degrees)

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Eigenvalues of one degree in increasing dimensions of one parity, scaled."""
        self.prepare(int(dims[0]), int(dims[-1]), degree, frozenset([degree]))
        assert self.plane is not None
        rows = self.plane.rows
        return self._scaled([rows[int(d)][degree] for d in dims], np.full(dims.size, degree))

    def _scaled(self, balls: list[arb], degrees: NDArray[np.int64]) -> Scaled:
        mantissa, exponent = np.zeros(len(balls)), np.zeros(len(balls), np.int64)
        for i, (ball, degree) in enumerate(zip(balls, degrees.tolist(), strict=True)):
            if not self.parity.vanishes(degree):
                mantissa[i], exponent[i] = split(ball)
        return mantissa, exponent

    @exclusive()
    def _compute(self, task: _Plane) -> _Plane:
        """Raise the precision until every eigenvalue keeps KEPT bits."""
        if not task.degrees(self.parity):
            task.rows = {d: [arb(0)] * (task.last + 1) for d in range(task.low, task.high + 1)}
            return task
        bits = self._start(task)
        before: _Plane | None = None
        while True:
            if self.proved and bits > MOST_BITS:
                raise NtkspecError(
                    f"some eigenvalue to degree {task.last} in dimensions {task.low} to "
                    f"{task.high} needs more than {MOST_BITS} bits, because its sums cancel; "
                    "lower the degree or the dimension"
                )
            if not self.proved and bits > MOST_BITS_UNPROVED:
                raise NtkspecError(
                    f"some eigenvalue to degree {task.last} keeps fewer than {KEPT} bits when "
                    f"computed with {MOST_BITS_UNPROVED} bits: it is 0, or too small beside K(1); "
                    "leave out the degrees that vanish, declare the activation's symmetry or "
                    "polynomial part, or lower the degree or the dimension"
                )
            with working_precision(bits):
                plane = self._settled(task)
                missing = plane.missing_bits(self.parity)
                if missing and not self.proved:
                    refuse_zeros(plane.like_zeros(self.parity))
                if missing == 0 and (
                    self.proved or (before and not plane.differs(before, self.parity))
                ):
                    return plane
            before = plane if missing == 0 else None
            if missing == 0:
                bits += bits // 4
            else:
                bits += max(missing + 16, 32) if missing < KEPT else bits // 2

    def _start(self, task: _Plane) -> int:
        """The first precision: for power laws, or for the fall of a smooth kernel's spectrum."""
        bits, fallen = first_bits(task.high, task.last), 0.0
        advice = "lower the degree"
        if self.proved and not self.kinked:
            last, nats = self._fall()
            fallen = nats * (task.last / last) ** self._stretch / LN2
        elif self._small is not None:
            fallen = self._small(task.degrees(self.parity)) / LN2
            advice = "move the kinks towards 0 or raise the weight_variance"
        if fallen:
            if bits + fallen > 1.5 * MOST_BITS:
                raise NtkspecError(
                    f"degree = {task.last} needs about {bits + fallen:.6g} bits, and at most "
                    f"{MOST_BITS} are computed with: its eigenvalue is some 2^-{fallen:.6g} of "
                    f"what is added up, and the sums that give it cancel by as many bits; {advice}"
                )
            bits = max(bits, min(bits - 80 + int(fallen), MOST_BITS))
        return -(-bits // STEP) * STEP

    @property
    def kinked(self) -> bool:
        """Whether the activation has kinks; with one at 0 alone the kernel is analytic in theta."""
        return self.kind in ("kink", "kinks")

    @property
    def _stretch(self) -> float:
        """Power of the degree in the logarithm of the cosine coefficients of a smooth kernel."""
        return 1.0 if self.kind == "entire" else 2.0 / 3.0

    def _settled(self, task: _Plane) -> _Plane:
        kernel = self.kernel_function()
        if self.kinked:
            return self._by_gauss(kernel, task)
        return self._by_cosines(kernel, task)

    def _by_gauss(self, kernel: Values, task: _Plane) -> _Plane:
        """More nodes until two runs agree."""
        before, effort = None, 1.0
        while True:
            plane = task.empty()
            plane.fill(GaussMoments(kernel, task.last + task.high, effort, self.root))
            if plane.missing_bits(self.parity):
                return plane
            if before is not None and not plane.differs(before, self.parity):
                return plane
            before, effort = plane, 1.15 * effort

    def _by_cosines(self, kernel: Values, task: _Plane) -> _Plane:
        """More nodes until the coefficients have fallen off."""
        stretch = self._stretch
        count = task.last + task.high - task.low + 2
        n = self._cosine_nodes(count, stretch)
        while True:
            source = CosineMoments(kernel, n, self.parity.whole)
            if source.settled(count, stretch):
                break
            n = n * 5 // 4
        plane = task.empty()
        plane.fill(source)
        return plane

    def _cosine_nodes(self, count: int, stretch: float) -> int:
        """Nodes for the working precision, from the fall of the first coefficients."""
        last, nats = self._fall()
        fallen = (last + 1) * (ctx.prec * LN2 / nats) ** (1.0 / stretch)
        return int(1.05 * max((fallen + count) / 2, count / 2)) + 16


def first_fall(kernel_function: Callable[[], Values], parity: int | None) -> Fall:
    """A low degree, and by how many nats the cosine coefficients have fallen there.

    Raises
    ------
    NtkspecError
        For a kernel of which `PROBED` bits give no digit; its spectrum has very many degrees.
    """
    with working_precision(PROBED):
        probe = CosineMoments(kernel_function(), 192, parity)
        sizes = [abs(x.mid()) for x in probe.coefficients]
        top = max(sizes)
        shares = [float(x / top) for x in sizes]  # they themselves may be beyond doubles
    if not all(map(math.isfinite, shares)):
        raise NtkspecError(
            f"{PROBED} bits give no digit of the kernel: each layer multiplies the error of the "
            "one before; lower the weight_variance or the depth"
        )
    last = max(
        (j for j in range(1, 170) if shares[j] > 1e-28), default=1
    )  # the coefficients before are above the noise
    return last, max(-math.log(max(shares[last], 1e-28)), 1.0)


@lru_cache(maxsize=128)
def _network_fall(network: Network, kernel: Kernel) -> Fall:
    """`first_fall` of a network's kernel."""
    return first_fall(lambda: Layers(network, kernel), parity(network, kernel).whole)


def _beyond_kinks(network: Network, kernel: Kernel, degrees: Sequence[int]) -> float:
    """By how many nats an eigenvalue is below what is added up, as the kinks are far out.

    In deep networks it is below K(1), and probabilities are computed to an absolute error.  That of
    one layer is below K(1) by these:

    h_n = sum_i s_i He_(n - 1 - order)(x_i) phi(x_i) / sqrt(n!), x = place / sqrt(q), n >= 2, and
    He_m(x)^2 <= 1.2 m! exp(x^2 / 2) (Cramer): the eigenvalues fall as exp(-x^2 / 2).
    """
    if not single(network):
        if network.kind != "kinks":
            return 0.0
        with working_precision(128):
            at_one = abs(Layers(network, kernel).at_one()).upper()
        return max(0.0, -float(at_one.log()))
    hidden, worst = network.program.steps[0], 0.0
    assert isinstance(hidden, Affine)
    for odd in {k % 2 for k in degrees if k >= 2}:
        squares = [
            float(place) ** 2
            for place, order, _ in kinks_of(network.sigma)
            if place or (order + odd) % 2
        ]
        worst = max(worst, min(squares, default=0.0) / (2.0 * hidden.weight))
    return worst


def first_bits(dim: int, degree: int) -> int:
    """Bits below which a spectrum can hardly fall: lambda_k <= K(1) / N(d, k)."""
    k, d = max(degree, 1), dim
    log_multiplicity = math.log((2 * k + d - 2) / k) + (
        math.lgamma(k + d - 2) - math.lgamma(k) - math.lgamma(d - 1) if d > 2 else 0.0
    )
    return 96 + KEPT + int((max(log_multiplicity, 0.0) + 4.0 * math.log(k + 1.0)) / LN2)


def like_zeros(wanted: dict[int, arb], known: dict[int, arb]) -> list[int]:
    """Degrees whose balls contain 0 and are below 2^-60 of a neighbouring eigenvalue.

    No spectrum falls that far in one step and rises again unless an eigenvalue is 0.
    """
    zero = []
    for k, ball in wanted.items():
        near = [known[j] for j in (k - 1, k + 1) if j in known and not known[j].contains(0)]
        size = abs(ball).upper() * arb(2) ** KEPT
        if ball.contains(0) and any(size < abs(x).lower() for x in near):
            zero.append(k)
    return zero


def refuse_zeros(degrees: list[int]) -> None:
    """Raise for degrees of a user's function that look like exact zeros."""
    if not degrees:
        return
    shown = ", ".join(map(str, degrees[:6])) + (", ..." if len(degrees) > 6 else "")
    parities = {k % 2 for k in degrees}
    advice = "for an activation declare what makes them 0, symmetry or polynomial"
    if len(parities) == 1:
        symmetry, power = ("odd", "odd") if parities == {0} else ("even", "even")
        other = "even" if parities == {0} else "odd"
        advice = (
            f"for an activation declare symmetry='{symmetry}' if it is {power}, or the degree of "
            f"its {other} part as polynomial= if that is a polynomial"
        )
    raise NtkspecError(
        f"degrees {shown}: these eigenvalues cannot be distinguished from 0; they are below "
        f"2^-{KEPT} of those next to them; leave these degrees out, or {advice}"
    )


def bits_kept(ball: arb) -> int:
    """Relative accuracy of a ball in bits; fewer than KEPT where it reaches over two doubles."""
    if not ball.is_finite():
        return -int(ctx.prec)
    bits = int(ball.rel_accuracy_bits())
    if KEPT <= bits < SETTLED and split(ball.lower()) != split(ball.upper()):
        return KEPT - 1
    return bits


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    return (
        "quadrature at a precision that the result decides" if isinstance(source, Network) else None
    )


ROUTE = row_route(
    "ball arithmetic", _takes, BallSeeds.of_network, "all networks with Gaussian weights"
)
