"""Assembly of blocks into a table (HDF5, format version 2), as a single or a virtual file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5, followed
from ntkspec.files.chunks import ChunkedReader
from ntkspec.files.seals import Numbers, filters_of, may_be
from ntkspec.files.structure import Group
from ntkspec.jobs import provenance
from ntkspec.sweeps.blocks import opened_block, read_bounds
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.provenance import code_digest
from ntkspec.tables.atlas import source_digest
from ntkspec.tables.layout import (
    BLOCK_TYPE,
    CHECK_TYPE,
    FORMAT,
    FORMAT_VERSION,
    NUMBERS,
    create_axes,
    describe_numbers,
    storage,
)
from ntkspec.verification import Check

__all__ = [
    "Layout",
    "assemble",
    "check_layout",
    "check_replaceable",
    "describe",
    "finish_group",
]

Layout = Literal["single", "virtual"]
#: A function that returns the file of a block.
Find = Callable[[BlockKey], Path]
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


def assemble(
    plan: Plan,
    checks: dict[int, list[Check]],
    find: Find,
    out: Path,
    layout: Layout = "single",
) -> None:
    """Write the table block by block under a temporary name, and rename it.

    Chunks are copied as they are stored, without unpacking.
    """
    recipe = plan.recipe
    size = HEAD + sum(_group_bytes(plan, n) for n in range(len(recipe.networks)))
    if layout == "single":
        size += _stored_bytes(plan, find)
    numbers = Numbers()
    with appearing_hdf5(out, size, numbers) as file:
        describe(file, layout, recipe.compression)
        file.attrs["recipe"] = recipe.text
        file.attrs["recipe_digest"] = recipe.digest
        file.attrs["code_digest"] = code_digest()
        file.attrs["source_digest"] = source_digest()
        for n, key in enumerate(recipe.networks):
            group = file.create_group(key.name)
            create_axes(group, key, recipe.dims, recipe.degrees)
            if layout == "single":
                places, error = _copy(plan, n, find, group, numbers)
            else:
                places, error = _refer(plan, n, find, group, out)
            finish_group(group, places, error, _check_rows(checks.get(n, [])))


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


def _blocks(
    plan: Plan, network: int, find: Find
) -> Iterator[tuple[BlockKey, dict[str, ChunkedReader], Group, str]]:
    """Blocks of a network with their readers, roots and checksums."""
    for number in plan.of_network(network):
        key = plan[number]
        with opened_block(plan, key, find(key)) as (readers, root, checksum):
            yield key, readers, root, checksum


def _copy(
    plan: Plan, network: int, find: Find, group: h5py.Group, numbers: Numbers
) -> tuple[Places, NDArray[np.float64]]:
    """Copy the chunks of a network's blocks into its group."""
    recipe, chunk = plan.recipe, plan.grids[network].chunk
    shape = (recipe.dims.size, recipe.degrees.size)
    called = {name: f"{group.name.strip('/')}/{name}" for name in NUMBERS}
    numbers.names += called.values()
    for name in NUMBERS:
        group.create_dataset(name, shape, "f8", chunks=chunk, **storage(recipe.compression))
    places: Places = []
    error = np.zeros(shape[0])
    for key, readers, root, checksum in _blocks(plan, network, find):
        for name in NUMBERS:
            _copy_chunks(key, readers[name], group[name], called[name], numbers)
        _raise_bounds(error, key, root)
        places.append((*key.rows, *key.columns, checksum, "", ""))
    return places, error


def _copy_chunks(
    key: BlockKey, reader: ChunkedReader, target: h5py.Dataset, name: str, numbers: Numbers
) -> None:
    """Copy the stored chunks and verify their checksums."""
    array = reader.array
    if array.chunk != target.chunks or array.filters != filters_of(target.id.get_create_plist()):
        raise TableError(f"{reader.file.path}: the block is damaged (it is compressed differently)")
    _, across = array.grid
    for place in range(math.prod(array.grid)):
        stored, mask, digest = reader.file.stored(array.first + place, reader.name)
        row, column = divmod(place, across)
        to = (key.rows[0] + row * array.chunk[0], key.columns[0] + column * array.chunk[1])
        target.id.write_direct_chunk(to, stored, mask)
        numbers.digests[name, to] = digest


def _refer(
    plan: Plan, network: int, find: Find, group: h5py.Group, out: Path
) -> tuple[Places, NDArray[np.float64]]:
    """Make the group's numbers a virtual dataset over the files of its blocks."""
    recipe = plan.recipe
    shape = (recipe.dims.size, recipe.degrees.size)
    layouts = {name: h5py.VirtualLayout(shape, "f8") for name in NUMBERS}
    places: Places = []
    error = np.zeros(shape[0])
    for key, readers, root, checksum in _blocks(plan, network, find):
        where = Path(os.path.relpath(find(key), followed(out).parent)).as_posix()
        for name in NUMBERS:
            source = h5py.VirtualSource(where, name, key.shape, "f8")
            layouts[name][slice(*key.rows), slice(*key.columns)] = source
        _raise_bounds(error, key, root)
        fingerprint = readers[NUMBERS[0]].file.seal.fingerprint
        places.append((*key.rows, *key.columns, checksum, where, fingerprint))
    for name in NUMBERS:
        # A missing block file must not read as zeros.
        group.create_virtual_dataset(name, layouts[name], fillvalue=np.nan)
    return places, error


def _raise_bounds(error: NDArray[np.float64], key: BlockKey, root: Group) -> None:
    """Combine the bounds; where several blocks cover the same rows, the largest counts."""
    mine = slice(*key.rows)
    np.maximum(error[mine], read_bounds(root, key), out=error[mine])


def _group_bytes(plan: Plan, network: int) -> int:
    """Bound on the size of a network without its numbers."""
    recipe = plan.recipe
    axes = 64 * (recipe.dims.size + recipe.degrees.size)
    return (
        GROUP_HEAD + axes + BLOCK_ENTRY * len(plan.of_network(network)) + 2048 * recipe.checks.most
    )


def _stored_bytes(plan: Plan, find: Find) -> int:
    """Bound on the size of the numbers."""
    total = 0
    for key in plan:
        path = find(key)
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            raise TableError(f"{path}: the block is missing") from None
    return total
