"""The file that becomes a single, uncompressed table: workers write blocks into their places.

The target is in the folder of the sweep's parts.  Its chunks have their places from the start, and
any process may write a block's chunks.  The journal is one record for each block that is on the
disk, with the checksums of its chunks; the record of an unfinished block is empty or missing.
Structure and seal of the table are written over the target at the end, when it gets its name.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import TableError
from ntkspec.files.appearing import (
    appearing_hdf5,
    check_part,
    waiting_for_disk,
    write_whole,
    writing,
)
from ntkspec.files.inputs import opened_regular
from ntkspec.files.placed import Placed, write_all
from ntkspec.files.records import read_record, record
from ntkspec.files.seals import Chunked, first_offset
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.stored import BlockData, Stored, check_belongs, identity
from ntkspec.tables.layout import NUMBERS, storage

__all__ = [
    "OFFSETS",
    "TARGET",
    "begin_target",
    "check_offsets",
    "check_placed",
    "create_numbers",
    "has_record",
    "is_placed",
    "read_placed",
    "record_path",
    "write_placed",
]

#: Names of the target and of the record of its arrays' offsets.
TARGET, OFFSETS = "ntkspec-table.h5", "ntkspec-offsets.json"
#: Largest records, in bytes: of the offsets, and of a block.
MOST_OFFSETS, MOST_RECORD = 2**26, 2**28
#: Disk for the target's structure before it has numbers.
HEAD = 2**20


def is_placed(plan: Plan, layout: str) -> bool:
    """Whether the blocks of a table are written into its own file."""
    return layout == "single" and plan.recipe.compression == "none"


def record_path(folder: Path, key: BlockKey) -> Path:
    """Name of the record of a block that is in the target."""
    return folder / f"{key.name}.json"


# --- the target ----------------------------------------------------------------------------------


def create_numbers(file: h5py.File, plan: Plan) -> None:
    """Create the groups of a single table with their arrays of numbers, before anything else."""
    recipe = plan.recipe
    for key, grid in zip(recipe.networks, plan.grids, strict=True):
        group = file.create_group(key.name)
        for name in NUMBERS:
            group.create_dataset(
                name, (grid.dims, grid.degrees), "f8", chunks=grid.chunk,
                **storage(recipe.compression),
            )  # fmt: skip


def begin_target(plan: Plan, folder: Path) -> None:
    """Make the target, unless an earlier run has left it.

    Its offsets depend on the recipe and on HDF5; those of another version are not used.
    """
    path = folder / TARGET
    for own in (path, folder / OFFSETS):
        check_part(own)
    with suppress(TableError):
        if path.exists() and _said(folder)["made_by"] == _made_by(plan):
            return
    with appearing_hdf5(path, HEAD, follow=False) as file:
        create_numbers(file, plan)
        offsets = _offsets(file, plan)
    write_whole(
        folder / OFFSETS, record({"made_by": _made_by(plan), "offsets": offsets}), follow=False
    )


def check_offsets(plan: Plan, folder: Path, file: h5py.File) -> None:
    """Raise unless the numbers of a file, as it is created, have the offsets of the target."""
    if _offsets(file, plan) != _said(folder)["offsets"]:
        raise TableError(
            f"{folder / TARGET} was made by another version of HDF5; `ntkspec sweep --restart` "
            "makes it again"
        )


def _made_by(plan: Plan) -> list[str]:
    return [plan.recipe.digest, h5py.version.version, h5py.version.hdf5_version]


def _offsets(file: h5py.File, plan: Plan) -> list[list[int]]:
    """Offset of each network's arrays."""
    file.flush()
    groups = (file[key.name] for key in plan.recipe.networks)
    return [[first_offset(group[name]) for name in NUMBERS] for group in groups]


def _said(folder: Path) -> dict[str, Any]:
    """The record of the offsets, read again only when it has changed."""
    path = folder / OFFSETS
    try:
        about = path.stat()
    except FileNotFoundError:
        raise TableError(f"{path} is missing") from None
    return _read_offsets(path, about.st_ino, about.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_offsets(path: Path, inode: int, modified: int) -> dict[str, Any]:
    return read_record(path, "record", MOST_OFFSETS)


def _places(plan: Plan, key: BlockKey, folder: Path) -> list[Placed]:
    """Places of the arrays of a block's network in the target."""
    grid = plan.grids[key.network]
    array = Chunked(0, (grid.dims, grid.degrees), grid.chunk, ())
    return [Placed(offset, array) for offset in _said(folder)["offsets"][key.network]]


# --- blocks --------------------------------------------------------------------------------------


def write_placed(plan: Plan, key: BlockKey, folder: Path, data: BlockData) -> Stored:
    """Write a block into the target, flush it, and then write its record.

    A process that was thought lost may still be writing the same block; the first to finish keeps
    its numbers.
    """
    path = record_path(folder, key)
    with writing(path), _claimed(path) as journal:
        if os.fstat(journal).st_size:
            with suppress(TableError):
                return check_placed(plan, key, folder)
        os.ftruncate(journal, 0)
        corner, checksum, error = (key.rows[0], key.columns[0]), data.checksum, data.relative_error
        with _opened(folder / TARGET) as handle:
            digests = tuple(
                place.write(handle, corner, getattr(data, name))
                for place, name in zip(_places(plan, key, folder), NUMBERS, strict=True)
            )
            del data  # the next block, which begins now, takes its memory
            waiting_for_disk.get()()
            os.fsync(handle)
        stored = Stored(error, checksum, digests=digests)
        write_all(journal, _text(plan, key, stored).encode(), 0)
    return stored


def has_record(folder: Path, key: BlockKey) -> bool:
    """Whether the target has a finished block, according to its record."""
    try:
        return record_path(folder, key).stat().st_size > 0
    except OSError:
        return False


def read_placed(plan: Plan, key: BlockKey, folder: Path) -> BlockData:
    """Read a block from the target, and compare it with its record."""
    return _read(plan, key, folder)[0]


def check_placed(plan: Plan, key: BlockKey, folder: Path) -> Stored:
    """Compare a block in the target with its record."""
    return _read(plan, key, folder)[1]


def _read(plan: Plan, key: BlockKey, folder: Path) -> tuple[BlockData, Stored]:
    stored = _stored(plan, key, record_path(folder, key))
    arrays = value, log = np.empty(key.shape), np.empty(key.shape)
    corner = key.rows[0], key.columns[0]
    handle = opened_regular(folder / TARGET, "table")
    try:
        same = all(
            place.read(handle, corner, array, digests)
            for place, array, digests in zip(
                _places(plan, key, folder), arrays, stored.digests, strict=True
            )
        )
    finally:
        os.close(handle)
    if not same:
        raise TableError(
            f"{folder / TARGET}: the block {key.name} is damaged (wrong checksum of a chunk)"
        )
    return BlockData(value, log, stored.relative_error), stored


@contextmanager
def _claimed(path: Path) -> Iterator[int]:
    """Open the record of a block, and wait while another process writes the block."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    try:
        with suppress(OSError):  # where the file system has no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the target to write.

    Not to read as well: a network file system would then read a page before a part of it is
    written, and write it back with the old numbers of a neighbour.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run the same command again") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _text(plan: Plan, key: BlockKey, stored: Stored) -> str:
    arrays = {
        "relative_error": stored.relative_error.tobytes().hex(),
        "digests": [digests.tobytes().hex() for digests in stored.digests],
    }
    return record(identity(plan, key) | {"numbers": stored.checksum} | arrays)


def _stored(plan: Plan, key: BlockKey, path: Path) -> Stored:
    said = read_record(path, "record", MOST_RECORD)
    check_belongs(plan, key, said, path)
    chunk = plan.grids[key.network].chunk
    counts = tuple(-(-size // step) for size, step in zip(key.shape, chunk, strict=True))

    def array(text: str, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.frombuffer(bytes.fromhex(text), kind).reshape(shape)

    return Stored(
        array(said["relative_error"], np.float64, key.shape[:1]),
        said["numbers"],
        digests=tuple(array(text, np.uint64, counts) for text in said["digests"]),
    )
