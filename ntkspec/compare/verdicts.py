"""Verdicts: whether measured rates agree with a predicted one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.compare.results import Level
from ntkspec.trainer.rates import DecayRate, SeedSummary, summarize

if TYPE_CHECKING:
    from ntkspec.compare.predicted import ComparedMember
    from ntkspec.trainer.runs import Missing

__all__ = [
    "MOST_RATIO",
    "explained",
    "judge",
    "judge_limit",
    "ratios",
    "why_unmeasured",
    "withhold",
]

Array = NDArray[np.float64]

#: Largest ratio of rates that is given: its square must not overflow.
MOST_RATIO = 1e150
#: With an interval wider than this to either side, relative, rates cannot be said to agree.
MOST_SCATTER = 0.1
#: Predicted standard errors that make an interval, as those of a plan's accuracy.
ERRORS = 2.0
#: Seeds that scatter more than so many times as predicted show that the prediction does not hold.
MOST_EXCESS = 3.0

AGREES, DIFFERS, STAYS, NO_VERDICT = "agrees", "differs", "does not decay", "no verdict"

FINITE_WIDTH = "the networks' own kernels at the start explain it; take a larger width"
MOVEMENT = "the networks' kernels moved in training; take a smaller target or a larger width"
REASONS = {
    "too short": "the run is too short: the amplitude has not fallen to 3/4 of its start",
    "not decaying": "the run is too short: the amplitude has not fallen",
    "too coarse": "the records are too coarse: the amplitude vanishes within one or two of them",
    "overshoots": "the step size is too large: the amplitude changes its sign",
    "no start": "the amplitude starts at 0",
}


def judge(
    rates: Sequence[DecayRate],
    predicted: Array,
    reason: str,
    tolerance: float,
    *,
    per_network: bool,
    error: float | None = None,
) -> Level:
    """Compare the rates of all seeds with those predicted at one level.

    `error` is the predicted relative standard error of their mean, if known.  `reason` tells why
    some seeds have no rate; it is empty where all have one.  With `per_network` each network has a
    prediction of its own, so that one seed suffices for a verdict.
    """
    rate = float(predicted.mean()) if predicted.size else math.nan
    if math.isnan(rate):
        return Level(rate, None, None, None, NO_VERDICT, "it was not predicted at this level")
    if rate == 0.0:
        return _judge_zero(rates, reason)
    if not reason and (predicted == 0.0).any():
        reason = "some seeds' networks are predicted not to decay"
    if reason:
        return Level(rate, None, None, None, NO_VERDICT, reason)
    values = ratios(np.array([one.rate for one in rates]), predicted)
    if values.max() > MOST_RATIO:
        return Level(rate, None, None, None, DIFFERS, "")
    ratio = summarize(values)
    verdict, reason = _verdict(ratio, tolerance, error)
    if per_network and ratio.count == 1:
        verdict, reason = (AGREES if abs(ratio.mean - 1.0) <= tolerance else DIFFERS), ""
    return Level(rate, ratio.mean, ratio.low, ratio.high, verdict, reason)


def judge_limit(rate: float, measured: Sequence[float], tolerance: float) -> Level:
    """Compare an extrapolated rate (value, low, high) with a predicted one."""
    if rate == 0.0:
        return Level(rate, None, None, None, DIFFERS, "")
    ratio, low, high = (value / rate for value in measured)
    verdict, reason = _verdict(SeedSummary(0, ratio, None, low, high), tolerance)
    return Level(rate, ratio, low, high, verdict, reason)


def explained(points: Level, finite: Level) -> Level:
    """Say why a rate differs from that of the points, by the one of the networks' own kernels."""
    if points.verdict != DIFFERS or finite.verdict not in (AGREES, DIFFERS):
        return points
    return replace(points, reason=FINITE_WIDTH if finite.verdict == AGREES else MOVEMENT)


def withhold(level: Level, missing: Sequence[Missing], where: str) -> Level:
    """Return a level without a verdict while trainings are unfinished."""
    count = sum(one.status != "diverged" for one in missing)
    if count == 0:
        return level
    number = "one training" if count == 1 else f"{count} trainings"
    reason = f"the run is unfinished: {number} of {where} left to do"
    return replace(level, verdict=NO_VERDICT, reason=reason)


def why_unmeasured(seeds: Sequence[ComparedMember], j: int) -> str:
    """Why some seeds have no rate at the j-th degree; empty where all have one."""
    diverged = [one.member.name for one in seeds if one.member.status == "diverged"]
    if diverged:
        return f"{diverged[0]} diverged"
    statuses = [one.measured[j].status for one in seeds if one.measured[j].status != "measured"]
    if not statuses:
        return ""
    most_common = max(sorted(set(statuses)), key=statuses.count)
    some = f" (for {len(statuses)} of {len(seeds)} seeds)" * (len(statuses) < len(seeds))
    return REASONS[most_common] + some


def ratios(measured: Array, predicted: Array) -> Array:
    """Measured over predicted rates; callers compare them with `MOST_RATIO`."""
    with np.errstate(over="ignore"):
        return np.asarray(measured / predicted)


def _judge_zero(rates: Sequence[DecayRate], reason: str) -> Level:
    """A component that should not decay must not have fallen by a quarter."""
    if all(one.status in ("too short", "not decaying") for one in rates):
        return Level(0.0, None, None, None, STAYS, "")
    if reason and not any(one.status == "measured" for one in rates):
        return Level(0.0, None, None, None, NO_VERDICT, reason)
    return Level(0.0, None, None, None, DIFFERS, "")


def _verdict(ratio: SeedSummary, tolerance: float, error: float | None = None) -> tuple[str, str]:
    """Judge a mean by its interval over seeds and by two predicted errors, where they hold."""
    halves = []
    if error is not None:
        seen = 0.0 if ratio.deviation is None else ratio.deviation / math.sqrt(ratio.count)
        halves = [ERRORS * error] * (seen <= MOST_EXCESS * error)
    if ratio.low is not None and ratio.high is not None:
        halves.append((ratio.high - ratio.low) / 2.0)
    if not halves:
        return NO_VERDICT, "one seed has no interval, and its scatter is not predicted"
    apart = abs(ratio.mean - 1.0)
    around = [half for half in halves if apart <= half]
    if around and min(around) > MOST_SCATTER * abs(ratio.mean):
        most = f"{100.0 * MOST_SCATTER:.0f} %"
        return NO_VERDICT, (
            f"the scatter over seeds exceeds {most} of the ratio; take more seeds or a larger width"
        )
    return (AGREES if around or apart <= tolerance else DIFFERS), ""
