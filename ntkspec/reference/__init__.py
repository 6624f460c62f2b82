"""A second arithmetic for checks: Gauss-Jacobi rules and Gaussian expectations in mpmath.

Independent of the engine and of python-flint: nothing of ntkspec is imported but the description of
a network.  Every call computes in an mpmath context of its own.
"""

from ntkspec.reference.jacobi import gauss_gegenbauer, gauss_jacobi, legendre
from ntkspec.reference.spectrum import (
    GaussJacobiValue,
    gauss_jacobi_spectra,
    gauss_jacobi_spectrum,
)

__all__ = [
    "GaussJacobiValue",
    "gauss_gegenbauer",
    "gauss_jacobi",
    "gauss_jacobi_spectra",
    "gauss_jacobi_spectrum",
    "legendre",
]
