"""``ntkspec compare``: measured decay rates of a run compared with predictions."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntkspec.cli.options import PATH, TABLE, format_option, output_option
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.compare import Comparison, ExtrapolatedRow, Level, Row


__all__ = ["compare"]


@click.command(short_help="Compare a run's measured decay rates with the predicted ones.")
@click.argument("run", type=PATH)
@click.option(
    "--table", type=TABLE, help="Take the eigenvalues from this table.  [default: computed]"
)
@format_option(help="csv and json have all columns of all three levels.")
@click.option(
    "--picture", "pictures", type=PATH, multiple=True, metavar="FILE",
    help="Picture to write as well (.png, .svg or .pdf); may be given several times.",
)  # fmt: skip
@click.option(
    "--finite/--no-finite", default=True, show_default=True,
    help="Predict from each finite network's kernel too, which takes longest.",
)  # fmt: skip
@partial(output_option, others=dict.fromkeys((".png", ".svg", ".pdf"), "use --picture"))
def compare(
    run: Path,
    table: Path | None,
    layout: str,
    pictures: tuple[Path, ...],
    finite: bool,
) -> None:
    """Compare the decay rates measured in RUN with the predictions from the spectrum.

    There is a row for each loss, width (and infinite width) and degree k of the target, with the
    mean over seeds and its 95 % interval.  Rates are per step.  Ratios are measured / predicted, at
    three levels: the continuum (eta lambda_k mu_k), the n training points, and the kernels of the
    finite networks; "moved" is the relative change of these kernels.  "error" is the standard error
    of the mean from the scatter over seeds, and in brackets as predicted without training, where it
    is known.  The predicted rates and the verdicts shown are those for the points.  Reasons for "no
    verdict" and for "differs" follow the table.

    Only finished trainings are compared.  If some are missing or diverged, they are listed, seeds
    are shown as 3/5, the rows concerned get no verdict, and the exit code is 1.

    \b
    Examples:
      ntkspec compare out/rates.h5
      ntkspec compare out/rates.h5 --table out/spectra.h5 -o out/rates.csv --picture out/rates.png
    """
    from ntkspec.cli.watchers import watching
    from ntkspec.compare import compare as hold
    from ntkspec.trainer.runs import open_run

    source = open_run(run)
    if pictures:
        from ntkspec.plots.pictures import checked_outputs

        checked_outputs(pictures, source.path)  # before the long computation
    with watching("trainings") as watcher:
        found = hold(source, table, finite=finite, progress=watcher.count)
    if pictures:
        from ntkspec.plots.comparison import comparison_picture

        for path in comparison_picture(found, source, pictures):
            say(f"wrote {path}", err=True)
    if layout == "text":
        _print_missing(found, err=False)
        _print_text(found)
    elif layout == "csv":
        found.to_csv(sys.stdout)
    else:
        found.to_json(sys.stdout)
    if not found.is_complete:
        if layout != "text":
            _print_missing(found, err=True)
        click.get_current_context().exit(1)


def _print_missing(found: Comparison, err: bool) -> None:
    """List the unfinished trainings."""
    if found.is_complete:
        return
    of = sum({(row.loss, row.width): row.expected for row in found.rows}.values())
    say(f"{of - len(found.missing)} of {of} trainings are finished; missing:", err=err)
    for one in found.missing:
        say(f"  {one}", err=err)


def _print_text(found: Comparison) -> None:
    from rich import box

    from ntkspec.cli.terminal import Grid, console, number

    def name(row: Row | ExtrapolatedRow) -> str:
        return found.names.get(row.degree, str(row.degree))

    shown = Grid(
        "loss", "width", "k", "seeds", "measured", "predicted", "error (pred.)", "/ continuum",
        "/ points", "/ finite", "moved", "verdict", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for row in found.rows:
        shown.add_row(
            row.loss, str(row.width), name(row), _seeds(row), _measured(row),
            number(row.points.rate, ".4g"), _errors(row),
            *map(_ratio, (row.continuum, row.points, row.finite)),
            number(row.kernel_movement, ".2g"), row.verdict,
        )  # fmt: skip
    for limit in found.extrapolated:
        shown.add_row(
            limit.loss, "inf", name(limit), "", _measured(limit),
            f"{limit.points.rate:.4g}", "", *map(_ratio, (limit.continuum, limit.points)), "", "",
            limit.verdict,
        )  # fmt: skip
    console().print(shown)
    for line in found.notes():
        say(line)


def _seeds(row: Row) -> str:
    """Number of trainings compared, and of all if some are missing."""
    return f"{row.seeds}/{row.expected}" if row.missing else str(row.seeds)


def _measured(row: Row | ExtrapolatedRow) -> str:
    """The rate with half of its confidence interval, or its bound."""
    if row.measured is None:
        bound = getattr(row, "bound", None)
        return "" if bound is None else f"< {bound:.2g}"
    return _interval(row.measured, row, ".4g", ".1g")


def _errors(row: Row) -> str:
    """Relative standard errors of the mean: over seeds, and predicted."""
    found = [] if row.error is None else [f"{row.error:.1%}"]
    if row.predicted_error is not None:
        found.append(f"({row.predicted_error:.1%})")
    return " ".join(found)


def _ratio(level: Level) -> str:
    if level.ratio is None:
        return "0" if level.rate == 0.0 else ""
    return _interval(level.ratio, level, ".3f", ".3f")


def _interval(value: float, ends: Row | ExtrapolatedRow | Level, form: str, half: str) -> str:
    """A value with half of its confidence interval, if there is one."""
    if ends.low is None or ends.high is None:
        return format(value, form)
    return f"{value:{form}}±{(ends.high - ends.low) / 2:{half}}"
