"""The plan: a recipe's (network, dimension, degree) space cut into blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.sweeps.recipe import Recipe

__all__ = ["BlockKey", "blocks", "check_size"]

#: Rows of a block when they are many: whole chunks of the table.
CHUNK_ROWS = 32
MOST_EIGENVALUES = 10**10


@dataclass(frozen=True)
class BlockKey:
    """One block: rows and columns of one network's part of the table.

    Attributes
    ----------
    network : int
        Its place in the recipe.
    rows, columns : (int, int)
        Half-open ranges of places in the recipe's dims and degrees.
    """

    network: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def name(self) -> str:
        """Name of the block's file, without its ending."""
        (r0, r1), (c0, c1) = self.rows, self.columns
        return f"n{self.network:03d}-r{r0:07d}-{r1:07d}-c{c0:06d}-{c1:06d}"

    @property
    def size(self) -> int:
        """Number of eigenvalues."""
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])

    def as_dict(self) -> dict[str, Any]:
        """Return what identifies the block, for its file."""
        return asdict(self)


def check_size(recipe: Recipe) -> int:
    """Return the table's number of eigenvalues, or raise NtkspecError where it is too large."""
    total = len(recipe.networks) * recipe.dims.size * recipe.degrees.size
    if total > MOST_EIGENVALUES:
        raise NtkspecError(
            f"the table would hold {total:.3g} eigenvalues, {16 * total / 1e9:.3g} GB; "
            f"at most {MOST_EIGENVALUES:.0e} are allowed"
        )
    return total


def blocks(recipe: Recipe) -> Iterator[BlockKey]:
    r"""Cut the table into blocks, all degrees in one where they fit.

    A block computes its own top rows and tail columns, so many rows and all degrees make the
    least work; whole multiples of 32 rows write whole chunks of the table.

    Examples
    --------
    >>> from ntkspec.sweeps.recipe import parse_recipe
    >>> text = 'dims = "2:100"\ndegrees = "0:50"\nblock_eigenvalues = 3200'
    >>> recipe = parse_recipe(text + '\nnetworks = [{activation = "relu"}]')
    >>> [block.rows for block in blocks(recipe)]
    [(0, 64), (64, 98)]
    """
    columns = min(recipe.degrees.size, recipe.block_eigenvalues)
    rows = max(1, recipe.block_eigenvalues // columns)
    if rows > CHUNK_ROWS:
        rows -= rows % CHUNK_ROWS
    for network in range(len(recipe.networks)):
        for row in range(0, recipe.dims.size, rows):
            for column in range(0, recipe.degrees.size, columns):
                yield BlockKey(
                    network,
                    (row, min(row + rows, recipe.dims.size)),
                    (column, min(column + columns, recipe.degrees.size)),
                )
