"""Which eigenvalues of a network are 0, from the activations it is made of.

The expectation of a layer is a power series in the correlation with the squares of sigma's Hermite
coefficients (O'Donnell 2014, proposition 11.31), so K(t) is a power series without negative
coefficients: lambda_k is positive where a power t^n, n = k, k + 2, ..., occurs in it, and else 0.
A reference therefore knows a 0 before it computes, and never takes a small value for one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from ntkspec.reference.description import Dense, Description, Kernel, Norm, Sum, chain

__all__ = ["Ends", "is_zero", "powers_of"]

#: Where no power occurs.
NONE = -1
INF = math.inf


class Ends(NamedTuple):
    """The largest even and odd power of a series: `NONE`, a number or infinity."""

    even: float
    odd: float

    def plus(self, other: Ends) -> Ends:
        """Those of a sum."""
        return Ends(max(self.even, other.even), max(self.odd, other.odd))

    def times(self, other: Ends) -> Ends:
        """Those of a product."""
        ends = [float(NONE), float(NONE)]
        for i, mine in enumerate(self):
            for j, theirs in enumerate(other):
                if mine >= 0 and theirs >= 0:
                    ends[(i + j) % 2] = max(ends[(i + j) % 2], mine + theirs)
        return Ends(*ends)

    def of(self, inner: Ends) -> Ends:
        """Those of this series at the values of another."""
        found = Ends(NONE, NONE)
        for parity, end in enumerate(self):
            if end < 0:
                continue
            # Every second power has the powers of those before it, and higher ones.
            power = Ends(0, NONE)
            for _ in range(2 + parity if end == INF else int(end)):
                power = power.times(inner)
            if end == INF:
                power = Ends(*(INF if x > 0 else x for x in power))
            found = found.plus(power)
        return found

    @property
    def derivative(self) -> Ends:
        """Those of the derivative."""
        return Ends(*(x - 1 if x > 0 else NONE for x in (self.odd, self.even)))


_EVEN, _ODD, _BOTH = Ends(INF, NONE), Ends(NONE, INF), Ends(INF, INF)
#: An even function and a multiple of x; an odd one and a constant.
_EVEN_AND_LINEAR, _ODD_AND_CONSTANT = Ends(INF, 1), Ends(0, INF)
_HERMITE = {
    **dict.fromkeys(("tanh", "erf", "sin", "softsign", "finer", "hard_tanh"), _ODD),
    **dict.fromkeys(("sigmoid", "step", "hard_sigmoid"), _ODD_AND_CONSTANT),
    **dict.fromkeys(("abs", "cos", "gaussian", "gabor"), _EVEN),
    **dict.fromkeys(
        ("relu", "silu", "swish", "softplus", "gelu", "snake", "hard_swish"), _EVEN_AND_LINEAR
    ),
    **dict.fromkeys(("elu", "celu", "selu", "mish", "exp", "relu6", "shifted_relu"), _BOTH),
}


def powers_of(sigma: Description) -> Ends:
    """The largest even and odd n whose Hermite polynomial occurs in an activation.

    Examples
    --------
    >>> powers_of(Description("relu"))
    Ends(even=inf, odd=1)
    """
    if sigma.base == "leaky_relu":
        return {1.0: Ends(NONE, 1), -1.0: _EVEN}.get(sigma.slope, _EVEN_AND_LINEAR)
    if sigma.base == "relu_power":
        return Ends(INF, sigma.power) if sigma.power % 2 else Ends(sigma.power, INF)
    if sigma.base == "polynomial":
        powers = [n for n, c in enumerate(sigma.numbers) if c]
        return Ends(*(max((n for n in powers if n % 2 == i), default=NONE) for i in (0, 1)))
    return _HERMITE[sigma.base]


def is_zero(network: Description, kernel: Kernel, degree: int) -> bool:
    """Whether the eigenvalue of a degree is 0, with Gaussian weights or one layer on a sphere.

    Examples
    --------
    >>> is_zero(Description("relu"), "ntk", 3), is_zero(Description("relu", depth=2), "ntk", 3)
    (True, False)
    """
    return degree > _ends(network, kernel)[degree % 2]


@lru_cache(maxsize=64)
def _ends(network: Description, kernel: Kernel) -> Ends:
    q, tangent = _through(network.parts or chain(network), Ends(NONE, 1), Ends(NONE, NONE))
    return q if kernel == "nngp" else tangent


def _through(parts: tuple[Any, ...], q: Ends, tangent: Ends) -> tuple[Ends, Ends]:
    """q and T after the parts."""
    for part in parts:
        if isinstance(part, Dense):
            mine = q if part.own else Ends(NONE, NONE)
            tangent = _with_constant(mine.plus(tangent), part.own_bias)
            q = _with_constant(q, part.bias)
        elif isinstance(part, Sum):
            branch = _through(part.branch, q, tangent)
            q, tangent = q.plus(branch[0]), tangent.plus(branch[1])
        elif not isinstance(part, Norm):
            powers = powers_of(part)
            tangent = tangent.times(powers.derivative.of(q))
            q = powers.of(q)
    return q, tangent


def _with_constant(ends: Ends, constant: float) -> Ends:
    return ends.plus(Ends(0, NONE)) if constant else ends
