"""Spectra on the circle and the sphere under a density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import DensitySphere, Sphere
from ntkspec.errors import NtkspecError
from ntkspec.kernels import density as kernels
from ntkspec.networks import Kernel
from ntkspec.parameters import RAISE, ways, whole_number
from ntkspec.spectra.density.blocks import Block, blocks
from ntkspec.spectra.density.result import DensitySpectrum
from ntkspec.spectra.density.rule import Profile, Rule, profile, rule
from ntkspec.spectra.density.solver import log2, solved
from ntkspec.spectra.route import Source, double_only
from ntkspec.spectra.routes import routed
from ntkspec.spectra.trace import trace
from ntkspec.threads import one_blas_thread

__all__ = ["density_spectrum"]

Array = NDArray[np.float64]

ROUNDING = 2.0**-53
#: Eigenvalues of the uniform sphere are wanted to this, except of functions of doubles.
UNIFORM = 1e-12
#: Default number of eigenvalues, and bound on their relative errors that is accepted.
DEFAULT_COUNT, TOLERANCE = 100, 1e-2
#: Errors above this are lowered by more degrees, as far as they are cheap.
WANTED = 1e-12
MOST_COUNT = 10**6
#: Numbers of degrees that are tried first, that are cheap, and that are tried at most.
FIRST, CHEAP, SLOW = 32, 256, 512
#: Those that may be asked for: where a block has all functions of the circle, and else.
MOST = {True: 600, False: 1024}
#: Largest N eps kappa_i with which kappa_i itself is known.
RELIABLE = 1e-2


def density_spectrum(
    source: Source,
    sphere: DensitySphere,
    count: int | None,
    max_degree: int | None,
    kernel: Kernel,
    tolerance: float | None,
) -> DensitySpectrum:
    """Largest eigenvalues of a kernel under a density; see `ntkspec.spectrum`.

    Raises
    ------
    NtkspecError
        For parameters that are not allowed, a kernel that is not positive definite, and
        eigenvalues that are not known to the tolerance.

    Examples
    --------
    >>> from ntkspec import Network, Sphere
    >>> crowded = Sphere(2, density="von_mises(2)")
    >>> density_spectrum(Network("erf"), crowded, 2, None, "ntk", None).eigenvalues.round(6)
    array([0.343346, 0.185533])
    """
    limit = TOLERANCE if tolerance is None else tolerance
    wanted = None if count is None else whole_number(count, "count", 1, MOST_COUNT)
    found = profile(sphere)
    most = MOST[found.around]
    with one_blas_thread():  # results would depend on the number of BLAS threads
        if max_degree is not None:
            size = 1 + whole_number(max_degree, "max_degree", 1, most - 1)
            return _chosen(_leading(source, found, size, wanted, kernel, limit), wanted, limit)
        wanted = DEFAULT_COUNT if wanted is None else wanted
        size = FIRST
        while True:
            part = _leading(source, found, size, wanted, kernel, limit)
            errors = part.errors[:wanted]
            good = errors.size == wanted or part.complete
            settled = good and np.all(part.truncations[:wanted] <= WANTED)
            enough = good and np.all(errors <= limit)
            if settled or part.limited or (enough and size >= CHEAP) or size >= SLOW:
                break
            size *= 2
        return _chosen(part, wanted, limit)


@dataclass(frozen=True)
class _Leading:
    """Eigenvalues of the operator on degrees below a size, falling, with what bounds them."""

    source: Source
    sphere: DensitySphere
    kernel: Kernel
    rule: Rule
    size: int
    uniform_route: str
    mantissas: Array
    exponents: NDArray[np.int64]
    errors: Array
    truncations: Array
    azimuthal: NDArray[np.int64]
    multiplicities: Array
    coefficients: list[Array]
    complete: bool
    limited: bool


def _leading(
    source: Source, found: Profile, size: int, wanted: int | None, kernel: Kernel, limit: float
) -> _Leading:
    sphere = found.sphere
    uniform, size, route = _uniform(source, sphere.uniform, size, kernel, limit)
    mantissas, exponents, error = uniform
    log_beyond = _log_beyond(source, sphere.uniform, kernel, uniform, size)
    logs = log2(mantissas, exponents)[:size]
    suffix = np.maximum.accumulate(np.append(logs, log_beyond)[::-1])[::-1]
    nodes = rule(found, size)
    relative, absolute = sphere.density.rounding()
    parts: list[_Part] = []
    seen = np.empty(0)
    # All eigenvalues are at most the trace, K(1).
    reached = log_beyond + math.log2(nodes.most) < math.log2(
        trace(source, sphere.uniform, kernel)[0]
    )
    for block in blocks(nodes, size) if reached else ():
        start = int(block.degrees[0])
        if wanted is not None and seen.size >= wanted:
            last = np.sort(seen)[-wanted]
            if suffix[start] + math.log2(nodes.most) < last:
                break
        keep = np.isfinite(logs[block.degrees])
        if not keep.any():
            continue
        part = _of_block(block, keep, nodes, mantissas, exponents, log_beyond, absolute)
        parts.append(part)
        seen = np.append(seen, part.logs)
    steady = 32 * ROUNDING + 2.0 * relative + float(error[:size].max())
    return _gathered(
        source, kernel, nodes, size, route, parts, steady, log_beyond + math.log2(nodes.most)
    )


@dataclass(frozen=True)
class _Part:
    mantissas: Array
    exponents: NDArray[np.int64]
    logs: Array
    truncations: Array
    roundings: Array
    block: Block
    coefficients: Array


def _of_block(
    block: Block,
    keep: NDArray[np.bool_],
    nodes: Rule,
    mantissas: Array,
    exponents: NDArray[np.int64],
    log_beyond: float,
    absolute: float,
) -> _Part:
    """Eigenvalues of one block, with the bounds of docs/density.rst."""
    degrees = block.degrees[keep]
    roots = np.sqrt(nodes.density)[:, np.newaxis]
    factor = block.functions[:, keep] * roots
    orthonormal, triangle = np.linalg.qr(factor)
    found = solved(triangle, mantissas[degrees], exponents[degrees])
    # What the density times each eigenfunction has beyond the functions of the block.
    product = roots * (orthonormal @ found.left)
    product -= block.functions @ (block.functions.T @ product)
    couplings = np.sum(product**2, axis=0)
    logs = log2(found.mantissas, found.exponents)
    truncations = np.empty(logs.size)
    kernels.excess(logs, couplings, log_beyond, nodes.most, truncations)
    # Without any coupling: the eigenvalues of a positive semidefinite matrix exceed those of a
    # diagonal block by no more than the norm of the other (Weyl).
    with np.errstate(over="ignore", invalid="ignore"):
        weyl = nodes.most * np.exp2(log_beyond - logs)
    truncations = np.fmin(truncations, weyl)
    with np.errstate(over="ignore", invalid="ignore"):
        roundings = 4.0 * ROUNDING * degrees.size * found.conditions
        roundings[roundings > 4.0 * RELIABLE] = math.inf
        if absolute:
            scale = absolute * nodes.most
            roundings += scale * np.sum(found.coefficients**2, axis=0)
    roundings[~np.isfinite(logs) | np.isnan(roundings)] = math.inf
    every = np.zeros((logs.size, block.degrees.size))
    every[:, keep] = found.coefficients.T
    return _Part(found.mantissas, found.exponents, logs, truncations, roundings, block, every)


def _uniform(
    source: Source, sphere: Sphere, size: int, kernel: Kernel, limit: float
) -> tuple[tuple[Array, NDArray[np.int64], Array], int, str]:
    """Eigenvalues of degrees to `size` + 1; fewer of functions of doubles that give fewer."""
    wanted = max(limit, UNIFORM) if double_only(source) else UNIFORM
    found, route = routed(source, sphere, np.arange(size + 2), kernel, wanted)
    mantissas, exponents, error = found
    poor = np.flatnonzero(~(error <= wanted))
    if poor.size:
        size = int(poor[0]) - 2
        if size < 2:
            raise NtkspecError(
                f"degree = {poor[0]}: the eigenvalue of {source.name} on the uniform sphere is "
                f"known to a relative error of {error[poor[0]]:.2g} only, which exceeds "
                f"tolerance = {wanted:g}" + ways(RAISE)
            )
        end = size + 2
        mantissas, exponents, error = mantissas[:end], exponents[:end], error[:end]
    negative = np.flatnonzero(mantissas < 0.0)
    if negative.size:
        raise NtkspecError(
            f"the kernel is not positive definite: its eigenvalue of degree {negative[0]} on the "
            "uniform sphere is negative; a density needs a positive definite kernel"
        )
    return (mantissas, exponents, error), size, route


def _log_beyond(
    source: Source,
    sphere: Sphere,
    kernel: Kernel,
    uniform: tuple[Array, NDArray[np.int64], Array],
    size: int,
) -> float:
    """Logarithm to base 2 of a bound on the eigenvalues of degrees from `size` on."""
    mantissas, exponents, error = uniform
    if sphere.falls(source):
        return float(np.max(log2(mantissas, exponents)[size:] + np.log2(1.0 + error[size:])))
    total, doubt = trace(source, sphere, kernel)
    counts = sphere.multiplicity(np.arange(size))
    terms = counts * np.ldexp(mantissas, exponents)[:size]
    rest = total - math.fsum(terms.tolist()) + doubt + float(terms @ error[:size])
    return math.log2(max(rest, 4.0 * ROUNDING * total)) - math.log2(
        float(sphere.multiplicity(np.array([size]))[0])
    )


def _gathered(
    source: Source, kernel: Kernel, nodes: Rule, size: int, route: str, parts: list[_Part],
    steady: float, log_beyond: float,
) -> _Leading:  # fmt: skip
    """The eigenvalues of all blocks in falling order, to the first that is not known.

    The bounds hold for the eigenvalue of a block, and for that of the rank: where bounds of
    neighbours overlap, the true ones may be in another order.
    """
    logs = _joined([part.logs for part in parts])
    mantissas = _joined([part.mantissas for part in parts])
    exponents = _joined([part.exponents for part in parts]).astype(np.int64)
    order = np.lexsort((-mantissas, np.where(mantissas > 0.0, -exponents, np.iinfo(np.int64).max)))
    mantissas, exponents = mantissas[order], exponents[order]
    truncations = _joined([part.truncations for part in parts])[order]
    roundings = _joined([part.roundings for part in parts])[order] + steady
    place = np.repeat(np.arange(len(parts)), [part.logs.size for part in parts])[order]
    inside = _joined([np.arange(part.logs.size) for part in parts])[order].astype(np.int64)
    logs = logs[order]
    reliable = np.isfinite(roundings)
    unknown = np.flatnonzero(~(reliable & (logs > log_beyond)))
    end = int(unknown[0]) if unknown.size else logs.size
    limited = bool(unknown.size and not np.isfinite(roundings[end]))
    errors = truncations + roundings
    errors[reliable] = _by_rank(logs[reliable], errors[reliable], roundings[reliable])
    truncations[reliable] = _by_rank(logs[reliable], truncations[reliable], 0.0)
    at = list(zip(place[:end].tolist(), inside[:end].tolist(), strict=True))
    return _Leading(
        source, nodes.profile.sphere, kernel, nodes, size, route,
        mantissas[:end], exponents[:end], errors[:end], truncations[:end],
        np.array([parts[p].block.azimuthal for p, _ in at], np.int64),
        np.array([parts[p].block.multiplicity for p, _ in at]),
        [parts[p].coefficients[i] for p, i in at],
        bool(np.isneginf(log_beyond)) and not unknown.size, limited,
    )  # fmt: skip


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0)


def _by_rank(logs: Array, above: Array, below: Array | float) -> Array:
    """Relative errors of falling eigenvalues that hold for their ranks too.

    That of rank i lies between the i-th largest of the lower and of the upper bounds.
    """
    upper = np.sort(logs + np.log2(1.0 + above))[::-1] - logs
    lower = np.sort(logs + np.log2(np.maximum(1.0 - below, 1e-300)))[::-1] - logs
    with np.errstate(over="ignore"):
        apart = np.maximum(np.expm1(math.log(2.0) * upper), -np.expm1(math.log(2.0) * lower))
    return np.maximum(above, apart)


def _chosen(part: _Leading, wanted: int | None, limit: float) -> DensitySpectrum:
    """The eigenvalues that are asked for, or all that are known to the tolerance.

    Raises
    ------
    NtkspecError
        When fewer are known.
    """
    errors = part.errors
    poor = np.flatnonzero(~(errors <= limit))
    known = int(poor[0]) if poor.size else errors.size
    if known < (wanted or 1):
        raise NtkspecError(_refusal(part, known, wanted or 1, limit))
    count = known if wanted is None else wanted
    width = max(row.size for row in part.coefficients[:count])
    coefficients = np.zeros((count, width))
    for i, row in enumerate(part.coefficients[:count]):
        coefficients[i, width - row.size :] = row
    # LAPACK leaves the signs open: the largest coefficient is positive.
    largest = np.argmax(np.abs(coefficients), axis=1)
    coefficients *= np.sign(coefficients[np.arange(count), largest])[:, np.newaxis]
    around = part.rule.profile.around
    what = "both parities of the circle" if around else "each azimuthal degree"
    return DensitySpectrum(
        part.source, part.sphere, part.kernel,
        part.mantissas[:count], part.exponents[:count], errors[:count], part.truncations[:count],
        part.azimuthal[:count], part.multiplicities[:count], coefficients, part.size - 1,
        1.0 / part.rule.mean,
        f"density: singular values of {what}, degrees 0 to {part.size - 1}, from the uniform "
        f"sphere's ({part.uniform_route})",
    )  # fmt: skip


def _refusal(part: _Leading, known: int, wanted: int, limit: float) -> str:
    """Why not all eigenvalues are known to the tolerance, and what to do."""
    asked = f"count = {wanted}"
    # Its readers know it as the number of ranks, or gave it themselves.
    count = ways(("count", f"ask for a count of at most {known}"))
    fewer = count.removeprefix("; ") or f"take ranks below {known}"
    errors = part.errors
    if known < errors.size:
        error = errors[known]
        where = (
            f"{asked}: eigenvalue {known} of {part.source.name} {part.sphere} is known to a "
            f"relative error of {error:.2g} only, which exceeds tolerance = {limit:g}"
        )
        if error > 2.0 * part.truncations[known]:
            return f"{where}, from the rounding" + ways(fewer, RAISE)
        further = ("max_degree", "raise max_degree")
        return f"{where}, from the degrees beyond {part.size - 1}" + ways(fewer, RAISE, further)
    if part.limited:
        return (
            f"{asked}: only the first {known} eigenvalues of {part.source.name} {part.sphere} are "
            "known in doubles, because the density is (almost) 0 somewhere" + ways(fewer)
        )
    if part.complete and known:
        return (
            f"{asked} is not allowed; the kernel {part.source.name} has only {known} eigenvalues "
            f"that are not 0 {part.sphere}"
        )
    return (
        f"{asked}: only the first {known} eigenvalues of {part.source.name} {part.sphere} are "
        f"bounded by degrees 0 to {part.size - 1}" + ways(fewer, ("max_degree", "raise max_degree"))
    )
