"""Which route computes a network's spectrum."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.closed_form import ClosedForm
from ntkspec.spectra.series import PositiveSeries

__all__ = ["Route", "both_parities", "route"]


class Route(Protocol):
    """What a spectrum's source offers: rows and columns of the (dimension, degree) plane.

    Values come scaled: mantissa in [1, 2) or 0, and an int64 exponent of 2.
    """

    @property
    def relative_error(self) -> float:
        """Bound on the relative error of any eigenvalue from here."""

    @property
    def walks(self) -> bool:
        """Whether the kernel is the same in all dimensions, as the dimension walk needs."""

    @property
    def degrees_alone(self) -> bool:
        """Whether a row costs by the degrees asked for alone, not by all those below them too."""

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity that are not zero, or None when all of them may be."""

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Hear which dimensions (low to high) and degrees (all to last, or some) are wanted."""

    def row(
        self, dim: int, degrees: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Eigenvalues of increasing degrees of one parity."""

    def column(
        self, degree: int, dims: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Eigenvalues of one degree in increasing dimensions of one parity."""


def route(network: Network, kernel: Kernel) -> Route:
    """Make the accurate route for one computation of a network's spectrum.

    A route that keeps what it has computed is made for each computation; two never share one.
    """
    network.mixture(kernel)  # refuses what is no kernel's name, or cannot be looked up
    return _without_state(network, kernel) or _with_state(network, kernel)


def _with_state(network: Network, kernel: Kernel) -> Route:
    if network.weights == "sphere":
        from ntkspec.spectra.sphere import SphereWeights

        return SphereWeights(network, kernel)
    from ntkspec.spectra.seeds import BallSeeds

    return BallSeeds.of_network(network, kernel)


@lru_cache(maxsize=64)
def _without_state(network: Network, kernel: Kernel) -> Route | None:
    """A closed form or a series, whose objects never change; None for other networks."""
    sigma, variance = network.sigma, network.weight_variance
    dual, tangent = network.mixture(kernel)
    if sigma.user and sigma.arithmetic == "double":
        raise NtkspecError(
            f"{sigma.name} is known in doubles only: ntkspec.spectrum says which of its "
            "eigenvalues can be had; a table needs it for flint or mpmath numbers"
        )
    if network.weights == "sphere":
        if sigma.user:
            raise NtkspecError("weights = 'sphere' takes the activations that ntkspec knows")
        return None
    shallow = network.depth == 1 and network.bias_variance == 0.0
    if shallow and sigma.homogeneous is not None:
        power, right, left = sigma.homogeneous
        if power == 1 and right == 1.0:
            return ClosedForm(0.0 - left, variance, dual, tangent)
    if shallow and sigma.tanh is not None:
        offset, amplitude, rate = sigma.tanh
        return PositiveSeries(variance * rate**2, amplitude, dual * offset**2, dual, tangent)
    return None


def both_parities(
    source: Route, dim: int, degrees: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Eigenvalues of increasing degrees in one dimension, scaled."""
    mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
    source.prepare(dim, dim, int(degrees[-1]), frozenset(degrees.tolist()))
    for parity in (0, 1):
        at = np.flatnonzero(degrees % 2 == parity)
        if at.size:
            mantissa[at], exponent[at] = source.row(dim, degrees[at])
    return mantissa, exponent
