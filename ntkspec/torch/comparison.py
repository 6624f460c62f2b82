"""A model's own tangent kernel and its measured decay, beside the network of infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import legendre, multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import check_finite, lacking, number, numbers, one_of, shown, target_values
from ntkspec.results import MEANINGS, Result, Value, axes_to_draw
from ntkspec.torch.describe import describe
from ntkspec.torch.empirical import empirical_ntk, outputs_of, rows_of

try:
    import torch
    from torch import nn
except ImportError:
    raise ImportError("ntkspec.torch needs PyTorch: pip install 'ntkspec[torch]'") from None

__all__ = ["Directions", "KernelMatrix", "Loss", "ModelComparison", "compare_model"]

Loss = Literal["mean", "sum"]
Directions = Literal["infinite", "own", "degrees"]
Array = NDArray[np.float64]

#: Largest number of points whose kernel matrices are diagonalized.
MOST_POINTS = 5000
#: Error of the infinite kernel that a comparison can bear, relative to its diagonal.
ENOUGH = 1e-8
#: A rate is measured until the amplitude is this part of its start.
UNTIL = 0.1
#: Part of a degree's change that comes from others, above which it is said.
MIXED = 0.1
#: Smallest amplitude at the start whose decay is not rounding, relative to the whole residual.
LEAST = 1e-4
#: Difference of a history's first entry from the model at the start that rounding leaves.
AT_START = 1e-3
#: Deviations of a mean square from PyTorch's own initialization: standard errors, and a part.
STANDARD_ERRORS, PART = 6.0, 0.05
#: Different norms of points on a sphere, and singular values of its harmonics that are rounding.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class KernelMatrix(Value):
    """A kernel's matrix on the points, and its eigenvectors.

    Attributes
    ----------
    matrix : (n, n) float64 array
    eigenvalues : (n,) float64 array
        Falling.
    eigenvectors : (n, n) float64 array
        In columns, orthonormal.
    """

    matrix: Array
    eigenvalues: Array
    eigenvectors: Array

    @classmethod
    def of(cls, matrix: Array) -> KernelMatrix:
        """Diagonalize a symmetric matrix.

        Examples
        --------
        >>> KernelMatrix.of(np.diag([1.0, 2.0])).eigenvalues
        array([2., 1.])
        """
        values, vectors = np.linalg.eigh(matrix)
        return cls(matrix, values[::-1], vectors[:, ::-1])

    def __repr__(self) -> str:
        return f"KernelMatrix of {len(self.matrix)} points, eigenvalues {self.eigenvalues}"


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(Result):
    """A model's kernel and decay beside those of infinite width, by `compare_model`.

    Attributes
    ----------
    directions : {"infinite", "own", "degrees"}
    labels : (M,) int64 array
        Ranks of the directions from 0 on, or degrees.
    eigenvalues, own_eigenvalues : (M,) float64 arrays
        Of the infinite network's kernel matrix and of the model's own along each direction
        (v' K v; for a degree the mean over its harmonics).
    power : (M,) float64 array
        Part of the square of the residual at the start.
    rates, own_rates : (M,) float64 arrays
        Part of the amplitude that is lost in one step, predicted by each kernel.
    measured_rates : (M,) float64 array
        The same of the history; NaN where it is not known.
    inflow : (M,) float64 array
        What the kernel moves into a direction from others in the first step, relative to what it
        does there by itself: 0 for eigenvectors, and NaN without a residual there.  Where it is
        large, the rate of a degree is not that of its eigenvalue.
    infinite, own : KernelMatrix
        Both kernels, in the units of ``lr``.
    distance : float
        Frobenius norm of own minus infinite matrix, relative to the latter.
    movement : float
        Frobenius norm of the own kernel's change in training, relative to its start; NaN without
        the trained model.
    steps : (T,) int64 array
    losses, infinite_losses, own_losses : (T,) float64 arrays
        As measured (NaN without a history), and as predicted by each kernel.
    network : Network
        Of infinite width, with the rates of the model's own widths.
    left_out : tuple of str
        What of the model the network does not have.
    lr : float
    loss : {"mean", "sum"}
    """

    main: ClassVar[str] = "rate"

    directions: Directions
    labels: NDArray[np.int64]
    eigenvalues: Array
    own_eigenvalues: Array
    power: Array
    rates: Array
    own_rates: Array
    measured_rates: Array
    inflow: Array
    infinite: KernelMatrix
    own: KernelMatrix
    distance: float
    movement: float
    steps: NDArray[np.int64]
    losses: Array
    infinite_losses: Array
    own_losses: Array
    network: Network
    left_out: tuple[str, ...]
    lr: float
    loss: Loss

    @property
    def times(self) -> Array:
        """(M,) steps until a direction is 1/e of its start, at infinite width."""
        with np.errstate(divide="ignore"):
            speeds = -np.log(np.abs(1.0 - self.rates))
            return np.where(speeds > 0.0, 1.0 / speeds, np.inf)

    def axes(self) -> dict[str, NDArray[Any]]:
        """Return the ranks or degrees, and the steps of the losses."""
        name = "degree" if self.directions == "degrees" else "rank"
        return {name: self.labels} | ({"step": self.steps} if len(self.steps) else {})

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Return eigenvalues, rates and times along the directions, and losses along the steps."""
        along = (next(iter(self.axes())),)
        found: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
            "eigenvalue": (along, self.eigenvalues),
            "own_eigenvalue": (along, self.own_eigenvalues),
            "power": (along, self.power),
            "rate": (along, self.rates),
            "own_rate": (along, self.own_rates),
            "measured_rate": (along, self.measured_rates),
            "time": (along, self.times),
            "inflow": (along, self.inflow),
        }
        if len(self.steps):
            found |= {
                "loss": (("step",), self.losses),
                "infinite_loss": (("step",), self.infinite_losses),
                "own_loss": (("step",), self.own_losses),
            }
        return found

    def heading(self) -> dict[str, Any]:
        """Return the points, the directions and how far the kernels are apart."""
        found: dict[str, Any] = {
            "points": len(self.own.matrix),
            "directions": self.directions,
            "lr": float(f"{self.lr:.6g}"),
            "distance": float(f"{self.distance:.3g}"),
        }
        if not math.isnan(self.movement):
            found["movement"] = float(f"{self.movement:.3g}")
        return found

    def _notes(self) -> list[str]:
        """Say which degrees have rates that are not those of their eigenvalues, and why."""
        mixed = ", ".join(map(str, self.labels[self.inflow > MIXED]))
        if not mixed:
            return []
        return [
            f"degree {mixed}: on these points harmonics are no eigenvectors; other degrees move "
            f"more than {MIXED:.0%} of what the eigenvalue does, so that rates and times are not "
            "those of the eigenvalue, and may be negative or infinite; directions='infinite' do "
            "not mix"
        ]

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw predicted and measured rates against the rank (from 1) or the degree.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default the current axes.
        **style
            For the markers of measured rates.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_to_draw(ax)
        name = next(iter(self.axes()))
        x = self.labels + (name == "rank")
        ax.set_yscale("log")
        if name == "rank":
            ax.set_xscale("log")
        for rates, how in (
            (self.rates, {"color": "black", "label": "infinite width"}),
            (self.own_rates, {"color": "#0072B2", "linestyle": "--", "label": "own kernel"}),
            (
                self.measured_rates,
                {
                    "color": "#D55E00", "linestyle": "none", "marker": "o",
                    "markerfacecolor": "none", "label": "measured", **style,
                },
            ),
        ):  # fmt: skip
            seen = np.isfinite(rates) & (rates > 0.0)
            if seen.any():
                ax.plot(x[seen], rates[seen], **how)
        ax.set_xlabel("rank of the direction" if name == "rank" else MEANINGS[name])
        ax.set_ylabel("part of the amplitude lost in one step")
        ax.legend()
        return ax


def compare_model(
    model: nn.Module,
    X: Any,
    y: Any,
    history: Any = None,
    *,
    lr: float,
    loss: Loss = "mean",
    steps: ArrayLike | None = None,
    trained: nn.Module | None = None,
    directions: Directions = "infinite",
    variances: Literal["initial", "weights"] = "initial",
    memory: float = 256e6,
) -> ModelComparison:
    """Compare a model's own kernel, and its decay in training, with those of infinite width.

    Parameters
    ----------
    model : torch.nn.Module
        As it was before training (``copy.deepcopy``), made of what `describe` takes.
    X : (n, dim) tensor or array_like
        All training inputs, at most 5000.
    y : (n,) or (n, outputs) tensor or array_like
        Targets.  Booleans are 0 and 1.
    history : array_like or sequence of tensors, optional
        Losses (T,), or residuals model(X) - y (T, n) or (T, n, outputs), the first before
        training.  Losses have no directions: then only losses are compared.
    lr : float
        Learning rate of `torch.optim.SGD` without momentum, on all points at each step.
    loss : {"mean", "sum"}
        The reduction of `torch.nn.MSELoss`, which has no factor 1/2: for a loss with that factor
        give half the lr.
    steps : (T,) array_like of int, optional
        Steps at which the history was recorded, from 0 on; default 0, 1, 2, ...  Without a history
        those for which losses are predicted.
    trained : torch.nn.Module, optional
        The model after training: `movement` is that of its kernel.
    directions : {"infinite", "own", "degrees"}
        Eigenvectors of the infinite network's matrix or of the model's own; "degrees", for X on a
        sphere around 0: spherical harmonics of each degree, as many as the points tell apart.
    variances : {"initial", "weights"}
        As for `describe`; "weights" for another initialization than PyTorch's own.
    memory : float
        As for `empirical_ntk`.

    Returns
    -------
    ModelComparison

    Raises
    ------
    NtkspecError
        When `describe` or `empirical_ntk` refuses the model, the weights are not of PyTorch's own
        initialization for variances = "initial", or the history does not begin with this model
        under this loss.

    Notes
    -----
    With c = 2 / (n outputs) for "mean" and c = 2 for "sum", a step makes (1 - lr c K) r of the
    residual r, up to the change of K.  K is `empirical_ntk`, or the tangent kernel of
    ``describe(model, parameterization="pytorch")``: both have PyTorch's units, in which the kernel
    grows with the width.  With several outputs K is the mean over these, and products of two
    different outputs, which vanish at infinite width, are left out.

    A direction's amplitude is the norm of the residual's part along it.  Its measured rate is
    1 - e^s with the slope s of the logarithm of the amplitude against the step, by least squares,
    until a tenth is left.  With residuals, `rates` and `own_rates` are those of the residuals that
    each kernel predicts, by the same fit over the same steps: also where a direction is no
    eigenvector and gets parts of others.  Without, they are lr c times the eigenvalue.

    Examples
    --------
    >>> import torch
    >>> generator = torch.manual_seed(0)
    >>> layers = torch.nn.Linear(2, 256), torch.nn.Tanh(), torch.nn.Linear(256, 1)
    >>> model = torch.nn.Sequential(*layers)
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> found = compare_model(model, x, [1.0, 0.0, 1.0], lr=1e-3)
    >>> found.labels, found.distance < 0.3
    (array([0, 1, 2]), True)
    """
    rate = number(lr, "lr", 0.0, 1e300)
    one_of(loss, "loss", get_args(Loss))
    one_of(directions, "directions", get_args(Directions))
    described = describe(model, variances=variances, parameterization="pytorch")
    if variances == "initial":
        _check_initial(model)
    parameter = next(model.parameters())
    x = rows_of(X, "X", parameter.dtype, parameter.device)
    vectors = x.reshape(len(x), -1).double().cpu().numpy()
    _check_inputs(model, vectors)
    n = len(vectors)
    own = empirical_ntk(model, x, memory=memory)
    with lacking("tolerance"):
        matrix = described.network.ntk_matrix(vectors, fan_in=True, tolerance=ENOUGH)
    infinite = KernelMatrix.of(matrix.astype(np.float64))
    own_kernel = KernelMatrix.of(_array(own))
    outputs = _array(outputs_of(model, x))
    targets = target_values(_array(y), "y")
    if targets.size != outputs.size or (targets.ndim and len(targets) != n):
        raise NtkspecError(
            f"y of shape {targets.shape} does not fit the model's outputs {outputs.shape}"
        )
    check_finite(targets.reshape(n, -1), "y")
    start = outputs - targets.reshape(outputs.shape)
    speed = rate * (2.0 / start.size if loss == "mean" else 2.0)
    scale = start.size if loss == "mean" else 1
    losses, residuals, at = _history(history, steps, start, scale)
    labels, groups = _groups(directions, infinite, own_kernel, vectors)
    both = (infinite, own_kernel)
    predicted = [_decay(kernel, speed, start, at, groups) for kernel in both]
    along = [
        np.array([np.sum(b * (kernel.matrix @ b)) / b.shape[1] for b in groups]) for kernel in both
    ]
    rates = [speed * one for one in along]
    measured = np.full(len(groups), np.nan)
    begin = np.array([np.linalg.norm(b.T @ start) for b in groups])
    known = begin > LEAST * np.linalg.norm(start)
    inflow = np.where(known, 0.0, np.nan)
    if directions == "degrees":
        inflow[known] = [
            _inflow(infinite.matrix, one, start)
            for one, seen in zip(groups, known, strict=True)
            if seen
        ]
    if residuals is not None:
        amplitudes = np.array([np.linalg.norm(b.T @ r) for r in residuals for b in groups])
        amplitudes = amplitudes.reshape(len(at), -1).T
        for i in np.flatnonzero(known):
            window = _window(amplitudes[i])
            measured[i] = _rate(at, amplitudes[i], window)
            for k, (decays, _) in enumerate(predicted):
                rates[k][i] = _rate(at, decays[i], window)
    movement = math.nan
    if trained is not None:
        later = _array(empirical_ntk(trained, x, memory=memory))
        movement = _apart(later, own_kernel.matrix)
    whole = float(np.sum(start**2))
    return ModelComparison(
        directions=directions,
        labels=labels,
        eigenvalues=along[0],
        own_eigenvalues=along[1],
        power=begin**2 / whole if whole else np.zeros_like(begin),
        rates=rates[0],
        own_rates=rates[1],
        measured_rates=measured,
        inflow=inflow,
        infinite=infinite,
        own=own_kernel,
        distance=_apart(own_kernel.matrix, infinite.matrix),
        movement=movement,
        steps=at,
        losses=losses,
        infinite_losses=predicted[0][1] / scale,
        own_losses=predicted[1][1] / scale,
        network=described.network,
        left_out=described.left_out,
        lr=rate,
        loss=loss,
    )


def _array(values: Any) -> Any:
    """A tensor, or a sequence with tensors in it, as an array; anything else as it is."""
    if isinstance(values, torch.Tensor):
        return values.detach().to("cpu", torch.float64).numpy()
    if isinstance(values, (list, tuple)):
        return [_array(one) for one in values]
    return values


def _apart(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def _check_initial(model: nn.Module) -> None:
    """Refuse weights whose mean square is not that of PyTorch's own initialization."""
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Linear):
            continue
        square = float((layer.weight.detach().double() ** 2).mean())
        ratio = square * 3.0 * layer.in_features
        # The variance of the square of a uniform variable is 4/5 of the square of its mean.
        error = STANDARD_ERRORS * math.sqrt(0.8 / layer.weight.numel()) + PART
        if abs(ratio - 1.0) > error:
            raise NtkspecError(
                f"the weights of {name or 'the model'} have {ratio:.3g} times the mean square of "
                "PyTorch's own initialization; give variances='weights', and the model before "
                "training"
            )


def _check_inputs(model: nn.Module, x: Array) -> None:
    n, dim = x.shape
    if n > MOST_POINTS:
        raise NtkspecError(f"X has {n} rows; at most {MOST_POINTS} are compared")
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    if first.in_features != dim:
        raise NtkspecError(
            f"a row of X has {dim} numbers and the first layer takes {first.in_features}; compare "
            "models that take a row as one vector"
        )


def _history(
    history: Any, steps: ArrayLike | None, start: Array, scale: int
) -> tuple[Array, Array | None, NDArray[np.int64]]:
    """Losses, residuals (T, n, outputs) or None, and steps, checked."""
    if history is None:
        at = _steps(np.arange(0) if steps is None else steps, None)
        return np.full(len(at), np.nan), None, at
    try:
        found = numbers(_array(history), "history")
    except (TypeError, ValueError):
        raise NtkspecError(
            f"history = {shown(history)} is not allowed; give losses, or residuals at all points"
        ) from None
    residuals: Array | None = None
    if found.ndim > 1:
        if found[0].size != start.size or found.shape[1] != len(start):
            raise NtkspecError(
                f"history of shape {found.shape} is not allowed; give losses (T,), or residuals "
                f"(T, {', '.join(str(k) for k in start.shape)})"
            )
        residuals = found.reshape(len(found), *start.shape)
    if found.ndim == 0 or len(found) < 2:
        raise NtkspecError("history has fewer than two entries; the first is before training")
    check_finite(found.reshape(len(found), -1), "history")
    at = _steps(np.arange(len(found)) if steps is None else steps, len(found))
    if residuals is None:
        expected = float(np.sum(start**2)) / scale
        if abs(found[0] - expected) > AT_START * expected:
            raise NtkspecError(
                f"history[0] = {found[0]:.6g}, and the loss of this model is {expected:.6g}: give "
                "the model before training and the loss before the first step, with loss='mean' "
                "or 'sum'"
            )
        return found, None, at
    size = AT_START * np.linalg.norm(start)
    if np.linalg.norm(residuals[0] + start) <= size:
        residuals = -residuals
    if np.linalg.norm(residuals[0] - start) > size:
        raise NtkspecError(
            "history[0] is not model(X) - y: give the model before training, and residuals from "
            "before the first step on"
        )
    return np.sum(residuals**2, axis=(1, 2)) / scale, residuals, at


def _steps(steps: ArrayLike, count: int | None) -> NDArray[np.int64]:
    found = numbers(steps, "steps")
    whole = found.astype(np.int64)
    if (
        found.ndim != 1
        or (count is not None and len(found) != count)
        or np.any(whole != found)
        or np.any(np.diff(whole) <= 0)
        or (len(whole) and whole[0] != 0)
    ):
        raise NtkspecError(
            f"steps = {shown(steps)} is not allowed; give rising whole numbers from 0 on, one for "
            "each entry of the history"
        )
    return whole


def _groups(
    directions: Directions, infinite: KernelMatrix, own: KernelMatrix, x: Array
) -> tuple[NDArray[np.int64], list[Array]]:
    """Labels of the directions, and an orthonormal basis (n, m) of each."""
    if directions != "degrees":
        vectors = (infinite if directions == "infinite" else own).eigenvectors
        return np.arange(len(vectors)), [vectors[:, [i]] for i in range(len(vectors))]
    n, dim = x.shape
    norms = np.linalg.norm(x, axis=1)
    if dim < 2 or np.ptp(norms) > ROUNDING * norms.max():
        raise NtkspecError(
            "directions = 'degrees' needs points of one norm in two dimensions or more; use "
            "'infinite' or 'own'"
        )
    unit = x / norms[:, np.newaxis]
    cosines = np.clip(unit @ unit.T, -1.0, 1.0)
    groups: list[Array] = []
    basis = np.zeros((n, 0))
    while (size := int(multiplicity(dim, len(groups))[0])) + basis.shape[1] <= n:
        zonal = legendre(len(groups), dim, cosines)[0] * (size / n)
        # Of lower degrees' complement: harmonics are not orthogonal on arbitrary points.
        zonal = zonal - basis @ (basis.T @ zonal)
        zonal = zonal - (zonal @ basis) @ basis.T
        values, vectors = np.linalg.eigh(0.5 * (zonal + zonal.T))
        own_part = vectors[:, -size:][:, values[-size:] > ROUNDING]
        if own_part.shape[1] < size:
            break
        groups.append(own_part)
        basis = np.hstack([basis, own_part])
    return np.arange(len(groups)), groups


def _decay(
    kernel: KernelMatrix,
    speed: float,
    start: Array,
    steps: NDArray[np.int64],
    groups: Sequence[Array],
) -> tuple[Array, Array]:
    """Amplitudes (M, T) along the groups, and sums of squares (T,), that a kernel predicts."""
    parts = kernel.eigenvectors.T @ start
    factors = 1.0 - speed * kernel.eigenvalues
    turn = np.vstack([b.T @ kernel.eigenvectors for b in groups])
    first = np.cumsum([0, *(b.shape[1] for b in groups[:-1])])
    amplitudes, sums = np.empty((len(groups), len(steps))), np.empty(len(steps))
    with np.errstate(over="ignore", invalid="ignore"):
        for i, step in enumerate(steps):
            now = factors[:, np.newaxis] ** int(step) * parts
            squares = np.sum((turn @ now) ** 2, axis=1)
            amplitudes[:, i] = np.sqrt(np.add.reduceat(squares, first))
            sums[i] = np.sum(now**2)
    return amplitudes, sums


def _inflow(matrix: Array, basis: Array, start: Array) -> float:
    """What a kernel moves into a direction from others, relative to what it does there itself."""
    part = basis @ (basis.T @ start)
    itself = np.linalg.norm(basis.T @ (matrix @ part))
    others = np.linalg.norm(basis.T @ (matrix @ (start - part)))
    return float(others / itself) if itself > 0.0 else math.inf


def _window(amplitude: Array) -> slice:
    """Records from the start until a tenth is left, two at least."""
    below = np.flatnonzero(amplitude < UNTIL * amplitude[0])
    return slice(0, max(int(below[0]), 2) if below.size else len(amplitude))


def _rate(steps: NDArray[np.int64], amplitude: Array, window: slice) -> float:
    t, a = steps[window].astype(np.float64), amplitude[window]
    if not np.all(np.isfinite(a) & (a > 0.0)):
        return math.nan
    t = t - t.mean()
    return float(-np.expm1(t @ np.log(a) / (t @ t)))
