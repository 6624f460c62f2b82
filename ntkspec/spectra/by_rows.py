"""Routes on the sphere that compute rows of eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.networks import Kernel
from ntkspec.spectra.route import Eigenvalues, Route, Source, is_user
from ntkspec.spectra.rows import Rows, both_parities

__all__ = ["row_route"]


def row_route(
    name: str,
    takes: Callable[[Source, Domain, Kernel], str | None],
    rows: Callable[[Any, Kernel], Rows],
    serves: str = "",
) -> Route:
    """Make a route from a function that computes rows; parameters as for `Route`."""

    def eigenvalues(
        source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
    ) -> Eigenvalues:
        made = rows(source, kernel)
        if made.degrees_alone or is_user(source):
            mantissa, exponent = both_parities(made, domain.dim, degrees)
            return mantissa, exponent, np.full(degrees.size, made.relative_error)
        return _remembered(rows, source, kernel, domain.dim, degrees.tobytes())

    return Route(name, takes, eigenvalues, rows, serves)


@lru_cache(maxsize=64)
def _remembered(
    rows: Callable[[Any, Kernel], Rows],
    source: Source,
    kernel: Kernel,
    dim: int,
    degrees: bytes,
) -> Eigenvalues:
    """Cached read-only eigenvalues; each computation makes new rows."""
    wanted = np.frombuffer(degrees, np.int64)
    made = rows(source, kernel)
    mantissa, exponent = both_parities(made, dim, wanted)
    error = np.full(wanted.size, made.relative_error)
    for values in (mantissa, exponent, error):
        values.flags.writeable = False
    return mantissa, exponent, error
