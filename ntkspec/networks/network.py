"""The description of a network: its parameters, checked and comparable."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations import Activation, refuse_bare_function
from ntkspec.errors import NtkspecError
from ntkspec.networks.forms import Parameterization, canonical, layers_text, parts_of, sigmas_of
from ntkspec.networks.parts import Part, program_of
from ntkspec.parameters import one_of, shown
from ntkspec.rules import Affine, Program

__all__ = ["Kernel", "Network", "as_network"]

Kernel = Literal["ntk", "nngp"]
_KERNELS = get_args(Kernel)
#: One value for all layers, or a tuple with one for each.
PerLayer: TypeAlias = Any


@dataclass(frozen=True, repr=False)
class Network:
    """A wide network, f(x) = m^(-1/2) sum_r a_r sigma(w_r . x) or deeper.

    The inputs x lie on the unit sphere; weights and biases are Gaussian of the given variances in
    the NTK parameterization.  `Network.serial` describes networks that this form does not.

    Parameters
    ----------
    activation : str, Activation, or sequence of them
        Names of `ntkspec.activations.ACTIVATIONS`, with their parameters if they have any, such
        as "swish(2)", or your own (`ntkspec.user_activation`); a sequence, or names with commas
        between them, has one for each hidden layer.
    slope : float, optional
        Slope of leaky_relu for negative arguments (default 0.1); only for leaky_relu.
    power : int, optional
        Power of relu_power (default 2); only for relu_power.
    weight_variance : float or sequence of float
        s_w > 0, from 0.01 to 10000; 1 is the poster's.  A sequence: of each hidden layer.
    bias_variance : float or sequence of float
        s_b >= 0, to 10000, of the hidden layers; for bias = "zero" the square of the biases' scale.
    depth : int
        Hidden layers, 1 to 100; by default as many as the longest sequence has.
    trained : {"hidden", "all"} or set of int
        Trained parameters: all but the readout (the poster), all, or layers by their numbers: 1
        to depth, and depth + 1 is the readout.  The others are frozen.
    weights : {"gaussian", "sphere"}
        "sphere": w uniform on the sphere of radius sqrt(weight_variance * dim), for one hidden
        layer without bias; the kernel then depends on the dimension.
    bias : {"gaussian", "zero"}
        "zero": biases start at 0 and are trained.
    readout_variance, readout_bias_variance : float
        Variances of the readout's weights and bias; they do not follow those of the hidden layers.
    normalize : bool
        LayerNorm without trained parameters before each activation.
    parameterization : {"ntk", "standard", "mean_field", "mup"}
        What the learning rates are relative to; see Notes.
    layers : sequence of parts, or str, optional
        The parts of a general network, instead of all other parameters: `Network.serial`.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.

    Notes
    -----
    q_1(t) = s_w t + s_b; F_l, D_l = E[sigma(u) sigma(v)], E[sigma'(u) sigma'(v)] for centred
    Gaussians of variance q_l(1) and covariance q_l(t); q_(l+1) = s_w F_l + s_b.  The NNGP kernel
    is F_L.  With T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l the NTK is T_L D_L for "hidden" and
    F_L + T_L D_L for "all" (Jacot et al. 2018, theorem 1).  A readout of variance r and bias
    variance b makes the NNGP kernel r F_L + b and multiplies T_L D_L by r.

    With the summands u q + v of a layer in T, (u, v) is (s_w, s_b) in the NTK parameterization,
    and (1, 1) (without bias (1, 0)) where gradients are taken with respect to the weights
    themselves: under "mup" (Yang and Hu 2021, learning rates by their table 1), and under
    "mean_field" for one hidden layer (Chizat and Bach 2018; Mei et al. 2018), whose kernel at
    initialization it is after a rescaling of time by the width.  Under "standard" (W of
    variance s_w / fan_in, one learning rate proportional to 1 / width for all parameters) the
    first layer and the biases move by a vanishing part: (0, 0) for the first layer, (1, 0) for
    the others (Sohl-Dickstein et al. 2020, with a base width that tends to infinity).

    Networks that have the same rules are equal, however they are written.

    Examples
    --------
    >>> Network("relu").ntk(1.0)
    array(0.5)
    >>> Network("tanh", depth=3, bias_variance=0.1, trained="all").ntk([0.0, 1.0]).round(8)
    array([0.25789913, 0.85376409])
    >>> Network("leaky_relu", depth=2)
    Network('leaky_relu', slope=0.1, depth=2)
    >>> Network(["tanh", "tanh"], weight_variance=[900.0, 1.0])
    Network('tanh', weight_variance=(900.0, 1.0), depth=2)
    """

    activation: PerLayer = None
    slope: float | None = field(default=None, kw_only=True)
    power: int | None = field(default=None, kw_only=True)
    weight_variance: PerLayer = field(default=1.0, kw_only=True)
    bias_variance: PerLayer = field(default=0.0, kw_only=True)
    depth: int = field(default=1, kw_only=True)
    trained: PerLayer = field(default="hidden", kw_only=True)
    weights: Literal["gaussian", "sphere"] = field(default="gaussian", kw_only=True)
    bias: Literal["gaussian", "zero"] = field(default="gaussian", kw_only=True)
    readout_variance: float = field(default=1.0, kw_only=True)
    readout_bias_variance: float = field(default=0.0, kw_only=True)
    normalize: bool = field(default=False, kw_only=True)
    parameterization: Parameterization = field(default="ntk", kw_only=True)
    layers: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in canonical(values).items():
            object.__setattr__(self, name, value)

    @classmethod
    def serial(cls, *parts: Any) -> Network:
        """Make a network from parts, one after another; what stands last is the output.

        Parameters
        ----------
        *parts : Linear, Residual, Normalize, activations
            An activation is its name or an `Activation`.

        Raises
        ------
        NtkspecError
            When no rule covers the order of the parts.

        Notes
        -----
        From q = t and T = 0 at the input: Linear makes q s_w q + s_b and adds that to s_w T; an
        activation makes q F, and T T D; Residual adds scale^2 times the branch's q and T;
        Normalize divides both by q(1).  NNGP = q and NTK = T at the end.

        Examples
        --------
        >>> from ntkspec import Linear, Residual
        >>> Network.serial(Linear(), "relu", Linear(trained=False))
        Network('relu')
        >>> Network.serial(Linear(), Residual("relu", Linear(2.0), scale=0.5), "gelu", Linear())
        Network.serial(Linear(1.0), Residual('relu', Linear(2.0), scale=0.5), 'gelu', Linear(1.0))
        """
        return cls(layers=parts)

    def __hash__(self) -> int:
        found: int | None = self.__dict__.get("_hash")
        if found is None:
            found = hash(tuple(getattr(self, one.name) for one in fields(self)))
            object.__setattr__(self, "_hash", found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Hashes of strings differ between processes; the others are made again.
        return {name: value for name, value in self.__dict__.items() if name[0] != "_"}

    def __repr__(self) -> str:
        if self.layers is not None:
            return f"Network.serial({layers_text(self.parts)})"
        parts = [repr(list(self.names) if len(self.names) > 1 else self.name)]
        for one in fields(self)[1:]:
            value = getattr(self, one.name)
            if value != one.default:
                parts.append(f"{one.name}={value!r}")
        return f"Network({', '.join(parts)})"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the network, in the order of `Network.serial`."""
        found: tuple[Part, ...] | None = self.__dict__.get("_parts")
        if found is None:
            found = parts_of({one.name: getattr(self, one.name) for one in fields(self)})
            object.__setattr__(self, "_parts", found)
        return found

    @property
    def program(self) -> Program:
        """The rules of the parts, one after another."""
        found: Program | None = self.__dict__.get("_program")
        if found is None:
            found = program_of(self.parts)
            object.__setattr__(self, "_program", found)
        return found

    @property
    def uniform(self) -> bool:
        """Whether all hidden layers are alike, with Gaussian biases, and the readout is plain."""
        return (
            self.layers is None
            and not isinstance(self.activation, tuple)
            and isinstance(self.weight_variance, float)
            and isinstance(self.bias_variance, float)
            and isinstance(self.trained, str)
            and (self.bias, self.readout_variance, self.readout_bias_variance)
            == ("gaussian", 1.0, 0.0)
            and not self.normalize
            and self.parameterization == "ntk"
        )

    @property
    def sigmas(self) -> tuple[Activation, ...]:
        """The activations in the order of the parts."""
        found: tuple[Activation, ...] | None = self.__dict__.get("_sigmas")
        if found is None:
            values = {one.name: getattr(self, one.name) for one in fields(self)}
            found = sigmas_of(values) if self.layers is None else self.program.activations
            object.__setattr__(self, "_sigmas", found)
        return found

    @property
    def sigma(self) -> Activation:
        """The activation with its parameters, where all layers have the same."""
        first = self.sigmas[0] if self.sigmas else None
        if first is None or any(s is not first and s != first for s in self.sigmas):
            raise NtkspecError(f"{self.name} has several activations; read `sigmas`")
        return first

    @property
    def user(self) -> bool:
        """Whether an activation is a user's function."""
        return any(sigma.user for sigma in self.sigmas)

    @property
    def kind(self) -> str:
        """Kind of the activations' singularities that determines the decay: kinks, then poles."""
        kinds = {sigma.singularity.kind for sigma in self.sigmas}
        return next(
            (kind for kind in ("kinks", "kink", "unknown", "pole") if kind in kinds), "entire"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the activations: one where all layers have the same."""
        first, *others = self.sigmas
        alike = all(sigma is first or sigma == first for sigma in others)
        return (first.name,) if alike else tuple(sigma.name for sigma in self.sigmas)

    @property
    def name(self) -> str:
        """Name of the activation or activations, with commas between them; else the parts."""
        return ",".join(self.names) if self.layers is None else layers_text(self.parts)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that make the network, by name.

        Parameters that the activation does not have, and those that the poster's networks have
        not and that are at their defaults, are omitted.

        Examples
        --------
        >>> Network("tanh").parameters()["weight_variance"]
        1.0
        """
        if self.layers is not None:
            return {"layers": layers_text(self.parts)}
        names = ("slope", "power", "weight_variance", "bias_variance", "depth", "trained")
        values = {"activation": self.name, **{name: getattr(self, name) for name in names}}
        others = fields(self)[len(names) + 1 :]
        differing = {one.name: getattr(self, one.name) for one in others}
        values |= {
            one.name: differing[one.name] for one in others if differing[one.name] != one.default
        }
        return {name: value for name, value in values.items() if value is not None}

    def mixture(self, kernel: Kernel = "ntk") -> tuple[float, float]:
        """Return (f, g) such that the kernel is f F_L(t) + g T_L(t) D_L(t), with a plain readout.

        Raises
        ------
        NtkspecError
            As `check_kernel` raises.

        Examples
        --------
        >>> Network("tanh", trained="all").mixture("ntk")
        (1.0, 1.0)
        """
        self.check_kernel(kernel)
        return (1.0, 0.0) if kernel == "nngp" else (1.0 if self.trained == "all" else 0.0, 1.0)

    def check_kernel(self, kernel: Kernel) -> None:
        """Refuse a kernel that the network does not have.

        Raises
        ------
        NtkspecError
            For another kernel's name, for the NTK of an activation that has none, and for one
            that is 0 because nothing is trained.

        Examples
        --------
        >>> Network("step").check_kernel("nngp")
        """
        one_of(kernel, "kernel", _KERNELS)
        if kernel == "nngp":
            return
        if any(sigma.derivative is None for sigma in self.sigmas):
            raise NtkspecError(
                f"{self.name} has no neural tangent kernel: its derivative is not square "
                "integrable; use kernel = 'nngp'"
            )
        if not self.uniform and not any(
            step.own or step.own_bias for step in self.program.steps if isinstance(step, Affine)
        ):
            raise NtkspecError(
                f"the neural tangent kernel of {self.name} is 0: no layer is trained; use "
                "kernel = 'nngp', or train one"
            )

    def ntk(self, t: ArrayLike, *, tolerance: float | None = None) -> NDArray[np.float64]:
        """Neural tangent kernel K(t) at t = <x, x'>.

        Parameters
        ----------
        t : array_like, any shape
            In [-1, 1]; values outside by up to 4 units in the last place are rounded to the end.
        tolerance : float, optional
            Largest error accepted, relative to K(1), by default 1e-6 for a user's activation; only
            there it matters.  `with_error` returns the bounds.

        Returns
        -------
        ndarray of float64, the shape of t
            The error is at most 1e-14 K(1), and from five layers on 2e-15 K(1) for each.  For relu,
            leaky_relu, relu_power, abs and step it is also at most that part of the modulus of
            K(t), the ends included, except close to a zero of K between them.  For a user's
            activation it is at most `tolerance` times K(1).

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

    def nngp(self, t: ArrayLike, *, tolerance: float | None = None) -> NDArray[np.float64]:
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

    def ntk_matrix(
        self,
        points: ArrayLike,
        others: ArrayLike | None = None,
        *,
        fan_in: bool = False,
        tolerance: float | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Matrix of the neural tangent kernel between vectors of any norm.

        Parameters
        ----------
        points : (n, dim) array_like
            Vectors in rows.
        others : (m, dim) array_like, optional
            Other vectors; by default the same.
        fan_in : bool
            Divide the weight variance of the first layer by dim, as neural networks are
            initialized: the same as vectors divided by sqrt(dim).  Vectors whose coordinates are
            of size 1 then have arguments of size 1 in the first layer.
        tolerance : float, optional
            Largest error accepted, relative to sqrt(K(x, x) K(y, y)), by default 1e-12, and 1e-6
            for a user's activation.  It matters only for functions given by their values and,
            between vectors of different norms, for those that are summed as Hermite series; see
            Notes.

        Returns
        -------
        (n, m) ndarray
            float32 where all vectors are, computed in doubles, and else float64.  Symmetric
            without `others`.  Close and opposite directions keep their digits.  There is no other
            array of this size.

        Raises
        ------
        NtkspecError
            When the shape is wrong, a number is not finite, or there is no vector; when a variance
            leaves the range of doubles; when a vector of norm 0 meets a Normalize; when the
            tolerance is not reached; and for weights = "sphere".

        Notes
        -----
        q = <x, y> at the input, with <x, x> and <y, y> for the variances, and then the rules of
        the parts; Normalize divides q(x, y) and T(x, y) by sqrt(q(x, x) q(y, y)).  The duals of
        two variances are formulas for powers on either side of 0 (Cho and Saul 2009), erf
        (Williams 1997), gelu, sin, cos, exp, gaussian, gabor and snake, integrals over an angle
        for polynomials between kinks, and else the series sum_n h_n(a) h_n(b) rho^n of Hermite
        moments, with what a kink at 0 makes of it taken off.  Errors are about 1e-14
        sqrt(K(x, x) K(y, y)), and 1e-12 a layer with a kink at 0 that is no power (elu, celu,
        selu, softsign, finer).  The series need the more terms the larger the variance: beyond
        4096 terms, for tanh beyond a variance of about 30 and for softsign and finer of about 2,
        the message says what to do.  Vectors of one norm have no such limit.

        Norms between which one layer of weight variance 1 without bias serves vectors, some of them
        of half of the norm; variances of the weights count as squares of norms:

        ===========================================  ===========  =================
        activation                                   from         to
        ===========================================  ===========  =================
        relu, leaky_relu, abs, step, relu_power      any          where values are doubles
        sin, cos, snake                              1e-144       1e144
        erf, gelu, gaussian, gabor                   1e-144       1e72
        polynomials of degree p                      10^(-144/p)  10^(144/p)
        hard_tanh, relu6, hard_sigmoid, hard_swish   1e-144       20 to 100
        exp, softplus, silu, swish, sigmoid, mish    1e-144       8 to 16
        tanh, elu, celu, selu                        1e-144       3 to 5
        softsign, finer                              1e-144       1.4
        ===========================================  ===========  =================

        Vectors of norm 0 are allowed.  Other norms are refused, but for relu with a threshold above
        0, which is refused where the norms are so small that its kernel leaves the doubles.

        At a kink the slope is the mean of both sides; this shows at vectors whose argument is 0.

        Examples
        --------
        >>> Network("relu").ntk_matrix([[1.0, 0.0], [0.0, 1.0]])
        array([[0.5, 0. ],
               [0. , 0.5]])
        >>> Network("tanh", depth=2).ntk_matrix([[1.0, 2.0], [0.0, 0.0]], [[3.0, 0.0]]).round(6)
        array([[0.244338],
               [0.      ]])
        """
        from ntkspec.networks import pointwise

        return pointwise.matrix(self, points, others, "ntk", tolerance, fan_in)

    def nngp_matrix(
        self,
        points: ArrayLike,
        others: ArrayLike | None = None,
        *,
        fan_in: bool = False,
        tolerance: float | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Matrix of the NNGP kernel between vectors of any norm, as `ntk_matrix`.

        Examples
        --------
        >>> Network("relu").nngp_matrix([[1.0, 0.0], [-2.0, 0.0]])
        array([[0.5, 0. ],
               [0. , 2. ]])
        """
        from ntkspec.networks import pointwise

        return pointwise.matrix(self, points, others, "nngp", tolerance, fan_in)

    def matrix_with_error(
        self, points: ArrayLike, *, kernel: Kernel = "ntk"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix of a kernel between points of the sphere, and bounds on its absolute errors.

        Parameters
        ----------
        points : (n, dim) array_like
            Unit vectors (to 1e-8; they are normalized to the last digit).
        kernel : {"ntk", "nngp"}

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
