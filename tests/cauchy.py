"""Eigenvalues in any dimension by Cauchy's integral over a circle in the t-plane, to any precision.

A second reference beside `ntkspec.reference.balls`, fast for smooth networks and in large
dimensions.  It shares the definition alone with the engine:

* the duals of smooth activations at complex correlations rho are, by Mehler's formula, sums of
  rho^n with the squares of E[sigma(sqrt(q) Z) he_n(Z)], which come from a quadrature over Z in
  fixed point with the recurrence of the orthonormal he_n; those of sigma' from sigma' itself; and
  q_l(1) from the same quadrature of sigma^2;
* the duals of activations with a kink at 0 are integrals over the sectors in which the signs of
  both arguments are constant, by Gauss-Legendre over the angle, whose limits arccos(rho) may be
  complex;
* the layers are composed at points t on a circle of radius r < 1 (no power series is composed),
  and a discrete Fourier transform gives a_n in K(t) = sum a_n t^n;
* by Rodrigues' formula and n partial integrations the eigenvalue of t^n is
  n!/(n-k)! Gamma(d/2) / (2^k Gamma(k+d/2)) times the mean of s^(n-k) over the coordinate s of a
  random unit vector in dimension d + 2k.

A value is accepted when two runs that differ in precision, radius, number of terms and number of
nodes agree, and the last terms of its sum are negligible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mpmath
import numpy as np
import scipy.special
from flint import acb, acb_mat, acb_poly, arb, arb_mat, ctx, fmpq, fmpz

from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.balls import Case
from ntkspec.reference.balls.agreement import to_mpf
from ntkspec.reference.balls.expectations import PARTS, log_series_eigenvalue
from ntkspec.reference.balls.legendre import entire_rule_size, gauss_legendre, powers_of
from ntkspec.reference.description import Description, describe

#: Nats by which aliases are smaller than the coefficient, and the circle's points per term.
ALIAS, POINTS = 56.0, 1.5
MOST_RUNS = 12
MOST_TERMS, MOST_HERMITE = 12_000, 16_000
POINTS_AT_ONCE = 256


class NotReached(ArithmeticError):
    """No two runs agreed."""


@exclusive()
def cauchy_spectra(
    network, cases: Sequence[Case], degrees: Mapping[int, Sequence[int]], *, digits: int = 21
) -> dict[Case, list[mpmath.mpf]]:
    """Eigenvalues of some kernels of one activation, s_w and s_b, degrees by dimension; 0 is 0."""
    net = describe(network)
    terms = max(terms_needed(net, case.dim, k) for case in cases for k in degrees[case.dim])
    nats = 110.0 + _log_fall(net, cases, degrees)
    # Without bias, degrees of a parity may have the eigenvalue 0.
    before, zeros = None, network.bias_variance == 0.0
    for _ in range(MOST_RUNS):
        bits = int(nats / math.log(2.0)) + 96
        with working_precision(bits):
            run = _Run(net, cases, degrees, terms, nats)
        if run.cut_off:
            terms, before = min(2 * terms, MOST_TERMS), None
            if run.terms >= MOST_TERMS:
                raise NotReached(f"{MOST_TERMS} terms are too few")
            continue
        if before is not None and _agree(before, run, digits, zeros):
            return {case: run.accepted(case) for case in cases}
        before, nats, terms = run, 1.25 * nats, min(int(1.12 * terms), MOST_TERMS)
    raise NotReached(f"{MOST_RUNS} runs did not agree")


def terms_needed(network, dim: int, k: int) -> int:
    """Estimate the number of terms of an eigenvalue, from the coefficients of one layer."""
    net = describe(network)
    n = k + 2.0 * np.arange(MOST_TERMS)
    w = scipy.special.gammaln(n + 1) - n * math.log(2.0) - scipy.special.gammaln((n - k) / 2 + 1)
    w -= scipy.special.gammaln((n + k + dim) / 2)
    variance = net.weight_variance + net.bias_variance
    sigma = PARTS.get(net.activation)
    if sigma is None:
        a = -1.5 * np.log1p(n)
    elif math.isfinite(sigma.pole):
        a = -2 * sigma.pole * np.sqrt(n / variance)
    elif sigma.growth:
        # Half of what one layer has: deeper ones fall more slowly.
        a = -0.5 * n * math.log1p(1 / (2 * sigma.growth * variance))
    else:
        a = 0.5 * (n * math.log(variance) - scipy.special.gammaln(n + 1))
    term = w + a
    return min(k + 60 + 2 * int(np.count_nonzero(term > term.max() - 54)), MOST_TERMS)


def _log_fall(net: Description, cases, degrees) -> float:
    """Estimate how much smaller than 1 a coefficient a_k is, in nats."""
    if not net.smooth:
        return 0.0
    return max(
        -log_series_eigenvalue(PARTS[net.activation], net.weight_variance, 10**6, k)
        + math.lgamma(k + 1) - k * math.log(2.0) + math.lgamma(5e5) - math.lgamma(k + 5e5)
        for case in cases for k in degrees[case.dim]
    )  # fmt: skip


def _agree(one: _Run, two: _Run, digits: int, zeros: bool) -> bool:
    """Whether two runs agree; values below their noise are 0 if some may be, or not reached."""
    for case in one.cases:
        for a, b, noise_a, noise_b in zip(
            one.values[case], two.values[case], one.noise[case], two.noise[case]
        ):
            zero = zeros and abs(a) < noise_a and abs(b) < noise_b and noise_b < noise_a / 1000
            if not zero and not abs(a - b) < abs(b) / mpmath.mpf(10) ** digits:
                return False
    return True


class _Run:
    """All values with a number of terms and a precision."""

    def __init__(self, net, cases, degrees, terms: int, nats: float) -> None:
        self.cases, self.terms = cases, terms
        depth = max(case.depth for case in cases)
        points = 2 * math.ceil(POINTS * terms / 2)
        radius = (arb(-ALIAS) / points).exp()
        circle = [
            acb(c, s) * radius
            for s, c in (arb.sin_cos_pi_fmpq(fmpq(2 * j, points)) for j in range(points // 2 + 1))
        ]
        # a_n r^n is wanted to ALIAS nats, and r^n falls by ALIAS / POINTS nats.
        nats += ALIAS / POINTS
        kernels = _kernels(net, depth, circle, float(radius), nats, {c.kernel for c in cases})
        powers = powers_of(acb(radius), terms + 1)
        self.values, self.noise = {}, {}
        self.cut_off = False
        coefficients = {}
        for case in cases:
            key = (case.kernel, case.depth, case.trained if case.kernel == "ntk" else "hidden")
            if key not in coefficients:
                half = kernels[key]
                whole = half + [z.conjugate() for z in half[-2:0:-1]]
                series = acb.dft(whole)
                coefficients[key] = [
                    (series[n].real / points / powers[n].real).mid() for n in range(terms + 1)
                ]
            size = max(abs(c) for c in coefficients[key][:40])
            noise = size * arb(ALIAS / POINTS + 20.0 - nats).exp()
            self.values[case], self.noise[case] = [], []
            for k in degrees[case.dim]:
                value, mass, tail = _eigenvalue(coefficients[key], case.dim, k)
                below = mass * noise
                self.values[case].append(to_mpf(value))
                self.noise[case].append(to_mpf(below))
                if tail > abs(value) * arb(10) ** -23 and abs(value) > below:
                    self.cut_off = True

    def accepted(self, case: Case) -> list[mpmath.mpf]:
        """Values, with 0 for those that cannot be distinguished from it."""
        pairs = zip(self.values[case], self.noise[case])
        return [mpmath.mpf(0) if abs(x) < noise else x for x, noise in pairs]


def _eigenvalue(a: Sequence[arb], dim: int, k: int) -> tuple[arb, arb, arb]:
    """sum_n a_n w(k, n), sum_n w(k, n) and a bound on the last fortieth of the terms, extended."""
    half = fmpq(dim, 2)
    w = arb(k).fac() * arb(half).gamma() / (arb(2) ** k * arb(half + k).gamma())
    total, mass, parts = arb(0), arb(0), []
    for m, n in enumerate(range(k, len(a), 2)):
        total += a[n] * w
        mass += w
        parts.append(abs(a[n] * w))
        w *= arb(fmpq((n + 1) * (n + 2), (n - k + 1) * (n - k + 2)) * (2 * m + 1)) / (
            dim + 2 * k + 2 * m
        )
    few = max(4, len(parts) // 40)
    tail = sum(parts[-few:], arb(0))
    earlier = sum(parts[-2 * few : -few], arb(0))
    if earlier > 0 and tail < earlier:
        ratio = tail / earlier
        tail = tail * ratio / (1 - ratio)
    return total.mid(), mass.mid(), tail.mid()


def _kernels(net, depth, circle, radius: float, nats: float, wanted):
    """Kernels at the points, by kernel, depth and what is trained."""
    s_w, s_b = arb(net.weight_variance), arb(net.bias_variance)
    q = [s_w * t + s_b for t in circle]
    tangent, one = list(q), s_w + s_b
    modulus = radius * float(s_w / one) + float(s_b / one)
    kernels = {}
    for layer in range(1, depth + 1):
        duals = _duals(net, one, nats, modulus, "ntk" in wanted)
        f, d = duals.at([(x / one).mid() for x in q])
        kernels["nngp", layer, "hidden"] = f
        if "ntk" in wanted:
            hidden = [x * y for x, y in zip(tangent, d)]
            kernels["ntk", layer, "hidden"] = hidden
            kernels["ntk", layer, "all"] = [x + y for x, y in zip(f, hidden)]
        if layer < depth:
            q = [s_w * x + s_b for x in f]
            if "ntk" in wanted:
                tangent = [x + s_w * y for x, y in zip(q, hidden)]
            one = s_w * duals.square + s_b
            modulus = float(q[0].real / one)  # largest on the positive axis
    return kernels


def _duals(net, variance: arb, nats: float, modulus: float, slopes: bool):
    if net.smooth:
        return _Hermite(net, variance, nats, modulus, slopes)
    kind = _EluSectors if net.activation == "elu" else _PowerSectors
    return kind(net, variance, nats)


def _sums(rows: Sequence[Sequence[arb]], points: Sequence[acb]) -> list[list[acb]]:
    """sum_n row[n] z^n by matrix products, as a recurrence would widen the balls."""
    length = max(map(len, rows))
    babies = math.isqrt(length) + 1
    giants = -(-length // babies)
    padded = [[*row, *[arb(0)] * (giants * babies - len(row))] for row in rows]
    table = acb_mat(arb_mat(len(rows) * giants, babies, [x for row in padded for x in row]))
    result = [[] for _ in rows]
    for start in range(0, len(points), POINTS_AT_ONCE):
        small = [powers_of(z, babies + 1) for z in points[start : start + POINTS_AT_ONCE]]
        columns = acb_mat([[row[a] for row in small] for a in range(babies)])
        product = (table * columns).tolist()
        for j, row in enumerate(small):
            steps = powers_of(row[babies], giants)
            for i, values in enumerate(result):
                total = acb(0)
                for b in range(giants):
                    total += product[i * giants + b][j] * steps[b]
                values.append(total.mid())
    return result


@dataclass(frozen=True)
class _Rule:
    """Nodes z >= 0, and weights of a mean over both signs of the part of a function."""

    nodes: list[arb]
    weights: list[arb]


class _Hermite:
    """Squares of E[sigma(sqrt(q) Z) he_n(Z)], of the same for sigma', and E[sigma(sqrt(q) Z)^2]."""

    def __init__(self, net, variance: arb, nats: float, modulus: float, slopes: bool) -> None:
        count = self._count(net, float(variance), nats, modulus)
        rule = _rule(net, float(variance), nats, count)
        bits = ctx.prec
        scale = variance.sqrt()
        parts = [PARTS[net.activation].parts(scale * z) for z in rule.nodes]
        # psi_0 = (2 pi)^(-1/4) exp(-z^2/4)
        first = [(-z * z / 4).exp() / (2 * arb.pi()).root(4) for z in rule.nodes]
        kinds = range(4 if slopes else 2)
        self.square = sum(
            (
                w * g * g * p[i] * p[i]
                for w, g, p in zip(rule.weights, first, parts)
                for i in (0, 1)
                if p[i] is not None
            ),
            arb(0),
        )
        weighted = [
            None if parts[0][i] is None else _fixed([
                w * g * p[i] for w, g, p in zip(rule.weights, first, parts)
            ], bits)
            for i in kinds
        ]  # fmt: skip
        z = _fixed(rule.nodes, bits)
        psi, lower = _fixed(first, bits), None
        rows = [[], []]
        for n in range(count):
            for kind in (0, 1) if slopes else (0,):
                part = weighted[2 * kind + n % 2]
                if part is None:
                    rows[kind].append(arb(0))
                else:
                    h = arb(np.dot(part, psi)) * arb(2) ** (-2 * bits)
                    rows[kind].append((h * h).mid())
            ahead = z * psi
            if lower is not None:
                ahead = ahead - _one_fixed(arb(n).sqrt(), bits) * lower
            inverse = _one_fixed(1 / arb(n + 1).sqrt(), bits)
            psi, lower = ((ahead >> bits) * inverse) >> bits, psi
        self.squares = rows if slopes else [rows[0], [arb(0)]]

    def at(self, points: Sequence[acb]) -> list[list[acb]]:
        """Duals of sigma and sigma' at the correlations."""
        return _sums(self.squares, points)

    @staticmethod
    def _count(net, variance: float, nats: float, modulus: float) -> int:
        """Number of terms for which the rest is negligible at this modulus of rho."""
        fall = -math.log(min(modulus, 1.0)) + 1e-300
        sigma = PARTS[net.activation]

        def missing(n: int) -> float:
            if math.isfinite(sigma.pole):
                a = 2 * sigma.pole * math.sqrt(n / variance)
                a = min(a, sigma.pole**2 / variance + 2 * n)  # crude for small n
            elif sigma.growth:
                a = n * math.log1p(1 / (2 * sigma.growth * variance))
            else:
                a = math.lgamma(n + 1) - n * math.log(variance)
            return nats + 10 - n * fall - 0.95 * a

        n = 40
        while missing(n) > 0:
            n += 1 + n // 50
        if n > MOST_HERMITE:
            raise NotReached(f"{n} Hermite coefficients are too many")
        return n


def _rule(net, variance: float, nats: float, count: int) -> _Rule:
    """The trapezoid rule."""
    root = math.sqrt(variance)
    reach = 2.0 * math.sqrt(nats + 12.0)
    sigma = PARTS[net.activation]
    bend = 0.5 + sigma.growth * variance
    highest = min(0.97 * sigma.pole / root, math.sqrt(nats / bend))
    rate = (nats + 10) / highest + math.sqrt(count) + bend * highest + root
    step = arb(2 * math.pi / rate)
    nodes = [step * i for i in range(math.ceil(reach / float(step)) + 1)]
    return _Rule(nodes, [step, *[2 * step] * (len(nodes) - 1)])


class _Sectors:
    """Duals of an activation with a kink at 0, by polar coordinates r and a of (u, v) / sqrt(q).

    With u = r cos(b + theta/2), v = r cos(b - theta/2), both are positive on the sector
    |b| < (pi - theta)/2, and both negative on its opposite; the signs differ on two sectors
    |b| < theta/2, where the same holds with pi - theta for theta and -v for v.  On a sector the
    mean over r is an entire function of b and theta, so the duals at complex theta = arccos(rho)
    are integrals over the segment between complex limits.
    """

    def __init__(self, nats: float, bandwidth: float) -> None:
        # |arccos(rho)| < pi + 1, and so many nats may be lost on complex segments.
        n = 2 * math.ceil((entire_rule_size(4.5 * bandwidth, nats + 2 * bandwidth) + 4) / 2)
        self.half_rule = [(x, w) for x, w in gauss_legendre(n, ctx.prec) if x > 0]

    def sector(self, theta: acb):
        """Pairs (cos(b + theta/2), cos(b - theta/2), weight), b > 0."""
        width = (acb.pi() - theta) / 2
        for x, w in self.half_rule:
            yield (width * x + theta / 2).cos(), (width * x - theta / 2).cos(), width * w

    def at(self, points: Sequence[acb]) -> list[list[acb]]:
        """Duals of sigma and sigma' at the correlations."""
        pairs = [self.at_angle(rho.acos()) for rho in points]
        return [[f.mid() for f, _ in pairs], [d.mid() for _, d in pairs]]

    def at_angle(self, theta: acb) -> tuple[acb, acb]:
        raise NotImplementedError


class _PowerSectors(_Sectors):
    """sigma = x^p for x > 0 and left |x|^p for x < 0; E[r^(2p)] = 2^p p!."""

    def __init__(self, net, variance: arb, nats: float) -> None:
        super().__init__(nats, 2.0 * net.order + 1.0)
        p = self.power = net.order
        self.left = arb(net.left)
        self.factors = [(2 * variance) ** e * arb(e).fac() / (2 * arb.pi()) for e in (p, p - 1)]
        self.square = self.factors[0] * (1 + self.left**2) * self._moments(acb(0))[0].real

    def at_angle(self, theta: acb) -> tuple[acb, acb]:
        same, opposite = self._moments(theta), self._moments(acb.pi() - theta)
        p, left = self.power, self.left
        f = self.factors[0] * ((1 + left**2) * same[0] + 2 * left * opposite[0])
        d = self.factors[1] * p**2 * ((1 + left**2) * same[1] - 2 * left * opposite[1])
        return f, d

    def _moments(self, theta: acb) -> tuple[acb, acb]:
        """Integrals of (cos cos)^p and (cos cos)^(p - 1) over a sector; the latter 0 for p = 0."""
        of_f = of_d = acb(0)
        for x, y, w in self.sector(theta):
            lower = 2 * w * (x * y) ** max(self.power - 1, 0)
            of_f += lower * x * y if self.power else lower
            of_d += lower if self.power else 0
        return of_f, of_d


class _EluSectors(_Sectors):
    """sigma = x for x > 0, e^x - 1 for x < 0; the means over r are power series."""

    def __init__(self, net, variance: arb, nats: float) -> None:
        self.scale, self.variance = variance.sqrt(), variance
        root = float(self.scale)
        super().__init__(nats + 4 * float(variance), 1.0 + root)
        # E[r^e exp(-z r)] = sum_j (-z)^j/j! E[r^(j+e)], |z| <= 3 sqrt(q), E[r^j] = 2^(j/2) (j/2)!
        self.means = []
        for e in (0, 1):
            terms: list[arb] = []
            j, size = 0, 1.0
            while size > -nats - 20 - 5 * float(variance) or j < 40:
                moment = arb(2) ** fmpq(j + e, 2) * (1 + arb(fmpq(j + e, 2))).gamma()
                terms.append(moment * (-self.scale) ** j / arb(j).fac())
                size = float(abs(terms[-1]).log()) + j * math.log(3.0)
                j += 1
            self.means.append(acb_poly(terms))
        self.square = self.at_angle(acb(0))[0].real

    def at_angle(self, theta: acb) -> tuple[acb, acb]:
        mean, mean_r = self.means
        f = d = acb(0)
        for x, y, w in self.sector(theta):
            # uv for both signs +, (e^u - 1)(e^v - 1) for both -
            both = mean(x + y)
            f += 2 * w * (2 * self.variance * x * y + both - mean(x) - mean(y) + 1)
            d += 2 * w * (1 + both)
        for x, y, w in self.sector(acb.pi() - theta):
            # twice u (e^v - 1), and b < 0 changes x and y
            f += 2 * w * self.scale * (
                x * (mean_r(y) - mean_r(0)) + y * (mean_r(x) - mean_r(0))
            )  # fmt: skip
            d += 2 * w * (mean(x) + mean(y))
        turn = 2 * arb.pi()
        return f / turn, d / turn


def _one_fixed(x: arb, bits: int) -> fmpz:
    mantissa, exponent = x.mid().man_exp()
    shift = int(exponent) + bits
    return mantissa << shift if shift >= 0 else mantissa >> -shift


def _fixed(values: Sequence[arb], bits: int):
    out = np.empty(len(values), object)
    out[:] = [_one_fixed(x, bits) for x in values]
    return out
