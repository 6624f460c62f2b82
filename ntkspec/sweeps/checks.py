"""Entries of a sweep recomputed by the independent route."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ntkspec.sweeps.blocks import read_block
from ntkspec.sweeps.files import write_whole
from ntkspec.sweeps.plan import BlockKey
from ntkspec.sweeps.recipe import Recipe
from ntkspec.verification import Check, check_entry, sample_entries

__all__ = ["CheckKey", "compute_check", "pick_checks", "read_check"]


@dataclass(frozen=True)
class CheckKey:
    """An entry to check, by its place in the table, with what is stored there."""

    network: int
    row: int
    column: int
    eigenvalue: float
    log_eigenvalue: float
    promised: float

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"check-n{self.network:03d}-r{self.row:07d}-c{self.column:06d}.json"


def pick_checks(recipe: Recipe, keys: list[BlockKey], folder: Path) -> Iterator[CheckKey]:
    """Draw each network's entries from its blocks, one block in memory at a time.

    The blocks are drawn first (the last one, with the smallest eigenvalues, is always among
    them), then entries of each, spread over the magnitudes.
    """
    for network in range(len(recipe.networks)):
        mine = [key for key in keys if key.network == network]
        random = np.random.default_rng([recipe.seed, network])
        drawn = [len(mine) - 1, *random.integers(0, len(mine), max(0, recipe.samples - 1)).tolist()]
        for at in sorted(set(drawn)) if recipe.samples else []:
            yield from _pick(recipe, mine[at], folder, drawn.count(at))


def _pick(recipe: Recipe, key: BlockKey, folder: Path, count: int) -> Iterator[CheckKey]:
    data = read_block(recipe, key, folder)
    dims, degrees = recipe.dims[slice(*key.rows)], recipe.degrees[slice(*key.columns)]
    for i, j in sample_entries(data.log_eigenvalue, dims, degrees, count, recipe.seed):
        yield CheckKey(
            key.network,
            key.rows[0] + i,
            key.columns[0] + j,
            float(data.eigenvalue[i, j]),
            float(data.log_eigenvalue[i, j]),
            float(data.relative_error[i]),
        )


def compute_check(recipe: Recipe, key: CheckKey, folder: Path) -> None:
    """Recompute an entry and keep what was found in a file."""
    network, kernel = recipe.networks[key.network]
    check = check_entry(
        network,
        int(recipe.dims[key.row]),
        int(recipe.degrees[key.column]),
        key.eigenvalue,
        key.log_eigenvalue,
        key.promised,
        kernel,
        recipe.digits,
    )
    write_whole(folder / key.name, json.dumps({"key": asdict(key), "check": asdict(check)}))


def read_check(key: CheckKey, folder: Path) -> Check | None:
    """Read what an earlier run found of the same entry; None where there is nothing whole."""
    try:
        stored = json.loads((folder / key.name).read_text(encoding="utf-8"))
        if stored["key"] == asdict(key):
            return Check(**stored["check"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
