"""Values of a network at fixed points, and steps of descent that move its weights in place."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ntkspec.threads import one_blas_thread
from ntkspec.trainer.layer import layer_at
from ntkspec.trainer.network import FiniteNetwork, is_shallow
from ntkspec.trainer.passes import AdamRule, Passes
from ntkspec.trainer.residual import Applied, ResidualSteps

__all__ = ["Steps", "steps_at"]

Array = NDArray[Any]
Vector = NDArray[np.float64]


class Steps(Protocol):
    """Values and steps at fixed points."""

    def values(self) -> Vector:
        """f at the points, (n,), without what is subtracted at the start."""
        ...

    def step(self, derivative: Vector, step_size: float) -> Vector:
        """Do one step against the derivative of the loss by f at the points; return the new f."""
        ...


def steps_at(
    network: FiniteNetwork,
    points: Array,
    threads: int,
    momentum: float = 0.0,
    adam: AdamRule | None = None,
    done: int = 0,
) -> Steps:
    """Return what moves a network: compiled loops over its neurons where there is one hidden layer.

    `points`, (n, dim), are in the precision of the weights.  With momentum the update of all
    weights is momentum times the last one, less the gradient times the step size.  Adam needs to
    know how many steps have been done.
    """
    if isinstance(network, Applied):
        return ResidualSteps(network, points, threads, momentum)
    if momentum == 0.0 and adam is None and is_shallow(network.network.program):
        hidden = network.layers[0]
        if hidden.trained and (hidden.bias is None or hidden.bias_trained):
            return _Shallow(network, points, threads)
    return _Deep(network, points, threads, momentum, adam, done)


class _Shallow:
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
        self._layer = layer_at(network.network.sigmas[0], np.ascontiguousarray(scaled), threads)

    def values(self) -> Vector:
        return self._scaled(self._layer.values(self._weights, self._readout))

    def step(self, derivative: Vector, step_size: float) -> Vector:
        size = step_size * self._factor
        layer = self._layer
        return self._scaled(layer.step(self._weights, self._readout, derivative, size, self._both))

    def _scaled(self, values: Vector) -> Vector:
        return values if self._factor == 1.0 else self._factor * values


class _Deep:
    """Any network, by matrix products."""

    def __init__(
        self, network: FiniteNetwork, points: Array, threads: int, momentum: float,
        adam: AdamRule | None, done: int,
    ) -> None:  # fmt: skip
        self._passes = Passes(network.network.program, network.layers, points, threads)
        self._threads, self._momentum, self._adam, self._done = threads, momentum, adam, done

    def values(self) -> Vector:
        with one_blas_thread():
            return self._passes.forward().astype(np.float64)

    def step(self, derivative: Vector, step_size: float) -> Vector:
        with one_blas_thread():
            for layer, delta, inputs in self._passes.backward(derivative):
                if self._adam is None:
                    layer.move(delta, inputs, step_size, self._momentum, self._threads)
                else:
                    layer.adapt(delta, inputs, step_size, self._adam, self._done, self._threads)
            self._done += 1
            return self._passes.forward().astype(np.float64)
