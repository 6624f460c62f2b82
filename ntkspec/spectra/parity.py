"""Exact zeros of a spectrum, from the symmetry of the activations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ntkspec.activations import Activation
from ntkspec.networks import Kernel, Network
from ntkspec.rules import State, follow
from ntkspec.zonal import ZonalKernel

__all__ = ["Parity", "parity"]


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

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        if self.last is not None:
            return tuple(k for k in range(parity, self.last + 1, 2) if not self.vanishes(k))
        return None if self.main is None or self.main == parity else self.others


@lru_cache(maxsize=1024)
def parity(network: Network | ZonalKernel, kernel: Kernel) -> Parity:
    """Zeros of a spectrum; of a zonal kernel those that are declared.

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
    program = network.program

    def activate(index: int, state: State) -> State:
        dual = _dual(program.activations[index])
        tangent = None
        if state.tangent is not None:
            tangent = state.tangent.times(dual.shifted().of(state.covariance))
        return State(dual.of(state.covariance), tangent)

    end = follow(
        program, State(_Powers((frozenset(), frozenset([1])))), activate, lambda index, state: 1.0,
        tangent=kernel == "ntk", constant=lambda bias: _Powers((frozenset([0]), frozenset())),
    )  # fmt: skip
    found = end.covariance if kernel == "nngp" else end.tangent
    return Parity(last=-1) if found is None else found.parity()


#: Powers of one parity: None for all, or some.
Some = frozenset[int] | None


@dataclass(frozen=True)
class _Powers:
    """The even and the odd powers that a series in t may have.

    The operators are those that `follow` uses; factors change nothing.
    """

    kinds: tuple[Some, Some]

    def __add__(self, other: _Powers) -> _Powers:
        pairs = zip(self.kinds, other.kinds, strict=True)
        even, odd = (None if a is None or b is None else a | b for a, b in pairs)
        return _Powers((even, odd))

    def __rmul__(self, factor: Any) -> _Powers:
        return self if factor else _Powers((frozenset(), frozenset()))

    def __truediv__(self, size: Any) -> _Powers:
        return self

    def shifted(self) -> _Powers:
        """Of the derivative."""
        even, odd = self.kinds
        lower = (
            some if some is None else frozenset(n - 1 for n in some if n) for some in (odd, even)
        )
        return _Powers(tuple(lower))  # type: ignore[arg-type]

    def times(self, other: _Powers) -> _Powers:
        """Of the product of two series."""
        total = _NONE
        for i, mine in enumerate(self.kinds):
            for j, theirs in enumerate(other.kinds):
                total += _product(mine, theirs, (i + j) % 2)
        return total

    def of(self, inner: _Powers) -> _Powers:
        """Of the composition with an inner series."""
        if inner == _LINE:
            return self
        total = _NONE
        for i, mine in enumerate(self.kinds):
            if mine is None:
                # High powers of the inner series: all powers of the parities that it gives.
                even, odd = (some is None or bool(some) for some in inner.kinds)
                kinds: list[Some] = [frozenset(), frozenset()]
                if odd or even:
                    kinds[i if odd and not even else 0] = None if inner != _ONE else frozenset([0])
                if odd and even:
                    kinds[1] = None
                total += _Powers((kinds[0], kinds[1]))
            else:
                for n in mine:
                    power = _ONE
                    for _ in range(n):
                        power = power.times(inner)
                    total += power
        return total

    def parity(self) -> Parity:
        """The zeros of a kernel of these powers: t^n has the degrees n, n - 2, ..."""
        even, odd = self.kinds
        if even is None and odd is None:
            return Parity()
        if even is None or odd is None:
            few = odd if even is None else even
            assert few is not None
            others = range(min(few) % 2, max(few) + 1, 2) if few else ()
            return Parity(0 if even is None else 1, tuple(others))
        last = max(even | odd, default=-1)
        return Parity(None if even and odd else int(bool(odd)), last=last)


def _product(mine: Some, theirs: Some, kind: int) -> _Powers:
    """Powers that are sums of two; `kind` is their parity."""
    if mine is not None and theirs is not None:
        some: Some = frozenset(m + n for m in mine for n in theirs)
    else:
        some = frozenset() if mine == frozenset() or theirs == frozenset() else None
    return _Powers((some, frozenset()) if kind == 0 else (frozenset(), some))


_NONE = _Powers((frozenset(), frozenset()))
_ONE = _Powers((frozenset([0]), frozenset()))
_LINE = _Powers((frozenset(), frozenset([1])))


@lru_cache(maxsize=256)
def _dual(sigma: Activation) -> _Powers:
    """Powers of the dual F as a series in the correlation: its coefficients are squares."""
    if sigma.homogeneous == (1, 1.0, -1.0):
        return _LINE
    few = None
    if sigma.polynomial is not None:
        few = frozenset(range(sigma.polynomial % 2, sigma.polynomial + 1, 2))
    if sigma.symmetry is not None:
        odd = sigma.symmetry == "odd"
        some = few if few is not None and sigma.polynomial % 2 == odd else None  # type: ignore[operator]
        return _Powers((frozenset(), some) if odd else (some, frozenset()))
    if few is None:
        return _Powers((None, None))
    return _Powers((few, None) if sigma.polynomial % 2 == 0 else (None, few))  # type: ignore[operator]
