"""Eigenvalues for weights on a sphere, independently of the engine.

phi_k = c_d int sigma(R cos x) P_k(cos x) sin(x)^(d-2) dx by Gauss-Legendre over x on either side of
pi/2, with the polynomial of that dimension and degree itself; lambda_k = phi_k^2, and for t times
the dual of sigma' the product rule of Gegenbauer polynomials (DLMF 18.9.1).
"""

from __future__ import annotations

import math

from flint import acb, arb, ctx, fmpq

from ntkspec.reference.balls.agreement import Integral, Run
from ntkspec.reference.balls.expectations import ODD, smooth_of
from ntkspec.reference.balls.legendre import dot, legendre, measure_constant
from ntkspec.reference.description import Description, Kernel

__all__ = ["SphereIntegral"]


class SphereIntegral(Integral):
    """The integral for weights on a sphere."""

    def __init__(
        self, network: Description, kernel: Kernel, dim: int, degree: int, digits: int
    ) -> None:
        super().__init__(network, kernel, dim, degree)
        self.floor = 4 * degree + 96
        self.bits = int(3.4 * digits) + self.floor + 48
        self.radius = math.sqrt(network.weight_variance * dim)
        self.nodes = 48 + degree + dim // 2 + self.bits // 3 + int(8.0 * self.radius)

    def zero_scale(self) -> arb:
        """Values below this count as 0; only zeros by parity are that small."""
        return arb(2) ** -self.floor

    def run(self, effort: float) -> Run:
        """Integrate with as many nodes as the effort says."""
        n = 2 * math.ceil(self.nodes * effort / 2)
        k, d, (dual, tangent) = self.degree, self.dim, self.mixture
        total = arb(0)
        if dual:
            total += self._square(0, k, n)
        if tangent:
            weight = arb(self.network.weight_variance)
            if k == 0:
                total += weight * self._square(1, 1, n)
            else:
                below, above = self._square(1, k - 1, n), self._square(1, k + 1, n)
                total += weight * (k * below + (k + d - 2) * above) / (2 * k + d - 2)
        method = f"Gegenbauer integral of the activation, {2 * n} nodes, {ctx.prec} bits"
        return Run(total, arb(0), method)

    def _square(self, derivative: int, degree: int, n: int) -> arb:
        integral = self._integral(derivative, degree, n)
        return integral * integral

    def _integral(self, derivative: int, degree: int, n: int) -> arb:
        radius = (arb(self.network.weight_variance) * self.dim).sqrt()
        quarter = arb.pi() / 4
        points, weighted = [], []
        for i in range(n):
            x, weight = arb.legendre_p_root(n, i, True)
            for side in (1, -1):
                sine, cosine = (quarter * (1 + x)).sin_cos()
                cosine = side * cosine
                value = self._sigma(radius * cosine, side, derivative)
                points.append(acb(cosine, sine))
                weighted.append(weight * value * sine ** (self.dim - 2))
        (values,) = legendre(self.dim, [degree], points)
        return quarter * measure_constant(self.dim) * dot(weighted, values)

    def _sigma(self, x: arb, side: int, derivative: int) -> arb:
        net = self.network
        if net.smooth:
            parts = smooth_of(net).parts(x)[2 * derivative : 2 * derivative + 2]
            return sum((part for part in parts if part is not None), arb(0))
        if net.exponential:
            right, left, rate = (arb(fmpq(c.numerator, c.denominator)) for c in net.exponential)
            if side > 0:
                return right if derivative else right * x
            return left * (rate * (rate * x).exp() if derivative else (rate * x).exp() - 1)
        if net.odd:
            found: arb = side ** (1 - derivative) * ODD[net.base](side * x)[derivative]
            return found
        power = net.order
        factor = arb(1) if side > 0 else (-1) ** power * arb(net.left)
        return factor * (power * x ** (power - 1) if derivative else x**power)
