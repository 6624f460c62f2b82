"""Geometric laws, from the nearest singularity of the kernel, and faster ones without any."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ntkspec.conventions import Shape
from ntkspec.errors import NtkspecError
from ntkspec.laws.form import Law, branch_point, by_parity, of_parities
from ntkspec.laws.germs import Germ, Germs, germs_of
from ntkspec.networks import Kernel, Network
from ntkspec.rules import State
from ntkspec.spectra.parity import parity

__all__ = ["entire_law"]

#: F ~ size (c* - c)^(-order) as the covariance c tends to c* = q + gap: (gap, order, size(c*)), and
#: the sign of that at c = -c*.
SINGULAR: dict[str, tuple[float, float, Callable[[float], float], float]] = {
    "erf": (0.5, -0.5, lambda c: -2.0 / math.pi * math.sqrt(2.0 / c), -1.0),
    "gelu": (1.0, 0.5, lambda c: 1.0 / (2.0 * math.pi * math.sqrt(2.0 * c)), 1.0),
    "gaussian": (1.0, 0.5, lambda c: 1.0 / math.sqrt(2.0 * c), 1.0),
}
BISECTIONS = 200
#: Relative distance of covariances that are taken to be equal.
NEAR = 1e-9


def entire_law(network: Network, dim: int, kernel: Kernel) -> Law:
    """Law of erf, gelu, gaussian, sin, cos, exp, snake, gabor and mixtures of them."""
    main = parity(network, kernel).main
    gabor = next((name for name in network.names if name.startswith("gabor(")), None)
    if gabor is not None:
        raise NtkspecError(
            f"activation {gabor!r} has no derived law: the nearest singularity of its kernel is "
            "essential"
        )
    shapes = [sigma.shape for sigma in network.sigmas]
    singular = any(shape.base in SINGULAR for shape in shapes)
    if network.weights == "sphere" and not singular:
        return _on_a_sphere(network, dim, kernel, main)
    if len(shapes) == 1 and not singular:
        return _bessel(network, dim, kernel, main)
    if network.weights == "sphere" or not singular:
        return Law("superexponential", math.nan, math.nan, math.nan, 1.0, main)
    germs = germs_of(network, kernel)
    radius, near = _nearest(germs, shapes)

    def duals(index: int, c: Germ) -> tuple[Germ, Germ] | None:
        if not math.isfinite(c.value):
            raise NtkspecError(
                f"{network!r} has no derived law: the nearest singularity of its kernel is "
                f"essential, as {network.sigmas[index].name} follows an infinite variance there"
            )
        if not math.isclose(abs(c.value), near.get(index, math.inf), rel_tol=NEAR):
            return None
        return _dual(shapes[index], _end(shapes[index], germs.variances[index]), c)

    end, last = germs.at(radius, duals), 0.0
    if main is None:
        there = germs.at(-radius, duals)
        last = there.size if there.order == end.order else 0.0
    if not math.isfinite(end.size) or end.size == 0.0:
        raise ArithmeticError
    return by_parity(branch_point(dim, math.acosh(radius), end.order), end.size, last, main)


def _end(shape: Shape, variance: float) -> float:
    """The covariance c* of an activation at which its duals are singular."""
    if shape.base not in SINGULAR:
        return math.inf
    return variance + SINGULAR[shape.base][0] / float(shape.inner**2)


def _nearest(germs: Germs, shapes: list[Shape]) -> tuple[float, dict[int, float]]:
    """Where on t > 1 a dual is singular first, and the covariances of the activations of which.

    K has no negative coefficients, so no singularity is nearer than one on the positive axis.
    """
    ends = [_end(shape, q) for shape, q in zip(shapes, germs.variances, strict=True)]

    def beyond(index: int, c: float) -> bool:
        return not c < ends[index]

    def passed(t: float) -> bool:
        return any(beyond(i, c.value) for i, c in enumerate(germs.covariances(t, beyond)))

    low, high = 1.0, 2.0
    while not passed(high):
        low, high = high, 2.0 * high
        if high > 1e300:
            raise ArithmeticError
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if passed(middle) else (middle, high)
    # Covariances may be so steep that they differ in neighbouring doubles.
    crossed = [beyond(i, c.value) for i, c in enumerate(germs.covariances(high, beyond))]
    return low, {
        i: c.value
        for i, c in enumerate(germs.covariances(low, beyond))
        if math.isclose(c.value, ends[i], rel_tol=NEAR) or i == crossed.index(True)
    }


def _dual(shape: Shape, end: float, c: Germ) -> tuple[Germ, Germ]:
    """F and D where the covariance is c*, the end, or -c*."""
    _, order, of, sign = SINGULAR[shape.base]
    if c.size != 0.0:
        raise NtkspecError("no law is derived where the duals of two layers are singular at once")
    squared = float(shape.inner**2)
    size = float(shape.outer**2) * of(squared * end) * squared**-order
    growth, first = abs(c.first), 1.0
    if c.value < 0.0:
        size, first = sign * size, -1.0
    value = math.inf if order > 0.0 else math.copysign(float(shape.outer**2), c.value)
    dual = Germ(value, size=size * growth**-order, order=order)
    slope = first * order * size * growth ** (-order - 1.0)
    return dual, Germ(math.inf, size=slope, order=order + 1.0)


def _bessel(network: Network, dim: int, kernel: Kernel, main: int | None) -> Law:
    """One layer of sin, cos, exp or snake: sums of e^(c) and e^(-c), c = s t + b, and t times them.

    e^(s t) has lambda_k = Gamma(d/2) (2/s)^(d/2-1) I_(k+d/2-1)(s); s t e^(s t) has k times that.
    sin has the duals e^(-q) sinh c and e^(-q) cosh c, cos those exchanged, exp e^(q + c) twice, and
    snake(a) is x + 1/(2 a) less cos(2 a x)/(2 a).
    """
    shape, germs = network.sigma.shape, germs_of(network, kernel)
    before: list[State] = []

    def unit(dual: float, slope: float) -> float:
        """The factor in K of F, or of T D."""

        def activate(index: int, state: State) -> State:
            before.append(state)
            return State(Germ(0.0, size=dual, order=0.0), Germ(0.0, size=slope, order=0.0))

        end = germs.follow(0.0, activate)
        return float((end.tangent if kernel == "ntk" else end.covariance).size)

    rate = (2.0 if shape.base == "snake" else 1.0) * float(shape.inner)
    of_dual, of_slope = unit(1.0, 0.0) * float(shape.outer * shape.inner / rate) ** 2, 0.0
    scale = float(shape.outer * shape.inner) ** 2
    weight, bias = (rate**2 * x for x in (before[0].covariance.first, before[0].covariance.value))
    tangent = Germ(0.0)
    if kernel == "ntk" and before[0].tangent is not None:
        of_slope, tangent = scale * unit(0.0, 1.0), before[0].tangent
    plain = _factorial(dim, 0.5 * weight, 1.0)
    if shape.base == "exp":
        sizes, constant = {1: 1.0, -1: 0.0}, weight + 2.0 * bias
    else:
        sizes, constant = {1: 0.5, -1: 0.5 * math.exp(-2.0 * bias)}, -weight
    # With e^(-c): sinh has the other sign, and t another one.
    signs = {1: (1.0, 1.0), -1: (-1.0, 1.0) if shape.base == "sin" else (1.0, -1.0)}
    laws = []
    for degree in (0, 1):
        high = low = 0.0
        for end in (1, -1):
            dual, slope = signs[end]
            part = sizes[end] * float(end) ** degree
            high += part * slope * end * of_slope * tangent.first / weight
            low += part * (dual * of_dual + slope * of_slope * tangent.value)
        form = replace(plain, power=plain.power + 1.0) if high else plain
        size = high or low
        laws.append(
            replace(form, log_constant=form.log_constant + constant + math.log(abs(size)))
            if size
            else None
        )
    return of_parities(*laws)


def _on_a_sphere(network: Network, dim: int, kernel: Kernel, main: int | None) -> Law:
    """With weights of fixed length R sin(R t) has J in the place of I, and lambda_k its square."""
    shape = network.sigma.shape
    rate = (2.0 if shape.base == "snake" else 1.0) * float(shape.inner)
    weight = network.weight_variance * rate**2
    half = 0.5 * math.sqrt(weight * dim)
    form = _factorial(dim, half, 2.0)
    form = replace(form, log_constant=form.log_constant - 2.0 * math.log(rate))
    if kernel == "ntk":  # times t: half the degree before
        form = replace(
            form,
            log_constant=form.log_constant + math.log(0.5 * weight / half**2),
            power=form.power + 2.0,
        )
    return replace(form, parity=main)


def _factorial(dim: int, half: float, times: float) -> Law:
    """(Gamma(d/2) half^k / Gamma(k + d/2))^times."""
    power = times * (1.0 - dim / 2)
    constant = times * math.lgamma(dim / 2)
    rate = -times * math.log(half)
    return Law("superexponential", constant, power, rate, 1.0, factorial=times)
