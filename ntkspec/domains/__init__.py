"""Other domains than the sphere, for the same networks: the Boolean cube and the Gaussian measure.

Inputs x in R^d enter a network as x / sqrt(d), as in Yang and Salman 2019: the points of the cube
{-1, 1}^d are then unit vectors, and those of N(0, I_d) have norm 1 on the average.

Examples
--------
>>> import ntkspec
>>> ntkspec.domains.cube_spectrum("erf", dim=100, degrees=[1, 2, 3]).eigenvalues
array([4.27271175e-03, 0.00000000e+00, 5.85102892e-07])
"""

from ntkspec.domains.cube import CubeSpectrum, cube_spectrum
from ntkspec.domains.gaussian import GaussianSpectrum, gaussian_spectrum
from ntkspec.domains.shares import fractional_variances

__all__ = [
    "CubeSpectrum",
    "GaussianSpectrum",
    "cube_spectrum",
    "fractional_variances",
    "gaussian_spectrum",
]
