"""Other networks: rules in the angle and the norm on the pointwise kernel, bounds absolute.

The eigenvalues of degree k are those of the matrix over the nodes r_i of the norm

    M_ij = sqrt(W_i W_j) E[K(r_i, r_j, t) P_k(t)],

t the cosine of two independent directions.  Panels in the angle theta, t = cos(theta), shrink
towards 0 and pi, where a kink leaves a singularity as close as two norms are.  An error
eps sqrt(K_ii K_jj) of the kernel changes no eigenvalue by more than

    eps E[K(x, x)] E|P_k| <= eps E[K(x, x)] N(d, k)^(-1/2),

by Cauchy and Schwarz twice.  Rules of two sizes, which share no node, show the error of the rules:
it falls as a power of the number of nodes where a kink meets a norm with a density.  Two rules may
agree by accident: a degree has the largest difference of its own and of two degrees on either side.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from ntkspec.domains import Ball, Domain, legendre, log_multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.networks.pointwise import between_norms
from ntkspec.precision import working_precision
from ntkspec.spectra.ball.norms import BITS, norm_rule
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.rows import normalized

__all__ = ["ROUTE"]

Array = NDArray[np.float64]

UNIT = 2.0**-53
#: Nodes of the first rule in the norm and the most; each has half as many again as that before.
FIRST, MOST = 20, 72
#: Degrees whose differences a degree shares.
BESIDE = (-2, -1, 0, 1, 2)
#: Values of the kernel times terms of its series from which a rule is the last.
MOST_WORK = 1e9
#: Nodes on a panel in the angle, in turn.
NODES = (12, 15)
#: Width of the panels over the wavelength of P_k or the width of the measure; of the least over the
#: least difference of the logarithms of two norms.
WIDTH, LEAST_WIDTH = 0.4, 0.25
#: Natural logarithm of the weight that panels need not resolve, and of that which may be left out.
FAINT, NOTHING = -46.0, -120.0
#: Most values of the kernel at once: 256 MB.
MOST_VALUES = 2**25
#: Difference of two rules from which there are no more, and beyond which an eigenvalue is lost.
GOOD, LOST = 1e-13, 1e-2
#: Largest error of the kernel that is accepted, relative to its diagonal.
KERNEL = 1e-9


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(domain, Ball)
    assert isinstance(source, Network)
    out = tuple(np.zeros((degrees.size, domain.radial), x) for x in (float, np.int64, float))
    kept = np.array([not parity(source, kernel).vanishes(k) for k in degrees.tolist()])
    if not kept.any():
        return out[0], out[1], out[2]
    wanted = degrees[kept]
    several = np.unique(np.add.outer(wanted, BESIDE))
    several = several[several >= 0]
    at, near = np.searchsorted(several, wanted), _beside(several, wanted)
    count, turn = FIRST, 0
    found, absolute, _ = _with_rules(source, kernel, domain, several, count, NODES[turn])
    while True:
        count, turn = count * 3 // 2, 1 - turn
        before = found
        found, absolute, work = _with_rules(source, kernel, domain, several, count, NODES[turn])
        apart = np.array([np.abs(found - before)[some].max(axis=0) for some in near])
        values, errors = found[at], 2.0 * apart + absolute[at]
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(values > errors, errors / values, np.inf)
        # Beyond the number of norms of a discrete law eigenvalues are 0.
        relative[:, len(domain.radii) if not domain.continuous else domain.radial :] = 0.0
        enough = np.all(apart <= GOOD * values) or count * 3 // 2 > MOST or work > MOST_WORK
        if not domain.continuous or enough:
            break
    relative[relative > LOST] = np.inf
    out[0][kept], out[1][kept] = normalized(*_split(values))
    out[2][kept] = relative
    return out[0], out[1], out[2]


def _beside(several: NDArray[np.int64], wanted: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Which degrees are near each wanted one."""
    return [np.isin(several, degree + np.array(BESIDE)) for degree in wanted]


def _split(values: Array) -> tuple[Array, NDArray[np.int64]]:
    mantissas, exponents = np.frexp(values)
    return mantissas, exponents.astype(np.int64)


def _with_rules(
    network: Network, kernel: Kernel, ball: Ball, degrees: NDArray[np.int64], count: int, nodes: int
) -> tuple[Array, Array, float]:
    """Eigenvalues (degrees, radial), largest first, absolute errors beside those of rules, work."""
    with working_precision(BITS):
        squares, balls = norm_rule(ball, count)
    norms, weights = np.sqrt([float(s) for s in squares]), np.array([float(w) for w in balls])
    gap = float(np.min(np.diff(np.sort(np.log(norms))), initial=1.0))
    angles, measure = _angles(ball.dim, int(degrees[-1]), nodes, LEAST_WIDTH * gap)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    polynomials = legendre(degrees, ball.dim, directions[:, 0]) * measure
    means = np.zeros((norms.size, norms.size, degrees.size))
    step = max(1, MOST_VALUES // norms.size**2)
    for first in range(0, angles.size, step):
        some = slice(first, first + step)
        values, error, terms = between_norms(network, norms, directions[some], kernel)
        if first == 0:
            mean = float(weights @ np.diag(values[:, :, 0]))
        if error > KERNEL:
            raise NtkspecError(
                f"the kernel of {network.name} between vectors of norms to {norms.max():.3g} is "
                f"known to {error:.2g} only; lower the radius, or weight_variance"
            )
        means += values @ polynomials[:, some].T
    roots = np.sqrt(np.outer(weights, weights))
    found = np.zeros((degrees.size, ball.radial))
    ranks = min(ball.radial, norms.size)
    for row in range(degrees.size):
        matrix = means[:, :, row] * roots
        found[row, :ranks] = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[::-1][:ranks]
    share = np.exp(-0.5 * log_multiplicity(ball.dim, degrees))
    rounding = UNIT * (4.0 * math.sqrt(angles.size) + degrees)
    absolute = ((error + rounding) * mean * share)[:, np.newaxis]
    work = 0.5 * norms.size**2 * angles.size * max(1, terms)
    return found, absolute + norms.size * UNIT * found[:, :1], work


def _angles(dim: int, degree: int, nodes: int, least: float) -> tuple[Array, Array]:
    """Angles in [0, pi], the first 0 of weight 0, and weights of the law of two directions' angle.

    The panels at 0 and pi are the `least` wide.  Without angles whose weight is below e^NOTHING:
    an eigenvalue above UNIT E[K(x, x)] N^(-1/2) has N(d, k) < 1e32, and they add below 1e-50.
    """
    constant = scipy.special.gammaln(0.5 * dim) - scipy.special.gammaln(0.5 * (dim - 1))
    constant -= 0.5 * math.log(math.pi)
    # Angles outside of (low, pi - low) have a weight below e^FAINT.
    low = math.exp((FAINT - max(constant, 0.0)) / (dim - 1))
    width = WIDTH * min(1.0, 4.0 * math.pi / (degree + 1.0), 2.0 / math.sqrt(dim))
    middle = np.linspace(0.0, math.pi, max(2, math.ceil(math.pi / width)) + 1)
    halves = middle[1] * 0.5 ** np.arange(1, 2 + max(0, math.ceil(math.log2(width / least))))
    ends = halves[halves > 0.5 * low][::-1]
    edges = np.concatenate([[0.0], ends, middle[1:-1], math.pi - ends[::-1], [math.pi]])
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)[:, np.newaxis]
    angles = (edges[:-1, np.newaxis] + half * (1.0 + x)).ravel()
    with np.errstate(divide="ignore"):
        log_measure = (dim - 2.0) * np.log(np.sin(angles)) + constant
    some = log_measure > NOTHING
    weights = (half * w).ravel()[some] * np.exp(log_measure[some])
    return np.append(0.0, angles[some]), np.append(0.0, weights)


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network):
        raise NtkspecError(
            f"{source.name} is a function of the cosine alone, which has no values off the sphere; "
            "give a Network"
        )
    if source.weights == "sphere":
        raise NtkspecError("weights = 'sphere' is not allowed in a ball; use weights = 'gaussian'")
    return "any network whose kernel between vectors is known"


ROUTE = Route(
    "rules in angle and norm", _takes, _eigenvalues, serves="any network, with absolute errors"
)
