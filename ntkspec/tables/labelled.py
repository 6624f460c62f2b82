"""Tables as labelled arrays and data frames: xarray and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.results import library
from ntkspec.tables.choice import Choice

if TYPE_CHECKING:
    import pandas
    import xarray

    from ntkspec.networks import Network
    from ntkspec.tables.table import Table

__all__ = ["to_pandas", "to_xarray"]


def to_xarray(
    table: Table, network: Network | str | None, dim: Choice, degrees: Choice
) -> xarray.Dataset:
    """One network as a dataset, or all networks along a dimension `network`."""
    arrays = library("xarray", "to_xarray")
    if network is not None:
        return table.select(network, dim, degrees).to_xarray()
    parts = [table.select(name, dim, degrees) for name in table.networks]
    first = parts[0]
    for part in parts[1:]:
        if not (
            np.array_equal(part.dims, first.dims) and np.array_equal(part.degrees, first.degrees)
        ):
            raise NtkspecError(
                f"network = None is not allowed; {part.name} has other dimensions or degrees than "
                f"{first.name}: name one of them, or select dimensions and degrees that both have"
            )
    sets = [part.to_xarray().drop_attrs(deep=False) for part in parts]
    names = ("network", [part.name for part in parts])
    about = [table.key(part.name).parameters() for part in parts]
    columns: dict[str, Any] = {
        key: ("network", [one.get(key, np.nan) for one in about])
        for key in dict.fromkeys(key for one in about for key in one)
    }
    joined = arrays.concat(sets, "network").assign_coords(network=names, **columns)
    result: xarray.Dataset = joined.assign_attrs(normalization="probability")
    return result


def to_pandas(
    table: Table, network: Network | str | None, dim: Choice, degrees: Choice
) -> pandas.DataFrame:
    """Entries of a table, one per row."""
    frames = library("pandas", "to_pandas")
    names = list(table.networks) if network is None else [network]
    parts = [table.select(name, dim, degrees) for name in names]
    kinds = [part.name for part in parts]
    pieces = [frames.DataFrame(part.columns()) for part in parts]
    frame: pandas.DataFrame = frames.concat(pieces, ignore_index=True)
    codes = np.repeat(np.arange(len(kinds)), [len(piece) for piece in pieces])
    frame.insert(0, "network", frames.Categorical.from_codes(codes, kinds))
    return frame
