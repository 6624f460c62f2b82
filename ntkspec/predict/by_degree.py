"""The base of results with a value for each eigenvalue of a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import DensitySphere, Domain, domain_text
from ntkspec.results import Result

__all__ = ["Array", "ByDegree", "Variables", "along"]

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
        Gaussian measure.

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
        """Degrees, or ranks under a density."""
        return {self.index: self.degrees}

    @property
    def index(self) -> str:
        """Name of the axis: "rank" under a density, and "degree" elsewhere."""
        return "rank" if isinstance(self.domain, DensitySphere) else "degree"

    def heading(self) -> dict[str, Any]:
        """The domain."""
        return {"domain": domain_text(self.domain), "dim": self.dim}

    def ranks(self) -> Variables:
        """The variable `radial` where a degree has several eigenvalues."""
        return {} if self.domain.single else along(self.index, radial=self.radial)


def along(*axes: str, **arrays: NDArray[Any]) -> Variables:
    """Return arrays as variables along the same axes."""
    return {name: (axes, array) for name, array in arrays.items()}
