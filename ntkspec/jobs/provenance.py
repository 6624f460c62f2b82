"""Provenance of a file: versions, time, command, and a digest of the code's meaning."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import h5py

import ntkspec
from ntkspec.files.text import printable
from ntkspec.jobs.meaning import imported_sources, meaning_digest

__all__ = ["PACKAGE", "code_digest", "command_line", "describe", "versions"]

LIBRARIES = ("numpy", "scipy", "numba", "h5py", "dask", "distributed", "python-flint", "mpmath")
PACKAGE = Path(ntkspec.__file__).parent
#: Folders that only read and write files; numbers do not depend on them.
STORAGE = ("files", "jobs")


def versions() -> dict[str, str]:
    """Versions of ntkspec, Python and the libraries."""
    found = {library: _installed(library) for library in LIBRARIES}
    return {"ntkspec": ntkspec.__version__, "python": platform.python_version(), **found}


def command_line() -> str:
    """Return the command that started this process, without its folder."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def describe(file: h5py.File) -> None:
    """Write versions, time and command as attributes of a file."""
    file.attrs["versions"] = json.dumps(versions())
    file.attrs["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    file.attrs["command"] = printable(command_line())


def code_digest(start: str, libraries: Sequence[str] = (), package: Path | None = None) -> str:
    """SHA-256 of the code that a module runs, and of the versions of libraries.

    It covers all modules of the package that the module, such as "spectra.walk", imports, directly
    or not, except those that only store numbers.  Comments, docstrings and layout do not change it.
    `package` is another folder of sources; this package's are read once per process.
    """
    digest = _digest_here(start) if package is None else _sources_digest(start, package)
    if not libraries:
        return digest
    used = " ".join(f"{library} {_installed(library)}" for library in libraries)
    return hashlib.sha256(f"{digest} {used}".encode()).hexdigest()


#: A look-up reads files of the library, and every block of a sweep asks for some.
_installed = lru_cache(maxsize=64)(version)


@lru_cache(maxsize=8)
def _digest_here(start: str) -> str:
    return _sources_digest(start, PACKAGE)


def _sources_digest(start: str, package: Path) -> str:
    sources = {
        path: text
        for path, text in imported_sources(package, start).items()
        if path.relative_to(package).parts[0] not in STORAGE
    }
    return meaning_digest(package, sources)
