"""Assembly of blocks into a table (HDF5, format version 3), as a single or a virtual file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5, followed
from ntkspec.files.seals import Digests, Numbers, SealedFile, filters_of, may_be
from ntkspec.jobs import provenance
from ntkspec.sweeps.blocks import block_path
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.stored import Stored
from ntkspec.sweeps.target import TARGET, check_offsets, create_numbers, is_placed
from ntkspec.tables.atlas import source_digest
from ntkspec.tables.layout import (
    BLOCK_TYPE,
    CHECK_TYPE,
    FORMAT,
    FORMAT_VERSION,
    NUMBERS,
    create_axes,
    describe_numbers,
)
from ntkspec.verification import Check

__all__ = [
    "Layout",
    "Ledger",
    "assemble",
    "check_layout",
    "check_replaceable",
    "describe",
    "finish_group",
]

Layout = Literal["single", "virtual"]
#: Blocks of a network with their checksums and the fingerprints of their seals.
Blocks = Sequence[tuple[BlockKey, str, str]]
#: Bytes of a table in addition to the numbers: of the file, of a network, of a block.
HEAD, GROUP_HEAD, BLOCK_ENTRY = 2**20, 2**16, 512
#: Rows of a group's `blocks`.
Places = list[tuple[int, int, int, int, str, str, str]]


def check_layout(layout: str, out: Path | None = None) -> Layout:
    """Return the layout if it is allowed for a table of this name."""
    if layout not in get_args(Layout):
        raise NtkspecError(f"layout = {layout!r} is not allowed; use 'single' or 'virtual'")
    if layout == "virtual" and out is not None:
        name = followed(out).name
        try:
            name.encode()
        except UnicodeEncodeError:
            raise NtkspecError(
                f"output = {name!r} is not allowed for a virtual table, which stores the names of "
                "its block files in UTF-8; give another name"
            ) from None
    return layout  # type: ignore[return-value]


def check_replaceable(out: Path) -> None:
    """Raise TableError if an existing file is not a table, complete or damaged."""
    target = followed(out)
    if target.exists() and not may_be(target, FORMAT):
        raise TableError(f"{out} exists and is not a table; give another name, or remove it first")


class Ledger:
    """What a table records of its blocks, collected in any order."""

    def __init__(self, plan: Plan) -> None:
        recipe, self._plan = plan.recipe, plan
        self._places: list[list[tuple[int, int, int, int, str, str]]] = [[] for _ in plan.grids]
        #: Bounds on the relative errors; where several blocks cover the same rows, the largest.
        self.relative_error = np.zeros((len(plan.grids), recipe.dims.size))
        #: Checksums of the chunks of each network's arrays, where blocks are in the table's file.
        self.digests: dict[tuple[int, str], Digests] = {}

    def note(self, key: BlockKey, stored: Stored) -> None:
        """Add a block."""
        mine = self.relative_error[key.network, slice(*key.rows)]
        np.maximum(mine, stored.relative_error, out=mine)
        self._places[key.network].append((*key.rows, *key.columns, stored.checksum, stored.seal))
        grid = self._plan.grids[key.network]
        for name, digests in zip(NUMBERS, stored.digests, strict=False):
            place = (key.network, name)
            if place not in self.digests:
                self.digests[place] = np.zeros(grid.chunks, np.uint64)
            top, left = key.rows[0] // grid.chunk[0], key.columns[0] // grid.chunk[1]
            down, across = digests.shape
            self.digests[place][top : top + down, left : left + across] = digests

    def blocks(self, network: int) -> Iterator[tuple[BlockKey, str, str]]:
        """Blocks of a network in order, with their checksums and seals; raise if some lack."""
        if len(self._places[network]) != len(self._plan.of_network(network)):
            raise TableError(f"blocks of {self._plan.recipe.networks[network].name} are missing")
        for top, bottom, left, right, checksum, seal in sorted(self._places[network]):
            yield BlockKey(network, (top, bottom), (left, right)), checksum, seal


def assemble(
    plan: Plan,
    ledger: Ledger,
    checks: dict[int, list[Check]],
    folder: Path,
    out: Path,
    layout: Layout = "single",
) -> None:
    """Write the table under a temporary name, and rename it.

    Blocks that are in the table's file stay where they are.  Compressed chunks are copied as they
    are stored, without unpacking.
    """
    recipe, placed = plan.recipe, is_placed(plan, layout)
    size = HEAD + sum(_group_bytes(plan, n) for n in range(len(recipe.networks)))
    if layout == "single" and not placed:
        size += _stored_bytes(plan, folder)
    numbers = Numbers()
    over = folder / TARGET if placed else None
    with appearing_hdf5(out, size, numbers, over=over) as file:
        if layout == "single":
            create_numbers(file, plan)
        if placed:
            check_offsets(plan, folder, file)
        describe(file, layout, recipe.compression)
        file.attrs["recipe"] = recipe.text
        file.attrs["recipe_digest"] = recipe.digest
        file.attrs["code_digest"] = code_digest()
        file.attrs["source_digest"] = source_digest()
        for n, key in enumerate(recipe.networks):
            group = file.require_group(key.name)
            create_axes(group, key, recipe.dims, recipe.degrees)
            blocks = list(ledger.blocks(n))
            sources = [""] * len(blocks)
            if layout == "virtual":
                sources = _refer(plan, blocks, folder, group, out)
            else:
                for name in NUMBERS:
                    called = f"{key.name}/{name}"
                    numbers.names.append(called)
                    numbers.digests[called] = (
                        ledger.digests[n, name]
                        if placed
                        else _copy(plan, blocks, folder, group[name])
                    )
            places = [
                (*block.rows, *block.columns, checksum, source, seal if source else "")
                for (block, checksum, seal), source in zip(blocks, sources, strict=True)
            ]
            finish_group(group, places, ledger.relative_error[n], _check_rows(checks.get(n, [])))


def describe(file: h5py.File, layout: Layout, compression: str) -> None:
    """Write the attributes of a table: format and provenance."""
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["layout"] = layout
    file.attrs["compression"] = compression
    provenance.describe(file)


def finish_group(
    group: h5py.Group, places: Places, error: NDArray[np.float64], checks: list[tuple[Any, ...]]
) -> None:
    """Write a network's blocks, bounds and checks."""
    group.create_dataset("relative_error", data=error, fletcher32=True)
    describe_numbers(group)
    for name, scale, rows, kind in (
        ("blocks", "block", places, BLOCK_TYPE),
        ("checks", "check", checks, CHECK_TYPE),
    ):
        group.create_dataset(name, data=np.array(rows, dtype=kind))
        # Readers of netCDF4 want a dimension for every axis.
        group[scale] = np.arange(len(rows))
        group[scale].make_scale(scale)
        group[name].dims[0].attach_scale(group[scale])


def _check_rows(checks: Sequence[Check]) -> list[tuple[Any, ...]]:
    return [(c.dim, c.degree, c.reference, c.relative_error, c.method) for c in checks]


def _copy(plan: Plan, blocks: Blocks, folder: Path, target: h5py.Dataset) -> Digests:
    """Copy the stored chunks of a network's blocks; return their checksums, once verified."""
    name = target.name.rpartition("/")[2]
    grid = plan.grids[blocks[0][0].network]
    filters = filters_of(target.id.get_create_plist())
    digests = np.zeros(grid.chunks, np.uint64)
    for key, _, seal in blocks:
        with SealedFile(block_path(folder, key), "block") as file:
            array = file.seal.array(name)
            if file.seal.fingerprint != seal or array is None:
                raise TableError(f"{file.path}: the block is damaged (it has changed)")
            if array.chunk != target.chunks or array.filters != filters:
                raise TableError(
                    f"{file.path}: the block is damaged (it is compressed differently)"
                )
            for place, (row, column) in enumerate(np.ndindex(array.grid)):
                stored, mask, digest = file.stored(array.first + place, name)
                to = (key.rows[0] + row * grid.chunk[0], key.columns[0] + column * grid.chunk[1])
                target.id.write_direct_chunk(to, stored, mask)
                digests[to[0] // grid.chunk[0], to[1] // grid.chunk[1]] = digest
    return digests


def _refer(plan: Plan, blocks: Blocks, folder: Path, group: h5py.Group, out: Path) -> list[str]:
    """Make the group's numbers virtual datasets over the files of its blocks; return the files."""
    beside = Path(os.path.relpath(folder, followed(out).parent))
    files = [block_path(beside, key).as_posix() for key, _, _ in blocks]
    for name in NUMBERS:
        layout = h5py.VirtualLayout((plan.recipe.dims.size, plan.recipe.degrees.size), "f8")
        for (key, _, _), file in zip(blocks, files, strict=True):
            source = h5py.VirtualSource(file, name, key.shape, "f8")
            layout[slice(*key.rows), slice(*key.columns)] = source
        # A missing block file must not read as zeros.
        group.create_virtual_dataset(name, layout, fillvalue=np.nan)
    return files


def _group_bytes(plan: Plan, network: int) -> int:
    """Bound on the size of a network without its numbers."""
    recipe = plan.recipe
    axes = 64 * (recipe.dims.size + recipe.degrees.size)
    return (
        GROUP_HEAD + axes + BLOCK_ENTRY * len(plan.of_network(network)) + 2048 * recipe.checks.most
    )


def _stored_bytes(plan: Plan, folder: Path) -> int:
    """Bound on the size of the numbers."""
    total = 0
    for key in plan:
        path = block_path(folder, key)
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            raise TableError(f"{path}: the block is missing") from None
    return total
