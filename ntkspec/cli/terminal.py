"""Text tables on the standard output."""

from __future__ import annotations

import math
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ntkspec.files.text import printable

__all__ = ["Grid", "console", "number"]

#: Width of a table in characters if the output is not a terminal.
WIDTH = 200


def console() -> Console:
    """Return the standard output; if it is not a terminal, tables keep their full width."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH)


class Grid(Table):
    """A table of plain text: cells are not parsed for rich's markup or control sequences."""

    def add_row(self, *cells: str, **options: Any) -> None:  # type: ignore[override]
        """Add a row."""
        super().add_row(*(Text(printable(cell)) for cell in cells), **options)


def number(value: float, form: str = ".4g") -> str:
    """Format a number for a table; empty for None."""
    return "" if math.isnan(value) else format(value, form)
