"""The folder of a sweep's blocks: its recipe and its contents."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import write_whole
from ntkspec.jobs.parts import is_part
from ntkspec.sweeps.plan import NAME, BlockKey, Plan
from ntkspec.sweeps.recipe import Recipe, read_recipe
from ntkspec.sweeps.stored import ADVICE
from ntkspec.sweeps.target import OFFSETS, TARGET

__all__ = ["PARTS", "RECIPE", "SWEEPS", "Survey", "keep_recipe", "remembered", "survey"]

RECIPE = "ntkspec-recipe.toml"
#: Files of the whole sweep.
SWEEPS = (RECIPE, TARGET, OFFSETS)
#: Names of the files of checks, and of all files that a sweep leaves in its folder.
CHECK = re.compile(r"check-n[0-9]{3,}-r[0-9]{7,}-c[0-9]{6,}\.json")
PARTS = re.compile(
    rf"{NAME.pattern}\.(?:h5|json)|{CHECK.pattern}|" + "|".join(map(re.escape, SWEEPS))
)


@dataclass(frozen=True)
class Survey:
    """Finished parts of a plan, counted by the names of the files in a folder.

    `placed` are the eigenvalues that are in the table's own file.
    """

    blocks: int
    eigenvalues: int
    placed: int
    checks: int
    by_network: dict[int, int]


def remembered(folder: Path) -> Recipe:
    """Read the recipe of the blocks in a folder."""
    if not (folder / RECIPE).is_file():
        raise TableError(f"{folder} is not the folder of a sweep (it has no {RECIPE})")
    return read_recipe(folder / RECIPE)


def survey(plan: Plan, folder: Path) -> Survey:
    """Count the blocks and checks in a folder."""
    there = _kept_recipe(folder)
    if there is not None and there.digest != plan.recipe.digest:
        raise NtkspecError(f"{folder} has blocks of another recipe; {ADVICE}")
    found: dict[str, set[BlockKey]] = {"h5": set(), "json": set()}
    checks = 0
    for entry in os.scandir(folder):
        name, _, ending = entry.name.partition(".")
        checks += CHECK.fullmatch(entry.name) is not None
        key = BlockKey.from_name(name) if ending in found else None
        if key is None or (key not in plan and not is_part(Path(entry.path), PARTS)):
            continue  # not a file of a sweep
        if key not in plan:
            raise NtkspecError(f"{entry.path} belongs to another recipe; {ADVICE}")
        # An empty record is of an unfinished block.
        if ending == "h5" or entry.stat(follow_symlinks=False).st_size:
            found[ending].add(key)
    blocks = found["h5"] | found["json"]
    eigenvalues, placed = (sum(key.size for key in keys) for keys in (blocks, found["json"]))
    by_network = Counter(key.network for key in blocks)
    return Survey(len(blocks), eigenvalues, placed, checks, dict(by_network))


def keep_recipe(plan: Plan, folder: Path) -> None:
    """Store the recipe with the blocks, for `ntkspec merge` and `ntkspec info`."""
    if _kept_recipe(folder) is None:
        write_whole(folder / RECIPE, plan.recipe.text, follow=False)


def _kept_recipe(folder: Path) -> Recipe | None:
    """The recipe in a folder; None if missing or damaged, since each block has its digest."""
    try:
        return remembered(folder)
    except NtkspecError:
        return None
