"""Hermite coefficients of smooth activations at any variance, in balls.

h_n(q) = E[sigma(sqrt(q) Z) He_n(Z)] / sqrt(n!) without the sign (-1)^(n//2), which all variances
share, so that products h_n(q) h_n(q') do not depend on it.  For Gaussians of variances q, q' and
correlation rho, E[sigma(u) sigma(v)] = sum_n h_n(q) h_n(q') rho^n (Mehler), and its derivative
in the covariance is E[sigma'(u) sigma'(v)] (Price).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from flint import arb, ctx, fmpq

from ntkspec.conventions import Shape
from ntkspec.duals.growth import series_tail
from ntkspec.duals.hermite import log_square, moments_needed, softplus_mean, tanh_moments
from ntkspec.duals.squares import times

__all__ = ["FAMILIES", "coefficients"]

LN2 = math.log(2.0)


def coefficients(shape: Shape, q: arb, count: int) -> list[arb]:
    """h_0, ..., h_(count - 1) at a variance, of an activation whose base is one of `FAMILIES`."""
    return [times(h, shape.outer) for h in FAMILIES[shape.base](times(q, shape.inner**2), count)]


def _interleaved(even: list[arb], odd: list[arb], count: int) -> list[arb]:
    zero = arb(0)
    out = [zero] * count
    for n, h in enumerate(even[: (count + 1) // 2]):
        out[2 * n] = h
    for n, h in enumerate(odd[: count // 2]):
        out[2 * n + 1] = h
    return out


def _tanh(q: arb, count: int) -> list[arb]:
    nats = ctx.prec * LN2
    if float(q) * (nats + 10.0) < math.pi**2 / 16.0:
        return _interleaved([], _tanh_by_powers(q, count // 2 + 1), count)
    needed, limit = count, 2.0 * nats + 20.0
    if log_square(float(count), float(q)) < -limit - 20.0:
        needed = min(count, moments_needed(float(q), limit) + 2)
    moments = tanh_moments(q, needed // 2 + 1, nats)
    beyond = arb(0, series_tail("tanh", q, needed + 1)[0].sqrt().upper())
    return _interleaved([], moments + [beyond] * ((count - needed) // 2 + 1), count)


def _tanh_by_powers(q: arb, count: int) -> list[arb]:
    """Moments 1, 3, ... for small q, by the powers of tanh x = sum T_p x^p.

    E[z^p He_n(z)] = p! / (m! 2^m), p = n + 2m.  By its partial fractions the series of tanh, cut
    before x^p, is off by less than |T_p x^p| on the whole line, hence the moments by less than
    |T_p| q^(p/2) sqrt((2p - 1)!!); least about p = pi^2 / (8 q), where it is e^(-pi^2 / (16 q)).
    """
    moments = [arb(0)] * count
    root, p = q.sqrt(), 1
    rest = arb(1)
    floor = arb(2) ** (-ctx.prec - 8)
    while True:
        size = abs(arb(_power_of_tanh(p))) * root**p
        rest = size * (arb(2 * p).fac() / (arb(p).fac() * arb(2) ** p)).sqrt()
        if rest < floor:
            break
        for m in range((p - 1) // 2 + 1):
            n = p - 2 * m
            if n < 2 * count:
                term = size * arb(p).fac() / (arb(m).fac() * arb(2) ** m * arb(n).fac().sqrt())
                moments[n // 2] += -term if m % 2 else term
        p += 2
    return [x + arb(0, rest.upper()) for x in moments]


@lru_cache(maxsize=1024)
def _power_of_tanh(p: int) -> fmpq:
    """T_p = 2^(p+1) (2^(p+1) - 1) B_(p+1) / (p+1)! for odd p."""
    power = 2 ** (p + 1)
    value: fmpq = power * (power - 1) * fmpq.bernoulli(p + 1) / math.factorial(p + 1)
    return value


def _sigmoid(q: arb, count: int) -> list[arb]:
    h = [x / 2 for x in _tanh(q / 4, count)]
    h[0] = arb(1) / 2
    return h


def _times_argument(h: list[arb], q: arb, count: int) -> list[arb]:
    """Coefficients of x f(x) from those of an odd f.

    z He_n = He_(n+1) + n He_(n-1): sqrt(q) (sqrt(n) h_(n-1) + sqrt(n+1) h_(n+1)), where h_(n-1)
    and h_(n+1) have opposite signs that are left out.
    """
    root = q.sqrt()
    out = [root * h[1]]
    for n in range(1, count):
        out.append(root * (arb(n).sqrt() * h[n - 1] - arb(n + 1).sqrt() * h[n + 1]))
    return out


def _halved_line(q: arb, h: list[arb]) -> list[arb]:
    """Add x/2, which is odd, to an even function's coefficients."""
    if len(h) > 1:
        h[1] = q.sqrt() / 2
    return h


def _silu(q: arb, count: int) -> list[arb]:
    half = [x / 2 for x in _tanh(q / 4, count + 2)]
    return _halved_line(q, _times_argument(half, q, count))


def _softplus(q: arb, count: int) -> list[arb]:
    """Its derivative is the sigmoid: sqrt(n) h_n = sqrt(q) E[sigmoid He_(n-1)] / sqrt((n-1)!)."""
    slope = _sigmoid(q, count)
    root = q.sqrt()
    h = [softplus_mean(q, ctx.prec * LN2)]
    for n in range(1, count):
        h.append(root * slope[n - 1] / arb(n).sqrt())
    return h


def _erf(q: arb, count: int) -> list[arb]:
    """E[erf(u) erf(v)] = (2/pi) arcsin(2 c / sqrt((1 + 2q)(1 + 2q'))) (Williams 1997, eq. 11)."""
    ratio = 2 * q / (1 + 2 * q)
    weight, odd = arb(1), []
    power = (2 / arb.pi() * ratio).sqrt()
    for n in range(1, count + 1, 2):
        odd.append(power * weight.sqrt())
        weight = weight * n * n / ((n + 1) * (n + 2))
        power = power * ratio
    return _interleaved([], odd, count)


def _gelu(q: arb, count: int) -> list[arb]:
    """x/2 + x erf(x / sqrt 2) / 2."""
    half = [x / 2 for x in _erf(q / 2, count + 2)]
    return _halved_line(q, _times_argument(half, q, count))


def _exponential(q: arb, count: int) -> list[arb]:
    """q^(n/2) e^(-q/2) / sqrt(n!): the even ones are those of cos, the odd ones those of sin."""
    out = [(-q / 2).exp()]
    root = q.sqrt()
    for n in range(1, count):
        out.append(out[-1] * root / arb(n).sqrt())
    return out


def _sin(q: arb, count: int) -> list[arb]:
    return [h if n % 2 else arb(0) for n, h in enumerate(_exponential(q, count))]


def _cos(q: arb, count: int) -> list[arb]:
    return [arb(0) if n % 2 else h for n, h in enumerate(_exponential(q, count))]


def _gaussian(q: arb, count: int) -> list[arb]:
    """exp(-x^2/2): (1 + q)^(-1/2) (q / (1 + q))^m sqrt((2m)!) / (2^m m!) for n = 2m."""
    ratio = q / (1 + q)
    even = [1 / (1 + q).sqrt()]
    for m in range(1, count // 2 + 1):
        even.append(even[-1] * ratio * (arb(2 * m - 1) / (2 * m)).sqrt())
    return _interleaved(even, [], count)


#: The activations whose coefficients are known.
FAMILIES: dict[str, Callable[[arb, int], list[arb]]] = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "erf": _erf,
    "gelu": _gelu,
    "sin": _sin,
    "cos": _cos,
    "gaussian": _gaussian,
}
