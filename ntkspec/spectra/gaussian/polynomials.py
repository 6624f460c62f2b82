"""Polynomial activations under the Gaussian measure: finitely many eigenvalues.

K = sum_(a, b, c) k_(abc) r^a s^b t^c for radii r, s and the cosine t.  With the eigenvalue w(l, c)
of t^c on the sphere, degree l has the kernel sum_ab M_ab r^a s^b, M = sum_c w(l, c) k_(..c), and
the eigenvalues of its operator that are not 0 are those of the matrix M G, G_ab = E[r^(a + b)]:
roots of a polynomial with rational coefficients, enclosed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flint import acb, fmpq, fmpq_mat, fmpq_mpoly, fmpq_mpoly_ctx
from numpy.typing import NDArray

from ntkspec.activations import Activation
from ntkspec.domains import Domain, Gaussian
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.rules import State, follow
from ntkspec.spectra.route import Eigenvalues, Route, Source

__all__ = ["ROUTE"]

ROUNDING = 2.0**-53
#: Bits of an eigenvalue, and those that it has at least.
BITS, KEPT = 128, 64
#: Largest degree of the kernel in one radius.
MOST_POWER = 32


def _coefficients(sigma: Activation) -> tuple[float, ...]:
    """Those of a polynomial activation, the constant first; none of others."""
    if sigma.homogeneous is not None:
        power, right, left = sigma.homogeneous
        return (0.0,) * power + (right,) if right == (-1) ** power * left else ()
    return sigma.coefficients


def _exact(x: float) -> fmpq:
    return fmpq(*x.as_integer_ratio())


def _kernel(network: Network, kernel: Kernel) -> fmpq_mpoly:
    """K as a polynomial in r, s and t."""
    program, ring = network.program, fmpq_mpoly_ctx.get(("r", "s", "t"), "lex")
    r, s, t = ring.gens()

    def activate(index: int, state: State) -> State:
        covariance, c = state.covariance, _coefficients(program.activations[index])
        one = 0 * r + 1
        sizes = [covariance.compose(x, x, one) for x in (r, s)]
        total, slope = 0 * r, 0 * r
        # n! g_n(q) g_n(q') cov^n, g_n = E[sigma^(n)(u)] / n!
        for n in reversed(range(len(c))):
            first, second = (_mean_derivative(c, n, q) for q in sizes)
            slope = slope * covariance + total
            total = total * covariance + fmpq(math.factorial(n)) * first * second
        return State(total, None if state.tangent is None else state.tangent * slope)

    start, ntk = State(r * s * t), kernel == "ntk"
    end = follow(program, start, activate, None, _exact, ntk)
    found: fmpq_mpoly = 0 * r + (end.tangent if ntk else end.covariance)
    return found


def _mean_derivative(c: tuple[float, ...], n: int, q: fmpq_mpoly) -> fmpq_mpoly:
    """E[sigma^(n)(sqrt(q) Z)] / n!."""
    total = 0 * q
    for j in reversed(range((len(c) - 1 - n) // 2 + 1)):
        p = n + 2 * j
        pairs = math.factorial(p) // (math.factorial(n) * 2**j * math.factorial(j))
        total = total * q + _exact(c[p]) * pairs
    return total


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian" or source.user:
        return None
    sigmas = source.sigmas
    if source.program.normalizes or not all(map(_coefficients, sigmas)):
        return None
    power = math.prod(len(_coefficients(sigma)) - 1 for sigma in sigmas)
    if power > MOST_POWER:
        raise NtkspecError(
            f"{source.name} has a kernel of power {power} in |x|, more than {MOST_POWER}; lower "
            "the depth or the degree of the polynomial"
        )
    return "polynomial activations"


@exclusive()
def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(source, Network)
    assert isinstance(domain, Gaussian)
    terms = dict(_kernel(source, kernel).terms())
    most = max((a for a, _, _ in terms), default=0)
    shape = (degrees.size, domain.radial)
    mantissa, exponent = np.zeros(shape), np.zeros(shape, np.int64)
    moments = [fmpq(1)]  # E[r^(2m)]
    for m in range(most):
        moments.append(moments[-1] * fmpq(domain.dim + 2 * m, domain.dim))
    for i, degree in enumerate(degrees.tolist()):
        weights = _weights(domain.dim, degree, most)
        # A power r^a comes with t^c, c <= a of the same parity.
        powers = range(degree, most + 1, 2)
        table = [[fmpq(0)] * len(powers) for _ in powers]
        for (a, b, c), value in terms.items():
            if c in weights:
                table[(a - degree) // 2][(b - degree) // 2] += weights[c] * value
        gram = [[moments[(a + b) // 2] for b in powers] for a in powers]
        for j, root in enumerate(_roots(table, gram)[: domain.radial]):
            mantissa[i, j], exponent[i, j] = split(root)
    return mantissa, exponent, np.where(mantissa == 0.0, 0.0, 2.0 * ROUNDING)


def _weights(dim: int, degree: int, most: int) -> dict[int, fmpq]:
    """Eigenvalues of t^c on the sphere at a degree, by c."""
    weight, found = fmpq(1), {}
    for k in range(degree):
        weight *= fmpq(k + 1, dim + 2 * k)
    for c in range(degree, most + 1, 2):
        found[c] = weight
        weight *= fmpq((c + 1) * (c + 2), (c + 2 - degree) * (c + degree + dim))
    return found


def _roots(table: list[list[fmpq]], gram: list[list[fmpq]]) -> list[Any]:
    """The positive eigenvalues of a product of two semidefinite matrices, the largest first."""
    if not table:
        return []
    polynomial = (fmpq_mat(table) * fmpq_mat(gram)).charpoly().numer()
    zeros = next(i for i, c in enumerate(polynomial.coeffs()) if c)
    bits = BITS
    while True:
        with working_precision(bits):
            found: list[Any] = []
            roots: Any = polynomial.complex_roots()
            for root, times in roots:
                value = acb(root).real
                if not value.contains(0):
                    found += [value] * times
            whole = len(found) == polynomial.degree() - zeros
            if whole and all(x.rel_accuracy_bits() >= KEPT for x in found):
                return sorted(found, key=lambda x: x.mid(), reverse=True)
        bits *= 2


ROUTE = Route(
    "exact fractions", _takes, _eigenvalues, serves="polynomial activations, with bias or not"
)
