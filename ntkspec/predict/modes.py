"""The modes of a kernel: eigenvalue and multiplicity of each degree, and the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ntkspec.conventions import MAX_DEGREE
from ntkspec.domains import (
    DensitySphere,
    Domain,
    Gaussian,
    Patches,
    Sphere,
    Torus,
    as_domain,
    log_multiplicity,
    named_domain,
    one_given,
)
from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import as_whole, lacking, shown, whole_number
from ntkspec.predict.by_degree import Array, ByDegree, Variables, along
from ntkspec.predict.frequencies import pairs
from ntkspec.spectra import Spectrum, TableSlice, spectrum
from ntkspec.spectra.gaussian.norms import radial_power
from ntkspec.spectra.patches.result import PatchesSpectrum
from ntkspec.spectra.patches.tree import partitions
from ntkspec.spectra.route import as_source, default_tolerance, double_only, is_user
from ntkspec.spectra.sphere_routes import row_provider
from ntkspec.spectra.torus.result import TorusSpectrum
from ntkspec.spectra.trace import trace
from ntkspec.zonal import ZonalKernel

if TYPE_CHECKING:
    from ntkspec.spectra.density.result import DensitySpectrum

__all__ = ["Modes", "Source", "modes", "modes_to", "resolved"]

ROUNDING, LN2 = 2.0**-53, math.log(2.0)
#: Roundings of a sum of exponentials N lambda, relative to it: those of abs(ln lambda).
TERMS = 64.0
#: Smallest relative errors of eigenvalues that enter the bounds of sums.
FELT = 1e-11
#: Largest relative excess of the sum of all eigenvalues over the trace that may be rounding.
EXCESS = 1e-9
DEFAULT_DEGREE = 128
#: Largest degrees of `resolved`: for networks of one layer without bias whose eigenvalues have a
#: closed form or a positive series, and for others.
MOST_DEGREE, MOST_SEEDED_DEGREE = 32768, 512
#: Blocks of the likely tail, four for each doubling of the degree, and the least power of k by
#: which its N lambda fall.
TAIL_BLOCKS, LEAST_FALL = 80, 1.05
#: Accepted relative uncertainty from the omitted degrees.
ENOUGH = 1e-3
#: Degrees of harmonics that eigenfunctions under a density are made of: at first, and at most on
#: the circle and on other spheres.
FIRST_HARMONICS, MOST_HARMONICS = 32, {True: 256, False: 128}
#: Largest moduli of frequencies of `resolved` on tori of one, two and three dimensions.
MOST_SIZES = (8192, 128, 16)


@dataclass(frozen=True, eq=False, repr=False)
class Modes(ByDegree):
    """Eigenvalues of a kernel on a domain under its probability measure.

    Attributes
    ----------
    domain : Domain
    degrees, radial : (K,) int64 arrays
        Degree of each eigenvalue, nondecreasing, and its rank in the degree, which is 0 except
        under the Gaussian measure.  Under a density, ranks in falling order stand for degrees, and
        on a torus frequencies, (K,) or (K, dim), whose multiplicity counts m and -m.
    log_eigenvalues : (K,) float64 array
        Natural logarithm of lambda_k; -inf for an exact zero.
    log_multiplicities : (K,) float64 array
        Natural logarithm of the domain's multiplicity N_k.
    trace : float
        E K(x, x) = sum_k N_k lambda_k over all eigenvalues: K(1) on the sphere and the cube.
    rest : (float, float)
        Bounds of the sum of N_k lambda_k over the eigenvalues that are not among these.
    log_count : float
        Natural logarithm of the number of those eigenvalues, with multiplicity; may be inf.
    likely_tail : (B, 2) float64 array
        Estimate of the rest between these bounds: blocks of eigenvalues, the natural logarithms
        of N lambda summed over each and of its lambda.  The last degrees are continued as powers
        of k, up to the known sum.
    log_largest_beyond : float
        Natural logarithm of a bound on each of those eigenvalues.
    errors : (K,) float64 array
        Bounds on the relative errors of the eigenvalues, 0 where they are below 1e-11.

    Examples
    --------
    >>> m = modes("relu", dim=3, max_degree=40)
    >>> m.trace, round(m.rest[1], 4)
    (0.5, 0.0038)
    """

    main: ClassVar[str] = "log_eigenvalue"

    log_eigenvalues: Array
    log_multiplicities: Array
    trace: float
    rest: tuple[float, float]
    log_count: float
    likely_tail: Array
    log_largest_beyond: float
    errors: Array

    def variables(self) -> Variables:
        """Ranks, logarithms of eigenvalues and multiplicities, and shares in the trace."""
        return {
            **self.ranks(),
            **along(self.index, log_eigenvalue=self.log_eigenvalues),
            **along(self.index, log_multiplicity=self.log_multiplicities, share=self.shares),
        }

    def heading(self) -> dict[str, Any]:
        """The domain, and the trace."""
        return {**super().heading(), "trace": self.trace}

    @cached_property
    def shares(self) -> Array:
        """(K,) share of each eigenvalue, with its multiplicity, in the trace."""
        return np.asarray(np.exp(self.log_multiplicities + self.log_eigenvalues)) / self.trace

    def places(self, degree: int | tuple[int, ...], what: str = "degree") -> list[int]:
        """Indices of the eigenvalues of a degree, the largest first, or that of a frequency.

        Raises
        ------
        NtkspecError
            When it is not among the degrees.

        Examples
        --------
        >>> modes("relu", max_degree=4).places(2)
        [2]
        """
        if isinstance(self.domain, Torus):
            row = int(self.rows(np.atleast_2d(degree))[0])
            if row < 0:
                raise NtkspecError(
                    f"{what.replace('degree', 'frequency')} = {degree!r} is not among the "
                    f"frequencies that are known, {len(self.degrees)} of moduli up to "
                    f"{int(np.abs(self.degrees).max())}"
                )
            return [row]
        first = int(np.searchsorted(self.degrees, degree))
        found = list(range(first, int(np.searchsorted(self.degrees, degree, "right"))))
        if not found:
            raise NtkspecError(
                f"{what} = {degree!r} is not among the degrees that are known, "
                f"{np.unique(self.degrees).size} from {self.degrees[0]} to {self.degrees[-1]}"
            )
        return found

    def rows(self, frequencies: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of (F, dim) frequencies of any sign on a torus, -1 for those that are not known.

        Examples
        --------
        >>> modes("erf", Torus.plain(2), max_degree=1).rows(np.array([[0, 1], [-1, 1], [2, 0]]))
        array([ 1,  2, -1])
        """
        mine = self.degrees.reshape(-1, self.dim)
        most = int(np.abs(mine).max())
        strides = (2 * most + 1) ** np.arange(self.dim)[::-1]
        keys = mine @ strides
        order = np.argsort(keys)
        inside = np.abs(frequencies).max(axis=1) <= most
        # Of a frequency and its negative, that one is known whose key is not negative.
        wanted = np.abs(np.clip(frequencies, -most, most) @ strides)
        at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), keys.size - 1)]
        return np.where(inside & (keys[at] == wanted), at, -1)

    def place(self, degree: int, radial: int = 0, what: str = "degree") -> int:
        """Index of an eigenvalue by its degree and rank.

        Raises
        ------
        NtkspecError
            When its degree, or its rank in the degree, is not known.
        """
        found = self.places(degree, what)
        if not 0 <= radial < len(found):
            raise NtkspecError(
                f"radial = {radial!r} of {what} = {degree} is not known; it must be below "
                f"{len(found)}, the number of eigenvalues of each degree"
            )
        return found[radial]

    def log_learnability(self, log_kappa: ArrayLike) -> Array:
        """ln L_k, L_k = lambda_k / (lambda_k + kappa), (..., K), from ln kappa (...).

        kappa = 0 leaves only the exact zeros unlearned.

        Examples
        --------
        >>> modes("relu", max_degree=3).log_learnability(np.log(0.0625))[:2].round(3)
        array([-0.693, -0.56 ])
        """
        logs = self.log_eigenvalues
        with np.errstate(invalid="ignore"):
            gap = logs - np.asarray(log_kappa, dtype=np.float64)[..., None]
            return np.where(np.isneginf(logs), -np.inf, -np.logaddexp(0.0, -gap))

    def freedom(self, log_kappa: ArrayLike, power: int = 1) -> Array:
        """N L^power of each known degree, (..., K).

        N overflows where lambda is tiny: the product is formed in logarithms.

        Examples
        --------
        >>> modes("relu", max_degree=3).freedom(np.log(0.0625)).round(3)
        array([0.5  , 1.714, 1.522, 0.   ])
        """
        return np.asarray(
            np.exp(self.log_multiplicities + power * self.log_learnability(log_kappa))
        )

    def rest_freedom(self, log_kappa: ArrayLike) -> tuple[Array, Array, Array]:
        """Sum of N L over the unknown degrees: least, likely and most, (...) each.

        A term N lambda / (lambda + kappa) lies between N lambda / (the largest lambda + kappa)
        and N lambda / kappa.  Of finitely many terms the sum is largest when all are equal.  The
        least and the most include the effect of errors of the known eigenvalues on their N L.

        Examples
        --------
        >>> [round(float(x), 3) for x in modes("relu", max_degree=40).rest_freedom(np.log(1e-4))]
        [37.48, 38.175, 38.381]
        """
        x = np.asarray(log_kappa, dtype=np.float64)
        with np.errstate(divide="ignore"):
            low, high = np.log(self.rest)
        below = _exp_ratio(float(low), np.logaddexp(self.log_largest_beyond, x))
        above = _exp_ratio(float(high), np.logaddexp(high - self.log_count, x))
        likely = np.clip(self._tail(x, 1), below, above)
        if self.errors.any():
            slack = self.freedom(x) @ self.errors
            below, above = below - slack, above + slack
        return below, likely, above

    def rest_second(self, log_kappa: ArrayLike) -> tuple[Array, Array]:
        """Sum of N L^2 over the unknown degrees: likely and most, (...) each.

        Examples
        --------
        >>> [round(float(x), 4) for x in modes("relu").rest_second(np.log(1e-4))]
        [0.0022, 0.0092]
        """
        most = self.rest_freedom(log_kappa)[2] * self.rest_learnability(log_kappa)
        return np.minimum(self._tail(np.asarray(log_kappa, dtype=np.float64), 2), most), most

    def doubt(self, log_kappa: float) -> float:
        """Relative uncertainty of the sum of N L from the unknown degrees.

        Examples
        --------
        >>> round(modes("relu", max_degree=40).doubt(np.log(1e-4)), 4)
        0.0053
        """
        below, _, above = self.rest_freedom(log_kappa)
        return float((above - below) / (self.freedom(log_kappa).sum() + below))

    def rest_learnability(self, log_kappa: ArrayLike) -> Array:
        """Bound on L of the unknown degrees, (...).

        Examples
        --------
        >>> round(float(modes("relu").rest_learnability(np.log(1e-4))), 4)
        0.0007
        """
        top = self.log_largest_beyond
        return _exp_ratio(top, np.logaddexp(top, np.asarray(log_kappa, dtype=np.float64)))

    def _tail(self, log_kappa: Array, power: int) -> Array:
        """Sum of N L^power over the likely tail."""
        sums, values = self.likely_tail.T
        below = np.logaddexp(values, log_kappa[..., None])
        each = _exp_ratio(sums, below)
        if power == 2:
            each = each * _exp_ratio(values, below)
        return np.asarray(each.sum(axis=-1))


def _exp_ratio(log_above: float | Array, log_below: float | Array) -> Array:
    """exp of a difference of logarithms, 0 if the first is -inf, at most e^700."""
    above = np.asarray(log_above, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.minimum(above - log_below, 700.0)
    return np.asarray(np.where(np.isneginf(above), 0.0, np.exp(gap)))


Source: TypeAlias = (
    "Network | ZonalKernel | str | Spectrum | DensitySpectrum | PatchesSpectrum | TorusSpectrum"
    " | TableSlice | Modes"
)


@lacking("tolerance")
def modes(
    source: Source,
    domain: Domain | int | None = None,
    *,
    dim: int | None = None,
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> Modes:
    """Gather the modes of a kernel.

    Parameters
    ----------
    source : Network, ZonalKernel, str, Modes, TableSlice, or a spectrum
        Spectra are Spectrum, DensitySpectrum, PatchesSpectrum and TorusSpectrum.  A name stands for
        the poster's network.  A spectrum is taken as it is (normalization "probability"), a table's
        slice in one of its dimensions; their degrees in any order.
    domain : Domain or int, optional
        An integer stands for `Sphere`.  By default `Sphere(3)` for a network or a kernel, the
        domain of a spectrum, and the only dimension of a slice.
    dim : int, optional
        Dimension of the sphere, instead of `domain`.
    kernel : {"ntk", "nngp"}
        Of a network.
    max_degree : int, optional
        Largest degree of the spectrum of a network or a kernel; by default 128, 8 under the
        Gaussian measure, or less for a user's function (`modes_to`).  For functions of doubles,
        only degrees with eigenvalues known to 1e-6 are used.  Under a density the largest rank; by
        default that of the last eigenvalue that harmonics of degrees to 32 give to 1 %.  On a torus
        the largest modulus of a frequency's coordinates; by default that of `ntkspec.spectrum`.

    Returns
    -------
    Modes

    Raises
    ------
    NtkspecError
        For a spectrum in another normalization, a kernel that is not positive definite, a domain or
        a kernel that what is given does not have, and what `ntkspec.spectrum` refuses.

    Notes
    -----
    The rest, the sum of N lambda over the omitted eigenvalues, is the trace minus the sum over the
    known ones.  Its bounds include the errors of both, about 1e-14 K(1) for the activations of the
    catalogue; it is 0 if all degrees of the domain are known.  On a torus frequencies whose
    eigenvalue is not known (NaN) are in the rest.

    Predictions are for positive definite kernels.  A negative eigenvalue is refused, and so are
    eigenvalues whose sum exceeds the trace; other negative eigenvalues of a user's kernel among
    the omitted degrees are not detected.

    Examples
    --------
    >>> modes("tanh", dim=10, max_degree=5).shares.round(4)
    array([0.    , 0.8301, 0.    , 0.1319, 0.    , 0.0289])
    >>> import ntkspec
    >>> modes("relu", ntkspec.Cube(4)).rest
    (0.0, 0.0)
    """
    where = one_given(domain, dim)
    given = getattr(source, "domain", None)
    if isinstance(given, Domain) and where is not None and _chosen(where) != given:
        name = "domain" if isinstance(where, Domain) else "dim"
        raise NtkspecError(f"{name} = {where!r} is not allowed; what is given is {given}")
    if isinstance(source, Modes):
        return source
    its = getattr(source, "kernel", "ntk")
    if not isinstance(source, (Network, ZonalKernel, str)) and kernel not in ("ntk", its):
        raise NtkspecError(
            f"kernel = {shown(kernel)} is not allowed; what is given has kernel = {its!r}"
        )
    if isinstance(given, Domain):
        return READERS.get(type(given), _of_spectrum)(source)
    if isinstance(source, TableSlice):
        return _of_slice(source, where)
    where = _chosen(where)
    return MAKERS.get(type(where), _by_degree)(source, where, kernel, max_degree)


def _chosen(where: Domain | int | None) -> Domain:
    """The domain that is meant, a torus included."""
    return where if isinstance(where, Torus) else as_domain(where)


def first_degree(domain: Domain, wanted: int = DEFAULT_DEGREE) -> int:
    """Largest degree that is computed first: the requested one, if it exists and is cheap."""
    if isinstance(domain, Torus):
        return min(wanted, domain.default_size)
    end = domain.last_degree if domain.single else domain.default_degrees[-1]
    return wanted if end is None else min(wanted, end)


def modes_to(source: Source, domain: Domain | int | None, kernel: Kernel, last: int) -> Modes:
    """Modes to a degree; of a user's function to half of it, a quarter, ... if it fails."""
    if not _is_user(source):
        return modes(source, domain, kernel=kernel, max_degree=last)
    while True:
        try:
            return modes(source, domain, kernel=kernel, max_degree=last)
        except NtkspecError:
            if last < 8:
                raise
            last //= 2


def _by_degree(
    source: Network | ZonalKernel | str, domain: Domain, kernel: Kernel, max_degree: int | None
) -> Modes:
    """Modes of a network or a kernel on a domain whose eigenvalues have degrees."""
    if max_degree is None:
        return modes_to(source, domain, kernel, first_degree(domain))
    return _of_spectrum(_computed(source, domain, kernel, max_degree))


def _under_density(
    source: Network | ZonalKernel | str,
    sphere: DensitySphere,
    kernel: Kernel,
    max_degree: int | None,
) -> Modes:
    """Modes of a network or a kernel under a density."""
    if max_degree is None:
        return _of_harmonics(source, sphere, kernel, FIRST_HARMONICS)
    last = whole_number(max_degree, "max_degree", 0, MAX_DEGREE)
    with lacking("count", "max_degree"):
        return _of_density(spectrum(source, sphere, kernel=kernel, count=last + 1))


def _computed(
    source: Network | ZonalKernel | str, domain: Domain, kernel: Kernel, last: int
) -> Spectrum:
    """Spectrum to a degree; for functions of doubles, its known part."""
    last = whole_number(last, "max_degree", 0, MAX_DEGREE)
    if domain.last_degree is not None:
        last = min(last, domain.last_degree)
    known = as_source(source)
    degrees = range(last + 1)
    if not double_only(known):
        return spectrum(known, domain, degrees, kernel=kernel)
    found = spectrum(known, domain, degrees, kernel=kernel, tolerance=math.inf)
    _refuse_negative(found)
    limit = default_tolerance(known)
    kept = found.relative_error <= limit
    if not kept.any():
        raise NtkspecError(
            f"no eigenvalue of {known.name} to degree {last} is known to {limit:g}; give the "
            "function for flint or mpmath numbers"
        )
    return replace(
        found, degrees=found.degrees[kept], mantissas=found.mantissas[kept],
        exponents=found.exponents[kept], relative_error=found.relative_error[kept],
    )  # fmt: skip


def _of_spectrum(source: Spectrum) -> Modes:
    """Modes of a spectrum by degree."""
    domain = as_domain(source.domain)
    if source.normalization != "probability":
        raise NtkspecError(
            f"normalization = {source.normalization!r} is not allowed; predictions need a spectrum "
            "in the normalization 'probability'"
        )
    _refuse_negative(source)
    _refuse_unknown_signs(source)
    degrees, at = np.unique(source.degrees, return_index=True)
    # One row of eigenvalues for each degree.
    logs, error = (
        x.reshape(source.degrees.size, -1)[at]
        for x in (source.log_eigenvalues, source.relative_error)
    )
    return _gathered(domain, source.network, source.kernel, degrees, logs, error)


def _of_slice(source: TableSlice, where: Domain | int | None) -> Modes:
    """Modes of one dimension of a table's slice."""
    domain, row = _domain_and_row(source, where)
    degrees, at = np.unique(source.degrees, return_index=True)
    logs = source.log_eigenvalues[row][at, np.newaxis]
    exist = ~np.isnan(logs[:, 0])  # on the cube degrees end at the dimension
    degrees, logs = degrees[exist], logs[exist]
    error = np.full(logs.shape, source.relative_error[row])
    return _gathered(domain, source.network, source.kernel, degrees, logs, error)


def _is_user(source: Source) -> bool:
    """Whether a spectrum would be computed from a user's function."""
    return isinstance(source, (Network, ZonalKernel)) and is_user(source)


def _refuse_negative(source: Spectrum) -> None:
    for at in np.argwhere((source.mantissas < 0.0) & (source.relative_error < 1.0)):
        raise NtkspecError(
            f"the kernel is not positive definite: its eigenvalue of degree "
            f"{source.degrees[at[0]]} is {source.eigenvalues[tuple(at)]:.6g}; predictions need a "
            "positive definite kernel"
        )


def _refuse_unknown_signs(source: Spectrum) -> None:
    for at in np.argwhere(~(source.relative_error < 1.0)):
        raise NtkspecError(
            f"degree = {source.degrees[at[0]]}: the relative error of the eigenvalue is up to "
            f"{source.relative_error[tuple(at)]:.2g}, so its sign is not known; leave this degree "
            "out"
        )


def _is_summed(source: Network | ZonalKernel, domain: Domain, kernel: Kernel) -> bool:
    """Whether the eigenvalues have a closed form or a positive series."""
    if is_user(source) or not isinstance(domain, Sphere):
        return False
    return row_provider(source, kernel).degrees_alone


def resolved(
    source: Source,
    domain: Domain | int | None,
    kernel: Kernel,
    max_degree: int | None,
    least: int,
    doubt: Callable[[Modes], float],
) -> Modes:
    """Modes to the degree that a prediction needs, at least to `least`; parameters as for `modes`.

    Without a max_degree the degrees of a network or a kernel are doubled until the doubt, the
    relative uncertainty from the omitted degrees, is at most 1e-3 or stops falling, or 32768
    degrees are reached (512 where the eigenvalues have neither a closed form nor a positive series;
    functions of doubles keep those of `modes`, and so does the Gaussian measure, but for kernels
    with a power of the norm, which have 200).  Under a density the degrees of the harmonics are, to
    256 on the circle and 128 on spheres.  On a torus the moduli of the frequencies are, to 8192,
    128 and 16 in one, two and three dimensions.
    """
    if max_degree is not None or not isinstance(source, (Network, ZonalKernel, str)):
        return modes(source, domain, kernel=kernel, max_degree=max_degree)
    network, where = as_source(source), _chosen(domain)
    if isinstance(where, DensitySphere):
        size = FIRST_HARMONICS
        while True:
            known = _of_harmonics(network, where, kernel, size)
            size *= 2
            if size > MOST_HARMONICS[where.dim == 2] or (
                known.degrees.size > least and doubt(known) <= ENOUGH
            ):
                return known
    last, most = max(first_degree(where), least), MOST_SEEDED_DEGREE
    if isinstance(where, Gaussian) and radial_power(network) is not None:
        most = where.most_degree
    elif double_only(network) or not where.single:
        most = last
    elif isinstance(where, Torus):
        most = MOST_SIZES[where.dim - 1]
    elif _is_summed(network, where, kernel):
        most = MOST_DEGREE
    known = modes_to(network, where, kernel, last)
    left = doubt(known)
    while left > ENOUGH and 2 * last <= most:
        last *= 2
        further = modes_to(network, where, kernel, last)
        if further.degrees.size <= known.degrees.size:  # no further for a user's function
            break
        known = further
        before, left = left, doubt(known)
        if left > 0.9 * before:  # only rounding is left
            break
    return known


def _gathered(
    domain: Domain,
    source: Network | ZonalKernel,
    kernel: Kernel,
    degrees: NDArray[np.int64],
    logs: Array,
    errors: Array,
) -> Modes:
    """Modes of eigenvalues given by degree and rank, (K, J), and bounds on their errors."""
    counts = np.broadcast_to(domain.log_multiplicity(degrees)[:, np.newaxis], logs.shape)
    # Large logarithms of N and lambda are added before the exponential.
    rounding = 8 * ROUNDING * float(gammaln(degrees[-1] + domain.dim + 2.0))
    total, known, doubt = _traced(source, domain, kernel, counts + logs, errors, rounding)
    falls = domain.falls(source)
    missing = domain.missing(degrees, falls)
    flat = np.repeat(degrees, logs.shape[1]), np.tile(np.arange(logs.shape[1]), degrees.size)
    if domain.single and missing.size == 0 and domain.last_degree is not None:
        rest, log_count, largest = (0.0, 0.0), math.inf, -math.inf
        tail = np.full((1, 2), -np.inf)
    else:
        rest = max(0.0, total - known - doubt), max(0.0, total - known + doubt, known - total)
        log_count = domain.log_count_beyond(degrees)
        upper = logs + np.log1p(errors)
        largest = _log_largest_beyond(domain, degrees, upper, missing, rest[1], falls)
        likely = math.log(total - known) if total - known > 4.0 * doubt else None
        tail = _likely_tail(domain, degrees, logs[:, 0], likely, log_count, largest)
    return Modes(
        domain, *flat, logs.ravel(), counts.ravel(), total, rest, log_count, tail, largest,
        np.where(errors > FELT, errors, 0.0).ravel(),
    )  # fmt: skip


def _traced(
    source: Network | ZonalKernel, domain: Domain, kernel: Kernel, log_terms: Array, errors: Array,
    rounding: float,
) -> tuple[float, float, float]:  # fmt: skip
    """The trace, the sum of N lambda over known eigenvalues, and what their difference may err by.

    Raises
    ------
    NtkspecError
        Where they show that the kernel is not positive definite.
    """
    total, total_error = trace(source, domain, kernel)
    if not total > total_error:
        raise NtkspecError(
            f"the kernel is not positive definite: its trace is {total:.6g}; predictions need a "
            "positive definite kernel"
        )
    terms = np.exp(log_terms)
    known = math.fsum(terms.ravel().tolist())
    doubt = total_error + float(np.sum(terms * errors)) + known * rounding
    if total - known < -(doubt + EXCESS * total):
        raise NtkspecError(
            f"the eigenvalues sum to {known:.9g}, more than the trace {total:.9g} of the kernel, "
            "which is therefore not positive definite; predictions need a positive definite kernel"
        )
    return total, known, doubt


@lacking("count", "max_degree")
def _of_harmonics(
    source: Network | ZonalKernel | str, sphere: DensitySphere, kernel: Kernel, last: int
) -> Modes:
    """Modes under a density: all eigenvalues that harmonics to a degree give."""
    return _of_density(spectrum(source, sphere, kernel=kernel, max_degree=last))


def _of_density(source: DensitySpectrum) -> Modes:
    """Modes under a density, by ranks; those beyond the last are at most the last."""
    logs, errors = source.log_eigenvalues, source.relative_error
    counts = np.zeros(logs.size)
    if source.dim > 2:
        counts = log_multiplicity(source.dim - 1, source.azimuthal)
    total, known, doubt = _traced(
        source.network, source.domain, source.kernel, counts + logs, errors, FELT
    )
    rest = max(0.0, total - known - doubt), max(0.0, total - known + doubt, known - total)
    with np.errstate(divide="ignore"):
        largest = float(min(logs[-1] + np.log1p(errors[-1]), np.log(rest[1])))
    tail = _ranked_tail(logs, counts, total - known, doubt)
    ranks = np.arange(logs.size)
    return Modes(
        source.domain, ranks, np.zeros_like(ranks), logs, counts, total, rest, math.inf, tail,
        largest, np.where(errors > FELT, errors, 0.0),
    )  # fmt: skip


def _on_torus(
    source: Network | ZonalKernel | str, torus: Torus, kernel: Kernel, max_degree: int | None
) -> Modes:
    """Modes of a network or a kernel on a torus."""
    size = None if max_degree is None else whole_number(max_degree, "max_degree", 0, MAX_DEGREE)
    with lacking("size"):
        return _of_torus(spectrum(as_source(source), torus, size, kernel=kernel))


def _of_torus(source: TorusSpectrum) -> Modes:
    """Modes on a torus, by frequency; those beyond the box come in pairs, m and -m."""
    at, vectors, counts = pairs(source)
    logs, errors = source.log_eigenvalues.ravel()[at], source.relative_error.ravel()[at]
    known = ~np.isnan(logs) & (errors < 1.0)
    if not known.any():
        raise NtkspecError(
            f"no eigenvalue of {source.network.name} {source.domain} is known; their errors are "
            f"larger than the tolerance of the spectrum, and each is at most {source.floor:.3g}"
        )
    all_named = np.array_equal(known, ~np.isnan(logs))
    logs, errors, vectors = logs[known], errors[known], vectors[known]
    counts = np.log(counts[known])
    total, summed, doubt = _traced(
        source.network, source.domain, source.kernel, counts + logs, errors, TERMS * ROUNDING
    )
    rest = max(0.0, total - summed - doubt), max(0.0, total - summed + doubt, summed - total)
    with np.errstate(divide="ignore"):
        log_rest, log_floor = float(np.log(rest[1])), float(np.log(source.floor))
    inside = -math.inf if known.all() else min(log_rest, log_floor if all_named else math.inf)
    largest = max(inside, log_rest - LN2)
    # Eigenvalues beyond the box are likely less than on its sides: all larger ones are known.
    sides = np.abs(vectors).max(axis=1) == source.size
    there = np.isfinite(logs)
    order = np.flatnonzero(there & (logs >= logs[sides].max(initial=-math.inf)))
    order = order[np.argsort(-logs[order], kind="stable")]
    tail = np.array([[log_rest, -math.inf]])
    if order.size:
        tail = _ranked_tail(logs[order], counts[order], total - summed, doubt)
    return Modes(
        source.domain, vectors[:, 0] if source.dim == 1 else vectors,
        np.zeros(logs.size, np.int64), logs, counts, total, rest, math.inf, tail, largest,
        np.where(errors > FELT, errors, 0.0),
    )  # fmt: skip


def _ranked_tail(logs: Array, counts: Array, left: float, doubt: float) -> Array:
    """Blocks of the likely tail after eigenvalues in falling order.

    lambda continues as a power of the number of eigenvalues that are larger, as from half of it.
    """
    many = np.logaddexp.accumulate(counts)
    half = int(np.searchsorted(many, many[-1] - LN2))
    q = LEAST_FALL
    if many[-1] > many[half]:
        q = max(q, float((logs[half] - logs[-1]) / (many[-1] - many[half])))
    beyond = float(logs[-1] + many[-1]) - math.log(q - 1.0)
    total = math.log(left) if left > 4.0 * doubt else beyond
    return _power_blocks(total, float(logs[-1]), q, q, 0.0)


def _of_patches(source: PatchesSpectrum) -> Modes:
    """Modes on patches: those of kappa for each eigenvalue of the pooling, or of a tree."""
    where, degrees = source.domain, source.degrees
    last = int(degrees[-1])
    if np.unique(degrees).size != last + 1:
        raise NtkspecError(
            f"the degrees of a spectrum on patches must be all from 0 to the last, {last}; give "
            f"patches_spectrum degrees = range({last + 1})"
        )
    logs, errors = source.log_eigenvalues, source.relative_error
    counts = source.log_multiplicities
    felt = np.where(errors > FELT, errors, 0.0)
    if source.patch is not None:
        kappa = modes(source.patch)
        some = source.pooling_eigenvalues > 0.0
        factors, each = source.pooling_eigenvalues[some], source.pooling_counts[some]
        whole = float(factors @ each)
        rest = whole * kappa.rest[0], whole * kappa.rest[1]
        tail = np.concatenate(
            [kappa.likely_tail + np.log([a * n, a]) for a, n in zip(factors, each, strict=True)]
        )
        log_count, largest = math.inf, kappa.log_largest_beyond + math.log(factors[0])
    else:
        terms = np.exp(counts + logs)
        known = math.fsum(terms.tolist())
        doubt = source.trace_error + float(terms @ errors) + known * FELT
        left = source.trace - known
        rest = max(0.0, left - doubt), max(0.0, left + doubt, -left)
        # Any eigenvalue of a higher total degree occurs at least as often as the fewest products
        # of harmonics of the next degree.
        fewest = min(
            float(log_multiplicity(where.dim, list(one)).sum())
            for one in partitions(last + 1, where.count)
        )
        log_count, largest = math.inf, math.log(rest[1]) - fewest if rest[1] else -math.inf
        likely = math.log(left) if left > 4.0 * doubt else -math.inf
        tail = np.array([[likely, min(largest, float(logs[degrees == last].min()))]])
    return Modes(
        where, degrees, source.radial, logs, counts, source.trace, rest, log_count, tail, largest,
        felt,
    )  # fmt: skip


def _likely_tail(
    domain: Domain, degrees: NDArray[np.int64], logs: Array, total: float | None,
    log_count: float, largest: float,
) -> Array:  # fmt: skip
    """Blocks of the likely tail of omitted eigenvalues, from the first of each degree."""
    counts = domain.log_multiplicity(degrees)
    if total is None:
        total = _extrapolated(counts + logs)
    if domain.last_degree is None:
        return _tail_blocks(degrees, logs, counts, total)
    # Halfway between the smallest and the largest possible mean.
    return np.array([[total, 0.5 * (total - log_count + max(largest, total - log_count))]])


def _extrapolated(log_terms: Array) -> float:
    """Logarithm of the sum of what follows, if the terms of a parity keep their last ratio.

    `Modes.rest_freedom` holds it between the bounds of the rest.
    """
    total = -math.inf
    for before, last in zip(log_terms[-4:-2].tolist(), log_terms[-2:].tolist(), strict=False):
        if -math.inf < last < before:
            total = float(np.logaddexp(total, 2 * last - before - np.log(-np.expm1(last - before))))
    return total


def _tail_blocks(degrees: NDArray[np.int64], logs: Array, counts: Array, total: float) -> Array:
    """Blocks of the likely tail in logarithms: sums of N lambda, which make the total, and lambda.

    In the parity with the larger last term, lambda continues as k^-q and N lambda as k^-p, with
    the powers of its last two degrees.
    """
    last = max(range(-min(2, degrees.size), 0), key=lambda at: float(logs[at] + counts[at]))
    before = np.flatnonzero((degrees == degrees[last] - 2) & np.isfinite(logs))
    if not np.isfinite(logs[last]) or before.size == 0 or degrees[last] < 4:
        return np.array([[total, -math.inf]])
    k = float(degrees[last])
    apart = math.log(k / (k - 2.0))
    q = max(0.0, float(logs[before[0]] - logs[last]) / apart)
    p = max(LEAST_FALL, q - float(counts[last] - counts[before[0]]) / apart)
    return _power_blocks(total, float(logs[last]), p, q, 1.0 / k)


def _power_blocks(total: float, log_last: float, p: float, q: float, step: float) -> Array:
    """Blocks of N lambda = x^-p of the given sum and lambda = x^-q, x > 1 + step over the last."""
    edges = np.append(2.0 ** (np.arange(TAIL_BLOCKS) / 4.0), math.inf)
    with np.errstate(divide="ignore", under="ignore"):
        sums = np.log(edges[:-1] ** (1.0 - p) - edges[1:] ** (1.0 - p))
    middles = (1.0 + step) * edges[:-1] * 2.0**0.125
    return np.stack([total + sums, log_last - q * np.log(middles)], axis=1)


def _log_largest_beyond(
    domain: Domain, degrees: NDArray[np.int64], logs: Array, missing: NDArray[np.int64],
    rest: float, falls: bool,
) -> float:  # fmt: skip
    """Logarithm of a bound on the unknown eigenvalues.

    Each is at most the rest divided by its multiplicity, and, if proved, at most that of the
    degree lower by two (`Domain.falls`); the eigenvalues of one degree decrease.
    """

    def alone(at: NDArray[np.int64]) -> list[float]:
        with np.errstate(divide="ignore"):
            bounds: list[float] = (np.log(rest) - domain.log_multiplicity(at)).tolist()
        return bounds

    first: dict[int, float] = dict(zip(degrees.tolist(), logs[:, 0].tolist(), strict=True))
    found = [] if domain.single else list(map(min, alone(degrees), logs[:, -1].tolist()))
    for k, bound in zip(missing.tolist(), alone(missing), strict=True):
        first[k] = min(bound, first.get(k - 2, math.inf)) if falls else bound
        found.append(first[k])
    return max(found, default=-math.inf)


def _domain_and_row(part: TableSlice, where: Domain | int | None) -> tuple[Domain, int]:
    """Domain of one dimension of a table's slice, and its row; an integer is the dimension."""
    has = np.unique(part.dims)
    listed = ", ".join(map(str, has[:8])) + (" ..." if has.size > 8 else "")
    if where is None:
        if has.size > 1:
            raise NtkspecError(
                f"the slice of the table has several dims, {listed}; give one of them"
            )
        where = int(has[0])
    dim = where.dim if isinstance(where, Domain) else as_whole(where)
    at = np.flatnonzero(part.dims == (-1 if dim is None else dim))
    if at.size == 0:
        raise NtkspecError(
            f"dim = {shown(where)} is not allowed; the slice of the table has {listed}"
        )
    mine = named_domain(part.domain, int(part.dims[at[0]]))
    if isinstance(where, Domain) and where != mine:
        raise NtkspecError(f"domain = {where!r} is not allowed; what is given is {mine}")
    return mine, int(at[0])


#: What reads the modes off a spectrum, and what computes those of a network or a kernel, by the
#: kind of domain; eigenvalues on all others have degrees.
READERS: dict[type[Domain], Callable[[Any], Modes]] = {
    DensitySphere: _of_density, Patches: _of_patches, Torus: _of_torus
}  # fmt: skip
MAKERS: dict[type[Domain], Callable[[Any, Any, Kernel, int | None], Modes]] = {
    DensitySphere: _under_density, Torus: _on_torus
}  # fmt: skip
