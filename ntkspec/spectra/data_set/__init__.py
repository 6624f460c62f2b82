"""The spectrum of a kernel's matrix on a data set, without storing the matrix.

`compute` has `data_spectrum`; `rows` computes rows of the matrix and `operator` its products with
blocks of vectors, on threads or on dask's workers; `lanczos` has the eigenvalues and their bounds,
`quadrature` the density of all eigenvalues.
"""

from ntkspec.spectra.data_set.compute import data_spectrum
from ntkspec.spectra.data_set.result import (
    DataSpectrum,
    SpectralDensity,
    check_spectrum_file,
)

__all__ = ["DataSpectrum", "SpectralDensity", "check_spectrum_file", "data_spectrum"]
