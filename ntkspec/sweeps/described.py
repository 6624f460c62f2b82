"""The description of networks that a table computes when they are read: their bounds and checks."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import write_whole
from ntkspec.jobs.provenance import versions
from ntkspec.spectra.block import block_numbers
from ntkspec.sweeps.recipe import Recipe, read_recipe
from ntkspec.tables.atlas import (
    described_recipes,
    description_path,
    place_atlas,
    source_digest,
)
from ntkspec.tables.layout import GroupKey
from ntkspec.tables.supplemented import DescribedTable, Description, description_text
from ntkspec.tables.table import Table, open_stored
from ntkspec.verification import verify_table

__all__ = ["describe_recipes", "make_atlas"]

#: Checks after which the progress is said.
SAID = 50


def describe_recipes(
    recipes: Sequence[str | os.PathLike[str]],
    stored: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    r"""Describe the networks of recipes that a table does not store, and check entries of each.

    Parameters
    ----------
    recipes : sequence of path
        A network of several is that of the first.  Their degrees are 0, 1, 2, ...
    stored : path
        A table.
    out : path
        The description, which appears when all is checked.
    workers : int, optional
        Processes that check; by default one for each processor.
    say : callable
        Receives lines of text about the progress.

    Returns
    -------
    Path
        That of the description.

    Raises
    ------
    NtkspecError
        When a network is refused in one of the dimensions, or a check fails.

    Examples
    --------
    >>> recipe = folder / "more.toml"
    >>> _ = recipe.write_text('''
    ... dims = [2, 3]
    ... degrees = "0:9"
    ... checks = {samples = 1, digits = 20}
    ... networks = [{activation = "tanh"}]
    ... ''')
    >>> path = describe_recipes([recipe], table_path, folder / "more.jsonl", workers=1)
    more.toml: 1 networks are computed; now their checks
    >>> path.read_text().splitlines()[1][:24]
    'tanh\t{"grid":0,"paramete'
    """
    with open_stored(stored) as table:
        known = set(table.networks)
    header: dict[str, Any] = {
        "source_digest": source_digest(), "versions": versions(), "recipes": {}, "grids": [],
    }  # fmt: skip
    groups: list[dict[str, Any]] = []
    for path in map(Path, recipes):
        recipe = read_recipe(path)
        header["recipes"][path.name] = hashlib.sha256(recipe.text.encode()).hexdigest()
        header["grids"].append(_grid(recipe, path))
        mine = [_described(key, recipe, path) for key in _unknown(recipe, known)]
        say(f"{path.name}: {len(mine)} networks are computed; now their checks")
        one = {"grids": header["grids"][-1:]}
        _check(mine, description_text(one, mine), recipe, workers, say)
        groups += [{**group, "grid": len(header["grids"]) - 1} for group in mine]
    write_whole(Path(out), description_text(header, groups))
    return Path(out)


def _grid(recipe: Recipe, path: Path) -> dict[str, Any]:
    count = recipe.degrees.size
    if not np.array_equal(recipe.degrees, np.arange(count)):
        raise NtkspecError(f'{path}: degrees are not allowed; write 0, 1, 2, ... as "0:257"')
    return {"dims": recipe.dims.tolist(), "degrees": count}


def _unknown(recipe: Recipe, known: set[str]) -> Iterator[GroupKey]:
    """The networks of a recipe that are not known, and are then."""
    for key in recipe.networks:
        if key.name not in known:
            known.add(key.name)
            yield key


def _described(key: GroupKey, recipe: Recipe, path: Path) -> dict[str, Any]:
    """The line of a network, without checks."""
    bounds = []
    for dim in recipe.dims.tolist():
        try:
            bound = block_numbers(*key, np.array([dim]), recipe.degrees)[2]
        except NtkspecError as error:
            raise NtkspecError(f"{path}: {key.name}, dim = {dim}: {error}") from None
        bounds.append(_two_digits(float(bound[0])))
    return {
        "name": key.name, "grid": 0, "parameters": key.parameters(), "errors": bounds, "checks": [],
    }  # fmt: skip


def _two_digits(bound: float) -> float:
    """A bound rounded up to two digits, or a little more."""
    if bound == 0.0:
        return bound
    step = 10.0 ** (math.floor(math.log10(bound)) - 1)
    return float(f"{(math.floor(bound / step) + 1) * step:.2g}")


def _check(
    groups: list[dict[str, Any]],
    text: str,
    recipe: Recipe,
    workers: int | None,
    say: Callable[[str], None],
) -> None:
    """Recompute entries of all groups of a recipe, and add them to the groups."""
    if not groups:
        return

    def progress(done: int, total: int) -> None:
        if done % SAID == 0:
            say(f"{done} of {total} checks")

    by = recipe.checks
    with TemporaryDirectory() as folder:
        path = Path(folder) / "unchecked"
        write_whole(path, text)
        source = DescribedTable(Description(path))
    with Table(path, source) as table:
        found = verify_table(
            table, samples=by.most * len(groups), digits=by.digits, seed=by.seed, workers=workers,
            max_dim=by.max_dim, max_degree=by.max_degree, method=by.method,
            progress=progress,
        )  # fmt: skip
    checks = defaultdict(list)
    for name, check in found.rows:
        if not check.passed:
            raise NtkspecError(f"{name}: the check of {check} failed")
        checks[name].append(
            [check.dim, check.degree, check.reference, check.relative_error, check.method]
        )
    for group in groups:
        group["checks"] = checks[group["name"]]


def make_atlas(made: str | os.PathLike[str]) -> Path:
    """Describe what the atlas computes, beside the table it stores, and install both.

    Parameters
    ----------
    made : path
        A table made from the atlas's recipe.

    Returns
    -------
    Path
        That of the atlas.

    Examples
    --------
    >>> make_atlas("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    describe_recipes(described_recipes(), made, description_path(Path(made)))
    return place_atlas(made)


if __name__ == "__main__":
    make_atlas(sys.argv[1])
