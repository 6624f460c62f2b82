"""What a number was made by: a digest of the code."""

from __future__ import annotations

from functools import lru_cache

from ntkspec.files.versions import sources_digest
from ntkspec.kernels import SOURCE_DIGEST

__all__ = ["code_digest"]

SOURCES = ("activations/*.py", "networks/*.py", "duals/*.py", "spectra/*.py")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Digest of all code and libraries that the numbers depend on."""
    return sources_digest(SOURCE_DIGEST, SOURCES, ("numpy", "numba", "python-flint"))
