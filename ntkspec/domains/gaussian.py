"""The Gaussian measure N(0, I_d): eigenvalues of a network's kernel in angle and radius.

The inputs x enter the network as x / sqrt(d), so that K depends on the angle of x and x' and on
|x|^2 / d and |x'|^2 / d.  For every degree of spherical harmonics there is an operator in the
radius alone,

    (A_l f)(r) = E[lambda_l(r, r') f(r')],   r^2 = |x|^2 / d,

with lambda_l(r, r') the eigenvalue on the sphere of t -> K(t; r, r'); its eigenvalues are those of
K, each N(d, l) times.  Three routes:

* homogeneous activations without bias, any depth: K = (r r')^P K(t), one eigenvalue per degree;
* one layer of a smooth activation without bias: lambda_l(r, r') is a sum of products of Hermite
  coefficients at s_w r^2 and s_w r'^2 (Mehler), so A_l is a Gram matrix;
* smooth activations with bias or more layers: lambda_l(r, r') by Gauss's rule in t, the duals of
  unequal variances by the same coefficients.

The last two take a rule in r in many digits and raise nodes, terms and digits together until two
runs agree; their difference is the error stated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar, Protocol

import numpy as np
from flint import arb, arb_mat, arb_poly
from numpy.typing import NDArray

from ntkspec.domains.hermite import FAMILIES, coefficients
from ntkspec.domains.norms import mean_square
from ntkspec.domains.radial import (
    angular_rule,
    leading_eigenvalues,
    radial_rule,
    series_weights,
)
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import whole_number
from ntkspec.precision import exclusive, working_precision
from ntkspec.spectra.conventions import check_degrees, check_dim
from ntkspec.spectra.domain import Domain, Sphere
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.routes import both_parities, route
from ntkspec.spectra.seeds import split
from ntkspec.spectra.spectrum import Spectrum
from ntkspec.zonal import ZonalKernel

__all__ = ["Gaussian", "GaussianSpectrum", "gaussian_spectrum"]

ROUNDING = 2.0**-53
#: Relative difference of two runs that is accepted.
AGREEMENT = 2.0**-43
MOST_DEGREE = 200
MOST_RADIAL = 12
MOST_POWER = 10_000
MOST_RUNS = 9

Doubles = NDArray[np.float64]
#: By degree and rank.
Values = list[list[arb]]


@dataclass(frozen=True)
class GaussianSpectrum(Spectrum):
    """The spectrum of a network's kernel under N(0, I_dim).

    Attributes
    ----------
    network, dim, kernel, normalization
        What it is the spectrum of.
    degrees : (K,) int64 array
        Degrees of the spherical harmonics.
    mantissas : (K, J) float64 array
        In [1, 2), or 0 for an exact zero; along J the eigenvalues of one degree fall.
    exponents : (K, J) int64 array
        eigenvalue = mantissa * 2**exponent.
    relative_error : (K, J) float64 array
        Bound on the relative error: proved for homogeneous activations, otherwise twice the
        difference of two runs of unequal nodes, terms and precision.

    Examples
    --------
    >>> from ntkspec.domains import gaussian_spectrum
    >>> found = gaussian_spectrum("relu", 10, degrees=[0, 1])
    >>> found.eigenvalues.round(6)
    array([[0.01673],
           [0.025  ]])
    >>> found.multiplicities  # of every eigenvalue of the degree
    array([ 1., 10.])
    """

    @property
    def domain(self) -> Gaussian:
        """The Gaussian measure: multiplicities N(d, l) of every eigenvalue of the degree l."""
        return Gaussian(self.dim)


@dataclass(frozen=True)
class Gaussian(Sphere):
    """R^d with the measure N(0, I_d); degrees of harmonics, several eigenvalues in each.

    Examples
    --------
    >>> Gaussian(3).multiplicity(np.arange(4)), Gaussian(3).single
    (array([1., 3., 5., 7.]), False)
    """

    name: ClassVar[str] = "Gaussian measure"
    single: ClassVar[bool] = False

    def falls(self, source: Network | ZonalKernel) -> bool:
        """For networks.

        K is a power series in the cosine whose coefficients are positive semidefinite kernels of
        the two radii: so is the difference of the operators of the degrees l and l + 2, by the
        walk of the sphere, and no eigenvalue of the second exceeds that of the same rank of the
        first.
        """
        return isinstance(source, Network)

    def trace(self, source: Network | ZonalKernel, kernel: Kernel) -> tuple[float, float]:
        """E K(x, x) over the radius, and a bound on its error."""
        assert isinstance(source, Network)
        return mean_square(source, kernel, self.dim)

    def laplacian(self, degrees: NDArray[np.int64]) -> Doubles:
        """Refused: it is not diagonal in the radius."""
        return Domain.laplacian(self, degrees)


def gaussian_spectrum(
    network: Network | str,
    dim: int,
    degrees: int | str | Iterable[int] = range(9),
    radial: int = 1,
    kernel: Kernel = "ntk",
) -> GaussianSpectrum:
    """Eigenvalues under the Gaussian measure N(0, I_dim), the largest few of every degree.

    Parameters
    ----------
    network : Network or str
        A name stands for the poster's network with that activation.
    dim : int
        2 to 10**6; inputs x ~ N(0, I_dim) enter as x / sqrt(dim).
    degrees : int, str or iterable of int
        Degrees l of the spherical harmonics, 0 to 200, in any order.
    radial : int
        How many eigenvalues of each degree, from the largest, 1 to 12.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    GaussianSpectrum
        `eigenvalues[i, j]` is the j-th largest of degree `degrees[i]`, `multiplicities[i]` its
        multiplicity N(dim, l); the sum of all is E[K(x, x)].

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed; for activations with a kink that are not homogeneous
        or have a bias, users' activations and weights on a sphere, which this domain does not
        have; and where two runs do not come to agree.

    Notes
    -----
    Homogeneous activations without bias have one eigenvalue per degree, that of the sphere times
    E[(<x, x> / d)^P], P the power of sigma to the number of layers.  The others: docs/domains.rst.

    Examples
    --------
    >>> s = gaussian_spectrum("relu", dim=3, degrees=[0, 1, 2])
    >>> s.eigenvalues[:, 0]  # here E[|x|^2 / d] = 1
    array([0.0625    , 0.08333333, 0.02734375])
    >>> gaussian_spectrum("erf", dim=10, degrees=[1, 3], radial=2).eigenvalues
    array([[4.30727250e-02, 7.49833319e-05],
           [4.09747913e-04, 2.36953738e-06]])
    """
    source, dim, wanted = as_network(network), check_dim(dim), _checked_degrees(degrees)
    count = _checked_radial(radial)
    source.mixture(kernel)  # refuses another kernel's name
    unique, inverse = np.unique(wanted, return_inverse=True)
    _refuse_unknown(source)
    if source.sigma.homogeneous is not None:
        parts = _homogeneous(source, dim, unique, count, kernel)
    else:
        parts = _settled(source, dim, unique.tolist(), count, kernel)
    mantissa, exponent, error = parts
    return GaussianSpectrum(
        source, dim, kernel, "probability", wanted,
        mantissa[inverse], exponent[inverse], error[inverse],
    )  # fmt: skip


def _refuse_unknown(network: Network) -> None:
    if network.weights == "sphere":
        raise NtkspecError(
            "weights = 'sphere' is not allowed under the Gaussian measure; use weights = 'gaussian'"
        )
    if network.sigma.homogeneous is not None:
        if network.bias_variance == 0.0:
            return
        raise NtkspecError(
            f"bias_variance = {network.bias_variance:g} is not allowed with {network.name} under "
            "the Gaussian measure: the kernel has a kink where x = x', which no route here "
            "resolves; use bias_variance = 0"
        )
    if network.name not in FAMILIES or network.sigma.user:
        known = ", ".join(FAMILIES)
        raise NtkspecError(
            f"activation {network.name!r} is not available under the Gaussian measure; use {known}"
            " or a homogeneous one"
        )


# --- homogeneous activations ---------------------------------------------------------------------


def _homogeneous(
    network: Network, dim: int, degrees: NDArray[np.int64], count: int, kernel: Kernel
) -> tuple[Doubles, NDArray[np.int64], Doubles]:
    """Eigenvalue of the sphere times E[(|x|^2/d)^P]; the others are exact zeros."""
    assert network.sigma.homogeneous is not None
    power = network.sigma.homogeneous[0] ** network.depth
    if power > MOST_POWER:
        raise NtkspecError(
            f"depth = {network.depth} makes a kernel of power {power} in |x|, more than "
            f"{MOST_POWER}; lower the depth or the power"
        )
    source = route(network, kernel)
    sphere, sphere_exponent = both_parities(source, dim, degrees)
    with working_precision(128):
        moment = arb(1)
        for i in range(power):
            moment = moment * (dim + 2 * i) / dim
        factor, shift = split(moment)
    shape = (degrees.size, count)
    mantissa, exponent = np.zeros(shape), np.zeros(shape, np.int64)
    m, e = np.frexp(sphere * factor)
    mantissa[:, 0] = 2.0 * m
    exponent[:, 0] = np.where(m == 0.0, 0, sphere_exponent + shift + e - 1)
    error = np.where(mantissa == 0.0, 0.0, source.relative_error + 3.0 * ROUNDING)
    return mantissa, exponent, error


# --- smooth activations --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Effort:
    """Nodes in the radius and the angle, terms of the series, range of the radius, and digits.

    The weight cut off, e^-reach, is a relative error of every eigenvalue, as the eigenfunctions
    have norm 1; the digits e^-nats must cover the fall of the eigenvalues too.
    """

    nodes: int
    angles: int
    terms: int
    reach: float
    nats: float

    @classmethod
    def first(cls, dim: int, degree: int, radial: int) -> _Effort:
        """Little: most of the work is in the last run anyhow."""
        terms = 64 + 2 * degree + 8 * radial + 700 // dim
        return cls(28 + 2 * radial, 24 + degree, terms, 56.0, 70.0 + 12.0 * radial)

    def more(self, nodes: bool, terms: bool, nats: float) -> _Effort:
        """More of what the last run lacked, and of the rest as it goes with it."""
        return _Effort(
            self.nodes * 5 // 4 if nodes else self.nodes,
            self.angles * 5 // 4,
            -(-self.terms * 7 // 5) if terms else self.terms,
            self.reach + 2.0,
            max(self.nats + 6.0, nats),
        )

    @property
    def bits(self) -> int:
        return int(self.nats / math.log(2.0)) + 40


class _Operators(Protocol):
    """The matrices sqrt(W_i W_j) lambda_l(r_i, r_j)."""

    def diagonal(self, degree: int) -> list[arb]: ...

    def column(self, degree: int, j: int) -> list[arb]: ...


@exclusive()
def _settled(
    network: Network, dim: int, degrees: list[int], count: int, kernel: Kernel
) -> tuple[Doubles, NDArray[np.int64], Doubles]:
    """Raise the effort until runs agree in every eigenvalue that is not an exact zero.

    A run also tells what its last terms did; the nodes are judged against the run before, at
    equally many terms.
    """
    ranks = [min(count, _rank(parity(network, kernel), degree)) for degree in degrees]
    gram = network.depth == 1 and network.bias_variance == 0.0
    effort = _Effort.first(dim, max(degrees), count)
    before: Values | None = None
    lacks_terms = False
    for _ in range(MOST_RUNS):
        values, cut = _run(network, dim, kernel, effort, degrees, ranks)
        by_terms = _differences(values, cut)
        lacks_nodes = True
        if before is not None:
            by_nodes = _differences(cut if lacks_terms else values, before)
            lacks_nodes = by_nodes.max(initial=0.0) > AGREEMENT
            if not lacks_nodes and by_terms.max(initial=0.0) <= AGREEMENT:
                return _as_doubles(values, by_nodes + by_terms, count)
        before = values
        lacks_terms = not gram or by_terms.max(initial=0.0) > AGREEMENT
        falls = [math.log(float(v[0] / v[-1])) for v in values if v and v[-1] > 0]
        effort = effort.more(lacks_nodes, lacks_terms, 48.0 + max(falls, default=0.0))
    raise NtkspecError(
        f"the eigenvalues of degrees {degrees[0]} to {degrees[-1]} in dimension {dim} do not "
        f"settle with {effort.nodes} nodes and {effort.terms} terms; lower the degree, radial or "
        "the variances"
    )


def _run(
    network: Network, dim: int, kernel: Kernel, effort: _Effort, degrees: list[int],
    ranks: list[int],
) -> tuple[Values, Values]:  # fmt: skip
    """Eigenvalues with all terms and, where that costs little, with those of the run before."""
    with working_precision(effort.bits):
        if network.depth > 1 or network.bias_variance > 0.0:
            layered = _Layered(network, dim, kernel, effort)
            values = _leading(layered, degrees, ranks, effort)
            return values, values
        gram = _Gram(network, dim, kernel, effort)
        values = _leading(gram, degrees, ranks, effort)
        return values, _leading(gram.cut(), degrees, ranks, effort)


def _leading(
    operators: _Operators, degrees: list[int], ranks: list[int], effort: _Effort
) -> Values:
    values: Values = []
    for degree, rank in zip(degrees, ranks, strict=True):
        if rank == 0:
            values.append([])
            continue
        column = partial(operators.column, degree)
        diagonal = operators.diagonal(degree)
        values.append(leading_eigenvalues(diagonal, column, rank, effort.nats))
    return values


def _rank(zeros: Parity, degree: int) -> int:
    """How many eigenvalues of a degree are not exact zeros: of t^n with n from a finite list."""
    if zeros.main is None or degree % 2 == zeros.main:
        return MOST_RADIAL
    return sum(n >= degree and (n - degree) % 2 == 0 for n in zeros.others)


class _Gram:
    """One layer without bias: lambda_l(r, r') = sum_n a_n w_n h_n(s_w r^2) h_n(s_w r'^2).

    a_n = f + g n for the kernel f F + g q D, and w_n the eigenvalue of t^n on the sphere.
    """

    def __init__(self, network: Network, dim: int, kernel: Kernel, effort: _Effort) -> None:
        self.dim, self.terms = dim, effort.terms
        squares, weights = radial_rule(dim, effort.nodes, effort.reach)
        dual, tangent = network.mixture(kernel)
        self.factors = [arb(dual) + arb(tangent) * n for n in range(effort.terms)]
        variance = arb(network.weight_variance)
        self.rows = []
        for square, weight in zip(squares, weights, strict=True):
            root = weight.sqrt()
            h = coefficients(network.name, variance * square, effort.terms)
            self.rows.append([root * x for x in h])
        self.degree, self.matrix = -1, arb_mat(0, 0)

    def cut(self) -> _Gram:
        """The same with the terms of the run before."""
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


class _Layered:
    """Bias or more layers: the kernel at pairs of radii by Gauss's rule in the angle."""

    def __init__(self, network: Network, dim: int, kernel: Kernel, effort: _Effort) -> None:
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
        net = self.network
        weight, bias = arb(net.weight_variance), arb(net.bias_variance)
        variances = [weight * x + bias for x in squares]
        layers = []
        for _ in range(net.depth):
            table = [coefficients(net.name, q, self.effort.terms) for q in variances]
            layers.append((variances, table))
            variances = [weight * sum((h * h for h in row), arb(0)) + bias for row in table]
        return layers

    def _values(self, i: int, j: int) -> list[arb]:
        """K at the angles of the rule, for the radii i and j."""
        key = (min(i, j), max(i, j))
        if key not in self.known:
            self.known[key] = self._through_layers(*key)
        return self.known[key]

    def _through_layers(self, i: int, j: int) -> list[arb]:
        net = self.network
        weight, bias = arb(net.weight_variance), arb(net.bias_variance)
        scale = weight * self.radii[i] * self.radii[j]
        covariances = [scale * t + bias for t in self.cosines]
        tangents = covariances
        values, slopes = covariances, covariances
        for layer, (variances, table) in enumerate(self.layers):
            if layer:
                covariances = [weight * x + bias for x in values]
                tangents = [
                    c + weight * t * s
                    for c, t, s in zip(covariances, tangents, slopes, strict=True)
                ]
            size = (variances[i] * variances[j]).sqrt()
            dual = arb_poly([x * y for x, y in zip(table[i], table[j], strict=True)])
            correlations = [(c / size).mid() for c in covariances]
            values = [dual(x) for x in correlations]
            if self.kernel == "ntk":
                derivative = dual.derivative()
                slopes = [derivative(x) / size for x in correlations]
        if self.kernel == "nngp":
            return values
        if net.trained == "hidden":
            return [t * s for t, s in zip(tangents, slopes, strict=True)]
        return [v + t * s for v, t, s in zip(values, tangents, slopes, strict=True)]

    @cached_property
    def _harmonics(self) -> list[list[arb]]:
        """Weights times P_0, P_1, ... at the angles of the rule, made as they are asked for."""
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

    def diagonal(self, degree: int) -> list[arb]:
        return [self._entry(degree, i, i) for i in range(len(self.radii))]

    def column(self, degree: int, j: int) -> list[arb]:
        return [self._entry(degree, i, j) for i in range(len(self.radii))]


def _differences(values: Values, before: Values) -> Doubles:
    """Relative differences, row by row filled up with 0."""
    rows = []
    for row, old in zip(values, before, strict=True):
        pairs = zip(row, old, strict=True)
        rows.append([abs(float(1 - y / x)) if x > 0 else math.inf for x, y in pairs])
    width = max((len(row) for row in rows), default=0)
    return np.array([row + [0.0] * (width - len(row)) for row in rows]).reshape(len(rows), width)


def _as_doubles(
    values: Values, difference: Doubles, count: int
) -> tuple[Doubles, NDArray[np.int64], Doubles]:
    shape = (len(values), count)
    mantissa, exponent, error = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape)
    for k, row in enumerate(values):
        for j, ball in enumerate(row):
            mantissa[k, j], exponent[k, j] = split(ball)
            error[k, j] = 2.0 * difference[k, j] + 2.0 * ROUNDING
    return mantissa, exponent, error


# --- parameters ----------------------------------------------------------------------------------


def _checked_degrees(degrees: int | str | Iterable[int]) -> NDArray[np.int64]:
    wanted = check_degrees(degrees)
    if wanted.max() > MOST_DEGREE:
        raise NtkspecError(
            f"degree = {int(wanted.max())} is not allowed under the Gaussian measure; it must be "
            f"a whole number from 0 to {MOST_DEGREE}"
        )
    return wanted


def _checked_radial(radial: int) -> int:
    return whole_number(radial, "radial", 1, MOST_RADIAL)
