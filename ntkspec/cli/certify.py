"""``ntkspec certify``: proven enclosures of eigenvalues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.domain import print_heading, spectrum_options
from ntkspec.cli.options import format_option, output_option
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.networks import Network
    from ntkspec.spectra.certified import Certificate

__all__ = ["certify"]


@click.command()
@spectrum_options(degrees="0:11")
@click.option(
    "--digits", type=int, default=20, show_default=True, help="Correct digits of each enclosure."
)
@format_option()
@output_option
def certify(
    network: Network, domain: Domain, degrees: str, digits: int, kernel: Any, layout: str
) -> None:
    """Compute proven enclosures of a network's eigenvalues.

    Every eigenvalue (uniform probability measure, on the sphere or the cube) is printed as a
    midpoint and a radius.  Ball arithmetic proves that it lies within the radius.  Exact zeros
    are printed as 0.

    \b
    Example: two hidden layers of relu
      ntkspec certify relu --depth 2 --dim 3 --degrees 0:6 --digits 30
      ntkspec certify relu --domain cube --dim 30 --degrees 0:6
    """
    from ntkspec.ranges import parse_range
    from ntkspec.spectra.certified import certify as enclose

    result = enclose(network, domain, parse_range(degrees, "degrees"), digits=digits, kernel=kernel)
    if layout == "csv":
        print_columns("csv", {"degree": result.degrees.tolist(), "enclosure": list(result.balls)})
        return
    (_print_json if layout == "json" else _print_text)(result)


def _print_text(result: Certificate) -> None:
    print_heading(result.network, result.kernel, result.domain, "probability")
    say(f"# {result.method}")
    width = len(str(result.degrees.max()))
    for degree, ball in zip(result.degrees.tolist(), result.balls, strict=True):
        say(f"{degree:{width}}  {ball}")


def _print_json(result: Certificate) -> None:
    from ntkspec.domains import domain_text
    from ntkspec.spectra.route import which_kernel

    document = {
        "network": result.network.parameters(),
        "domain": domain_text(result.domain),
        "dim": result.dim,
        **which_kernel(result.network, result.kernel),
        "method": result.method,
        "degree": result.degrees.tolist(),
        "enclosure": list(result.balls),
    }
    say(json.dumps(document))
