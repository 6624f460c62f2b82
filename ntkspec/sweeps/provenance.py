"""Digest of the code and the libraries that compute a table's blocks."""

from __future__ import annotations

from ntkspec.jobs import provenance

__all__ = ["code_digest"]

#: The module that computes every block; it and its imports determine the numbers.
START = "spectra.block"

LIBRARIES = ("numpy", "numba", "python-flint")


def code_digest() -> str:
    """Digest of the code and the libraries that determine the eigenvalues."""
    return provenance.code_digest(START, LIBRARIES)
