"""Picture of a comparison: amplitudes against steps, and ratios of rates against width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ntkspec.compare import Comparison, Curves, Level, Row
from ntkspec.compare.results import intervals_of
from ntkspec.compare.verdicts import ERRORS
from ntkspec.errors import NtkspecError
from ntkspec.plots.pictures import STYLES, checked_outputs, name_missing, save
from ntkspec.trainer.runs.history import degree_name

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ntkspec.trainer.runs import Run

__all__ = ["comparison_picture"]

#: Lowest amplitude drawn: below it no level predicts a finite network.
LOWEST = 3e-3
#: Number of records of the mean that get a marker.
MARKERS = 18
#: Largest ratio drawn.
MOST_RATIO = 2.5
#: Lines of predicted errors.
PREDICTED: dict[str, Any] = {"linewidth": 6.0, "alpha": 0.2, "solid_capstyle": "butt"}
#: The band of the tolerance.
TOLERATED: dict[str, Any] = {"color": "0.92", "zorder": 0}
Line = Literal["-", "--", ":"]
LEVELS: tuple[tuple[str, Line, float], ...] = (
    ("continuum", ":", 1.4), ("points", "--", 1.1), ("finite", "-", 0.9),
)  # fmt: skip
Style = tuple[str, str, float]


def comparison_picture(
    comparison: Comparison, run: Run, outputs: Sequence[str | Path]
) -> list[Path]:
    """Draw measured amplitudes and rates with their predictions, one row for each loss.

    The left panel shows the amplitudes of the widest networks, divided by those at the start.  The
    right panel shows the ratio of measured rates to those predicted for the training points, with
    95 % intervals, against the width and extrapolated to infinite width; pale bars about 1 are two
    predicted standard errors to either side, and the grey band is the comparison's tolerance.

    Parameters
    ----------
    comparison : Comparison
    run : Run
        The run that was compared.
    outputs : sequence of path
        Files to write; the suffix .png, .svg or .pdf sets the format.

    Returns
    -------
    list of Path
        The files written; each is complete or does not appear.

    Raises
    ------
    NtkspecError
        If a suffix is not supported, or the comparison has no rows.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> from ntkspec.compare import compare
    >>> found = compare(open_run(run_path))
    >>> comparison_picture(found, open_run(run_path), [folder / "rates.png"])[0].name
    'rates.png'
    """
    paths = checked_outputs(outputs, run.path)
    if not comparison.curves:
        raise NtkspecError("the run has no trainings with records to draw; train it first")
    figure = _draw(comparison, run)
    for path in paths:
        save(figure, path)
    return paths


def _draw(comparison: Comparison, run: Run) -> Figure:
    from matplotlib.figure import Figure

    losses = list(dict.fromkeys(loss for loss, _, _ in comparison.curves))
    styles = _styles(comparison)
    figure = Figure(figsize=(11, 3.6 * len(losses) + 1.2), layout="constrained", dpi=150)
    grid = figure.subplots(len(losses), 2, squeeze=False)
    for (left, right), loss in zip(grid, losses, strict=True):
        _amplitudes(left, comparison, loss, styles)
        _ratios(right, comparison, loss, styles)
    _legend(figure, comparison, styles, run)
    name_missing(figure, comparison.missing)
    return figure


def _styles(comparison: Comparison) -> dict[int, Style]:
    """A colour and marker for each degree; if there are too many, evenly chosen degrees."""
    degrees = sorted({row.degree for row in comparison.rows})
    if len(degrees) > len(STYLES):
        chosen = np.linspace(0, len(degrees) - 1, len(STYLES)).round().astype(int)
        degrees = [degrees[i] for i in chosen]
    return dict(zip(degrees, STYLES, strict=False))


def _amplitudes(axes: Axes, comparison: Comparison, loss: str, styles: dict[int, Style]) -> None:
    width = max(width for name, width, _ in comparison.curves if name == loss)
    for degree, style in styles.items():
        _amplitude(axes, comparison.curves[loss, width, degree], style)
    axes.set(xscale="log", yscale="log", ylim=(LOWEST, 1.7))
    axes.set_xlabel("step")
    axes.set_ylabel("amplitude / start")
    named = "L2 loss" if loss == "l2" else f"Sobolev loss, {loss.replace('=', ' = ')}"
    axes.set_title(f"{named}: the networks of width {width}", fontsize=11)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)


def _amplitude(axes: Axes, curves: Curves, style: Style) -> None:
    colour, marker, size = style
    later = curves.steps > 0
    for steps, amplitude in curves.measured:
        axes.plot(steps[1:], _cut(amplitude[1:]), color=colour, linewidth=0.6, alpha=0.35, zorder=1)
    for name, line, thick in LEVELS:
        axes.plot(
            curves.steps[later], _cut(getattr(curves, name)[later]), line, color=colour,
            linewidth=thick, zorder=2,
        )  # fmt: skip
    shortest = min(len(amplitude) for _, amplitude in curves.measured)
    mean = np.mean([amplitude[:shortest] for _, amplitude in curves.measured], axis=0)
    steps = curves.steps[:shortest]
    wanted = np.geomspace(max(steps[1], 1), max(steps[-1], 1), MARKERS)
    shown = np.unique(np.searchsorted(steps, wanted).clip(1, shortest - 1))
    axes.plot(
        steps[shown], _cut(mean[shown]), linestyle="none", marker=marker, markersize=size,
        color=colour, markerfacecolor="white", zorder=3,
    )  # fmt: skip


def _cut(amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop values below the picture, and values of opposite sign."""
    return np.where(amplitude > LOWEST, amplitude, np.nan)


def _ratios(axes: Axes, comparison: Comparison, loss: str, styles: dict[int, Style]) -> None:
    rows = [row for row in comparison.rows if row.loss == loss]
    columns, names = _columns(comparison, rows)
    apart = min((b / a for a, b in pairwise(columns)), default=4.0)
    band = comparison.tolerance
    axes.axhspan(1.0 - band, 1.0 + band, **TOLERATED)
    axes.axhline(1.0, color="0.5", linewidth=0.8, zorder=1)
    known = {row.degree for row in rows if row.points.ratio is not None}
    shown = [(degree, style) for degree, style in styles.items() if degree in known]
    drawn = [1.0 - 2 * band, 1.0 + 2 * band]
    for place, (degree, style) in enumerate(shown):
        # Shifted, so that markers do not overlap.
        aside = apart ** (0.6 * ((place + 0.5) / len(shown) - 0.5))
        mine = [row for row in rows if row.degree == degree and row.points.ratio is not None]
        drawn += _points(axes, mine, aside, style)
        drawn += _limit(axes, comparison, (loss, degree), columns[-1] * aside, style)
    low, high = max(min(drawn), 0.0), min(max(drawn), MOST_RATIO)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.set_xscale("log")
    axes.set_xlim(columns[0] / apart**0.5, columns[-1] * apart**0.5)
    axes.set_xticks(columns, names)
    axes.minorticks_off()
    axes.set_xlabel("width")
    axes.set_ylabel("measured rate / predicted for the points")
    power, title = comparison.powers[loss], "rates by width"
    if not math.isnan(power.power):
        p = f"$p = {power.power:.2f} \\pm {(power.high - power.low) / 2.0:.2f}$"
        title = f"scatter over seeds ~ width$^{{-p}}$, {p}"
    axes.set_title(title, fontsize=11)


def _columns(comparison: Comparison, rows: list[Row]) -> tuple[list[float], list[str]]:
    """Positions of the widths, and one more for infinite width if there is an extrapolated rate."""
    widths = sorted({row.width for row in rows})
    columns, names = [float(width) for width in widths], [str(width) for width in widths]
    if any(row.loss == rows[0].loss for row in comparison.extrapolated):
        columns.append(widths[-1] * widths[-1] / widths[-2])
        names.append("$\\infty$")
    return columns, names


def _points(axes: Axes, rows: list[Row], aside: float, style: Style) -> list[float]:
    """Ratios with their intervals; returns the values drawn."""
    for row in rows:
        if row.predicted_error is not None:
            half = ERRORS * row.predicted_error
            x = [row.width * aside] * 2
            axes.plot(x, [1.0 - half, 1.0 + half], color=style[0], zorder=2, **PREDICTED)
    return _bars(
        axes, [row.width * aside for row in rows], [row.points for row in rows], style,
        linestyle="none", markerfacecolor="white", elinewidth=1.0, capsize=2.0,
    )  # fmt: skip


def _limit(
    axes: Axes, comparison: Comparison, key: tuple[str, int], x: float, style: Style
) -> list[float]:
    """Extrapolated ratio (filled marker) and the ratio of the continuum's rate (dotted dash)."""
    for row in comparison.extrapolated:
        level = row.points
        if (row.loss, row.degree) == key and level.ratio is not None:
            drawn = _bars(axes, [x], [level], style, elinewidth=1.6, capsize=3.0)
            at = row.continuum.rate / level.rate
            axes.plot([x / 1.13, x * 1.13], [at, at], ":", color=style[0], linewidth=2.0)
            return [*drawn, at]
    return []


def _bars(
    axes: Axes, x: list[float], levels: list[Level], style: Style, **options: Any
) -> list[float]:
    """Draw ratios with their intervals; return the ends of these."""
    colour, marker, size = style
    ratio, halves = intervals_of(levels)
    axes.errorbar(
        x, ratio, yerr=halves, marker=marker, markersize=size + 0.5, color=colour, zorder=3,
        **options,
    )  # fmt: skip
    return [*(ratio - halves[0]), *(ratio + halves[1])]


def _legend(figure: Figure, comparison: Comparison, styles: dict[int, Style], run: Run) -> None:
    """Legend of degrees above the panels, of lines below."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    moving = {row.degree for row in comparison.rows if row.points.rate != 0.0}
    degrees = [
        Line2D([], [], linestyle="none", marker=marker, markersize=size, color=colour,
               markerfacecolor="white",
               label=f"$k = {degree_name(run, degree)}$"
                     + ", predicted rate 0" * (degree not in moving))
        for degree, (colour, marker, size) in styles.items()
    ]  # fmt: skip
    names = {
        "continuum": "continuum", "points": f"{run.points.n} points",
        "finite": "own kernel of the first seed",
    }  # fmt: skip
    lines: list[Artist] = [
        Line2D([], [], linestyle="none", marker="o", markersize=4.5, color="0.3",
               markerfacecolor="white", label="measured, mean over seeds"),
        Line2D([], [], color="0.3", linewidth=0.6, alpha=0.5, label="each seed"),
    ]  # fmt: skip
    lines += [
        Line2D([], [], color="0.3", linestyle=line, linewidth=thick, label=names[name])
        for name, line, thick in LEVELS
        if any(np.isfinite(getattr(one, name)).any() for one in comparison.curves.values())
    ]
    if any(row.predicted_error is not None for row in comparison.rows):
        label = "two predicted standard errors"
        lines.append(Line2D([], [], color="0.3", label=label, **PREDICTED))
    lines.append(Patch(label=f"within {comparison.tolerance:.0%}", **TOLERATED))
    layout: dict[str, Any] = {
        "frameon": False, "fontsize": 9, "handletextpad": 0.4, "columnspacing": 1.5
    }  # fmt: skip
    figure.legend(handles=degrees, loc="outside upper center", ncols=len(degrees), **layout)
    figure.legend(handles=lines, loc="outside lower center", ncols=min(len(lines), 4), **layout)
