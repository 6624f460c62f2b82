"""Homogeneous networks: K(x, x') = (|x| |x'|)^P K(t), one eigenvalue for each degree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Ball, Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import split, working_precision
from ntkspec.spectra.ball.norms import BITS, norm_moment
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import both_parities, normalized
from ntkspec.spectra.sphere_routes import row_provider

__all__ = ["ROUTE"]

MOST_POWER = 100
ROUNDINGS = 4.0 * 2.0**-53


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if isinstance(source, Network) and radial_power(source) is not None:
        return "a power of the norms times a function of the cosine"
    return None


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(domain, Ball)
    power = radial_power(source)
    assert power is not None
    if power > MOST_POWER:
        raise NtkspecError(
            f"{source.name} has a kernel of power {power:g} in |x|, more than {MOST_POWER}; lower "
            "the depth or the power"
        )
    rows = row_provider(source, kernel)
    sphere, sphere_exponents = both_parities(rows, domain.dim, degrees)
    with working_precision(BITS):
        factor, shift = split(norm_moment(domain, power))
    shape = (degrees.size, domain.radial)
    mantissas, exponents = np.zeros(shape), np.zeros(shape, np.int64)
    mantissas[:, 0], exponents[:, 0] = normalized(sphere * factor, sphere_exponents + shift)
    errors = np.where(mantissas == 0.0, 0.0, rows.relative_error + ROUNDINGS)
    return mantissas, exponents, errors


ROUTE = Route(
    "moment of the norm", _takes, _eigenvalues, serves="homogeneous activations without bias"
)
