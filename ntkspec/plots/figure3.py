"""The poster's Figure 3 to full accuracy: eigenvalues against degrees, with their laws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import family, named_domain
from ntkspec.errors import NtkspecError
from ntkspec.laws.derived import known_law
from ntkspec.laws.reach import holds_within
from ntkspec.networks import Network
from ntkspec.opening import open_table
from ntkspec.plots.pictures import NAMES, STYLES, checked_outputs, save
from ntkspec.results import law_lines, style_of
from ntkspec.spectra.quadrature import funk_hecke
from ntkspec.tables import Table, TableSlice
from ntkspec.zonal import ZonalKernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["dims_left_out", "figure3"]

PREFERRED_DIMS = (3, 10, 64)
QUADRATURE_NODES = 2000
#: Largest degree that is read to find where a law begins to hold.
MOST_FOR_LAW = 2**14
#: Lower end of the axis (log10) if all eigenvalues are exact zeros.
NOISE = -20.0
LAW = "derived law (dashed: off by more than 10 %)"
#: Markers of a curve in a panel, and the share of its height in which two curves coincide.
MARKERS, SAME = 30, 0.02
#: Decades by which quadrature is above the eigenvalue where it is noise.
ABOVE = 1.0
PLAIN = f"plain double quadrature ({QUADRATURE_NODES} nodes)"


@dataclass(frozen=True)
class Curve:
    """One network in one dimension: logarithms to base 10 against degrees."""

    label: str
    number: int
    degrees: NDArray[np.int64]
    exact: NDArray[np.float64]
    law_degrees: NDArray[np.float64]
    law: NDArray[np.float64]
    #: Degree from which the law is within 10 %; infinite where it is not.
    law_from: float
    quadrature: NDArray[np.float64]


def figure3(
    table: str | Path, outputs: Sequence[str | Path], *, domain: str = "sphere"
) -> list[Path]:
    """Draw eigenvalues on a domain against degrees for the networks of a table, with their laws.

    The left panels are log-log, where power laws are straight; the right ones are log-linear, down
    to the smallest value.  Laws are lines, dashed where they are off by more than 10 %.  Small
    grey crosses show, on the sphere, Gauss-Gegenbauer quadrature in doubles with 2000 nodes.

    Parameters
    ----------
    table : path
        Table with up to eight networks on the domain.  Up to three dimensions are drawn; of more,
        3, 10 and 64 if it has one of them, else the first and the last.
    outputs : sequence of path
        Files to write; the suffix .png, .svg or .pdf sets the format.
    domain : {"sphere", "cube", "gaussian"}

    Returns
    -------
    list of Path
        The files written; each is complete or does not appear.

    Raises
    ------
    TableError
        If the table is missing or damaged.
    NtkspecError
        If a suffix is not supported, or the table has no network on the domain or fewer than three
        degrees above 0.

    Examples
    --------
    >>> figure3(table_path, [folder / "figure3.png"])[0].name
    'figure3.png'
    """
    paths, domain = checked_outputs(outputs, Path(table)), str(family(domain))
    with open_table(table) as source:
        names = source.names(domain=domain)
        panels = _panels(source, names, _dims(source, names))
    figure = _draw(panels)
    for path in paths:
        save(figure, path)
    return paths


def dims_left_out(table: str | Path, *, domain: str = "sphere") -> list[int]:
    """Return the dimensions of a table that `figure3` does not draw.

    Examples
    --------
    >>> dims_left_out(table_path)
    []
    """
    with open_table(table) as source:
        names = source.names(domain=str(family(domain)))
        every = {dim for name in names for dim in source.dims(name).tolist()}
        return sorted(every - set(_dims(source, names)))


def _dims(table: Table, names: Sequence[str]) -> list[int]:
    """All dimensions of all networks if they are few, else the preferred ones, or the ends."""
    common = set.intersection(*(set(table.dims(name).tolist()) for name in names))
    if not common:
        raise NtkspecError("the table's networks have no dimension in common")
    ordered = sorted(common)
    if len(ordered) <= len(PREFERRED_DIMS):
        return ordered
    return [dim for dim in PREFERRED_DIMS if dim in common] or [ordered[0], ordered[-1]]


def _panels(table: Table, names: Sequence[str], dims: list[int]) -> dict[int, list[Curve]]:
    """The curves of each dimension; the dimensions are read together."""
    panels: dict[int, list[Curve]] = {dim: [] for dim in dims}
    if len(names) > len(STYLES):
        raise NtkspecError(f"the table has {len(names)} networks; at most {len(STYLES)} are drawn")
    for number, name in enumerate(names):
        degrees = table.degrees(name)
        part = table.select(name, dims, _thinned(degrees))
        whole = table.select(name, dims, degrees[degrees <= MOST_FOR_LAW])
        for row, dim in enumerate(dims):
            logs = part.log_eigenvalues[row], whole.log_eigenvalues[row]
            panels[dim].append(_curve(part, dim, number, logs[0], (whole.degrees, logs[1])))
    return panels


def _curve(
    part: TableSlice,
    dim: int,
    number: int,
    log: NDArray[np.float64],
    whole: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> Curve:
    """The curve of one dimension; `whole` has the degrees in which its law is looked for."""
    network, degrees = part.network, part.degrees
    model = known_law(network, named_domain(part.domain, dim), part.kernel)
    label = part.name.removesuffix(f"(domain={part.domain})")
    label = NAMES.get(label, label)
    slope = getattr(network, "slope", None)
    if slope is not None and "," not in part.name:
        label = f"leaky ReLU (slope {slope:g})"
    plain = np.full(degrees.size, np.nan)
    if part.domain == "sphere":
        few = degrees < 2 * QUADRATURE_NODES  # as many as the rule can resolve
        with np.errstate(divide="ignore"):
            plain[few] = np.log10(np.abs(_plain(network, dim, degrees[few], part.kernel)))
    law_degrees = drawn = np.empty(0)
    start = math.inf
    if model is not None:
        # Take from the degrees of the table where the law holds; otherwise it is computed.
        known = holds_within(model, *whole) or model.holds_from
        start = math.inf if known is None else float(known)
        law_degrees = np.geomspace(float(degrees[0]), float(degrees[-1]), 200)
        drawn = model.log_eigenvalue(law_degrees) / math.log(10.0)
    return Curve(label, number, degrees, log / math.log(10.0), law_degrees, drawn, start, plain)


def _thinned(degrees: NDArray[np.int64]) -> NDArray[np.int64]:
    """Degrees from 1 on, evenly spread on both scales, with both parities."""
    positive = degrees[degrees > 0]
    if positive.size < 3:
        raise NtkspecError("the table has too few degrees to draw; it needs at least 3 above 0")
    top = float(positive[-1])
    wanted = np.r_[np.geomspace(1, top, 45), np.linspace(1, top, 60)]
    near = positive[np.minimum(np.searchsorted(positive, wanted), positive.size - 1)]
    return np.unique(np.r_[near, np.intersect1d(near + 1, positive)])


def _plain(
    network: Network | ZonalKernel, dim: int, degrees: NDArray[np.int64], kernel: str
) -> NDArray[np.float64]:
    """Result of quadrature of the pointwise kernel; NaN without Gaussian weights."""
    if not isinstance(network, Network) or network.weights == "sphere":
        return np.full(degrees.size, np.nan)
    pointwise = network.ntk if kernel == "ntk" else network.nngp
    return funk_hecke(pointwise, dim, degrees, nodes=QUADRATURE_NODES).eigenvalues


def _draw(panels: dict[int, list[Curve]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.3 * len(panels) + 1.1), layout="constrained", dpi=150)
    grid = figure.subplots(len(panels), 2, squeeze=False)
    for row, (dim, curves) in zip(grid, panels.items(), strict=True):
        _panel(row[0], dim, curves, log_degrees=True)
        _panel(row[1], dim, curves, log_degrees=False)
    for axes in grid[-1]:
        axes.set_xlabel("degree $k$")
    grid[0][0].set_title("log-log: power laws are straight", fontsize=11)
    grid[0][1].set_title("log-linear: down to the smallest eigenvalue", fontsize=11)
    _legend(figure, grid.ravel())
    return figure


def _panel(axes: Axes, dim: int, curves: list[Curve], *, log_degrees: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    # Exact zeros have no logarithm.
    finite = np.concatenate([c.exact[np.isfinite(c.exact)] for c in curves])
    smallest = finite.min() if finite.size else NOISE
    bottom = max(smallest * 1.05, -45.0) if log_degrees else smallest * 1.05
    for curve, places in zip(curves, _places(curves, bottom, log_degrees), strict=True):
        style = style_of(curve.number, {"linestyle": "none", "label": curve.label, "zorder": 3})
        if np.isfinite(curve.quadrature).any():
            axes.plot(
                curve.degrees, curve.quadrature, linestyle="none", marker="x", markersize=3,
                markeredgewidth=0.7, color="0.62", zorder=1, label=PLAIN,
            )  # fmt: skip
        axes.plot(curve.degrees[places], curve.exact[places], **style)
        if curve.law.size:
            for part, line in law_lines(curve.law_degrees, curve.law_from):
                axes.plot(
                    curve.law_degrees[part], curve.law[part], color=style["color"], linewidth=1.1,
                    linestyle=line, zorder=2, label=LAW,
                )  # fmt: skip
    if log_degrees:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom, 1.0)
    axes.yaxis.set_major_formatter(lambda y, _: f"$10^{{{y:.0f}}}$")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_ylabel(f"$d = {dim}$:   $\\lambda_k$")
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    if log_degrees:
        _mark_noise(axes, curves, bottom)


def _places(curves: list[Curve], bottom: float, log_degrees: bool) -> list[NDArray[np.intp]]:
    """Places of each curve's markers: evenly spread, and in turn on curves that coincide."""
    places: list[NDArray[np.intp]] = []
    groups: list[list[int]] = []
    for i, curve in enumerate(curves):
        same = (one for one in groups if _gap(curve, curves[one[0]]) < SAME * (1.0 - bottom))
        group = next(same, None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
        shown = np.flatnonzero(np.isfinite(curve.exact) & (curve.exact > bottom))
        at = np.log(curve.degrees[shown]) if log_degrees else curve.degrees[shown]
        # The first degree of each of as many steps, unless it is near that of the step before.
        step = np.ptp(at) / MARKERS if shown.size > 1 else 1.0
        first = np.unique(np.floor((at - at[:1]) / step), return_index=True)[1]
        places.append(shown[first[np.diff(at[first], prepend=-np.inf) > step / 2]])
    for group in groups:
        for turn, i in enumerate(group):
            places[i] = places[i][turn :: len(group)]
    return places


def _gap(one: Curve, other: Curve) -> float:
    """Median distance in decades at the degrees of both; infinite where they share but a few."""
    _, at, of = np.intersect1d(one.degrees, other.degrees, return_indices=True)
    a, b = one.exact[at], other.exact[of]
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.median(np.abs(a[both] - b[both]))) if both.sum() > 2 else math.inf


def _mark_noise(axes: Axes, curves: list[Curve], bottom: float) -> None:
    """Write between which powers of ten the crosses of the panel lie that are noise."""
    drawn = np.concatenate([c.quadrature for c in curves])
    exact = np.concatenate([c.exact for c in curves])
    noise = drawn[np.isfinite(drawn) & (drawn > np.maximum(bottom, exact + ABOVE))]
    if noise.size:
        low, high = (f"$10^{{{power:.0f}}}$" for power in (noise.min(), noise.max()))
        axes.text(
            0.03, 0.04, f"crosses: plain double quadrature,\nnoise from {low} to {high}",
            transform=axes.transAxes, fontsize=8, color="0.3", va="bottom", zorder=4,
            bbox=dict(facecolor="white", edgecolor="none", alpha=0.85, pad=1.5),
        )  # fmt: skip


def _legend(figure: Figure, panels: Iterable[Axes]) -> None:
    from matplotlib.lines import Line2D

    kept: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        kept |= dict(zip(labels, handles, strict=True))
    for label, handle in ((LAW, Line2D([], [], color="0.3", linewidth=1.1)), (PLAIN, None)):
        if label in kept:
            known = kept.pop(label)
            kept[label] = handle or known
    # On one line if it fits: about 140 characters do, with 8 for each marker and gap.
    columns = min(len(kept), max(2, 140 // (max(map(len, kept)) + 8)))
    if sum(len(label) + 8 for label in kept) <= 140:
        columns = len(kept)
    figure.legend(
        list(kept.values()), list(kept), loc="outside upper center", ncols=columns,
        frameon=False, fontsize=9, handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
