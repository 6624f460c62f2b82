"""Contents of the files of runs and members, checked when they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import TableError
from ntkspec.files.structure import Group
from ntkspec.networks import Network
from ntkspec.trainer.network import parameter_shapes
from ntkspec.trainer.points import Points
from ntkspec.trainer.waves import Features

__all__ = [
    "RECORDS",
    "Facts",
    "Sizes",
    "Status",
    "check_arrays",
    "read_array",
    "read_facts",
    "read_points",
    "read_state",
]

Status = Literal["training", "interrupted", "finished", "diverged"]
#: Recorded arrays, with a row for each record.
RECORDS = ("step", "loss", "energy", "amplitude", "grid_energy", "grid_amplitude")
STATE_NUMBERS = ("steps", "step_size", "largest_stable_step", "first_loss")
#: Type and axes of each array.
ARRAYS = {
    "step": ("i8", ("records",)),
    "loss": ("f8", ("records",)),
    **dict.fromkeys(RECORDS[2:], ("f8", ("records", "degrees"))),
    "learned": ("f8", ("points",)),
    "residual": ("f8", ("observations",)),
    "grid_learned": ("f8", ("grid",)),
}
#: Begins the name of what an optimizer keeps of a parameter.
MEMORY = re.compile(r"(velocity|square)_")
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

    def results(self, width: int) -> tuple[str, ...]:
        """Names of the results of a member."""
        return ("learned", "grid_learned", *self._parameters(width))

    def state(self, width: int) -> tuple[str, ...]:
        """Names of the arrays from which a member resumes."""
        names = list(self._parameters(width))
        return (*names, *(f"{kind}_{name}" for kind in self.memory for name in names), "residual")

    def array(self, name: str, width: int) -> tuple[str, tuple[int | None, ...]]:
        """Type and shape of an array of a member; None for the number of records."""
        if name not in ARRAYS:
            return "real", self._parameters(width)[MEMORY.sub("", name)]
        kind, axes = ARRAYS[name]
        return kind, tuple(getattr(self, axis, None) for axis in axes)

    def _parameters(self, width: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(self.network, width, self.dim)


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


def check_arrays(group: Group, names: Sequence[str], facts: Facts, sizes: Sizes) -> None:
    """Raise TableError unless a group has exactly these arrays of a member."""
    group.expect(names)
    records: int | None = None
    if "step" in names:
        (records,) = group.check("step", "i8", (None,))
        steps = group.read("step", "i8")
        if steps.size and (
            steps[0] != 0 or steps[-1] > sizes.steps or (steps[1:] <= steps[:-1]).any()
        ):
            raise group.bad("step", "is damaged (its steps do not increase from 0 to the last)")
    for name in names:
        kind, shape = sizes.array(name, facts.width)
        group.check(name, kind, tuple(records if size is None else size for size in shape))


def read_array(group: Group, name: str) -> NDArray[Any]:
    """Read an array of a member, whose shape has been checked."""
    if name in ARRAYS:
        kind, axes = ARRAYS[name]
        return group.read(name, kind, (None,) * len(axes))
    return group.read(name, "real", (None,) * (1 if "bias" in name else 2))


def read_state(group: Group, facts: Facts, sizes: Sizes) -> dict[str, Any]:
    """Read the state to resume from; empty if the group has none."""
    if not group.names():
        return {}
    names = sizes.state(facts.width)
    check_arrays(group, names, facts, sizes)
    attributes = group.attributes()
    numbers: dict[str, Any] = {}
    for name in STATE_NUMBERS:
        numbers[name] = attributes.get(name)
        if type(numbers[name]) is not (int if name == "steps" else float):
            raise _bad(group, name, numbers[name])
    if not 0 <= numbers["steps"] <= sizes.steps:
        raise _bad(group, "steps", numbers["steps"])
    return {name: read_array(group, name) for name in names} | numbers


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
