"""Export of a table to files for other programs, netCDF4 and Parquet, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ntkspec.files.appearing import appearing, appearing_hdf5, check_outputs
from ntkspec.results import library
from ntkspec.tables.layout import NUMBERS, create_axes, describe_numbers

if TYPE_CHECKING:
    from ntkspec.tables.part import Part
    from ntkspec.tables.table import Table

__all__ = ["write_netcdf", "write_parquet"]

#: Bytes of a netCDF file in addition to the numbers: of the file and of each network.
HEAD = 2**20


def write_netcdf(table: Table, path: Path, parts: Sequence[Part], grouped: bool) -> None:
    """Write a netCDF4 file: one part's numbers at its root, or a group for each."""
    check_outputs([path], [table.path])
    size = sum(HEAD + 16 * (one.dims.size + 1) * (one.degrees.size + 1) for one in parts)
    with appearing_hdf5(path, HEAD + size) as file:
        file.attrs["title"] = "Eigenvalues of neural tangent kernels"
        file.attrs["source"] = f"ntkspec {json.loads(table.attributes['versions'])['ntkspec']}"
        for one in parts:
            _write_group(file.create_group(one.name) if grouped else file, one)


def _write_group(group: h5py.Group, part: Part) -> None:
    """Write a part into a group, with dimension scales as in netCDF4."""
    create_axes(group, part.key, part.dims, part.degrees)
    shape = (part.dims.size, part.degrees.size)
    for name in NUMBERS:
        group.create_dataset(name, shape, "f8", chunks=True, shuffle=True, compression="gzip")
    group.create_dataset("relative_error", shape[:1], "f8")
    describe_numbers(group)
    for rows, piece in part.pieces():
        for name in (*NUMBERS, "relative_error"):
            group[name][rows] = piece.variables()[name][1]


def write_parquet(table: Table, path: Path, parts: Sequence[Part]) -> None:
    """Write a Parquet file, a row for each entry; the networks' parameters in its metadata."""
    check_outputs([path], [table.path])
    arrow, parquet = (library(name, "Parquet") for name in ("pyarrow", "pyarrow.parquet"))
    parameters = {one.name: one.key.parameters() for one in parts}
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
        for place, one in enumerate(parts):
            for _, piece in one.pieces():
                arrays = [arrow.array(column) for column in piece.columns().values()]
                places = arrow.array(np.full(len(arrays[0]), place, np.int32))
                arrays.insert(0, arrow.DictionaryArray.from_arrays(places, kinds))
                writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
