"""The plan: a recipe's (network, dimension, degree) space cut into blocks of bounded size."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, overload

import numpy as np

from ntkspec.domains import Sphere, last_degrees
from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.sweeps.recipe import Recipe
from ntkspec.tables.layout import GroupKey

__all__ = ["BYTES", "NAME", "BlockKey", "Plan", "chunk_shape"]

#: Largest rows and columns of a chunk in HDF5: 128 KiB are fast to read by row and by column.
CHUNK_ROWS, CHUNK_COLUMNS = 64, 256
MOST_EIGENVALUES = 10**13
#: Names of blocks: those of their files without the suffix.
NAME = re.compile(r"n([0-9]{3,})-r([0-9]{7,})-([0-9]{7,})-c([0-9]{6,})-([0-9]{6,})")
#: Blocks off the sphere, if there are as many dimensions.
SPREAD = 64
BYTES = 16  # of an eigenvalue and its logarithm


@dataclass(frozen=True)
class BlockKey:
    """One block of a network: half-open ranges of indices into the recipe's dims and degrees."""

    network: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def name(self) -> str:
        """Name of the block's file, without the suffix."""
        (r0, r1), (c0, c1) = self.rows, self.columns
        return f"n{self.network:03d}-r{r0:07d}-{r1:07d}-c{c0:06d}-{c1:06d}"

    @classmethod
    def from_name(cls, name: str) -> BlockKey | None:
        """Parse the name of a block's file, without the suffix; None if it is not one."""
        found = NAME.fullmatch(name)
        if found is None:
            return None
        n, r0, r1, c0, c1 = (int(part) for part in found.groups())
        return cls(n, (r0, r1), (c0, c1))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of dimensions and degrees."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def size(self) -> int:
        """Number of eigenvalues."""
        return self.shape[0] * self.shape[1]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes that identify the block in its file."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """Division of one network's part of the table into blocks of whole chunks."""

    dims: int
    degrees: int
    block: tuple[int, int]
    chunk: tuple[int, int]

    @property
    def counts(self) -> tuple[int, int]:
        """Blocks along the dimensions and along the degrees."""
        return -(-self.dims // self.block[0]), -(-self.degrees // self.block[1])

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunks along the dimensions and along the degrees."""
        return -(-self.dims // self.chunk[0]), -(-self.degrees // self.chunk[1])

    def key(self, network: int, number: int) -> BlockKey:
        """Return the block with a number, counted row by row."""
        down, across = divmod(number, self.counts[1])
        row, column = down * self.block[0], across * self.block[1]
        return BlockKey(
            network,
            (row, min(row + self.block[0], self.dims)),
            (column, min(column + self.block[1], self.degrees)),
        )


class Plan(Sequence[BlockKey]):
    r"""The blocks of a recipe by number, made on demand.

    Parameters
    ----------
    recipe : Recipe

    Raises
    ------
    NtkspecError
        When the table would be too large.

    Examples
    --------
    >>> from ntkspec.sweeps.recipe import parse_recipe
    >>> text = 'dims = "2:100"\ndegrees = "0:50"\nblock_eigenvalues = 3200'
    >>> plan = Plan(parse_recipe(text + '\nnetworks = [{activation = "relu"}]'))
    >>> len(plan), [block.rows for block in plan]
    (2, [(0, 49), (49, 98)])
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        #: Numbers in the arrays, with those for degrees that a domain does not have.
        self.entries = len(recipe.networks) * recipe.dims.size * recipe.degrees.size
        if self.entries > MOST_EIGENVALUES:
            raise NtkspecError(
                f"the table would have {self.entries:.3g} eigenvalues, "
                f"{self.bytes / 1e9:.3g} GB; at most {MOST_EIGENVALUES:.0e} are allowed"
            )

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """Division of each network's part of the table."""
        recipe = self.recipe
        shape, most = (recipe.dims.size, recipe.degrees.size), recipe.block_eigenvalues
        return tuple(_grid(*shape, most, *_costs(key, shape[0])) for key in recipe.networks)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(math.prod(grid.counts) for grid in self.grids)]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, number: int) -> BlockKey: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[BlockKey]: ...
    def __getitem__(self, number: int | slice) -> BlockKey | Sequence[BlockKey]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        network = next(n for n, stop in enumerate(self._starts[1:]) if number < stop)
        return self.grids[network].key(network, number - self._starts[network])

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, BlockKey) or not 0 <= key.network < len(self.grids):
            return False
        grid = self.grids[key.network]
        down, across = key.rows[0] // grid.block[0], key.columns[0] // grid.block[1]
        inside = down < grid.counts[0] and across < grid.counts[1]
        return inside and grid.key(key.network, down * grid.counts[1] + across) == key

    def of_network(self, network: int) -> range:
        """Numbers of a network's blocks."""
        return range(self._starts[network], self._starts[network + 1])

    def share(self, index: int, count: int) -> Iterator[BlockKey]:
        """Blocks of one of several shards; its index counts from 0."""
        return (self[i] for i in range(index, len(self), count))

    @property
    def bytes(self) -> int:
        """Bytes of all eigenvalues and their logarithms, uncompressed."""
        return BYTES * self.entries

    @property
    def eigenvalues(self) -> int:
        """Number of eigenvalues."""
        dims, degrees = self.recipe.dims, self.recipe.degrees
        domains = Counter(key.domain for key in self.recipe.networks)
        return sum(
            count * int(np.searchsorted(degrees, last_degrees(domain, dims), "right").sum())
            for domain, count in domains.items()
        )


def chunk_shape(dims: int, degrees: int) -> tuple[int, int]:
    """Shape of nearly equal chunks that extend little beyond the table.

    Examples
    --------
    >>> chunk_shape(255, 2049)
    (64, 228)
    """
    return _part(dims, CHUNK_ROWS), _part(degrees, CHUNK_COLUMNS)


def _costs(key: GroupKey, dims: int) -> tuple[bool, int]:
    """Whether requested degrees alone cost time, and the most dimensions of a block.

    Off the sphere every dimension is a spectrum of its own: they are spread over many blocks.
    """
    if key.domain != Sphere.name:
        return False, -(-dims // SPREAD)
    from ntkspec.spectra.sphere_routes import row_provider

    return row_provider(key.network, key.kernel).degrees_alone, dims


def _grid(dims: int, degrees: int, most: int, degrees_alone: bool, most_rows: int) -> Grid:
    """Cut a plane of dimensions and degrees.

    Each block computes its own top rows and tail columns.  If their cost is proportional to their
    length, blocks are nearly square; if lower degrees cost as much as the requested ones, all
    degrees are put into one block if they fit.
    """
    side = max(1, math.isqrt(most))
    if degrees <= side or not degrees_alone:
        columns = min(degrees, most)
        rows = min(most // columns, most_rows)
    elif dims <= side:
        rows, columns = dims, most // dims
    else:
        rows = columns = side
    whole = chunk_shape(dims, degrees)
    chunk = (min(rows, whole[0]), min(columns, whole[1]))
    block = (_even(dims, rows, chunk[0]), _even(degrees, columns, chunk[1]))
    return Grid(dims, degrees, block, chunk)


def _part(whole: int, most: int) -> int:
    """Length of the equal parts, none longer than `most`, that cover the whole."""
    return -(-whole // -(-whole // most))


def _even(whole: int, most: int, unit: int) -> int:
    """Length of nearly equal parts of whole units, none longer than `most`."""
    if most < whole:
        whole = _part(whole, most // unit * unit)
    return -(-whole // unit) * unit
