"""The file of a table, whose contents are checked before use."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import numpy as np
import xxhash
from numpy.typing import NDArray

from ntkspec.domains import Sphere, existing_degrees, family
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import followed
from ntkspec.files.chunks import ChunkedReader
from ntkspec.files.seals import SealedFile
from ntkspec.files.structure import Group, opened, reading
from ntkspec.files.text import printable
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel, Network
from ntkspec.tables.layout import (
    BLOCK_KIND,
    CHECK_KIND,
    COMPRESSIONS,
    FORMAT,
    LAYOUTS,
    MEMBERS,
    NUMBERS,
    READABLE,
    GroupKey,
)
from ntkspec.zonal.naming import stored_kernel

__all__ = ["StoredNetwork", "StoredTable"]

#: Rows and entries read in one step to verify checksums, and networks whose axes are cached.
BAND_ROWS, BAND_ENTRIES, KEPT = 64, 2**22, 8
#: Largest numbers of values on an axis, of checks and of blocks of a network.
MOST_AXIS, MOST_ROWS = 2**22, 2**22
#: Largest absolute value of a finite logarithm; those of all networks are far smaller.
MOST_LOG = 1e9
#: String attributes of the root.
TEXTS = ("layout", "compression", "versions", "time", "command")
Array = NDArray[np.float64]


class StoredTable:
    """The open file of a table, whose structure matches its seal."""

    computed: frozenset[str] = frozenset()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._facts: dict[str, GroupKey] = {}
        self._recent: OrderedDict[str, StoredNetwork] = OrderedDict()
        with ExitStack() as stack:
            self._file, self._root = stack.enter_context(opened(path, "table", FORMAT))
            if (version := self._root.attribute("format_version")) not in READABLE:
                raise TableError(
                    f"{path} is not a table of version {' or '.join(map(str, READABLE))} (its "
                    f"version is {version!r})"
                )
            layout = self._root.attribute("layout")
            if layout not in LAYOUTS:
                raise TableError(f"{path}: layout = {layout!r} is unknown")
            self._virtual = layout == "virtual"
            self.names = dict.fromkeys(self._root.names())
            if not self.names:
                raise TableError(f"{path}: the table has no networks")
            self._stack = stack.pop_all()

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The root's attributes."""
        found = self._root.attributes()
        for key in TEXTS:
            if not isinstance(found.get(key), str):
                raise TableError(f"{self.path}: attribute {key} is missing or not a string")
        if found["compression"] not in COMPRESSIONS:
            raise TableError(f"{self.path}: compression = {found['compression']!r} is unknown")
        with reading(self.path, "attribute versions"):
            versions = json.loads(found["versions"])
            if not (
                isinstance(versions, dict)
                and isinstance(versions.get("ntkspec"), str)
                and all(isinstance(one, str) for one in versions.values())
                and all(printable(one) == one for one in (*versions, *versions.values()))
            ):
                raise TableError(f"{self.path}: attribute versions is invalid")
        for key in ("recipe", "recipe_digest", "code_digest", "source_digest", "merged_from"):
            if not isinstance(found.get(key, ""), str):
                raise TableError(f"{self.path}: attribute {key} is not a string")
        return found

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self._stack.close()

    def facts(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""
        if name not in self._facts:
            self._facts[name] = self._read_facts(name)
        return self._facts[name]

    def _read_facts(self, name: str) -> GroupKey:
        attributes = self._root.group(name).attributes()
        kernel = attributes.pop("kernel", None)
        if kernel not in get_args(Kernel):
            raise TableError(f"{self.path}: {name} has no kernel {kernel!r}")
        domain = attributes.pop("domain", Sphere.name)
        try:
            known = str(family(domain)) == domain
        except NtkspecError:
            known = False
        if not known:
            raise TableError(f"{self.path}: {name} has the domain {domain!r}, which is unknown")
        if (found := attributes.pop("normalization", None)) != "probability":
            raise TableError(f"{self.path}: {name} has the normalization {found!r}")
        known = {"zonal"} if "zonal" in attributes else {field.name for field in fields(Network)}
        if unknown := sorted(attributes.keys() - known):
            raise TableError(f"{self.path}: attribute {unknown[0]} of {name} is unknown")
        try:
            network = (
                stored_kernel(**attributes) if "zonal" in attributes else Network(**attributes)
            )
            key = GroupKey(network, kernel, domain)
            called = key.name
            same = called == name and all(
                attributes.get(key) == (list(value) if isinstance(value, tuple) else value)
                for key, value in network.parameters().items()
            )
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise TableError(f"{self.path}: {name} does not describe a network ({error})") from None
        if not same:
            raise TableError(
                f"{self.path}: {name} is damaged (its attributes are those of {called})"
            )
        return key

    def network(self, name: str) -> StoredNetwork:
        """The stored data of a network, with its axes read."""
        found = self._recent.pop(name, None)
        if found is None:
            found = StoredNetwork(
                self._file, self._root.group(name), name, self.facts(name), self._virtual
            )
        self._recent[name] = found
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return found


@dataclass(frozen=True)
class _Block:
    """A rectangle of a virtual table, and the file of its numbers."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    file: str
    seal: str


class StoredNetwork:
    """A network's group, its structure checked and its axes read."""

    def __init__(
        self,
        file: SealedFile,
        group: Group,
        name: str,
        key: GroupKey,
        virtual: bool,
    ) -> None:
        self.name, self.key, self.virtual = name, key, virtual
        self._file, self._group, self._path = file, group, file.path
        group.expect(MEMBERS)
        domain = family(key.domain).kind
        self.dims = self._axis("dim", domain.least_dim, domain.most_dim)
        self.degrees = self._axis("degree", 0, domain.most_degree)
        self.shape = (self.dims.size, self.degrees.size)
        self.relative_error: Array = group.read("relative_error", "f8", (self.dims.size,))
        if not (np.isfinite(self.relative_error) & (self.relative_error >= 0)).all():
            raise group.bad("relative_error", "has bounds that are not numbers >= 0")
        if self.virtual:
            self._check_sources()
        else:
            self._readers = {one: self._reader(one) for one in NUMBERS}

    def _axis(self, name: str, least: int, most: int) -> NDArray[np.int64]:
        values = self._group.read(name, "i8", most=MOST_AXIS)
        rising = values.size and (values[1:] > values[:-1]).all()
        if not rising or values[0] < least or values[-1] > most:
            raise self._group.bad(
                name, f"is not an increasing list of whole numbers from {least} to {most}"
            )
        return values

    def _reader(self, name: str) -> ChunkedReader:
        """Reader of an array in the table itself; HDF5 and the seal must describe it equally."""
        reader = ChunkedReader(self._file, f"{self.name}/{name}")
        chunk, filters = self._group.chunked(name, self.shape)
        found = reader.array
        if (found.shape, found.chunk, found.filters) != (self.shape, tuple(chunk), filters):
            raise self._group.bad(name, "is damaged (its seal is of another array)")
        return reader

    def _check_sources(self) -> None:
        """Raise unless a virtual array consists of exactly the files of the blocks."""
        for name in NUMBERS:
            sources = self._group.virtual(name, self.shape)
            wanted = [(one.file, name, (one.rows, one.columns)) for one in self._blocks]
            if sources != wanted:
                raise self._group.bad(name, "refers to other files than those of its blocks")

    def numbers(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> tuple[Array, Array, Array]:
        """Eigenvalues, logarithms and bounds of some rows and columns."""
        value, log = self.read(rows, columns)
        return value, log, self.relative_error[rows]

    def checks(self) -> NDArray[Any]:
        """Entries that were recomputed independently when the table was made."""
        return self._group.read("checks", CHECK_KIND, most=MOST_ROWS)

    @cached_property
    def blocks(self) -> NDArray[Any]:
        """Rectangles that were each computed in one block; they fill the table."""
        found = self._group.read("blocks", BLOCK_KIND, most=MOST_ROWS)
        low, high, left, right = (
            found[key] for key in ("row", "row_end", "column", "column_end")
        )  # fmt: skip
        inside = (low >= 0) & (low < high) & (high <= self.shape[0])
        inside &= (left >= 0) & (left < right) & (right <= self.shape[1])
        if not inside.all() or ((high - low) * (right - left)).sum() != self.dims.size * (
            self.degrees.size
        ):
            raise self._group.bad("blocks", "is damaged (its blocks do not fill the table)")
        return found

    @cached_property
    def _blocks(self) -> list[_Block]:
        found = []
        for row in self.blocks:
            with reading(self._path, f"{self.name}/blocks"):
                file, seal = row["file"].decode(), row["seal"].decode()
            place = PurePosixPath(file)
            if not file or place.is_absolute() or ".." in place.parts or "\0" in file:
                raise self._group.bad(
                    "blocks", f"names the file {file!r}, which is outside the table's folder"
                )
            low, high, left, right = _corner_places(row)
            found.append(_Block((low, high), (left, right), file, seal))
        return found

    def read(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        names: Sequence[str] = NUMBERS,
    ) -> list[Array]:
        """Read some rows and columns of the arrays of numbers."""
        if not (_increasing(rows) and _increasing(columns)):
            (low, i), (left, j) = (np.unique(x, return_inverse=True) for x in (rows, columns))
            return [array[np.ix_(i, j)] for array in self.read(low, left, names)]
        out = {name: np.full((rows.size, columns.size), np.nan) for name in names}
        if self.virtual:
            self._read_blocks(rows, columns, out)
        else:
            for name in names:
                self._readers[name].read(rows, columns, out[name])
        exist = existing_degrees(self.key.domain, self.dims[rows], self.degrees[columns])
        whole = exist.all()  # as on the sphere, where one pass over the numbers is enough
        for name, array in out.items():
            missing = np.isnan(array)
            if missing.any() if whole else (missing == exist).any():
                raise self._group.bad(
                    name, "is damaged (numbers are missing, or there are some for degrees that "
                    f"the {self.key.domain} does not have)"
                )  # fmt: skip
            if name == "log_eigenvalue" and not _is_log(array):
                raise self._group.bad(name, f"has logarithms larger than {MOST_LOG:g}")
        return list(out.values())

    def _read_blocks(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], out: dict[str, Array]
    ) -> None:
        blocks = self.blocks
        ends = [
            np.searchsorted(places, blocks[key])
            for places, name in ((rows, "row"), (columns, "column"))
            for key in (name, f"{name}_end")
        ]
        touched = (ends[1] > ends[0]) & (ends[3] > ends[2])
        for n in np.flatnonzero(touched).tolist():
            top, bottom, left, right = (int(end[n]) for end in ends)
            block = self._blocks[n]
            with self._block_file(block) as file:
                for name, array in out.items():
                    self._block_reader(file, block, name).read(
                        rows[top:bottom] - block.rows[0],
                        columns[left:right] - block.columns[0],
                        array[top:bottom, left:right],
                    )

    def _block_file(self, block: _Block) -> SealedFile:
        """Open the file of a block, which must be the one that the table was made from."""
        path = followed(self._path).parent / block.file
        if not path.exists():
            raise TableError(
                f"{self._path}: its block file {block.file} is missing; "
                "a virtual table needs the folder of its blocks next to it"
            )
        file = SealedFile(path, "block")
        if file.seal.fingerprint != block.seal:
            file.close()
            raise TableError(f"{path}: the block is damaged (it is not the one of {self._path})")
        return file

    def _block_reader(self, file: SealedFile, block: _Block, name: str) -> ChunkedReader:
        reader = ChunkedReader(file, name)
        shape = (block.rows[1] - block.rows[0], block.columns[1] - block.columns[0])
        if reader.array.shape != shape:
            raise TableError(f"{file.path}: the block is damaged ({name} has the wrong shape)")
        return reader

    def verify(self) -> None:
        """Read all numbers, some rows at a time, and verify the checksums of the blocks."""
        if self.virtual:
            for one in self._blocks:
                with self._block_file(one) as file:
                    file.check_structure()
        for block in self.blocks:
            low, high, left, right = _corner_places(block)
            columns = np.arange(left, right)
            step = max(1, min(BAND_ROWS, BAND_ENTRIES // columns.size))
            digest = xxhash.xxh3_128()
            for name in NUMBERS:
                for row in range(low, high, step):
                    (array,) = self.read(np.arange(row, min(row + step, high)), columns, (name,))
                    digest.update(array.data)
            if digest.hexdigest().encode() != block["checksum"]:
                raise TableError(
                    f"{self._path}: {self.name} is damaged (the checksum of its rows "
                    f"{low}:{high}, columns {left}:{right} is another)"
                )


def _is_log(array: Array) -> bool:
    """Whether all values may be logarithms of eigenvalues; log(0) is -inf, NaN stands for none."""
    return not ((np.abs(array) > MOST_LOG) & (array != -np.inf)).any()


def _corner_places(block: Any) -> tuple[int, int, int, int]:
    row, row_end, column, column_end = (
        int(block[key]) for key in ("row", "row_end", "column", "column_end")
    )
    return row, row_end, column, column_end


def _increasing(places: NDArray[np.int64]) -> bool:
    return bool((places[1:] > places[:-1]).all())
