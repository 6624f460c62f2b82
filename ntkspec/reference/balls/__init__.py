"""Eigenvalues by integrals in ball arithmetic (python-flint), to any number of digits."""

from ntkspec.reference.balls.eigenvalue import reference_eigenvalue
from ntkspec.reference.balls.layered import Case, reference_spectra, reference_spectrum
from ntkspec.reference.description import Reference

__all__ = ["Case", "Reference", "reference_eigenvalue", "reference_spectra", "reference_spectrum"]
