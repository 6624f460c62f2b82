"""K(1), the sum of all eigenvalues times their multiplicities on the unit sphere and the cube."""

from __future__ import annotations

import math

import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.zonal import ZonalKernel

__all__ = ["kernel_at_one"]

#: Relative error of K(1) by functions of doubles, and above that of a ball's middle.
POINTWISE_ERROR = 1e-14
BITS = 128
#: Half width in standard deviations of the interval where 1 - P is below rounding.
REACH = 14.0
#: Nodes on either side of 0, doubled until two rules agree.
FIRST_NODES, MOST_NODES = 100, 800


def kernel_at_one(source: Network | ZonalKernel, kernel: Kernel, dim: int) -> tuple[float, float]:
    """K(1) and a bound on its error; only weights on a sphere depend on the dimension."""
    if isinstance(source, ZonalKernel):
        return _zonal(source, dim)
    if source.user:
        from ntkspec.duals.plain import PlainKernel

        value, error = (float(x[0]) for x in PlainKernel(source, kernel)(np.zeros(1), np.ones(1)))
    elif source.weights == "sphere":
        value, error = _sphere_weights(source, kernel, dim)
    else:
        value, error = _layers(source, kernel)
    return value, error + POINTWISE_ERROR * abs(value)


def _layers(network: Network, kernel: Kernel) -> tuple[float, float]:
    """From the rules of the layers, in balls."""
    from ntkspec.duals.layers import Layers
    from ntkspec.precision import working_precision

    network.check_kernel(kernel)
    with working_precision(BITS):
        ball = Layers(network, kernel).at_one()
        value, radius = float(ball.mid()), float(ball.rad())
    if not math.isfinite(value):
        raise NtkspecError(
            f"K(1) of {network.name} is beyond the range of doubles; lower weight_variance, "
            "bias_variance or depth"
        )
    return value, radius


def _zonal(source: ZonalKernel, dim: int) -> tuple[float, float]:
    if source.arithmetic != "double":
        from flint import arb

        from ntkspec.precision import working_precision

        with working_precision(BITS):
            ball = source.in_balls(dim)(arb(1))
            value, radius = float(ball.mid()), float(ball.rad())
        return value, radius + POINTWISE_ERROR * abs(value)
    value = float(source.in_doubles(np.ones(1)).reshape(-1)[0])
    if not math.isfinite(value):
        raise NtkspecError(f"{source.name} returned {value} at 1.0; K(1) must be finite")
    return value, POINTWISE_ERROR * abs(value)


def _sphere_weights(network: Network, kernel: Kernel, dim: int) -> tuple[float, float]:
    """E[f sigma(R u)^2 + g s_w sigma'(R u)^2], R = sqrt(s_w d), u a coordinate on the sphere."""
    dual, tangent = network.mixture(kernel)
    size = math.sqrt(network.weight_variance * dim)

    def rule(nodes: int) -> float:
        x, w = np.polynomial.legendre.leggauss(nodes)
        half = min(0.5 * math.pi, REACH / math.sqrt(dim))
        sine = np.sin(0.5 * half * (1.0 + x))
        weights = w * np.exp(0.5 * (dim - 2) * np.log1p(-(sine**2)))
        weights /= 2.0 * weights.sum()
        total = 0.0
        for side in (-1.0, 1.0):
            u = size * side * sine
            if dual:
                total += dual * float(weights @ network.sigma.value(u) ** 2)
            if tangent and network.sigma.derivative is not None:
                slope = network.sigma.derivative(u)
                total += tangent * network.weight_variance * float(weights @ slope**2)
        return total

    nodes, before = FIRST_NODES, rule(FIRST_NODES * 4 // 5)
    while True:
        value = rule(nodes)
        if abs(value - before) <= POINTWISE_ERROR * value or 2 * nodes > MOST_NODES:
            return value, 2.0 * abs(value - before)
        nodes, before = 2 * nodes, value
