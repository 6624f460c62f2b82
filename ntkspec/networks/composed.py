"""Networks whose pointwise kernels are closed forms in every layer, for `kernels.composed`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ntkspec.networks.network import Network

__all__ = ["composed_arguments"]

#: Variance up to which F(1) - F of gelu keeps its digits: it loses a factor sqrt(q).
WIDEST_GELU = 64.0
SMOOTH = ("erf", "sin", "cos", "gaussian", "gelu", "exp")


def composed_arguments(network: Network) -> tuple[Any, ...] | None:
    """Return the arguments of the kernels but the mixture; None for other activations.

    They are the activation's number, the variances of weights and biases, those of every layer's
    argument, and constants of every layer.
    """
    from ntkspec.kernels import composed

    sigma, name = network.sigma, network.name
    power, right, left = sigma.homogeneous or (-1, 0.0, 0.0)
    if power == 1 and right == 1.0:
        number, slope = composed.LINEAR, 0.0 - left
    elif power == 0:
        number, slope = composed.STEP, 0.0
    elif name in SMOOTH:
        number, slope = getattr(composed, name.upper()), 0.0
    else:
        return None
    variances = [network.weight_variance + network.bias_variance]
    constants = []
    for _ in range(network.depth):
        if not math.isfinite(variances[-1]):
            return None
        mine, full = _layer(name, slope, variances[-1])
        constants.append((*mine, full))
        variances.append(network.weight_variance * full + network.bias_variance)
    most = WIDEST_GELU if name == "gelu" else math.inf
    if not (max(variances[:-1]) <= most and math.isfinite(variances[-1])):
        return None
    return (
        number,
        network.weight_variance,
        network.bias_variance,
        *map(np.array, (variances, constants)),
    )


def _layer(name: str, slope: float, q: float) -> tuple[tuple[float, float], float]:
    """Two constants of a layer, and F(1)."""
    if name == "erf":
        a, root = 2.0 * q / (1.0 + 2.0 * q), math.sqrt(1.0 + 4.0 * q) / (1.0 + 2.0 * q)
        return (a, root), 2.0 / math.pi * math.atan2(a, root)
    if name == "gelu":
        a, root = q / (1.0 + q), math.sqrt(1.0 + 2.0 * q) / (1.0 + q)
        of_both = 0.25 + math.atan2(a, root) / (2.0 * math.pi)
        return (a, root), q * of_both + a * a / (math.pi * root)
    if name == "sin":
        return (0.0, 0.0), -0.5 * math.expm1(-2.0 * q)
    if name == "cos":
        return (0.0, 0.0), 0.5 * (1.0 + math.exp(-2.0 * q))
    if name == "gaussian":
        return (0.0, 0.0), 1.0 / math.sqrt(1.0 + 2.0 * q)
    if name == "exp":
        return (0.0, 0.0), math.exp(2.0 * q) if q < 300.0 else math.inf
    if name == "step":
        return (0.0, 0.0), 0.5
    return (slope, 0.0), 0.5 * q * (1.0 + slope * slope)
