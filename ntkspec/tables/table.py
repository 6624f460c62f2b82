"""Tables of precomputed eigenvalues: open, select, export."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, cast, get_args

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import followed
from ntkspec.files.text import CsvWriter
from ntkspec.networks import Kernel, Network
from ntkspec.tables.layout import FORMAT, FORMAT_VERSION, NUMBERS, group_checksum, group_name

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["Table", "TableSlice", "open_table"]

#: Largest rectangle read at once, in rows and columns: it bounds the memory beside the result.
BAND_ROWS, BAND_COLUMNS = 64, 4096
#: Networks that an error lists by name.
MOST_NAMED = 20
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

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     part = table.select("tanh", dim=[2, 3], degrees=[1, 11])
    >>> part.eigenvalue.shape, part.network.name, part.kernel
    ((2, 2), 'tanh', 'ntk')
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

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     print(table.dims("relu")[-1], table.kernel("relu"), len(table.checks("relu")))
    1024 ntk 2
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

    def name(self, network: Network | str, kernel: Kernel | None = None) -> str:
        """Name of a network's group; parameters as for `select`.

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     table.name("leaky_relu", kernel="nngp")
        'leaky_relu(slope=0.1,kernel=nngp)'
        """
        return str(self._group(network, kernel).name.strip("/"))

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
        *,
        kernel: Kernel | None = None,
    ) -> TableSlice:
        """Read some dimensions and degrees of one network, all if not given.

        Parameters
        ----------
        network : Network or str
            A name is a group's, or an activation's: the only network of that activation, or the
            poster's among several.
        dim, degrees : int or iterable of int, optional
        kernel : {"ntk", "nngp"}, optional
            By default the one there is; "ntk" where the table has both, unless a group is named.
            The NNGP kernel does not depend on what is trained.

        Returns
        -------
        TableSlice

        Raises
        ------
        NtkspecError
            When the table has no such network, kernel, dimension or degree: what it has.
        TableError
            When the file is damaged.

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     table.select("tanh", dim=3, degrees=[1, 11], kernel="nngp").eigenvalue
        array([[1.27408633e-01, 6.48449680e-08]])
        """
        group = self._group(network, kernel)
        rows, dims = _places(self._read(group, "dim"), dim, "dim")
        columns, wanted = _places(self._read(group, "degree"), degrees, "degree")
        self._check_files(group, rows, columns)
        arrays = [self._numbers(group, name, rows, columns) for name in NUMBERS]
        name = group.name.strip("/")
        error = self.relative_error(name)[rows]
        return TableSlice(
            name, self._network(name), self.kernel(name), dims, wanted, arrays[0], arrays[1], error
        )

    def blocks(self, network: Network | str) -> NDArray[Any]:
        """Rectangles that were computed at once.

        Returns
        -------
        structured array
            row, row_end, column, column_end (half-open places in the dimensions and degrees),
            checksum of the numbers, and file, relative to the table, where it is a virtual one.
        """
        return np.asarray(self._read(self._group(network), "blocks"))

    def verify_checksums(self) -> None:
        """Read all, some rows at a time, and compare with the checksums.

        Raises
        ------
        TableError
            When a checksum is another one: which.
        """
        for name in self._file:
            group = self._group(name)
            try:
                found = group_checksum(group)
            except (OSError, KeyError, RuntimeError, ValueError) as error:
                raise TableError(f"{self.path}: {name} is damaged ({error})") from None
            if found != _plain(group.attrs.get("checksum")):
                raise TableError(f"{self.path}: {name} is damaged (its checksum is another)")
            for block in self.blocks(name):
                self._verify_block(group, block)

    def _verify_block(self, group: h5py.Group, block: Any) -> None:
        """Compare a block's numbers with its checksum, in bounded memory."""
        low, high, left, right = (
            int(block[key]) for key in ("row", "row_end", "column", "column_end")
        )
        columns = np.arange(left, right)
        digest = xxhash.xxh3_128()
        self._check_files(group, np.array([low]), columns[:1])
        for name in NUMBERS:
            for row in range(low, high, BAND_ROWS):
                rows = np.arange(row, min(row + BAND_ROWS, high))
                digest.update(self._numbers(group, name, rows, columns).data)
        if digest.hexdigest() != block["checksum"].decode():
            raise TableError(
                f"{self.path}: {group.name.strip('/')} is damaged (the checksum of its rows "
                f"{low}:{high}, columns {left}:{right} is another)"
            )

    def _numbers(
        self, group: h5py.Group, name: str, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Read places of a dataset, a rectangle of bounded size at a time."""
        out = np.empty((rows.size, columns.size))
        for mine in _bands(rows, BAND_ROWS):
            top, bottom = int(rows[mine].min()), int(rows[mine].max()) + 1
            for theirs in _bands(columns, BAND_COLUMNS):
                left, right = int(columns[theirs].min()), int(columns[theirs].max()) + 1
                part = self._read(group, name, np.s_[top:bottom, left:right])
                out[mine, theirs] = part[np.ix_(rows[mine] - top, columns[theirs] - left)]
        if np.isnan(out).any():
            # What HDF5 gives for a part that was never written or cannot be opened.
            raise TableError(f"{self.path}: {group.name}/{name} is damaged (numbers are missing)")
        return out

    def _check_files(
        self, group: h5py.Group, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> None:
        """Make sure that the block files behind some places of a virtual table are there."""
        if _plain(self._file.attrs.get("layout", "single")) == "single":
            return
        blocks = self._read(group, "blocks")
        rows, columns = np.sort(rows), np.sort(columns)
        touched = (
            np.searchsorted(rows, blocks["row_end"]) > np.searchsorted(rows, blocks["row"])
        ) & (
            np.searchsorted(columns, blocks["column_end"])
            > np.searchsorted(columns, blocks["column"])
        )
        for name in blocks["file"][touched]:
            if not (followed(self.path).parent / name.decode()).is_file():
                raise TableError(
                    f"{self.path}: its block file {name.decode()} is not there; "
                    "a virtual table needs the folder of its blocks beside it"
                )

    def rows(
        self,
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Entries one after another: network, dim, degree, eigenvalue, logarithm, error."""
        for name in self._file if network is None else [self._group(network).name.strip("/")]:
            places, _ = _places(self.dims(name), dim, "dim")
            for mine in _bands(places, BAND_ROWS):
                part = self.select(name, self.dims(name)[places[mine]], degrees)
                for i, one in enumerate(part.dims.tolist()):
                    error = float(part.relative_error[i])
                    for k, value, log in zip(
                        part.degrees.tolist(), part.eigenvalue[i].tolist(),
                        part.log_eigenvalue[i].tolist(), strict=True,
                    ):  # fmt: skip
                        yield name, one, k, value, log, error

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
            writer = CsvWriter(file)
            writer.row(COLUMNS)
            writer.rows(rows)
            return
        before = "[\n"
        for row in rows:
            cells = [None if isinstance(c, float) and not math.isfinite(c) else c for c in row]
            file.write(before + json.dumps(dict(zip(COLUMNS, cells, strict=True)), allow_nan=False))
            before = ",\n"
        file.write("\n]\n")

    def to_xarray(
        self,
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> xarray.Dataset:
        """Read a part as an `xarray.Dataset`.

        Parameters
        ----------
        network, dim, degrees
            As for `select`.  Without a network: all of them.

        Returns
        -------
        xarray.Dataset
            ``eigenvalue`` and ``log_eigenvalue`` over (dim, degree), ``relative_error`` over dim;
            the network's parameters are attributes.  For all networks a dimension ``network``
            comes first, with their names, parameters and kernels as coordinates.

        Raises
        ------
        NtkspecError
            When xarray is not installed, for what is not in the table, and without a network where
            networks have different dimensions or degrees.

        Notes
        -----
        All that is asked for is read; ``xarray.open_dataset(path, group=name)`` reads a table
        lazily, without this package.

        Examples
        --------
        ``with ntkspec.open_table(path) as t: t.to_xarray("tanh").eigenvalue.sel(dim=3)`` is one
        row of a table.
        """
        from ntkspec.tables.labelled import to_xarray

        return to_xarray(self, network, dim, degrees)

    def to_pandas(
        self,
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> pandas.DataFrame:
        """Read a part as a `pandas.DataFrame`, a row for each entry.

        Parameters
        ----------
        network, dim, degrees
            As for `select`.  Without a network: all of them.

        Returns
        -------
        pandas.DataFrame
            Columns network (categorical), dim, degree, eigenvalue, log_eigenvalue, relative_error.

        Raises
        ------
        NtkspecError
            When pandas is not installed, and for what is not in the table.
        """
        from ntkspec.tables.labelled import to_pandas

        return to_pandas(self, network, dim, degrees)

    def to_netcdf(
        self,
        path: str | os.PathLike[str],
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> None:
        """Write a part as a netCDF4 file, some rows at a time.

        Parameters
        ----------
        path : path
            The file appears whole or not at all.
        network, dim, degrees
            As for `rows`.  One network's numbers lie at the file's root;
            without a network each has a group, as in the table.

        Raises
        ------
        NtkspecError, TableError
            For what is not in the table, and when the file cannot be written.
        """
        from ntkspec.tables.exports import write_netcdf

        write_netcdf(self, Path(path), network, dim, degrees)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        network: Network | str | None = None,
        dim: int | Iterable[int] | None = None,
        degrees: int | Iterable[int] | None = None,
    ) -> None:
        """Write a part as a Parquet file, a row for each entry, some at a time.

        Parameters
        ----------
        path : path
            The file appears whole or not at all.
        network, dim, degrees
            As for `rows`.

        Raises
        ------
        NtkspecError, TableError
            As `to_netcdf`, and when pyarrow is not installed.
        """
        from ntkspec.tables.exports import write_parquet

        write_parquet(self, Path(path), network, dim, degrees)

    def _group(self, network: Network | str, kernel: Kernel | None = None) -> h5py.Group:
        if kernel not in (None, *get_args(Kernel)):
            raise NtkspecError(f"kernel = {kernel!r} is not allowed; use 'ntk' or 'nngp'")
        if isinstance(network, Network):
            name = self._of_network(network, kernel)
        else:
            name = self._of_name(network, kernel)
        if name is None:
            which = f"with kernel = {kernel!r} " if kernel else ""
            raise NtkspecError(f"network = {network!r} {which}is not in the table; {self._holds()}")
        return self._file[name]

    def _of_network(self, network: Network, kernel: Kernel | None) -> str | None:
        """Name of a network's group with a kernel; of both, that with the NTK."""
        for one in get_args(Kernel) if kernel is None else (kernel,):
            # The readout is no part of the NNGP kernel.
            wanted = {_untrained(network)} if one == "nngp" else {network}
            names = [group_name(network, one), group_name(_untrained(network), one)]
            # By name first: in a table of many networks a look at each takes long.
            name: str
            for name in chain(names, self._file):
                if name not in self._file or self._kernel(name) != one:
                    continue
                found = self._network(name)
                if (_untrained(found) if one == "nngp" else found) in wanted:
                    return name
        return None

    def _of_name(self, name: str, kernel: Kernel | None) -> str | None:
        """Name of the group of that name, or of an activation."""
        if name in self._file:
            if kernel in (None, self._kernel(name)):
                return name
            return self._of_network(self._network(name), kernel)
        found = [
            group
            for group in self._file
            if group.partition("(")[0] == name and kernel in (None, self._kernel(group))
        ]
        if len(found) < 2:
            return found[0] if found else None
        try:
            poster = self._of_network(Network(name), kernel)
        except NtkspecError:  # a user's activation
            poster = None
        if poster is None:
            raise NtkspecError(
                f"network = {name!r} is several in the table; it has {', '.join(found)}"
            )
        return poster

    def _holds(self) -> str:
        """What networks there are, where they are few enough to be read."""
        names = list(self._file)
        if len(names) <= MOST_NAMED:
            return f"it has {', '.join(names)}"
        activations = dict.fromkeys(name.partition("(")[0] for name in names)
        return f"it has {len(names)} networks of {', '.join(activations)}"

    def _kernel(self, name: str) -> str:
        return str(_plain(self._file[name].attrs.get("kernel", "ntk")))

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
            raise TableError(
                f"{self.path}: {group.name}/{name} is damaged ({error})" + _advice(error)
            ) from None


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
        if _plain(file.attrs.get("compression")) in ("zstd", "blosc"):
            with suppress(ImportError):
                import hdf5plugin  # noqa: F401  registers their filters
        return Table(path, file)
    file.close()
    raise TableError(
        f"{path}: this is no table of ntkspec, version {FORMAT_VERSION} "
        f"(format {found!r}, version {number!r})"
    )


def _untrained(network: Network) -> Network:
    """The network whose readout is not trained."""
    return replace(network, trained="hidden")


def _bands(places: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Runs of places that lie in the same multiple of a size."""
    cuts = np.flatnonzero(np.diff(places // size)) + 1
    ends = [0, *cuts.tolist(), places.size]
    return (slice(a, b) for a, b in pairwise(ends))


def _advice(error: Exception) -> str:
    """What else may be wrong when HDF5 cannot read a chunk."""
    return "; or hdf5plugin is missing: pip install 'ntkspec[compression]'" * (
        "filter" in str(error) and find_spec("hdf5plugin") is None
    )


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
    if isinstance(want, range):
        want = want[: have.size + 1]  # of more, one of these is not there
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
