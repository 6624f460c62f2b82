"""Functions that a run's networks learned: the poster's Figures 1 and 2, on any sphere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import appearing_text, check_outputs
from ntkspec.files.text import CsvWriter
from ntkspec.networks.full_name import full_name
from ntkspec.plots.pictures import NAMES, checked_outputs, name_missing, plain, save
from ntkspec.trainer.runs import Member, Run
from ntkspec.trainer.runs.history import part_name
from ntkspec.trainer.targets import SampledTarget

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["run_panels", "run_picture"]

Array = NDArray[np.float64]

TARGET, LEARNED, OTHERS = "0.55", "#D55E00", "#F3C3A5"
#: Colours of degrees, from dark to light.
COLOURS = ("#000000", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: Smallest energies drawn, relative to the largest, against steps and in bars.
LOWEST, LOWEST_BAR = 1e-12, 1e-8
#: Points on a great circle.
ARC = 400
#: Values above this are scaled, as their sum may overflow.
LARGE = 2.0**900
#: Most losses drawn side by side; more of them are drawn below each other.
MOST_COLUMNS = 4
#: Most degrees whose energies are drawn: the lowest ones of the target.
MOST_DEGREES = len(COLOURS)
COLUMNS = ("loss", "width", "seed", "panel", "series", "x", "value")


class Curve(NamedTuple):
    """A line or set of points of a panel."""

    series: str
    x: Array
    y: Array
    width: int = 0
    seed: int = 0


class Panel(NamedTuple):
    """What one panel shows, "function", "dft", "bars" or "energy", for a loss as in names."""

    kind: str
    loss: str
    curves: list[Curve]


def run_picture(
    run: Run, outputs: Sequence[str | Path], numbers: str | Path | None = None
) -> list[Path]:
    """Draw what the networks of a run learned, and how fast, for each loss.

    On the circle the first panel shows the target and the learned functions against
    x = angle / 2 pi, and the second the absolute values of their discrete Fourier transforms; on a
    torus of one dimension against its coordinate.  On other spheres they show the functions along a
    great circle and the energy of each degree, on other tori along the line (t, 2 t, 4 t) and of
    each frequency vector, by their lengths.  The third panel shows the energy of the residual at
    the target's degrees against steps.  If there are several widths, the largest is drawn.  If the
    run is unfinished, its finished trainings are drawn and the others named.

    Parameters
    ----------
    run : Run
    outputs : sequence of path
        Files to write; the suffix .png, .svg or .pdf sets the format.
    numbers : path, optional
        CSV file for the numbers drawn: loss, width, seed, panel, series, x, value.  An unfinished
        training has a row whose panel is "missing", with its status and steps.

    Returns
    -------
    list of Path
        The files written; each is complete or does not appear, except numbers to a pipe or device.

    Raises
    ------
    NtkspecError
        If a suffix is not supported, or no training of the run is finished.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> run_picture(open_run(run_path), [folder / "run.png"])[0].name
    'run.png'
    """
    paths = checked_outputs(outputs, run.path)
    if numbers is not None:
        check_outputs([Path(numbers)], [run.path], streams=True)
    panels = run_panels(run)
    if paths:
        figure = _draw(run, panels)
        for path in paths:
            save(figure, path)
    if numbers is not None:
        paths.append(Path(numbers))
        _write_numbers(run, panels, paths[-1])
    return paths


def run_panels(run: Run) -> list[list[Panel]]:
    """The three panels of a run's picture for each loss.

    Raises an NtkspecError if no training of the run is finished, or its target has no degrees.
    """
    if run.target.part not in ("degree", "frequency"):
        raise NtkspecError(
            f"{run.path}: the target of this run has no degrees; draw its history: "
            "ntkspec.open_run(path).plot()"
        )
    found: dict[str, list[Member]] = {}
    for member in run.members:
        if member.status in ("finished", "diverged"):
            found.setdefault(member.name.partition(",")[0], []).append(member)
    if not found:
        raise NtkspecError(f"{run.path}: no training of the run is finished; train it first")
    kinds = {"function": _function, "bars": _bars, "energy": _energy}
    if closed(run):
        kinds = {"function": _function, "dft": _dft, "energy": _energy}
    panels = []
    for loss, members in found.items():
        widest = max(member.width for member in members)
        shown = [member for member in members if member.width == widest]
        panels.append([Panel(kind, loss, curves(run, shown)) for kind, curves in kinds.items()])
    return panels


def _of(m: Member, x: Array, y: Array, series: str = "learned") -> Curve:
    return Curve(series, x, y, m.width, m.seed)


def _function(run: Run, members: list[Member]) -> list[Curve]:
    """Target and learned functions, around the circle or along a closed line."""
    features = run.points.features
    if closed(run):
        x = np.arange(run.grid.n) / run.grid.n
        target = _samples(run) if sampled(run) else Curve("target", x, run.grid_target)
        return [target, *(_of(m, x, m.grid_learned) for m in members)]
    if features is None:
        along = np.linspace(0.0, 2.0 * np.pi, ARC)
        at = np.zeros((ARC, run.points.dim))
        at[:, -1], at[:, 0] = np.cos(along), np.sin(along)
        inputs = at
    else:
        along = np.linspace(0.0, 1.0, ARC)
        at = np.outer(along, 2 ** np.arange(features.dim))
        inputs = features.of(at)
    learned = (_of(m, along, run.network(m).values(inputs)) for m in members)
    return [Curve("target", along, run.target.values(at)), *learned]


def closed(run: Run) -> bool:
    """Whether the domain is one closed line: the circle, or a torus of one dimension."""
    features = run.points.features
    return run.points.dim == 2 if features is None else features.dim == 1


def sampled(run: Run) -> bool:
    """Whether the target is known only at the training points."""
    return isinstance(run.target, SampledTarget)


def _samples(run: Run) -> Curve:
    """The target at the training points of a closed line, in their order along it."""
    if run.points.features is None:
        x = np.arctan2(run.points.x[:, 1], run.points.x[:, 0]) / (2.0 * np.pi) % 1.0
    else:
        x = run.points.at[:, 0] % 1.0
    order = np.argsort(x)
    return Curve("target", x[order], run.target_values[order])


def _dft(run: Run, members: list[Member]) -> list[Curve]:
    """Absolute values of the DFT, scaled so that sin(2 pi k x) gives 1 at k."""
    points = run.points.equispaced or run.points.kind == "torus"
    target = run.target_values if points else run.grid_target
    learned = [m.learned if points else m.grid_learned for m in members]
    found = (_of(m, *_spectrum(y)) for m, y in zip(members, learned, strict=True))
    return [Curve("target", *_spectrum(target)), *found]


def _spectrum(values: Array) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):  # a diverged network may have any values
        # A sum of large values overflows where their mean does not.
        scale = 2.0**-64 if np.abs(values).max() > LARGE else 1.0
        size = np.abs(np.fft.rfft(values * scale)) * 2.0 / values.size
        size[0] /= 2.0
        if values.size % 2 == 0:
            size[-1] /= 2.0
        size /= scale
    return np.arange(size.size, dtype=np.float64), size


def _bars(run: Run, members: list[Member]) -> list[Curve]:
    """Energy of the residual at each degree, before and after training."""
    degrees = run.degrees.astype(np.float64)
    after = (_of(m, degrees, m.energy[-1], "residual") for m in members)
    return [Curve("target", degrees, members[0].energy[0]), *after]


def _energy(run: Run, members: list[Member]) -> list[Curve]:
    """Energy of the residual at each degree of the target, divided by that at the start."""
    degrees = run.target.degrees[:MOST_DEGREES]
    return [
        _of(m, m.steps.astype(np.float64), m.energy[:, i] / m.energy[0, i], part_name(run, degree))
        for degree, i in zip(degrees, np.searchsorted(run.degrees, degrees), strict=True)
        for m in members
    ]


def _write_numbers(run: Run, panels: list[list[Panel]], path: Path) -> None:
    with appearing_text(path) as file:
        writer = CsvWriter(file)
        writer.row(COLUMNS)
        writer.rows(_rows(panels))
        for one in run.missing:
            row = (one.loss, one.width, one.seed, "missing", one.status, one.steps_done, "")
            writer.row(row)


def _rows(panels: list[list[Panel]]) -> Iterator[tuple[object, ...]]:
    for panel in (panel for group in panels for panel in group):
        for curve in panel.curves:
            who = (curve.width, curve.seed) if curve.width else ("", "")
            for x, y in zip(curve.x.tolist(), curve.y.tolist(), strict=True):
                yield panel.loss, *who, panel.kind, curve.series, x, y


# --- drawing -------------------------------------------------------------------------------------


def _draw(run: Run, panels: list[list[Panel]]) -> Figure:
    from matplotlib.figure import Figure

    beside = 1 < len(panels) <= MOST_COLUMNS
    rows, columns = (3, len(panels)) if beside else (len(panels), 3)
    size = (3.9 * columns + 0.3, 2.7 * rows + 0.9)
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    grid = figure.subplots(rows, columns, squeeze=False)
    if beside:
        grid = grid.T
    for place, (group, line) in enumerate(zip(panels, grid, strict=True)):
        for panel, axes in zip(group, line, strict=True):
            _panel(run, panel, axes)
            if beside and place:
                axes.set_ylabel("")
    for place in range(3):
        _share_limits([line[place] for line in grid])
    if len(panels) > 1:
        for group, line in zip(panels, grid, strict=True):
            name = _loss_name(run, group[0].loss)
            if len(_widths(panels)) > 1:
                name += f", width {max(_widths([group]))}"
            line[0].set_title(name, fontsize=11)
    figure.suptitle(_title(run, panels), fontsize=11)
    _legend(figure, grid)
    name_missing(figure, run.missing)
    return figure


def _widths(panels: list[list[Panel]]) -> set[int]:
    """Widths of the networks shown; in an unfinished run they may differ between losses."""
    return {curve.width for group in panels for curve in group[0].curves if curve.width}


def _title(run: Run, panels: list[list[Panel]]) -> str:
    """The run's name, activation, width (if there is one), points, steps, loss (if one)."""
    recipe = run.recipe
    network = recipe.network.network
    parts = [NAMES.get(network.name, network.name) + full_name(network)[len(network.name) :]]
    if len(_widths(panels)) == 1:
        parts += [f"width {width}" for width in _widths(panels)]
    features = run.points.features
    if features is not None:
        parts.append(f"torus, {len(features.frequencies)} features")
    elif run.points.dim > 2:
        parts.append(f"$d = {run.points.dim}$")
    parts += [f"{run.points.n} points", f"{recipe.steps} steps"]
    if recipe.operator is not None:
        parts.append(f"residual of {recipe.operator}")
    if len(panels) == 1:
        parts.append(_loss_name(run, panels[0][0].loss))
    return "\n".join(filter(None, (plain(recipe.name), ", ".join(parts))))


def _loss_name(run: Run, loss: str) -> str:
    if loss == "l2":
        return "$L^2$ loss"
    if loss == "s=auto":
        chosen = dict.fromkeys(f"{m.s:g}" for m in run.members if m.name.startswith(loss))
        return f"$s = {', '.join(chosen)}$ (auto)"
    return f"${loss.replace('=', ' = ')}$"


def _share_limits(column: list[Axes]) -> None:
    """Use the same limits for all losses, so that they can be compared."""
    limits = [axes.get_ylim() for axes in column]
    for axes in column:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _panel(run: Run, panel: Panel, axes: Axes) -> None:
    if panel.kind == "function":
        _draw_function(run, panel, axes)
    elif panel.kind == "energy":
        _draw_energy(panel, axes)
    else:
        _draw_degrees(run, panel, axes)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_function(run: Run, panel: Panel, axes: Axes) -> None:
    target, first, *others = panel.curves
    line: dict[str, Any] = (
        {"marker": "o", "markersize": 4.0} if sampled(run) else {"linewidth": 2.6}
    )
    axes.plot(target.x, target.y, color=TARGET, label="target", **line)
    for curve in others:
        axes.plot(curve.x, curve.y, color=OTHERS, linewidth=0.8, label="other seeds")
    axes.plot(first.x, first.y, color=LEARNED, linewidth=1.1, label="learned")
    axes.set_ylabel("function")
    features = run.points.features
    if closed(run):
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("$x$")
    elif features is not None:
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel(f"$t$, at $x = ({', '.join(['t', '2t', '4t'][: features.dim])})$")
    else:
        axes.set_xlim(0.0, 2.0 * np.pi)
        axes.set_xticks(np.pi * np.arange(0.0, 2.1, 0.5), ["0", "π/2", "π", "3π/2", "2π"])
        axes.set_xlabel("angle from the last axis, along a great circle")


def _draw_degrees(run: Run, panel: Panel, axes: Axes) -> None:
    """Draw a DFT as stems, or energies as bars, up to twice the target's degrees."""
    from matplotlib.ticker import MaxNLocator

    dft = panel.kind == "dft"
    least = 12 if dft else 6
    last = max(2 * max(run.target.degrees, default=0), least)
    curves = [c._replace(x=c.x[c.x <= last], y=c.y[c.x <= last]) for c in panel.curves]
    target, first, *others = curves
    if dft:
        axes.vlines(target.x, 0.0, target.y, color=TARGET, linewidth=2.6)
        axes.plot(target.x, target.y, "o", color=TARGET, markersize=5.0, label="target")
    else:
        axes.bar(target.x, target.y, width=0.8, color=TARGET, label="target")
    for curve in others:
        axes.plot(curve.x, curve.y, "s", color=OTHERS, markersize=2.5)
    if dft:
        axes.vlines(first.x, 0.0, first.y, color=LEARNED, linewidth=1.0)
        axes.plot(first.x, first.y, "s", color=LEARNED, markersize=3.5, label="learned")
        axes.set(xlabel="frequency", ylabel="|DFT|")
        axes.set_ylim(bottom=0.0)
    else:
        axes.bar(first.x, first.y, width=0.4, color=LEARNED, label="residual")
        top = float(panel.curves[0].y.max())
        vectors = run.points.features is not None
        name = "number of the frequency vector, by length" if vectors else "degree"
        axes.set(yscale="log", ylim=(LOWEST_BAR * top, 3.0 * top), xlabel=name, ylabel="energy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_energy(panel: Panel, axes: Axes) -> None:
    series = list(dict.fromkeys(curve.series for curve in panel.curves))
    colours = dict(zip(series, cycle(COLOURS), strict=False))
    for curve in panel.curves:
        first = not any(line.get_label() == curve.series for line in axes.lines)
        axes.plot(
            curve.x, curve.y, color=colours[curve.series], label=curve.series,
            linewidth=1.3 if first else 0.5,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], LOWEST))
    axes.set_xlim(left=0.0)
    axes.set_xlabel("step")
    axes.set_ylabel("residual energy / start")


def _legend(figure: Figure, grid: Any) -> None:
    """Draw one legend for all panels, below them."""
    kept: dict[str, Any] = {}
    for axes in grid[0]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            kept.setdefault(label, handle)
    if "other seeds" in kept:
        kept = {key: kept[key] for key in ("target", "learned", "other seeds")} | kept
    columns = min(len(kept), int(figure.get_figwidth() / 1.3))
    figure.legend(
        list(kept.values()), list(kept), loc="outside lower center", ncols=columns,
        frameon=False, fontsize=9, handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
