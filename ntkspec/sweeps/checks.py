"""Checks: entries of a sweep recomputed by an independent route."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import existing_degrees, last_degrees
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import write_whole
from ntkspec.files.inputs import read_bounded
from ntkspec.files.records import record
from ntkspec.sweeps.blocks import read_block
from ntkspec.sweeps.estimate import check_seconds
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.recipe import Recipe, parse_recipe
from ntkspec.verification import Check, check_entry, sample_entries

__all__ = [
    "LEFT_OUT",
    "CheckKey",
    "Choice",
    "Draw",
    "choose_checks",
    "compute_check",
    "compute_checks",
    "draw_entries",
    "draws",
    "found_checks",
    "with_checks",
]

#: Largest size of a check's file, in bytes.
MOST_BYTES = 2**14
#: Seconds that checks may take, however short the sweep, where the recipe has no number of them.
LEAST_SECONDS = 60.0
#: Method of an entry that was drawn and not checked, in a table.
LEFT_OUT = "left out: it would take longer than the sweep, or a minute"
#: A recipe's number of checks, as a table and inline.
CHECKS_TABLE = re.compile(r"^[ \t]*\[[ \t]*checks[ \t]*\][^\n]*(\n|$)", re.MULTILINE)
CHECKS_INLINE = re.compile(r"^[ \t]*checks[ \t]*=[ \t]*\{", re.MULTILINE)
SAMPLES_LINE = re.compile(r"^[ \t]*samples[ \t]*=[^\n]*(\n|$)", re.MULTILINE)
SAMPLES_FIELD = re.compile(r"[ \t]*\bsamples[ \t]*=[ \t]*[0-9_+]+[ \t]*,?")
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


@dataclass(frozen=True)
class Choice:
    """Drawn entries whose checks are in the folder, and those that are to be checked.

    The latter are in the order of computation, with their predicted processor times.
    """

    there: tuple[CheckKey, ...]
    entries: tuple[CheckKey, ...]
    seconds: tuple[float, ...]
    deadline: float

    @property
    def left(self) -> float:
        """Seconds to the deadline."""
        return self.deadline - time.monotonic()


def with_checks(recipe: Recipe, samples: int | None) -> Recipe:
    """Return a recipe with another number of checks, in its text too; None leaves it.

    Workers, folders and tables have the text.
    """
    if samples is None:
        return recipe
    wanted = replace(recipe, checks=replace(recipe.checks, samples=samples))
    text, line = recipe.text, f"samples = {samples}"
    if table := CHECKS_TABLE.search(text):
        after = text[table.end() :]
        end = re.search(r"^[ \t]*\[", after, re.MULTILINE)
        section = after[: end.start()] if end else after
        rest = after[len(section) :]
        text = f"{text[: table.start()]}[checks]\n{line}\n{SAMPLES_LINE.sub('', section)}{rest}"
    elif inline := CHECKS_INLINE.search(text):
        head = text[inline.end() :].partition("}")[0]
        rest = text[inline.end() + len(head) :]
        others = SAMPLES_FIELD.sub("", head).strip().rstrip(",")
        text = f"{text[: inline.end()]}{line}{', ' if others else ''}{others}{rest}"
    else:
        text = f"checks = {{{line}}}\n{text}"
    try:
        found = parse_recipe(text)
    except NtkspecError:
        found = None
    if found is None or found.digest != wanted.digest:
        raise NtkspecError(
            f"checks = {samples} could not be written into the recipe; write samples = {samples} "
            "into its table [checks]"
        )
    return found


def draws(plan: Plan) -> Iterator[Draw]:
    """Draw blocks of each network, always including the last, with the smallest eigenvalues.

    Blocks that begin above the recipe's max_dim or max_degree of checks, or have no degree of the
    domain, are skipped.
    """
    for network in range(len(plan.recipe.networks)):
        mine, samples = _within(plan, plan.of_network(network)), plan.recipe.checks.most
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


def choose_checks(
    plan: Plan, entries: Iterable[CheckKey], folder: Path, seconds: float, workers: int = 1
) -> Choice:
    """Choose the entries to check, and their order.

    All, where the recipe has a number of checks.  Otherwise those that come first by predicted
    time, while the sum of all is below the time of the sweep in seconds (or a minute) on as many
    workers.  The entries of a network that share samples are computed one after another, the
    dearest first.
    """
    exact = plan.recipe.checks.samples is not None
    limit = math.inf if exact else max(seconds, LEAST_SECONDS)
    predicted = {}
    for key in entries:
        place = int(plan.recipe.dims[key.row]), int(plan.recipe.degrees[key.column])
        predicted[key] = check_seconds(plan.recipe, plan.recipe.networks[key.network], *place)
    there = tuple(key for key in predicted if _read(plan, key, folder) is not None)
    taken: dict[CheckKey, float] = {}
    total = 0.0
    dearest: dict[int, float] = {}
    missing = predicted.keys() - set(there)
    for key in sorted(missing, key=lambda key: (predicted[key][0], _place(key))):
        alone, again = predicted[key]
        # Samples serve entries of similar size; of a dearer one only the difference counts.
        cost = max(again, alone - dearest.get(key.network, 0.0))
        if total + cost > limit * workers:
            break
        total, taken[key] = total + cost, cost
        dearest[key.network] = max(alone, dearest.get(key.network, 0.0))
    order = sorted(taken, key=lambda key: (key.network, -predicted[key][0], _place(key)))
    times = tuple(taken[key] for key in order)
    return Choice(there, tuple(order), times, time.monotonic() + limit)


def _place(key: CheckKey) -> tuple[int, int, int]:
    return key.network, key.row, key.column


def compute_checks(
    plan: Plan, drawn: Iterable[Draw], folder: Path, tally: Tally, seconds: float = 0.0
) -> dict[int, list[Check]]:
    """Check drawn entries in this process, for as long as a sweep of some seconds allows.

    Returns what `found_checks` returns.
    """
    entries = [entry for draw in drawn for entry in draw_entries(plan, draw, folder)]
    choice = choose_checks(plan, entries, folder, seconds)
    tally.expect_checks(choice.seconds)
    done = [*choice.there]
    for entry in choice.entries:
        if choice.left < 0:
            break
        compute_check(plan, entry, folder)
        done.append(entry)
        tally.checked()
    return found_checks(plan, done, folder, entries)


def found_checks(
    plan: Plan, done: Iterable[CheckKey], folder: Path, drawn: Iterable[CheckKey]
) -> dict[int, list[Check]]:
    """Read the checks of each network, by its index in the recipe.

    Drawn entries that are not done are said to be left out.
    """
    found: dict[int, list[Check]] = {}
    checked = set(done)
    for key in sorted(drawn, key=_place):
        if key not in checked:
            dim, degree = int(plan.recipe.dims[key.row]), int(plan.recipe.degrees[key.column])
            left_out = Check(dim, degree, "", math.nan, math.nan, key.promised, False, LEFT_OUT)
            found.setdefault(key.network, []).append(left_out)
            continue
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
    return record({"key": asdict(key), "check": check})


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
