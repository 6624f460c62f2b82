"""Versions and digests of what made a file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import ntkspec

__all__ = ["sources_digest", "versions"]


def versions() -> dict[str, str]:
    """Versions of the program, of Python and of the libraries."""
    libraries = ("numpy", "scipy", "numba", "h5py", "dask", "distributed", "python-flint", "mpmath")
    found = {library: version(library) for library in libraries}
    return {"ntkspec": ntkspec.__version__, "python": platform.python_version(), **found}


def sources_digest(kernels: str, patterns: Iterable[str], libraries: Iterable[str]) -> str:
    """Digest of that of the kernels, of some of the program's files and versions of libraries."""
    digest = hashlib.sha256(kernels.encode())
    folder = Path(ntkspec.__file__).parent
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library in libraries:
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()
