"""``ntkspec plot``: the poster's Figure 3 from a table."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["plot"]


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "outputs", type=click.Path(path_type=Path), required=True, multiple=True,
    help="Picture to write, by its ending .png, .svg or .pdf; may be given several times.",
)  # fmt: skip
def plot(table: Path, outputs: tuple[Path, ...]) -> None:
    """Draw eigenvalue against degree for the networks of TABLE, with their laws.

    \b
    Example:
      ntkspec plot out/spectra.h5 -o out/figure3.png -o out/figure3.svg
    """
    from ntkspec.plots import figure3

    figure3(table, list(outputs))
    for output in outputs:
        click.echo(f"wrote {output}")
