"""Inputs with a law of the norm that does not depend on the direction, which is uniform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ntkspec.domains.domain import Array
from ntkspec.domains.sphere import Harmonics
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import number, numbers, shown, whole_number

if TYPE_CHECKING:
    from ntkspec.zonal import ZonalKernel

__all__ = ["Ball"]

LAWS = ("uniform", "gaussian")
MOST_RADIAL, MOST_RADII = 12, 256
LEAST_RADIUS, MOST_RADIUS = 1e-3, 100.0


@dataclass(frozen=True)
class Ball(Harmonics):
    """Vectors of R^d whose norm has a law of its own; eigenvalues by degree of harmonics and rank.

    The direction is uniform on the sphere and independent of the norm.  Vectors enter a network as
    they are, as in `ntkspec.Network.ntk_matrix`.

    Parameters
    ----------
    dim : int
        2 to 10**6.
    radii : {"uniform", "gaussian"} or (R,) array_like
        "uniform" in the ball; "gaussian": coordinates N(0, 1/d), of norm 1 on average, as for
        `ntkspec.Gaussian`; or norms, such as the nodes of a rule for a law of your own.
    weights : (R,) array_like, optional
        Probabilities of these norms, of sum 1; by default equal.
    radius : float
        A factor of all norms: the radius of the ball.
    radial : int
        How many eigenvalues of each degree a spectrum has, from the largest: 1 to 12.

    Examples
    --------
    >>> import ntkspec
    >>> s = ntkspec.spectrum("erf", Ball(3, [0.5, 2.0], radial=2), degrees=[1, 3])
    >>> s.eigenvalues.round(6).tolist()
    [[0.169301, 0.005844], [0.01861, 0.000164]]
    """

    radii: Any = "uniform"
    weights: Any = None
    radius: float = 1.0
    radial: int = 1
    name: ClassVar[str] = "ball"
    measure: ClassVar[str] = "uniform directions, norms of their own law"
    place: ClassVar[str] = " in a ball"
    unit: ClassVar[bool] = False
    single: ClassVar[bool] = False
    most_degree: ClassVar[int] = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        set_ = object.__setattr__
        set_(self, "radial", whole_number(self.radial, "radial", 1, MOST_RADIAL))
        set_(self, "radius", number(self.radius, "radius", LEAST_RADIUS, MOST_RADIUS))
        if isinstance(self.radii, str):
            if self.radii not in LAWS:
                raise NtkspecError(
                    f"radii = {shown(self.radii)} is not allowed; give 'uniform', 'gaussian', or "
                    "norms and their weights"
                )
            if self.weights is not None:
                raise NtkspecError(f"weights are not allowed with radii = {self.radii!r}")
            return
        radii = np.atleast_1d(numbers(self.radii, "radii"))
        if radii.ndim != 1 or not 1 <= radii.size <= MOST_RADII:
            raise NtkspecError(
                f"radii of shape {radii.shape} are not allowed; give 1 to {MOST_RADII} norms"
            )
        bad = ~((radii * self.radius >= LEAST_RADIUS) & (radii * self.radius <= MOST_RADIUS))
        if bad.any():
            raise NtkspecError(
                f"radii: {radii[bad][0]:g} is not allowed; all must be from {LEAST_RADIUS:g} to "
                f"{MOST_RADIUS:g}"
            )
        if np.unique(radii).size < radii.size:
            raise NtkspecError("radii: some are equal; give each norm once, with its weight")
        given = np.full(radii.size, 1.0 / radii.size) if self.weights is None else self.weights
        weights = np.atleast_1d(numbers(given, "weights"))
        if weights.shape != radii.shape or not np.all(weights > 0.0):
            raise NtkspecError(
                f"weights = {shown(self.weights)} is not allowed; give a number > 0 for each of "
                f"the {radii.size} radii"
            )
        total = math.fsum(weights.tolist())
        if not abs(total - 1.0) <= 1e-9:
            raise NtkspecError(f"weights have the sum {total:.9g}; divide them by it")
        set_(self, "radii", tuple(radii.tolist()))
        if abs(total - 1.0) > 2.0**-52:  # beyond the rounding of this division
            weights = weights / total
        set_(self, "weights", tuple(weights.tolist()))

    @property
    def continuous(self) -> bool:
        """Whether the norm has a density."""
        return isinstance(self.radii, str)

    @property
    def spread(self) -> float:
        """Relative spread of the norm: the standard deviation of its square over twice the mean.

        Examples
        --------
        >>> round(Ball(10**6, "gaussian").spread, 6), round(Ball(98).spread, 4)
        (0.000707, 0.01)
        """
        if self.radii == "gaussian":
            return math.sqrt(0.5 / self.dim)
        if self.radii == "uniform":
            return 1.0 / math.sqrt(self.dim * (self.dim + 4.0))
        squares, weights = np.array(self.radii) ** 2, np.array(self.weights)
        mean = float(weights @ squares)
        return 0.5 * math.sqrt(float(weights @ (squares - mean) ** 2)) / mean

    @property
    def default_degrees(self) -> range:
        """0 to 8."""
        return range(9)

    def falls(self, source: Network | ZonalKernel) -> bool:
        """True for networks, as for `Gaussian`: the proof holds for any law of the norm."""
        return isinstance(source, Network)

    def points(self, count: int, *, seed: int = 0) -> Array:
        """(count, dim) random vectors.

        Examples
        --------
        >>> Ball(3, radii=[2.0]).points(2).shape
        (2, 3)
        """
        rng = np.random.default_rng(whole_number(seed, "seed", 0))
        size = whole_number(count, "count", 1)
        x = rng.standard_normal((size, self.dim))
        if self.radii == "gaussian":
            return np.asarray(x * (self.radius / math.sqrt(self.dim)))
        if self.radii == "uniform":
            norms = rng.random(size) ** (1.0 / self.dim)
        else:
            norms = rng.choice(np.array(self.radii), size, p=np.array(self.weights))
        x *= (self.radius * norms / np.linalg.norm(x, axis=1))[:, np.newaxis]
        return np.asarray(x)
