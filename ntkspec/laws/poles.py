"""Stretched exponentials, from the poles of the activation; geometric for weights on a sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import Shape
from ntkspec.errors import NtkspecError
from ntkspec.laws.form import Law, by_parity
from ntkspec.laws.profile import Layer, gain, profile
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity

__all__ = ["pole_law"]

#: Size of the residue at the nearest pole; for softplus that of its derivative.
RESIDUES = {"tanh": 1.0, "sigmoid": 1.0, "silu": math.pi, "softplus": 1.0}


@dataclass(frozen=True)
class Series:
    """Singular part sum over n of size n^growth exp(shift + c^2/8 - c sqrt(n)) t^n."""

    size: float
    growth: float
    c: float
    shift: float = 0.0


def pole_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of tanh, sigmoid, silu, softplus and scaled ones."""
    if network.name == "mish":
        raise NtkspecError(
            "activation 'mish' has no derived law: its poles nearest to the real line are not on "
            "the imaginary axis, and its eigenvalues oscillate"
        )
    if network.weights == "sphere":
        return _fixed_radius(network, dim, kernel)
    main, near = parity(network, kernel).main, profile(network, 1.0)
    growths = [layer.growth for layer in near]
    top = int(np.argmax(growths))
    first = _singular(network, near, top, kernel)
    form = _peak(replace(first, size=1.0), dim)
    if sum(math.isclose(one, growths[top], rel_tol=1e-9) for one in growths) > 1:  # layers tie
        return replace(form, log_constant=math.nan, power=math.nan, parity=main)
    last = 0.0
    if top == 0 and network.bias_variance == 0.0 and network.depth > 1:
        far = profile(network, -1.0)
        last = first.size / gain(network, near, 0) * gain(network, far, 0)
        # The sign of the dual's singular part at -1; for the NTK sigma' and T_1(-1) = -s_w turn it.
        last *= -1 if network.sigma.name in ("tanh", "sigmoid") else 1
    return by_parity(form, first.size, last, main)


def _singular(network: Network, layers: list[Layer], top: int, kernel: Kernel) -> Series:
    """Singular part of K at t = 1, from the layer with the largest q_l'(1).

    In the correlation rho of the layer F has the coefficients
    |residue|^2 (4 pi / q) (2 pi n)^(-1/2) e^(c^2/8 - c sqrt(n)), c = 2 y_0 / sqrt(q), in every
    second n; D has n/q times those.  rho - 1 = g y + g_2 y^2 / 2, y = t - 1, turns
    n^a e^(c^2/8 - c sqrt(n)) into g^(-a-1) e^(c^2 g_2 / (8 g^2)) of the same with c / sqrt(g).
    """
    layer = layers[top]
    q = layer.variance
    c = 2.0 * network.sigma.singularity.distance / math.sqrt(q)
    growth = -0.5 if network.sigma.name != "softplus" else -1.5
    size = _residue(network) ** 2 * math.sqrt(2.0 * math.pi) / q
    size *= q if network.sigma.name == "softplus" else 1.0
    if kernel == "ntk":
        size, growth = size / q * layer.tangent, growth + 1.0
    g = layer.growth / q
    shift = c * c * _curvature(network, layers, top) / q / (8.0 * g * g)
    return Series(
        size * g ** (-growth - 1.0) * gain(network, layers, top), growth, c / math.sqrt(g), shift
    )


def _curvature(network: Network, layers: list[Layer], top: int) -> float:
    """Return q_l''(1), by q_(l+1)'' = s_w (E[sigma''^2] q_l'^2 + D_l q_l'')."""
    second = 0.0
    for layer in layers[:top]:
        bend = _mean_square(network.sigma.shape, layer.variance)
        second = network.weight_variance * (bend * layer.growth**2 + layer.slope * second)
    return second


def _residue(network: Network) -> float:
    shape = network.sigma.shape
    return RESIDUES[shape.base] * float(shape.outer / shape.inner)


def _mean_square(shape: Shape, q: float) -> float:
    """E[sigma''(sqrt(q) Z)^2], by the trapezoid rule."""
    z = np.linspace(-12.0, 12.0, 200_001)
    x = float(shape.inner) * math.sqrt(q) * z
    values = _second_derivative(shape.base, x) ** 2 * np.exp(-0.5 * z * z)
    mean = float(values.sum() * (z[1] - z[0]) / math.sqrt(2.0 * math.pi))
    return float(shape.outer * shape.inner**2) ** 2 * mean


def _second_derivative(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    th = np.tanh(x if name == "tanh" else 0.5 * x)
    slope = 1.0 - th * th
    if name == "tanh":
        return np.asarray(-2.0 * th * slope)
    first, second = 0.25 * slope, -0.25 * th * slope
    if name == "sigmoid":
        return np.asarray(second)
    return np.asarray(first if name == "softplus" else 2.0 * first + x * second)


def _peak(series: Series, dim: int) -> Law:
    """Law of the series at t = 1, by Laplace's method at n* = (k^2/c)^(2/3).

    The weight of t^n in degree k is Gamma(d/2) (2 / (pi n))^(1/2) (n/2)^(1-d/2)
    exp(-k^2/(2n) - k^4/(12 n^3)); every second n counts.
    """
    c = series.c
    at = series.growth + 0.5 - dim / 2  # the power of n at the peak
    constant = math.log(0.5 * series.size) + series.shift + c * c / 8.0 - c * c / 12.0
    constant += math.lgamma(dim / 2) + 0.5 * math.log(2.0 / math.pi)
    constant += (dim / 2 - 1.0) * math.log(2.0)
    constant += -2.0 / 3.0 * at * math.log(c)
    constant += 0.5 * math.log(8.0 * math.pi / 3.0) - math.log(c)
    return Law("stretched", constant, 1.0 + 4.0 / 3.0 * at, 1.5 * c ** (2 / 3), 2 / 3)


def _fixed_radius(network: Network, dim: int, kernel: Kernel) -> Law:
    """Weights of fixed length R: lambda_k is the square of a coefficient of sigma(R t).

    The poles t = +-i y_0/R give each coefficient twice that of the law of 1/(z - t); one order
    more (sigma') or less (softplus) is a factor k / |z^2 - 1|^(1/2) or its inverse.
    """
    radius = math.sqrt(network.weight_variance * dim)
    height = network.sigma.singularity.distance / radius
    eta = math.asinh(height)
    order = (kernel == "ntk") - (network.sigma.name == "softplus")
    constant = math.log(4.0 * _residue(network) / radius) + math.lgamma(dim / 2)
    constant += (dim / 2 - 2.0) * math.log1p(math.exp(-2.0 * eta)) - eta
    # sigma(R t) has the t-derivative R sigma'(R t)
    constant -= order * (0.5 * math.log1p(height * height) + math.log(radius))
    law = Law("geometric", 2.0 * constant, 2.0 * (1.0 - dim / 2 + order), 2.0 * eta, 1.0)
    if kernel == "ntk":  # times t: the mean of the neighbours
        times = math.log(network.weight_variance * math.cosh(2.0 * eta))
        law = replace(law, log_constant=law.log_constant + times)
    return replace(law, parity=parity(network, kernel).main)
