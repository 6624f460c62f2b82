"""Spectra for inner weights on a sphere: w uniform on the sphere of radius R = sqrt(s_w d).

The kernel depends on the dimension through R and through the law of w, so that the dimension walk
does not apply: every row comes from its own integrals.  By Funk-Hecke for the activation itself,
phi_k = c_d int sigma(R t) P_k(t) (1-t^2)^((d-3)/2) dt, the dual E[sigma(w.x) sigma(w.x')] has the
eigenvalues phi_k^2, and t times the dual of sigma' those of two neighbours, of one sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Scaled
from ntkspec.spectra.seeds import (
    KEPT,
    MOST_BITS,
    CosineMoments,
    GaussMoments,
    base_row,
    bits_kept,
)

__all__ = ["ROUTE", "SphereWeights"]


class SphereWeights:
    """Rows of eigenvalues of a network with weights on a sphere, for one computation.

    Each row has separate integrals.  The last row is kept, so threads must not share an object.
    """

    relative_error = 4.0 * 2.0**-53
    walks = False
    degrees_alone = False

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.network = network
        self.dual, self.tangent = network.mixture(kernel)
        self.parity: Parity = parity(network, kernel)
        self.key = (0, -1)
        self.values: list[arb] = []

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return self.parity.isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Compute the row of a dimension; dimensions share no results."""
        if low == high and (self.key[0] != low or self.key[1] < last):
            self.values = self._row(low, last)
            self.key = (low, last)

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        self.prepare(dim, dim, int(degrees[-1]))
        mantissa, exponent = np.zeros(degrees.size), np.zeros(degrees.size, np.int64)
        for i, degree in enumerate(degrees.tolist()):
            if not self.parity.vanishes(degree):
                mantissa[i], exponent[i] = split(self.values[degree])
        return mantissa, exponent

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in several dimensions."""
        rows = [self.row(int(dim), np.array([degree])) for dim in dims]
        return np.array([m[0] for m, _ in rows]), np.array([e[0] for _, e in rows])

    @exclusive()
    def _row(self, dim: int, last: int) -> list[arb]:
        bits = 128 + 2 * last
        while bits <= MOST_BITS:
            with working_precision(bits):
                values = self._eigenvalues(dim, last)
                accuracy = [
                    bits_kept(values[k]) for k in range(last + 1) if not self.parity.vanishes(k)
                ]
                missing = KEPT - min(accuracy, default=KEPT)
            if missing <= 0:
                return values
            bits += missing + 16 if missing < KEPT else bits // 2
        raise NtkspecError(
            f"degree = {last} at dim = {dim} needs more than {MOST_BITS} bits, as the sums over "
            "the moments of the activation cancel; lower the degree or the dimension"
        )

    def _eigenvalues(self, dim: int, last: int) -> list[arb]:
        sigma = self.network.sigma
        weight = arb(self.network.weight_variance)
        total = [arb(0)] * (last + 1)
        if self.dual:
            phi = self._integrals(sigma.ball, dim, last)
            total = [x * x for x in phi]
        if self.tangent:
            psi = [x * x for x in self._integrals(sigma.ball_derivative, dim, last + 1)]
            for k in range(last + 1):
                below = k * psi[k - 1] if k else arb(0)
                above = (k + dim - 2) * psi[k + 1] if k else psi[1]
                total[k] += weight * (below + above) / (2 * k + dim - 2 if k else 1)
        return total

    def _integrals(self, function: Any, dim: int, last: int) -> list[arb]:
        """phi_0, ..., phi_last of a function; nodes are added until the values converge."""
        radius = (arb(self.network.weight_variance) * dim).sqrt()
        effort = 1.0
        before: list[arb] | None = None
        while effort < 200.0:
            if self.network.sigma.singularity.kind == "kink":
                row = self._by_sides(function, radius, dim, last, effort)
            else:
                row = self._by_circle(function, radius, dim, last, effort)
            if before is not None and all(
                abs(a - b) < arb(2) ** (16 - ctx.prec) + 4 * (a.rad() + b.rad())
                for a, b in zip(row, before, strict=True)
            ):
                return [a + arb(0, (abs(a - b)).upper()) for a, b in zip(row, before, strict=True)]
            before, effort = row, effort * 1.3
        raise NtkspecError("the integrals of the activation over the sphere did not settle")

    def _by_circle(
        self, function: Any, radius: arb, dim: int, last: int, effort: float
    ) -> list[arb]:
        n = int(effort * (0.25 * ctx.prec + last + 2.0 * float(radius) + 32))
        source = CosineMoments(lambda angle: function(radius * angle.cos()), n, None)
        return base_row(source.moments(dim, last + 1), dim)

    def _by_sides(
        self, function: Any, radius: arb, dim: int, last: int, effort: float
    ) -> list[arb]:
        """The two sides of the kink, t > 0 and t < 0, each by Gauss-Legendre."""
        reach = last + dim + 4 * int(float(radius))
        right = GaussMoments(lambda a: function(radius * a.cos(), 1), reach, effort, parity=0)
        left = GaussMoments(lambda a: function(-radius * a.cos(), -1), reach, effort, parity=0)
        first = right.sums(dim, last + 1)
        second = left.sums(dim, last + 1)
        # On the left the angle is pi - a, cos(j (pi - a)) = (-1)^j cos(j a).
        both = [(a + (-1) ** j * b) / 2 for j, (a, b) in enumerate(zip(first, second, strict=True))]
        return base_row(both, dim)


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "sphere":
        return None
    if source.user:
        raise NtkspecError(
            f"weights = 'sphere' is not allowed with {source.name}; use it with an activation of "
            "the catalogue, or weights = 'gaussian'"
        )
    if source.sigma.kinks:
        raise NtkspecError(
            f"weights = 'sphere' is not allowed with {source.name}: it has kinks away from 0; use "
            "weights = 'gaussian'"
        )
    return "weights on a sphere"


ROUTE = row_route("integrals of the activation", _takes, SphereWeights, "weights on a sphere")
