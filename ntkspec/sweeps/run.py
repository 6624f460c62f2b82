"""Running a sweep: blocks and checks as tasks; an earlier run is resumed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import check_outputs, followed
from ntkspec.files.text import printable
from ntkspec.jobs.parts import check_room, clear, locked, sweep_up
from ntkspec.jobs.progress import Observer
from ntkspec.sweeps.assembly import Layout, assemble, check_layout, check_replaceable
from ntkspec.sweeps.batch import Batch
from ntkspec.sweeps.blocks import block_path, ensure_block
from ntkspec.sweeps.checks import (
    CheckKey,
    compute_check,
    compute_checks,
    draw_entries,
    draws,
    found_checks,
)
from ntkspec.sweeps.clusters import External, Local, dask_client
from ntkspec.sweeps.folder import PARTS, keep_recipe, survey
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.recipe import read_recipe
from ntkspec.sweeps.tasks import Pool
from ntkspec.tables import open_stored
from ntkspec.verification import Check

__all__ = ["SweepResult", "complete_blocks", "run_shard", "run_sweep"]

logger = logging.getLogger(__name__)

#: Smallest ratio of compressed to uncompressed size.
BEST_COMPRESSION = 0.25


@dataclass(frozen=True)
class SweepResult:
    """Result of a sweep.

    Attributes
    ----------
    output : Path or None
        The table; None for a shard, which assembles no table.
    computed, reused : int
        Blocks computed by this run, and reused from earlier ones.

    Examples
    --------
    >>> from ntkspec.sweeps import run_shard
    >>> result = run_shard(recipe_path, folder / "t.h5", "1/1")
    >>> result.computed, result.reused
    (1, 0)
    """

    output: Path | None
    computed: int
    reused: int


def run_sweep(
    recipe_path: str | Path,
    output: str | Path,
    where: Local | External | Batch,
    *,
    layout: Layout = "single",
    restart: bool = False,
    observer: Observer | None = None,
) -> SweepResult:
    """Compute the table of a recipe; after an interruption the same call resumes it.

    Parameters
    ----------
    recipe_path, output : path
    where : Local, External or Batch
        Processes on this machine, a running dask scheduler, or jobs of a batch system.
    layout : {"single", "virtual"}
        A single file, or a file that refers to the block files, which stay in their folder.
    restart : bool
        Discard the work of earlier runs.
    observer : Observer, optional
        Receives progress and events.

    Returns
    -------
    SweepResult

    Raises
    ------
    NtkspecError
        When something in the recipe or a parameter is not allowed, when another sweep writes
        on the target, when blocks of another recipe or of other code are in the way, or when an
        independent check fails.
    TableError
        When the recipe cannot be read or a file cannot be written.

    Notes
    -----
    With worker processes a script must call this under ``if __name__ == "__main__":``.

    Examples
    --------
    >>> from ntkspec.sweeps import Local, run_sweep
    >>> result = run_sweep(recipe_path, folder / "t.h5", Local(1))
    >>> import ntkspec
    >>> with ntkspec.open_table(folder / "t.h5") as table:
    ...     print(table.select("relu", dim=3, degrees=2).eigenvalues)
    [[0.02734375]]
    """
    plan, out = Plan(read_recipe(recipe_path)), Path(output)
    check_layout(layout, out)
    check_outputs([out], [Path(recipe_path)])
    observer = observer or Observer()
    with locked(out, "sweep", "table", together=False) as folder:
        check_replaceable(out)
        if restart:
            _forget(out, folder)
        elif _finished(plan, out, layout):
            if _layout(out) == "single":  # a kill may have left blocks that are no longer needed
                clear(folder, PARTS)
            return SweepResult(out, 0, 0)
        sweep_up(folder, out, PARTS)
        _check_room(plan, folder, layout)
        keep_recipe(plan, folder)
        tally = Tally(observer, len(plan))
        with dask_client(where) as client:
            observer.note(
                "cluster", f"dask dashboard: {client.dashboard_link}",
                dashboard=client.dashboard_link,
            )  # fmt: skip
            with Pool(client, plan, folder, tally) as pool:
                computed = complete_blocks(plan, pool, tally)
                found = _checked(plan, folder, pool, tally)
        assemble(plan, found, partial(block_path, folder), out, layout)
        sweep_up(folder, out, PARTS)  # from killed workers
        if layout == "single":
            clear(folder, PARTS)
    return SweepResult(out, computed, len(plan) - computed)


def run_shard(
    recipe_path: str | Path,
    output: str | Path,
    shard: str,
    *,
    restart: bool = False,
    observer: Observer | None = None,
) -> SweepResult:
    """Compute one part of a recipe's blocks and checks in this process, without dask.

    Parameters
    ----------
    recipe_path, output : path
        The same for all shards.
    shard : str
        "I/N": the I-th of N parts, from 1.
    restart : bool
        Discard the work of earlier runs, of all shards.
    observer : Observer, optional

    Returns
    -------
    SweepResult
        Without output; `merge` writes the table of all shards.

    Raises
    ------
    NtkspecError, TableError
        As `run_sweep`.

    Examples
    --------
    >>> from ntkspec.sweeps import run_shard
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1")
    >>> (folder / "t.h5.parts").is_dir()
    True
    """
    plan, out = Plan(read_recipe(recipe_path)), Path(output)
    index, count = _parsed_shard(shard)
    check_outputs([out], [Path(recipe_path)])
    observer = observer or Observer()
    with locked(out, "sweep", "table", together=not restart) as folder:
        if restart:
            _forget(out, folder)
        _check_room(plan, folder, "virtual")
        keep_recipe(plan, folder)
        tally = Tally(observer, len(range(index, len(plan), count)))
        computed = 0
        for key in plan.share(index, count):
            result = ensure_block(plan, key, folder)
            _say_damage(observer, result.damaged)
            computed += result.computed
            tally.done(key.size * result.computed)
        mine = [draw for draw in draws(plan) if draw.number % count == index]
        compute_checks(plan, mine, folder, tally)
    return SweepResult(None, computed, len(range(index, len(plan), count)) - computed)


def complete_blocks(plan: Plan, pool: Pool, tally: Tally) -> int:
    """Compute the missing and damaged blocks; return their number."""
    computed = 0
    for key, result in pool.run(ensure_block, plan):
        _say_damage(tally.observer, result.damaged)
        computed += result.computed
        tally.done(key.size * result.computed)
    return computed


def _say_damage(observer: Observer, damaged: str) -> None:
    if damaged:
        observer.note("damaged", f"{damaged}; computed it again", what=damaged)


def _checked(plan: Plan, folder: Path, pool: Pool, tally: Tally) -> dict[int, list[Check]]:
    """Check the drawn entries that are not checked yet; raise if a check fails."""
    entries: list[CheckKey] = []
    for _, found in pool.run(draw_entries, draws(plan)):
        entries += found
    entries.sort(key=lambda entry: (entry.network, entry.row, entry.column))
    tally.more(len(entries))
    for _ in pool.run(compute_check, entries):
        tally.done()
    return found_checks(plan, entries, folder)


def _parsed_shard(shard: str) -> tuple[int, int]:
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 1 <= index <= count:
        raise NtkspecError(f"shard = {shard!r} is not allowed; write I/N with 1 <= I <= N")
    return index - 1, count


def _forget(out: Path, folder: Path) -> None:
    """Remove the blocks, and first the table if it refers to them."""
    if _layout(out) == "virtual":
        followed(out).unlink()
    clear(folder, PARTS)


def _layout(out: Path) -> str:
    """Layout of a table; empty if the table is missing."""
    try:
        with open_stored(out) as table:
            return str(table.attributes.get("layout"))
    except TableError:
        return ""


def _finished(plan: Plan, out: Path, layout: Layout) -> bool:
    """Whether the table is complete and was made by this code; refuse that of another recipe."""
    if not out.exists():
        return False
    try:
        with open_stored(out) as table:
            made = table.attributes
            if made.get("recipe_digest") != plan.recipe.digest:
                raise NtkspecError(
                    f"{out} is the table of another recipe; --restart replaces it, or give another "
                    "name"
                )
            if made.get("code_digest") != code_digest():
                return False
            if made.get("layout") == "virtual" and layout == "single":
                return False
            table.verify_checksums()
    except TableError as error:
        logger.warning("%s", printable(f"{error}; rebuilding it"))
        return False
    return True


def _check_room(plan: Plan, folder: Path, layout: Layout) -> None:
    """Raise if the table cannot fit on the disk."""
    there = survey(plan, folder)
    share = 1.0 if plan.recipe.compression == "none" else BEST_COMPRESSION
    whole = plan.bytes * share
    needed = whole - 16 * share * there.eigenvalues + (whole if layout == "single" else 0.0)
    check_room(folder, needed, f"a table of {plan.entries:.3g} eigenvalues")
