"""``ntkspec sweep``: a recipe to a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ntkspec.sweeps import SweepResult

__all__ = ["sweep"]


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Table to write (HDF5)."
)
@click.option("--workers", type=int, help="Local processes.  [default: one for each processor]")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler that runs already.")
@click.option(
    "--scheduler-file", type=click.Path(path_type=Path), help="Where a dask scheduler wrote it."
)
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts of the blocks, from 1.")
@click.option("--restart", is_flag=True, help="Throw away what an interrupted run has done.")
@click.pass_context
def sweep(
    ctx: click.Context,
    recipe: Path,
    output: Path,
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    shard: str | None,
    restart: bool,
) -> None:
    """Compute the table that RECIPE (TOML) describes.

    Killed at any moment and run again, it goes on where it was.

    \b
    Example:
      ntkspec sweep data/recipes/poster.toml -o out/spectra.h5 --workers 2
    """
    import dask

    from ntkspec.cli.interrupts import ending_soon
    from ntkspec.cli.terminal import Meter
    from ntkspec.sweeps import run_sweep

    dask.config.set({"distributed.worker.preload": ["ntkspec.cli.workers"]})
    again = "the same command again" + (" without --restart" if restart else "")
    ctx.find_root().obj = message = f"interrupted; {again} goes on from here"
    with ending_soon(message), Meter("blocks and checks") as meter:
        result = run_sweep(
            recipe,
            output,
            workers=workers,
            scheduler=scheduler,
            scheduler_file=scheduler_file,
            shard=shard,
            restart=restart,
            progress=meter,
        )
    click.echo(_outcome(result, shard))


def _outcome(result: SweepResult, shard: str | None) -> str:
    if result.output is None:
        return f"computed {_blocks(result.computed)} of shard {shard}"
    if not result.computed + result.reused:
        return f"{result.output} is complete already"
    earlier = f", {result.reused} by earlier runs" if result.reused else ""
    return f"wrote {result.output}: {_blocks(result.computed + result.reused)}{earlier}"


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'}"
