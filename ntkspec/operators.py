"""Differential operators that harmonics diagonalize: a description and their symbols.

The spectrum side and the trainer share the description; neither's formulas are here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import nearest, number, one_of, read_literal_call, shown, whole_number

__all__ = ["Operator", "as_operator", "refused_kink"]

Name = Literal["laplace", "derivative"]
MOST_POWER, MOST_SHIFT = 16, 1e100


@dataclass(frozen=True)
class Operator:
    """A = (B + shift)^power, B being the Laplacian or, in one coordinate, the derivative.

    Parameters
    ----------
    name : {"laplace", "derivative"}
        On the sphere, the Laplace-Beltrami operator, or on the circle d/dphi.  On the torus, the
        Laplacian in x, or d/dx in one dimension, where x in [0, 1) is the coordinate.
    shift : float
        Of the Laplacian, c > 0 makes Helmholtz's operator, c < 0 the screened Poisson one.
    power : int
        1 to 16.

    Attributes
    ----------
    order : int
        q, the order of the highest derivative.

    Examples
    --------
    >>> screened = Operator("laplace", shift=-1.0)
    >>> screened.order, screened.symbol([0, 1, 2], dim=3)
    (2, array([-1., -3., -7.]))
    >>> Operator("derivative", shift=0.5).symbol([0, 1, 2], dim=2)
    array([0.5+0.j, 0.5+1.j, 0.5+2.j])
    >>> print(Operator("laplace", power=2))
    laplace(power=2)
    """

    name: Name = "laplace"
    shift: float = 0.0
    power: int = 1

    def __post_init__(self) -> None:
        one_of(self.name, "operator", get_args(Name))
        object.__setattr__(self, "shift", number(self.shift, "shift", -MOST_SHIFT, MOST_SHIFT))
        object.__setattr__(self, "power", whole_number(self.power, "power", 1, MOST_POWER))

    def __str__(self) -> str:
        given = [f"shift={self.shift!r}"] * bool(self.shift)
        given += [f"power={self.power}"] * (self.power > 1)
        return f"{self.name}({', '.join(given)})" if given else self.name

    @property
    def order(self) -> int:
        """Order of the highest derivative."""
        return self.power * (2 if self.name == "laplace" else 1)

    def symbol(self, degrees: ArrayLike, dim: int) -> NDArray[Any]:
        """(K,) a_k, with A Y = a_k Y for harmonics Y of degree k on the sphere S^(dim-1).

        Of the derivative, complex: A e^(ik phi) = a_k e^(ik phi) for degrees k of both signs.

        Raises
        ------
        NtkspecError
            For the derivative on another sphere than the circle.
        """
        k = np.asarray(degrees, dtype=np.float64)
        if self.name == "laplace":
            return self._of(-np.abs(k) * (np.abs(k) + dim - 2))
        if dim != 2:
            raise NtkspecError(
                f"operator = {str(self)!r} is not allowed for dim = {dim}; the derivative along "
                "the circle needs dim = 2, and 'laplace' takes any dim"
            )
        return self._of(1j * k)

    def symbol_on_torus(self, frequencies: ArrayLike) -> NDArray[Any]:
        """(...,) a_m, with A e^(2 pi i m.x) = a_m e^(2 pi i m.x), from frequencies (..., dim).

        Raises
        ------
        NtkspecError
            For the derivative in several dimensions.

        Examples
        --------
        >>> Operator().symbol_on_torus([[1, 0], [1, 1]]) / np.pi**2
        array([-4., -8.])
        """
        m = np.asarray(frequencies, dtype=np.float64)
        if self.name == "laplace":
            return self._of(-4.0 * math.pi**2 * np.sum(m * m, axis=-1))
        if m.shape[-1] != 1:
            raise NtkspecError(
                f"operator = {str(self)!r} is not allowed on the torus of dimension "
                f"{m.shape[-1]}; the derivative needs one dimension, and 'laplace' takes any"
            )
        return self._of(2j * math.pi * m[..., 0])

    def _of(self, base: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((base + self.shift) ** self.power)


def as_operator(given: Operator | str) -> Operator:
    """Return an operator, which a text such as "laplace(shift=-1)" names.

    Raises
    ------
    NtkspecError
        For anything else.

    Examples
    --------
    >>> as_operator("laplace(shift=-1)")
    Operator(name='laplace', shift=-1.0, power=1)
    """
    if isinstance(given, Operator):
        return given
    try:
        if not isinstance(given, str):
            raise ValueError
        name, values, options = read_literal_call(given)
    except ValueError:
        name, values, options = "", [], {}
    if name not in get_args(Name) or values or not {*options} <= {"shift", "power"}:
        hint = "" if name in get_args(Name) else nearest(name, get_args(Name))
        raise NtkspecError(
            f"operator = {shown(given)} is not allowed; give an Operator, or text such as "
            f"'laplace', 'laplace(shift=-1)', 'laplace(power=2)' or 'derivative'{hint}"
        )
    return Operator(name, **options)  # type: ignore[arg-type]


def refused_kink(
    operator: Operator, name: str, order: float, needed: int, *, known: bool = True
) -> str:
    """Why an activation with a kink of an order, or of an unknown one, has no operator's residual.

    Examples
    --------
    >>> print(refused_kink(Operator("derivative"), "relu", 1, 2))
    operator = 'derivative' of order 1 is not allowed for relu: its kink of order 1 makes the \
residual's kernel infinite, by deltas that automatic differentiation drops; use a smooth \
activation, or a kink of order 2 or more, such as 'relu_power' with power = 2
    """
    kink = f"its kink of order {order:g}"
    if not known:
        kink = "the order of a user's kink is not known; one of order 1"
    return (
        f"operator = {str(operator)!r} of order {operator.order} is not allowed for {name}: "
        f"{kink} makes the residual's kernel infinite, by deltas that automatic "
        f"differentiation drops; use a smooth activation, or a kink of order {needed} or more, "
        f"such as 'relu_power' with power = {needed}"
    )
