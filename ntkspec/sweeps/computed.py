"""Tables that are not stored: the blocks of a recipe, computed when they are read."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.jobs import provenance
from ntkspec.locks import cached_property
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.recipe import Recipe
from ntkspec.sweeps.stored import BlockData
from ntkspec.tables.layout import BLOCK_TYPE, CHECK_TYPE, FORMAT, FORMAT_VERSION, GroupKey

__all__ = ["ComputedNetwork", "ComputedTable"]

#: Bytes of blocks that are kept; the last one always is.
KEPT = 2**28
#: Most eigenvalues of a network that are computed for their bounds alone.
MOST_BOUNDED = 2**32
#: Most blocks of a network that are listed.
MOST_BLOCKS = 2**22
Array = NDArray[np.float64]


class ComputedTable:
    """The source of a table that is computed from a recipe, block by block.

    The blocks are those of the sweep, so the numbers equal the stored ones to the bit.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.plan = path, Plan(recipe)
        self._places = {key.name: place for place, key in enumerate(recipe.networks)}
        self.names = dict.fromkeys(sorted(self._places))  # in the order of a file
        self.computed = frozenset(self.names)
        self._blocks: OrderedDict[BlockKey, BlockData] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes that a file would have; the time is that of the reading."""
        recipe = self.plan.recipe
        found = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "layout": "computed",
            "compression": recipe.compression,
            "recipe": recipe.text,
        }
        provenance.describe(SimpleNamespace(attrs=found))
        return found

    def facts(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""
        return self.plan.recipe.networks[self._places[name]]

    def network(self, name: str) -> ComputedNetwork:
        """The numbers of a group."""
        return ComputedNetwork(self, name, self._places[name])

    def close(self) -> None:
        """Forget the blocks."""
        with self._lock:
            self._blocks.clear()

    def block(self, key: BlockKey) -> BlockData:
        """Return a block, computed unless it was read a short time ago."""
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        found = BlockData.computed(self.plan, key)
        with self._lock:
            self._blocks[key] = found
            while len(self._blocks) > 1 and 16 * sum(one.size for one in self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        return found


class ComputedNetwork:
    """The numbers of one network of a recipe."""

    def __init__(self, table: ComputedTable, name: str, place: int) -> None:
        recipe = table.plan.recipe
        self.name, self.key = name, recipe.networks[place]
        self.dims, self.degrees = recipe.dims, recipe.degrees
        self.shape = self.dims.size, self.degrees.size
        self._table, self._place = table, place

    @property
    def relative_error(self) -> Array:
        """Bounds (D,) on the relative errors in all dimensions; computes all blocks."""
        if (count := self.dims.size * self.degrees.size) > MOST_BOUNDED:
            raise NtkspecError(
                f"the error bounds of all dimensions of {self.name} come with its {count} "
                "eigenvalues; select some dimensions and degrees, whose relative_error is known"
            )
        error = np.zeros(self.dims.size)
        for key in self._keys():
            mine = error[slice(*key.rows)]
            np.maximum(mine, self._table.block(key).relative_error, out=mine)
        return error

    def _keys(self) -> Iterator[BlockKey]:
        plan = self._table.plan
        return (plan[number] for number in plan.of_network(self._place))

    @cached_property
    def blocks(self) -> NDArray[Any]:
        """Rectangles that are computed together; without checksums, because none is stored."""
        grid = self._table.plan.grids[self._place]
        if (count := math.prod(grid.counts)) > MOST_BLOCKS:
            raise NtkspecError(
                f"{self.name} has {count} blocks, too many to list; a larger block_eigenvalues in "
                "the recipe makes fewer"
            )
        found = np.zeros(grid.counts, BLOCK_TYPE)
        found["file"] = ""
        for axis, (start, end) in enumerate((("row", "row_end"), ("column", "column_end"))):
            step, size = grid.block[axis], self.shape[axis]
            starts = np.arange(0, size, step).reshape((-1, 1) if axis == 0 else (1, -1))
            found[start], found[end] = starts, np.minimum(starts + step, size)
        return found.ravel()

    def numbers(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> tuple[Array, Array, Array]:
        """Eigenvalues, logarithms and bounds of some rows and columns.

        The bounds are the largest of the blocks that are read.
        """
        value, log = np.empty((rows.size, columns.size)), np.empty((rows.size, columns.size))
        error = np.zeros(rows.size)
        grid = self._table.plan.grids[self._place]
        across = list(_shared(columns, grid.block[1]))
        for down, i in _shared(rows, grid.block[0]):
            for over, j in across:
                key = grid.key(self._place, down * grid.counts[1] + over)
                block = self._table.block(key)
                mine = rows[i] - key.rows[0]
                at, to = np.ix_(mine, columns[j] - key.columns[0]), np.ix_(i, j)
                value[to], log[to] = block.eigenvalue[at], block.log_eigenvalue[at]
                error[i] = np.maximum(error[i], block.relative_error[mine])
        return value, log, error

    def checks(self) -> NDArray[Any]:
        """No entries: a sweep checks those that it stores."""
        return np.empty(0, CHECK_TYPE)

    def verify(self) -> None:
        """Do nothing: there are no stored numbers that could be damaged."""


def _shared(places: NDArray[np.int64], size: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Numbers of the parts of a size that hold some of the places, and which of them."""
    part = places // size
    for number in np.unique(part).tolist():
        yield number, np.flatnonzero(part == number)
