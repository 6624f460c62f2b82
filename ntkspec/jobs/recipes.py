"""What all recipes share: reading them, and faults in their keys and values."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ntkspec.errors import NtkspecError
from ntkspec.files.inputs import read_bounded
from ntkspec.jobs.lines import Fault, KeyPath

__all__ = [
    "checked_count",
    "checked_table",
    "checked_whole",
    "known_keys",
    "named",
    "parsed",
    "read_text",
]

Recipe = TypeVar("Recipe")

#: Bytes of a recipe, at most.
MOST_BYTES = 2**22


def read_text(path: str | Path) -> str:
    """Return the text of a recipe.

    Raises
    ------
    TableError
        When there is no such file, or it is larger than any recipe.
    NtkspecError
        When it is not text in UTF-8.
    """
    try:
        text = read_bounded(Path(path), "recipe", MOST_BYTES, streams=True).decode()
    except UnicodeDecodeError:
        raise NtkspecError(f"{path}: the recipe is not text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str, source: str, make: Callable[[dict[str, Any]], Recipe]) -> Recipe:
    """Return what `make` makes of a TOML text; its faults become errors with the line.

    Raises
    ------
    NtkspecError
        When the text is not TOML, or `make` finds a fault.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault.of_parser(error, text).located("", source) from None
    try:
        return make(raw)
    except Fault as fault:
        raise fault.located(text, source) from None


def known_keys(table: dict[str, Any], keys: Iterable[str], path: KeyPath, where: str) -> None:
    """Raise a Fault for a key that is none of the known ones."""
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(keys))}"
            raise Fault(f"key {key!r} is unknown in {where}; {hint}", (*path, key))


def checked_table(raw: dict[str, Any], key: str, known: Iterable[str]) -> dict[str, Any]:
    """Return the table of a key, empty if it is not there, with known keys only."""
    table = raw.get(key, {})
    if not isinstance(table, dict):
        raise Fault(f"{key} = {table!r} is not allowed; it must be a table [{key}]", (key,))
    known_keys(table, known, (key,), f"[{key}]")
    return table


def checked_count(table: dict[str, Any], path: KeyPath, default: int, least: int, most: int) -> int:
    """Return the whole number at the end of a path, within its bounds."""
    return checked_whole(table.get(str(path[-1]), default), path, least, most)


def checked_whole(value: Any, path: KeyPath, least: int, most: int) -> int:
    """Return the whole number that is at a path, of a key or of an array, within its bounds."""
    if type(value) is not int or not least <= value <= most:
        key = next(part for part in reversed(path) if isinstance(part, str))
        raise Fault(
            f"{key} = {value!r} is not allowed; it must be a whole number from {least} to {most}",
            path,
        )
    return value


def named(error: NtkspecError, keys: Iterable[str]) -> str:
    """The key that the sentence of an error begins with, if it does with one of these."""
    first = str(error).split(" ", 1)[0]
    return first if first in keys else ""
