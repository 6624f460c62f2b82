"""Learning curves of kernel ridge regression, from the spectrum.

Simon, Dickens, Karkada and DeWeese 2023, "The eigenlearning framework" (TMLR), section 4, the
eigenlearning equations; the same theory: Bordelon, Canatar and Pehlevan 2020 (ICML); Canatar,
Bordelon and Pehlevan 2021 (Nature Communications 12, 2914), equation (4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.conventions import MAX_DEGREE, check_degrees
from ntkspec.domains import Ball, Domain, Gaussian, Patches, Torus, as_domain, one_given
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import as_number, as_whole, numbers, one_of, shown, whole_number
from ntkspec.predict.by_degree import Array, ByDegree, Variables, along
from ntkspec.predict.frequencies import check_frequencies, torus_of
from ntkspec.predict.modes import Modes, Source, first_degree, resolved
from ntkspec.predict.radial import Placed, Ranks, place_ranks, ranks_needed, split_by_rank
from ntkspec.predict.regularization import (
    Regularization,
    RidgeScale,
    doubt_at,
    regularization,
)
from ntkspec.predict.targets import ROUNDING, TargetPower, frequency_power
from ntkspec.spectra.route import as_source
from ntkspec.zonal import ZonalKernel

__all__ = ["LearningCurve", "SampleSizes", "learning_curve", "placed", "samples_to_learn"]

#: Most eigenvalues of a degree under the Gaussian measure that are computed for a target.
MOST_RADIAL = 12

#: Dimensions in which regressions without noise differ from the theory by factors.
FEW = 3

#: Largest degree of a network that `samples_to_learn` lists by default.
FIRST = 12


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurve(ByDegree):
    """Expected errors of kernel ridge regression, by `learning_curve`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`.
    samples : (S,) float64 array
        n, numbers of training points.
    power : (K,) float64 array
        Power of the target in each degree, E f_k(x)^2.
    noise : float
        Variance of the labels' noise.
    ridge : (S,) float64 array
        delta of (K + delta I)^-1.
    kappa : (S,) float64 array
        The implicit regularization, on the scale of the eigenvalues.
    kappa_bounds : (S, 2) float64 array
        Bounds of kappa, including the degrees beyond the last.
    learnability : (S, K) float64 array
        L_k = lambda_k / (lambda_k + kappa): the fraction of the target's component of degree k
        that is learned on average; 0 for zero eigenvalues.
    overfitting : (S,) float64 array
        E_0 = n / (n - sum N L^2), the overfitting coefficient; inf if n equals the rank and there
        is no regularization.
    test_error : (S,) float64 array
        Expected E (fhat - f)^2 on new points, against the target without its noise.
    test_error_bounds : (S, 2) float64 array
        Its bounds, including the degrees beyond the last.
    noisy_test_error : (S,) float64 array
        The same against noisy labels.
    train_error : (S,) float64 array
        Expected mean square on the training points.
    bias : (S, K) float64 array
        (1 - L_k)^2 p_k, the squared error of the mean of fhat in each degree.
    variance : (S, K) float64 array
        Scatter of fhat over training sets, summed over the harmonics of each degree.

    Examples
    --------
    >>> found = learning_curve("tanh", dim=3, samples=[100], power={1: 1.0}, noise=0.1, ridge=1e-2)
    >>> found.test_error.round(4), found.train_error.round(4), found.learnability[0, 1].round(3)
    (array([0.0214]), array([0.0705]), np.float64(0.999))
    """

    main: ClassVar[str] = "test_error"

    samples: Array
    power: Array
    noise: float
    ridge: Array
    kappa: Array
    kappa_bounds: Array
    learnability: Array
    overfitting: Array
    test_error: Array
    test_error_bounds: Array
    noisy_test_error: Array
    train_error: Array
    bias: Array
    variance: Array

    @property
    def of_degree(self) -> Array:
        """(S, K) contribution of each degree to `test_error`, bias plus variance."""
        return self.bias + self.variance

    def axes(self) -> dict[str, NDArray[Any]]:
        """Numbers of samples and degrees, or what stands for them."""
        return {"samples": self.samples, **super().axes()}

    def variables(self) -> Variables:
        """Errors with bounds by number of samples, and their parts by degree."""
        at_least, at_most = self.test_error_bounds.T
        return {
            **along("samples", test_error=self.test_error, at_least=at_least, at_most=at_most),
            **along("samples", train_error=self.train_error, kappa=self.kappa),
            **along("samples", overfitting=self.overfitting),
            **along(self.index, power=self.power),
            **along("samples", self.index, learnability=self.learnability),
            **along("samples", self.index, bias=self.bias, variance=self.variance),
            **self.ranks(),
        }

    def _notes(self) -> list[str]:
        """What the bounds do not bound."""
        norms, few = isinstance(self.domain, (Gaussian, Ball)), self.domain.dim <= FEW
        if not norms and not (few and self.noise == 0.0):
            return []
        where = "Where norms differ, in" if norms else "Without noise, in"
        return [
            "at_least and at_most are bounds of the theory's value, which takes eigenfunctions at "
            f"the points for independent Gaussian numbers.  {where} few dimensions, regressions "
            "have larger errors; the manual's page Learning curves has measurements."
        ]

    def heading(self) -> dict[str, Any]:
        """The domain, and the noise."""
        return {**super().heading(), "noise": self.noise}


@dataclass(frozen=True, eq=False, repr=False)
class SampleSizes(ByDegree):
    """Numbers of samples at which degrees are learned, by `samples_to_learn`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`.
    error : float
        Fraction of the component that is left.
    samples : (K,) float64 array
        inf for a degree that is never learned.
    bounds : (K, 2) float64 array
        Bounds of the samples, including the degrees beyond the last.

    Examples
    --------
    >>> found = samples_to_learn("tanh", dim=3, error=0.1, degrees=[1])
    >>> found.error, found.samples.round(1)
    (0.1, array([5.]))
    """

    main: ClassVar[str] = "samples"

    error: float
    samples: Array
    bounds: Array

    def variables(self) -> Variables:
        """Ranks, numbers of samples and their bounds."""
        at_least, at_most = self.bounds.T
        return self.ranks() | along(
            self.index, samples=self.samples, at_least=at_least, at_most=at_most
        )

    def heading(self) -> dict[str, Any]:
        """The domain, and the error."""
        return {**super().heading(), "error": self.error}


def learning_curve(
    source: Source,
    domain: Domain | int | None = None,
    samples: ArrayLike = (10, 100, 1000),
    power: Mapping[Any, float] | ArrayLike = (0.0, 1.0),
    *,
    dim: int | None = None,
    noise: float = 0.0,
    ridge: float = 0.0,
    ridge_scale: RidgeScale = "matrix",
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> LearningCurve:
    """Expected errors of kernel ridge regression on n random points of the domain.

    Parameters
    ----------
    source, domain, dim, kernel
        As for `ntkspec.predict.modes`.
    samples : array_like, (S,) or scalar
        Numbers of training points, independent and from the domain's measure; at least 1.
    power : TargetPower, mapping or array_like
        By `ntkspec.predict.power`, for the same domain, and under a density for the spectrum that
        is the source; its rest, beyond its last degree, counts as never learned in the errors, and
        is left out of their lower bounds.  Or
        degree -> power E f_k(x)^2 of the target's component of that degree under the domain's
        probability measure, or an array of them from degree 0 on.  Where a degree has several
        eigenvalues, under the Gaussian measure, in a ball and on patches, give (degree, radial) ->
        power in the eigenfunctions of each.  Under a density degrees are ranks, here and in the
        result.  On a torus they are frequencies, (m_1, ..., m_d) or in one dimension m; the power
        is that of m and -m together, and what is given for both adds up.
    noise : float
        Variance of independent noise on the labels.
    ridge : float
        delta >= 0 of fhat(x) = K(x, X) (K + delta I)^-1 y; 0 interpolates.
    ridge_scale : {"matrix", "operator"}
        "operator": the ridge is r of K / n + r I, so that delta = n r grows with n.
    max_degree : int, optional
        Largest degree of a network's spectrum that is treated separately; by default as large as
        the largest n needs (`ntkspec.predict.modes.resolved`).  Higher degrees are treated
        together, with bounds.  On a torus the largest modulus of a frequency's coordinates.

    Returns
    -------
    LearningCurve

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed, and a target's degree that is not in the spectrum.

    Notes
    -----
    kappa >= 0 solves n = sum_k N L_k + delta / kappa; E_0 = n / (n - sum_k N L_k^2); the error
    against noisy labels is E = E_0 (sum_k (1 - L_k)^2 p_k + noise), the training error
    (delta / (n kappa))^2 E; a coefficient of the target v becomes L_k v in the mean, with the
    variance L_k^2 E / n (Simon et al. 2023, section 4).  Without noise E is that of Canatar et al.
    2021, equation (4), whose kappa is n times this one.  Where n exceeds the rank and delta is 0,
    kappa is 0 and delta / kappa stands for n - rank, its limit.

    Under the Gaussian measure the power of a function is split by the eigenfunctions of the source,
    and a network's spectrum has as many ranks as that needs, to 12.  Power in ranks beyond counts
    as never learned in the errors; their lower bounds have it learned as well as the largest
    eigenvalue beyond allows, which is not at all where it is 0.

    The theory assumes that the harmonics are independent Gaussian features; the manual,
    "Learning curves: theory and accuracy", has measurements of its accuracy.

    Examples
    --------
    >>> found = learning_curve("relu", dim=3, samples=[10, 100, 1000], power={2: 1.0})
    >>> found.test_error.round(3)
    array([0.245, 0.   , 0.   ])
    >>> found = learning_curve("relu", dim=3, samples=[500], power={1: 1.0, 3: 0.5})
    >>> float(found.of_degree[0, 3].round(2))  # ReLU never learns degree 3
    0.5
    """
    where = one_given(domain, dim)
    sizes = np.atleast_1d(numbers(samples, "samples"))
    if not (sizes.size and sizes.ndim == 1 and np.all((sizes >= 1.0) & np.isfinite(sizes))):
        raise NtkspecError(
            f"samples = {shown(samples)} is not allowed; give numbers that are at least 1"
        )
    noise, ridge = _nonnegative(noise, "noise"), _nonnegative(ridge, "ridge")
    scale = one_of(ridge_scale, "ridge_scale", get_args(RidgeScale))
    deltas = ridge * (sizes if scale == "operator" else np.ones(sizes.size))
    known, target, beyond = placed(
        power, source, where, kernel,
        lambda where, least: resolved(
            source, where, kernel, max_degree, least, lambda m: doubt_at(m, sizes, deltas)
        ),
    )  # fmt: skip
    return _errors(known, regularization(known, sizes, deltas), target, noise, beyond)


def samples_to_learn(
    source: Source,
    domain: Domain | int | None = None,
    error: float = 0.5,
    *,
    dim: int | None = None,
    ridge: float = 0.0,
    ridge_scale: RidgeScale = "matrix",
    degrees: Iterable[int] | None = None,
    size: int | None = None,
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> SampleSizes:
    """Return the number of samples at which each degree is learned up to an error.

    Parameters
    ----------
    source, domain, dim, kernel, max_degree
        As for `ntkspec.predict.modes`.
    error : float
        Fraction of the component that is left, 1 - L_k, between 0 and 1; at 1/2 the degree starts
        to be learned.
    ridge, ridge_scale
        As for `learning_curve`.
    degrees : iterable of int, optional
        By default 0 to 12 of a network or a kernel, and all of a spectrum or a slice.  On a torus
        of one dimension they are frequencies.
    size : int, optional
        On a torus, instead of degrees: all frequencies m with every abs(m_i) <= size, one of m and
        -m.

    Returns
    -------
    SampleSizes

    Raises
    ------
    NtkspecError
        For an error outside (0, 1), a negative ridge, and degrees that are not known.

    Notes
    -----
    L_k = 1 - error where kappa = lambda_k error / (1 - error), and there
    n = sum_j N_j L_j + delta / kappa (Simon et al. 2023, section 4): no equation is solved.  With
    "operator" delta = n r, so n = sum_j N_j L_j / (1 - r / kappa), and no number is enough where
    r >= kappa.

    Examples
    --------
    >>> samples_to_learn("relu", dim=3, degrees=[0, 1, 2, 3, 4]).samples.round(1)
    array([ 4.5,  3.8,  7.2,  inf, 25.1])
    """
    where, left = one_given(domain, dim), as_number(error)
    if not 0.0 < left < 1.0:
        raise NtkspecError(f"error = {shown(error)} is not allowed; it must be between 0 and 1")
    ridge = _nonnegative(ridge, "ridge")
    scale = one_of(ridge_scale, "ridge_scale", get_args(RidgeScale))
    wanted, size, strict = _checked_degrees(degrees, size, source, where)
    odds = math.log(left / (1.0 - left))
    least = max(wanted, default=0) if size is None else size
    known = resolved(
        source, where, kernel, max_degree, least, lambda m: _doubt(m, _asked(m, wanted, size), odds)
    )
    at = _asked(known, wanted, size, strict)
    logs = known.log_eigenvalues[at]
    found = np.full((at.size, 3), math.inf)
    learned = np.flatnonzero(np.isfinite(logs))
    log_kappa = logs[learned] + odds
    base = known.freedom(log_kappa).sum(axis=1)
    rest = known.rest_freedom(log_kappa)
    with np.errstate(over="ignore", divide="ignore"):
        part = ridge * np.exp(-log_kappa) if ridge else np.zeros(learned.size)
        for place, more in enumerate(rest):
            if scale == "matrix":
                found[learned, place] = base + more + part
            else:
                found[learned, place] = np.where(
                    part < 1.0, (base + more) / np.maximum(1.0 - part, 0.0), math.inf
                )
    # Kappa has the error of the eigenvalue, and no part of n grows faster than 1 / kappa.
    felt = known.errors[at][:, np.newaxis]
    found[:, ::2] *= 1.0 + felt * [-1.0, 1.0]
    return SampleSizes(
        known.domain, known.degrees[at], known.radial[at], left, found[:, 1], found[:, ::2]
    )


def _asked(
    known: Modes, wanted: list[int], size: int | None, strict: bool = False
) -> NDArray[np.int64]:
    """Places of degrees, or of frequencies up to a size; of all for none.

    Raises
    ------
    NtkspecError
        If strict, where one is not known; else it is left out.
    """
    if size is not None:
        largest = np.abs(known.degrees.reshape(-1, known.dim)).max(axis=1)
        inside = np.flatnonzero(largest <= size)
        if strict and inside.size <= (2 * size + 1) ** known.dim // 2:
            raise NtkspecError(
                f"size = {size} is not allowed; {inside.size} of these frequencies are known, of "
                f"moduli up to {largest.max()}; give a smaller one"
            )
        return inside
    there = wanted if strict else [k for k in wanted if k in known.degrees]
    if not there:
        return np.arange(known.log_eigenvalues.size)
    return np.array([place for k in there for place in known.places(k)], dtype=np.int64)


def _doubt(known: Modes, at: NDArray[np.int64], odds: float) -> float:
    """Relative uncertainty of the last number of samples from the rest."""
    logs = known.log_eigenvalues[at]
    if not np.any(np.isfinite(logs)):
        return 0.0
    return known.doubt(logs[np.isfinite(logs)].min() + odds)


def _check_domain(power: TargetPower, source: Source, domain: Domain) -> None:
    """Refuse the power of a target on another domain, or in other eigenfunctions."""
    target = power.domain
    if power.spectrum is not None and power.spectrum is not source:
        raise NtkspecError(
            "power is that of a target in the eigenfunctions of a spectrum under a density; give "
            "that spectrum as the source"
        )
    if (target.name, target.dim) != (domain.name, domain.dim):
        raise NtkspecError(
            f"power is that of a target {target}, and the spectrum is {domain}; give the target's "
            "power there"
        )


def _errors(
    known: Modes, kappa: Regularization, target: Placed, noise: float, beyond: float
) -> LearningCurve:
    """All errors at kappa; power beyond the degrees and ranks of the target is never learned."""
    n, at, powers = kappa.samples, kappa.log_kappa, target.powers
    never = beyond + float(target.left.sum())
    log_learned = known.log_learnability(at)
    learned = np.exp(log_learned)
    ridged = _of_ridge(known, kappa)
    likely = known.rest_freedom(at)[1]
    free = _unspent(known, log_learned).sum(axis=1) + likely - known.rest_second(at)[0] + ridged
    bias = (1.0 - learned) ** 2 * powers
    noisy, overfitting = _product(bias.sum(axis=1) + (never + noise), n, free)
    with np.errstate(invalid="ignore"):
        variance = known.freedom(at, 2) * (noisy / n)[:, None]
        train = np.where(ridged > 0.0, (ridged / n) ** 2 * noisy, 0.0)
    variance[np.isnan(variance)] = 0.0
    # Ranks beyond are learned no better than the bound on their eigenvalues allows.
    kept = np.exp(-np.logaddexp(0.0, target.log_bounds - kappa.least[:, None]))
    kept[:, np.isneginf(target.log_bounds)] = 1.0
    least = _error_bounds(known, kappa, powers, noise + kept**2 @ target.left)[0]
    most = _error_bounds(known, kappa, powers, noise + never)[1]
    bounds = np.stack([least, most], axis=1)
    return LearningCurve(
        known.domain, known.degrees, known.radial, n, powers, noise, kappa.ridge, np.exp(at),
        np.exp(np.stack([kappa.least, kappa.most], axis=1)), learned, overfitting,
        noisy - noise, bounds - noise, noisy, train, bias, variance,
    )  # fmt: skip


def _of_ridge(known: Modes, kappa: Regularization) -> Array:
    """delta / kappa, or its limit n - rank where both are 0."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        usual = np.where(kappa.ridge > 0.0, np.exp(np.log(kappa.ridge) - kappa.log_kappa), 0.0)
    bare = np.isneginf(kappa.log_kappa)
    rank = known.freedom(kappa.log_kappa).sum(axis=1)
    return np.where(bare, np.maximum(kappa.samples - rank, 0.0), usual)


def _unspent(known: Modes, log_learnability: Array) -> Array:
    """N L (1 - L) of each known degree, (S, K)."""
    return np.asarray(
        np.exp(known.log_multiplicities + log_learnability) * -np.expm1(log_learnability)
    )


def _product(missed: Array, n: Array, free: Array) -> tuple[Array, Array]:
    """E_0 times the missed part, and E_0 = n / free, which is infinite for free = 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overfitting = np.where(free > 0.0, n / free, math.inf)
        return np.where(missed > 0.0, overfitting * missed, 0.0), overfitting


def _error_bounds(
    known: Modes, kappa: Regularization, powers: Array, noise: float | Array
) -> tuple[Array, Array]:
    """Bounds of the error against noisy labels, from those of kappa.

    What is missed grows with kappa.  n - sum N L^2 = sum N L (1 - L) + delta / kappa: each
    L (1 - L) has one peak, at kappa = lambda, so between two kappas it is at least its value at one
    of them; and the rest and the ridge have n - sum N L together, over the known degrees.
    """
    n, low, high = kappa.samples, kappa.least, kappa.most
    lower, upper = known.log_learnability(high), known.log_learnability(low)
    # An error of lambda is at most as large a one of L and L (1 - L), and twice that of (1 - L)^2.
    less, more = 1.0 - known.errors, 1.0 + known.errors
    missed = [
        ((1.0 - np.exp(x)) ** 2 * powers * felt**2).sum(axis=1) + noise
        for x, felt in ((upper, less), (lower, more))
    ]
    others = [
        np.maximum(n - (known.freedom(x) * felt).sum(axis=1), 0.0)
        for x, felt in ((low, more), (high, less))
    ]
    top = known.rest_learnability(low)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ridged = np.where(kappa.ridge > 0.0, np.exp(np.log(kappa.ridge) - high), 0.0)
    ends = [_unspent(known, x) for x in (lower, upper)]
    least = (np.minimum(*ends) * less).sum(axis=1) + np.maximum(ridged, others[0] * (1.0 - top))
    with np.errstate(over="ignore"):
        between = np.exp(known.log_multiplicities) * 0.25
    peaked = (known.log_eigenvalues >= low[:, None]) & (known.log_eigenvalues <= high[:, None])
    most = (np.where(peaked, between, np.maximum(*ends)) * more).sum(axis=1) + others[1]
    return (
        _product(missed[0], n, np.minimum(most, n))[0],
        _product(missed[1], n, least)[0],
    )


def _checked_degrees(
    degrees: Iterable[int] | None, size: int | None, source: Source, where: Domain | int | None
) -> tuple[list[int], int | None, bool]:
    """Degrees as whole numbers, all known ones by default; the size; and if either is given."""
    torus = torus_of(source, where)
    check_frequencies(torus, degrees, size)
    if degrees is not None:
        return [int(k) for k in check_degrees(degrees)], None, True
    if size is not None:
        return [], whole_number(size, "size", 0, MAX_DEGREE), True
    if not isinstance(source, (Network, ZonalKernel, str)):
        return [], None, False
    if torus is not None:
        return [], first_degree(torus, FIRST), False
    return list(range(first_degree(as_domain(where), FIRST) + 1)), None, False


def placed(
    power: TargetPower | Mapping[Any, float] | ArrayLike,
    source: Any,
    where: Domain | int | None,
    kernel: Kernel,
    modes_of: Callable[[Any, int], Modes],
) -> tuple[Modes, Placed, float]:
    """Modes of a domain to a degree, the power of a target on them, and that beyond its degrees.

    Raises
    ------
    NtkspecError
        For a power that is not allowed, that of another domain, that of degrees alone where they
        have several eigenvalues, and for a degree or rank that is not among the modes.
    """
    torus = torus_of(source, where)
    if torus is not None:
        return _placed_by_frequency(power, source, where, torus, modes_of)
    if isinstance(power, TargetPower) and power.profiles is not None:
        return _placed_by_rank(power, source, where, kernel, modes_of)
    target = _checked_power(power)
    known = modes_of(where, max(k for k, _, _ in target))
    if isinstance(power, TargetPower):
        _check_domain(power, source, known.domain)
    powers = np.zeros(known.degrees.size)
    for degree, radial, ranked in target:
        value = target[degree, radial, ranked]
        if value > 0.0:
            if not ranked:
                _refuse_degree_alone(power, known, degree)
            powers[known.place(degree, radial, "degree of the target")] = value
    beyond = power.rest if isinstance(power, TargetPower) else 0.0
    return known, Placed(powers, np.empty(0), np.empty(0)), beyond


def _placed_by_frequency(
    power: TargetPower | Mapping[Any, float] | ArrayLike, source: Any, where: Domain | int | None,
    torus: Torus, modes_of: Callable[[Any, int], Modes],
) -> tuple[Modes, Placed, float]:  # fmt: skip
    """The same on a torus; what quadrature finds at unknown frequencies is beyond."""
    if isinstance(power, TargetPower):
        _check_domain(power, source, torus)
    vectors, values = frequency_power(power, torus.dim)
    known = modes_of(where, int(np.abs(vectors).max()))
    rows = known.rows(vectors)
    there, lost = rows >= 0, (rows < 0) & (values > 0.0)
    beyond = float(values[lost].sum())
    if isinstance(power, TargetPower):
        beyond += power.rest
    elif lost.any():
        known.places(tuple(vectors[lost][0].tolist()), "degree of the target")
    powers = np.zeros(known.log_eigenvalues.size)
    powers[rows[there]] = values[there]
    return known, Placed(powers, np.empty(0), np.empty(0)), beyond


def _placed_by_rank(
    power: TargetPower, source: Any, where: Domain | int | None, kernel: Kernel,
    modes_of: Callable[[Any, int], Modes],
) -> tuple[Modes, Placed, float]:  # fmt: skip
    """The same under the Gaussian measure, in the eigenfunctions of the source."""
    assert power.profiles is not None
    negligible = ROUNDING * power.total
    computed = isinstance(source, (Network, ZonalKernel, str))
    network = as_source(source) if computed else getattr(source, "network", None)
    if network is None:
        raise NtkspecError(
            "power is that of a function under the Gaussian measure, which is split by the "
            "eigenfunctions of a network; give a network or a spectrum as the source, not Modes"
        )
    ranks: list[Ranks] = []
    if computed and isinstance(where, Gaussian):
        _check_domain(power, source, where)
        ranks = split_by_rank(network, kernel, where.dim, power.profiles)
        where = replace(where, radial=max(where.radial, ranks_needed(ranks, MOST_RADIAL)))
    last = max((k for k, one in enumerate(ranks) if one.whole > negligible), default=0)
    known = modes_of(where, last)
    _check_domain(power, source, known.domain)
    if not ranks:
        its = getattr(source, "kernel", kernel)
        ranks = split_by_rank(network, its, known.domain.dim, power.profiles)
    whole = sum(one.whole for one in ranks if one.whole > negligible)
    return known, place_ranks(known, ranks, negligible), max(0.0, power.total - whole)


def _refuse_degree_alone(power: Any, known: Modes, degree: int) -> None:
    """Refuse the power of a degree whose part in each of its eigenvalues is not known."""
    where = known.domain
    several = len(known.places(degree, "degree of the target")) > 1
    if where.single or (isinstance(where, Patches) and not several):
        return
    way = (
        f"{{({degree}, 0): 1.0}}, on the command line --target {degree},0:1, for the "
        "eigenfunctions of the largest eigenvalue"
    )
    if isinstance(where, Gaussian):
        way += f", or ntkspec.predict.power(function, {where!r}) for a function"
    raise NtkspecError(
        f"power = {shown(power)} is not allowed {where}, where each degree has several "
        f"eigenvalues: its degree {degree} does not say how much is in which.  Give (degree, "
        f"radial) -> power: {way}"
    )


def _checked_power(
    power: TargetPower | Mapping[Any, float] | ArrayLike,
) -> dict[tuple[int, int, bool], float]:
    """(degree, radial, whether the rank was given) -> power, as numbers that are not negative."""
    refusal = NtkspecError(
        f"power = {shown(power)} is not allowed; give a power >= 0 for each degree >= 0"
    )
    found: dict[tuple[int, int, bool], float] = {}
    each = power if isinstance(power, Mapping) else _listed(power, refusal)
    for key, value in each.items():
        pair = key if isinstance(key, tuple) else (key, 0)
        size, places = as_number(value), [as_whole(one) for one in pair]
        if len(places) != 2 or not 0.0 <= size < math.inf:
            raise refusal
        degree, radial = places
        if degree is None or radial is None or min(degree, radial) < 0:
            raise refusal
        found[degree, radial, isinstance(key, tuple)] = size
    if not found:
        raise refusal
    return found


def _listed(power: ArrayLike, refusal: NtkspecError) -> dict[Any, float]:
    """Powers from degree 0 on by their degrees."""
    values = np.atleast_1d(numbers(power, "power"))
    if values.ndim != 1:
        raise refusal
    return dict(enumerate(values.tolist()))


def _nonnegative(value: float, name: str) -> float:
    number = as_number(value)
    if not 0.0 <= number < math.inf:
        raise NtkspecError(f"{name} = {shown(value)} is not allowed; it must be a number >= 0")
    return number
