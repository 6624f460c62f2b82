"""Eigenvalues by Gauss-Jacobi rules in mpmath, with precision and nodes raised until they agree.

Two kernels are made at each working precision, with different rules for the Gaussian expectations,
and integrated with n and 2 n + 1 nodes: a value is accepted when the change is below the requested
digits.  The estimates of sizes in this file determine the effort, never the value.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mpmath

from ntkspec.errors import NtkspecError
from ntkspec.locks import PROCESS_STATE
from ntkspec.parameters import whole_number
from ntkspec.reference.description import (
    Description,
    Kernel,
    Reference,
    checked_digits,
    describe_for_mpmath,
)
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.integrals import (
    coefficients,
    multiplicity,
    plain_size,
    sphere_rule,
    split_rule,
)
from ntkspec.reference.mpmath.jacobi import MOST_NODES
from ntkspec.reference.mpmath.kernels import (
    NetworkKernel,
    expectations_of,
    lost_digits,
    root_order,
    sigma_values,
)
from ntkspec.reference.zeros import is_zero

__all__ = ["GaussJacobiValue", "gauss_jacobi_spectra", "gauss_jacobi_spectrum"]

#: Digits of the first kernel beyond the requested ones; small eigenvalues take more.
FIRST_DIGITS = 8
MOST_DIGITS = 2000
#: More digits for a degree whose size the previous ones do not tell.
UNSEEN_DIGITS = 40


@dataclass(frozen=True)
class GaussJacobiValue(Reference):
    """An eigenvalue by Gauss-Jacobi quadrature in mpmath.

    Attributes
    ----------
    value, error, method
        As for `ntkspec.reference.balls.Reference`.
    change : mpmath.mpf
        Change when nodes are doubled and other rules are used for the Gaussian expectations.
    nodes : int
        Nodes t of the finer rule.

    Examples
    --------
    >>> found = gauss_jacobi_spectrum("relu", 3, [2], digits=20)[0]
    >>> mpmath.nstr(found.value, 12), found.nodes, found.error < 1e-20 * found.value
    ('0.02734375', 174, True)
    """

    change: mpmath.mpf
    nodes: int


def gauss_jacobi_spectrum(
    network: Any,
    dim: int,
    degrees: Sequence[int],
    *,
    kernel: Kernel = "ntk",
    digits: int = 30,
) -> list[GaussJacobiValue]:
    """Compute eigenvalues of a network's kernel by Gauss-Jacobi quadrature in mpmath.

    The Gaussian expectations are computed in mpmath too: neither the engine nor python-flint has
    a part in it.

    Parameters
    ----------
    network, dim, kernel, digits
        As for `ntkspec.reference.balls.reference_eigenvalue`.
    degrees : sequence of int
        Each k >= 0, in any order.

    Returns
    -------
    list of GaussJacobiValue
        In the order of `degrees`, each as accurate as those of `reference_eigenvalue`.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed, the activation is a user's, or the digits take more nodes
        or operations than this route can afford.

    Notes
    -----
    Funk-Hecke: Dai and Xu, Approximation Theory and Harmonic Analysis on Spheres (2013), theorem
    1.2.9.  Gauss rules: Golub and Welsch 1969.  The trapezoid rule in the plane: Trefethen and
    Weideman 2014, theorem 5.1.  Kernels of relu and its powers: Cho and Saul 2009, section 2.1.

    Examples
    --------
    >>> found = gauss_jacobi_spectrum("tanh", 3, [1, 2, 3], digits=15)
    >>> [mpmath.nstr(x.value, 12) for x in found if not x.is_zero]
    ['0.13947722412', '0.00569676574733']
    """
    order = [whole_number(k, "degree", 0) for k in degrees]
    found = gauss_jacobi_spectra(network, {dim: order}, kernel=kernel, digits=digits)
    return [found[dim, k] for k in order]


def gauss_jacobi_spectra(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 30,
) -> dict[tuple[int, int], GaussJacobiValue]:
    """Compute eigenvalues in several dimensions; the Gaussian expectations are shared.

    Parameters
    ----------
    network, kernel, digits
        As for `gauss_jacobi_spectrum`, and so are the errors raised.
    degrees : mapping from dim to iterable of int

    Returns
    -------
    dict from (dim, degree) to GaussJacobiValue
        The smallest requested eigenvalue determines the working precision of all.

    Examples
    --------
    >>> found = gauss_jacobi_spectra("relu", {2: [0], 3: [1, 2]}, digits=15)
    >>> mpmath.nstr(found[3, 1].value, 12)
    '0.0833333333333'
    """
    net = describe_for_mpmath(network)
    net.mixture(kernel)
    digits = checked_digits(digits)
    wanted = {
        whole_number(dim, "dim", 2): sorted({whole_number(k, "degree", 0) for k in ks})
        for dim, ks in degrees.items()
    }
    problem = _SphereWeights(net, kernel) if net.weights == "sphere" else _Layered(net, kernel)
    with PROCESS_STATE:
        return _until_agreement(problem, {dim: ks for dim, ks in wanted.items() if ks}, digits)


# --- what is integrated --------------------------------------------------------------------------


class _Run(NamedTuple):
    """lambda_0, ..., lambda_top of one rule, the rounding of each, and the number of nodes."""

    values: list[Any]
    noise: list[Any]
    nodes: int


class _Rules:
    """Which rule a network's kernel takes in a dimension, or its activation, whose kink is at 0."""

    def __init__(self, network: Description, *, kink_inside: bool) -> None:
        self.smooth, self.kink_inside = network.smooth, kink_inside
        self.order, self.distance = root_order(network), math.inf

    def size(self, digits: int, dim: int, top: int) -> tuple[bool, int]:
        """Whether the interval is cut at 0, and the nodes to begin with."""
        if self.smooth:
            return False, top // 2 + digits + 8
        panel = 1.7 if self.distance < 1.0 else 1.05
        split = self.order * top / 2 + panel * digits + self.order * dim / 8 + 10
        nats = digits * math.log(10.0)
        plain = math.inf if self.kink_inside else plain_size(nats, dim, top)
        return (True, int(split)) if split <= plain else (False, int(plain))

    def make(self, precision: Precision, n: int, dim: int, cut: bool) -> tuple[list[Any], Any]:
        """Nodes and weights."""
        if cut:
            return split_rule(precision, n, dim, self.order, self.distance)
        return sphere_rule(precision, n, dim)


class _Problem(ABC):
    """What is integrated against P_0, ..., P_(top + more)."""

    more = 0
    digits: int
    precision: Precision

    def __init__(self, network: Description, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.rules = _Rules(network, kink_inside=bool(self.more))

    def is_zero(self, degree: int) -> bool:
        """Whether lambda_k is 0."""
        return is_zero(self.network, self.kernel, degree)

    @abstractmethod
    def prepare(self, digits: int) -> None:
        """Prepare the shared part of all dimensions, to some digits of the kernel's size."""

    @abstractmethod
    def run(self, dim: int, top: int, n: int, second: bool) -> _Run:
        """Integrate with n nodes."""

    @abstractmethod
    def method(self, dim: int, top: int) -> str:
        """Describe the method."""

    def first_size(self, dim: int, top: int) -> int:
        """Nodes to begin with."""
        return self.rules.size(self.digits, dim, top + self.more)[1]

    def rule(self, dim: int, top: int, n: int) -> tuple[list[Any], Any]:
        """Nodes and weights."""
        return self.rules.make(self.precision, n, dim, self.is_cut(dim, top))

    def is_cut(self, dim: int, top: int) -> bool:
        """Whether the interval is cut at 0."""
        return self.rules.size(self.digits, dim, top + self.more)[0]


class _Layered(_Problem):
    """A network with Gaussian weights."""

    def prepare(self, digits: int) -> None:
        self.digits = digits
        self.precision = Precision(digits + lost_digits(self.network) + self.network.depth)
        first = NetworkKernel(self.precision, self.network, self.kernel, second=False)
        # The second is made when it is first used.
        self.kernels = {False: first}
        self.size = abs(first.values([self.precision.mp.one])[0])
        if not self.rules.smooth:
            self.rules.distance = first.gap() ** (1 / self.rules.order)

    def run(self, dim: int, top: int, n: int, second: bool) -> _Run:
        rule = self.rule(dim, top, n)
        if second not in self.kernels:
            self.kernels[second] = NetworkKernel(self.precision, self.network, self.kernel, second)
        row = self.kernels[second].values(rule[0])
        (values,) = coefficients(self.precision, dim, top, rule, row)
        return _Run(values, _noise(self.precision, self.digits, self.size, dim, top), len(row))

    def method(self, dim: int, top: int) -> str:
        where = f"u^{self.rules.order} = 1 -+ t" if self.is_cut(dim, top) else "t"
        return f"Gauss-Jacobi in {where}, {expectations_of(self.network)}"


class _SphereWeights(_Problem):
    """One layer with weights on a sphere: lambda_k = phi_k^2, phi_k the integral of sigma itself.

    For t times the kernel of sigma' the product rule of Gegenbauer polynomials (DLMF 18.9.1).
    """

    more = 1

    def prepare(self, digits: int) -> None:
        self.digits = digits
        self.precision = Precision(digits + 4)

    def run(self, dim: int, top: int, n: int, second: bool) -> _Run:
        p = self.precision
        mp, s_w = p.mp, p.mp.mpf(self.network.weight_variance)
        rule = self.rule(dim, top, n)
        sigma, slope = sigma_values(p, self.network, mp.sqrt(s_w * dim), rule[0])
        phi, psi = coefficients(p, dim, top + 1, rule, sigma, slope)
        sizes = [max(abs(x) for x in row) for row in (sigma, slope)]
        noises = [_noise(p, self.digits, size, dim, top + 1) for size in sizes]
        of_f, of_d = self.network.mixture(self.kernel)
        values, noise = [], []
        for k in range(top + 1):
            value = of_f * phi[k] ** 2
            error = of_f * noises[0][k] * (2 * abs(phi[k]) + noises[0][k])
            for j, share in ((k - 1, k), (k + 1, k + dim - 2)):
                if of_d and j >= 0:
                    # At k = 0, d = 2 the share is 1.
                    part = of_d * s_w * mp.mpf(share) / (2 * k + dim - 2) if k else of_d * s_w
                    value += part * psi[j] ** 2
                    error += part * noises[1][j] * (2 * abs(psi[j]) + noises[1][j])
            values.append(value)
            noise.append(error)
        return _Run(values, noise, len(rule[0]))

    def method(self, dim: int, top: int) -> str:
        where = "u^2 = 1 -+ t" if self.is_cut(dim, top) else "t"
        return f"Gauss-Jacobi of the activation in {where}"


def _noise(precision: Precision, digits: int, size: Any, dim: int, top: int) -> list[Any]:
    """Effect on lambda_k of errors 10^-digits size in K: the mean of |P_k| is at most N^(-1/2)."""
    mp = precision.mp
    error = size * mp.mpf(10) ** -digits
    return [error / mp.sqrt(multiplicity(dim, k)) for k in range(top + 1)]


# --- accepting values ----------------------------------------------------------------------------


class _Doubled(NamedTuple):
    """The result of the finer of two rules, and the change."""

    run: _Run
    change: list[Any]

    def error(self, k: int) -> Any:
        return self.change[k] + self.run.noise[k]

    def size(self, k: int) -> Any:
        """|lambda_k|, 0 where it cannot be distinguished from 0 or was not computed."""
        if not 0 <= k < len(self.change):
            return 0
        value = abs(self.run.values[k])
        return value if value > 2 * self.error(k) else 0

    def scale(self, k: int, is_zero: bool) -> Any:
        """Scale for the error: the value's size, or that of a zero's smaller neighbour."""
        near = [x for x in (self.size(k - 1), self.size(k + 1)) if x and is_zero]
        return self.size(k) or (min(near) if near else 0)


def _until_agreement(
    problem: _Problem, wanted: Mapping[int, list[int]], digits: int
) -> dict[tuple[int, int], GaussJacobiValue]:
    working, smallest = digits + FIRST_DIGITS, ""
    for dim, ks in wanted.items():
        _check_size(ks[-1], dim, ks[-1])
    while wanted and working <= MOST_DIGITS:
        try:
            problem.prepare(working)
        except NtkspecError as error:
            raise NtkspecError(f"{smallest}{error}") from None
        # One rule shows how small the values are; two are made when the precision is enough.
        found = {dim: _first(problem, dim, ks) for dim, ks in wanted.items()}
        missing = 0
        for stage in (1, 2):
            for dim, ks in wanted.items():
                for k in ks:
                    more = _missing(found[dim], k, problem.is_zero(k), digits, working)
                    if more > missing:
                        missing, smallest = more, f"dim = {dim}, degree = {k}: "
            if missing or stage == 2:
                break
            found = {
                dim: _doubled(problem, dim, ks, found[dim], digits) for dim, ks in wanted.items()
            }
        if not missing:
            return {
                (dim, k): _value(problem, found[dim], dim, ks, k)
                for dim, ks in wanted.items()
                for k in ks
            }
        working += missing
    if not wanted:
        return {}
    raise NtkspecError(
        f"digits = {digits} would take more than {MOST_DIGITS} digits of the kernel in the mpmath "
        "reference; take smaller degrees or dimensions"
    )


def _first(problem: _Problem, dim: int, ks: list[int]) -> _Doubled:
    """The result of one rule, without a change."""
    top = ks[-1] + 1
    n = problem.first_size(dim, top)
    _check_size(n, dim, top - 1)
    run = problem.run(dim, top, n, False)
    return _Doubled(run, [abs(0 * x) for x in run.values])


def _doubled(problem: _Problem, dim: int, ks: list[int], first: _Doubled, digits: int) -> _Doubled:
    """Double the nodes until the change is below the tolerance or the rounding."""
    top, before = ks[-1] + 1, first.run
    n, second = problem.first_size(dim, top), False
    while True:
        n, second = 2 * n + 1, not second
        _check_size(n, dim, top - 1)
        after = problem.run(dim, top, n, second)
        change = [abs(y - x) for x, y in zip(before.values, after.values, strict=True)]
        doubled = _Doubled(after, change)
        scales = {k: doubled.scale(k, problem.is_zero(k)) for k in ks}
        if all(change[k] <= max(after.noise[k], scales[k] / 10 ** (digits + 1)) for k in ks):
            return doubled
        before = after


def _check_size(n: int, dim: int, degree: int) -> None:
    if n > MOST_NODES:
        raise NtkspecError(
            f"degree = {degree} at dim = {dim} takes more than {MOST_NODES} nodes in the mpmath "
            "reference; take smaller degrees or dimensions, or the method 'balls'"
        )


def _missing(doubled: _Doubled, k: int, is_zero: bool, digits: int, working: int) -> int:
    """Additional digits of the kernel for lambda_k."""
    scale = doubled.scale(k, is_zero)
    if scale:
        excess = doubled.run.noise[k] * 10**digits * 4 / scale
        return math.ceil(_log10(excess)) if excess > 1 else 0
    if is_zero:
        return 0
    # Its size is unknown: extrapolate the decay of the previous degrees of its parity.
    known = [
        (j, _log10(doubled.size(j) / doubled.run.noise[j]))
        for j in range(k % 2, k, 2)
        if doubled.size(j)
    ]
    if len(known) < 3:
        return UNSEEN_DIGITS
    (j0, s0), (j1, s1) = known[len(known) // 2], known[-1]
    fall = (s0 - s1) / max(j1 - j0, 1)
    predicted = digits + 3 + fall * (k - j1) - s1
    return int(min(max(predicted, 10.0), 1.5 * working))


def _log10(x: Any) -> float:
    return float(x.context.log10(x))


def _value(
    problem: _Problem, doubled: _Doubled, dim: int, ks: list[int], k: int
) -> GaussJacobiValue:
    method = problem.method(dim, ks[-1] + 1)
    export = [doubled.run.values[k], doubled.error(k), doubled.change[k]]
    value, error, change = (mpmath.make_mpf(x._mpf_) for x in export)
    nodes = doubled.run.nodes
    return GaussJacobiValue(value, error, f"{method}, {nodes} nodes", change, nodes)
