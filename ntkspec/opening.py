"""Tables in a file, and tables that a recipe describes."""

from __future__ import annotations

import os

from ntkspec.parameters import file_path
from ntkspec.tables.atlas import atlas, atlas_path
from ntkspec.tables.table import Table, open_stored

__all__ = ["open_table"]


def open_table(path: str | os.PathLike[str]) -> Table:
    """Open a table for reading: a file, or a recipe whose numbers are computed when they are read.

    Parameters
    ----------
    path : path
        A table, or a recipe with a name that ends in ``.toml``.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        When the file is missing, damaged, or not a table of format version 3.
    NtkspecError
        When something in a recipe is not allowed.

    Notes
    -----
    A table from a recipe has the numbers that a sweep would store, to the bit.  It computes whole
    blocks of the sweep, and keeps the last ones, at most 256 MB or one block.  It has no checks.

    Examples
    --------
    With a table ``with open_table(path) as table: table.select("tanh", dim=3)`` reads a slice.

    >>> recipe = folder / "large.toml"
    >>> _ = recipe.write_text('''
    ... dims = "2:1000001"
    ... degrees = "0:100001"
    ... networks = [{activation = "relu"}]
    ... ''')
    >>> with open_table(recipe) as table:
    ...     table.size("relu"), table.select("relu", dim=3, degrees=[0, 1, 2]).eigenvalues
    (100000899999, array([[0.0625    , 0.08333333, 0.02734375]]))
    >>> open_table("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    path = file_path(path, "path")
    if path == atlas_path():
        return atlas()
    if path.suffix != ".toml":
        return open_stored(path)
    from ntkspec.sweeps.computed import ComputedTable
    from ntkspec.sweeps.recipe import read_recipe

    return Table(path, ComputedTable(path, read_recipe(path)))
