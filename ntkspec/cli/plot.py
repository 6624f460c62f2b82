"""``ntkspec plot``: the poster's Figure 3 from a table, its Figures 1 and 2 from a run."""

from __future__ import annotations

from pathlib import Path

import click

from ntkspec.cli.options import PATH, TABLE
from ntkspec.cli.streams import say

__all__ = ["plot"]


@click.command()
@click.argument("source", type=TABLE)
@click.option(
    "-o", "--output", "outputs", type=PATH, required=True, multiple=True,
    help="Picture to write (.png, .svg or .pdf); may be given several times.",
)  # fmt: skip
@click.option(
    "--numbers", type=PATH, help="For a run: also write the plotted numbers to this file (CSV)."
)
@click.option(
    "--domain", metavar="sphere|cube|gaussian|ball", default="sphere", show_default=True,
    help="Of a table's networks.",
)  # fmt: skip
def plot(source: Path, outputs: tuple[Path, ...], numbers: Path | None, domain: str) -> None:
    """Plot SOURCE: a table of eigenvalues, or a run of trainings.

    For a table, the plot shows eigenvalue against degree for each network, with the laws.  For a
    run, it shows for each loss the target and the learned function, their Fourier transforms (on
    the circle; otherwise their energies by degree), and how fast each degree of the target is
    learned.  For an unfinished run, finished trainings are plotted and the others listed.

    \b
    Example:
      ntkspec plot out/spectra.h5 -o out/figure3.png -o out/figure3.svg
      ntkspec plot out/figure2.h5 -o out/figure2.png --numbers out/figure2.csv
    """
    from ntkspec.errors import NtkspecError
    from ntkspec.jobs.parts import parts_folder
    from ntkspec.plots import figure3, run_picture
    from ntkspec.plots.figure3 import dims_left_out
    from ntkspec.trainer.runs import is_run, open_run

    unfinished = not source.exists() and is_run(parts_folder(source))
    if unfinished or is_run(source) or source.is_dir():
        run = open_run(source)
        written = run_picture(run, outputs, numbers)
        if run.missing:
            say("not finished, so their curves end early:", err=True)
            for one in run.missing:
                say(f"  {one}", err=True)
    elif numbers is None:
        written = figure3(source, outputs, domain=domain)
        if left := dims_left_out(source, domain=domain):
            say(f"not drawn: d = {_few(left)}; `ntkspec export` writes their numbers", err=True)
    else:
        raise NtkspecError("--numbers is for a run; `ntkspec export` writes those of a table")
    for path in written:
        say(f"wrote {path}")


def _few(dims: list[int]) -> str:
    if len(dims) > 8:
        return f"{dims[0]} to {dims[-1]} ({len(dims)} dimensions)"
    return ", ".join(map(str, dims))
