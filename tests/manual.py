"""Parsing of the manual's pages and the README: code, and consoles with their output."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from paths import DOCS

__all__ = ["DOCS", "PAGES", "README", "Block", "alike", "blocks", "commands"]

#: As a page of the manual.
README = "../README.md"

#: Pages written by hand; those generated from docs/gallery are not read.
PAGES = sorted(
    str(path.relative_to(DOCS))
    for path in DOCS.rglob("*.rst")
    if not {"auto_gallery", "_build", "gallery"} & set(path.relative_to(DOCS).parts)
    and path.name != "sg_execution_times.rst"
)
DIRECTIVE = re.compile(
    r"^( *)\.\. code-block:: (\w+)\n((?:\1 +:\w+:.*\n)*)\n((?:\1 +.*\n|\n)+)", re.MULTILINE
)
FENCE = re.compile(r"^()```(\w+)\n()((?:(?!```).*\n)+)```$", re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """One ``code-block`` of a page: its language, the line it begins in, its text."""

    page: str
    line: int
    language: str
    text: str
    options: str = ""

    @property
    def caption(self) -> str:
        """Name of the file that the block shows."""
        found = re.search(r":caption: (.*)", self.options)
        return found.group(1) if found else ""


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in order, of some languages or all."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = [
        Block(
            page,
            text.count("\n", 0, at.start()) + 1,
            at[2],
            textwrap.dedent(at[4]).rstrip("\n"),
            at[3],
        )
        for at in (FENCE if page.endswith(".md") else DIRECTIVE).finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


def commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """The command lines of a console, with continued lines joined, and the output of each."""
    lines = console.replace("\\\n", " ").splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    assert not lines or starts[0] == 0, f"a console must begin with '$ ': {lines[0]!r}"
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        yield re.sub(" +", " ", lines[start][2:]), lines[start + 1 : end]


def alike(printed: str, shown: str) -> bool:
    """Whether lines are those shown: "..." stands for any lines, spaces at the ends are nothing.

    Numbers may differ by a unit of the last place shown, or by 1e-12: the last bits are the
    processor's.
    """
    there = [line.strip() for line in printed.splitlines() if line.strip()]
    wanted = [line.strip() for line in shown.splitlines() if line.strip()]
    return _alike(there, wanted)


def _alike(there: list[str], wanted: list[str]) -> bool:
    if not wanted:
        return not there
    if wanted[0] == "...":
        return any(_alike(there[i:], wanted[1:]) for i in range(len(there) + 1))
    return bool(there) and _same(there[0], wanted[0]) and _alike(there[1:], wanted[1:])


def _same(line: str, shown: str) -> bool:
    if NUMBER.sub("#", line).split() != NUMBER.sub("#", shown).split():
        return False
    pairs = zip(NUMBER.findall(line), NUMBER.findall(shown), strict=True)
    return all(abs(float(a) - float(b)) <= _unit(b) for a, b in pairs)


def _unit(number: str) -> float:
    """A unit in the last place of a decimal number, at least 1e-12 of it; 0 for an integer."""
    digits, _, exponent = number.lower().partition("e")
    if "." not in digits and not exponent:
        return 0.0
    places = len(digits.partition(".")[2])
    return max(10.0 ** (int(exponent or 0) - places), 1e-12 * abs(float(number))) * 1.0001
