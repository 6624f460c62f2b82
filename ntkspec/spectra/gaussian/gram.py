"""One layer of a smooth activation without bias under the Gaussian measure.

lambda_l(r, r') is a sum of products of Hermite coefficients at s_w r^2 and s_w r'^2 (Mehler), so
the operator in the radius is a Gram matrix.
"""

from __future__ import annotations

from copy import copy

from flint import arb, arb_mat

from ntkspec.domains import Domain
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.gaussian.hermite import FAMILIES, coefficients
from ntkspec.spectra.gaussian.radial import radial_rule, series_weights
from ntkspec.spectra.gaussian.settled import Effort, radial_route
from ntkspec.spectra.route import Source

__all__ = ["ROUTE"]


class Gram:
    """One layer without bias: lambda_l(r, r') = sum_n a_n w_n h_n(s_w r^2) h_n(s_w r'^2).

    a_n = f + g n for the kernel f F + g q D, and w_n the eigenvalue of t^n on the sphere.
    """

    def __init__(self, network: Network, dim: int, kernel: Kernel, effort: Effort) -> None:
        self.dim, self.terms = dim, effort.terms
        squares, weights = radial_rule(dim, effort.nodes, effort.reach)
        dual, tangent = network.mixture(kernel)
        self.factors = [arb(dual) + arb(tangent) * n for n in range(effort.terms)]
        variance = arb(network.weight_variance)
        self.rows = []
        for square, weight in zip(squares, weights, strict=True):
            root = weight.sqrt()
            h = coefficients(network.sigma.shape, variance * square, effort.terms)
            self.rows.append([root * x for x in h])
        self.degree, self.matrix = -1, arb_mat(0, 0)

    def cut(self) -> Gram:
        """The same with the terms of the previous run."""
        other = copy(self)
        other.terms, other.degree = self.terms * 5 // 7, -1
        return other

    def _product(self, degree: int) -> arb_mat:
        if self.degree != degree:
            at = range(degree, self.terms, 2)
            weights = series_weights(self.dim, degree, len(at))
            roots = [(w * self.factors[n]).sqrt() for n, w in zip(at, weights, strict=True)]
            half = arb_mat(
                [[row[n] * x for n, x in zip(at, roots, strict=True)] for row in self.rows]
            )
            self.degree, self.matrix = degree, half * half.transpose()
        return self.matrix

    def diagonal(self, degree: int) -> list[arb]:
        product = self._product(degree)
        return [product[i, i] for i in range(len(self.rows))]

    def column(self, degree: int, j: int) -> list[arb]:
        product = self._product(degree)
        return [product[i, j] for i in range(len(self.rows))]


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian" or not source.uniform:
        return None
    if source.sigma.shape.base in FAMILIES and source.depth == 1 and source.bias_variance == 0.0:
        return "one smooth layer without bias"
    return None


ROUTE = radial_route(
    "Gram matrix of Hermite coefficients", _takes, Gram, "one smooth layer without bias"
)
