"""Kernels (|x| |x'|)^P K(t): the spectrum of the sphere times a moment of the norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Ball, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.precision import split, working_precision
from ntkspec.spectra.route import Eigenvalues, Source
from ntkspec.spectra.rows import both_parities, normalized
from ntkspec.spectra.sphere_routes import row_provider

if TYPE_CHECKING:
    from flint import arb

__all__ = ["sphere_times_moment"]


def sphere_times_moment(
    source: Source,
    domain: Gaussian | Ball,
    degrees: NDArray[np.int64],
    kernel: Kernel,
    power: float | None,
    moment: Callable[[float], arb],
    bits: int,
    most_power: int,
    rounding: float,
) -> Eigenvalues:
    """Eigenvalues of the sphere times moment(P), computed with `bits`; others are exact zeros.

    Raises
    ------
    NtkspecError
        For a power above the largest.

    Examples
    --------
    The kernel of vectors of norm 2 is 4 times that of unit vectors, and so are its eigenvalues.

    >>> from flint import arb
    >>> import ntkspec
    >>> from ntkspec import Network
    >>> relu, ball, degrees = Network("relu"), Ball(3, radii=[2.0]), np.array([0, 1])
    >>> m, e, _ = sphere_times_moment(
    ...     relu, ball, degrees, "ntk", 1.0, lambda power: arb(4) ** power, 64, 9, 0.0
    ... )
    >>> np.ldexp(m, e).ravel() / ntkspec.eigenvalues(relu, 3, degrees)
    array([4., 4.])
    """
    assert power is not None
    if power > most_power:
        raise NtkspecError(
            f"{source.name} has a kernel of power {power:g} in |x|, more than {most_power}; lower "
            "the depth or the power"
        )
    rows = row_provider(source, kernel)
    sphere, sphere_exponents = both_parities(rows, domain.dim, degrees)
    with working_precision(bits):
        factor, shift = split(moment(power))
    shape = (degrees.size, domain.radial)
    mantissas, exponents = np.zeros(shape), np.zeros(shape, np.int64)
    mantissas[:, 0], exponents[:, 0] = normalized(sphere * factor, sphere_exponents + shift)
    errors = np.where(mantissas == 0.0, 0.0, rows.relative_error + rounding)
    return mantissas, exponents, errors
