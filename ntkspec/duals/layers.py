"""Kernels of a network in ball arithmetic: duals composed through the layers."""

from __future__ import annotations

from typing import Any, Protocol

from flint import arb

from ntkspec.duals.correlation import Correlation

__all__ = ["Layers"]


class Parameters(Protocol):
    """What `Layers` reads of a network."""

    @property
    def sigma(self) -> Any: ...
    @property
    def weight_variance(self) -> float: ...
    @property
    def bias_variance(self) -> float: ...
    @property
    def depth(self) -> int: ...
    @property
    def trained(self) -> str: ...


class Layers:
    """The NTK or NNGP kernel K(cos theta) of a network, for balls.

    q_1(t) = s_w t + s_b, q_(l+1) = s_w F_l + s_b with F_l, D_l the duals at variance q_l(1);
    T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l.  NNGP: F_L; NTK: T_L D_L, plus F_L when all
    weights are trained (Jacot et al. 2018, theorem 1).

    Parameters
    ----------
    network : Network
    kernel : {"ntk", "nngp"}
    """

    def __init__(self, network: Parameters, kernel: str) -> None:
        self.kernel = kernel
        self.with_dual = kernel == "nngp" or network.trained == "all"
        self.weight, self.bias = arb(network.weight_variance), arb(network.bias_variance)
        self.variances = [self.weight + self.bias]
        self.duals = []
        for _ in range(network.depth):
            self.duals.append(network.sigma.dual(self.variances[-1]))
            self.variances.append(self.weight * self.duals[-1][0](Correlation.full()) + self.bias)

    def __call__(self, angle: Any) -> Any:
        """K at t = cos(angle), 0 <= angle <= pi for real balls."""
        return self.at(Correlation(angle.cos(), angle))

    def at(self, point: Correlation) -> Any:
        """K at the correlation of two inputs."""
        covariance = self.weight * point.cosine + self.bias
        if not self.bias.is_zero():
            point = Correlation(covariance / self.variances[0])
        tangent = covariance
        for layer, (value, slope) in enumerate(self.duals[:-1]):
            covariance = self.weight * value(point) + self.bias
            if self.kernel == "ntk":
                tangent = covariance + self.weight * tangent * slope(point)
            point = Correlation(covariance / self.variances[layer + 1])
        value, slope = self.duals[-1]
        if self.kernel == "nngp":
            return value(point)
        if self.with_dual:
            return value(point) + tangent * slope(point)
        return tangent * slope(point)
