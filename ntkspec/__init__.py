"""Spectra of neural tangent kernels, to full relative accuracy.

Eigenvalues of a wide network's kernel for any degree and dimension, on the sphere, the Boolean cube
and under the Gaussian measure; tables of them, predictions, and checks.  Everything is imported
when it is first used.

Examples
--------
>>> import ntkspec
>>> ntkspec.eigenvalues("relu", dim=3, degrees=range(5))
array([0.0625    , 0.08333333, 0.02734375, 0.        , 0.00227865])
>>> network = ntkspec.Network("leaky_relu", slope=0.2)
>>> ntkspec.spectrum(network, dim=3, degrees=[2000]).log_eigenvalues
array([-25.08762017])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntkspec import domains, predict, zonal
    from ntkspec.activations import Activation, user_activation
    from ntkspec.compare import plan
    from ntkspec.domains import (
        Ball,
        Cap,
        Cube,
        DensityFunction,
        Gaussian,
        Pieces,
        Sphere,
        Torus,
        VonMises,
    )
    from ntkspec.errors import NotPositiveDefiniteWarning, NtkspecError, TableError
    from ntkspec.laws import Law, law
    from ntkspec.laws.fit import fit
    from ntkspec.networks import Linear, Network, Normalize, Residual
    from ntkspec.opening import open_table
    from ntkspec.spectra.certified import Certificate, certify
    from ntkspec.spectra.data_set import DataSpectrum, data_spectrum
    from ntkspec.spectra.patches.compute import patches_spectrum
    from ntkspec.spectra.spectrum import Spectrum, eigenvalues, spectrum
    from ntkspec.sweeps.scans import scan
    from ntkspec.tables.atlas import atlas
    from ntkspec.trainer.front import GD, PDE, Adam, KernelPower, Sobolev, harmonics, points, train
    from ntkspec.trainer.points import circle
    from ntkspec.trainer.runs.file import open_run
    from ntkspec.zonal import ZonalKernel

__version__ = "1.0.0rc1"

__all__ = [
    "GD",
    "PDE",
    "Activation",
    "Adam",
    "Ball",
    "Cap",
    "Certificate",
    "Cube",
    "DataSpectrum",
    "DensityFunction",
    "Gaussian",
    "KernelPower",
    "Law",
    "Linear",
    "Network",
    "Normalize",
    "NotPositiveDefiniteWarning",
    "NtkspecError",
    "Pieces",
    "Residual",
    "Sobolev",
    "Spectrum",
    "Sphere",
    "TableError",
    "Torus",
    "VonMises",
    "ZonalKernel",
    "__version__",
    "atlas",
    "certify",
    "circle",
    "data_spectrum",
    "domains",
    "eigenvalues",
    "fit",
    "harmonics",
    "law",
    "open_run",
    "open_table",
    "patches_spectrum",
    "plan",
    "points",
    "predict",
    "scan",
    "spectrum",
    "train",
    "user_activation",
    "zonal",
]

_HOMES = {
    "Activation": "ntkspec.activations",
    "Adam": "ntkspec.trainer.front",
    "Ball": "ntkspec.domains",
    "Cap": "ntkspec.domains",
    "Certificate": "ntkspec.spectra.certified",
    "Cube": "ntkspec.domains",
    "DataSpectrum": "ntkspec.spectra.data_set",
    "DensityFunction": "ntkspec.domains",
    "GD": "ntkspec.trainer.front",
    "Gaussian": "ntkspec.domains",
    "KernelPower": "ntkspec.trainer.front",
    "Law": "ntkspec.laws",
    "Linear": "ntkspec.networks",
    "Network": "ntkspec.networks",
    "Normalize": "ntkspec.networks",
    "NotPositiveDefiniteWarning": "ntkspec.errors",
    "NtkspecError": "ntkspec.errors",
    "PDE": "ntkspec.trainer.front",
    "Pieces": "ntkspec.domains",
    "Residual": "ntkspec.networks",
    "Sobolev": "ntkspec.trainer.front",
    "Spectrum": "ntkspec.spectra",
    "Sphere": "ntkspec.domains",
    "TableError": "ntkspec.errors",
    "Torus": "ntkspec.domains",
    "VonMises": "ntkspec.domains",
    "ZonalKernel": "ntkspec.zonal",
    "atlas": "ntkspec.tables.atlas",
    "certify": "ntkspec.spectra.certified",
    "circle": "ntkspec.trainer.points",
    "data_spectrum": "ntkspec.spectra.data_set",
    "eigenvalues": "ntkspec.spectra",
    "fit": "ntkspec.laws.fit",
    "harmonics": "ntkspec.trainer.front",
    "law": "ntkspec.laws",
    "open_run": "ntkspec.trainer.runs.file",
    "open_table": "ntkspec.opening",
    "patches_spectrum": "ntkspec.spectra.patches.compute",
    "plan": "ntkspec.compare",
    "points": "ntkspec.trainer.front",
    "scan": "ntkspec.sweeps.scans",
    "spectrum": "ntkspec.spectra",
    "train": "ntkspec.trainer.front",
    "user_activation": "ntkspec.activations",
}
#: Modules that are reached as attributes.
_MODULES = ("domains", "predict", "zonal")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"ntkspec.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'ntkspec' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
