"""Ranges of dimension and degree, names of normalizations, and shapes of activations."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import is_one_of, shown, whole_number
from ntkspec.ranges import whole_numbers

__all__ = [
    "MAX_DEGREE",
    "MAX_DIM",
    "SELU_ALPHA",
    "SELU_LAMBDA",
    "Normalization",
    "Shape",
    "check_degrees",
    "check_dim",
    "check_normalization",
]

Normalization = Literal["probability", "surface", "poster"]

#: The largest dimension that the accurate routes are tested for.
MAX_DIM = 10**6
#: The largest degree that the accurate routes are tested for.
MAX_DEGREE = 10**6

#: Of Klambauer et al. 2017, in doubles as libraries have them: selu(x) = SELU_LAMBDA x for x > 0,
#: and SELU_LAMBDA SELU_ALPHA (e^x - 1) for x < 0.
SELU_LAMBDA, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class Shape(NamedTuple):
    """sigma(x) = outer base(inner x), the base a catalogued activation by its name.

    Examples
    --------
    >>> Shape("silu", Fraction(2), Fraction(1, 2)).inner  # swish(2)
    Fraction(2, 1)
    """

    base: str
    inner: Fraction = Fraction(1)
    outer: Fraction = Fraction(1)


def check_dim(dim: int) -> int:
    """Return the dimension as an int, or raise NtkspecError unless it is a whole number >= 2.

    Examples
    --------
    >>> check_dim(3)
    3
    """
    return whole_number(dim, "dim", 2, MAX_DIM)


def check_degrees(degrees: int | str | Iterable[int]) -> NDArray[np.int64]:
    """Return the degrees as a one-dimensional int64 array in the order given.

    Raises
    ------
    NtkspecError
        When there are none, or one is not a whole number from 0 to 1000000.

    Examples
    --------
    >>> check_degrees(range(0, 6, 2)), check_degrees("0:3,8"), check_degrees([1.0])
    (array([0, 2, 4]), array([0, 1, 2, 8]), array([1]))
    """
    return whole_numbers(degrees, "degree", 0, MAX_DEGREE)


def check_normalization(normalization: str) -> Normalization:
    """Return the normalization's name, or raise NtkspecError with the names allowed.

    Examples
    --------
    >>> check_normalization("surface")
    'surface'
    """
    if not is_one_of(normalization, get_args(Normalization)):
        raise NtkspecError(
            f"normalization = {shown(normalization)} is not allowed; "
            f"use one of {', '.join(get_args(Normalization))}"
        )
    return normalization  # type: ignore[return-value]
