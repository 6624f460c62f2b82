"""Geometric laws, from the nearest singularity of the kernel, and faster ones without any."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ntkspec.errors import NtkspecError
from ntkspec.laws.form import Law, branch_point, by_parity
from ntkspec.laws.profile import duals_at, profile
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity

__all__ = ["entire_law"]

#: F ~ size (c* - c)^(-order) as the covariance c tends to c* = q + gap: (gap, order, size(c*)).
SINGULAR: dict[str, tuple[float, float, Callable[[float], float]]] = {
    "erf": (0.5, -0.5, lambda c: -2.0 / math.pi * math.sqrt(2.0 / c)),
    "gelu": (1.0, 0.5, lambda c: 1.0 / (2.0 * math.pi * math.sqrt(2.0 * c))),
    "gaussian": (1.0, 0.5, lambda c: 1.0 / math.sqrt(2.0 * c)),
}
BISECTIONS = 200


def entire_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of erf, gelu, gaussian, sin, cos, exp, snake and gabor."""
    main = parity(network, kernel).main
    if network.name.startswith("gabor("):
        raise NtkspecError(
            f"activation {network.name!r} has no derived law: the nearest singularity of its "
            "kernel is essential"
        )
    if network.sigma.shape.base in ("sin", "cos", "exp", "snake"):
        if network.depth == 1:
            return _bessel(network, dim, kernel, main)
        return Law("superexponential", math.nan, math.nan, math.nan, 1.0, main)
    if network.weights == "sphere":
        return Law("superexponential", math.nan, math.nan, math.nan, 1.0, main)
    gap, order, size = SINGULAR[network.sigma.name]
    layer, radius = _nearest(network, gap)
    variance = profile(network, 1.0)[layer].variance
    below = profile(network, radius, layer)
    growth, tangent = network.weight_variance, network.weight_variance * radius
    tangent += network.bias_variance
    if layer:
        before = below[-1]
        growth = network.weight_variance * before.slope * before.growth
        tangent = network.weight_variance * (before.dual + before.tangent * before.slope)
        tangent += network.bias_variance
    # If F is infinite, this is the last layer: a later one would have been singular earlier.
    amplitude = size(variance + gap) * (_gain_of_erf(network, layer) if order < 0 else 1.0)
    if kernel == "ntk":
        amplitude, order = amplitude * order * tangent, order + 1.0
    amplitude *= growth**-order
    form = branch_point(dim, math.acosh(radius), order)
    return by_parity(form, amplitude, 0.0, main)


def _gain_of_erf(network: Network, layer: int) -> float:
    """dF_L / dF_l where layer l of erf is singular, `layer` = l - 1; F_l = 1 there.

    The slopes of the layers after it are finite, but all their derivatives by t are infinite.
    """
    product, covariance = 1.0, network.weight_variance + network.bias_variance
    for after in profile(network, 1.0)[layer + 1 :]:
        dual, slope = duals_at(network, after.variance, covariance)
        product *= network.weight_variance * slope
        covariance = network.weight_variance * dual + network.bias_variance
    return product


def _nearest(network: Network, gap: float) -> tuple[int, float]:
    """The layer (from 0) that is singular first as t grows from 1, and where.

    K has no negative coefficients, so no singularity is nearer than one on the positive axis.
    """
    variances = [layer.variance for layer in profile(network, 1.0)]
    first = (variances[0] + gap - network.bias_variance) / network.weight_variance
    layer, radius = 0, first
    for i in range(1, network.depth):
        found = _crossing(network, i, variances[i] + gap, radius)
        if found < radius:
            layer, radius = i, found
    return layer, radius


def _crossing(network: Network, layer: int, target: float, end: float) -> float:
    """Where q_l(t) reaches the target, below `end`; `end` if it does not."""
    low, high = 1.0, end
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        below = profile(network, middle, layer)
        value = math.inf
        if len(below) == layer:
            value = network.weight_variance * below[-1].dual + network.bias_variance
        low, high = (middle, high) if value < target else (low, middle)
    return end if high == end else high


def _bessel(network: Network, dim: int, kernel: Kernel, main: int | None) -> Law:
    """One layer of sin or cos: e^(s t) has lambda_k = Gamma(d/2) (2/s)^(d/2-1) I_(k+d/2-1)(s).

    With weights of fixed length R sin(R t) has J in the place of I, and lambda_k its square.  exp
    has the one exponential e^(q + c), and snake(a) is x + 1/(2 a) less cos(2 a x)/(2 a).
    """
    shape = network.sigma.shape
    rate = 2.0 * float(shape.inner) if shape.base == "snake" else 1.0
    scale = -2.0 * math.log(rate)  # sigma' is that of sin or cos, sigma smaller by the rate
    weight, bias = network.weight_variance * rate**2, network.bias_variance * rate**2
    if network.weights == "sphere":
        half = 0.5 * math.sqrt(weight * dim)
        form = _factorial(dim, half, 2.0)
        form = replace(form, log_constant=form.log_constant + scale)
        if kernel == "ntk":  # times t: half the degree before
            form = replace(
                form,
                log_constant=form.log_constant + math.log(0.5 * weight / half**2),
                power=form.power + 2.0,
            )
        return replace(form, parity=main)
    form = _factorial(dim, 0.5 * weight, 1.0)
    if kernel == "ntk":
        form = replace(form, power=form.power + 1.0)
    if shape.base == "exp":
        return replace(form, log_constant=form.log_constant + weight + 2.0 * bias)
    form = replace(form, log_constant=form.log_constant + scale - math.log(2.0) - weight - bias)
    odd = (shape.base == "sin") == (kernel == "nngp")
    last = math.exp(-bias) * (-1.0 if odd else 1.0) * (-1.0 if kernel == "ntk" else 1.0)
    return by_parity(form, math.exp(bias), last, main)


def _factorial(dim: int, half: float, times: float) -> Law:
    """(Gamma(d/2) half^k / Gamma(k + d/2))^times."""
    power = times * (1.0 - dim / 2)
    constant = times * math.lgamma(dim / 2)
    rate = -times * math.log(half)
    return Law("superexponential", constant, power, rate, 1.0, factorial=times)
