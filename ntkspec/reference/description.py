"""What the references take, the parameters of a network, and what they return."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import mpmath

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, is_one_of, one_of, shown, whole_number

__all__ = [
    "CLIPPED",
    "KINKED",
    "SMOOTH",
    "Description",
    "Kernel",
    "Reference",
    "checked_digits",
    "describe",
    "radial_moment",
    "scaled_exactly",
]

Kernel = Literal["ntk", "nngp"]


def _pieces(breaks: Sequence[int], *pieces: Sequence[int | Fraction]) -> Any:
    return tuple(map(Fraction, breaks)), tuple(tuple(map(Fraction, piece)) for piece in pieces)


#: The activations that the references support.
KINKED = ("relu", "leaky_relu", "abs", "step", "relu_power", "elu")
#: Polynomials between kinks away from 0: the breaks, and the coefficients of each piece.
CLIPPED: dict[str, tuple[tuple[Fraction, ...], tuple[tuple[Fraction, ...], ...]]] = {
    "hard_tanh": _pieces((-1, 1), (-1,), (0, 1), (1,)),
    "relu6": _pieces((0, 6), (0,), (0, 1), (6,)),
    "hard_sigmoid": _pieces((-3, 3), (0,), (Fraction(1, 2), Fraction(1, 6)), (1,)),
    "hard_swish": _pieces((-3, 3), (0,), (0, Fraction(1, 2), Fraction(1, 6)), (0, 1)),
}
SMOOTH = ("sigmoid", "tanh", "silu", "softplus", "erf", "gelu", "sin", "cos", "gaussian")


@dataclass(frozen=True)
class Description:
    """A network by its parameters, which are those of `ntkspec.Network`.

    The slope is that of leaky_relu for x < 0, and 0 for others; the power that of relu_power, and 1
    for others.
    """

    activation: str
    slope: float = 0.0
    power: int = 1
    weight_variance: float = 1.0
    bias_variance: float = 0.0
    depth: int = 1
    trained: str = "hidden"
    weights: str = "gaussian"

    @property
    def smooth(self) -> bool:
        """Whether the activation has no kink."""
        return self.activation in SMOOTH

    @property
    def clipped(self) -> bool:
        """Whether the activation is a polynomial between kinks away from 0."""
        return self.activation in CLIPPED

    @property
    def order(self) -> int:
        """Order of the first derivative that jumps, for an activation with kinks."""
        return {"step": 0, "elu": 2, "relu_power": self.power}.get(self.activation, 1)

    @property
    def left(self) -> float:
        """Factor for x < 0 of an activation that is a power on either side of 0."""
        return {"leaky_relu": 0.0 - self.slope, "abs": 1.0}.get(self.activation, 0.0)

    @property
    def radial_power(self) -> int | None:
        """P where K(x, x') = (|x| |x'|)^P K(cos), for powers on either side of 0 without bias."""
        if self.smooth or self.clipped or self.activation == "elu" or self.bias_variance:
            return None
        return int(self.order**self.depth)

    def mixture(self, kernel: str) -> tuple[int, int]:
        """Return (f, g) such that the kernel is f F_L(t) + g T_L(t) D_L(t).

        Raises
        ------
        NtkspecError
            For another kernel's name, and for the NTK of step.
        """
        one_of(kernel, "kernel", get_args(Kernel))
        if kernel == "nngp":
            return 1, 0
        if self.activation == "step":
            raise NtkspecError("kernel = 'ntk' is not allowed for step; use 'nngp'")
        return (1 if self.trained == "all" else 0), 1


@dataclass(frozen=True)
class Reference:
    """An eigenvalue under the uniform probability measure, computed independently of the engine.

    Attributes
    ----------
    value : mpmath.mpf
        Accurate to at least the requested digits; exactly 0 for zeros by parity.
    error : mpmath.mpf
        The difference of the last two runs, the rounding and the omitted tails.
    method : str
        Description of the method.

    Examples
    --------
    >>> from ntkspec.reference.balls import reference_eigenvalue
    >>> reference_eigenvalue("tanh", dim=3, degree=2)
    Reference(value=mpf('0.0'), error=mpf('0.0'), method='zero by parity')
    """

    value: mpmath.mpf
    error: mpmath.mpf
    method: str

    @property
    def is_zero(self) -> bool:
        """Whether the value cannot be distinguished from 0 at the requested precision."""
        return bool(abs(self.value) <= self.error)


def checked_digits(digits: int) -> int:
    """Return the number of digits of a reference, 5 to 1000."""
    return whole_number(digits, "digits", 5, 1000)


def radial_moment(dim: int, power: int) -> Fraction:
    """E[(|x|^2 / d)^power] for x ~ N(0, I_d).

    Examples
    --------
    >>> radial_moment(3, 2)
    Fraction(5, 3)
    """
    return math.prod((Fraction(dim + 2 * i, dim) for i in range(power)), start=Fraction(1))


def scaled_exactly(
    one: Any, names: Sequence[str], factor: Fraction, digits: int
) -> dict[str, mpmath.mpf]:
    """Numbers of a reference times a factor, to some digits more than it has."""
    mp = mpmath.mp.clone()
    mp.dps = digits + 20
    scale = mp.mpf(factor.numerator) / factor.denominator
    return {name: mpmath.make_mpf((scale * getattr(one, name))._mpf_) for name in names}


def describe(network: Any) -> Description:
    """Read the parameters of a network, an activation's name or an object with those attributes.

    Missing ones have Network's defaults.

    Raises
    ------
    NtkspecError
        For an activation that the references do not support, and for parameters out of range.
    """
    sigma = network if isinstance(network, str) else getattr(network, "activation", network)
    name = getattr(sigma, "name", sigma)
    if getattr(sigma, "user", False):
        raise NtkspecError(
            f"activation = {shown(name)} is a user's; the references take the activations that "
            "ntkspec knows"
        )
    names = (*KINKED, *CLIPPED, *SMOOTH)
    if not is_one_of(name, names):
        raise NtkspecError(
            f"activation = {shown(name)} is not allowed; use one of {', '.join(names)}"
        )
    given = {
        field: value
        for field in Description.__dataclass_fields__
        if field not in ("activation", "slope", "power")
        and (value := getattr(network, field, None)) is not None
    }
    for field, owner, default in (("slope", "leaky_relu", 0.1), ("power", "relu_power", 2)):
        if name == owner:
            value = getattr(network, field, None)
            given[field] = default if value is None else value
    return _checked(Description(name, **given))


def _checked(network: Description) -> Description:
    weight, bias = as_number(network.weight_variance), as_number(network.bias_variance)
    if not 0.0 < weight < math.inf:
        raise NtkspecError(f"weight_variance = {weight!r} is not allowed; it must be positive")
    if not 0.0 <= bias < math.inf:
        raise NtkspecError(f"bias_variance = {bias!r} is not allowed; it must be at least 0")
    whole_number(network.depth, "depth", 1)
    whole_number(network.power, "power", 1)
    one_of(network.trained, "trained", ("hidden", "all"))
    one_of(network.weights, "weights", ("gaussian", "sphere"))
    return network
