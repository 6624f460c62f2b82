"""Tables of which a part is stored, and the rest described and computed when it is read.

The description is a text of JSON lines: a header with `grids` of dimensions and degrees, and for
each group its name, parameters, grid, error bounds and checks.  A line is read when its group is.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import TableError
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.spectra.block import block_numbers
from ntkspec.tables.layout import BLOCK_TYPE, CHECK_TYPE, GroupKey
from ntkspec.tables.source import NetworkSource
from ntkspec.tables.stored import StoredTable

__all__ = [
    "DescribedTable",
    "Description",
    "RowsOnDemand",
    "SupplementedTable",
    "description_text",
]

FORMAT = "ntkspec-described-spectra"
#: Separates a group's name from its description.
MARK = "\t"
Array = NDArray[np.float64]
Numbers = tuple[Array, Array, Array]
#: Groups whose numbers are kept.
KEPT = 64


def description_text(header: Mapping[str, Any], groups: Iterable[Mapping[str, Any]]) -> str:
    r"""Write a description; `groups` have a name, and each is a line.

    Examples
    --------
    >>> description_text({"grids": []}, [])
    '{"format": "ntkspec-described-spectra", "grids": []}\n'
    """
    lines = [json.dumps({"format": FORMAT, **header}, allow_nan=False)]
    for group in groups:
        facts = {key: value for key, value in group.items() if key != "name"}
        text = json.dumps(facts, allow_nan=False, separators=(",", ":"))
        lines.append(f"{group['name']}{MARK}{text}")
    return "\n".join(lines) + "\n"


class Description:
    """What a file says of groups that are not stored.

    Examples
    --------
    >>> from ntkspec.tables.atlas import description_path
    >>> found = Description(description_path())
    >>> found.key("mish(depth=4)").network
    Network('mish', depth=4)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            head, *lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise TableError(f"{path} does not exist; install the package anew") from None
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise TableError(f"{path} cannot be read ({error})") from None
        self.header = self._parsed(head)
        if self.header.get("format") != FORMAT:
            raise TableError(f"{path} is not a description of spectra")
        self.lines = dict(line.split(MARK, 1) for line in lines if MARK in line)
        if len(self.lines) != len(lines):
            raise TableError(f"{path} is damaged (a group has no description, or is there twice)")

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TableError(f"{self.path} is damaged (a line is not a JSON object)")
        return found

    def of(self, name: str) -> dict[str, Any]:
        """The description of a group."""
        return self._parsed(self.lines[name])

    @cached_property
    def grids(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Pairs of dimensions and degrees."""
        return [
            (np.array(grid["dims"], np.int64), np.arange(grid["degrees"], dtype=np.int64))
            for grid in self.header["grids"]
        ]

    def key(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""
        try:
            parameters = dict(self.of(name)["parameters"])
            kernel, domain = parameters.pop("kernel"), parameters.pop("domain")
            found = GroupKey(Network(**parameters), kernel, domain)
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(f"{self.path}: {name} does not describe a network ({error})") from None
        if found.name != name:
            raise TableError(f"{self.path}: {name} is damaged (it describes {found.name})")
        return found


class RowsOnDemand:
    """The numbers of a described group, computed a dimension at a time and kept.

    Examples
    --------
    >>> from ntkspec.tables.atlas import description_path
    >>> mish = RowsOnDemand(Description(description_path()), "mish")
    >>> value, log, bound = mish.numbers(np.array([1]), np.array([0, 1]))
    >>> int(mish.dims[1]), value.shape, bool(bound[0] <= mish.relative_error[1])
    (3, (1, 2), True)
    """

    def __init__(self, description: Description, name: str) -> None:
        self.name, self.key = name, description.key(name)
        self._facts = description.of(name)
        self.dims, self.degrees = description.grids[self._facts["grid"]]
        self._rows: dict[int, Numbers] = {}

    @property
    def relative_error(self) -> Array:
        """Bounds (D,) on the relative errors in all dimensions."""
        return np.array(self._facts["errors"], np.float64)

    @property
    def blocks(self) -> NDArray[Any]:
        """A block for each dimension; without checksums, because none is stored."""
        found = np.zeros(self.dims.size, BLOCK_TYPE)
        found["file"] = ""
        found["row"] = np.arange(self.dims.size)
        found["row_end"], found["column_end"] = found["row"] + 1, self.degrees.size
        return found

    def numbers(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Numbers:
        """Eigenvalues, logarithms and bounds of some rows and columns."""
        found = [self._row(row) for row in rows.tolist()]
        value, log = (np.array([one[n][0, columns] for one in found]) for n in range(2))
        return value, log, np.array([one[2][0] for one in found])

    def _row(self, row: int) -> Numbers:
        if row not in self._rows:
            self._rows[row] = block_numbers(*self.key, self.dims[row : row + 1], self.degrees)
        return self._rows[row]

    def checks(self) -> NDArray[Any]:
        """Entries that were recomputed independently when the description was made."""
        return np.array([tuple(check) for check in self._facts["checks"]], CHECK_TYPE)

    def verify(self) -> None:
        """Do nothing: there are no stored numbers that could be damaged."""


class DescribedTable:
    """The groups of a description, all computed when they are read.

    Examples
    --------
    >>> from ntkspec.tables.atlas import description_path
    >>> source = DescribedTable(Description(description_path()))
    >>> source.facts("mish").kernel, "relu" in source.names
    ('ntk', False)
    """

    def __init__(self, description: Description) -> None:
        self._description = description
        self.computed = frozenset(description.lines)
        self.names = dict.fromkeys(sorted(self.computed))  # in the order of a file
        self._facts: dict[str, GroupKey] = {}
        self._recent: OrderedDict[str, RowsOnDemand] = OrderedDict()

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The header of the description."""
        return self._description.header

    def facts(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""
        if name not in self._facts:
            self._facts[name] = self._description.key(name)
        return self._facts[name]

    def network(self, name: str) -> NetworkSource:
        """The numbers of a group."""
        found = self._recent.pop(name, None) or RowsOnDemand(self._description, name)
        self._recent[name] = found
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return found

    def close(self) -> None:
        """Forget what was computed."""
        self._recent.clear()


class SupplementedTable(DescribedTable):
    """A table in a file, and the groups that a description adds to it.

    Examples
    --------
    >>> from ntkspec.tables.atlas import atlas_path, description_path
    >>> stored = StoredTable(atlas_path())
    >>> source = SupplementedTable(stored, Description(description_path()))
    >>> "relu" in source.names, "relu" in source.computed
    (True, False)
    >>> source.close()
    """

    def __init__(self, stored: StoredTable, description: Description) -> None:
        super().__init__(description)
        self._stored = stored
        self.names = dict.fromkeys(sorted({*stored.names, *self.computed}))

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Format, recipe, versions, time and command, as of the file."""
        return self._stored.attributes

    def facts(self, name: str) -> GroupKey:
        """Network, kernel and domain of a group."""
        return super().facts(name) if name in self.computed else self._stored.facts(name)

    def network(self, name: str) -> NetworkSource:
        """The numbers of a group."""
        return super().network(name) if name in self.computed else self._stored.network(name)

    def close(self) -> None:
        """Close the file and forget what was computed."""
        self._stored.close()
        super().close()
