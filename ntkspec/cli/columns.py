"""Printing of columns of numbers as text, CSV or JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ntkspec.cli.streams import say
from ntkspec.files.text import CsvWriter

__all__ = ["print_columns"]


def print_columns(
    layout: str,
    columns: Mapping[str, Sequence[Any]],
    *,
    about: Mapping[str, Any] | None = None,
    text: Callable[[Any], str] = repr,
) -> None:
    """Print named columns; in JSON after `about`, with null for values that are not finite."""
    if layout == "json":
        finite = {
            name: [value if math.isfinite(value) else None for value in column]
            for name, column in columns.items()
        }
        say(json.dumps({**(about or {}), **finite}, allow_nan=False))
        return
    rows = zip(*columns.values(), strict=True)
    if layout == "csv":
        writer = CsvWriter(sys.stdout)
        writer.row(columns)
        writer.rows(rows)
        return
    cells = [tuple(columns), *(tuple(map(text, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
