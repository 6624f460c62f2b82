"""Eigenvalues to any number of digits by a slow route of their own: what everything is checked by.

No formula here is one of the engine's.  The Gegenbauer integral is done by quadrature, in balls
(Arb, through python-flint) at a working precision set by the result: with lambda_k = 1e-1000 the
integrand cancels to a thousand digits.
For one hidden layer without bias (all other networks: `gaussian_reference`):

* piecewise linear sigma: the closed pointwise kernel, integrated over theta = arccos t, in which
  the kinks of the kernel at t = +-1 are gone;
* tanh and sigmoid: the Gaussian expectation itself, in polar coordinates w = r omega.  Funk-Hecke
  for the activation, phi_k(r) = c_d int g(r t) P_k(t) (1-t^2)^((d-3)/2) dt, then
  lambda_k = E_r[phi_k(r)^2] over the chi distribution of r.

A value is accepted when its ball is small enough *and* a second run with 1.3 times as many nodes
and smaller steps agrees.  The estimates in this file steer the effort, never the value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mpmath
import numpy as np
from flint import acb, arb, arb_mat, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.conventions import check_degrees, check_dim
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.precision import exclusive, working_precision

__all__ = ["Reference", "reference_eigenvalue"]

#: Each run against which the one before is compared has this many times the nodes.
GROWTH = 1.2
MAX_RUNS = 12
#: Whose networks of one layer without bias are integrated here; all others in the plane.
SHALLOW = ("relu", "leaky_relu", "sigmoid", "tanh")
#: Nodes whose powers are held at a time: bounds the memory at thousands of bits.
POINTS_AT_ONCE = 256


@dataclass(frozen=True)
class Reference:
    """An eigenvalue (probability normalization) from the independent route.

    Attributes
    ----------
    value : mpmath.mpf
        Holds at least the digits asked for; exactly 0 where parity forces it.
    error : mpmath.mpf
        The difference of the two last runs plus both radii plus the tails cut off.
    method : str
        What was done, for the table of checks.

    Examples
    --------
    >>> reference_eigenvalue("tanh", dim=3, degree=2)
    Reference(value=mpf('0.0'), error=mpf('0.0'), method='zero by parity')
    """

    value: mpmath.mpf
    error: mpmath.mpf
    method: str

    @property
    def is_zero(self) -> bool:
        """Whether the value cannot be told from 0 at the precision asked for."""
        return bool(abs(self.value) <= self.error)


@exclusive()
def reference_eigenvalue(
    network: Network | str, dim: int, degree: int, kernel: Kernel = "ntk", digits: int = 50
) -> Reference:
    """Compute one eigenvalue of a network's kernel independently of the engine.

    Parameters
    ----------
    network : Network or str
    dim : int
        d >= 2.
    degree : int
        k >= 0.
    kernel : {"ntk", "nngp"}
    digits : int
        Decimal digits to be right, 5 to 1000.

    Returns
    -------
    Reference
        The eigenvalue under the uniform probability measure.  A value other than 0 has
        ``error <= 10**-digits * abs(value)``.  For one that cannot be told from 0 (``is_zero``)
        the error is 10**-digits times less than its neighbours' sizes, and the value within it.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed, or the runs do not settle.

    Notes
    -----
    Funk-Hecke: Dai and Xu, Approximation Theory and Harmonic Analysis on Spheres (2013), theorem
    1.2.9.  Kernels of relu: Cho and Saul 2009, eqs. 6 to 8.

    Examples
    --------
    >>> r = reference_eigenvalue("relu", dim=3, degree=8, digits=20)
    >>> mpmath.nstr(r.value, 15), r.is_zero
    ('0.000278472900390625', False)
    >>> reference_eigenvalue("tanh", dim=3, degree=2).method
    'zero by parity'
    """
    net = as_network(network)
    dim, degree = check_dim(dim), int(check_degrees(degree)[0])
    if isinstance(digits, bool) or not isinstance(digits, int) or not 5 <= digits <= 1000:
        raise NtkspecError(
            f"digits = {digits!r} is not allowed; it must be a whole number from 5 to 1000"
        )
    sigma, (of_f, _) = net.sigma, net.mixture(kernel)
    if sigma.user:
        raise NtkspecError("the reference takes the activations that ntkspec knows")
    if net.weights == "sphere":
        from ntkspec.spectra.sphere_reference import SphereIntegral

        return _settle(SphereIntegral(net, kernel, dim, degree, digits), digits)
    if net.depth > 1 or net.bias_variance > 0.0 or net.activation not in SHALLOW:
        from ntkspec.spectra.gaussian_reference import reference_spectrum

        return reference_spectrum(net, dim, [degree], kernel, digits)[0]
    if sigma.tanh is None:
        slope = 0.0 if net.slope is None else net.slope
        return _settle(_AngularIntegral(slope, net, kernel, dim, degree, digits), digits)
    if degree % 2 == 0:
        # sigma less its constant is odd, sigma' even: F has the constant in degree 0 and odd
        # degrees, t D has odd degrees.
        constant = of_f * sigma.tanh[0] ** 2 if degree == 0 else 0.0
        method = "by parity the activation's constant" if constant else "zero by parity"
        return Reference(mpmath.mpf(constant), mpmath.mpf(0), method)
    return _settle(_PolarIntegral(sigma.tanh, net, kernel, dim, degree, digits), digits)


# --- the Legendre polynomials and the measure ---------------------------------------------------


def _cosine_series(dim: int, degree: int) -> list[arb]:
    """b_l, l = 0..k//2, with P_k(cos x) = sum_l b_l cos((2l + k mod 2) x); all b_l >= 0, sum 1.

    C_k^nu(cos x) = sum_j (nu)_j (nu)_(k-j) / (j! (k-j)!) cos((k-2j) x), DLMF 18.5.11.
    """
    twice_nu = dim - 2
    half = degree // 2
    if degree == 0:
        return [arb(1)]
    if twice_nu == 0:
        return [arb(0)] * half + [arb(1)]
    c = arb(fmpq(twice_nu, 2)).rising(degree) / arb(twice_nu).rising(degree)
    series = []
    for j in range(half + 1):
        series.append(c if 2 * j == degree else 2 * c)
        c *= arb((twice_nu + 2 * j) * (degree - j)) / (
            (j + 1) * max(twice_nu + 2 * (degree - j - 1), 1)
        )
    return series[::-1]


def _legendre(dim: int, degrees: Sequence[int], points: Sequence[acb]) -> list[list[arb]]:
    """P_k(Re p) for points p = e^(i theta) on the unit circle; degrees of one parity.

    Right to the working precision absolutely, for a sum of cosines with positive weights; done as
    matrix products, since a three-term recurrence would blow the balls up exponentially.
    """
    length = max(degrees) // 2 + 1
    giants = math.isqrt(length) // 3 + 1
    babies = -(-length // giants)
    tables = []
    for degree in degrees:
        series = _cosine_series(dim, degree)
        tables.append(arb_mat(giants, babies, series + [arb(0)] * (giants * babies - len(series))))
    result: list[list[arb]] = [[] for _ in degrees]
    for start in range(0, len(points), POINTS_AT_ONCE):
        some = points[start : start + POINTS_AT_ONCE]
        powers = [_powers(p * p, babies + 1) for p in some]
        cosines = arb_mat([[row[a].real for row in powers] for a in range(babies)])
        sines = arb_mat([[row[a].imag for row in powers] for a in range(babies)])
        steps = [_powers(row[babies], giants) for row in powers]
        if degrees[0] % 2:
            steps = [[p * power for power in row] for p, row in zip(some, steps, strict=True)]
        for values, table in zip(result, tables, strict=True):
            values += _real_parts(steps, table * cosines, table * sines)
    return result


def _real_parts(steps: list[list[acb]], real: arb_mat, imag: arb_mat) -> list[arb]:
    """Re sum_b steps[i][b] (real[b, i] + i imag[b, i]) for every point i."""
    values = [arb(0)] * len(steps)
    for b, (reals, imags) in enumerate(zip(real.tolist(), imag.tolist(), strict=True)):
        for i, (step, x, y) in enumerate(zip(steps, reals, imags, strict=True)):
            values[i] += step[b].real * x - step[b].imag * y
    return values


def _powers(z: acb, count: int) -> list[acb]:
    """1, z, ..., z^(count-1), each by few multiplications, so that the balls stay small."""
    powers = [acb(1), z]
    for n in range(2, count):
        powers.append(powers[n // 2] * powers[n - n // 2])
    return powers[:count]


def _measure_constant(dim: int) -> arb:
    """c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2))."""
    half = arb(fmpq(dim, 2))
    return half.gamma() / (arb.pi().sqrt() * (half - arb(fmpq(1, 2))).gamma())


def _log_multiplicity(dim: int, degree: int) -> float:
    """Log of (2k+d-2)/k binom(k+d-3, k-1)."""
    if degree == 0:
        return 0.0
    k, d = degree, dim
    return math.log((2 * k + d - 2) / k) + (
        math.lgamma(k + d - 2) - math.lgamma(k) - math.lgamma(d - 1)
    )


# --- accepting a value --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    value: arb
    tail: arb
    method: str


class _Integral(Protocol):
    dim: int
    degree: int
    bits: int

    def zero_scale(self) -> arb: ...

    def run(self, effort: float) -> _Run: ...


def _settle(integral: _Integral, digits: int) -> Reference:
    """Raise the precision until the ball is small, the effort until two runs agree."""
    bits, effort = integral.bits, 1.0
    before: _Run | None = None
    for _ in range(MAX_RUNS):
        with working_precision(bits):
            run = integral.run(effort)
            size = max(abs(run.value.mid()), integral.zero_scale())
            allowed = size / arb(10) ** digits
            if not run.value.rad() < allowed / 8:
                bits += _missing_bits(run.value, allowed)
                before = None
                continue
            if before is not None:
                error = (abs(run.value - before.value) + run.tail + run.value.rad()).upper()
                if error < allowed:
                    return Reference(_mpf(run.value), _mpf(error), run.method)
            before, effort = run, effort * GROWTH
    raise NtkspecError(
        f"digits = {digits} was not reached for dim = {integral.dim}, degree = {integral.degree}: "
        "no two runs of the reference quadrature agreed"
    )


def _missing_bits(value: arb, allowed: arb) -> int:
    if not value.is_finite():
        return int(ctx.prec)
    lost = float((value.rad() / allowed).log()) / math.log(2.0)
    return 24 + max(int(lost), 0)


def _mpf(ball: arb) -> mpmath.mpf:
    """Return the midpoint, exactly, whatever mpmath's precision is."""
    return mpmath.make_mpf(ball.mid()._mpf_)


# --- piecewise linear: the pointwise kernel over theta ------------------------------------------


class _AngularIntegral:
    """c_d int_0^pi K(cos x) P_k(cos x) sin(x)^(d-2) dx, the integrand entire in x."""

    def __init__(
        self,
        slope: float,
        network: Network,
        kernel: Kernel,
        dim: int,
        degree: int,
        digits: int,
    ) -> None:
        self.slope, self.variance = slope, network.weight_variance
        self.mixture = network.mixture(kernel)
        self.dim, self.degree = dim, degree
        # N lambda_k sums to K(1) and falls like a power of k, so this is below every lambda_k > 0.
        self._log_small = -_log_multiplicity(dim, degree) - 5.0 * math.log1p(degree)
        nats = digits * math.log(10.0) - self._log_small
        self.bits = int(nats / math.log(2.0)) + 32
        self.nodes = _entire_rule_size((degree + dim) * math.pi / 2, nats + self._log_small / 2)

    def zero_scale(self) -> arb:
        """Below every eigenvalue but the exact zeros: K's part with a kink, over N (k+1)^5."""
        kink = (1 - arb(self.slope)) ** 2
        return arb(self.variance) * (kink if kink > 0 else arb(1)) * arb(self._log_small).exp()

    def run(self, effort: float) -> _Run:
        """Integrate by Gauss-Legendre in theta, nodes theta and pi - theta taken together."""
        n = 2 * math.ceil(self.nodes * effort / 2)
        half_pi = arb.pi() / 2
        points, weighted = [], []
        sign = 1 - 2 * (self.degree % 2)
        for i in range(n // 2):
            x, weight = arb.legendre_p_root(n, i, True)
            theta = half_pi * (1 - x)
            sine, cosine = theta.sin_cos()
            folded = self._kernel(theta, sine, cosine) + sign * self._kernel(
                2 * half_pi - theta, sine, -cosine
            )
            points.append(acb(cosine, sine))
            weighted.append(weight * folded * sine ** (self.dim - 2))
        (legendre,) = _legendre(self.dim, [self.degree], points)
        total = half_pi * _measure_constant(self.dim) * _dot(weighted, legendre)
        method = f"pointwise kernel, Gauss-Legendre in theta, {n} nodes, {ctx.prec} bits"
        return _Run(total, arb(0), method)

    def _kernel(self, theta: arb, sine: arb, cosine: arb) -> arb:
        pi = arb.pi()
        slope, kink = arb(self.slope), (1 - arb(self.slope)) ** 2 / (2 * pi)
        of_f, of_d = self.mixture
        derivative = slope + kink * (pi - theta)
        value = slope * cosine + kink * (sine + (pi - theta) * cosine)
        return arb(self.variance) * (of_f * value + of_d * cosine * derivative)


def _entire_rule_size(half_bandwidth: float, nats: float) -> int:
    """Gauss-Legendre nodes that integrate exp(i half_bandwidth x) over [-1, 1] to e^-nats.

    The first Legendre coefficient missed, of order m = 2n, falls like the Bessel function
    J_m(m / cosh a) ~ exp(-m (a - tanh a)), DLMF 10.19.3.
    """
    n = int(half_bandwidth / 2) + 8
    while True:
        a = math.acosh(max(2 * n / half_bandwidth, 1.0))
        if 2 * n * (a - math.tanh(a)) > nats:
            return n
        n += 1 + n // 64


def _dot(left: Sequence[arb], right: Sequence[arb]) -> arb:
    total = arb(0)
    for a, b in zip(left, right, strict=True):
        total += a * b
    return total


# --- tanh and sigmoid: the Gaussian expectation in polar coordinates ----------------------------


class _PolarIntegral:
    """E_r[phi_k(r)^2] for tanh and its derivative; odd degrees only (the even ones are 0).

    The radius is r = e^u; the trapezoid rule in u converges exponentially, since everything is
    analytic in u up to the poles at Im u = pi/2.
    """

    def __init__(
        self,
        tanh: tuple[float, float, float],
        network: Network,
        kernel: Kernel,
        dim: int,
        degree: int,
        digits: int,
    ) -> None:
        (_, self.amplitude, self.rate), self.variance = tanh, network.weight_variance
        self.mixture = network.mixture(kernel)
        self.dim, self.degree = dim, degree
        self.nats = digits * math.log(10.0) + 5.0
        self._estimate()

    def zero_scale(self) -> arb:
        """0: the eigenvalues of odd degree are all positive."""
        return arb(0)

    def _estimate(self) -> None:
        """Set radial window, step, nodes and bits from a saddle point estimate of phi_k(r)."""
        d, nats = self.dim, self.nats
        u = np.linspace(-140.0, 9.0, 149001)
        pole = math.pi / (2.0 * self.rate * math.sqrt(self.variance)) * np.exp(-u)
        phi = _log_phi(d, self.degree, pole)
        density = d * u - np.exp(2 * u) / 2 - (d / 2 - 1) * math.log(2.0) - math.lgamma(d / 2)
        term = density + 2 * phi
        top = int(np.argmax(term))
        kept = np.flatnonzero(term > term[top] - nats)
        step = u[1] - u[0]
        curvature = -(term[top + 50] - 2 * term[top] + term[top - 50]) / (50 * step) ** 2
        self.peak = float(u[top])
        self.window = float(u[kept[0]]), float(u[kept[-1]])
        # A third more than wanted, since no hill is quite of the assumed shape.
        self.step = _trapezoid_step(1.3 * nats, max(float(curvature), 1.0))
        # The error of phi at r may be as large as the term there is small; a node more gains a
        # factor rho(r)^2, rho being the size of the ellipse through the poles of g(r t).
        rho = np.arcsinh(pole[kept])
        extra = (nats + term[kept] - term[top]) / (2 * rho)
        self.nodes = self.degree + d / 2 + float(np.max(extra)) + 4
        loss = float(np.max(density[kept] + phi[kept]) - term[top])
        self.bits = int((nats + max(loss, 0.0)) / math.log(2.0)) + 40

    def run(self, effort: float) -> _Run:
        """Integrate over the sphere by Gauss, over the radius by the trapezoid rule."""
        n = 2 * math.ceil(self.nodes * effort / 2)
        step = arb(self.step / effort)
        rule = _polar_rule(self, n)
        low, high = (round((end - self.peak) / float(step)) for end in self.window)
        terms = {i: self._term(rule, i, step) for i in range(low, high + 1)}
        tail = arb(0)
        for end, move in ((low, -1), (high, 1)):
            floor = sum(terms.values(), arb(0)) * arb(-self.nats - 5.0).exp()
            while not terms[end] < floor:
                terms[end + move] = self._term(rule, end + move, step)
                end += move
            # Beyond the window the terms fall at least as fast as a geometric series.
            ratio = terms[end] / terms[end - move]
            tail += terms[end] * ratio / (1 - ratio)
        total = sum(terms.values(), arb(0)) * step * self._radial_constant()
        method = (
            f"Gaussian expectation in polar form, {n} nodes on the sphere, "
            f"{len(terms)} radii, {ctx.prec} bits"
        )
        return _Run(total, abs(tail * step * self._radial_constant()), method)

    def _radial_constant(self) -> arb:
        """Of the chi distribution: density r^(d-1) e^(-r^2/2) / (2^(d/2-1) Gamma(d/2))."""
        half = arb(fmpq(self.dim, 2))
        return 1 / (arb(2) ** (half - 1) * half.gamma())

    def _term(self, rule: _PolarRule, index: int, step: arb) -> arb:
        """r times the density at r = e^(peak + index step) times the squares of the phi's."""
        radius = (arb(self.peak) + index * step).exp()
        rate = arb(self.rate)
        scale = rate * arb(self.variance).sqrt() * radius
        tanh = [(scale * t).tanh() for t in rule.nodes]
        of_f, of_d = self.mixture
        k, d = self.degree, self.dim
        total = arb(0)
        if of_f:
            phi = (arb_mat([tanh]) * rule.value_weights)[0, 0]
            total += of_f * phi**2
        if of_d:
            # t P_k = (k P_(k-1) + (k+d-2) P_(k+1)) / (2k+d-2)
            phis = arb_mat([[1 - y * y for y in tanh]]) * rule.derivative_weights
            square = (k * phis[0, 0] ** 2 + (k + d - 2) * phis[0, 1] ** 2) / (2 * k + d - 2)
            total += of_d * self.variance * rate**2 * square
        total *= arb(self.amplitude) ** 2
        return total * radius**d * (-radius * radius / 2).exp()


@dataclass(frozen=True)
class _PolarRule:
    """Nodes t > 0 and weights (with c_d, P_k and both halves of the sphere) as columns."""

    nodes: list[arb]
    value_weights: arb_mat
    derivative_weights: arb_mat


def _polar_rule(integral: _PolarIntegral, n: int) -> _PolarRule:
    """Gauss-Legendre in t for odd d, Gauss-Chebyshev (equal angles) for even d: n nodes, n even.

    Either way the rest of the weight (1-t^2)^((d-3)/2) is a polynomial.
    """
    dim, degree = integral.dim, integral.degree
    points, weights = [], []
    for i in range(n // 2):
        if dim % 2:
            t, weight = arb.legendre_p_root(n, i, True)
            sine = (1 - t * t).sqrt()
            weights.append(weight * sine ** (dim - 3))
        else:
            sine, t = arb.sin_cos_pi_fmpq(fmpq(2 * i + 1, 2 * n))
            weights.append(sine ** (dim - 2) * arb.pi() / n)
        points.append(acb(t, sine))
    constant = 2 * _measure_constant(dim)
    of_f, of_d = integral.mixture

    def columns(degrees: list[int]) -> arb_mat:
        legendre = _legendre(dim, degrees, points)
        return arb_mat(
            [[constant * w * p for p in ps] for w, *ps in zip(weights, *legendre, strict=True)]
        )

    return _PolarRule(
        nodes=[p.real for p in points],
        value_weights=columns([degree]) if of_f else arb_mat(0, 0),
        derivative_weights=columns([degree - 1, degree + 1]) if of_d else arb_mat(0, 0),
    )


def _log_phi(dim: int, degree: int, pole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate log |c_d int P_k(t) / (i pole - t) (1-t^2)^((d-3)/2) dt| by Rodrigues and a saddle.

    The saddle t = -i eta of (1-t^2)^A / (i pole - t)^(k+1), A = k + (d-3)/2.  To steer only.
    """
    k, a = degree, degree + (dim - 3) / 2
    eta = k / (a * pole + np.sqrt((a * pole) ** 2 + k * (2 * a - k)))
    constant = math.lgamma(k + 1) - k * math.log(2.0) + math.lgamma(dim / 2) - math.lgamma(a + 1)
    return np.asarray(constant + a * np.log1p(eta * eta) - (k + 1) * np.log(pole + eta))


def _trapezoid_step(nats: float, curvature: float) -> float:
    """Step h of the trapezoid rule over exp of a hill of this curvature, for an error of e^-nats.

    Shifted by i v the hill grows by at most exp(curvature (1 - cos v)), the rule's error falls by
    exp(-2 pi v / h); beyond v = pi/4 the shifted exp(-r^2/2), r = e^(u + iv), no longer decays.
    """
    v = np.linspace(0.01, math.pi / 4, 200)
    return float(np.max(2 * math.pi * v / (nats + curvature * (1 - np.cos(v)))))
