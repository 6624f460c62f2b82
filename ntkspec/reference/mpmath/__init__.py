"""Eigenvalues by Gauss-Jacobi rules and Gaussian expectations in mpmath.

Every call computes in a separate mpmath context.
"""

from ntkspec.reference.mpmath.jacobi import gauss_gegenbauer, gauss_jacobi, legendre
from ntkspec.reference.mpmath.spectrum import (
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
