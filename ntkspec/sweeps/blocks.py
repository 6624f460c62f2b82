"""Blocks: computed each on its own, in a file each, with checksum and key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.sweeps.files import appearing
from ntkspec.sweeps.plan import BlockKey
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.recipe import Recipe

__all__ = ["BlockData", "block_path", "compute_block", "read_block"]

ARRAYS = ("eigenvalue", "log_eigenvalue", "relative_error")


@dataclass(frozen=True)
class BlockData:
    """Arrays of a block: (D, K), (D, K) and (D,)."""

    eigenvalue: NDArray[np.float64]
    log_eigenvalue: NDArray[np.float64]
    relative_error: NDArray[np.float64]

    @property
    def sha256(self) -> str:
        """Checksum of the numbers."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()


def block_path(folder: Path, key: BlockKey) -> Path:
    """Name of a block's file."""
    return folder / f"{key.name}.h5"


def compute_block(recipe: Recipe, key: BlockKey, folder: Path) -> str:
    """Compute a block and write its file; return its checksum."""
    from ntkspec.spectra import table_block

    network, kernel = recipe.networks[key.network]
    block = table_block(
        network, recipe.dims[slice(*key.rows)], recipe.degrees[slice(*key.columns)], kernel
    )
    data = BlockData(block.eigenvalue, block.log_eigenvalue, block.relative_error)
    with appearing(block_path(folder, key)) as part, h5py.File(part, "w") as file:
        file.attrs["key"] = json.dumps(key.as_dict())
        file.attrs["recipe"] = recipe.digest
        file.attrs["code"] = code_digest()
        file.attrs["sha256"] = data.sha256
        for name in ARRAYS:
            file.create_dataset(name, data=getattr(data, name))
    return data.sha256


def read_block(recipe: Recipe, key: BlockKey, folder: Path) -> BlockData:
    """Read a block's file.

    Raises
    ------
    TableError
        When the file is missing or damaged: which, and why.
    NtkspecError
        When it was made by another recipe or by other code.
    """
    path = block_path(folder, key)
    if not path.exists():
        raise TableError(f"{path}: the block is missing")
    try:
        with h5py.File(path, "r") as file:
            attributes = {
                name: str(file.attrs[name]) for name in ("key", "recipe", "code", "sha256")
            }
            data = BlockData(*(file[name][...] for name in ARRAYS))
    except (OSError, KeyError, RuntimeError) as error:
        raise TableError(f"{path}: the block is damaged ({error})") from None
    if attributes["recipe"] != recipe.digest or attributes["code"] != code_digest():
        what = "recipe" if attributes["recipe"] != recipe.digest else "version of the code"
        raise NtkspecError(f"{path} was made by another {what}; --restart throws such blocks away")
    if attributes["key"] != json.dumps(key.as_dict()) or attributes["sha256"] != data.sha256:
        raise TableError(f"{path}: the block is damaged (its checksum is another)")
    return data
