"""Symmetry and polynomial part of a function, followed through its operations.

A function is called with an object that stands for x and knows two numbers: the degrees of the
even and of the odd part, infinite where they are no polynomials.  Sums, products and elementary
functions say what they become.  A function that compares, converts or indexes its argument is not
followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

__all__ = ["traced_degrees", "traced_symmetry"]

#: Odd and even elementary functions, by their names in numpy, scipy and python-flint.
ODD = {
    "sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arcsinh", "arctanh", "asin", "atan",
    "asinh", "atanh", "erf", "cbrt", "sign", "sgn",
}  # fmt: skip
EVEN = {"cos", "cosh", "absolute", "fabs", "sinc", "sech", "sec"}
#: Methods of python-flint's balls that are functions of x alone.
OTHER = {"exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "erfc", "gamma", "acos", "acosh"}
REAL: Any = (int, float, np.integer, np.floating)
#: Packages whose numbers are constants.
CONSTANTS = ("flint", "fractions", "mpmath")
#: Largest power that is followed.
MOST_POWER = 100
#: Numpy's names of operators.
OPERATORS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "power": lambda a, b: a**b, "negative": lambda a: -a,
    "positive": lambda a: a, "square": lambda a: a * a, "reciprocal": lambda a: 1 / a,
}  # fmt: skip


def traced_degrees(function: Callable[[Any], Any]) -> tuple[float, float]:
    """Bounds of the degrees of the even and the odd part; infinite if it cannot be followed.

    Examples
    --------
    >>> import numpy as np
    >>> traced_degrees(lambda x: x + np.sin(x) ** 2)
    (inf, 1.0)
    >>> traced_degrees(lambda x: x / (1 + np.exp(-x)))
    (inf, inf)
    """
    try:
        found = function(_Traced(-math.inf, 1.0))
    except Exception:  # whatever a user's function raises
        return math.inf, math.inf
    if not isinstance(found, _Traced):
        return math.inf, math.inf
    return found.even, found.odd


def traced_symmetry(
    function: Callable[[Any], Any],
) -> tuple[Literal["odd", "even"] | None, int | None]:
    """The symmetry and the degree of a polynomial part, as `user_activation` takes them."""
    even, odd = traced_degrees(function)
    if even == odd:
        return None, None
    symmetry: Literal["odd", "even"] | None = None
    if min(even, odd) == -math.inf:
        symmetry = "odd" if even == -math.inf else "even"
    few = min(even, odd) if symmetry is None else max(even, odd)
    return symmetry, int(few) if few <= MOST_POWER else None


class _Traced:
    """A function of x by the degrees of its even and its odd part; -inf where one is 0."""

    def __init__(self, even: float, odd: float) -> None:
        self.even, self.odd = even, odd

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> _Traced:
        if method != "__call__" or options:
            raise TypeError(f"{ufunc} is not followed")
        if ufunc.__name__ in OPERATORS:
            return _as_traced(OPERATORS[ufunc.__name__](_as_traced(inputs[0]), *inputs[1:]))
        (argument,) = inputs
        return _as_traced(argument)._of(ufunc.__name__)

    def __getattr__(self, name: str) -> Callable[[], _Traced]:
        if name not in ODD | EVEN | OTHER:
            raise AttributeError(name)
        return lambda: self._of(name)

    def _of(self, name: str) -> _Traced:
        """An elementary function of this one."""
        if self.odd == -math.inf:
            return _Traced(0.0 if self.even <= 0.0 else math.inf, -math.inf)
        if self.even == -math.inf and name in ODD:
            return _Traced(-math.inf, math.inf)
        if self.even == -math.inf and name in EVEN:
            return _Traced(math.inf, -math.inf)
        return _Traced(math.inf, math.inf)

    def __add__(self, other: Any) -> _Traced:
        other = _as_traced(other)
        return _Traced(max(self.even, other.even), max(self.odd, other.odd))

    def __mul__(self, other: Any) -> _Traced:
        other = _as_traced(other)
        even = max(_sum(self.even, other.even), _sum(self.odd, other.odd))
        return _Traced(even, max(_sum(self.even, other.odd), _sum(self.odd, other.even)))

    def __truediv__(self, other: Any) -> _Traced:
        other = _as_traced(other)
        if other.even == 0.0 and other.odd == -math.inf:  # a constant
            return self
        parts = [part if part == -math.inf else math.inf for part in (other.even, other.odd)]
        if max(parts) == -math.inf:
            raise ZeroDivisionError
        return self * _Traced(*parts) if min(parts) == -math.inf else _Traced(math.inf, math.inf)

    def __pow__(self, other: Any) -> _Traced:
        whole = isinstance(other, REAL) and abs(other) <= MOST_POWER and other == int(other)
        if not whole:
            return (self + _as_traced(other))._of("power")
        power = _Traced(0.0, -math.inf)
        for _ in range(abs(int(other))):
            power = power * self
        return power if int(other) >= 0 else 1 / power

    def __rpow__(self, other: Any) -> _Traced:
        return (self + _as_traced(other))._of("power")

    def __rtruediv__(self, other: Any) -> _Traced:
        return _as_traced(other) / self

    def __neg__(self) -> _Traced:
        return self

    def __abs__(self) -> _Traced:
        return self._of("absolute")

    def __eq__(self, other: object) -> bool:
        raise TypeError("a function of x is not compared")

    def __bool__(self) -> bool:
        raise TypeError("a function of x is neither true nor false")

    __radd__ = __sub__ = __rsub__ = __add__
    __rmul__, __pos__, __hash__ = __mul__, __neg__, None  # type: ignore[assignment]


def _as_traced(x: Any) -> _Traced:
    """A function of x, or a constant."""
    if isinstance(x, _Traced):
        return x
    if isinstance(x, REAL) or type(x).__module__.split(".")[0] in CONSTANTS:
        return _Traced(0.0, -math.inf)
    raise TypeError(f"{type(x)} is not followed")


def _sum(a: float, b: float) -> float:
    """Degree of a product; none where a factor is 0."""
    return -math.inf if min(a, b) == -math.inf else a + b
