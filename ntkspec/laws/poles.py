"""Stretched exponentials, from the poles of the activation; geometric for weights on a sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ntkspec.conventions import Shape
from ntkspec.errors import NtkspecError
from ntkspec.laws.form import Law, by_parity
from ntkspec.laws.germs import Germ, Germs, germs_of
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity

__all__ = ["pole_law"]

#: Size of the residue at the nearest pole; for softplus that of its derivative.
RESIDUES = {"tanh": 1.0, "sigmoid": 1.0, "silu": math.pi, "softplus": 1.0}
#: Relative distance of covariances that are taken to be equal.
NEAR = 1e-9


@dataclass(frozen=True)
class Series:
    """Singular part sum over n of size n^growth exp(shift + c^2/8 - c sqrt(n)) t^n."""

    size: float
    growth: float
    c: float
    shift: float = 0.0


def pole_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of tanh, sigmoid, silu, softplus and scaled ones, and of these with entire ones."""
    if "mish" in network.names:
        raise NtkspecError(
            "activation 'mish' has no derived law: its poles nearest to the real line are not on "
            "the imaginary axis, and its eigenvalues oscillate"
        )
    if network.weights == "sphere":
        return _fixed_radius(network, dim, kernel)
    main, germs = parity(network, kernel).main, germs_of(network, kernel)
    near, sigmas = germs.covariances(1.0), network.sigmas
    rates = [
        2.0 * sigma.singularity.distance / math.sqrt(c.first)
        for sigma, c in zip(sigmas, near, strict=True)
    ]
    least = min(rates)
    if math.isnan(sum(rates)):
        raise ArithmeticError
    top = rates.index(least)
    q, sigma = germs.variances[top], sigmas[top]

    def duals(index: int, c: Germ) -> tuple[Germ, Germ] | None:
        # -1 is reached by odd covariances alone.
        if index == top and math.isclose(abs(c.value), q, rel_tol=NEAR):
            return _dual(germs, top, c)
        return None

    end, last = germs.at(1.0, duals), 0.0
    if not math.isfinite(end.size) or end.size == 0.0:
        raise ArithmeticError
    c, g = 2.0 * sigma.singularity.distance / math.sqrt(q), near[top].first / q
    shift = c * c * near[top].second / q / (8.0 * g * g)
    form = _peak(Series(1.0, end.order, least, shift), dim)
    if sum(math.isclose(one, least, rel_tol=1e-9) for one in rates) > 1:  # layers tie
        return replace(form, log_constant=math.nan, power=math.nan, parity=main)
    if main is None:
        there = germs.at(-1.0, duals)
        last = there.size if there.order == end.order else 0.0
    return by_parity(form, end.size, last, main)


def _dual(germs: Germs, index: int, c: Germ) -> tuple[Germ, Germ]:
    """F and D of a layer at the correlation 1 or -1; the order is the power of n.

    In the correlation rho of the layer F has the coefficients
    |residue|^2 (4 pi / q) (2 pi n)^(-1/2) e^(c^2/8 - c sqrt(n)), c = 2 y_0 / sqrt(q), in every
    second n; D has n/q times those.  rho - 1 = g y + g_2 y^2 / 2, y = t - 1, turns
    n^a e^(c^2/8 - c sqrt(n)) into g^(-a-1) e^(c^2 g_2 / (8 g^2)) of the same with c / sqrt(g).
    """
    sigma, q = germs.program.activations[index], germs.variances[index]
    size, order = _residue(sigma.shape) ** 2 * math.sqrt(2.0 * math.pi) / q, -0.5
    if sigma.shape.base == "softplus":
        size, order = size * q, -1.5
    g, dual, slope = abs(c.first) / q, 1.0, 1.0
    if c.value < 0.0:  # tanh and sigmoid are odd but for a constant; silu and softplus even but x/2
        dual, slope = (-1.0, 1.0) if sigma.shape.base in ("tanh", "sigmoid") else (1.0, -1.0)
    value, derivative = germs.regular(index, c)
    return (
        replace(value, size=dual * size * g ** (-order - 1.0), order=order),
        replace(derivative, size=slope * size / q * g ** (-order - 2.0), order=order + 1.0),
    )


def _residue(shape: Shape) -> float:
    return RESIDUES[shape.base] * float(shape.outer / shape.inner)


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
    constant = math.log(4.0 * _residue(network.sigma.shape) / radius) + math.lgamma(dim / 2)
    constant += (dim / 2 - 2.0) * math.log1p(math.exp(-2.0 * eta)) - eta
    # sigma(R t) has the t-derivative R sigma'(R t)
    constant -= order * (0.5 * math.log1p(height * height) + math.log(radius))
    law = Law("geometric", 2.0 * constant, 2.0 * (1.0 - dim / 2 + order), 2.0 * eta, 1.0)
    if kernel == "ntk":  # times t: the mean of the neighbours
        times = math.log(network.weight_variance * math.cosh(2.0 * eta))
        law = replace(law, log_constant=law.log_constant + times)
    return replace(law, parity=parity(network, kernel).main)
