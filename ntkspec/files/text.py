"""Text for terminals and spreadsheets, escaped because files may be untrusted."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

__all__ = ["CsvWriter", "json_value", "printable", "text_values"]

#: Columns of whole numbers that are held as doubles, as they go beyond integers of 64 bits.
COUNTS = ("multiplicity",)

#: Characters that a terminal obeys, not shows: control characters, marks that turn the direction
#: of writing or have no width, other ends of lines, halves of pairs, which have no encoding, and
#: two places that are no characters.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\U000e0000-\U000e007f\ud800-\udfff]"
)
#: A spreadsheet reads a cell that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def printable(text: str, *, newlines: bool = False) -> str:
    r"""Escape every character that a terminal would obey; `newlines` keeps line ends and tabs.

    Examples
    --------
    >>> print(printable("relu\x1b[2J"))
    relu\x1b[2J
    """
    if text.isprintable():
        return text
    return UNSEEN.sub(lambda found: _escaped(found.group(), newlines), text)


def _escaped(character: str, newlines: bool) -> str:
    if newlines and character in "\n\t":
        return character
    return character.encode("unicode_escape").decode("ascii")


def json_value(value: Any) -> Any:
    """The same value with None for numbers that are not finite, and lists for tuples.

    Examples
    --------
    >>> json_value({"rate": (1.0, float("nan"))})
    {'rate': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text_values(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """Values of a column for text: counts that doubles hold exactly have no decimal point.

    Examples
    --------
    >>> text_values("multiplicity", [7.0, float("inf")]), text_values("eigenvalue", [7.0])
    ([7, inf], [7.0])
    """
    return [int(n) if n < 2**53 else n for n in values] if name in COUNTS else values


class CsvWriter:
    """Writer of CSV whose text is safe for spreadsheets and terminals.

    Examples
    --------
    >>> import sys
    >>> CsvWriter(sys.stdout).row(["=1+1", -1.5, "relu"])
    '=1+1,-1.5,relu
    """

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def row(self, cells: Iterable[Any]) -> None:
        """Write a row."""
        self._writer.writerow(map(_cell, cells))

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write several rows."""
        self._writer.writerows(map(_cell, row) for row in rows)


def _cell(value: Any) -> Any:
    """A cell; text that looks like a formula gets the apostrophe that marks text."""
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(FORMULA) else "") + printable(value)
