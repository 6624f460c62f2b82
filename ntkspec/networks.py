"""Networks and their pointwise kernels K(t), t = <x, x'> on the unit sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations import Activation, PiecewiseLinear, activation
from ntkspec.errors import NtkspecError

__all__ = ["Kernel", "Network", "as_network"]

Kernel = Literal["ntk", "nngp"]


@dataclass(frozen=True)
class Network:
    """A wide network of one hidden layer, f(x) = m^(-1/2) sum_r a_r sigma(w_r . x).

    The inner weights w_r are N(0, weight_variance I_d) and x lies on the unit sphere.

    Parameters
    ----------
    activation : {"relu", "leaky_relu", "sigmoid", "tanh"}
    slope : float, optional
        Slope of leaky_relu for negative arguments (default 0.1); only for leaky_relu.
    weight_variance : float
        s_w > 0, from 0.01 to 10000; 1 is the poster's.
    bias_variance : float
        s_b; this version has networks without bias only, so 0.
    depth : int
        Hidden layers; this version has 1.
    trained : {"hidden", "all"}
        Which weights the NTK counts: the inner ones alone (the poster), or the outer ones too.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Notes
    -----
    With F(t) = E[sigma(u) sigma(v)] and D(t) = E[sigma'(u) sigma'(v)] for centred Gaussians of
    variance s_w and covariance s_w t: the NNGP kernel is F, the NTK is s_w t D for "hidden"
    (Basri et al. 2019, eq. 5, for relu) and F + s_w t D for "all".

    Examples
    --------
    >>> Network("relu").ntk(1.0)
    array(0.5)
    """

    activation: str
    slope: float | None = field(default=None, kw_only=True)
    weight_variance: float = field(default=1.0, kw_only=True)
    bias_variance: float = field(default=0.0, kw_only=True)
    depth: int = field(default=1, kw_only=True)
    trained: Literal["hidden", "all"] = field(default="hidden", kw_only=True)

    def __post_init__(self) -> None:
        sigma = activation(self.activation, self.slope)
        set_ = object.__setattr__
        set_(self, "slope", getattr(sigma, "slope", None) if sigma.name == "leaky_relu" else None)
        set_(self, "weight_variance", _checked_variance(self.weight_variance))
        if self.bias_variance != 0:
            raise NtkspecError(
                f"bias_variance = {self.bias_variance!r} is not allowed; "
                "this version has networks without bias only (bias_variance = 0)"
            )
        set_(self, "bias_variance", 0.0)
        if isinstance(self.depth, bool) or self.depth != 1:
            raise NtkspecError(
                f"depth = {self.depth!r} is not allowed; "
                "this version has one hidden layer (depth = 1)"
            )
        set_(self, "depth", 1)
        if self.trained not in ("hidden", "all"):
            raise NtkspecError(f"trained = {self.trained!r} is not allowed; use 'hidden' or 'all'")

    @property
    def sigma(self) -> Activation:
        """The activation with its parameters."""
        return activation(self.activation, self.slope)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that make the network, by name; None ones left out.

        Examples
        --------
        >>> Network("tanh").parameters()["weight_variance"]
        1.0
        """
        names = ("activation", "slope", "weight_variance", "bias_variance", "depth", "trained")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def mixture(self, kernel: Kernel = "ntk") -> tuple[float, float]:
        """Return (f, g) such that the kernel is f F(t) + g s_w t D(t).

        Examples
        --------
        >>> Network("tanh", trained="all").mixture("ntk")
        (1.0, 1.0)
        """
        if kernel == "nngp":
            return 1.0, 0.0
        if kernel == "ntk":
            return (1.0 if self.trained == "all" else 0.0), 1.0
        raise NtkspecError(f"kernel = {kernel!r} is not allowed; use 'ntk' or 'nngp'")

    def ntk(self, t: ArrayLike) -> NDArray[np.float64]:
        """Neural tangent kernel K(t) at t = <x, x'>.

        Parameters
        ----------
        t : array_like, any shape
            In [-1, 1].

        Returns
        -------
        ndarray of float64, the shape of t
            Right to 1e-14 relative, the ends included.

        Raises
        ------
        NtkspecError
            For NaN, or t outside [-1, 1].

        Examples
        --------
        >>> Network("relu").ntk([-1.0, 0.0, 1.0])
        array([-0. ,  0. ,  0.5])
        """
        return self._pointwise(t, "ntk")

    def nngp(self, t: ArrayLike) -> NDArray[np.float64]:
        """Kernel E[sigma(u) sigma(v)] of the network at its start; parameters as for `ntk`.

        Examples
        --------
        >>> Network("relu").nngp(1.0)
        array(0.5)
        """
        return self._pointwise(t, "nngp")

    def ntk_matrix(self, points: ArrayLike) -> NDArray[np.float64]:
        """Matrix of the NTK between points of the sphere.

        Parameters
        ----------
        points : (n, dim) array_like
            Unit vectors (to 1e-8; they are normalized to the last digit).

        Returns
        -------
        (n, n) ndarray of float64
            Symmetric; no other n x n array is made.  Close and opposite points keep their
            digits: 1 -+ t is taken from their difference and sum.

        Raises
        ------
        NtkspecError
            When a point is not on the sphere or the shape is another.

        Examples
        --------
        >>> Network("relu").ntk_matrix([[1.0, 0.0], [0.0, 1.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        return self._matrix(points, "ntk")

    def nngp_matrix(self, points: ArrayLike) -> NDArray[np.float64]:
        """Matrix of the NNGP kernel between points of the sphere, as `ntk_matrix`.

        Examples
        --------
        >>> Network("relu").nngp_matrix([[1.0, 0.0], [-1.0, 0.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        return self._matrix(points, "nngp")

    def _pointwise(self, t: ArrayLike, kernel: Kernel) -> NDArray[np.float64]:
        from ntkspec.kernels import dual as kernels

        flat = _checked_cosine(t)
        out = np.empty(flat.size)
        name, parameters = self._kernel_call(kernel)
        getattr(kernels, f"{name}_values")(flat.ravel(), *parameters, out)
        return out.reshape(flat.shape)

    def _matrix(self, points: ArrayLike, kernel: Kernel) -> NDArray[np.float64]:
        from ntkspec.kernels import dual as kernels

        x = _checked_points(points)
        out = np.empty((x.shape[0], x.shape[0]))
        name, parameters = self._kernel_call(kernel)
        getattr(kernels, f"{name}_matrix")(x, *parameters, out)
        return out

    def _kernel_call(self, kernel: Kernel) -> tuple[str, tuple[float, ...]]:
        """Family of the compiled functions, and the parameters they take after the points."""
        sigma, mixture = self.sigma, self.mixture(kernel)
        if isinstance(sigma, PiecewiseLinear):
            return "piecewise_linear", (sigma.slope, self.weight_variance, *mixture)
        shape = (sigma.offset, sigma.amplitude, sigma.rate)
        return "sigmoidal", (*shape, self.weight_variance, *mixture)


def as_network(network: Network | str) -> Network:
    """Return a network as it is, or the poster's network for an activation's name."""
    return network if isinstance(network, Network) else Network(network)


def _checked_variance(variance: float) -> float:
    try:
        value = float(variance)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.01 <= value <= 1e4:
        raise NtkspecError(
            f"weight_variance = {variance!r} is not allowed; it must be a number from 0.01 to 10000"
        )
    return value


def _checked_cosine(t: ArrayLike) -> NDArray[np.float64]:
    try:
        values = np.asarray(t, dtype=np.float64)
    except (TypeError, ValueError):
        raise NtkspecError(f"t = {t!r} is not a number; allowed is -1 <= t <= 1") from None
    bad = ~(np.abs(values) <= 1.0)
    if bad.any():
        raise NtkspecError(f"t = {values[bad].flat[0]} is not allowed; it must lie in [-1, 1]")
    return values


def _checked_points(points: ArrayLike) -> NDArray[np.float64]:
    try:
        x = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise NtkspecError("points must be an (n, dim) array of numbers") from None
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] < 1:
        raise NtkspecError(f"points of shape {x.shape} are not allowed; give (n, dim), dim >= 2")
    norms = np.linalg.norm(x, axis=1)
    off = ~(np.abs(norms - 1.0) <= 1e-8)
    if off.any():
        i = int(np.flatnonzero(off)[0])
        raise NtkspecError(f"points[{i}] has norm {norms[i]:.10g}; all must have norm 1 to 1e-8")
    return np.ascontiguousarray(x / norms[:, np.newaxis])
