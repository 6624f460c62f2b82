"""Power laws, from the odd powers of the angle in the kernel at t = 1 and t = -1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from flint import arb, ctx

from ntkspec.conventions import SELU_ALPHA, SELU_LAMBDA, Shape
from ntkspec.duals import Correlation, Layers
from ntkspec.duals.singular import powers_at_one, powers_beyond, root_at_one
from ntkspec.errors import NtkspecError
from ntkspec.laws.expectations import derivative, expectations
from ntkspec.laws.form import Law, by_parity, of_parities
from ntkspec.laws.profile import Layer, gain, profile
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.spectra.parity import parity

__all__ = ["general_kink_law", "kink_law"]

Function = Callable[[Correlation], Any]

BITS = 192
#: Relative error of expectations in doubles.
ERROR = 1e-10


def kink_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of an activation whose derivative of some order jumps at 0."""
    order = network.sigma.singularity.order
    if _jump(network, order) == 0.0:
        raise NtkspecError("slope = 1.0 makes the network linear; its spectrum has no law")
    if order == 0:
        return _step_law(network, dim)
    main = parity(network, kernel).main
    shallow = network.depth == 1 and network.bias_variance == 0.0
    near = profile(network, 1.0, last=network.depth > 1)
    order -= kernel == "ntk"
    first = _at_one(network, near, order, kernel)
    if network.weights == "sphere":
        first *= _fixed_radius(dim, order)
    if main is None and shallow:
        return _two_laws(network, dim, order, kernel, first)
    last = 0.0
    if main is None and network.bias_variance == 0.0:
        last = _at_minus_one(network, order, kernel)
    return by_parity(angle_power(dim, 2 * order + 1), _signed(first, order), last, main)


def general_kink_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of any network with kinks, from the leading powers of 1 - t and of 1 + t.

    Essential singularities, from pairs of kinks that are neither equal nor opposite, fall faster.

    Raises
    ------
    NtkspecError
        When there are no powers but whole ones.
    """
    below = max(sigma.singularity.order for sigma in network.sigmas) + 2
    zeros = parity(network, kernel)
    with working_precision(BITS):
        layers, root = Layers(network, kernel), root_at_one(network)
        for i, sigma in enumerate(network.sigmas):
            if sigma.singularity.kind == "pole":
                layers.duals[i] = _smooth_dual(sigma.shape, layers.variances[i], layers.duals[i])
        near = dict(powers_at_one(layers, root, below))
        far: dict[Any, arb] = {}
        if zeros.main is None and layers.ratio[0].is_zero():
            far = dict(powers_beyond(layers, below))

        def leading(sign: int) -> Law | None:
            for power in sorted({*near, *far}):
                size = near.get(power, arb(0)) + sign * far.get(power, arb(0))
                if not size.contains(0):
                    m = 2.0 * float(power.p) / float(power.q)  # theta^2 ~ 2 (1 - t)
                    return _scaled(angle_power(dim, m), float(size.mid()) * 2.0 ** (-0.5 * m))
            return None

        if zeros.main is not None:
            found = leading(1)
            both: list[Law | None] = [None, None]
            both[zeros.main] = None if found is None else _scaled(found, 2.0)
        else:
            both = [leading(1), leading(-1)]
    if both == [None, None]:
        raise NtkspecError(f"{network!r} has a kernel without a kink; its spectrum has no law")
    if zeros.main is None:  # without a power a parity decays faster, by a law that is not derived
        both = [law or Law("power", math.nan, math.nan, 0.0, 1.0) for law in both]
    return of_parities(*both)


def _smooth_dual(
    shape: Shape, q: arb, exact: tuple[Function, Function]
) -> tuple[Function, Function]:
    """F and D of an activation with poles, their series by E[f(u) f(v)] of its derivatives f.

    At the correlations 1 and -1 all derivatives of F are finite, and its Taylor series asymptotic:
    what it leaves out vanishes there with all derivatives.
    """

    @cache
    def derivatives(rho: float, count: int) -> list[arb]:
        functions = [derivative(shape, n) for n in range(count)]
        at_one, found = (expectations(functions, float(q.mid()), x) for x in (1.0, rho))
        return [arb(x, ERROR * most) for x, most in zip(found, at_one, strict=True)]

    def expanded(point: Correlation, order: int) -> Any:
        move = q * (point.cosine - point.cosine[0])
        lead = next((i for i in range(1, ctx.cap) if not move[i].contains(0)), ctx.cap)
        sizes = derivatives(float(point.cosine[0].mid()), (ctx.cap - 1) // lead + 2)[order:]
        total = 0 * move
        for n in reversed(range(len(sizes))):
            total = sizes[n] + total * move / (n + 1)
        return total

    def function(order: int) -> Function:
        return lambda at: expanded(at, order) if at.is_series else exact[order](at)

    return function(0), function(1)


def _scaled(law: Law, size: float) -> Law:
    return replace(law, log_constant=law.log_constant + math.log(abs(size)))


def angle_power(dim: int, m: float) -> Law:
    """Law of theta^m up to its sign: exact in (1-t)^(m/2), then Stirling's formula."""
    constant = (m + dim - 2) * math.log(2.0) + math.lgamma(dim / 2) - 0.5 * math.log(math.pi)
    constant += math.lgamma((m + dim - 1) / 2) - math.lgamma(-m / 2)
    return Law("power", constant, 1.0 - dim - m, 0.0, 1.0)


def odd_term(variance: float, order: int) -> float:
    """Coefficient of theta^(2 order + 1) in E[s(u) s(v)], s having a unit jump of that order.

    The term is (-1)^(order+1) of this size.  It stems from the part
    -q^r / (2 pi r!) int_0^theta (cos theta - cos x)^r dx of the dual of x^r / r!, x > 0.
    """
    size = order * math.log(2.0 * variance) + math.lgamma(order + 1) - math.lgamma(2 * order + 2)
    return math.exp(size) / (2.0 * math.pi)


def _signed(size: float, order: int) -> float:
    return -size if order % 2 == 0 else size


def _jump(network: Network, order: int) -> float:
    """Size of the jump of a derivative of sigma: the first that jumps, and the later ones of elu.

    All jumps of elu from order 2 on are 1; those of softsign and finer are twice the derivatives of
    order 2 at x > 0.
    """
    if network.name == "selu":
        return SELU_LAMBDA * (SELU_ALPHA - 1.0 if order == 1 else SELU_ALPHA)
    if network.name in ("softsign", "finer"):
        return 4.0
    if network.sigma.homogeneous is None:
        shape = network.sigma.shape
        return float(shape.outer * shape.inner**order)
    power, right, left = network.sigma.homogeneous
    return float(math.factorial(power) * (right - (-1) ** power * left))


def _at_one(network: Network, layers: list[Layer], order: int, kernel: Kernel) -> float:
    """Size of the first odd power of theta at t = 1; theta_l ~ (q_l'(1)/q_l(1))^(1/2) theta.

    Each layer adds that of F_l (NNGP) or of T_l D_l (NTK), times the slopes of the later layers.
    """
    total = 0.0
    for i, layer in enumerate(layers):
        angle = math.sqrt(layer.growth / layer.variance)
        here = odd_term(layer.variance, order) * angle ** (2 * order + 1)
        here *= layer.tangent if kernel == "ntk" else 1.0
        total += here * gain(network, layers, i)
    return total * _jump(network, network.sigma.singularity.order) ** 2


def _at_minus_one(network: Network, order: int, kernel: Kernel) -> float:
    """The same of pi - theta at t = -1, signed: of the first layer alone, without bias.

    relu^r(-x) = (-1)^r (x^r - relu^r(x)), so the dual's term is -(-1)^r times that at t = 1.
    """
    layers = profile(network, -1.0)
    here = odd_term(layers[0].variance, order)
    here *= _jump(network, network.sigma.singularity.order) ** 2
    here *= layers[0].tangent if kernel == "ntk" else 1.0
    sign = 1 if order % 2 else -1
    return sign * _signed(here, order) * gain(network, layers, 0)


def _two_laws(network: Network, dim: int, order: int, kernel: Kernel, first: float) -> Law:
    """One layer of elu without bias: jumps of even and of odd order, each with its parity."""
    main = (order + 1 + (kernel == "ntk")) % 2
    one = by_parity(angle_power(dim, 2 * order + 1), first, 0.0, main)
    variance = network.weight_variance
    following = odd_term(variance, order + 1) * (variance if kernel == "ntk" else 1.0)
    following *= _jump(network, network.sigma.singularity.order + 1) ** 2
    if network.weights == "sphere":
        following *= _fixed_radius(dim, order + 1)
    two = by_parity(angle_power(dim, 2 * order + 3), following, 0.0, 1 - main)
    return replace(one, other=two)


def _step_law(network: Network, dim: int) -> Law:
    """The step's dual is 1/2 - theta/(2 pi): each layer takes a square root of the angle."""
    layers = profile(network, 1.0)
    scale, exponent = math.sqrt(network.weight_variance / layers[0].variance), 1.0
    for layer in layers[1:]:
        scale = math.sqrt(network.weight_variance * scale / (math.pi * layer.variance))
        exponent *= 0.5
    main = parity(network, "nngp").main
    return by_parity(angle_power(dim, exponent), -scale / (2.0 * math.pi), 0.0, main)


def _fixed_radius(dim: int, order: int) -> float:
    """Ratio of d^r to E|w|^(2r) of a standard Gaussian vector."""
    log = order * math.log(dim / 2) + math.lgamma(dim / 2) - math.lgamma(order + dim / 2)
    return math.exp(log)
