"""Measured decay rates of trained networks compared with the predicted ones, by width."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import goal, write
from ntkspec.compare import Comparison, compare
from ntkspec.trainer.runs import open_run, train_run

RECIPE = """
steps = {steps}
network = {{activation = "{activation}", width = {widths}, seeds = {seeds}}}
data = {data}
target = {{kind = "{kind}", degrees = {degrees}, amplitudes = {amplitude}}}
loss = {{s = {s}, weight = "{weight}"}}
optimizer = {{step_size = {step}}}
"""
CIRCLE = '{kind = "circle", points = 64}'
SPHERE = '{kind = "product", degree = 13, dim = 3}'
WIDTHS, SEEDS = (1024, 4096, 16_384, 65_536), 5
#: Goal for the ratio at the largest width; fraction of the largest rate below which no goal is set.
TOLERANCE, SHARE = 0.03, 0.01


@dataclass(frozen=True)
class Setting:
    """A run: its degrees have rates above a hundredth of the largest, or the eigenvalue 0."""

    activation: str
    data: str
    degrees: tuple[int, ...]
    step: float
    steps: int = 1000
    s: str = '"l2"'
    amplitude: float = 0.01
    weight: str = "power"

    @property
    def where(self) -> str:
        """The sphere's name."""
        return "circle" if self.data == CIRCLE else "S^2"

    def recipe(self, widths: tuple[int, ...], seeds: int) -> str:
        """The recipe's text."""
        return RECIPE.format(
            steps=self.steps, activation=self.activation, widths=list(widths), seeds=seeds,
            data=self.data, kind="cosine" if self.data == CIRCLE else "zonal",
            degrees=list(self.degrees), amplitude=self.amplitude, s=self.s, step=self.step,
            weight=self.weight,
        )  # fmt: skip


SETTINGS = (
    Setting("relu", CIRCLE, (0, 1, 2, 3, 4, 6, 8), 1.6),
    Setting("leaky_relu", CIRCLE, (0, 1, 2, 3, 4, 6), 1.3, 900),
    Setting("tanh", CIRCLE, (1, 3), 0.9, 250),
    Setting("sigmoid", CIRCLE, (1, 3), 9.0),
    Setting("relu", SPHERE, (0, 1, 2, 3, 4), 2.4, 500),
    Setting("leaky_relu", SPHERE, (0, 1, 2, 3, 4), 2.0, 700),
    Setting("tanh", SPHERE, (1, 3), 1.4, 350),
    Setting("sigmoid", SPHERE, (1,), 14.0, 60),
)
EVEN = tuple(range(2, 17, 2))
#: Rates of relu's even degrees with L2, with s = d/2, and with the s that makes them flat.
FLATTENED = (
    Setting("relu", CIRCLE, EVEN, 3.5, 2500, '"l2"', 0.003),
    Setting("relu", CIRCLE, EVEN, 0.25, 150, "1", 0.003, "laplacian"),
    Setting("relu", CIRCLE, EVEN, 0.1, 150, "1.25", 0.003, "laplacian"),
)


def run(
    settings: tuple[Setting, ...] = SETTINGS,
    flattened: tuple[Setting, ...] = FLATTENED,
    widths: tuple[int, ...] = WIDTHS,
    seeds: int = SEEDS,
) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows: list[dict[str, Any]] = []
    goals: list[dict[str, Any]] = []
    for setting in settings:
        found = _compared(setting, widths, seeds)
        rows += _rows(setting, found)
        goals += _goals(setting, found, widths[-1])
    for setting in flattened:
        found = _compared(setting, widths[-1:], seeds)
        rows += _rows(setting, found)
        goals.append(_spread(setting, found))
    write("rates", rows, goals)
    return goals


def _compared(setting: Setting, widths: tuple[int, ...], seeds: int) -> Comparison:
    with tempfile.TemporaryDirectory() as there:
        recipe, out = Path(there) / "r.toml", Path(there) / "run.h5"
        recipe.write_text(setting.recipe(widths, seeds))
        train_run(recipe, out)
        return compare(open_run(out))


def _rows(setting: Setting, found: Comparison) -> list[dict[str, Any]]:
    limits = {limit.degree: limit for limit in found.extrapolated}
    rows = []
    for row in found.rows:
        limit = limits.get(row.degree)
        rows.append(
            {
                "network": setting.activation, "on": setting.where, "s": setting.s.strip('"'),
                "width": row.width, "degree": row.degree, "measured": row.measured,
                "/ points": row.points.ratio, "low": row.points.low, "high": row.points.high,
                "/ continuum": row.continuum.ratio, "/ own kernel": row.finite.ratio,
                "moved": row.kernel_movement, "verdict": row.points.verdict,
                "limit / points": limit.points.ratio if limit else None,
                "limit low": limit.points.low if limit else None,
                "limit high": limit.points.high if limit else None,
            }
        )  # fmt: skip
    return rows


def _goals(setting: Setting, found: Comparison, width: int) -> list[dict[str, Any]]:
    where = f"{setting.activation}, {setting.where}"
    largest = max(row.points.rate for row in found.rows)
    goals = []
    for row in found.rows:
        if row.width != width or row.points.rate < SHARE * largest:
            continue
        ratio = row.points.ratio
        off = float("nan") if ratio is None else abs(ratio - 1.0)
        what = f"measured over predicted for the points, off 1, {where}, degree {row.degree}"
        goals.append(_known_goal(what, f"<= {TOLERANCE}", off, off <= TOLERANCE))
    for limit in found.extrapolated:
        if limit.points.rate >= SHARE * largest:
            inside = limit.points.low <= 1.0 <= limit.points.high
            what = f"limit of infinite width over predicted, {where}, degree {limit.degree}"
            goals.append(_known_goal(what, "1 in interval", limit.points.ratio, inside))
    for row in found.rows:
        if row.width == width and row.points.rate == 0.0:
            still = row.points.verdict == "does not decay"
            what = f"degree of eigenvalue 0 does not decay, {where}, degree {row.degree}"
            goals.append(_known_goal(what, "True", float(still), still))
    power = next(iter(found.powers.values()), None)
    if power is not None:
        around = power.low <= 0.5 <= power.high
        what = f"power of the width, {where} ({power.low:.2f} to {power.high:.2f})"
        goals.append(_known_goal(what, "1/2 in interval", power.power, around))
    return goals


def _spread(setting: Setting, found: Comparison) -> dict[str, Any]:
    rates = [row.measured for row in found.rows]
    known = [rate for rate in rates if rate]
    spread = max(known) / min(known) if len(known) == len(rates) else float("nan")
    what = f"largest over smallest rate, relu, circle, degrees 2..16, s = {setting.s}"
    if setting.s == '"l2"':
        return _known_goal(what, "> 50", spread, spread > 50.0)
    return _known_goal(what, "< 2", spread, spread < 2.0)


def _known_goal(what: str, wanted: str, measured: float | None, met: bool) -> dict[str, Any]:
    """A goal that may lack a figure; JSON has no NaN."""
    known = measured if measured is not None and measured == measured else None
    return goal(what, wanted, known, met and known is not None)  # type: ignore[arg-type]
