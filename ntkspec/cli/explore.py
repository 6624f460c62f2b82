"""``ntkspec explore``: a table as an interactive page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ntkspec.cli.options import DEGREES, DIM, RANGE, TABLE
from ntkspec.cli.streams import say

__all__ = ["explore"]


@click.command(short_help="Write TABLE as an HTML page.")
@click.argument("table", type=TABLE)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="HTML file to write.",
)  # fmt: skip
@click.option(
    "--network", "networks", multiple=True, metavar="NAME",
    help="Its name in the table; may be given several times.  [default: all]",
)  # fmt: skip
@click.option(
    "--torus", "tori", multiple=True, metavar="FREQUENCIES", type=RANGE,
    help="Frequencies of the features of a torus, 1,2,4,8; may be given several times.",
)  # fmt: skip
@DIM
@DEGREES
def explore(
    table: Path,
    output: Path,
    networks: tuple[str, ...],
    tori: tuple[Any, ...],
    dim: Any,
    degrees: Any,
) -> None:
    """Write TABLE, or `atlas`, as one HTML page that works offline.

    The page shows eigenvalues and their laws, each degree's share of the trace, and the time to
    learn each degree under L2 and Sobolev losses and of a PINN's residual, of up to four networks
    at once.  Of the atlas it has what is stored; name others with --network.

    \b
    Examples:
      ntkspec explore atlas -o explorer.html
      ntkspec explore out/spectra.h5 -o explorer.html --degrees 0:257
      ntkspec explore atlas -o explorer.html --network mish --network tanh --torus 1,2,4
    """
    from ntkspec.domains import Torus
    from ntkspec.explorer import write_page
    from ntkspec.files.appearing import is_stream

    features = [Torus(one) for one in tori] or None
    written = write_page(
        table, output, networks=networks or None, dims=dim, degrees=degrees, tori=features
    )
    if is_stream(written):
        say(f"wrote {written}", err=True)
    else:
        say(f"wrote {written}: {written.stat().st_size / 1e6:.1f} MB")
