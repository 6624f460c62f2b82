"""Values of a network's kernels at angles, layer by layer, in balls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import acb, arb, ctx

from ntkspec.reference.balls.expectations import Dual, make_dual
from ntkspec.reference.balls.interpolated import InterpolatedDual
from ntkspec.reference.balls.legendre import entire_rule_size
from ntkspec.reference.description import SMOOTH, Description

__all__ = ["GUARD_BITS", "LayeredKernels", "point_at", "prepared_dual"]

#: Additional bits for the radii, which grow through the layers.
GUARD_BITS = 64


class LayeredKernels:
    """The kernels of every depth up to the largest, for one activation and its variances."""

    def __init__(self, network: Description, depth: int, nats: float) -> None:
        self.network = network
        self.weight, self.bias = arb(network.weight_variance), arb(network.bias_variance)
        #: q_l(1) and the dual of every layer.
        self.layers: list[tuple[arb, Dual]] = []
        variance = self.weight + self.bias
        for _ in range(depth):
            dual = prepared_dual(network, variance, nats)
            self.layers.append((variance, dual))
            variance = self.weight * dual.at_zero()[0] + self.bias

    def at(self, points: list[acb]) -> dict[tuple[str, int, str], list[arb]]:
        """Values at the points e^(i theta), by kernel, depth and what is trained."""
        kernels: dict[tuple[str, int, str], list[arb]] = {}
        s_w, s_b = self.weight, self.bias
        q = tangent = [s_w * p.real + s_b for p in points]
        points = self._first_points(points)
        for depth, (_, dual) in enumerate(self.layers, 1):
            f, d = dual.at(points)
            hidden = [t * x for t, x in zip(tangent, d, strict=True)]
            kernels["nngp", depth, "hidden"] = kernels["nngp", depth, "all"] = f
            kernels["ntk", depth, "hidden"] = hidden
            kernels["ntk", depth, "all"] = [x + y for x, y in zip(f, hidden, strict=True)]
            if depth < len(self.layers):
                q = [s_w * x + s_b for x in f]
                tangent = [x + s_w * y for x, y in zip(q, hidden, strict=True)]
                points = [point_at(x / self.layers[depth][0]) for x in q]
        return kernels

    def steepness(self) -> list[tuple[Description, float]]:
        """dq_l/dt at t = 1 of every layer, with its activation: how fast its argument turns."""
        slope, found = float(self.weight), []
        for _, dual in self.layers:
            found.append((self.network, slope))
            slope *= float(self.weight * dual.at_zero()[1])
        return found

    def at_minus_one(self) -> list[tuple[arb, arb]]:
        """q_l(-1) and q_l(1) of every layer."""
        q, found = self.bias - self.weight, []
        for variance, dual in self.layers:
            found.append((q, variance))
            cosine = q / variance
            point = acb(-1 if cosine < 0 else 1)
            if abs(cosine) < 1:
                point = point_at(cosine)
            q = self.weight * dual.at([point])[0][0] + self.bias
        return found

    def _first_points(self, points: Sequence[acb]) -> list[acb]:
        """e^(i theta_1), with a small relative error of its sine also near theta = 0."""
        if self.bias == 0:
            return list(points)
        share = self.weight / self.layers[0][0]
        found = []
        for p in points:
            c = p.real
            versine = share * (p.imag**2 / (1 + c) if c > 0 else 1 - c)
            found.append(acb(1 - versine, (versine * (2 - versine)).sqrt()))
        return found


def prepared_dual(sigma: Description, variance: arb, nats: float) -> Dual:
    """The dual of an activation at a variance; interpolated for one with a kink."""
    dual = make_dual(sigma, variance, nats)
    if sigma.base in SMOOTH or sigma.clipped:
        return dual
    return InterpolatedDual(dual, _points_to_begin_with(sigma, variance, nats))


def point_at(cosine: arb) -> acb:
    """e^(i theta) from cos(theta); what cannot be distinguished from 1 or -1 is."""
    square = (1 - cosine) * (1 + cosine)
    if square.contains(0):
        return acb(1 if cosine > 0 else -1)
    return acb(cosine, square.sqrt())


def _points_to_begin_with(network: Description, variance: arb, nats: float) -> int:
    """Points that interpolate a dual in theta to the working precision; more for more nats."""
    bits = ctx.prec + 0.3 * nats
    if network.exponential:
        # The coefficients were seen to fall by about 2 bits each, less for larger variances.
        return int(1.15 * bits / (2.1 - 0.08 * math.log2(max(float(variance), 1.0)))) + 8
    return 2 * entire_rule_size((network.order + 1) * math.pi / 2, bits * math.log(2.0))
