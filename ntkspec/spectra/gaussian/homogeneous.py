"""Homogeneous activations without bias and zonal kernels times powers of the norms.

K = (r r')^P K(t), so each degree has one eigenvalue, that of the sphere times E[(|x|^2/d)^P].
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.gaussian.radial import radial_moment
from ntkspec.spectra.moment import sphere_times_moment
from ntkspec.spectra.route import (
    Eigenvalues,
    Route,
    Source,
    better_than_doubles,
    double_only,
)

__all__ = ["ROUTE"]

ROUNDING = 2.0**-53
MOST_POWER, BITS = 10_000, 128


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
    moment = partial(radial_moment, domain.dim)
    return sphere_times_moment(
        source,
        domain,
        degrees,
        kernel,
        radial_power(source),
        moment,
        BITS,
        MOST_POWER,
        3.0 * ROUNDING,
    )


ROUTE = Route(
    "sphere times a moment of the radius",
    _takes,
    _eigenvalues,
    serves="homogeneous activations without bias, zonal kernels with a radial power",
)
