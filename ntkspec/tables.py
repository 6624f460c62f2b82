"""Tables of precomputed eigenvalues: open, select, export."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, cast, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.networks import Kernel, Network

__all__ = ["Table", "TableSlice", "group_checksum", "open_table"]

FORMAT = "ntkspec-spectra"
FORMAT_VERSION = 1
#: Datasets that a group's checksum covers.
CHECKED = ("dim", "degree", "eigenvalue", "log_eigenvalue", "relative_error")
ROWS_AT_ONCE = 32
COLUMNS = ("network", "dim", "degree", "eigenvalue", "log_eigenvalue", "relative_error")


@dataclass(frozen=True)
class TableSlice:
    """What `Table.select` read.

    Attributes
    ----------
    name : str
        The network's group in the table.
    network : Network
    kernel : str
    dims : (D,) int64 array
    degrees : (K,) int64 array
    eigenvalue, log_eigenvalue : (D, K) float64 arrays
    relative_error : (D,) float64 array
    """

    name: str
    network: Network
    kernel: Kernel
    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    eigenvalue: NDArray[np.float64]
    log_eigenvalue: NDArray[np.float64]
    relative_error: NDArray[np.float64]


class Table:
    """A table in an HDF5 file; nothing is read until asked for.

    Made by `open_table`; close it, or use it in a ``with`` block.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def attributes(self) -> dict[str, Any]:
        """The root's attributes: format, recipe, versions, time, command."""
        return {key: _plain(value) for key, value in self._file.attrs.items()}

    @property
    def networks(self) -> dict[str, Network]:
        """The networks by their names in the table, in its order."""
        return {name: self._network(name) for name in self._file}

    def kernel(self, network: Network | str) -> Kernel:
        """Kernel of a network's spectrum, "ntk" or "nngp"."""
        group = self._group(network)
        found = _plain(group.attrs.get("kernel", "ntk"))
        if found not in get_args(Kernel):
            raise TableError(f"{self.path}: {group.name} has no kernel {found!r}")
        return cast(Kernel, found)

    def dims(self, network: Network | str) -> NDArray[np.int64]:
        """Dimensions of a network, increasing."""
        return np.asarray(self._read(self._group(network), "dim"))

    def degrees(self, network: Network | str) -> NDArray[np.int64]:
        """Degrees of a network, increasing."""
        return np.asarray(self._read(self._group(network), "degree"))

    def relative_error(self, network: Network | str) -> NDArray[np.float64]:
        """Bound on the relative error of a network's eigenvalues, for each dimension."""
        return np.asarray(self._read(self._group(network), "relative_error"))

    def checks(self, network: Network | str) -> list[dict[str, Any]]:
        """Entries recomputed independently when the table was made."""
        rows = self._read(self._group(network), "checks")
        names = rows.dtype.names or ()
        return [{name: _plain(row[name]) for name in names} for row in rows]

    def select(
        self,
        network: Network | str,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> TableSlice:
        """Read some dimensions and degrees of one network, all if not given.

        Parameters
        ----------
        network : Network or str
            A name is a group's, or an activation's where only one group has it.
        dim, degrees : int or iterable of int, optional

        Returns
        -------
        TableSlice

        Raises
        ------
        NtkspecError
            When the table has no such network, dimension or degree: what it has.
        TableError
            When the file is damaged.
        """
        group = self._group(network)
        rows, dims = _places(self._read(group, "dim"), dim, "dim")
        columns, wanted = _places(self._read(group, "degree"), degrees, "degree")
        low, high = int(columns.min()), int(columns.max()) + 1
        arrays = []
        for name in ("eigenvalue", "log_eigenvalue"):
            out = np.empty((rows.size, columns.size))
            for i, row in enumerate(rows):
                out[i] = self._read(group, name, np.s_[int(row), low:high])[columns - low]
            arrays.append(out)
        name = group.name.strip("/")
        error = self.relative_error(name)[rows]
        return TableSlice(
            name, self._network(name), self.kernel(name), dims, wanted, arrays[0], arrays[1], error
        )

    def verify_checksums(self) -> None:
        """Read all and compare with the checksums, or raise TableError naming the group."""
        for name in self._file:
            group = self._file[name]
            try:
                found = group_checksum(group)
            except (OSError, KeyError, RuntimeError) as error:
                raise TableError(f"{self.path}: {name} is damaged ({error})") from None
            if found != _plain(group.attrs.get("sha256")):
                raise TableError(f"{self.path}: {name} is damaged (its checksum is another)")

    def rows(
        self,
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Entries one after another: network, dim, degree, eigenvalue, logarithm, error."""
        for name in self._file if network is None else [self._group(network).name.strip("/")]:
            for one in _places(self.dims(name), dim, "dim")[1]:
                part = self.select(name, int(one), degrees)
                error = float(part.relative_error[0])
                for k, value, log in zip(
                    part.degrees.tolist(), part.eigenvalue[0].tolist(),
                    part.log_eigenvalue[0].tolist(), strict=True,
                ):  # fmt: skip
                    yield name, int(one), k, value, log, error

    def export(self, file: TextIO, layout: str = "csv", **selection: Any) -> None:
        """Write entries as text, digits as `repr` gives them.

        Parameters
        ----------
        file : text file
        layout : {"csv", "json"}
            JSON is a list of objects; null stands for the logarithm of 0.
        **selection
            network, dim, degrees as for `rows`.
        """
        if layout not in ("csv", "json"):
            raise NtkspecError(f"format = {layout!r} is not allowed; use 'csv' or 'json'")
        found = self.rows(**selection)
        # A selection that is not there is found before anything is written.
        rows = chain([next(found)], found)
        if layout == "csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)
            return
        before = "[\n"
        for row in rows:
            cells = [None if isinstance(c, float) and not math.isfinite(c) else c for c in row]
            file.write(before + json.dumps(dict(zip(COLUMNS, cells, strict=True)), allow_nan=False))
            before = ",\n"
        file.write("\n]\n")

    def _group(self, network: Network | str) -> h5py.Group:
        names = list(self._file)
        if isinstance(network, Network):
            found = [name for name in names if self._network(name) == network]
        elif network in names:
            found = [network]
        else:
            found = [name for name in names if name.partition("(")[0] == network]
        if len(found) != 1:
            which = "is not in the table" if not found else "is several in the table"
            raise NtkspecError(f"network = {network!r} {which}; it has {', '.join(names)}")
        return self._file[found[0]]

    def _network(self, name: str) -> Network:
        attributes = self._file[name].attrs
        known = [field.name for field in fields(Network) if field.name in attributes]
        try:
            return Network(**{key: _plain(attributes[key]) for key in known})
        except (NtkspecError, TypeError) as error:
            raise TableError(f"{self.path}: {name} names no network ({error})") from None

    def _read(self, group: h5py.Group, name: str, at: Any = ()) -> Any:
        try:
            return group[name][at]
        except (OSError, KeyError, RuntimeError, IndexError, ValueError, TypeError) as error:
            raise TableError(f"{self.path}: {group.name}/{name} is damaged ({error})") from None


def open_table(path: str | os.PathLike[str]) -> Table:
    """Open a table for reading.

    Parameters
    ----------
    path : path

    Returns
    -------
    Table

    Raises
    ------
    TableError
        When the file is missing, damaged, or no table of format version 1.

    Examples
    --------
    With a table ``with open_table(path) as table: table.select("tanh", dim=3)`` reads a slice.

    >>> open_table("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5: there is no such file
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise TableError(f"{path}: this is not a whole HDF5 file ({error})") from None
    found, number = file.attrs.get("format"), file.attrs.get("format_version")
    if _plain(found) == FORMAT and number == FORMAT_VERSION:
        return Table(path, file)
    file.close()
    raise TableError(
        f"{path}: this is no table of ntkspec, version {FORMAT_VERSION} "
        f"(format {found!r}, version {number!r})"
    )


def group_checksum(group: h5py.Group) -> str:
    """SHA-256 of a network's numbers, read some rows at a time."""
    digest = hashlib.sha256()
    for name in CHECKED:
        dataset = group[name]
        for row in range(0, dataset.shape[0], ROWS_AT_ONCE):
            digest.update(np.ascontiguousarray(dataset[row : row + ROWS_AT_ONCE]).data)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """A Python object for what HDF5 gives."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def _places(
    have: NDArray[np.int64], want: int | Iterable[int] | None, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the wanted values among those there are."""
    if want is None:
        return np.arange(have.size), have
    values = np.atleast_1d(np.asarray(list(want) if isinstance(want, Iterable) else want))
    if values.size == 0 or values.dtype.kind not in "iu":
        raise NtkspecError(f"{name} = {want!r} is not allowed; give whole numbers")
    at = np.searchsorted(have, values)
    missing = (at >= have.size) | (have[np.minimum(at, have.size - 1)] != values)
    if missing.any():
        raise NtkspecError(
            f"{name} = {values[missing][0]} is not in the table, "
            f"which has {have.size} from {have[0]} to {have[-1]}"
        )
    return at, values.astype(np.int64)
