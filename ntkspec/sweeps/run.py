"""Running a sweep: blocks and checks as tasks; an earlier run is resumed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import check_outputs, followed
from ntkspec.files.text import printable
from ntkspec.jobs.parts import check_room, clear, locked, resumable, sweep_up
from ntkspec.jobs.progress import Observer
from ntkspec.sweeps.assembly import Layout, Ledger, assemble, check_layout, check_replaceable
from ntkspec.sweeps.batch import Batch
from ntkspec.sweeps.blocks import ensure_block, ensure_placed
from ntkspec.sweeps.checks import (
    LEFT_OUT,
    CheckKey,
    choose_checks,
    compute_check,
    compute_checks,
    draw_entries,
    draws,
    found_checks,
    with_checks,
)
from ntkspec.sweeps.clusters import External, Local, dask_client
from ntkspec.sweeps.folder import PARTS, keep_recipe, survey
from ntkspec.sweeps.plan import BYTES, Plan
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.recipe import read_recipe
from ntkspec.sweeps.target import begin_target, is_placed
from ntkspec.sweeps.tasks import Pool
from ntkspec.tables import open_stored
from ntkspec.verification import Check

__all__ = ["SweepResult", "run_shard", "run_sweep"]

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
    checked, left_out : int
        Entries that were recomputed independently, by this run or earlier ones, and drawn ones that
        were not, since the recipe has no number of checks and they would take too long.

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
    checked: int = 0
    left_out: int = 0


def run_sweep(
    recipe_path: str | Path,
    output: str | Path,
    where: Local | External | Batch,
    *,
    layout: Layout = "single",
    restart: bool = False,
    checks: int | None = None,
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
    checks : int, optional
        Check exactly this many entries of each network; by default the recipe's number, and if it
        has none up to 6, as many as take no longer than the sweep or a minute.
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
    plan, out = Plan(with_checks(read_recipe(recipe_path), checks)), Path(output)
    check_layout(layout, out)
    check_outputs([out], [Path(recipe_path)])
    observer = observer or Observer()
    with resumable(out, restart=restart), locked(out, "sweep", "table", together=False) as folder:
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
        if is_placed(plan, layout):
            begin_target(plan, folder)
        tally, ledger = Tally(observer, len(plan)), Ledger(plan)
        with dask_client(where) as client:
            observer.note(
                "cluster", f"dask dashboard: {client.dashboard_link}",
                dashboard=client.dashboard_link,
            )  # fmt: skip
            with Pool(client, plan, folder, tally) as pool:
                start = time.monotonic()
                computed = _complete_blocks(plan, layout, pool, tally, ledger)
                found = _checked(plan, folder, pool, tally, time.monotonic() - start)
        assemble(plan, ledger, found, folder, out, layout)
        sweep_up(folder, out, PARTS)  # from killed workers
        if layout == "single":
            clear(folder, PARTS)
    return SweepResult(out, computed, len(plan) - computed, *_counts(found))


def run_shard(
    recipe_path: str | Path,
    output: str | Path,
    shard: str,
    *,
    restart: bool = False,
    checks: int | None = None,
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
    checks : int, optional
        As for `run_sweep`; the same for all shards.
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
    plan, out = Plan(with_checks(read_recipe(recipe_path), checks)), Path(output)
    index, count = _parsed_shard(shard)
    check_outputs([out], [Path(recipe_path)])
    observer = observer or Observer()
    held = locked(out, "sweep", "table", together=not restart)
    with resumable(out, restart=restart), held as folder:
        if restart:
            _forget(out, folder)
        _check_room(plan, folder, "virtual")
        keep_recipe(plan, folder)
        tally = Tally(observer, len(range(index, len(plan), count)))
        computed, start = 0, time.monotonic()
        for key in plan.share(index, count):
            result = ensure_block(plan, key, folder)
            _say_damage(observer, result.damaged)
            computed += result.computed
            tally.done(key.size * result.computed)
        mine = [draw for draw in draws(plan) if draw.number % count == index]
        found = compute_checks(plan, mine, folder, tally, time.monotonic() - start)
    reused = len(range(index, len(plan), count)) - computed
    return SweepResult(None, computed, reused, *_counts(found))


def _complete_blocks(plan: Plan, layout: Layout, pool: Pool, tally: Tally, ledger: Ledger) -> int:
    """Compute the missing and damaged blocks; return their number."""
    computed = 0
    for key, result in pool.run(ensure_placed if is_placed(plan, layout) else ensure_block, plan):
        _say_damage(tally.observer, result.damaged)
        ledger.note(key, result.stored)
        computed += result.computed
        tally.done(key.size * result.computed)
    return computed


def _say_damage(observer: Observer, damaged: str) -> None:
    if damaged:
        observer.note("damaged", f"{damaged}; computed it again", what=damaged)


def _checked(
    plan: Plan, folder: Path, pool: Pool, tally: Tally, seconds: float
) -> dict[int, list[Check]]:
    """Check the drawn entries that are not checked yet; raise if a check fails."""
    entries: list[CheckKey] = []
    for _, found in pool.run(draw_entries, list(draws(plan))):
        entries += found
    choice = choose_checks(plan, entries, folder, seconds, pool.threads)
    tally.expect_checks(choice.seconds)
    done = [*choice.there]
    for key, _ in pool.run(compute_check, choice.entries, deadline=choice.deadline):
        done.append(key)
        tally.checked()
    return found_checks(plan, done, folder, entries)


def _counts(checks: dict[int, list[Check]]) -> tuple[int, int]:
    """Numbers of entries that were checked and left out."""
    left_out = [check.method == LEFT_OUT for some in checks.values() for check in some]
    return len(left_out) - sum(left_out), sum(left_out)


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
    if is_placed(plan, layout):
        needed = float(plan.bytes - BYTES * there.placed)
    else:
        share = 1.0 if plan.recipe.compression == "none" else BEST_COMPRESSION
        needed = share * (plan.bytes - BYTES * there.eigenvalues)
        needed += share * plan.bytes * (layout == "single")
    check_room(folder, needed, f"a table of {plan.entries:.3g} eigenvalues")
