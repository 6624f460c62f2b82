"""Networks of finite width: random start, values, own tangent kernel."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network, as_network
from ntkspec.parameters import numbers, one_of, whole_number
from ntkspec.rules import Activate, Affine, Branch, Program, Scale
from ntkspec.threads import checked_threads, one_blas_thread
from ntkspec.trainer.passes import Dense, Gradient, Passes

__all__ = [
    "FiniteNetwork",
    "Precision",
    "Start",
    "check_trainable",
    "check_width",
    "is_shallow",
    "parameter_shapes",
    "start",
]

Array = NDArray[Any]
Precision = Literal["float64", "float32"]
Start = Literal["zero", "random"]

#: Most numbers in an array of a pass over the neurons of one hidden layer.
MOST_NUMBERS = 2**21
MOST_WIDTH = 2**28
#: Most bytes of the weights of a network.
MOST_BYTES = 2**36


class FiniteNetwork:
    """A `Network` of finite width.

    Parameters
    ----------
    network : Network
        The description.
    layers : list of Dense
        In the order of the description's Linear parts.
    origin : FiniteNetwork, optional
        What is subtracted, so that f = 0 at the start.

    Examples
    --------
    >>> network = start("relu", 64, 2, seed=0)
    >>> network.values([[1.0, 0.0]])
    array([0.])
    """

    def __init__(
        self, network: Network, layers: list[Dense], origin: FiniteNetwork | None = None
    ) -> None:
        self.network, self.layers, self.origin = network, layers, origin
        self._known: tuple[Array, NDArray[np.float64]] | None = None
        hidden = layers[0]
        #: Inner weights of one hidden layer with the biases as the last column, for the kernels.
        self.joint: Array | None = None
        if hidden.bias is not None and is_shallow(network.program):
            self.joint = np.column_stack((hidden.weights, hidden.bias))
            hidden.weights, hidden.bias = self.joint[:, :-1], self.joint[:, -1]

    @property
    def width(self) -> int:
        """Neurons of each hidden layer."""
        return self.layers[0].width

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return int(self.layers[0].weights.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the weights."""
        return self.layers[0].weights.dtype

    @property
    def compiled(self) -> bool:
        """Whether compiled loops know its descent: one hidden layer, moved with all its biases."""
        hidden = self.layers[0]
        whole = hidden.trained and (hidden.bias is None or hidden.bias_trained)
        return whole and is_shallow(self.network.program)

    @property
    def parameters(self) -> dict[str, Array]:
        """All weights and biases by their names, of which changes are seen by the network."""
        found = {}
        for number, layer in enumerate(self.layers, 1):
            found[f"weights_{number}"] = layer.weights
            if layer.bias is not None:
                found[f"bias_{number}"] = layer.bias
        return found

    def memory(self, kinds: Iterable[str]) -> dict[str, Array]:
        """What an optimizer keeps of all weights and biases, by kind and name."""
        found: dict[str, Array] = {}
        for kind in kinds:
            arrays = [one for layer in self.layers for one in layer.memory(kind)]
            names = [f"{kind}_{name}" for name in self.parameters]
            found |= dict(zip(names, arrays, strict=True))
        return found

    def values(self, x: ArrayLike, threads: int | None = None) -> NDArray[np.float64]:
        """f at points: (n, dim) -> (n,).

        Raises
        ------
        NtkspecError
            If x is not of shape (n, dim).
        """
        points = self._points(x)
        with one_blas_thread():
            blocks, count = self.blocks(self.columns(len(points))), checked_threads(threads)
            parts = [self.passes(one, points, count).forward() for one in blocks]
        found = np.asarray(np.sum(parts, axis=0, dtype=np.float64))
        if self.origin is not None:
            known = self._known
            if known is None or not np.array_equal(known[0], points):
                known = points, self.origin.values(points, threads)
                self._known = known
            found = found - known[1]
        return found

    def tangent_matrix(self, x: ArrayLike, threads: int | None = None) -> NDArray[np.float64]:
        """The network's own tangent kernel between points: (n, dim) -> (n, n).

        The sum over all trained parameters of df(x_i) df(x_j) in the NTK parameterization (Jacot
        et al. 2018).  As the width goes to infinity it converges to `Network.ntk_matrix`.

        Examples
        --------
        >>> start("cos", 4096, 3, seed=0).tangent_matrix(np.eye(3)).shape
        (3, 3)
        """
        points = self._points(x)
        seen = self.observations(len(points))
        out = np.zeros((seen, seen))
        for passes, one in self._gradients(points, threads):
            if one.layer.trained or one.layer.bias_trained:
                out += passes.tangent(one)
        return out

    def tangent_operator(self, x: ArrayLike, threads: int | None = None) -> LinearOperator:
        """`tangent_matrix` as an operator, without forming the matrix."""
        points = self._points(x)

        def apply(v: NDArray[np.float64]) -> NDArray[np.float64]:
            out, given = np.zeros(len(points)), np.ravel(v).astype(points.dtype)
            for _, gradient in self._gradients(points, threads):
                gradient.layer.add_tangent_times(gradient, given, out)
            return out

        return LinearOperator((len(points), len(points)), matvec=apply, dtype=np.float64)

    def _gradients(self, points: Array, threads: int | None) -> Iterator[tuple[Passes, Gradient]]:
        """Gradients of what is observed, for a block of neurons at a time."""
        count = checked_threads(threads)
        with one_blas_thread():
            for layers in self.blocks(self.columns(len(points))):
                passes = self.passes(layers, points, count, apart=True)
                ones = np.ones(len(passes.forward()), points.dtype)
                for gradient in passes.backward(ones):
                    yield passes, gradient

    def passes(
        self, layers: list[Dense], points: Array, threads: int, apart: bool = False
    ) -> Passes:
        """Passes through some of its neurons, or all, at points in the precision of the weights."""
        return Passes(self.network.program, layers, points, threads)

    def columns(self, points: int) -> int:
        """Columns of the arrays of these passes."""
        return points

    def observations(self, points: int) -> int:
        """Numbers that are observed at so many points."""
        return points

    def blocks(self, columns: int, numbers: int = MOST_NUMBERS) -> Iterator[list[Dense]]:
        """The layers; of a wide network with one hidden layer some neurons after others."""
        count = max(1, numbers // columns)
        if not is_shallow(self.network.program) or self.width <= count:
            yield self.layers
            return
        hidden, out = self.layers
        for first in range(0, self.width, count):
            mine = slice(first, min(first + count, self.width))
            yield [hidden.part(mine, slice(None)), out.part(slice(None), mine)]

    def _points(self, x: ArrayLike) -> Array:
        points = numbers(x, "x").astype(self.dtype, copy=False)
        if points.ndim != 2 or points.shape[1] != self.dim or not len(points):
            raise NtkspecError(
                f"x of shape {points.shape} is not allowed; it must be (n, {self.dim})"
            )
        return points


def is_shallow(program: Program) -> bool:
    """Whether there is one hidden layer, and f is a sum over its neurons.

    Examples
    --------
    >>> is_shallow(Network("relu", bias_variance=1.0).program)
    True
    >>> is_shallow(Network("relu", depth=2).program)
    False
    """
    kinds = [type(step) for step in program.steps]
    if kinds != [Affine, Activate, Affine]:
        return False
    out = program.steps[-1]
    return isinstance(out, Affine) and out.bias == out.own_bias == 0.0


def start(
    network: Network | str,
    width: int,
    dim: int,
    seed: int,
    *,
    start: Start = "zero",
    precision: Precision = "float64",
) -> FiniteNetwork:
    """Return a network with random weights.

    Parameters
    ----------
    network : Network or str
    width, dim : int
        Neurons of each hidden layer, and dimension of the inputs.
    seed : int
        The same seed gives the same network; float32 weights are the float64 ones rounded.
    start : {"zero", "random"}
        "zero": f = 0 at the start.  With one hidden layer neurons come in pairs with the same
        inner weights and opposite readouts, so that the tangent kernel is that of width/2
        independent neurons; else f at the start is subtracted, since pairs would cancel gradients.
    precision : {"float64", "float32"}

    Returns
    -------
    FiniteNetwork
        Weights and biases are normal; those of the readout have random signs and one size, which
        halves the scatter of the kernel and leaves its limit.

    Raises
    ------
    NtkspecError
        If a parameter is not allowed, or a network has no finite width: one that cannot be trained
        or whose residual branch starts at the inputs.

    Examples
    --------
    >>> start("tanh", 4, 3, seed=1).parameters["weights_2"]
    array([[-1.,  1.,  1., -1.]])
    """
    description = as_network(network)
    program = description.program
    m, d = whole_number(width, "width", 1, MOST_WIDTH), whole_number(dim, "dim", 2, 10**6)
    one_of(start, "start", get_args(Start))
    one_of(precision, "precision", get_args(Precision))
    check_trainable(description)
    check_width(description, m, start)
    pairs = start == "zero" and is_shallow(program)
    shapes = _shapes(program, m, d)
    if (size := 8 * m * sum(fan_in for _, (_, fan_in) in shapes)) > MOST_BYTES:
        raise NtkspecError(f"width = {m} is not allowed; the weights would take {size:.3g} bytes")
    rng = np.random.default_rng(whole_number(seed, "seed", 0, 2**63))
    layers = []
    for number, (step, (out, fan_in)) in enumerate(shapes):
        first, last = number == 0, step is program.steps[-1]
        shape = (out, fan_in)
        if pairs:
            shape = (out, fan_in // 2) if last else (out // 2, fan_in)
        layer = _drawn(step, shape, first, last, description.weights == "sphere", rng)
        if pairs:
            layer = _paired(layer, last)
        # The inputs of the first layer have norm 1, not one number of size 1 for each neuron.
        layer.scale = math.sqrt((step.own or step.weight) / (1 if first else fan_in))
        layer.weights = layer.weights.astype(precision)
        layer.bias = None if layer.bias is None else layer.bias.astype(precision)
        layers.append(layer)
    found = FiniteNetwork(description, layers)
    if start == "zero" and not pairs:
        found.origin = FiniteNetwork(description, copy.deepcopy(layers))
    return found


def check_width(network: Network, width: int, start: Start) -> None:
    """Raise unless a width is allowed: pairs of neurons need an even one.

    Examples
    --------
    >>> check_width(Network("relu", depth=2), 63, "zero")
    """
    if start == "zero" and is_shallow(network.program) and width % 2:
        raise NtkspecError(
            f"width = {width} is not allowed; a start at f = 0 needs an even one here, or write "
            "start = 'random'"
        )


def check_trainable(network: Network) -> None:
    """Raise unless networks of finite width can be trained.

    Examples
    --------
    >>> check_trainable(Network("relu", depth=2))
    """
    program = network.program
    for sigma in program.activations:
        if sigma.derivative is None:
            raise NtkspecError(
                f"{sigma.name} cannot be trained by gradient descent: its derivative is 0 except "
                "at the kink"
            )
        if sigma.user:
            try:
                sigma.derivative(np.zeros(1))
            except NtkspecError as error:
                raise NtkspecError(
                    f"{sigma.name} cannot be trained ({error}); write user_activation(function, "
                    "derivative)"
                ) from None
    if not isinstance(program.steps[0], Affine):
        what = {Branch: "a residual branch", Scale: "Normalize"}.get(type(program.steps[0]), "")
        raise NtkspecError(
            f"{network.name} starts with {what}; a network of finite width starts with a Linear"
        )
    if not any(step.own or step.own_bias for step in program.steps if isinstance(step, Affine)):
        raise NtkspecError(f"{network.name} has no trained layer; there is nothing to train")


def parameter_shapes(network: Network, width: int, dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `FiniteNetwork.parameters`.

    Examples
    --------
    >>> parameter_shapes(Network("relu", bias_variance=1.0), 64, 3)
    {'weights_1': (64, 3), 'bias_1': (64,), 'weights_2': (1, 64)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for number, (step, shape) in enumerate(_shapes(network.program, width, dim), 1):
        found[f"weights_{number}"] = shape
        if step.bias or step.own_bias:
            found[f"bias_{number}"] = shape[:1]
    return found


def _shapes(program: Program, width: int, dim: int) -> list[tuple[Affine, tuple[int, int]]]:
    """Each Linear with its numbers of outputs and inputs; the last part of all has one output."""
    affine = [step for step in program.steps if isinstance(step, Affine)]
    ends = [*[width] * (len(affine) - 1), 1 if affine[-1] is program.steps[-1] else width]
    return list(zip(affine, zip(ends, [dim, *ends[:-1]], strict=True), strict=True))


def _drawn(
    step: Affine, shape: tuple[int, int], first: bool, last: bool, sphere: bool,
    rng: np.random.Generator,
) -> Dense:  # fmt: skip
    """A layer with random weights, in units of its scales."""
    if last and not first:
        weights = np.where(rng.random(shape) < 0.5, 1.0, -1.0)
    else:
        weights = rng.standard_normal(shape)
    if first and sphere:
        weights *= math.sqrt(shape[1]) / np.linalg.norm(weights, axis=1, keepdims=True)
    if step.own:
        weights *= math.sqrt(step.weight / step.own)
    bias, scale = None, math.sqrt(step.own_bias or step.bias)
    if scale:
        bias = np.zeros(shape[0])
        if step.bias:
            bias = math.sqrt(step.bias) / scale * rng.standard_normal(shape[0])
    return Dense(weights, bias, 1.0, scale, step.own > 0.0, step.own_bias > 0.0)


def _paired(layer: Dense, last: bool) -> Dense:
    """Each neuron twice, with opposite readouts: adjacent pairs cancel exactly."""
    if last:
        layer.weights = np.stack((layer.weights, -layer.weights), axis=2).reshape(1, -1)
        return layer
    layer.weights = np.repeat(layer.weights, 2, axis=0)
    if layer.bias is not None:
        layer.bias = np.repeat(layer.bias, 2)
    return layer
