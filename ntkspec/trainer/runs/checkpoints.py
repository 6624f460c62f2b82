"""The file of one member: its records so far, and what it needs to go on to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import open_sealed
from ntkspec.files.versions import sources_digest
from ntkspec.kernels import SOURCE_DIGEST

__all__ = [
    "RECORDS",
    "Checkpoint",
    "Facts",
    "code_digest",
    "member_path",
    "plain",
    "read_checkpoint",
    "write_checkpoint",
]

Status = Literal["training", "interrupted", "finished", "diverged"]

#: What is recorded, a row at each record.
RECORDS = ("step", "loss", "energy", "amplitude", "grid_energy", "grid_amplitude")
#: What HDF5 needs beside the numbers: the file's head, and each dataset's.
HEAD, ENTRY = 2**15, 2**11
SOURCES = ("activations.py", "trainer/*.py", "trainer/runs/*.py")


@dataclass(frozen=True)
class Facts:
    """What is known of a member beside its arrays.

    Attributes
    ----------
    s : float
        Sobolev exponent; NaN for plain L2.
    width, seed : int
    step_size, largest_stable_step : float
    status : {"training", "interrupted", "finished", "diverged"}
    sentence : str
        Why it is not finished.
    steps_done : int
    seconds : float
        Spent so far, those of earlier runs included.
    start_kernel_movement : float
        ||H_end - H_start||_F / ||H_start||_F of its own NTK matrix; NaN where it is not finished.
    """

    s: float
    width: int
    seed: int
    step_size: float
    largest_stable_step: float
    status: Status = "training"
    sentence: str = ""
    steps_done: int = 0
    seconds: float = 0.0
    start_kernel_movement: float = np.nan


@dataclass(frozen=True)
class Checkpoint:
    """A member as its file keeps it.

    Attributes
    ----------
    facts : Facts
    records : dict of arrays
        By the names of `RECORDS`, a row at each record.
    state : dict
        What `Descent.restore` takes; empty once it has ended.
    results : dict of arrays
        learned, grid_learned, weights; empty before it has ended.
    """

    facts: Facts
    records: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train."""
        return self.facts.status in ("finished", "diverged")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of all code and libraries that the numbers depend on."""
    return sources_digest(SOURCE_DIGEST, SOURCES, ("numpy", "scipy", "numba"))


def member_path(folder: Path, number: int) -> Path:
    """Name of the file of a member, by its place in the recipe."""
    return folder / f"member-{number:05d}.h5"


def write_checkpoint(path: Path, recipe: str, name: str, checkpoint: Checkpoint) -> None:
    """Write the file of a member, which appears whole.

    Parameters
    ----------
    path : Path
    recipe : str
        Digest of the recipe.
    name : str
        The member's.
    checkpoint : Checkpoint

    Raises
    ------
    TableError
        When it cannot be written.
    """
    groups = {
        "records": checkpoint.records, "state": checkpoint.state, "results": checkpoint.results,
    }  # fmt: skip
    arrays = [np.asarray(value) for group in groups.values() for value in group.values()]
    size = HEAD + sum(array.nbytes + ENTRY for array in arrays)
    with appearing_hdf5(path, size, numbers=(), follow=False) as file:
        file.attrs.update({"recipe": recipe, "code": code_digest(), "member": name})
        file.attrs.update(vars(checkpoint.facts))
        for key, group in groups.items():
            inside = file.create_group(key)
            for part, value in group.items():
                if isinstance(value, np.ndarray):
                    inside[part] = value
                else:
                    inside.attrs[part] = value


def read_checkpoint(path: Path, recipe: str, name: str) -> Checkpoint:
    """Read the file of a member.

    Raises
    ------
    TableError
        When it is missing or damaged.
    NtkspecError
        When it was made by another recipe or by other code.
    """
    with open_sealed(path, "checkpoint") as file:
        said = {key: plain(value) for key, value in file.attrs.items()}
        for key, digest in (("recipe", recipe), ("code", code_digest())):
            if said.pop(key, None) != digest:
                what = "recipe" if key == "recipe" else "version of the code"
                raise NtkspecError(
                    f"{path} was made by another {what}; --restart throws such trainings away"
                )
        if said.pop("member", None) != name:
            raise TableError(f"{path}: the checkpoint is damaged (it is of another member)")
        groups = {key: _contents(file[key]) for key in ("records", "state", "results")}
    return Checkpoint(Facts(**said), **cast(Any, groups))


def _contents(group: h5py.Group) -> dict[str, Any]:
    found = {key: group[key][()] for key in group}
    return found | {key: plain(value) for key, value in group.attrs.items()}


def plain(value: Any) -> Any:
    """A Python object for what HDF5 gives."""
    return value.item() if isinstance(value, np.generic) else value
