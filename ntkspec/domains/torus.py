"""Fourier features of points of a torus: unit vectors whose cosine is a trigonometric polynomial.

t(z) = sum_j w_j cos(2 pi b_j.z), z = x - x', w_j = a_j^2 / sum a^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains.domain import Array, WithoutDegrees
from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.parameters import number, numbers, shown, whole_number

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Torus"]

MOST_FREQUENCY, MOST_FEATURES, MOST_DIM = 10**6, 4096, 3
MOST_SEED = 2**63


@dataclass(frozen=True)
class Torus(WithoutDegrees):
    """Points x of [0, 1)^m, m = 1, 2 or 3, that enter a network by Fourier features.

    The features are (a_j cos 2 pi b_j.x, a_j sin 2 pi b_j.x), divided by their common norm.  A
    kernel is a function of x - x', and its eigenvalues belong to frequency vectors:
    ``ntkspec.spectrum(network, torus, size)`` gives those of a box.

    Parameters
    ----------
    frequencies : array_like, (J, m)
        Whole numbers b_j; (J,) numbers mean m = 1.
    amplitudes : array_like, (J,), optional
        a_j, by default all 1.  Only their ratios matter.

    Attributes
    ----------
    dim : int
        m.

    Notes
    -----
    The features are those of Tancik et al. (2020), whose tangent kernel is stationary.  One
    frequency 1 in one dimension is the circle, ``Sphere(2)``.

    References
    ----------
    .. [1] M. Tancik et al. (2020), "Fourier Features Let Networks Learn High Frequency Functions
       in Low Dimensional Domains", arXiv:2006.10739.

    Examples
    --------
    >>> torus = Torus([[1], [2], [4]], amplitudes=[1.0, 1.0, 0.5])
    >>> torus.dim, torus.cosine([[0.0], [0.5]]).round(4)
    (1, array([1.    , 0.1111]))
    """

    dim: int = field(init=False, repr=False)
    frequencies: Any
    amplitudes: Any = None
    name: ClassVar[str] = "torus"
    measure: ClassVar[str] = "Fourier features of x uniform on [0, 1)^m"
    place: ClassVar[str] = " on the torus"
    least_dim: ClassVar[int] = 1
    most_dim: ClassVar[int] = MOST_DIM

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        b = _whole(self.frequencies)
        set_(self, "dim", b.shape[1])
        super().__post_init__()
        set_(self, "frequencies", tuple(map(tuple, b.tolist())))
        if self.amplitudes is None:
            a = np.ones(b.shape[0])
        else:
            a = np.atleast_1d(numbers(self.amplitudes, "amplitudes"))
        if a.shape != (b.shape[0],):
            raise NtkspecError(
                f"amplitudes of shape {a.shape} are not allowed; give one for each of the "
                f"{b.shape[0]} frequencies"
            )
        if not np.all(np.isfinite(a)):
            raise NtkspecError(
                f"amplitudes: number {np.flatnonzero(~np.isfinite(a))[0]} is "
                f"{a[~np.isfinite(a)][0]}; all must be finite"
            )
        if not np.any(a):
            raise NtkspecError("amplitudes are all 0; give at least one that is not")
        set_(self, "amplitudes", tuple(a.tolist()))

    def __str__(self) -> str:
        return f"on the torus, dim = {self.dim}, {len(self.frequencies)} frequencies"

    @classmethod
    def plain(cls, dim: int = 1) -> Torus:
        """The torus itself: (cos 2 pi x_i, sin 2 pi x_i) for every coordinate.

        Examples
        --------
        >>> Torus.plain(2).frequencies
        ((1, 0), (0, 1))
        """
        return cls(np.eye(_dim(dim), dtype=np.int64))

    @classmethod
    def positional_encoding(cls, bands: int, dim: int = 1) -> Torus:
        """The positional encoding of NeRF: frequencies 1, 2, ..., 2^(bands - 1) per coordinate.

        Mildenhall et al. (2020, arXiv:2003.08934, eq. 4) take coordinates p = 2 x - 1 in [-1, 1].

        Examples
        --------
        >>> Torus.positional_encoding(3).frequencies
        ((1,), (2,), (4,))
        """
        count = whole_number(bands, "bands", 1, 20)
        eye = np.eye(_dim(dim), dtype=np.int64)
        return cls(np.concatenate([eye << band for band in range(count)]))

    @classmethod
    def random_features(cls, count: int, sigma: float, dim: int = 2, *, seed: int = 0) -> Torus:
        """Random Fourier features: b_j ~ N(0, sigma^2 I), rounded to whole numbers.

        The Gaussian features of Tancik et al. (2020), which rounding makes periodic; `collapsed`
        says how many features it wastes.

        Examples
        --------
        >>> torus = Torus.random_features(64, sigma=2.0, seed=1)
        >>> len(torus.frequencies), torus.collapsed
        (64, 39)
        """
        normal = _generator(seed).standard_normal((_count(count), _dim(dim)))
        return cls(np.rint(number(sigma, "sigma", 0.0, 1e5) * normal))

    @classmethod
    def siren(cls, count: int, omega_0: float = 30.0, dim: int = 2, *, seed: int = 0) -> Torus:
        """The first layer of SIREN, sin(omega_0 (W p + b)), at its start and not trained.

        Weights are uniform in [-1/m, 1/m], coordinates p = 2 x - 1 in [-1, 1], and phases
        uniform, which makes the expected kernel that of features with frequencies omega_0 W / pi,
        here rounded to whole numbers.

        Sitzmann et al. (2020, arXiv:2006.09661, section 3.2).

        Examples
        --------
        >>> Torus.siren(4, omega_0=30.0, dim=1, seed=0).frequencies
        ((3,), (-4,), (-9,), (-9,))
        """
        where = _dim(dim)
        uniform = _generator(seed).uniform(-1.0, 1.0, (_count(count), where)) / where
        return cls(np.rint(number(omega_0, "omega_0", 0.0, 1e5) * uniform / math.pi))

    @cached_property
    def distinct(self) -> tuple[NDArray[np.int64], Array]:
        """(D, m) frequencies that differ by more than their sign, and their weights, of sum 1.

        The weights are rounded once.
        """
        b = np.array(self.frequencies, np.int64)
        first = b[np.arange(b.shape[0]), np.argmax(b != 0, axis=1)]
        b[first < 0] *= -1
        found, at = np.unique(b, axis=0, return_inverse=True)
        squares = [Fraction(0)] * found.shape[0]
        for i, a in zip(at.ravel().tolist(), self.amplitudes, strict=True):
            squares[i] += Fraction(a) ** 2
        total = sum(squares)
        weights = np.array([float(square / total) for square in squares])
        kept = weights > 0.0
        return found[kept], weights[kept]

    @property
    def collapsed(self) -> int:
        """How many features add nothing: constant ones, and those of an earlier frequency."""
        found = self.distinct[0]
        return len(self.frequencies) - int(np.count_nonzero(np.any(found != 0, axis=1)))

    def apart(self, z: ArrayLike) -> tuple[Array, Array]:
        """1 - t and 1 + t for (P, m) differences of points, each from terms >= 0."""
        given = np.atleast_2d(numbers(z, "z"))
        if given.ndim != 2 or given.shape[1] != self.dim or not np.all(np.isfinite(given)):
            raise NtkspecError(
                f"z = {shown(z)} is not allowed; give finite numbers of shape (P, {self.dim})"
            )
        b, w = self.distinct
        angles = math.pi * np.remainder(given @ b.T, 1.0)
        return 2.0 * np.sin(angles) ** 2 @ w, 2.0 * np.cos(angles) ** 2 @ w

    def cosine(self, z: ArrayLike) -> Array:
        """(P,) values of t for (P, m) differences x - x' of points."""
        minus, plus = self.apart(z)
        return np.asarray(0.5 * (plus - minus))

    def features(self, points: ArrayLike) -> Array:
        """(P, 2 J) unit vectors of (P, m) points, cosines first.

        Examples
        --------
        >>> Torus([[1]]).features([[0.0], [0.25]]).round(6)
        array([[1., 0.],
               [0., 1.]])
        """
        given = np.atleast_2d(numbers(points, "points"))
        if given.ndim != 2 or given.shape[1] != self.dim or not np.all(np.isfinite(given)):
            raise NtkspecError(
                f"points = {shown(points)} is not allowed; give finite numbers of shape "
                f"(P, {self.dim})"
            )
        a = np.array(self.amplitudes)
        a = a / np.abs(a).max()
        a /= np.linalg.norm(a)
        angles = 2.0 * math.pi * (given @ np.array(self.frequencies, np.float64).T)
        return np.concatenate([a * np.cos(angles), a * np.sin(angles)], axis=1)

    @property
    def default_size(self) -> int:
        """Half the side of the box of frequencies of a spectrum, by default."""
        return (64, 32, 8)[self.dim - 1]

    def falls(self, source: Network | ZonalKernel) -> bool:
        """Return False: eigenvalues need not fall with the frequency."""
        return False

    def no_degrees(self, what: str) -> NtkspecError:
        """The error of a parameter or method that needs degrees."""
        return NtkspecError(
            f"{what} is not allowed{self.place}: its eigenvalues belong to frequency vectors; "
            "ntkspec.spectrum(network, torus, size) gives those of a box"
        )


def _whole(given: Any) -> NDArray[np.int64]:
    b = numbers(given, "frequencies")
    b = b[:, np.newaxis] if b.ndim == 1 else b
    if b.ndim != 2 or not 1 <= b.shape[1] <= MOST_DIM or not 1 <= b.shape[0] <= MOST_FEATURES:
        raise NtkspecError(
            f"frequencies of shape {b.shape} are not allowed; give (J, m) whole numbers, m from 1 "
            f"to {MOST_DIM}, J from 1 to {MOST_FEATURES}"
        )
    bad = ~((b == np.rint(b)) & (np.abs(b) <= MOST_FREQUENCY))
    if bad.any():
        raise NtkspecError(
            f"frequencies: {b[bad][0]:g} is not allowed; all must be whole numbers up to "
            f"{MOST_FREQUENCY}, so that the features are periodic: round them"
        )
    return b.astype(np.int64)


def _dim(dim: Any) -> int:
    return whole_number(dim, "dim", 1, MOST_DIM)


def _count(count: Any) -> int:
    return whole_number(count, "count", 1, MOST_FEATURES)


def _generator(seed: Any) -> np.random.Generator:
    return np.random.default_rng(whole_number(seed, "seed", 0, MOST_SEED))
