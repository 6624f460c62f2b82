"""The Gaussian measure N(0, I_d): degrees of harmonics, and ranks in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ntkspec.domains.sphere import Harmonics
from ntkspec.networks import Network
from ntkspec.parameters import whole_number

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Gaussian"]

MOST_RADIAL = 12


@dataclass(frozen=True)
class Gaussian(Harmonics):
    """R^d with the measure N(0, I_d); eigenvalues by degree of harmonics and rank.

    Inputs enter a network as x / sqrt(d), of norm 1 on average.  Every degree has an operator in
    the radius, whose eigenvalues decrease; their rank is the second index of the spectrum.

    Parameters
    ----------
    dim : int
        2 to 10**6.
    radial : int
        How many eigenvalues of each degree a spectrum has, from the largest: 1 to 12.

    Examples
    --------
    >>> Gaussian(3).multiplicity([0, 1, 2, 3]), Gaussian(3, radial=2).single
    (array([1., 3., 5., 7.]), False)
    """

    radial: int = 1
    name: ClassVar[str] = "gaussian"
    measure: ClassVar[str] = "x / sqrt(d), x ~ N(0, I_d)"
    place: ClassVar[str] = " under the Gaussian measure"
    unit: ClassVar[bool] = False
    single: ClassVar[bool] = False
    most_degree: ClassVar[int] = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "radial", whole_number(self.radial, "radial", 1, MOST_RADIAL))

    @property
    def default_degrees(self) -> range:
        """0 to 8."""
        return range(9)

    def falls(self, source: Network | ZonalKernel) -> bool:
        """True for networks, and for zonal kernels whose power series have terms >= 0.

        K is a power series in the cosine whose coefficients are positive semidefinite kernels of
        the two radii.  By the dimension walk on the sphere, the difference of the operators of
        degrees l and l + 2 is positive semidefinite too, so no eigenvalue of the second exceeds
        that of the same rank of the first.
        """
        return isinstance(source, Network) or source.positive
