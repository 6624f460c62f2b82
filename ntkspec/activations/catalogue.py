"""The activations by name: one line for each family."""

from __future__ import annotations

from typing import Any

from ntkspec.activations.activation import Activation
from ntkspec.activations.clipped import HARD_SIGMOID, HARD_SWISH, HARD_TANH, RELU6, shifted_relu
from ntkspec.activations.elu import ELU, SELU
from ntkspec.activations.erf import ERF
from ntkspec.activations.exponential import EXP
from ntkspec.activations.gabor import gabor
from ntkspec.activations.gaussian import GAUSSIAN
from ntkspec.activations.gelu import GELU
from ntkspec.activations.mish import MISH
from ntkspec.activations.names import Family, plain, read_call, refuse_bare_function, similar
from ntkspec.activations.odd import FINER, SOFTSIGN
from ntkspec.activations.polynomial import polynomial
from ntkspec.activations.powers import ABS, RELU, STEP, leaky_relu, own_parameters, relu_power
from ntkspec.activations.scaled import celu, swish
from ntkspec.activations.sigmoidal import SIGMOID, SILU, SOFTPLUS, TANH
from ntkspec.activations.snake import snake
from ntkspec.activations.trigonometric import COS, SIN
from ntkspec.errors import NtkspecError
from ntkspec.parameters import shown

__all__ = ["ACTIVATIONS", "activation", "is_catalogued"]

MOST_POWER = 16

#: Name, what makes the activation, and for each parameter its name, default, least and largest.
FAMILIES = (
    Family("relu", RELU),
    Family("leaky_relu", leaky_relu, (("slope", 0.1, -1e100, 1e100),)),
    Family("abs", ABS),
    Family("step", STEP),
    Family("relu_power", relu_power, (("power", 2, 1, MOST_POWER),)),
    Family("elu", ELU),
    Family("celu", celu, (("alpha", 1.0, 1e-3, 1e3),)),
    Family("selu", SELU),
    Family("sigmoid", SIGMOID),
    Family("tanh", TANH),
    Family("silu", SILU),
    Family("swish", swish, (("beta", 1.0, 1e-3, 1e3),)),
    Family("softplus", SOFTPLUS),
    Family("mish", MISH),
    Family("softsign", SOFTSIGN),
    Family("hard_tanh", HARD_TANH),
    Family("relu6", RELU6),
    Family("hard_sigmoid", HARD_SIGMOID),
    Family("hard_swish", HARD_SWISH),
    Family("shifted_relu", shifted_relu, (("threshold", 1.0, -1e3, 1e3),)),
    Family("erf", ERF),
    Family("gelu", GELU),
    Family("sin", SIN),
    Family("cos", COS),
    Family("gaussian", GAUSSIAN),
    Family("exp", EXP),
    Family("snake", snake, (("a", 1.0, 1e-3, 1e3),)),
    Family("finer", FINER),
    Family("gabor", gabor, (("omega", 10.0, 0.0, 1e3), ("scale", 1.0, 0.0, 1e3))),
    Family("polynomial", polynomial, several=("coefficient", -1e6, 1e6)),
)
#: Other names: those of the literature and of PyTorch, JAX and Keras, and parameters they fix.
ALIASES: dict[str, tuple[str, tuple[float, ...]]] = {
    "prelu": ("leaky_relu", ()),
    "squared_relu": ("relu_power", (2,)),
    "relu2": ("relu_power", (2,)),
    "sine": ("sin", ()),
    "cosine": ("cos", ()),
    "heaviside": ("step", ()),
    "logistic": ("sigmoid", ()),
    "exponential": ("exp", ()),
    "square": ("polynomial", (0, 0, 1)),
    "quadratic": ("polynomial", (0, 0, 1)),
}

#: The names that `activation` knows.
ACTIVATIONS = tuple(family.name for family in FAMILIES)

_BY_PLAIN_NAME = {plain(family.name): family for family in FAMILIES}
_ALIASES = {plain(alias): stands_for for alias, stands_for in ALIASES.items()}


def activation(name: str, **parameters: Any) -> Activation:
    """Look an activation function up by its name.

    Parameters
    ----------
    name : str
        One of `ACTIVATIONS`, with its parameters if it has any: "leaky_relu(0.2)" or
        "relu_power(power=3)", for which "relu**3" is another name.  Case and underscores do not
        matter, so that the class names of PyTorch, JAX and Keras are understood, and prelu,
        squared_relu, relu2, sine, cosine, heaviside, logistic, exponential and square are other
        names.
    **parameters : float
        Parameters by name; None for the default.

    Returns
    -------
    Activation
        The same one for all names that it has: its `name` is the canonical one.

    Raises
    ------
    NtkspecError
        For an unknown name (the message suggests similar ones), a parameter that the activation
        does not have, or a value out of its range.

    Examples
    --------
    >>> activation("leaky_relu", slope=0.2).value([-1.0, 2.0])
    array([-0.2,  2. ])
    >>> activation("LeakyReLU(0.2)") == activation("leaky_relu", slope=0.2)
    True
    """
    refuse_bare_function(name, "activation")
    if not isinstance(name, str):
        raise _unknown(name)
    written, given, named = read_call(name)
    if written.startswith("relu**") and not given:
        written, given = "relu_power", (_written_power(written.removeprefix("relu**")),)
    key, fixed = _ALIASES.get(plain(written), (written, ()))
    if plain(key) not in _BY_PLAIN_NAME:
        raise _unknown(name)
    for parameter, value in parameters.items():
        if value is not None and parameter in named:
            raise NtkspecError(f"{parameter} of {name} is given twice; leave one out")
    named.update((one, value) for one, value in parameters.items() if value is not None)
    family = _BY_PLAIN_NAME[plain(key)]
    for one in named.keys() - family.names:
        if having := " and ".join(other.name for other in FAMILIES if one in other.names):
            raise NtkspecError(
                f"{one} = {shown(named[one])} is given for {family.name}, but only {having} has one"
            )
    return family.of((*fixed, *given), named)


def is_catalogued(sigma: Activation) -> bool:
    """Whether an activation is the catalogue's one of its name and parameters.

    Examples
    --------
    >>> is_catalogued(activation("tanh"))
    True
    """
    try:
        return sigma == activation(sigma.name, **own_parameters(sigma))
    except NtkspecError:
        return False


def _unknown(name: Any) -> NtkspecError:
    near = similar(name if isinstance(name, str) else "", ACTIVATIONS)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return NtkspecError(
        f"activation {shown(name)} is unknown; {hint}known are {', '.join(ACTIVATIONS)}"
    )


def _written_power(digits: str) -> Any:
    """The power in relu**3; other strings are returned unchanged, and refused later."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else digits
