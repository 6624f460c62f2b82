"""Smooth networks under the Gaussian measure: the largest eigenvalue of a degree.

In a degree the operator acts on the radius r = |x| / sqrt(d) alone, with the kernel
A(r, r') = int K(r, r', theta) P_k(cos theta), over the angle between x and x'.  Gauss-Legendre in r
makes it a matrix.  The Gaussian expectation of each layer is in polar form, as in `expectations`,
here for two variances: with psi_j(r) the cosine coefficients of sigma(sqrt(q(r)) R cos a),

    E[sigma(u) sigma(v)] = sum_j cos(j theta) E_R[psi_j(r) psi_j(r')],  theta the angle of u and v.

The estimates in this file steer the effort, never the value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from flint import acb, arb, arb_mat, arb_poly, ctx, fmpq

from ntkspec.precision import extra_precision
from ntkspec.reference.balls.agreement import Integral, Run
from ntkspec.reference.balls.expectations import (
    FoldedCosines,
    Smooth,
    highest_frequency,
    log_series_eigenvalue,
    radial_rule,
    smooth_of,
)
from ntkspec.reference.balls.interpolated import cancelled_bits, in_powers
from ntkspec.reference.balls.legendre import (
    cosine_series,
    cosine_sums,
    fejer_series,
    gauss_legendre,
    legendre,
)
from ntkspec.reference.description import Description, Kernel

__all__ = ["RadialOperator"]

#: Most steps of the power iteration.
MOST_STEPS = 2000


class RadialOperator(Integral):
    """The largest eigenvalue of a degree, with any effort."""

    def __init__(
        self, network: Description, kernel: Kernel, dim: int, degree: int, digits: int
    ) -> None:
        super().__init__(network, kernel, dim, degree)
        self.digits = digits
        self.sigma = smooth_of(network)
        self.floor = (
            max(
                log_series_eigenvalue(self.sigma, network.weight_variance * r * r, dim, degree)
                + share
                for r, share in self.typical()
            )
            - 3.0
        )
        self.nats = digits * math.log(10.0) - self.floor + 3.0
        self.bits = int(self.nats / math.log(2.0)) + 64

    def zero_scale(self) -> arb:
        """Return a size below every eigenvalue that is not 0."""
        return arb(self.floor).exp()

    def run(self, effort: float) -> Run:
        """Return the eigenvalue of the matrix, with all numbers of nodes grown by the effort."""
        radii, weights = self.rule(effort)
        if self.network.depth == 1 and self.network.bias_variance == 0.0:
            matrix = self._one_layer(radii, effort)
        else:
            matrix = self._through_layers(radii, self._layers(radii, effort), effort)
        n = len(radii)
        roots = [w.sqrt() for w in weights]
        rows = [[roots[i] * roots[j] * matrix[i, j] for j in range(n)] for i in range(n)]
        tail = sum((arb(x.rad()) ** 2 for row in rows for x in row), arb(0)).sqrt()
        # Midpoints alone go through the layers: their rounding, generously.
        tail += arb(2) ** (24 - ctx.prec) * (1 + arb(self.network.weight_variance))
        method = f"Gaussian expectation in polar form, {n} radii, {ctx.prec} bits"
        value = _largest(arb_mat([[x.mid() for x in row] for row in rows]), self.digits)
        return Run(value + arb(0, tail.upper()), arb(0), method)

    def typical(self) -> list[tuple[float, float]]:
        """Radii with the logarithms of their shares, one of which has most of the eigenvalue."""
        return [(1.0, 0.0)]

    def rule(self, effort: float) -> tuple[list[arb], list[arb]]:
        """Radii and weights for x ~ N(0, I_d): the density is ~ r^(d-1) e^(-d r^2 / 2)."""
        d, nats = self.dim, self.digits * math.log(10.0) + 14.0

        def fallen(r: float) -> float:
            return (d - 1) * math.log(r / top) - d * (r * r - top * top) / 2

        top = math.sqrt((d - 1) / d)
        low = high = top
        while fallen(high) > -nats:
            high *= 1.01
        while low > 0.01 and fallen(low) > -nats:
            low *= 0.99
        low = low if low > 0.01 else 0.0
        count = 2 * math.ceil((0.85 * self.digits + 6 + self.degree / 4) * effort)
        half = arb(fmpq(d, 2))
        constant = 2 * half**half / half.gamma() * arb(high - low) / 2
        radii, weights = [], []
        for x, w in gauss_legendre(count, ctx.prec):
            r = arb(low) + arb(high - low) * (1 + x) / 2
            radii.append(r)
            weights.append(w * constant * r ** (d - 1) * (-d * r * r / 2).exp())
        #: A radius beyond which little weight is left, for the numbers of nodes.
        self.far = top
        while fallen(self.far) > -0.4 * nats:
            self.far *= 1.02
        return radii, weights

    def _layers(self, radii: list[arb], effort: float) -> list[_Layer]:
        """Both expectations of every layer for all pairs of radii."""
        net, far = self.network, self.network.weight_variance * self.far**2
        weight, bias = arb(net.weight_variance), arb(net.bias_variance)
        variances = [weight * r * r + bias for r in radii]
        found = []
        for _ in range(net.depth):
            table = _Psi.of(self.sigma, variances, far + net.bias_variance, self.nats, effort)
            series = ([table.product(part, j) for j in range(table.count)] for part in (0, 2))
            layer = _Layer(variances, *series)
            found.append(layer)
            variances = [
                weight * sum((c[i, i] for c in layer.value), arb(0)) + bias
                for i in range(len(radii))
            ]
            far = max(float(q) for q in variances)
        return found

    def _one_layer(self, radii: list[arb], effort: float) -> arb_mat:
        """The angle of u and v is that of x and x': term by term."""
        of_f, of_d = self.mixture
        n, weight = len(radii), self.network.weight_variance
        variances = [weight * r * r for r in radii]
        table = _Psi.of(self.sigma, variances, weight * self.far**2, self.nats, effort)
        parts = _cosine_parts(self.dim, self.degree, table.count + 1)
        total, slopes = arb_mat(n, n), arb_mat(n, n)
        for j in range(table.count):
            if of_f and not parts[j].is_zero():
                total += table.product(0, j) * parts[j]
            part = (parts[j + 1] + parts[abs(j - 1)]) / 2  # cos(theta) cos(j theta)
            if of_d and not part.is_zero():
                slopes += table.product(2, j) * part
        for i in range(n):
            for j in range(n):
                total[i, j] = total[i, j] + weight * radii[i] * radii[j] * slopes[i, j]
        return total

    def _through_layers(self, radii: list[arb], layers: list[_Layer], effort: float) -> arb_mat:
        """The kernel at equal angles, for each pair of radii."""
        n = len(radii)
        count = 2 * math.ceil((len(layers[0].value) + self.degree + 8) * effort / 2)
        points = []
        for m in range(count):
            sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * m + 1, 2 * count))
            points.append(acb(cosine, sine))
        (weights,) = cosine_sums([fejer_series(self.dim, count)], points)
        (harmonics,) = legendre(self.dim, [self.degree], points)
        weighted = [w * p for w, p in zip(weights, harmonics, strict=True)]
        matrix = arb_mat(n, n)
        for i in range(n):
            for j in range(i + 1):
                pairs = [layer.pair(i, j) for layer in layers]
                guard = max(pair.guard for pair in pairs)
                scale = arb(self.network.weight_variance) * radii[i] * radii[j]
                total = arb(0)
                with extra_precision(guard):
                    for p, w in zip(points, weighted, strict=True):
                        total += w * self._kernel(scale * p.real, pairs)
                matrix[i, j] = matrix[j, i] = total
        return matrix

    def _kernel(self, inner: arb, layers: list[_Pair]) -> arb:
        weight, bias = arb(self.network.weight_variance), arb(self.network.bias_variance)
        covariance = tangent = inner + bias
        value = hidden = arb(0)
        for layer in layers:
            cosine = (covariance / layer.size).mid()
            value, slope = layer.value(cosine).mid(), layer.slope(cosine).mid()
            hidden = tangent * slope
            covariance = weight * value + bias
            tangent = covariance + weight * hidden
        return self.mixture[0] * value + self.mixture[1] * hidden


@dataclass(frozen=True)
class _Layer:
    """Coefficients of cos(j theta) in both expectations: matrices over pairs of radii."""

    variances: list[arb]
    value: list[arb_mat]
    slope: list[arb_mat]

    def pair(self, i: int, j: int) -> _Pair:
        """Both expectations of a pair of radii."""
        size = (self.variances[i] * self.variances[j]).sqrt()
        value, slope = (in_powers([c[i, j] for c in series]) for series in (self.value, self.slope))
        return _Pair(size, value, slope, 8 + max(map(cancelled_bits, (value, slope))))


class _Pair(NamedTuple):
    """The size sqrt(q q'), both expectations as polynomials, and the bits that these lose."""

    size: arb
    value: arb_poly
    slope: arb_poly
    guard: int


@dataclass(frozen=True)
class _Psi:
    """Cosine coefficients of sigma(sqrt(q) R cos a) and sigma', for radii (rows) and R (columns).

    By the trapezoid rule in the angle and Gauss-Legendre in R; even and odd coefficients of sigma
    and of sigma' apart, None where they vanish.
    """

    parts: list[list[arb_mat] | None]
    weights: list[arb]
    count: int

    @classmethod
    def of(
        cls, sigma: Smooth, variances: list[arb], far: float, nats: float, effort: float
    ) -> _Psi:
        """Take as many nodes as the variance `far` needs."""
        quarter = math.ceil(0.6 * effort * (highest_frequency(sigma, far, nats) / 2 + 0.05 * nats))
        size = math.sqrt(far)
        radii, weights = radial_rule(
            0.6 * nats * effort, sigma.pole / size, 2 * sigma.growth * far, size
        )
        angles = [arb.cos_pi_fmpq(fmpq(i, 2 * quarter)) for i in range(quarter + 1)]
        rows: list[list[Any]] = [[], [], [], []]
        for variance in variances:
            scales = [variance.sqrt() * r for r in radii]
            samples = [[sigma.parts(scale * c) for c in angles] for scale in scales]
            for part in range(4):
                rows[part].append([[x[part] for x in row] for row in samples])
        parts: list[list[arb_mat] | None] = []
        for part, mine in enumerate(rows):
            there = mine[0][0][0] is not None
            transform = FoldedCosines(quarter, part % 2)
            parts.append([arb_mat(transform(one)) for one in mine] if there else None)
        return cls(parts, weights, 2 * quarter)

    def product(self, part: int, j: int) -> arb_mat:
        """E_R[psi_j(r) psi_j(r')] for pairs of radii; all but the first count twice."""
        psis = self.parts[part + j % 2]
        n, count = self.size, len(self.weights)
        if psis is None:
            return arb_mat(n, n)
        left = arb_mat([[psi[r, j // 2] for r in range(count)] for psi in psis])
        scale = [w * (2 if j else 1) for w in self.weights]
        right = [[scale[r] * left[i, r] for i in range(n)] for r in range(count)]
        return left * arb_mat(right)

    @property
    def size(self) -> int:
        """Number of radii."""
        return next(len(psis) for psis in self.parts if psis is not None)


def _cosine_parts(dim: int, degree: int, count: int) -> list[arb]:
    """Integrals of cos(j theta) P_k(cos theta) over the angle of two random directions, j <= count.

    P_k is a sum of cosines, and the mean of cos(j theta) is 1 times (i+2-d)/(i+d), i = 0, 2, ...
    """
    means = [arb(0)] * (count + degree + 1)
    mean = arb(1)
    for j in range(0, len(means), 2):
        means[j] = mean
        mean = mean * (j + 2 - dim) / (j + dim)
    terms = list(enumerate(cosine_series(dim, degree)))
    parts = []
    for j in range(count + 1):
        total = arb(0)
        for i, b in terms:
            at = 2 * i + degree % 2
            total += b * (means[j + at] + means[abs(j - at)]) / 2
        parts.append(total)
    return parts


def _largest(matrix: arb_mat, digits: int) -> arb:
    """Largest eigenvalue of a positive semidefinite matrix by the power iteration."""
    n = matrix.nrows()
    vector = max(
        (arb_mat([[matrix[i, j]] for i in range(n)]) for j in range(n)),
        key=lambda v: float(abs(_dot(v, v)).log()) if not _dot(v, v).is_zero() else -math.inf,
    )
    before, limit = arb(0), arb(10) ** -(digits + 3)
    for _ in range(MOST_STEPS):
        norm = _dot(vector, vector).sqrt().mid()
        if norm.is_zero():
            return arb(0)
        vector = arb_mat([[(vector[i, 0] / norm).mid()] for i in range(n)])
        image = matrix * vector
        value = _dot(vector, image).mid()
        if abs(value - before) <= abs(value) * limit:
            break
        before, vector = value, image
    return value


def _dot(left: arb_mat, right: arb_mat) -> arb:
    return (left.transpose() * right)[0, 0]
