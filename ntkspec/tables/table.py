"""Tables of precomputed eigenvalues: open, select, export."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import refuse_bare_function
from ntkspec.domains import DOMAINS, family, last_degrees
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.structure import reading
from ntkspec.files.text import CsvWriter
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import one_of
from ntkspec.spectra.table import TableSlice
from ntkspec.tables.choice import Choice, chosen
from ntkspec.tables.layout import GroupKey
from ntkspec.tables.part import Part
from ntkspec.tables.source import NetworkSource, TableSource
from ntkspec.tables.stored import StoredTable
from ntkspec.zonal import ZonalKernel

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["Table", "open_stored"]

#: Networks that an error message lists by name.
MOST_NAMED = 20
COLUMNS = ("network", "dim", "degree", "eigenvalue", "log_eigenvalue", "relative_error")


class Table:
    """A table in an HDF5 file, or one that a recipe describes; numbers are read when selected.

    Returned by `open_table`; close it, or use it in a ``with`` block.

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     print(table.dims("relu")[-1], table.kernel("relu"), len(table.checks("relu")))
    1000000 ntk 2
    """

    def __init__(self, path: Path, source: TableSource) -> None:
        self.path = path
        self._open: TableSource | None = source

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"{len(self._open.names)} spectra"
        return f"Table({str(self.path)!r}): {state}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further calls have no effect."""
        source, self._open = self._open, None
        if source is not None:
            source.close()

    @property
    def _source(self) -> TableSource:
        if self._open is None:
            raise NtkspecError(f"{self.path}: the table is closed; open it again")
        return self._open

    @property
    def attributes(self) -> dict[str, Any]:
        """The root's attributes: format, recipe, versions, time, command."""
        return dict(self._source.attributes)

    @property
    def networks(self) -> dict[str, Network | ZonalKernel]:
        """The networks by name, in the table's order."""
        return {name: self._source.facts(name).network for name in self._source.names}

    @property
    def computed(self) -> frozenset[str]:
        """Names of the groups whose numbers are computed when they are read.

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     "relu" in table.computed, "mish" in table.computed
        (False, True)
        """
        return self._source.computed

    def name(
        self,
        network: Network | ZonalKernel | str,
        kernel: Kernel | None = None,
        domain: str | None = None,
    ) -> str:
        """Return the name of a network's group; parameters as for `select`.

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     table.name("leaky_relu", kernel="nngp")
        'leaky_relu(slope=0.1,kernel=nngp)'
        """
        domain = _checked_choice(kernel, domain)
        refuse_bare_function(network, "network")
        if isinstance(network, (Network, ZonalKernel)):
            found = self._of_network(network, kernel, domain)
        elif isinstance(network, str):
            found = self._of_name(network, kernel, domain)
        else:
            raise NtkspecError(f"network = {network!r} is not allowed; give a Network or a name")
        if found is None:
            which = f"with {_named(kernel, domain)} " if kernel or domain else ""
            raise NtkspecError(f"network = {network!r} {which}is not in the table; {self._holds()}")
        return found

    def key(self, network: Network | ZonalKernel | str) -> GroupKey:
        """Network, kernel and domain of a group."""
        return self._source.facts(self.name(network))

    def kernel(self, network: Network | ZonalKernel | str) -> Kernel:
        """Kernel of a network's spectrum, "ntk" or "nngp"."""
        return self.key(network).kernel

    def domain(self, network: Network | ZonalKernel | str) -> str:
        """The domain of a network's spectrum: "sphere", "cube", "ball(radius=2.0)" and so on."""
        return self.key(network).domain

    def dims(self, network: Network | ZonalKernel | str) -> NDArray[np.int64]:
        """Dimensions of a network, increasing."""
        return self._network(network).dims.copy()

    def degrees(self, network: Network | ZonalKernel | str) -> NDArray[np.int64]:
        """Degrees of a network, increasing."""
        return self._network(network).degrees.copy()

    def size(self, network: Network | ZonalKernel | str) -> int:
        """Number of a network's eigenvalues."""
        found = self._network(network)
        last = last_degrees(found.key.domain, found.dims)
        return int(np.searchsorted(found.degrees, last, "right").sum())

    def relative_error(self, network: Network | ZonalKernel | str) -> NDArray[np.float64]:
        """Bound on the relative error of a network's eigenvalues, for each dimension."""
        return self._network(network).relative_error.copy()

    def checks(self, network: Network | ZonalKernel | str) -> list[dict[str, Any]]:
        """Entries that were recomputed independently when the table was made.

        An entry that was drawn and left out, since its check would have taken too long, has an
        empty reference, the error NaN and the method "left out: ...".
        """
        rows = self._network(network).checks()
        names = rows.dtype.names or ()
        return [{name: self._plain(row[name]) for name in names} for row in rows]

    def _plain(self, value: Any) -> Any:
        """A Python object for a field of a check."""
        if isinstance(value, bytes):
            with reading(self.path, "checks"):
                return value.decode()
        return value.item() if isinstance(value, np.generic) else value

    def select(
        self,
        network: Network | ZonalKernel | str,
        dim: Choice = None,
        degrees: Choice = None,
        *,
        kernel: Kernel | None = None,
        domain: str | None = None,
    ) -> TableSlice:
        """Read some dimensions and degrees of one network; all by default.

        Parameters
        ----------
        network : Network or str
            The name of a group or of an activation.  An activation stands for its only network
            in the table, or for the poster's network if there are several.
        dim, degrees : int, str or iterable of int, optional
            A string is a range, such as "0:100:2".
        kernel : {"ntk", "nngp"}, optional
            By default that of the named group, or "ntk" if the table has both.
            The NNGP kernel does not depend on what is trained.
        domain : str, optional
            "sphere", "cube", "gaussian", "ball", or with parameters, "ball(radius=2.0)".  By
            default that of the named group, or the first of these that the table has.

        Returns
        -------
        TableSlice

        Raises
        ------
        NtkspecError
            When the table has no such network, kernel, domain, dimension or degree, or the
            selection is larger than this machine's memory.
        TableError
            When the file is damaged.

        Notes
        -----
        The arrays are NaN where the domain does not have the degree (on the cube, above the
        dimension).

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     table.select("tanh", dim=3, degrees=[1, 11], kernel="nngp").eigenvalues
        array([[1.27408633e-01, 6.48449680e-08]])
        """
        found = self._network(network, kernel, domain)
        rows, dims = chosen(found.dims, dim, "dim")
        columns, wanted = chosen(found.degrees, degrees, "degree")
        _check_memory(found.name, dims.size, wanted.size)
        numbers = found.numbers(rows, columns)
        return TableSlice(found.name, *found.key, dims.copy(), wanted.copy(), *numbers)

    def blocks(self, network: Network | ZonalKernel | str) -> NDArray[Any]:
        """The blocks of a network, the rectangles that were computed together.

        Returns
        -------
        structured array
            row, row_end, column, column_end (half-open ranges of indices), checksum of the
            numbers; for a virtual table also file, relative to the table, and the fingerprint of
            that file's seal.
        """
        return self._network(network).blocks.copy()

    def verify_checksums(self) -> None:
        """Read all numbers, some rows at a time, and verify their checksums.

        Raises
        ------
        TableError
            When a checksum is wrong.
        """
        for name in self._source.names:
            self._source.network(name).verify()

    def names(
        self,
        network: Network | ZonalKernel | str | None = None,
        *,
        kernel: Kernel | None = None,
        domain: str | None = None,
    ) -> list[str]:
        """Return the names of all groups, or of those with a kernel or a domain.

        With a network: the name of one, as chosen by `select`.  NtkspecError if there is none.

        Examples
        --------
        >>> import ntkspec
        >>> with ntkspec.atlas() as table:
        ...     table.names("erf", kernel="nngp")
        ['erf(kernel=nngp)']
        """
        if network is not None:
            return [self.name(network, kernel, domain)]
        domain = _checked_choice(kernel, domain)
        names = list(self._source.names)
        if kernel is not None or domain is not None:
            names = [name for name in names if self._fits(name, kernel, domain)]
        if not names:
            raise NtkspecError(f"{_named(kernel, domain)} is not in the table; {self._holds()}")
        return names

    def parts(
        self,
        network: Network | ZonalKernel | str | None = None,
        dim: Choice = None,
        degrees: Choice = None,
        *,
        kernel: Kernel | None = None,
        domain: str | None = None,
    ) -> list[Part]:
        """Return selections of one or several groups, checked and not yet read.

        Parameters
        ----------
        network, kernel, domain
            As for `names`.
        dim, degrees
            As for `select`.
        """
        names = self.names(network, kernel=kernel, domain=domain)
        return [Part(self, name, dim, degrees) for name in names]

    def rows(
        self, network: Network | ZonalKernel | str | None = None, **selection: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the entries: network, dim, degree, eigenvalue, logarithm, error.

        Degrees that a domain does not have are left out.

        Parameters
        ----------
        network, **selection
            As for `parts`.
        """
        return _rows(self.parts(network, **selection))

    def export(
        self,
        file: TextIO,
        layout: str = "csv",
        network: Network | ZonalKernel | str | None = None,
        **selection: Any,
    ) -> None:
        """Write entries as text, with the digits of `repr`.

        Parameters
        ----------
        file : text file
        layout : {"csv", "json"}
            JSON is a list of objects; null stands for the logarithm of 0.
        network, **selection
            As for `parts`.
        """
        if layout not in ("csv", "json"):
            raise NtkspecError(f"format = {layout!r} is not allowed; use 'csv' or 'json'")
        # An invalid selection raises before anything is written.
        rows = self.rows(network, **selection)
        if layout == "csv":
            writer = CsvWriter(file)
            writer.row(COLUMNS)
            writer.rows(rows)
            return
        file.write("[")
        before = "\n"
        for row in rows:
            cells = [None if isinstance(c, float) and not math.isfinite(c) else c for c in row]
            file.write(before + json.dumps(dict(zip(COLUMNS, cells, strict=True)), allow_nan=False))
            before = ",\n"
        file.write("\n]\n")

    def to_xarray(
        self, network: Network | ZonalKernel | str | None = None, **selection: Any
    ) -> xarray.Dataset:
        """Read a part as an `xarray.Dataset`.

        Parameters
        ----------
        network, **selection
            As for `parts`.

        Returns
        -------
        xarray.Dataset
            ``eigenvalue`` and ``log_eigenvalue`` over (dim, degree), NaN for degrees that the
            domain does not have, and ``relative_error`` over dim; the network's parameters are
            attributes.  Without a network a dimension ``network`` comes first, with the names,
            parameters, kernels and domains of all as coordinates.

        Raises
        ------
        NtkspecError
            When xarray is not installed, the selection is not in the table, or networks have
            different dimensions or degrees and none is given.

        Notes
        -----
        The whole selection is read, but for a table that a recipe describes: its arrays are
        those of dask, which compute blocks when they are needed.
        ``xarray.open_dataset(path, group=name)`` reads a table in a file lazily, without this
        package.

        Examples
        --------
        ``with ntkspec.open_table(path) as t: t.to_xarray("tanh").eigenvalue.sel(dim=3)`` is one
        row of a table.
        """
        from ntkspec.tables.labelled import to_xarray

        return to_xarray(self.parts(network, **selection), network is None)

    def to_pandas(
        self, network: Network | ZonalKernel | str | None = None, **selection: Any
    ) -> pandas.DataFrame:
        """Read a part as a `pandas.DataFrame`, with one row per eigenvalue.

        Parameters
        ----------
        network, **selection
            As for `parts`.

        Returns
        -------
        pandas.DataFrame
            Columns network (categorical), dim, degree, eigenvalue, log_eigenvalue, relative_error.

        Raises
        ------
        NtkspecError
            When pandas is not installed, or the selection is not in the table.
        """
        from ntkspec.tables.labelled import to_pandas

        return to_pandas(self.parts(network, **selection))

    def to_netcdf(
        self,
        path: str | os.PathLike[str],
        network: Network | ZonalKernel | str | None = None,
        **selection: Any,
    ) -> None:
        """Write a part as a netCDF4 file, some rows at a time.

        Parameters
        ----------
        path : path
            The file appears complete or not at all.
        network, **selection
            As for `parts`.  The numbers of a single network are at the file's root;
            without a network each has a group, as in the table.

        Raises
        ------
        NtkspecError, TableError
            When the selection is not in the table, or the file cannot be written.
        """
        from ntkspec.tables.exports import write_netcdf

        write_netcdf(self, Path(path), self.parts(network, **selection), network is None)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        network: Network | ZonalKernel | str | None = None,
        **selection: Any,
    ) -> None:
        """Write a part as a Parquet file, with one row per eigenvalue, some rows at a time.

        Parameters
        ----------
        path : path
            The file appears complete or not at all.
        network, **selection
            As for `parts`.

        Raises
        ------
        NtkspecError, TableError
            As for `to_netcdf`, and when pyarrow is not installed.
        """
        from ntkspec.tables.exports import write_parquet

        write_parquet(self, Path(path), self.parts(network, **selection))

    def _network(
        self,
        network: Network | ZonalKernel | str,
        kernel: Kernel | None = None,
        domain: str | None = None,
    ) -> NetworkSource:
        return self._source.network(self.name(network, kernel, domain))

    def _of_network(
        self, network: Network | ZonalKernel, kernel: Kernel | None, domain: str | None
    ) -> str | None:
        """Name of a network's group; of several, the first kernel on the first domain."""
        for where in self._domains() if domain is None else (domain,):
            for one in get_args(Kernel) if kernel is None else (kernel,):
                # The readout is no part of the NNGP kernel.
                same: list[Network | ZonalKernel] = [network]
                if one == "nngp" and isinstance(network, Network):
                    same += [replace(network, trained=trained) for trained in ("hidden", "all")]
                for key in (GroupKey(net, one, where) for net in same):
                    if key.name in self._source.names and self._source.facts(key.name) == key:
                        return key.name
        return None

    def _domains(self) -> Iterator[str]:
        """The domains without parameters, and then those of the table with parameters."""
        yield from DOMAINS
        yield from dict.fromkeys(
            where
            for where in (self._source.facts(name).domain for name in self._source.names)
            if where not in DOMAINS
        )

    def _of_name(self, name: str, kernel: Kernel | None, domain: str | None) -> str | None:
        """Name of the group of that name, or of an activation."""
        source = self._source
        if name in source.names:
            if self._fits(name, kernel, domain):
                return name
            key = source.facts(name)
            return self._of_network(key.network, kernel or key.kernel, domain or key.domain)
        found = [
            group
            for group in source.names
            if group.partition("(")[0] == name and self._fits(group, kernel, domain)
        ]
        if len(found) < 2:
            return found[0] if found else None
        try:
            poster = self._of_network(Network(name), kernel, domain)
        except NtkspecError:  # a user's activation
            poster = None
        if poster is None:
            raise NtkspecError(f"network = {name!r} is ambiguous; the table has {', '.join(found)}")
        return poster

    def _fits(self, name: str, kernel: Kernel | None, domain: str | None) -> bool:
        key = self._source.facts(name)
        return kernel in (None, key.kernel) and domain in (None, key.domain)

    def _holds(self) -> str:
        """Describe the networks of the table, for error messages."""
        names = list(self._source.names)
        if len(names) <= MOST_NAMED:
            return f"it has {', '.join(names)}"
        heads = (name.partition("(")[0] for name in names)
        activations = dict.fromkeys(head for head in heads if head != "Linear")
        return f"it has {len(names)} networks of {', '.join(activations)}"


def open_stored(path: str | os.PathLike[str]) -> Table:
    """Open a table in an HDF5 file; see `ntkspec.open_table`, which opens recipes too.

    Examples
    --------
    >>> with open_stored(table_path) as table:
    ...     table.names()
    ['relu']
    """
    if not os.path.exists(path):
        raise TableError(f"{os.fspath(path)} does not exist")
    return Table(Path(path), StoredTable(Path(path)))


def _check_memory(name: str, dims: int, degrees: int) -> None:
    """Refuse a selection that this machine cannot hold."""
    size, have = 16 * dims * degrees, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > have:
        raise NtkspecError(
            f"{dims} dimensions and {degrees} degrees of {name} would take {size / 1e9:.3g} GB, "
            f"and this machine has {have / 1e9:.3g} GB of memory; select fewer, or read some rows "
            "at a time: for part in table.parts(...): for rows, piece in part.pieces()"
        )


def _rows(parts: Iterable[Part]) -> Iterator[tuple[Any, ...]]:
    for part in parts:
        for _, piece in part.pieces():
            columns = piece.columns().values()
            for row in zip(*(column.tolist() for column in columns), strict=True):
                yield part.name, *row


def _checked_choice(kernel: Kernel | None, domain: str | None) -> str | None:
    """Check a kernel and a domain; return the domain as tables write it."""
    if kernel is not None:
        one_of(kernel, "kernel", get_args(Kernel))
    return None if domain is None else str(family(domain))


def _named(kernel: Kernel | None, domain: str | None) -> str:
    given = {"kernel": kernel, "domain": domain}
    return " and ".join(f"{name} = {value!r}" for name, value in given.items() if value)
