"""The errors that ntkspec raises."""

from __future__ import annotations

__all__ = ["NtkspecError", "TableError"]


class NtkspecError(ValueError):
    """A parameter that is not allowed: one sentence with its name, value and range."""


class TableError(NtkspecError):
    """A table or block file that is missing, damaged or of another kind."""
