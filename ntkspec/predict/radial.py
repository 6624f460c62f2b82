"""Power under the Gaussian measure, by degree and rank.

A function has a profile in each harmonic, its coefficient as a function of r, r^2 = |x|^2 / d.
What counts of them is, by degree, the sum of their products at two radii.  A degree's
eigenfunctions in the radius depend on the kernel: they are the eigenvectors of the matrix

    M_ij = sqrt(W_i W_j) E[K(r_i, r_j, t) P_k(t)]

over the nodes r_i, W_i of Gauss's rule for r, and the power of a rank is a square in them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh_tridiagonal

from ntkspec.domains import legendre, log_multiplicity
from ntkspec.networks import Kernel, Network
from ntkspec.networks.pointwise import between_norms
from ntkspec.precision import working_precision
from ntkspec.predict.by_degree import Array
from ntkspec.predict.modes import Modes
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.gaussian.radial import radial_moment, radial_rule
from ntkspec.spectra.quadrature import gauss_gegenbauer
from ntkspec.spectra.route import Source

__all__ = ["Placed", "Ranks", "place_ranks", "radial_nodes", "ranks_needed", "split_by_rank"]

UNIT = 2.0**-53
#: Nodes of the rule from which that in r is made, and the weight that it leaves out is e^-NATS.
FINE, NATS = 400, 60.0
#: Nodes in the cosine, beside the degree.
ANGLES = 128
#: Largest angle by which an eigenvector may be off, and relative difference of its eigenvalue.
TOLD_APART = 1e-4
#: Largest relative error of a moment of r for powers of the norm.
MOMENT = 1e-8
#: Share of the power in ranks that a spectrum need not have.
FEW = 1e-4


class Ranks(NamedTuple):
    """Power of one degree in its eigenfunctions.

    Attributes
    ----------
    values : (J,) float64 array
        Eigenvalues, the largest first.
    powers, errors : (J,) float64 arrays
        Power in each, and what uncertain eigenfunctions make of it.
    whole : float
        Power in all ranks.
    beyond : float
        Bound on the eigenvalues of further ranks.
    """

    values: Array
    powers: Array
    errors: Array
    whole: float
    beyond: float


class Placed(NamedTuple):
    """Power on the modes of a kernel: that of each, and by degree that of ranks beyond them.

    Attributes
    ----------
    powers : (K,) float64 array
    left : (L,) float64 array
        Power in ranks that are not among the modes.
    log_bounds : (L,) float64 array
        Natural logarithms of bounds on the eigenvalues of those ranks; -inf where all are 0.
    """

    powers: Array
    left: Array
    log_bounds: Array


@lru_cache(maxsize=16)
def radial_nodes(dim: int, count: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss's rule for r = |x| / sqrt(d), x ~ N(0, I_d).

    It is exact for polynomials in r, odd ones too: Lanczos's recursion from a fine rule.

    Examples
    --------
    >>> r, weights = radial_nodes(3, 8)
    >>> round(float(weights @ r**2), 12), round(float(weights @ r) * math.sqrt(3 * np.pi / 8), 12)
    (1.0, 1.0)
    """
    with working_precision(96):
        squares, fine = radial_rule(dim, FINE, NATS)
        r, masses = (np.array([float(x) for x in part]) for part in (squares, fine))
    r = np.sqrt(r)
    basis = np.empty((count, r.size))
    basis[0] = np.sqrt(masses / masses.sum())
    middle, sides = np.empty(count), np.empty(count - 1)
    for k in range(count):
        image = r * basis[k]
        middle[k] = image @ basis[k]
        for _ in range(2):
            image = image - (basis[: k + 1] @ image) @ basis[: k + 1]
        if k + 1 < count:
            sides[k] = np.linalg.norm(image)
            basis[k + 1] = image / sides[k]
    nodes, vectors = eigh_tridiagonal(middle, sides)
    return nodes, vectors[0] ** 2


def split_by_rank(source: Source, kernel: Kernel, dim: int, profiles: Array) -> list[Ranks]:
    """Split the power of degrees 0, 1, ... by the eigenfunctions of a kernel.

    `profiles` has for each degree the sum over its harmonics of the products of coefficients at two
    nodes of `radial_nodes`, times the roots of the weights.  Ranks that doubles do not tell from
    the next are left out.

    Examples
    --------
    The constant 1 is sqrt(8 / (3 pi)) r, in three dimensions, and something that no ReLU learns.

    >>> r, weights = radial_nodes(3, 24)
    >>> one = np.sqrt(np.outer(weights, weights))[np.newaxis]
    >>> round(float(split_by_rank(Network("relu"), "ntk", 3, one)[0].powers[0]) * 3 * np.pi, 10)
    8.0
    """
    norms, weights = radial_nodes(dim, profiles.shape[1])
    wholes = np.trace(profiles, axis1=1, axis2=2)
    power = radial_power(source)
    if power is not None:
        return [_of_power(dim, power, *one) for one in zip(profiles, wholes, strict=True)]
    if not isinstance(source, Network):
        return [_not_split(float(whole)) for whole in wholes]
    roots = np.sqrt(weights)
    last = profiles.shape[0] - 1
    t, measure = gauss_gegenbauer(ANGLES + last, dim)
    directions = np.stack([t, np.sqrt(1.0 - t * t)], axis=1)
    values, error, _ = between_norms(source, norms, directions, kernel)
    # E K(x, x), from below; with it the errors of eigenvalues as in spectra.ball.angles.
    mean = float(weights @ np.abs(values[np.arange(norms.size), np.arange(norms.size)]).max(axis=1))
    share = np.exp(-0.5 * log_multiplicity(dim, np.arange(last + 1)))
    polynomials = legendre(np.arange(last + 1), dim, t) * measure
    found = []
    for k, profile in enumerate(profiles):
        matrix = (values @ polynomials[k]) * np.outer(roots, roots)
        lambdas, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        lambdas, vectors = lambdas[::-1], vectors[:, ::-1]
        off = (error + UNIT * (4.0 * math.sqrt(t.size) + k)) * mean * float(share[k])
        off += norms.size * UNIT * float(lambdas[0])
        gaps = lambdas[:-1] - lambdas[1:]
        apart = np.minimum(gaps, np.append(np.inf, gaps[:-1]))
        angles = off / np.maximum(apart, off)
        known = int(np.argmax(np.append(angles > TOLD_APART, True)))
        powers = np.einsum("ij,ik,kj->j", vectors, profile, vectors)[:known]
        powers = np.maximum(powers, 0.0)
        whole, angles = float(wholes[k]), angles[:known]
        errors = 2.0 * angles * np.sqrt(powers * whole) + angles**2 * whole
        found.append(
            Ranks(lambdas[:known], powers, errors, whole, max(float(lambdas[known]), 0.0) + off)
        )
    return found


def _of_power(dim: int, power: float, profile: Array, whole: float) -> Ranks:
    """Kernels times (r r')^P: the eigenfunction is r^P, and all further eigenvalues are 0."""
    norms, weights = radial_nodes(dim, profile.shape[0])
    with working_precision(128):
        log_moment = float(radial_moment(dim, power).log())
    vector = np.exp(0.5 * (np.log(weights) - log_moment) + power * np.log(norms))
    off = abs(float(vector @ vector) - 1.0)
    if not off <= MOMENT:
        return _not_split(whole)
    found = float(vector @ profile @ vector)
    some = np.array([min(max(found, 0.0), whole)])
    return Ranks(np.full(1, np.nan), some, np.array([(off + 8.0 * UNIT) * whole]), whole, 0.0)


def _not_split(whole: float) -> Ranks:
    return Ranks(np.empty(0), np.empty(0), np.empty(0), whole, math.inf)


def ranks_needed(ranks: list[Ranks], most: int) -> int:
    """How many ranks of each degree have nearly all of the power that can be split.

    Examples
    --------
    >>> one = Ranks(np.ones(3), np.array([0.9, 0.1, 1e-9]), np.zeros(3), 1.0, 0.0)
    >>> ranks_needed([one], 12)
    2
    """
    enough = FEW * sum(one.whole for one in ranks)
    for count in range(1, most):
        if sum(float(one.powers[count:].sum()) for one in ranks) <= enough:
            return count
    return most


def place_ranks(known: Modes, ranks: list[Ranks], negligible: float) -> Placed:
    """Power on the modes of a kernel, of degrees with more than the negligible power.

    An eigenvalue that is not that of the modes ends the ranks of a degree.

    Raises
    ------
    NtkspecError
        For a degree that is not among the modes.
    """
    powers = np.zeros(known.degrees.size)
    left, bounds = [], []
    for degree, one in enumerate(ranks):
        if one.whole <= negligible:
            continue
        at = known.places(degree, "degree of the target")
        logs = known.log_eigenvalues[at]
        count = min(one.powers.size, len(at))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            differs = np.abs(np.expm1(np.log(one.values[:count]) - logs[:count])) > TOLD_APART
            beyond = float(np.log(one.beyond)) if count == one.powers.size else math.inf
        count = int(np.argmax(np.append(differs, True)))
        powers[at[:count]] = one.powers[:count]
        left.append(max(0.0, one.whole - float(one.powers[:count].sum())))
        bounds.append(min(beyond, float(logs[min(count, len(at) - 1)])))
    return Placed(powers, np.array(left), np.array(bounds))
