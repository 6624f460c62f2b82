"""Smooth activations with bias or more layers under the Gaussian measure.

lambda_l(r, r') comes from Gauss's rule in the cosine, the duals of unequal variances from Hermite
coefficients.
"""

from __future__ import annotations

from flint import arb, arb_poly

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel, Network
from ntkspec.rules import State, follow
from ntkspec.spectra.gaussian.hermite import FAMILIES, coefficients
from ntkspec.spectra.gaussian.radial import angular_rule, radial_rule
from ntkspec.spectra.gaussian.settled import Effort, radial_route
from ntkspec.spectra.route import Source

__all__ = ["ROUTE"]


class Layered:
    """Bias or more layers: the kernel at pairs of radii by Gauss's rule in the angle."""

    def __init__(self, network: Network, dim: int, kernel: Kernel, effort: Effort) -> None:
        self.network, self.dim, self.kernel = network, dim, kernel
        self.effort = effort
        squares, weights = radial_rule(dim, effort.nodes, effort.reach)
        self.radii = [x.sqrt() for x in squares]
        self.roots = [w.sqrt() for w in weights]
        self.cosines, self.angle_weights = angular_rule(dim, effort.angles, effort.bits)
        self.layers = self._prepared(squares)
        self.known: dict[tuple[int, int], list[arb]] = {}

    def _prepared(self, squares: list[arb]) -> list[tuple[list[arb], list[list[arb]]]]:
        """Variances and Hermite coefficients of every node, layer by layer."""
        program = self.network.program
        layers: list[tuple[list[arb], list[list[arb]]]] = [([], []) for _ in program.activations]
        for square in squares:

            def activate(index: int, state: State) -> State:
                q, (variances, table) = state.covariance, layers[index]
                row = coefficients(program.activations[index].shape, q, self.effort.terms)
                variances.append(q)
                table.append(row)
                return State(sum((h * h for h in row), arb(0)))

            follow(program, State(square), activate, None, arb, tangent=False)
        return layers

    def _values(self, i: int, j: int) -> list[arb]:
        """K at the angles of the rule, for the radii i and j."""
        key = (min(i, j), max(i, j))
        if key not in self.known:
            self.known[key] = self._through_layers(*key)
        return self.known[key]

    def _through_layers(self, i: int, j: int) -> list[arb]:
        ntk, scale = self.kernel == "ntk", self.radii[i] * self.radii[j]
        steps = []
        for variances, table in self.layers:
            dual = arb_poly([x * y for x, y in zip(table[i], table[j], strict=True)])
            steps.append(((variances[i] * variances[j]).sqrt(), dual, dual.derivative()))

        def activate(index: int, state: State) -> State:
            size, dual, derivative = steps[index]
            correlation = (state.covariance / size).mid()
            tangent = state.tangent
            if tangent is not None:
                tangent = tangent * (derivative(correlation) / size)
            return State(dual(correlation), tangent)

        values = []
        for t in self.cosines:
            end = follow(self.network.program, State(scale * t), activate, None, arb, ntk)
            values.append(end.tangent if ntk else end.covariance)
        return values

    @cached_property
    def _harmonics(self) -> list[list[arb]]:
        """Weights times P_0, P_1, ... at the angles of the rule, extended on demand."""
        first = list(self.angle_weights)
        second = [w * t for w, t in zip(first, self.cosines, strict=True)]
        return [first, second]

    def _weighted_legendre(self, degree: int) -> list[arb]:
        rows, d = self._harmonics, self.dim
        while len(rows) <= degree:
            k = len(rows) - 1  # (k+d-2) P_(k+1) = (2k+d-2) t P_k - k P_(k-1)
            rows.append(
                [
                    ((2 * k + d - 2) * t * p - k * b) / (k + d - 2)
                    for t, p, b in zip(self.cosines, rows[k], rows[k - 1], strict=True)
                ]
            )
        return rows[degree]

    def _entry(self, degree: int, i: int, j: int) -> arb:
        total = arb(0)
        for w, x in zip(self._weighted_legendre(degree), self._values(i, j), strict=True):
            total += w * x
        return total * self.roots[i] * self.roots[j]

    def cut(self) -> None:
        """None: another run costs as much as this one."""

    def diagonal(self, degree: int) -> list[arb]:
        return [self._entry(degree, i, i) for i in range(len(self.radii))]

    def column(self, degree: int, j: int) -> list[arb]:
        return [self._entry(degree, i, j) for i in range(len(self.radii))]


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network):
        raise NtkspecError(
            f"{source.name} is a function of the cosine alone, which has no values off the sphere; "
            "under the Gaussian measure declare it as (|x| |x'|)^P K(t) with radial_power=P, or "
            "give a Network"
        )
    if source.weights == "sphere":
        raise NtkspecError(
            "weights = 'sphere' is not allowed under the Gaussian measure; use weights = 'gaussian'"
        )
    if source.program.normalizes:
        raise NtkspecError(
            "Normalize is not allowed under the Gaussian measure, where the norms of the inputs "
            "differ; leave it out, or use a Sphere"
        )
    for sigma in source.sigmas:
        if sigma.homogeneous is not None:
            what = f"{source.name} is not allowed"
            if source.uniform:
                what = f"bias_variance = {source.bias_variance:g} is not allowed with {source.name}"
            raise NtkspecError(
                f"{what} under the Gaussian measure: the kernel has a kink where x = x'; give the "
                f"domain Ball({domain.dim}, 'gaussian'), with larger errors, or one activation, "
                "bias_variance = 0 and layers that are alike"
            )
        if sigma.shape.base not in FAMILIES or sigma.user:
            known = ", ".join(FAMILIES)
            raise NtkspecError(
                f"activation {sigma.name!r} is not available under the Gaussian measure; give the "
                f"domain Ball({domain.dim}, 'gaussian'), with larger errors, or use {known} or a "
                "homogeneous one"
            )
    return "smooth layers"


ROUTE = radial_route("Gauss rules in radius and angle", _takes, Layered, "smooth networks and elu")
