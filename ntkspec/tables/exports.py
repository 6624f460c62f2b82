"""Export of a table to files for other programs, netCDF4 and Parquet, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ntkspec.files.appearing import appearing, appearing_hdf5, check_outputs
from ntkspec.results import library
from ntkspec.tables.choice import Choice, chosen
from ntkspec.tables.layout import NUMBERS, create_axes, describe_numbers

if TYPE_CHECKING:
    from ntkspec.networks import Network
    from ntkspec.spectra.table import TableSlice
    from ntkspec.tables.table import Table

__all__ = ["write_netcdf", "write_parquet"]

#: Entries read in one step.
PIECE = 2**20
#: Bytes of a netCDF file in addition to the numbers: of the file and of each network.
HEAD = 2**20


def write_netcdf(
    table: Table, path: Path, network: Network | str | None, dim: Choice, degrees: Choice
) -> None:
    """Write a netCDF4 file: one network's numbers at its root, or a group for each network."""
    check_outputs([path], [table.path])
    names = list(table.networks) if network is None else [network]
    chosen = [_Chosen(table, name, dim, degrees) for name in names]
    size = sum(HEAD + 16 * (one.dims.size + 1) * (one.degrees.size + 1) for one in chosen)
    with appearing_hdf5(path, HEAD + size) as file:
        file.attrs["title"] = "Eigenvalues of neural tangent kernels"
        file.attrs["source"] = f"ntkspec {json.loads(table.attributes['versions'])['ntkspec']}"
        for one in chosen:
            one.write(file if network is not None else file.create_group(one.name))


class _Chosen:
    """The selection of one network, checked before anything is written."""

    def __init__(self, table: Table, network: Network | str, dim: Choice, degrees: Choice) -> None:
        self.table, self.name = table, table.name(network)
        _, self.dims = chosen(table.dims(self.name), dim, "dim")
        _, self.degrees = chosen(table.degrees(self.name), degrees, "degree")
        self.key = table.key(self.name)

    def pieces(self) -> Iterator[tuple[int, TableSlice]]:
        """Yield slices of some rows, and the index of the first row of each."""
        step = max(1, PIECE // self.degrees.size)
        for row in range(0, self.dims.size, step):
            rows = self.dims[row : row + step]
            yield row, self.table.select(self.name, rows, self.degrees)

    def write(self, group: h5py.Group) -> None:
        """Write a network into a group, with dimension scales as in netCDF4."""
        create_axes(group, self.key, self.dims, self.degrees)
        shape = (self.dims.size, self.degrees.size)
        for name in NUMBERS:
            group.create_dataset(name, shape, "f8", chunks=True, shuffle=True, compression="gzip")
        group.create_dataset("relative_error", shape[:1], "f8")
        describe_numbers(group)
        for row, part in self.pieces():
            rows = slice(row, row + part.dims.size)
            for name in (*NUMBERS, "relative_error"):
                group[name][rows] = part.variables()[name][1]


def write_parquet(
    table: Table, path: Path, network: Network | str | None, dim: Choice, degrees: Choice
) -> None:
    """Write a Parquet file, a row for each entry; the networks' parameters in its metadata."""
    check_outputs([path], [table.path])
    arrow, parquet = (library(name, "Parquet") for name in ("pyarrow", "pyarrow.parquet"))
    names = list(table.networks) if network is None else [network]
    chosen = [_Chosen(table, name, dim, degrees) for name in names]
    parameters = {one.name: one.key.parameters() for one in chosen}
    columns = [("network", arrow.dictionary(arrow.int32(), arrow.string()))]
    columns += [(name, arrow.int64()) for name in ("dim", "degree")]
    columns += [(name, arrow.float64()) for name in (*NUMBERS, "relative_error")]
    about = {"ntkspec": json.dumps({"normalization": "probability", "networks": parameters})}
    schema = arrow.schema(columns, metadata=about)
    kinds = arrow.array(list(parameters))
    with (
        appearing(path) as part,
        part.open("wb") as file,  # pyarrow opens no name that is not UTF-8
        parquet.ParquetWriter(file, schema) as writer,
    ):
        for place, one in enumerate(chosen):
            for _, piece in one.pieces():
                arrays = [arrow.array(column) for column in piece.columns().values()]
                places = arrow.array(np.full(len(arrays[0]), place, np.int32))
                arrays.insert(0, arrow.DictionaryArray.from_arrays(places, kinds))
                writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
