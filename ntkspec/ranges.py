"""Ranges: as text `a:b`, `a:b:step`, `a:b:*ratio`, or several of these, `0,4,8:20:2`; as arrays."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sized
from decimal import ROUND_HALF_UP, Decimal, DecimalException, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_whole, shown, whole_number

__all__ = ["MOST", "parse_range", "range_length", "whole_numbers"]

#: Largest number of values that are listed; plain ranges may be longer.
MOST_LISTED = 10**6 + 1
#: Largest absolute value in a range; larger numbers would not fit into 64 bits.
MOST = 2**63 - 1
INTEGER = re.compile(r"\s*[+-]?[0-9]+(?:_[0-9]+)*\s*", re.ASCII)
#: Decimal digits for the powers of a ratio.
DIGITS = 50


def parse_range(text: str, name: str) -> range | list[int]:
    """Read whole numbers and half-open ranges, separated by commas.

    Parameters
    ----------
    text : str
        Numbers; ranges a:b and a:b:step; and progressions ``a:b:*ratio``, which are a, a ratio,
        a ratio^2, ... below b, each rounded to a whole number (halves up), without repeats.
    name : str
        Name of the values, for error messages.

    Returns
    -------
    range or list of int
        In the order written; a range if the text is a single range.

    Raises
    ------
    NtkspecError
        When the text has another form, a range in it is empty, or a number exceeds 64 bits.

    Examples
    --------
    >>> parse_range("0:8:2", "degrees"), parse_range("0,4,8:20:4", "degrees")
    (range(0, 8, 2), [0, 4, 8, 12, 16])
    >>> parse_range("0:3,4:100:*2.5", "degrees")
    [0, 1, 2, 4, 10, 25, 63]
    """
    parts = [_part(part, text, name) for part in text.split(",")]
    if len(parts) == 1:
        return parts[0]
    if sum(map(_length, parts)) > MOST_LISTED:
        raise _too_many(text, name)
    return [value for part in parts for value in part]


def _part(part: str, text: str, name: str) -> range | list[int]:
    """One number, range or progression of a text."""
    first, *rest = part.split(":")
    ratio, values = None, range(0)
    try:
        if not rest:
            return [_integer(first, text, name)]
        if len(rest) == 2 and rest[1].strip().startswith("*") and rest[1].isascii():
            ratio = Decimal(rest.pop().strip()[1:])
        values = range(_integer(first, text, name), *(_integer(r, text, name) for r in rest))
    except (TypeError, ValueError, DecimalException) as error:
        if isinstance(error, NtkspecError):
            raise
        raise NtkspecError(
            f"{name} = {shown(text)} is not a range; write a:b, a:b:step, a:b:*ratio or a list of "
            "these such as 0,4,8:20"
        ) from None
    if ratio is not None and not (ratio.is_finite() and ratio > 1 and values.start >= 1):
        raise NtkspecError(
            f"{name} = {shown(text)} is not allowed; a progression a:b:*ratio needs a >= 1, "
            "ratio > 1"
        )
    if not values:
        raise NtkspecError(f"{name} = {shown(text)} is empty; a range a:b needs a < b")
    if ratio is None:
        return values
    # ln r >= 1 - 1/r, which stays positive where ln r would be rounded to 0.
    if math.log(values.stop) - math.log(values.start) > MOST_LISTED * float(1 - 1 / ratio):
        raise _too_many(text, name)
    return _progression(values.start, values.stop, ratio)


def _integer(digits: str, text: str, name: str) -> int:
    """A whole number in ASCII digits; ValueError for other text."""
    if INTEGER.fullmatch(digits) is None:
        raise ValueError(digits)
    if len(digits) > 40 or abs(int(digits)) > MOST:
        raise NtkspecError(
            f"{name} = {shown(text)} is not allowed; its numbers must be below {MOST:.1e}"
        )
    return int(digits)


def _progression(first: int, last: int, ratio: Decimal) -> list[int]:
    """first, first ratio, first ratio^2, ... that round to less than last."""
    values, exact = [first], Decimal(first)
    with localcontext(prec=DIGITS):
        while ratio < last and (exact := exact * ratio) < last:
            value = int(exact.to_integral_value(ROUND_HALF_UP))
            if values[-1] < value < last:
                values.append(value)
    return values


def range_length(values: range) -> int:
    """Return the number of values of a range, also where len() overflows.

    Examples
    --------
    >>> range_length(range(0, 10**30, 2)) == 5 * 10**29
    True
    """
    return (values[-1] - values[0]) // values.step + 1 if values else 0


def _length(part: range | list[int]) -> int:
    return len(part) if isinstance(part, list) else range_length(part)


def _too_many(text: str, name: str) -> NtkspecError:
    return NtkspecError(
        f"{name} = {shown(text)} is too long; only a range a:b or a:b:step alone may hold "
        f"more than {MOST_LISTED} values"
    )


def whole_numbers(
    values: int | str | Iterable[int], name: str, least: int, most: int, plural: str = ""
) -> NDArray[np.int64]:
    """Check that whole numbers lie within bounds, and return them as an array.

    Ranges of more than 1,000,001 values are refused without listing them, and iterables without a
    length are read up to that number.

    Parameters
    ----------
    values : int, str, range, array or iterable of int
        Text as for `parse_range`; floats without a fraction are taken.
    name : str
        Name of one value, for error messages.
    least, most : int
        Both allowed.
    plural : str
        Name of several values; by default `name` with an s.

    Returns
    -------
    (n,) int64 array, n >= 1
        In the order given.

    Raises
    ------
    NtkspecError
        When there are no values or too many, or one is not a whole number or out of bounds.

    Examples
    --------
    >>> whole_numbers("0:6:2", "degree", 0, 100), whole_numbers([1.0, 3.0], "degree", 0, 100)
    (array([0, 2, 4]), array([1, 3]))
    >>> whole_numbers(range(10**12), "degree", 0, 100)
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: degree = 999999999999 is not allowed; it must be a whole number \
from 0 to 100
    """
    plural = plural or f"{name}s"
    given = parse_range(values, plural) if isinstance(values, str) else values
    if isinstance(given, range):
        for end in (given[0], given[-1]) if given else ():
            whole_number(end, name, least, most)
        if range_length(given) > MOST_LISTED:
            raise _too_many_listed(values, plural)
        array = np.arange(given.start, given.stop, given.step, dtype=np.int64)
    else:
        array = _listed(given, values, name, least, most, plural)
    if array.size == 0:
        raise NtkspecError(f"{plural} = {shown(values)} is empty; give at least one {name}")
    return array


def _listed(
    given: Any, values: Any, name: str, least: int, most: int, plural: str
) -> NDArray[np.int64]:
    """The values of a number, an array or a possibly infinite iterable."""
    if hasattr(given, "__array__"):
        array = np.atleast_1d(np.asarray(given))
        if array.dtype.kind in "iuf" and array.ndim == 1:
            return _of_array(array, values, name, least, most, plural)
        given = list(array)
    if isinstance(given, (bytes, bytearray)) or not isinstance(given, Iterable):
        given = [given]
    if not isinstance(given, Sized):
        given = list(itertools.islice(given, MOST_LISTED + 1))
        if len(given) > MOST_LISTED:
            raise _too_many_listed(values, plural)
    whole = []
    for value in given:
        one = value if type(value) is int else as_whole(value)
        if one is None:
            raise _not_whole(values, plural)
        if not least <= one <= most:
            whole_number(one, name, least, most)
        whole.append(one)
    return np.array(whole, dtype=np.int64)


def _of_array(
    array: NDArray[Any], values: Any, name: str, least: int, most: int, plural: str
) -> NDArray[np.int64]:
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.floor(array))):
        raise _not_whole(values, plural)
    for end in (array.min(), array.max()) if array.size else ():
        whole_number(int(end), name, least, most)
    return array.astype(np.int64)


def _too_many_listed(values: Any, plural: str) -> NtkspecError:
    return NtkspecError(
        f"{plural} = {shown(values)} is too long; at most {MOST_LISTED} values are taken at once"
    )


def _not_whole(values: Any, plural: str) -> NtkspecError:
    return NtkspecError(
        f"{plural} = {shown(values)} is not allowed; give whole numbers or a range a:b"
    )
