"""30 digits of pointwise kernels by one route for every activation, shared with nobody.

E[sigma(u) sigma(v)] for centred Gaussians of variance q and correlation cos(theta) is integrated
in polar coordinates, u = sqrt(q) r cos(a) and v = sqrt(q) r cos(a - theta), by Gauss-Legendre in
the radius and in the angle, sector by sector between the signs' changes.  No dual is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from flint import arb, ctx

BITS = 120
RADIUS = 12.6  # e^(-r^2/2) is 1e-34 there
RADIAL_NODES = 112
ANGULAR_NODES = 68

Sides = Callable[[arb, int], arb]


def sides(name: str, slope: float = 0.1, power: int = 2) -> tuple[Sides, Sides]:
    """sigma and sigma' as functions of a number and its sign."""
    if name in ("relu", "leaky_relu", "abs", "step", "relu_power"):
        left = {"leaky_relu": arb(slope), "abs": arb(-1)}.get(name, arb(0))
        power = {"step": 0, "relu_power": power}.get(name, 1)
        return (
            lambda x, sign: x**power if sign > 0 else left * x,
            lambda x, sign: power * x ** (power - 1) if sign > 0 and power else left,
        )
    if name == "elu":
        return (
            lambda x, sign: x if sign > 0 else x.expm1(),
            lambda x, sign: arb(1) if sign > 0 else x.exp(),
        )
    value, derivative = SMOOTH[name]
    return lambda x, _: value(x), lambda x, _: derivative(x)


def _cdf(x: arb) -> arb:
    return (-x / arb(2).sqrt()).erfc() / 2


def _density(x: arb) -> arb:
    return (-x * x / 2).exp() / (2 * arb.pi()).sqrt()


def _logistic(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _logistic_slope(x: arb) -> arb:
    return _logistic(x) * _logistic(-x)


SMOOTH: dict[str, tuple[Callable[[arb], arb], Callable[[arb], arb]]] = {
    "tanh": (lambda x: x.tanh(), lambda x: x.sech() ** 2),
    "sigmoid": (_logistic, _logistic_slope),
    "silu": (lambda x: x * _logistic(x), lambda x: _logistic(x) + x * _logistic_slope(x)),
    "softplus": (lambda x: x.exp().log1p(), _logistic),
    "erf": (lambda x: x.erf(), lambda x: 2 / arb.pi().sqrt() * (-x * x).exp()),
    "gelu": (lambda x: x * _cdf(x), lambda x: _cdf(x) + x * _density(x)),
    "sin": (lambda x: x.sin(), lambda x: x.cos()),
    "cos": (lambda x: x.cos(), lambda x: -x.sin()),
    "gaussian": (lambda x: (-x * x / 2).exp(), lambda x: -x * (-x * x / 2).exp()),
}


@lru_cache(maxsize=8)
def _rule(n: int, bits: int) -> list[tuple[arb, arb]]:
    """Gauss-Legendre on [0, 1]."""
    half = [arb.legendre_p_root(n, i, True) for i in range(n // 2)]
    both = [((1 + s * x) / 2, w / 2) for x, w in half for s in (1, -1)]
    return [(x.mid(), w.mid()) for x, w in both]


def _directions(cosine: arb | int, effort: float) -> Iterator[tuple[arb, arb, int, int, arb]]:
    """(cos a, cos(a - theta), their signs, weight) over the sectors."""
    pi = arb.pi()
    theta = arb(cosine).acos() if cosine != 1 else arb(0)
    ends = [(-pi / 2 + theta, pi - theta, 1, 1), (pi / 2, theta, -1, 1)]
    for start, width, one, other in ends:
        if width == 0:
            continue
        for x, weight in _rule(2 * round(ANGULAR_NODES * effort / 2), ctx.prec):
            a = start + width * x
            yield a.cos(), (a - theta).cos(), one, other, weight * width / pi


def pair(functions: tuple[Sides, ...], q: arb, cosine: arb | int, effort: float) -> list[arb]:
    """E[f(u) f(v)] of each function."""
    totals = [arb(0) for _ in functions]
    root = q.sqrt()
    radii = []
    for x, weight in _rule(2 * round(RADIAL_NODES * effort / 2), ctx.prec):
        r = RADIUS * x
        radii.append((root * r, weight * RADIUS * r * (-r * r / 2).exp()))
    for first, second, one, other, share in _directions(cosine, effort):
        for r, weight in radii:
            # The opposite direction has both signs changed.
            u, v, w = r * first, r * second, weight * share / 2
            for i, f in enumerate(functions):
                totals[i] += w * (f(u, one) * f(v, other) + f(-u, -one) * f(-v, -other))
    return [total.mid() for total in totals]


def kernels(case: dict[str, Any], at: list[float], effort: float) -> list[list[tuple[arb, arb]]]:
    """(nngp, ntk of all weights) at each t, of the networks of 1, 2, ..., case["depth"] layers."""
    extra = {key: case[key] for key in ("slope", "power") if case.get(key) is not None}
    functions = sides(case["activation"], **extra)
    if case["activation"] == "step":
        functions = functions[:1]
    weight, bias = arb(case["weight_variance"]), arb(case["bias_variance"])
    variance = weight + bias
    covariances = [weight * arb(t) + bias for t in at]
    tangents, out = list(covariances), []
    for _ in range(case["depth"]):
        whole = pair(functions, variance, 1, effort)
        row = []
        for i, t in enumerate(at):
            ratio = covariances[i] / variance
            dual, *slope = whole if t == 1 else pair(functions, variance, ratio, effort)
            last = tangents[i] * slope[0] if slope else arb("nan")
            row.append((dual, dual + last))
            covariances[i] = weight * dual + bias
            tangents[i] = covariances[i] + weight * last
        out.append(row)
        variance = weight * whole[0] + bias
    return out


def exact(case: dict[str, Any], at: list[float]) -> list[list[tuple[str, str]]]:
    """Digits of (nngp, ntk), depth by depth and t by t; 'nan' where there is no NTK.

    A fifth fewer nodes must give the same to 1e-23; convergence is geometric.

    Raises
    ------
    ArithmeticError
        When more nodes give another value.
    """
    with ctx.workprec(BITS):
        rough, fine = kernels(case, at, 1.0), kernels(case, at, 1.25)
        for before, after in zip(_numbers(rough), _numbers(fine), strict=True):
            if not abs(before - after) <= arb(10) ** -23 * max(abs(after), arb("0.01")):
                raise ArithmeticError(f"{case}: {before} or {after}")
        return [[(_digits(nngp), _digits(ntk)) for nngp, ntk in row] for row in fine]


def _numbers(table: list[list[tuple[arb, arb]]]) -> list[arb]:
    return [x for row in table for both in row for x in both if x.is_finite()]


def _digits(x: arb) -> str:
    return x.str(30, radius=False) if x.is_finite() else "nan"
