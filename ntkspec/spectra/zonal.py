"""Spectra of a user's kernel in high precision, on the sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.callables import ball_function
from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.spectra.direct import resolved_eigenvalues
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds
from ntkspec.zonal import ZonalKernel

__all__ = ["ROUTE"]


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    return "a user's kernel in high precision" if isinstance(source, ZonalKernel) else None


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    """By seeds in balls, compared with doubles.

    Two runs of the seeds could agree by accident if no node of either meets a feature.
    """
    assert isinstance(source, ZonalKernel)
    with np.errstate(all="ignore"):
        known, bound = resolved_eigenvalues(source.in_doubles, source.name, domain.dim, degrees)
    rows = _seeds(source)
    mantissa, exponent = both_parities(rows, domain.dim, degrees)
    off = np.abs(np.ldexp(mantissa, exponent) - known) > bound
    if off.any():
        at = np.flatnonzero(off)[0]
        raise NtkspecError(
            f"degree = {degrees[at]}: {source.name} gives this eigenvalue as {known[at]:.6g} in "
            f"doubles (to {bound[at]:.2g}), but its rules in high precision do not: it has too "
            "narrow a feature for them; give it for doubles"
        )
    return mantissa, exponent, np.full(degrees.size, rows.relative_error)


def _seeds(source: ZonalKernel) -> BallSeeds:
    """Analytic in theta, like the kernel of an activation with a kink."""
    function = ball_function(source.function, source.arithmetic, source.name)
    return BallSeeds(lambda: lambda angle: function(angle.cos()), Parity(), "kink", proved=False)


ROUTE = Route("ball arithmetic", _takes, _eigenvalues)
