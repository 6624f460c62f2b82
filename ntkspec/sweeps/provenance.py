"""What a number was made by: digests of the code."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import ntkspec
from ntkspec.kernels import SOURCE_DIGEST

__all__ = ["code_digest"]

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
