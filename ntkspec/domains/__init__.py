"""Domains: where a network's inputs lie.

A domain owns the index of its eigenvalues (degrees), their multiplicities, its measure and its
harmonics.  `ntkspec.spectrum` takes any of them; an integer stands for `Sphere`.

Examples
--------
>>> import ntkspec
>>> ntkspec.spectrum("erf", ntkspec.Cube(100), degrees=[1, 2, 3]).eigenvalues
array([4.27271175e-03, 0.00000000e+00, 5.85102892e-07])
"""

from ntkspec.domains.ball import Ball
from ntkspec.domains.choice import (
    DOMAINS,
    Family,
    as_domain,
    check_existing,
    domain_text,
    existing_degrees,
    family,
    last_degrees,
    named_domain,
    one_given,
    refuse_density,
)
from ntkspec.domains.cube import Cube
from ntkspec.domains.density import (
    Cap,
    Density,
    DensityFunction,
    Pieces,
    VonMises,
    density_parameters,
    named_density,
)
from ntkspec.domains.domain import Domain, WithoutDegrees
from ntkspec.domains.gaussian import Gaussian
from ntkspec.domains.patches import Patches
from ntkspec.domains.sphere import DensitySphere, Sphere, legendre, log_multiplicity, multiplicity
from ntkspec.domains.torus import Torus

__all__ = [
    "DOMAINS",
    "Ball",
    "Cap",
    "Cube",
    "Density",
    "DensityFunction",
    "DensitySphere",
    "Domain",
    "Family",
    "Gaussian",
    "Patches",
    "Pieces",
    "Sphere",
    "Torus",
    "VonMises",
    "WithoutDegrees",
    "as_domain",
    "check_existing",
    "density_parameters",
    "domain_text",
    "existing_degrees",
    "family",
    "last_degrees",
    "legendre",
    "log_multiplicity",
    "multiplicity",
    "named_density",
    "named_domain",
    "one_given",
    "refuse_density",
]
