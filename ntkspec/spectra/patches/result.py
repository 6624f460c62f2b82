"""The spectrum of a convolutional network on independent patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Patches
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.spectra.route import Source, qualified, which_kernel
from ntkspec.spectra.scaled_result import ScaledResult
from ntkspec.spectra.spectrum import Spectrum

__all__ = ["PatchesSpectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PatchesSpectrum(ScaledResult):
    """Eigenvalues of a kernel on patches by total degree and rank, by `ntkspec.patches_spectrum`.

    ``len(s)`` counts them, and ``s[2]`` is the array of those of total degree 2, the largest first.

    Attributes
    ----------
    network : Network or ZonalKernel
    domain : Patches
    kernel : str
    depth : int
    pooling : str
        "none", "sum", "mean" or "matrix".
    degrees, radial : (E,) int64 arrays
        Total degree of each eigenvalue, nondecreasing, and its rank in the degree.  At depth 1 the
        rank counts the eigenvalues of the pooling matrix, from the largest.
    multidegrees : tuple of tuples of int
        Degrees in the patches that are not constant, the largest first: (2, 1) stands for degree 2
        in one patch and 1 in another, and () for the constant function.
    mantissas, exponents : (E,) arrays
        eigenvalue = mantissa * 2**exponent, in and beyond the range of doubles.
    relative_error : (E,) float64 array
        Bound on the relative error of each.
    truncation : (E,) float64 array
        The part of that bound that is due to terms left out, all of them positive.
    multiplicities, log_multiplicities : (E,) float64 arrays
    trace, trace_error : float
        E K(x, x), the sum of all eigenvalues with their multiplicities, and a bound on its error.
    patch : Spectrum or None
        At depth 1, the spectrum of kappa on one patch.
    pooling_eigenvalues, pooling_counts : (R,) float64 arrays
        Eigenvalues of the pooling matrix by rank, and how often each occurs.
    route : str

    Examples
    --------
    >>> import ntkspec
    >>> s = ntkspec.patches_spectrum("erf", 4, 3, depth=2, degrees=[1, 3])
    >>> s[3].round(8), s.multidegrees[1]
    (array([0.00189237, 0.00025777, 0.00016607]), (3,))
    """

    network: Source
    domain: Patches
    kernel: Kernel
    depth: int
    pooling: str
    degrees: NDArray[np.int64]
    radial: NDArray[np.int64]
    multidegrees: tuple[tuple[int, ...], ...]
    mantissas: Array
    exponents: NDArray[np.int64]
    relative_error: Array
    truncation: Array
    log_multiplicities: Array
    trace: float
    trace_error: float
    patch: Spectrum | None
    pooling_eigenvalues: Array
    pooling_counts: Array
    route: str

    @property
    def multiplicities(self) -> Array:
        """(E,) multiplicities, rounded to whole numbers; inf beyond the range of doubles."""
        with np.errstate(over="ignore"):
            return np.asarray(np.rint(np.exp(self.log_multiplicities)))

    def axes(self) -> dict[str, NDArray[Any]]:
        """Total degrees."""
        return {"degree": self.degrees}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, logarithms, ranks, degrees in the patches, multiplicities and bounds."""
        value, log = self.doubles()
        each = np.array([",".join(map(str, one)) or "0" for one in self.multidegrees])
        return {
            "eigenvalue": (("degree",), value),
            "log_eigenvalue": (("degree",), log),
            "radial": (("degree",), self.radial),
            "multidegree": (("degree",), each),
            "multiplicity": (("degree",), self.multiplicities),
            "relative_error": (("degree",), self.relative_error),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the domain, the kernel and the route."""
        return {
            **self.network.parameters(),
            "domain": self.domain.name,
            "dim": self.dim,
            "count": self.domain.count,
            "pooling": self.pooling,
            "tree": self.depth == 2,
            **which_kernel(self.network, self.kernel),
            "route": self.route,
        }

    def title(self) -> str:
        """Return a one-line description."""
        kind = qualified(self.network, self.kernel)
        layers = "a tree of two layers" if self.depth == 2 else f"pooling {self.pooling}"
        return f"Spectrum of {full_name(self.network)} {self.domain}, {layers}{kind}"
