"""``ntkspec verify``: recompute entries of a table by an independent route."""

from __future__ import annotations

import secrets
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.options import TABLE, table_options
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.verification import Verification

__all__ = ["verify"]


@click.command(short_help="Recompute entries of TABLE by an independent route.")
@click.argument("table", type=TABLE)
@click.option(
    "--samples", type=int, default=32, show_default=True,
    help="Entries to recompute; each network has at least one, so there may be more.",
)  # fmt: skip
@click.option(
    "--method",
    type=click.Choice(["balls", "mpmath"]),
    default="balls",
    show_default=True,
    help="How entries are recomputed: by ball arithmetic, or by Gauss-Jacobi rules in mpmath.",
)
@click.option("--digits", type=int, help="Digits of the references.  [default: 25; mpmath: 20]")
@click.option(
    "--seed",
    type=int,
    help="Seed of the random choice; the same seed checks the same entries.  [default: random]",
)
@click.option("--workers", type=int, help="Processes.  [default: one for each processor]")
@table_options
@click.option("--max-dim", type=int, help="Draw from dimensions up to this.  [default: all]")
@click.option("--max-degree", type=int, help="Draw from degrees up to this.  [default: all]")
@click.option(
    "--all", "every", is_flag=True, help="Show all entries, not only each network's worst."
)
def verify(
    table: Path,
    samples: int,
    method: str,
    digits: int | None,
    seed: int | None,
    workers: int | None,
    every: bool,
    **selection: Any,
) -> None:
    """Recompute random entries of TABLE by an independent route and compare them.

    The route shares no formula with the engine.  The exit code is 1 if an entry differs by more
    than its error bound.  Entries of deep networks at high degrees and dimensions take minutes.
    "atlas" is the table that is installed with the package; it must also match its recipe and
    these sources.

    With --method mpmath every entry is shown, with the number of Gauss-Jacobi nodes and the change
    when they are doubled.

    \b
    Example:
      ntkspec verify out/spectra.h5 --samples 100 --digits 50
      ntkspec verify atlas --max-dim 16 --max-degree 16
      ntkspec verify out/spectra.h5 --method mpmath --samples 12 --max-degree 64
    """
    from ntkspec.cli.watchers import watching
    from ntkspec.opening import open_table
    from ntkspec.tables.atlas import atlas_path, check_atlas
    from ntkspec.verification import DIGITS, check_method, verify_table

    if table == atlas_path():
        check_atlas()
    seed = secrets.randbelow(10**9) if seed is None else seed
    by = check_method(method)
    digits = DIGITS[by] if digits is None else digits
    with open_table(table) as source, watching("entries") as watcher:
        source.verify_checksums()
        result = verify_table(
            source, samples=samples, digits=digits, seed=seed, workers=workers,
            progress=watcher.count, method=by, **selection,
        )  # fmt: skip
    _show(result, every or by == "mpmath")
    count = len(result.rows)
    say(
        f"{count} entries recomputed by {by} to {digits} digits (--seed {seed}): "
        f"worst relative error {result.worst:.1e}"
    )
    if not result.passed:
        failed = sum(not check.passed for _, check in result.rows)
        say(f"{failed} of {count} entries differ by more than their error bounds", err=True)
        raise click.exceptions.Exit(1)


def _show(result: Verification, every: bool) -> None:
    """The worst entry of each network, and all that failed."""
    from ntkspec.cli.terminal import Grid, console

    doubled = any(check.nodes is not None for _, check in result.rows)
    columns = ("nodes", "change") if doubled else ()
    shown = Grid(
        "network", "checked", "dim", "degree", "reference", *columns, "error", "promised", ""
    )
    for name, rows in groupby(result.rows, key=lambda row: row[0]):
        checks = [check for _, check in rows]
        worst = max(checks, key=lambda check: check.relative_error)
        for check in checks:
            if not (every or check is worst or not check.passed):
                continue
            nodes = (str(check.nodes), f"{check.change:.0e}") if doubled else ()
            shown.add_row(
                name, str(len(checks)), str(check.dim), str(check.degree), check.reference, *nodes,
                f"{check.relative_error:.1e}", f"{check.promised:.1e}",
                "ok" if check.passed else "OFF",
            )  # fmt: skip
    console().print(shown)
