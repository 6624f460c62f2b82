"""The activations by name: one line for each."""

from __future__ import annotations

import difflib
from typing import Any

from ntkspec.activations.activation import Activation
from ntkspec.activations.clipped import HARD_SIGMOID, HARD_SWISH, HARD_TANH, RELU6
from ntkspec.activations.elu import ELU
from ntkspec.activations.erf import ERF
from ntkspec.activations.gaussian import GAUSSIAN
from ntkspec.activations.gelu import GELU
from ntkspec.activations.powers import ABS, RELU, STEP, leaky_relu, relu_power
from ntkspec.activations.sigmoidal import SIGMOID, SILU, SOFTPLUS, TANH
from ntkspec.activations.trigonometric import COS, SIN
from ntkspec.activations.user import refuse_bare_function
from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, shown, whole_number

__all__ = ["ACTIVATIONS", "activation"]

_CATALOGUE = {
    "relu": RELU,
    "leaky_relu": leaky_relu(),
    "abs": ABS,
    "step": STEP,
    "relu_power": relu_power(),
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
    "hard_tanh": HARD_TANH,
    "relu6": RELU6,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_swish": HARD_SWISH,
}

#: The names that `activation` knows.
ACTIVATIONS = tuple(_CATALOGUE)

MOST_POWER = 16


def activation(name: str, *, slope: float | None = None, power: int | None = None) -> Activation:
    """Look an activation function up by its name.

    Parameters
    ----------
    name : str
        relu, leaky_relu, abs, step, relu_power, elu, sigmoid, tanh, silu, softplus, erf, gelu,
        sin, cos, gaussian (which is exp(-x^2/2)), hard_tanh, relu6, hard_sigmoid or hard_swish;
        "relu**3" is relu_power with power 3.
    slope : float, optional
        Slope of leaky_relu for negative arguments, default 0.1; no other activation has one.
    power : int, optional
        Power of relu_power, max(x, 0)**power, 1 to 16, default 2; no other activation has one.

    Returns
    -------
    Activation

    Raises
    ------
    NtkspecError
        For an unknown name (the message suggests similar ones) or a parameter that the activation
        does not have.

    Examples
    --------
    >>> activation("leaky_relu", slope=0.2).value([-1.0, 2.0])
    array([-0.2,  2. ])
    """
    refuse_bare_function(name, "activation")
    if isinstance(name, str) and name.startswith("relu**") and power is None:
        name, power = "relu_power", _written_power(name.removeprefix("relu**"))
    if not isinstance(name, str) or name not in _CATALOGUE:
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
        return leaky_relu(number(slope, "slope", -1e100, 1e100))
    if power is not None:
        return relu_power(whole_number(power, "power", 1, MOST_POWER))
    return _CATALOGUE[name]


def _written_power(digits: str) -> Any:
    """The power in relu**3; other strings are returned unchanged, and refused later."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else digits
