"""The result of a comparison: rows of measured and predicted rates, and its file formats."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ntkspec.files.text import json_value
from ntkspec.results import Tabular, Value, axes_to_draw, style_of
from ntkspec.trainer.rates import WidthPower

if TYPE_CHECKING:
    from ntkspec.trainer.runs import Missing

__all__ = [
    "TOLERANCE",
    "Comparison",
    "Curves",
    "ExtrapolatedRow",
    "Level",
    "Row",
    "intervals_of",
]

Array = NDArray[np.float64]

#: A ratio within this distance of 1 agrees, even where its interval excludes 1.
TOLERANCE = 0.03
#: Degrees over which the intervals of one degree are spread in a picture.
ASIDE = 0.4


@dataclass(frozen=True, eq=False)
class Level(Value):
    """A rate predicted at one level, and whether the measured rate agrees with it.

    Attributes
    ----------
    rate : float
        Predicted rate per step, the mean over seeds; NaN where it was not computed.  Exactly 0
        for a component that does not decay: the eigenvalue is 0, or 3/4 of the component is left
        after 10^9 steps.
    ratio, low, high : float or None
        Measured over predicted rate: the mean over seeds and its 95 % interval.
    verdict : {"agrees", "differs", "does not decay", "no verdict"}
    reason : str
        Why there is no verdict, or why the rate at the points differs: the networks' kernels moved
        in training, or their own kernels at the start differ from the infinite one.

    Examples
    --------
    >>> level = Level(0.01, 1.02, 0.99, 1.05, "agrees", "")
    >>> level.verdict, level == Level(0.01, 1.02, 0.99, 1.05, "agrees", "")
    ('agrees', True)
    """

    rate: float
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str


@dataclass(frozen=True, eq=False)
class Row(Value):
    """One degree of one loss at one width.

    Attributes
    ----------
    loss : str
        "l2", or "s=..." as in the members' names.
    s : float
        Sobolev exponent, the mean over seeds; NaN for plain L2.
    width, degree : int
        Where a run records parts along eigenvectors, their rank stands for the degree.
    seeds : int
        Number of finished trainings whose rate was measured.
    measured, low, high : float or None
        Rate per step: the mean over seeds and its 95 % interval.
    error, predicted_error : float or None
        Relative standard error of the mean over seeds: from their scatter, and as predicted without
        training; None where it is not known.
    error_source : {"exact", "random networks", ""}
        Of the predicted error: `ntkspec.compare.scatter.rate_scatter`, or the own kernels of 50
        random networks of width 256.
    bound : float or None
        Upper bound on the rate, where no decay was seen.
    grid : float or None
        Mean rate of the same component on the finer grid.
    continuum, points, finite : Level
        Predictions from the operator's eigenvalue, from the kernel matrix of the training points,
        and from the finite networks' own kernels.
    eigenvalue_error : float
        Bound on the relative error of the operator's eigenvalue.
    kernel_movement : float
        Relative change of the networks' own kernels during training, the mean over seeds.
    expected : int
        Number of trainings that the recipe asks for.
    missing : tuple of str
        Unfinished trainings and how far they are.

    Examples
    --------
    >>> from ntkspec.compare import compare
    >>> from ntkspec.trainer.runs import open_run
    >>> row = compare(open_run(run_path)).rows[0]
    >>> row.loss, row.width, row.degree
    ('s=0', 64, 1)
    """

    loss: str
    s: float
    width: int
    degree: int
    seeds: int
    measured: float | None
    low: float | None
    high: float | None
    error: float | None
    predicted_error: float | None
    error_source: str
    bound: float | None
    grid: float | None
    continuum: Level
    points: Level
    finite: Level
    eigenvalue_error: float
    kernel_movement: float
    expected: int
    missing: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Verdict on the rate predicted for the training points."""
        return self.points.verdict


@dataclass(frozen=True, eq=False)
class ExtrapolatedRow(Value):
    """One degree of one loss, extrapolated to infinite width.

    Attributes
    ----------
    loss, s, degree
        As in `Row`.
    widths : int
        Number of widths used.
    measured, low, high : float
        Extrapolated rate per step and its 95 % interval.
    trend : bool
        Whether the rate changes significantly with the width.
    scatter : {"predicted", "observed"}
        What the interval is from: the predicted scatter, or the observed one and its power.
    continuum, points : Level
        Comparison with the two predictions that do not depend on the width.

    Examples
    --------
    >>> from ntkspec.compare import compare
    >>> from ntkspec.trainer.runs import open_run
    >>> compare(open_run(run_path)).extrapolated  # a run of one width has none
    []
    """

    loss: str
    s: float
    degree: int
    widths: int
    measured: float
    low: float
    high: float
    trend: bool
    scatter: str
    continuum: Level
    points: Level

    @property
    def verdict(self) -> str:
        """Verdict on the rate predicted for the training points."""
        return self.points.verdict


@dataclass(frozen=True, eq=False)
class Curves:
    """Amplitudes of one row against steps, divided by the amplitude at the start.

    Curves compare by identity.

    Attributes
    ----------
    measured : list of (steps, amplitudes)
        One pair for each seed.
    steps : (R,) int64 array
    continuum, points : (R,) float64 arrays
        Predictions for the first seed's step size; NaN where not computed.
    finite : (R,) float64 array
        Prediction from the first seed's own kernel.

    Examples
    --------
    >>> from ntkspec.compare import compare
    >>> from ntkspec.trainer.runs import open_run
    >>> curves = compare(open_run(run_path)).curves
    >>> curves["s=0", 64, 1].steps[:3]
    array([0, 1, 2])
    """

    measured: list[tuple[NDArray[np.int64], Array]]
    steps: NDArray[np.int64]
    continuum: Array
    points: Array
    finite: Array


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Tabular):
    """Measured and predicted decay rates of a run.

    Two comparisons are equal when their rows and all else but their curves are.

    Attributes
    ----------
    rows : list of Row
        By loss, width and degree.
    extrapolated : list of ExtrapolatedRow
        For losses trained at two or more widths.
    powers : dict of str to WidthPower
        For each loss, how the scatter over seeds falls with the width.
    curves : dict of (loss, width, degree) to Curves
    tolerance : float
        Relative difference up to which rates agree.
    missing : list of Missing
        Trainings of the run's recipe that are unfinished or diverged.
    names : dict of int to str
        Text for degrees that are numbers of frequency vectors, on a torus of several dimensions.

    Examples
    --------
    >>> from ntkspec.compare import compare
    >>> from ntkspec.trainer.runs import open_run
    >>> found = compare(open_run(run_path))
    >>> len(found), found.title()
    (4, 'Comparison(4 rows, 0 extrapolated)')
    """

    rows: list[Row]
    extrapolated: list[ExtrapolatedRow]
    powers: dict[str, WidthPower]
    curves: dict[tuple[str, int, int], Curves] = field(compare=False)
    tolerance: float = TOLERANCE
    missing: list[Missing] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def title(self) -> str:
        """Return one line on what the comparison has."""
        parts = [f"{len(self.rows)} row{'s' * (len(self.rows) != 1)}"]
        parts.append(f"{len(self.extrapolated)} extrapolated")
        if self.missing:
            parts.append(f"{len(self.missing)} trainings missing")
        return f"Comparison({', '.join(parts)})"

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of all rows; extrapolated rows have the width inf.

        On a torus of several dimensions, where the degree is the number of a frequency vector, the
        last column has the vectors.
        """
        records = [_flat(row) for row in self.rows]
        records += [_flat(row) | {"width": math.inf} for row in self.extrapolated]
        for record in records:
            if record["degree"] in self.names:
                record["frequency"] = self.names[record["degree"]]
        names = dict.fromkeys(name for record in records for name in record)
        return {name: [record.get(name) for record in records] for name in names}

    def summary(self) -> dict[str, list[Any]]:
        """Return the columns that are shown, without extrapolated rows."""
        shown: dict[str, list[Any]] = {
            name: [getattr(row, name) for row in self.rows]
            for name in ("loss", "width", "degree", "measured", "error", "predicted_error")
        }
        shown["degree"] = [self.names.get(row.degree, row.degree) for row in self.rows]
        levels = [row.points for row in self.rows]
        shown["predicted"] = [None if math.isnan(level.rate) else level.rate for level in levels]
        return shown | {
            name: [getattr(level, name) for level in levels] for name in ("ratio", "verdict")
        }

    def notes(self, names: Mapping[int, str] | None = None) -> list[str]:
        """Return why rows have no verdict, and what is known of the scatter over seeds.

        `names` has another text for each degree than the comparison's own.

        Examples
        --------
        >>> from ntkspec.compare import compare
        >>> from ntkspec.trainer.runs import open_run
        >>> first, where, *_ = compare(open_run(run_path)).notes()
        >>> first[:56], where
        ("differs: the networks' kernels moved in training; take a", '  s=0, width 64: k = 1, 2')
        """
        texts = self.names if names is None else names
        rows: list[tuple[Row | ExtrapolatedRow, str]] = [(row, str(row.width)) for row in self.rows]
        rows += [(limit, "inf") for limit in self.extrapolated]
        reasons: dict[str, dict[tuple[str, str], list[str]]] = {}
        for row, width in rows:
            if row.points.reason:
                why = f"{row.points.verdict}: {row.points.reason}"
                where = reasons.setdefault(why, {})
                where.setdefault((row.loss, width), []).append(
                    texts.get(row.degree, str(row.degree))
                )
        lines = []
        for reason, places in reasons.items():
            lines.append(reason)
            for (loss, width), degrees in places.items():
                lines.append(f"  {loss}, width {width}: k = {', '.join(degrees)}")
        predicted = [one.loss for one in self.extrapolated if one.scatter == "predicted"]
        lines += [
            f"{loss}: intervals at infinite width are from the predicted scatter"
            for loss in dict.fromkeys(predicted)
        ]
        lines += [
            f"{loss}: scatter over seeds ~ width^-p, p = {power.power:.2f} "
            f"({power.low:.2f} to {power.high:.2f}; 0.50 is expected)"
            for loss, power in self.powers.items()
            if not math.isnan(power.power)
        ]
        return lines

    def _notes(self) -> list[str]:
        return self.notes()

    @property
    def is_complete(self) -> bool:
        """Whether every training that the recipe asks for is finished."""
        return not self.missing

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw measured over predicted rates for the points against the degree.

        Each loss and width is drawn with its 95 % intervals, in the axes given or the current
        ones, by `matplotlib.axes.Axes.errorbar` with the style given; returns the axes.  For
        amplitudes and curves see `ntkspec.plots.comparison.comparison_picture`.
        """
        ax = axes_to_draw(ax)
        series = list(dict.fromkeys((row.loss, row.width) for row in self.rows))
        for number, (loss, width) in enumerate(series):
            rows = [row for row in self.rows if (row.loss, row.width) == (loss, width)]
            ratio, intervals = intervals_of([row.points for row in rows])
            label = {"label": f"{loss}, width {width}", "linestyle": "none", "capsize": 2}
            # Beside each other, so that the intervals of a degree can be told apart.
            degrees = np.array([row.degree for row in rows]) + ASIDE * (number / len(series) - 0.5)
            ax.errorbar(degrees, ratio, yerr=intervals, **style_of(number, {**label, **style}))
        ax.axhline(1.0, color="0.5", linewidth=0.8)
        ax.set_xlabel("frequency" if self.names else "degree")
        if self.names:
            ax.set_xticks(list(self.names), list(self.names.values()))
        ax.set_ylabel("measured rate / predicted for the points")
        if self.rows:
            ax.legend()
        return ax

    def to_json(self, file: TextIO) -> None:
        """Write an object with rows, extrapolated rows and powers; null is a missing value.

        `complete` says whether all trainings are finished, `missing` lists those that are not.
        """
        every = (self.rows, self.extrapolated)
        rows, limits = ([asdict(one) | {"verdict": one.verdict} for one in some] for some in every)
        contents = {
            "tolerance": self.tolerance,
            "complete": self.is_complete,
            "missing": [asdict(one) for one in self.missing],
            "rows": rows,
            "extrapolated": limits,
            "powers": {loss: asdict(power) for loss, power in self.powers.items()},
        }
        json.dump(json_value(contents), file, indent=1, allow_nan=False)
        file.write("\n")


def intervals_of(levels: Sequence[Level]) -> tuple[Array, Array]:
    """Ratios (n,), NaN where there is none, and the lengths of their intervals' halves (2, n)."""
    ratio, low, high = (
        np.array([getattr(level, name) for level in levels], dtype=np.float64)
        for name in ("ratio", "low", "high")
    )
    return ratio, np.nan_to_num([ratio - low, high - ratio])


def _flat(row: Row | ExtrapolatedRow) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in asdict(row).items():
        if isinstance(value, dict):
            cells |= {f"{name}_{key}": inner for key, inner in value.items()}
        else:
            cells[name] = value
    return cells
