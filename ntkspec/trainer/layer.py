"""Values and descent steps of a wide layer at fixed points, compiled or by numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation
from ntkspec.conventions import SELU_ALPHA, SELU_LAMBDA
from ntkspec.threads import checked_threads, one_blas_thread, thread_pool

__all__ = ["Layer", "slopes_of", "values_of"]

Array = NDArray[Any]
Vector = NDArray[np.float64]

#: Neurons in a slab: a thread takes one slab at a time, and each slab has its own sum.
SLAB = 256
#: Points in a block: with the slopes of four neurons they fit the first-level cache.
LENGTH = 256
#: The number of points is padded to a multiple of this, so that loops have no remainder.
UNIT = 16
#: Largest dimension whose loops are unrolled; above it matrix products are faster.
MOST_UNROLLED = 16
#: Pairs of point and neuron below which a second thread costs more than it saves.
WORTH_A_THREAD = 2**17
#: Activations that the compiled kernels identify by name.
NAMED = {
    "elu": "Elu", "silu": "Silu", "softplus": "Softplus", "erf": "Erf", "gelu": "Gelu",
    "sin": "Sin", "cos": "Cos", "gaussian": "Gaussian", "exp": "Exp", "mish": "Mish",
    "softsign": "Softsign", "finer": "Finer", "snake": "Snake",
}  # fmt: skip


class Layer:
    """f(x_i) = m^(-1/2) sum_r a_r sigma(w_r . x_i) at fixed points, and its steps of descent.

    The points are in the precision of the weights.  The sums over the neurons are split into slabs
    of 256, summed in that precision; the slabs are added in doubles, in order.  So the values do
    not depend on the number of threads.  Loops over groups of neurons are compiled where the
    kernels know the activation and the dimension is small; else slabs are matrix products.
    """

    def __init__(self, sigma: Activation, points: Array, threads: int | None = None) -> None:
        self.n, self.dim = points.shape
        self.points, self._sigma = points, sigma
        # A Python function may not be safe to call from several threads.
        count = checked_threads(threads)
        self.threads = 1 if sigma.user else count
        self._number = points.dtype.type
        known = self.dim <= MOST_UNROLLED
        self._formula = _formula(sigma, self._number) if known else None
        if self._formula is not None:
            blocks = -(-self.n // LENGTH)
            self._shape = blocks, -(-self.n // (blocks * UNIT)) * UNIT
            zero = (self._number(0),) * self.dim
            x = np.stack([self._blocks(column) for column in points.T], axis=1)
            self._layer = self._formula, zero, x

    def values(self, weights: Array, readout: Array) -> Vector:
        """f at the points, (n,), with weights (m, dim) and readouts (m,)."""
        run = self._products if self._formula is None else self._compiled
        return run(weights, readout)

    def step(
        self, weights: Array, readout: Array, derivative: Vector, step_size: float,
        train_readout: bool,
    ) -> Vector:  # fmt: skip
        """Do one descent step on the weights (and readouts) in place; return the new f.

        `derivative`, (n,), is that of the loss with respect to f(x_i).
        """
        run = self._products if self._formula is None else self._compiled
        scaled = self._number(step_size / np.sqrt(len(weights)))
        return run(weights, readout, derivative, scaled, train_readout)

    def _compiled(
        self, weights: Array, readout: Array, g: Vector | None = None, scaled: Any = 0,
        both: bool = False,
    ) -> Vector:  # fmt: skip
        """Do a step, if there is a derivative g, and return f at the points."""
        from ntkspec.kernels import descent

        width, w, a = len(weights), _padded(weights), _padded(readout)
        sums = np.empty((-(-len(w) // SLAB), *self._shape), self._number)
        if g is None:
            kernel: Any = descent.layer_values
            given: tuple[Any, ...] = (*self._layer, w, a, SLAB, sums)
        else:
            fast = self._sigma.tanh is not None and not both
            kernel = descent.tanh_step if fast else descent.step
            given = (*self._layer, self._blocks(g), w, a, scaled, width, both, SLAB, sums)
        self._over_slabs(lambda first, last: kernel(*given, first, last), len(sums))
        if g is not None and w is not weights:
            weights[:], readout[:] = w[:width], a[:width]
        total = sums.sum(axis=0, dtype=np.float64).reshape(-1)[: self.n]
        return np.asarray(total / np.sqrt(width))

    def _blocks(self, column: Array) -> Array:
        """An array over the points, cut into blocks and padded with zeros."""
        filled = np.zeros(self._shape, self._number)
        filled.reshape(-1)[: self.n] = column
        return filled

    def _products(
        self, weights: Array, readout: Array, g: Vector | None = None, scaled: Any = 0,
        both: bool = False,
    ) -> Vector:  # fmt: skip
        """The same by matrix products over slabs of neurons."""
        x, derivative = self.points, None if g is None else g.astype(self._number)

        def slab(mine: slice) -> Array:
            w, a = weights[mine], readout[mine]
            if derivative is not None:
                z = x @ w.T
                slopes = slopes_of(self._sigma, z) * derivative[:, np.newaxis]
                moved = scaled * a[:, np.newaxis] * (slopes.T @ x)
                if both:
                    a -= scaled * (values_of(self._sigma, z).T @ derivative)
                w -= moved
            return np.asarray(values_of(self._sigma, x @ w.T) @ a)

        slabs = -(-len(weights) // SLAB)
        sums = np.empty((slabs, self.n), weights.dtype)

        def work(first: int, last: int) -> None:
            for s in range(first, last):
                sums[s] = slab(slice(s * SLAB, (s + 1) * SLAB))

        with one_blas_thread():  # results depend on the number of BLAS threads
            self._over_slabs(work, slabs)
        return np.asarray(sums.sum(axis=0, dtype=np.float64) / np.sqrt(len(weights)))

    def _over_slabs(self, work: Callable[[int, int], None], slabs: int) -> None:
        """Call work(first, last) for parts of the slabs, in threads if that is faster."""
        count = min(self.threads, slabs, max(1, self.n * slabs * SLAB // WORTH_A_THREAD))
        if count == 1:
            work(0, slabs)
            return
        ends = [slabs * part // count for part in range(count + 1)]
        list(thread_pool(count).map(work, ends[:-1], ends[1:]))


def values_of(sigma: Activation, z: Array) -> Array:
    """sigma(z), elementwise, in the precision of z."""
    return _elementwise(sigma, z, "values", sigma.value)


def slopes_of(sigma: Activation, z: Array) -> Array:
    """sigma'(z), elementwise, in the precision of z."""
    assert sigma.derivative is not None
    return _elementwise(sigma, z, "slopes", sigma.derivative)


def _elementwise(sigma: Activation, z: Array, kernel: str, function: Callable[..., Any]) -> Array:
    formula = _formula(sigma, z.dtype.type)
    if formula is None:
        return np.asarray(function(z)).astype(z.dtype, copy=False)
    from ntkspec.kernels import sigma as kernels

    out = np.empty_like(z, order="C")
    getattr(kernels, kernel)(formula, np.ascontiguousarray(z).ravel(), out.ravel())
    return out


def _formula(sigma: Activation, number: Any) -> Any:
    """The kernels' named tuple for an activation and precision; None if they do not know it."""
    from ntkspec.kernels import sigma as kernels

    if sigma.user or sigma.kinks:
        return None
    if sigma.homogeneous is not None:
        power, right, left = sigma.homogeneous
        if power == 1:
            return kernels.Linear(number(right), number(left))
        return kernels.TwoSided(number(right), number(left), power)
    if sigma.tanh is not None:
        return kernels.Tanh(*map(number, sigma.tanh))
    if sigma.name == "selu":
        return kernels.Selu(number(SELU_LAMBDA), number(SELU_LAMBDA * SELU_ALPHA))
    if sigma.name.startswith("gabor("):
        return kernels.Gabor(*map(number, sigma.value.arguments))  # type: ignore[attr-defined]
    if sigma.shape.base not in NAMED:
        return None
    base = getattr(kernels, NAMED[sigma.shape.base])(number(1))
    if sigma.scaled is None:
        return base
    return kernels.Scaled(base, number(sigma.scaled.inner), number(sigma.scaled.outer))


def _padded(rows: Array) -> Array:
    """The array itself if its length is a multiple of four, else a copy padded with zeros."""
    from ntkspec.kernels.descent import GROUP

    rest = -len(rows) % GROUP
    if not rest and rows.flags.c_contiguous:
        return rows
    return np.concatenate((rows, np.zeros((rest, *rows.shape[1:]), rows.dtype)))
