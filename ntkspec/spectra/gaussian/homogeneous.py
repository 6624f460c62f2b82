"""Homogeneous activations without bias, of any depth: one eigenvalue for each degree.

K = (r r')^P K(t), so the eigenvalue is that of the sphere times E[(|x|^2/d)^P].
"""

from __future__ import annotations

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.domains import Domain, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import split, working_precision
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import both_parities, normalized
from ntkspec.spectra.sphere_routes import row_provider

__all__ = ["ROUTE"]

ROUNDING = 2.0**-53
MOST_POWER = 10_000


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian":
        return None
    if not source.uniform:
        return None
    if source.sigma.homogeneous is not None and source.bias_variance == 0.0:
        return "a homogeneous activation without bias"
    return None


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    """Eigenvalue of the sphere times E[(|x|^2/d)^P]; the others are exact zeros."""
    assert isinstance(source, Network)
    assert source.sigma.homogeneous is not None
    assert isinstance(domain, Gaussian)
    dim, power = domain.dim, source.sigma.homogeneous[0] ** source.depth
    if power > MOST_POWER:
        raise NtkspecError(
            f"depth = {source.depth} makes a kernel of power {power} in |x|, more than "
            f"{MOST_POWER}; lower the depth or the power"
        )
    rows = row_provider(source, kernel)
    sphere, sphere_exponent = both_parities(rows, dim, degrees)
    with working_precision(128):
        moment = arb(1)
        for i in range(power):
            moment = moment * (dim + 2 * i) / dim
        factor, shift = split(moment)
    shape = (degrees.size, domain.radial)
    mantissa, exponent = np.zeros(shape), np.zeros(shape, np.int64)
    mantissa[:, 0], exponent[:, 0] = normalized(sphere * factor, sphere_exponent + shift)
    error = np.where(mantissa == 0.0, 0.0, rows.relative_error + 3.0 * ROUNDING)
    return mantissa, exponent, error


ROUTE = Route(
    "sphere times a moment of the radius",
    _takes,
    _eigenvalues,
    serves="homogeneous activations without bias",
)
