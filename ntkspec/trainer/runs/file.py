"""The file of a run, format version 1: writing it whole, and reading it or what is there of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.parts import parts_folder
from ntkspec.files.seals import open_sealed
from ntkspec.files.versions import versions
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import MemberKey, RunRecipe, parse_run_recipe
from ntkspec.trainer.runs.checkpoints import (
    RECORDS,
    Facts,
    code_digest,
    member_path,
    plain,
)
from ntkspec.trainer.runs.problem import Problem, recipe_target
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = [
    "FORMAT",
    "HEAD_FILE",
    "Member",
    "Missing",
    "Run",
    "assemble",
    "is_run",
    "open_run",
    "run_bytes",
    "write_head",
]

FORMAT = "ntkspec-run"
FORMAT_VERSION = 1
#: In a folder of parts: a run's file without members.
HEAD_FILE = "ntkspec-run.h5"
RESULTS = ("learned", "grid_learned", "weights", "readout")
#: What HDF5 needs beside the numbers, for the file and for a member.
HEAD, MEMBER = 2**16, 2**15

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Member:
    """One training of a run; its arrays are read when they are asked for.

    Attributes
    ----------
    name : str
    s : float
        Sobolev exponent; NaN for plain L2.
    width, seed : int
    step_size, largest_stable_step : float
    status : {"finished", "diverged", "interrupted", "training"}
    sentence : str
        Why it is not finished.
    steps_done : int
    seconds : float
    start_kernel_movement : float
        ||H_end - H_start||_F / ||H_start||_F of its own NTK matrix; NaN where it is not finished.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> member = open_run(folder / "run.h5").members[1]
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
    sentence: str
    steps_done: int
    seconds: float
    start_kernel_movement: float
    _file: Path = field(repr=False)
    _groups: tuple[str, str] = field(repr=False)

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
        """Component (R, K) of the residual along the target's own harmonic of each degree.

        NaN where the target has none.
        """
        return self._read("amplitude")

    @cached_property
    def grid_energy(self) -> Array:
        """As `energy`, on the finer grid."""
        return self._read("grid_energy")

    @cached_property
    def grid_amplitude(self) -> Array:
        """As `amplitude`, on the finer grid."""
        return self._read("grid_amplitude")

    @cached_property
    def learned(self) -> Array:
        """The network at the training points at the end, (n,)."""
        return self._read("learned")

    @cached_property
    def grid_learned(self) -> Array:
        """The network at the points of the finer grid at the end, (g,)."""
        return self._read("grid_learned")

    @cached_property
    def weights(self) -> NDArray[Any]:
        """Inner weights (m, d) at the end."""
        return self._read("weights")

    @cached_property
    def readout(self) -> NDArray[Any]:
        """Outer weights (m,) at the end."""
        return self._read("readout")

    def _read(self, name: str) -> NDArray[Any]:
        group = self._groups[name in RESULTS]
        try:
            with h5py.File(self._file, "r") as file:
                return np.asarray(file[group][name][()])
        except KeyError:
            raise NtkspecError(
                f"{self.name} has no {name} yet: it is {self.status} after {self.steps_done} steps"
            ) from None
        except OSError as error:
            raise TableError(f"{self._file}: {group}/{name} is damaged ({error})") from None


@dataclass(frozen=True)
class Missing:
    """A training of a run's recipe that is not finished.

    Attributes
    ----------
    name, loss : str
        Of the member, and of its loss as the name begins.
    width, seed : int
    status : {"not begun", "training", "interrupted", "damaged", "diverged"}
    steps_done, steps : int
        And how many the recipe asks for.

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
    """A run, or what is there of one; made by `open_run`.

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
        Those that have begun, in the recipe's order.
    finished : bool
        Whether the run is whole: every member finished, or diverged.
    damaged : dict of str to str
        Members of an unfinished run whose checkpoint cannot be read, and why.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(folder / "run.toml", folder / "run.h5", threads=1)
    >>> run = open_run(folder / "run.h5")
    >>> run.recipe.steps, len(run.recipe.members), run.steps_done
    (20, 2, 40)
    """

    def __init__(
        self, path: Path, head: Path, members: list[Member], *, finished: bool,
        damaged: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.path, self.finished, self.damaged = path, finished, damaged or {}
        with h5py.File(head, "r") as file:
            self.attributes = {key: plain(value) for key, value in file.attrs.items()}
            self.points = _points(file, "points", "point_weights")
            self.grid = _points(file, "grid", "grid_weights")
            self.target_values: Array = file["target"][()]
            self.grid_target: Array = file["grid_target"][()]
            self.degrees: NDArray[np.int64] = file["degree"][()]
        self.recipe: RunRecipe = parse_run_recipe(self.attributes["recipe"], files=False)
        order = {key.name: place for place, key in enumerate(self.recipe.members)}
        self.members = sorted(members, key=lambda member: order[member.name])

    @cached_property
    def target(self) -> Target | SampledTarget:
        """What was to be learned."""
        return recipe_target(self.recipe.target, self.points, self.target_values)

    @property
    def steps_done(self) -> int:
        """Steps of all members."""
        return sum(member.steps_done for member in self.members)

    @property
    def missing(self) -> list[Missing]:
        """What the recipe asks for and the run does not have to the end, in the recipe's order."""
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
        """The member of a name.

        Raises
        ------
        NtkspecError
            When there is none: which there are.
        """
        for member in self.members:
            if member.name == name:
                return member
        known = "; ".join(member.name for member in self.members) or "none"
        raise NtkspecError(f"member = {name!r} is not in the run, which has: {known}")


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run for reading: its file, or the folder of parts of an unfinished one.

    Parameters
    ----------
    path : path
        Of the file; where that is not there yet, the folder of its parts is read.

    Returns
    -------
    Run

    Raises
    ------
    TableError
        When there is nothing, or it is damaged or no run of format version 1.

    Examples
    --------
    With a run's file ``open_run(path).members[0].energy`` reads residual energies.

    >>> open_run("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5: there is no such file
    """
    path = Path(path)
    folder = path if path.is_dir() else parts_folder(path)
    if not path.is_file() and (folder / HEAD_FILE).is_file():
        return _open_unfinished(folder)
    if path.is_dir():
        raise TableError(f"{path}: this is no folder of a run (it has no {HEAD_FILE})")
    _check_format(path)
    with open_sealed(path, "run") as file:
        try:
            members = [
                _member(name, group, path, (name, name))
                for name, group in file.items()
                if isinstance(group, h5py.Group)
            ]
        except TypeError as error:
            raise TableError(f"{path}: the run is damaged ({error})") from None
    return Run(path, path, members, finished=True)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a run, finished or not, by what it says itself.

    Examples
    --------
    >>> import ntkspec.tables.atlas
    >>> is_run(ntkspec.tables.atlas.atlas_path())
    False
    """
    path = Path(path)
    if path.is_dir():
        return (path / HEAD_FILE).is_file()
    try:
        with h5py.File(path, "r") as file:
            return bool(plain(file.attrs.get("format")) == FORMAT)
    except OSError:
        return False


def _check_format(path: Path) -> None:
    """Say of another file that it is another, before its seal is looked for."""
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            found, number = file.attrs.get("format"), file.attrs.get("format_version")
    except OSError as error:
        raise TableError(f"{path}: this is not a whole HDF5 file ({error})") from None
    if plain(found) != FORMAT or number != FORMAT_VERSION:
        raise TableError(
            f"{path}: this is no run of ntkspec, version {FORMAT_VERSION} "
            f"(format {found!r}, version {number!r})"
        )


def _open_unfinished(folder: Path) -> Run:
    head = folder / HEAD_FILE
    with open_sealed(head, "head of the run") as file:
        recipe = parse_run_recipe(str(file.attrs["recipe"]), files=False)
    members, damaged = [], {}
    for number, key in enumerate(recipe.members):
        path = member_path(folder, number)
        if not path.exists():
            continue
        try:
            with open_sealed(path, "checkpoint") as file:
                members.append(_member(key.name, file, path, ("records", "results")))
        except TableError as error:  # it is trained again: the others are still good
            damaged[key.name] = str(error)
    return Run(folder, head, members, finished=False, damaged=damaged)


def _member(name: str, group: h5py.Group, path: Path, groups: tuple[str, str]) -> Member:
    known = Facts.__dataclass_fields__
    facts = {key: plain(value) for key, value in group.attrs.items() if key in known}
    return Member(name, **facts, _file=path, _groups=groups)


def _points(file: h5py.File, name: str, weights: str) -> Points:
    data = file[name]
    kind, degree = str(data.attrs["kind"]), int(data.attrs["exact_degree"])
    return Points(data[()], file[weights][()], kind, degree)


# --- writing -------------------------------------------------------------------------------------


def run_bytes(recipe: RunRecipe, problem: Problem) -> int:
    """Bound on the size of a run's file."""
    n, g, dim = problem.points.n, problem.grid.n, problem.points.dim
    rows = recipe.records * (2 + 4 * problem.degrees.size) + n + g
    weights = sum(key.width * (dim + 1) for key in recipe.members)
    members = len(recipe.members) * (8 * rows + MEMBER)
    return HEAD + 8 * (n + g) * (dim + 2) + 4 * len(recipe.text) + members + 8 * weights


def write_head(folder: Path, recipe: RunRecipe, problem: Problem) -> None:
    """Write into a folder of parts what all members share."""
    size = run_bytes(recipe, problem)
    with appearing_hdf5(folder / HEAD_FILE, size, numbers=()) as file:
        _describe(file, recipe, problem)


def assemble(recipe: RunRecipe, problem: Problem, folder: Path, out: Path) -> None:
    """Put the members' files together; the run's file appears whole."""
    with appearing_hdf5(out, run_bytes(recipe, problem), numbers=()) as file:
        _describe(file, recipe, problem)
        for number, key in enumerate(recipe.members):
            _copy(file, member_path(folder, number), key)


def _copy(file: h5py.File, path: Path, key: MemberKey) -> None:
    with open_sealed(path, "checkpoint") as source:
        group = file.create_group(key.name)
        for name in Facts.__dataclass_fields__:
            group.attrs[name] = source.attrs[name]
        for part, names in (("records", RECORDS), ("results", RESULTS)):
            for name in names:
                group[name] = source[part][name][()]


def _describe(file: h5py.File, recipe: RunRecipe, problem: Problem) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["recipe"] = recipe.text
    file.attrs["recipe_digest"] = recipe.digest
    file.attrs["code_digest"] = code_digest()
    file.attrs["versions"] = json.dumps(versions())
    file.attrs["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    file.attrs["command"] = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    for name, weights, points in (
        ("points", "point_weights", problem.points), ("grid", "grid_weights", problem.grid),
    ):  # fmt: skip
        file[name], file[weights] = points.x, points.weights
        file[name].attrs.update({"kind": points.kind, "exact_degree": points.exact_degree})
    file["target"], file["grid_target"] = problem.target_values, problem.grid_target
    file["degree"] = problem.degrees
