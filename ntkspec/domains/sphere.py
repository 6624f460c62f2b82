"""The unit sphere S^(d-1), uniform or with a density, and the multiplicities of its harmonics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.conventions import MAX_DIM, check_degrees, check_dim
from ntkspec.domains.density import Density, as_density
from ntkspec.domains.domain import Array, Degrees, Domain, WithoutDegrees
from ntkspec.errors import NtkspecError
from ntkspec.kernels import closed_form as kernels
from ntkspec.kernels import legendre as legendre_kernels
from ntkspec.networks import Network
from ntkspec.parameters import numbers, shown

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = [
    "DensitySphere",
    "Harmonics",
    "Sphere",
    "legendre",
    "log_multiplicity",
    "multiplicity",
]


@dataclass(frozen=True)
class Harmonics(Domain):
    """A domain whose degrees are those of spherical harmonics; t is the cosine of an angle."""

    most_dim: ClassVar[int] = MAX_DIM

    def multiplicity(self, degrees: Degrees) -> Array:
        """(K,) N(d, k)."""
        return multiplicity(self.dim, degrees)

    def log_multiplicity(self, degrees: Degrees) -> Array:
        """(K,) natural logarithms of N(d, k)."""
        return log_multiplicity(self.dim, degrees)

    def zonal(self, degrees: Iterable[int], t: ArrayLike) -> Array:
        """(K, T) Legendre polynomials P_k(t) in dimension d."""
        return legendre(degrees, self.dim, np.atleast_1d(numbers(t, "t")))


@dataclass(frozen=True)
class Sphere(Harmonics):
    """The unit sphere S^(d-1) with the uniform measure; degrees of spherical harmonics.

    With a density it is a `DensitySphere`, whose eigenvalues have no degrees.

    Parameters
    ----------
    dim : int
        2 to 10**6; inputs are unit vectors in R^dim.  With a density, to 1000.
    density : Density, callable or str, optional
        `VonMises`, `Pieces`, `Cap`, `DensityFunction`, or a function for the last; as text
        "von_mises(2)", "pieces(1, 2, 4)" or "cap(1.0, outside=0.1)".  It is divided by its mean.

    Examples
    --------
    >>> Sphere(3).multiplicity(np.arange(4)), Sphere(3).laplacian(np.arange(4))
    (array([1., 3., 5., 7.]), array([ 0.,  2.,  6., 12.]))
    >>> from ntkspec.domains import VonMises
    >>> Sphere(2, density=VonMises(2.0))
    Sphere(dim=2, density=VonMises(concentration=2.0))
    """

    density: InitVar[Density | Callable[[Array], Any] | str | None] = None
    name: ClassVar[str] = "sphere"
    measure: ClassVar[str] = "x uniform on the unit sphere"
    place: ClassVar[str] = ""

    def __new__(
        cls, dim: Any = None, density: Density | Callable[[Array], Any] | str | None = None
    ) -> Any:
        """Make a `DensitySphere` where a density is given."""
        # Without arguments, as pickle and copy call it, an instance to be filled.
        return object.__new__(cls) if density is None else DensitySphere(dim, as_density(density))

    def __post_init__(self, density: None) -> None:  # type: ignore[override]
        super().__post_init__()

    def falls(self, source: Network | ZonalKernel) -> bool:
        """True for kernels that are positive in all dimensions and do not depend on the dimension.

        lambda_k = lambda_(k+2) + (1 + 2k/d) lambda_k^(d+2): docs/mathematics.rst.
        """
        if isinstance(source, Network):
            return source.weights == "gaussian"
        return source.positive

    def laplacian(self, degrees: Degrees) -> Array:
        """(K,) k (k + d - 2)."""
        k = np.asarray(degrees, dtype=np.float64)
        return np.asarray(k * (k + self.dim - 2))


@dataclass(frozen=True, repr=False)
class DensitySphere(WithoutDegrees):
    """The unit sphere with a density that is not uniform; made by ``Sphere(dim, density=...)``.

    Eigenfunctions mix degrees, so that eigenvalues have none: they come in falling order.

    Attributes
    ----------
    dim : int
        2 to 1000.
    density : Density

    Examples
    --------
    >>> from ntkspec.domains import Pieces
    >>> Sphere(3, density=Pieces([1, 2])).density.weights
    (1.0, 2.0)
    """

    density: Density
    name: ClassVar[str] = "sphere with a density"
    measure: ClassVar[str] = "x on the unit sphere with a density"
    place: ClassVar[str] = " on the sphere with a density"
    most_dim: ClassVar[int] = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "density", as_density(self.density))
        self.density.check(self.dim)

    def __repr__(self) -> str:
        return f"Sphere(dim={self.dim}, density={shown(self.density)})"

    def __str__(self) -> str:
        return f"on the sphere, dim = {self.dim}, density = {shown(self.density)}"

    @property
    def uniform(self) -> Sphere:
        """The same sphere without the density."""
        return Sphere(self.dim)

    def falls(self, source: Network | ZonalKernel) -> bool:
        """Whether the eigenvalues of the uniform sphere fall in the degree."""
        return self.uniform.falls(source)

    def no_degrees(self, what: str) -> NtkspecError:
        """The error of a parameter or method that needs degrees."""
        return NtkspecError(
            f"{what} is not allowed{self.place}: its eigenvalues belong to no degree; "
            "ntkspec.spectrum gives the largest, count = 100 of them, and Sphere("
            f"{self.dim}) has degrees"
        )


def legendre(degrees: int | Iterable[int], dim: int, t: ArrayLike) -> NDArray[np.float64]:
    """Legendre polynomials P_k(t) in dimension d, P_k(1) = 1.

    Parameters
    ----------
    degrees : int or iterable of int
        To 10**6, in any order.
    dim : int
    t : array_like, any shape
        In [-1, 1].

    Returns
    -------
    float64 array of shape (K,) and that of t
        By the three-term recurrence (DLMF 18.9.1), near t = 1 and -1 in differences; the absolute
        error is a small multiple of the degree times the rounding and the local amplitude.

    Raises
    ------
    NtkspecError
        For parameters that are not allowed.

    Examples
    --------
    >>> legendre([0, 1, 2], 3, [0.0, 1.0])
    array([[ 1. ,  1. ],
           [ 0. ,  1. ],
           [-0.5,  1. ]])
    """
    wanted, dim = check_degrees(degrees), check_dim(dim)
    points = numbers(t, "t")
    if not np.all(np.abs(points) <= 1.0):
        raise NtkspecError("t is not allowed; all cosines must lie in [-1, 1]")
    unique, inverse = np.unique(wanted, return_inverse=True)
    out = np.empty((unique.size, points.size))
    legendre_kernels.legendre(unique, dim, points.ravel(), out)
    return out[inverse].reshape(wanted.size, *points.shape)


def multiplicity(dim: int, degrees: int | Iterable[int]) -> Array:
    """N(d, k) = (2k+d-2)/k binom(k+d-3, k-1), the dimension of the harmonics of degree k.

    A (K,) float64 array, correctly rounded; inf beyond the range of doubles.

    Examples
    --------
    >>> multiplicity(3, range(4))
    array([1., 3., 5., 7.])
    """
    wanted, dim = check_degrees(degrees), check_dim(dim)
    values = np.full(int(wanted.max()) + 1, np.inf)
    # In integers: double-double arithmetic cannot round ties correctly.
    n = 1
    for k in range(values.size):
        try:
            values[k] = float(n)
        except OverflowError:
            break
        a = 2 * k + dim
        n = n * a * (k + dim - 2) // ((a - 2) * (k + 1)) if k else dim
    return values[wanted]


def log_multiplicity(dim: int, degrees: int | Iterable[int]) -> Array:
    """Natural logarithm of N(d, k), beyond the range of doubles too; parameters as `multiplicity`.

    Examples
    --------
    >>> log_multiplicity(1000, [0, 1, 500]).round(6)
    array([  0.      ,   6.907755, 950.4243  ])
    """
    wanted = check_degrees(degrees)
    size = int(wanted.max()) + 1
    mantissa, exponent = np.empty(size), np.empty(size, np.int64)
    kernels.multiplicities(check_dim(dim), mantissa, exponent)
    return np.asarray(np.log(mantissa[wanted]) + exponent[wanted] * math.log(2.0))
