"""The table of a scan: a row for each eigenvalue, whatever its index."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.text import CsvWriter, json_value, text_values
from ntkspec.results import MEANINGS, Tabular, library

if TYPE_CHECKING:
    import xarray

__all__ = ["Scan", "joined"]

#: Columns of indices, and of numbers, in their order; columns of parameters come before them.
FIRST = ("network", "kernel", "domain", "dim")
INDICES = (
    "degree", "radial", "rank", "azimuthal", "frequency", "frequency_1", "frequency_2",
    "frequency_3",
)  # fmt: skip
LAST = (
    *INDICES, "eigenvalue", "log_eigenvalue", "multiplicity", "relative_error", "truncation",
)  # fmt: skip
#: Bytes of an HDF5 file beside the numbers, and of a column.
HEAD, COLUMN = 2**20, 2**14


@dataclass(frozen=True, eq=False, repr=False)
class Scan(Tabular):
    """Eigenvalues of networks on several domains, a row for each; returned by `ntkspec.scan`.

    ``len(scan)`` counts the rows.

    Attributes
    ----------
    entries : dict of str to (R,) array
        By name: network, kernel, domain, dim, the domains' parameters; the index of the eigenvalue
        (degree and radial, rank and azimuthal, frequency); eigenvalue, log_eigenvalue,
        multiplicity, relative_error.  Missing numbers are NaN, missing texts empty.
    spectra : int
        How many spectra the rows are of.

    Examples
    --------
    >>> import ntkspec
    >>> balls = [ntkspec.Ball(3, radius=r) for r in (1.0, 2.0)]
    >>> found = ntkspec.scan("relu", balls, degrees=[1])
    >>> found.entries["radius"], found.entries["eigenvalue"].round(6)
    (array([1., 2.]), array([0.05, 0.2 ]))
    """

    entries: Mapping[str, NDArray[Any]]
    spectra: int

    def __len__(self) -> int:
        return int(self.entries["eigenvalue"].size)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by their names."""
        return dict(self.entries)

    def summary(self) -> dict[str, NDArray[Any]]:
        """Return the columns that are shown: those that vary, and the eigenvalues."""
        shown = {
            name: column
            for name, column in self.entries.items()
            if name not in LAST[-4:] and (name == "eigenvalue" or len(set(column.tolist())) > 1)
        }
        return {name: shown[name] for name in [*[*shown][:7], "eigenvalue"] if name in shown}

    def title(self) -> str:
        """Return a one-line description."""
        return f"Scan of {self.spectra} spectra: {len(self)} eigenvalues"

    def export(self, file: TextIO, layout: str = "csv") -> None:
        """Write the rows as text, with the digits of `repr`.

        Parameters
        ----------
        file : text file
        layout : {"csv", "json"}
            JSON is a list of objects; null stands for missing numbers and the logarithm of 0, and
            an empty cell of CSV for missing numbers.

        Examples
        --------
        >>> import sys, ntkspec
        >>> ntkspec.scan("relu", [ntkspec.Cube(2)], degrees=[1]).export(sys.stdout)
        network,kernel,domain,dim,degree,eigenvalue,log_eigenvalue,multiplicity,relative_error
        relu,ntk,cube,2,1,0.125,-2.0794415416798357,2,2.220446049250313e-16
        """
        rows = zip(*(_cells(name, column) for name, column in self.entries.items()), strict=True)
        if layout == "csv":
            writer = CsvWriter(file)
            writer.row(self.entries)
            writer.rows(["" if cell != cell else cell for cell in row] for row in rows)
        elif layout == "json":
            file.write("[")
            before = "\n"
            for row in rows:
                cells = map(json_value, row)
                one = json.dumps(dict(zip(self.entries, cells, strict=True)), allow_nan=False)
                file.write(before + one)
                before = ",\n"
            file.write("\n]\n")
        else:
            raise NtkspecError(f"format = {layout!r} is not allowed; use 'csv' or 'json'")

    def to_xarray(self) -> xarray.Dataset:
        """Return an `xarray.Dataset` with one dimension, `entry`.

        Raises
        ------
        NtkspecError
            When xarray is not installed.
        """
        arrays = library("xarray", "to_xarray")
        described = {
            name: ("entry", column, {"long_name": MEANINGS.get(name, name)})
            for name, column in self.entries.items()
        }
        dataset: xarray.Dataset = arrays.Dataset(described)
        return dataset

    def to_netcdf(self, path: str | Path) -> None:
        """Write an HDF5 file that is netCDF4, with one dimension, `entry`.

        Parameters
        ----------
        path : path
            The file appears complete or not at all.

        Raises
        ------
        TableError
            When the file cannot be written.

        Examples
        --------
        >>> import ntkspec
        >>> ntkspec.scan("relu", [ntkspec.Cube(2)]).to_netcdf(folder / "scan.nc")
        """
        size = sum(COLUMN + 64 * column.size for column in self.entries.values())
        with appearing_hdf5(Path(path), HEAD + size) as file:
            file["entry"] = np.arange(len(self))
            file["entry"].make_scale("entry")
            for name, column in self.entries.items():
                if column.dtype.kind == "O":
                    file.create_dataset(name, data=column, dtype=h5py.string_dtype())
                else:
                    file[name] = column
                file[name].dims[0].attach_scale(file["entry"])
                file[name].attrs["long_name"] = MEANINGS.get(name, name)


def joined(parts: Iterable[tuple[Mapping[str, Any], Mapping[str, Sequence[Any]]]]) -> Scan:
    """Join what spectra are about, by name, and their columns.

    Examples
    --------
    >>> about = {"network": "relu", "radius": 2.0}
    >>> joined([(about, {"eigenvalue": [0.5]})]).columns()["radius"]
    array([2.])
    """
    every = list(parts)
    found = dict.fromkeys(name for about, columns in every for name in (*about, *columns))
    middle = [name for name in found if name not in (*FIRST, *LAST)]
    names = [name for name in (*FIRST, *middle, *LAST) if name in found]
    entries = {}
    for name in names:
        cells: list[Any] = []
        for about, columns in every:
            count = len(columns["eigenvalue"])
            cells += columns[name] if name in columns else [about.get(name)] * count
        entries[name] = _column(cells)
    return Scan(entries, len(every))


def _column(cells: Sequence[Any]) -> NDArray[Any]:
    """Whole numbers, numbers with NaN for missing ones, or texts."""
    if any(isinstance(cell, str) for cell in cells):
        texts = np.empty(len(cells), object)
        texts[:] = ["" if cell is None else str(cell) for cell in cells]
        return texts
    if all(type(cell) is int for cell in cells):
        return np.array(cells, np.int64)
    return np.array([math.nan if cell is None else cell for cell in cells], np.float64)


def _cells(name: str, column: NDArray[Any]) -> Sequence[Any]:
    """The cells of a column; indices and counts are whole numbers, where they are not missing."""
    cells: list[Any] = column.tolist()
    if name not in INDICES or column.dtype.kind != "f":
        return text_values(name, cells)
    return [int(cell) if cell == cell else cell for cell in cells]
