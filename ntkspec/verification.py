"""Recompute entries of a table by an independent method and compare them with its error bounds.

There are two methods: "balls" (`ntkspec.reference.balls`, python-flint) and "mpmath"
(`ntkspec.reference`, Gauss-Jacobi quadrature); neither shares a formula with the engine.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, Literal, get_args

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Ball, Gaussian, Sphere, existing_degrees, family
from ntkspec.errors import NtkspecError, TableError
from ntkspec.locks import PROCESS_STATE
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import whole_number
from ntkspec.reference.balls import Reference
from ntkspec.reference.balls.cube import cube_references as cube_by_balls
from ntkspec.reference.balls.eigenvalue import has_samples, reference_eigenvalue
from ntkspec.reference.balls.gaussian import gaussian_references as gaussian_by_balls
from ntkspec.reference.balls.layered import reference_effort
from ntkspec.reference.balls.norms import ball_references as ball_by_balls
from ntkspec.reference.balls.norms import in_a_ball
from ntkspec.reference.balls.zonal import zonal_references
from ntkspec.reference.description import BALLS_ONLY, checked_digits, describe
from ntkspec.reference.mpmath.cube import cube_references as cube_by_mpmath
from ntkspec.reference.mpmath.gaussian import gaussian_references as gaussian_by_mpmath
from ntkspec.reference.mpmath.norms import ball_references as ball_by_mpmath
from ntkspec.reference.mpmath.spectrum import GaussJacobiValue, gauss_jacobi_spectra
from ntkspec.spectra.route import Source, as_source
from ntkspec.tables import Table, TableSlice, open_stored
from ntkspec.zonal import ZonalKernel

__all__ = [
    "DIGITS",
    "Check",
    "Method",
    "Verification",
    "check_entry",
    "check_method",
    "has_reference",
    "method_name",
    "sample_entries",
    "verify_table",
]

#: How an entry is recomputed.
Method = Literal["balls", "mpmath"]
#: Default digits of the references.
DIGITS: dict[Method, int] = {"balls": 25, "mpmath": 20}

#: A table stores what is below the smallest normal double as 0, with its logarithm.
SMALLEST_NORMAL = 2.2250738585072014e-308
EPSILON = 2.220446049250313e-16
#: One sample in this many is an exact zero, where a table has any.
ZERO_SHARE = 6
DIGITS_SHOWN = 25
#: Eigenvalues of a network that are read to draw from.
MOST_DRAWN_FROM = 2**22


@dataclass(frozen=True)
class Check:
    """One entry of a table against its reference.

    Attributes
    ----------
    dim, degree : int
    reference : str
        The independent value in decimal, 25 digits; "0" for an exact zero.
    relative_error : float
        ``|eigenvalue / reference - 1|``.  For an entry stored as 0 because it underflowed, the
        error of its logarithm beyond that logarithm's own rounding.  inf when only one of entry
        and reference is zero, and for an entry that is no number.
    log_error : float
        ``|log_eigenvalue - log(reference)|``, 0 where both are -inf.
    promised : float
        The relative error that the table promises.
    passed : bool
    method : str
        How the reference was computed: "balls: ..." or "mpmath: ...".
    nodes : int or None
        For "mpmath": the nodes of the finer Gauss-Jacobi rule.
    change : float or None
        For "mpmath": the change when the nodes are doubled, relative to the reference.

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     check = table.checks("tanh")[0]
    >>> check["relative_error"] < 1e-14
    True
    """

    dim: int
    degree: int
    reference: str
    relative_error: float
    log_error: float
    promised: float
    passed: bool
    method: str
    nodes: int | None = None
    change: float | None = None


@dataclass(frozen=True)
class Verification:
    """All checks of one table.

    Attributes
    ----------
    rows : tuple of (str, Check)
        The network's name in the table and the check, in the table's order.
    worst : float
        The largest relative error found.
    passed : bool
        Whether there were rows and every one passed.

    Examples
    --------
    >>> found = verify_table(table_path, samples=2, digits=20, workers=1)
    >>> len(found.rows), found.passed
    (2, True)
    """

    rows: tuple[tuple[str, Check], ...]
    worst: float
    passed: bool


def _sphere_by_balls(
    network: Network, degrees: dict[int, list[int]], *, kernel: Kernel, digits: int
) -> dict[tuple[int, int], Reference]:
    places = [(dim, k) for dim, wanted in degrees.items() for k in wanted]
    if has_samples(network):  # those of the dearest serve the others
        places.sort(
            key=lambda place: reference_effort(network, *place, digits=digits), reverse=True
        )
    return {
        (dim, k): reference_eigenvalue(network, dim, k, kernel=kernel, digits=digits)
        for dim, k in places
    }


#: The reference values of each method and domain, by dimension and degree.
REFERENCES: dict[tuple[Method, str], Callable[..., dict[tuple[int, int], Any]]] = {
    ("balls", "sphere"): _sphere_by_balls,
    ("mpmath", "sphere"): gauss_jacobi_spectra,
    ("balls", "cube"): cube_by_balls,
    ("mpmath", "cube"): cube_by_mpmath,
    ("balls", "gaussian"): gaussian_by_balls,
    ("mpmath", "gaussian"): gaussian_by_mpmath,
    ("balls", "ball"): ball_by_balls,
    ("mpmath", "ball"): ball_by_mpmath,
}


def has_reference(network: Source, domain: str, method: Method) -> bool:
    """Whether a method recomputes eigenvalues of a network on a domain.

    Examples
    --------
    >>> has_reference(Network("tanh"), "gaussian", "mpmath")
    False
    """
    if isinstance(network, ZonalKernel):
        return method == "balls"
    known, name = describe(network), family(domain).name
    if method != "mpmath":
        return name != Ball.name or in_a_ball(known)
    return all(sigma.base not in BALLS_ONLY for sigma in known.sigmas) and (
        name not in (Gaussian.name, Ball.name) or known.radial_power is not None
    )


def check_method(method: str) -> Method:
    """Return the name of a method, or raise NtkspecError.

    Examples
    --------
    >>> check_method("mpmath")
    'mpmath'
    """
    for known in get_args(Method):
        if method == known:
            return known  # type: ignore[no-any-return]
    raise NtkspecError(f"method = {method!r} is not allowed; use 'balls' or 'mpmath'")


def method_name(text: str) -> Method:
    """Return the method that a stored check names, balls if none.

    Examples
    --------
    >>> method_name("mpmath: Gauss-Jacobi in t, 90 nodes")
    'mpmath'
    >>> method_name("zero by parity")
    'balls'
    """
    return "mpmath" if text.startswith("mpmath:") else "balls"


def check_entry(
    network: Source | str,
    dim: int,
    degree: int,
    eigenvalue: float,
    log_eigenvalue: float,
    promised: float,
    *,
    kernel: Kernel = "ntk",
    domain: str = Sphere.name,
    digits: int | None = None,
    method: Method = "balls",
) -> Check:
    """Recompute one eigenvalue independently and compare.

    The check passes when the eigenvalue is within `promised` of the reference and its logarithm
    within `promised` plus the logarithm's own rounding.  A stored 0 with a finite logarithm passes
    when the true value is below the smallest normal double and the logarithm is right; one with
    the logarithm -inf passes when the reference cannot be distinguished from 0.

    Parameters
    ----------
    network : Network, ZonalKernel or str
    dim, degree : int
    eigenvalue, log_eigenvalue, promised : float
        As stored, in the probability normalization.
    kernel : {"ntk", "nngp"}
    domain : str
        "sphere", "cube", "gaussian", "ball" or "ball(radius=2.0)", as `ntkspec.domains.family`
        reads it.
    digits : int, optional
        Digits of the reference; 25 if not given, 20 with "mpmath".
    method : {"balls", "mpmath"}
        How the reference is computed: `ntkspec.reference.balls.reference_eigenvalue`, or
        `ntkspec.reference.mpmath.gauss_jacobi_spectrum`.

    Returns
    -------
    Check

    Raises
    ------
    NtkspecError
        When a parameter is not allowed.  A wrong entry does not raise: its check fails.

    Examples
    --------
    >>> check_entry("relu", 3, 1, 1 / 12, -2.4849066497880004, 1e-13, digits=20).passed
    True
    >>> check_entry("relu", 3, 3, 1e-18, -41.44653167389282, 1e-13, digits=20).passed
    False
    >>> check_entry("relu", 3, 1, 1 / 12, -2.4849066497880004, 1e-13, method="mpmath").nodes
    170
    """
    known = family(domain)
    (degree,) = known(dim).check_degrees([degree]).tolist()
    stored = float(eigenvalue), float(log_eigenvalue), float(promised)
    entry = _Entry("", as_source(network), dim, degree, *stored, kernel, str(known))
    digits = DIGITS[check_method(method)] if digits is None else digits
    _refuse_method(entry.network, method)
    return _Batch((entry,), digits, method).check()[0]


def _refuse_method(network: Source, method: str) -> None:
    """Zonal kernels have one reference."""
    if isinstance(network, ZonalKernel) and method != "balls":
        raise NtkspecError(f"method = {method!r} is not allowed for {network.name}; use 'balls'")


@dataclass(frozen=True)
class _Entry:
    """An entry of a table; `name` is the network's there."""

    name: str
    network: Source
    dim: int
    degree: int
    eigenvalue: float
    log_eigenvalue: float
    promised: float
    kernel: Kernel
    domain: str


@dataclass(frozen=True)
class _Batch:
    """Entries of one network, recomputed by one task."""

    entries: tuple[_Entry, ...]
    digits: int
    method: Method

    def __post_init__(self) -> None:
        checked_digits(self.digits)

    def check(self) -> list[Check]:
        first = self.entries[0]
        degrees: dict[int, list[int]] = {}
        for entry in self.entries:
            degrees.setdefault(entry.dim, []).append(entry.degree)
        domain = family(first.domain)
        by = REFERENCES[self.method, domain.name]
        if isinstance(first.network, ZonalKernel):
            by = zonal_references[domain.name]
        found = by(
            first.network, degrees, kernel=first.kernel, digits=self.digits,
            **dict(domain.parameters),
        )  # fmt: skip
        checks = []
        for entry in self.entries:
            reference = found[entry.dim, entry.degree]
            check = _compared(reference, entry, self)
            if isinstance(reference, GaussJacobiValue):
                value = abs(reference.value)
                change = 0.0 if reference.is_zero else float(reference.change / value)
                check = replace(check, nodes=reference.nodes, change=change)
            checks.append(check)
        return checks


def _compared(reference: Reference | GaussJacobiValue, entry: _Entry, batch: _Batch) -> Check:
    """Compare an entry with its reference."""
    stored, stored_log, promised = entry.eigenvalue, entry.log_eigenvalue, entry.promised
    method = f"{batch.method}: {reference.method}"
    if reference.is_zero:
        return _check_of_zero(reference, entry, method)
    with PROCESS_STATE:
        mp = mpmath.mp.clone()
        mp.dps = batch.digits + 20
        value = mp.mpf(reference.value)
        size = abs(value)
        log_size = mp.log(size)
        rounding = 2 * EPSILON * float(abs(log_size))
        log_error = float(abs(stored_log - log_size)) if math.isfinite(stored_log) else math.inf
        if stored == 0.0 and size < SMALLEST_NORMAL:
            relative_error = max(log_error - rounding, 0.0)
        elif stored == 0.0 or not math.isfinite(stored):
            relative_error = math.inf
        else:
            relative_error = float(abs(stored / value - 1))
        allowed = promised + float(mp.mpf(reference.error) / size)
        shown = mp.nstr(
            value, min(DIGITS_SHOWN, batch.digits), min_fixed=-5, max_fixed=DIGITS_SHOWN
        )
    passed = _is_promise(promised) and relative_error <= allowed and log_error <= allowed + rounding
    return Check(
        entry.dim, entry.degree, shown, relative_error, log_error, promised, passed, method
    )


def _is_promise(promised: float) -> bool:
    """Whether the bound promises any digit; NaN, inf and 1 do not."""
    return 0.0 <= promised < 1.0


def _check_of_zero(reference: Reference | GaussJacobiValue, entry: _Entry, method: str) -> Check:
    right = (
        entry.eigenvalue == 0.0
        and entry.log_eigenvalue == -math.inf
        and _is_promise(entry.promised)
    )
    error = 0.0 if right else math.inf
    if reference.error:
        with PROCESS_STATE:
            bound = mpmath.nstr(abs(reference.value) + reference.error, 2)
        method += f"; below {bound}"
    return Check(entry.dim, entry.degree, "0", error, error, entry.promised, right, method)


def sample_entries(
    log_eigenvalues: ArrayLike,
    dims: ArrayLike,
    degrees: ArrayLike,
    *,
    samples: int,
    seed: int,
    exist: NDArray[np.bool_] | None = None,
) -> list[tuple[int, int]]:
    """Draw entries of a table at random, spread over the magnitudes.

    Entries other than 0 are sorted by size and split into equal classes; one is drawn from each.
    The smallest is always drawn, and so is one that is not finite, if there is any.  One draw in
    six is an exact zero, while there are zeros.

    Parameters
    ----------
    log_eigenvalues : array_like, shape (D, K)
        -inf stands for an exact zero.
    dims : array_like, shape (D,)
    degrees : array_like, shape (K,)
    samples : int
        Number of draws; all entries when there are fewer.
    seed : int
        The same seed draws the same entries.
    exist : (D, K) bool array, optional
        Entries to draw from; by default all.

    Returns
    -------
    list of (int, int)
        Indices (i, j) into `log_eigenvalues`, in its order, without duplicates.

    Raises
    ------
    NtkspecError
        When `samples` < 1, `seed` < 0, or the shapes do not match.

    Examples
    --------
    >>> logs = np.array([[-1.0, -np.inf, -30.0], [-2.0, -np.inf, -900.0]])
    >>> (1, 2) in sample_entries(logs, [2, 3], [1, 2, 3], samples=3, seed=0)
    True
    """
    logs = np.asarray(log_eigenvalues, dtype=np.float64)
    if logs.shape != (np.size(dims), np.size(degrees)):
        raise NtkspecError(
            f"log_eigenvalues has shape {logs.shape}; with {np.size(dims)} dims and "
            f"{np.size(degrees)} degrees it must be {(np.size(dims), np.size(degrees))}"
        )
    samples, seed = whole_number(samples, "samples", 1), whole_number(seed, "seed", 0)
    flat = logs.ravel()
    random = np.random.default_rng(seed)
    there = np.flatnonzero(np.ones(logs.shape, np.bool_) if exist is None else exist)
    zeros, others = there[np.isneginf(flat[there])], there[~np.isneginf(flat[there])]
    # Infinities and NaN come last.
    others = others[np.argsort(flat[others], kind="stable")]
    samples = min(samples, there.size)
    of_zeros = min(max(round(samples / ZERO_SHARE), samples - others.size), zeros.size)
    picks = list(_one_of_each_class(others, samples - of_zeros, random))
    if picks and not np.isfinite(flat[others[-1]]):
        picks[-1] = int(others[-1])
    picks += random.choice(zeros, of_zeros, replace=False).tolist()
    return [(int(n) // logs.shape[1], int(n) % logs.shape[1]) for n in sorted(picks)]


def _one_of_each_class(
    ordered: NDArray[np.int64], classes: int, random: np.random.Generator
) -> Iterator[int]:
    """The first, then one from each further of `classes` parts of equal size."""
    edges = np.linspace(0, ordered.size, min(classes, ordered.size) + 1).astype(np.int64)
    for first, end in pairwise(edges):
        yield int(ordered[random.integers(first, end) if first else 0])


def verify_table(
    path: str | os.PathLike[str] | Table,
    *,
    samples: int = 32,
    digits: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    network: Source | str | None = None,
    kernel: Kernel | None = None,
    domain: str | None = None,
    max_dim: int | None = None,
    max_degree: int | None = None,
    method: Method = "balls",
) -> Verification:
    """Draw entries of a table at random, recompute them and compare.

    Parameters
    ----------
    path : path or Table
        A table as `ntkspec sweep` writes it, or one that is open.
    samples : int
        Number of entries, divided evenly among the table's networks, at least one for each.  Where
        there are more networks that are computed when they are read than samples, as many of
        those are drawn.
    digits : int, optional
        Digits of the references; 25 if not given, 20 with "mpmath".
    seed : int
        The same seed draws the same entries.
    workers : int, optional
        Number of processes; one for each processor by default, 1 to stay in this process.
    progress : callable, optional
        Called as ``progress(done, total)`` after each check, or after those of a network that
        share work.
    network, kernel, domain : optional
        As for `Table.names`; all networks if not given.
    max_dim, max_degree : int, optional
        Draw from dimensions and degrees up to these.  A reference for a deep network at high
        degrees and dimensions takes minutes.
    method : {"balls", "mpmath"}
        How the references are computed; "mpmath" shares the Gaussian expectations between all
        entries of a network.

    Returns
    -------
    Verification

    Raises
    ------
    TableError
        When the file is missing, damaged or not a table.
    NtkspecError
        When a parameter is not allowed, or no entries are left to draw from.

    Notes
    -----
    With more than one worker, new processes import the caller's main module (spawn), so a script
    must call this under ``if __name__ == "__main__":``.

    Examples
    --------
    >>> verify_table(table_path, samples=2, digits=20, workers=1).worst < 1e-14
    True
    """
    if workers is not None:
        workers = whole_number(workers, "workers", 1)
    digits = DIGITS[check_method(method)] if digits is None else digits
    entries = [
        entry
        for n, (part, share) in enumerate(
            _shares(path, samples, seed, (network, kernel, domain), (max_dim, max_degree))
        )
        for entry in _entries(part, share, seed + n)
    ]
    if not entries:
        raise TableError(f"{path}: the table has no entries to verify")
    for entry in entries:
        _refuse_method(entry.network, method)
    batches = [_Batch(share, digits, method) for share in _batches(entries, method)]
    checks = _check_all(batches, workers or os.cpu_count() or 1, progress or (lambda *_: None))
    rows = tuple((entry.name, check) for entry, check in zip(entries, checks, strict=True))
    return Verification(
        rows,
        worst=max(check.relative_error for check in checks),
        passed=all(check.passed for check in checks),
    )


def _batches(entries: Sequence[_Entry], method: Method) -> Iterator[tuple[_Entry, ...]]:
    """The entries of a network together where they share work, the others alone."""
    for _, some in groupby(entries, lambda entry: entry.name):
        group = tuple(some)
        first = group[0]
        shares = isinstance(first.network, Network) and has_samples(first.network)
        if method == "mpmath" or (first.domain == Sphere.name and shares):
            yield group
        else:
            yield from ((entry,) for entry in group)


def _shares(
    path: str | os.PathLike[str] | Table,
    samples: int,
    seed: int,
    which: tuple[Source | str | None, Kernel | None, str | None],
    most: tuple[int | None, int | None],
) -> Iterator[tuple[TableSlice, int]]:
    """Part of each network of the table with its number of samples, one in memory at a time."""
    with nullcontext(path) if isinstance(path, Table) else open_stored(path) as table:
        names = _some_computed(
            table.names(which[0], kernel=which[1], domain=which[2]), table.computed, samples, seed
        )
        for n, name in enumerate(names):
            share = samples // len(names) + (n < samples % len(names))
            dims = _up_to(table.dims(name), most[0], "max_dim")
            degrees = _up_to(table.degrees(name), most[1], "max_degree")
            yield table.select(name, _drawn(dims, degrees.size, seed), degrees), max(share, 1)


def _some_computed(
    names: list[str], computed: frozenset[str], samples: int, seed: int
) -> list[str]:
    """The names of what is stored, and of what is computed as many as there are samples."""
    others = [name for name in names if name in computed]
    if len(others) <= samples:
        return names
    random = np.random.default_rng(whole_number(seed, "seed", 0))
    drawn = set(random.choice(others, whole_number(samples, "samples", 1), replace=False).tolist())
    return [name for name in names if name not in computed or name in drawn]


def _up_to(values: NDArray[np.int64], most: int | None, name: str) -> NDArray[np.int64]:
    """The values that are not beyond the most."""
    found = values if most is None else values[values <= most]
    if not found.size:
        raise NtkspecError(f"{name} = {most!r} is not allowed; the table begins at {values[0]}")
    return found


def _drawn(dims: NDArray[np.int64], degrees: int, seed: int) -> NDArray[np.int64]:
    """The dimensions to draw from: all, or as many as fit, the largest among them."""
    count = max(1, MOST_DRAWN_FROM // degrees)
    if count >= dims.size:
        return dims
    others = np.random.default_rng(seed).choice(dims[:-1], count - 1, replace=False)
    return np.sort(np.append(others, dims[-1]))


def _entries(part: TableSlice, samples: int, seed: int) -> list[_Entry]:
    picks = sample_entries(
        part.log_eigenvalues, part.dims, part.degrees, samples=samples, seed=seed,
        exist=existing_degrees(part.domain, part.dims, part.degrees),
    )  # fmt: skip
    return [
        _Entry(
            part.name,
            part.network,
            int(part.dims[i]),
            int(part.degrees[j]),
            float(part.eigenvalues[i, j]),
            float(part.log_eigenvalues[i, j]),
            float(part.relative_error[i]),
            part.kernel,
            part.domain,
        )
        for i, j in picks
    ]  # fmt: skip


def _check_all(
    batches: Sequence[_Batch], workers: int, progress: Callable[[int, int], None]
) -> list[Check]:
    total = sum(len(batch.entries) for batch in batches)
    if min(workers, len(batches)) == 1:
        checks: list[Check] = []
        for batch in batches:
            checks += batch.check()
            progress(len(checks), total)
        return checks
    # The most expensive first, so that no worker has a long one left at the end.
    order = sorted(range(len(batches)), key=lambda n: -_cost(batches[n]))
    context = multiprocessing.get_context("spawn")
    # An interrupt ends the workers at once and silently; this process reports it.
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(batches)),
        mp_context=context,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        futures = {pool.submit(batches[n].check): n for n in order}
        done: dict[int, list[Check]] = {}
        count = 0
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            count += len(done[futures[future]])
            progress(count, total)
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()  # a signal may have come to this process alone
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [check for n in range(len(batches)) for check in done[n]]


def _cost(batch: _Batch) -> int:
    return max(entry.dim + entry.degree for entry in batch.entries)
