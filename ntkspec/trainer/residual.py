"""A network with one hidden layer under a differential operator, A f, and steps of descent on it.

On the sphere, with z = w . x,

    Laplace-Beltrami sigma(z) = (|w|^2 - z^2) sigma''(z) - (d - 1) z sigma'(z),

on the circle d/dphi sigma(z) = sigma'(z) w . x', x' the unit tangent, and on a torus, x being its
features and t_i their slopes,

    Laplacian sigma(z) = sum_i (w . t_i)^2 sigma''(z) + w . Laplacian(x) sigma'(z).

Beside A f at the points of a descent f itself may be observed, at points of data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from ntkspec.activations import Activation
from ntkspec.errors import NtkspecError
from ntkspec.operators import Operator, refused_kink
from ntkspec.threads import checked_threads, one_blas_thread, thread_pool
from ntkspec.trainer.network import FiniteNetwork, is_shallow

__all__ = ["Applied", "ResidualSteps", "check_residual", "derivatives_of"]

Array = NDArray[Any]
Vector = NDArray[np.float64]
#: sigma and its derivatives up to an order, at most the third.
Derivatives = Callable[[Array, int], tuple[Array, ...]]

#: Numbers in an array of a slab of neurons, which fits the second-level cache.
NUMBERS = 2**14
#: Slabs below which a second thread costs more than it saves.
FEW_SLABS = 4


class Applied(FiniteNetwork):
    """A f, and f at points of data, of a network, whose weights it shares.

    Parameters
    ----------
    network : FiniteNetwork
        With one hidden layer, without biases, only the inner weights trained.
    operator : Operator
        A, of power 1.
    data : (m, dim) array_like, optional
        Unit vectors.  `values` and `tangent_matrix` have f there after A f at the points.
    frequencies : (J, m) array_like, optional
        Of a torus, on which A then acts; points are its features, cosines first.

    Raises
    ------
    NtkspecError
        If the network cannot be trained on residuals of the operator.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> network = Applied(start("tanh", 64, 2, seed=0), Operator("laplace"), [[0.6, 0.8]])
    >>> network.values(np.eye(2)), network.tangent_matrix(np.eye(2)).shape
    (array([0., 0., 0.]), (3, 3))
    """

    def __init__(
        self, network: FiniteNetwork, operator: Operator, data: ArrayLike | None = None,
        frequencies: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        check_residual(network.network, operator)
        super().__init__(network.network, network.layers)
        self.operator = operator
        self.frequencies = None if frequencies is None else np.asarray(frequencies, np.float64)
        self._check_domain()
        self.data = self._points(data) if data is not None else np.empty((0, self.dim), self.dtype)

    def _check_domain(self) -> None:
        known, dim = self.frequencies, self.dim
        if known is not None and (known.ndim != 2 or 2 * len(known) != dim):
            raise NtkspecError(
                f"frequencies of shape {known.shape} are not allowed with points of dimension "
                f"{dim}; give (J, m) for features of dimension 2 J"
            )
        coordinates = dim - 1 if known is None else known.shape[1]
        if self.operator.name == "derivative" and coordinates != 1:
            raise NtkspecError(
                f"operator = {str(self.operator)!r} is not allowed here; the derivative needs the "
                "circle or a torus of one dimension, and 'laplace' takes any"
            )

    def values(self, x: ArrayLike, threads: int | None = None) -> Vector:
        """A f at points (n, dim), then f at the data: (n + m,)."""
        return ResidualSteps(self, self._points(x), checked_threads(threads)).values()

    def tangent_matrix(self, x: ArrayLike, threads: int | None = None) -> Vector:
        """Kernel of these values, (n + m, n + m), of the network's own gradients."""
        return ResidualSteps(self, self._points(x), checked_threads(threads)).tangent_matrix()

    def tangent_operator(self, x: ArrayLike, threads: int | None = None) -> LinearOperator:
        """`tangent_matrix` as an operator."""
        return aslinearoperator(self.tangent_matrix(x, threads))


class ResidualSteps:
    """Values of an `Applied` network at fixed points, and steps that move its weights in place.

    Sums over the neurons are split into slabs that are added in order, so that no number depends
    on the number of threads.

    Parameters
    ----------
    network : Applied
    points : (n, dim) ndarray
        In the precision of the weights.
    threads : int
    momentum : float
        Of the heavy ball.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> network = Applied(start("tanh", 64, 2, seed=0), Operator("laplace", shift=-1.0))
    >>> ResidualSteps(network, np.eye(2)).values()
    array([0., 0.])
    """

    def __init__(
        self, network: Applied, points: Array, threads: int = 1, momentum: float = 0.0
    ) -> None:
        self._hidden, self._out = network.layers
        self._threads, self._momentum = threads, momentum
        derivatives = derivatives_of(network.network.sigmas[0])
        n, self._count = len(points), len(points) + len(network.data)
        #: What is observed, and its places among the values.
        applied = _Part(derivatives, points, network.operator, network.frequencies)
        self._parts = [(applied, slice(n))]
        if len(network.data):
            self._parts.append((_Part(derivatives, network.data, None, None), slice(n, None)))
        neurons = max(16, NUMBERS // self._count)
        width = network.width
        self._slabs = [slice(i, min(i + neurons, width)) for i in range(0, width, neurons)]

    def values(self) -> Vector:
        """A f at the points, then f at the data."""
        return self._over_slabs(lambda mine: None)

    def step(self, derivative: Vector, step_size: float) -> Vector:
        """Do one step against the derivative of the loss by the values; return the new values."""
        hidden = self._hidden
        g = derivative.astype(hidden.weights.dtype)
        size = hidden.weights.dtype.type(step_size * hidden.scale)
        beta = hidden.weights.dtype.type(self._momentum)
        last = hidden.memory("velocity")[0] if self._momentum else None

        def move(mine: slice) -> None:
            w, a = self._neurons(mine)
            moved = np.sum([part.back(w, g[at]) for part, at in self._parts], axis=0)
            moved *= (size * a)[:, np.newaxis]
            if last is not None:
                moved -= beta * last[mine]
                last[mine] = -moved
            hidden.weights[mine] -= moved

        return self._over_slabs(move)

    def tangent_matrix(self) -> Vector:
        """Kernel of the values, of the network's own gradients."""
        out = np.zeros((self._count, self._count))
        with one_blas_thread():
            for mine in self._slabs:
                w, a = self._neurons(mine)
                found = [(part, part.gradients(w)) for part, _ in self._parts]
                for i in range(w.shape[1]):
                    slopes = [part.coordinate(i, w, *both) for part, both in found]
                    slope = np.concatenate(slopes, axis=1) * a[:, np.newaxis]
                    out += slope.T @ slope
        return out * self._hidden.scale**2

    def _over_slabs(self, before: Callable[[slice], None]) -> Vector:
        """Values, after a piece of work on each slab."""
        sums = np.empty((len(self._slabs), self._count))

        def work(number: int) -> None:
            before(self._slabs[number])
            w, a = self._neurons(self._slabs[number])
            for part, at in self._parts:
                sums[number, at] = a @ part.values(w)

        with one_blas_thread():
            if self._threads == 1 or len(self._slabs) < FEW_SLABS:
                for number in range(len(self._slabs)):
                    work(number)
            else:
                list(thread_pool(self._threads).map(work, range(len(self._slabs))))
        return np.asarray(sums.sum(axis=0))

    def _neurons(self, mine: slice) -> tuple[Array, Array]:
        """Inner weights w of some neurons, and the factors of sigma(w . x) in f."""
        scale = self._hidden.weights.dtype.type
        w = self._hidden.weights[mine] * scale(self._hidden.scale)
        return w, self._out.weights[0, mine] * scale(self._out.scale)


class _Part:
    """A sigma(w . x), or without an operator sigma(w . x), at points; neurons x points.

    The gradient by w is p x plus products q c: c is w on the sphere, where it is given as None, and
    else a derivative of x.
    """

    def __init__(
        self, derivatives: Derivatives, points: Array, operator: Operator | None,
        frequencies: Array | None,
    ) -> None:  # fmt: skip
        self._derivatives, self._x = derivatives, points
        self._name: str = "value" if operator is None else operator.name
        self._shift = points.dtype.type(operator.shift if operator is not None else 0.0)
        if self._name == "laplace" and frequencies is None:
            self._name = "sphere"
        #: First derivatives of x, and its Laplacian.
        self._slopes, self._bend = [np.stack((-points[:, 1], points[:, 0]), axis=1)], points
        if frequencies is not None:
            cosines, sines = np.split(points, 2, axis=1)
            rates = (2.0 * math.pi * frequencies.T).astype(points.dtype)
            self._slopes = [np.hstack((-rate * sines, rate * cosines)) for rate in rates]
            self._bend = -np.tile(np.sum(rates**2, axis=0), 2) * points

    def values(self, w: Array) -> Array:
        z = w @ self._x.T
        if self._name == "value":
            return self._derivatives(z, 0)[0]
        if self._name == "derivative":
            value, first = self._derivatives(z, 1)
            first *= w @ self._slopes[0].T
        else:
            value, first, second = self._derivatives(z, 2)
            if self._name == "sphere":
                first *= z
                first *= -(w.shape[1] - 1)
                z *= z
                second *= np.sum(w * w, axis=1)[:, np.newaxis] - z
            else:
                first *= w @ self._bend.T
                second *= self._square(w)
            first += second
        if self._shift:
            first += self._shift * value
        return first

    def gradients(self, w: Array) -> tuple[Array, list[tuple[Array, Array | None]]]:
        """p, and pairs of q and c."""
        z = w @ self._x.T
        if self._name == "value":
            return self._derivatives(z, 1)[1], []
        if self._name == "derivative":
            _, first, second = self._derivatives(z, 2)
            second *= w @ self._slopes[0].T
            second += self._shift * first
            return second, [(first, self._slopes[0])]
        _, first, second, third = self._derivatives(z, 3)
        if self._name == "sphere":
            d = w.shape[1]
            third *= np.sum(w * w, axis=1)[:, np.newaxis] - z * z
            z *= second
            z *= d + 1
            third -= z
            third += (self._shift - (d - 1)) * first
            second *= 2.0
            return third, [(second, None)]
        third *= self._square(w)
        third += second * (w @ self._bend.T) + self._shift * first
        across = [(2.0 * second * (w @ slope.T), slope) for slope in self._slopes]
        return third, [*across, (first, self._bend)]

    def back(self, w: Array, g: Array) -> Array:
        """Derivative of the loss by w, (neurons, dim), without the neurons' factors."""
        along, across = self.gradients(w)
        moved = along @ (g[:, np.newaxis] * self._x)
        for q, c in across:
            moved += (q @ g)[:, np.newaxis] * w if c is None else q @ (g[:, np.newaxis] * c)
        return np.asarray(moved)

    def coordinate(
        self, i: int, w: Array, along: Array, across: list[tuple[Array, Array | None]]
    ) -> Array:
        """A coordinate of the gradients."""
        found = along * self._x[:, i]
        for q, c in across:
            found += q * (w[:, i, np.newaxis] if c is None else c[:, i])
        return np.asarray(found)

    def _square(self, w: Array) -> Array:
        """Square of the slope of z."""
        return np.asarray(sum((w @ slope.T) ** 2 for slope in self._slopes))


def check_residual(network: Any, operator: Operator) -> None:
    """Raise unless a network can be trained on residuals of an operator.

    Examples
    --------
    >>> from ntkspec import Network
    >>> check_residual(Network("tanh"), Operator("laplace"))
    """
    if operator.power != 1:
        raise NtkspecError(
            f"operator = {str(operator)!r} is not allowed in training; its power must be 1"
        )
    first = network.program.steps[0]
    plain = is_shallow(network.program) and not (first.bias or first.own_bias)
    if not plain or network.trained != "hidden":
        raise NtkspecError(
            f"{network!r} is not allowed with an operator; train the inner weights of one hidden "
            "layer without biases"
        )
    sigma = network.sigmas[0]
    order, needed = sigma.singularity.order, math.floor(operator.order + 1.5)
    if sigma.singularity.kind in ("kink", "kinks") and order < needed:
        raise NtkspecError(refused_kink(operator, network.name, order, needed))
    derivatives_of(sigma)


# --- derivatives of activations ------------------------------------------------------------------


def derivatives_of(sigma: Activation) -> Derivatives:
    """Return a function of z and an order, at most 3, for sigma(z) and its derivatives up to it.

    In the precision of z, in new arrays.

    Raises
    ------
    NtkspecError
        If they are not known.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> [float(one[0]) for one in derivatives_of(activation("sin"))(np.zeros(1), 3)]
    [0.0, 1.0, -0.0, -1.0]
    """
    if sigma.homogeneous is not None:
        return _of_powers(*sigma.homogeneous)
    if sigma.tanh is not None:
        return _of_tanh(*sigma.tanh)
    known = KNOWN.get(sigma.shape.base if sigma.scaled is None else "")
    if sigma.user or known is None:
        raise NtkspecError(
            f"{sigma.name} has no second and third derivatives here; use one of relu_power, "
            f"sigmoid, tanh, {', '.join(KNOWN)}"
        )
    return known


def _of_powers(power: int, right: float, left: float) -> Derivatives:
    def derivatives(z: Array, order: int) -> tuple[Array, ...]:
        number = z.dtype.type
        side = np.where(z > 0, number(right), number(left * (-1.0) ** power))
        powers = [side]
        for _ in range(power):
            powers.append(powers[-1] * z)
        return tuple(
            number(math.perm(power, k)) * powers[power - k] if k <= power else np.zeros_like(z)
            for k in range(order + 1)
        )

    return derivatives


def _of_tanh(shift: float, height: float, rate: float) -> Derivatives:
    def derivatives(z: Array, order: int) -> tuple[Array, ...]:
        number = z.dtype.type
        t = np.tanh(number(rate) * z if rate != 1.0 else z)
        found = [number(shift) + number(height) * t]
        if order:
            square = t * t
            s = 1 - square
            found.append(number(height * rate) * s)
        if order > 1:
            found.append(number(-2.0 * height * rate**2) * t)
            found[2] *= s
        if order > 2:
            square *= 3
            square -= 1
            square *= number(2.0 * height * rate**3) * s
            found.append(square)
        return tuple(found)

    return derivatives


_logistic = _of_tanh(0.5, 0.5, 0.5)


def _silu(z: Array, order: int) -> tuple[Array, ...]:
    s, first, second, third = _logistic(z, 3)
    found = (z * s, s + z * first, 2 * first + z * second, 3 * second + z * third)
    return found[: order + 1]


def _softplus(z: Array, order: int) -> tuple[Array, ...]:
    return (np.logaddexp(z, z.dtype.type(0)), *_logistic(z, 2))[: order + 1]


def _gelu(z: Array, order: int) -> tuple[Array, ...]:
    below, density = special.ndtr(z), _density(z)
    found = (z * below, below + z * density, (2 - z * z) * density, (z**3 - 4 * z) * density)
    return found[: order + 1]


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z * z) * z.dtype.type(0.3989422804014327))


def _erf(z: Array, order: int) -> tuple[Array, ...]:
    first = np.exp(-z * z) * z.dtype.type(1.1283791670955126)
    return (special.erf(z), first, -2 * z * first, (4 * z * z - 2) * first)[: order + 1]


def _gaussian(z: Array, order: int) -> tuple[Array, ...]:
    value = np.exp(-0.5 * z * z)
    return (value, -z * value, (z * z - 1) * value, (3 * z - z**3) * value)[: order + 1]


def _exp(z: Array, order: int) -> tuple[Array, ...]:
    value = np.exp(z)
    return tuple(value.copy() for _ in range(order + 1))


def _sin(z: Array, order: int) -> tuple[Array, ...]:
    sine, cosine = np.sin(z), np.cos(z)
    return (sine, cosine, -sine, -cosine)[: order + 1]


def _cos(z: Array, order: int) -> tuple[Array, ...]:
    sine, cosine = np.sin(z), np.cos(z)
    return (cosine, -sine, -cosine, sine.copy())[: order + 1]


KNOWN: dict[str, Derivatives] = {
    "gelu": _gelu, "silu": _silu, "softplus": _softplus, "erf": _erf, "gaussian": _gaussian,
    "exp": _exp, "sin": _sin, "cos": _cos,
}  # fmt: skip
