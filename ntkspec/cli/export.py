"""``ntkspec export``: entries of a table as text or as a file for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ntkspec.cli.options import DEGREES, DIM, EXPORTED, TABLE, layout_of, table_options

__all__ = ["export"]


@click.command(short_help="Write entries of TABLE as CSV, JSON, netCDF4 or Parquet.")
@click.argument("table", type=TABLE)
@click.option(
    "-o", "--output", required=True, metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True), help="- is the standard output.",
)  # fmt: skip
@click.option(
    "--format", "layout", type=click.Choice(["csv", "json", "netcdf", "parquet"]), default="csv",
    help="In JSON null stands for the logarithm of 0.  "
    "[default: that of the suffix .csv, .json, .nc or .parquet, else csv]",
)  # fmt: skip
@table_options
@DIM
@DEGREES
def export(table: Path, output: Path, layout: str, **selection: Any) -> None:
    """Write entries of TABLE as CSV, JSON, netCDF4 or Parquet, with all digits.

    \b
    Examples:
      ntkspec export out/spectra.h5 -o - --network tanh --dim 3 --degrees 0:20
      ntkspec export out/spectra.h5 -o tanh.nc --network tanh
      ntkspec export data/recipes/poster.toml -o relu.csv --network relu --dim 3
    """
    from ntkspec.errors import NtkspecError
    from ntkspec.files.appearing import appearing_text
    from ntkspec.opening import open_table

    if str(output) != "-":
        layout = layout_of(output, layout, EXPORTED)
    binary = layout in ("netcdf", "parquet")
    if binary and str(output) == "-":
        raise NtkspecError(f"output = '-' is not allowed; {layout} needs a file")
    with open_table(table) as source:
        if binary:
            (source.to_netcdf if layout == "netcdf" else source.to_parquet)(output, **selection)
            return
        if str(output) == "-":
            source.export(sys.stdout, layout, **selection)
            return
        with appearing_text(output) as file:
            source.export(file, layout, **selection)
