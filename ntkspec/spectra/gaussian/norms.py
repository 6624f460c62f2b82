"""E K(x, x) under the Gaussian measure: the sum of all eigenvalues with their multiplicities.

K(x, x) depends on the radius alone: the layers' recursion at t = 1 from the variance
s_w r^2 + s_b on, with E[sigma(sqrt(q) Z)^2] and E[sigma'(sqrt(q) Z)^2] by the trapezoid rule, which
converges geometrically for functions that are analytic near the real line.  Doubles are enough, as
no term is negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.rules import State, follow
from ntkspec.spectra.gaussian.radial import radial_moment, radial_rule
from ntkspec.spectra.kernel_at_one import kernel_at_one
from ntkspec.spectra.route import Source
from ntkspec.zonal import ZonalKernel

__all__ = ["mean_square", "radial_power"]

Array = NDArray[np.float64]

#: Relative rounding of the sums.
ROUNDING = 1e-14
#: The weight omitted on either side of the radius is below e^-NATS.
NATS = 45.0
#: Standard deviations of Z to either side.
REACH = 13.0
#: Nodes in the radius and in Z, raised until two rules agree.
FIRST, MOST_Z = (48, 256), 1 << 15


def radial_power(source: Source) -> float | None:
    """P where K(x, x') = (|x| |x'| / d)^P K(t), or None."""
    if isinstance(source, ZonalKernel):
        return source.radial_power
    if source.weights != "gaussian" or not source.uniform or source.bias_variance != 0.0:
        return None
    homogeneous = source.sigma.homogeneous
    return None if homogeneous is None else homogeneous[0] ** source.depth


def mean_square(source: Source, kernel: Kernel, dim: int) -> tuple[float, float]:
    """E K(x, x) over x ~ N(0, I_dim), which enters as x / sqrt(dim), and a bound on its error.

    Raises NtkspecError when the rules do not converge.

    Examples
    --------
    >>> round(mean_square(Network("sin"), "nngp", 1000)[0], 6)  # (1 - 1.004^-500) / 2
    0.432062
    """
    power = radial_power(source)
    if power is not None:
        value, error = kernel_at_one(source, kernel, dim)
        with working_precision(128):
            moment = float(radial_moment(dim, power))
        return value * moment, error * moment + ROUNDING * value * moment
    assert isinstance(source, Network)
    network = source
    radial, nodes = FIRST
    before = _mean(network, kernel, dim, radial, nodes, shift=0.5)
    while nodes <= MOST_Z:
        radial, nodes = radial * 5 // 4, 2 * nodes
        value = _mean(network, kernel, dim, radial, nodes, shift=0.0)
        if abs(value - before) <= 10.0 * ROUNDING * value:
            return value, abs(value - before) + ROUNDING * value
        before = value
    raise NtkspecError(
        f"E K(x, x) of {network.name} does not settle with {nodes} nodes; lower the variances"
    )


def _mean(
    network: Network, kernel: Kernel, dim: int, radial: int, nodes: int, shift: float
) -> float:
    with working_precision(80):
        rule = radial_rule(dim, radial, NATS)
    squares, weights = (np.array([float(x) for x in part]) for part in rule)
    values = [_on_diagonal(network, kernel, float(square), nodes, shift) for square in squares]
    return float(weights @ np.array(values) / weights.sum())


def _on_diagonal(
    network: Network, kernel: Kernel, square: float, nodes: int, shift: float
) -> float:
    """K(x, x) at |x|^2 / d = square."""
    step = 2.0 * REACH / nodes
    z = -REACH + step * (np.arange(nodes) + shift)
    density = np.exp(-0.5 * z * z) * step / math.sqrt(2.0 * math.pi)
    program, ntk = network.program, kernel == "ntk"

    def mean(function: Callable[[Any], Any], variance: float) -> float:
        return float(density @ np.asarray(function(math.sqrt(variance) * z)) ** 2)

    def activate(index: int, state: State) -> State:
        sigma, tangent = program.activations[index], None
        if state.tangent is not None:
            tangent = state.tangent * mean(sigma.derivative, state.covariance)
        return State(mean(sigma.value, state.covariance), tangent)

    end = follow(
        program, State(square), activate, lambda index, state: state.covariance, tangent=ntk
    )
    return float(end.tangent if ntk else end.covariance)
