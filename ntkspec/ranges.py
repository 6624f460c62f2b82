"""Ranges written as text: `a:b`, `a:b:c`, or a list `0,4,8`."""

from __future__ import annotations

from ntkspec.errors import NtkspecError

__all__ = ["parse_range"]


def parse_range(text: str, name: str) -> range | list[int]:
    """Read a half-open range a:b or a:b:step, or a list of whole numbers.

    Parameters
    ----------
    text : str
    name : str
        What the range is of, for the error's sentence.

    Raises
    ------
    NtkspecError
        When the text is not of that form, or the range is empty.

    Examples
    --------
    >>> parse_range("0:8:2", "degrees"), parse_range("0,4,8", "degrees")
    (range(0, 8, 2), [0, 4, 8])
    """
    try:
        if ":" in text:
            first, last, *step = (int(part) for part in text.split(":"))
            values: range | list[int] = range(first, last, *step)
        else:
            values = [int(part) for part in text.split(",")]
    except (TypeError, ValueError):
        raise NtkspecError(
            f"{name} = {text!r} is not a range; write a:b, a:b:step or a list such as 0,4,8"
        ) from None
    if not values:
        raise NtkspecError(f"{name} = {text!r} is empty; a range a:b needs a < b")
    return values
