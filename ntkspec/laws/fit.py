"""Fits of three laws to eigenvalues, and the choice of the law that the data support.

    power       log lambda = a + p log k
    stretched   log lambda = a + p log k - r k^(2/3)
    geometric   log lambda = a + p log k - r k

each with its next terms in 1/k (in k^(-1/3) for the stretched one), by least squares.  They are
fitted as functions of k + d/2 - 1: the leading terms are the same, and the next ones smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Domain, named_domain, refuse_density
from ntkspec.errors import NtkspecError
from ntkspec.laws.derived import known_law
from ntkspec.laws.form import Law
from ntkspec.laws.reach import holds_within
from ntkspec.networks import Kernel, Network
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import shown
from ntkspec.ranges import parse_range
from ntkspec.results import Value, axes_to_draw, draw_eigenvalues, html_table, style_of
from ntkspec.spectra.route import qualified
from ntkspec.spectra.spectrum import Spectrum
from ntkspec.tables import Table, TableSlice
from ntkspec.zonal import ZonalKernel

__all__ = ["Fit", "FittedLaw", "FittedSpectrum", "fit", "fit_law", "with_error"]

Fitted = Literal["power", "stretched", "geometric"]
Vector = NDArray[np.float64]

STRETCH: dict[Fitted, float] = {"power": 0.0, "stretched": 2.0 / 3.0, "geometric": 1.0}
#: The next terms are powers of k^-STEP.
STEP: dict[Fitted, float] = {"power": 1.0, "stretched": 1.0 / 3.0, "geometric": 1.0}
MOST_TERMS = 3
#: Windows reach from the last degree down to these fractions of it.
WINDOWS = (2, 4, 8, 16, 32)
LEAST_POINTS = 12
MOST_POINTS = 400
#: A law is supported if a fit to the lower half of the degrees predicts the upper half to this
#: error in log lambda, and this many times better than all other laws.
PREDICTS = 0.05
BETTER = 3.0
#: Share of an exponential in the fall of log lambda for it to be a candidate, and to win.
RIVALS = 0.05
WINS = 0.5
#: Factor from the change of the numbers to their errors.
SAFETY = 2.0
TOLERANCE = 0.01
#: What is said of a derived law without a `derived_from`.
NOWHERE = "not within 10 % at any of these degrees"
#: Columns of the tables in notebooks.
HEADINGS = ("law", "power", "rate", "log constant", "prediction error")


def with_error(value: float, error: float) -> str:
    """Format a value to the digits that its error allows.

    Examples
    --------
    >>> with_error(1.23456789, 0.0002)
    '1.23457 ± 2e-04'
    """
    if not (math.isfinite(error) and error > 0.0):
        return f"{value:.6g}"
    digits = min(max(1 - math.floor(math.log10(error)), 0), 9)
    return f"{value:.{digits}f} ± {error:.0e}"


@dataclass(frozen=True, repr=False)
class FittedLaw:
    """A law with fitted parameters.

    Attributes
    ----------
    kind : {"power", "stretched", "geometric"}
    power, rate, log_constant : float
        lambda_k ~ exp(log_constant) k**power exp(-rate k**stretch).
    shift : float
        The law was fitted in k + shift, shift = dim/2 - 1.
    power_error, rate_error, log_constant_error : float
        What is printed after ±: twice the change with the window and the number of next terms.
        The scatter of the fit on these degrees, not the distance to the limit of high ones, from
        which the numbers may be several times as far.
    prediction_error : float
        Root mean square error in log lambda over the upper half of the degrees, predicted by a
        fit to those below.
    share : float
        Share of the exponential in the fall of log lambda over the fitted degrees.

    Examples
    --------
    >>> k = np.arange(10, 400, 2)
    >>> best = fit_law(k, -3.0 * np.log(k + 1.0)).best
    >>> best.kind, best.log_eigenvalue([99.0]).round(2)
    ('power', array([-13.79]))
    """

    kind: Fitted
    power: float
    power_error: float
    rate: float
    rate_error: float
    log_constant: float
    log_constant_error: float
    prediction_error: float
    share: float
    shift: float

    def __repr__(self) -> str:
        numbers = f"power = {with_error(self.power, self.power_error)}"
        if self.kind != "power":
            numbers += f", rate = {with_error(self.rate, self.rate_error)}"
        constant = with_error(self.log_constant, self.log_constant_error)
        return f"{self.kind} law, {numbers}, log constant = {constant}"

    def _repr_html_(self) -> str:
        return html_table("Fitted law", HEADINGS, [_row(self)])

    def log_eigenvalue(self, degrees: ArrayLike) -> Vector:
        """Natural logarithm of the law in k + shift, elementwise."""
        k = np.asarray(degrees, dtype=np.float64) + self.shift
        constant = self.log_constant
        if self.kind == "geometric":
            constant += self.rate * self.shift
        return np.asarray(constant + self.power * np.log(k) - self.rate * k ** STRETCH[self.kind])


@dataclass(frozen=True)
class Fit:
    """The three fitted laws, and the law that the data support.

    Attributes
    ----------
    supported : {"power", "stretched", "geometric", "none"}
        "none" if there are too few degrees, or no single law predicts the data.
    from_degree : int or None
        First degree from which the fitted power and rate describe the data, up to a constant, to
        1 % of lambda; None if they do not describe even the last degrees.
    laws : dict
        A FittedLaw for each kind; empty with fewer than 12 degrees.

    Examples
    --------
    >>> k = np.arange(10, 400, 2)
    >>> fit_law(k, -3.0 * np.log(k + 1.0)).best.kind
    'power'
    """

    supported: Literal["power", "stretched", "geometric", "none"]
    from_degree: int | None
    laws: dict[Fitted, FittedLaw]

    @property
    def best(self) -> FittedLaw | None:
        """The law that the data support, or None."""
        return None if self.supported == "none" else self.laws[self.supported]

    def _repr_html_(self) -> str:
        return html_table(f"Fit: {_support(self)}", HEADINGS, map(_row, self.laws.values()))


@dataclass(frozen=True, repr=False, eq=False)
class FittedSpectrum(Value):
    """Fit to the degrees of one parity in one dimension, and the law derived for them.

    `derived` is None if no law is derived.  `derived_from` is the degree from which that law is
    within 10 % of the eigenvalues, or None if they do not show such a degree.  `degrees` and
    `log_eigenvalues` are the fitted data.

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     found = fit(table.select("tanh", dim=3))
    >>> found[0].name, found[0].dim, found[0].parity
    ('tanh', 3, 1)
    """

    name: str
    network: Network | ZonalKernel
    kernel: Kernel
    domain: Domain
    parity: int
    fit: Fit
    derived: Law | None
    derived_from: int | None
    degrees: NDArray[np.int64]
    log_eigenvalues: Vector

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.domain.dim

    @property
    def derived_is_off(self) -> bool:
        """Whether a law is derived that is not within 10 % at these degrees.

        Examples
        --------
        >>> import ntkspec
        >>> deep = ntkspec.spectrum(ntkspec.Network("tanh", depth=3), 10, range(1, 101, 2))
        >>> fit(deep)[0].derived_is_off
        True
        """
        law = self.derived
        return law is not None and self.derived_from is None and math.isfinite(law.log_constant)

    def __repr__(self) -> str:
        found = "no law is supported" if self.fit.best is None else repr(self.fit.best)
        return f"{self._title()}: {found}" + "".join(f"; {note}" for note in self._notes())

    def _notes(self) -> list[str]:
        return [f"the derived law is {NOWHERE}"] if self.derived_is_off else []

    def _repr_html_(self) -> str:
        title = f"{self._title()}: {_support(self.fit)}"
        return html_table(title, HEADINGS, map(_row, self.fit.laws.values()), self._notes())

    def plot(self, *, ax: Any = None) -> Any:
        """Draw eigenvalues, the supported and the derived law on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib axes, optional
            By default the current axes.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        NtkspecError
            When matplotlib is not installed.

        Examples
        --------
        >>> import ntkspec
        >>> axes = ntkspec.fit(ntkspec.spectrum("relu", 3, range(101)))[0].plot()
        """
        ax, k = axes_to_draw(ax), self.degrees
        label = f"{self.name}{self.domain.place}"
        free = style_of(len(ax.lines), {"linestyle": "none", "label": label})
        draw_eigenvalues(ax, k, self.log_eigenvalues, **free)
        laws = {"supported law": (self.fit.best, k[0]), "derived law": (self.derived, k[-1])}
        if self.derived_from is not None:
            laws["derived law"] = (self.derived, self.derived_from)
        for number, (name, (law, start)) in enumerate(laws.items(), 1):
            if law is not None and start < k[-1]:
                at = k[k >= start]
                line = {"linestyle": ("-", "--")[number - 1], "marker": "none", "label": name}
                draw_eigenvalues(ax, at, law.log_eigenvalue(at), **style_of(number, line))
        if self.derived_is_off:
            ax.plot([], [], linestyle="none", label=f"derived law: {NOWHERE}")
        ax.legend()
        return ax

    def _title(self) -> str:
        degrees = ("even", "odd")[self.parity]
        kind = qualified(self.network, self.kernel)
        return f"Fit of {self.name}{self.domain.place}, dim = {self.dim}{kind}, {degrees} k"


def fit_law(degrees: ArrayLike, log_eigenvalues: ArrayLike, *, dim: int = 2) -> Fit:
    """Fit the three laws to eigenvalues of one parity.

    Parameters
    ----------
    degrees : (K,) array_like of int
    log_eigenvalues : (K,) array_like
        Natural logarithms; those of zeros are ignored.
    dim : int

    Returns
    -------
    Fit

    Examples
    --------
    >>> k = np.arange(10, 400, 2)
    >>> found = fit_law(k, -3.0 * np.log(k + 1.0))
    >>> found.supported, round(found.best.power, 6)
    ('power', -3.0)
    """
    k, log = np.asarray(degrees, dtype=np.float64), np.asarray(log_eigenvalues, np.float64)
    if k.ndim != 1 or k.shape != log.shape or np.isnan(log).any():
        raise NtkspecError("degrees and log_eigenvalues must be arrays of one length, without NaN")
    kept = np.isfinite(log) & (k >= 1)
    order = np.argsort(k[kept])
    k, log = _thinned(k[kept][order], log[kept][order])
    if k.size < LEAST_POINTS:
        return Fit("none", None, {})
    shift = dim / 2 - 1
    with np.errstate(over="ignore", invalid="ignore"):  # discard fits without finite errors
        laws = {kind: _fitted(kind, k, log, shift) for kind in get_args(Fitted)}
        supported = _supported(laws)
        if supported is None:
            return Fit("none", None, laws)
        return Fit(supported, _from_degree(laws[supported], k, log), laws)


def fit(
    source: Table | TableSlice | Spectrum,
    *,
    network: Network | str | None = None,
    dim: int | Iterable[int] | str | None = None,
    kernel: Kernel | None = None,
    domain: str | None = None,
) -> list[FittedSpectrum]:
    """Fit the three laws to eigenvalues, each dimension and parity separately.

    Parameters
    ----------
    source : Table, TableSlice or Spectrum
        Of a spectrum with several eigenvalues for each degree, the largest are fitted.
    network, kernel, domain : optional
        Of a table: those to fit, as for `Table.names`; all if not given.
    dim : int, iterable of int or str, optional
        Of a table: the dimensions to fit; all if not given.

    Returns
    -------
    list of FittedSpectrum
        Without parities that have fewer than three nonzero eigenvalues.

    Raises
    ------
    NtkspecError
        When the source has another type, or the table has no such network or dimension.
    TableError
        When the table's file is damaged.

    Examples
    --------
    >>> import ntkspec
    >>> found = fit(ntkspec.spectrum("relu", dim=3, degrees=range(200)))
    >>> found  # doctest: +ELLIPSIS
    [Fit of relu, dim = 3 (ntk), even k: power law, power = ...]
    >>> with ntkspec.atlas() as table:
    ...     found = fit(table, network="tanh", dim=3)
    >>> [one.fit.supported for one in found]
    ['stretched']
    """
    refuse_density("fit", source)
    if isinstance(source, Table):
        dims = parse_range(dim, "dim") if isinstance(dim, str) else dim
        if isinstance(dims, Iterable) and not isinstance(dims, range):
            dims = list(dims)  # for several networks
        parts = source.parts(network, dims, kernel=kernel, domain=domain)
        return [one for part in parts for one in _fit_slice(part.read())]
    if any(one is not None for one in (network, dim, kernel, domain)):
        raise NtkspecError(
            "network, kernel, domain and dim select from a table; give them with a Table only"
        )
    if isinstance(source, TableSlice):
        return _fit_slice(source)
    if isinstance(source, Spectrum):
        log = source.log_eigenvalues.reshape(source.degrees.size, -1)[:, 0]
        return _fit_domain(
            full_name(source.network),
            source.network,
            source.kernel,
            source.domain,
            source.degrees,
            log,
        )
    raise NtkspecError(
        f"source = {shown(source)} is not allowed; give a Table, a TableSlice or a Spectrum"
    )


def _row(law: FittedLaw) -> tuple[str, ...]:
    """The cells of a fitted law, in the order of HEADINGS."""
    return (
        law.kind,
        with_error(law.power, law.power_error),
        "" if law.kind == "power" else with_error(law.rate, law.rate_error),
        with_error(law.log_constant, law.log_constant_error),
        f"{law.prediction_error:.1e}",
    )


def _support(fit: Fit) -> str:
    if fit.supported == "none":
        return "no law is supported"
    return f"the {fit.supported} law is supported"


def _fit_slice(part: TableSlice) -> list[FittedSpectrum]:
    found = []
    for dim, log in zip(part.dims.tolist(), part.log_eigenvalues, strict=True):
        domain = named_domain(part.domain, dim)
        found += _fit_domain(part.name, part.network, part.kernel, domain, part.degrees, log)
    return found


def _fit_domain(
    name: str,
    network: Network | ZonalKernel,
    kernel: Kernel,
    domain: Domain,
    degrees: NDArray[np.int64],
    log: Vector,
) -> list[FittedSpectrum]:
    """Both parities in one dimension."""
    found = []
    derived = known_law(network, domain, kernel)
    for parity in (0, 1):
        at = (degrees % 2 == parity) & np.isfinite(log) & (degrees > 0)
        if at.sum() < 3:
            continue
        fitted = fit_law(degrees[at], log[at], dim=domain.dim)
        one = derived.of_parity(parity) if derived is not None else None
        first = None if one is None else holds_within(one, degrees[at], log[at])
        found.append(
            FittedSpectrum(
                name, network, kernel, domain, parity, fitted, one, first, degrees[at], log[at]
            )
        )
    return found


def _thinned(k: Vector, log: Vector) -> tuple[Vector, Vector]:
    """At most MOST_POINTS degrees, evenly spread in log k: each part of the range counts alike."""
    if k.size <= LEAST_POINTS:
        return k, log
    at = np.searchsorted(k, np.geomspace(k[0], k[-1], MOST_POINTS) * (1 - 1e-12))
    at = np.unique(np.minimum(at, k.size - 1))
    return k[at], log[at]


def _columns(kind: Fitted, k: Vector, terms: int) -> Vector:
    """Columns of the least-squares problem: a, p, (r,) and the next terms."""
    columns = [np.ones_like(k), np.log(k)]
    if kind != "power":
        columns.append(-(k ** STRETCH[kind]))
    columns += [k ** (-j * STEP[kind]) for j in range(1, terms + 1)]
    return np.column_stack(columns)


def _least_squares(kind: Fitted, k: Vector, log: Vector, terms: int) -> tuple[Vector, Vector]:
    """Coefficients and their standard errors; NaN where the columns do not determine them."""
    matrix = _columns(kind, k, terms)
    scale = np.linalg.norm(matrix, axis=0)
    q, r = np.linalg.qr(matrix / scale)
    try:
        solution, inverse = np.linalg.solve(r, q.T @ log), np.linalg.inv(r)
    except np.linalg.LinAlgError:
        unknown = np.full(scale.size, np.nan)
        return unknown, unknown
    residual = log - (matrix / scale) @ solution
    variance = float(residual @ residual) / max(1, k.size - r.shape[0])
    spread = np.sqrt(variance * np.sum(inverse**2, axis=1))
    return solution / scale, spread / scale


def _fitted(kind: Fitted, k: Vector, log: Vector, shift: float) -> FittedLaw:
    """The most stable fit over all windows and numbers of next terms."""
    best = np.zeros(3), np.full(3, math.inf)
    for candidate in _candidates(kind, k, log, shift):
        if candidate[1][1] < best[1][1]:
            best = candidate
    values, errors = best
    top = k >= k[-1] / 4
    fall, x = log[top][0] - log[top][-1], k[top] + shift
    decay = float(values[2] * np.ptp(x ** STRETCH[kind]))
    constant, constant_error = values[0], errors[0]
    if kind == "geometric":
        constant, constant_error = constant - values[2] * shift, errors[0] + errors[2] * shift
    return FittedLaw(
        kind, float(values[1]), float(errors[1]), float(values[2]), float(errors[2]),
        float(constant), float(constant_error), _prediction_error(kind, k, log, shift),
        decay / fall if fall > 0 else 0.0, shift,
    )  # fmt: skip


def _candidates(
    kind: Fitted, k: Vector, log: Vector, shift: float
) -> Iterator[tuple[Vector, Vector]]:
    """(a, p, r) and errors, for each window and number of next terms."""
    leading = 2 if kind == "power" else 3
    windows = [k >= k[-1] / part for part in WINDOWS] + [k > 0]
    windows = [at for at in windows if at.sum() >= LEAST_POINTS]
    for terms in range(1, MOST_TERMS + 1):
        narrower = None
        for at in windows:
            x = k[at] + shift
            values, errors = (v[:leading] for v in _least_squares(kind, x, log[at], terms))
            fewer = _least_squares(kind, x, log[at], terms - 1)[0][:leading]
            moved = np.abs(values - fewer)
            if narrower is not None:
                # What the window moves is seen with both; what the last term moves is not all left
                moved = np.maximum(np.abs(values - narrower), 0.1 * moved)
            narrower = values
            padded = np.zeros(3), np.zeros(3)
            padded[0][:leading] = values
            padded[1][:leading] = SAFETY * np.maximum(moved, errors)
            yield padded


def _prediction_error(kind: Fitted, k: Vector, log: Vector, shift: float) -> float:
    """RMS error over the upper half of the degrees, from the best fit below with next terms."""
    upper, best = k > k[-1] / 2, math.inf
    for part in WINDOWS[2:]:
        lower = ~upper & (k >= k[-1] / part)
        if lower.sum() < LEAST_POINTS // 2 or upper.sum() < 3:
            continue
        for terms in (1, 2):
            values = _least_squares(kind, k[lower] + shift, log[lower], terms)[0]
            error = log[upper] - _columns(kind, k[upper] + shift, terms) @ values
            best = min(best, float(np.sqrt(np.mean(error**2))))
    return best


def _supported(laws: dict[Fitted, FittedLaw]) -> Fitted | None:
    candidates = [one for one in laws.values() if one.kind == "power" or one.share > RIVALS]
    candidates.sort(key=lambda one: one.prediction_error)
    first, *others = candidates
    if first.prediction_error > PREDICTS or (first.kind != "power" and first.share < WINS):
        return None
    if others and others[0].prediction_error < BETTER * first.prediction_error:
        return None
    return first.kind


def _from_degree(best: FittedLaw, k: Vector, log: Vector) -> int | None:
    """First degree from which on power and rate describe the data to the tolerance."""
    rest = log - best.log_eigenvalue(k)
    highest = np.maximum.accumulate(rest[::-1])[::-1]
    lowest = np.minimum.accumulate(rest[::-1])[::-1]
    good = np.flatnonzero(highest - lowest <= 2.0 * TOLERANCE)
    return int(k[good[0]]) if good.size and k.size - good[0] >= 3 else None
