"""Zonal kernels K(t), t = <x, x'>: your own, and those of the literature.

`kernel` has the class, `library` the built-in kernels, `formulas` what is known of each in closed
form (`formula` is their base), `naming` kernels by their names in recipes, tables and on the
command line.
"""

from ntkspec.zonal.kernel import Singularity, ZonalKernel
from ntkspec.zonal.library import (
    BUILT_IN,
    arc_cosine,
    gamma_exponential,
    gaussian,
    laplace,
    matern,
    poisson,
    polynomial,
    rational_quadratic,
)
from ntkspec.zonal.naming import zonal_kernel

__all__ = [
    "BUILT_IN",
    "Singularity",
    "ZonalKernel",
    "arc_cosine",
    "gamma_exponential",
    "gaussian",
    "laplace",
    "matern",
    "poisson",
    "polynomial",
    "rational_quadratic",
    "zonal_kernel",
]
