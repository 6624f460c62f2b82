"""Digest of the meaning of Python sources; comments, docstrings and layout do not change it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

__all__ = ["imported_sources", "meaning", "meaning_digest"]

#: Fields of the syntax tree without effect: contexts of names, spellings and comments.
IDLE = ("ctx", "kind", "type_comment")
#: Fields that hold the statements within a statement.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def meaning(source: str | ast.Module) -> str:
    r"""Return the syntax tree of a source, parsed or not, as text.

    It is the same for every Python from 3.11 on.  ``ast.dump`` differs between versions: later
    ones add fields and omit empty ones.

    Examples
    --------
    >>> meaning("def f():\n    'Says f.'\n    return 1  # one") == meaning("def f(): return 1")
    True
    >>> meaning("x = 1") == meaning("x = 1.0")
    False
    """
    out: list[str] = []
    _spell(ast.parse(source) if isinstance(source, str) else source, out)
    return "".join(out)


def _spell(value: object, out: list[str]) -> None:
    if isinstance(value, list):
        out.append("[")
        for one in value:
            _spell(one, out)
        out.append("]")
        return
    if not isinstance(value, ast.AST):
        out.append(f"{type(value).__name__} {value!r};")
        return
    out.append(f"{type(value).__name__}(")
    for name, part in ast.iter_fields(value):
        # Other versions may not have an empty field; 0 and "" are not empty.
        if name in IDLE or part is None or part == []:
            continue
        if name == "body" and isinstance(part, list) and _has_docstring(value):
            part = part[1:]
            if not part:
                continue
        if isinstance(value, ast.JoinedStr):
            part = _joined(value)
        out.append(f"{name}=")
        _spell(part, out)
    out.append(")")


def _joined(text: ast.JoinedStr) -> list[ast.expr]:
    """Parts of an f-string; some versions split its text or have empty parts."""
    parts: list[ast.expr] = []
    for part in text.values:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            if parts and isinstance(parts[-1], ast.Constant):
                part = ast.Constant(f"{parts.pop().value}{part.value}")  # type: ignore[attr-defined]
            if part.value == "":
                continue
        parts.append(part)
    return parts


def _has_docstring(node: ast.AST) -> bool:
    named = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, named) and ast.get_docstring(node, clean=False) is not None


def meaning_digest(folder: Path, meanings: Mapping[Path, str]) -> str:
    """SHA-256 of the meaning of several sources, with their names within a folder."""
    digest = hashlib.sha256()
    for path in sorted(meanings):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{meanings[path]}\0".encode())
    return digest.hexdigest()


def imported_sources(package: Path, start: str) -> dict[Path, str]:
    """Meanings of the sources that a module imports, directly or not, itself among them.

    Imports within functions count.  A package's ``__init__`` counts if a name that is not a
    module is imported from it.
    """
    found: dict[Path, str] = {}
    waiting = [_source(package, start.split("."))]
    while waiting:
        path = waiting.pop()
        if path is None or path in found:
            continue
        found[path], imports = _read(path.read_text(encoding="utf-8"), package.name)
        waiting.extend(_source(package, name) for name in imports)
    return found


#: The digests of sweeps, of trainings and of the atlas have most sources in common.
@lru_cache(maxsize=256)
def _read(source: str, package: str) -> tuple[str, list[list[str]]]:
    """The meaning of a source, and what it imports from the package; its tree is not kept."""
    tree = ast.parse(source)
    imports = [name for node in _statements(tree) for name in _imports(node, package)]
    return meaning(tree), imports


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements of a module; expressions, nine tenths of the tree, are not looked at."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        for name in BLOCKS:
            waiting.extend(getattr(node, name, ()))


def _imports(node: ast.AST, package: str) -> Iterator[list[str]]:
    """Modules, and names in modules, of the package that a statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    for name in names:
        first, *rest = name.split(".")
        if first == package:
            yield rest


def _source(package: Path, parts: list[str]) -> Path | None:
    """The file of a module, or of the module from which a name is imported."""
    for known in (parts, parts[:-1]):
        path = package.joinpath(*known)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if known and file.is_file():
                return file
    return None
