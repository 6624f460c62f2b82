"""Inputs of independent patches: the sphere, several times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ntkspec.domains.domain import WithoutDegrees
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import whole_number

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Patches"]


@dataclass(frozen=True)
class Patches(WithoutDegrees):
    """Inputs of several patches, each uniform on the sphere and independent of the others.

    `ntkspec.patches_spectrum` computes the spectra of convolutional networks on them.

    Parameters
    ----------
    dim : int
        Dimension of each patch.
    count : int
        Number of patches, 1 to 10**6.

    Examples
    --------
    >>> print(Patches(3, count=4))
    on 4 patches, dim = 3
    """

    count: int = 2
    name: ClassVar[str] = "patches"
    measure: ClassVar[str] = "independent patches, each uniform on the unit sphere"
    place: ClassVar[str] = " on patches"
    single: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "count", whole_number(self.count, "count", 1, 10**6))

    def __str__(self) -> str:
        return f"on {self.count} patches, dim = {self.dim}"

    def falls(self, source: Network | ZonalKernel) -> bool:
        """Return False: a degree has eigenvalues of several kinds."""
        return False

    def no_degrees(self, what: str) -> NtkspecError:
        """The error of a parameter or method that needs one degree for all patches."""
        return NtkspecError(
            f"{what} is not allowed{self.place}: eigenvalues belong to degrees in each patch; "
            "ntkspec.patches_spectrum(network, count, dim) gives them"
        )
