"""Kernels that are evaluated at the points of the cube: a user's, and those of any network."""

from __future__ import annotations

from typing import Any

from flint import arb, arb_poly, fmpq

from ntkspec.domains import Domain
from ntkspec.duals import Correlation, Layers
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.cube.sums import cube_route
from ntkspec.spectra.route import Source, better_than_doubles, double_only
from ntkspec.zonal import ZonalKernel

__all__ = ["LAYERS", "ZONAL", "LayerValues", "ZonalValues"]


class LayerValues:
    """Any network, by the duals of its layers."""

    relative_error = 0.0

    def __init__(self, network: Any, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.proved = not network.user

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


class ZonalValues:
    """A zonal kernel, by all of its Taylor coefficients or by its function.

    Balls of a user's function are taken for enclosures where something else is `declared` too.
    """

    relative_error = 0.0

    def __init__(self, source: ZonalKernel, kernel: Kernel, declared: bool = False) -> None:
        self.source = source
        given = source.coefficients
        self.count = len(given) if isinstance(given, tuple) else 0
        self.proved = declared or self.count > 0 or source.formula is not None

    def at(self, dim: int, count: int) -> list[arb]:
        """K(1 - 2j/dim) for j < count."""
        function: Any = self.source.in_balls(dim)
        if self.count:
            function = arb_poly(self.source.first_coefficients(self.count))
        return [function(arb(fmpq(dim - 2 * j, dim))) for j in range(count)]

    def slack(self, dim: int) -> arb | None:
        """None: other errors are not known."""
        return None


def _takes_zonal(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if isinstance(source, ZonalKernel) and not double_only(source):
        return "a zonal kernel in high precision"
    return None


def _takes_layers(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if double_only(source):
        raise NtkspecError(
            f"{source.name} is known in doubles only, which cannot give eigenvalues on the cube; "
            f"{better_than_doubles(source)}"
        )
    if not isinstance(source, Network):
        return None
    if source.weights == "sphere":
        raise NtkspecError(
            "weights = 'sphere' is not allowed on the cube; use weights = 'gaussian'"
        )
    return "a network without a series of its own"


ZONAL = cube_route("sums over the cube", _takes_zonal, ZonalValues, "zonal kernels")
LAYERS = cube_route(
    "sums over the cube", _takes_layers, LayerValues, "all networks with Gaussian weights"
)
