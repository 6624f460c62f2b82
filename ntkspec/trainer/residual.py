"""A network with one hidden layer under a differential operator, A f, and steps of descent on it.

On the sphere, with z = w . x,

    Laplace-Beltrami sigma(z) = (|w|^2 - z^2) sigma''(z) - (d - 1) z sigma'(z),

and on the circle d/dphi sigma(z) = sigma'(z) w . x', x' the unit tangent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ntkspec.activations import Activation
from ntkspec.errors import NtkspecError
from ntkspec.operators import Operator
from ntkspec.threads import one_blas_thread
from ntkspec.trainer.network import FiniteNetwork, is_shallow

__all__ = ["ResidualSteps", "check_residual", "slopes_of"]

Array = NDArray[Any]
Vector = NDArray[np.float64]
Slopes = tuple[Array, Array, Array]

#: Most numbers in an array of a pass over the neurons.
MOST_NUMBERS = 2**21


class ResidualSteps:
    """A f at fixed points, and steps that move the inner weights in place.

    Parameters
    ----------
    network : FiniteNetwork
        With one hidden layer, without biases, only the inner weights trained.
    points : (n, dim) ndarray
        In the precision of the weights.
    operator : Operator
        Of power 1.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> network = start("tanh", 64, 2, seed=0)
    >>> ResidualSteps(network, np.eye(2), Operator("laplace", shift=-1.0)).values()
    array([0., 0.])
    """

    def __init__(self, network: FiniteNetwork, points: Array, operator: Operator) -> None:
        check_residual(network.network, operator)
        self._network, self._points, self._operator = network, points, operator
        self._slopes = slopes_of(network.network.sigmas[0])
        self._tangents = np.stack((-points[:, 1], points[:, 0]), axis=1)

    def values(self) -> Vector:
        """A f at the points, (n,)."""
        out = np.zeros(len(self._points))
        with one_blas_thread():
            for mine in self._blocks():
                w, a = self._part(mine)
                out += self._applied(w) @ a
        return out

    def step(self, derivative: Vector, step_size: float) -> Vector:
        """Do one step against the derivative of the loss by A f; return the new A f."""
        hidden = self._network.layers[0]
        g = derivative.astype(hidden.weights.dtype)
        out = np.zeros(len(self._points))
        with one_blas_thread():
            for mine in self._blocks():
                w, a = self._part(mine)
                moved = self._back(w, a, g) * w.dtype.type(step_size * hidden.scale)
                hidden.weights[mine] -= moved
                w, _ = self._part(mine)
                out += self._applied(w) @ a
        return out

    def tangent_matrix(self) -> Vector:
        """Kernel of A f between the points, (n, n), of the network's own gradients."""
        x, n = self._points, len(self._points)
        out = np.zeros((n, n))
        scale = self._network.layers[0].scale
        with one_blas_thread():
            for mine in self._blocks():
                w, a = self._part(mine)
                along, across = self._gradients(w)
                along, across = along * a, across * a
                t = self._tangents if self._operator.name == "derivative" else None
                parts = [(along, x)] + ([] if t is None else [(across, t)])
                for u, p in parts:
                    for v, q in parts:
                        out += (u @ v.T) * (p @ q.T)
                if t is None:  # the second part of a gradient is along the neuron's own weights
                    sizes = np.sum(w * w, axis=1)
                    out += (across * sizes) @ across.T
                    z = x @ w.T
                    mixed = (along * z) @ across.T
                    out += mixed + mixed.T
        return out * scale**2

    def _blocks(self) -> list[slice]:
        count, width = max(1, MOST_NUMBERS // len(self._points)), self._network.width
        return [slice(first, first + count) for first in range(0, width, count)]

    def _part(self, mine: slice) -> tuple[Array, Array]:
        """Inner weights w of some neurons, and the factors of sigma(w . x) in f."""
        hidden, out = self._network.layers
        scale = hidden.weights.dtype.type
        return hidden.weights[mine] * scale(hidden.scale), out.weights[0, mine] * scale(out.scale)

    def _applied(self, w: Array) -> Array:
        """A sigma(w . x) at the points, (n, neurons)."""
        x, shift = self._points, w.dtype.type(self._operator.shift)
        z = x @ w.T
        value = np.asarray(self._network.network.sigmas[0].value(z), dtype=z.dtype)
        first, second, _ = self._slopes(z)
        if self._operator.name == "derivative":
            return np.asarray(first * (self._tangents @ w.T) + shift * value)
        sizes = np.sum(w * w, axis=1)
        return np.asarray((sizes - z * z) * second - (x.shape[1] - 1) * z * first + shift * value)

    def _gradients(self, w: Array) -> tuple[Array, Array]:
        """p and q, (n, neurons): the gradient of A sigma(w . x) by w is p x + q w.

        For the derivative along the circle it is p x + q x'.
        """
        x, shift = self._points, w.dtype.type(self._operator.shift)
        z = x @ w.T
        first, second, third = self._slopes(z)
        if self._operator.name == "derivative":
            return second * (self._tangents @ w.T) + shift * first, first
        sizes, d = np.sum(w * w, axis=1), x.shape[1]
        along = (sizes - z * z) * third - (d - 1) * (first + z * second) - 2.0 * z * second
        return along + shift * first, 2.0 * second

    def _back(self, w: Array, a: Array, g: Array) -> Array:
        """Derivative of the loss by w, (neurons, dim)."""
        along, across = self._gradients(w)
        moved = (along * g[:, np.newaxis]).T @ self._points
        if self._operator.name == "derivative":
            moved += (across * g[:, np.newaxis]).T @ self._tangents
        else:
            moved += (g @ across)[:, np.newaxis] * w
        return np.asarray(moved * a[:, np.newaxis])


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
    slopes_of(sigma)
    kink = sigma.singularity
    order = kink.order if kink.kind == "kink" else None
    if order is not None and not order > operator.order + 0.5:
        raise NtkspecError(
            f"{sigma.name} is not allowed with an operator of order {operator.order}: its kink has "
            f"the order {order}, which must be above {operator.order + 0.5:g}, or the residual's "
            "kernel is infinite; use relu_power with a larger power, or a smooth activation"
        )


# --- slopes of activations -----------------------------------------------------------------------


def slopes_of(sigma: Activation) -> Callable[[Array], Slopes]:
    """First, second and third derivative of an activation, in the precision of their argument.

    Raises
    ------
    NtkspecError
        If they are not known.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> [float(one[0]) for one in slopes_of(activation("sin"))(np.zeros(1))]
    [1.0, -0.0, -1.0]
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


def _of_powers(power: int, right: float, left: float) -> Callable[[Array], Slopes]:
    def slopes(z: Array) -> Slopes:
        found, factor = [], 1.0
        for order in range(1, 4):
            factor *= power - order + 1
            side = np.where(z > 0, right, left * (-1.0) ** power)
            rest = power - order
            found.append((factor * side * z**rest if rest >= 0 else 0.0 * z).astype(z.dtype))
        return found[0], found[1], found[2]

    return slopes


def _of_tanh(shift: float, height: float, rate: float) -> Callable[[Array], Slopes]:
    def slopes(z: Array) -> Slopes:
        number = z.dtype.type
        t = np.tanh(number(rate) * z)
        s = 1 - t * t
        first = number(height * rate) * s
        second = number(-2.0 * height * rate**2) * t * s
        third = number(-2.0 * height * rate**3) * s * (1 - 3 * t * t)
        return first, second, third

    return slopes


def _logistic(z: Array) -> tuple[Array, Slopes]:
    value = special.expit(z)
    return value, _of_tanh(0.5, 0.5, 0.5)(z)


def _silu(z: Array) -> Slopes:
    s, (first, second, third) = _logistic(z)
    return s + z * first, 2 * first + z * second, 3 * second + z * third


def _softplus(z: Array) -> Slopes:
    s, (first, second, _) = _logistic(z)
    return s, first, second


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z * z) * z.dtype.type(0.3989422804014327))


def _gelu(z: Array) -> Slopes:
    density = _density(z)
    return special.ndtr(z) + z * density, (2 - z * z) * density, (z**3 - 4 * z) * density


def _erf(z: Array) -> Slopes:
    first = np.exp(-z * z) * z.dtype.type(1.1283791670955126)
    return first, -2 * z * first, (4 * z * z - 2) * first


def _gaussian(z: Array) -> Slopes:
    value = np.exp(-0.5 * z * z)
    return -z * value, (z * z - 1) * value, (3 * z - z**3) * value


def _exp(z: Array) -> Slopes:
    value = np.exp(z)
    return value, value, value


def _sin(z: Array) -> Slopes:
    return np.cos(z), -np.sin(z), -np.cos(z)


def _cos(z: Array) -> Slopes:
    return -np.sin(z), -np.cos(z), np.sin(z)


KNOWN: dict[str, Callable[[Array], Slopes]] = {
    "gelu": _gelu, "silu": _silu, "softplus": _softplus, "erf": _erf, "gaussian": _gaussian,
    "exp": _exp, "sin": _sin, "cos": _cos,
}  # fmt: skip
