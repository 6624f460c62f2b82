"""``ntkspec info``: what a table holds, or how far an unfinished one is."""

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

    Of a table that a sweep has not finished it shows how far it is.

    \b
    Example:
      ntkspec info out/spectra.h5
    """
    from ntkspec.files.parts import parts_folder
    from ntkspec.tables import open_table

    if table.is_dir():
        _show_unfinished(table)
        return
    if not table.exists() and parts_folder(table).is_dir():
        _show_unfinished(parts_folder(table))
        return
    with open_table(table) as source:
        attributes = source.attributes
        click.echo(f"{table}: {attributes['format']}, version {attributes['format_version']}")
        click.echo(f"made {attributes['time']} by: {attributes['command']}")
        versions = json.loads(attributes["versions"])
        click.echo("with " + ", ".join(f"{name} {number}" for name, number in versions.items()))
        if attributes.get("layout") == "virtual":
            click.echo("a virtual table: its numbers are in the files of its blocks")
        _show_networks(source)


def _show_networks(source: Table) -> None:
    from rich.table import Table as Grid

    from ntkspec.cli.terminal import console

    shown = Grid(
        "network", "kernel", "dim", "degree", "eigenvalues", "promised", "checked", "worst"
    )
    for name in source.networks:
        dims, degrees = source.dims(name), source.degrees(name)
        promised = source.relative_error(name).max()
        errors = [check["relative_error"] for check in source.checks(name)]
        shown.add_row(
            name, source.kernel(name), _span(dims), _span(degrees), str(dims.size * degrees.size),
            f"{promised:.1e}", str(len(errors)), f"{max(errors):.1e}" if errors else "",
        )  # fmt: skip
    console().print(shown)


def _show_unfinished(folder: Path) -> None:
    """How many blocks of each network are there."""
    from rich.table import Table as Grid

    from ntkspec.cli.terminal import console
    from ntkspec.files.parts import is_locked
    from ntkspec.sweeps import Plan, group_name
    from ntkspec.sweeps.folder import remembered, survey

    plan = Plan(remembered(folder))
    there = survey(plan, folder)
    share = there.eigenvalues / plan.eigenvalues
    click.echo(f"{folder}: an unfinished sweep" + (", at work now" if is_locked(folder) else ""))
    click.echo(
        f"{there.blocks} of {len(plan)} blocks, {there.eigenvalues} of {plan.eigenvalues} "
        f"eigenvalues ({share:.1%}), {there.checks} checks"
    )
    shown = Grid("network", "kernel", "blocks", "of")
    for n, (network, kernel) in enumerate(plan.recipe.networks):
        count = there.by_network.get(n, 0)
        shown.add_row(group_name(network, kernel), kernel, str(count), str(len(plan.of_network(n))))
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
