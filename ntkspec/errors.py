"""The errors that ntkspec raises."""

from __future__ import annotations

__all__ = ["NtkspecError", "TableError"]


class NtkspecError(ValueError):
    """A parameter that is not allowed: one sentence with its name, value and range.

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.Network("relu", depth=0)
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: depth = 0 is not allowed; it must be a whole number from 1 to 100
    """


class TableError(NtkspecError):
    """A table or block file that is missing, damaged or of another kind.

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.open_table("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5: there is no such file
    """
