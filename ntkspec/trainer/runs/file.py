"""The file of a run, format version 3: writing, and reading of finished and unfinished runs."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing, appearing_hdf5
from ntkspec.files.seals import Numbers, sealed_kind
from ntkspec.files.structure import Group, opened, reading
from ntkspec.jobs import provenance
from ntkspec.jobs.parts import parts_folder
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.parameters import file_path
from ntkspec.trainer.checks import checked_vectors
from ntkspec.trainer.network import FiniteNetwork
from ntkspec.trainer.recipe import MemberKey, function_digest, parse_run_recipe
from ntkspec.trainer.runs.checkpoints import FORMAT as CHECKPOINT
from ntkspec.trainer.runs.checkpoints import (
    RECORDS,
    Facts,
    Layout,
    check_arrays,
    code_digest,
    member_path,
    opened_checkpoint,
    read_arrays,
    read_facts,
    read_points,
)
from ntkspec.trainer.runs.history import History
from ntkspec.trainer.runs.problem import Problem, known_target, recipe_target, start_network

if TYPE_CHECKING:
    from ntkspec.compare import Comparison

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
    "run_bytes",
    "write_head",
]

FORMAT = "ntkspec-run"
FORMAT_VERSION = 3
#: File in a folder of parts that holds the run without its members.
HEAD_FILE = "ntkspec-run.h5"
#: Names of the files of a training in its folder.
PARTS = re.compile(rf"member-[0-9]{{5,}}\.h5|{re.escape(HEAD_FILE)}")
#: Datasets that all members share.
SHARED = ("points", "point_weights", "grid", "grid_weights", "target", "grid_target", "degree")
TEXTS = ("recipe", "recipe_digest", "code_digest", "versions", "time", "command")
#: Overhead of HDF5 in bytes: for the file, and for each member.
HEAD, MEMBER = 2**16, 2**15


def _stored(name: str, about: str) -> cached_property[NDArray[Any]]:
    """A property that reads an array from the member's file on first use."""

    def read(self: Member) -> NDArray[Any]:
        return self._read(name)

    read.__doc__ = about
    return cached_property(read)


@dataclass(frozen=True, repr=False, kw_only=True)
class Member(Facts):
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
        Time so far, earlier runs included.
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
    _file: Path
    _whole: bool
    _seal: str
    _layout: Layout

    steps = _stored("step", "Steps (R,) of the records.")
    loss = _stored("loss", "Loss (R,).")
    energy = _stored(
        "energy", "Energy (R, K) of the residual at each recorded degree, on the training points."
    )
    amplitude = _stored(
        "amplitude",
        """Component (R, K) of the residual along the target's harmonic of each degree.

        NaN for degrees that are not in the target.
        """,
    )
    grid_energy = _stored("grid_energy", "Like `energy`, on the finer grid.")
    grid_amplitude = _stored("grid_amplitude", "Like `amplitude`, on the finer grid.")
    learned = _stored("learned", "Final values (n,) of the network at the training points.")
    grid_learned = _stored("grid_learned", "Final values (g,) of the network on the finer grid.")

    @cached_property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """Final weights and biases; see `ntkspec.trainer.network.FiniteNetwork.parameters`."""
        weights = [name for name, (kind, _) in self._layout.items() if kind == "real"]
        return {name: self._read(name) for name in weights}

    def __repr__(self) -> str:
        return f"Member({self.name!r}, {self.status}, {self.steps_done} steps)"

    def _read(self, name: str) -> NDArray[Any]:
        what, kind, place = "run", FORMAT, self.name
        if not self._whole:
            what, kind = "checkpoint", CHECKPOINT
            place = "records" if name in RECORDS else "results"
        with opened(self._file, what, kind, known=self._seal) as (_, root):
            group = root.group(place)
            if name not in group.names():
                raise NtkspecError(
                    f"{self.name} has no {name} yet: it is {self.status} after {self.steps_done} "
                    "steps"
                )
            return group.read(name, *self._layout[name])


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


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Run(Problem):
    """A run, finished or not; returned by `open_run`.

    Attributes
    ----------
    recipe, points, grid, target, target_values, grid_target, degrees
        As in `Problem`.
    path : Path
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

    path: Path
    attributes: dict[str, Any]
    members: list[Member]
    finished: bool
    damaged: dict[str, str]

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

    def __repr__(self) -> str:
        count, steps = len(self.recipe.members), self.recipe.steps
        how = "" if self.finished else f", {len(self.missing)} unfinished"
        return (
            f"Run({self.recipe.network.network!r}, {count} training{'s' * (count != 1)} of {steps} "
            f"steps{' of Adam' * (self.recipe.optimizer.name == 'adam')} on {self.points.n} "
            f"points{how})"
        )

    @property
    def history(self) -> History:
        """How the residuals fell, as columns, for pandas and as a picture."""
        return History(self)

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the history; see `ntkspec.trainer.runs.history.History.plot`."""
        return self.history.plot(ax, **style)

    def compare(self, **options: Any) -> Comparison:
        """Compare measured with predicted rates; see `ntkspec.compare.compare`."""
        from ntkspec.compare import compare

        return compare(self, **options)

    def predict(self, x: ArrayLike, name: str = "") -> NDArray[np.float64]:
        """Return the values (n,) of a trained network at points (n, dim).

        Parameters
        ----------
        x : (n, dim) array_like
            Coordinates on a torus.
        name : str
            Of the member; it may be left out where there is only one.

        Raises
        ------
        NtkspecError
            When there is no such member, it has not finished, or x has another shape.
        """
        if not name and len(self.members) > 1:
            known = "; ".join(member.name for member in self.members)
            raise NtkspecError(f"name is needed; the run has the members {known}")
        member = self.member(name) if name else self.members[0]
        features = self.points.features
        at = checked_vectors(x, None, math.inf) if features is None else features.of(x)
        return self.network(member).values(at)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run's file to another place, which must not exist.

        Raises
        ------
        NtkspecError
            When the run is unfinished.
        TableError
            When the file exists, or cannot be written.
        """
        if not self.finished:
            raise NtkspecError(f"{self.path} is unfinished; finish it by the same training")
        out = file_path(path, "path")
        if os.path.lexists(out):
            raise TableError(f"{out} exists; give another name, or remove it")
        with appearing(out) as hidden:
            shutil.copyfile(self.path, hidden)

    def network(self, member: Member) -> FiniteNetwork:
        """Return the trained network of a member.

        Raises
        ------
        NtkspecError
            When the member has not finished.
        """
        found = start_network(self.recipe, self.points.dim, member.width, member.seed)
        for name, one in member.parameters.items():
            found.parameters[name][...] = one
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


def open_run(path: str | os.PathLike[str], network: Network | None = None) -> Run:
    """Open a run for reading, finished or not.

    Parameters
    ----------
    path : path
        The file of the run, or the folder of its parts.  If the file does not exist yet, the folder
        of its parts is read.
    network : Network, optional
        Needed where an activation is a user's function: the network that was trained.

    Returns
    -------
    Run

    Raises
    ------
    NtkspecError
        When the network is needed, and is not given or is another one.
    TableError
        When it is missing, damaged or not a run of format version 3.

    Examples
    --------
    With a run's file ``open_run(path).members[0].energy`` reads residual energies.

    >>> open_run("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    path = file_path(path, "path")
    folder = path if path.is_dir() else parts_folder(path)
    if not path.is_file() and (folder / HEAD_FILE).is_file():
        return _open_unfinished(folder, network)
    if path.is_dir():
        raise TableError(f"{path} is not the folder of a run (it has no {HEAD_FILE})")
    if not os.path.exists(path):
        raise TableError(f"{path} does not exist")
    with opened(path, "run", FORMAT) as (file, root):
        seal = file.seal.fingerprint
        attributes, problem = _read_shared(root, path, network)
        keys = problem.recipe.members
        root.expect((*SHARED, *(key.name for key in keys)))
        members = []
        for key in keys:
            group = root.group(key.name)
            member = _member(path, key, read_facts(group, problem.sizes), seal, problem, whole=True)
            check_arrays(group, member._layout, problem.sizes)
            members.append(member)
    return Run(
        **vars(problem), path=path, attributes=attributes, members=members, finished=True,
        damaged={},
    )  # fmt: skip


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


def _open_unfinished(folder: Path, network: Network | None) -> Run:
    head = folder / HEAD_FILE
    with opened(head, "head of the run", FORMAT) as (_, root):
        attributes, problem = _read_shared(root, head, network)
        root.expect(SHARED)
    members: list[Member] = []
    damaged: dict[str, str] = {}
    for number, key in enumerate(problem.recipe.members):
        path = member_path(folder, number)
        if not path.exists():
            continue
        try:
            with opened_checkpoint(path, problem.sizes) as (_, facts, seal):
                found = facts, seal
        except TableError as error:  # it will be trained again; the others are kept
            damaged[key.name] = str(error)
        else:
            members.append(_member(path, key, *found, problem, whole=False))
    return Run(
        **vars(problem), path=folder, attributes=attributes, members=members, finished=False,
        damaged=damaged,
    )  # fmt: skip


def _member(
    path: Path, key: MemberKey, facts: Facts, seal: str, problem: Problem, *, whole: bool
) -> Member:
    """Return a member; raise unless it is that of the recipe."""
    if key.exponent == "l2":
        same = math.isnan(facts.s)
    else:
        same = math.isfinite(facts.s) and key.exponent in ("auto", facts.s)
    if not same or (facts.width, facts.seed) != (key.width, key.seed):
        raise TableError(f"{path}: {key.name} is damaged (it belongs to another training)")
    layout = problem.sizes.layout(facts.width)
    return Member(
        name=key.name, **vars(facts), _file=path, _whole=whole, _seal=seal,
        _layout=layout["records"] | layout["results"],
    )  # fmt: skip


def _read_shared(
    root: Group, path: Path, network: Network | None
) -> tuple[dict[str, Any], Problem]:
    """Attributes of a run's file, and what its members share."""
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
    functions = attributes.get("functions", "")
    if functions and (network is None or function_digest(network) != functions):
        raise NtkspecError(
            f"{path}: an activation of the network is a function of a user; "
            + ("" if network is None else f"{network!r} has other values; ")
            + "give the network that was trained: ntkspec.open_run(path, network)"
        )
    try:
        recipe = parse_run_recipe(
            attributes["recipe"], files=False, network=network if functions else None
        )
    except NtkspecError as error:
        raise TableError(f"{path}: its recipe is damaged ({error})") from None
    features = recipe.data.features
    points = read_points(root, "points", "point_weights", features)
    grid = read_points(root, "grid", "grid_weights", features)
    degrees = root.read("degree", "i8")
    if not degrees.size or degrees[0] < 0 or (degrees[1:] <= degrees[:-1]).any():
        raise root.bad("degree", "is damaged (its degrees do not increase)")
    if grid.dim != points.dim or recipe.data.dim not in (None, points.dim):
        raise root.bad("points", f"is damaged (its dimension is {points.dim})")
    values = root.read("target", "f8", (points.n,))
    on_grid = root.read("grid_target", "f8", (grid.n,))
    try:
        target = known_target(recipe, points, recipe_target(recipe.target, points, values))
    except NtkspecError as error:
        raise root.bad("target", f"is damaged ({error})") from None
    if recipe.target.kind != "samples" and not np.isin(target.degrees, degrees).all():
        raise root.bad("degree", "is damaged (degrees of the target are missing)")
    return attributes, Problem(recipe, points, grid, target, values, on_grid, degrees)


# --- writing -------------------------------------------------------------------------------------


def run_bytes(problem: Problem) -> int:
    """Bound on the size of a run's file."""
    recipe, shared = problem.recipe, problem.points.n + problem.grid.n
    size = HEAD + 8 * shared * (problem.points.dim + 2) + 4 * len(recipe.text)
    for key in recipe.members:
        layout = problem.sizes.layout(key.width)
        arrays = [*layout["records"].values(), *layout["results"].values()]
        size += MEMBER + 8 * sum(math.prod(n or recipe.records for n in at) for _, at in arrays)
    return size


def write_head(folder: Path, problem: Problem) -> None:
    """Write the shared data of a run into a folder of parts."""
    path, size = folder / HEAD_FILE, run_bytes(problem)
    with appearing_hdf5(path, size, Numbers(), follow=False) as file:
        _describe(file, problem)


def assemble(problem: Problem, folder: Path, out: Path) -> None:
    """Assemble a run's file from the files of its members."""
    with appearing_hdf5(out, run_bytes(problem), Numbers()) as file:
        _describe(file, problem)
        for number, key in enumerate(problem.recipe.members):
            path, group = member_path(folder, number), file.create_group(key.name)
            with opened_checkpoint(path, problem.sizes) as (source, facts, _):
                group.attrs.update(vars(facts))
                layout = problem.sizes.layout(facts.width)
                for part in ("records", "results"):
                    for name, array in read_arrays(source.group(part), layout[part]):
                        group[name] = array


def _describe(file: h5py.File, problem: Problem) -> None:
    recipe = problem.recipe
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["recipe"] = recipe.text
    file.attrs["recipe_digest"] = recipe.digest
    if functions := function_digest(recipe.network.network):
        file.attrs["functions"] = functions
    file.attrs["code_digest"] = code_digest()
    provenance.describe(file)
    for name, weights, points in (
        ("points", "point_weights", problem.points), ("grid", "grid_weights", problem.grid),
    ):  # fmt: skip
        file[name], file[weights] = points.at, points.weights
        file[name].attrs.update({"kind": points.kind, "exact_degree": points.exact_degree})
    file["target"], file["grid_target"] = problem.target_values, problem.grid_target
    file["degree"] = problem.degrees
