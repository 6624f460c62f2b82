"""Tables as labelled arrays and data frames: xarray and pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.results import library

if TYPE_CHECKING:
    import pandas
    import xarray

    from ntkspec.tables.part import Part

__all__ = ["to_pandas", "to_xarray"]


def to_xarray(chosen: Sequence[Part], joined: bool) -> xarray.Dataset:
    """One part as a dataset, or several along a dimension `network`."""
    arrays = library("xarray", "to_xarray")
    if not joined:
        return chosen[0].read().to_xarray()
    first = chosen[0]
    for part in chosen[1:]:
        if not (
            np.array_equal(part.dims, first.dims) and np.array_equal(part.degrees, first.degrees)
        ):
            raise NtkspecError(
                f"network = None is not allowed; {part.name} has other dimensions or degrees than "
                f"{first.name}: name one of them, or select dimensions and degrees that both have"
            )
    sets = [part.read().to_xarray().drop_attrs(deep=False) for part in chosen]
    names = ("network", [part.name for part in chosen])
    about = [part.key.parameters() for part in chosen]
    columns: dict[str, Any] = {
        key: ("network", [one.get(key, np.nan) for one in about])
        for key in dict.fromkeys(key for one in about for key in one)
    }
    whole = arrays.concat(sets, "network").assign_coords(network=names, **columns)
    result: xarray.Dataset = whole.assign_attrs(normalization="probability")
    return result


def to_pandas(parts: Sequence[Part]) -> pandas.DataFrame:
    """Entries of a table, one per row."""
    frames = library("pandas", "to_pandas")
    kinds = [part.name for part in parts]
    pieces = [frames.DataFrame(part.read().columns()) for part in parts]
    frame: pandas.DataFrame = frames.concat(pieces, ignore_index=True)
    codes = np.repeat(np.arange(len(kinds)), [len(piece) for piece in pieces])
    frame.insert(0, "network", frames.Categorical.from_codes(codes, kinds))
    return frame
