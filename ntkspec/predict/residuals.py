"""Rates and learning times of residuals A u - g: physics-informed networks (PINNs).

On harmonics of degree k a rotation-invariant operator A is its symbol a_k, so the kernel of the
residual has the eigenvalues abs(a_k)^2 lambda_k, and with data and residual on the same points a
degree is a 2 x 2 block.  `ntkspec.predict.boundary` adds a single point of data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import check_degrees
from ntkspec.domains import Domain, Sphere, Torus, as_domain, one_given
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.operators import Operator, as_operator
from ntkspec.parameters import number, one_of, shown, whole_number
from ntkspec.predict.aliasing import aliased
from ntkspec.predict.by_degree import Array, Variables, along, mode_name
from ntkspec.predict.descent import Best, check_optimizer, log_times_to, settled
from ntkspec.predict.frequencies import frequency_modes, frequency_weights
from ntkspec.predict.modes import Source, modes
from ntkspec.predict.smoothness import check_valid
from ntkspec.predict.times import LearningTimes, sobolev_weights
from ntkspec.spectra import Spectrum, TableSlice
from ntkspec.spectra.route import as_source
from ntkspec.spectra.torus.result import TorusSpectrum
from ntkspec.zonal import ZonalKernel

__all__ = ["PinnTimes", "ResidualModes", "Weight", "pinn", "residual_modes"]

Weight = Literal["power", "laplacian", "inverse"]
MOST_POINTS, MOST_WEIGHT = 2**14, 1e100


@dataclass(frozen=True, eq=False)
class ResidualModes:
    """Eigenvalues and symbols, by degree on the sphere and by frequency on the torus.

    Attributes
    ----------
    domain : Sphere or Torus
    index : (K,) or (K, dim) int64 array
        Degrees or frequencies.
    log_eigenvalues, log_multiplicities : (K,) float64 arrays
    symbols : (K,) float64 or complex128 array
    leading : float
        As `ntkspec.predict.smoothness.leading_power`; NaN where it is not known.
    source : Network or ZonalKernel or None
    """

    domain: Domain
    index: NDArray[np.int64]
    log_eigenvalues: Array
    log_multiplicities: Array
    symbols: NDArray[Any]
    leading: float
    source: Network | ZonalKernel | None

    @property
    def log_symbols(self) -> Array:
        """(K,) ln abs(a); -inf where the operator annihilates the harmonics."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.abs(self.symbols)))

    def places(self, degrees: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of degrees, or raise where one is not among these."""
        at = np.searchsorted(self.index, degrees).clip(max=len(self.index) - 1)
        if (missing := degrees[self.index[at] != degrees]).size:
            raise NtkspecError(
                f"degree = {missing[0]} is not among the degrees that are known, {len(self.index)} "
                f"from {self.index[0]} to {self.index[-1]}"
            )
        return at

    def at(self, places: NDArray[np.int64]) -> ResidualModes:
        """Those at some indices."""
        names = ("index", "log_eigenvalues", "log_multiplicities", "symbols")
        return replace(self, **{name: getattr(self, name)[places] for name in names})

    def log_weights(self, s: float, weight: str) -> Array:
        """(K,) ln mu of H^s; on the torus of the frequency's length."""
        if not isinstance(self.domain, Torus):
            return sobolev_weights(self.domain, self.index, s, weight)  # type: ignore[arg-type]
        return frequency_weights(self.index, s, weight)


@dataclass(frozen=True, eq=False, repr=False)
class PinnTimes(LearningTimes):
    """Rates and times of the degrees of a residual, by `pinn`.

    Attributes
    ----------
    domain : Sphere or Torus
    degrees : (K,) or (K, dim) int64 array
        Degrees, or on the torus frequencies.
    log_rates, times, log_times, error, s, weight, step_size, momentum
        As `ntkspec.predict.LearningTimes`.
    operator : Operator
    log_symbols : (K,) float64 array
        Natural logarithm of abs(a_k).
    slow_rates : (K,) float64 array
        With data, the other rate of a degree, at which parts of the residual and the data fall that
        no function has together: 0, or on points next to it.
    residual_weight, data_weight, data_s, points
        As given.
    relative_error : float
        Estimate of the largest relative error of the rates on points, from degrees that alias.
    flattening : float or None
        s for which the rates of high degrees tend to a constant; None for kernels that are smooth,
        for which there is none, and NaN where the smoothness of the kernel is not known.
    log_multiplicities : (K,) float64 array

    Examples
    --------
    >>> found = pinn("tanh", 3, "laplace(shift=-1)", error=0.1, degrees=[1, 3, 5])
    >>> found
    PinnTimes: domain = sphere, dim = 3, error = 0.1, s = 0.0, operator = laplace(shift=-1.0), \
flattening = none
    degree  log_symbol   log_rate     time  log_time
         1     1.09861   0.227371   1.8343  0.606662
         3     2.56495  -0.037958  2.39167   0.87199
         5     3.43399  -0.795476  5.10137   1.62951
    """

    operator: Operator
    log_symbols: Array
    slow_rates: Array
    residual_weight: float
    data_weight: float
    data_s: float
    points: int | None
    relative_error: float
    flattening: float | None
    log_multiplicities: Array

    def variables(self) -> Variables:
        """Frequencies, symbols, rates, times and their logarithms."""
        axis = self.index
        return {
            **self.ranks(),
            **along(axis, log_symbol=self.log_symbols, log_rate=self.log_rates),
            **(along(axis, slow_rate=self.slow_rates) if self.data_weight else {}),
            **along(axis, time=self.times, log_time=self.log_times),
        }

    def heading(self) -> dict[str, Any]:
        """The domain, the descent, the operator and the loss."""
        about = {**super().heading(), "operator": str(self.operator)}
        if self.data_weight or self.residual_weight != 1.0:
            about |= {"residual_weight": self.residual_weight, "data_weight": self.data_weight}
        if self.data_s:
            about["data_s"] = self.data_s
        if self.points is not None:
            about["points"] = self.points
        known = "not known" if self.flattening != self.flattening else self.flattening
        return {**about, "flattening": "none" if known is None else known}


def residual_modes(
    source: Source | TorusSpectrum, domain: Domain | int | None, dim: int | None,
    operator: Operator, degrees: Iterable[int] | None, size: int | None, kernel: Kernel,
    beside: bool = False,
) -> ResidualModes:  # fmt: skip
    """Gather what a residual's rates are made of; parameters as for `pinn`.

    With `beside` all degrees up to the largest that is asked about, or all of a spectrum.

    Raises
    ------
    NtkspecError
        For what is not allowed, and a residual whose kernel is infinite.

    Examples
    --------
    >>> found = residual_modes("tanh", 3, None, Operator(), [0, 1], None, "ntk")
    >>> found.symbols, found.leading
    (array([ 0., -2.]), inf)
    """
    given = one_given(domain, dim)
    where = source.domain if isinstance(source, (Spectrum, TorusSpectrum)) else given
    if isinstance(where, Torus):
        return _on_torus(source, where, given, operator, degrees, size, kernel, beside)
    if size is not None:
        raise NtkspecError(
            f"size = {shown(size)} is not allowed; it is that of the frequencies of a torus, and "
            "on the sphere there are degrees"
        )
    sphere = as_domain(where) if not isinstance(source, TableSlice) else None
    if sphere is not None and not isinstance(sphere, Sphere):
        raise NtkspecError(
            f"domain = {sphere!r} is not allowed; differential operators are diagonal on "
            "ntkspec.Sphere and ntkspec.Torus only"
        )
    known_source = _kernel_of(source)
    if isinstance(source, (Spectrum, TableSlice)) and kernel == "ntk":
        kernel = source.kernel
    leading = math.nan
    if known_source is not None:
        leading = check_valid(known_source, kernel, operator)
    wanted = None if degrees is None else check_degrees(degrees)
    computed = isinstance(source, (Network, ZonalKernel, str))
    if wanted is None and computed:
        wanted = np.arange(13)
    last = None if wanted is None or not computed else int(wanted.max())
    known = modes(source, given, kernel=kernel, max_degree=last)
    if not isinstance(known.domain, Sphere):
        raise NtkspecError(
            f"domain = {known.domain!r} is not allowed; differential operators are diagonal on "
            "ntkspec.Sphere and ntkspec.Torus only"
        )
    at = (
        np.arange(known.degrees.size) if wanted is None or beside
        else np.array([known.place(int(k)) for k in wanted])
    )  # fmt: skip
    index = known.degrees[at]
    return ResidualModes(
        known.domain, index, known.log_eigenvalues[at], known.log_multiplicities[at],
        operator.symbol(index, known.dim), leading, known_source,
    )  # fmt: skip


def _kernel_of(source: Any) -> Network | ZonalKernel | None:
    """The network or kernel of a source, None where it is not known."""
    if isinstance(source, (Spectrum, TableSlice, TorusSpectrum)):
        return source.network
    return as_source(source) if isinstance(source, (Network, ZonalKernel, str)) else None


def _on_torus(
    source: Source | TorusSpectrum, torus: Torus, given: Any, operator: Operator,
    degrees: Iterable[int] | None, size: int | None, kernel: Kernel, beside: bool,
) -> ResidualModes:  # fmt: skip
    network, leading = _kernel_of(source), math.nan
    if network is not None:
        its = source.kernel if isinstance(source, TorusSpectrum) else kernel
        leading = check_valid(network, its, operator)
    default = 12 if torus.dim == 1 else 4
    found = frequency_modes(source, torus, given, degrees, size, kernel, default, beside)
    symbols = operator.symbol_on_torus(found.index.reshape(-1, torus.dim))
    return ResidualModes(
        torus, found.index, found.log_eigenvalues, found.log_multiplicities, symbols, leading,
        network,
    )  # fmt: skip


def pinn(
    source: Source | TorusSpectrum,
    domain: Domain | int | None = None,
    operator: Operator | str = "laplace",
    error: float = 0.01,
    *,
    dim: int | None = None,
    degrees: Iterable[int] | None = None,
    size: int | None = None,
    s: float = 0.0,
    weight: Weight = "power",
    residual_weight: float = 1.0,
    data_weight: float = 0.0,
    data_s: float = 0.0,
    points: int | None = None,
    step_size: float | Best | None = None,
    momentum: float | Best = 0.0,
    optimizer: str = "gd",
    kernel: Kernel = "ntk",
) -> PinnTimes:
    """Times in which the residual A u - g of a wide network falls, by degree.

    Parameters
    ----------
    source, dim, kernel
        As for `ntkspec.predict.learning_times`; a spectrum on the torus too.
    domain : Sphere, Torus or int
        An integer stands for the sphere.
    operator : Operator or str
        A, such as ``Operator("laplace", shift=-1)`` or "laplace(shift=-1)", and on the circle or a
        torus of one dimension "derivative".
    error : float
        Fraction that is left, between 0 and 1.
    degrees : iterable of int, optional
        By default 0 to 12, or those of a spectrum; on a torus of one dimension frequencies.
    size : int, optional
        On the torus: all frequencies up to it in every coordinate; by default 12 or 4.
    s, weight
        Of the Sobolev loss of the residual, as for `learning_times`; on the torus k is the length
        of the frequency.  "inverse" is the weight with which all degrees fall alike, 1 over the
        eigenvalue of the residual's kernel, and that of the kernel for the data.
    residual_weight, data_weight : float
        alpha and beta of the loss alpha/2 (A u - g)^2 + beta/2 (u - y)^2, mean squares over the
        same points.
    data_s : float
        Exponent of the Sobolev loss of the data.
    points : int, optional
        n equispaced points of the circle, where degrees alias; without it, the continuum.
    step_size, momentum, optimizer
        As for `learning_times`.

    Returns
    -------
    PinnTimes

    Raises
    ------
    NtkspecError
        For what is not allowed; for an activation with a kink of too low an order, whose residual
        has an infinite kernel.

    Notes
    -----
    With the eigenvalues lambda_k and the symbol a_k the rate is lambda_k (alpha abs(a_k)^2 mu_k +
    beta nu_k), mu and nu being the weights of both losses.  A kink of order p allows operators of
    order q < p - 1/2; the rates tend to a constant for s = d/2 + p - 1 - q.  See the manual,
    "Physics-informed networks".

    Examples
    --------
    >>> pinn("tanh", 2, "laplace(shift=-1)", degrees=[1, 3], error=0.1).times.round(2)
    array([2.65, 1.74])
    >>> import ntkspec
    >>> cubic = ntkspec.Network("relu_power", power=3)
    >>> pinn(cubic, 3, degrees=[2, 4]).flattening
    1.5
    >>> pinn("relu", 3)
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: operator = 'laplace' of order 2 is not allowed for relu: its \
kink of order 1 makes the residual's kernel infinite, by deltas that automatic differentiation \
drops; use a smooth activation, or a kink of order 3 or more, such as 'relu_power' with power = 3
    """
    check_optimizer(optimizer)
    left = number(error, "error", 1e-300, math.nextafter(1.0, 0.0))
    s, data_s = number(s, "s", -1e3, 1e3), number(data_s, "data_s", -1e3, 1e3)
    alpha = number(residual_weight, "residual_weight", 0.0, MOST_WEIGHT)
    beta = number(data_weight, "data_weight", 0.0, MOST_WEIGHT)
    kind = one_of(weight, "weight", get_args(Weight))
    if kind == "inverse" and (s or data_s):
        raise NtkspecError("weight = 'inverse' has no exponent; leave s and data_s out")
    if not alpha + beta > 0.0:
        raise NtkspecError(
            "residual_weight and data_weight are both 0; give at least one that is not"
        )
    applied = as_operator(operator)
    count = None if points is None else whole_number(points, "points", 3, MOST_POINTS)

    def rates(modes: ResidualModes) -> tuple[Array, Array, float]:
        """Logarithms of the rates, the other rates, and the relative error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            a2, lambdas = 2.0 * modes.log_symbols + modes.log_eigenvalues, modes.log_eigenvalues
            if kind == "inverse":
                # A degree that is not learned keeps the weight 0.
                log_mu = np.where(np.isneginf(a2), -np.inf, -a2)
                log_nu = np.where(np.isneginf(lambdas), -np.inf, -lambdas)
            else:
                log_mu, log_nu = modes.log_weights(s, kind), modes.log_weights(data_s, kind)
            log_mu, log_nu = log_mu + np.log(alpha), log_nu + np.log(beta)
            if count is None:
                logs, slow, doubt = (
                    np.logaddexp(a2 + log_mu, lambdas + log_nu),
                    np.zeros(a2.size),
                    0.0,
                )
            else:
                logs, slow, doubt = _on_points(modes, applied, kernel, count, log_mu, log_nu)
        return np.where(np.isnan(logs), -np.inf, logs), slow, doubt

    asked = None if degrees is None else check_degrees(degrees)
    # Degrees that nobody asks about must not diverge.
    more = asked is not None and not (step_size is None and momentum == 0.0)
    beside = residual_modes(source, domain, dim, applied, asked, size, kernel, more)
    others, slow, doubt = rates(beside)
    at = beside.places(asked) if asked is not None and more else np.arange(others.size)
    known, logs, slow = beside.at(at), others[at], slow[at]
    step, velocity = settled(
        logs, step_size, momentum, beside.index, others, mode_name(known.domain)
    )
    log_times = log_times_to(left, logs, step, velocity)
    with np.errstate(over="ignore"):
        times = np.exp(log_times)
    return PinnTimes(
        known.domain, known.index, np.zeros(len(known.index), np.int64), logs, times, log_times,
        left, s, kind, step, velocity, applied, known.log_symbols, slow, alpha, beta, data_s, count,
        doubt, _flattening(known, applied), known.log_multiplicities,
    )  # fmt: skip


def _flattening(known: ResidualModes, operator: Operator) -> float | None:
    """(d + m - 1)/2 - q on the sphere, and with one dimension more on the torus; None if smooth."""
    if math.isinf(known.leading):
        return None
    dim = known.domain.dim + isinstance(known.domain, Torus)
    return 0.5 * (dim + known.leading - 1.0) - operator.order


def _on_points(
    known: ResidualModes, operator: Operator, kernel: Kernel, points: int,
    log_mu: Array, log_nu: Array,
) -> tuple[Array, Array, float]:  # fmt: skip
    """Logarithms of the larger roots of the blocks, the smaller roots, and the relative error."""
    if known.domain != Sphere(2) or known.source is None:
        raise NtkspecError(
            f"points = {points} is not allowed here; degrees alias in this way on equispaced "
            "points of the circle, for a network or kernel on domain 2"
        )
    most = points // 2
    if int(known.index.max()) > most:
        raise NtkspecError(
            f"degree = {known.index.max()} is not allowed with points = {points}; they have "
            f"degrees 0 to {most}"
        )
    if math.isnan(known.leading):
        raise NtkspecError(
            f"points = {points} is not allowed for {known.source.name}, whose smoothness is not "
            "known; leave points out"
        )
    sums = aliased(known.source, kernel, operator, known.index, points, known.leading)
    with np.errstate(over="ignore", under="ignore"):
        # Relative to the larger of the two weights.
        top = np.maximum(log_mu, log_nu)
        top = np.where(np.isneginf(top), 0.0, top)
        mu, nu = np.exp(log_mu - top), np.exp(log_nu - top)
        one, other = mu * sums.residual, nu * sums.data
        determinant = mu * nu * sums.determinant
        root = np.sqrt((one - other) ** 2 + 4.0 * mu * nu * np.abs(sums.mixed) ** 2)
        fast = 0.5 * (one + other + root)
        slow = np.where(fast > 0.0, determinant / np.where(fast > 0.0, fast, 1.0), 0.0)
        scale = sums.log_scale + top
        return np.log(fast) + scale, slow * np.exp(scale), sums.relative_error
