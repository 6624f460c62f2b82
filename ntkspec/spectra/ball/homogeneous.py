"""Homogeneous networks: K(x, x') = (|x| |x'|)^P K(t), one eigenvalue for each degree."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Ball, Domain
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.ball.norms import BITS, norm_moment
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.moment import sphere_times_moment
from ntkspec.spectra.route import Eigenvalues, Route, Source

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
    return sphere_times_moment(
        source,
        domain,
        degrees,
        kernel,
        radial_power(source),
        partial(norm_moment, domain),
        BITS,
        MOST_POWER,
        ROUNDINGS,
    )


ROUTE = Route(
    "moment of the norm", _takes, _eigenvalues, serves="homogeneous activations without bias"
)
