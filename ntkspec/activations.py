"""What is known of each activation function sigma: everything else follows from this file.

To add one, write its value and derivative, its dual, its symmetry and its nearest singularity,
and enter it in `_TABLE`: the manual's page "activations" goes through an example.

A dual is E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] for centred Gaussians of variance q and
covariance c = q cos(theta).  Those below are written for balls, real or complex (python-flint),
as functions of a `ntkspec.duals.Correlation` and q; those without a closed form are made from
Hermite moments in `ntkspec.duals`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, shown, whole_number

__all__ = ["ACTIVATIONS", "Activation", "Singularity", "activation", "refuse_bare_function"]

DEFAULT_SLOPE = 0.1
DEFAULT_POWER = 2
MOST_POWER = 16

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Singularity:
    """The singularity of sigma nearest to the real line, which sets how its spectrum decays.

    Attributes
    ----------
    kind : {"kink", "pole", "entire", "unknown"}
    order : int
        Of a kink at 0: the first derivative that jumps there (0: sigma itself).
    distance : float
        Of a pole or branch point: its distance from the real line.

    Examples
    --------
    >>> activation("relu").singularity
    Singularity(kind='kink', order=1, distance=inf)
    """

    kind: Literal["kink", "pole", "entire", "unknown"]
    order: int = 0
    distance: float = math.inf


@dataclass(frozen=True)
class Activation:
    """An activation function and what is known of it.

    Attributes
    ----------
    name : str
    value, derivative : callable
        sigma and sigma' of float64 arrays, elementwise; at a kink the mean of both sides.
        `derivative` is None where sigma' is not square integrable: there is no NTK then.
    ball, ball_derivative : callable
        The same for a python-flint ball, real or complex, and for a kink at 0 with the sign of
        the argument as a second one.
    dual : callable
        dual(q) returns two functions of a `Correlation`: that of sigma, and that of sigma'.
    singularity : Singularity
    symmetry : {"odd", "even", None}
    polynomial : int or None
        sigma is a polynomial of this degree and parity plus a function of the other parity.
    homogeneous : (power, right, left) or None
        sigma(x) = right x^power for x > 0 and left (-x)^power for x < 0.
    tanh : (offset, amplitude, rate) or None
        sigma(x) = offset + amplitude tanh(rate x).
    user : bool
        Given as a Python callable: nothing about it can be proved.
    arithmetic : {"double", "flint", "mpmath"}
        What a user's callable takes; "double" bounds what can be had.

    Examples
    --------
    >>> sigma = activation("tanh")
    >>> sigma.symmetry, sigma.singularity.kind, float(sigma.derivative(0.0))
    ('odd', 'pole', 1.0)
    """

    name: str
    value: Function
    derivative: Function | None
    ball: Callable[..., Any]
    ball_derivative: Callable[..., Any] | None
    dual: Callable[[Any], tuple[Function, Function]]
    singularity: Singularity
    symmetry: Literal["odd", "even"] | None = None
    polynomial: int | None = None
    homogeneous: tuple[int, float, float] | None = None
    tanh: tuple[float, float, float] | None = None
    user: bool = field(default=False)
    arithmetic: Literal["double", "flint", "mpmath"] = "flint"


def _closed(form: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any], Any]:
    """Dual from a closed form(point, q) of the pair."""
    return lambda q: (lambda point: form(point, q)[0], lambda point: form(point, q)[1])


def _prepared(maker: str, *arguments: Any) -> Callable[[Any], Any]:
    """Dual that `ntkspec.duals` prepares for a variance; imported when it is first used."""

    def dual(q: Any) -> Any:
        import ntkspec.duals as duals

        return getattr(duals, maker)(q, *arguments)

    return dual


# --- kinks at 0: powers on either side (Cho and Saul 2009, eqs. 1 to 8) --------------------------


def _homogeneous(name: str, power: int, right: float, left: float, **symmetry: Any) -> Activation:
    """sigma(x) = right x^power for x > 0, left |x|^power for x < 0."""

    def side(x: Any, sign: int, power: int, right: float, left: float) -> Any:
        return right * x**power if sign > 0 else left * (-x) ** power

    def value(x: ArrayLike) -> NDArray[np.float64]:
        return _two_sided(x, power, right, left)

    def derivative(x: ArrayLike) -> NDArray[np.float64]:
        return _two_sided(x, power - 1, power * right, -power * left)

    return Activation(
        name,
        value,
        derivative if power > 0 else None,
        partial(side, power=power, right=right, left=left),
        partial(side, power=power - 1, right=power * right, left=-power * left)
        if power > 0
        else None,
        _prepared("homogeneous_dual", power, right, left),
        Singularity("kink", power),
        homogeneous=(power, right, left),
        **symmetry,
    )


def _two_sided(x: ArrayLike, power: int, right: float, left: float) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    size: NDArray[np.float64] = np.abs(x) ** power
    return np.where(x > 0, right * size, np.where(x < 0, left * size, 0.5 * (right + left) * size))


def _elu(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _elu_derivative(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.minimum(np.asarray(x, dtype=np.float64), 0.0)))


ELU = Activation(
    "elu",
    _elu,
    _elu_derivative,
    lambda x, sign: x if sign > 0 else x.exp() - 1,
    lambda x, sign: 1 + 0 * x if sign > 0 else x.exp(),
    _prepared("elu_dual"),
    Singularity("kink", 2),
)


# --- poles: affine images and products of tanh, by Hermite moments -------------------------------


def _tanh_derivative(x: ArrayLike, amplitude: float, rate: float) -> NDArray[np.float64]:
    z = np.exp(-2.0 * rate * np.abs(np.asarray(x, np.float64)))
    return np.asarray(amplitude * rate * 4.0 * z / (1.0 + z) ** 2)


def _sigmoid(x: ArrayLike) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(x, np.float64))


TANH = Activation(
    "tanh",
    lambda x: np.tanh(np.asarray(x, np.float64)),
    lambda x: _tanh_derivative(x, 1.0, 1.0),
    lambda x: x.tanh(),
    lambda x: x.sech() ** 2,
    _prepared("hermite_dual", "tanh"),
    Singularity("pole", distance=0.5 * math.pi),
    symmetry="odd",
    tanh=(0.0, 1.0, 1.0),
)

SIGMOID = Activation(
    "sigmoid",
    _sigmoid,
    lambda x: _tanh_derivative(x, 0.5, 0.5),
    lambda x: ((x / 2).tanh() + 1) / 2,
    lambda x: (x / 2).sech() ** 2 / 4,
    _prepared("hermite_dual", "sigmoid"),
    Singularity("pole", distance=math.pi),
    polynomial=0,
    tanh=(0.5, 0.5, 0.5),
)

SILU = Activation(
    "silu",
    lambda x: np.asarray(x, np.float64) * _sigmoid(x),
    lambda x: _sigmoid(x) + np.asarray(x, np.float64) * _tanh_derivative(x, 0.5, 0.5),
    lambda x: x * ((x / 2).tanh() + 1) / 2,
    lambda x: ((x / 2).tanh() + 1) / 2 + x * (x / 2).sech() ** 2 / 4,
    _prepared("hermite_dual", "silu"),
    Singularity("pole", distance=math.pi),
    polynomial=1,
)

SOFTPLUS = Activation(
    "softplus",
    lambda x: np.logaddexp(0.0, np.asarray(x, np.float64)),
    _sigmoid,
    # log(1 + e^x) = x/2 + log(2 cosh(x/2)), whose branch cuts keep off the strip |Im x| < pi.
    lambda x: x / 2 + (2 * (x / 2).cosh()).log(),
    lambda x: ((x / 2).tanh() + 1) / 2,
    _prepared("hermite_dual", "softplus"),
    Singularity("pole", distance=math.pi),
    polynomial=1,
)


# --- entire: closed forms ------------------------------------------------------------------------


def _erf(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import erf

    return np.asarray(erf(np.asarray(x, np.float64)))


def _erf_dual(point: Any, q: Any) -> tuple[Any, Any]:
    """Williams 1997, eq. 11; arcsin by arctan, which keeps its digits near 1."""
    c = q * point.cosine
    root = _determinant(point, 2 * q).sqrt()
    return 2 / point.pi * (2 * c / root).atan(), 4 / point.pi / root


def _determinant(point: Any, q: Any) -> Any:
    """(1 + q)^2 - c^2 for c = q cos(theta)."""
    return (1 + q * point.minus) * (1 + q + q * point.cosine)


def _gelu(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import ndtr

    x = np.asarray(x, np.float64)
    return np.asarray(x * ndtr(x))


def _gelu_derivative(x: ArrayLike) -> NDArray[np.float64]:
    from scipy.special import ndtr

    x = np.asarray(x, np.float64)
    return np.asarray(ndtr(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _gelu_dual(point: Any, q: Any) -> tuple[Any, Any]:
    """By Stein's lemma from E[Phi(u) Phi(v)] and E[phi(u) phi(v)]: docs, "Closed forms"."""
    c = q * point.cosine
    determinant = _determinant(point, q)
    root = determinant.sqrt()
    both = 1 / (2 * point.pi * root)
    joint = (1 + 2 / point.pi * (c / root).atan()) / 4
    apart = q * q * point.minus * (1 + point.cosine)  # q^2 - c^2
    value = c * joint + both * (q * apart + q * q + c * c) / (1 + q)
    slope = joint + both * c * (2 / (1 + q) + 1 / determinant)
    return value, slope


def _sin_dual(point: Any, q: Any) -> tuple[Any, Any]:
    c, damping = q * point.cosine, (-q).exp()
    return damping * c.sinh(), damping * c.cosh()


def _cos_dual(point: Any, q: Any) -> tuple[Any, Any]:
    return _sin_dual(point, q)[::-1]


def _gaussian_dual(point: Any, q: Any) -> tuple[Any, Any]:
    c = q * point.cosine
    determinant = _determinant(point, q)
    value = 1 / determinant.sqrt()
    return value, value * c / determinant


def _gaussian(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * np.square(np.asarray(x, np.float64))))


def _normal_cdf(x: Any) -> Any:
    return (-x / (0 * x + 2).sqrt()).erfc() / 2


def _normal_density(x: Any) -> Any:
    return (-x * x / 2).exp() / (2 * x.pi()).sqrt()


ERF = Activation(
    "erf",
    _erf,
    lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-np.square(np.asarray(x, np.float64))),
    lambda x: x.erf(),
    lambda x: 2 / x.pi().sqrt() * (-x * x).exp(),
    _closed(_erf_dual),
    Singularity("entire"),
    symmetry="odd",
)

GELU = Activation(
    "gelu",
    _gelu,
    _gelu_derivative,
    lambda x: x * _normal_cdf(x),
    lambda x: _normal_cdf(x) + x * _normal_density(x),
    _closed(_gelu_dual),
    Singularity("entire"),
    polynomial=1,
)

SIN = Activation(
    "sin",
    lambda x: np.sin(np.asarray(x, np.float64)),
    lambda x: np.cos(np.asarray(x, np.float64)),
    lambda x: x.sin(),
    lambda x: x.cos(),
    _closed(_sin_dual),
    Singularity("entire"),
    symmetry="odd",
)

COS = Activation(
    "cos",
    lambda x: np.cos(np.asarray(x, np.float64)),
    lambda x: -np.sin(np.asarray(x, np.float64)),
    lambda x: x.cos(),
    lambda x: -x.sin(),
    _closed(_cos_dual),
    Singularity("entire"),
    symmetry="even",
)

GAUSSIAN = Activation(
    "gaussian",
    _gaussian,
    lambda x: -np.asarray(x, np.float64) * _gaussian(x),
    lambda x: (-x * x / 2).exp(),
    lambda x: -x * (-x * x / 2).exp(),
    _closed(_gaussian_dual),
    Singularity("entire"),
    symmetry="even",
)


# --- looking them up -----------------------------------------------------------------------------


def _leaky_relu(slope: float) -> Activation:
    known: dict[str, Any] = {"symmetry": "even"} if slope == -1.0 else {"polynomial": 1}
    return _homogeneous("leaky_relu", 1, 1.0, -slope, **known)


def _relu_power(power: int) -> Activation:
    return _homogeneous("relu_power", power, 1.0, 0.0, polynomial=power)


_TABLE = {
    "relu": _homogeneous("relu", 1, 1.0, 0.0, polynomial=1),
    "leaky_relu": _leaky_relu(DEFAULT_SLOPE),
    "abs": _homogeneous("abs", 1, 1.0, 1.0, symmetry="even"),
    "step": _homogeneous("step", 0, 1.0, 0.0, polynomial=0),
    "relu_power": _relu_power(DEFAULT_POWER),
    "elu": ELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "silu": SILU,
    "softplus": SOFTPLUS,
    "erf": ERF,
    "gelu": GELU,
    "sin": SIN,
    "cos": COS,
    "gaussian": GAUSSIAN,
}

#: The names that `activation` knows.
ACTIVATIONS = tuple(_TABLE)


def activation(name: str, slope: float | None = None, power: int | None = None) -> Activation:
    """Look an activation function up by its name.

    Parameters
    ----------
    name : str
        relu, leaky_relu, abs, step, relu_power, elu, sigmoid, tanh, silu, softplus, erf, gelu,
        sin, cos or gaussian (which is exp(-x^2/2)); "relu**3" is relu_power with power 3.
    slope : float, optional
        Slope of leaky_relu for negative arguments, 0.1 if not given; no other has one.
    power : int, optional
        Power of relu_power, max(x, 0)**power, 1 to 16, 2 if not given; no other has one.

    Raises
    ------
    NtkspecError
        For an unknown name (the nearest names are given) or a parameter that does not belong.

    Examples
    --------
    >>> activation("leaky_relu", slope=0.2).value([-1.0, 2.0])
    array([-0.2,  2. ])
    """
    refuse_bare_function(name, "activation")
    if isinstance(name, str) and name.startswith("relu**") and power is None:
        name, power = "relu_power", _written_power(name.removeprefix("relu**"))
    if not isinstance(name, str) or name not in _TABLE:
        near = difflib.get_close_matches(
            shown(name).strip("'").lower(), ACTIVATIONS, n=3, cutoff=0.4
        )
        hint = f"did you mean {' or '.join(near)}?" if near else "known are"
        raise NtkspecError(
            f"activation {shown(name)} is unknown; {hint} ({', '.join(ACTIVATIONS)})"
        )
    if slope is not None and name != "leaky_relu":
        raise NtkspecError(
            f"slope = {shown(slope)} is given for {name}, but only leaky_relu has one"
        )
    if power is not None and name != "relu_power":
        raise NtkspecError(
            f"power = {shown(power)} is given for {name}, but only relu_power has one"
        )
    if slope is not None:
        return _leaky_relu(_checked_slope(slope))
    if power is not None:
        return _relu_power(_checked_power(power))
    return _TABLE[name]


def refuse_bare_function(given: object, parameter: str) -> None:
    """Raise when a Python function is given where it could be a kernel or an activation.

    Examples
    --------
    >>> refuse_bare_function("tanh", "network")
    >>> refuse_bare_function(abs, "network")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: network = <built-in function abs> is a bare function: it could \
be an activation or a kernel; give Network(user_activation(function)) for the activation \
sigma(x), or ZonalKernel(function) for the kernel K(t)
    """
    if callable(given):
        raise NtkspecError(
            f"{parameter} = {given!r} is a bare function: it could be an activation or a kernel; "
            "give Network(user_activation(function)) for the activation sigma(x), or "
            "ZonalKernel(function) for the kernel K(t)"
        )


def _checked_slope(slope: float) -> float:
    value = as_number(slope)
    if not abs(value) <= 1e100:
        raise NtkspecError(
            f"slope = {shown(slope)} is not allowed; it must be a number, |slope| <= 1e100"
        )
    return value


def _written_power(digits: str) -> Any:
    """The power of relu**3; text that is no number is refused as it stands."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else digits


def _checked_power(power: int) -> int:
    return whole_number(power, "power", 1, MOST_POWER)
