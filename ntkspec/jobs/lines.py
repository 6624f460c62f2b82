"""Line numbers of the keys of a TOML text, which tomllib does not record."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

from ntkspec.errors import NtkspecError

__all__ = ["Fault", "KeyPath", "attributed", "find_lines"]

#: Keys from the root on; a number is an index into an array.
KeyPath = tuple[str | int, ...]

#: The content of a multi-line string may end with one or two quotes before the closing three.
TOKEN = re.compile(
    r'''(?P<blank>[ \t\r]+|\#[^\n]*)
    | (?P<mark>[\n\[\]{},.=])
    | (?P<word>"""(?:\\.|[^\\])*?"""(?:"{0,2}) | \'\'\'.*?\'\'\'(?:'{0,2})
      | "(?:\\.|[^"\\])*" | '[^']*' | [^\s\[\]{},.=\#"']+)''',
    re.VERBOSE | re.DOTALL,
)


class Fault(NtkspecError):
    """An error in a recipe, with the path of its key, or of the nearest one above a missing key.

    `earlier` is the path of another key, whose line is added to the message; `line` is the line of
    the error itself, if known.
    """

    def __init__(
        self, message: str, path: KeyPath = (), earlier: KeyPath = (), line: int = 0
    ) -> None:
        super().__init__(message)
        self.path, self.earlier, self.line = path, earlier, line

    @classmethod
    def of_parser(cls, error: Exception, text: str) -> Fault:
        """Make a fault from an error of the TOML parser."""
        what, _, place = str(error).partition(" (at ")
        line = len(text.splitlines()) if place.startswith("end") else 0
        if found := re.match(r"line (\d+)", place):
            line = int(found.group(1))
        return cls(f"the recipe is not valid TOML: {what}", line=line)

    def located(self, text: str, source: str = "") -> NtkspecError:
        """Return the error to raise: "source:line: message", or "line N: message"."""
        lines = find_lines(text) if self.path else {}
        line, message = self.line or _nearest(lines, self.path), str(self)
        if self.earlier:
            message += f", line {_nearest(lines, self.earlier)}"
        place = (f"{source}:{line}" if source else f"line {line}") if line else source
        return NtkspecError(f"{place}: {message}" if place else message)


@contextmanager
def attributed(*path: str | int, before: str = "") -> Iterator[None]:
    """Give errors the path of a key, and words before their messages.

    Examples
    --------
    >>> with attributed("data", "file", before="points.csv: "):
    ...     raise NtkspecError("points[1] is the same as points[0]")
    Traceback (most recent call last):
        ...
    ntkspec.jobs.lines.Fault: points.csv: points[1] is the same as points[0]
    """
    try:
        yield
    except NtkspecError as error:
        raise Fault(f"{before}{error}", path) from None


def _nearest(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of a path or of the nearest above it; 0 at the root."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def find_lines(text: str) -> dict[KeyPath, int]:
    r"""Return the line of each key, table and array element of a valid TOML text.

    A table or array of tables has the line of its first mention.

    Examples
    --------
    >>> find_lines('dims = [2,\n  3]\n[[networks]]\nslope = 0.1')[("networks", 0, "slope")]
    4
    >>> find_lines('dims = [2,\n  3]')[("dims", 1)]
    2
    """
    return _Reader(text).document()


class _Reader:
    """Walks over the tokens of a valid text and records the lines of keys."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.lines: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}  # tables in arrays of tables
        self.step()

    def step(self) -> str:
        """Go to the next token; return the previous one."""
        before = getattr(self, "token", "")
        self.token, self.line = next(self.tokens, ("", 0))
        return before

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self.token:
            if self.token == "\n":
                self.step()
            elif self.token == "[":
                table = self.header()
            else:
                self.pair(table)
        return self.lines

    def header(self) -> KeyPath:
        """[a.b] or [[a.b]]: the path of the table; a.b of an array of tables is its last one."""
        self.step()
        array = self.token == "["
        if array:
            self.step()
        path = self.key((), array)
        while self.token not in ("\n", ""):
            self.step()
        return path

    def pair(self, table: KeyPath) -> None:
        path = self.key(table)
        self.step()  # the equals sign
        self.value(path)

    def key(self, path: KeyPath, array: bool = False) -> KeyPath:
        """Read a key, dotted or not, below a path; `array`: it begins a table of an array."""
        while True:
            line, word = self.line, self.step()
            path = (*path, _unquoted(word))
            self.lines.setdefault(path, line)
            last = self.token != "."
            if last and array:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self.lines.setdefault(path, line)
            if last:
                return path
            self.step()

    def value(self, path: KeyPath) -> None:
        if self.token not in ("[", "{"):
            while self.token not in ("\n", ",", "]", "}", ""):
                self.step()
            return
        array, count = self.step() == "[", 0
        while self.token not in ("]", "}"):
            if self.token in ("\n", ","):
                self.step()
            elif array:
                self.lines[(*path, count)] = self.line
                self.value((*path, count))
                count += 1
            else:
                self.pair(path)
        self.step()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Marks, line ends and words, with their lines."""
    line = 1
    for match in TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup != "blank":
            yield token, line
        line += token.count("\n")


def _unquoted(word: str) -> str:
    return str(tomllib.loads(f"key = {word}")["key"]) if word[0] in "\"'" else word
