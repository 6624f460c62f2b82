"""The numba-compiled inner loops: arrays in, arrays out, no objects, no input or output.

numba checks only a cached function's own file, so after an edit of a callee in another file, or an
upgrade of the package, old machine code would stay in use.  Here the cache is in a folder named by
a digest of all kernel sources, so any edit starts a new one.  The folder is private to the user:
see `ntkspec.kernels.cache`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numba
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from ntkspec.kernels.cache import cache_folder
from ntkspec.kernels.compiling import CompilingNotice, someone_waits

if __name__ != "ntkspec.kernels":
    raise ImportError(
        f"the kernels are imported as 'ntkspec.kernels', not as '{__name__}': "
        "a second copy would be compiled and cached apart"
    )

__all__ = ["CACHE_DIR", "SOURCE_DIGEST"]


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).resolve().parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _import_arrays() -> None:
    """Import numba's functions of arrays without scipy.linalg, which takes 0.13 s and no loop uses.

    They import it at once, only to see whether it is there; numba's products of matrices import it
    again where they are compiled.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    from numba.np import linalg

    ensure_blas = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        from numba.np import arraymath

        arraymath.ensure_blas = ensure_blas  # type: ignore[attr-defined]
    finally:
        linalg.ensure_blas = ensure_blas


_import_arrays()
SOURCE_DIGEST = _source_digest()
CACHE_DIR = cache_folder(SOURCE_DIGEST)

# Other users of numba in this process keep the cache folder they had.
_previous = numba.config.CACHE_DIR  # type: ignore[attr-defined]
numba.config.CACHE_DIR = str(CACHE_DIR)  # type: ignore[attr-defined]
try:
    from ntkspec.kernels import (  # noqa: F401
        closed_form,
        composed,
        density,
        descent,
        dual,
        ehrenfest,
        elementary,
        endpoint,
        factors,
        gauss,
        kinks,
        layers,
        legendre,
        moments,
        pairs,
        pieces,
        scaled,
        series,
        sigma,
        taylor,
        torus,
        vectors,
        walk,
    )
finally:
    numba.config.CACHE_DIR = _previous  # type: ignore[attr-defined]

if someone_waits():
    event.register("numba:compile", CompilingNotice())

# A child forked while another thread compiles would wait for the compiler forever.
os.register_at_fork(
    before=global_compiler_lock.acquire,
    after_in_parent=global_compiler_lock.release,
    after_in_child=global_compiler_lock.release,
)
