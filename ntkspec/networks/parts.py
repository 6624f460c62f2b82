"""The parts of a general network, and the rules by which they change its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ntkspec.activations import Activation, activation, own_parameters
from ntkspec.activations.names import called
from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, one_of, shown, truth
from ntkspec.rules import Activate, Affine, Branch, Join, Program, Scale, Step

__all__ = [
    "Linear",
    "Normalize",
    "Part",
    "Residual",
    "checked_parts",
    "program_of",
    "written",
]

MOST_PARTS = 1000


@dataclass(frozen=True)
class Linear:
    """A dense layer: f -> W f + b, in the NTK parameterization.

    Parameters
    ----------
    weight_variance : float
        s_w > 0: the entries of W are N(0, s_w / fan_in).
    bias_variance : float
        s_b >= 0: the entries of b are N(0, s_b); for bias = "zero" the square of their scale.
    bias : {"gaussian", "zero"}
        "zero": b starts at 0 and is trained, as by Basri et al. 2019 and Bietti and Bach 2021.
    trained : bool
    rates : (float, float), optional
        Squared scales of the trained weights and biases, which multiply their summands of the
        tangent kernel.  Default: (s_w, s_b), and (0, 0) if not trained.

    Notes
    -----
    q becomes s_w q + s_b, or s_w q for bias = "zero"; T becomes u q + v + s_w T with the rates
    (u, v) (Jacot et al. 2018, theorem 1).

    Examples
    --------
    >>> Linear(2.0, 0.1)
    Linear(2.0, 0.1)
    >>> Linear(bias_variance=1.0, bias="zero").rule
    (1.0, 0.0, 1.0, 1.0)
    """

    weight_variance: float = 1.0
    bias_variance: float = 0.0
    bias: Literal["gaussian", "zero"] = field(default="gaussian", kw_only=True)
    trained: bool = field(default=True, kw_only=True)
    rates: tuple[float, float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "weight_variance", number(self.weight_variance, "weight_variance", 0.01, 1e4))
        set_(self, "bias_variance", number(self.bias_variance, "bias_variance", 0.0, 1e4))
        one_of(self.bias, "bias", ("gaussian", "zero"))
        set_(self, "trained", truth(self.trained, "trained"))
        if self.rates is not None:
            if not isinstance(self.rates, (tuple, list)) or len(self.rates) != 2:
                raise NtkspecError(
                    f"rates = {shown(self.rates)} is not allowed; give those of weights and biases"
                )
            if not self.trained:
                raise NtkspecError("rates are given with trained = False; leave one of them out")
            rates = tuple(number(x, "rates", 0.0, 1e8) for x in self.rates)
            set_(self, "rates", rates)
        # One form for one rule.
        w, b, u, v = self.rule
        set_(self, "trained", (u, v) != (0.0, 0.0))
        if b == 0.0:
            set_(self, "bias", "zero" if v else "gaussian")
            set_(self, "bias_variance", v)
        set_(self, "rates", None)
        if self.rule != (w, b, u, v):
            set_(self, "rates", (u, v) if self.trained else None)

    @property
    def rule(self) -> tuple[float, float, float, float]:
        """(s_w, s_b, u, v): q becomes s_w q + s_b, T becomes u q + v + s_w T."""
        w, b = self.weight_variance, self.bias_variance
        u, v = (w, b) if self.rates is None else self.rates
        if not self.trained:
            u = v = 0.0
        return w, (b if self.bias == "gaussian" else 0.0), u, v

    def __repr__(self) -> str:
        return _call(self, [self.weight_variance, self.bias_variance], (1.0, 0.0))


@dataclass(frozen=True)
class Normalize:
    """LayerNorm without trained parameters, in the limit of infinite width: q / q(1), T / q(1).

    Only where the mean vanishes: right after a Linear or a sum of Linears.

    Examples
    --------
    >>> Normalize()
    Normalize()
    """

    def __repr__(self) -> str:
        return "Normalize()"


@dataclass(frozen=True, init=False)
class Residual:
    """A sum: f -> f + scale branch(f).

    Parameters
    ----------
    *parts : parts and activations
        The branch; its last random part is a Linear.
    scale : float
        Not 0.  q becomes q + scale^2 q_branch, and T likewise.

    Examples
    --------
    >>> Residual("relu", Linear(2.0), scale=0.5)
    Residual('relu', Linear(2.0), scale=0.5)
    """

    parts: tuple[Any, ...]
    scale: float

    def __init__(self, *parts: Any, scale: float = 1.0) -> None:
        object.__setattr__(self, "parts", _as_parts(parts, "a residual branch"))
        size = abs(number(scale, "scale", -1e4, 1e4))
        if size < 1e-4:
            raise NtkspecError(
                f"scale = {shown(scale)} is not allowed: the residual branch changes nothing; "
                "give 0.0001 to 10000, or leave it out"
            )
        object.__setattr__(self, "scale", size)

    def __repr__(self) -> str:
        return _call(self, self.parts, ())


Part: TypeAlias = Linear | Normalize | Residual | Activation


def _call(part: Any, positional: Any, defaults: tuple[float, ...]) -> str:
    """The constructor's call; trailing defaults and keywords that have theirs are left out."""
    values = list(positional)
    while len(values) > 1 and len(values) <= len(defaults) and values[-1] == defaults[-1]:
        values.pop()
    usual = {"bias": "gaussian", "trained": True, "rates": None, "scale": 1.0}
    words = [written(x) for x in values]
    words += [
        f"{name}={getattr(part, name)!r}"
        for name, value in usual.items()
        if getattr(part, name, value) != value
    ]
    return f"{type(part).__name__}({', '.join(words)})"


def written(part: Any) -> str:
    """A part as text: catalogued activations by their names."""
    if not isinstance(part, Activation):
        return repr(part)
    own = [x for x in own_parameters(part).values() if x is not None]
    return repr(called(part.name, *own) if own else part.name)


def _as_parts(parts: Any, where: str) -> tuple[Part, ...]:
    """Parts with activations looked up by their names."""
    if not parts:
        raise NtkspecError(f"{where} has no parts; give at least a Linear")
    return tuple(_as_part(part, where) for part in parts)


def _as_part(part: Any, where: str) -> Part:
    if isinstance(part, (Linear, Normalize, Residual, Activation)):
        return part
    if isinstance(part, type) and issubclass(part, (Linear, Normalize, Residual)):
        raise NtkspecError(f"{part.__name__} is a class; write {part.__name__}() in {where}")
    if isinstance(part, str):
        return activation(part)
    if callable(part):
        raise NtkspecError(
            f"{shown(part)} in {where} is a bare function; give user_activation(function)"
        )
    raise NtkspecError(
        f"{shown(part)} in {where} is no part of a network; give Linear, Residual, Normalize, an "
        "activation's name or an Activation"
    )


# --- order of the parts --------------------------------------------------------------------------


def checked_parts(parts: Any) -> tuple[Part, ...]:
    """Parts of a whole network.

    Raises
    ------
    NtkspecError
        When no rule covers the order of the parts: cross terms would appear, or the kernel would
        stay random at infinite width.
    """
    found = _as_parts(parts, "the network")
    end = _checked("input", found)
    if end not in ("sum", "normalized"):
        raise NtkspecError(
            f"the network ends with {written(found[-1])}: its kernel stays random at infinite "
            "width; end with a Linear, or with a Residual whose sum is of Linears"
        )
    if sum(1 for _ in _walk(found)) > MOST_PARTS:
        raise NtkspecError(f"the network has more than {MOST_PARTS} parts")
    return found


def _walk(parts: tuple[Part, ...]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, Residual):
            yield from _walk(part.parts)


def _checked(state: str, parts: tuple[Part, ...]) -> str:
    """What stands after the parts: "input", "sum" of Linears, "normalized" or "activation"."""
    for part in parts:
        if isinstance(part, Linear):
            state = "sum"
        elif isinstance(part, Normalize):
            _check_normalize(state)
            state = "normalized"
        elif isinstance(part, Residual):
            end = _checked(state, part.parts)
            if not any(isinstance(one, (Linear, Residual)) for one in part.parts):
                raise NtkspecError(
                    f"{part!r} has no Linear: the branch and what it is added to are not "
                    "independent; end the branch with a Linear"
                )
            if end == "activation":
                raise NtkspecError(
                    f"{part!r} ends with an activation: the branch is not independent of what it "
                    "is added to; end the branch with a Linear"
                )
            state = "sum" if state == "normalized" else state
        else:
            if state in ("input", "activation"):
                after = "the inputs" if state == "input" else "an activation"
                raise NtkspecError(
                    f"{part.name} follows {after}: its argument is not Gaussian; put a Linear "
                    "before it"
                )
            state = "activation"
    return state


def _check_normalize(state: str) -> None:
    where = {
        "input": "stands before anything random: unit vectors are normalized",
        "activation": "follows an activation, whose mean does not vanish",
        "normalized": "follows a Normalize and changes nothing",
    }
    if state in where:
        raise NtkspecError(
            f"Normalize() {where[state]}; put it right after a Linear or a sum of Linears"
        )


def program_of(parts: tuple[Part, ...]) -> Program:
    """The steps of checked parts."""
    steps: list[Step] = []
    activations: list[Activation] = []

    def add(some: tuple[Part, ...]) -> None:
        for part in some:
            if isinstance(part, Linear):
                steps.append(Affine(*part.rule))
            elif isinstance(part, Normalize):
                steps.append(Scale(sum(isinstance(step, Scale) for step in steps)))
            elif isinstance(part, Residual):
                steps.append(Branch())
                add(part.parts)
                steps.append(Join(part.scale**2))
            else:
                steps.append(Activate(len(activations)))
                activations.append(part)

    add(parts)
    return Program(tuple(steps), tuple(activations))
