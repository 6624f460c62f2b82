"""``ntkspec eig``: one spectrum, on the standard output."""

from __future__ import annotations

import csv
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.options import print_heading, spectrum_options

if TYPE_CHECKING:
    from ntkspec.spectra import Spectrum

__all__ = ["eig"]

COLUMNS = ("degree", "eigenvalue", "log_eigenvalue", "multiplicity", "relative_error")


@click.command()
@spectrum_options(degrees="0:101")
@click.option(
    "--normalization", default="probability", show_default=True,
    metavar="probability|surface|poster", help="Measure of the operator.",
)  # fmt: skip
@click.option(
    "--format", "layout", type=click.Choice(["text", "csv", "json"]), default="text",
    show_default=True, help="In JSON null stands for what is not finite: the logarithm of 0.",
)  # fmt: skip
def eig(
    activation: str,
    dim: int,
    degrees: str,
    kernel: Any,
    normalization: Any,
    layout: str,
    **parameters: Any,
) -> None:
    """Print the eigenvalues of one network's kernel in one dimension.

    ACTIVATION is relu, leaky_relu, abs, step, relu_power, elu, sigmoid, tanh, silu, softplus,
    erf, gelu, sin, cos or gaussian (exp(-x^2/2)); relu**3 is relu_power with power 3.

    An eigenvalue below the range of doubles is printed as 0.0; its logarithm is right.  The
    logarithm of an exact zero is -inf.

    \b
    Example: tanh at every second degree; three hidden layers with biases, all of them trained
      ntkspec eig tanh --dim 3 --degrees 1:12:2 --format csv
      ntkspec eig gelu --depth 3 --bias-variance 0.1 --trained all --degrees 0:20
    """
    from ntkspec.networks import Network
    from ntkspec.ranges import parse_range
    from ntkspec.spectra import spectrum

    network = Network(activation, **parameters)
    result = spectrum(network, dim, parse_range(degrees, "degrees"), kernel, normalization)
    {"text": _print_text, "csv": _print_csv, "json": _print_json}[layout](result)


def _columns(result: Spectrum) -> tuple[list[Any], ...]:
    return (
        result.degrees.tolist(),
        result.eigenvalues.tolist(),
        result.log_eigenvalues.tolist(),
        [_whole(n) for n in result.multiplicities.tolist()],
        result.relative_error.tolist(),
    )


def _whole(number: float) -> int | float:
    """Without a decimal point as long as it is exact."""
    return int(number) if number < 2**53 else number


def _print_text(result: Spectrum) -> None:
    rows = [
        COLUMNS,
        *([repr(value) for value in row] for row in zip(*_columns(result), strict=True)),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print_heading(result.network.parameters(), result.kernel, result.dim, result.normalization)
    for row in rows:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _print_csv(result: Spectrum) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*_columns(result), strict=True))


def _print_json(result: Spectrum) -> None:
    lists = (
        [value if math.isfinite(value) else None for value in column] for column in _columns(result)
    )
    document = {
        "network": result.network.parameters(),
        "dim": result.dim,
        "kernel": result.kernel,
        "normalization": result.normalization,
        **dict(zip(COLUMNS, lists, strict=True)),
    }
    click.echo(json.dumps(document, allow_nan=False))
