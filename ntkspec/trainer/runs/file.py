"""The file of a run, format version 2: writing, and reading of finished and unfinished runs."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import Numbers, sealed_kind
from ntkspec.files.structure import Group, opened, reading
from ntkspec.jobs import provenance
from ntkspec.jobs.parts import parts_folder
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import MemberKey, RunRecipe, parse_run_recipe
from ntkspec.trainer.runs.checkpoints import FORMAT as CHECKPOINT
from ntkspec.trainer.runs.checkpoints import code_digest, member_path, opened_checkpoint
from ntkspec.trainer.runs.problem import Problem, recipe_target
from ntkspec.trainer.runs.stored import (
    RECORDS,
    RESULTS,
    Sizes,
    check_arrays,
    read_array,
    read_facts,
    read_points,
)
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = [
    "FORMAT",
    "HEAD_FILE",
    "PARTS",
    "Member",
    "Missing",
    "Run",
    "assemble",
    "is_run",
    "open_run",
    "problem_sizes",
    "run_bytes",
    "write_head",
]

FORMAT = "ntkspec-run"
FORMAT_VERSION = 2
#: File in a folder of parts that holds the run without its members.
HEAD_FILE = "ntkspec-run.h5"
#: Names of the files of a training in its folder.
PARTS = re.compile(rf"member-[0-9]{{5,}}\.h5|{re.escape(HEAD_FILE)}")
#: Datasets that all members share.
SHARED = ("points", "point_weights", "grid", "grid_weights", "target", "grid_target", "degree")
TEXTS = ("recipe", "recipe_digest", "code_digest", "versions", "time", "command")
#: Overhead of HDF5 in bytes: for the file, and for each member.
HEAD, MEMBER = 2**16, 2**15

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Member:
    """One training of a run; its arrays are read on first use.

    Attributes
    ----------
    name : str
    s : float
        Sobolev exponent; NaN for plain L2.
    width, seed : int
    step_size, largest_stable_step : float
    status : {"finished", "diverged", "interrupted", "training"}
    message : str
        Why it has not finished.
    steps_done : int
    seconds : float
    start_kernel_movement : float
        ||H_end - H_start||_F / ||H_start||_F of its NTK matrix; NaN if it has not finished.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> member = open_run(run_path).members[1]
    >>> member.s, member.width, member.status
    (1.0, 64, 'finished')
    """

    name: str
    s: float
    width: int
    seed: int
    step_size: float
    largest_stable_step: float
    status: str
    message: str
    steps_done: int
    seconds: float
    start_kernel_movement: float
    _file: Path = field(repr=False)
    _whole: bool = field(repr=False)
    _seal: str = field(repr=False)

    def __repr__(self) -> str:
        return f"Member({self.name!r}, {self.status}, {self.steps_done} steps)"

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """Steps (R,) of the records."""
        return self._read("step")

    @cached_property
    def loss(self) -> Array:
        """Loss (R,)."""
        return self._read("loss")

    @cached_property
    def energy(self) -> Array:
        """Energy (R, K) of the residual at each recorded degree, on the training points."""
        return self._read("energy")

    @cached_property
    def amplitude(self) -> Array:
        """Component (R, K) of the residual along the target's harmonic of each degree.

        NaN for degrees that are not in the target.
        """
        return self._read("amplitude")

    @cached_property
    def grid_energy(self) -> Array:
        """Like `energy`, on the finer grid."""
        return self._read("grid_energy")

    @cached_property
    def grid_amplitude(self) -> Array:
        """Like `amplitude`, on the finer grid."""
        return self._read("grid_amplitude")

    @cached_property
    def learned(self) -> Array:
        """Final values of the network at the training points, (n,)."""
        return self._read("learned")

    @cached_property
    def grid_learned(self) -> Array:
        """Final values of the network on the finer grid, (g,)."""
        return self._read("grid_learned")

    @cached_property
    def weights(self) -> NDArray[Any]:
        """Final inner weights, (m, d)."""
        return self._read("weights")

    @cached_property
    def readout(self) -> NDArray[Any]:
        """Final outer weights, (m,)."""
        return self._read("readout")

    def _read(self, name: str) -> NDArray[Any]:
        what, kind, group = self._place(name)
        with opened(self._file, what, kind, known=self._seal) as (_, root):
            for one in group:
                root = root.group(one)
            if name not in root.names():
                raise NtkspecError(
                    f"{self.name} has no {name} yet: it is {self.status} after {self.steps_done} "
                    "steps"
                )
            return read_array(root, name)

    def _place(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Kind and format of the file, and the groups that lead to an array."""
        if self._whole:
            return "run", FORMAT, (self.name,)
        return "checkpoint", CHECKPOINT, ("results" if name in RESULTS else "records",)


@dataclass(frozen=True)
class Missing:
    """An unfinished training of a run's recipe.

    Attributes
    ----------
    name, loss : str
        Names of the member and of its loss.
    width, seed : int
    status : {"not begun", "training", "interrupted", "damaged", "diverged"}
    steps_done, steps : int
        Steps done, and steps of the recipe.

    Examples
    --------
    >>> str(Missing("l2,width=64,seed=3", "l2", 64, 3, "interrupted", 100, 400))
    'l2,width=64,seed=3: interrupted after 100 of 400 steps'
    """

    name: str
    loss: str
    width: int
    seed: int
    status: str
    steps_done: int
    steps: int

    def __str__(self) -> str:
        if self.status in ("not begun", "damaged"):
            return f"{self.name}: {self.status}"
        return f"{self.name}: {self.status} after {self.steps_done} of {self.steps} steps"


class Run:
    """A run, finished or not; returned by `open_run`.

    Attributes
    ----------
    path : Path
    recipe : RunRecipe
    points, grid : Points
    target_values, grid_target : (n,) and (g,) float64 arrays
        NaN on the grid where the target is samples.
    degrees : (K,) int64 array
        Recorded degrees.
    attributes : dict
        Of the file: format, versions, time, command, ....
    members : list of Member
        Members that have begun, in the recipe's order.
    finished : bool
        Whether every member has finished or diverged.
    damaged : dict of str to str
        Members of an unfinished run with a damaged checkpoint, and the errors.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> run = open_run(run_path)
    >>> run.recipe.steps, len(run.recipe.members), run.steps_done
    (20, 2, 40)
    """

    def __init__(
        self, path: Path, shared: _Shared, members: list[Member], *, finished: bool,
        damaged: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.path, self.finished, self.damaged = path, finished, damaged or {}
        self.attributes, self.recipe = shared.attributes, shared.recipe
        self.points, self.grid, self.degrees = shared.points, shared.grid, shared.degrees
        self.target_values, self.grid_target = shared.target_values, shared.grid_target
        self.members = members

    @cached_property
    def target(self) -> Target | SampledTarget:
        """The target."""
        return recipe_target(self.recipe.target, self.points, self.target_values)

    @property
    def steps_done(self) -> int:
        """Steps of all members."""
        return sum(member.steps_done for member in self.members)

    @property
    def missing(self) -> list[Missing]:
        """Members of the recipe that have not finished, in its order."""
        there = {member.name: member for member in self.members}
        found = []
        for key in self.recipe.members:
            member, status, done = there.get(key.name), "not begun", 0
            if member is not None:
                status, done = member.status, member.steps_done
            elif key.name in self.damaged:
                status = "damaged"
            if status != "finished":
                at = (key.loss, key.width, key.seed, status, done, self.recipe.steps)
                found.append(Missing(key.name, *at))
        return found

    def member(self, name: str) -> Member:
        """Return the member with a name.

        Raises
        ------
        NtkspecError
            When the run has no such member.
        """
        for member in self.members:
            if member.name == name:
                return member
        known = "; ".join(member.name for member in self.members) or "none"
        raise NtkspecError(f"member = {name!r} is not in the run; its members are {known}")


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run for reading, finished or not.

    Parameters
    ----------
    path : path
        The file of the run, or the folder of its parts.  If the file does not exist yet, the folder
        of its parts is read.

    Returns
    -------
    Run

    Raises
    ------
    TableError
        When it is missing, damaged or not a run of format version 2.

    Examples
    --------
    With a run's file ``open_run(path).members[0].energy`` reads residual energies.

    >>> open_run("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    path = Path(path)
    folder = path if path.is_dir() else parts_folder(path)
    if not path.is_file() and (folder / HEAD_FILE).is_file():
        return _open_unfinished(folder)
    if path.is_dir():
        raise TableError(f"{path} is not the folder of a run (it has no {HEAD_FILE})")
    if not os.path.exists(path):
        raise TableError(f"{path} does not exist")
    with opened(path, "run", FORMAT) as (file, root):
        seal = file.seal.fingerprint
        shared = _read_shared(root, path)
        names = [key.name for key in shared.recipe.members]
        root.expect((*SHARED, *names))
        members = []
        for name in names:
            group = root.group(name)
            facts = read_facts(group, shared.sizes)
            check_arrays(group, (*RECORDS, *RESULTS), facts, shared.sizes)
            members.append(Member(name, **vars(facts), _file=path, _whole=True, _seal=seal))
    _check_keys(path, members, shared.recipe.members)
    return Run(path, shared, members, finished=True)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a finished or unfinished run.

    Examples
    --------
    >>> import ntkspec.tables.atlas
    >>> is_run(ntkspec.tables.atlas.atlas_path())
    False
    """
    path = Path(path)
    if path.is_dir():
        return (path / HEAD_FILE).is_file()
    return sealed_kind(path) == FORMAT


def _open_unfinished(folder: Path) -> Run:
    head = folder / HEAD_FILE
    with opened(head, "head of the run", FORMAT) as (_, root):
        shared = _read_shared(root, head)
        root.expect(SHARED)
    members, keys = [], []
    damaged: dict[str, str] = {}
    for number, key in enumerate(shared.recipe.members):
        path = member_path(folder, number)
        if not path.exists():
            continue
        try:
            with opened_checkpoint(path, shared.sizes) as (_, facts, seal):
                member = Member(key.name, **vars(facts), _file=path, _whole=False, _seal=seal)
        except TableError as error:  # it will be trained again; the others are kept
            damaged[key.name] = str(error)
            continue
        members.append(member)
        keys.append(key)
    _check_keys(folder, members, keys)
    return Run(folder, shared, members, finished=False, damaged=damaged)


def _check_keys(path: Path, members: Sequence[Member], keys: Sequence[MemberKey]) -> None:
    """Raise unless the members are those of the recipe."""
    for member, key in zip(members, keys, strict=True):
        if key.exponent == "l2":
            same = math.isnan(member.s)
        else:
            same = math.isfinite(member.s) and key.exponent in ("auto", member.s)
        if not same or (member.width, member.seed) != (key.width, key.seed):
            raise TableError(f"{path}: {member.name} is damaged (it belongs to another training)")


@dataclass(frozen=True)
class _Shared:
    """The data shared by all members of a run."""

    attributes: dict[str, Any]
    recipe: RunRecipe
    points: Points
    grid: Points
    target_values: Array
    grid_target: Array
    degrees: NDArray[np.int64]

    @property
    def sizes(self) -> Sizes:
        return Sizes(
            self.points.n, self.grid.n, self.points.dim, self.degrees.size, self.recipe.steps
        )


def _read_shared(root: Group, path: Path) -> _Shared:
    attributes = root.attributes()
    if (version := attributes.get("format_version")) != FORMAT_VERSION:
        raise TableError(
            f"{path} is not a run of version {FORMAT_VERSION} (its version is {version!r})"
        )
    for key in TEXTS:
        if not isinstance(attributes.get(key), str):
            raise TableError(f"{path}: attribute {key} is missing or not a string")
    with reading(path, "attribute versions"):
        versions = json.loads(attributes["versions"])
        if not (
            isinstance(versions, dict) and all(isinstance(one, str) for one in versions.values())
        ):
            raise TableError(f"{path}: attribute versions is invalid")
    try:
        recipe = parse_run_recipe(attributes["recipe"], files=False)
    except NtkspecError as error:
        raise TableError(f"{path}: its recipe is damaged ({error})") from None
    points = read_points(root, "points", "point_weights")
    grid = read_points(root, "grid", "grid_weights")
    degrees = root.read("degree", "i8")
    if not degrees.size or degrees[0] < 0 or (degrees[1:] <= degrees[:-1]).any():
        raise root.bad("degree", "is damaged (its degrees do not increase)")
    if grid.dim != points.dim or recipe.data.dim not in (None, points.dim):
        raise root.bad("points", f"is damaged (its dimension is {points.dim})")
    if not np.isin(recipe.target.degrees, degrees).all():
        raise root.bad("degree", "is damaged (degrees of the target are missing)")
    return _Shared(
        attributes, recipe, points, grid,
        root.read("target", "f8", (points.n,)), root.read("grid_target", "f8", (grid.n,)), degrees,
    )  # fmt: skip


# --- writing -------------------------------------------------------------------------------------


def problem_sizes(recipe: RunRecipe, problem: Problem) -> Sizes:
    """Sizes of a run, which determine the shapes of its arrays."""
    points, grid = problem.points, problem.grid
    return Sizes(points.n, grid.n, points.dim, problem.degrees.size, recipe.steps)


def run_bytes(recipe: RunRecipe, problem: Problem) -> int:
    """Bound on the size of a run's file."""
    n, g, dim = problem.points.n, problem.grid.n, problem.points.dim
    rows = recipe.records * (2 + 4 * problem.degrees.size) + n + g
    weights = sum(key.width * (dim + 1) for key in recipe.members)
    members = len(recipe.members) * (8 * rows + MEMBER)
    return HEAD + 8 * (n + g) * (dim + 2) + 4 * len(recipe.text) + members + 8 * weights


def write_head(folder: Path, recipe: RunRecipe, problem: Problem) -> None:
    """Write the shared data of a run into a folder of parts."""
    size = run_bytes(recipe, problem)
    with appearing_hdf5(folder / HEAD_FILE, size, Numbers(), follow=False) as file:
        _describe(file, recipe, problem)


def assemble(recipe: RunRecipe, problem: Problem, folder: Path, out: Path) -> None:
    """Assemble a run's file from the files of its members."""
    with appearing_hdf5(out, run_bytes(recipe, problem), Numbers()) as file:
        _describe(file, recipe, problem)
        for number, key in enumerate(recipe.members):
            _copy(file, member_path(folder, number), key, problem_sizes(recipe, problem))


def _copy(file: h5py.File, path: Path, key: MemberKey, sizes: Sizes) -> None:
    with opened_checkpoint(path, sizes) as (source, facts, _):
        group = file.create_group(key.name)
        group.attrs.update(vars(facts))
        for part, names in (("records", RECORDS), ("results", RESULTS)):
            theirs = source.group(part)
            for name in names:
                group[name] = read_array(theirs, name)


def _describe(file: h5py.File, recipe: RunRecipe, problem: Problem) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["recipe"] = recipe.text
    file.attrs["recipe_digest"] = recipe.digest
    file.attrs["code_digest"] = code_digest()
    provenance.describe(file)
    for name, weights, points in (
        ("points", "point_weights", problem.points), ("grid", "grid_weights", problem.grid),
    ):  # fmt: skip
        file[name], file[weights] = points.x, points.weights
        file[name].attrs.update({"kind": points.kind, "exact_degree": points.exact_degree})
    file["target"], file["grid_target"] = problem.target_values, problem.grid_target
    file["degree"] = problem.degrees
