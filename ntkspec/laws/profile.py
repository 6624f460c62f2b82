"""Values of the layers of a network at one t: variances, covariances, duals, tangents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb

from ntkspec.duals import Correlation
from ntkspec.errors import NtkspecError
from ntkspec.laws.expectations import NEAR, expectations
from ntkspec.networks import Network
from ntkspec.precision import working_precision

__all__ = ["Layer", "gain", "profile"]

BITS = 96


@dataclass(frozen=True)
class Layer:
    """One layer at some t: q_l(1), q_l(t), T_l(t), dq_l / dt, F_l(t) and D_l(t); l counts from 1.

    The slope D_l is NaN for a step.
    """

    variance: float
    covariance: float
    tangent: float
    growth: float
    dual: float
    slope: float


def profile(network: Network, t: float, depth: int | None = None, last: bool = True) -> list[Layer]:
    """Layers of a network at t; |t| > 1 where the duals are closed forms.

    Without `last` the duals of the last layer are not computed, but NaN.

    Stops before the first layer whose dual is not finite there, beyond |t| = 1; at other t a
    variance beyond doubles raises NtkspecError.
    """
    layers: list[Layer] = []
    with working_precision(BITS):
        weight, bias = arb(network.weight_variance), arb(network.bias_variance)
        variance, growth = weight + bias, weight
        covariance = tangent = weight * t + bias
        for left in reversed(range(network.depth if depth is None else depth)):
            if not left and not last:
                unknown = arb("nan")
                known = variance, covariance, tangent, growth, unknown, unknown
                layers.append(Layer(*map(_number, known)))
                break
            one = here = _duals(network, variance, arb(1))
            if t != 1.0:
                here = _duals(network, variance, covariance / variance)
            dual, slope = here
            layers.append(
                Layer(*map(_number, (variance, covariance, tangent, growth, dual, slope)))
            )
            smooth = network.sigma.derivative is not None
            if not math.isfinite(layers[-1].dual * (layers[-1].growth if smooth else 1.0)):
                if abs(t) > 1.0:
                    return layers[:-1]
                raise NtkspecError(
                    f"the variances of {network.name} grow beyond doubles in layer {len(layers)}; "
                    "no law is computed: lower its depth or its variances"
                )
            growth = weight * slope * growth
            variance, covariance = weight * one[0] + bias, weight * dual + bias
            tangent = covariance + weight * tangent * slope
    return layers


def gain(network: Network, layers: list[Layer], layer: int) -> float:
    """Return dF_L / dF_l at a profile, `layer` = l - 1: how a change of F_l reaches the end."""
    weight: float = network.weight_variance
    return math.prod(weight * later.slope for later in layers[layer + 1 :])


def _duals(network: Network, variance: arb, ratio: arb) -> tuple[arb, arb]:
    sigma, point = network.sigma, _correlation(ratio)
    if sigma.singularity.kind != "entire" and sigma.homogeneous is None:
        rho = float(point.cosine.mid())
        assert sigma.derivative is not None
        functions = sigma.value, sigma.derivative
        value, slope = expectations(functions, float(variance.mid()), rho)
        return arb(value), arb(slope)
    dual, derivative = sigma.dual(variance)
    return dual(point), derivative(point) if sigma.derivative is not None else arb("nan")


def _correlation(ratio: arb) -> Correlation:
    """Replace correlations within rounding of +-1 by the exact ends, where the angle is known."""
    if abs(ratio + 1) < NEAR:
        return Correlation(arb(-1), arb.pi())
    return Correlation.full() if abs(ratio - 1) < NEAR else Correlation(ratio)


def _number(x: Any) -> float:
    return float(x.mid()) if x.is_finite() else math.nan
