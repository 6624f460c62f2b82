"""Ranges written as text: `a:b`, `a:b:step`, `a:b:*ratio`, or several of these, `0,4,8:20:2`."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal, DecimalException, localcontext

from ntkspec.errors import NtkspecError

__all__ = ["parse_range"]

#: Values that are listed one by one, which only a plain range is not.
MOST_LISTED = 10**6
#: Decimal digits of the powers of a ratio.
DIGITS = 50


def parse_range(text: str, name: str) -> range | list[int]:
    """Read whole numbers and half-open ranges, separated by commas.

    Parameters
    ----------
    text : str
        Numbers; ranges a:b and a:b:step; and progressions ``a:b:*ratio``, which are a, a ratio,
        a ratio^2, ... below b, each rounded to a whole number (halves up), repeats left out.
    name : str
        What the range is of, for the error's sentence.

    Returns
    -------
    range or list of int
        In the order written; a range where the text is one.

    Raises
    ------
    NtkspecError
        When the text is not of that form, or a range in it is empty.

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
            return [int(first)]
        if len(rest) == 2 and rest[1].strip().startswith("*"):
            ratio = Decimal(rest.pop().strip()[1:])
        values = range(int(first), *map(int, rest))
    except (TypeError, ValueError, DecimalException):
        raise NtkspecError(
            f"{name} = {text!r} is not a range; write a:b, a:b:step, a:b:*ratio or a list of these "
            "such as 0,4,8:20"
        ) from None
    if ratio is not None and not (ratio.is_finite() and ratio > 1 and values.start >= 1):
        raise NtkspecError(
            f"{name} = {text!r} is not allowed; a progression a:b:*ratio needs a >= 1, ratio > 1"
        )
    if not values:
        raise NtkspecError(f"{name} = {text!r} is empty; a range a:b needs a < b")
    if ratio is None:
        return values
    # ln r >= 1 - 1/r, which stays a number where ln r would be rounded to 0.
    if math.log(values.stop) - math.log(values.start) > MOST_LISTED * float(1 - 1 / ratio):
        raise _too_many(text, name)
    return _progression(values.start, values.stop, ratio)


def _progression(first: int, last: int, ratio: Decimal) -> list[int]:
    """first, first ratio, first ratio^2, ... that round to less than last."""
    values, exact = [first], Decimal(first)
    with localcontext(prec=DIGITS):
        while ratio < last and (exact := exact * ratio) < last:
            value = int(exact.to_integral_value(ROUND_HALF_UP))
            if values[-1] < value < last:
                values.append(value)
    return values


def _length(part: range | list[int]) -> int:
    """Number of values, where len() would not count that far."""
    return len(part) if isinstance(part, list) else (part[-1] - part[0]) // part.step + 1


def _too_many(text: str, name: str) -> NtkspecError:
    return NtkspecError(
        f"{name} = {text!r} is too long; only a range a:b or a:b:step alone may hold more than "
        f"{MOST_LISTED} values"
    )
