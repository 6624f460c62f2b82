"""Python functions that a user gives, for doubles, python-flint or mpmath numbers."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import one_of, shown

__all__ = ["Arithmetic", "InDoubles", "ball_function", "checked_function", "checked_name"]

Arithmetic = Literal["double", "flint", "mpmath"]


def checked_function(function: Any, arithmetic: Any, parameter: str) -> Callable[[Any], Any]:
    """Return a user's function as one that compares by value, or raise NtkspecError.

    Two bound methods of different objects are equal here when their objects pickle alike, so that
    a kernel or a network equals its pickled copy.
    """
    if not callable(function):
        raise NtkspecError(f"{parameter} = {shown(function)} is not allowed; it must be callable")
    one_of(arithmetic, "arithmetic", get_args(Arithmetic))
    return _Method(function) if inspect.ismethod(function) else function


def checked_name(name: Any) -> str:
    """Return the name of a user's function, or raise NtkspecError unless it is printable."""
    if not isinstance(name, str) or not name or not name.isprintable():
        raise NtkspecError(
            f"name = {shown(name)} is not allowed; it must be a string of printable characters"
        )
    return name


class _Method:
    """A bound method that compares by its function and the state of its object."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def __call__(self, x: Any) -> Any:
        return self.method(x)

    def __repr__(self) -> str:
        return repr(self.method)

    def __hash__(self) -> int:
        return hash(self.method.__func__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Method):
            return NotImplemented
        mine, theirs = self.method, other.method
        if mine.__func__ is not theirs.__func__:
            return False
        if mine.__self__ is theirs.__self__:
            return True
        try:
            return pickle.dumps(mine.__self__) == pickle.dumps(theirs.__self__)
        except Exception:  # pickle raises what the object's own methods raise
            return False


@dataclass(frozen=True)
class InDoubles:
    """A user's function as one of a float64 array.

    Examples
    --------
    >>> InDoubles(lambda x: x.exp(), "flint", "exp")([0.0, 1.0])
    array([1.        , 2.71828183])
    """

    function: Callable[[Any], Any]
    arithmetic: Arithmetic
    name: str

    def __call__(self, x: Any, base: Any = 0.0) -> NDArray[np.float64]:
        """Return the values at base + x, elementwise; flint and mpmath do not round the sum."""
        points, start = np.broadcast_arrays(np.asarray(x, dtype=np.float64), base)
        if self.arithmetic == "double":
            try:
                values = np.asarray(self.function(start + points))
                if np.iscomplexobj(values):
                    raise TypeError("it returned complex numbers")
                return np.asarray(values, dtype=np.float64)
            except NtkspecError:
                raise
            except Exception as error:
                raise NtkspecError(
                    f"{self.name} failed at an array of numbers: {type(error).__name__}: {error}"
                ) from error
        from flint import arb

        from ntkspec.precision import exclusive

        of_ball = ball_function(self.function, self.arithmetic, self.name)
        with exclusive():
            pairs = zip(start.ravel().tolist(), points.ravel().tolist(), strict=True)
            flat = [float(of_ball(arb(b) + arb(p)).mid()) for b, p in pairs]
        return np.array(flat).reshape(points.shape)


def ball_function(
    function: Callable[[Any], Any], arithmetic: Arithmetic, name: str
) -> Callable[[Any], Any]:
    """Return a user's function as one of a `flint.arb` that raises NtkspecError.

    Examples
    --------
    >>> square = ball_function(lambda x: x * x, "flint", "square")
    >>> from flint import arb
    >>> square(arb(3)) == 9
    True
    """
    from flint import arb, ctx

    def of_mpmath(x: Any) -> Any:
        import mpmath

        with mpmath.workprec(ctx.prec):
            result = mpmath.mpf(function(mpmath.make_mpf(x.mid()._mpf_)))
        return arb(result)

    def checked(x: Any) -> Any:
        try:
            result = of_mpmath(x) if arithmetic == "mpmath" else arb(function(x))
        except NtkspecError:
            raise
        except Exception as error:
            raise NtkspecError(
                f"{name} failed at {float(x.mid())!r}: {type(error).__name__}: {error}"
            ) from error
        if not result.is_finite():
            raise NtkspecError(f"{name} returned a value that is not finite at {float(x.mid())!r}")
        return result

    return checked
