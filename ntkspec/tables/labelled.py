"""Tables as labelled arrays and data frames: xarray and pandas."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.tables.choice import Choice
from ntkspec.tables.layout import MEANINGS

if TYPE_CHECKING:
    import pandas
    import xarray

    from ntkspec.networks import Network
    from ntkspec.tables.table import Table, TableSlice

__all__ = ["arrays_of", "columns_of", "library", "to_pandas", "to_xarray"]


def library(name: str, purpose: str) -> Any:
    """Import a library that only some users need.

    Raises
    ------
    NtkspecError
        When it is not installed.

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
        raise NtkspecError(f"{purpose} needs {name}; pip install 'ntkspec[tables]'") from None


def to_xarray(
    table: Table, network: Network | str | None, dim: Choice, degrees: Choice
) -> xarray.Dataset:
    """One network's part of a table as a dataset, or that of all along a dimension `network`."""
    arrays = library("xarray", "to_xarray")
    if network is not None:
        return _dataset(arrays, table.select(network, dim, degrees))
    parts = [table.select(name, dim, degrees) for name in table.networks]
    first = parts[0]
    for part in parts[1:]:
        if not (
            np.array_equal(part.dims, first.dims) and np.array_equal(part.degrees, first.degrees)
        ):
            raise NtkspecError(
                f"network = None is not allowed; {part.name} has other dimensions or degrees than "
                f"{first.name}: name one of them, or choose what both have"
            )
    sets = [_dataset(arrays, part).drop_attrs(deep=False) for part in parts]
    names = ("network", [part.name for part in parts])
    keys = dict.fromkeys(key for part in parts for key in part.network.parameters())
    columns: dict[str, Any] = {
        key: ("network", [part.network.parameters().get(key, np.nan) for part in parts])
        for key in keys
    }
    columns["kernel"] = ("network", [part.kernel for part in parts])
    joined = arrays.concat(sets, "network").assign_coords(network=names, **columns)
    result: xarray.Dataset = joined.assign_attrs(normalization="probability")
    return result


def _dataset(arrays: Any, part: TableSlice) -> xarray.Dataset:
    axes = {"dim": part.dims, "degree": part.degrees}
    variables = {
        name: (("dim", "degree")[: array.ndim], array, dict(long_name=MEANINGS[name], units="1"))
        for name, array in arrays_of(part).items()
    }
    coordinates = {
        name: (name, axis, dict(long_name=MEANINGS[name])) for name, axis in axes.items()
    }
    attributes = {
        **part.network.parameters(), "kernel": part.kernel, "normalization": "probability"
    }  # fmt: skip
    result: xarray.Dataset = arrays.Dataset(variables, coordinates, attributes)
    return result


def to_pandas(
    table: Table, network: Network | str | None, dim: Choice, degrees: Choice
) -> pandas.DataFrame:
    """Entries of a table, a row each."""
    frames = library("pandas", "to_pandas")
    names = list(table.networks) if network is None else [network]
    parts = [table.select(name, dim, degrees) for name in names]
    kinds = [part.name for part in parts]
    frame: pandas.DataFrame = frames.concat(
        [frames.DataFrame(columns_of(part)) for part in parts], ignore_index=True
    )
    sizes = [part.eigenvalues.size for part in parts]
    codes = np.repeat(np.arange(len(kinds)), sizes)
    frame.insert(0, "network", frames.Categorical.from_codes(codes, kinds))
    return frame


def arrays_of(part: TableSlice) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a slice by the names of their columns."""
    return {
        "eigenvalue": part.eigenvalues,
        "log_eigenvalue": part.log_eigenvalues,
        "relative_error": part.relative_error,
    }


def columns_of(part: TableSlice) -> dict[str, Any]:
    """A slice's entries one after another: dimension by dimension, degree by degree."""
    rows, columns = part.eigenvalues.shape
    return {
        "dim": np.repeat(part.dims, columns),
        "degree": np.tile(part.degrees, rows),
        "eigenvalue": part.eigenvalues.ravel(),
        "log_eigenvalue": part.log_eigenvalues.ravel(),
        "relative_error": np.repeat(part.relative_error, columns),
    }
