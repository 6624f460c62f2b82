"""Spectra of dot-product kernels on the sphere.

`routes` picks how: `closed_form` (piecewise linear), `series` (tanh and sigmoid); `walk` fills
tables from either.  `quadrature` and `reference` are the independent checks, `laws` the decay.
"""

from ntkspec.spectra.conventions import check_degrees, check_dim
from ntkspec.spectra.spectrum import Spectrum, eigenvalues, spectrum
from ntkspec.spectra.walk import Block, table_block

__all__ = [
    "Block",
    "Spectrum",
    "check_degrees",
    "check_dim",
    "eigenvalues",
    "spectrum",
    "table_block",
]
