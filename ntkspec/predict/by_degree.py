"""The base of results with a value for each eigenvalue of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import DensitySphere, Domain, Torus, domain_text
from ntkspec.results import Result

__all__ = ["Array", "ByDegree", "Variables", "along", "mode_name"]

Array = NDArray[np.float64]
Variables = dict[str, tuple[tuple[str, ...], NDArray[Any]]]


@dataclass(frozen=True, eq=False, repr=False)
class ByDegree(Result):
    """A result by degree, and by rank where a degree has several eigenvalues.

    Under a density eigenvalues have no degree: their ranks in falling order stand for it.

    Attributes
    ----------
    domain : Domain
    degrees, radial : (K,) int64 arrays
        Degree of each eigenvalue, and its rank in the degree, which is 0 except under the
        Gaussian measure.  On a torus `degrees` are frequencies, in m > 1 dimensions (K, m), one of
        each and its negative.

    Examples
    --------
    >>> import ntkspec
    >>> found = ntkspec.predict.learning_times("relu", 3, 0.1, degrees=[1, 2])
    >>> isinstance(found, ByDegree), found.index, found.dim
    (True, 'degree', 3)
    """

    domain: Domain
    degrees: NDArray[np.int64]
    radial: NDArray[np.int64]

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.domain.dim

    def axes(self) -> dict[str, NDArray[Any]]:
        """Degrees, ranks under a density, and on a torus frequencies or numbers of their rows."""
        several = self.degrees.ndim == 2
        return {self.index: np.arange(self.degrees.shape[0]) if several else self.degrees}

    @property
    def index(self) -> str:
        """Name of the axis: "degree", "rank" under a density, "frequency" or "row" on a torus."""
        return "row" if self.degrees.ndim == 2 else mode_name(self.domain)

    def heading(self) -> dict[str, Any]:
        """The domain."""
        return {"domain": domain_text(self.domain), "dim": self.dim}

    def ranks(self) -> Variables:
        """What tells eigenvalues apart besides the axis.

        `radial` where a degree has several, and the coordinates of a frequency.
        """
        if self.degrees.ndim == 2:
            parts = enumerate(self.degrees.T)
            return along(self.index, **{f"frequency_{i + 1}": m for i, m in parts})
        return {} if self.domain.single else along(self.index, radial=self.radial)


def mode_name(domain: Domain) -> str:
    """What the eigenvalues of a domain go by.

    Examples
    --------
    >>> mode_name(Torus([[1]]))
    'frequency'
    """
    if isinstance(domain, Torus):
        return "frequency"
    return "rank" if isinstance(domain, DensitySphere) else "degree"


def along(*axes: str, **arrays: NDArray[Any]) -> Variables:
    """Return arrays as variables along the same axes."""
    return {name: (axes, array) for name, array in arrays.items()}
