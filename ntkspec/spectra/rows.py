"""Rows and columns of the (dimension, degree) plane from which the dimension walk starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FirstRows", "Passed", "Rows", "Scaled", "both_parities", "normalized"]


#: Mantissas in [1, 2) or 0, and exponents of 2.
Scaled = tuple[NDArray[np.float64], NDArray[np.int64]]


class Rows(Protocol):
    """Rows and columns of a network's eigenvalues on spheres.

    Values come scaled: mantissa in [1, 2) or 0, and an int64 exponent of 2.
    """

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of all eigenvalues."""

    @property
    def walks(self) -> bool:
        """Whether the kernel is the same in all dimensions, as the dimension walk needs."""

    @property
    def degrees_alone(self) -> bool:
        """Whether the cost of a row depends on the requested degrees only, not on all below."""

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Announce the dimensions (low to high) and degrees (all to last, or some) to come."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Eigenvalues of increasing degrees of one parity."""

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Eigenvalues of one degree in increasing dimensions of one parity."""


class Passed(Exception):
    """Raised by a route that takes a kind of kernel, but not these degrees; with the reason."""


class FirstRows:
    """Rows of the first of several routes that serves the degrees that are announced."""

    def __init__(self, makers: Sequence[Callable[[], Rows]]) -> None:
        self._makers = makers
        self._chosen = makers[0]()

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Announce dimensions and degrees to the first route that serves them."""
        for maker in self._makers[:-1]:
            self._chosen = maker()
            with suppress(Passed):
                return self._chosen.prepare(low, high, last, wanted)
        self._chosen = self._makers[-1]()
        self._chosen.prepare(low, high, last, wanted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chosen, name)


def normalized(mantissa: NDArray[np.float64], exponent: NDArray[np.int64] | np.int64) -> Scaled:
    """Scaled numbers with mantissas in [1, 2), or 0."""
    m, e = np.frexp(mantissa)
    return 2.0 * m, np.where(m == 0.0, 0, exponent + e - 1)


def both_parities(source: Rows, dim: int, degrees: NDArray[np.int64]) -> Scaled:
    """Eigenvalues of increasing degrees in one dimension, scaled."""
    mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
    source.prepare(dim, dim, int(degrees[-1]), frozenset(degrees.tolist()))
    for parity in (0, 1):
        at = np.flatnonzero(degrees % 2 == parity)
        if at.size:
            mantissa[at], exponent[at] = source.row(dim, degrees[at])
    return mantissa, exponent
