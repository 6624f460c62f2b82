"""Versions of what made a file."""

from __future__ import annotations

import platform
from importlib.metadata import version

import ntkspec

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Versions of the program, of Python and of the libraries."""
    libraries = ("numpy", "scipy", "numba", "h5py", "dask", "distributed", "python-flint", "mpmath")
    found = {library: version(library) for library in libraries}
    return {"ntkspec": ntkspec.__version__, "python": platform.python_version(), **found}
