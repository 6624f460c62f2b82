"""The network of infinite width that a PyTorch model of dense layers stands for."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ntkspec.activations import activation
from ntkspec.errors import NtkspecError
from ntkspec.networks import Linear, Network, Normalize, Residual
from ntkspec.parameters import number, one_of, shown

try:
    import torch
    from torch import fx, nn
except ImportError:
    raise ImportError("ntkspec.torch needs PyTorch: pip install 'ntkspec[torch]'") from None

__all__ = ["Described", "describe"]

#: Modules and functions that are activations, and what makes their name from the module.
SIGMAS: dict[str, Callable[[Any], str]] = {
    "ReLU": lambda m: "relu",
    "LeakyReLU": lambda m: f"leaky_relu({m.negative_slope})",
    "ReLU6": lambda m: "relu6",
    "ELU": lambda m: f"celu({m.alpha})" if m.alpha == 1.0 else "",
    "CELU": lambda m: f"celu({m.alpha})",
    "SELU": lambda m: "selu",
    "Tanh": lambda m: "tanh",
    "Sigmoid": lambda m: "sigmoid",
    "SiLU": lambda m: "silu",
    "Mish": lambda m: "mish",
    "Softplus": lambda m: "softplus" if m.beta == 1 else "",
    "Softsign": lambda m: "softsign",
    "GELU": lambda m: "gelu" if m.approximate == "none" else "",
    "Hardtanh": lambda m: "hard_tanh" if (m.min_val, m.max_val) == (-1.0, 1.0) else "",
    "Hardsigmoid": lambda m: "hard_sigmoid",
    "Hardswish": lambda m: "hard_swish",
}
FUNCTIONS = {
    "relu": "relu", "relu6": "relu6", "tanh": "tanh", "sigmoid": "sigmoid", "silu": "silu",
    "gelu": "gelu", "selu": "selu", "mish": "mish", "softsign": "softsign", "sin": "sin",
    "cos": "cos", "erf": "erf", "exp": "exp", "abs": "abs", "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
}  # fmt: skip
#: Modules that change nothing in evaluation.
LEFT_OUT = ("Dropout", "AlphaDropout", "Identity", "Flatten")


#: Numbers with more digits than results show.
LONG_NUMBER = re.compile(r"\d+\.\d{5,}(e[-+]?\d+)?|\d\.\d+e[-+]?\d+")


@dataclass(frozen=True, repr=False)
class Described:
    """The network of infinite width, and what of the model it leaves out.

    It is shown with six digits, as results are; ``network`` has all of them.

    Attributes
    ----------
    network : Network
    left_out : tuple of str
        One sentence for each thing that the network does not have.
    input_norm : float
        Norm of the inputs that the unit sphere stands for; 1 if the model has no Linear.
    """

    network: Network
    left_out: tuple[str, ...]
    input_norm: float = 1.0

    def __repr__(self) -> str:
        network = LONG_NUMBER.sub(lambda found: f"{float(found[0]):.6g}", repr(self.network))
        lines = [f"Described: {network}, input_norm = {self.input_norm:.6g}"]
        return "\n".join([*lines, *(f"left out: {one}" for one in self.left_out)])


def describe(
    model: nn.Module,
    *,
    variances: Literal["initial", "weights"] = "initial",
    input_norm: float | None = None,
    parameterization: Literal["ntk", "standard", "mup", "pytorch"] = "ntk",
) -> Described:
    """Describe a model of dense layers as the network of its infinite width.

    Parameters
    ----------
    model : torch.nn.Module
        Made of Linear, activations, LayerNorm, sums of a branch with its input, and numbers times
        a branch; `torch.fx` must be able to trace it.
    variances : {"initial", "weights"}
        Those of PyTorch's own initialization, 1 / (3 fan_in) for weights and biases, or the mean
        squares found in the model.
    input_norm : float, optional
        Norm of the inputs; default sqrt(fan_in), that of standardized inputs.
    parameterization : {"ntk", "standard", "mup", "pytorch"}
        As for `Network`; what PyTorch's optimizers train is "standard" in the limit of infinite
        width, and "pytorch" at the widths of the model; see Notes.

    Returns
    -------
    Described

    Raises
    ------
    NtkspecError
        When the model has a part that no rule covers; the message names it.

    Notes
    -----
    With "pytorch" the tangent kernel is that of gradients by the parameters as PyTorch holds them,
    and has the scale of `empirical_ntk`: a layer adds fan_in q + 1 to it, the weights fan_in q and
    the bias 1, where the NTK parameterization has s_w q + s_b.  It grows with the width; "standard"
    is its limit, divided by the width.  With the default `input_norm` it takes vectors of any norm
    by ``network.ntk_matrix(X, fan_in=True)``.

    Examples
    --------
    >>> from torch import nn
    >>> describe(nn.Sequential(nn.Linear(3, 512), nn.Tanh(), nn.Linear(512, 1)))
    Described: Network('tanh', weight_variance=0.333333, bias_variance=0.111111, trained='all', \
readout_variance=0.333333, readout_bias_variance=0.000651042), input_norm = 1.73205
    left out: the uniform distribution of the 3 weights of each unit of the first layer, for which \
a Gaussian one of the same variance stands
    """
    if not isinstance(model, nn.Module):
        raise NtkspecError(f"model = {shown(model)} is not allowed; give a torch.nn.Module")
    one_of(variances, "variances", ("initial", "weights"))
    one_of(parameterization, "parameterization", ("ntk", "standard", "mup", "pytorch"))
    if input_norm is not None:
        input_norm = number(input_norm, "input_norm", 1e-6, 1e6)
    reader = _Reader(model, variances, input_norm, parameterization)
    parts = reader.read()
    left_out = tuple(dict.fromkeys(reader.left_out))
    return Described(Network.serial(*parts), left_out, reader.used_norm)


@dataclass(frozen=True)
class _Value:
    """A tensor of the model: the parts that made it, and a number times them."""

    parts: tuple[Any, ...]
    factor: float = 1.0


class _Reader:
    def __init__(
        self, model: nn.Module, variances: str, input_norm: float | None, parameterization: str
    ) -> None:
        try:
            self.graph = fx.symbolic_trace(model).graph
        except Exception as error:
            raise NtkspecError(
                f"the model cannot be traced by torch.fx ({type(error).__name__}: {error}); write "
                "its forward without branches that depend on the data, or use Network.serial"
            ) from None
        self.modules = dict(model.named_modules())
        self.variances, self.norm = variances, input_norm
        self.parameterization = parameterization
        self.left_out: list[str] = []
        self.layers = 0
        self.used_norm = 1.0

    def read(self) -> tuple[Any, ...]:
        """The parts of the output."""
        values: dict[fx.Node, Any] = {}
        for node in self.graph.nodes:
            arguments = [values.get(x, x) if isinstance(x, fx.Node) else x for x in node.args]
            if node.op == "placeholder":
                if any(isinstance(value, _Value) for value in values.values()):
                    raise NtkspecError("the model has several inputs; give one of a single input")
                values[node] = _Value(())
            elif node.op == "call_module":
                values[node] = self._module(self.modules[str(node.target)], arguments[0])
            elif node.op in ("call_function", "call_method"):
                values[node] = self._function(node, arguments)
            elif node.op == "output":
                found = arguments[0]
                if not isinstance(found, _Value) or found.factor != 1.0:
                    raise NtkspecError("the model returns no single tensor of its layers")
                return found.parts
            else:
                raise NtkspecError(f"{node.target} is a parameter outside of nn.Linear")
        raise NtkspecError("the model returns nothing")

    def _module(self, module: nn.Module, value: _Value) -> _Value:
        kind = type(module).__name__
        if isinstance(module, nn.Linear):
            return self._then(value, self._linear(module, not value.parts))
        if isinstance(module, nn.LayerNorm):
            if module.elementwise_affine:
                self.left_out.append("the scale and shift of LayerNorm, which start at 1 and 0")
            return self._then(value, Normalize())
        if kind in LEFT_OUT:
            if "Dropout" in kind:
                self.left_out.append(f"{kind}, which acts in training only")
            return value
        name = SIGMAS[kind](module) if kind in SIGMAS else ""
        if not name:
            raise NtkspecError(
                f"{module} has no rule: give Linear, LayerNorm, residual sums and activations of "
                "ntkspec.activations.ACTIVATIONS"
            )
        return self._then(value, activation(name))

    def _function(self, node: fx.Node, arguments: list[Any]) -> Any:
        name = getattr(node.target, "__name__", str(node.target)).strip("_")
        if name in ("add", "iadd") and len(arguments) > 1:
            return self._sum(*arguments[:2])
        if name in ("mul", "truediv", "imul") and len(arguments) > 1:
            numbers = [x for x in arguments if isinstance(x, (int, float))]
            tensors = [x for x in arguments if isinstance(x, _Value)]
            if len(numbers) == 1 and len(tensors) == 1:
                by = operator.truediv(1.0, numbers[0]) if name == "truediv" else numbers[0]
                return _Value(tensors[0].parts, tensors[0].factor * float(by))
        if name in FUNCTIONS and len(arguments) >= 1 and isinstance(arguments[0], _Value):
            return self._then(arguments[0], activation(FUNCTIONS[name]))
        if name in ("flatten", "view", "reshape", "dropout", "squeeze") and arguments:
            if name == "dropout":
                self.left_out.append("dropout, which acts in training only")
            return arguments[0]
        raise NtkspecError(f"{node.format_node()} has no rule; use Network.serial for this model")

    def _then(self, value: _Value, part: Any) -> _Value:
        if not isinstance(value, _Value):
            raise NtkspecError(f"{part!r} takes no tensor of the model's layers")
        if value.factor != 1.0:
            raise NtkspecError(
                f"a number ({value.factor:g}) times a tensor that is not added to a branch has no "
                "rule; put it into the weights"
            )
        return _Value((*value.parts, part))

    def _sum(self, first: Any, second: Any) -> _Value:
        """x + factor branch(x)."""
        if not (isinstance(first, _Value) and isinstance(second, _Value)):
            raise NtkspecError("a number is added to a tensor, which has no rule; use a bias")
        trunk, branch = sorted((first, second), key=lambda value: len(value.parts))
        size = len(trunk.parts)
        if branch.parts[:size] != trunk.parts or size == len(branch.parts) or trunk.factor != 1.0:
            raise NtkspecError(
                "a sum of two tensors is no residual block, x + factor branch(x); use "
                "Network.serial for this model"
            )
        return _Value((*trunk.parts, Residual(*branch.parts[size:], scale=branch.factor)))

    def _linear(self, layer: nn.Linear, first: bool) -> Linear:
        self.layers += 1
        fan_in = layer.in_features
        scale = 1.0
        if first:
            norm = math.sqrt(fan_in) if self.norm is None else self.norm
            self.used_norm = norm
            scale = norm * norm / fan_in
            if self.variances == "initial":
                self.left_out.append(
                    f"the uniform distribution of the {fan_in} weights of each unit of the first "
                    "layer, for which a Gaussian one of the same variance stands"
                )
        weight = scale / 3.0
        bias = 0.0 if layer.bias is None else 1.0 / (3.0 * fan_in)
        if self.variances == "weights":
            with torch.no_grad():
                weight = scale * fan_in * float((layer.weight.double() ** 2).mean())
                if layer.bias is not None:
                    bias = float((layer.bias.double() ** 2).mean())
        own = {
            "ntk": (weight, bias),
            "mup": (scale if first else 1.0, 1.0),
            "standard": (0.0 if first else 1.0, 0.0),
            "pytorch": (scale * fan_in if first else float(fan_in), 1.0),
        }[self.parameterization]
        moves = [p is not None and p.requires_grad for p in (layer.weight, layer.bias)]
        if not any(moves):
            return Linear(weight, bias, trained=False)
        rates = own[0] if moves[0] else 0.0, own[1] if moves[1] else 0.0
        return Linear(weight, bias, rates=rates)
