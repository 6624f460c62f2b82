"""Checks: entries of a sweep recomputed by an independent route."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ntkspec.domains import existing_degrees, last_degrees
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import write_whole
from ntkspec.files.inputs import read_bounded
from ntkspec.sweeps.blocks import read_block
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.recipe import Recipe
from ntkspec.verification import Check, check_entry, sample_entries

__all__ = [
    "CheckKey",
    "Draw",
    "compute_check",
    "compute_checks",
    "draw_entries",
    "draws",
    "found_checks",
]

#: Largest size of a check's file, in bytes.
MOST_BYTES = 2**14
#: Types of the fields of a check, and the form of its reference.
TYPES = {
    "dim": int, "degree": int, "reference": str, "promised": float, "passed": bool, "method": str,
}  # fmt: skip
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Draw:
    """A block from which entries are drawn for checks."""

    number: int
    key: BlockKey
    count: int

    @property
    def name(self) -> str:
        """Name of the task."""
        return f"draw-{self.key.name}"


@dataclass(frozen=True)
class CheckKey:
    """An entry to check: its indices in the table and the stored numbers."""

    network: int
    row: int
    column: int
    eigenvalue: float
    log_eigenvalue: float
    promised: float

    @property
    def name(self) -> str:
        """Name of its file, without the suffix."""
        return f"check-n{self.network:03d}-r{self.row:07d}-c{self.column:06d}"


def draws(plan: Plan) -> Iterator[Draw]:
    """Draw blocks of each network, always including the last, with the smallest eigenvalues.

    Blocks that begin above the recipe's max_dim or max_degree of checks, or have no degree of the
    domain, are skipped.
    """
    for network in range(len(plan.recipe.networks)):
        mine, samples = _within(plan, plan.of_network(network)), plan.recipe.checks.samples
        random = np.random.default_rng([plan.recipe.checks.seed, network])
        others = random.integers(0, len(mine), max(0, samples - 1)).tolist()
        drawn = Counter([len(mine) - 1, *others] if samples else [])
        yield from (Draw(mine[at], plan[mine[at]], drawn[at]) for at in sorted(drawn))


def _within(plan: Plan, numbers: range) -> Sequence[int]:
    """The blocks of a network that may have checks."""
    recipe = plan.recipe
    last = last_degrees(recipe.networks[plan[numbers[0]].network].domain, recipe.dims)
    most = (recipe.checks.max_dim, recipe.checks.max_degree)
    if most == (None, None) and last[0] >= recipe.degrees[-1]:
        return numbers
    found = []
    for number in numbers:
        key = plan[number]
        rows, columns = _checked(recipe, key)
        if rows and columns and last[key.rows[0] + rows - 1] >= recipe.degrees[key.columns[0]]:
            found.append(number)
    return found


def _checked(recipe: Recipe, key: BlockKey) -> tuple[int, int]:
    """Numbers of rows and columns of a block, from its first, that may be checked."""
    dims, degrees = recipe.dims[slice(*key.rows)], recipe.degrees[slice(*key.columns)]
    return _up_to(recipe.checks.max_dim, dims), _up_to(recipe.checks.max_degree, degrees)


def _up_to(limit: int | None, values: NDArray[np.int64]) -> int:
    """Number of increasing values that do not exceed a limit."""
    return values.size if limit is None else int(np.searchsorted(values, limit, "right"))


def draw_entries(plan: Plan, draw: Draw, folder: Path) -> list[CheckKey]:
    """Draw entries of a block, spread over the magnitudes."""
    key, recipe = draw.key, plan.recipe
    data = read_block(plan, key, folder)
    rows, columns = _checked(recipe, key)
    dims = recipe.dims[key.rows[0] : key.rows[0] + rows]
    degrees = recipe.degrees[key.columns[0] : key.columns[0] + columns]
    logs = data.log_eigenvalue[:rows, :columns]
    exist = existing_degrees(recipe.networks[key.network].domain, dims, degrees)
    drawn = sample_entries(
        logs, dims, degrees, samples=draw.count, seed=recipe.checks.seed, exist=exist
    )
    return [
        CheckKey(
            key.network,
            key.rows[0] + i,
            key.columns[0] + j,
            float(data.eigenvalue[i, j]),
            float(data.log_eigenvalue[i, j]),
            float(data.relative_error[i]),
        )
        for i, j in drawn
    ]  # fmt: skip


def compute_check(plan: Plan, key: CheckKey, folder: Path) -> bool:
    """Check an entry and write the result to a file; return False if the file exists already."""
    if _read(plan, key, folder) is not None:
        return False
    recipe = plan.recipe
    network, kernel, domain = recipe.networks[key.network]
    check = check_entry(
        network, int(recipe.dims[key.row]), int(recipe.degrees[key.column]), key.eigenvalue,
        key.log_eigenvalue, key.promised, kernel=kernel, domain=domain,
        digits=recipe.checks.digits, method=recipe.checks.method,
    )  # fmt: skip
    write_whole(folder / f"{key.name}.json", _sealed(key, asdict(check)), follow=False)
    return True


def compute_checks(plan: Plan, drawn: Iterable[Draw], folder: Path, tally: Tally) -> list[CheckKey]:
    """Check the drawn entries in this process; return them."""
    entries = [entry for draw in drawn for entry in draw_entries(plan, draw, folder)]
    tally.more(len(entries))
    for entry in entries:
        compute_check(plan, entry, folder)
        tally.done()
    return entries


def found_checks(plan: Plan, keys: Iterable[CheckKey], folder: Path) -> dict[int, list[Check]]:
    """Read the checks of each network, by its index in the recipe."""
    found: dict[int, list[Check]] = {}
    for key in keys:
        check = _read(plan, key, folder)
        if check is None:
            raise NtkspecError(f"{folder / key.name}.json: the check is missing")
        if not check.passed:
            name = plan.recipe.networks[key.network].name
            raise NtkspecError(
                f"the check of {name} at dim = {check.dim}, degree = {check.degree} differs by "
                f"{check.relative_error:.2g} from {check.reference}, more than its "
                f"error bound {check.promised:.2g}"
            )
        found.setdefault(key.network, []).append(check)
    return found


def _sealed(key: CheckKey, check: dict[str, Any]) -> str:
    """Text of a check's file: one line of JSON with a checksum."""
    said = {"key": asdict(key), "check": check}
    checksum = xxhash.xxh3_128_hexdigest(json.dumps(said).encode())
    return json.dumps(said | {"checksum": checksum}) + "\n"


def _read(plan: Plan, key: CheckKey, folder: Path) -> Check | None:
    """Read the check of an entry; None if it is missing or invalid."""
    try:
        text = read_bounded(folder / f"{key.name}.json", "check", MOST_BYTES).decode()
        found = json.loads(text)["check"]
        if text == _sealed(key, found):
            check = Check(**found)
            return check if _fits(plan, key, check) else None
    except (TableError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _fits(plan: Plan, key: CheckKey, check: Check) -> bool:
    """Whether a check belongs to its key and its fields have the right types."""
    dim, degree = int(plan.recipe.dims[key.row]), int(plan.recipe.degrees[key.column])
    errors = (check.relative_error, check.log_error)
    return (
        [type(getattr(check, name)) for name in TYPES] == list(TYPES.values())
        and (check.dim, check.degree, check.promised) == (dim, degree, key.promised)
        and all(type(error) is float and error >= 0 for error in errors)
        and type(check.nodes) in (int, NoneType)
        and type(check.change) in (float, NoneType)
        and NUMBER.fullmatch(check.reference) is not None
        and check.method.isascii()
        and check.method.isprintable()
    )
