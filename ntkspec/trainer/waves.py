"""Waves on a torus, and the features by which its points enter a network.

The trainer has its own features, as it has its own harmonics.  What is a degree on the sphere is a
number here: that of a frequency vector and its opposite, in the order of their lengths.  In one
dimension it is the frequency itself.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import numbers, shown

__all__ = ["Features", "Waves", "frequencies_to", "frequency_number", "half", "lattice"]

Array = NDArray[np.float64]
Frequency = tuple[int, ...]

#: Largest length of a frequency vector whose number is known, for each dimension.
MOST_LENGTH = (2**20, 128, 24)


@dataclass(frozen=True)
class Features:
    """Fourier features (a_j cos 2 pi b_j.x, a_j sin 2 pi b_j.x), cosines first, of norm 1.

    Parameters
    ----------
    frequencies : (J, m) array_like of int
        b_j.
    amplitudes : (J,) array_like, optional
        a_j, of which only the ratios matter; by default all 1.

    Examples
    --------
    >>> Features([[1]]).of([[0.0], [0.25]]).round(6)
    array([[1., 0.],
           [0., 1.]])
    """

    frequencies: tuple[Frequency, ...]
    amplitudes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        b = np.atleast_2d(numbers(self.frequencies, "frequencies"))
        a = np.array(self.amplitudes or np.ones(len(b)), dtype=np.float64)
        if b.size == 0 or b.shape[1] > len(MOST_LENGTH) or (b != np.rint(b)).any():
            raise NtkspecError(
                f"frequencies = {shown(self.frequencies)} is not allowed; give vectors of whole "
                f"numbers, of up to {len(MOST_LENGTH)} coordinates"
            )
        if a.shape != b.shape[:1] or not np.isfinite(a).all() or not a.any():
            raise NtkspecError(
                f"amplitudes = {shown(self.amplitudes)} is not allowed; give a number for each of "
                f"{len(b)} frequencies, not all 0"
            )
        object.__setattr__(self, "frequencies", tuple(map(tuple, b.astype(int).tolist())))
        object.__setattr__(self, "amplitudes", tuple(a.tolist()))

    @property
    def dim(self) -> int:
        """Coordinates of a point."""
        return len(self.frequencies[0])

    def of(self, x: ArrayLike) -> Array:
        """Features (n, 2 J) of points (n, m)."""
        a = np.array(self.amplitudes)
        a = a / np.linalg.norm(a)
        angles = 2.0 * math.pi * (self.checked(x) @ np.array(self.frequencies, np.float64).T)
        return np.concatenate((a * np.cos(angles), a * np.sin(angles)), axis=1)

    def checked(self, x: ArrayLike) -> Array:
        """Points (n, m) of finite coordinates, or raise."""
        array = numbers(x, "points")
        if array.ndim != 2 or array.shape[1] != self.dim or not np.isfinite(array).all():
            raise NtkspecError(
                f"points = {shown(x)} are not allowed on the torus; give finite coordinates "
                f"(n, {self.dim})"
            )
        return array


class Waves:
    """The waves 1, and sqrt(2) cos and sin of 2 pi m.x, up to a number; as `harmonics.Basis`.

    Parameters
    ----------
    x : (n, m) ndarray
    last : int

    Examples
    --------
    >>> waves = Waves(np.array([[0.0], [0.25]]), 1)
    >>> waves.matrix().round(6) + 0.0
    array([[1.      , 1.414214, 0.      ],
           [1.      , 0.      , 1.414214]])
    """

    def __init__(self, x: Array, last: int) -> None:
        self._x, self._m = x, frequencies_to(x.shape[1], last)

    def matrix(self) -> Array:
        """Values at the points, (n, 2 last + 1), number by number."""
        angles = 2.0 * math.pi * (self._x @ self._m.T)
        both = np.stack((np.cos(angles), np.sin(angles)), axis=2)
        found = math.sqrt(2.0) * both.reshape(len(angles), -1)[:, 1:]
        found[:, 0] = 1.0
        return found

    def coefficients(self, weighted: ArrayLike) -> list[Array]:
        """Sums over the points of weighted_i times each wave, by numbers."""
        found = []
        for number, m in enumerate(self._m):
            angle = 2.0 * math.pi * (self._x @ m)
            waves = math.sqrt(2.0) * np.stack((np.cos(angle), np.sin(angle)))
            found.append((waves if number else np.ones((1, len(angle)))) @ np.asarray(weighted))
        return found


def half(frequency: Frequency) -> Frequency:
    """The one of a frequency vector and its opposite whose first nonzero coordinate is positive.

    Examples
    --------
    >>> half((0, -1)), half((1, -1))
    ((0, 1), (1, -1))
    """
    sign = next((1 if one > 0 else -1 for one in frequency if one), 1)
    return tuple(sign * one for one in frequency)


def frequency_number(frequency: Frequency) -> int:
    """The number of a frequency vector.

    Examples
    --------
    >>> frequency_number((5,)), frequency_number((1, -1)), frequency_number((0, -1))
    (5, 3, 1)
    """
    if len(frequency) == 1:
        return abs(frequency[0])
    length = math.isqrt(sum(one * one for one in frequency)) + 1
    known = _halves(len(frequency), _checked_length(len(frequency), length))
    return int(np.flatnonzero((known == half(frequency)).all(axis=1))[0])


def frequencies_to(dim: int, last: int) -> NDArray[np.int64]:
    """The frequency vectors of the numbers 0 to `last`, (last + 1, dim).

    Examples
    --------
    >>> frequencies_to(2, 4).tolist()
    [[0, 0], [0, 1], [1, 0], [1, -1], [1, 1]]
    """
    if dim == 1:
        return np.arange(last + 1)[:, np.newaxis]
    length = 1
    while len(found := _halves(dim, _checked_length(dim, length))) <= last:
        length *= 2
    return found[: last + 1]


@lru_cache(maxsize=32)
def _halves(dim: int, length: int) -> NDArray[np.int64]:
    """Half of the frequency vectors up to a length, by length and then by coordinates."""
    sides = [np.arange(length + 1)] + [np.arange(-length, length + 1)] * (dim - 1)
    every = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, dim)
    squares = np.sum(every * every, axis=1)
    first = every[np.arange(len(every)), np.argmax(every != 0, axis=1)]
    kept = (squares <= length * length) & (first >= 0)
    order = np.lexsort((*every[kept].T[::-1], squares[kept]))
    return np.asarray(every[kept][order])


def _checked_length(dim: int, length: int) -> int:
    if not 1 <= dim <= len(MOST_LENGTH):
        raise NtkspecError(
            f"a frequency of {dim} coordinates is not allowed; it has 1 to {len(MOST_LENGTH)}"
        )
    if length > (most := MOST_LENGTH[dim - 1]):
        raise NtkspecError(
            f"a frequency of length {length} is not allowed in {dim} dimensions; the most is {most}"
        )
    return length


def lattice(side: int, dim: int) -> Array:
    """The points i/side, i = 0, ..., side - 1, in each coordinate: (side^dim, dim).

    Examples
    --------
    >>> lattice(2, 1)
    array([[0. ],
           [0.5]])
    """
    return np.array(list(itertools.product(np.arange(side) / side, repeat=dim)))
