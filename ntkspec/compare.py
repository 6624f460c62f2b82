"""Where prediction and measurement meet: decay rates of a run against the spectrum's.

At three levels, kept apart: the continuum, eta lambda_k mu_k with the operator's eigenvalue; the
n training points, whose kernel matrix mixes degrees (on the circle it adds those that n points
cannot tell apart); and the finite width, each network's own kernel matrix at its start.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.text import CsvWriter
from ntkspec.networks import Network
from ntkspec.spectra import spectrum
from ntkspec.tables import Table, open_table
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.rates import (
    DecayRate,
    SeedSummary,
    WidthPower,
    decay_rate,
    infinite_width,
    summarize,
    width_power,
)
from ntkspec.trainer.recipe import RunRecipe
from ntkspec.trainer.runs import start_network
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss

if TYPE_CHECKING:
    from ntkspec.trainer.runs import Member, Missing, Run

__all__ = [
    "Comparison",
    "Curves",
    "ExtrapolatedRow",
    "Level",
    "Row",
    "Started",
    "compare",
]

Array = NDArray[np.float64]
#: Least step of a training, and most of a ratio of rates: their squares are numbers.
LEAST_STEP, MOST_RATIO = 1e-100, 1e150

#: A ratio within this of 1 agrees, whatever its interval.
TOLERANCE = 0.03
#: A 95 % interval wider than this to either side, relative, cannot tell that rates agree.
MOST_SCATTER = 0.1
#: Points up to which kernel matrices are made: their eigenvectors take n^3 operations.
MOST_POINTS = 8192
#: Steps to which a rate is looked for that a run is too short to show.  What has not fallen by a
#: quarter until then is taken for 0: rounding errors of zero eigenvalues would show later.
MOST_STEPS = 1e9

AGREES, DIFFERS, STAYS, NO_VERDICT = "agrees", "differs", "does not decay", "no verdict"


@dataclass(frozen=True)
class Started:
    """A finite network at its start: its own kernel matrix (n, n), and its values (n,).

    Examples
    --------
    >>> Started(np.eye(2), np.zeros(2)).kernel.shape
    (2, 2)
    """

    kernel: Array
    values: Array


@dataclass(frozen=True)
class Level:
    """A rate predicted at one level, and what the measurement says to it.

    Attributes
    ----------
    rate : float
        Predicted, per step, the mean over seeds; NaN where it was not computed.  Exactly 0 for
        what does not decay: a zero eigenvalue of the continuum, or a component that keeps 3/4 of
        itself for 10^9 steps.
    ratio, low, high : float or None
        Measured over predicted: mean over seeds and 95 % interval.
    verdict : {"agrees", "differs", "does not decay", "no verdict"}
    reason : str
        Why there is no verdict.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> row = compare(open_run(folder / "run.h5")).rows[0]
    >>> type(row.continuum).__name__, row.continuum.rate > 0.0
    ('Level', True)
    """

    rate: float
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Row:
    """One degree of one loss at one width.

    Attributes
    ----------
    loss : str
        "l2", or "s=..." as in the members' names.
    s : float
        Sobolev exponent, the mean over seeds; NaN for plain L2.
    width, degree : int
    seeds : int
        Finished trainings whose rate was measured.
    measured, low, high : float or None
        Rate per step, mean over seeds, and its 95 % interval.
    bound : float or None
        Upper bound on the rate of what was not seen to decay.
    grid : float or None
        Mean rate of the same component on the finer grid.
    continuum, points, finite : Level
    eigenvalue_error : float
        Bound on the relative error of the continuum's eigenvalue.
    kernel_movement : float
        How far the networks' own kernels had moved by the end, relative, the mean over seeds.
    expected : int
        Trainings that the recipe asks for.
    missing : tuple of str
        Those that are not finished, and how far they are.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> row = compare(open_run(folder / "run.h5")).rows[0]
    >>> row.degree, row.width
    (1, 64)
    """

    loss: str
    s: float
    width: int
    degree: int
    seeds: int
    measured: float | None
    low: float | None
    high: float | None
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
        """Verdict on what is predicted for the training points."""
        return self.points.verdict

    @property
    def reason(self) -> str:
        """Why there is none."""
        return self.points.reason


@dataclass(frozen=True)
class ExtrapolatedRow:
    """One degree of one loss, extrapolated to infinite width.

    Attributes
    ----------
    loss, s, degree
        As in `Row`.
    widths : int
    measured, low, high : float
        Extrapolated rate per step and its 95 % interval.
    trend : bool
        Whether a trend with the width was seen.
    continuum, points : Level
        Against the predictions that do not depend on the width.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> compare(open_run(folder / "run.h5")).extrapolated  # needs several widths
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
    continuum: Level
    points: Level

    @property
    def verdict(self) -> str:
        """Verdict on what is predicted for the training points."""
        return self.points.verdict


@dataclass(frozen=True)
class Curves:
    """Amplitudes against steps, over that of the start, of one row.

    Attributes
    ----------
    measured : list of (steps, amplitudes)
        One for each seed.
    steps : (R,) int64 array
    continuum, points : (R,) float64 arrays
        For the first seed's step size; NaN where not computed.
    finite : (R,) float64 array
        Of the first seed's network.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> found = compare(open_run(folder / "run.h5"))
    >>> next(iter(found.curves.values())).steps[:3]
    array([0, 1, 2])
    """

    measured: list[tuple[NDArray[np.int64], Array]]
    steps: NDArray[np.int64]
    continuum: Array
    points: Array
    finite: Array


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured rates of a run.

    Attributes
    ----------
    rows : list of Row
        By loss, width and degree.
    extrapolated : list of ExtrapolatedRow
        Where there are several widths.
    powers : dict of str to WidthPower
        For each loss, how the scatter over seeds falls with the width.
    curves : dict of (loss, width, degree) to Curves
    tolerance : float
    missing : list of Missing
        Trainings of the run's recipe that are not finished, or diverged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> found = compare(open_run(folder / "run.h5"))
    >>> len(found.rows)
    4
    """

    rows: list[Row]
    extrapolated: list[ExtrapolatedRow]
    powers: dict[str, WidthPower]
    curves: dict[tuple[str, int, int], Curves] = field(repr=False)
    tolerance: float = TOLERANCE
    missing: list[Missing] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every training that the recipe asks for is finished."""
        return not self.missing

    def to_csv(self, file: TextIO) -> None:
        """Write all rows; the extrapolated ones have the width inf, and empty cells no value.

        `expected` has the trainings that the recipe asks for, `missing` those not finished.
        """
        records = [_flat(row) for row in self.rows]
        records += [_flat(row) | {"width": math.inf} for row in self.extrapolated]
        columns = list(dict.fromkeys(key for record in records for key in record))
        writer = CsvWriter(file)
        writer.row(columns)
        writer.rows([_cell(record.get(key)) for key in columns] for record in records)

    def to_json(self, file: TextIO) -> None:
        """Write an object of rows, extrapolated rows and powers; null stands for no value.

        `complete` tells whether all trainings are finished, `missing` which are not.
        """
        whole = {
            "tolerance": self.tolerance,
            "complete": self.is_complete,
            "missing": [asdict(one) for one in self.missing],
            "rows": [asdict(row) | {"verdict": row.verdict} for row in self.rows],
            "extrapolated": [asdict(row) | {"verdict": row.verdict} for row in self.extrapolated],
            "powers": {loss: asdict(power) for loss, power in self.powers.items()},
        }
        json.dump(_without_nan(whole), file, indent=1, allow_nan=False)
        file.write("\n")


def _flat(row: Row | ExtrapolatedRow) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in asdict(row).items():
        if isinstance(value, dict):
            cells |= {f"{name}_{key}": inner for key, inner in value.items()}
        else:
            cells[name] = value
    return cells


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return "; ".join(value)
    return "" if value is None or value != value else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compare(
    run: Run,
    table: str | os.PathLike[str] | Table | None = None,
    *,
    start: Callable[[Run, Member], Started] | None = None,
    finite: bool = True,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Hold a run's measured decay rates against the predicted ones.

    Parameters
    ----------
    run : Run
        As `ntkspec.trainer.runs.open_run` gives it.
    table : path or Table, optional
        Take the continuum's eigenvalues from there; by default they are computed.
    start : callable, optional
        Gives a member's network at its start; by default made again from its seed.
    finite : bool
        Whether to predict from the finite networks' own kernels, which takes the longest.
    tolerance : float
        Rates that differ by no more than this part agree.
    progress : callable, optional
        Called with the number of members done, and of all.

    Returns
    -------
    Comparison

    Raises
    ------
    NtkspecError
        When the table has not the network, dimension or degrees, or the target has no degrees.
    TableError
        When it is missing or damaged.

    Notes
    -----
    In the wide limit r <- (1 - eta K P) r with K the kernel's matrix and P that of the loss.  At
    the levels of points and of finite width this is solved exactly, the residual is projected on
    the target's harmonics at the recorded steps, and the rate is fitted by the estimator that the
    measured amplitudes are fitted with; where that finds none because the run is too short, it is
    fitted to later steps.  Degrees that the target has not are left out; of samples those count
    that the points resolve.

    Only finished trainings are compared.  Where some of a loss and width are not, there is a row
    for it, but no verdict: `Row.missing` and `Comparison.missing` name them.

    Examples
    --------
    With a run's file ``compare(open_run(path)).rows`` has a row for each loss, width and degree.
    This one is of a training that decays as fast as it should, but one seed gives no interval:

    >>> from types import SimpleNamespace as Made
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> from ntkspec.trainer.targets import Target, Term
    >>> recipe = parse_run_recipe('''
    ... steps = 400
    ... network = {activation = "relu", width = 64}
    ... data = {kind = "circle", points = 8}
    ... target = {kind = "cosine", degrees = [1]}''')
    >>> points, steps = circle(8), np.arange(0, 401)
    >>> amplitude = 0.99 ** steps[:, np.newaxis]
    >>> member = Made(
    ...     name="l2,width=64,seed=0", s=np.nan, width=64, seed=0, step_size=0.08, steps=steps,
    ...     amplitude=amplitude, grid_amplitude=amplitude, status="finished",
    ...     start_kernel_movement=0.0,
    ... )
    >>> run = Made(
    ...     recipe=recipe, points=points, target=Target([Term(1, 1.0, "cosine")]),
    ...     target_values=points.x[:, 0], degrees=np.array([1]), members=[member], missing=[],
    ... )
    >>> (row,) = compare(run, finite=False).rows
    >>> round(row.measured, 9), round(row.continuum.rate, 9), row.verdict
    (0.01, 0.01, 'no verdict')
    """
    problem = _Problem.of(run, table)
    missing: list[Missing] = run.missing
    unfinished = {one.name for one in missing if one.status != "diverged"}
    members = [m for m in run.members if m.name not in unfinished and m.steps.size >= 2]
    make = start or _start_again
    found: dict[tuple[str, int], list[_Trained]] = {}
    for done, member in enumerate(members):
        started = make(run, member) if finite and problem.dense else None
        key = (member.name.partition(",")[0], member.width)
        found.setdefault(key, []).append(problem.trained(member, started))
        if progress is not None:
            progress(done + 1, len(members))
    return _summed_up(problem, found, missing, tolerance)


# --- predictions for each member -----------------------------------------------------------------


@dataclass(frozen=True)
class _Trained:
    """One member: its measured rates and those predicted for it, by degree of the target."""

    member: Member
    measured: list[DecayRate]
    grid: list[DecayRate]
    continuum: Array
    points: Array
    finite: Array
    curves: list[Curves]


class _Problem:
    """What all members share, and the decompositions that several of them use."""

    def __init__(self, run: Run, degrees: list[int], eigenvalues: Array) -> None:
        self.run, self.degrees, self.eigenvalues = run, degrees, eigenvalues
        self.errors = np.zeros(len(degrees))
        self.columns = np.searchsorted(run.degrees, degrees)
        self.dense = run.points.n <= MOST_POINTS
        parts = [np.asarray(run.target.component(k, run.points.x)) for k in degrees]
        self.functionals = np.array(parts) * run.points.weights
        self._factors: dict[float, Array] = {}
        self._wide: dict[float, LinearTraining] = {}

    @classmethod
    def of(cls, run: Run, table: str | os.PathLike[str] | Table | None) -> _Problem:
        target, one = run.target, run.points.x[:1]
        degrees = [k for k in target.degrees if target.component(k, one) is not None]
        if not degrees:
            raise NtkspecError("the target has no part of any degree, so no rates can be compared")
        eigenvalues, errors = _eigenvalues(run, degrees, table)
        problem = cls(run, degrees, eigenvalues)
        problem.errors = errors
        return problem

    def trained(self, member: Member, started: Started | None) -> _Trained:
        """Measured and predicted rates of a member."""
        loss, steps, eta = self.loss(member.s), member.steps, member.step_size
        if 0.0 < eta < LEAST_STEP:
            raise TableError(
                f"{self.run.path}: {member.name} has step_size = {eta:g}, which no rate can be "
                f"compared with; the least is {LEAST_STEP:g}"
            )
        continuum = eta * self.eigenvalues * loss.multiplier(self.degrees)
        amplitude = member.amplitude[:, self.columns]
        grid = member.grid_amplitude[:, self.columns]
        with np.errstate(over="ignore"):
            first = (1.0 - continuum) ** steps[:, np.newaxis].astype(np.float64)
        second, points = self._predicted(self._wide_training(member.s), member, None)
        own = None
        if started is not None:
            own = LinearTraining(started.kernel, self._factor(member.s))
        third, finite = self._predicted(own, member, started)
        with np.errstate(invalid="ignore", divide="ignore"):
            measured = amplitude / amplitude[0]
        curves = [
            Curves([(steps, measured[:, j])], steps, first[:, j], second[:, j], third[:, j])
            for j in range(len(self.degrees))
        ]
        return _Trained(
            member, _rates(steps, amplitude), _rates(steps, grid), continuum, points, finite, curves
        )

    def loss(self, s: float) -> L2Loss | SobolevLoss:
        """The loss of an exponent; NaN is plain L2."""
        recipe, points = self.run.recipe.loss, self.run.points
        if math.isnan(s):
            return L2Loss(points)
        return SobolevLoss(points, s, recipe.weight, recipe.max_degree)

    def _factor(self, s: float) -> Array:
        if s not in self._factors:
            self._factors[s] = loss_factor(self.loss(s).matrix())
        return self._factors[s]

    def _wide_training(self, s: float) -> LinearTraining | None:
        """With the kernel of infinite width on the training points."""
        if not self.dense:
            return None
        if s not in self._wide:
            kernel = _network(self.run.recipe).ntk_matrix(self.run.points.x)
            self._wide[s] = LinearTraining(kernel, self._factor(s))
        return self._wide[s]

    def _predicted(
        self, training: LinearTraining | None, member: Member, started: Started | None
    ) -> tuple[Array, Array]:
        """Amplitudes (R, K) over those of the start, and fitted rates (K,)."""
        steps = member.steps
        if training is None:
            nothing = np.full((steps.size, len(self.degrees)), np.nan)
            return nothing, nothing[0]
        residual = -self.run.target_values
        if started is not None:
            residual = started.values + residual
        late = np.unique(np.r_[0.0, np.rint(np.geomspace(1.0, MOST_STEPS, 600))])
        arguments = (residual, self.functionals)
        amplitude = training.amplitudes(member.step_size, steps, *arguments)
        later = training.amplitudes(member.step_size, late, *arguments)
        rates = [
            rate.rate if rate.status == "measured" else _later_rate(late, later[:, j])
            for j, rate in enumerate(_rates(steps, amplitude))
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            return amplitude / amplitude[0], np.array(rates)


def _later_rate(steps: Array, amplitude: Array) -> float:
    """Rate of a curve solved for all steps: 0 if it stays to the last, else of its first step."""
    found = decay_rate(steps, amplitude)
    if found.status in ("too short", "not decaying"):
        return 0.0
    if found.status in ("too coarse", "overshoots"):
        return float(1.0 - amplitude[1] / amplitude[0])
    return found.rate


def _rates(steps: NDArray[np.int64], amplitude: Array) -> list[DecayRate]:
    return [decay_rate(steps, column) for column in amplitude.T]


def _network(recipe: RunRecipe) -> Network:
    network = recipe.network
    return Network(
        network.activation, slope=network.slope, power=network.power,
        weight_variance=network.weight_variance, trained=network.trained,
    )  # fmt: skip


def _eigenvalues(
    run: Run, degrees: list[int], table: str | os.PathLike[str] | Table | None
) -> tuple[Array, Array]:
    """Eigenvalues of the target's degrees and bounds on their relative errors."""
    network, dim = _network(run.recipe), run.points.dim
    if table is None:
        part = spectrum(network, dim, degrees)
        return part.eigenvalues, part.relative_error
    if not isinstance(table, Table):
        with open_table(table) as opened:
            return _eigenvalues(run, degrees, opened)
    row = table.select(network, dim, degrees)
    return row.eigenvalues[0], np.full(len(degrees), row.relative_error[0])


def _start_again(run: Run, member: Member) -> Started:
    """Make a member's network at its start again, from its seed."""
    network = start_network(run.recipe, run.points.dim, member.width, member.seed)
    return Started(network.tangent_matrix(run.points.x), network.values(run.points.x))


# --- over seeds and widths -----------------------------------------------------------------------


def _summed_up(
    problem: _Problem,
    found: Mapping[tuple[str, int], list[_Trained]],
    missing: list[Missing],
    tolerance: float,
) -> Comparison:
    rows, curves = [], {}
    absent: dict[tuple[str, int], list[Missing]] = {key: [] for key in found}
    for one in missing:
        absent.setdefault((one.loss, one.width), []).append(one)
    for (loss, width), without in sorted(absent.items(), key=lambda item: item[0][1]):
        seeds = found.get((loss, width), [])
        for j, degree in enumerate(problem.degrees):
            rows.append(_row(problem, (loss, width), seeds, j, without, tolerance))
            if seeds:
                curves[loss, width, degree] = _curves([one.curves[j] for one in seeds])
    order = {loss: place for place, (loss, _) in enumerate(absent)}
    rows.sort(key=lambda row: (order[row.loss], row.width, row.degree))
    extrapolated, powers = [], {}
    for loss in dict.fromkeys(key[0] for key in found):
        by_width = {w: seeds for (name, w), seeds in found.items() if name == loss}
        series = _series(by_width, len(problem.degrees))
        powers[loss] = width_power(list(series.values()))
        limits = _extrapolated(problem, loss, by_width, series, powers, tolerance)
        without = [one for (name, _), some in absent.items() if name == loss for one in some]
        for limit in limits:
            continuum = _held_back(limit.continuum, without, "this loss")
            points = _held_back(limit.points, without, "this loss")
            extrapolated.append(replace(limit, continuum=continuum, points=points))
    return Comparison(rows, extrapolated, powers, curves, tolerance, missing)


def _held_back(level: Level, missing: list[Missing], where: str) -> Level:
    """Without a verdict as long as trainings are to come."""
    count = sum(one.status != "diverged" for one in missing)
    if count == 0:
        return level
    number = "one training" if count == 1 else f"{count} trainings"
    reason = f"the run is unfinished, {number} of {where} to come"
    return replace(level, verdict=NO_VERDICT, reason=reason)


def _curves(seeds: list[Curves]) -> Curves:
    first = seeds[0]
    measured = [curve for one in seeds for curve in one.measured]
    return Curves(measured, first.steps, first.continuum, first.points, first.finite)


def _row(
    problem: _Problem, key: tuple[str, int], seeds: list[_Trained], j: int,
    missing: list[Missing], tolerance: float,
) -> Row:  # fmt: skip
    members = [one.member for one in seeds]
    rates = [one.measured[j] for one in seeds]
    measured = [rate.rate for rate in rates if rate.status == "measured"]
    whole = summarize(measured) if measured else SeedSummary(0, math.nan, None, None, None)
    grid = [one.grid[j].rate for one in seeds if one.grid[j].status == "measured"]
    bounds = [rate.bound for rate in rates if not math.isnan(rate.bound)]
    doubt = _doubt(seeds, j)
    levels = {
        name: _held_back(
            _level(
                rates, np.array([getattr(one, name)[j] for one in seeds]), doubt, tolerance, own=own
            ),
            missing,
            "this width",
        )
        for name, own in (("continuum", False), ("points", False), ("finite", True))
    }
    return Row(
        loss=key[0],
        s=_mean([member.s for member in members]),
        width=key[1],
        degree=problem.degrees[j],
        seeds=len(measured),
        measured=whole.mean if measured else None,
        low=whole.low,
        high=whole.high,
        bound=max(bounds) if bounds else None,
        grid=float(np.mean(grid)) if grid else None,
        **levels,
        eigenvalue_error=float(problem.errors[j]),
        kernel_movement=_mean([member.start_kernel_movement for member in members]),
        expected=len({member.name for member in members} | {one.name for one in missing}),
        missing=tuple(map(str, missing)),
    )


def _mean(values: list[float]) -> float:
    """NaN where there are none."""
    return float(np.mean(values)) if values else math.nan


REASONS = {
    "too short": "the run is too short, the amplitude has not fallen to 3/4 of its start",
    "not decaying": "the run is too short, the amplitude has not fallen",
    "too coarse": "the records are too coarse, the amplitude is gone within one or two of them",
    "overshoots": "the step is too large, the amplitude changes its sign",
    "no start": "the amplitude starts at 0",
}


def _doubt(seeds: list[_Trained], j: int) -> str:
    """Why some seeds have no rate; empty where all have one."""
    diverged = [one.member.name for one in seeds if one.member.status == "diverged"]
    if diverged:
        return f"{diverged[0]} diverged"
    statuses = [one.measured[j].status for one in seeds if one.measured[j].status != "measured"]
    if not statuses:
        return ""
    worst = max(sorted(set(statuses)), key=statuses.count)
    some = f" (for {len(statuses)} of {len(seeds)} seeds)" * (len(statuses) < len(seeds))
    return REASONS[worst] + some


def _level(
    rates: list[DecayRate], predicted: Array, doubt: str, tolerance: float, *, own: bool
) -> Level:
    """Hold the rates of all seeds against those predicted at one level.

    What is predicted for each network of its own can be judged from one.
    """
    rate = _mean(predicted.tolist())
    if math.isnan(rate):
        return Level(rate, None, None, None, NO_VERDICT, "it was not predicted at this level")
    if rate == 0.0:
        return _zero(rates, doubt)
    measured = np.array([one.rate for one in rates])
    if not doubt and (predicted == 0.0).any():
        doubt = "some seeds' networks are predicted not to decay"
    if doubt:
        return Level(rate, None, None, None, NO_VERDICT, doubt)
    ratios = _ratios(measured, predicted)
    if ratios.max() > MOST_RATIO:
        return Level(rate, None, None, None, DIFFERS, "")
    ratio = summarize(ratios)
    verdict, reason = _verdict(ratio, tolerance)
    if own and ratio.count == 1:
        verdict, reason = (AGREES if abs(ratio.mean - 1.0) <= tolerance else DIFFERS), ""
    return Level(rate, ratio.mean, ratio.low, ratio.high, verdict, reason)


def _ratios(measured: Array, predicted: Array) -> Array:
    with np.errstate(over="ignore"):  # whoever takes them compares them with MOST_RATIO
        return np.asarray(measured / predicted)


def _zero(rates: list[DecayRate], doubt: str) -> Level:
    """What should not decay must not have fallen by a quarter."""
    still = all(one.status in ("too short", "not decaying") for one in rates)
    if still:
        return Level(0.0, None, None, None, STAYS, "")
    if doubt and not any(one.status == "measured" for one in rates):
        return Level(0.0, None, None, None, NO_VERDICT, doubt)
    return Level(0.0, None, None, None, DIFFERS, "")


def _verdict(ratio: SeedSummary, tolerance: float) -> tuple[str, str]:
    if ratio.low is None or ratio.high is None:
        return NO_VERDICT, "one seed has no interval"
    half = (ratio.high - ratio.low) / 2.0
    if half > MOST_SCATTER * abs(ratio.mean) and ratio.low <= 1.0 <= ratio.high:
        most = f"more than {100.0 * MOST_SCATTER:.0f} %"
        return NO_VERDICT, f"the scatter over seeds leaves {most}; take more seeds or width"
    if ratio.low <= 1.0 <= ratio.high or abs(ratio.mean - 1.0) <= tolerance:
        return AGREES, ""
    return DIFFERS, ""


def _series(by_width: Mapping[int, list[_Trained]], degrees: int) -> dict[int, dict[int, Array]]:
    """For each degree measured in all seeds of two widths: ratios to the points' rate, by width."""
    series = {}
    for j in range(degrees):
        ratios = {}
        for width, seeds in by_width.items():
            predicted = np.array([one.points[j] for one in seeds])
            if not _doubt(seeds, j) and (predicted > 0.0).all():
                measured = np.array([one.measured[j].rate for one in seeds])
                ratio = _ratios(measured, predicted)
                if ratio.max() <= MOST_RATIO:
                    ratios[width] = ratio
        if len(ratios) > 1:
            series[j] = ratios
    return series


def _extrapolated(
    problem: _Problem,
    loss: str,
    by_width: Mapping[int, list[_Trained]],
    series: Mapping[int, Mapping[int, Array]],
    powers: Mapping[str, WidthPower],
    tolerance: float,
) -> Iterator[ExtrapolatedRow]:
    for j, ratios in series.items():
        limit = infinite_width(ratios, powers[loss])
        if math.isnan(limit.rate):
            continue
        widest = by_width[max(ratios)]
        points = float(np.mean([one.points[j] for one in widest]))
        continuum = float(np.mean([one.continuum[j] for one in widest]))
        values = [points * value for value in (limit.rate, limit.low, limit.high)]
        yield ExtrapolatedRow(
            loss=loss,
            s=float(np.mean([one.member.s for one in widest])),
            degree=problem.degrees[j],
            widths=len(ratios),
            measured=values[0],
            low=values[1],
            high=values[2],
            trend=limit.trend,
            continuum=_limit_level(continuum, values, tolerance),
            points=_limit_level(points, values, tolerance),
        )


def _limit_level(rate: float, values: list[float], tolerance: float) -> Level:
    if rate == 0.0:
        return Level(rate, None, None, None, DIFFERS, "")
    ratio, low, high = (value / rate for value in values)
    verdict, reason = _verdict(SeedSummary(0, ratio, None, low, high), tolerance)
    return Level(rate, ratio, low, high, verdict, reason)
