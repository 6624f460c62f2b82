"""A user's kernel in high precision on the cube."""

from __future__ import annotations

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ntkspec.callables import ball_function
from ntkspec.domains import Domain
from ntkspec.networks import Kernel
from ntkspec.spectra.cube.sums import eigenvalues_of
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.route import Eigenvalues, Route, Source, double_only
from ntkspec.zonal import ZonalKernel

__all__ = ["ROUTE"]


class _Zonal:
    """A user's kernel in high precision."""

    proved = False
    relative_error = 0.0

    def __init__(self, source: ZonalKernel) -> None:
        self.function = ball_function(source.function, source.arithmetic, source.name)

    def at(self, dim: int, count: int) -> list[arb]:
        return [self.function(arb(fmpq(dim - 2 * j, dim))) for j in range(count)]

    def slack(self, dim: int) -> arb | None:
        return None


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if isinstance(source, ZonalKernel) and not double_only(source):
        return "a user's kernel in high precision"
    return None


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(source, ZonalKernel)
    return eigenvalues_of(_Zonal(source), Parity(), domain.dim, degrees)


ROUTE = Route("sums over the cube", _takes, _eigenvalues)
