"""What the references take, the parameters of a network, and what they return."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, get_args

import mpmath

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, is_one_of, one_of, shown, whole_number

__all__ = [
    "BALLS_ONLY",
    "CLIPPED",
    "KINKED",
    "SMOOTH",
    "Dense",
    "Description",
    "Kernel",
    "Norm",
    "Reference",
    "Sum",
    "chain",
    "checked_digits",
    "describe",
    "describe_for_mpmath",
    "radial_moment",
    "scaled_exactly",
]

Kernel = Literal["ntk", "nngp"]


def _pieces(breaks: Sequence[int], *pieces: Sequence[int | Fraction]) -> Any:
    return tuple(map(Fraction, breaks)), tuple(tuple(map(Fraction, piece)) for piece in pieces)


#: The activations that the references support.
KINKED = (
    "relu", "leaky_relu", "abs", "step", "relu_power", "elu", "celu", "selu", "softsign", "finer",
)  # fmt: skip
#: Polynomials between kinks away from 0: the breaks, and the coefficients of each piece.
CLIPPED: dict[str, tuple[tuple[Fraction, ...], tuple[tuple[Fraction, ...], ...]]] = {
    "hard_tanh": _pieces((-1, 1), (-1,), (0, 1), (1,)),
    "relu6": _pieces((0, 6), (0,), (0, 1), (6,)),
    "hard_sigmoid": _pieces((-3, 3), (0,), (Fraction(1, 2), Fraction(1, 6)), (1,)),
    "hard_swish": _pieces((-3, 3), (0,), (0, Fraction(1, 2), Fraction(1, 6)), (0, 1)),
}
SMOOTH = (
    "sigmoid", "tanh", "silu", "softplus", "erf", "gelu", "sin", "cos", "gaussian", "swish", "mish",
    "exp", "snake", "gabor", "polynomial",
)  # fmt: skip
#: Those that only the reference in balls knows: kinks away from 0, and kinks between functions that
#: are no powers or exponentials.
BALLS_ONLY = ("softsign", "finer", "shifted_relu", *CLIPPED)
#: Of selu (Klambauer et al. 2017): the slope on the right, and the factor of e^x - 1 over it.
SELU = 1.0507009873554805, 1.6732632423543772


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
    #: The parts of a network whose layers are not alike; then the other fields are those of its
    #: first activation.
    parts: tuple[Any, ...] | None = None

    @property
    def base(self) -> str:
        """Name of the activation without its parameters."""
        return self.activation.partition("(")[0]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The parameters in the activation's name."""
        inside = self.activation.partition("(")[2].rstrip(")")
        return tuple(float(part) for part in inside.split(",") if part)

    @property
    def smooth(self) -> bool:
        """Whether no activation has a kink."""
        return all(sigma.base in SMOOTH for sigma in self.sigmas)

    @property
    def sigmas(self) -> tuple[Description, ...]:
        """The activations, one for each layer."""
        if self.parts is None:
            return (self,) * self.depth
        return tuple(_sigmas(self.parts))

    @property
    def steps(self) -> int:
        """Layers whose activation jumps."""
        return sum(sigma.activation == "step" for sigma in self.sigmas)

    @property
    def exponential(self) -> tuple[Fraction, Fraction, Fraction] | None:
        """(a, b, c) of elu, celu and selu: a x for x > 0, b (e^(c x) - 1) for x < 0."""
        if self.base == "elu":
            return Fraction(1), Fraction(1), Fraction(1)
        if self.base == "celu":
            alpha = Fraction(self.numbers[0])
            return Fraction(1), alpha, 1 / alpha
        if self.base == "selu":
            return Fraction(SELU[0]), Fraction(SELU[0]) * Fraction(SELU[1]), Fraction(1)
        return None

    @property
    def odd(self) -> bool:
        """Whether it is softsign or finer: odd, and analytic on either side of 0."""
        return self.base in ("softsign", "finer")

    @property
    def clipped(self) -> bool:
        """Whether the activation is a polynomial between kinks away from 0."""
        return self.base in CLIPPED or self.base == "shifted_relu"

    @property
    def pieces(self) -> tuple[tuple[Fraction, ...], tuple[tuple[Fraction, ...], ...]]:
        """Of a clipped activation: the breaks, and the coefficients of each piece."""
        if self.base == "shifted_relu":
            place = Fraction(self.numbers[0])
            return (place,), ((Fraction(0),), (-place, Fraction(1)))
        return CLIPPED[self.base]

    @property
    def order(self) -> int:
        """Order of the first derivative that jumps, for an activation with kinks."""
        orders = {"step": 0, "relu_power": self.power}
        return 2 if self.base in ("elu", "celu") or self.odd else orders.get(self.activation, 1)

    @property
    def left(self) -> float:
        """Factor for x < 0 of an activation that is a power on either side of 0."""
        return {"leaky_relu": 0.0 - self.slope, "abs": 1.0}.get(self.activation, 0.0)

    @property
    def radial_power(self) -> int | None:
        """P where K(x, x') = (|x| |x'|)^P K(cos), for powers on either side of 0 without bias."""
        other = self.smooth or self.clipped or self.exponential or self.odd
        if other or self.bias_variance or self.parts:
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
        if self.steps:
            raise NtkspecError("kernel = 'ntk' is not allowed for step; use 'nngp'")
        return (1 if self.trained == "all" else 0), 1


@dataclass(frozen=True)
class Dense:
    """q becomes weight q + bias, T becomes own q + own_bias + weight T."""

    weight: float
    bias: float
    own: float
    own_bias: float


@dataclass(frozen=True)
class Sum:
    """A residual branch: q becomes q + square times the branch's, and T likewise."""

    branch: tuple[Any, ...]
    square: float


@dataclass(frozen=True)
class Norm:
    """q and T are divided by q(1)."""


def chain(network: Description) -> tuple[Any, ...]:
    """The parts of a network whose layers are alike."""
    weight, bias = network.weight_variance, network.bias_variance
    own = 1.0 if network.trained == "all" else 0.0
    layer = (Dense(weight, bias, weight, bias), network)
    return (*layer * network.depth, Dense(1.0, 0.0, own, 0.0))


def _sigmas(parts: tuple[Any, ...]) -> Iterator[Description]:
    for part in parts:
        if isinstance(part, Sum):
            yield from _sigmas(part.branch)
        elif isinstance(part, Description):
            yield part


def _read_parts(parts: Any) -> tuple[Any, ...]:
    """The parts of an object with Network's attributes, read by their own attributes."""
    found: list[Any] = []
    for part in parts:
        if hasattr(part, "weight_variance"):
            weight, bias = float(part.weight_variance), float(part.bias_variance)
            own = part.rates or (weight, bias) if part.trained else (0.0, 0.0)
            found.append(Dense(weight, bias if part.bias == "gaussian" else 0.0, *own))
        elif hasattr(part, "parts"):
            found.append(Sum(_read_parts(part.parts), float(part.scale) ** 2))
        elif hasattr(part, "name"):
            power, _, left = part.homogeneous or (1, 0.0, 0.0)
            slope = 0.0 - left if part.name == "leaky_relu" else 0.0
            found.append(Description(part.name, slope, power if part.name == "relu_power" else 1))
        else:
            found.append(Norm())
    return tuple(found)


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
    if isinstance(network, Description) and network.parts is not None:
        return network
    if getattr(network, "uniform", True) is False:
        return _describe_parts(network)
    sigma = network if isinstance(network, str) else getattr(network, "activation", network)
    name = getattr(sigma, "name", sigma)
    if getattr(sigma, "user", False):
        raise NtkspecError(
            f"activation = {shown(name)} is a user's; the references take the activations that "
            "ntkspec knows"
        )
    names = (*KINKED, *CLIPPED, "shifted_relu", *SMOOTH)
    if not isinstance(name, str) or not is_one_of(name.partition("(")[0], names):
        raise NtkspecError(
            f"activation = {shown(name)} is not allowed; use one of {', '.join(names)}"
        )
    given = {
        field: value
        for field in Description.__dataclass_fields__
        if field not in ("activation", "slope", "power", "parts")
        and (value := getattr(network, field, None)) is not None
    }
    for field, owner, default in (("slope", "leaky_relu", 0.1), ("power", "relu_power", 2)):
        if name == owner:
            value = getattr(network, field, None)
            given[field] = default if value is None else value
    return _checked(Description(name, **given))


def _describe_parts(network: Any) -> Description:
    """A network whose layers are not alike."""
    for sigma in network.sigmas:
        describe(sigma)  # refuses what the references do not support
    parts = _read_parts(network.parts)
    sigmas = tuple(_sigmas(parts))
    if not sigmas:
        raise NtkspecError("the references take networks with an activation; this one is linear")
    first = next(part for part in parts if isinstance(part, Dense))
    bias = first.bias or first.own_bias
    return replace(
        sigmas[0], weight_variance=first.weight, bias_variance=bias, depth=len(sigmas),
        parts=parts,
    )  # fmt: skip


def describe_for_mpmath(network: Any) -> Description:
    """`describe`, for the reference by mpmath, which knows fewer activations."""
    found = describe(network)
    wrong = next((sigma for sigma in found.sigmas if sigma.base in BALLS_ONLY), None)
    if wrong is not None:
        raise NtkspecError(
            f"activation = {wrong.activation!r} is not allowed in the mpmath reference, which "
            "takes smooth activations, and powers or exponentials on either side of 0; "
            "use the method 'balls'"
        )
    return found


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
