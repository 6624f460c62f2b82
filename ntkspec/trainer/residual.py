"""A network under a differential operator, A f, and passes through it.

A pass carries, beside the values h of each part, the derivatives h_i along tangents e_i of the
points and L h, L a second-order operator with the principal part sum_i D_i^2.  A dense layer maps
all of them alike, its bias the values alone, and an activation makes of them

    sigma(z),   sigma'(z) z_i,   sigma'(z) L z + sigma''(z) sum_i z_i^2.

On the sphere the e_i are an orthonormal frame of the tangent space at x and L x = -(d - 1) x,
which makes L the Laplace-Beltrami operator; on a torus, x being its features, they are the
derivatives of x by the coordinates, and L x is the Laplacian of x.  For d/dphi on the circle, and
d/dx, one tangent is enough.  One hidden layer, z = w . x + b, needs no tangents on the sphere:
there sum_i z_i^2 = w . w - (w . x)^2.  Beside A f at the points f itself may be observed, at points
of data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from ntkspec.activations import Activation
from ntkspec.errors import NtkspecError
from ntkspec.operators import Operator, refused_kink
from ntkspec.trainer.network import FiniteNetwork, is_shallow
from ntkspec.trainer.passes import Dense, Gradient, Passes

__all__ = ["Applied", "check_residual", "derivatives_of"]

Array = NDArray[Any]
Vector = NDArray[np.float64]
#: sigma and its derivatives up to an order, at most the third.
Derivatives = Callable[[Array, int], tuple[Array, ...]]


class Applied(FiniteNetwork):
    """A f, and f at points of data, of a network, whose weights it shares.

    Parameters
    ----------
    network : FiniteNetwork
        Without Normalize.
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

    compiled = False

    def __init__(
        self, network: FiniteNetwork, operator: Operator, data: ArrayLike | None = None,
        frequencies: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        check_residual(network.network, operator)
        vars(self).update(vars(network))  # the same layers
        self._known = None
        self.operator = operator
        self.frequencies = None if frequencies is None else np.asarray(frequencies, np.float64)
        self._check_domain()
        self.data = self._points(data) if data is not None else np.empty((0, self.dim), self.dtype)
        if network.origin is not None:
            self.origin = Applied(network.origin, operator, data, frequencies)

    def _check_domain(self) -> None:
        known, dim = self.frequencies, self.dim
        if known is not None and (known.ndim != 2 or 2 * len(known) != dim):
            raise NtkspecError(
                f"frequencies of shape {known.shape} are not allowed with points of dimension "
                f"{dim}; give (J, m) for features of dimension 2 J"
            )
        if self.operator.name == "derivative" and self._coordinates != 1:
            raise NtkspecError(
                f"operator = {str(self.operator)!r} is not allowed here; the derivative needs the "
                "circle or a torus of one dimension, and 'laplace' takes any"
            )

    @property
    def _coordinates(self) -> int:
        return self.dim - 1 if self.frequencies is None else int(self.frequencies.shape[1])

    @property
    def _on_sphere(self) -> bool:
        laplace = self.operator.name == "laplace" and self.frequencies is None
        return laplace and is_shallow(self.network.program)

    def columns(self, points: int) -> int:
        """Those of the values, of each tangent and of L."""
        if self._on_sphere:
            return 2 * (points + len(self.data))
        more = self._coordinates + (self.operator.name == "laplace")
        return points * (1 + more) + len(self.data)

    def observations(self, points: int) -> int:
        """Numbers that are observed at so many points."""
        return points + len(self.data)

    def passes(
        self, layers: list[Dense], points: Array, threads: int, apart: bool = False
    ) -> Passes:
        """Passes that carry derivatives."""
        if self._on_sphere and not apart:
            return _OnSphere(self, layers, points, threads)
        return _Jets(self, layers, points, threads)

    def tangent_operator(self, x: ArrayLike, threads: int | None = None) -> LinearOperator:
        """`tangent_matrix` as an operator."""
        return aslinearoperator(self.tangent_matrix(x, threads))


class _Jets(Passes):
    """Passes of an `Applied` network: columns of values, of each tangent, and of L.

    A f needs the values and the last of the others alone, so that is what the last activation
    makes.
    """

    def __init__(self, seen: Applied, layers: list[Dense], points: Array, threads: int) -> None:
        n, self._shift = len(points), points.dtype.type(seen.operator.shift)
        slopes, bend = _of_points(points, seen.frequencies)
        self._second = seen.operator.name == "laplace"
        columns = np.concatenate([points, seen.data, *slopes, *[bend] * self._second])
        super().__init__(seen.network.program, layers, columns, threads)
        self._n, self._values = n, n + len(seen.data)
        self._biased = self._values
        self._more = self._after(len(columns))
        self._mine, self._data, self._end = slice(n), slice(n, self._values), slice(-n, None)
        self._columns = self._values + n if self._last else len(columns)

    def forward(self) -> Array:
        """A f at the points, then f at the data."""
        found = super().forward()
        seen = found[: self._values].copy()
        seen[self._mine] *= self._shift
        seen[self._mine] += found[self._end]
        return seen

    def backward(self, derivative: Array) -> Iterator[Gradient]:
        """Gradients for the derivative by these."""
        full = np.zeros(self._columns, self._inputs.dtype)
        full[: self._values] = derivative
        full[self._end] = full[self._mine]
        full[self._mine] *= self._shift
        return super().backward(full)

    def tangent(self, found: Gradient) -> Vector:
        """Sum over the columns of each point, by coordinates of the inputs if they are few."""
        layer, delta, inputs, seen = found.layer, found.delta, found.inputs, self._values
        if len(inputs) * seen**2 > delta.shape[1] ** 2:
            return self._folded(self._folded(layer.tangent(found)).T)
        # Of the biases, which the tangents have not; then each coordinate is an input of 1.
        out = layer.tangent(found._replace(delta=delta[:, :seen], inputs=np.zeros((1, seen))))
        for x in inputs:
            slopes = self._folded((delta * x).T).T
            out += layer.tangent(Gradient(layer, slopes, np.ones((1, seen)), 0))
        return out

    def _folded(self, rows: Array) -> Array:
        """Sums of the rows of each point; the rows are overwritten."""
        for some in self._after(len(rows)):
            rows[self._mine] += rows[some]
        return rows[: self._values]

    def _after(self, columns: int) -> list[slice]:
        """The columns after those of the values, for each tangent and for L."""
        return [slice(i, i + self._n) for i in range(self._values, columns, self._n)]

    def _activated(self, sigma: Activation, z: Array, last: bool) -> Array:
        known, mine, data = derivatives_of(sigma), self._mine, self._data
        columns = self._columns if last else z.shape[1]

        def work(sigma: Activation, z: Array) -> Array:
            out = np.empty((len(z), columns), z.dtype)
            value, *slopes = known(z[:, mine], 1 + self._second)
            out[:, mine], out[:, data] = value, known(z[:, data], 0)[0]
            if not last:
                for some in self._more[:-1]:
                    np.multiply(slopes[0], z[:, some], out=out[:, some])
            np.multiply(slopes[0], z[:, self._end], out=out[:, self._end])
            if self._second:
                slopes[1] *= self._square(z)
                out[:, self._end] += slopes[1]
            return out

        return self._elementwise(work, sigma, z, columns=columns)

    def _backed(self, sigma: Activation, z: Array, delta: Array, last: bool) -> Array:
        known, mine, data = derivatives_of(sigma), self._mine, self._data

        def work(sigma: Activation, z: Array, delta: Array) -> Array:
            out, end = np.empty_like(z), delta[:, self._end]
            _value, first, second, *third = known(z[:, mine], 2 + self._second)
            np.multiply(first, delta[:, mine], out=out[:, mine])
            np.multiply(known(z[:, data], 1)[1], delta[:, data], out=out[:, data])
            along = z[:, self._end] * end
            if not last:
                for some in self._more[:-1]:
                    along += z[:, some] * delta[:, some]
                    np.multiply(first, delta[:, some], out=out[:, some])
            along *= second
            out[:, mine] += along
            np.multiply(first, end, out=out[:, self._end])
            if self._second:
                third[0] *= self._square(z)
                third[0] *= end
                out[:, mine] += third[0]
                second *= 2.0 * end
                for some in self._more[:-1]:
                    if last:
                        np.multiply(second, z[:, some], out=out[:, some])
                    else:
                        out[:, some] += second * z[:, some]
            return out

        return self._elementwise(work, sigma, z, delta)

    def _square(self, z: Array) -> Array:
        """Square of the slopes of z."""
        first, *others = (z[:, some] for some in self._more[:-1])
        total = first * first
        for one in others:
            total += one * one
        return total


class _OnSphere(Passes):
    """Passes of one hidden layer, z = w . x + b, on the sphere.

    In it A sigma = (w . w - u^2) sigma'' - (d - 1) u sigma' + c sigma, u = w . x.  Gradients by w
    and b are summed over the points.
    """

    def __init__(self, seen: Applied, layers: list[Dense], points: Array, threads: int) -> None:
        columns = np.concatenate([points, seen.data])
        super().__init__(seen.network.program, layers, columns, threads)
        self._mine, self._data = slice(len(points)), slice(len(points), None)
        number = points.dtype.type
        self._bend, self._shift = number(1 - seen.dim), number(seen.operator.shift)

    def forward(self) -> Array:
        """A f at the points, then f at the data."""
        (hidden, out), (sigma,) = self._layers, self._program.activations
        known, number = derivatives_of(sigma), self._inputs.dtype.type
        z = hidden.values(self._inputs, self._threads)
        w, u = number(hidden.scale) * hidden.weights, z[:, self._mine]
        if hidden.bias is not None:
            u = u - number(hidden.bias_scale) * hidden.bias[:, np.newaxis]

        def work(sigma: Activation, z: Array, w: Array, u: Array) -> Array:
            value, first, second = known(z[:, self._mine], 2)
            first *= self._bend
            along = u * second
            np.subtract(first, along, out=along)
            along *= u
            second *= _square(w)
            second += along
            value *= self._shift
            second += value
            data = z[:, self._data]
            return np.hstack((second, known(data, 0)[0])) if data.size else second

        h = self._elementwise(work, sigma, z, w, u)
        self._tape = [z, w, u, h]
        return np.asarray(out.values(h, self._threads)[0])

    def backward(self, derivative: Array) -> Iterator[Gradient]:
        """Gradients of both layers, the readout's first."""
        if not self._tape:
            self.forward()
        (hidden, out), (sigma,) = self._layers, self._program.activations
        *neurons, h = self._tape
        known, d, g = derivatives_of(sigma), len(self._inputs), derivative.astype(h.dtype)
        readout = h.dtype.type(out.scale) * out.weights.T
        yield Gradient(out, g[np.newaxis], h)
        # Of the derivative by b, and by the coordinates of w.
        columns = np.concatenate((g[np.newaxis], g * self._inputs)).T
        mine, data = columns[self._mine], columns[self._data]

        def work(sigma: Activation, z: Array, w: Array, u: Array, readout: Array) -> Array:
            _value, first, second, third = known(z[:, self._mine], 3)
            squares = u * u
            np.subtract(_square(w), squares, out=squares)
            third *= squares
            across = second @ mine[:, :1]
            second *= u
            found, by_first, by_second = third @ mine, first @ mine, second @ mine
            found += self._shift * by_first + self._bend * by_second
            found[:, 1:] += self._bend * by_first[:, 1:] - 2 * by_second[:, 1:] + 2 * across * w
            if len(data):
                found += known(z[:, self._data], 1)[1] @ data
            return np.asarray(found * readout)

        delta = self._elementwise(work, sigma, *neurons, readout, columns=d + 1)
        yield Gradient(hidden, delta, np.eye(d, d + 1, 1, dtype=h.dtype), 1)


def _square(w: Array) -> Array:
    """w . w, of each row."""
    return np.asarray(np.einsum("ri,ri->r", w, w)[:, np.newaxis])


def _of_points(x: Array, frequencies: Array | None) -> tuple[list[Array], Array]:
    """Tangents at points, and what L makes of these."""
    if frequencies is not None:
        cosines, sines = np.split(x, 2, axis=1)
        rates = (2.0 * math.pi * frequencies.T).astype(x.dtype)
        slopes = [np.hstack((-rate * sines, rate * cosines)) for rate in rates]
        return slopes, -np.tile(np.sum(rates**2, axis=0), 2) * x
    if x.shape[1] == 2:
        return [np.stack((-x[:, 1], x[:, 0]), axis=1)], -x
    # Of the reflection that maps x to the last axis, or to the opposite one if that is nearer.
    v = x.copy()
    v[:, -1] += np.where(x[:, -1] < 0.0, -1.0, 1.0)
    size = 2.0 / np.sum(v * v, axis=1)
    frame = np.eye(x.shape[1], dtype=x.dtype)[:-1]
    slopes = [axis - (size * v[:, i])[:, np.newaxis] * v for i, axis in enumerate(frame)]
    return slopes, -(x.shape[1] - 1) * x


def check_residual(network: Any, operator: Operator) -> None:
    """Raise unless a network can be trained on residuals of an operator.

    Examples
    --------
    >>> from ntkspec import Network
    >>> check_residual(Network("tanh"), Operator("laplace"))
    """
    if operator.power != 1:
        raise NtkspecError(
            f"operator = {str(operator)!r} is not allowed in training; its power must be 1, as "
            "activations have three derivatives here"
        )
    if network.program.normalizes:
        raise NtkspecError(f"{network!r} is not allowed with an operator; leave Normalize out")
    for sigma in network.program.activations:
        order, needed = sigma.singularity.order, math.floor(operator.order + 1.5)
        if sigma.singularity.kind in ("kink", "kinks") and order < needed:
            raise NtkspecError(
                refused_kink(operator, network.name, order, needed, known=not network.user)
            )
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
