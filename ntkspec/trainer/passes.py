"""Forward and backward passes of a network of finite width, by matrix products in place.

Arrays have a row for each neuron and a column for each point.  A product is split into slabs of
rows that are each computed on one BLAS thread, so that no number depends on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from ntkspec.activations import Activation
from ntkspec.rules import Activate, Affine, Branch, Join, Program, Scale
from ntkspec.threads import thread_pool
from ntkspec.trainer.layer import slopes_of, values_of

__all__ = ["AdamRule", "Dense", "Gradient", "Passes", "memory_kinds"]

Array = NDArray[Any]

#: Rows of a product that a thread computes at a time.
ROWS = 512
#: Multiplications of a product below which a second thread costs more than it saves.
WORTH_A_THREAD = 2**21


@dataclass(frozen=True)
class AdamRule:
    """The numbers of Adam (Kingma and Ba 2015), beside its step size.

    Parameters
    ----------
    betas : (float, float)
        What the means of the gradients and of their squares keep in a step.
    epsilon : float
        Added to the root of the mean of the squares.

    Examples
    --------
    >>> AdamRule().betas
    (0.9, 0.999)
    """

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8


def memory_kinds(momentum: float, adam: AdamRule | None) -> tuple[str, ...]:
    """Kinds of arrays that an optimizer keeps for each parameter.

    Examples
    --------
    >>> memory_kinds(0.0, None), memory_kinds(0.9, None), memory_kinds(0.0, AdamRule())
    ((), ('velocity',), ('velocity', 'square'))
    """
    return ("velocity", "square") if adam else ("velocity",) * (momentum > 0.0)


@dataclass(eq=False)
class Dense:
    """A dense layer of finite width in the NTK parameterization: z = scale W h + bias_scale b.

    Attributes
    ----------
    weights : (out, in) ndarray
    bias : (out,) ndarray or None
    scale, bias_scale : float
    trained, bias_trained : bool
        Whether descent moves the weights, and the biases.

    Examples
    --------
    >>> Dense(np.ones((2, 3)), None, 0.5, 0.0, True, False).width
    2
    """

    weights: Array
    bias: Array | None
    scale: float
    bias_scale: float
    trained: bool
    bias_trained: bool
    _memory: dict[str, list[Array]] = field(default_factory=dict, repr=False)

    @property
    def width(self) -> int:
        """Number of neurons."""
        return len(self.weights)

    def part(self, rows: slice, columns: slice) -> Dense:
        """Some of its neurons and inputs, which share its numbers and what is kept of them."""

        def some(one: Array) -> Array:
            return one[rows, columns] if one.ndim == 2 else one[rows]

        memory = {kind: list(map(some, arrays)) for kind, arrays in self._memory.items()}
        bias = None if self.bias is None else some(self.bias)
        return replace(self, weights=some(self.weights), bias=bias, _memory=memory)

    def values(self, inputs: Array, threads: int, biased: int | None = None) -> Array:
        """z for inputs in columns, of which the first `biased` get the bias; by default all."""
        z = _product(self.weights, inputs, threads)
        if self.scale != 1.0:
            z *= z.dtype.type(self.scale)
        if self.bias is not None:
            z[:, :biased] += (z.dtype.type(self.bias_scale) * self.bias)[:, np.newaxis]
        return z

    def back(self, delta: Array, threads: int) -> Array:
        """The derivative by the inputs from the one by z."""
        below = _product(self.weights.T, delta, threads)
        if self.scale != 1.0:
            below *= below.dtype.type(self.scale)
        return below

    def move(self, found: Gradient, step_size: float, momentum: float, threads: int) -> None:
        """Do a step of descent in place.

        With momentum the step is added to momentum times the last one.
        """
        if self.trained:
            target = self.memory("velocity")[0] if momentum else self.weights
            size = -step_size * self.scale
            _add_product(target, size, found.delta, found.inputs, momentum or 1.0, threads)
            if momentum:
                self.weights += target
        if self.bias_trained:
            assert self.bias is not None
            moved = found.by_bias(-step_size * self.bias_scale)
            if momentum:
                last = self.memory("velocity")[1]
                moved += moved.dtype.type(momentum) * last
                last[:] = moved
            self.bias += moved

    def adapt(
        self, found: Gradient, step_size: float, adam: AdamRule, steps: int, threads: int
    ) -> None:
        """Do a step of Adam in place, after so many earlier ones."""
        means, squares = self.memory("velocity"), self.memory("square")
        root = math.sqrt(1.0 - adam.betas[1] ** (steps + 1))
        sizes = step_size * root / (1.0 - adam.betas[0] ** (steps + 1)), adam.epsilon * root

        def slab(rows: slice) -> None:
            gradient = found.delta[rows] @ found.inputs.T
            gradient *= gradient.dtype.type(self.scale)
            _adapt(self.weights[rows], gradient, means[0][rows], squares[0][rows], adam, *sizes)

        if self.trained:
            cost = self.weights.size * found.delta.shape[1]
            _over_rows(slab, len(self.weights), cost, threads)
        if self.bias_trained:
            assert self.bias is not None
            gradient = found.by_bias(self.bias_scale)
            _adapt(self.bias, gradient, means[1], squares[1], adam, *sizes)

    def memory(self, kind: str) -> list[Array]:
        """What an optimizer keeps of the weights and the biases, 0 at first."""
        if kind not in self._memory:
            arrays = [self.weights] if self.bias is None else [self.weights, self.bias]
            self._memory[kind] = [np.zeros_like(one, order="C") for one in arrays]
        return self._memory[kind]

    def tangent(self, found: Gradient) -> NDArray[np.float64]:
        """What the layer contributes to the tangent kernel between the columns, (n, n)."""
        delta, inputs, biased = found.delta, found.inputs, slice(found.biased)
        slopes: NDArray[np.float64] = (delta.T @ delta).astype(np.float64)
        of_bias = self.bias_scale**2 * slopes[biased, biased] if self.bias_trained else 0.0
        slopes *= self.scale**2 * (inputs.T @ inputs) if self.trained else 0.0
        slopes[biased, biased] += of_bias
        return slopes

    def add_tangent_times(self, found: Gradient, v: Array, out: Array) -> None:
        """Add that matrix times a vector, without the matrix; all columns have the bias."""
        delta, inputs = found.delta, found.inputs
        if self.trained:
            weighed = (delta * v) @ inputs.T
            out += self.scale**2 * np.sum(delta * (weighed @ inputs), axis=0)
        if self.bias_trained:
            out += self.bias_scale**2 * ((delta @ v) @ delta)


class Gradient(NamedTuple):
    """A layer, the derivative by its z, (out, n), its inputs, (in, n), and columns with a bias.

    Examples
    --------
    >>> layer = Dense(np.ones((2, 3)), None, 1.0, 0.0, True, False)
    >>> Gradient(layer, np.ones((2, 5)), np.ones((3, 5))).delta.shape
    (2, 5)
    """

    layer: Dense
    delta: Array
    inputs: Array
    biased: int | None = None

    def by_bias(self, factor: float) -> Array:
        """A factor times the derivative by z, of all columns with a bias."""
        total: Array = self.delta[:, : self.biased].sum(axis=1)
        total *= total.dtype.type(factor)
        return total


class Passes:
    """Passes through the parts of a network at fixed points.

    Parameters
    ----------
    program : Program
    layers : sequence of Dense
        In the order of the program.
    points : (n, dim) ndarray
        In the precision of the weights.
    threads : int

    Examples
    --------
    >>> linear = Affine(1.0, 0.0, 1.0, 0.0)
    >>> layer = Dense(np.array([[2.0, 0.0]]), None, 1.0, 0.0, True, False)
    >>> Passes(Program((linear,), ()), [layer], np.eye(2), 1).forward()
    array([2., 0.])
    """

    def __init__(self, program: Program, layers: list[Dense], points: Array, threads: int) -> None:
        self._program, self._layers = program, layers
        self._inputs = np.ascontiguousarray(points.T)
        self._threads = threads
        #: How many columns, the first, have the biases; None for all.
        self._biased: int | None = None
        #: The activation after which there is a Linear alone.
        *_, last, end = (None, None, *program.steps)
        plain = isinstance(last, Activate) and isinstance(end, Affine)
        self._last = last if plain else None
        self._tape: list[Any] = []

    def forward(self) -> Array:
        """f at the points, (n,), in the precision of the weights."""
        h, kept, tape = self._inputs, list[Array](), list[Any]()
        dense = iter(self._layers)
        for step in self._program.steps:
            if isinstance(step, Affine):
                layer = next(dense)
                tape.append((layer, h))
                h = layer.values(h, self._threads, self._biased)
            elif isinstance(step, Activate):
                sigma = self._program.activations[step.number]
                tape.append((sigma, h))
                h = self._activated(sigma, h, step is self._last)
            elif isinstance(step, Scale):
                h = h - h.mean(axis=0)
                size = np.sqrt(np.mean(h * h, axis=0))
                h /= size
                tape.append((size, h))
            elif isinstance(step, Branch):
                kept.append(h)
                tape.append(None)
            else:
                factor = h.dtype.type(math.sqrt(step.square))
                h = kept.pop() + factor * h
                tape.append(factor)
        self._tape = tape
        found: Array = h[0]
        return found

    def backward(self, derivative: Array) -> Iterator[Gradient]:
        """Gradients of the layers, the last first, for dLoss/df at the points, (n,).

        At the weights of the last `forward`.  A layer may be moved as soon as it is there.
        """
        if not self._tape:
            self.forward()
        last = self._layers[-1]
        width = last.weights.shape[0]
        delta = np.zeros((width, len(derivative)), last.weights.dtype)
        delta[0] = derivative
        kept: list[Array] = []
        for number in reversed(range(len(self._tape))):
            step, known = self._program.steps[number], self._tape[number]
            if isinstance(step, Affine):
                layer, inputs = known
                below = layer.back(delta, self._threads) if number else None
                yield Gradient(layer, delta, inputs, self._biased)
                if below is None:
                    return
                delta = below
            elif isinstance(step, Activate):
                sigma, z = known
                delta = self._backed(sigma, z, delta, step is self._last)
            elif isinstance(step, Scale):
                size, h = known
                delta -= delta.mean(axis=0)
                delta -= h * np.mean(delta * h, axis=0)
                delta /= size
            elif isinstance(step, Join):
                kept.append(delta)
                delta = delta * known
            else:
                delta = delta + kept.pop()

    def tangent(self, found: Gradient) -> NDArray[np.float64]:
        """What a layer contributes to the tangent kernel between what is observed."""
        return found.layer.tangent(found)

    def _activated(self, sigma: Activation, z: Array, last: bool) -> Array:
        """What an activation makes of z."""
        return self._elementwise(values_of, sigma, z)

    def _backed(self, sigma: Activation, z: Array, delta: Array, last: bool) -> Array:
        """The derivative by z from that by what the activation makes of it; may be in its place."""
        delta *= self._elementwise(slopes_of, sigma, z)
        return delta

    def _elementwise(
        self, function: Callable[..., Array], sigma: Activation, *z: Array,
        columns: int | None = None,
    ) -> Array:  # fmt: skip
        """A function of some rows, of all; it may make other columns of them."""
        first = z[0]
        # A Python function may not be safe to call from several threads.
        if sigma.user or len(first) <= ROWS:
            return function(sigma, *z)
        out = np.empty((len(first), columns or first.shape[1]), first.dtype)

        def slab(rows: slice) -> None:
            out[rows] = function(sigma, *(one[rows] for one in z))

        _over_rows(slab, len(out), 64 * first.size, self._threads)
        return out


def _adapt(
    values: Array, gradient: Array, mean: Array, square: Array, adam: AdamRule, size: float,
    epsilon: float,
) -> None:  # fmt: skip
    """Move values by Adam, in place; the gradient is overwritten."""
    number = values.dtype.type
    first, second = adam.betas
    mean *= number(first)
    mean += number(1.0 - first) * gradient
    gradient *= gradient
    gradient *= number(1.0 - second)
    square *= number(second)
    square += gradient
    np.sqrt(square, out=gradient)
    gradient += number(epsilon)
    np.divide(mean, gradient, out=gradient)
    gradient *= number(size)
    values -= gradient


def _product(matrix: Array, columns: Array, threads: int) -> Array:
    """matrix @ columns, slab by slab."""
    out = np.empty((len(matrix), columns.shape[1]), columns.dtype)

    def slab(rows: slice) -> None:
        np.matmul(matrix[rows], columns, out=out[rows])

    _over_rows(slab, len(matrix), matrix.size * columns.shape[1], threads)
    return out


def _add_product(
    target: Array, factor: float, delta: Array, inputs: Array, keep: float, threads: int
) -> None:
    """Make an array keep times itself plus factor delta inputs', in its place."""
    if not target.flags.c_contiguous:
        target *= target.dtype.type(keep)
        target += target.dtype.type(factor) * (delta @ inputs.T)
        return
    product = blas.sgemm if target.dtype == np.float32 else blas.dgemm

    def slab(rows: slice) -> None:
        # The transposed product, in Fortran's order.
        product(
            factor, inputs.T, delta[rows].T, beta=keep, c=target[rows].T, trans_a=1, overwrite_c=1
        )

    _over_rows(slab, len(target), target.size * delta.shape[1], threads)


def _over_rows(work: Callable[[slice], None], rows: int, cost: float, threads: int) -> None:
    """Call `work` for slabs of rows, on threads if that is faster."""
    slabs = [slice(first, min(first + ROWS, rows)) for first in range(0, rows, ROWS)]
    if threads == 1 or len(slabs) == 1 or cost < WORTH_A_THREAD:
        for one in slabs:
            work(one)
    else:
        list(thread_pool(threads).map(work, slabs))
