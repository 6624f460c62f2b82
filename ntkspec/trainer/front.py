"""Training from Python: points, a target, a loss and an optimizer, and a run in one call."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.jobs.progress import Observer
from ntkspec.jobs.recipes import check_values
from ntkspec.networks import Network, as_network
from ntkspec.operators import Operator
from ntkspec.parameters import number, numbers, one_of, shown, whole_number
from ntkspec.trainer.checks import function_values
from ntkspec.trainer.descent import ADAM_STEP
from ntkspec.trainer.eigenvectors import FLOOR
from ntkspec.trainer.network import Precision, Start
from ntkspec.trainer.points import Points, from_array, torus_grid, torus_points
from ntkspec.trainer.recipe import (
    DataRecipe,
    LossRecipe,
    NetworkRecipe,
    OptimizerRecipe,
    RunRecipe,
    TargetRecipe,
    recipe_text,
)
from ntkspec.trainer.runs.file import Run, open_run
from ntkspec.trainer.runs.problem import Problem, problem_of, sampled
from ntkspec.trainer.runs.run import train_run
from ntkspec.trainer.sobolev import Weight
from ntkspec.trainer.targets import SampledTarget, Target, Term, on_torus
from ntkspec.trainer.waves import Features

if TYPE_CHECKING:
    from ntkspec.domains import Torus

__all__ = [
    "GD",
    "PDE",
    "Adam",
    "KernelPower",
    "Sobolev",
    "as_loss",
    "as_points",
    "as_problem",
    "as_target",
    "harmonics",
    "points",
    "train",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sobolev:
    """A Sobolev loss: the residual's component of degree k has the weight mu_k.

    Parameters
    ----------
    s : float or "auto"
        Exponent; "auto" makes the rates of the target's degrees as equal as possible.
    weight : {"power", "laplacian"}
        mu_k = (1 + k)^(2 s), or (1 + k (k + d - 2))^s.
    max_degree : int, optional
        Largest degree with a weight; by default the largest that the points resolve.

    Examples
    --------
    >>> Sobolev(1.0)
    Sobolev(s=1.0, weight='power', max_degree=None)
    """

    s: float | Literal["auto"] = 1.0
    weight: Weight = "power"
    max_degree: int | None = None


@dataclass(frozen=True)
class KernelPower:
    """A loss in the eigenvectors of the network's own kernel at the points, whatever they are.

    1/2 r' P r with P a power of the kernel: the residual's component along the j-th eigenvector
    has the weight max(lambda_j / lambda_0, floor)^power, so that a power of -1/2 turns rates
    lambda_j into sqrt(lambda_0 lambda_j) above the floor.  It fits the training points sooner;
    that says nothing of other points.

    Parameters
    ----------
    power : float
        -0.5 is the square root of the inverse kernel.
    floor : float
        Smaller eigenvalues, relative to the largest, count as this.

    Examples
    --------
    >>> KernelPower(-0.5)
    KernelPower(power=-0.5, floor=0.0001)
    """

    power: float = -0.5
    floor: float = FLOOR


@dataclass(frozen=True)
class PDE:
    """The residual A f - A u of a partial differential equation, whose solution is the target u.

    Parameters
    ----------
    operator : {"laplace", "derivative"}
        Laplace-Beltrami on the sphere, or d/dphi on the circle.
    shift : float
        A is the operator plus the shift: -1 makes the screened Poisson equation.
    s : float or "l2"
        Exponent of a Sobolev loss of the residual; "l2" is plain.
    weight, max_degree
        As for `Sobolev`.
    residual_weight, data_weight : float
        alpha and beta of the loss alpha/2 (A f - A u)^2 + beta/2 (f - u)^2, mean squares over the
        same points.
    boundary : (m, dim) array_like, optional
        Unit vectors where f - u has a loss of its own.
    boundary_weight : float
        gamma of gamma/2 (f - u)^2, the mean square over the boundary.

    Examples
    --------
    >>> PDE("laplace", shift=-1.0, data_weight=0.5).data_weight
    0.5
    """

    operator: Literal["laplace", "derivative"] = "laplace"
    shift: float = 0.0
    s: float | Literal["l2"] = "l2"
    weight: Weight = "power"
    max_degree: int | None = None
    residual_weight: float = 1.0
    data_weight: float = 0.0
    boundary: ArrayLike | None = None
    boundary_weight: float = 1.0


@dataclass(frozen=True)
class GD:
    """Gradient descent.

    Parameters
    ----------
    step_size : float or "auto"
        "auto": half of the largest stable one of each training.
    momentum : float
        Of the heavy ball, in [0, 1).
    batch : int, optional
        Points of each step, drawn without replacement; by default all.  Of a `PDE` those of the
        residual; data and boundary are in each step.

    Examples
    --------
    >>> GD(momentum=0.9)
    GD(step_size='auto', momentum=0.9, batch=None)
    """

    step_size: float | Literal["auto"] = "auto"
    momentum: float = 0.0
    batch: int | None = None


@dataclass(frozen=True)
class Adam:
    """Adam, which may be run and is not predicted: it scales each coordinate of the gradient.

    Parameters
    ----------
    step_size : float
        Of each weight; in the NTK parameterization they are of size 1.
    betas : (float, float)
        What the means of the gradients and of their squares keep in a step.
    epsilon : float
        Added to the root of the mean of the squares.
    batch : int, optional
        Points of each step, drawn without replacement; by default all.

    Examples
    --------
    >>> Adam(1e-2)
    Adam(step_size=0.01, betas=(0.9, 0.999), epsilon=1e-08, batch=None)
    """

    step_size: float = ADAM_STEP
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    batch: int | None = None


Loss = Sobolev | KernelPower | Literal["l2"]


def points(
    X: ArrayLike, *, weights: Literal["uniform", "quadrature"] = "uniform",
    domain: Torus | None = None,
) -> Points:  # fmt: skip
    """Make training points from vectors, or on a torus.

    Parameters
    ----------
    X : (n, dim) array_like
        Of norm 1 for harmonics, Sobolev losses and quadrature weights; else of any norm.  On a
        torus coordinates, or how many equispaced points each coordinate has.
    weights : {"uniform", "quadrature"}
        Of the points in the loss: 1/n, or those of a quadrature rule on the sphere (Yu, Yang and
        Townsend 2023), which a Sobolev loss on points that are not uniform needs.
    domain : Torus, optional
        `ntkspec.Torus`, by whose features the points enter the network.

    Returns
    -------
    Points

    Raises
    ------
    NtkspecError
        If two vectors are equal, or quadrature weights are asked for other norms than 1.

    Examples
    --------
    >>> points([[1.0, 0.0], [0.0, 1.0]]).weights
    array([0.5, 0.5])
    >>> import ntkspec
    >>> points(16, domain=ntkspec.Torus([[1, 0], [0, 1]])).n
    256
    """
    one_of(weights, "weights", ("uniform", "quadrature"))
    if domain is None:
        made = from_array(X)
    else:
        if getattr(domain, "frequencies", None) is None:
            raise NtkspecError(f"domain = {shown(domain)} is not allowed; give an ntkspec.Torus")
        features = Features(domain.frequencies, domain.amplitudes)
        grid = isinstance(X, (int, np.integer))
        made = torus_grid(int(X), features) if grid else torus_points(X, features)  # type: ignore[arg-type]
    return made.with_quadrature_weights() if weights == "quadrature" else made


def harmonics(
    degrees: int | Sequence[int] | Sequence[Sequence[int]],
    amplitude: float | Sequence[float] = 1.0,
    *,
    kind: Literal["zonal", "sine", "cosine"] = "zonal",
) -> Target:
    """Make a target: a sum of harmonics.

    Parameters
    ----------
    degrees : int or sequence of int, or of frequency vectors
        On a torus of one dimension degrees are frequencies; of several dimensions give vectors.
    amplitude : float or sequence of float
        Of all, or of each.
    kind : {"zonal", "sine", "cosine"}
        See `ntkspec.trainer.targets.Term`, which has more.

    Returns
    -------
    Target

    Examples
    --------
    >>> harmonics([1, 4, 8], 0.1).degrees
    (1, 4, 8)
    >>> [term.frequency for term in harmonics([[1, 0], [1, -2]], 0.1, kind="cosine").terms]
    [(1, 0), (1, -2)]
    """
    chosen: list[Any] = list(degrees) if isinstance(degrees, Iterable) else [degrees]
    sizes = numbers(amplitude, "amplitude")
    if sizes.shape not in ((), (1,), (len(chosen),)):
        raise NtkspecError(
            f"amplitude = {shown(amplitude)} is not allowed; give one number, or one for each of "
            f"the {len(chosen)} degrees"
        )
    sizes = np.broadcast_to(sizes, (len(chosen),))
    return Target(
        Term(0, float(size), kind, frequency=tuple(one))
        if isinstance(one, (list, tuple, np.ndarray))
        else Term(one, float(size), kind)
        for one, size in zip(chosen, sizes, strict=True)
    )


def train(
    network: Network | str,
    data: Points | ArrayLike,
    target: Target | ArrayLike | Callable[[Array], ArrayLike],
    *,
    width: int | Sequence[int] = 1024,
    seeds: int | Sequence[int] = 1,
    steps: int = 1000,
    loss: Loss | PDE | Sequence[Loss] = "l2",
    optimizer: GD | Adam | None = None,
    start: Start = "zero",
    precision: Precision = "float64",
    records: int = 0,
    spacing: Literal["geometric", "even"] = "geometric",
    save: str | Path | None = None,
    restart: bool = False,
    threads: int | None = None,
    observer: Observer | None = None,
) -> Run:
    """Train networks and measure how fast each degree of the target is learned.

    Parameters
    ----------
    network : Network or str
        Of any depth.  A run with a user's activation is opened with its network again:
        ``ntkspec.open_run(path, network)``.
    data : Points or (n, dim) array_like
        Training points: on the sphere, such as ``ntkspec.circle(64)``, or on a torus,
        ``ntkspec.points(32, domain=torus)``, or vectors of any norm.
    target : Target, (n,) array_like or callable
        A sum of harmonics, values at the points, or a function of points (n, dim), on a torus of
        coordinates.  Off the sphere,
        and with `KernelPower`, values are recorded along the leading eigenvectors of the kernel
        instead of by degree.
    width, seeds : int or sequence of int
        Every width is trained from every seed; a number of seeds counts them from 0.
    steps : int
    loss : Sobolev, KernelPower, "l2", a sequence of them, or PDE
        Every loss is trained; all but "l2" are then of one kind and differ in s, or in the power,
        alone.  The power -s of a `KernelPower` has the name ``"s=..."`` in the run.  A PDE's
        residual needs activations with known derivatives, see `ntkspec.trainer.residual`.
    optimizer : GD or Adam, optional
        Nothing predicts what Adam does: its runs have rates, and no predictions to compare.
    start : {"zero", "random"}
        "zero": f = 0 at the start; see `ntkspec.trainer.network.start`.
    precision : {"float64", "float32"}
    records : int
        How many times the residual is recorded; by default at most 201.
    spacing : {"geometric", "even"}
    save : path, optional
        File of the run, which `ntkspec.open_run` opens.  After Ctrl-C the KeyboardInterrupt has a
        note that the same call resumes the training, with the same result.  By default the run is
        kept in a temporary file as long as it is used.
    restart : bool
        Discard what an earlier call left in `save`.
    threads : int, optional
        The result does not depend on it.
    observer : Observer, optional
        Receives the progress.

    Returns
    -------
    Run

    Raises
    ------
    NtkspecError
        If something is not allowed, or the step size is not stable.
    TableError
        If the file cannot be written.

    Examples
    --------
    >>> import ntkspec
    >>> run = ntkspec.train(
    ...     ntkspec.Network("tanh", depth=2), ntkspec.circle(32), ntkspec.harmonics([1, 3], 0.1),
    ...     width=64, steps=20,
    ... )
    >>> run.members[0].status, run.members[0].energy.shape
    ('finished', (21, 16))
    """
    if observer is not None and not isinstance(observer, Observer):
        raise NtkspecError(
            f"observer = {shown(observer)} is not allowed; give an ntkspec.jobs.progress.Observer"
        )
    problem = as_problem(
        network, data, target, loss, width=width, seeds=seeds, steps=steps, optimizer=optimizer,
        start=start, precision=precision, records=records, spacing=spacing,
    )  # fmt: skip
    if save is not None:
        train_run(problem, save, restart=restart, threads=threads, observer=observer)
        return open_run(save, problem.recipe.network.network)
    return _kept(problem, threads, observer)


def _kept(problem: Problem, threads: int | None, observer: Observer | None) -> Run:
    """The run in a temporary folder, which goes with the run and its last member."""
    folder = tempfile.TemporaryDirectory(prefix="ntkspec-run-")
    try:
        out = Path(folder.name) / "run.h5"
        train_run(problem, out, threads=threads, observer=observer)
        run = open_run(out, problem.recipe.network.network)
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, KeyboardInterrupt):
            # Instead of the note of `train_run`, whose file is gone.
            error.__notes__ = ["nothing is kept; with save=path the same call could resume"]
        raise
    owner = _Owner()
    weakref.finalize(owner, folder.cleanup)
    for one in (run, *run.members):
        vars(one)["_owner"] = owner
    return run


class _Owner:
    """Has a folder as long as anything has it."""


# --- arguments -----------------------------------------------------------------------------------


def as_problem(
    network: Network | str,
    data: Points | ArrayLike,
    target: Target | ArrayLike | Callable[[Array], ArrayLike],
    loss: Loss | PDE | Sequence[Loss] = "l2",
    *,
    width: int | Sequence[int] = 1024,
    seeds: int | Sequence[int] = 1,
    steps: int = 1000,
    optimizer: GD | Adam | None = None,
    start: Start = "zero",
    precision: Precision = "float64",
    records: int = 0,
    spacing: Literal["geometric", "even"] = "geometric",
) -> Problem:
    """Return what `train` trains, from its arguments, or raise.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> as_problem("tanh", circle(16), harmonics([1, 3])).degrees
    array([0, 1, 2, 3, 4, 5, 6, 7])
    """
    at = as_points(data)
    wanted = as_target(target, at)
    if np.ndim(seeds) == 0:
        seeds = range(whole_number(seeds, "seeds", 1, 10_000))
    recipe = RunRecipe(
        whole_number(steps, "steps", 1, 10**9),
        NetworkRecipe(
            as_network(network), widths=_whole(width, "width", 1), seeds=_whole(seeds, "seeds", 0),
            start=start, precision=precision,
        ),
        _data(at),
        _described(wanted, at),
        as_loss(loss),
        _optimizer(GD() if optimizer is None else optimizer),
        records=whole_number(records, "records", 0),
        spacing=spacing,
    )  # fmt: skip
    check_values(recipe)
    recipe = replace(recipe, text=recipe_text(recipe))
    return problem_of(recipe, at, wanted, function=target if callable(target) else None)


def as_points(data: Points | ArrayLike) -> Points:
    """Return points, made from an array if need be.

    Examples
    --------
    >>> as_points([[1.0, 0.0], [0.0, 1.0]]).n
    2
    """
    return data if isinstance(data, Points) else points(data)


def as_target(given: Any, at: Points) -> Target | SampledTarget:
    """Return a target, from a function or from values at points if need be.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> as_target(lambda x: x[:, 0], circle(8)).degrees
    (1,)
    """
    if isinstance(given, Target) and at.features is not None:
        return on_torus(given, at.features)
    if isinstance(given, Target) and given.part == "frequency":
        raise NtkspecError(
            f"frequency = {given.terms[0].frequency} is not allowed on these points; give degrees, "
            "or points on a torus, ntkspec.points(X, domain=ntkspec.Torus(frequencies))"
        )
    if isinstance(given, (Target, SampledTarget)):
        return given
    return sampled(at, function_values(given, at.at, "target") if callable(given) else given)


def _data(at: Points) -> DataRecipe:
    if at.equispaced:
        return DataRecipe("circle", points=at.n)
    torus = {} if at.features is None else vars(at.features)
    if at.features is not None and at.kind == "torus":
        return DataRecipe("torus", points=round(at.n ** (1.0 / at.features.dim)), **torus)
    digest = _digest(at.at, at.weights)
    return DataRecipe("file", file="points.npy", file_digest=digest, **torus)


def _described(target: Target | SampledTarget, at: Points) -> TargetRecipe:
    """The target in a recipe: a sum of harmonics of one kind, or its values at the points."""
    if isinstance(target, Target):
        kinds = {(term.kind, term.pole) for term in target.terms}
        degrees = tuple(term.degree for term in target.terms)
        if len(kinds) == 1 and len(set(degrees)) == len(degrees):
            ((kind, pole),) = kinds
            amplitudes = tuple(term.amplitude for term in target.terms)
            index = tuple(term.index for term in target.terms)
            several = at.features is not None and at.features.dim > 1
            where = tuple(term.frequency or () for term in target.terms) if several else ()
            some = () if several else degrees
            return TargetRecipe(kind, some, amplitudes, index, pole, where)
    values = target.values(at.at)
    return TargetRecipe("samples", file="target.npy", file_digest=_digest(values))


def _digest(*arrays: Array) -> str:
    found = hashlib.sha256()
    for one in arrays:
        found.update(np.ascontiguousarray(one).tobytes())
    return found.hexdigest()


def as_loss(given: Any) -> LossRecipe:
    """Return the losses of a recipe, from the argument of `train`.

    Examples
    --------
    >>> as_loss([Sobolev(0.5), "l2"]).exponents
    (0.5, 'l2')
    """
    if isinstance(given, PDE):
        rest = dict(vars(given))
        rest["operator"] = str(Operator(given.operator, rest.pop("shift")))
        if given.boundary is None:
            rest.pop("boundary")
        else:
            numbers(given.boundary, "boundary")
            rest["boundary"] = tuple(map(tuple, np.array(given.boundary, ndmin=2).tolist()))
        return LossRecipe((rest.pop("s"),), **rest)
    losses = list(map(_loss, given if isinstance(given, (list, tuple)) else [given]))
    kinds = {replace(one, exponents=()) for one in losses if one.exponents != ("l2",)}
    if len(kinds) > 1:
        raise NtkspecError(
            "the losses of one run are of one kind and differ in s, or in the power, alone; train "
            "others by calls of their own"
        )
    kind = kinds.pop() if kinds else LossRecipe()
    return replace(kind, exponents=tuple(s for one in losses for s in one.exponents))


def _loss(one: Any) -> LossRecipe:
    if isinstance(one, Sobolev):
        return LossRecipe((one.s,), one.weight, one.max_degree)
    if isinstance(one, KernelPower):
        s = -number(one.power, "power", -100.0, 100.0)
        return LossRecipe((s,), "kernel", floor=one.floor)
    if isinstance(one, str) and one == "l2":
        return LossRecipe()
    raise NtkspecError(
        f"loss = {shown(one)} is not allowed; give 'l2', ntkspec.Sobolev(s), "
        "ntkspec.KernelPower(power), a list of them, or ntkspec.PDE(operator)"
    )


def _optimizer(given: GD | Adam) -> OptimizerRecipe:
    if isinstance(given, Adam):
        if np.ndim(given.betas) != 1:
            raise NtkspecError(f"betas = {shown(given.betas)} is not allowed; give two numbers")
        betas = tuple(number(one, "betas", 0.0, 1.0) for one in given.betas)
        return OptimizerRecipe(given.step_size, 0.0, given.batch, "adam", betas, given.epsilon)
    if not isinstance(given, GD):
        raise NtkspecError(
            f"optimizer = {shown(given)} is not allowed; give ntkspec.GD(step_size=, momentum=, "
            "batch=), or ntkspec.Adam(step_size=)"
        )
    size = None if given.step_size == "auto" else given.step_size
    return OptimizerRecipe(size, given.momentum, given.batch)


def _whole(values: Any, name: str, least: int) -> tuple[int, ...]:
    several = [values] if np.ndim(values) == 0 else list(values)
    return tuple(whole_number(one, name, least) for one in several)
