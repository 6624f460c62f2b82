"""``ntkspec scan``: spectra over a grid of domains, as one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ntkspec.cli.options import EXPORTED, layout_of
from ntkspec.cli.streams import say

__all__ = ["scan"]

PATH = click.Path(path_type=Path)


@click.command(short_help="Write the spectra of a grid of domains as one table.")
@click.argument("recipe", type=PATH)
@click.option(
    "-o", "--output", required=True, metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="- is the standard output, for CSV and JSON.",
)  # fmt: skip
@click.option(
    "--format", "layout", type=click.Choice(["csv", "json", "netcdf", "parquet"]), default="csv",
    help="In JSON null stands for missing numbers and the logarithm of 0.  "
    "[default: that of the suffix .csv, .json, .nc or .parquet, else csv]",
)  # fmt: skip
@click.option("--workers", type=int, help="Local processes.  [default: this one]")
@click.option("--scheduler", metavar="ADDRESS", help="Address of a running dask scheduler.")
@click.option("--log-json", is_flag=True, help="Report progress as lines of JSON.")
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    recipe: Path,
    output: Path,
    layout: str,
    workers: int | None,
    scheduler: str | None,
    log_json: bool,
) -> None:
    """Write the spectra that RECIPE (TOML) describes, a row for each eigenvalue.

    The recipe has the [[networks]] of a sweep, on domains of any kind: spheres with a density and
    tori, which tables by dimension and degree do not hold, too.  After an interruption the same
    command resumes the work.

    \b
    Examples:
      ntkspec scan data/recipes/densities.toml -o out/densities.csv
      ntkspec scan data/recipes/densities.toml -o out/densities.nc --workers 2
    """
    from ntkspec.cli.interrupts import ending_soon
    from ntkspec.cli.watchers import watching
    from ntkspec.errors import NtkspecError
    from ntkspec.sweeps import External, Local
    from ntkspec.sweeps.scans import run_scan

    if workers is not None and scheduler is not None:
        raise NtkspecError("--workers and --scheduler are not allowed together")
    if str(output) == "-":
        if layout not in ("csv", "json"):
            raise NtkspecError(f"output = '-' is not allowed; {layout} needs a file")
        if workers is not None or scheduler is not None:
            given = "workers" if scheduler is None else "scheduler"
            raise NtkspecError(f"output = '-' is not allowed with --{given}; give a file")
        run_scan(recipe, None).export(sys.stdout, layout)
        return
    layout = layout_of(output, layout, EXPORTED)
    where: Any = None
    if scheduler is not None:
        where = External(scheduler)
    elif workers is not None:
        where = Local(workers)
    ctx.find_root().obj = message = "interrupted; the same command again resumes the work"
    with ending_soon(message), watching("spectra", as_json=log_json) as observer:
        found = run_scan(recipe, output, where, layout=layout, observer=observer)
    say(f"wrote {output}: {len(found)} eigenvalues of {found.spectra} spectra")
