"""What the layers of a network hold at one t: variances, covariances, duals, tangents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb, ctx

from ntkspec.duals import Correlation
from ntkspec.networks import Network

__all__ = ["Layer", "gain", "profile"]

BITS = 96


@dataclass(frozen=True)
class Layer:
    """One layer at some t; l counts from 1.

    Attributes
    ----------
    variance : float
        q_l(1).
    covariance, tangent : float
        q_l(t) and T_l(t).
    dual, slope : float
        F_l(t) and D_l(t) = dF_l / dq_l; the slope is NaN for a step.
    growth : float
        dq_l / dt.
    """

    variance: float
    covariance: float
    tangent: float
    dual: float
    slope: float
    growth: float


def profile(network: Network, t: float, depth: int | None = None) -> list[Layer]:
    """Layers of a network at t; |t| > 1 where the duals are closed forms.

    Stops before the first layer whose dual is not finite there.
    """
    layers: list[Layer] = []
    with ctx.workprec(BITS):
        weight, bias = arb(network.weight_variance), arb(network.bias_variance)
        variance, covariance, growth = weight + bias, weight * t + bias, weight
        tangent = covariance
        for _ in range(network.depth if depth is None else depth):
            one, here = _duals(network, variance, Correlation.full()), None
            if t != 1.0:
                here = _duals(network, variance, _correlation(covariance, variance))
            dual, slope = here or one
            layers.append(
                Layer(*map(_number, (variance, covariance, tangent, dual, slope, growth)))
            )
            if not math.isfinite(layers[-1].dual):
                return layers[:-1]
            variance = weight * one[0] + bias
            covariance = weight * dual + bias
            tangent, growth = covariance + weight * tangent * slope, weight * slope * growth
    return layers


def gain(network: Network, layers: list[Layer], layer: int) -> float:
    """Return dF_L / dF_l at a profile, `layer` = l - 1: how a change of F_l reaches the end."""
    return math.prod(network.weight_variance * later.slope for later in layers[layer + 1 :])


def _duals(network: Network, variance: arb, point: Correlation) -> tuple[arb, arb]:
    value, slope = network.sigma.dual(variance)
    return value(point), slope(point) if network.sigma.derivative is not None else arb("nan")


def _correlation(covariance: arb, variance: arb) -> Correlation:
    ratio = covariance / variance
    if ratio.overlaps(arb(-1)):
        return Correlation(arb(-1), arb.pi())
    return Correlation.full() if ratio.overlaps(arb(1)) else Correlation(ratio)


def _number(x: Any) -> float:
    return float(x.mid()) if x.is_finite() else math.nan
