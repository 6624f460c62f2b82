"""Ranges of dimension and degree, and the names of kernels and normalizations (checked here)."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError

__all__ = [
    "MAX_DEGREE",
    "MAX_DIM",
    "Normalization",
    "check_degrees",
    "check_dim",
    "check_normalization",
]

Normalization = Literal["probability", "surface", "poster"]

#: The largest dimension and degree that the accurate routes are tested for.
MAX_DIM = 10**6
MAX_DEGREE = 10**5


def check_dim(dim: int) -> int:
    """Return the dimension as an int, or raise NtkspecError unless it is a whole number >= 2.

    Examples
    --------
    >>> check_dim(3)
    3
    """
    try:
        value = operator.index(dim)
    except TypeError:
        value = 0
    if isinstance(dim, (bool, np.bool_)) or not 2 <= value <= MAX_DIM:
        raise NtkspecError(
            f"dim = {dim!r} is not allowed; it must be a whole number from 2 to {MAX_DIM}"
        )
    return value


def check_degrees(degrees: int | Iterable[int]) -> NDArray[np.int64]:
    """Return the degrees as a one-dimensional int64 array in the order given.

    Raises
    ------
    NtkspecError
        When there are none, or one is not a whole number from 0 to 100000.

    Examples
    --------
    >>> check_degrees(range(0, 6, 2))
    array([0, 2, 4])
    """
    if isinstance(degrees, (str, bytes)):
        raise NtkspecError(f"degrees = {degrees!r} is not allowed; give whole numbers or a range")
    if isinstance(degrees, range) and degrees and max(degrees[0], degrees[-1]) > MAX_DEGREE:
        # Before an array of that length is made.
        raise NtkspecError(_degree_sentence(max(degrees[0], degrees[-1])))
    array = np.asarray(degrees if np.ndim(degrees) == 0 else list(degrees))  # type: ignore[arg-type]
    array = np.atleast_1d(array)
    if array.size == 0:
        raise NtkspecError(f"degrees = {degrees!r} is empty; give at least one degree")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise NtkspecError(
            f"degrees = {degrees!r} is not allowed; give a sequence of whole numbers >= 0"
        )
    if array.min() < 0 or array.max() > MAX_DEGREE:
        raise NtkspecError(_degree_sentence(int(array.min() if array.min() < 0 else array.max())))
    return array.astype(np.int64)


def _degree_sentence(degree: int) -> str:
    return f"degree = {degree} is not allowed; it must be a whole number from 0 to {MAX_DEGREE}"


def check_normalization(normalization: str) -> Normalization:
    """Return the normalization's name, or raise NtkspecError with the names allowed."""
    if normalization not in get_args(Normalization):
        raise NtkspecError(
            f"normalization = {normalization!r} is not allowed; "
            f"use one of {', '.join(get_args(Normalization))}"
        )
    return normalization  # type: ignore[return-value]
