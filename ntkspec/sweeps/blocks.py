"""Blocks: computed independently, each stored in its own file or in its place in the table's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ntkspec.errors import TableError
from ntkspec.files.appearing import appearing_hdf5, check_part
from ntkspec.files.chunks import ChunkedReader
from ntkspec.files.seals import Numbers
from ntkspec.files.structure import opened
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.stored import BlockData, Stored, check_belongs, identity
from ntkspec.sweeps.target import check_placed, has_record, read_placed, record_path, write_placed
from ntkspec.tables.layout import NUMBERS, storage

__all__ = [
    "Ensured",
    "block_path",
    "check_block",
    "compute_block",
    "ensure_block",
    "ensure_placed",
    "find_block",
    "read_block",
    "write_block",
]

FORMAT = "ntkspec-block"
#: Overhead of HDF5 in bytes: for the file, and for each chunk.
HEAD, ENTRY = 2**15, 320


@dataclass(frozen=True)
class Ensured:
    """Result of the task of a block, small enough to travel through the scheduler."""

    stored: Stored
    computed: bool
    damaged: str = ""


def block_path(folder: Path, key: BlockKey) -> Path:
    """Name of a block's file."""
    return folder / f"{key.name}.h5"


def compute_block(plan: Plan, key: BlockKey, folder: Path) -> str:
    """Compute a block and write its file; return its checksum."""
    return write_block(plan, key, folder, BlockData.computed(plan, key)).checksum


def ensure_block(plan: Plan, key: BlockKey, folder: Path) -> Ensured:
    """Verify the file of a block, or write it if it is missing or damaged."""
    return _ensured(plan, key, folder, FILE)


def ensure_placed(plan: Plan, key: BlockKey, folder: Path) -> Ensured:
    """Verify a block in the table's file, or write it there if it is missing or damaged."""
    return _ensured(plan, key, folder, PLACE)


def _ensured(plan: Plan, key: BlockKey, folder: Path, wanted: _Store) -> Ensured:
    found = find_block(plan, key, folder, wanted is PLACE)
    if isinstance(found, Stored):
        return Ensured(found, computed=False)
    stored = wanted.write(plan, key, folder, BlockData.computed(plan, key))
    return Ensured(stored, computed=True, damaged=str(found or ""))


def find_block(plan: Plan, key: BlockKey, folder: Path, placed: bool) -> Stored | TableError | None:
    """Verify a block, in the table's file or in its own; copy it if only the other has it.

    Returns the error if it is damaged, and None if it is missing.
    """
    wanted, other = (PLACE, FILE) if placed else (FILE, PLACE)
    check_part(wanted.path(folder, key))
    damaged: TableError | None = None
    if wanted.has(folder, key):
        try:
            return wanted.check(plan, key, folder)
        except TableError as error:
            damaged = error
    if other.has(folder, key):
        try:
            data = other.read(plan, key, folder)
        except TableError as error:
            return damaged or error
        return wanted.write(plan, key, folder, data)
    return damaged


def read_block(plan: Plan, key: BlockKey, folder: Path) -> BlockData:
    """Read a block from its file, or from the table's."""
    if PLACE.has(folder, key):
        try:
            return PLACE.read(plan, key, folder)
        except TableError:
            if not FILE.has(folder, key):
                raise
    return FILE.read(plan, key, folder)


# --- files of blocks -----------------------------------------------------------------------------


def write_block(plan: Plan, key: BlockKey, folder: Path, data: BlockData) -> Stored:
    """Write the file of a block."""
    chunk, compression = plan.grids[key.network].chunk, plan.recipe.compression
    checksum, error = data.checksum, data.relative_error
    path, numbers = block_path(folder, key), Numbers(list(NUMBERS))
    with appearing_hdf5(path, _bytes(key, chunk), numbers, follow=False) as file:
        file.attrs.update(identity(plan, key) | {"format": FORMAT, "checksum": checksum})
        for name in NUMBERS:
            if compression == "none":
                smaller = (min(chunk[0], key.shape[0]), min(chunk[1], key.shape[1]))
                file.create_dataset(name, key.shape, "f8", chunks=smaller, **storage(compression))
                numbers.contents[name] = getattr(data, name)
            else:
                # No maximal shape, so that the chunks at the table's end are as large as others.
                file.create_dataset(
                    name, data=getattr(data, name), chunks=chunk, maxshape=(None, None),
                    **storage(compression),
                )  # fmt: skip
        file.create_dataset("relative_error", data=error, fletcher32=True)
        del data  # `numbers` has what is still to be written
    return Stored(error, checksum, seal=numbers.fingerprint)


def _bytes(key: BlockKey, chunk: tuple[int, int]) -> int:
    """Bound on the size of a block's file."""
    count = -(-key.shape[0] // chunk[0]) * -(-key.shape[1] // chunk[1])
    return HEAD + 2 * count * (8 * chunk[0] * chunk[1] + ENTRY) + 16 * key.shape[0]


@contextmanager
def _opened_file(
    plan: Plan, key: BlockKey, path: Path
) -> Iterator[tuple[list[ChunkedReader], Stored]]:
    """Open a block's file; yield readers of its numbers and what it says of them."""
    with opened(path, "block", FORMAT) as (file, root):
        said = root.attributes()
        check_belongs(plan, key, said, path)
        root.expect((*NUMBERS, "relative_error"))
        readers = [ChunkedReader(file, name) for name in NUMBERS]
        for reader in readers:
            described = (reader.array.chunk, reader.array.filters)
            name = reader.name
            if reader.array.shape != key.shape or described != root.chunked(name, key.shape):
                raise TableError(f"{path}: the block is damaged ({name} has the wrong shape)")
        bounds = root.read("relative_error", "f8", key.shape[:1])
        yield readers, Stored(bounds, str(said.get("checksum")), seal=file.seal.fingerprint)


def check_block(plan: Plan, key: BlockKey, folder: Path) -> Stored:
    """Compare a block's file with its seal, without unpacking its numbers."""
    with _opened_file(plan, key, block_path(folder, key)) as (readers, stored):
        for reader in readers:
            reader.check()
    return stored


def _read_file(plan: Plan, key: BlockKey, folder: Path) -> BlockData:
    path = block_path(folder, key)
    rows, columns = (np.arange(size) for size in key.shape)
    with _opened_file(plan, key, path) as (readers, stored):
        value, log = np.empty(key.shape), np.empty(key.shape)
        for reader, array in zip(readers, (value, log), strict=True):
            reader.read(rows, columns, array)
    data = BlockData(value, log, stored.relative_error)
    if stored.checksum != data.checksum:
        raise TableError(f"{path}: the block is damaged (wrong checksum)")
    return data


class _Store(NamedTuple):
    """One of the two ways to store blocks."""

    path: Callable[[Path, BlockKey], Path]
    has: Callable[[Path, BlockKey], bool]
    check: Callable[[Plan, BlockKey, Path], Stored]
    read: Callable[[Plan, BlockKey, Path], BlockData]
    write: Callable[[Plan, BlockKey, Path, BlockData], Stored]


def _has_file(folder: Path, key: BlockKey) -> bool:
    return block_path(folder, key).exists()


FILE = _Store(block_path, _has_file, check_block, _read_file, write_block)
PLACE = _Store(record_path, has_record, check_placed, read_placed, write_placed)
