"""`ntkspec.patches_spectrum`: spectra of convolutional networks on independent patches."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.conventions import check_degrees
from ntkspec.domains import Patches, Sphere, log_multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.networks.pointwise import checked_tolerance
from ntkspec.parameters import RAISE, shown, ways, whole_number
from ntkspec.precision import exclusive
from ntkspec.spectra.kernel_at_one import kernel_at_one
from ntkspec.spectra.patches.pooling import Pooling, pooling_of
from ntkspec.spectra.patches.result import PatchesSpectrum
from ntkspec.spectra.patches.tree import Sums, Tree, partitions
from ntkspec.spectra.route import Source, as_source, default_tolerance
from ntkspec.spectra.rows import normalized
from ntkspec.spectra.spectrum import spectrum

__all__ = ["patches_spectrum"]

UNIT = 2.0**-53
#: Default bound on the relative errors of the tree.
TOLERANCE = 1e-2
#: Default last degree of the tree.
LAST = 6
#: Most patches, multi-degrees and total degree of a tree.
MOST_PATCHES, MOST_ENTRIES, MOST_DEGREE = 1000, 4000, 200
#: Powers of the covariance and of t that are summed, tried in turn until errors are good.
STEPS = ((64, 256), (128, 512), (256, 1024), (512, 1024))
GOOD = 1e-12

Array = NDArray[np.float64]


def patches_spectrum(
    network: Source | str,
    count: int,
    dim: int,
    *,
    pooling: str | ArrayLike | None = None,
    depth: int = 1,
    degrees: int | str | Iterable[int] | None = None,
    kernel: Kernel = "ntk",
    tolerance: float | None = None,
) -> PatchesSpectrum:
    """Eigenvalues of a convolutional network on independent patches that do not overlap.

    Parameters
    ----------
    network : Network, ZonalKernel or str
        The network on each patch, with kernel kappa; with depth = 2 a network of two hidden
        layers, or the name of its activation.
    count : int
        Number of patches.
    dim : int
        Dimension of each patch, a uniform unit vector.
    pooling : {None, "sum", "mean"} or (count, count) array_like
        What follows kappa.  None: a dense readout, K = mean_i kappa(<x_i, x'_i>).  "sum" or
        "mean" of the outputs on all patches, or the matrix A of sum_ij A_ij kappa(<x_i, x'_j>):
        W.T @ W for outputs that are sums with fixed weights W.
    depth : {1, 2}
        2: the tree.  The network's first hidden layer is on each patch, the second is dense over
        all of them.
    degrees : int, str or iterable of int, optional
        Total degrees, the sums of the degrees in all patches; by default those of `spectrum` on
        the sphere, and for the tree 0 to 6.
    kernel : {"ntk", "nngp"}
    tolerance : float, optional
        Largest relative error accepted, by default as for `spectrum`, and for the
        tree 1e-2.

    Returns
    -------
    PatchesSpectrum
        `ntkspec.predict` takes it as it takes a spectrum.

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed, and if an eigenvalue cannot be computed to the
        tolerance.

    Notes
    -----
    Without pooling kappa_0 occurs once, and kappa_k / p with multiplicity p N(d, k).  With A, the
    sum of its entries times kappa_0 occurs once, and each eigenvalue of A times kappa_k with
    multiplicity N(d, k).  Eigenvalues of A that rounding of its entries could make, below
    8 p 2^-53 times the largest, are taken to be 0.  The tree: docs/patches.rst.

    Patches that overlap are not independent, and no formula holds for them.

    Examples
    --------
    >>> s = patches_spectrum("relu", 4, 3, degrees=[0, 1, 2])
    >>> s.eigenvalues, s.multiplicities
    (array([0.0625    , 0.02083333, 0.00683594]), array([ 1., 12., 20.]))
    >>> patches_spectrum("relu", 4, 3, pooling="mean", degrees=[2])[2]
    array([0.00683594, 0.        ])
    >>> s = patches_spectrum("erf", 2, 3, depth=2, degrees=[1, 3])
    >>> s.multidegrees, s.multiplicities
    (((1,), (3,), (2, 1)), array([ 6., 14., 30.]))
    """
    levels = whole_number(depth, "depth", 1, 2)
    where = Patches(dim, count=count)
    if levels == 2 and isinstance(network, str):
        network = Network(network, depth=2)
    source = as_source(network)
    wanted = None if degrees is None else np.unique(check_degrees(degrees))
    default = default_tolerance(source) if levels == 1 else TOLERANCE
    limit = default if tolerance is None else checked_tolerance(tolerance)
    if levels == 1:
        return _pooled(source, where, pooling_of(pooling, where.count), wanted, kernel, limit)
    if pooling is not None:
        raise NtkspecError(
            f"pooling = {shown(pooling)} is not allowed with depth = 2, whose second layer is "
            "dense over the patches; leave it out"
        )
    if not isinstance(source, Network):
        raise NtkspecError(
            f"{source.name} is not allowed with depth = 2; give a Network of two hidden layers"
        )
    every = np.arange(LAST + 1) if wanted is None else wanted
    return _of_tree(source, where, every, kernel, limit)


def _pooled(
    source: Source, where: Patches, pooling: Pooling, degrees: NDArray[np.int64] | None,
    kernel: Kernel, tolerance: float,
) -> PatchesSpectrum:  # fmt: skip
    """One layer: eigenvalues of kappa times those of the pooling matrix."""
    room = tolerance - 2.0 * UNIT - float(pooling.errors.max())
    if not room > 0.0:
        raise NtkspecError(
            "the smallest eigenvalue of pooling is known to a relative error of "
            f"{float(pooling.errors.max()):.2g}, which exceeds tolerance = {tolerance:g}"
            + ways(RAISE)
        )
    patch = spectrum(source, Sphere(where.dim), degrees, kernel=kernel, tolerance=room)
    wanted = patch.degrees
    ranks = pooling.eigenvalues.size
    first = int(wanted[0] == 0)
    rest = wanted[first:]
    factors = np.append(np.full(first, pooling.total), np.tile(pooling.eigenvalues, rest.size))
    felt = np.append(np.full(first, 2.0 * UNIT), np.tile(pooling.errors, rest.size))
    at = np.append(np.arange(first), np.repeat(np.arange(first, wanted.size), ranks))
    mantissas, exponents = normalized(patch.mantissas[at] * factors, patch.exponents[at])
    errors = np.where(mantissas == 0.0, 0.0, patch.relative_error[at] + felt + 2.0 * UNIT)
    counts = np.append(np.zeros(first), np.tile(np.log(pooling.counts), rest.size))
    counts += log_multiplicity(where.dim, wanted[at])
    size = mantissas.size
    radial = np.append(np.zeros(first, np.int64), np.tile(np.arange(ranks), rest.size))
    # E K(x, x) = tr A kappa(1) + (sum A - tr A) kappa_0.
    top, top_error = kernel_at_one(source, kernel, where.dim)
    zeroth = float(spectrum(source, Sphere(where.dim), [0], kernel=kernel, tolerance=room)[0])
    diagonal = float(pooling.eigenvalues @ pooling.counts)
    across = (pooling.total - diagonal) * zeroth
    spread = (diagonal + pooling.total) * (room + 1e-15) * abs(zeroth)
    return PatchesSpectrum(
        source, where, kernel, 1, pooling.name, wanted[at], radial,
        tuple((int(k),) if k else () for k in wanted[at]), mantissas, exponents, errors,
        np.zeros(size), counts,
        diagonal * top + across, diagonal * (top_error + 1e-15 * abs(top)) + spread, patch,
        pooling.eigenvalues, pooling.counts, f"one layer; kappa: {patch.route}",
    )  # fmt: skip


@exclusive()
def _of_tree(
    network: Network, where: Patches, wanted: NDArray[np.int64], kernel: Kernel, tolerance: float
) -> PatchesSpectrum:
    """Two layers: sums of positive terms, as many as the errors need."""
    network.check_kernel(kernel)
    whole_number(where.count, "count of a tree", 1, MOST_PATCHES)
    if wanted[-1] > MOST_DEGREE:
        raise NtkspecError(
            f"degree = {wanted[-1]} is not allowed with depth = 2; it must be a whole number from "
            f"0 to {MOST_DEGREE}"
        )
    entries = _entries(wanted.tolist(), where.count)
    tree = Tree(network, where.count, where.dim, kernel)
    most = max(map(sum, entries))
    zero = Sums(tree, 2 * most + 32, 2 * most + 64, entries, support=True).vanish()
    steps = [step for step in STEPS if 2 * most + 8 <= step[0]]
    worst = math.inf
    for step in steps[-1:] if tree.kinked else steps:
        before = worst
        mantissas, exponents, errors, truncation = Sums(tree, *step, entries).results()
        worst = float(np.max(errors[~zero], initial=0.0))
        if worst <= GOOD or worst > 0.5 * before:
            break
    mantissas[zero], exponents[zero], errors[zero], truncation[zero] = 0.0, 0, 0.0, 0.0
    if not worst <= tolerance:
        at = int(np.argmax(np.where(zero, 0.0, errors)))
        raise NtkspecError(
            f"the eigenvalue of degrees {entries[at]} is known to a relative error of {worst:.2g} "
            f"only, which exceeds tolerance = {tolerance:g}" + ways(RAISE, "give lower degrees")
        )
    totals = np.array([sum(one) for one in entries])
    logs = np.where(
        zero, -np.inf, np.log(np.where(zero, 1.0, mantissas)) + exponents * math.log(2.0)
    )
    order = np.lexsort((-logs, totals))
    degrees = totals[order]
    radial = np.arange(order.size) - np.searchsorted(degrees, degrees)
    counts = _log_counts(entries, where)[order]
    top, top_error = kernel_at_one(network, kernel, where.dim)
    return PatchesSpectrum(
        network, where, kernel, 2, "none", degrees, radial, tuple(entries[i] for i in order),
        mantissas[order], exponents[order], errors[order], truncation[order], counts,
        top, top_error, None, np.zeros(0), np.zeros(0),
        "tree: positive terms, of Taylor coefficients",
    )  # fmt: skip


def _entries(totals: list[int], count: int) -> list[tuple[int, ...]]:
    entries: list[tuple[int, ...]] = []
    for total in totals:
        for one in partitions(total, count):
            entries.append(one)
            if len(entries) > MOST_ENTRIES:
                raise NtkspecError(
                    f"degrees up to {totals[-1]} of {count} patches are more than {MOST_ENTRIES} "
                    "multi-degrees; give fewer or lower degrees"
                )
    return entries


def _log_counts(entries: list[tuple[int, ...]], where: Patches) -> Array:
    """Logarithms of N(d, k_1) ... N(d, k_r) times the ways to place the degrees on patches."""
    found = []
    for one in entries:
        ways = math.perm(where.count, len(one))
        for k in set(one):
            ways //= math.factorial(one.count(k))
        harmonics = float(np.sum(log_multiplicity(where.dim, list(one)))) if one else 0.0
        found.append(math.log(ways) + harmonics)
    return np.array(found)
