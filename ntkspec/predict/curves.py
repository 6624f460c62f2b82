"""Learning curves of kernel ridge regression from the spectrum alone.

Simon, Dickens, Karkada and DeWeese 2023, "The eigenlearning framework" (TMLR), section 4; the
same theory: Bordelon, Canatar and Pehlevan 2020; Canatar, Bordelon and Pehlevan 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.predict.modes import DEFAULT_DEGREE, Modes, Source, modes

__all__ = ["LearningCurve", "SampleSizes", "learning_curve", "samples_to_learn"]

Array = NDArray[np.float64]

#: How far kappa is searched below its upper bound, in natural logarithms.
MOST_FALL = 1e5


@dataclass(frozen=True)
class LearningCurve:
    """Expected errors of kernel ridge regression, by `learning_curve`.

    Attributes
    ----------
    dim : int
    degrees : (K,) int64 array
    samples : (S,) float64 array
        n, numbers of training points.
    power : (K,) float64 array
        Power of the target in each degree, E f_k(x)^2.
    noise, ridge : float
        Variance of the labels' noise; delta of (K + delta I)^-1.
    kappa : (S,) float64 array
        The implicit regularization.
    kappa_bounds : (S, 2) float64 array
        Bounds that the degrees beyond the last leave for kappa.
    learnability : (S, K) float64 array
        L_k = lambda_k / (lambda_k + kappa): the part of the target's component that is learned in
        the mean.
    overfitting : (S,) float64 array
        E_0 = n / (n - sum N L^2); inf where n equals the rank and nothing regularizes.
    test_error : (S,) float64 array
        Expected E (fhat - f)^2 on new points, against the target without its noise.
    noisy_test_error : (S,) float64 array
        The same against noisy labels.
    train_error : (S,) float64 array
        Expected mean square on the training points.
    of_degree : (S, K) float64 array
        What each degree contributes to `test_error`: squared bias (1-L)^2 p and variance.
    """

    dim: int
    degrees: NDArray[np.int64]
    samples: Array
    power: Array
    noise: float
    ridge: float
    kappa: Array
    kappa_bounds: Array
    learnability: Array
    overfitting: Array
    test_error: Array
    noisy_test_error: Array
    train_error: Array
    of_degree: Array


@dataclass(frozen=True)
class SampleSizes:
    """Numbers of samples at which degrees are learned, by `samples_to_learn`.

    Attributes
    ----------
    dim : int
    degrees : (K,) int64 array
    level : float
        The learnability that is reached.
    samples : (K,) float64 array
        inf for a degree that is never learned.
    bounds : (K, 2) float64 array
        What the degrees beyond the last leave open.
    """

    dim: int
    degrees: NDArray[np.int64]
    level: float
    samples: Array
    bounds: Array


def learning_curve(
    source: Source,
    dim: int | None = None,
    samples: ArrayLike = (10, 100, 1000),
    power: Mapping[int, float] | ArrayLike = (0.0, 1.0),
    *,
    noise: float = 0.0,
    ridge: float = 0.0,
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> LearningCurve:
    """Expected errors of kernel ridge regression on n random points of the sphere.

    Parameters
    ----------
    source, dim, kernel
        As for `ntkspec.predict.modes`.
    samples : array_like, (S,) or scalar
        Numbers of training points, uniform and independent; at least 1.
    power : mapping or array_like
        Degree -> power E f_k(x)^2 of the target's component of that degree under the uniform
        probability measure, or an array of them from degree 0 on.
    noise : float
        Variance of independent noise on the labels.
    ridge : float
        delta >= 0 of fhat(x) = K(x, X) (K + delta I)^-1 y; 0 interpolates.
    max_degree : int, optional
        Largest degree of a network's spectrum that is taken by itself; by default 128, and the
        target's largest degree at least.  What is beyond is taken together, with bounds.

    Returns
    -------
    LearningCurve

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed, and a target's degree that the spectrum lacks.

    Notes
    -----
    kappa >= 0 solves n = sum_k N L_k + delta / kappa (Simon et al. 2023, eq. 4), E_0 =
    n / (n - sum_k N L_k^2) (eq. 6) and E = E_0 (sum_k (1 - L_k)^2 p_k + noise) (eq. 7), whose
    limit without noise is that of Canatar et al. 2021, eqs. 4 and 5; train error
    (delta / (n kappa))^2 E (eq. 9); the variance of a coefficient L_k^2 E / n (eq. 10).  The
    theory takes the modes for Gaussian features: in three dimensions, without noise and ridge, the
    mean error of real points is up to twice as large (docs/predictions.rst has measurements).

    Examples
    --------
    >>> found = learning_curve("relu", dim=3, samples=[10, 100, 1000], power={2: 1.0})
    >>> found.test_error.round(3)
    array([0.245, 0.   , 0.   ])
    >>> found = learning_curve("relu", dim=3, samples=[500], power={1: 1.0, 3: 0.5})
    >>> float(found.of_degree[0, 3].round(2))  # ReLU never learns degree 3
    0.5
    """
    sizes = np.atleast_1d(np.asarray(samples, dtype=np.float64))
    if not (sizes.size and np.all(sizes >= 1.0) and np.all(np.isfinite(sizes))):
        raise NtkspecError(f"samples = {samples!r} is not allowed; they must be at least 1")
    noise, ridge = _nonnegative(noise, "noise"), _nonnegative(ridge, "ridge")
    target = _checked_power(power)
    last = max(DEFAULT_DEGREE if max_degree is None else max_degree, max(target))
    known = modes(source, dim, kernel, last)
    powers = np.zeros(known.degrees.size)
    for degree, value in target.items():
        if value > 0.0:
            powers[known.place(degree, "degree of the target")] = value
    solved = [_solved(known, float(n), ridge) for n in sizes]
    bounds = np.exp(np.array([(low, high) for _, low, high in solved]))
    log_kappa = np.array([middle for middle, _, _ in solved])
    return _errors(known, sizes, powers, noise, ridge, log_kappa, bounds)


def samples_to_learn(
    source: Source,
    dim: int | None = None,
    level: float = 0.5,
    *,
    ridge: float = 0.0,
    degrees: Iterable[int] | None = None,
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> SampleSizes:
    """Return the number of samples at which the learnability of each degree reaches a level.

    Parameters
    ----------
    source, dim, kernel, max_degree
        As for `ntkspec.predict.modes`.
    level : float
        Between 0 and 1; at 1/2 the degree starts to be learned: half of its component is.
    ridge : float
        delta >= 0, as for `learning_curve`.
    degrees : iterable of int, optional
        By default all that are known.

    Returns
    -------
    SampleSizes

    Raises
    ------
    NtkspecError
        For a level outside (0, 1) or a negative ridge.

    Notes
    -----
    L_k = level where kappa = lambda_k (1 - level) / level, and there n = sum_j N_j L_j + delta /
    kappa (Simon et al. 2023, eq. 4): no equation is solved.

    Examples
    --------
    >>> samples_to_learn("relu", dim=3, degrees=[0, 1, 2, 3, 4]).samples.round(1)
    array([ 4.5,  3.8,  7.2,  inf, 25.1])
    """
    try:
        share = float(level)
    except (TypeError, ValueError):
        share = math.nan
    if not 0.0 < share < 1.0:
        raise NtkspecError(f"level = {level!r} is not allowed; it must be between 0 and 1")
    ridge = _nonnegative(ridge, "ridge")
    wanted = None if degrees is None else [int(k) for k in degrees]
    last = max_degree
    if wanted and last is None:
        last = max(DEFAULT_DEGREE, 2 * max(wanted))
    known = modes(source, dim, kernel, last)
    at = np.arange(known.degrees.size)
    if wanted is not None:
        at = np.array([known.place(k) for k in wanted], dtype=np.int64)
    logs = known.log_eigenvalues[at]
    bounds = np.full((at.size, 2), math.inf)
    learned = np.flatnonzero(np.isfinite(logs))
    log_kappa = logs[learned] + math.log((1.0 - share) / share)
    below, above = known.rest_freedom(log_kappa)
    with np.errstate(over="ignore"):
        base = known.freedom(log_kappa).sum(axis=1) + (ridge * np.exp(-log_kappa) if ridge else 0.0)
    bounds[learned] = np.stack([base + below, base + above], axis=1)
    return SampleSizes(known.dim, known.degrees[at], share, bounds.mean(axis=1), bounds)


def _solved(known: Modes, n: float, ridge: float) -> tuple[float, float, float]:
    """ln kappa, and bounds of it: with the most and the least that the rest can take."""

    def excess(log_kappa: float, upper: bool) -> float:
        x = np.array(log_kappa)
        below, above = known.rest_freedom(x)
        of_ridge = math.exp(min(700.0, math.log(ridge) - log_kappa)) if ridge else 0.0
        return float(known.freedom(x).sum()) + float(above if upper else below) + of_ridge - n

    # Every term is at most N lambda / kappa.
    highest = math.log((known.trace * (1.0 + 1e-9) + ridge) / n)
    roots = []
    for upper in (False, True):
        fall = 1.0
        while excess(highest - fall, upper) <= 0.0:
            fall *= 2.0
            if fall > MOST_FALL:
                break
        if fall > MOST_FALL:  # more samples than functions: nothing is left to regularize
            roots.append(-math.inf)
            continue
        low = highest - fall
        roots.append(float(brentq(excess, low, highest, args=(upper,), xtol=1e-13, rtol=1e-14)))
    low, high = roots
    middle = math.log(0.5 * (math.exp(low - high) + 1.0)) + high if high > -math.inf else high
    return middle, low, high


def _errors(
    known: Modes,
    sizes: Array,
    powers: Array,
    noise: float,
    ridge: float,
    log_kappa: Array,
    bounds: Array,
) -> LearningCurve:
    """All errors at kappa; the rest of the spectrum learns nothing."""
    learnability = np.exp(known.log_learnability(log_kappa))
    squares = known.freedom(log_kappa, 2)
    left = sizes - squares.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overfitting = np.where(left > 0.0, sizes / left, math.inf)
        bias = (1.0 - learnability) ** 2 * powers
        missed = bias.sum(axis=1) + noise
        noisy = np.where(missed > 0.0, overfitting * missed, 0.0)
        variance = np.where(noisy[:, None] > 0.0, squares * (noisy / sizes)[:, None], 0.0)
        of_degree = bias + variance
        kappa = np.exp(log_kappa)
        factor = np.where(ridge > 0.0, (ridge / (sizes * kappa)) ** 2, 0.0)
        train = np.where(factor > 0.0, factor * noisy, 0.0)
    return LearningCurve(
        known.dim, known.degrees, sizes, powers, noise, ridge, kappa, bounds, learnability,
        overfitting, noisy - noise, noisy, train, of_degree,
    )  # fmt: skip


def _checked_power(power: Mapping[int, float] | ArrayLike) -> dict[int, float]:
    """Degree -> power, as numbers that are not negative."""
    try:
        if isinstance(power, Mapping):
            found = {int(k): float(v) for k, v in power.items()}
        else:
            found = dict(enumerate(np.atleast_1d(np.asarray(power, dtype=np.float64)).tolist()))
    except (TypeError, ValueError):
        found = {}
    if not found or min(found) < 0 or not all(0.0 <= v < math.inf for v in found.values()):
        raise NtkspecError(
            f"power = {power!r} is not allowed; give a power >= 0 for each degree >= 0"
        )
    return found


def _nonnegative(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number < math.inf:
        raise NtkspecError(f"{name} = {value!r} is not allowed; it must be a number >= 0")
    return number
