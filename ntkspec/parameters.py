"""Checks of numeric arguments."""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError

__all__ = [
    "RAISE",
    "as_number",
    "as_whole",
    "byte_count",
    "check_finite",
    "duration",
    "file_path",
    "is_one_of",
    "lacking",
    "nearest",
    "number",
    "numbers",
    "one_of",
    "read_literal_call",
    "shown",
    "size_of",
    "target_values",
    "vectors",
    "ways",
    "whole_number",
]

#: Parameters of the functions that compute, which the function that was called does not have.
LACKING: ContextVar[frozenset[str]] = ContextVar("LACKING", default=frozenset())
#: The advice that most functions which compute give.
RAISE = ("tolerance", "raise the tolerance")

#: A number of bytes as people write it.
BYTES = re.compile(r"\s*(\d+\.?\d*)\s*([kmgt]?)(i?)b?\s*", re.ASCII | re.IGNORECASE)
#: Largest number of characters of a value in a message.
MOST_SHOWN = 80
#: Rows of an array that are checked together.
CHECKED = 4096


def shown(value: Any) -> str:
    """Return a value as Python writes it, in one line of bounded length.

    Examples
    --------
    >>> shown("tanh"), shown(list(range(10**6)))[-22:]
    ("'tanh'", '16, 17, 18, 19, 20 ...')
    """
    if isinstance(value, (list, tuple)) and len(value) > MOST_SHOWN:
        value = value[:MOST_SHOWN]
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # a whole number with too many digits
        return "a number of too many digits"
    except Exception:  # whatever the __repr__ of a user's class raises
        return f"an object of class {type(value).__name__}"
    if len(text) <= MOST_SHOWN:
        return text
    cut = text[: MOST_SHOWN - 4]
    return (cut.rpartition(" ")[0].rstrip(",") or cut) + " ..."


@contextmanager
def lacking(*names: str) -> Iterator[None]:
    """Leave out of messages the advice to change parameters that the caller does not have.

    Examples
    --------
    >>> with lacking("tolerance"):
    ...     ways(("tolerance", "raise the tolerance"), "leave out degrees")
    '; leave out degrees'
    """
    token = LACKING.set(LACKING.get() | set(names))
    try:
        yield
    finally:
        LACKING.reset(token)


def ways(*advice: str | tuple[str, str]) -> str:
    """The end of a message: what its reader can do, each with the parameter that it needs.

    Examples
    --------
    >>> ways(RAISE, "leave out degrees", "take doubles")
    '; raise the tolerance, leave out degrees, or take doubles'
    """
    pairs = [("", one) if isinstance(one, str) else one for one in advice]
    found = [text for name, text in pairs if name not in LACKING.get()]
    others = ", ".join(found[:-1])
    return "; " + ", or ".join([others, *found[-1:]] if others else found) if found else ""


def is_one_of(value: Any, allowed: Collection[str]) -> bool:
    """Whether a value is one of several strings; False for other types.

    Examples
    --------
    >>> is_one_of("ntk", ("ntk", "nngp")), is_one_of(["ntk"], ("ntk", "nngp"))
    (True, False)
    """
    return isinstance(value, str) and value in allowed


def nearest(given: Any, known: Iterable[str]) -> str:
    """Return the end of a message that names the allowed text nearest to a wrong one, if any.

    Examples
    --------
    >>> nearest("radus", ["radii", "radius"]), nearest(3, ["radius"])
    ("; did you mean 'radius'?", '')
    """
    near = difflib.get_close_matches(given, list(known), n=1) if isinstance(given, str) else ()
    return f"; did you mean {near[0]!r}?" if near else ""


def one_of(value: Any, name: str, allowed: Collection[str]) -> Any:
    """Return one of several strings.

    Raises
    ------
    NtkspecError
        For anything else.

    Examples
    --------
    >>> one_of("NTK", "kernel", ("ntk", "nngp"))
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: kernel = 'NTK' is not allowed; use 'ntk' or 'nngp'
    """
    if not is_one_of(value, allowed):
        *others, last = map(repr, allowed)
        raise NtkspecError(
            f"{name} = {shown(value)} is not allowed; use {', '.join(others)} or {last}"
        )
    return value


def as_whole(value: Any) -> int | None:
    """Return an integer of Python or numpy, or a float without a fraction, as int; else None.

    Examples
    --------
    >>> as_whole(3), as_whole(3.0), as_whole(3.5), as_whole("3"), as_whole(True)
    (3, 3, None, None, None)
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_, np.ndarray)):
        return None
    if isinstance(value, (float, np.floating)):
        return int(value) if math.isfinite(value) and value == math.floor(value) else None
    try:
        return operator.index(value)
    except TypeError:
        return None


def whole_number(value: Any, name: str, least: int, most: int | None = None) -> int:
    """Return a whole number within its bounds; floats without a fraction are accepted.

    Anything else, such as a boolean, a string, an array or NaN, raises NtkspecError.

    Examples
    --------
    >>> whole_number(4.0, "depth", 1, 100)
    4
    >>> whole_number("4", "depth", 1, 100)
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: depth = '4' is not allowed; it must be a whole number from 1 to 100
    """
    whole = as_whole(value)
    if whole is None or whole < least or (most is not None and whole > most):
        allowed = f">= {least}" if most is None else f"from {least} to {most}"
        raise NtkspecError(
            f"{name} = {shown(value)} is not allowed; it must be a whole number {allowed}"
        )
    return whole


def as_number(value: Any) -> float:
    """Return a number as a float; NaN for booleans, strings, arrays and None.

    Examples
    --------
    >>> as_number(2), as_number("2"), as_number([2.0])
    (2.0, nan, nan)
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_, str, bytes, bytearray)) or hasattr(value, "__len__"):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def truth(value: Any, name: str) -> bool:
    """Return True or False; anything else raises NtkspecError.

    Examples
    --------
    >>> truth(True, "trained")
    True
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise NtkspecError(f"{name} = {shown(value)} is not allowed; use True or False")


def number(value: Any, name: str, least: float, most: float) -> float:
    """Return a number within its bounds, which may be infinite.

    Anything else, such as a boolean, a string, an array or NaN, raises NtkspecError.

    Examples
    --------
    >>> number(1, "weight_variance", 0.01, 1e4)
    1.0
    """
    found = as_number(value)
    if not least <= found <= most:
        raise NtkspecError(
            f"{name} = {shown(value)} is not allowed; it must be a number from {least:g} to "
            f"{most:g}"
        )
    return found + 0.0  # no -0


def numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return real numbers as a float64 array of their shape.

    Anything else, such as strings, booleans, complex numbers, dates or masked entries, raises
    NtkspecError.

    Examples
    --------
    >>> numbers([[1, 0.5]], "t")
    array([[1. , 0.5]])
    """
    _check_unmasked(values, name)
    try:
        given = np.asarray(values)
        words = given.dtype == object and any(
            isinstance(one, (str, bytes, bool, np.bool_)) for one in given.flat
        )
        if given.dtype.kind in "iufO" and not words:
            return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise NtkspecError(f"{name} = {shown(values)} is not allowed; give numbers")


def target_values(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return targets as `numbers` does; booleans are 0 and 1.

    Examples
    --------
    >>> target_values([True, False], "targets")
    array([1., 0.])
    """
    _check_unmasked(values, name)
    with suppress(ValueError):  # of rows of different lengths, which `numbers` refuses
        given = np.asarray(values)
        flags = given.dtype == object and all(isinstance(x, (bool, np.bool_)) for x in given.flat)
        if given.dtype == bool or (flags and given.size):
            return given.astype(np.float64)
    return numbers(values, name)


def vectors(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return vectors in rows as a float32 array if they are one, and else as a float64 array.

    Arrays of these types are not copied.

    Raises
    ------
    NtkspecError
        For another shape, no vector, masked entries, and what is no number.

    Examples
    --------
    >>> vectors([[1, 2]], "X")
    array([[1., 2.]])
    """
    _check_unmasked(values, name)
    given = np.asarray(values) if hasattr(values, "__array__") else values
    if isinstance(values, np.memmap) and values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        given = values  # it stays one
    found: NDArray[Any] = given  # type: ignore[assignment]
    if not (isinstance(given, np.ndarray) and given.dtype in (np.float32, np.float64)):
        found = numbers(given, name)
    if found.ndim != 2 or 0 in found.shape:
        how = ""
        if found.ndim == 1 and found.size:
            how = "; [:, numpy.newaxis] makes vectors of the numbers, [numpy.newaxis] one vector"
        elif found.ndim > 2 and found.size:
            how = "; reshape(n, -1) makes one vector of each entry"
        raise NtkspecError(
            f"{name} of shape {found.shape} cannot be used; give at least one vector, as an array "
            f"(n, dim){how}"
        )
    return found


def _check_unmasked(values: Any, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        at = ", ".join(str(int(i)) for i in np.argwhere(np.ma.getmaskarray(values))[0])
        raise NtkspecError(
            f"{name}[{at}] is masked, which is not allowed; fill in or leave out what is masked"
        )


def file_path(value: Any, name: str) -> Path:
    """Return the path of a file; what is neither text nor a path raises NtkspecError.

    Examples
    --------
    >>> file_path("run.h5", "path").suffix
    '.h5'
    """
    try:
        return Path(value)
    except TypeError:
        raise NtkspecError(
            f"{name} = {shown(value)} is not allowed; give the name of a file"
        ) from None


def byte_count(text: Any) -> int:
    """Return the number of bytes that a text says, and 0 for anything else.

    Examples
    --------
    >>> byte_count("4GB"), byte_count("1.5 MiB"), byte_count("much"), byte_count(4)
    (4000000000, 1572864, 0, 0)
    """
    found = BYTES.fullmatch(text) if isinstance(text, str) and len(text) <= MOST_SHOWN else None
    if found is None:
        return 0
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(unit.lower() or " "))


def check_finite(values: NDArray[Any], name: str, most: float = math.inf) -> None:
    """Refuse rows with a number that is not finite, or beyond `most`, some rows at a time.

    Raises
    ------
    NtkspecError
        With the place of the first.

    Examples
    --------
    >>> check_finite(np.array([[1.0, 2.0], [3.0, np.nan]]), "X")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: X[1, 1] = nan is not allowed; fill in or leave out what is not \
finite
    """
    for first in range(0, len(values), CHECKED):
        part = values[first : first + CHECKED]
        allowed = np.isfinite(part) if most == math.inf else np.abs(part) <= most
        if not allowed.all():
            at = tuple(np.argwhere(~allowed)[0].tolist())
            place = ", ".join(map(str, (first + at[0], *at[1:])))
            what = "not finite" if most == math.inf else f"not a number to {most:g}"
            raise NtkspecError(
                f"{name}[{place}] = {part[at]} is not allowed; fill in or leave out what is {what}"
            )


def size_of(count: int) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> size_of(800_000_000), size_of(12_340), size_of(0)
    ('800 MB', '12.3 kB', '0 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """Return a time in a suitable unit.

    Examples
    --------
    >>> duration(0.0123), duration(110.0), duration(150.0), duration(1.4e6)
    ('12 ms', '110 s', '2.5 min', '16 days')
    """
    for size, unit in ((3.15576e7, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    size, unit = (1.0, "s") if seconds >= 0.0995 else (1e-3, "ms")
    return f"{seconds / size:.{'0f' if seconds >= 9.95 * size else '2g'}} {unit}"


def read_literal_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Read a name, or a call of a name with literals, as Python writes them.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> read_literal_call("matern(1.5, length=0.3)"), read_literal_call("laplace")
    (('matern', [1.5], {'length': 0.3}), ('laplace', [], {}))
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Name):
            return call.id, [], {}
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            arguments = [ast.literal_eval(one) for one in call.args]
            options = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
            if len(options) < len(call.keywords):
                raise ValueError(f"{shown(text)} gives a parameter twice")
            return call.func.id, arguments, options
    except (SyntaxError, RecursionError, MemoryError):
        pass
    raise ValueError(f"{shown(text)} is no call of a name")
