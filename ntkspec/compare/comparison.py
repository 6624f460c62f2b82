"""`compare`: measured against predicted rates, over the seeds and widths of a run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.compare.predicted import ComparedMember, NetworkAtStart, Predictions, Scatter
from ntkspec.compare.results import TOLERANCE, Comparison, ExtrapolatedRow, Row
from ntkspec.compare.verdicts import (
    MOST_RATIO,
    explained,
    judge,
    judge_limit,
    ratios,
    why_unmeasured,
    withhold,
)
from ntkspec.parameters import number
from ntkspec.tables import Table
from ntkspec.trainer.rates import (
    DecayRate,
    SeedSummary,
    WidthPower,
    infinite_width,
    summarize,
    width_power,
)
from ntkspec.trainer.runs import start_network
from ntkspec.trainer.runs.history import degree_name

if TYPE_CHECKING:
    from ntkspec.trainer.runs import Member, Missing, Run

__all__ = ["compare"]

Array = NDArray[np.float64]


def compare(
    run: Run,
    table: str | os.PathLike[str] | Table | None = None,
    *,
    start: Callable[[Run, Member], NetworkAtStart] | None = None,
    finite: bool = True,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare a run's measured decay rates with the predicted ones.

    Parameters
    ----------
    run : Run
        From `ntkspec.trainer.runs.open_run`.
    table : path or Table, optional
        Read the operator's eigenvalues from this table; by default they are computed.
    start : callable, optional
        Returns a member's network at its start; by default it is rebuilt from the seed.
    finite : bool
        Whether to predict from the finite networks' own kernels too, which takes the longest, and
        the scatter from random networks where it has no formula.
    tolerance : float
        Relative difference up to which rates agree.
    progress : callable, optional
        Called with the number of members done and the number of all.

    Returns
    -------
    Comparison

    Raises
    ------
    NtkspecError
        If the table does not have the network, dimension or degrees, or the target has no
        known degrees.
    TableError
        If the table is missing or damaged.

    Notes
    -----
    At infinite width r <- (1 - eta K P) r, with the kernel matrix K and the matrix P of the loss.
    At the levels of points and of finite width this is solved exactly, the residual is projected
    on the target's harmonics at the recorded steps, and its rate is fitted as that of the measured
    amplitudes is; where the run is too short for a fit, later steps are used.  Degrees that are
    not in the target are left out; for samples, those count that the points resolve.

    Only finished trainings are compared.  Where some of a loss and width are unfinished, the row
    has no verdict: `Row.missing` and `Comparison.missing` name them.

    Examples
    --------
    With one seed the predicted scatter judges; this target moves the kernel of a narrow network:

    >>> from ntkspec.trainer.runs import open_run
    >>> found = compare(open_run(run_path))
    >>> [(row.loss, row.degree, round(row.predicted_error, 2), row.verdict) for row in found][:2]
    [('s=0', 1, 0.08, 'differs'), ('s=0', 2, 0.08, 'differs')]
    """
    tolerance = number(tolerance, "tolerance", 0.0, math.inf)
    predictions = Predictions(run, table)
    missing: list[Missing] = run.missing
    unfinished = {one.name for one in missing if one.status != "diverged"}
    members = [m for m in run.members if m.name not in unfinished and m.steps.size >= 2]
    make = start or _rebuild
    found: dict[tuple[str, int], list[ComparedMember]] = {}
    for done, member in enumerate(members):
        network = make(run, member) if finite and predictions.is_dense else None
        key = (member.name.partition(",")[0], member.width)
        found.setdefault(key, []).append(predictions.compare_member(member, network))
        if progress is not None:
            progress(done + 1, len(members))
    return _collect(predictions, found, missing, tolerance, sampled=finite)


def _rebuild(run: Run, member: Member) -> NetworkAtStart:
    """Rebuild a member's network at its start from its seed."""
    network = start_network(run.recipe, run.points.dim, member.width, member.seed)
    seen, x = run.recipe.loss.of(network, run.points), run.points.x
    return NetworkAtStart(seen.tangent_matrix(x), seen.values(x))


def _collect(
    predictions: Predictions,
    found: Mapping[tuple[str, int], list[ComparedMember]],
    missing: list[Missing],
    tolerance: float,
    *,
    sampled: bool,
) -> Comparison:
    absent: dict[tuple[str, int], list[Missing]] = {key: [] for key in found}
    for one in missing:
        absent.setdefault((one.loss, one.width), []).append(one)
    rows, curves, powers = [], {}, {}
    extrapolated: list[ExtrapolatedRow] = []
    for loss in dict.fromkeys(loss for loss, _ in absent):
        of_loss = [
            one.member for (name, _), seeds in found.items() if name == loss for one in seeds
        ]
        scatter = predictions.scatter(of_loss, sampled=sampled)
        for width in sorted(width for name, width in absent if name == loss):
            seeds, without = found.get((loss, width), []), absent[loss, width]
            for j, degree in enumerate(predictions.degrees):
                rows.append(_row(predictions, (loss, width), seeds, j, without, tolerance, scatter))
                if seeds:  # the measured curves of all, with the predictions of the first
                    measured = [curve for one in seeds for curve in one.curves[j].measured]
                    curves[loss, width, degree] = replace(seeds[0].curves[j], measured=measured)
        by_width = {w: seeds for (name, w), seeds in found.items() if name == loss}
        if by_width:
            without = [one for one in missing if one.loss == loss]
            series = _ratios_by_width(by_width, len(predictions.degrees))
            powers[loss] = width_power(list(series.values()))
            extrapolated += _extrapolate(
                predictions, loss, by_width, series, powers[loss], without, tolerance, scatter
            )
    texts = {k: degree_name(predictions.run, k) for k in predictions.degrees}
    names = {k: text for k, text in texts.items() if text != str(k)}
    return Comparison(rows, extrapolated, powers, curves, tolerance, missing, names)


def _row(
    predictions: Predictions, key: tuple[str, int], seeds: list[ComparedMember], j: int,
    missing: list[Missing], tolerance: float, scatter: Scatter,
) -> Row:  # fmt: skip
    members = [one.member for one in seeds]
    rates = [one.measured[j] for one in seeds]
    measured = [rate.rate for rate in rates if rate.status == "measured"]
    summary = summarize(measured) if measured else SeedSummary(0, math.nan, None, None, None)
    grid = [one.grid[j].rate for one in seeds if one.grid[j].status == "measured"]
    bounds = [rate.bound for rate in rates if not math.isnan(rate.bound)]
    reason = why_unmeasured(seeds, j)
    error = float(scatter.errors(key[1], max(len(measured), 1))[j])
    known = None if math.isnan(error) else error
    levels = {}
    for name in ("continuum", "points", "finite"):
        predicted = np.array([getattr(one, name)[j] for one in seeds])
        own = name == "finite"  # its prediction has no scatter
        level = judge(
            rates, predicted, reason, tolerance, per_network=own, error=None if own else known
        )
        if predictions.unpredicted:
            level = replace(level, reason=predictions.unpredicted)
        levels[name] = withhold(level, missing, "this width")
    levels["points"] = explained(levels["points"], levels["finite"])
    return Row(
        loss=key[0],
        s=_mean([member.s for member in members]),
        width=key[1],
        degree=predictions.degrees[j],
        seeds=len(measured),
        measured=summary.mean if measured else None,
        low=summary.low,
        high=summary.high,
        error=_relative_error(members, rates),
        predicted_error=known,
        error_source=scatter.source if known is not None else "",
        bound=max(bounds) if bounds else None,
        grid=float(np.mean(grid)) if grid else None,
        **levels,
        eigenvalue_error=float(predictions.errors[j]),
        kernel_movement=_mean([member.start_kernel_movement for member in members]),
        expected=len({member.name for member in members} | {one.name for one in missing}),
        missing=tuple(map(str, missing)),
    )


def _relative_error(members: Sequence[Member], rates: Sequence[DecayRate]) -> float | None:
    """The standard error of the mean rate, over it; step sizes may differ between seeds."""
    pairs = zip(members, rates, strict=True)
    found = [rate.rate / one.step_size for one, rate in pairs if rate.status == "measured"]
    if len(found) < 2:
        return None
    return float(np.std(found, ddof=1) / (math.sqrt(len(found)) * np.mean(found)))


def _mean(values: Sequence[float]) -> float:
    """The mean, or NaN where there are no values."""
    return float(np.mean(values)) if values else math.nan


def _ratios_by_width(
    by_width: Mapping[int, list[ComparedMember]], degrees: int
) -> dict[int, dict[int, Array]]:
    """Ratios to the points' rate, for each degree that was measured in all seeds of two widths."""
    series = {}
    for j in range(degrees):
        found = {}
        for width, seeds in by_width.items():
            predicted = np.array([one.points[j] for one in seeds])
            if not why_unmeasured(seeds, j) and (predicted > 0.0).all():
                ratio = ratios(np.array([one.measured[j].rate for one in seeds]), predicted)
                if ratio.max() <= MOST_RATIO:
                    found[width] = ratio
        if len(found) > 1:
            series[j] = found
    return series


def _extrapolate(
    predictions: Predictions,
    loss: str,
    by_width: Mapping[int, list[ComparedMember]],
    series: Mapping[int, Mapping[int, Array]],
    power: WidthPower,
    missing: list[Missing],
    tolerance: float,
    scatter: Scatter,
) -> Iterator[ExtrapolatedRow]:
    for j, by_degree in series.items():
        deviation = float(np.sqrt(scatter.variances[j]))
        known = None if math.isnan(deviation) else deviation
        limit = infinite_width(by_degree, power, known)
        if math.isnan(limit.rate):
            continue
        widest = by_width[max(by_degree)]
        points = float(np.mean([one.points[j] for one in widest]))
        continuum = float(np.mean([one.continuum[j] for one in widest]))
        values = [points * value for value in (limit.rate, limit.low, limit.high)]
        yield ExtrapolatedRow(
            loss=loss,
            s=float(np.mean([one.member.s for one in widest])),
            degree=predictions.degrees[j],
            widths=len(by_degree),
            measured=values[0],
            low=values[1],
            high=values[2],
            trend=limit.trend,
            scatter="observed" if known is None else "predicted",
            continuum=withhold(judge_limit(continuum, values, tolerance), missing, "this loss"),
            points=withhold(judge_limit(points, values, tolerance), missing, "this loss"),
        )
