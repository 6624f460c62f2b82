"""``ntkspec sweep``: compute the table of a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.sweeps import Batch, External, Local, Recipe, SweepResult

__all__ = ["sweep"]

PATH = click.Path(path_type=Path)
#: Options that override the recipe's [cluster] table, by their names there.
BATCH = ("partition", "account", "memory", "walltime", "prologue", "jobs")


@click.command()
@click.argument("recipe", type=PATH)
@click.option("-o", "--output", type=PATH, help="Table to write (HDF5).")
@click.option("--plan", is_flag=True, help="Show blocks, memory and time without computing.")
@click.option(
    "--layout", default="single", show_default=True, metavar="single|virtual",
    help="A single file, or a file that refers to the block files next to it.",
)  # fmt: skip
@click.option("--restart", is_flag=True, help="Discard the work of an interrupted run.")
@click.option(
    "--checks", type=int, metavar="N",
    help="Check N entries of each network.  [default: the recipe's number, or up to 6 that take no "
    "longer than the sweep or a minute]",
)  # fmt: skip
@click.option("--log-json", is_flag=True, help="Report events and progress as lines of JSON.")
@click.option("--workers", type=int, help="Local processes.  [default: one for each processor]")
@click.option(
    "--dashboard", metavar="HOST:PORT",
    help="Address of dask's dashboard; 0.0.0.0:8787 opens it to others.  [default: a free port "
    "of 127.0.0.1]",
)  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Address of a running dask scheduler.")
@click.option(
    "--scheduler-file", type=PATH, help="File to which a dask scheduler wrote its address."
)
@click.option("--tls-ca", type=PATH, help="Certificate authority of that scheduler.")
@click.option("--tls-cert", type=PATH, help="Our certificate.")
@click.option("--tls-key", type=PATH, help="Our key.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts, from 1, without dask.")
@click.option(
    "--cluster", metavar="KIND",
    help="Jobs of a batch system: slurm, pbs, sge, lsf, ...; the recipe's [cluster] table and "
    "the options below determine the rest.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="With --cluster: only print the job script.")
@click.option("--partition", help="Partition, or queue.")
@click.option("--account")
@click.option("--memory", help="Of a job, as 4GB.")
@click.option("--walltime", help="Of a job, as 01:00:00.")
@click.option(
    "--prologue", multiple=True, help="Line of the job script; may be given several times."
)
@click.option("--jobs", type=int, help="Jobs to keep running.")
@click.pass_context
def sweep(
    ctx: click.Context,
    /,
    recipe: Path,
    output: Path | None,
    plan: bool,
    layout: Any,
    restart: bool,
    checks: int | None,
    log_json: bool,
    shard: str | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Compute the table that RECIPE (TOML) describes.

    After an interruption the same command resumes the work.

    \b
    Examples: the plan; on this machine; one of four jobs of an array; on a cluster
      ntkspec sweep data/recipes/poster.toml --plan
      ntkspec sweep data/recipes/poster.toml -o out/spectra.h5 --workers 2
      ntkspec sweep data/recipes/poster.toml -o out/spectra.h5 --shard 2/4
      ntkspec sweep data/recipes/poster.toml -o out/spectra.h5 --cluster slurm --jobs 8
    """
    from ntkspec.sweeps import read_recipe

    parsed = read_recipe(recipe)
    where = _where(parsed, shard, **options)
    if plan:
        from ntkspec.cli.plan import show_plan
        from ntkspec.sweeps.checks import with_checks

        show_plan(with_checks(parsed, checks), layout)
    elif dry_run:
        _print_job_script(where)
    elif output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    else:
        _run(ctx, recipe, output, where, shard, layout, restart, checks, log_json)


def _run(
    ctx: click.Context,
    recipe: Path,
    output: Path,
    where: Local | External | Batch,
    shard: str | None,
    layout: Any,
    restart: bool,
    checks: int | None,
    log_json: bool,
) -> None:
    from ntkspec.cli.interrupts import ending_soon
    from ntkspec.cli.watchers import watching
    from ntkspec.results import library
    from ntkspec.sweeps import run_shard, run_sweep

    again = "the same command again" + (" without --restart" if restart else "")
    ctx.find_root().obj = message = f"interrupted; {again} resumes the work"
    with ending_soon(message), watching("blocks and checks", as_json=log_json) as observer:
        if shard is None:
            config = library("dask", "a sweep on workers", "sweeps").config
            config.set({"distributed.worker.preload": ["ntkspec.cli.workers"]})
            result = run_sweep(
                recipe, output, where, layout=layout, restart=restart, checks=checks,
                observer=observer,
            )  # fmt: skip
        else:
            result = run_shard(
                recipe, output, shard, restart=restart, checks=checks, observer=observer
            )
    say(_outcome(result, shard))


def _where(
    recipe: Recipe,
    shard: str | None,
    workers: int | None,
    dashboard: str | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    cluster: str | None,
    **options: Any,
) -> Local | External | Batch:
    """Where to compute, according to the options."""
    from ntkspec.errors import NtkspecError
    from ntkspec.sweeps import Batch, External, Local

    ways = {
        "shard": shard, "workers": workers, "scheduler": scheduler,
        "scheduler-file": scheduler_file, "cluster": cluster,
    }  # fmt: skip
    given = [f"--{name}" for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise NtkspecError(f"{' and '.join(given)} are not allowed together")
    batch = {name: options.pop(name) for name in BATCH}
    batch = {name: value for name, value in batch.items() if value not in (None, ())}
    tls = {name: value for name, value in options.items() if value is not None}
    if batch and cluster is None:
        raise NtkspecError(f"--{next(iter(batch))} is only allowed with --cluster")
    if tls and scheduler is None and scheduler_file is None:
        name = next(iter(tls)).replace("_", "-")
        raise NtkspecError(f"--{name} is only allowed with --scheduler or --scheduler-file")
    opened: dict[str, Any] = {} if dashboard is None else {"dashboard": dashboard}
    if opened and (shard is not None or scheduler is not None or scheduler_file is not None):
        raise NtkspecError(
            f"--dashboard is not allowed with {given[0]}; "
            "it is for a scheduler that this command starts"
        )
    if cluster is not None:
        return replace(recipe.cluster or Batch(), kind=cluster, **batch, **opened)
    if scheduler is not None or scheduler_file is not None:
        return External(scheduler, scheduler_file, **tls)
    return Local(workers, **opened)


def _print_job_script(where: Local | External | Batch) -> None:
    from ntkspec.errors import NtkspecError
    from ntkspec.sweeps import Batch
    from ntkspec.sweeps.clusters import job_script

    if not isinstance(where, Batch):
        raise NtkspecError("--dry-run is only allowed with --cluster")
    say(job_script(where), newlines=True)


def _outcome(result: SweepResult, shard: str | None) -> str:
    if result.output is None:
        earlier = f", {result.reused} by earlier runs" if result.reused else ""
        return f"computed {_blocks(result.computed)} of shard {shard}{earlier}"
    if not result.computed + result.reused:
        return f"{result.output} is complete already"
    earlier = f", {result.reused} by earlier runs" if result.reused else ""
    left_out = f", {result.left_out} left out (--checks asks for all)" if result.left_out else ""
    checks = f"; {result.checked} checks{left_out}" if result.checked or left_out else ""
    return f"wrote {result.output}: {_blocks(result.computed + result.reused)}{earlier}{checks}"


def _blocks(count: int) -> str:
    return f"{count} block{'' if count == 1 else 's'}"
