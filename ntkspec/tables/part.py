"""A selection of one group of a table, checked before anything is read or written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.files.chunks import runs
from ntkspec.tables.choice import Choice, chosen

if TYPE_CHECKING:
    from ntkspec.spectra.table import TableSlice
    from ntkspec.tables.table import Table

__all__ = ["Part"]

#: Rows of a chunk, and entries read in one step.
CHUNK_ROWS, PIECE = 64, 2**18


class Part:
    """Some dimensions and degrees of a group.

    Attributes
    ----------
    table : Table
    name : str
        Of the group.
    key : GroupKey
    dims, degrees : int64 arrays

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     [part] = table.parts("tanh", dim=3, degrees=[1, 11])
    ...     part.name, part.read().eigenvalues.shape
    ('tanh', (1, 2))
    """

    def __init__(self, table: Table, name: str, dim: Choice, degrees: Choice) -> None:
        self.table, self.name, self.key = table, name, table.key(name)
        self._rows, self.dims = chosen(table.dims(name), dim, "dim")
        _, self.degrees = chosen(table.degrees(name), degrees, "degree")

    @property
    def relative_error(self) -> NDArray[np.float64]:
        """Bound on the relative error in each dimension."""
        return self.table.relative_error(self.name)[self._rows]

    def read(self) -> TableSlice:
        """Read the whole part."""
        return self.table.select(self.name, self.dims, self.degrees)

    def pieces(self) -> Iterator[tuple[slice, TableSlice]]:
        """Read some rows at a time: their places in `dims`, and the slice."""
        step = CHUNK_ROWS * max(1, PIECE // (CHUNK_ROWS * self.degrees.size))
        for rows in runs(self._rows, step):
            yield rows, self.table.select(self.name, self.dims[rows], self.degrees)
