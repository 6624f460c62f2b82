"""The spectrum of a kernel under a density, and its eigenfunctions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import DensitySphere, legendre, multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import numbers, shown, whole_number
from ntkspec.results import axes_to_draw
from ntkspec.spectra.density.blocks import angular, circular
from ntkspec.spectra.density.solver import log2
from ntkspec.spectra.route import Source, qualified, which_kernel
from ntkspec.spectra.routes import routed
from ntkspec.spectra.scaled_result import ScaledResult

__all__ = ["DensitySpectrum"]

Array = NDArray[np.float64]

#: Angles of a picture of an eigenfunction.
DRAWN = 2001
#: Distance from the unit sphere that points may have by rounding.
UNIT = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class DensitySpectrum(ScaledResult):
    """The largest eigenvalues of a kernel on a sphere with a density, in falling order.

    ``len(s)`` counts them and ``s[5]`` is the one of rank 5, the largest being of rank 0.  On the
    sphere eigenvalues belong to azimuthal degrees j, whose eigenfunctions are functions of t = x_1
    times the harmonics of degree j of the other coordinates; each is N(d - 1, j) times an
    eigenvalue, and listed once.

    Attributes
    ----------
    network : Network or ZonalKernel
    domain : DensitySphere
    kernel : str
    mantissas, exponents : (C,) arrays
        eigenvalue = mantissa * 2**exponent, in and beyond the range of doubles.
    relative_error : (C,) float64 array
        Bound on the relative error of each.
    truncation : (C,) float64 array
        The part of that bound that is due to degrees beyond `max_degree`: the true eigenvalue is
        larger by at most that fraction.
    azimuthal : (C,) int64 array
        j of each; 0 and 1 stand for even and odd functions of the angle on the circle, where
        all are 0 if the density is not even.
    multiplicities : (C,) float64 array
    coefficients : (C, K) float64 array
        Of the eigenfunctions, in orthonormal harmonics of the uniform sphere.
    max_degree : int
        Largest degree of those harmonics.
    scale : float
        The factor that makes the density one of mean 1.
    route : str
        How the spectrum was computed.

    Examples
    --------
    >>> import ntkspec
    >>> sphere = ntkspec.Sphere(3, density=ntkspec.VonMises(1.0))
    >>> s = ntkspec.spectrum("erf", sphere, count=3)
    >>> s.eigenvalues, s.azimuthal, s.multiplicities
    (array([0.18717414, 0.15668236, 0.00908854]), array([0, 1, 0]), array([1., 2., 1.]))
    """

    network: Source
    domain: DensitySphere
    kernel: Kernel
    mantissas: Array
    exponents: NDArray[np.int64]
    relative_error: Array
    truncation: Array
    azimuthal: NDArray[np.int64]
    multiplicities: Array
    coefficients: Array
    max_degree: int
    scale: float
    route: str

    def axes(self) -> dict[str, NDArray[Any]]:
        """Ranks."""
        return {"rank": np.arange(self.mantissas.size)}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, logarithms, azimuthal degrees, multiplicities and bounds on the errors."""
        value, log = self.doubles()
        return {
            "eigenvalue": (("rank",), value),
            "log_eigenvalue": (("rank",), log),
            "azimuthal": (("rank",), self.azimuthal),
            "multiplicity": (("rank",), self.multiplicities),
            "relative_error": (("rank",), self.relative_error),
            "truncation": (("rank",), self.truncation),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the domain, the kernel and the route."""
        return {
            **self.network.parameters(),
            "domain": self.domain.name,
            "dim": self.dim,
            "density": shown(self.domain.density),
            **which_kernel(self.network, self.kernel),
            "max_degree": self.max_degree,
            "route": self.route,
        }

    def title(self) -> str:
        """Return a one-line description."""
        kind = qualified(self.network, self.kernel)
        return f"Spectrum of {full_name(self.network)} {self.domain}{kind}"

    def density(self, points: ArrayLike) -> Array:
        """(P,) values of the density, of mean 1 under the uniform measure.

        Parameters
        ----------
        points : array_like
            As for `eigenfunctions`.

        Examples
        --------
        >>> import ntkspec
        >>> sphere = ntkspec.Sphere(2, density=ntkspec.Pieces([1, 3]))
        >>> ntkspec.spectrum("erf", sphere, count=1).density([1.0, 4.0])
        array([0.5, 1.5])
        """
        angles = self._placed(points)[0]
        return np.asarray(self.domain.density.values(self.dim, angles) * self.scale)

    def eigenfunctions(self, points: ArrayLike) -> Array:
        """(C, P) values of the eigenfunctions.

        Parameters
        ----------
        points : array_like
            (P, dim) unit vectors; on the circle (P,) angles too.

        Returns
        -------
        (C, P) float64 array
            Orthonormal under the density, the largest coefficient positive.  Where an eigenvalue
            is multiple, that eigenfunction which is zonal in the other coordinates, about the
            second axis: on the sphere of dimension 3, that with cos(j phi).

        Examples
        --------
        >>> import ntkspec
        >>> sphere = ntkspec.Sphere(3, density=ntkspec.VonMises(1.0))
        >>> s = ntkspec.spectrum("erf", sphere, count=2)
        >>> s.eigenfunctions([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).round(4)
        array([[1.6488, 0.    ],
               [0.    , 1.7771]])
        """
        return self._values(np.arange(self.mantissas.size), points)

    def eigenfunction(self, rank: int, points: ArrayLike) -> Array:
        """(P,) values of the eigenfunction of a rank; parameters as for `eigenfunctions`."""
        return np.asarray(self._values(np.array([self._rank(rank)]), points)[0])

    def local_frequency(self, rank: int, angles: ArrayLike) -> Array:
        """Frequency that an eigenfunction on the circle has around each angle, by Weyl's law.

        Parameters
        ----------
        rank : int
        angles : array_like, (P,)

        Returns
        -------
        (P,) float64 array
            The real degree k at which the density times the uniform circle's lambda_k, between
            degrees by interpolation, is the eigenvalue; 0 where the density is too small for any.
            Where lambda_k does not fall, the largest of the degrees from k on stands for it.

        Notes
        -----
        An operator that locally multiplies by p(theta) lambda(xi) has eigenfunctions that live
        where p(theta) lambda(xi) is the eigenvalue.  Where lambda_k falls as k^-alpha, the local
        frequency is proportional to p^(1 / alpha): for ReLU with bias, alpha = 2, to the root of
        the density.  A pure frequency k is learned where the density is p in a time proportional
        to k^2 / p (Basri et al. 2020, theorem 2).

        Raises
        ------
        NtkspecError
            Off the circle, and for kernels with eigenvalues that are 0.

        Examples
        --------
        >>> import ntkspec
        >>> network = ntkspec.Network("relu", bias_variance=0.1)
        >>> sphere = ntkspec.Sphere(2, density=ntkspec.Pieces([1, 4]))
        >>> s = ntkspec.spectrum(network, sphere, count=40)
        >>> slow, fast = s.local_frequency(39, [1.0, 4.0])
        >>> round(fast / slow, 2)  # about the root of 4
        np.float64(1.99)
        """
        if self.dim != 2:
            raise NtkspecError(
                f"local_frequency is not allowed for dim = {self.dim}; Weyl's law is for the "
                "circle, dim = 2"
            )
        at = np.array([self._rank(rank)])
        degrees = np.arange(self.max_degree + 1)
        (mantissas, exponents, _), _ = routed(
            self.network, self.domain.uniform, degrees, self.kernel
        )
        logs = log2(mantissas, exponents)
        if not np.all(np.isfinite(logs)):
            raise NtkspecError(
                f"local_frequency is not allowed for {self.network.name}: some of its eigenvalues "
                "on the uniform circle are 0, so that opposite points are coupled; give a network "
                "with a bias"
            )
        falling = np.maximum.accumulate(logs[::-1])[::-1]
        with np.errstate(divide="ignore"):
            wanted = log2(self.mantissas[at], self.exponents[at]) - np.log2(self.density(angles))
        return np.asarray(np.interp(wanted, falling[::-1], degrees[::-1], right=0.0))

    def plot_eigenfunction(self, rank: int, ax: Any = None, **style: Any) -> Any:
        """Draw an eigenfunction against the angle to the first axis.

        Parameters
        ----------
        rank : int
        ax, **style
            As for `plot`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_to_draw(ax)
        angles = np.linspace(0.0, (2.0 if self.dim == 2 else 1.0) * math.pi, DRAWN)
        points = np.zeros((DRAWN, self.dim))
        points[:, 0], points[:, 1] = np.cos(angles), np.sin(angles)
        ax.plot(angles, self.eigenfunction(rank, points), **style)
        ax.set_xlabel("angle")
        ax.set_ylabel(f"eigenfunction of rank {rank}")
        return ax

    def plot_local_frequency(self, rank: int, ax: Any = None, **style: Any) -> Any:
        """Draw the local frequency of an eigenfunction on the circle; parameters as above."""
        ax = axes_to_draw(ax)
        angles = (np.arange(DRAWN) + 0.5) * (2.0 * math.pi / DRAWN)
        ax.plot(angles, self.local_frequency(rank, angles), **style)
        ax.set_xlabel("angle")
        ax.set_ylabel(f"local frequency of rank {rank}")
        return ax

    def _rank(self, rank: int) -> int:
        return whole_number(rank, "rank", 0, self.mantissas.size - 1)

    def _placed(self, points: ArrayLike) -> tuple[Array, Array]:
        """Angles of points, and the cosine of the other coordinates' angle to the second axis.

        On the circle the angle goes around where the density is not even, and otherwise the
        cosine is 1 or -1.
        """
        given = numbers(points, "points")
        if given.ndim < 2 and self.dim == 2:
            angles = np.atleast_1d(given)
            if np.all(np.isfinite(angles)):
                given = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        if given.ndim != 2 or given.shape[1] != self.dim:
            also = ", or angles" if self.dim == 2 else ""
            raise NtkspecError(
                f"points of shape {given.shape} are not allowed; give (P, {self.dim}) unit "
                f"vectors{also}"
            )
        norms = np.sqrt(np.sum(given**2, axis=1))
        bad = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT))
        if bad.size:
            raise NtkspecError(
                f"points: the norm of point {bad[0]} is {norms[bad[0]]:.6g}; give unit vectors, "
                "points / numpy.linalg.norm(points, axis=1, keepdims=True)"
            )
        if self._circular:
            return np.mod(np.arctan2(given[:, 1], given[:, 0]), 2.0 * math.pi), np.ones(norms.size)
        others = np.sqrt(np.sum(given[:, 1:] ** 2, axis=1))
        around = np.where(others > 0.0, given[:, 1] / np.where(others > 0.0, others, 1.0), 1.0)
        return np.arctan2(others, given[:, 0]), np.clip(around, -1.0, 1.0)

    def _values(self, ranks: NDArray[np.intp], points: ArrayLike) -> Array:
        angles, around = self._placed(points)
        if self._circular:
            values = circular(angles, (self.coefficients.shape[1] + 1) // 2)
            return np.asarray(self.coefficients[ranks] @ values.T)
        out = np.empty((ranks.size, angles.size))
        for j in np.unique(self.azimuthal[ranks]).tolist():
            at = np.flatnonzero(self.azimuthal[ranks] == j)
            out[at] = self.radial_factors(ranks[at], angles) * _harmonic(j, self.dim, around)
        return out

    @property
    def _circular(self) -> bool:
        return self.dim == 2 and not self.domain.density.even

    def radial_factors(self, at: NDArray[np.intp], angles: Array) -> Array:
        """(R, P) factors of t of eigenfunctions, for ranks of one azimuthal degree.

        The other factor is a harmonic of the other coordinates, of mean square 1.

        Examples
        --------
        >>> import ntkspec
        >>> sphere = ntkspec.Sphere(3, density=ntkspec.VonMises(1.0))
        >>> s = ntkspec.spectrum("erf", sphere, count=1)
        >>> s.radial_factors(np.array([0]), np.array([0.0])).round(4)
        array([[1.6488]])
        """
        j = int(self.azimuthal[at[0]])
        size = self.max_degree + 1 - j
        # Under the uniform measure, the square of sin^j has this mean in dimension d.
        n, d = float(j), float(self.dim)
        log = (
            math.lgamma((d - 1.0) / 2.0) - math.lgamma(d / 2.0)
            + math.lgamma(n + d / 2.0) - math.lgamma(n + (d - 1.0) / 2.0)
        )  # fmt: skip
        with np.errstate(divide="ignore"):
            sine = np.log(np.sin(angles))
        first = np.exp(0.5 * log + (n * sine if j else 0.0 * angles))
        values = angular(angles, self.dim + 2 * j, size, first)
        return np.asarray(self.coefficients[at, -size:] @ values.T)


def _harmonic(j: int, dim: int, around: Array) -> Array:
    """The harmonic of degree j of the other coordinates, of norm 1, zonal about the first of them.

    Examples
    --------
    >>> _harmonic(2, 3, np.array([1.0, 0.0])).round(4)
    array([ 1.4142, -1.4142])
    """
    if dim == 2:
        return np.asarray(around**j)
    count = float(multiplicity(dim - 1, [j])[0])
    return np.asarray(math.sqrt(count) * legendre([j], dim - 1, around)[0])
