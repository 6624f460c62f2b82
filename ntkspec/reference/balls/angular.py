"""One layer of relu or leaky_relu: the closed pointwise kernel, integrated over theta = arccos t.

In theta the kinks of the kernel at t = +-1 are gone.
"""

from __future__ import annotations

import math

from flint import acb, arb, ctx

from ntkspec.reference.balls.agreement import Integral, Run
from ntkspec.reference.balls.legendre import (
    dot,
    entire_rule_size,
    legendre,
    log_multiplicity,
    measure_constant,
)
from ntkspec.reference.description import Description, Kernel

__all__ = ["AngularIntegral"]


class AngularIntegral(Integral):
    """c_d int_0^pi K(cos x) P_k(cos x) sin(x)^(d-2) dx, the integrand entire in x."""

    def __init__(
        self, network: Description, kernel: Kernel, dim: int, degree: int, digits: int
    ) -> None:
        super().__init__(network, kernel, dim, degree)
        self.slope = network.slope
        # N lambda_k sums to K(1) and falls like a power of k, so this is below every lambda_k > 0.
        self._log_small = -log_multiplicity(dim, degree) - 5.0 * math.log1p(degree)
        nats = digits * math.log(10.0) - self._log_small
        self.bits = int(nats / math.log(2.0)) + 32
        self.nodes = entire_rule_size((degree + dim) * math.pi / 2, nats + self._log_small / 2)

    def zero_scale(self) -> arb:
        """Below every eigenvalue but the exact zeros: K's part with a kink, over N (k+1)^5."""
        kink = (1 - arb(self.slope)) ** 2
        return arb(self.variance) * (kink if kink > 0 else arb(1)) * arb(self._log_small).exp()

    def run(self, effort: float) -> Run:
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
        (values,) = legendre(self.dim, [self.degree], points)
        total = half_pi * measure_constant(self.dim) * dot(weighted, values)
        method = f"pointwise kernel, Gauss-Legendre in theta, {n} nodes, {ctx.prec} bits"
        return Run(total, arb(0), method)

    def _kernel(self, theta: arb, sine: arb, cosine: arb) -> arb:
        pi = arb.pi()
        slope, kink = arb(self.slope), (1 - arb(self.slope)) ** 2 / (2 * pi)
        of_f, of_d = self.mixture
        derivative = slope + kink * (pi - theta)
        value = slope * cosine + kink * (sine + (pi - theta) * cosine)
        return arb(self.variance) * (of_f * value + of_d * cosine * derivative)
