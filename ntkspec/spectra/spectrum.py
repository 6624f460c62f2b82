"""Spectra of kernels on a domain: `spectrum` and `eigenvalues`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import Normalization, check_normalization
from ntkspec.domains import (
    Ball,
    DensitySphere,
    Domain,
    Family,
    Sphere,
    Torus,
    WithoutDegrees,
    as_domain,
    domain_text,
    one_given,
)
from ntkspec.errors import NotPositiveDefiniteWarning, NtkspecError
from ntkspec.kernels import closed_form as kernels
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.networks.pointwise import checked_tolerance
from ntkspec.parameters import RAISE, as_whole, shown, ways
from ntkspec.ranges import MOST_LISTED
from ntkspec.spectra.parity import refuse_undeclared
from ntkspec.spectra.route import (
    Source,
    as_source,
    better_than_doubles,
    default_tolerance,
    double_only,
    qualified,
    which_kernel,
)
from ntkspec.spectra.routes import routed
from ntkspec.spectra.rows import Scaled, normalized
from ntkspec.spectra.scaled_result import ScaledResult
from ntkspec.spectra.table import TableSlice, table_block

if TYPE_CHECKING:
    from ntkspec.spectra.density.result import DensitySpectrum
    from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["Spectrum", "eigenvalues", "spectrum"]

ROUNDING = 2.0**-53
#: Default bound on the relative error of every eigenvalue in a ball.
BALL_TOLERANCE = 1e-2

Array = NDArray[np.float64]
Degrees = int | str | Iterable[int] | None


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(ScaledResult):
    """The spectrum of a kernel on a domain.

    ``len(s)`` counts the degrees, ``s[5]`` is the eigenvalue of degree 5, and iteration goes over
    the degrees.  Where a degree has several eigenvalues (`ntkspec.Gaussian`), the arrays have a
    second axis, along which they decrease.

    Attributes
    ----------
    network : Network or ZonalKernel
        The kernel of the spectrum.
    domain : Domain
    kernel, normalization : str
    degrees : (K,) int64 array
    mantissas : (K,) or (K, J) float64 array
        In [1, 2), or 0 for an exact zero.
    exponents : (K,) or (K, J) int64 array
        eigenvalue = mantissa * 2**exponent, in and beyond the range of doubles.
    relative_error : (K,) or (K, J) float64 array
        Bound on the relative error of each.
    route : str
        The route that computed it, and the reason.

    Examples
    --------
    >>> s = spectrum("tanh", 100, degrees=[1, 2001])
    >>> s.eigenvalues, s.log_eigenvalues.round(6)
    (array([0.00368852, 0.        ]), array([  -5.602531, -788.314354]))
    >>> spectrum("relu", degrees=[0, 1, 2])
    Spectrum of relu on the sphere, dim = 3 (ntk, probability)
    degree  eigenvalue  log_eigenvalue  multiplicity  relative_error
         0      0.0625        -2.77259             1     1.77636e-15
         1   0.0833333        -2.48491             3     1.77636e-15
         2   0.0273438        -3.59927             5     1.77636e-15
    """

    network: Source
    domain: Domain
    kernel: Kernel
    normalization: Normalization
    degrees: NDArray[np.int64]
    mantissas: Array
    exponents: NDArray[np.int64]
    relative_error: Array
    route: str

    @property
    def multiplicities(self) -> Array:
        """(K,) float64 array of the domain's multiplicities; inf beyond the range of doubles."""
        return self.domain.multiplicity(self.degrees)

    @property
    def log_multiplicities(self) -> Array:
        """(K,) natural logarithms of the multiplicities."""
        return self.domain.log_multiplicity(self.degrees)

    def axes(self) -> dict[str, NDArray[Any]]:
        """Degrees, and ranks where a degree has several eigenvalues."""
        if self.domain.single:
            return {"degree": self.degrees}
        return {"degree": self.degrees, "radial": np.arange(self.mantissas.shape[1])}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, logarithms, multiplicities and bounds on the errors."""
        value, log = self.doubles()
        along = tuple(self.axes())
        return {
            "eigenvalue": (along, value),
            "log_eigenvalue": (along, log),
            "multiplicity": (("degree",), self.multiplicities),
            "relative_error": (along, self.relative_error),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the domain, the kernel, the normalization and the route."""
        return {
            **self.network.parameters(),
            "domain": domain_text(self.domain),
            "dim": self.dim,
            **which_kernel(self.network, self.kernel),
            "normalization": self.normalization,
            "route": self.route,
        }

    def title(self) -> str:
        """Return a one-line description."""
        kind = qualified(self.network, self.kernel, self.normalization)
        return f"Spectrum of {full_name(self.network)} {self.domain}{kind}"


@overload
def spectrum(  # type: ignore[overload-overlap]
    source: Source | str,
    domain: DensitySphere,
    degrees: None = None,
    *,
    dim: None = None,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
    count: int | None = None,
    max_degree: int | None = None,
) -> DensitySpectrum: ...


@overload
def spectrum(  # type: ignore[overload-overlap]  # a Torus is a Domain, with another result
    source: Source | str,
    domain: Torus,
    degrees: int | None = None,
    *,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
    size: int | None = None,
) -> TorusSpectrum: ...


@overload
def spectrum(
    source: Source | str,
    domain: Domain | int | None = None,
    degrees: Degrees = None,
    *,
    dim: int | None = None,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
    count: int | None = None,
    max_degree: int | None = None,
    size: int | None = None,
) -> Spectrum: ...


@overload
def spectrum(
    source: Source | str,
    domain: Iterable[Domain | int] | None = None,
    degrees: Degrees = None,
    *,
    dim: Iterable[int] | None = None,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
) -> TableSlice: ...


def spectrum(
    source: Source | str,
    domain: Domain | int | Iterable[Domain | int] | None = None,
    degrees: Degrees = None,
    *,
    dim: int | Iterable[int] | None = None,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
    count: int | None = None,
    max_degree: int | None = None,
    size: int | None = None,
) -> Spectrum | TableSlice | DensitySpectrum | TorusSpectrum:
    """Eigenvalues of a kernel on a domain, with logarithms, multiplicities and error bounds.

    Parameters
    ----------
    source : Network, ZonalKernel or str
        A name stands for the poster's network with that activation.  A bare function is refused:
        give `Network(user_activation(f))` or `ZonalKernel(f)`.
    domain : Domain, int or iterable of these, optional
        Domain of the inputs, `Sphere(3)` by default.  An integer stands for `Sphere`.  Several
        domains of one kind, in increasing dimensions, give a `TableSlice` of the eigenvalues on
        all of them.
    degrees : int, str or iterable of int, optional
        In any order; by default those of the domain: 0 to 100 on the sphere, all on the cube,
        0 to 8 under the Gaussian measure.  Of functions given in doubles the default is those of
        them before the first whose error exceeds the tolerance.  On the torus a whole number here
        is the size.
    dim : int or iterable of int, optional
        Dimension of the sphere, instead of `domain`.
    kernel : {"ntk", "nngp"}
        Of a network.
    normalization : {"probability", "surface", "poster"}
        The measure of the sphere: uniform probability, surface measure, or the poster's
        formula (1) as printed.  Other domains have only the first.
    tolerance : float, optional
        Largest relative error accepted, by default 1e-12, and of functions given in doubles 1e-6.
        With a density, in a ball and on the torus, by default 1e-2; on the torus eigenvalues with
        larger ones are NaN.
    count : int, optional
        With a density, instead of degrees: how many of the largest eigenvalues; by default 100 or,
        with `max_degree`, all that are known to the tolerance.
    max_degree : int, optional
        With a density: largest degree of the harmonics that represent eigenfunctions, to 599 where
        a density on the circle is not even, else to 1023.  By default it grows to 255 until the
        errors are below 1e-12, and beyond until they are below the tolerance.
    size : int, optional
        On the torus, instead of degrees: the frequencies m with all abs(m_i) <= size, by default
        64, 32 and 8 in dimensions 1, 2 and 3.

    Returns
    -------
    Spectrum, TableSlice, with a density DensitySpectrum, or on the torus TorusSpectrum

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed, and if an eigenvalue cannot be computed to the
        tolerance; the message names the degree and the error bound.

    Warns
    -----
    NotPositiveDefiniteWarning
        When an eigenvalue of a `ZonalKernel` is negative beyond its error.

    Notes
    -----
    On the sphere lambda_k = c_d int K(t) P_k(t) (1-t^2)^((d-3)/2) dt, by closed forms or sums of
    positive terms (docs/mathematics.rst); the other domains: docs/domains.rst; densities:
    docs/density.rst; the torus: docs/torus.rst.

    Examples
    --------
    >>> s = spectrum("relu", 3, degrees=[0, 1, 2, 3])
    >>> s.eigenvalues, s[2], len(s)
    (array([0.0625    , 0.08333333, 0.02734375, 0.        ]), 0.02734375, 4)
    >>> float(s.multiplicities @ s.eigenvalues)  # tends to K(1) = 1/2
    0.44921875
    >>> from ntkspec import Cube, Gaussian
    >>> spectrum("relu", Cube(3)).eigenvalues
    array([0.07602168, 0.08333333, 0.05799277, 0.        ])
    >>> spectrum("erf", Gaussian(10, radial=2), degrees=[1, 3]).eigenvalues
    array([[4.30727250e-02, 7.49833319e-05],
           [4.09747913e-04, 2.36953738e-06]])
    >>> spectrum("relu", [2, 3], degrees=range(3)).eigenvalues.round(6)
    array([[0.101321, 0.125   , 0.05629 ],
           [0.0625  , 0.083333, 0.027344]])
    >>> spectrum("relu", [Cube(2), Cube(3)]).eigenvalues.round(6)
    array([[0.125   , 0.125   , 0.125   ,      nan],
           [0.076022, 0.083333, 0.057993, 0.      ]])
    >>> from ntkspec import Torus
    >>> spectrum("tanh", Torus([[1], [4]]), 5).eigenvalues.round(6)
    array([0.000437, 0.103711, 0.004561, 0.001853, 0.10371 , 0.000451])
    """
    known = as_source(source)
    limit = default_tolerance(known) if tolerance is None else checked_tolerance(tolerance)
    normalization = check_normalization(normalization)
    given = one_given(domain, dim)
    for name, value in (("count", count), ("max_degree", max_degree)):
        if value is not None and not isinstance(given, DensitySphere):
            raise NtkspecError(
                f"{name} = {shown(value)} is not allowed without a density; give "
                + ("size" if isinstance(given, Torus) else "degrees")
            )
    if size is not None and not isinstance(given, Torus):
        raise NtkspecError(
            f"size = {shown(size)} is allowed on the torus only; give "
            + ("count" if isinstance(given, DensitySphere) else "degrees, or ntkspec.Torus")
        )
    if isinstance(given, DensitySphere):
        if degrees is not None:
            given.check_degrees(degrees)
        _refuse_normalization(normalization, given)
        from ntkspec.spectra.density.compute import density_spectrum

        return density_spectrum(
            known, given, count, max_degree, kernel, None if tolerance is None else limit
        )
    if isinstance(given, Torus):
        _refuse_normalization(normalization, given)
        if size is not None and degrees is not None:
            raise NtkspecError(f"size = {shown(size)} is given twice; give it once")
        if degrees is not None and as_whole(degrees) is None:
            raise given.no_degrees(f"degrees = {shown(degrees)}")
        from ntkspec.spectra.torus.compute import torus_spectrum

        return torus_spectrum(
            known, given, degrees if size is None else size,  # type: ignore[arg-type]
            kernel, None if tolerance is None else limit,
        )  # fmt: skip
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes))
    if several and as_whole(given) is None:
        return _of_domains(known, given, degrees, kernel, normalization, limit)
    where = as_domain(given)
    if isinstance(where, Ball) and tolerance is None:
        limit = BALL_TOLERANCE
    wanted = where.check_degrees(degrees)
    _refuse_normalization(normalization, where)
    unique, inverse = np.unique(wanted, return_inverse=True)
    if limit < math.inf or not double_only(known):
        refuse_undeclared(known, unique, kernel)
    scaling = 0.0 if normalization == "probability" else 4 * ROUNDING
    found, route = routed(known, where, unique, kernel, limit - scaling)
    if degrees is None and double_only(known):
        wanted = unique = unique[: _leading_count(found[0], found[2] + scaling, limit)]
        inverse = np.arange(unique.size)
        found = found[0][: unique.size], found[1][: unique.size], found[2][: unique.size]
    mantissa, exponent, error = found
    if normalization != "probability":
        mantissa, exponent = _renormalized(mantissa, exponent, where.dim, normalization)
        error = error + scaling
    _refuse_poor(known, where, unique, error, limit)
    _warn_of_negative(unique, mantissa, error)
    return Spectrum(
        known, where, kernel, normalization, wanted,
        mantissa[inverse], exponent[inverse], error[inverse], route,
    )  # fmt: skip


def _refuse_normalization(normalization: Normalization, where: Domain) -> None:
    if normalization != "probability" and not isinstance(where, Sphere):
        raise NtkspecError(
            f"normalization = {normalization!r} is not allowed{where.place}, whose measure is a "
            "probability; use normalization = 'probability'"
        )


def _of_domains(
    source: Source, given: Iterable[Domain | int], degrees: Degrees, kernel: Kernel,
    normalization: Normalization, tolerance: float,
) -> TableSlice:  # fmt: skip
    """Several domains of one kind at once."""
    if normalization != "probability":
        raise NtkspecError(
            f"normalization = {normalization!r} is not allowed with several dimensions; use "
            "'probability', or give one dimension"
        )
    name, dims, default = _one_kind(given)
    wanted = default if degrees is None else degrees
    found = table_block(source, dims, wanted, kernel=kernel, domain=name)
    worst = float(found.relative_error.max())
    if not worst <= tolerance:
        raise NtkspecError(
            f"the relative error of these eigenvalues is up to {worst:.2g}, which exceeds "
            f"tolerance = {tolerance:g}" + ways(RAISE, "give fewer dimensions at a time")
        )
    return found


def _one_kind(given: Iterable[Domain | int]) -> tuple[str, Any, range]:
    """Family, dimensions and default degrees of several domains that differ in dimension only."""
    if isinstance(given, range) or (isinstance(given, np.ndarray) and given.dtype != object):
        return Sphere.name, given, Sphere(3).default_degrees
    domains: list[Any] = list(islice(given, MOST_LISTED + 1))
    first = next((one for one in domains if isinstance(one, Domain)), None)
    if first is None:
        return Sphere.name, domains, Sphere(3).default_degrees
    known = None if isinstance(first, WithoutDegrees) else Family.containing(first)
    for one in domains:
        # With several eigenvalues a degree, a domain is not that of its family.
        if known is None or type(one) is not type(first) or one != known(one.dim):
            raise NtkspecError(
                f"domain = {shown(one)} is not allowed with others; several domains must be of one "
                "kind, with one eigenvalue for each degree"
            )
    return str(known), [one.dim for one in domains], domains[-1].default_degrees


def _leading_count(mantissa: Array, error: Array, limit: float) -> int:
    """How many degrees come before the first that is not known; with it if those are zeros."""
    poor = np.flatnonzero(~(error <= limit).reshape(error.shape[0], -1).all(axis=1))
    if not poor.size:
        return int(error.shape[0])
    first = int(poor[0])
    return first if mantissa[:first].any() else first + 1


def _refuse_poor(
    source: Source, domain: Domain, degrees: NDArray[np.int64], error: Array, limit: float
) -> None:
    known = error <= limit
    if known.all():
        return
    poor = np.argwhere(~known)
    count = np.unique(poor[:, 0]).size
    what, way = "this eigenvalue is known to", ways(RAISE, "leave these degrees out")
    if double_only(source):
        what = "a function of doubles gives this eigenvalue to"
        way = ways(RAISE, "leave these degrees out", better_than_doubles(source))
    worst = float(error[tuple(poor[0])])
    if rank := max(poor[0, 1:].tolist(), default=0):
        way = ways(RAISE, f"give radial = {rank}")
        if isinstance(domain, Ball) and domain.continuous:
            way += (
                f" (norms spread by a share of {domain.spread:.1g}, and each further eigenvalue of "
                "a degree falls by the square of that or more, below the rounding of the first)"
            )
    elif math.isinf(worst):
        inf = ("tolerance", "give tolerance = inf to see the others")
        way = ways("leave these degrees out", inf)
    raise NtkspecError(
        f"degree = {degrees[poor[0, 0]]}: {what} a relative error of {worst:.2g} "
        f"only, which exceeds tolerance = {limit:g}, as for {count} of "
        f"{degrees.size} degrees{way}"
    )


def _warn_of_negative(degrees: NDArray[np.int64], mantissa: Array, error: Array) -> None:
    """Warn when an eigenvalue is negative beyond its error: the kernel is not positive definite."""
    below = (mantissa < 0.0) & (error < 1.0)
    if below.any():
        negative = np.argwhere(below)
        count = np.unique(negative[:, 0]).size
        warnings.warn(
            f"the kernel is not positive definite: its eigenvalue of degree "
            f"{degrees[negative[0, 0]]} is negative ({count} of {degrees.size} are)",
            NotPositiveDefiniteWarning,
            stacklevel=3,
        )


def eigenvalues(
    source: Source | str,
    domain: Domain | int | Iterable[Domain | int] | None = None,
    degrees: Degrees = None,
    *,
    dim: int | Iterable[int] | None = None,
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float | None = None,
    count: int | None = None,
    max_degree: int | None = None,
    size: int | None = None,
    log: bool = False,
) -> Array:
    """Eigenvalues (or their natural logarithms) as an array; parameters as for `spectrum`.

    Returns
    -------
    (K,) float64 array, (K, J) where degrees have several, (D, K) of several dimensions,
    (C,) with a density, on the torus with an axis for each coordinate of the frequencies
        An eigenvalue below the smallest normal double is 0; its logarithm is still accurate.

    Examples
    --------
    >>> eigenvalues("tanh", 3, degrees=[1, 2, 2001], log=True)
    array([  -1.96985396,          -inf, -506.83761159])
    """
    compute: Callable[..., Spectrum | TableSlice | DensitySpectrum | TorusSpectrum] = spectrum
    result = compute(
        source, domain, degrees, dim=dim, kernel=kernel, normalization=normalization,
        tolerance=tolerance, count=count, max_degree=max_degree, size=size,
    )  # fmt: skip
    return result.log_eigenvalues if log else result.eigenvalues


def _renormalized(
    mantissa: Array,
    exponent: NDArray[np.int64],
    dim: int,
    normalization: Normalization,
) -> Scaled:
    """Times Vol(S^(d-1)), and for the poster's formula over c_d."""
    factor, shift = kernels.sphere_volume(dim)
    if normalization == "poster":
        factor /= kernels.funk_hecke_constant(dim)[0]
    return normalized(mantissa * factor, exponent + shift)
