"""The checkpoint of a member: its records so far and the exact state to resume from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import Numbers
from ntkspec.files.structure import Group, opened
from ntkspec.jobs import provenance
from ntkspec.trainer.runs.stored import (
    Facts,
    Sizes,
    check_arrays,
    read_arrays,
    read_facts,
    read_state,
)

__all__ = [
    "Checkpoint",
    "code_digest",
    "member_path",
    "opened_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]

FORMAT = "ntkspec-checkpoint"
#: Overhead of HDF5 in bytes: for the file, and for each dataset.
HEAD, ENTRY = 2**15, 2**11
#: The module that trains a member; it and its imports determine the numbers.
START = "trainer.runs.training"
LIBRARIES = ("numpy", "scipy", "numba")


@dataclass(frozen=True)
class Checkpoint:
    """State of a member, as stored in its file.

    `state`, the argument of `Descent`, is empty after the end of the training; `results`
    is empty before it.
    """

    facts: Facts
    records: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the training has ended."""
        return self.facts.status in ("finished", "diverged")


def code_digest() -> str:
    """Digest of the code and the libraries that determine the numbers."""
    return provenance.code_digest(START, LIBRARIES)


def member_path(folder: Path, number: int) -> Path:
    """Name of the file of a member, by its number in the recipe."""
    return folder / f"member-{number:05d}.h5"


def write_checkpoint(path: Path, recipe: str, name: str, checkpoint: Checkpoint) -> None:
    """Write the file of the member `name`, which appears complete; `recipe` is a digest."""
    groups = {
        "records": checkpoint.records, "state": checkpoint.state, "results": checkpoint.results,
    }  # fmt: skip
    arrays = [np.asarray(value) for group in groups.values() for value in group.values()]
    size = HEAD + sum(array.nbytes + ENTRY for array in arrays)
    with appearing_hdf5(path, size, Numbers(), follow=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs.update({"recipe": recipe, "code": code_digest(), "member": name})
        file.attrs.update(vars(checkpoint.facts))
        for key, group in groups.items():
            inside = file.create_group(key)
            for part, value in group.items():
                if isinstance(value, np.ndarray):
                    inside[part] = value
                else:
                    inside.attrs[part] = value


def read_checkpoint(path: Path, recipe: str, name: str, sizes: Sizes) -> Checkpoint:
    """Read the file of the member `name`; `recipe` is a digest.

    Raises a TableError if it is missing or damaged, and an NtkspecError if it was made by another
    recipe or by other code.
    """
    with opened_checkpoint(path, sizes) as (root, facts, _):
        for key, digest in (("recipe", recipe), ("code", code_digest())):
            if root.attribute(key) != digest:
                what = "recipe" if key == "recipe" else "version of the code"
                raise NtkspecError(
                    f"{path} was made by another {what}; --restart removes it and trains again"
                )
        if root.attribute("member") != name:
            raise TableError(f"{path}: the checkpoint is damaged (it belongs to another member)")
        layout, results = sizes.layout(facts.width), root.group("results")
        return Checkpoint(
            facts,
            dict(read_arrays(root.group("records"), layout["records"])),
            read_state(root.group("state"), layout["state"], sizes),
            dict(read_arrays(results, layout["results"])) if results.names() else {},
        )


@contextmanager
def opened_checkpoint(path: Path, sizes: Sizes) -> Iterator[tuple[Group, Facts, str]]:
    """Open the file of a member and check its structure.

    Yields its root, the member's facts, and the fingerprint of the file's seal.
    """
    with opened(path, "checkpoint", FORMAT) as (file, root):
        root.expect(("records", "state", "results"))
        facts = read_facts(root, sizes)
        layout = sizes.layout(facts.width)
        check_arrays(root.group("records"), layout["records"], sizes)
        if (results := root.group("results")).names():
            check_arrays(results, layout["results"], sizes)
        yield root, facts, file.seal.fingerprint
