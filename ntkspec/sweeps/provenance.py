"""What a number was made by: digests of the code, versions of the libraries."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import ntkspec
from ntkspec.kernels import SOURCE_DIGEST

__all__ = ["code_digest", "versions"]

SOURCES = ("activations.py", "networks.py", "duals/*.py", "spectra/*.py")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of all code and libraries that the numbers depend on."""
    digest = hashlib.sha256(SOURCE_DIGEST.encode())
    folder = Path(ntkspec.__file__).parent
    for pattern in SOURCES:
        for path in sorted(folder.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library in ("numpy", "numba", "python-flint"):
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of the program, of Python and of the libraries."""
    libraries = ("numpy", "scipy", "numba", "h5py", "dask", "distributed", "python-flint", "mpmath")
    found = {library: version(library) for library in libraries}
    return {"ntkspec": ntkspec.__version__, "python": platform.python_version(), **found}
