"""One smooth layer without bias: singular values of a factor, never its Gram matrix.

Between vectors of squared norms q, q' the kernel is sum_n a_n h_n(s_w q) h_n(s_w q') t^n (Mehler),
a_n = f + g n for f F + g q D.  With nodes q_i and weights W_i of the norm and w(k, n) the
eigenvalue of t^n on the sphere, eigenvalues of degree k are the squares of the singular values of

    M_in = sqrt(W_i) h_n(s_w q_i) sqrt(a_n w(k, n)),    n = k, k + 2, ...

One-sided Jacobi rotations (LAPACK's dgejsv) keep their digits however small they are beside the
largest: an error eps of each column, relative to its norm, changes an eigenvalue i by

    2 eps kappa_i,   kappa_i = (sum_n |M_n|^2 v_in^2)^(1/2) / sigma_i,

with the right vectors v_i; of rows, with the left vectors, where M has more columns than rows.
What terms from N on add is at most sum_i W_i sum_(n >= N) h_n^2 a_n max w(k, n).  A law with a
density has rules of two sizes, which share no node; their difference is the error of the rule.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy
from flint import arb
from numpy.typing import NDArray

from ntkspec.conventions import Shape
from ntkspec.domains import Ball, Domain
from ntkspec.duals.tails import log_binomials, log_bounds
from ntkspec.errors import NtkspecError
from ntkspec.kernels import series
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.ball.norms import BITS, norm_rule
from ntkspec.spectra.gaussian.hermite import FAMILIES, coefficients
from ntkspec.spectra.gaussian.radial import series_weights
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import normalized

__all__ = ["ROUTE"]

UNIT = 2.0**-53
LN2 = math.log(2.0)
#: Terms of the series that are tried, and orders of the derivatives that bound the others.
TERMS, ORDERS = (64, 128, 256, 512, 1024), 160
#: Nodes of the first rule, growth to the next, and the most.
FIRST, GROWTH, MOST = 28, (5, 4), 140
#: What is accepted of terms left out and of the rule.
GOOD = 2e-13
#: Beyond this N eps kappa_i is not known itself.
LOST = 1e-2


class _Layer(NamedTuple):
    """A network of one layer without bias: its activation, variance, and f and g."""

    shape: Shape
    variance: float
    dual: float
    tangent: float


class _Table(NamedTuple):
    """Of a rule: sqrt(W) h_n as mantissas and exponents, radii of balls, variances, weights."""

    mantissas: NDArray[np.float64]
    exponents: NDArray[np.int64]
    radii: NDArray[np.float64]
    variances: NDArray[np.float64]
    weights: NDArray[np.float64]


@exclusive()
def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(domain, Ball)
    assert isinstance(source, Network)
    layer = _Layer(source.sigma.shape, source.weight_variance, *source.mixture(kernel))
    wanted = [k for k in degrees.tolist() if not parity(source, kernel).vanishes(k)]
    found: dict[int, Eigenvalues] = {}
    terms = TERMS[0]
    count = FIRST + 2 * domain.radial
    if wanted:
        found, terms = _with_enough_terms(layer, domain, wanted, count, terms)
    while wanted and domain.continuous:
        count = count * GROWTH[0] // GROWTH[1] + 1
        before = found
        found, terms = _with_enough_terms(layer, domain, wanted, count, terms)
        worst = 0.0
        for k in wanted:
            (m, e, error), (m_0, e_0, _) = found[k], before[k]
            with np.errstate(divide="ignore", invalid="ignore"):
                apart = np.abs(1.0 - np.ldexp(m_0 / m, np.clip(e_0 - e, -1000, 1000)))
            apart[m == 0.0] = 0.0
            worst = max(worst, float(np.max(apart - error, initial=0.0)))
            found[k] = m, e, error + 2.0 * apart
        if worst <= GOOD or count > MOST:
            break
    out = tuple(np.zeros((degrees.size, domain.radial), x) for x in (float, np.int64, float))
    for i, k in enumerate(degrees.tolist()):
        if k in found:
            for whole, part in zip(out, found[k], strict=True):
                whole[i] = part
    return out[0], out[1], out[2]


def _with_enough_terms(
    layer: _Layer, ball: Ball, degrees: list[int], count: int, terms: int
) -> tuple[dict[int, Eigenvalues], int]:
    """Eigenvalues by degree with so many nodes, and as many terms as they need."""
    for size in TERMS:
        if size < max(terms, 2 * degrees[-1]):
            continue
        table = _table(layer, ball, count, size)
        found, worst = {}, 0.0
        for k in degrees:
            found[k], left_out = _of_degree(layer, ball, table, k, size)
            worst = max(worst, left_out)
        if worst <= GOOD:
            break
    return found, size


def _table(layer: _Layer, ball: Ball, count: int, terms: int) -> _Table:
    with working_precision(BITS):
        squares, weights = norm_rule(ball, count)
        rows, radii = [], []
        for square, weight in zip(squares, weights, strict=True):
            root = weight.sqrt()
            h = coefficients(layer.shape, arb(layer.variance) * square, terms)
            rows.append([split(root * x) for x in h])
            radii.append([float((root * x).rad()) for x in h])
        pairs = np.array(rows)
        return _Table(
            pairs[:, :, 0], pairs[:, :, 1].astype(np.int64), np.array(radii),
            np.array([layer.variance * float(s) for s in squares]),
            np.array([float(w) for w in weights]),
        )  # fmt: skip


def _of_degree(
    layer: _Layer, ball: Ball, table: _Table, degree: int, terms: int
) -> tuple[Eigenvalues, float]:
    """Scaled eigenvalues of a degree with bounds, and the largest share of terms left out."""
    n = np.arange(degree, terms, 2)
    with working_precision(BITS):
        weights = series_weights(ball.dim, degree, n.size)
        a = [arb(layer.dual) + arb(layer.tangent) * int(i) for i in n]
        roots = np.array([split((w * x).sqrt()) for w, x in zip(weights, a, strict=True)])
    mantissas = table.mantissas[:, n] * roots[:, 0]
    exponents = table.exponents[:, n] + roots[:, 1].astype(np.int64)
    kept = np.any(mantissas != 0.0, axis=0)
    out = np.zeros(ball.radial), np.zeros(ball.radial, np.int64), np.zeros(ball.radial)
    if not kept.any():
        return out, 0.0
    top = int(exponents[mantissas != 0.0].max())
    places = np.maximum(exponents[:, kept] - top, -1070).astype(np.int32)
    matrix = np.ldexp(mantissas[:, kept], places)
    shifts = np.clip(roots[:, 1].astype(np.int64) - top, -1070, 1000).astype(np.int32)
    radii = np.ldexp(table.radii[:, n] * roots[:, 0], shifts)
    # What is dropped adds at most the sum of its squares to any eigenvalue.
    dropped = radii[:, ~kept].ravel()
    radii = radii[:, kept]
    held = np.linalg.norm(matrix, axis=1) > 0.0
    if not held.all():
        dropped = np.append(dropped, np.abs(matrix[~held]) + radii[~held] + 2.0**-1070)
        if np.count_nonzero(held) < min(ball.radial, *matrix.shape):
            raise _out_of_range()
        matrix, radii = matrix[held], radii[held]
    sigma, across, along = _singular(matrix)
    ranks = min(ball.radial, sigma.size)
    # Entries are rounded three times; those below 2^-1070 are lost.
    unsure = radii + 3.0 * UNIT * np.abs(matrix) + 2.0**-1070
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        columns = np.linalg.norm(across, axis=0)[:, np.newaxis]
        kappa = np.sqrt(np.sum((columns * along) ** 2, axis=0))
        each = 2.0 * across.shape[1] * UNIT * kappa / sigma
        others = np.abs(across @ along / sigma)
        laid = unsure if unsure.shape == across.shape else unsure.T
        entries = np.sum((others.T @ laid) * np.abs(along.T), axis=1) / sigma
        left_out = _tails(layer, table, degree, terms, ball.dim, top) / sigma**2
        left_out += dropped.size * (np.max(dropped, initial=0.0) / sigma) ** 2
        errors = 2.0 * (each + entries) + left_out
    errors[~(each <= LOST)] = np.inf
    mantissa, shift = np.frexp(sigma)
    value, exponent = normalized(mantissa**2, 2 * (shift.astype(np.int64) + top))
    for whole, part in zip(out, (value, exponent, errors), strict=True):
        whole[:ranks] = part[:ranks]
    return out, float(np.max(left_out[:ranks], initial=0.0))


def _out_of_range() -> NtkspecError:
    return NtkspecError(
        "some norms are so small beside others that their part leaves the range of doubles; give "
        "radii closer to each other, or lower degrees"
    )


def _singular(
    matrix: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Singular values, the matrix with no more columns than rows, and its right vectors."""
    across = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    norms = np.linalg.norm(across, axis=0)
    if not np.all(norms > 0.0):
        raise _out_of_range()
    sigma, _, along, work, _, info = scipy.linalg.lapack.dgejsv(
        across, joba=0, jobu=3, jobv=0, jobr=0, jobt=0, jobp=1
    )
    if info != 0:
        raise NtkspecError(f"the eigenvalues in a ball did not converge (dgejsv: {info})")
    return sigma * (work[0] / work[1]), across, along


def _tails(layer: _Layer, table: _Table, degree: int, terms: int, dim: int, top: int) -> float:
    """Bound of what terms from `terms` on add to any eigenvalue of a degree, over 4^top."""
    peak = max(terms, math.ceil(((degree - 2) * (degree + dim) + 2) / (dim - 1)))
    log_w = np.empty(1)
    series.log_weights(np.array([degree]), dim, peak, log_w)
    binomials = log_binomials(terms, ORDERS)
    total = -math.inf
    for q, weight in zip(table.variances.tolist(), table.weights.tolist(), strict=True):
        logs = log_bounds(layer.shape, q, ORDERS) - binomials
        value = float(np.min(logs))
        slope = float(np.min(logs[2:])) + math.log(terms)
        each = np.logaddexp(
            math.log(layer.dual) + value if layer.dual else -math.inf,
            math.log(layer.tangent) + slope if layer.tangent else -math.inf,
        )
        total = float(np.logaddexp(total, math.log(weight) + each))
    return math.exp(min(total + min(float(log_w[0]) + 1e-9, 0.0) - 2.0 * top * LN2, 700.0))


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian" or source.user:
        return None
    single = source.uniform and source.depth == 1 and source.bias_variance == 0.0
    if single and source.sigma.shape.base in FAMILIES:
        return "one smooth layer without bias"
    return None


ROUTE = Route(
    "singular values of a factor", _takes, _eigenvalues, serves="one smooth layer without bias"
)
