"""Formulas of the built-in zonal kernels, with what is known of each in closed form.

A formula is a frozen dataclass, so kernels made of equal ones are equal.  It takes balls, and may
have more to offer than values:

* `coefficients`: its Taylor coefficients at t = 0, all >= 0
* `powers`: K(t) = sum_i c_i (1 - t)^s_i + e_i (1 - t)^s_i log(1 - t), which converges on [-1, 1]
* `eigenvalues`: its eigenvalues in closed form
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import count as counted
from typing import Any, ClassVar, NamedTuple

from flint import arb, arb_series, ctx, fmpq

from ntkspec.errors import NtkspecError
from ntkspec.precision import extra_precision
from ntkspec.zonal.formula import Formula

__all__ = [
    "ArcCosine",
    "GammaExponential",
    "Gaussian",
    "Laplace",
    "Matern",
    "Poisson",
    "Polynomial",
    "Power",
    "RationalQuadratic",
]

#: Bits that coefficients keep.
KEPT = 64


class Power(NamedTuple):
    """A term (c + e log(1 - t)) (1 - t)^s."""

    exponent: fmpq
    coefficient: arb
    logarithmic: arb

    @property
    def polynomial(self) -> bool:
        """Whether the term is a whole power of 1 - t."""
        return self.logarithmic.is_zero() and int(self.exponent.q) == 1

    @property
    def amplitude(self) -> float:
        """The factor of a law: c / Gamma(-s), or e times the derivative of 1 / Gamma(-s) by s."""
        if not self.logarithmic.is_zero():
            sign = (-1) ** (int(self.exponent.p) + 1)
            return float(sign * self.logarithmic * arb(self.exponent + 1).gamma())
        return float(self.coefficient * arb(-self.exponent).rgamma())

    def most(self) -> arb:
        """Bound of the term's modulus on [-1, 1], as x^s |log x| <= 2^s + 1 for x <= 2, s >= 1."""
        size = arb(2) ** arb(self.exponent)
        if self.logarithmic.is_zero():
            return abs(self.coefficient) * size
        return abs(self.coefficient) * size + abs(self.logarithmic) * (size + 1)


def _ratio(value: float) -> fmpq:
    return fmpq(*float(value).as_integer_ratio())


@dataclass(frozen=True)
class Gaussian(Formula):
    """exp(-r^2 / (2 length^2)) = exp(-c (1 - t)), c = 1 / length^2."""

    length: float
    maker: ClassVar[str] = "gaussian"

    @property
    def rate(self) -> arb:
        """The c of exp(-c (1 - t))."""
        return 1 / arb(self.length) ** 2

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        return (self.rate * (t - 1)).exp()

    def coefficients(self, count: int) -> list[arb]:
        """exp(-c) c^n / n!."""
        return _exponential(self.rate, count)


def _exponential(rate: arb, count: int) -> list[arb]:
    """Taylor coefficients of exp(-rate (1 - t))."""
    found = [(-rate).exp()]
    for n in range(1, count):
        found.append(found[-1] * rate / n)
    return found


@dataclass(frozen=True)
class RationalQuadratic(Formula):
    """(1 + r^2 / (2 alpha length^2))^-alpha = (1 + b (1 - t))^-alpha, b = 1 / (alpha length^2)."""

    alpha: float
    length: float
    maker: ClassVar[str] = "rational_quadratic"

    @property
    def rate(self) -> arb:
        """The b of (1 + b (1 - t))^-alpha."""
        return 1 / (arb(self.alpha) * arb(self.length) ** 2)

    @property
    def radius(self) -> float:
        """The branch point 1 + 1/b, rounded down."""
        return float((1 + 1 / self.rate).lower()) * (1.0 - 2.0**-50)

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        return (1 + self.rate * (1 - t)) ** -arb(self.alpha)

    def coefficients(self, count: int) -> list[arb]:
        """(1 + b)^-alpha (alpha)_n / n! (b / (1 + b))^n."""
        alpha, x = arb(self.alpha), self.rate / (1 + self.rate)
        found = [(1 + self.rate) ** -alpha]
        for n in range(count - 1):
            found.append(found[-1] * (alpha + n) * x / (n + 1))
        return found


@dataclass(frozen=True)
class Polynomial(Formula):
    """(t + offset)^degree."""

    degree: int
    offset: float
    maker: ClassVar[str] = "polynomial"

    @property
    def radial_power(self) -> int | None:
        """The degree, without an offset."""
        return self.degree if self.offset == 0.0 else None

    @property
    def zeros(self) -> Any:
        """Of degrees after its own, and of the other parity without an offset."""
        return (None if self.offset else self.degree % 2, (), self.degree)

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        return (t + self.offset) ** self.degree

    def coefficients(self, count: int) -> list[arb]:
        """C(degree, n) offset^(degree - n)."""
        offset = arb(self.offset)
        found = [arb(0)] * (self.degree + 1)
        found[self.degree] = arb(1)
        if self.offset:
            for n in range(self.degree, 0, -1):
                found[n - 1] = found[n] * offset * n / (self.degree - n + 1)
        return (found + [arb(0)] * count)[:count]


@dataclass(frozen=True)
class Matern(Formula):
    """2^(1-nu)/Gamma(nu) z^nu K_nu(z), z = sqrt(2 nu) r / length."""

    nu: float
    length: float
    maker: ClassVar[str] = "matern"
    radius: ClassVar[Any] = 1.0

    @property
    def rate(self) -> arb:
        """z^2 / 4 = rate (1 - t)."""
        return arb(self.nu) / arb(self.length) ** 2

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        nu = arb(self.nu)
        square = 4 * self.rate * (1 - t)
        if square.contains(0):
            # 1 - K is at most its value at the ball's end.
            end = arb(square.abs_upper())
            return arb(1) if end.is_zero() else arb(1).union(self._of_square(nu, end))
        return self._of_square(nu, square)

    def _of_square(self, nu: Any, square: Any) -> Any:
        z = square.sqrt()
        return arb(2) ** (1 - nu) * nu.rgamma() * z**nu * z.bessel_k(nu)

    def coefficients(self, count: int) -> list[arb]:
        """C z^nu (z/2)^n / n! K_(n-nu)(z) at t = 0, z = 2 sqrt(rate)."""
        nu, half = arb(self.nu), self.rate.sqrt()
        z = 2 * half
        factor = arb(2) ** (1 - nu) * nu.rgamma() * z**nu
        bessel: list[arb] = []
        direct = math.ceil(self.nu) + 2
        for n in range(count):
            if n < direct:
                bessel.append(z.bessel_k(abs(nu - n)))
            else:
                bessel.append(bessel[-2] + 2 * (n - 1 - nu) / z * bessel[-1])
        found = []
        for n, value in enumerate(bessel):
            found.append(factor * value)
            factor = factor * half / (n + 1)
        return found

    def powers(self, goal: int) -> tuple[list[Power], arb]:
        """By DLMF 10.27.4 and 10.25.2, or 10.31.1 for whole nu; y = rate (1 - t)."""
        whole = float(self.nu).is_integer()
        return self._of_whole(goal) if whole else self._of_fraction(goal)

    def _of_fraction(self, goal: int) -> tuple[list[Power], arb]:
        nu, exact, y = arb(self.nu), _ratio(self.nu), self.rate
        scale = arb.pi() / nu.sin_pi() * nu.rgamma()
        terms: list[Power] = []
        even, odd = scale * (1 - nu).rgamma(), -scale * (1 + nu).rgamma() * y**nu
        zero = arb(0)
        for m in counted():
            terms += [Power(fmpq(m), even, zero), Power(exact + m, odd, zero)]
            even = even * y / ((m + 1) * (m + 1 - nu))
            odd = odd * y / ((m + 1) * (m + 1 + nu))
            # From here on each term is at most half of the one before.
            if m + 1 - nu > 1 and (m + 1) * (m + 1 - nu) > 4 * y:
                rest = 2 * (Power(fmpq(m + 1), even, zero).most()
                            + Power(exact + m + 1, odd, zero).most())  # fmt: skip
                if rest < arb(2) ** -goal:
                    return sorted(terms, key=lambda term: term.exponent), rest
        raise AssertionError

    def _of_whole(self, goal: int) -> tuple[list[Power], arb]:
        n, y = int(self.nu), self.rate
        scale = 1 / arb(n).gamma()
        terms = []
        for m in range(n):
            c = scale * (-y) ** m * arb(n - m).gamma() / arb(m + 1).gamma()
            terms.append(Power(fmpq(m), c, arb(0)))
        # (-1)^(n+1) y^(n+m) / (m! (n+m)!) (log y - psi(m+1) - psi(n+m+1)), log y = log rate + log u
        size = (-1) ** (n + 1) * scale * y**n / arb(n + 1).gamma()
        psi, other, log = arb(1).digamma(), arb(n + 1).digamma(), y.log()
        for m in counted():
            terms.append(Power(fmpq(n + m), size * (log - psi - other), size))
            size = size * y / ((m + 1) * (m + 1 + n))
            psi, other = psi + arb(1) / (m + 1), other + arb(1) / (m + 1 + n)
            if m > 4 and (m + 1) ** 2 > 8 * y:
                following = Power(fmpq(n + m + 1), abs(size) * (abs(log) + abs(psi) + abs(other)),
                                  size)  # fmt: skip
                rest = 4 * following.most()
                if rest < arb(2) ** -goal:
                    return terms, rest
        raise AssertionError


@dataclass(frozen=True)
class Laplace(Formula):
    """exp(-r / length): Matern of nu = 1/2."""

    length: float
    maker: ClassVar[str] = "laplace"
    radius: ClassVar[Any] = 1.0

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        return (-(2 - 2 * t).sqrt() / arb(self.length)).exp()

    def coefficients(self, count: int) -> list[arb]:
        """Those of the Matern kernel."""
        return Matern(0.5, self.length).coefficients(count)

    def powers(self, goal: int) -> tuple[list[Power], arb]:
        """Those of the Matern kernel."""
        return Matern(0.5, self.length).powers(goal)


@dataclass(frozen=True)
class GammaExponential(Formula):
    """exp(-(r / length)^gamma)."""

    gamma: float
    length: float
    maker: ClassVar[str] = "gamma_exponential"

    @property
    def radius(self) -> float:
        """It is entire for gamma = 2 only."""
        return math.inf if self.gamma == 2.0 else 1.0

    @property
    def has_powers(self) -> bool:
        """For gamma < 2."""
        return self.gamma < 2.0

    @property
    def rate(self) -> arb:
        """The b of exp(-b (1 - t)^(gamma/2))."""
        return (arb(2).sqrt() / arb(self.length)) ** arb(self.gamma)

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        if self.gamma == 2.0:
            return (self.rate * (t - 1)).exp()
        if not isinstance(t, arb):
            return (-self.rate * (1 - t) ** (arb(self.gamma) / 2)).exp()
        u = 1 - t
        if u.contains(0):
            end = arb(u.abs_upper())
            least = (-self.rate * end ** (arb(self.gamma) / 2)).exp() if end > 0 else arb(1)
            return arb(1).union(least)
        return (-self.rate * u ** (arb(self.gamma) / 2)).exp()

    def coefficients(self, count: int) -> list[arb]:
        """By the exponential of the power series of -b (1 - t)^(gamma/2)."""
        if self.gamma == 2.0:
            return _exponential(self.rate, count)
        bits = 128
        while True:
            with extra_precision(bits):
                found = self._exponential_of_powers(count)
            if all(x.rel_accuracy_bits() >= KEPT for x in found):
                return found
            bits *= 2

    def _exponential_of_powers(self, count: int) -> list[arb]:
        s, term = arb(self.gamma) / 2, -self.rate
        inner = []
        for n in range(count):
            inner.append(term)
            term = term * (n - s) / (n + 1)
        before, ctx.cap = ctx.cap, count
        try:
            return [*arb_series(inner, count).exp()]
        finally:
            ctx.cap = before

    def powers(self, goal: int) -> tuple[list[Power], arb]:
        """(-b)^j / j! (1 - t)^(j gamma / 2)."""
        half, x = _ratio(self.gamma) / 2, self.rate
        most = x * arb(2) ** arb(half)
        terms, c = [], arb(1)
        for j in counted(1):
            terms.append(Power(half * (j - 1), c, arb(0)))
            c = -c * x / j
            if j > 2 * most:
                rest = 2 * Power(half * j, c, arb(0)).most()
                if rest < arb(2) ** -goal:
                    return terms, rest
        raise AssertionError


@dataclass(frozen=True)
class Poisson(Formula):
    """(1 - r^2) / (1 - 2 r t + r^2)^(d/2) = sum_k r^k N(d, k) P_k(t)."""

    r: float
    maker: ClassVar[str] = "poisson"
    fixed: ClassVar[bool] = False

    @property
    def radius(self) -> float:
        """The pole or branch point (r + 1/r) / 2, rounded down."""
        r = arb(self.r)
        return float(((r + 1 / r) / 2).lower()) * (1.0 - 2.0**-50)

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        raise NtkspecError(
            f"{self.name} is another function of t in each dimension; use it on a Sphere"
        )

    def in_dim(self, dim: int) -> Any:
        """The kernel on the sphere of a dimension."""
        r = arb(self.r)

        def values(t: Any) -> Any:
            return (1 - r * r) * (1 - 2 * r * t + r * r) ** -(arb(dim) / 2)

        return values

    def eigenvalues(self, dim: int, degrees: list[int]) -> list[arb]:
        """r^k."""
        return [arb(self.r) ** k for k in degrees]


@dataclass(frozen=True)
class ArcCosine(Formula):
    """2 E[relu(u)^n relu(v)^n] of Gaussians u, v of variance 1 and covariance t (Cho and Saul)."""

    order: int
    maker: ClassVar[str] = "arc_cosine"
    radius: ClassVar[Any] = 1.0

    @property
    def radial_power(self) -> int:
        """The order (Cho and Saul 2009, equation 3)."""
        return self.order

    @property
    def zeros(self) -> Any:
        """relu(u)^n is half of u^n and half of a function of the other parity."""
        return ((self.order + 1) % 2, tuple(range(self.order % 2, self.order + 1, 2)), None)

    def __call__(self, t: Any) -> Any:
        """K(t)."""
        a, b = _arc_cosine(self.order)
        square = 1 - t * t
        if isinstance(t, arb) and (t.contains(1) or t.contains(-1)):
            square, t = square.nonnegative_part(), t.min(arb(1)).max(arb(-1))
        root, angle = square.sqrt(), t.acos()
        pi = arb.pi()
        return (_value(a, t) * root + _value(b, t) * (pi - angle)) / pi

    def eigenvalues(self, dim: int, degrees: list[int]) -> list[arb]:
        """2 E|w|^(2n) mu_k^2, mu_k = n! Gamma(d/2) / (2^(n+1) Gamma((n-k)/2+1) Gamma((n+k+d)/2)).

        mu_k is the eigenvalue of max(t, 0)^n.
        """
        n, half = self.order, arb(fmpq(dim, 2))
        common = 2 * arb(2) ** n * arb(fmpq(dim, 2) + n).gamma() / half.gamma()
        common *= (arb(n + 1).gamma() * half.gamma() / arb(2) ** (n + 1)) ** 2
        found: list[arb] = []
        before: dict[int, tuple[int, arb]] = {}
        for k in degrees:
            if k > n and (k - n) % 2 == 0:
                found.append(arb(0))
                continue
            j, mu = before.get(k % 2, (-1, arb(0)))
            if j >= 0 and k - j <= 64:
                while j < k:
                    mu, j = mu * (n - j) / (n + j + dim), j + 2
            else:
                mu = arb(fmpq(n - k, 2) + 1).rgamma() / arb(fmpq(n + k + dim, 2)).gamma()
            before[k % 2] = k, mu
            found.append(common * mu * mu)
        return found

    def ends(self) -> dict[int, tuple[float, float]]:
        """K_n' = n^2 K_(n-1), and K_0 = 1 - sqrt(2 - 2t) / pi + ... = sqrt(2 + 2t) / pi + ..."""
        c, s = arb(2).sqrt() / arb.pi(), fmpq(2 * self.order + 1, 2)
        for n in range(1, self.order + 1):
            c = c * n * n / (n + arb(0.5))
        size = float(c * arb(-s).rgamma())
        return {1: (float(s), (-1) ** (self.order + 1) * size), -1: (float(s), size)}


def _arc_cosine(order: int) -> tuple[list[Fraction], list[Fraction]]:
    """Polynomials A, B with pi K = A(t) sqrt(1 - t^2) + B(t) (pi - arccos t).

    K_n' = n^2 K_(n-1), K_n(-1) = 0 and K_n(1) = (2n - 1)!!.
    """
    a, b = [Fraction(0)], [Fraction(1)]
    double = 1
    for n in range(1, order + 1):
        double *= 2 * n - 1
        integral = [Fraction(0), *(n * n * x / (j + 1) for j, x in enumerate(b))]
        integral[0] = double - sum(integral, Fraction(0))
        # sqrt(1 - t^2) times both sides: j a_(j-1) = (j+1) a_(j+1) + b_j - n^2 (a'_j - a'_(j-2))
        before, new = a + [Fraction(0)] * 4, [Fraction(0)] * (n + 2)
        for j in range(n, 0, -1):
            known = before[j] - (before[j - 2] if j > 1 else Fraction(0))
            new[j - 1] = (new[j + 1] * (j + 1) + integral[j] - known * n * n) / j
        a, b = new, integral
    return a, b


def _value(polynomial: list[Fraction], t: Any) -> Any:
    total = arb(0) * t
    for x in reversed(polynomial):
        total = total * t + fmpq(x.numerator, x.denominator)
    return total
