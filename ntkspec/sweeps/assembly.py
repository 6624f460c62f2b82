"""From blocks to the finished table: HDF5, format version 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from ntkspec.sweeps.blocks import read_block
from ntkspec.sweeps.files import appearing
from ntkspec.sweeps.plan import BlockKey
from ntkspec.sweeps.provenance import code_digest, versions
from ntkspec.sweeps.recipe import Recipe, group_name
from ntkspec.tables import CHECKED, FORMAT, FORMAT_VERSION, group_checksum
from ntkspec.verification import Check

__all__ = ["assemble"]

CHUNK = (32, 512)
CHECK_TYPE = np.dtype(
    [
        ("dim", "i8"),
        ("degree", "i8"),
        ("reference", h5py.string_dtype()),
        ("relative_error", "f8"),
        ("method", h5py.string_dtype()),
    ]
)


def assemble(
    recipe: Recipe,
    keys: Iterable[BlockKey],
    checks: dict[int, list[Check]],
    folder: Path,
    out: Path,
) -> None:
    """Write the table beside its place, block by block, and rename it onto it.

    Parameters
    ----------
    recipe : Recipe
    keys : iterable of BlockKey
        All blocks of the recipe.
    checks : dict
        Checked entries of each network, by its place in the recipe.
    folder : Path
        Where the blocks are.
    out : Path
        The table.

    Raises
    ------
    TableError
        When a block is missing or damaged.
    """
    with appearing(out) as part, h5py.File(part, "w") as file:
        _describe(file, recipe)
        groups = [_group(file, recipe, n) for n in range(len(recipe.networks))]
        for key in keys:
            data = read_block(recipe, key, folder)
            group, rows, columns = groups[key.network], slice(*key.rows), slice(*key.columns)
            group["eigenvalue"][rows, columns] = data.eigenvalue
            group["log_eigenvalue"][rows, columns] = data.log_eigenvalue
            # Blocks beside each other in degree bound the same rows: the larger one holds.
            bound = np.maximum(group["relative_error"][rows], data.relative_error)
            group["relative_error"][rows] = bound
        for n, group in enumerate(groups):
            _write_checks(group, checks.get(n, []))
            group.attrs["sha256"] = group_checksum(group)


def _describe(file: h5py.File, recipe: Recipe) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["recipe"] = recipe.text
    file.attrs["recipe_digest"] = recipe.digest
    file.attrs["code_digest"] = code_digest()
    file.attrs["versions"] = json.dumps(versions())
    file.attrs["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    file.attrs["command"] = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _group(file: h5py.File, recipe: Recipe, number: int) -> h5py.Group:
    network, kernel = recipe.networks[number]
    group = file.create_group(group_name(network, kernel))
    for key, value in {**network.parameters(), "kernel": kernel}.items():
        group.attrs[key] = value
    group.attrs["normalization"] = "probability"
    group["dim"], group["degree"] = recipe.dims, recipe.degrees
    for name in ("dim", "degree"):
        group[name].make_scale(name)
    shape = (recipe.dims.size, recipe.degrees.size)
    chunks = tuple(min(n, c) for n, c in zip(shape, CHUNK, strict=True))
    for name in ("eigenvalue", "log_eigenvalue"):
        dataset = group.create_dataset(
            name, shape, "f8", chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
        )
        dataset.dims[0].attach_scale(group["dim"])
        dataset.dims[1].attach_scale(group["degree"])
    group.create_dataset("relative_error", data=np.zeros(shape[0]))
    group["relative_error"].dims[0].attach_scale(group["dim"])
    assert set(CHECKED) <= set(group)
    return group


def _write_checks(group: h5py.Group, checks: list[Check]) -> None:
    rows = [(c.dim, c.degree, c.reference, c.relative_error, c.method) for c in checks]
    group.create_dataset("checks", data=np.array(rows, dtype=CHECK_TYPE))
    # A dimension of its own: readers of netCDF4 want one for every axis.
    group["check"] = np.arange(len(rows))
    group["check"].make_scale("check")
    group["checks"].dims[0].attach_scale(group["check"])
