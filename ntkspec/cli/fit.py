"""``ntkspec fit``: the laws that the eigenvalues of a table follow."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.options import RANGE, TABLE, format_option, output_option, table_options
from ntkspec.cli.streams import say
from ntkspec.files.text import CsvWriter

if TYPE_CHECKING:
    from ntkspec.laws.fit import FittedSpectrum

__all__ = ["fit"]

COLUMNS = (
    "network", "domain", "kernel", "dim", "parity", "supported", "from_degree",
    "law", "power", "power_error", "rate", "rate_error", "log_constant", "log_constant_error",
    "prediction_error", "derived", "derived_power", "derived_rate", "derived_log_constant",
    "derived_from_degree",
)  # fmt: skip


@click.command()
@click.argument("table", type=TABLE)
@table_options
@click.option("--dim", type=RANGE, help="As 3,10 or 2:65:*2.  [default: all]")
@format_option(help="csv and json have all three laws, supported or not.")
@output_option
def fit(table: Path, layout: str, **selection: Any) -> None:
    """Fit laws of decay to the eigenvalues of TABLE.

    The laws are a power of k, a stretched exponential exp(-r k^(2/3)) and a geometric law
    exp(-r k), each times a power of k.  Even and odd degrees are fitted separately.  A law is
    supported if, fitted to the lower half of the degrees, it predicts the upper half clearly better
    than the others; "none" if no law does.  A number after ± is how much the fit changes with its
    window and terms, not how far it is from the law of high degrees.  The last columns have the law
    derived for the network and the first degree, if any, from which it is within 10 % of the
    eigenvalues.

    \b
    Example:
      ntkspec fit out/spectra.h5 --dim 3
    """
    from ntkspec.laws import fit as fits
    from ntkspec.opening import open_table

    with open_table(table) as source:
        found = fits.fit(source, **selection)
    if layout == "text":
        _print_text(found)
        return
    rows = [row for one in found for row in _rows(one)]
    if layout == "csv":
        writer = CsvWriter(sys.stdout)
        writer.row(COLUMNS)
        writer.rows(["" if cell is None else cell for cell in row] for row in rows)
        return
    text = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=1)
    say(text, newlines=True)


def _rows(one: FittedSpectrum) -> list[list[Any]]:
    """A row for each fitted law; None for values that are not finite or not known."""
    from ntkspec.domains import domain_text

    start = [
        one.name, domain_text(one.domain), one.kernel, one.dim, one.parity, one.fit.supported,
        one.fit.from_degree,
    ]  # fmt: skip
    end: list[Any] = [None] * 5
    if (law := one.derived) is not None:
        end = [law.kind, law.power, law.rate, law.log_constant, one.derived_from]
    rows = [
        [*start, f.kind, f.power, f.power_error, f.rate, f.rate_error, f.log_constant,
         f.log_constant_error, f.prediction_error, *end]
        for f in one.fit.laws.values()
    ]  # fmt: skip
    rows = rows or [[*start, *[None] * 8, *end]]
    return [[None if isinstance(x, float) and not math.isfinite(x) else x for x in r] for r in rows]


def _print_text(found: list[FittedSpectrum]) -> None:
    from ntkspec.cli.terminal import Grid, console
    from ntkspec.laws.fit import LEAST_POINTS, NOWHERE, with_error

    shown = Grid(
        "network", "dim", "k", "supported", "from k", "power", "rate", "log constant", "derived",
        "power", "rate", "log constant",
    )  # fmt: skip
    for one in found:
        best, law = one.fit.best, one.derived
        fitted = ["", "", ""]
        if best is not None:
            rate = "" if best.kind == "power" else with_error(best.rate, best.rate_error)
            fitted = [
                with_error(best.power, best.power_error),
                rate,
                with_error(best.log_constant, best.log_constant_error),
            ]
        derived = ["-", "", "", ""]
        if law is not None:
            numbers = law.power, (math.nan if law.kind == "power" else law.rate), law.log_constant
            kind = law.kind + ("" if one.derived_from is None else f" from {one.derived_from}")
            derived = [kind, *("" if math.isnan(x) else f"{x:.5g}" for x in numbers)]
        start = "" if one.fit.from_degree is None else str(one.fit.from_degree)
        shown.add_row(
            one.name, str(one.dim), ("even", "odd")[one.parity], one.fit.supported, start,
            *fitted, *derived,
        )  # fmt: skip
    console().print(shown)
    if any(one.derived_is_off for one in found):
        say(f"A derived law without a first degree is {NOWHERE}.")
    if any(one.fit.best for one in found):
        say(
            "± is how much the fit changes with its window and terms, not the distance to the law "
            "of high degrees."
        )
    if not all(one.fit.laws for one in found):
        say(f"A fit needs at least {LEAST_POINTS} nonzero degrees of one parity, from 1 on.")
