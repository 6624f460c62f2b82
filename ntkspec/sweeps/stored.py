"""What a block holds, and what a table records of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.provenance import code_digest
from ntkspec.tables.layout import numbers_checksum

__all__ = ["ADVICE", "BlockData", "Stored", "check_belongs", "identity"]

#: Advice for blocks of another sweep.
ADVICE = "`ntkspec sweep --restart` removes such blocks and computes them again"


@dataclass(frozen=True)
class BlockData:
    """Arrays of a block: (D, K), (D, K) and (D,)."""

    eigenvalue: NDArray[np.float64]
    log_eigenvalue: NDArray[np.float64]
    relative_error: NDArray[np.float64]

    @classmethod
    def computed(cls, plan: Plan, key: BlockKey) -> BlockData:
        """Compute the block of a plan."""
        from ntkspec.spectra.block import block_numbers

        recipe = plan.recipe
        return cls(*block_numbers(
            *recipe.networks[key.network],
            recipe.dims[slice(*key.rows)],
            recipe.degrees[slice(*key.columns)],
        ))  # fmt: skip

    @property
    def checksum(self) -> str:
        """Checksum of the eigenvalues and their logarithms."""
        return numbers_checksum(self.eigenvalue, self.log_eigenvalue)


@dataclass(frozen=True)
class Stored:
    """What a table records of a block.

    `relative_error` (D,) are its bounds and `checksum` is that of its numbers.  A block with a file
    of its own has the fingerprint of that file's `seal`; one that is written in the table's file
    has the `digests` of its chunks there, for each array of numbers.
    """

    relative_error: NDArray[np.float64]
    checksum: str
    seal: str = ""
    digests: tuple[NDArray[np.uint64], ...] = ()


def identity(plan: Plan, key: BlockKey) -> dict[str, str]:
    """Return the attributes that a stored block must have."""
    return {
        "key": json.dumps(key.as_dict()), "recipe": plan.recipe.digest, "code": code_digest(),
    }  # fmt: skip


def check_belongs(plan: Plan, key: BlockKey, said: Mapping[str, Any], path: Path) -> None:
    """Raise unless the attributes of a stored block are those of its key.

    A TableError if it is damaged, a plain NtkspecError if another recipe or code made it.
    """
    wanted = identity(plan, key)
    for name, what in (("recipe", "recipe"), ("code", "version of the code")):
        if str(said.get(name)) != wanted[name]:
            raise NtkspecError(f"{path} was made by another {what}; {ADVICE}")
    if str(said.get("key")) != wanted["key"]:
        raise TableError(f"{path}: the block is damaged (it belongs to another block)")
