"""Values of a network at fixed points, and steps of descent that move its weights in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.threads import one_blas_thread, thread_pool
from ntkspec.trainer.layer import Layer
from ntkspec.trainer.network import FiniteNetwork
from ntkspec.trainer.passes import AdamRule, Passes, memory_kinds

__all__ = ["ProductSteps", "steps_at"]

Array = NDArray[Any]
Vector = NDArray[np.float64]

#: Numbers in an array of a slab of the neurons of one hidden layer, which fits the second-level
#: cache, and slabs below which a second thread costs more than it saves.
NUMBERS, FEW_SLABS = 2**16, 4


def steps_at(
    network: FiniteNetwork,
    points: Array,
    threads: int,
    momentum: float = 0.0,
    adam: AdamRule | None = None,
    done: int = 0,
) -> _Compiled | ProductSteps:
    """Return what moves a network: compiled loops over its neurons where there is one hidden layer.

    `points`, (n, dim), are in the precision of the weights.  With momentum the update of all
    weights is momentum times the last one, less the gradient times the step size.  Adam needs to
    know how many steps have been done.
    """
    if network.compiled and momentum == 0.0 and adam is None:
        return _Compiled(network, points, threads)
    return ProductSteps(network, points, threads, momentum, adam, done)


class _Compiled:
    """One hidden layer, neuron by neuron; no array holds points x neurons."""

    def __init__(self, network: FiniteNetwork, points: Array, threads: int) -> None:
        hidden, out = network.layers
        scaled = points * points.dtype.type(hidden.scale) if hidden.scale != 1.0 else points
        self._weights = hidden.weights if network.joint is None else network.joint
        if hidden.bias is not None:
            # A bias is a weight of one more coordinate, the same for all points.
            ones = np.full((len(points), 1), hidden.bias_scale, points.dtype)
            scaled = np.hstack((scaled, ones))
        self._readout, self._both = out.weights[0], out.trained
        self._factor = out.scale * np.sqrt(len(self._weights))
        self._layer = Layer(network.network.sigmas[0], np.ascontiguousarray(scaled), threads)

    def values(self) -> Vector:
        return self._scaled(self._layer.values(self._weights, self._readout))

    def step(self, derivative: Vector, step_size: float, last: bool = False) -> Vector:
        size = step_size * self._factor
        layer = self._layer
        return self._scaled(layer.step(self._weights, self._readout, derivative, size, self._both))

    def _scaled(self, values: Vector) -> Vector:
        return values if self._factor == 1.0 else self._factor * values


class ProductSteps:
    """Values of any network at fixed points, and steps, by matrix products.

    Sums over the neurons of one hidden layer are split into slabs that are added in order, so that
    no number depends on the number of threads.

    Parameters
    ----------
    network : FiniteNetwork
    points : (n, dim) ndarray
        In the precision of the weights.
    threads : int
    momentum : float
        Of the heavy ball.
    adam : AdamRule, optional
    done : int
        Earlier steps.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> ProductSteps(start("tanh", 64, 2, seed=0), np.eye(2)).values()
    array([0., 0.])
    """

    def __init__(
        self, network: FiniteNetwork, points: Array, threads: int = 1, momentum: float = 0.0,
        adam: AdamRule | None = None, done: int = 0,
    ) -> None:  # fmt: skip
        network.memory(memory_kinds(momentum, adam))  # of the whole, of which slabs have views
        slabs = list(network.blocks(network.columns(len(points)), NUMBERS))
        spread = len(slabs) >= FEW_SLABS and threads > 1
        self._pool = thread_pool(threads) if spread else None
        alone = threads if len(slabs) == 1 else 1
        self._slabs = [network.passes(layers, points, alone) for layers in slabs]
        self._threads, self._momentum, self._adam, self._done = alone, momentum, adam, done

    def values(self) -> Vector:
        """What is observed at the points."""
        return self._sum(lambda passes: passes.forward())

    def step(self, derivative: Vector, step_size: float, last: bool = False) -> Vector:
        """Do one step against the derivative of the loss by the values; return the new values.

        The `last` step at these points returns zeros.
        """

        def move(passes: Passes) -> Array:
            for found in passes.backward(derivative):
                if self._adam is None:
                    found.layer.move(found, step_size, self._momentum, self._threads)
                else:
                    found.layer.adapt(found, step_size, self._adam, self._done, self._threads)
            return np.zeros_like(derivative) if last else passes.forward()

        moved = self._sum(move)
        self._done += 1
        return moved

    def _sum(self, work: Callable[[Passes], Array]) -> Vector:
        with one_blas_thread():
            over = map if self._pool is None else self._pool.map
            return np.asarray(np.sum(list(over(work, self._slabs)), axis=0, dtype=np.float64))
