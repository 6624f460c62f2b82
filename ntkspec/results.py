"""Results as values: comparison, tables in the terminal and in notebooks, data frames, plots.

A result is a frozen dataclass that derives from `Result` and says what it holds as labelled
arrays::

    @dataclass(frozen=True, eq=False, repr=False)
    class LearningTimes(Result):
        main = "time"

        def axes(self): return {"degree": self.degrees}
        def variables(self): return {"time": (("degree",), self.times), ...}
        def heading(self): return {"dim": self.dim, "error": self.error}

It then has `==` by value, `len`, iteration and `in` over the values of its first axis, ``r[5]``
(its main variable at the value 5 of that axis), `repr`, HTML, `columns`, `to_csv`, `to_pandas`,
`to_xarray` and `plot`.  A result whose entries form no grid of axes derives from `Tabular`, which
has only columns.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.files.text import CsvWriter, text_values
from ntkspec.parameters import as_number, shown

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["MEANINGS", "Result", "html_table", "library"]

#: Rows of a table that are shown; of more, the first and the last.
MOST_ROWS = 10
MOST_COLUMNS = 8
#: Entries of the legend of a picture.
MOST_LABELS = 10
# Okabe and Ito's colours, ordered so that grey values differ, each with its own marker and size,
# so that curves that nearly coincide can be told apart.
STYLES = (
    ("#000000", "o", 6.5), ("#D55E00", "s", 3.0), ("#56B4E9", "^", 4.5), ("#009E73", "D", 4.0),
    ("#CC79A7", "v", 4.5), ("#0072B2", "p", 4.5), ("#E69F00", "h", 4.0), ("#999999", "<", 4.0),
)  # fmt: skip
#: What the names of columns mean, for axes of plots and attributes of datasets.
MEANINGS = {
    "dim": "dimension of the inputs",
    "degree": "degree of the harmonics",
    "frequency": "frequency",
    "radial": "rank of the eigenvalue in its degree",
    "rank": "rank of the eigenvalue, from the largest",
    "azimuthal": "azimuthal degree of the eigenfunctions",
    "row": "row of the data",
    "residual": "norm of the residual, relative to the eigenvalue",
    "share": "fraction of the trace",
    "eigenvector": "entry of the eigenvector",
    "level": "eigenvalue",
    "density": "eigenvalues for a change of the logarithm by 1",
    "density_error": "standard error of the density",
    "above": "number of larger eigenvalues",
    "above_error": "standard error of that number",
    "samples": "number of training points",
    "ridge": "ridge",
    "eigenvalue": "eigenvalue of the kernel's integral operator",
    "log_eigenvalue": "natural logarithm of the eigenvalue",
    "multiplicity": "number of harmonics of the degree",
    "relative_error": "bound on the relative error of the eigenvalue",
    "time": "time to learn the degree",
    "log_time": "natural logarithm of the time",
    "test_error": "expected error on new points",
    "train_error": "expected error on the training points",
    "effective_dimension": "degrees of freedom",
    "power": "power of the target",
    "learnability": "fraction of the degree that is learned",
}


class Value:
    """A dataclass that equals another when all compared fields do, NaN and arrays included."""

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal, arrays element by element (NaN equals NaN)."""
        if type(other) is not type(self):
            return NotImplemented
        return all(
            _equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)  # type: ignore[arg-type]
            if field.compare
        )

    __hash__ = None


class Tabular(Value, ABC):
    """A value with columns of equal length, shown in the terminal and in notebooks.

    Examples
    --------
    >>> import ntkspec
    >>> plan = ntkspec.plan("relu", ntkspec.circle(16), ntkspec.harmonics([1]), accuracy=0.5)
    >>> isinstance(plan, Tabular), list(plan.columns())[:2]
    (True, ['width', 'seeds'])
    """

    @abstractmethod
    def columns(self) -> Mapping[str, Sequence[Any] | NDArray[Any]]:
        """Return the columns by their names."""

    @abstractmethod
    def title(self) -> str:
        """Return one line on what the value is."""

    def summary(self) -> Mapping[str, Sequence[Any] | NDArray[Any]]:
        """Return the columns that are shown, by default the first eight."""
        return dict(list(self.columns().items())[:MOST_COLUMNS])

    def _notes(self) -> list[str]:
        """Return the lines that are shown below the table."""
        return []

    def __repr__(self) -> str:
        names, rows = self._shown()
        cells = [names, *rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = (
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in cells
        )
        return "\n".join([self.title(), *lines, *self._notes()])

    def _repr_html_(self) -> str:
        return html_table(self.title(), *self._shown(), self._notes())

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """Names of columns, and rows as text with an ellipsis in the middle."""
        columns = self.summary()
        size = len(next(iter(columns.values())))
        half = MOST_ROWS // 2
        at = list(range(size)) if size <= MOST_ROWS else [*range(half), *range(size - half, size)]
        rows = [[_cell(column[i]) for column in columns.values()] for i in at]
        if size > MOST_ROWS:
            rows.insert(half, ["..."] * len(columns))
        return list(columns), rows

    def to_csv(self, target: str | Path | TextIO) -> None:
        """Write `columns` as CSV with all digits, a row for each entry.

        Missing values are empty, and lists have semicolons.

        Parameters
        ----------
        target : path or text stream
            A file, which appears complete or not at all, or an open stream.

        Raises
        ------
        NtkspecError
            When the path names what no file can replace.
        TableError
            When the file cannot be written.

        Examples
        --------
        >>> import sys
        >>> import ntkspec
        >>> ntkspec.predict.learning_times("relu", degrees=[1, 2]).to_csv(sys.stdout)
        degree,log_rate,time,log_time
        1,...
        2,...
        """
        if isinstance(target, (str, Path)):
            from ntkspec.files.appearing import appearing_text  # which loads h5py

            with appearing_text(Path(target)) as file:
                self.to_csv(file)
            return
        if not callable(getattr(target, "write", None)):
            raise NtkspecError(
                f"target = {shown(target)} is not allowed; give a path or an open text stream"
            )
        columns = {
            name: text_values(name, values.tolist() if isinstance(values, np.ndarray) else values)
            for name, values in self.columns().items()
        }
        writer = CsvWriter(target)
        writer.row(columns)
        writer.rows(map(_csv_cell, row) for row in zip(*columns.values(), strict=True))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a `pandas.DataFrame` of `columns`, a row for each entry.

        Raises
        ------
        NtkspecError
            When pandas is not installed.
        """
        frame: pandas.DataFrame = library("pandas", "to_pandas").DataFrame(self.columns())
        return frame


class Result(Tabular):
    """A value with labelled arrays; see the module for what a subclass gives.

    Attributes
    ----------
    main : str
        The variable that indexing returns and `plot` draws.

    Examples
    --------
    >>> import ntkspec
    >>> found = ntkspec.spectrum("relu", 3, degrees=[0, 1])
    >>> isinstance(found, Result), found[0], list(found)
    (True, 0.0625, [0, 1])
    """

    main: ClassVar[str]

    @abstractmethod
    def axes(self) -> dict[str, NDArray[Any]]:
        """Return the axes by their names, in order, each a one-dimensional array."""

    @abstractmethod
    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Return the variables by their names: the axes of each, and its values."""

    def heading(self) -> dict[str, Any]:
        """Return what the result is about: short values by their names."""
        return {}

    def title(self) -> str:
        """Return one line on what the result is."""
        about = ", ".join(f"{name} = {value}" for name, value in self.heading().items())
        return f"{type(self).__name__}: {about}" if about else type(self).__name__

    def __len__(self) -> int:
        return int(self._first()[1].size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._first()[1].tolist())

    def __contains__(self, value: object) -> bool:
        return self._places(value).size > 0

    def __getitem__(self, value: float) -> Any:
        """Return the main variable at a value of the first axis.

        Where each degree has several eigenvalues, an array of all that belong to it.
        """
        name, axis = self._first()
        at, variables = self._places(value), self.variables()
        if at.size == 0:
            raise NtkspecError(
                f"{name} = {shown(value)} is not in this {type(self).__name__}, which has "
                f"{_few(axis)}; give one of these, or select from the arrays by position"
            )
        names, array = variables[self.main]
        found = array.take(at if "radial" in variables else at[0], axis=names.index(name))
        return found.item() if found.ndim == 0 else found

    #: Operators of numpy leave comparisons to `__eq__`.
    __array_ufunc__ = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the main variable, in its own order."""
        return np.array(self.variables()[self.main][1], dtype=dtype)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return flat columns of equal length: the axes of the main variable, then variables."""
        axes = self.axes()
        names = self.variables()[self.main][0]
        shape = tuple(axes[name].size for name in names)
        every = {name: ((name,), axes[name]) for name in names} | self.variables()
        return {
            column: _spread(array, along, names, shape)
            for column, (along, array) in every.items()
            if set(along) <= set(names)
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Return a `pandas.DataFrame` of `columns`, with the heading as its `attrs`.

        Raises
        ------
        NtkspecError
            When pandas is not installed.
        """
        frame = super().to_pandas()
        frame.attrs.update(self.heading())
        return frame

    def to_xarray(self) -> xarray.Dataset:
        """Return an `xarray.Dataset` of all variables along their axes.

        Raises
        ------
        NtkspecError
            When xarray is not installed.
        """
        arrays = library("xarray", "to_xarray")
        variables = {
            name: (along, array, dict(long_name=MEANINGS.get(name, name), units="1"))
            for name, (along, array) in self.variables().items()
        }
        coordinates = {
            name: (name, axis, dict(long_name=MEANINGS.get(name, name)))
            for name, axis in self.axes().items()
        }
        dataset: xarray.Dataset = arrays.Dataset(variables, coordinates, self.heading())
        return dataset.set_coords([name for name in ("radial",) if name in dataset])

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the main variable on logarithmic axes, a line for each value of its other axis.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default the current axes.
        **style
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        NtkspecError
            When matplotlib is not installed, and for an ax that is none.
        """
        ax = axes_to_draw(ax)
        axes, variables = self.axes(), self.variables()
        along, values = variables[self.main]
        name, log = self.main, f"log_{self.main}"
        if log in variables and takes_logarithms(ax, name, values, variables[log][1]):
            name, values = log, variables[log][1]
        linear = name.startswith("log_")
        x = "degree" if "degree" in along else along[0]
        lines = np.moveaxis(values, along.index(x), 0).reshape(axes[x].size, -1)
        others = [other for other in along if other != x]
        free = "none" if x == "degree" else "-"
        # Before the lines are drawn: one of them may be empty, which has no limits.
        if not linear:
            ax.set_yscale("log")
        if x == "degree":
            ax.set_xscale("symlog", linthresh=1.0)
        else:
            ax.set_xscale("log")
        # A legend of all lines would not fit.
        every = -(-lines.shape[1] // MOST_LABELS)
        for i, line in enumerate(lines.T):
            seen = np.isfinite(line) & ((line > 0.0) | linear)
            named = others and i % every == 0
            label = f"{others[0]} = {axes[others[0]][i]}" if named else None
            drawn = style_of(len(ax.lines), {"linestyle": free, "label": label, **style})
            ax.plot(axes[x][seen], line[seen], **drawn)
        ax.set_xlabel(MEANINGS.get(x, x))
        ax.set_ylabel(MEANINGS.get(name, name))
        if others and axes[others[0]].size > 1:
            ax.legend()
        return ax

    def _first(self) -> tuple[str, NDArray[Any]]:
        return next(iter(self.axes().items()))

    def _places(self, value: Any) -> NDArray[np.intp]:
        """Places of a value on the first axis; none for what is no single number or name."""
        axis = self._first()[1]
        wanted = str(value) if axis.dtype.kind == "U" else as_number(value)
        return np.flatnonzero(axis == wanted)


def axes_to_draw(ax: Any = None) -> Any:
    """Return axes of matplotlib: those given, or else the current ones.

    Raises
    ------
    NtkspecError
        When matplotlib is not installed, or ax is something else.
    """
    if ax is None:
        return library("matplotlib.pyplot", "plot", "plots").gca()
    if not callable(getattr(ax, "plot", None)):
        raise NtkspecError(f"ax = {shown(ax)} is not allowed; give axes of matplotlib")
    return ax


def takes_logarithms(ax: Any, name: str, values: Any, logs: Any) -> bool:
    """Whether a picture has the logarithms of what is drawn; it has one of the two.

    What underflows or overflows is drawn by its logarithm.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> takes_logarithms(Figure().subplots(), "eigenvalue", np.zeros(1), np.array([-800.0]))
    True
    """
    if ax.has_data():
        log = f"log_{name}"
        return bool(ax.get_ylabel() == MEANINGS.get(log, log))
    return bool(np.any(np.isfinite(logs) & ((values == 0.0) | np.isinf(values))))


def draw_eigenvalues(ax: Any, degrees: Any, logs: Any, **style: Any) -> None:
    """Draw a line of eigenvalues, or of a law, against degrees.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> draw_eigenvalues(axes, np.arange(3), np.array([0.0, -800.0, -900.0]))
    >>> axes.get_ylabel()
    'natural logarithm of the eigenvalue'
    """
    with np.errstate(over="ignore"):
        name, numbers = "eigenvalue", np.exp(logs)
    if takes_logarithms(ax, name, numbers, logs):
        name, numbers = f"log_{name}", logs
    else:
        ax.set_yscale("log")
    if not ax.has_data():
        ax.set_xscale("log")
    ax.plot(degrees, numbers, **style)
    ax.set(xlabel=MEANINGS["degree"], ylabel=MEANINGS[name])


def law_lines(degrees: Any, start: float) -> list[tuple[Any, Any]]:
    """Where a law holds, and where it is off by more than 10 %, with the styles of the lines.

    Examples
    --------
    >>> (holds, solid), (off, dashed) = law_lines(np.arange(1, 5), 3)
    >>> off.tolist(), solid
    ([True, True, False, False], '-')
    """
    holds = degrees >= start
    return [(holds, "-"), (~holds, (0, (4, 3)))]


def style_of(number: int, style: Mapping[str, Any]) -> dict[str, Any]:
    """Return the style of a line of a picture by its number, with what is given instead.

    Examples
    --------
    >>> style_of(1, {"c": "red"})["color"], style_of(1, {})["marker"]
    ('red', 's')
    """
    lines = library("matplotlib.lines", "plot", "plots")
    given = library("matplotlib.cbook", "plot", "plots").normalize_kwargs(style, lines.Line2D)
    colour, marker, size = STYLES[number % len(STYLES)]
    usual = {"color": colour, "marker": marker, "markersize": size, "markerfacecolor": "white"}
    return {**usual, **given}


def library(name: str, purpose: str, extra: str = "tables") -> Any:
    """Import a library that only some users need.

    Raises
    ------
    NtkspecError
        When it is not installed: which extra installs it.

    Examples
    --------
    >>> library("no_such_library", "this")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: this needs no_such_library; pip install 'ntkspec[tables]'
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise NtkspecError(f"{purpose} needs {package}; pip install 'ntkspec[{extra}]'") from None


def html_table(
    title: str, names: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()
) -> str:
    """Return an HTML table of strings with a caption, escaped, for notebooks; notes follow it.

    Examples
    --------
    >>> html_table("x < 1", ["x"], [["0"]])[:40]
    '<table><caption>x &lt; 1</caption><thead'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + "".join(f"<div>{escape(note)}</div>" for note in notes)
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" == other.dtype.kind)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    return bool(one == other)


def _spread(
    array: NDArray[Any], along: tuple[str, ...], names: tuple[str, ...], shape: tuple[int, ...]
) -> NDArray[Any]:
    """An array along some axes as a flat one along all of them."""
    order = sorted(range(len(along)), key=lambda i: names.index(along[i]))
    placed = np.asarray(array).transpose(order)
    full = tuple(size if name in along else 1 for name, size in zip(names, shape, strict=True))
    return np.broadcast_to(placed.reshape(full), shape).ravel()


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None or value != value else value


def _few(axis: NDArray[Any]) -> str:
    values = [_cell(value) for value in axis]
    return ", ".join(values) if len(values) <= 8 else f"{values[0]} to {values[-1]}"
