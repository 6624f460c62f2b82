"""Exact zeros of a spectrum, from the symmetry of the activations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.rules import State, follow
from ntkspec.zonal import ZonalKernel

__all__ = ["Parity", "parity", "refuse_undeclared"]

#: Largest degree of a kernel, or of its part of one parity, that is a polynomial.
MOST_POWER = 10**6


@dataclass(frozen=True)
class Parity:
    """Degrees that do not vanish.

    `main` is the parity of the degrees that may all be nonzero, None for both; `others` are the
    degrees of the other parity that do not vanish; all degrees beyond `last` vanish.
    """

    main: int | None = None
    others: tuple[int, ...] = ()
    last: int | None = None

    @property
    def whole(self) -> int | None:
        """Parity of the whole kernel as a function of t, or None."""
        return self.main if not self.others else None

    def vanishes(self, degree: int) -> bool:
        """Whether the eigenvalue of a degree is exactly 0."""
        if self.last is not None and degree > self.last:
            return True
        return self.main is not None and degree % 2 != self.main and degree not in self.others

    def vanishing(self, count: int) -> NDArray[np.bool_]:
        """Whether the eigenvalues of degrees below `count` are exactly 0.

        Examples
        --------
        >>> Parity(0, (1,), 4).vanishing(6)
        array([False, False, False,  True, False,  True])
        """
        degrees = np.arange(count)
        found = np.zeros(count, np.bool_) if self.main is None else degrees % 2 != self.main
        if self.main is not None:
            found[[k for k in self.others if k < count]] = False
        if self.last is not None:
            found |= degrees > self.last
        return found

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        if self.last is not None:
            return tuple(k for k in range(parity, self.last + 1, 2) if not self.vanishes(k))
        return None if self.main is None or self.main == parity else self.others


@lru_cache(maxsize=1024)
def parity(network: Network | ZonalKernel, kernel: Kernel, seen: bool = False) -> Parity:
    """Zeros of a spectrum; of a zonal kernel those that are declared.

    seen: with the symmetries and polynomial parts that users' activations have by their values.

    K is a power series in t whose coefficients are sums of terms >= 0, so that the powers that it
    has follow from those of the duals: odd ones for an odd sigma, even ones for an even one, few
    of one parity for sigma = polynomial + function of the other parity.  Sums, products and
    compositions of such series have the powers that the rules of the parts say.

    Examples
    --------
    >>> parity(Network("relu"), "ntk")
    Parity(main=0, others=(1,), last=None)
    """
    if isinstance(network, ZonalKernel):
        return Parity(*network.zeros)
    if network.uniform and network.depth > 3 and _dual(network.sigma, seen).endless:
        return parity(replace(network, depth=3), kernel, seen)  # deeper layers change nothing
    program = network.program

    def activate(index: int, state: State) -> State:
        dual = _dual(program.activations[index], seen)
        tangent = None
        if state.tangent is not None:
            tangent = state.tangent.times(dual.shifted().of(state.covariance))
        return State(dual.of(state.covariance), tangent)

    end = follow(
        program, State(_LINE), activate, lambda index, state: 1.0,
        tangent=kernel == "ntk", constant=lambda bias: _ONE,
    )  # fmt: skip
    found = end.covariance if kernel == "nngp" else end.tangent
    return Parity(last=-1) if found is None else found.parity()


def refuse_undeclared(
    source: Network | ZonalKernel, degrees: NDArray[np.int64], kernel: Kernel
) -> None:
    """Raise where eigenvalues look like zeros that nobody declared, before any is computed.

    Values of a user's function cannot prove that it is odd, say: the user must declare it.
    """
    if isinstance(source, ZonalKernel) or not source.user:
        return
    declared, found = parity(source, kernel), parity(source, kernel, seen=True)
    zeros = [k for k in degrees.tolist() if found.vanishes(k) and not declared.vanishes(k)]
    if not zeros:
        return
    from ntkspec.activations.declared import advice, seen_degrees

    wrong = [one for one in source.sigmas if one.user and seen_degrees(one) != one.degrees]
    some = ", ".join(map(str, zeros[:6])) + (", ..." if len(zeros) > 6 else "")
    ways = "; ".join(f"by its values {one.name} is {advice(seen_degrees(one))}" for one in wrong)
    raise NtkspecError(
        f"degrees {some}: these eigenvalues cannot be distinguished from 0; {ways}, or leave "
        "these degrees out"
    )


def _dual(sigma: Activation, seen: bool) -> _Powers:
    """Powers of the dual F as a series in the correlation: its coefficients are squares."""
    if not (seen and sigma.user):
        return _Powers(*sigma.degrees)
    from ntkspec.activations.declared import seen_degrees

    return _Powers(*seen_degrees(sigma))


@dataclass(frozen=True)
class _Powers:
    """The largest even and odd powers of a series in t: infinite for all, -inf for none.

    As t^n has the degrees n, n - 2, ..., the smaller powers do not matter.  The operators are those
    that `follow` uses; factors change nothing.
    """

    even: float
    odd: float

    @property
    def endless(self) -> bool:
        """Whether it is no polynomial."""
        return max(self.even, self.odd) == math.inf

    def __add__(self, other: _Powers) -> _Powers:
        return _Powers(max(self.even, other.even), max(self.odd, other.odd))

    def __rmul__(self, factor: Any) -> _Powers:
        return self if factor else _NONE

    def __truediv__(self, size: Any) -> _Powers:
        return self

    def shifted(self) -> _Powers:
        """Of the derivative."""
        return _Powers(self.odd - 1.0, self.even - 1.0 if self.even > 0.0 else -math.inf)

    def times(self, other: _Powers) -> _Powers:
        """Of the product of two series."""
        even = max(_sum(self.even, other.even), _sum(self.odd, other.odd))
        return _Powers(even, max(_sum(self.even, other.odd), _sum(self.odd, other.even)))

    def of(self, inner: _Powers) -> _Powers:
        """Of the composition with an inner series."""
        if inner == _LINE:
            return self
        total = _NONE
        for kind, last in enumerate((self.even, self.odd)):
            if last == math.inf:
                total += _endless(inner, kind)
            elif last >= 0.0:
                total += _ONE if kind == 0 else inner
                power = _ONE
                for _ in range(int(last)):
                    power = power.times(inner)
                total += power
        return total

    def parity(self) -> Parity:
        """The zeros of a kernel of these powers."""
        if self.even == self.odd == math.inf:
            return Parity()
        most, few = max(self.even, self.odd, -1.0), min(self.even, self.odd)
        if MOST_POWER < few < math.inf or (not self.endless and most > MOST_POWER):
            raise NtkspecError(
                f"the kernel is a polynomial of degree {most:.3g} in t, and at most {MOST_POWER} "
                "is allowed; lower the depth"
            )
        main = int(self.odd == most)
        others = tuple(range(1 - main, int(few) + 1, 2)) if few >= 0.0 else ()
        return Parity(main, others, None if self.endless else int(most))


def _sum(a: float, b: float) -> float:
    """Power of a product; none where a factor has none."""
    return -math.inf if min(a, b) == -math.inf else a + b


def _endless(inner: _Powers, kind: int) -> _Powers:
    """Of the sum of all even or odd powers of a series."""
    even, odd = inner.even >= 0.0, inner.odd >= 0.0
    if even and odd:
        return _Powers(math.inf, math.inf)
    if odd:
        return _Powers(math.inf, -math.inf) if kind == 0 else _Powers(-math.inf, math.inf)
    return _ONE if inner == _ONE else _Powers(math.inf if even else 0.0, -math.inf)


_NONE = _Powers(-math.inf, -math.inf)
_ONE = _Powers(0.0, -math.inf)
_LINE = _Powers(-math.inf, 1.0)
