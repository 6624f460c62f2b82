"""Names of activations with their parameters, such as "swish(2)": how they are written and read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ntkspec.activations.activation import Activation
from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, shown, whole_number

__all__ = ["Family", "called", "plain", "read_call", "refuse_bare_function", "similar"]

CALL = re.compile(r"\s*([^()]*?)\s*(?:\(([^()]*)\)\s*)?")


@dataclass(frozen=True)
class Family:
    """Activations of one name: what makes them, and (name, default, least, most) of parameters.

    A parameter whose default is an int takes whole numbers.  `several`: the name, least and largest
    of parameters of which there may be any number, in their order.
    """

    name: str
    make: Activation | Callable[..., Activation]
    parameters: tuple[tuple[str, float, float, float], ...] = ()
    several: tuple[str, float, float] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [name for name, *_ in self.parameters]

    def of(self, given: tuple[Any, ...], named: dict[str, Any]) -> Activation:
        """The activation with parameters in their order, by name, or the default ones."""
        names = self.names
        if self.several and not named and not isinstance(self.make, Activation):
            return self.make(*(number(value, *self.several) for value in given))
        if len(given) > len(names) or any(name not in names for name in named):
            wrong = [f"{name} = {shown(value)}" for name, value in named.items()]
            raise NtkspecError(
                f"{', '.join([*map(shown, given), *wrong])} is given for {self.name}, which takes "
                + (f"only {' and '.join(names)}" if names else "no parameters")
            )
        for name in names[: len(given)]:
            if name in named:
                raise NtkspecError(f"{name} of {self.name} is given twice; leave one out")
        named = {**named, **dict(zip(names, given, strict=False))}
        values: dict[str, float] = {}
        for name, default, least, most in self.parameters:
            value = named.get(name, default)
            if isinstance(default, int):
                values[name] = whole_number(value, name, int(least), int(most))
            else:
                values[name] = number(value, name, least, most)
        return self.make if isinstance(self.make, Activation) else self.make(**values)


def called(name: str, *parameters: float) -> str:
    """Write an activation's name with its parameters.

    Examples
    --------
    >>> called("gabor", 10.0, 0.1)
    'gabor(10, 0.1)'
    """
    return f"{name}({', '.join(map(_written, parameters))})"


def _written(x: float) -> str:
    """Write a number so that it is read back equal; a whole one without a fraction."""
    return str(int(x)) if x == int(x) and abs(x) < 1e15 else repr(x)


def read_call(text: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Read a name, parameters in their order, and parameters by name.

    What is no number stays a string, which the parameter's check refuses.

    Examples
    --------
    >>> read_call("gabor(10, scale=0.1)")
    ('gabor', (10,), {'scale': 0.1})
    """
    match = CALL.fullmatch(text)
    if match is None or not match[2]:
        return (match[1] if match else text), (), {}
    given: list[Any] = []
    named: dict[str, Any] = {}
    for one in match[2].split(","):
        name, equals, value = one.rpartition("=")
        name = name.strip()
        if equals and name in named:
            raise NtkspecError(f"{name} of {match[1]} is given twice; leave one out")
        if equals:
            named[name] = _read_number(value)
        elif named:
            raise NtkspecError(
                f"activation {shown(text)} is not allowed; write parameters by name last"
            )
        else:
            given.append(_read_number(value))
    return match[1], tuple(given), named


def _read_number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def refuse_bare_function(given: object, parameter: str) -> None:
    """Raise when a Python function is given where it could be a kernel or an activation.

    Examples
    --------
    >>> refuse_bare_function("tanh", "network")
    >>> refuse_bare_function(abs, "network")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: network = <built-in function abs> is a bare function: it could \
be an activation or a kernel; give Network(user_activation(function)) for the activation \
sigma(x), or ZonalKernel(function) for the kernel K(t)
    """
    if callable(given):
        raise NtkspecError(
            f"{parameter} = {given!r} is a bare function: it could be an activation or a kernel; "
            "give Network(user_activation(function)) for the activation sigma(x), or "
            "ZonalKernel(function) for the kernel K(t)"
        )


def plain(name: str) -> str:
    """A name without case and separators: LeakyReLU and leaky_relu are one."""
    return re.sub(r"[\s_-]", "", name).casefold()


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Known names that are close to one, the nearest first."""
    by_plain = {plain(one): one for one in known}
    return [by_plain[one] for one in difflib.get_close_matches(plain(name), by_plain, 3, 0.4)]
