"""Eigenvalues by integrals in ball arithmetic (python-flint), to any number of digits."""

from ntkspec.reference.balls.agreement import Reference
from ntkspec.reference.balls.eigenvalue import reference_eigenvalue
from ntkspec.reference.balls.layered import Case, reference_spectra, reference_spectrum

__all__ = ["Case", "Reference", "reference_eigenvalue", "reference_spectra", "reference_spectrum"]
