"""Blocks: computed independently, each stored in its own file with checksum and key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5, check_part
from ntkspec.files.chunks import ChunkedReader
from ntkspec.files.seals import Numbers
from ntkspec.files.structure import Group, opened
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.provenance import code_digest
from ntkspec.tables.layout import NUMBERS, numbers_checksum, storage

__all__ = [
    "ADVICE",
    "BlockData",
    "Ensured",
    "block_path",
    "compute_block",
    "ensure_block",
    "opened_block",
    "read_block",
    "read_bounds",
]

FORMAT = "ntkspec-block"
#: Advice for blocks of another sweep.
ADVICE = "`ntkspec sweep --restart` removes such blocks and computes them again"
#: Overhead of HDF5 in bytes: for the file, and for each chunk.
HEAD, ENTRY = 2**15, 320


@dataclass(frozen=True)
class BlockData:
    """Arrays of a block: (D, K), (D, K) and (D,)."""

    eigenvalue: NDArray[np.float64]
    log_eigenvalue: NDArray[np.float64]
    relative_error: NDArray[np.float64]

    @property
    def checksum(self) -> str:
        """Checksum of the eigenvalues and their logarithms."""
        return numbers_checksum(self.eigenvalue, self.log_eigenvalue)


@dataclass(frozen=True)
class Ensured:
    """Result of the task of a block, small enough to travel through the scheduler."""

    computed: bool
    damaged: str = ""


def block_path(folder: Path, key: BlockKey) -> Path:
    """Name of a block's file."""
    return folder / f"{key.name}.h5"


def ensure_block(plan: Plan, key: BlockKey, folder: Path) -> Ensured:
    """Verify the file of a block, or compute it if it is missing or damaged."""
    damaged = ""
    check_part(block_path(folder, key))
    if block_path(folder, key).exists():
        try:
            read_block(plan, key, folder)
            return Ensured(computed=False)
        except TableError as error:
            damaged = str(error)
    compute_block(plan, key, folder)
    return Ensured(computed=True, damaged=damaged)


def compute_block(plan: Plan, key: BlockKey, folder: Path) -> str:
    """Compute a block and write its file; return its checksum."""
    from ntkspec.spectra.block import block_numbers

    recipe = plan.recipe
    data = BlockData(*block_numbers(
        *recipe.networks[key.network],
        recipe.dims[slice(*key.rows)],
        recipe.degrees[slice(*key.columns)],
    ))  # fmt: skip
    chunk = plan.grids[key.network].chunk
    attributes = {
        "format": FORMAT,
        "key": json.dumps(key.as_dict()),
        "recipe": recipe.digest,
        "code": code_digest(),
        "checksum": data.checksum,
    }
    path, numbers = block_path(folder, key), Numbers(list(NUMBERS))
    with appearing_hdf5(path, _bytes(key, chunk), numbers, follow=False) as file:
        file.attrs.update(attributes)
        for name in NUMBERS:
            # No maximal shape, so that the chunks at the table's end are as large as the others.
            file.create_dataset(
                name, data=getattr(data, name), chunks=chunk, maxshape=(None, None),
                **storage(recipe.compression),
            )  # fmt: skip
        file.create_dataset("relative_error", data=data.relative_error, fletcher32=True)
    return data.checksum


def _bytes(key: BlockKey, chunk: tuple[int, int]) -> int:
    """Bound on the size of a block's file."""
    count = -(-key.shape[0] // chunk[0]) * -(-key.shape[1] // chunk[1])
    return HEAD + 2 * count * (8 * chunk[0] * chunk[1] + ENTRY) + 16 * key.shape[0]


@contextmanager
def opened_block(
    plan: Plan, key: BlockKey, path: Path
) -> Iterator[tuple[dict[str, ChunkedReader], Group, str]]:
    """Open a block's file; yield readers of its numbers, its root and its recorded checksum."""
    with opened(path, "block", FORMAT) as (file, root):
        checksum = _wanted(plan, key, root, path)
        root.expect((*NUMBERS, "relative_error"))
        readers = {name: ChunkedReader(file, name) for name in NUMBERS}
        for name, reader in readers.items():
            described = (reader.array.chunk, reader.array.filters)
            if reader.array.shape != key.shape or described != root.chunked(name, key.shape):
                raise TableError(f"{path}: the block is damaged ({name} has the wrong shape)")
        yield readers, root, checksum


def _wanted(plan: Plan, key: BlockKey, root: Group, path: Path) -> str:
    """Check that a file belongs to a block; return its recorded checksum."""
    attributes = root.attributes()
    said = {name: str(attributes.get(name)) for name in ("key", "recipe", "code", "checksum")}
    if (said["recipe"], said["code"]) != (plan.recipe.digest, code_digest()):
        what = "recipe" if said["recipe"] != plan.recipe.digest else "version of the code"
        raise NtkspecError(f"{path} was made by another {what}; {ADVICE}")
    if said["key"] != json.dumps(key.as_dict()):
        raise TableError(f"{path}: the block is damaged (it belongs to another block)")
    return said["checksum"]


def read_bounds(root: Group, key: BlockKey) -> NDArray[np.float64]:
    """Read the bounds (D,) on the relative errors of a block."""
    return root.read("relative_error", "f8", key.shape[:1])


def check_block(plan: Plan, key: BlockKey, folder: Path) -> None:
    """Compare a block's file with its seal, without unpacking its numbers."""
    with opened_block(plan, key, block_path(folder, key)) as (readers, root, _):
        for reader in readers.values():
            reader.check()
        read_bounds(root, key)


def read_block(plan: Plan, key: BlockKey, folder: Path) -> BlockData:
    """Read a block's file."""
    path = block_path(folder, key)
    rows, columns = (np.arange(size) for size in key.shape)
    with opened_block(plan, key, path) as (readers, root, checksum):
        value, log = (np.empty(key.shape) for _ in NUMBERS)
        for reader, array in zip(readers.values(), (value, log), strict=True):
            reader.read(rows, columns, array)
        data = BlockData(value, log, read_bounds(root, key))
    if checksum != data.checksum:
        raise TableError(f"{path}: the block is damaged (wrong checksum)")
    return data
