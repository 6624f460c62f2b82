"""Networks and their pointwise kernels K(t), t = <x, x'> on the unit sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations import Activation, activation, refuse_bare_function
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, is_one_of, number, shown, whole_number

if TYPE_CHECKING:
    from ntkspec.duals.panels import NetworkPanels
    from ntkspec.duals.plain import PlainKernel

__all__ = ["Kernel", "Network", "as_network"]

Kernel = Literal["ntk", "nngp"]

MOST_DEPTH = 100
#: What the compiled kernels promise, relative to K(1).
PROMISED = 1e-14
#: What the kernel of a user's activation must reach unless asked otherwise, relative to K(1).
TOLERANCE = 1e-12
#: Variance of the argument of tanh up to which its duals are tabulated for single evaluations.
TABULATED = 64.0


#: Values, bounds on their absolute errors, and K(1) where the bounds are measured by it.
_Bounded = tuple[NDArray[np.float64], NDArray[np.float64], float]


@dataclass(frozen=True)
class Network:
    """A wide network, f(x) = m^(-1/2) sum_r a_r sigma(w_r . x) or deeper.

    The inputs x lie on the unit sphere; weights and biases are Gaussian of the given variances in
    the NTK parameterization; the readout has unit variance and no bias.

    Parameters
    ----------
    activation : str or Activation
        One of `ntkspec.activations.ACTIVATIONS`, or a user's (`ntkspec.user_activation`).
    slope : float, optional
        Slope of leaky_relu for negative arguments (default 0.1); only for leaky_relu.
    power : int, optional
        Power of relu_power (default 2); only for relu_power.
    weight_variance : float
        s_w > 0, from 0.01 to 10000; 1 is the poster's.
    bias_variance : float
        s_b >= 0, to 10000.
    depth : int
        Hidden layers, 1 to 100.
    trained : {"hidden", "all"}
        Which parameters the NTK counts: all but the readout (the poster), or the readout too.
    weights : {"gaussian", "sphere"}
        "sphere": w uniform on the sphere of radius sqrt(weight_variance * dim), for one hidden
        layer without bias; the kernel then depends on the dimension.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Notes
    -----
    q_1(t) = s_w t + s_b; F_l, D_l = E[sigma(u) sigma(v)], E[sigma'(u) sigma'(v)] for centred
    Gaussians of variance q_l(1) and covariance q_l(t); q_(l+1) = s_w F_l + s_b.  The NNGP kernel
    is F_L.  With T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l the NTK is T_L D_L for "hidden" and
    F_L + T_L D_L for "all" (Jacot et al. 2018, theorem 1).

    Examples
    --------
    >>> Network("relu").ntk(1.0)
    array(0.5)
    >>> Network("tanh", depth=3, bias_variance=0.1, trained="all").ntk([0.0, 1.0]).round(8)
    array([0.25789913, 0.85376409])
    """

    activation: str | Activation
    slope: float | None = field(default=None, kw_only=True)
    power: int | None = field(default=None, kw_only=True)
    weight_variance: float = field(default=1.0, kw_only=True)
    bias_variance: float = field(default=0.0, kw_only=True)
    depth: int = field(default=1, kw_only=True)
    trained: Literal["hidden", "all"] = field(default="hidden", kw_only=True)
    weights: Literal["gaussian", "sphere"] = field(default="gaussian", kw_only=True)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        sigma = self.sigma
        if not isinstance(self.activation, Activation):
            set_(self, "activation", sigma.name)
        power, _, left = sigma.homogeneous or (0, 0.0, 0.0)
        set_(self, "slope", 0.0 - left if sigma.name == "leaky_relu" else None)
        set_(self, "power", power if sigma.name == "relu_power" else None)
        set_(self, "weight_variance", number(self.weight_variance, "weight_variance", 0.01, 1e4))
        set_(self, "bias_variance", number(self.bias_variance, "bias_variance", 0.0, 1e4))
        set_(self, "depth", whole_number(self.depth, "depth", 1, MOST_DEPTH))
        if not is_one_of(self.trained, ("hidden", "all")):
            raise NtkspecError(
                f"trained = {shown(self.trained)} is not allowed; use 'hidden' or 'all'"
            )
        if not is_one_of(self.weights, ("gaussian", "sphere")):
            raise NtkspecError(
                f"weights = {shown(self.weights)} is not allowed; use 'gaussian' or 'sphere'"
            )
        if self.weights == "sphere" and (self.depth > 1 or self.bias_variance > 0.0):
            raise NtkspecError(
                "weights = 'sphere' is for one hidden layer without bias; "
                f"depth = {self.depth} and bias_variance = {self.bias_variance} are given"
            )

    @property
    def sigma(self) -> Activation:
        """The activation with its parameters."""
        if isinstance(self.activation, Activation):
            return self.activation
        return activation(self.activation, slope=self.slope, power=self.power)

    @property
    def name(self) -> str:
        """Name of the activation."""
        return self.sigma.name

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that make the network, by name.

        Left out: those that do not belong to the activation, and Gaussian weights.

        Examples
        --------
        >>> Network("tanh").parameters()["weight_variance"]
        1.0
        """
        names = ("slope", "power", "weight_variance", "bias_variance", "depth", "trained")
        values = {"activation": self.name, **{name: getattr(self, name) for name in names}}
        if self.weights != "gaussian":
            values["weights"] = self.weights
        return {name: value for name, value in values.items() if value is not None}

    def mixture(self, kernel: Kernel = "ntk") -> tuple[float, float]:
        """Return (f, g) such that the kernel is f F_L(t) + g T_L(t) D_L(t).

        Raises
        ------
        NtkspecError
            For another kernel's name, and for the NTK of an activation that has none.

        Examples
        --------
        >>> Network("tanh", trained="all").mixture("ntk")
        (1.0, 1.0)
        """
        if not is_one_of(kernel, ("ntk", "nngp")):
            raise NtkspecError(f"kernel = {shown(kernel)} is not allowed; use 'ntk' or 'nngp'")
        if kernel == "nngp":
            return 1.0, 0.0
        if self.sigma.derivative is None:
            raise NtkspecError(
                f"{self.name} has no neural tangent kernel: its derivative is not square "
                "integrable; use kernel = 'nngp'"
            )
        return (1.0 if self.trained == "all" else 0.0), 1.0

    def ntk(self, t: ArrayLike, *, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
        """Neural tangent kernel K(t) at t = <x, x'>.

        Parameters
        ----------
        t : array_like, any shape
            In [-1, 1].
        tolerance : float
            Largest error accepted, relative to K(1).  Only a user's activation can exceed the
            usual one; `with_error` returns the bounds.

        Returns
        -------
        ndarray of float64, the shape of t
            The error is at most 1e-14 K(1).  For relu, leaky_relu, relu_power, abs and step it is
            also at most 1e-14 times the modulus of K(t), the ends included, except close to a zero
            of K between them.  For a user's activation it is at most `tolerance` times K(1).

        Raises
        ------
        NtkspecError
            For NaN, or t outside [-1, 1], and where the kernel of a user's activation is not
            known to the tolerance: where, and the bound that holds.

        Examples
        --------
        >>> Network("relu").ntk([-1.0, 0.0, 1.0])
        array([-0. ,  0. ,  0.5])
        """
        return self._accepted(tolerance, *self._pointwise(t, "ntk"))

    def nngp(self, t: ArrayLike, *, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
        """Kernel E[sigma(u) sigma(v)] of the network at its start; parameters as for `ntk`.

        Examples
        --------
        >>> Network("relu").nngp(1.0)
        array(0.5)
        """
        return self._accepted(tolerance, *self._pointwise(t, "nngp"))

    def with_error(
        self, t: ArrayLike, kernel: Kernel = "ntk"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Kernel K(t) and bounds on its absolute error, whatever they are.

        Parameters
        ----------
        t : array_like, any shape
            In [-1, 1].
        kernel : {"ntk", "nngp"}

        Returns
        -------
        value, absolute_error : ndarrays of float64, the shape of t

        Raises
        ------
        NtkspecError
            For a parameter that is not allowed.

        Notes
        -----
        A user's function is known by its values at some ten thousand points: the bounds hold
        for a function without features between them, narrower than about 0.001 standard
        deviations of its argument.

        Examples
        --------
        >>> from ntkspec import user_activation
        >>> steps = Network(user_activation(np.floor))
        >>> value, error = steps.with_error([0.0, 0.999], "nngp")
        >>> value.round(2), error < 1e-2
        (array([0.25, 1.32]), array([ True,  True]))
        """
        self.mixture(kernel)
        return self._pointwise(t, kernel)[:2]

    def ntk_matrix(self, points: ArrayLike, *, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
        """Matrix of the NTK between points of the sphere.

        Parameters
        ----------
        points : (n, dim) array_like
            Unit vectors (to 1e-8; they are normalized to the last digit).
        tolerance : float
            As for `ntk`.

        Returns
        -------
        (n, n) ndarray of float64
            Symmetric; no other n x n array is made.  Close and opposite points keep their
            digits: 1 -+ t is taken from their difference and sum.

        Raises
        ------
        NtkspecError
            When a point is not on the sphere or the shape is another, and where the kernel of a
            user's activation is not known to the tolerance.

        Examples
        --------
        >>> Network("relu").ntk_matrix([[1.0, 0.0], [0.0, 1.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        return self._accepted(tolerance, *self._matrix(points, "ntk"))

    def nngp_matrix(
        self, points: ArrayLike, *, tolerance: float = TOLERANCE
    ) -> NDArray[np.float64]:
        """Matrix of the NNGP kernel between points of the sphere, as `ntk_matrix`.

        Examples
        --------
        >>> Network("relu").nngp_matrix([[1.0, 0.0], [-1.0, 0.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        return self._accepted(tolerance, *self._matrix(points, "nngp"))

    def matrix_with_error(
        self, points: ArrayLike, kernel: Kernel = "ntk"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix of a kernel between points of the sphere, and bounds on its absolute errors.

        Parameters
        ----------
        points : (n, dim) array_like
            Unit vectors, as for `ntk_matrix`.
        kernel : {"ntk", "nngp"}

        Returns
        -------
        value, absolute_error : (n, n) ndarrays of float64

        Raises
        ------
        NtkspecError
            For a parameter that is not allowed.

        Examples
        --------
        >>> value, error = Network("relu").matrix_with_error([[1.0, 0.0], [0.0, 1.0]])
        >>> bool(error.max() <= 1e-14)
        True
        """
        self.mixture(kernel)
        return self._matrix(points, kernel)[:2]

    def _pointwise(self, t: ArrayLike, kernel: Kernel) -> _Bounded:
        flat = _checked_cosine(t)
        if self.sigma.user:
            plain = self._plain(kernel)
            value, error = plain(np.sqrt(1.0 - flat.ravel()), np.sqrt(1.0 + flat.ravel()))
            return value.reshape(flat.shape), error.reshape(flat.shape), plain.top
        row = np.empty(flat.size)
        values, _, arguments = self._compiled(kernel)
        values(flat.ravel(), *arguments, row)
        top = self._top(kernel)
        return row.reshape(flat.shape), np.broadcast_to(PROMISED * top, flat.shape), top

    def _matrix(self, points: ArrayLike, kernel: Kernel) -> _Bounded:
        x = _checked_points(points)
        out = np.empty((x.shape[0], x.shape[0]))
        if self.sigma.user:
            plain, error = self._plain(kernel), np.empty_like(out)
            for i in range(x.shape[0]):
                # Distances keep the digits of close and of nearly opposite points.
                near = np.linalg.norm(x[: i + 1] - x[i], axis=1)
                far = np.linalg.norm(x[: i + 1] + x[i], axis=1)
                value, bound = plain(near, far)
                out[i, : i + 1] = out[: i + 1, i] = value
                error[i, : i + 1] = error[: i + 1, i] = bound
            return out, error, plain.top
        _, matrix, arguments = self._compiled(kernel)
        matrix(x, *arguments, out)
        top = self._top(kernel)
        return out, np.broadcast_to(PROMISED * top, out.shape), top

    def _top(self, kernel: Kernel) -> float:
        """K(1)."""
        values, _, arguments = self._compiled(kernel)
        top = np.empty(1)
        values(np.ones(1), *arguments, top)
        return float(abs(top[0]))

    def _plain(self, kernel: Kernel) -> PlainKernel:
        """The kernel of a user's activation in doubles."""
        self.mixture(kernel)
        self._refuse_sphere()
        from ntkspec.duals.plain import PlainKernel

        return PlainKernel(self, kernel)

    def _refuse_sphere(self) -> None:
        if self.weights == "sphere":
            raise NtkspecError(
                "with weights = 'sphere' the kernel depends on the dimension; "
                "ntkspec.spectrum(network, dim) computes its spectrum"
            )

    def _accepted(
        self,
        tolerance: float,
        value: NDArray[np.float64],
        error: NDArray[np.float64],
        top: float,
    ) -> NDArray[np.float64]:
        """The values, when they are known to the tolerance, relative to K(1) = top."""
        limit = as_number(tolerance)
        if not limit > 0.0:
            raise NtkspecError(
                f"tolerance = {shown(tolerance)} is not allowed; it must be positive"
            )
        if not self.sigma.user or limit == math.inf:
            return value
        worst = float(np.max(error, initial=0.0))
        if not worst <= limit * top:
            raise NtkspecError(
                f"the kernel of {self.name} is known to {worst / top if top else math.inf:.2g} "
                f"K(1) only, which exceeds tolerance = {limit:g}: raise the tolerance, or read "
                "values with their bounds by with_error or matrix_with_error"
            )
        return value

    def _compiled(self, kernel: Kernel) -> tuple[Any, Any, tuple[Any, ...]]:
        """Compiled functions of cosines and of points, and the arguments after those."""
        mixture = self.mixture(kernel)
        self._refuse_sphere()
        if self.depth == 1 and self.bias_variance == 0.0:
            from ntkspec.kernels import dual

            power, right, left = self.sigma.homogeneous or (0, 0.0, 0.0)
            if power == 1 and right == 1.0:
                linear = (0.0 - left, self.weight_variance, *mixture)
                return dual.piecewise_linear_values, dual.piecewise_linear_matrix, linear
            if self.sigma.tanh and self.weight_variance * self.sigma.tanh[2] ** 2 > TABULATED:
                arguments = (*self.sigma.tanh, self.weight_variance, *mixture)
                return dual.sigmoidal_values, dual.sigmoidal_matrix, arguments
        from ntkspec.kernels import layers

        return layers.layered_values, layers.layered_matrix, (*_panels(self).arguments(), *mixture)


@lru_cache(maxsize=128)
def _panels(network: Network) -> NetworkPanels:
    from ntkspec.duals.panels import network_panels

    return network_panels(network)


def as_network(network: Network | str) -> Network:
    """Return a network as it is, or the poster's network for an activation's name.

    Examples
    --------
    >>> as_network("tanh") == Network("tanh")
    True
    """
    refuse_bare_function(network, "network")
    if isinstance(network, Network):
        return network
    if not isinstance(network, (str, Activation)):
        raise NtkspecError(
            f"network = {shown(network)} is not allowed; give a Network or an activation's name"
        )
    return Network(network)


def _checked_cosine(t: ArrayLike) -> NDArray[np.float64]:
    values = _checked_numbers(t, "t")
    bad = ~(np.abs(values) <= 1.0)
    if bad.any():
        raise NtkspecError(f"t = {values[bad].flat[0]} is not allowed; it must lie in [-1, 1]")
    return values


def _checked_numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """An array of real numbers; text and truth values are none."""
    try:
        given = np.asarray(values)
        if given.dtype.kind in "iufO":
            return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise NtkspecError(f"{name} = {shown(values)} is not allowed; give numbers")


def _checked_points(points: ArrayLike) -> NDArray[np.float64]:
    x = _checked_numbers(points, "points")
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] < 1:
        raise NtkspecError(f"points of shape {x.shape} are not allowed; give (n, dim), dim >= 2")
    norms = np.linalg.norm(x, axis=1)
    off = ~(np.abs(norms - 1.0) <= 1e-8)
    if off.any():
        i = int(np.flatnonzero(off)[0])
        raise NtkspecError(f"points[{i}] has norm {norms[i]:.10g}; all must have norm 1 to 1e-8")
    return np.ascontiguousarray(x / norms[:, np.newaxis])
