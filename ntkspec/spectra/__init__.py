"""Spectra of kernels on domains.

`spectrum` computes a spectrum; `routes` chooses the route, and each route has a file:
`closed_form`, `series`, `direct`, `sphere_weights`, `contour` and `seeds` on the sphere, and those
in `cube` and `gaussian`.  `walk` and `block` fill tables; `quadrature` and `reference` are the
independent checks.
"""

from ntkspec.spectra.spectrum import Spectrum, eigenvalues, spectrum
from ntkspec.spectra.table import TableSlice, table_block

__all__ = ["Spectrum", "TableSlice", "eigenvalues", "spectrum", "table_block"]
