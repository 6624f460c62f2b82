"""``ntkspec info``: what a table holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ntkspec.tables import Table

__all__ = ["info"]


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
def info(table: Path) -> None:
    """Show what TABLE holds, what made it, and what was checked.

    \b
    Example:
      ntkspec info out/spectra.h5
    """
    from ntkspec.tables import open_table

    with open_table(table) as source:
        attributes = source.attributes
        click.echo(f"{table}: {attributes['format']}, version {attributes['format_version']}")
        click.echo(f"made {attributes['time']} by: {attributes['command']}")
        versions = json.loads(attributes["versions"])
        click.echo("with " + ", ".join(f"{name} {number}" for name, number in versions.items()))
        _show_networks(source)


def _show_networks(source: Table) -> None:
    from rich.table import Table as Grid

    from ntkspec.cli.terminal import console

    shown = Grid(
        "network", "kernel", "dim", "degree", "eigenvalues", "promised", "checked", "worst"
    )
    for name in source.networks:
        dims, degrees = source.dims(name), source.degrees(name)
        promised = source.select(name, degrees=int(degrees[0])).relative_error.max()
        errors = [check["relative_error"] for check in source.checks(name)]
        shown.add_row(
            name, source.kernel(name), _span(dims), _span(degrees), str(dims.size * degrees.size),
            f"{promised:.1e}", str(len(errors)), f"{max(errors):.1e}" if errors else "",
        )  # fmt: skip
    console().print(shown)


def _span(values: NDArray[np.int64]) -> str:
    """As it would be written in a recipe, or the ends alone."""
    first, last = values[[0, -1]].tolist()
    steps = set((values[1:] - values[:-1]).tolist())
    if not steps:
        return str(first)
    if len(steps) > 1:
        return f"{first}, ..., {last} ({values.size} values)"
    (step,) = steps
    return f"{first}:{last + 1}" + (f":{step}" if step > 1 else "")
