"""What a table reads from: a file, or a recipe whose blocks are computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ntkspec.tables.layout import GroupKey

__all__ = ["NetworkSource", "TableSource"]

Array = NDArray[np.float64]


class NetworkSource(Protocol):
    """The numbers of one group."""

    name: str
    key: GroupKey
    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]

    @property
    def relative_error(self) -> Array:
        """Bounds (D,) on the relative errors in all dimensions."""

    @property
    def blocks(self) -> NDArray[Any]:
        """Rectangles that are computed together, as `Table.blocks` returns them."""

    def numbers(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> tuple[Array, Array, Array]:
        """Eigenvalues, logarithms and bounds of some rows and columns."""

    def checks(self) -> NDArray[Any]:
        """Entries that were recomputed independently."""

    def verify(self) -> None:
        """Verify the checksums of all numbers."""


class TableSource(Protocol):
    """The groups of a table by name."""

    names: dict[str, None]
    #: Names of the groups whose numbers are computed when they are read.
    computed: frozenset[str]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Format, recipe, versions, time, command."""

    def facts(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""

    def network(self, name: str) -> NetworkSource:
        """The numbers of a group."""

    def close(self) -> None:
        """Release files and memory; further calls do nothing."""
