"""Recipes of trainings: which networks learn what, from which points, by which loss (TOML)."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation, activation
from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath
from ntkspec.jobs.recipes import (
    checked_count,
    checked_table,
    checked_whole,
    known_keys,
    named,
    parsed,
    read_text,
)
from ntkspec.ranges import whole_numbers
from ntkspec.trainer.targets import Kind

__all__ = [
    "DataRecipe",
    "Exponent",
    "LossRecipe",
    "MemberKey",
    "NetworkRecipe",
    "RunRecipe",
    "SamplesRecipe",
    "TargetRecipe",
    "parse_run_recipe",
    "read_run_recipe",
]

#: Sobolev exponent of a loss: a number, "l2" for plain L2, or "auto" for what flattens the rates.
Exponent = float | Literal["l2", "auto"]
Spacing = Literal["geometric", "even"]

MOST_STEPS = 10**9
MOST_RECORDS = 10**5
MOST_MEMBERS = 10_000
MOST_WIDTH = 2**26
MOST_POINTS = 10**6
MOST_DIM = 1024
MOST_DEGREE = 4096
USUAL_RECORDS = 201
KEYS = ("name", "steps", "records", "spacing", "network", "data", "target", "loss")
NETWORK_KEYS = (
    "activation", "slope", "power", "width", "seeds", "antisymmetric", "weight_variance",
    "trained", "precision",
)  # fmt: skip
#: What says which points, for each kind; the first ones are needed.
DATA_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "circle": (("points",), ()),
    "random": (("points",), ("dim", "seed")),
    "fibonacci": (("points",), ()),
    "product": (("degree",), ("dim",)),
    "design": (("degree",), ()),
    "cloud": (("points",), ("dim", "seed", "density", "concentration")),
    "file": (("file",), ()),
}
ANY_DATA_KEYS = ("kind", "weights", "grid")
ALL_DATA_KEYS = (
    *ANY_DATA_KEYS,
    "points",
    "degree",
    "dim",
    "seed",
    "density",
    "concentration",
    "file",
)
#: The dimension of the kinds that have but one.
ONLY_DIM = {"circle": 2, "fibonacci": 3, "design": 3}
TARGET_KINDS = (*get_args(Kind), "samples")
TARGET_KEYS = ("kind", "degrees", "amplitudes", "index", "pole", "file")
LOSS_KEYS = ("s", "weight", "max_degree", "step")


@dataclass(frozen=True)
class NetworkRecipe:
    """The networks: f(x) = m^(-1/2) sum_r a_r sigma(w_r . x), m the width.

    Attributes
    ----------
    activation : str
    slope, power : float and int, or None
        Of leaky_relu and relu_power.
    widths, seeds : tuple of int
    antisymmetric : bool
        Whether the network starts at f = 0.
    weight_variance : float
    trained : {"hidden", "all"}
    precision : {"float64", "float32"}

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "relu", width = [64, 128], seeds = 2}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... ''')
    >>> recipe.network.widths, recipe.network.seeds, recipe.network.precision
    ((64, 128), (0, 1), 'float64')
    """

    activation: str
    slope: float | None
    power: int | None
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    antisymmetric: bool
    weight_variance: float
    trained: Literal["hidden", "all"]
    precision: Literal["float64", "float32"]

    @property
    def sigma(self) -> Activation:
        """The activation with its parameters."""
        return activation(self.activation, slope=self.slope, power=self.power)


@dataclass(frozen=True)
class DataRecipe:
    """The training points.

    Attributes
    ----------
    kind : {"circle", "random", "fibonacci", "product", "design", "cloud", "file"}
    dim : int or None
        None where the file says it.
    points, degree : int or None
        How many, or the degree to which the rule is exact.
    seed : int
    density : {"cap", "cluster"}
        Of a cloud.
    concentration : float or None
        Of that density.
    weights : {"uniform", "quadrature"} or None
        Of the points in the loss; None leaves those that the kind has.
    grid : int or None
        Points of the finer grid; None is about four times as many as there are.
    file : str
        Where the points are; empty but for the kind "file".
    file_digest : str
        Digest of that file.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "relu", width = [64, 128], seeds = 2}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... ''')
    >>> recipe.data.kind, recipe.data.points, recipe.data.dim
    ('circle', 16, 2)
    """

    kind: str
    dim: int | None
    points: int | None
    degree: int | None
    seed: int
    density: Literal["cap", "cluster"]
    concentration: float | None
    weights: Literal["uniform", "quadrature"] | None
    grid: int | None
    file: str
    file_digest: str


@dataclass(frozen=True)
class TargetRecipe:
    """What is to be learned: a sum of harmonics.

    Attributes
    ----------
    kind : {"sine", "cosine", "zonal", "basis"}
        As of `ntkspec.trainer.targets.Term`.
    degrees, amplitudes : tuples of the same length
    index : tuple of int
        Which harmonic of its degree each is, for the kind "basis".
    pole : tuple of float or None
        Of zonal harmonics, as given.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "relu", width = [64, 128], seeds = 2}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... ''')
    >>> recipe.target.degrees, recipe.target.amplitudes
    ((1, 2), (1.0, 1.0))
    """

    kind: Kind
    degrees: tuple[int, ...]
    amplitudes: tuple[float, ...]
    index: tuple[int, ...]
    pole: tuple[float, ...] | None


@dataclass(frozen=True)
class SamplesRecipe:
    """What is to be learned: values at the training points, in their order.

    Attributes
    ----------
    kind : "samples"
    file : str
        Where the values are.
    file_digest : str
        Digest of that file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "y.npy", np.ones(16))
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "samples", file = "y.npy"}
    ... loss = {s = 0}
    ... '''
    >>> parse_run_recipe(text, str(folder / "run.toml")).target.kind
    'samples'
    """

    kind: Literal["samples"]
    file: str
    file_digest: str


@dataclass(frozen=True)
class LossRecipe:
    """The losses and the step of gradient descent.

    Attributes
    ----------
    exponents : tuple
        Sobolev exponents s; "l2" is plain L2, "auto" the s that flattens the rates.
    weight : {"power", "laplacian"}
        mu_k = (1 + k)^(2 s), or (1 + k (k + d - 2))^s.
    max_degree : int or None
        Largest degree that the loss weighs.
    step : float or None
        None takes what is stable.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "relu", width = [64, 128], seeds = 2}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... ''')
    >>> recipe.loss.exponents, recipe.loss.weight
    ((0.0, 1.0), 'power')
    """

    exponents: tuple[Exponent, ...]
    weight: Literal["power", "laplacian"]
    max_degree: int | None
    step: float | None


@dataclass(frozen=True)
class MemberKey:
    """One training of a run.

    Examples
    --------
    >>> MemberKey(-1.0, 4096, 0).name, MemberKey("l2", 1024, 3).name
    ('s=-1,width=4096,seed=0', 'l2,width=1024,seed=3')
    """

    exponent: Exponent
    width: int
    seed: int

    @property
    def loss(self) -> str:
        """Its loss, as the name begins."""
        s = self.exponent
        return "l2" if s == "l2" else f"s={s if isinstance(s, str) else format(s, '.12g')}"

    @property
    def name(self) -> str:
        """Name of the member in the run's file."""
        return f"{self.loss},width={self.width},seed={self.seed}"


@dataclass(frozen=True)
class RunRecipe:
    """What a run trains, and how long.

    Attributes
    ----------
    name : str
    steps, records : int
        Steps of gradient descent, and how many times the residual is recorded, both ends included.
    spacing : {"geometric", "even"}
        Of the records: every step at first, then ever farther apart, so that fast and slow degrees
        are both seen to decay; or all the same.
    network : NetworkRecipe
    data : DataRecipe
    target : TargetRecipe or SamplesRecipe
    loss : LossRecipe
    text : str
        The recipe as written.
    source : str
        Name of its file; empty where it has none.

    Examples
    --------
    >>> from ntkspec.trainer.recipe import parse_run_recipe
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "relu", width = [64, 128], seeds = 2}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... ''')
    >>> recipe.steps, len(recipe.members), recipe.record_steps[:4]
    (20, 8, array([0, 1, 2, 3]))
    """

    name: str
    steps: int
    records: int
    spacing: Spacing
    network: NetworkRecipe
    data: DataRecipe
    target: TargetRecipe | SamplesRecipe
    loss: LossRecipe
    text: str
    source: str

    @property
    def members(self) -> tuple[MemberKey, ...]:
        """The product of exponents, widths and seeds, the seeds changing fastest."""
        network = self.network
        product = itertools.product(self.loss.exponents, network.widths, network.seeds)
        return tuple(MemberKey(*each) for each in product)

    @property
    def record_steps(self) -> NDArray[np.int64]:
        """The steps (R,) after which the residual is recorded, 0 and the last in."""
        if self.spacing == "even":
            return np.rint(np.linspace(0, self.steps, self.records)).astype(np.int64)
        return _geometric(self.steps, self.records)

    @cached_property
    def digest(self) -> str:
        """Digest of what the recipe means: comments, layout and names do not count."""
        meaning = asdict(self)
        for key in ("name", "text", "source"):
            del meaning[key]
        for part in ("data", "target"):
            meaning[part].pop("file", None)  # what is in it has a digest of its own
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def _geometric(steps: int, records: int) -> NDArray[np.int64]:
    """Every step up to some k, then k q, k q^2, ... for a q that leaves at least a step between."""
    if records == 2:
        return np.array([0, steps])
    k = next(
        k
        for k in range(1, records - 1)
        if k * ((steps / k) ** (1.0 / (records - 1 - k)) - 1.0) > 1.0 - 1e-9
    )
    late = np.rint(np.geomspace(k, steps, records - k))[1:]
    return np.concatenate((np.arange(k + 1), late)).astype(np.int64)


def read_run_recipe(path: str | Path) -> RunRecipe:
    """Read the recipe of a run from a file.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When something in it is not allowed: file, line, key and what is allowed.

    Examples
    --------
    >>> read_run_recipe("missing.toml")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.toml: the recipe cannot be read (No such file or directory)
    """
    return parse_run_recipe(read_text(path), str(path))


def parse_run_recipe(text: str, source: str = "", *, files: bool = True) -> RunRecipe:
    r"""Read the recipe of a run from its text.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for the sentence of an error, and where files that the recipe names are
        looked for: in its folder.
    files : bool
        False does without those files: then the digest is not that of the run.

    Raises
    ------
    NtkspecError
        When something in it is not allowed.

    Examples
    --------
    >>> recipe = parse_run_recipe('''
    ... steps = 4000
    ... network = {activation = "relu", width = 1024}
    ... data = {kind = "circle", points = 64}
    ... target = {kind = "sine", degrees = [1, 4, 8]}
    ... loss = {s = [-1, 0, 1]}''')
    >>> [member.name for member in recipe.members]
    ['s=-1,width=1024,seed=0', 's=0,width=1024,seed=0', 's=1,width=1024,seed=0']
    """
    folder = Path(source).parent if files else None
    return parsed(text, source, lambda raw: _recipe(raw, text, source, folder))


# --- from what the parser read to a recipe; faults carry the path of their key -------------------


def _recipe(raw: dict[str, Any], text: str, source: str, folder: Path | None) -> RunRecipe:
    known_keys(raw, KEYS, (), "the recipe")
    name = raw.get("name", "")
    if not isinstance(name, str):
        raise Fault(f"name = {name!r} is not allowed; it must be a text", ("name",))
    _needed(raw, "steps", (), "the recipe", "steps = 4000")
    steps = checked_count(raw, ("steps",), 1, 1, MOST_STEPS)
    most = min(MOST_RECORDS, steps + 1)
    records = checked_count(raw, ("records",), min(USUAL_RECORDS, most), 2, most)
    data = _data(checked_table(raw, "data", ALL_DATA_KEYS), folder)
    recipe = RunRecipe(
        name=name,
        steps=steps,
        records=records,
        spacing=cast(Spacing, _choice(raw, ("spacing",), get_args(Spacing))),
        network=_network(checked_table(raw, "network", NETWORK_KEYS)),
        data=data,
        target=_target(checked_table(raw, "target", TARGET_KEYS), data, folder),
        loss=_loss(checked_table(raw, "loss", LOSS_KEYS)),
        text=text,
        source=source,
    )
    if (count := len(recipe.members)) > MOST_MEMBERS:
        raise Fault(f"the run would have {count} members; allowed are {MOST_MEMBERS}", ("network",))
    return recipe


def _network(table: dict[str, Any]) -> NetworkRecipe:
    path: KeyPath = ("network",)
    _needed(table, "activation", path, "[network]", 'activation = "relu"')
    _needed(table, "width", path, "[network]", "width = 4096")
    antisymmetric = table.get("antisymmetric", True)
    if not isinstance(antisymmetric, bool):
        raise Fault(
            f"antisymmetric = {antisymmetric!r} is not allowed; it must be true or false",
            ("network", "antisymmetric"),
        )
    widths = _counts(table["width"], (*path, "width"), 1, MOST_WIDTH)
    for i, width in enumerate(widths):
        if antisymmetric and width % 2:
            at = (i,) if isinstance(table["width"], list) else ()
            raise Fault(
                f"width = {width} is not allowed; an antisymmetric start needs an even one",
                ("network", "width", *at),
            )
    seeds = table.get("seeds", 1)
    if isinstance(seeds, list):
        numbers = _counts(seeds, (*path, "seeds"), 0, 2**31)
    else:
        numbers = tuple(range(checked_count(table, ("network", "seeds"), 1, 1, MOST_MEMBERS)))
    return NetworkRecipe(
        **_sigma(table),
        widths=widths,
        seeds=numbers,
        antisymmetric=antisymmetric,
        weight_variance=_number(table, (*path, "weight_variance"), 1.0, 0.01, 10000.0),
        trained=cast(Any, _choice(table, (*path, "trained"), ("hidden", "all"))),
        precision=cast(Any, _choice(table, (*path, "precision"), ("float64", "float32"))),
    )


def _sigma(table: dict[str, Any]) -> dict[str, Any]:
    """The activation's name and parameters, once they are known to make one that can be trained."""
    given = {key: table.get(key) for key in ("activation", "slope", "power")}
    if not isinstance(given["activation"], str):
        raise Fault(
            f"activation = {given['activation']!r} is not allowed; it must be a text",
            ("network", "activation"),
        )
    try:
        sigma = activation(given["activation"], slope=given["slope"], power=given["power"])
    except NtkspecError as error:
        raise Fault(str(error), ("network", named(error, given))) from None
    if sigma.derivative is None:
        raise Fault(
            f"activation = {sigma.name!r} is not allowed; it has no derivative to train by",
            ("network", "activation"),
        )
    return given


def _data(table: dict[str, Any], folder: Path | None) -> DataRecipe:
    path: KeyPath = ("data",)
    _needed(table, "kind", path, "[data]", 'kind = "circle"')
    kind = _choice(table, (*path, "kind"), tuple(DATA_KEYS))
    needed, optional = DATA_KEYS[kind]
    for key in needed:
        _needed(table, key, path, f"[data] of kind {kind!r}", f"{key} = ...")
    for key in table:
        if key not in (*needed, *optional, *ANY_DATA_KEYS):
            raise Fault(
                f"{key} = {table[key]!r} is not allowed with kind = {kind!r}, which takes "
                f"{', '.join((*needed, *optional))}",
                (*path, key),
            )
    dim = None if kind == "file" else ONLY_DIM.get(kind)
    if "dim" in optional:
        dim = checked_count(table, (*path, "dim"), 3, 2, MOST_DIM)
    file, digest = _file(table, path, folder)
    return DataRecipe(
        kind=kind,
        dim=dim,
        points=_maybe_count(table, (*path, "points"), 2, MOST_POINTS),
        degree=_maybe_count(table, (*path, "degree"), 1, MOST_DEGREE),
        seed=checked_count(table, (*path, "seed"), 0, 0, 2**31),
        density=cast(Any, _choice(table, (*path, "density"), ("cap", "cluster"))),
        concentration=(
            _number(table, (*path, "concentration"), 1.0, 0.0, 1e6)
            if "concentration" in table
            else None
        ),
        weights=cast(
            Any,
            _choice(table, (*path, "weights"), ("uniform", "quadrature"))
            if "weights" in table
            else None,
        ),
        grid=_maybe_count(table, (*path, "grid"), 2, MOST_POINTS),
        file=file,
        file_digest=digest,
    )


def _file(table: dict[str, Any], path: KeyPath, folder: Path | None) -> tuple[str, str]:
    """Path of a file of numbers, from the recipe's folder on, and the digest of what is in it."""
    given, at = table.get("file", ""), (*path, "file")
    if not isinstance(given, str):
        raise Fault(f"file = {given!r} is not allowed; it must be a text", at)
    if not given or folder is None:
        return given, ""
    name = folder / given
    try:
        return str(name), hashlib.sha256(name.read_bytes()).hexdigest()
    except OSError as error:
        raise Fault(f"file = {given!r}: {name} cannot be read ({error.strerror})", at) from None


def _target(
    table: dict[str, Any], data: DataRecipe, folder: Path | None
) -> TargetRecipe | SamplesRecipe:
    path: KeyPath = ("target",)
    _needed(table, "kind", path, "[target]", 'kind = "zonal"')
    kind = _choice(table, (*path, "kind"), TARGET_KINDS)
    _check_owned(table, kind)
    if kind == "samples":
        _needed(table, "file", path, "[target] of kind 'samples'", 'file = "values.csv"')
        file, digest = _file(table, path, folder)
        return SamplesRecipe("samples", file, digest)
    _needed(table, "degrees", path, "[target]", "degrees = [1, 4, 8]")
    if kind in ("sine", "cosine") and data.dim not in (2, None):
        raise Fault(
            f"kind = {kind!r} is not allowed in dimension {data.dim}; it is for the circle, and "
            "'zonal' and 'basis' are for any sphere",
            (*path, "kind"),
        )
    degrees = _degrees(table["degrees"], 1 if kind == "sine" else 0)
    _check_resolved(degrees, data)
    return TargetRecipe(
        kind=cast(Kind, kind),
        degrees=degrees,
        amplitudes=_amplitudes(table.get("amplitudes", 1), len(degrees)),
        index=_indices(table.get("index", 0), len(degrees)),
        pole=_pole(table, data.dim),
    )


def _check_owned(table: dict[str, Any], kind: str) -> None:
    """Refuse keys that are for targets of another kind."""
    for key, owner in (("index", "basis"), ("pole", "zonal"), ("file", "samples")):
        if key in table and kind != owner:
            raise Fault(f"{key} is for kind = {owner!r}, and the kind is {kind!r}", ("target", key))
    for key in ("degrees", "amplitudes"):
        if key in table and kind == "samples":
            raise Fault(
                f"{key} is for sums of harmonics, and the kind is 'samples'", ("target", key)
            )


def _degrees(given: Any, least: int) -> tuple[int, ...]:
    path: KeyPath = ("target", "degrees")
    if isinstance(given, str):
        try:
            given = whole_numbers(given, "degree", least, MOST_DEGREE).tolist()
        except NtkspecError as error:
            raise Fault(str(error), path) from None
    return _counts(given, path, least, MOST_DEGREE)


def _check_resolved(degrees: tuple[int, ...], data: DataRecipe) -> None:
    """On equispaced points of the circle a degree from n/2 on looks like a lower one."""
    if data.kind == "circle" and data.points is not None and 2 * max(degrees) >= data.points:
        raise Fault(
            f"degrees: {max(degrees)} is not allowed; {data.points} points of the circle hold "
            f"degrees below {data.points / 2:g}",
            ("target", "degrees"),
        )


def _amplitudes(given: Any, count: int) -> tuple[float, ...]:
    path: KeyPath = ("target", "amplitudes")
    listed = given if isinstance(given, list) else [given] * count
    if len(listed) != count:
        raise Fault(
            f"amplitudes are {len(listed)}, and degrees are {count}; write one for each, or one "
            "number for all",
            path,
        )
    for i, value in enumerate(listed):
        if not _is_number(value) or value == 0:
            raise Fault(
                f"amplitudes: {value!r} is not allowed; it must be a finite number other than 0",
                (*path, i) if listed is given else path,
            )
    return tuple(map(float, listed))


def _indices(given: Any, count: int) -> tuple[int, ...]:
    path: KeyPath = ("target", "index")
    if isinstance(given, list):
        if len(given) != count:
            raise Fault(
                f"index has {len(given)} numbers, and degrees are {count}; write one for each", path
            )
        return tuple(checked_whole(value, (*path, i), 0, 2**31) for i, value in enumerate(given))
    return (checked_whole(given, path, 0, 2**31),) * count


def _pole(table: dict[str, Any], dim: int | None) -> tuple[float, ...] | None:
    if "pole" not in table:
        return None
    pole = table["pole"]
    allowed = isinstance(pole, list) and all(map(_is_number, pole)) and any(pole)
    if not allowed or (dim is not None and len(pole) != dim):
        raise Fault(
            f"pole = {pole!r} is not allowed; it must be a list of "
            f"{'the' if dim is None else dim} coordinates, not all of them 0",
            ("target", "pole"),
        )
    return tuple(map(float, pole))


def _loss(table: dict[str, Any]) -> LossRecipe:
    path: KeyPath = ("loss",)
    given = table.get("s", "l2")
    exponents: dict[str, Exponent] = {}
    for i, s in enumerate(given if isinstance(given, list) else [given]):
        at: KeyPath = (*path, "s", i) if isinstance(given, list) else (*path, "s")
        if s not in ("l2", "auto") and not (_is_number(s) and abs(s) <= 100):
            raise Fault(
                f"s = {s!r} is not allowed; it must be a number from -100 to 100, 'l2' or 'auto'",
                at,
            )
        exponent: Exponent = s if s in ("l2", "auto") else float(s) + 0.0  # no -0
        if (name := MemberKey(exponent, 0, 0).name) in exponents:
            raise Fault(f"s = {s!r} is written twice", at)
        exponents[name] = exponent
    if not exponents:
        raise Fault("s = [] is empty; write at least one value", (*path, "s"))
    step = table.get("step", "auto")
    if step != "auto" and not (_is_number(step) and step > 0):
        raise Fault(
            f"step = {step!r} is not allowed; it must be a positive number or 'auto'",
            (*path, "step"),
        )
    return LossRecipe(
        exponents=tuple(exponents.values()),
        weight=cast(Any, _choice(table, (*path, "weight"), ("power", "laplacian"))),
        max_degree=_maybe_count(table, (*path, "max_degree"), 0, MOST_DEGREE),
        step=None if step == "auto" else float(step),
    )


# --- single values -------------------------------------------------------------------------------


def _needed(table: dict[str, Any], key: str, path: KeyPath, where: str, example: str) -> None:
    if key not in table:
        raise Fault(f"{where} has no {key}; write {example}", path)


def _choice(table: dict[str, Any], path: KeyPath, allowed: tuple[str, ...]) -> str:
    """The text at the end of a path; the first of those allowed is the default."""
    key = str(path[-1])
    value = table.get(key, allowed[0])
    if value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise Fault(f"{key} = {value!r} is not allowed; it must be one of {names}", path)
    return str(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _number(
    table: dict[str, Any], path: KeyPath, default: float, least: float, most: float
) -> float:
    key = str(path[-1])
    value = table.get(key, default)
    if not (_is_number(value) and least <= value <= most):
        raise Fault(
            f"{key} = {value!r} is not allowed; it must be a number from {least:g} to {most:g}",
            path,
        )
    return float(value)


def _maybe_count(table: dict[str, Any], path: KeyPath, least: int, most: int) -> int | None:
    return checked_count(table, path, 0, least, most) if path[-1] in table else None


def _counts(given: Any, path: KeyPath, least: int, most: int) -> tuple[int, ...]:
    """A whole number, or a list of different ones."""
    key = str(path[-1])
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise Fault(f"{key} = [] is empty; write at least one value", path)
    found: dict[int, None] = {}
    for i, value in enumerate(listed):
        at = (*path, i) if listed is given else path
        number = checked_whole(value, at, least, most)
        if number in found:
            raise Fault(f"{key}: {number} is written twice", at)
        found[number] = None
    return tuple(found)
