"""One layer of tanh or sigmoid: the Gaussian expectation itself, in polar coordinates w = r omega.

Funk-Hecke for the activation, phi_k(r) = c_d int g(r t) P_k(t) (1-t^2)^((d-3)/2) dt, then
lambda_k = E_r[phi_k(r)^2] over the chi distribution of r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import acb, arb, arb_mat, ctx, fmpq
from numpy.typing import NDArray

from ntkspec.reference.balls.agreement import Integral, Run
from ntkspec.reference.balls.legendre import legendre, measure_constant
from ntkspec.reference.description import Description, Kernel

__all__ = ["TANH", "PolarIntegral"]

#: (offset, amplitude, rate): sigma(x) = offset + amplitude tanh(rate x).
TANH = {"tanh": (0.0, 1.0, 1.0), "sigmoid": (0.5, 0.5, 0.5)}


class PolarIntegral(Integral):
    """E_r[phi_k(r)^2] for tanh and its derivative; odd degrees only (the even ones are 0).

    The radius is r = e^u; the trapezoid rule in u converges exponentially, since everything is
    analytic in u up to the poles at Im u = pi/2.
    """

    def __init__(
        self, network: Description, kernel: Kernel, dim: int, degree: int, digits: int
    ) -> None:
        super().__init__(network, kernel, dim, degree)
        _, self.amplitude, self.rate = TANH[network.activation]
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
        # A third more than needed, since the shape of the peak is approximate.
        self.step = _trapezoid_step(1.3 * nats, max(float(curvature), 1.0))
        # The error of phi at r may be as large as the term there is small; a node more gains a
        # factor rho(r)^2, rho being the size of the ellipse through the poles of g(r t).
        rho = np.arcsinh(pole[kept])
        extra = (nats + term[kept] - term[top]) / (2 * rho)
        self.nodes = self.degree + d / 2 + float(np.max(extra)) + 4
        loss = float(np.max(density[kept] + phi[kept]) - term[top])
        self.bits = int((nats + max(loss, 0.0)) / math.log(2.0)) + 40

    def run(self, effort: float) -> Run:
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
        return Run(total, abs(tail * step * self._radial_constant()), method)

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


def _polar_rule(integral: PolarIntegral, n: int) -> _PolarRule:
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
    constant = 2 * measure_constant(dim)
    of_f, of_d = integral.mixture

    def columns(degrees: list[int]) -> arb_mat:
        values = legendre(dim, degrees, points)
        return arb_mat(
            [[constant * w * p for p in ps] for w, *ps in zip(weights, *values, strict=True)]
        )

    return _PolarRule(
        nodes=[p.real for p in points],
        value_weights=columns([degree]) if of_f else arb_mat(0, 0),
        derivative_weights=columns([degree - 1, degree + 1]) if of_d else arb_mat(0, 0),
    )


def _log_phi(dim: int, degree: int, pole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate log |c_d int P_k(t) / (i pole - t) (1-t^2)^((d-3)/2) dt| by Rodrigues and a saddle.

    The saddle t = -i eta of (1-t^2)^A / (i pole - t)^(k+1), A = k + (d-3)/2.  For the effort only.
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
