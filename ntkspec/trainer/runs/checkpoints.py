"""What the files of runs and members have; the checkpoint of a member, from which it resumes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import Numbers
from ntkspec.files.structure import Group, opened
from ntkspec.jobs import provenance
from ntkspec.networks import Network
from ntkspec.trainer.descent import STATE_NUMBERS
from ntkspec.trainer.network import parameter_shapes
from ntkspec.trainer.points import Points
from ntkspec.trainer.waves import Features

__all__ = [
    "FORMAT",
    "RECORDS",
    "Checkpoint",
    "Facts",
    "Layout",
    "Sizes",
    "Status",
    "check_arrays",
    "code_digest",
    "member_path",
    "opened_checkpoint",
    "read_arrays",
    "read_checkpoint",
    "read_facts",
    "read_points",
    "write_checkpoint",
]

FORMAT = "ntkspec-checkpoint"
#: Overhead of HDF5 in bytes: for the file, and for each dataset.
HEAD, ENTRY = 2**15, 2**11
#: The module that trains a member; it and its imports determine the numbers.
START = "trainer.runs.training"
LIBRARIES = ("numpy", "scipy", "numba")

Status = Literal["training", "interrupted", "finished", "diverged"]
#: Recorded arrays, with a row for each record.
RECORDS = ("step", "loss", "energy", "amplitude", "grid_energy", "grid_amplitude")
#: Types and shapes of arrays by their names; None is the number of records.
Layout = dict[str, tuple[str, tuple[Any, ...]]]
#: Types of the attributes of a member, by their annotations; the others are strings.
KINDS = {"int": int, "float": float}
#: Tolerated difference from 1 of a point's norm and of the sum of the weights.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Facts:
    """The attributes of a member in its file; see `ntkspec.trainer.runs.Member`."""

    s: float
    width: int
    seed: int
    step_size: float
    largest_stable_step: float
    status: Status = "training"
    message: str = ""
    steps_done: int = 0
    seconds: float = 0.0
    start_kernel_movement: float = np.nan


@dataclass(frozen=True)
class Sizes:
    """Numbers of points, recorded degrees, ... of a run, which determine the shapes of arrays."""

    points: int
    observations: int
    grid: int
    dim: int
    degrees: int
    steps: int
    network: Network
    memory: tuple[str, ...]

    def layout(self, width: int) -> dict[str, Layout]:
        """The arrays of a member: its records, the state from which it resumes, its results."""
        shapes = parameter_shapes(self.network, width, self.dim)
        weights: Layout = {name: ("real", shape) for name, shape in shapes.items()}
        memory = {f"{kind}_{name}": one for kind in self.memory for name, one in weights.items()}
        records: Layout = {"step": ("i8", (None,)), "loss": ("f8", (None,))}
        learned: Layout = {"learned": ("f8", (self.points,)), "grid_learned": ("f8", (self.grid,))}
        return {
            "records": records | dict.fromkeys(RECORDS[2:], ("f8", (None, self.degrees))),
            "state": weights | memory | {"residual": ("f8", (self.observations,))},
            "results": learned | weights,
        }


def read_facts(group: Group, sizes: Sizes) -> Facts:
    """Read the attributes of a member, or raise TableError."""
    attributes = group.attributes()
    found: dict[str, Any] = {}
    for one in fields(Facts):
        value = attributes.get(one.name)
        if type(value) is not KINDS.get(str(one.type), str):
            raise _bad(group, one.name, value)
        found[one.name] = value
    for name in ("step_size", "largest_stable_step", "seconds"):
        finite = math.isfinite(found[name]) or name == "largest_stable_step"  # Adam has none
        if not (finite and found[name] >= 0.0):
            raise _bad(group, name, found[name])
    if found["status"] not in get_args(Status) or found["width"] < 1:
        raise _bad(group, "status", found["status"])
    if not 0 <= found["steps_done"] <= sizes.steps:
        raise _bad(group, "steps_done", found["steps_done"])
    return Facts(**found)


def _bad(group: Group, name: str, value: Any) -> TableError:
    return TableError(
        f"{group.path}: {group.name} is damaged (its attribute {name} is {value!r:.60})"
    )


def check_arrays(group: Group, layout: Layout, sizes: Sizes) -> None:
    """Raise TableError unless a group has exactly these arrays of a member."""
    group.expect(list(layout))
    records: int | None = None
    if "step" in layout:
        steps = group.read("step", *layout["step"])
        records = steps.size
        if records and (
            steps[0] != 0 or steps[-1] > sizes.steps or (steps[1:] <= steps[:-1]).any()
        ):
            raise group.bad("step", "is damaged (its steps do not increase from 0 to the last)")
    for name, (kind, shape) in layout.items():
        group.check(name, kind, tuple(records if size is None else size for size in shape))


def read_arrays(group: Group, layout: Layout) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and values of a group's arrays, one after another."""
    for name, (kind, shape) in layout.items():
        yield name, group.read(name, kind, shape)


def read_state(group: Group, layout: Layout, sizes: Sizes) -> dict[str, Any]:
    """Read the state to resume from; empty if the group has none."""
    if not group.names():
        return {}
    check_arrays(group, layout, sizes)
    attributes = group.attributes()
    numbers: dict[str, Any] = {}
    for name in STATE_NUMBERS:
        numbers[name] = attributes.get(name)
        if type(numbers[name]) is not (int if name == "steps" else float):
            raise _bad(group, name, numbers[name])
    if not 0 <= numbers["steps"] <= sizes.steps:
        raise _bad(group, "steps", numbers["steps"])
    return dict(read_arrays(group, layout)) | numbers


def read_points(root: Group, name: str, weights: str, features: Features | None) -> Points:
    """Read the points, or the grid, of a run, or raise TableError."""
    x: NDArray[np.float64] = root.read(name, "f8", (None, None))
    w: NDArray[np.float64] = root.read(weights, "f8", x.shape[:1])
    about = root.attributes(name)
    kind, degree = about.get("kind"), about.get("exact_degree")
    if features is not None and x.shape[1] != features.dim:
        raise root.bad(name, "is damaged (they are not points of the torus)")
    z, x = (None, x) if features is None else (x, features.of(x))
    with np.errstate(all="ignore"):
        off = np.abs(np.sqrt((x * x).sum(axis=1)) - 1.0).max(initial=0.0)
        sound = off <= ROUNDING or (kind == "array" and np.isfinite(off))
        sound = sound and w.min(initial=1.0) >= -ROUNDING
        sound = sound and abs(w.sum() - 1.0) <= ROUNDING and x.shape[1] >= 2
    if not sound:
        raise root.bad(name, "is damaged (they are not points with weights of sum 1)")
    if not isinstance(kind, str) or type(degree) is not int or degree < 0:
        raise root.bad(name, "is damaged (its attributes kind and exact_degree are invalid)")
    return Points(x, w, kind, degree, features, z)


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
