"""Recipes: TOML files structured into dataclasses, whose annotations define what is allowed.

A field may be an int, float, str, bool, Literal, another dataclass (a table), a tuple (one value
or a list), or any of these or None.  ``Annotated`` adds bounds (`Between`), requires distinct
values (`DISTINCT`), names a special reader (`Read`) or says which kinds of table have a key (`Of`).
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ntkspec.errors import NtkspecError
from ntkspec.files.inputs import read_bounded
from ntkspec.jobs.lines import Fault, KeyPath

__all__ = [
    "DISTINCT",
    "NO_KEY",
    "Between",
    "Key",
    "Of",
    "Read",
    "check_kind",
    "check_values",
    "known_keys",
    "parsed",
    "read_text",
    "recipe_keys",
    "structured",
    "structured_value",
    "toml_value",
    "written",
]

Recipe = TypeVar("Recipe")

#: Largest size of a recipe, in bytes.
MOST_BYTES = 2**22


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included."""

    least: float
    most: float


@dataclass(frozen=True)
class Read:
    """A reader of values, called with the TOML value and the path of its key."""

    function: Callable[[Any, KeyPath], Any]


#: Marks a tuple with at least one value and without repeats.
DISTINCT = "distinct"


@dataclass(frozen=True)
class Key:
    """A recipe key that differs from the field's name, or an example for the error message."""

    name: str = ""
    example: str = ""


@dataclass(frozen=True)
class Of:
    """The kinds of a table that have a key, and those that need it; see `check_kind`."""

    kinds: tuple[str, ...]
    needed: tuple[str, ...] = ()


#: Marks a field that has no key.
NO_KEY = "no key"


def recipe_keys(kind: type) -> tuple[str, ...]:
    """Return the keys of the table of a dataclass.

    Examples
    --------
    >>> @dataclass
    ... class Data:
    ...     points: int
    ...     dims: Annotated[tuple[int, ...], Key("dim")] = (3,)
    >>> recipe_keys(Data)
    ('points', 'dim')
    """
    return tuple(_fields(kind))


def read_text(path: str | Path) -> str:
    """Return the text of a recipe, of bounded size, with newlines at the ends of its lines."""
    try:
        text = read_bounded(Path(path), "recipe", MOST_BYTES, streams=True).decode()
    except UnicodeDecodeError:
        raise NtkspecError(f"{path}: the recipe is not text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str, source: str, make: Callable[[dict[str, Any]], Recipe]) -> Recipe:
    """Parse TOML, pass it to `make` and return the result; add lines to faults."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault.of_parser(error, text).located("", source) from None
    try:
        return make(raw)
    except Fault as fault:
        raise fault.located(text, source) from None


def structured(
    kind: Callable[..., Recipe], table: Any, path: KeyPath, where: str, **given: Any
) -> Recipe:
    """Make a dataclass from a TOML table, whose name in messages is `where`.

    Fields without keys may be given.

    An error of the dataclass's ``__post_init__`` is attributed to the key with which the message
    begins; the path of a Fault is relative to the table.

    Examples
    --------
    >>> @dataclass
    ... class Data:
    ...     points: Annotated[int, Between(1, 64)]
    >>> structured(Data, {"points": 65}, (), "[data]")
    Traceback (most recent call last):
        ...
    ntkspec.jobs.lines.Fault: points = 65 is not allowed; it must be a whole number from 1 to 64
    """
    if not isinstance(table, dict):
        raise Fault(f"{path[-1]} = {table!r} is not allowed; it must be a table {where}", path)
    fields = _fields(kind)
    known_keys(table, fields, path, where)
    values: dict[str, Any] = dict(given)
    for name, (field, annotation, example) in fields.items():
        if name in table:
            values[field.name] = structured_value(annotation, table[name], (*path, name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Fault(f"{where} has no {name}; write {example or f'{name} = ...'}", path)
    try:
        return kind(**values)
    except Fault as fault:
        raise Fault(str(fault), (*path, *fault.path)) from None
    except NtkspecError as error:
        named = str(error).split(" ", 1)[0]
        raise Fault(f"{where}: {error}", (*path, named) if named in fields else path) from None


def check_values(recipe: Any) -> None:
    """Check the values of a dataclass as `structured` checks those of a table.

    Examples
    --------
    >>> @dataclass
    ... class Data:
    ...     points: Annotated[int, Between(1, 64)]
    >>> check_values(Data(65))
    Traceback (most recent call last):
        ...
    ntkspec.jobs.lines.Fault: points = 65 is not allowed; it must be a whole number from 1 to 64
    """
    for key, (field, annotation, _) in _fields(recipe.__class__).items():
        value = getattr(recipe, field.name)
        if dataclasses.is_dataclass(value):
            check_values(value)
        elif value is None and field.default is not None:
            raise Fault(f"{key} = None is not allowed; give a value, or leave it out", (key,))
        elif value is not None and value != field.default:
            plain = list(value) if isinstance(value, tuple) else value
            structured_value(annotation, plain, (key,))


def check_kind(table: Any, name: str, where: str) -> None:
    """Raise a Fault unless the keys of a table are those of its kind, which is the key `name`.

    Examples
    --------
    >>> @dataclass
    ... class Data:
    ...     kind: str
    ...     points: Annotated[int, Of(("circle",))] = 0
    >>> check_kind(Data("file", 3), "kind", "[data]")
    Traceback (most recent call last):
        ...
    ntkspec.jobs.lines.Fault: points = 3 is not allowed with kind = 'file'; it is for 'circle'
    """
    kind = getattr(table, name)
    for key, (field, annotation, example) in _fields(table.__class__).items():
        for of in getattr(annotation, "__metadata__", ()):
            value = getattr(table, field.name)
            if not isinstance(of, Of) or (value == field.default and kind not in of.needed):
                continue
            if value == field.default:
                how = example or f"{key} = ..."
                raise Fault(f"{where} of {name} {kind!r} has no {key}; write {how}")
            if kind not in of.kinds:
                raise Fault(
                    f"{key} = {value!r} is not allowed with {name} = {kind!r}; it is for "
                    f"{', '.join(map(repr, of.kinds))}",
                    (key,),
                )


def written(recipe: Any, heading: str = "") -> str:
    """Return the TOML from which `structured` makes a dataclass: keys that differ from defaults.

    Examples
    --------
    >>> @dataclass
    ... class Data:
    ...     points: int
    ...     dims: Annotated[tuple[int, ...], Key("dim")] = (3,)
    >>> print(written(Data(64, (2, 3)), "data"), end="")
    [data]
    points = 64
    dim = [2, 3]
    """
    lines, tables = [f"[{heading}]"] if heading else [], list[str]()
    for key, (field, _, _) in _fields(recipe.__class__).items():
        value = getattr(recipe, field.name)
        if value is None or value == field.default:
            continue
        if dataclasses.is_dataclass(value):
            tables.append(written(value, f"{heading}.{key}" if heading else key))
        else:
            lines.append(f"{key} = {toml_value(value)}")
    return "\n".join([*lines, ""]) + "".join("\n" + table for table in tables)


def toml_value(value: Any) -> str:
    """A bool, number, string, or sequence of them in TOML.

    Examples
    --------
    >>> toml_value((1, 2.5, "a", True))
    '[1, 2.5, "a", true]'
    """
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value) if isinstance(value, (bool, str)) else repr(value)


def structured_value(kind: Any, value: Any, path: KeyPath) -> Any:
    """Convert the value of a key to the annotated type, or raise a Fault."""
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        for note in notes:
            if isinstance(note, Read):
                return note.function(value, path)
        bounds = (note for note in notes if isinstance(note, Between) or note == DISTINCT)
        return _checked(kind, value, path, tuple(bounds))
    return _checked(kind, value, path, ())


def known_keys(table: dict[str, Any], keys: Iterable[str], path: KeyPath, where: str) -> None:
    """Raise a Fault for an unknown key, suggesting the nearest known one."""
    for name in table:
        if name not in keys:
            near = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(keys))}"
            raise Fault(f"key {name!r} is unknown in {where}; {hint}", (*path, name))


@cache
def _fields(kind: Any) -> dict[str, tuple[dataclasses.Field[Any], Any, str]]:
    """Fields of a dataclass by their keys, with their annotations and examples."""
    annotations = get_type_hints(kind, include_extras=True)
    found = {}
    for field in dataclasses.fields(kind):
        annotation = annotations[field.name]
        notes = getattr(annotation, "__metadata__", ())
        this = next((note for note in notes if isinstance(note, Key)), Key())
        if NO_KEY not in notes:
            found[this.name or field.name] = (field, annotation, this.example)
    return found


def _checked(kind: Any, value: Any, path: KeyPath, notes: tuple[Any, ...]) -> Any:
    if get_origin(kind) in (Union, UnionType):  # TOML has no null: None is an omitted key
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
        if notes:
            return _checked(kind, value, path, notes)
        return structured_value(kind, value, path)
    if dataclasses.is_dataclass(kind):
        return structured(kind, value, path, f"[{path[-1]}]")  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        return _several(get_args(kind)[0], value, path, DISTINCT in notes)
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        ok, wanted = value in allowed, f"one of {', '.join(map(repr, allowed))}"
    elif kind is bool:
        ok, wanted = isinstance(value, bool), "true or false"
    elif kind is str:
        ok, wanted = isinstance(value, str), "a string"
    else:
        return _number(kind, value, path, notes)
    if not ok:
        raise _refused(value, path, wanted)
    return value


def _number(kind: type, value: Any, path: KeyPath, notes: tuple[Any, ...]) -> Any:
    whole = kind is int
    wanted = "a whole number" if whole else "a number" if notes else "a finite number"
    ok = type(value) is int if whole else _is_finite(value)
    for note in notes:
        if isinstance(note, Between):
            ends = (note.least, note.most)
            least, most = ends if whole else (f"{end:g}" for end in ends)
            wanted += f" from {least} to {most}"
            ok = ok and note.least <= value <= note.most
    if not ok:
        raise _refused(value, path, wanted)
    return value if whole else float(value)


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an int beyond the range of floats
        return False


def _several(kind: Any, value: Any, path: KeyPath, distinct: bool) -> tuple[Any, ...]:
    """A list of values, or one value."""
    several = isinstance(value, (list, tuple))
    listed = value if several else [value]
    found: dict[Any, None] = {}
    every: list[Any] = []
    for i, one in enumerate(listed):
        at = (*path, i) if several else path
        every.append(structured_value(kind, one, at))
        if distinct and every[-1] in found:
            raise Fault(f"{path[-1]}: {one} is written twice", at)
        found[every[-1]] = None
    if distinct and not every:
        raise Fault(f"{path[-1]} = [] is empty; write at least one value", path)
    return tuple(every)


def _refused(value: Any, path: KeyPath, wanted: str) -> Fault:
    name = next(part for part in reversed(path) if isinstance(part, str))
    return Fault(f"{name} = {value!r} is not allowed; it must be {wanted}", path)
