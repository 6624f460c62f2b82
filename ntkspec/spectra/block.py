"""Blocks of the (dimension, degree) plane on any domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Sphere, existing_degrees, family
from ntkspec.errors import NtkspecError
from ntkspec.kernels import scaled
from ntkspec.networks import Kernel
from ntkspec.spectra.parity import refuse_undeclared
from ntkspec.spectra.route import Source
from ntkspec.spectra.routes import routed
from ntkspec.spectra.walk import Numbers, Out, empty_arrays, sphere_block

__all__ = ["block_numbers"]


def block_numbers(
    network: Source,
    kernel: Kernel,
    domain: str,
    dims: NDArray[np.int64],
    degrees: NDArray[np.int64],
    out: Out | None = None,
) -> Numbers:
    """Eigenvalues for all pairs of some dimensions and degrees, logarithms and error bounds.

    The first two are written into the arrays of `out`, if given.

    On the sphere by the dimension walk; on other domains every dimension is a spectrum of its own,
    of whose degrees the largest eigenvalue is taken; NaN where the domain does not have a degree.

    Examples
    --------
    >>> from ntkspec import Network
    >>> dims, degrees = np.array([2, 3]), np.arange(4)
    >>> block_numbers(Network("relu"), "ntk", "cube", dims, degrees)[0].round(6)
    array([[0.125   , 0.125   , 0.125   ,      nan],
           [0.076022, 0.083333, 0.057993, 0.      ]])
    """
    make = family(domain)
    refuse_undeclared(network, degrees, kernel)
    if make.kind is Sphere:
        return sphere_block(network, kernel, dims, degrees, out)
    value, log = out or empty_arrays(dims.size, degrees.size)
    value[:] = log[:] = np.nan
    error = np.zeros(dims.size)
    exist = existing_degrees(domain, dims, degrees)
    for i in np.flatnonzero(exist.any(axis=1)).tolist():
        where, at = make(int(dims[i])), exist[i]
        try:
            (mantissa, exponent, bound), _ = routed(network, where, degrees[at], kernel)
        except NtkspecError as refused:
            raise NtkspecError(f"{network.name} {where}: {refused}") from None
        if not where.single:
            mantissa, exponent = mantissa[:, 0].copy(), exponent[:, 0].copy()
            bound = bound if bound.ndim == 1 else bound[:, 0]
        if not np.all(np.isfinite(bound)):
            raise NtkspecError(
                f"{network.name} {where}: the largest eigenvalues of degrees to "
                f"{degrees[at][-1]} have no bound on their errors; lower the degrees"
            )
        row, log_row = np.empty(mantissa.size), np.empty(mantissa.size)
        scaled.to_doubles(mantissa, exponent, row, log_row)
        value[i, at], log[i, at], error[i] = row, log_row, bound.max()
    return value, log, error
