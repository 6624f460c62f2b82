"""Tables as labelled arrays and data frames: xarray and pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.results import library
from ntkspec.spectra.table import TableSlice
from ntkspec.tables.layout import NUMBERS

if TYPE_CHECKING:
    import pandas
    import xarray

    from ntkspec.tables.part import Part

__all__ = ["to_pandas", "to_xarray"]

#: Rows and columns of a chunk of dask.
LAZY = 1024
Axis = NDArray[np.int64]


def to_xarray(chosen: Sequence[Part], joined: bool) -> xarray.Dataset:
    """One part as a dataset, or several along a dimension `network`."""
    arrays = library("xarray", "to_xarray")
    if not joined:
        return _dataset(chosen[0])
    first = chosen[0]
    for part in chosen[1:]:
        if not (
            np.array_equal(part.dims, first.dims) and np.array_equal(part.degrees, first.degrees)
        ):
            raise NtkspecError(
                f"network = None is not allowed; {part.name} has other dimensions or degrees than "
                f"{first.name}: name one of them, or select dimensions and degrees that both have"
            )
    sets = [_dataset(part).drop_attrs(deep=False) for part in chosen]
    names = ("network", [part.name for part in chosen])
    about = [part.key.parameters() for part in chosen]
    columns: dict[str, Any] = {
        key: ("network", [one.get(key, np.nan) for one in about])
        for key in dict.fromkeys(key for one in about for key in one)
    }
    whole = arrays.concat(sets, "network").assign_coords(network=names, **columns)
    result: xarray.Dataset = whole.assign_attrs(normalization="probability")
    return result


def _dataset(part: Part) -> xarray.Dataset:
    """A part's dataset; of a computed table with arrays of dask."""
    if part.name not in part.table.computed:
        return part.read().to_xarray()
    from_array = library("dask.array", "to_xarray").from_array
    whole = (part.dims.size, part.degrees.size)
    chunks = (min(whole[0], LAZY), min(whole[1], LAZY))
    arrays: list[Any] = [
        from_array(_Lazy(part, name, shape), chunks[: len(shape)], meta=np.empty((0,) * len(shape)))
        for name, shape in ((NUMBERS[0], whole), (NUMBERS[1], whole), ("relative_error", whole[:1]))
    ]
    network, kernel, domain = part.key
    described = TableSlice(
        part.name, network, kernel, domain, part.dims, part.degrees, arrays[0], arrays[1], arrays[2]
    )
    return described.to_xarray()


class _Lazy:
    """An array of a part, of which dask asks for slices, lists and single entries."""

    dtype = np.dtype(np.float64)

    def __init__(self, part: Part, name: str, shape: tuple[int, ...]) -> None:
        self.part, self.name, self.shape, self.ndim = part, name, shape, len(shape)

    def __getitem__(self, places: Any) -> Any:
        places = (places if isinstance(places, tuple) else (places,))[: self.ndim]
        places += (slice(None),) * (self.ndim - len(places))
        axes = (self.part.dims, self.part.degrees)
        wanted = [np.atleast_1d(axis[at]) for axis, at in zip(axes, places, strict=False)]
        single = tuple(0 if np.ndim(at) == 0 and not isinstance(at, slice) else slice(None)
                       for at in places)  # fmt: skip
        return self._read(*wanted)[single]

    def _read(self, dims: Axis, degrees: Axis | None = None) -> NDArray[np.float64]:
        if degrees is not None:
            if not (dims.size and degrees.size):
                return np.empty((dims.size, degrees.size))
            found = self.part.table.select(self.part.name, dims, degrees)
            return np.asarray(found.variables()[self.name][1])
        # The bounds of all degrees, some at a time.
        bound = np.zeros(dims.size)
        for start in range(0, self.part.degrees.size if dims.size else 0, LAZY):
            some = self.part.degrees[start : start + LAZY]
            found = self.part.table.select(self.part.name, dims, some)
            np.maximum(bound, found.relative_error, out=bound)
        return bound


def to_pandas(parts: Sequence[Part]) -> pandas.DataFrame:
    """Entries of a table, one per row."""
    frames = library("pandas", "to_pandas")
    kinds = [part.name for part in parts]
    pieces = [frames.DataFrame(part.read().columns()) for part in parts]
    frame: pandas.DataFrame = frames.concat(pieces, ignore_index=True)
    codes = np.repeat(np.arange(len(kinds)), [len(piece) for piece in pieces])
    frame.insert(0, "network", frames.Categorical.from_codes(codes, kinds))
    return frame
