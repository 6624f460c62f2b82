"""Homogeneous activations without bias and zonal kernels times powers of the norms.

K = (r r')^P K(t), so each degree has one eigenvalue, that of the sphere times E[(|x|^2/d)^P].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import split, working_precision
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.gaussian.radial import radial_moment
from ntkspec.spectra.route import (
    Eigenvalues,
    Route,
    Source,
    better_than_doubles,
    double_only,
)
from ntkspec.spectra.rows import both_parities, normalized
from ntkspec.spectra.sphere_routes import row_provider

__all__ = ["ROUTE"]

ROUNDING = 2.0**-53
MOST_POWER = 10_000


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if radial_power(source) is None:
        return None
    if isinstance(source, Network):
        return "a homogeneous activation without bias"
    if double_only(source):
        raise NtkspecError(
            f"{source.name} is known in doubles only, which cannot give eigenvalues under the "
            f"Gaussian measure; {better_than_doubles(source)}"
        )
    return "a zonal kernel times powers of the norms"


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    """Eigenvalue of the sphere times E[(|x|^2/d)^P]; the others are exact zeros."""
    assert isinstance(domain, Gaussian)
    dim, power = domain.dim, radial_power(source)
    assert power is not None
    if power > MOST_POWER:
        raise NtkspecError(
            f"{source.name} has a kernel of power {power:g} in |x|, more than {MOST_POWER}; lower "
            "the depth or the power"
        )
    rows = row_provider(source, kernel)
    sphere, sphere_exponent = both_parities(rows, dim, degrees)
    with working_precision(128):
        factor, shift = split(radial_moment(dim, power))
    shape = (degrees.size, domain.radial)
    mantissa, exponent = np.zeros(shape), np.zeros(shape, np.int64)
    mantissa[:, 0], exponent[:, 0] = normalized(sphere * factor, sphere_exponent + shift)
    error = np.where(mantissa == 0.0, 0.0, rows.relative_error + 3.0 * ROUNDING)
    return mantissa, exponent, error


ROUTE = Route(
    "sphere times a moment of the radius",
    _takes,
    _eigenvalues,
    serves="homogeneous activations without bias, zonal kernels with a radial power",
)
