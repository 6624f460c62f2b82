"""Recipes of trainings: which networks learn what, from which points, by which loss (TOML)."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath, attributed
from ntkspec.jobs.recipes import (
    DISTINCT,
    NO_KEY,
    Between,
    Key,
    Of,
    Read,
    check_kind,
    known_keys,
    parsed,
    read_text,
    recipe_keys,
    structured,
    structured_value,
    toml_value,
    written,
)
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.operators import Operator, as_operator
from ntkspec.ranges import whole_numbers
from ntkspec.trainer.descent import LARGEST_MOMENTUM
from ntkspec.trainer.eigenvectors import FLOOR, KernelLoss
from ntkspec.trainer.network import (
    FiniteNetwork,
    Precision,
    Start,
    check_trainable,
    check_width,
)
from ntkspec.trainer.passes import AdamRule
from ntkspec.trainer.points import MOST_CONCENTRATION, Density, Points
from ntkspec.trainer.residual import Applied, check_residual
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss, SumLoss
from ntkspec.trainer.targets import Kind, SampledTarget, Target, Term, applied
from ntkspec.trainer.waves import Features

__all__ = [
    "DataRecipe",
    "Exponent",
    "LossRecipe",
    "MemberKey",
    "NetworkRecipe",
    "OptimizerRecipe",
    "RunRecipe",
    "TargetRecipe",
    "function_digest",
    "parse_run_recipe",
    "read_run_recipe",
    "recipe_text",
]

#: Sobolev exponent of a loss: a number, "l2" for plain L2, or "auto" for the one that makes the
#: rates of all degrees equal.
Exponent = float | Literal["l2", "auto"]

AnyLoss = L2Loss | SobolevLoss | SumLoss | KernelLoss

MOST_RECORDS = 10**5
MOST_MEMBERS = 10_000
MOST_DIM = 1024
MOST_DEGREE = 4096
USUAL_RECORDS = 201
#: The dimension of the kinds of points that have only one.
ONLY_DIM = {"circle": 2, "fibonacci": 3, "design": 3}
#: Kinds of points that have a key, and kinds of targets.
COUNTED = ("circle", "random", "fibonacci", "cloud", "torus")
EXACT = ("product", "design")
ON_TORUS = ("torus", "file")
HARMONICS = ("sine", "cosine", "zonal", "basis")

Count = Annotated[int, Between(2, 10**6)]
Seed = Annotated[int, Between(0, 2**31)]
Degree = Annotated[int, Between(0, MOST_DEGREE)]
Beta = Annotated[float, Between(0.0, 0.999999)]


def _seeds(value: Any, path: KeyPath) -> tuple[int, ...]:
    """Read a list of seeds, or how many to take from 0 on."""
    if isinstance(value, list):
        return tuple(structured_value(Annotated[tuple[Seed, ...], DISTINCT], value, path))
    return tuple(range(structured_value(Annotated[int, Between(1, MOST_MEMBERS)], value, path)))


def _degrees(value: Any, path: KeyPath) -> tuple[int, ...]:
    """Read degrees: numbers, or a range as text."""
    if isinstance(value, str):
        with attributed(*path):
            value = whole_numbers(value, "degree", 0, MOST_DEGREE).tolist()
    return tuple(structured_value(Annotated[tuple[Degree, ...], DISTINCT], value, path))


def _exponent(value: Any, path: KeyPath) -> Exponent:
    if value in ("l2", "auto"):
        return value  # type: ignore[no-any-return]
    try:
        return float(structured_value(Annotated[float, Between(-100, 100)], value, path)) + 0.0
    except Fault:
        raise Fault(
            f"s = {value!r} is not allowed; it must be a number from -100 to 100, 'l2' or 'auto'",
            path,
        ) from None


def _operator(value: Any, path: KeyPath) -> str:
    """Read an operator; the text of the simplest form."""
    with attributed(*path):
        return str(as_operator(value))


def _step_size(value: Any, path: KeyPath) -> float | None:
    """Read a positive number; None for "auto"."""
    if value == "auto":
        return None
    if type(value) not in (int, float) or not 0.0 < value < float("inf"):
        raise Fault(
            f"step_size = {value!r} is not allowed; it must be a positive number or 'auto'", path
        )
    return float(value)


def _given(table: Any) -> dict[str, Any]:
    """What differs from the defaults in a table."""
    values = {field.name: (getattr(table, field.name), field.default) for field in fields(table)}
    return {name: value for name, (value, usual) in values.items() if value != usual}


@dataclass(frozen=True)
class NetworkRecipe:
    """The networks that are trained: one description at several widths and seeds.

    Attributes
    ----------
    network : Network
        Its own parameters are keys of the same table.
    widths : tuple of int
    seeds : tuple of int
    start : {"zero", "random"}
        Whether f = 0 at the start; see `ntkspec.trainer.network.start`.
    precision : {"float64", "float32"}

    Examples
    --------
    >>> NetworkRecipe(Network("relu", depth=2), widths=(64, 128), seeds=(0, 1)).precision
    'float64'
    """

    network: Annotated[Network, NO_KEY]
    widths: Annotated[
        tuple[Annotated[int, Between(1, 2**26)], ...],
        DISTINCT,
        Key("width", example="width = 4096"),
    ]
    seeds: Annotated[tuple[int, ...], Read(_seeds)] = (0,)
    start: Start = "zero"
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        with attributed("activation"):
            check_trainable(self.network)
        for i, width in enumerate(self.widths):
            with attributed("width", i):
                check_width(self.network, width, self.start)


def _networks(value: Any, path: KeyPath) -> NetworkRecipe:
    """Read the table of the network: its own parameters, and what is trained of it."""
    where = f"[{path[-1]}]"
    if not isinstance(value, dict):
        raise Fault(f"{path[-1]} = {value!r} is not allowed; it must be a table {where}", path)
    sizes = recipe_keys(NetworkRecipe)
    own = {field.name for field in fields(Network)}
    known_keys(value, (*sizes, *own), path, where)
    if "activation" not in value and "layers" not in value:
        raise Fault(f'{where} has no activation; write activation = "relu"', path)
    try:
        network = Network(**{key: one for key, one in value.items() if key in own})
    except NtkspecError as error:
        named = str(error).split(" ", 1)[0]
        raise Fault(f"{where}: {error}", (*path, named) if named in value else path) from None
    rest = {key: one for key, one in value.items() if key in sizes}
    return structured(NetworkRecipe, rest, path, where, network=network)


@dataclass(frozen=True)
class DataRecipe:
    """The training points.

    Attributes
    ----------
    kind : {"circle", "random", "fibonacci", "product", "design", "cloud", "torus", "file"}
    points, degree, dim, seed, density, concentration
        As for the functions of `ntkspec.trainer.points`; of a torus points in each coordinate.
        From files and on a torus dim is None.
    frequencies, amplitudes : tuples
        Of the features of a torus, see `ntkspec.trainer.waves.Features`.
    weights : {"uniform", "quadrature"} or None
        Of the points in the loss; None for the usual ones of the kind.
    grid : int or None
        Points of the finer grid; None for about four times as many as there are.
    file : str
        File of the points; empty for the other kinds.
    file_digest : str
        Digest of that file.

    Examples
    --------
    >>> DataRecipe("circle", points=16).dim
    2
    """

    kind: Annotated[
        Literal["circle", "random", "fibonacci", "product", "design", "cloud", "torus", "file"],
        Key(example='kind = "circle"'),
    ]
    points: Annotated[Count | None, Of(COUNTED, COUNTED)] = None
    degree: Annotated[int | None, Between(1, MOST_DEGREE), Of(EXACT, EXACT)] = None
    dim: Annotated[int | None, Between(2, MOST_DIM), Of((*COUNTED[:-1], *EXACT))] = None
    seed: Annotated[Seed, Of(("random", "cloud"))] = 0
    density: Annotated[Density, Of(("cloud",))] = "cap"
    concentration: Annotated[float | None, Between(0.0, MOST_CONCENTRATION), Of(("cloud",))] = None
    frequencies: Annotated[tuple[tuple[int, ...], ...], Of(ON_TORUS, ("torus",))] = ()
    amplitudes: Annotated[tuple[float, ...], Of(ON_TORUS)] = ()
    weights: Literal["uniform", "quadrature"] | None = None
    grid: Count | None = None
    file: Annotated[str, Of(("file",), ("file",))] = ""
    file_digest: Annotated[str, NO_KEY] = ""

    def __post_init__(self) -> None:
        check_kind(self, "kind", "[data]")
        if self.dim not in (None, only := ONLY_DIM.get(self.kind, self.dim)):
            raise Fault(
                f"dim = {self.dim} is not allowed with kind = {self.kind!r}, which has dim = "
                f"{only}",
                ("dim",),
            )
        with attributed("frequencies"):
            self.features  # noqa: B018
        if self.dim is None and self.kind not in ("file", "torus"):
            object.__setattr__(self, "dim", ONLY_DIM.get(self.kind, 3))

    @property
    def features(self) -> Features | None:
        """Of the torus; None elsewhere."""
        if not self.frequencies:
            return None
        return Features(self.frequencies, self.amplitudes)


@dataclass(frozen=True)
class TargetRecipe:
    """The target: a sum of harmonics, or samples at the training points.

    Attributes
    ----------
    kind : {"sine", "cosine", "zonal", "basis", "samples"}
    degrees, amplitudes, index : tuples of the same length
        Of harmonics, as for `ntkspec.trainer.targets.Term`; there are frequencies of waves on a
        torus in place of degrees.
    frequencies, pole
    file : str
        File of the samples, in the order of the points.
    file_digest : str
        Digest of that file.

    Examples
    --------
    >>> TargetRecipe("sine", degrees=(1, 2)).amplitudes
    (1.0, 1.0)
    """

    kind: Annotated[Literal[Kind, "samples"], Key(example='kind = "zonal"')]
    degrees: Annotated[tuple[int, ...], Read(_degrees), Of(HARMONICS)] = ()
    amplitudes: Annotated[tuple[float, ...], Of(HARMONICS)] = ()
    index: Annotated[tuple[Seed, ...], Of(HARMONICS)] = ()
    pole: Annotated[tuple[float, ...] | None, Of(("zonal",))] = None
    frequencies: Annotated[tuple[tuple[int, ...], ...], Of(HARMONICS)] = ()
    file: Annotated[str, Of(("samples",), ("samples",)), Key(example='file = "values.csv"')] = ""
    file_digest: Annotated[str, NO_KEY] = ""

    def __post_init__(self) -> None:
        check_kind(self, "kind", "[target]")
        if self.kind == "samples":
            return
        if any(self.index) and self.kind != "basis":
            raise Fault(
                f"index = {self.index!r} is not allowed with kind = {self.kind!r}; it is for "
                "'basis'",
                ("index",),
            )
        if bool(self.degrees) == bool(self.frequencies):
            raise Fault(
                "[target] has no degrees; write degrees = [1, 4, 8], or on a torus "
                "frequencies = [[1, 0], [1, 2]]"
            )
        parts = self.degrees or self.frequencies
        for name, usual in (("amplitudes", 1.0), ("index", 0)):
            values = getattr(self, name) or (usual,)
            if len(values) not in (1, len(parts)):
                raise Fault(
                    f"{name}: {len(values)} values for {len(parts)} degrees; write one for "
                    "each, or one number for all",
                    (name,),
                )
            if len(values) == 1:
                values *= len(parts)
            object.__setattr__(self, name, values)
        if 0.0 in self.amplitudes:
            raise Fault(
                "amplitudes: 0 is not allowed; write a number other than 0",
                ("amplitudes", self.amplitudes.index(0.0)),
            )
        with attributed("degrees" if self.pole is None else "pole"):
            harmonics_of(self)


def harmonics_of(recipe: TargetRecipe) -> Target:
    """The sum of harmonics of a recipe."""
    of = recipe.frequencies or [None] * len(recipe.degrees)
    terms = zip(recipe.degrees or [0] * len(of), recipe.amplitudes, recipe.index, of, strict=True)
    return Target(
        Term(degree, amplitude, cast("Kind", recipe.kind), index, recipe.pole, frequency)
        for degree, amplitude, index, frequency in terms
    )


@dataclass(frozen=True)
class LossRecipe:
    """The losses.

    Attributes
    ----------
    exponents : tuple
        Exponents s of `ntkspec.Sobolev`; "l2" is plain L2.
    weight : {"power", "laplacian", "kernel"}
        The last is that of `ntkspec.KernelPower`, with the power -s.
    max_degree, floor
        As for these.
    operator : str
        A of an `ntkspec.PDE`, as `ntkspec.operators.as_operator` reads it; empty for other losses.
    residual_weight, data_weight, boundary, boundary_weight
        As for a PDE.

    Examples
    --------
    >>> loss = LossRecipe(operator="laplace", boundary=((1.0, 0.0),))
    >>> from ntkspec.trainer.points import circle
    >>> loss.data(circle(8)), loss.at(circle(8), None, Network("tanh")).matrix().shape
    (array([[1., 0.]]), (9, 9))
    """

    exponents: Annotated[tuple[Annotated[Exponent, Read(_exponent)], ...], DISTINCT, Key("s")] = (
        "l2",
    )
    weight: Literal["power", "laplacian", "kernel"] = "power"
    max_degree: Annotated[Degree | None, Of(("power", "laplacian"))] = None
    floor: Annotated[float, Between(1e-12, 1.0), Of(("kernel",))] = FLOOR
    operator: Annotated[str, Read(_operator)] = ""
    residual_weight: Annotated[float, Between(1e-100, 1e100)] = 1.0
    data_weight: Annotated[float, Between(0.0, 1e100)] = 0.0
    boundary: tuple[tuple[float, ...], ...] = ()
    boundary_weight: Annotated[float, Between(1e-100, 1e100)] = 1.0

    def __post_init__(self) -> None:
        check_kind(self, "weight", "[loss]")
        if self.weight == "kernel" and (self.operator or "auto" in self.exponents):
            raise Fault(
                "weight = 'kernel' needs a number or 'l2' for s, and no operator", ("weight",)
            )
        given = _given(self)
        names = [field.name for field in fields(self)[5:] if field.name in given]
        if names and not self.operator:
            raise Fault(
                f"{names[0]} is for the residual of a PDE; give an operator, or leave it out",
                (names[0],),
            )

    def data(self, points: Points) -> NDArray[np.float64] | None:
        """Inputs (m, dim) where f itself is observed beside A f; None where it is not."""
        rules = self._data(points)
        return np.concatenate([rule.x for _, rule in rules]) if rules else None

    def at(self, points: Points, s: float | None, network: Network) -> AnyLoss:
        """Return the loss with an exponent at points; None is plain L2."""
        first: L2Loss | SobolevLoss
        if s is None:
            first = L2Loss(points)
        elif self.weight == "kernel":
            return KernelLoss(network, points, s, self.floor)
        else:
            first = SobolevLoss(points, s, self.weight, self.max_degree)
        rules = self._data(points)
        if not rules and self.residual_weight == 1.0:
            return first
        others = [(factor, L2Loss(rule)) for factor, rule in rules]
        return SumLoss([(self.residual_weight, first), *others])

    def of(self, network: FiniteNetwork, points: Points) -> FiniteNetwork:
        """Return what the loss observes of a network: itself, or A f and f at the data."""
        if not self.operator:
            return network
        torus = None if points.features is None else points.features.frequencies
        return Applied(network, as_operator(self.operator), self.data(points), torus)

    def observed(self, target: Target | SampledTarget, dim: int) -> Target | SampledTarget:
        """Return what is observed of a target u at the points: u, or A u."""
        if not self.operator:
            return target
        return applied(target, as_operator(self.operator), dim)

    def observations(self, target: Target | SampledTarget, points: Points) -> NDArray[np.float64]:
        """Return the values of what is observed of a target, (n + m,)."""
        _, *data = self.rules(points)
        found = [self.observed(target, points.dim).values(points.at)]
        return np.concatenate(found + [target.values(rule.at) for rule in data])

    def rules(self, points: Points) -> list[Points]:
        """Return the points of the residual, and those of data."""
        return [points, *(rule for _, rule in self._data(points))]

    def _data(self, points: Points) -> list[tuple[float, Points]]:
        found = [(self.data_weight, points)] if self.data_weight else []
        if self.boundary:
            with attributed("loss", "boundary", before="boundary: "):
                found.append((self.boundary_weight, points.others(self.boundary)))
        return found


@dataclass(frozen=True)
class OptimizerRecipe:
    """Gradient descent, or Adam.

    Attributes
    ----------
    name : {"gd", "adam"}
    step_size : float or None
        None for half the largest stable one; for Adam, 0.001.
    momentum, batch
        As for `ntkspec.GD`.
    betas, epsilon
        As for `ntkspec.Adam`.

    Examples
    --------
    >>> OptimizerRecipe(momentum=0.9).step_size is None
    True
    """

    step_size: Annotated[float | None, Read(_step_size)] = None
    momentum: Annotated[float, Between(0.0, LARGEST_MOMENTUM), Of(("gd",))] = 0.0
    batch: Annotated[int, Between(1, 10**6)] | None = None
    name: Literal["gd", "adam"] = "gd"
    betas: Annotated[tuple[Beta, ...], Of(("adam",))] = AdamRule.betas
    epsilon: Annotated[float, Between(1e-30, 1.0), Of(("adam",))] = AdamRule.epsilon

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise Fault(f"betas = {list(self.betas)} is not allowed; write two", ("betas",))
        check_kind(self, "name", "[optimizer]")

    @property
    def adam(self) -> AdamRule | None:
        """Adam's numbers; None for gradient descent."""
        if self.name == "gd":
            return None
        return AdamRule((self.betas[0], self.betas[1]), self.epsilon)


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
        """The loss, the first part of the name."""
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
    steps : int
        Steps of gradient descent.
    network : NetworkRecipe
    data : DataRecipe
    target : TargetRecipe
    loss : LossRecipe
    optimizer : OptimizerRecipe
    name : str
    records : int
        How many times the residual is recorded, start and end included.
    spacing : {"geometric", "even"}
        Of the records.  "geometric" records every step at first and then ever fewer, so that fast
        and slow degrees are both seen to decay.
    text : str
        The recipe as written.
    source : str
        Name of its file; empty without one.

    Examples
    --------
    >>> recipe = read_run_recipe(run_recipe_path)
    >>> recipe.steps, len(recipe.members), recipe.record_steps[:4]
    (20, 2, array([0, 1, 2, 3]))
    """

    steps: Annotated[int, Between(1, 10**9), Key(example="steps = 4000")]
    network: Annotated[NetworkRecipe, Key(example="a table [network]"), Read(_networks)]
    data: Annotated[DataRecipe, Key(example="a table [data]")]
    target: Annotated[TargetRecipe, Key(example="a table [target]")]
    loss: LossRecipe = LossRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    name: str = ""
    records: int = 0
    spacing: Literal["geometric", "even"] = "geometric"
    text: Annotated[str, NO_KEY] = ""
    source: Annotated[str, NO_KEY] = ""

    def __post_init__(self) -> None:
        most = min(MOST_RECORDS, self.steps + 1)
        records = self.records or min(USUAL_RECORDS, most)
        if not 2 <= records <= most:
            raise Fault(
                f"records = {records} is not allowed; it must be a whole number from 2 to {most}",
                ("records",),
            )
        object.__setattr__(self, "records", records)
        if (count := len(self.members)) > MOST_MEMBERS:
            raise Fault(
                f"the run would have {count} members; at most {MOST_MEMBERS} are allowed",
                ("network",),
            )
        self._check_target()
        if self.loss.operator:
            self._check_operator()

    @property
    def operator(self) -> Operator | None:
        """A of the residual A f - A u; None for the residual itself."""
        return as_operator(self.loss.operator) if self.loss.operator else None

    def _check_operator(self) -> None:
        """Refuse what is not trained on the residual of a PDE."""
        operator = as_operator(self.loss.operator)
        with attributed("loss", "operator"):
            check_residual(self.network.network, operator)
        where = f"with operator = {self.loss.operator!r}"
        if self.target.kind == "samples":
            raise Fault(
                f"kind = 'samples' is not allowed {where}; A u must be known, so the target must "
                "be a sum of harmonics",
                ("target", "kind"),
            )
        if operator.name == "derivative" and self.target.kind not in ("sine", "cosine"):
            raise Fault(
                f"kind = {self.target.kind!r} is not allowed {where}; write 'sine' or 'cosine'",
                ("target", "kind"),
            )
        if "auto" in self.loss.exponents:
            raise Fault(f"s = 'auto' is not allowed {where}; write a number or 'l2'", ("loss", "s"))

    def _check_target(self) -> None:
        """Refuse a target that does not fit the points."""
        data, target = self.data, self.target
        needed = 2 if target.kind in ("sine", "cosine") else target.pole and len(target.pole)
        if needed is not None and data.dim not in (None, needed):
            name = "kind" if target.pole is None else "pole"
            words = ", and 'zonal' and 'basis' are for any sphere" * (name == "kind")
            raise Fault(
                f"{name} = {getattr(target, name)!r} is not allowed in dimension {data.dim}; it is "
                f"for dimension {needed}{words}",
                ("target", name),
            )
        # On equispaced points of the circle a degree from n/2 on equals a lower one.
        points = data.points if data.kind in ("circle", "torus") else None
        key = "frequencies" if target.frequencies else "degrees"
        last = max((abs(k) for k in np.ravel(getattr(target, key)).tolist()), default=0)
        if points is not None and 2 * last >= points:
            raise Fault(
                f"{key}: {last} is not allowed; {points} points of the circle resolve degrees "
                f"below {points / 2:g}",
                ("target", key),
            )
        if target.frequencies and data.features is None:
            raise Fault(
                "frequencies are those of waves on a torus; the data have none", ("target", key)
            )

    @property
    def members(self) -> tuple[MemberKey, ...]:
        """The product of exponents, widths and seeds; seeds change fastest."""
        network = self.network
        product = itertools.product(self.loss.exponents, network.widths, network.seeds)
        return tuple(MemberKey(*each) for each in product)

    @property
    def record_steps(self) -> NDArray[np.int64]:
        """Steps (R,) after which the residual is recorded, from 0 to the last."""
        if self.spacing == "even":
            return np.rint(np.linspace(0, self.steps, self.records)).astype(np.int64)
        return _geometric(self.steps, self.records)

    @cached_property
    def digest(self) -> str:
        """Digest of what the recipe means; comments, layout and names do not change it."""
        tables = ("data", "target", "loss", "optimizer")
        meaning: dict[str, Any] = {name: _given(getattr(self, name)) for name in tables} | {
            "steps": self.steps, "records": self.records, "spacing": self.spacing,
            "network": vars(self.network) | {"network": repr(self.network.network)},
            "functions": function_digest(self.network.network),
        }  # fmt: skip
        for part in ("data", "target"):
            meaning[part].pop("file", None)  # its contents have a digest of their own
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def function_digest(network: Network) -> str:
    """Digest of a network with a user's activations, from their values; else an empty string.

    Examples
    --------
    >>> function_digest(Network("tanh"))
    ''
    """
    if not network.user:
        return ""
    found = hashlib.sha256(repr(network).encode())
    x = np.linspace(-4.0, 4.0, 33)
    for sigma in network.sigmas:
        for function in (sigma.value, sigma.derivative):
            if sigma.user and function is not None:
                # In single precision: the last digits may differ between machines.
                found.update((np.asarray(function(x)).astype(np.float32) + 0.0).tobytes())
    return found.hexdigest()


def recipe_text(recipe: RunRecipe) -> str:
    r"""Return the recipe in TOML.

    Of a user's activation it has the name, which reads back only with the network itself.

    Examples
    --------
    >>> recipe = parse_run_recipe('''
    ... steps = 20
    ... network = {activation = "tanh", depth = 2, width = 64}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = 1}''')
    >>> print(recipe_text(recipe), end="")
    steps = 20
    records = 21
    <BLANKLINE>
    [network]
    activation = "tanh"
    depth = 2
    width = [64]
    <BLANKLINE>
    [data]
    kind = "circle"
    points = 16
    dim = 2
    <BLANKLINE>
    [target]
    kind = "sine"
    degrees = [1]
    amplitudes = [1.0]
    index = [0]
    """
    network = recipe.network.network
    keys = network.parameters()
    usual = {field.name: field.default for field in fields(Network)}
    lines = [f"{key} = {toml_value(value)}" for key, value in keys.items() if value != usual[key]]
    return written(recipe).replace("[network]", "\n".join(["[network]", *lines]), 1)


def _geometric(steps: int, records: int) -> NDArray[np.int64]:
    """Every step up to some k, then k q, k q^2, ... with q such that no two of them coincide."""
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


def parse_run_recipe(
    text: str, source: str = "", *, files: bool = True, network: Network | None = None
) -> RunRecipe:
    r"""Read the recipe of a run from its text.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for error messages; files that the recipe names are searched in its
        folder.
    files : bool
        False ignores those files; the digest is then not that of the run.
    network : Network, optional
        That of the recipe, where an activation is a user's function.

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

    def make(raw: dict[str, Any]) -> RunRecipe:
        if network is not None and isinstance(raw.get("network"), dict):
            own = {one.name: getattr(network, one.name) for one in fields(Network)}
            raw["network"] = {k: v for k, v in raw["network"].items() if k not in own} | own
        recipe = structured(RunRecipe, raw, (), "the recipe")
        if files:
            data, target = (_located(recipe, name, source) for name in ("data", "target"))
            recipe = replace(recipe, data=data, target=target)
        return replace(recipe, text=text, source=source)

    return parsed(text, source, make)


def _located(recipe: RunRecipe, name: str, source: str) -> Any:
    """A table with the path of its file, from the recipe's folder, and the digest of that."""
    table = getattr(recipe, name)
    if not table.file:
        return table
    path = Path(source).parent / table.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        words = f"file = {table.file!r}: {path} cannot be read ({error.strerror})"
        raise Fault(words, (name, "file")) from None
    return replace(table, file=str(path), file_digest=digest)
