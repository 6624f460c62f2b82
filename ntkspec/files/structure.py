"""Structure of an untrusted HDF5 file, checked before any data are read.

Every object must have exactly one hard link.  Types, shapes and actual storage are compared with
the expected ones before memory is allocated.  Any difference, and any error of HDF5, raises a
TableError with a one-line message.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t, h5z
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.seals import MOST_CHUNK, Filters, SealedFile, filters_of
from ntkspec.locks import cached_property

__all__ = ["Group", "Kind", "opened", "reading"]

#: Largest numbers of names in a group, attributes of an object, bytes and values of an attribute.
MOST_NAMES, MOST_ATTRIBUTES, MOST_TEXT, MOST_VALUES = 20_000, 1_000, 2**20, 1_000
#: Largest number of entries that are read in one call.
MOST_ENTRIES = 2**32
#: Bytes of a reference to a string of variable length: its size and its address.
TEXT_REFERENCE = 16
#: Exceptions of HDF5 and h5py for an invalid structure.
TROUBLE = (
    OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError,
    IndexError, MemoryError, RecursionError, SystemError,
)  # fmt: skip
ATOMS = {"i8": h5t.STD_I64LE, "f8": h5t.IEEE_F64LE, "f4": h5t.IEEE_F32LE}

#: Type of an array: "i8", "f8", "real" (doubles or single floats), "text", or its fields' types.
Kind = str | Mapping[str, str]


@contextmanager
def reading(path: Path, where: str) -> Iterator[None]:
    """Turn errors of HDF5 into a TableError that names the file and the object."""
    try:
        yield
    except NtkspecError:
        raise
    except TROUBLE as error:
        raise TableError(f"{path}: {where} is damaged ({error})") from None


class Group:
    """A group of a file, whose members are checked before they are read.

    `size` is the number of bytes of the file without the seal.  All methods raise a TableError for
    a damaged or foreign structure.
    """

    def __init__(self, path: Path, group: h5py.Group, size: int) -> None:
        self.path, self._group, self._size = path, group, size
        self.name = str(group.name).strip("/") or "the file"

    @cached_property
    def _names(self) -> list[str]:
        names: list[bytes] = []
        with reading(self.path, self.name):
            if self._group.id.get_num_objs() > MOST_NAMES:
                raise TableError(f"{self.path}: {self.name} has more than {MOST_NAMES} members")
            # No Python code runs within HDF5, where a KeyboardInterrupt becomes another error.
            links = self._group.id.links
            links.iterate(names.append)
            for name in names:
                if links.get_info(name).type != h5l.TYPE_HARD:
                    shown = name.decode("utf-8", "replace")
                    raise self.bad(shown, "is a soft or external link, which is not allowed")
            return [name.decode() for name in names]

    def names(self) -> list[str]:
        """Names of its members, all hard links."""
        return list(self._names)

    def expect(self, names: Sequence[str]) -> None:
        """Raise TableError unless the members are exactly these."""
        found = self.names()
        for name in names:
            if name not in found:
                raise TableError(f"{self.path}: {self.name} has no {name}")
        for name in found:
            if name not in names:
                raise self.bad(name, "is not part of the format")

    def group(self, name: str) -> Group:
        """Return a subgroup."""
        with reading(self.path, self._called(name)):
            return Group(self.path, h5py.Group(self._open(name, h5o.TYPE_GROUP)), self._size)

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of the group, or of an array in it: strings, numbers and lists of numbers.

        Attributes that link arrays to dimension scales are omitted.
        """
        where = self._called(name) if name else self.name
        with reading(self.path, where):
            item = self._open(name, h5o.TYPE_DATASET) if name else self._group.id
            if h5a.get_num_attrs(item) > MOST_ATTRIBUTES:
                raise TableError(f"{self.path}: {where} has more than {MOST_ATTRIBUTES} attributes")
            keys: list[bytes] = []
            h5a.iterate(item, keys.append)
            return {
                key.decode(): self._value(item, key, where) for key in keys if key not in SCALES
            }

    def attribute(self, key: str) -> Any:
        """One attribute of the group, as returned by `attributes`, or None."""
        with reading(self.path, self.name):
            there = h5a.exists(self._group.id, key.encode())
            return self._value(self._group.id, key.encode(), self.name) if there else None

    def _value(self, item: Any, key: bytes, where: str) -> Any:
        attribute = h5a.open(item, key)
        kind, shape = attribute.get_type(), attribute.shape
        text = kind.get_class() == h5t.STRING
        if not (
            (text or kind.get_class() in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM))
            and kind.get_size() <= MOST_TEXT
            and 0 < attribute.get_storage_size() <= MOST_TEXT
            and (shape == () or (not text and len(shape) == 1 and shape[0] <= MOST_VALUES))
        ):
            raise TableError(
                f"{self.path}: attribute {key.decode()} of {where} is neither text nor a number"
            )
        values = np.empty(shape, kind.dtype)
        attribute.read(values)
        if not text:
            return values.item() if not shape else values.tolist()
        found = values.item()
        shown = _text(found) if isinstance(found, bytes) else str(found)
        shown.encode()  # h5py returns lone surrogates for bytes that are not UTF-8
        return shown

    def check(self, name: str, kind: Kind, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Check an array that is stored completely in the file, and return its shape.

        `kind` is the type of an entry, or those of its fields; None in `shape` is any length.
        """
        with reading(self.path, self._called(name)):
            return self._checked(name, kind, shape)[1]

    def read(
        self,
        name: str,
        kind: Kind,
        shape: tuple[int | None, ...] = (None,),
        most: int = MOST_ENTRIES,
    ) -> NDArray[Any]:
        """Check an array and its number of entries, then read it.

        See `check`; strings are returned as bytes.
        """
        with reading(self.path, self._called(name)):
            item, found = self._checked(name, kind, shape)
            if math.prod(found) > most:
                raise self.bad(name, f"has {math.prod(found)} entries; at most {most} are allowed")
            if not isinstance(kind, str):
                return np.asarray(h5py.Dataset(item)[()])
            out = np.empty(found, item.dtype)
            if out.size:
                item.read(h5s.ALL, h5s.ALL, out)
            return out

    def chunked(self, name: str, shape: tuple[int, int]) -> tuple[tuple[int, ...], Filters]:
        """Check a chunked array of doubles without reading it; return chunk shape and filters."""
        with reading(self.path, self._called(name)):
            wrong = "is not stored in chunks"
            _, plist, _ = self._dataset(name, "f8", shape, (h5d.CHUNKED,), wrong)
            return plist.get_chunk(), filters_of(plist)

    def virtual(
        self, name: str, shape: tuple[int, int]
    ) -> list[tuple[str, str, tuple[tuple[int, int], ...]]]:
        """Check a virtual array of doubles without reading it or opening its sources.

        Returns the file and array of each source, which is used as a whole, and the half-open
        ranges that it covers.
        """
        with reading(self.path, self._called(name)):
            wrong = "is not virtual, although the table's layout is"
            _, plist, _ = self._dataset(name, "f8", shape, (h5d.VIRTUAL,), wrong)
            sources = []
            for n in range(plist.get_virtual_count()):
                if plist.get_virtual_srcspace(n).get_select_type() != h5s.SEL_ALL:
                    raise self.bad(name, "uses parts of other arrays, which is not allowed")
                file, source = plist.get_virtual_filename(n), plist.get_virtual_dsetname(n)
                place = _rectangle(plist.get_virtual_vspace(n))
                sources.append((_as_text(file), _as_text(source), place))
            return sources

    def bad(self, name: str, what: str) -> TableError:
        """The error to raise for a member."""
        return TableError(f"{self.path}: {self._called(name)} {what}")

    def _called(self, name: str) -> str:
        return name if self.name == "the file" else f"{self.name}/{name}"

    def _open(self, name: str, kind: int) -> Any:
        """Open a member of a kind, through its one hard link."""
        key, group = name.encode(), self._group.id
        if name not in self._names:
            raise self.bad(name, "is not there")
        info = h5o.get_info(group, key)
        if info.type != kind:
            raise self.bad(name, "has the wrong type of object")
        if info.rc != 1:
            raise self.bad(name, "has several hard links, which is not allowed")
        return (h5d if kind == h5o.TYPE_DATASET else h5g).open(group, key)

    def _checked(
        self, name: str, kind: Kind, shape: tuple[int | None, ...]
    ) -> tuple[Any, tuple[int, ...]]:
        layouts, wrong = (
            (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED),
            "is virtual, which is not allowed",
        )
        item, plist, found = self._dataset(name, kind, shape, layouts, wrong)
        self._check_storage(name, item, plist, found)
        return item, found

    def _dataset(
        self, name: str, kind: Kind, wanted: tuple[int | None, ...], layouts: tuple[int, ...],
        wrong: str,
    ) -> tuple[Any, Any, tuple[int, ...]]:  # fmt: skip
        """Open an array, check its layout, type and shape; return it, its properties and shape."""
        item = self._open(name, h5o.TYPE_DATASET)
        plist = item.get_create_plist()
        if plist.get_layout() not in layouts:
            raise self.bad(name, wrong)
        if plist.get_layout() != h5d.VIRTUAL and plist.get_external_count():
            raise self.bad(name, "is stored in other files, which is not allowed")
        of_entries = item.get_type()
        if of_entries.committed() or not _is_kind(of_entries, kind):
            names = kind if isinstance(kind, str) else ", ".join(kind)
            raise self.bad(name, f"has another type of entries than {names}")
        found: tuple[int, ...] = item.shape
        fits = len(found) == len(wanted) and all(
            b is None or a == b for a, b in zip(found, wanted, strict=True)
        )
        if not fits:
            shown = " x ".join("any" if b is None else str(b) for b in wanted)
            raise self.bad(name, f"has shape {found} where {shown or 'a single value'} is expected")
        if math.prod(found) > MOST_ENTRIES:
            raise self.bad(name, f"claims {math.prod(found)} entries")
        return item, plist, found

    def _check_storage(self, name: str, item: Any, plist: Any, shape: tuple[int, ...]) -> None:
        """The storage must be as large as the shape requires."""
        size = _stored_size(item.get_type())
        claimed, stored = math.prod(shape) * size, item.get_storage_size()
        if plist.get_layout() == h5d.CHUNKED:
            chunk, filters = plist.get_chunk(), plist.get_nfilters()
            checked = filters == 1 and plist.get_filter(0)[0] == h5z.FILTER_FLETCHER32
            if filters and not checked:
                raise self.bad(name, "is compressed, which is not allowed for it")
            one = math.prod(chunk) * size
            count = math.prod(-(-a // b) for a, b in zip(shape, chunk, strict=True))
            if one > MOST_CHUNK or item.get_num_chunks() != count:
                raise self.bad(name, "is incomplete, or its chunks are too large")
            claimed = count * (one + 4 * checked)
        elif claimed and plist.get_layout() == h5d.CONTIGUOUS:
            start = item.get_offset()
            if start is None or start + claimed > self._size:
                raise self.bad(name, f"claims {claimed} bytes that the file does not have")
        if stored != claimed or stored > self._size:
            raise self.bad(name, f"claims {claimed} bytes and has {stored}")


#: Attributes of HDF5's dimension scales, which are references.
SCALES = (b"CLASS", b"NAME", b"DIMENSION_LIST", b"REFERENCE_LIST", b"_Netcdf4Dimid")


@contextmanager
def opened(
    path: Path, what: str, kind: str, *, known: str = ""
) -> Iterator[tuple[SealedFile, Group]]:
    """Verify the structure of a file, open it and yield the file and its root group.

    `what` is its name in error messages, `kind` the required value of its attribute "format".  A
    file whose seal has the fingerprint `known` is not verified again.  Raises a TableError if it is
    missing, damaged or of another kind.
    """
    with SealedFile(path, what) as file:
        if file.seal.kind != kind:
            raise TableError(
                f"{path}: this is not a {what} of ntkspec (its format is {file.seal.kind!r})"
            )
        if file.seal.fingerprint != known:
            file.check_structure()
        with reading(path, "the file"):
            hdf5 = h5py.File(path, "r")
        with hdf5:
            yield file, Group(path, hdf5, file.seal.size)


def _is_kind(found: Any, kind: Kind) -> bool:
    if isinstance(kind, str):
        if kind == "text":
            return bool(found.get_class() == h5t.STRING and found.get_size() <= MOST_TEXT)
        if kind == "real":
            return bool(found in (ATOMS["f8"], ATOMS["f4"]))
        return bool(found == ATOMS[kind])
    if found.get_class() != h5t.COMPOUND or found.get_nmembers() != len(kind):
        return False
    return all(
        found.get_member_name(n) == name.encode() and _is_kind(found.get_member_type(n), one)
        for n, (name, one) in enumerate(kind.items())
    )


def _stored_size(kind: Any) -> int:
    """Bytes of an entry in the file, where strings of variable length are references."""
    if kind.get_class() == h5t.COMPOUND:
        return sum(_stored_size(kind.get_member_type(n)) for n in range(kind.get_nmembers()))
    if kind.get_class() == h5t.STRING and kind.is_variable_str():
        return TEXT_REFERENCE
    return int(kind.get_size())


def _rectangle(space: Any) -> tuple[tuple[int, int], ...]:
    """Start and end, on each axis, of the single rectangle that a dataspace selects."""
    if space.get_select_type() != h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise ValueError("it is not made of rectangles")
    start, _, count, block = space.get_regular_hyperslab()
    if any(one != 1 for one in count):
        raise ValueError("it is not made of rectangles")
    return tuple((int(a), int(a) + int(n)) for a, n in zip(start, block, strict=True))


def _as_text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode()
