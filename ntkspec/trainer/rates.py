"""Measured decay rates, their mean over seeds, and their limit at infinite width.

Nothing here uses the predicted rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import one_of
from ntkspec.results import Value

__all__ = [
    "DecayRate",
    "InfiniteWidth",
    "SeedSummary",
    "WidthPower",
    "decay_rate",
    "infinite_width",
    "summarize",
    "width_power",
]

Status = Literal["measured", "too short", "too coarse", "overshoots", "not decaying", "no start"]
Vector = NDArray[np.float64]

#: A rate is fitted between these fractions of the start: after fast components have decayed, and
#: before leakage from slow ones shows.
WINDOW = (0.9, 0.1)
#: A rate is measured only if the amplitude falls to this fraction of its start; otherwise leakage
#: from other degrees would be too large a part of the fall.
REACH = 0.75
#: Fewest records in a window; with fewer, neighbouring records are used too, down to LOWEST.
LEAST_RECORDS = 3
LOWEST = 1e-3
#: A curve whose slope in the last third of its window is below this fraction of the whole slope has
#: reached a floor; it is fitted where it is still FLOOR_MARGIN above the floor.
FLOOR_SLOPE = 0.25
FLOOR_MARGIN = 3.0
#: Expected power of the width in the scatter of a mean over neurons, and the smallest used for
#: extrapolation.
EXPECTED_POWER = 0.5
LEAST_POWER = 0.1
#: Half of the normal distribution's 95 % interval.
NORMAL = 1.96


@dataclass(frozen=True)
class DecayRate:
    """One rate: amplitude ~ (1 - rate)^step.

    Attributes
    ----------
    status : str
        "measured"; "too short": it fell, but not to 3/4 of its start; "too coarse": it vanished
        within one or two records; "overshoots": it changed sign at the next record, and more than
        noise was left; "not decaying": it did not fall; "no start": it starts at 0.
    rate : float
        Per step; NaN unless measured.
    bound : float
        Upper bound on the rate if the amplitude did not fall enough: at this rate it would have
        fallen to 3/4 of its start.  NaN otherwise.
    first, last : int
        First and last step of the fitted window.
    records : int
        Number of records in the window.
    bend : float
        Slope in the later half of the window over that in the earlier half: 1 for an exponential.
        NaN with fewer than 4 records.

    Examples
    --------
    >>> steps = np.arange(0, 4000, 20)
    >>> found = decay_rate(steps, (1 - 1e-3) ** steps)
    >>> round(found.rate, 12), found.status
    (0.001, 'measured')
    """

    status: Status
    rate: float = math.nan
    bound: float = math.nan
    first: int = 0
    last: int = 0
    records: int = 0
    bend: float = math.nan


@dataclass(frozen=True)
class SeedSummary:
    """Mean over seeds, with Student's interval.

    Attributes
    ----------
    count : int
    mean : float
    deviation, low, high : float or None
        Standard deviation over seeds and the ends of the mean's interval; None for one seed.

    Examples
    --------
    >>> found = summarize([1.0, 2.0, 3.0])
    >>> found.count, found.mean
    (3, 2.0)
    """

    count: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class WidthPower(Value):
    """The power of the width with which the scatter over seeds falls: width^-power.

    Attributes
    ----------
    power, low, high : float
        The fit and its 95 % interval; NaN if there is too little data.
    groups : int
        Number of groups of seeds (one width, one degree) in the fit.

    Examples
    --------
    >>> draw = np.random.default_rng(0).standard_normal
    >>> found = width_power([{m: 1.0 + draw(400) / m**0.5 for m in (256, 1024, 4096)}])
    >>> found.expected, found.low < 0.5 < found.high
    (True, True)
    """

    power: float
    low: float
    high: float
    groups: int

    @property
    def expected(self) -> bool:
        """Whether the data are compatible with the expected power 1/2."""
        return not (self.low > EXPECTED_POWER or self.high < EXPECTED_POWER)

    @property
    def used(self) -> float:
        """Power used for extrapolation: 1/2, or the fit if the data exclude 1/2."""
        return EXPECTED_POWER if self.expected else self.power


@dataclass(frozen=True)
class InfiniteWidth:
    """A rate extrapolated to infinite width.

    Attributes
    ----------
    rate, low, high : float
        Value and 95 % interval; NaN if there is too little data.
    trend : bool
        Whether the 95 % interval of the slope excludes 0.
    slope : float
        rate(width) = rate + slope width^-power.
    samples : int
        Number of rates used.

    Examples
    --------
    >>> draw = np.random.default_rng(0).standard_normal
    >>> rates = {m: 2.0 + (3.0 + draw(5)) / m**0.5 for m in (256, 1024, 4096, 16384)}
    >>> found = infinite_width(rates, width_power([rates]))
    >>> found.low < 2.0 < found.high
    True
    """

    rate: float
    low: float
    high: float
    trend: bool
    slope: float
    samples: int


def decay_rate(
    steps: ArrayLike,
    values: ArrayLike,
    kind: Literal["amplitude", "energy"] = "amplitude",
) -> DecayRate:
    """Rate per step at which an amplitude decays.

    Parameters
    ----------
    steps : (R,) array_like of int
        Increasing; the first is the start.
    values : (R,) array_like
        Signed amplitudes, or energies, whose square roots decay.  Values from the first non-finite
        one on are ignored.
    kind : {"amplitude", "energy"}

    Returns
    -------
    DecayRate

    Raises
    ------
    NtkspecError
        If the shapes do not fit, steps do not increase, or an energy is negative.

    Notes
    -----
    log abs(a_t) = log abs(a_0) + t log(1 - rate) is fitted by least squares to the records from the
    first in the window (0.9 to 0.1 of the start) to the last before the amplitude leaves it or
    changes sign.  With fewer than three records the neighbouring ones are used too, down to 1/1000
    of the start.

    Examples
    --------
    >>> steps = np.arange(0, 4000, 20)
    >>> round(decay_rate(steps, -3.0 * (1 - 1e-3) ** steps).rate, 12)
    0.001
    >>> decay_rate(steps, np.ones(200)).status
    'not decaying'
    """
    t, ratio = _relative(steps, values, kind)
    if ratio.size == 0:
        return DecayRate("no start")
    high, low = WINDOW
    out = (ratio < low).nonzero()[0]
    end = int(out[0]) if out.size else ratio.size
    if end == ratio.size and ratio.min() > REACH:
        bound = -math.expm1(math.log(REACH) / (t[-1] - t[0]))
        return DecayRate("too short" if ratio[-1] < 1.0 else "not decaying", bound=bound)
    inside = (ratio[:end] <= high).nonzero()[0]
    first = int(inside[0]) if inside.size else end
    end = _before_floor(t, ratio, first, end)
    if end - first < LEAST_RECORDS:
        first = max(first - 1, 0)
        end += int(end < ratio.size and ratio[end] >= LOWEST)
    if end - first < 2:
        return DecayRate("overshoots" if ratio[end] <= -low else "too coarse")
    return _fitted(t[first:end], np.log(ratio[first:end]))


def _relative(steps: ArrayLike, values: ArrayLike, kind: str) -> tuple[Vector, Vector]:
    """Steps, and amplitudes divided by the first one; empty if that is 0."""
    one_of(kind, "kind", ("amplitude", "energy"))
    t, a = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if t.ndim != 1 or t.shape != a.shape or t.size < 2:
        raise NtkspecError(
            f"steps of shape {t.shape} and values of shape {a.shape} are not allowed; "
            "both must be (R,) with R >= 2"
        )
    if not (np.diff(t) > 0).all():
        raise NtkspecError("steps must increase from record to record")
    bad = (~np.isfinite(a)).nonzero()[0]
    if bad.size:
        t, a = t[: bad[0]], a[: bad[0]]
    if kind == "energy":
        if (a < 0).any():
            raise NtkspecError(f"values = {a[a < 0][0]} is not allowed; energies are not negative")
        a = np.sqrt(a)
    if a.size < 2 or a[0] == 0.0:
        return t[:0], a[:0]
    return t, a / a[0]


def _before_floor(t: Vector, ratio: Vector, first: int, end: int) -> int:
    """End of the window, earlier if the curve reaches a floor within it."""
    if end < ratio.size or end - first < 2 * LEAST_RECORDS:
        return end
    middle = first + 2 * (end - first) // 3
    logs = np.log(ratio[first:end])
    whole = (logs[-1] - logs[0]) / (t[end - 1] - t[first])
    tail = _slope(t[middle:end], np.log(ratio[middle:end]))
    if tail < FLOOR_SLOPE * whole:
        return end
    above = (ratio[first:end] < FLOOR_MARGIN * np.median(ratio[middle:end])).nonzero()[0]
    return first + int(above[0])


def _fitted(t: Vector, logs: Vector) -> DecayRate:
    slope, half = _slope(t, logs), t.size // 2
    bend = math.nan
    if t.size >= 4:
        bend = _slope(t[half:], logs[half:]) / _slope(t[: t.size - half], logs[: t.size - half])
    rate = -math.expm1(slope)
    return DecayRate("measured", rate, math.nan, int(t[0]), int(t[-1]), t.size, bend)


def _slope(t: Vector, y: Vector) -> float:
    centred = t - t.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def summarize(values: ArrayLike) -> SeedSummary:
    """Mean over seeds with Student's 95 % interval.

    Parameters
    ----------
    values : (S,) array_like
        One for each seed, S >= 1, finite.

    Returns
    -------
    SeedSummary

    Raises
    ------
    NtkspecError
        If there are no values, or a value is not finite.

    Examples
    --------
    >>> found = summarize([1.0, 2.0, 3.0])
    >>> found.mean, round(found.low, 4), round(found.high, 4)
    (2.0, -0.4841, 4.4841)
    >>> summarize([1.0]).low is None
    True
    """
    x = _finite(values, "values")
    mean = float(x.mean())
    if x.size == 1:
        return SeedSummary(1, mean, None, None, None)
    deviation = float(x.std(ddof=1))
    half = _student(x.size - 1) * deviation / math.sqrt(x.size)
    return SeedSummary(x.size, mean, deviation, mean - half, mean + half)


def _finite(values: ArrayLike, name: str) -> Vector:
    x = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise NtkspecError(f"{name} = {values!r} is not allowed; give one or more finite numbers")
    return x


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def width_power(series: Sequence[Mapping[int, ArrayLike]]) -> WidthPower:
    """Power p with which the scatter over seeds falls, as width^-p.

    Parameters
    ----------
    series : sequence of mappings
        For each degree, rates over seeds by width.  Groups of one seed or without scatter are
        ignored.

    Returns
    -------
    WidthPower

    Raises
    ------
    NtkspecError
        If a width is not positive, or a rate is not finite.

    Notes
    -----
    For a group of nu + 1 seeds, log s^2 of their variance s^2 has mean log sigma^2
    + psi(nu/2) - log(nu/2) and variance psi'(nu/2), psi the digamma function.  So log s^2,
    corrected by that shift, is fitted by a - 2 p log(width) with a separate a for each degree (so
    that the scatter is relative) and with those variances, enlarged if the fit is worse than they
    predict.  Degrees are treated as independent.

    Examples
    --------
    >>> draw = np.random.default_rng(0).standard_normal
    >>> rates = {m: 1.0 + draw(400) / m**0.5 for m in (256, 1024, 4096)}
    >>> round(width_power([rates]).power, 1)
    0.5
    """
    from scipy.special import digamma, polygamma

    rows = []
    for place, one in enumerate(series):
        for width, rates in _checked_series(one).items():
            if rates.size > 1 and rates.std() > 0.0:
                half = (rates.size - 1) / 2.0
                log = 2.0 * math.log(rates.std(ddof=1))
                shift = float(digamma(half)) - math.log(half)
                rows.append((place, math.log(width), log - shift, float(polygamma(1, half))))
    slope, variance = _common_slope(np.array(rows).reshape(-1, 4))
    p, half = -slope / 2.0, NORMAL * math.sqrt(variance) / 2.0
    return WidthPower(p, p - half, p + half, len(rows))


def _common_slope(rows: Vector) -> tuple[float, float]:
    """Slope of y on x, intercepts by group, and its variance; rows are group, x, y, var y."""
    weight = 1.0 / rows[:, 3]
    x, y = rows[:, 1].copy(), rows[:, 2].copy()
    groups = np.unique(rows[:, 0])
    for group in groups:
        mine = rows[:, 0] == group
        x[mine] -= np.average(x[mine], weights=weight[mine])
        y[mine] -= np.average(y[mine], weights=weight[mine])
    spread = float(weight @ x**2)
    if spread <= 1e-12:
        return math.nan, math.nan
    slope = float(weight @ (x * y)) / spread
    freedom = len(rows) - len(groups) - 1
    misfit = float(weight @ (y - slope * x) ** 2) / freedom if freedom > 0 else 1.0
    return slope, max(1.0, misfit) / spread


def _checked_series(one: Mapping[int, ArrayLike]) -> dict[float, Vector]:
    for width in one:
        if not width > 0:
            raise NtkspecError(f"width = {width!r} is not allowed; it must be positive")
    return {float(width): _finite(rates, "rates") for width, rates in one.items()}


def infinite_width(
    rates: Mapping[int, ArrayLike], power: WidthPower, deviation: float | None = None
) -> InfiniteWidth:
    """Extrapolate a rate to infinite width.

    Parameters
    ----------
    rates : mapping of width to (S,) array_like
        Rates over seeds.
    power : WidthPower
        From `width_power`.
    deviation : float, optional
        Standard deviation of a rate times the root of its width, if it is known.

    Returns
    -------
    InfiniteWidth
        NaN with fewer than two widths; and, where the deviation is not known, with fewer than three
        rates or if the scatter does not fall with the width.

    Raises
    ------
    NtkspecError
        If a width is not positive, or a rate is not finite.

    Notes
    -----
    rate(width) = a + b width^-p + noise of deviation ~ width^-p, by least squares with weights
    width^2p.  The deviation is estimated from the residuals and the interval is Student's; if p is
    fitted, the change of a between the ends of p's interval is added in squares.

    Where the deviation is known, p is 1/2 and the interval is the normal distribution's with it.

    The trend b is kept even if it is not significant: dropping it below its standard error makes
    intervals up to a third narrower, but in simulations with b near its standard error 95 %
    intervals covered only 77 %.

    Examples
    --------
    >>> draw = np.random.default_rng(0).standard_normal
    >>> rates = {m: 2.0 + (3.0 + draw(5)) / m**0.5 for m in (256, 1024, 4096, 16384)}
    >>> found = infinite_width(rates, width_power([rates]))
    >>> found.trend, found.low < 2.0 < found.high
    (True, True)
    """
    groups = _checked_series(rates)
    width = np.concatenate([np.full(v.size, w) for w, v in groups.items()] or [np.empty(0)])
    y = np.concatenate([*groups.values(), np.empty(0)])
    known = deviation is not None
    p = EXPECTED_POWER if known else power.used
    if len(groups) < 2 or not (known or (y.size >= 3 and p >= LEAST_POWER)):
        return InfiniteWidth(math.nan, math.nan, math.nan, False, 0.0, y.size)
    value, error, slope, slope_error = _line(width, y, p, deviation)
    moved, quantile = 0.0, NORMAL if known else _student(y.size - 2)
    if not known and not power.expected:
        ends = [_line(width, y, max(q, LEAST_POWER))[0] for q in (power.low, power.high)]
        moved = max(abs(end - value) for end in ends)
    half = math.hypot(quantile * error, moved)
    trend = abs(slope) > quantile * slope_error
    return InfiniteWidth(value, value - half, value + half, trend, slope, y.size)


def _line(
    width: Vector, y: Vector, p: float, deviation: float | None = None
) -> tuple[float, float, float, float]:
    """Intercept and slope of y in width^-p, with their standard errors."""
    # Widths relative to the smallest, so that the columns have similar sizes.
    root = (width / width.min()) ** p
    columns = np.stack([root, np.ones_like(root)], axis=1)
    (a, b), *_ = np.linalg.lstsq(columns, root * y, rcond=None)
    residual = root * y - columns @ (a, b)
    if deviation is None:
        noise = (residual @ residual) / (y.size - 2)
    else:
        noise = deviation**2 / width.min()
    variance = np.linalg.inv(columns.T @ columns).diagonal() * noise
    error, slope_error = np.sqrt(variance).tolist()
    scale = float(width.min() ** p)
    return float(a), error, float(b) * scale, slope_error * scale
