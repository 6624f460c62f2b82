"""The forms of a network: parameters of its hidden layers, parts one after another, and text.

Networks of the same parts have the same form: the short one where there is one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from ntkspec.activations import (
    Activation,
    activation,
    is_catalogued,
    own_parameters,
    refuse_bare_function,
)
from ntkspec.errors import NtkspecError
from ntkspec.networks.parts import Linear, Normalize, Part, Residual, checked_parts, written
from ntkspec.parameters import number, one_of, shown, truth, whole_number

__all__ = ["Parameterization", "canonical", "layers_text", "parts_of", "sigmas_of"]

Parameterization: TypeAlias = Literal["ntk", "standard", "mean_field", "mup"]
PARAMETERIZATIONS = ("ntk", "standard", "mean_field", "mup")

MOST_DEPTH = 100

Values: TypeAlias = dict[str, Any]

DEFAULTS: Values = {
    "activation": None, "slope": None, "power": None, "weight_variance": 1.0,
    "bias_variance": 0.0, "depth": 1, "trained": "hidden", "weights": "gaussian",
    "bias": "gaussian", "readout_variance": 1.0, "readout_bias_variance": 0.0,
    "normalize": False, "parameterization": "ntk", "layers": None,
}  # fmt: skip


def canonical(given: Mapping[str, Any]) -> Values:
    """The simplest parameters that describe the same network.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.
    """
    if given["layers"] is not None:
        for name, default in DEFAULTS.items():
            if name != "layers" and not _same(given[name], default):
                raise NtkspecError(
                    f"{name} = {shown(given[name])} is given with layers, which describe the "
                    "whole network; leave it out"
                )
        parts = checked_parts(_read_layers(given["layers"]))
        return _short_form(parts) or {**DEFAULTS, "layers": parts}
    values = _checked(given)
    plain = all(values[name] == DEFAULTS[name] for name in list(DEFAULTS)[8:])
    if plain and isinstance(values["trained"], str):
        return values
    return {**(_short_form(parts_of(values)) or values), "weights": values["weights"]}


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and value == default)


# --- parameters ----------------------------------------------------------------------------------


def _checked(given: Mapping[str, Any]) -> Values:
    """Checked parameters; sequences of equal values are single values."""
    values = dict(given)
    sigmas = _sigmas(values)
    weight = _list(values["weight_variance"], "weight_variance", 0.01)
    bias = _list(values["bias_variance"], "bias_variance", 0.0)
    values["depth"] = depth = _depth(values["depth"], activation=sigmas, weight_variance=weight,
                                     bias_variance=bias)  # fmt: skip
    values["weight_variance"], values["bias_variance"] = _single(weight), _single(bias)
    values.update(_named(sigmas))
    one_of(values["weights"], "weights", ("gaussian", "sphere"))
    one_of(values["bias"], "bias", ("gaussian", "zero"))
    one_of(values["parameterization"], "parameterization", PARAMETERIZATIONS)
    for name, least in (("readout_variance", 0.01), ("readout_bias_variance", 0.0)):
        values[name] = number(values[name], name, least, 1e4)
    values["normalize"] = truth(values["normalize"], "normalize")
    values["trained"] = _trained(values["trained"], depth)
    _check_combination(values)
    return values


def _check_combination(values: Values) -> None:
    depth, bias = values["depth"], values["bias_variance"]
    others = ("bias", "readout_variance", "readout_bias_variance", "normalize", "parameterization")
    if values["weights"] == "sphere":
        if depth > 1 or bias != 0.0:
            raise NtkspecError(
                "weights = 'sphere' is for one hidden layer without bias; "
                f"depth = {depth} and bias_variance = {bias} are given"
            )
        for name in (*others, "trained"):
            word = name == "trained" and isinstance(values[name], str)
            if values[name] != DEFAULTS[name] and not word:
                raise NtkspecError(
                    f"{name} = {shown(values[name])} is not allowed with weights = 'sphere'; "
                    "leave it out"
                )
    if values["parameterization"] == "mean_field" and depth > 1:
        raise NtkspecError(
            f"parameterization = 'mean_field' is for one hidden layer; depth = {depth} is given: "
            "the variances of deeper ones vanish with the width; use 'mup'"
        )
    if values["bias"] == "zero" and bias == 0.0 and values["readout_bias_variance"] == 0.0:
        raise NtkspecError(
            "bias = 'zero' is given with bias_variance = 0, which has no bias; give the square of "
            "the biases' scale, such as bias_variance = 1.0"
        )


def _sigmas(values: Values) -> tuple[Activation, ...]:
    """The activations, one or one for each layer."""
    given, slope, power = values["activation"], values["slope"], values["power"]
    if given is None:
        raise NtkspecError(
            "no activation is given; give a name, such as Network('relu'), or layers"
        )
    if isinstance(given, str) and "," in given:
        given = _split(given)
    if not isinstance(given, (list, tuple)):
        return (_sigma(given, slope, power),)
    if not given:
        raise NtkspecError("activation = [] is empty; give one for each hidden layer")
    owners = {"slope": "leaky_relu", "power": "relu_power"}
    for name, owner in owners.items():
        if values[name] is not None and owner not in given:
            raise NtkspecError(
                f"{name} = {shown(values[name])} is given, but no layer is a {owner}"
            )
    return tuple(
        _sigma(
            one, slope if one == "leaky_relu" else None, power if one == "relu_power" else None
        )
        for one in given
    )  # fmt: skip


def _sigma(given: Any, slope: Any, power: Any) -> Activation:
    if not isinstance(given, Activation):
        return activation(given, slope=slope, power=power)
    for name, value in (("slope", slope), ("power", power)):
        if value is not None:
            raise NtkspecError(
                f"{name} = {shown(value)} is given with an Activation, which "
                "has its own; leave it out, or give the activation by its name"
            )
    return given


def _split(names: str) -> list[str]:
    """Names with commas between them; commas in parentheses separate parameters."""
    return [name.strip() for name in re.split(r",(?![^()]*\))", names)]


def _named(sigmas: tuple[Activation, ...]) -> Values:
    """activation, slope and power of the layers: names of the catalogue's activations."""
    own = [own_parameters(sigma) for sigma in sigmas]
    slopes, powers = ({x[name] for x in own} - {None} for name in ("slope", "power"))
    named = tuple(_by_name(sigma) for sigma in sigmas)
    return {
        "activation": named[0] if len(set(named)) == 1 else named,
        "slope": slopes.pop() if len(slopes) == 1 else None,
        "power": powers.pop() if len(powers) == 1 else None,
    }


def _by_name(sigma: Activation) -> str | Activation:
    return sigma.name if is_catalogued(sigma) else sigma


def _list(given: Any, name: str, least: float) -> tuple[float, ...]:
    """One variance or one for each layer."""
    several = isinstance(given, (list, tuple)) or getattr(given, "ndim", 0) == 1
    if not several:
        return (number(given, name, least, 1e4),)
    if len(given) == 0:
        raise NtkspecError(f"{name} = {shown(given)} is empty; give one for each hidden layer")
    return tuple(number(x, f"{name}[{i}]", least, 1e4) for i, x in enumerate(given))


def _depth(given: Any, **lists: tuple[Any, ...]) -> int:
    """The number of hidden layers, from `depth` and the lengths of the lists."""
    depth = whole_number(given, "depth", 1, MOST_DEPTH)
    lengths = {name: len(values) for name, values in lists.items() if len(values) > 1}
    longest = max(lengths.values(), default=depth)
    wanted = longest if depth == 1 else depth
    for name, length in lengths.items():
        if length != wanted:
            raise NtkspecError(
                f"{name} has {length} values for {wanted} hidden layers; give one, or one for "
                "each layer"
            )
    return whole_number(wanted, "depth", 1, MOST_DEPTH)


def _single(values: tuple[Any, ...]) -> Any:
    return values[0] if len(set(values)) == 1 else values


def _trained(given: Any, depth: int) -> Any:
    """A word, or the numbers of the trained layers; depth + 1 is the readout."""
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        one_of(given, "trained", ("hidden", "all"))
        return given
    layers = tuple(sorted({whole_number(x, "trained", 1, depth + 1) for x in given}))
    if not layers:
        raise NtkspecError("trained = {} is empty; train at least one layer")
    if layers == tuple(range(1, depth + 2)):
        return "all"
    return "hidden" if layers == tuple(range(1, depth + 1)) else layers


def parts_of(values: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts of a network of checked parameters."""
    if values["layers"] is not None:
        return tuple(values["layers"])
    depth = values["depth"]
    weight, bias = (_each(values[name], depth) for name in ("weight_variance", "bias_variance"))
    trained = values["trained"]
    if isinstance(trained, str):
        trained = range(1, depth + 1 + (trained == "all"))
    sigmas = sigmas_of(values)
    parts: list[Part] = []
    made: dict[Any, Linear] = {}
    for layer in range(depth):
        key = weight[layer], bias[layer], layer + 1 in trained, layer == 0
        if key not in made:
            made[key] = _linear(*key, values)
        parts.append(made[key])
        parts += [Normalize()] if values["normalize"] else []
        parts.append(sigmas[layer])
    last = values["readout_variance"], values["readout_bias_variance"]
    parts.append(_linear(*last, depth + 1 in trained, False, values))
    return tuple(parts)


def _linear(
    weight: float, bias: float, trained: bool, first: bool, values: Mapping[str, Any]
) -> Linear:
    kind: Any = values["bias"] if bias else "gaussian"
    if not trained:
        return Linear(weight, bias if kind == "gaussian" else 0.0, trained=False)
    rates = {
        "ntk": None,
        "standard": (0.0, 0.0) if first else (1.0, 0.0),
        "mean_field": (1.0, 1.0 if bias else 0.0),
        "mup": (1.0, 1.0 if bias else 0.0),
    }[values["parameterization"]]
    return Linear(weight, bias, bias=kind, rates=rates)


def _each(value: Any, depth: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * depth


def sigmas_of(values: Mapping[str, Any]) -> tuple[Activation, ...]:
    """The activations of the layers, of checked parameters of the short form."""
    given = values["activation"]
    owned = {"leaky_relu": {"slope": values["slope"]}, "relu_power": {"power": values["power"]}}
    known = {
        one: one if isinstance(one, Activation) else activation(one, **owned.get(one, {}))
        for one in set(_each(given, 1))
    }
    return tuple(known[one] for one in _each(given, values["depth"]))


# --- parts ---------------------------------------------------------------------------------------


class _Layer(NamedTuple):
    linear: Linear
    normalize: bool
    sigma: Activation


def _short_form(parts: tuple[Part, ...]) -> Values | None:
    """Parameters whose parts are these, the simplest ones; None if there are none."""
    layers = list(_hidden_layers(parts))
    last = parts[-1]
    if 2 * len(layers) + sum(layer.normalize for layer in layers) + 1 != len(parts):
        return None
    if not layers or not isinstance(last, Linear) or len(layers) > MOST_DEPTH:
        return None
    if not any(part.trained for part in parts if isinstance(part, Linear)):
        return None
    if len({layer.normalize for layer in layers}) > 1:
        return None
    named = _named(tuple(layer.sigma for layer in layers))
    linears = [*(layer.linear for layer in layers), last]
    numbers = tuple(i for i, linear in enumerate(linears, 1) if linear.trained)
    for parameterization in PARAMETERIZATIONS:
        for bias in ("gaussian", "zero"):
            for trained in ("hidden", "all", numbers):
                values = {
                    **DEFAULTS, **named, "depth": len(layers), "trained": trained, "bias": bias,
                    "weight_variance": _single(tuple(x.weight_variance for x in linears[:-1])),
                    "bias_variance": _single(tuple(x.bias_variance for x in linears[:-1])),
                    "readout_variance": last.weight_variance,
                    "readout_bias_variance": last.bias_variance,
                    "normalize": layers[0].normalize, "parameterization": parameterization,
                }  # fmt: skip
                if parameterization == "mean_field" and len(layers) > 1:
                    continue
                if parts_of(values) == parts:
                    return values
    return None


def _hidden_layers(parts: tuple[Part, ...]) -> Iterator[_Layer]:
    """Linear, perhaps Normalize, and an activation, as many as stand one after another."""
    at = 0
    while at + 1 < len(parts):
        linear, normalize = parts[at], isinstance(parts[at + 1], Normalize)
        at += 1 + normalize
        if not isinstance(linear, Linear) or at >= len(parts):
            return
        sigma = parts[at]
        if not isinstance(sigma, Activation):
            return
        yield _Layer(linear, normalize, sigma)
        at += 1


# --- text ----------------------------------------------------------------------------------------


def layers_text(parts: tuple[Part, ...]) -> str:
    """The parts as text, as they are written in `Network.serial`."""
    return ", ".join(map(written, parts))


def _read_layers(layers: Any) -> Any:
    """Parts from text, or as they are."""
    if isinstance(layers, str):
        try:
            tree = ast.parse(f"({layers},)", mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise NtkspecError(
                f"layers = {shown(layers)} cannot be read; write them as in Network.serial, such "
                "as Linear(1.0), 'relu', Linear(1.0)"
            ) from None
        assert isinstance(tree, ast.Tuple)
        return tuple(_evaluated(node) for node in tree.elts)
    if not isinstance(layers, (list, tuple)):
        refuse_bare_function(layers, "layers")
        raise NtkspecError(f"layers = {shown(layers)} is not allowed; give a sequence of parts")
    return tuple(layers)


def _evaluated(node: ast.expr) -> Any:
    """A part's constructor or a literal."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        kinds = {"Linear": Linear, "Residual": Residual, "Normalize": Normalize}
        if node.func.id in kinds and all(word.arg for word in node.keywords):
            words = {str(word.arg): _evaluated(word.value) for word in node.keywords}
            try:
                return kinds[node.func.id](*map(_evaluated, node.args), **words)
            except TypeError as error:
                text = str(error).replace("__init__()", "").replace(f"{node.func.id}.", "")
                raise NtkspecError(f"{ast.unparse(node)}: {text.strip()}") from None
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise NtkspecError(
            f"{ast.unparse(node)} in layers is not known; write Linear, Residual, Normalize or "
            "an activation's name in quotes"
        ) from None
