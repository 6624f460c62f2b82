"""The description of a network: its parameters, checked and comparable."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations import (
    Activation,
    activation,
    is_catalogued,
    own_parameters,
    refuse_bare_function,
)
from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, one_of, shown, whole_number

__all__ = ["Kernel", "Network", "as_network"]

Kernel = Literal["ntk", "nngp"]
_KERNELS = get_args(Kernel)

MOST_DEPTH = 100
#: Default tolerance of the kernel of a user's activation, relative to K(1).
TOLERANCE = 1e-12


@dataclass(frozen=True, repr=False)
class Network:
    """A wide network, f(x) = m^(-1/2) sum_r a_r sigma(w_r . x) or deeper.

    The inputs x lie on the unit sphere; weights and biases are Gaussian of the given variances in
    the NTK parameterization; the readout has unit variance and no bias.

    Parameters
    ----------
    activation : str or Activation
        One of `ntkspec.activations.ACTIVATIONS`, with its parameters if it has any, such as
        "swish(2)", or your own (`ntkspec.user_activation`).
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
        Trained parameters: all but the readout (the poster), or all.
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
    >>> Network("leaky_relu", depth=2)
    Network('leaky_relu', slope=0.1, depth=2)
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
        sigma = self.activation
        if not isinstance(sigma, Activation):
            sigma = activation(sigma, slope=self.slope, power=self.power)
        for name in ("slope", "power"):
            if isinstance(self.activation, Activation) and getattr(self, name) is not None:
                raise NtkspecError(
                    f"{name} = {shown(getattr(self, name))} is given with an Activation, which "
                    "has its own; leave it out, or give the activation by its name"
                )
        for name, value in own_parameters(sigma).items():
            set_(self, name, value)
        if not isinstance(self.activation, Activation) or is_catalogued(sigma):
            set_(self, "activation", sigma.name)
        set_(self, "weight_variance", number(self.weight_variance, "weight_variance", 0.01, 1e4))
        set_(self, "bias_variance", number(self.bias_variance, "bias_variance", 0.0, 1e4))
        set_(self, "depth", whole_number(self.depth, "depth", 1, MOST_DEPTH))
        one_of(self.trained, "trained", ("hidden", "all"))
        one_of(self.weights, "weights", ("gaussian", "sphere"))
        if self.weights == "sphere" and (self.depth > 1 or self.bias_variance > 0.0):
            raise NtkspecError(
                "weights = 'sphere' is for one hidden layer without bias; "
                f"depth = {self.depth} and bias_variance = {self.bias_variance} are given"
            )

    def __repr__(self) -> str:
        parts = [repr(self.name)]
        for one in fields(self)[1:]:
            value = getattr(self, one.name)
            if value != one.default:
                parts.append(f"{one.name}={value!r}")
        return f"Network({', '.join(parts)})"

    @property
    def sigma(self) -> Activation:
        """The activation with its parameters."""
        if isinstance(self.activation, Activation):
            return self.activation
        return _catalogued(self.activation, self.slope, self.power)

    @property
    def name(self) -> str:
        """Name of the activation."""
        return self.sigma.name

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that make the network, by name.

        Parameters that the activation does not have, and Gaussian weights, are omitted.

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
        one_of(kernel, "kernel", _KERNELS)
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
            In [-1, 1]; values outside by up to 4 units in the last place are rounded to the end.
        tolerance : float
            Largest error accepted, relative to K(1).  It matters only for a user's activation;
            `with_error` returns the bounds.

        Returns
        -------
        ndarray of float64, the shape of t
            The error is at most 1e-14 K(1).  For relu, leaky_relu, relu_power, abs and step it is
            also at most 1e-14 times the modulus of K(t), the ends included, except close to a zero
            of K between them.  For a user's activation it is at most `tolerance` times K(1).

        Raises
        ------
        NtkspecError
            For NaN, for t outside [-1, 1], and if the kernel of a user's activation cannot be
            computed to the tolerance; the message has the error bound.

        Examples
        --------
        >>> Network("relu").ntk([-1.0, 0.0, 1.0])
        array([0. , 0. , 0.5])
        """
        from ntkspec.networks import pointwise

        return pointwise.values(self, t, "ntk", tolerance)

    def nngp(self, t: ArrayLike, *, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
        """Kernel E[sigma(u) sigma(v)] of the network at initialization; parameters as for `ntk`.

        Examples
        --------
        >>> Network("relu").nngp(1.0)
        array(0.5)
        """
        from ntkspec.networks import pointwise

        return pointwise.values(self, t, "nngp", tolerance)

    def with_error(
        self, t: ArrayLike, *, kernel: Kernel = "ntk"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Kernel K(t) and bounds on its absolute error.

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
        >>> value, error = steps.with_error([0.0, 0.999], kernel="nngp")
        >>> value.round(2), error < 1e-2
        (array([0.25, 1.32]), array([ True,  True]))
        """
        from ntkspec.networks import pointwise

        return pointwise.values_with_error(self, t, kernel)

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
            Symmetric.  Close and opposite points keep their digits: 1 -+ t is computed from their
            difference and sum.

        Raises
        ------
        NtkspecError
            When a point is not on the sphere, the shape is wrong, or as for `ntk`.

        Examples
        --------
        >>> Network("relu").ntk_matrix([[1.0, 0.0], [0.0, 1.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        from ntkspec.networks import pointwise

        return pointwise.matrix(self, points, "ntk", tolerance)

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
        from ntkspec.networks import pointwise

        return pointwise.matrix(self, points, "nngp", tolerance)

    def matrix_with_error(
        self, points: ArrayLike, *, kernel: Kernel = "ntk"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix of a kernel between points, and bounds on its absolute errors.

        Parameters
        ----------
        points, kernel
            As for `ntk_matrix` and `with_error`, and so are the errors raised.

        Returns
        -------
        value, absolute_error : (n, n) ndarrays of float64

        Examples
        --------
        >>> value, error = Network("relu").matrix_with_error([[1.0, 0.0], [0.0, 1.0]])
        >>> bool(error.max() <= 1e-14)
        True
        """
        from ntkspec.networks import pointwise

        return pointwise.matrix_with_error(self, points, kernel)


@lru_cache(maxsize=256)
def _catalogued(name: str, slope: float | None, power: int | None) -> Activation:
    """An activation of the catalogue; a spectrum asks for it several times."""
    return activation(name, slope=slope, power=power)


def as_network(network: Network | str) -> Network:
    """Return a network unchanged, or the poster's network for an activation's name.

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
