"""The Boolean cube {-1, 1}^d: parities x^S, and Krawtchouk polynomials."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ntkspec.domains.domain import Array, Degrees, Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import numbers

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Cube"]


@dataclass(frozen=True)
class Cube(Domain):
    """The Boolean cube {-1, 1}^d with the uniform measure; degrees of the parities x^S.

    Inputs enter a network as x / sqrt(d), so that they are unit vectors (Yang and Salman 2019).
    Every product x^S of k coordinates is an eigenfunction of degree k.

    Parameters
    ----------
    dim : int
        1 to 10**6; beyond 10**4 to degrees whose power series can be computed.

    Examples
    --------
    >>> Cube(4).multiplicity(np.arange(5)), Cube(4).last_degree
    (array([1., 4., 6., 4., 1.]), 4)
    """

    name: ClassVar[str] = "cube"
    measure: ClassVar[str] = "x / sqrt(d), x uniform on {-1, 1}^d"
    place: ClassVar[str] = " on the cube"
    least_dim: ClassVar[int] = 1
    most_dim: ClassVar[int] = 1_000_000

    @property
    def last_degree(self) -> int:
        """The dimension."""
        return self.dim

    @property
    def default_degrees(self) -> range:
        """All degrees, in dimensions beyond 10**4 those to 1000."""
        return range(self.dim + 1 if self.dim <= 10_000 else 1001)

    def multiplicity(self, degrees: Degrees) -> Array:
        """(K,) binom(d, k)."""
        return np.array([_to_double(count) for count in self._counts(degrees)])

    def log_multiplicity(self, degrees: Degrees) -> Array:
        """(K,) natural logarithms of binom(d, k)."""
        return np.array([math.log(count) for count in self._counts(degrees)])

    def zonal(self, degrees: Iterable[int], t: ArrayLike) -> Array:
        """(K, T) Krawtchouk polynomials over binom(d, k), at t = 1 - 2j/d for whole j.

        Examples
        --------
        >>> Cube(4).zonal([1, 2], [1.0, 0.0])
        array([[ 1.        ,  0.        ],
               [ 1.        , -0.33333333]])
        """
        wanted = self.check_degrees(degrees)
        flips = 0.5 * self.dim * (1.0 - np.atleast_1d(numbers(t, "t")).ravel())
        places = np.rint(flips)
        if not np.all((np.abs(flips - places) < 1e-6) & (places >= 0) & (places <= self.dim)):
            raise NtkspecError(
                f"t is not allowed; on the cube it must be 1 - 2j/{self.dim} for a whole number j"
            )
        rows = []
        for j in places.astype(np.int64).tolist():
            values, d = [Fraction(1), Fraction(self.dim - 2 * j, self.dim)], self.dim
            for k in range(1, int(wanted.max())):
                values.append(((d - 2 * j) * values[k] - k * values[k - 1]) / (d - k))
            rows.append([float(values[k]) for k in wanted.tolist()])
        return np.array(rows).reshape(len(rows), wanted.size).T

    def falls(self, source: Network | ZonalKernel) -> bool:
        """True for kernels whose power series have terms >= 0, such as those of networks.

        The walk of Ehrenfest gives each power of t eigenvalues that fall by twos (Yang and Salman
        2019, theorem 4.1): docs/domains.rst.
        """
        return isinstance(source, Network) or source.positive

    def log_count_beyond(self, degrees: Degrees) -> float:
        """Logarithm of the number of parities of the omitted degrees, of 2^d in all."""
        left = 2**self.dim - sum(self._counts(np.unique(degrees)))
        return math.log(left) if left else -math.inf

    def _counts(self, degrees: Degrees) -> list[int]:
        """binom(d, k), each computed from the one before, which is faster than one by one."""
        listed = self.check_degrees(degrees).tolist() if np.size(degrees) else []
        wanted, found, count = set(listed), {}, 1
        for k in range(max(wanted, default=-1) + 1):
            if k in wanted:
                found[k] = count
            count = count * (self.dim - k) // (k + 1)
        return [found[k] for k in listed]


def _to_double(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return math.inf
