"""Any network on the cube: the values of its kernel by the duals of its layers."""

from __future__ import annotations

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import Correlation, Layers
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.cube.sums import eigenvalues_of
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source, double_only

__all__ = ["ROUTE", "LayerValues"]


class LayerValues:
    """Any network, by the duals of its layers."""

    relative_error = 0.0

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.proved = not network.sigma.user

    def at(self, dim: int, count: int) -> list[arb]:
        """K(1 - 2j/dim) for j < count."""
        layers = Layers(self.network, self.kernel)
        inner = [layers.at(_correlation(dim, j)) for j in range(1, count)]
        return [layers.at_one(), *inner]

    def slack(self, dim: int) -> arb | None:
        """None: the balls of the values are enclosures."""
        return None


def _correlation(dim: int, j: int) -> Correlation:
    """t = 1 - 2j/d, with the angle where it is known."""
    if j == dim:
        return Correlation(arb(-1), arb.pi())
    return Correlation(arb(fmpq(dim - 2 * j, dim)))


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if double_only(source):
        raise NtkspecError(
            f"{source.name} is known in doubles only, which cannot give eigenvalues on the cube; "
            "give the function for flint or mpmath numbers"
        )
    if not isinstance(source, Network):
        return None
    if source.weights == "sphere":
        raise NtkspecError(
            "weights = 'sphere' is not allowed on the cube; use weights = 'gaussian'"
        )
    return "a network without a series of its own"


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(source, Network)
    zeros = parity(source, kernel)
    return eigenvalues_of(LayerValues(source, kernel), zeros, domain.dim, degrees)


ROUTE = Route("sums over the cube", _takes, _eigenvalues)
