"""E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] for Gaussian u, v, by mpmath's arithmetic.

(u, v) is centred Gaussian of variance q and covariance q r.

* Smooth sigma: the trapezoid rule in the plane.  With independent standard normal z, x, y and
  A^2 = q |r|, B^2 = q (1 - |r|) the pair is u = A z + B x, v = +-A z + B y, so that

      E[sigma(u) sigma(v)] = E_z[g(z) g(+-z)],   g(z) = E_x[sigma(A z + B x)].

  Both means are sums over equidistant points, whose error falls geometrically with 1/step
  (Trefethen and Weideman 2014, theorem 5.1).  The steps are such that all A z + B x lie on one
  lattice, on which sigma is evaluated once.  This is done at Chebyshev points r, and the
  coefficients that follow must fall below the error aimed at.
* sigma = x^p on either side of 0: by Stein's lemma a recursion between the moments
  E[u^a v^b; u > 0, v > 0]; the result is the arc-cosine kernel (Cho and Saul 2009, section 2.1).
* Polynomials: the same recursion without the edges, between the moments E[u^a v^b].
* exp: E[e^(u + v)], the moment generating function of a Gaussian, which is sigma' too.
* elu, celu and selu: the plane is cut at u = 0 and v = 0; in each sector the radius is integrated
  in closed form by the complementary error function, the angle by a Gauss-Legendre rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

from ntkspec.errors import NtkspecError
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.jacobi import jacobi_rule
from ntkspec.reference.mpmath.sigmas import Powers, Smooth

__all__ = ["Dual", "EluDual", "ExpDual", "PolynomialDual", "PowersDual", "SmoothDual"]

Pair = tuple[Any, Any]

#: Largest number of multiplications for a table, about an hour.
MOST_WORK = 2e10
#: The part of a strip of analyticity that is used; the rest keeps sigma bounded.
MARGIN = 0.9
LATTICE_MOST = 2_000_000
MOST_ELU_POINTS = 1000


class Dual(Protocol):
    """Both expectations of one activation at one variance q."""

    def at(self, cosine: Any) -> Pair:
        """Return them at the correlation r; the second is 0 where it does not exist."""
        ...


# --- Chebyshev series ----------------------------------------------------------------------------

Series = tuple[list[int], list[int]]


def _chebyshev(precision: Precision, values: Sequence[int]) -> list[int]:
    """Coefficients from the values at the zeros of T_n, cos((2 i + 1) pi / (2 n)), i = 0..n-1."""
    mp, n = precision.mp, len(values)
    turn = [precision.fixed(mp.cospi(mp.mpf(j) / (2 * n))) for j in range(4 * n)]
    # T_j(-x) = (-1)^j T_j(x): sums and differences of the values at x and -x; x = 0 counts once.
    half = list(zip(values, reversed(values), strict=True))[: (n + 1) // 2]
    folded = [[x + y for x, y in half], [x - y for x, y in half]]
    if n % 2:
        folded[0][-1] //= 2
    sums = [
        sum(x * turn[(2 * i + 1) * j % (4 * n)] for i, x in enumerate(folded[j % 2]))
        for j in range(n)
    ]
    return [(x * (2 if j else 1) // n) >> precision.bits for j, x in enumerate(sums)]


def _fallen(series: Sequence[Sequence[int]]) -> float:
    """-log of the largest of the last coefficients, relative to the largest of all."""
    reached = math.inf
    for row in series:
        last = max(abs(c) for c in row[-max(6, len(row) // 12) :])
        largest = max(abs(c) for c in row)
        reached = min(reached, math.log(max(largest, 1)) - math.log(max(last, 1)))
    return reached


def _clenshaw(precision: Precision, series: Series, x: int) -> Pair:
    """Values of both series at x, by Clenshaw's recurrence."""
    bits, results = precision.bits, []
    for row in series:
        ahead = value = 0
        for c in reversed(row[1:]):
            value, ahead = c + (2 * x * value >> bits) - ahead, value
        results.append(precision.float(row[0] + (x * value >> bits) - ahead))
    return results[0], results[1]


# --- smooth sigma --------------------------------------------------------------------------------


class SmoothDual:
    """Chebyshev series in r of both expectations.

    `second` makes another rule in every respect: finer steps, shifted lattices, other points.
    """

    def __init__(self, precision: Precision, sigma: Smooth, variance: Any, second: bool) -> None:
        self.precision, self.second = precision, second
        self.plane = _Plane(precision, sigma, variance, second)
        self.series = self._converged(_expected_points(precision.nats, sigma, float(variance)))

    def at(self, cosine: Any) -> Pair:
        """Both at the correlation r."""
        return _clenshaw(self.precision, self.series, self.precision.fixed(cosine))

    def _converged(self, points: int) -> Series:
        """Increase the number of points until the coefficients are below the error."""
        # An odd number has r = 0 among its points, an even one does not.
        points += points % 2 + self.second
        while True:
            if (work := points / 2 * self.plane.work()) > MOST_WORK:
                raise NtkspecError(
                    f"digits = {self.precision.digits} of the kernel take about {work:.0e} "
                    f"multiplications in the mpmath reference, allowed are {MOST_WORK:.0e}; take "
                    "smaller degrees or dimensions, fewer digits or the method 'balls'"
                )
            series = self._series(points)
            reached = _fallen(series)
            if reached >= self.precision.nats:
                return series
            growth = 1.1 * self.precision.nats / max(reached, 1.0)
            points = 2 * math.ceil(points * min(max(growth, 1.2), 4.0) / 2) + self.second

    def _series(self, n: int) -> Series:
        mp = self.precision.mp
        half = []
        for i in range((n + 1) // 2):
            middle = 2 * i + 1 == n
            versine = mp.one if middle else 2 * mp.sinpi(mp.mpf(2 * i + 1) / (4 * n)) ** 2
            half.append(self.plane.means(versine))
        series = []
        for pairs in zip(*half, strict=True):
            above, below = zip(*pairs, strict=True)
            values = [*above, *reversed(below[: n // 2])]
            series.append(_chebyshev(self.precision, values))
        return series[0], series[1]


def _expected_points(nats: float, sigma: Smooth, variance: float) -> int:
    """Estimate the coefficients that a dual has above exp(-nats); for the effort only.

    With a pole they fall like exp(-3/2 (c j)^(2/3)), c = 2 strip / sqrt(q); with growth y^2 (or
    y^2 / 2) the dual has its nearest singularity at r = 1 + 1 / (2 q) (or 1 + 1 / q); for sin and
    cos they fall like the Bessel functions I_j(q), for growth c |y| like I_j(c^2 q).
    """
    if math.isfinite(sigma.strip):
        n = (nats / 1.5) ** 1.5 * math.sqrt(variance) / (2 * sigma.strip)
        return int(1.3 * n) + 12
    square = sigma.growth(1000.0) / 1000.0**2
    if square > 0.1:
        return int(1.1 * nats / math.acosh(1 + 1 / (2 * square * variance))) + 12
    variance *= sigma.growth(1.0) ** 2
    j = math.ceil(variance)
    while math.lgamma(j + 1) - j * math.log(variance / 2) < nats:
        j += 1
    return j + 8


class _Plane:
    """The trapezoid rule in the plane, for one activation, variance and precision."""

    def __init__(self, precision: Precision, sigma: Smooth, variance: Any, second: bool) -> None:
        self.precision, self.sigma, self.variance = precision, sigma, variance
        self.size = math.sqrt(float(variance))
        self.nats = precision.nats + 2 * math.log1p(float(variance)) + 12.0
        self.reach = math.sqrt(2 * self.nats) + 0.5
        self.finer = 1.25 if second else 1.0
        #: Of the points z and of the points x, in half steps.
        self.shifts = (1, 1) if second else (0, 0)

    def work(self) -> float:
        """Multiplications for one r and its negative, in the middle of the interval."""
        scale = self.size * math.sqrt(0.5)
        points = 4 * self.reach**2 / (self._step(scale, 2) * self._step(scale, 1))
        return points if self.sigma.parity else 2 * points

    def _step(self, scale: float, factors: int) -> float:
        """Step of the trapezoid rule for E[f(scale z)], f a product of as many sigma's.

        Moving the line of integration by i w gives the error exp(-2 pi w / h) times the size of
        the integrand there, exp(w^2 / 2 + growth).
        """
        most = 4 * self.reach
        if scale > 0.0:
            most = min(most, MARGIN * self.sigma.strip / scale)
        best = 0.0
        for i in range(1, 121):
            w = most * i / 120
            size = w * w / 2 + factors * self.sigma.growth(scale * w)
            best = max(best, 2 * math.pi * w / (self.nats + size))
        return best / self.finer

    def means(self, versine: Any) -> list[tuple[int, int]]:
        """Both expectations, each at r = 1 - versine >= 0 and at -r, in fixed point."""
        precision, bits = self.precision, self.precision.bits
        mp = precision.mp
        a, b = mp.sqrt(self.variance * (1 - versine)), mp.sqrt(self.variance * versine)
        spacing, every_z, every_x = self._lattice(float(a), float(b))
        shift_z, shift_x = self.shifts
        # A z + B x = (every_z (i + shift_z / 2) + every_x (j + shift_x / 2)) spacing
        n_z, weights_z = 0, [1 << bits]
        if every_z:
            step = every_z * spacing / a
            n_z = math.ceil(self.reach / float(step))
            weights_z = _gaussian_weights(precision, step, shift_z, n_z + shift_z, n_z)
        else:
            shift_z = 0
        step = every_x * spacing / b
        n_x = math.ceil(self.reach / float(step))
        weights_x = _gaussian_weights(precision, step, shift_x, n_x, n_x)
        low = -(n_z + shift_z) * every_z - n_x * every_x
        high = n_z * every_z + n_x * every_x
        if high - low > LATTICE_MOST:
            raise NtkspecError(
                f"the mpmath reference would evaluate the activation at {high - low} points; take "
                "fewer digits, a smaller weight_variance or the method 'balls'"
            )
        samples = self._samples(low, high, every_z * shift_z + every_x * shift_x, spacing)
        span = 2 * n_x * every_x + 1
        result = []
        for row, parity in zip(samples, (self.sigma.parity, -self.sigma.parity), strict=True):
            count = len(weights_z)
            start = count // 2 if parity else 0
            g = [
                precision.dot(weights_x, row[i * every_z : i * every_z + span : every_x]) >> bits
                for i in range(start, count)
            ]
            if parity:
                g = [parity * x for x in reversed(g[count % 2 :])] + g
            near = sum(w * x * x for w, x in zip(weights_z, g, strict=True))
            far = sum(w * x * y for w, x, y in zip(weights_z, g, reversed(g), strict=True))
            result.append((near >> 2 * bits, far >> 2 * bits))
        return result

    def _lattice(self, a: float, b: float) -> tuple[Any, int, int]:
        """Spacing of the arguments, and how many of it the steps of z and x are."""
        of_x, mpf = b * self._step(b, 1), self.precision.mp.mpf
        if a == 0.0:
            return mpf(of_x), 0, 1
        of_z = a * self._step(a, 2)
        if of_x <= of_z:
            every = int(of_z / of_x)
            return mpf(min(of_x, of_z / every)), every, 1
        every = int(of_x / of_z)
        return mpf(min(of_z, of_x / every)), 1, every

    def _samples(
        self, low: int, high: int, shift: int, spacing: Any
    ) -> tuple[list[int], list[int]]:
        """sigma and sigma' at (n + shift / 2) spacing, n = low..high."""
        p, sigma = self.precision, self.sigma
        # In half spacings from 2 low + shift to 2 high + shift, all of the parity of shift.
        ends = 2 * low + shift, 2 * high + shift
        values: dict[int, tuple[int, int]] = {}
        half, first = spacing / 2, shift % 2
        places = range(first, max(-ends[0], ends[1]) + 1, 2)
        companions = sigma.companions(p, first * half, spacing, len(places))
        for at, e in zip(places, companions, strict=True):
            x = at * half
            value, slope = sigma.pair(p, x, e)
            values[at] = value, slope
            if at:
                values[-at] = sigma.opposite(p, x, value, slope)
        rows = [values[at] for at in range(ends[0], ends[1] + 1, 2)]
        return [value for value, _ in rows], [slope for _, slope in rows]


def _gaussian_weights(
    precision: Precision, step: Any, shift: int, before: int, after: int
) -> list[int]:
    """step times the normal density at (i + shift / 2) step, i = -before..after, in fixed point."""
    mp, bits = precision.mp, precision.bits
    shrink = precision.fixed(mp.exp(-step * step))
    sides = []
    first = mp.mpf(shift) / 2
    for offset, count in ((first, after + 1), (1 - first, before)):
        # The ratio of neighbours falls by the factor exp(-step^2) from one to the next.
        value = precision.fixed(step / mp.sqrt(2 * mp.pi) * mp.exp(-((offset * step) ** 2) / 2))
        ratio = precision.fixed(mp.exp(-step * step * (offset + mp.mpf(1) / 2)))
        side = []
        for _ in range(count):
            side.append(value)
            value, ratio = value * ratio >> bits, ratio * shrink >> bits
        sides.append(side)
    return [*reversed(sides[1]), *sides[0]]


# --- powers on either side of 0 ------------------------------------------------------------------


class PowersDual:
    """sigma(x) = x^p for x > 0, left |x|^p for x < 0."""

    def __init__(self, precision: Precision, sigma: Powers, variance: Any) -> None:
        self.mp, self.power, self.variance = precision.mp, sigma.power, variance
        self.left = precision.mp.mpf(sigma.left)
        # E[x^b; x > 0] of a standard normal x
        moments = [self.mp.mpf(1) / 2, 1 / self.mp.sqrt(2 * self.mp.pi)]
        for b in range(2, sigma.power + 1):
            moments.append((b - 1) * moments[b - 2])
        self.moments = moments

    def at(self, cosine: Any) -> Pair:
        """Both at the correlation r."""
        mp, p, left, q = self.mp, self.power, self.left, self.variance
        angle = mp.acos(cosine)
        sine = mp.sqrt((1 - cosine) * (1 + cosine))
        same = self._moments(cosine, sine, mp.pi - angle)
        opposite = self._moments(-cosine, sine, angle)
        squares, product = 1 + left**2, 2 * left
        value = q**p * (squares * same[p] + product * opposite[p])
        if p == 0:
            return value, mp.zero
        slope = q ** (p - 1) * p**2 * (squares * same[p - 1] - product * opposite[p - 1])
        return value, slope

    def _moments(self, r: Any, sine: Any, opening: Any) -> list[Any]:
        """E[u^a v^a; u > 0, v > 0], a = 0..p, for standard normals of correlation r.

        Stein's lemma: E[u f(u, v)] = E[f_u] + r E[f_v]; the derivative of the step at u = 0 gives
        the density there, 1 / sqrt(2 pi), times the mean over v, which is sine times a standard
        normal.
        """
        mp, p = self.mp, self.power
        density = 1 / mp.sqrt(2 * mp.pi)
        edge = [density * sine**b * m for b, m in enumerate(self.moments)]
        table: dict[tuple[int, int], Any] = {(0, 0): opening / (2 * mp.pi)}
        for b in range(1, p + 1):
            below = (b - 1) * table[b - 2, 0] if b > 1 else density / 2
            table[b, 0] = table[0, b] = below + r * edge[b - 1]
        for b in range(1, p + 1):
            for a in range(1, b + 1):
                below = (a - 1) * table[a - 2, b] if a > 1 else edge[b]
                table[a, b] = table[b, a] = below + r * b * table[a - 1, b - 1]
        return [table[a, a] for a in range(p + 1)]


# --- polynomials and exp -------------------------------------------------------------------------


class PolynomialDual:
    """sigma(x) = c_0 + c_1 x + c_2 x^2 + ..."""

    def __init__(self, precision: Precision, coefficients: Sequence[float], variance: Any) -> None:
        self.mp, root = precision.mp, precision.mp.sqrt(variance)
        #: Of sigma and sigma' as polynomials in x / sqrt(q).
        self.value = [c * root**n for n, c in enumerate(coefficients)]
        self.slope = [n * c * root ** (n - 1) for n, c in enumerate(coefficients) if n]

    def at(self, cosine: Any) -> Pair:
        """Both at the correlation r."""
        moments = self._moments(cosine, len(self.value))
        value, slope = (
            self.mp.fsum(
                x * y * moments[a, b] for a, x in enumerate(row) for b, y in enumerate(row)
            )
            for row in (self.value, self.slope)
        )
        return value, slope

    def _moments(self, r: Any, count: int) -> dict[tuple[int, int], Any]:
        """E[u^a v^b], a, b < count, for standard normals of correlation r, by Stein's lemma."""
        mp = self.mp
        table: dict[tuple[int, int], Any] = {(0, 0): mp.one}
        for b in range(count):
            for a in range(b + 1):
                if a == b == 0:
                    continue
                # E[v^b u^a] = (b-1) E[v^(b-2) u^a] + a r E[v^(b-1) u^(a-1)]
                found = mp.zero
                if b > 1:
                    found += (b - 1) * table[a, b - 2]
                if a:
                    found += a * r * table[a - 1, b - 1]
                table[a, b] = table[b, a] = found
        return table


class ExpDual:
    """sigma(x) = e^x."""

    def __init__(self, precision: Precision, variance: Any) -> None:
        self.mp, self.variance = precision.mp, variance

    def at(self, cosine: Any) -> Pair:
        """Both at the correlation r."""
        value = self.mp.exp(self.variance * (1 + cosine))
        return value, value


# --- elu -----------------------------------------------------------------------------------------


class EluDual:
    """sigma(x) = a x for x > 0, b (exp(c x) - 1) for x < 0, in polar coordinates.

    Along a ray sqrt(q) r (x, y) the means over the density r exp(-r^2/2) of exp(-a r) and
    r exp(-a r) are 1 - a M(a) and (1 + a^2) M(a) - a, M(a) = sqrt(pi/2) exp(a^2/2) erfc(a/sqrt 2)
    (DLMF 7.7.1 and 7.2.2).  The dual is tabulated as a Chebyshev series in the angle theta.
    """

    def __init__(
        self,
        precision: Precision,
        sides: tuple[Fraction, Fraction, Fraction],
        variance: Any,
        second: bool,
    ) -> None:
        self.precision, self.mp, self.variance = precision, precision.mp, variance
        self.right, self.left, self.rate = (self.mp.mpf(x.numerator) / x.denominator for x in sides)
        self.root = self.mp.sqrt(variance)
        self.scale = self.rate * self.root
        size = float(self.scale)
        n = int(precision.digits * (0.6 + 0.1 * math.log1p(size)) + 3 * size + 12)
        n = int(1.3 * n) + 1 if second else n
        zero = self.mp.zero
        self.rule = jacobi_rule(precision, n, zero, zero)
        self.series = self._converged(31 if second else 24)

    def at(self, cosine: Any) -> Pair:
        """Both at the correlation r."""
        mp = self.mp
        x = self.precision.fixed(2 * mp.acos(cosine) / mp.pi - 1)
        return _clenshaw(self.precision, self.series, x)

    def _converged(self, points: int) -> Series:
        while True:
            angles = [(1 + self.mp.cospi(self.mp.mpf(2 * i + 1) / (2 * points))) / 2 * self.mp.pi
                      for i in range(points)]  # fmt: skip
            rows = zip(*(self._at_angle(angle) for angle in angles), strict=True)
            series = tuple(
                _chebyshev(self.precision, [self.precision.fixed(x) for x in row]) for row in rows
            )
            reached = _fallen(series)
            if reached >= self.precision.nats:
                return series[0], series[1]
            growth = 1.1 * self.precision.nats / max(reached, 1.0)
            points = math.ceil(points * min(max(growth, 1.2), 4.0))
            if points > MOST_ELU_POINTS:
                raise NtkspecError(
                    f"digits = {self.precision.digits} is not within reach of the mpmath reference "
                    "for elu here; take fewer digits or the method 'balls'"
                )

    def _at_angle(self, angle: Any) -> Pair:
        mp, root, q = self.mp, self.root, self.variance
        right, left, steep = self.right, self.left, self.left * self.rate
        pi = mp.pi
        positive = q * (mp.sin(angle) + (pi - angle) * mp.cos(angle))
        value, slope = right**2 * positive, right**2 * (pi - angle)
        for x, y, weight in self._sector(pi - angle):
            # u < 0 and v < 0
            both, alone = self._mean(x + y)[0], self._mean(x)[0] + self._mean(y)[0]
            value += left**2 * weight * (both - alone + 1)
            slope += steep**2 * weight * both
        none = mp.sqrt(pi / 2)
        for x, y, weight in self._sector(angle):
            # u > 0 and v < 0, or the other way round
            mean, weighted = self._mean(y)
            value += 2 * right * left * weight * root * x * (weighted - none)
            slope += 2 * right * steep * weight * mean
        return value / (2 * pi), slope / (2 * pi)

    def _sector(self, opening: Any) -> Iterator[tuple[Any, Any, Any]]:
        """|cos| of the angles to both normals, for directions in a sector between the two lines."""
        mp, half = self.mp, opening / 2
        tilt = mp.pi / 2 - half
        for node, weight in zip(*self.rule, strict=True):
            b = half * node
            yield mp.cos(b + tilt), mp.cos(b - tilt), weight * opening

    def _mean(self, x: Any) -> Pair:
        mp = self.mp
        a = self.scale * x
        mills = mp.sqrt(mp.pi / 2) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2))
        return 1 - a * mills, (1 + a * a) * mills - a
