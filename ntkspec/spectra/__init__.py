"""Spectra of kernels on domains.

`spectrum` computes one; `routes` is the dispatcher that chooses how, and each route has a file:
`closed_form`, `series`, `direct`, `zonal`, `sphere_weights` and `seeds` on the sphere, and those in
`cube` and `gaussian`.  `walk` fills tables; `quadrature` and `reference` are the independent
checks, `laws` the decay.
"""

from ntkspec.spectra.spectrum import Spectrum, eigenvalues, spectrum
from ntkspec.spectra.table import TableSlice
from ntkspec.spectra.walk import table_block

__all__ = ["Spectrum", "TableSlice", "eigenvalues", "spectrum", "table_block"]
