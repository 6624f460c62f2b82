"""Exact zeros of a spectrum, from the symmetry of the activation."""

from __future__ import annotations

from dataclasses import dataclass

from ntkspec.networks import Kernel, Network
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


def parity(network: Network | ZonalKernel, kernel: Kernel) -> Parity:
    """Zeros of a spectrum; of a zonal kernel those that are declared.

    K is a power series in t whose terms are squares; without bias an odd sigma leaves odd powers
    through all layers, an even one even powers (for the NTK too: t times the dual of an odd
    derivative).  One layer of sigma = polynomial + function of the other parity has the
    polynomial's few powers besides those of the function.  A sigma that has the symmetry of its
    polynomial part is that polynomial, and its kernel is one in t.

    Examples
    --------
    >>> parity(Network("relu"), "ntk")
    Parity(main=0, others=(1,), last=None)
    """
    if isinstance(network, ZonalKernel):
        return Parity(*network.zeros)
    sigma = network.sigma
    if sigma.homogeneous is not None and sigma.homogeneous == (1, 1.0, -1.0):
        return Parity(None if network.bias_variance else 1, last=1)  # a linear network
    if sigma.polynomial is not None and sigma.symmetry is not None:
        odd = sigma.symmetry == "odd"
        if sigma.polynomial % 2 == odd:  # no function of the other parity: a polynomial
            constant = sigma.polynomial == 0 and kernel == "ntk" and network.trained == "hidden"
            last = -1 if constant else sigma.polynomial**network.depth
            return Parity(None if network.bias_variance else int(odd), last=last)
    if network.bias_variance != 0.0:
        return Parity()
    if sigma.symmetry is not None:
        return Parity(1 if sigma.symmetry == "odd" else 0)
    if network.depth > 1 or sigma.polynomial is None:
        return Parity()
    degree = sigma.polynomial
    others = tuple(range(degree % 2, degree + 1, 2))
    if degree == 0 and kernel == "ntk" and network.trained == "hidden":
        others = ()  # the derivative has lost the constant
    return Parity((degree + 1) % 2, others)
