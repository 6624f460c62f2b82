"""Times that gradient descent needs to learn each degree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import check_degrees
from ntkspec.domains import (
    DensitySphere,
    Domain,
    Torus,
    as_domain,
    one_given,
    refuse_density,
)
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.parameters import as_number, one_of, shown
from ntkspec.predict.by_degree import Array, ByDegree, Variables, along, mode_name
from ntkspec.predict.descent import Best, check_optimizer, log_times_to, settled
from ntkspec.predict.frequencies import check_frequencies, frequency_modes, frequency_weights
from ntkspec.predict.modes import Source, first_degree, modes, modes_to
from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["LearningTimes", "learning_times", "sobolev_weights"]

Weight = Literal["power", "laplacian"]


@dataclass(frozen=True, eq=False, repr=False)
class LearningTimes(ByDegree):
    """Times to learn each degree, by `learning_times`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`; on a torus `degrees` are frequencies, (K,) or (K, dim).
    log_rates : (K,) float64 array
        Natural logarithm of lambda_k mu_k; -inf for degrees that are not learned.
    times : (K,) float64 array
        Time of gradient flow, or number of steps (a real number) of descent; inf for a degree that
        is never learned, and beyond the range of doubles.
    log_times : (K,) float64 array
        Natural logarithm of the times, accurate beyond the range of doubles too.
    error : float
        Fraction of the component that is left after this time.
    s, weight
        As given.
    step_size : float or None
    momentum : float
        As given, or the best ones.

    Examples
    --------
    >>> found = learning_times("relu", dim=3, error=0.1, degrees=[1, 3])
    >>> found.times.round(2), found.error
    (array([27.63,   inf]), 0.1)
    """

    main: ClassVar[str] = "time"

    log_rates: Array
    times: Array
    log_times: Array
    error: float
    s: float
    weight: str
    step_size: float | None
    momentum: float

    def variables(self) -> Variables:
        """Ranks or frequencies, logarithms of the rates, times and their logarithms."""
        return {
            **self.ranks(),
            **along(self.index, log_rate=self.log_rates, time=self.times, log_time=self.log_times),
        }

    def heading(self) -> dict[str, Any]:
        """The domain, the error and the parameters of the descent."""
        about = {**super().heading(), "error": self.error, "s": self.s}
        if self.s or self.weight == "inverse":
            about["weight"] = self.weight
        if self.step_size is not None:
            about["step_size"] = self.step_size
        if self.momentum:
            about["momentum"] = self.momentum
        return about


def sobolev_weights(
    domain: Domain, degrees: NDArray[np.int64], s: float, weight: Weight = "power"
) -> Array:
    """ln mu_k of H^s: mu_k = (1+k)^(2s) for "power", (1 + k(k+d-2))^s for "laplacian"."""
    k = np.asarray(degrees, dtype=np.float64)
    if one_of(weight, "weight", get_args(Weight)) == "power":
        return np.asarray(2.0 * s * np.log1p(k))
    return np.asarray(s * np.log1p(domain.laplacian(degrees))) if s else np.zeros(k.size)


def learning_times(
    source: Source | TorusSpectrum,
    domain: Domain | int | None = None,
    error: float = 0.01,
    *,
    dim: int | None = None,
    s: float = 0.0,
    weight: Weight = "power",
    step_size: float | Best | None = None,
    momentum: float | Best = 0.0,
    optimizer: str = "gd",
    degrees: Iterable[int] | None = None,
    size: int | None = None,
    kernel: Kernel = "ntk",
) -> LearningTimes:
    """Time in which the component of each degree falls to a fraction of its initial size.

    On a torus, where eigenvalues have no degrees, the component of each frequency.

    Parameters
    ----------
    source, domain, dim, kernel
        As for `ntkspec.predict.modes`, and a spectrum on a torus, or `Torus` as domain.
    error : float
        Fraction that is left, between 0 and 1.
    s : float
        Exponent of the Sobolev loss; 0 is L2.
    weight : {"power", "laplacian"}
        mu_k = (1+k)^(2s) or, on the sphere, (1 + k(k+d-2))^s; on a torus k is abs(m), and the
        second is (1 + abs(m)^2)^s.
    step_size : float or "best", optional
        Of gradient descent; without it the time is that of gradient flow.
    momentum : float or "best"
        beta of the heavy ball, w' = w - step_size * gradient + beta * (w - the w before), as
        PyTorch's SGD has it; 0 is plain descent.  The best step size and momentum are those for
        which the slowest of the degrees is fastest, and no degree up to the largest diverges.
        Degrees that are never learned, with the eigenvalue 0, do not count.
    optimizer : {"gd"}
        Gradient descent.  Adam and others have no rates by degree, and are refused.
    degrees : iterable of int, optional
        By default 0 to 100 (0 to 8 under the Gaussian measure), or all degrees of the spectrum.
        Under a density they are ranks, by default those of `ntkspec.predict.modes`.  On a torus of
        one dimension they are frequencies.
    size : int, optional
        On a torus, instead of degrees: all frequencies m with every abs(m_i) <= size, one of m and
        -m.  By default that of the spectrum, or of `ntkspec.spectrum`.

    Returns
    -------
    LearningTimes

    Raises
    ------
    NtkspecError
        For an error outside (0, 1), an s, a momentum or a step size that is not allowed: with a
        step size no degree up to the largest may diverge, step_size * lambda_k mu_k < 2 (1 +
        momentum), asked about or not.  For the weight "laplacian" off the sphere and the torus, and
        for a frequency whose eigenvalue is not known.

    Notes
    -----
    On the loss 1/2 r' P r / n of a wide network and many points the component of degree k obeys
    c' = -lambda_k mu_k c (Jacot et al. 2018, section 5; Sobolev: Yu, Yang and Townsend 2023), so
    t_k = ln(1/error) / (lambda_k mu_k), and with steps ln(error) / ln|1 - step_size lambda_k mu_k|.
    A degree with a zero eigenvalue is not learned for any s.

    With momentum a component falls as abs(z)^t, z being the larger root of z^2 - (1 + beta - x) z +
    beta = 0, x = step_size * lambda_k mu_k (Polyak 1964), and it oscillates from x = (1 - sqrt
    beta)^2 on, where abs(z) = sqrt(beta); a factor that does not depend on the error, and adds a
    few steps, is left out.  The best ones are for the smallest of the rates and the largest of all
    degrees up to the last; with a large s a degree beyond it could diverge.

    Examples
    --------
    >>> t = learning_times("relu", dim=3, error=0.1, degrees=[1, 2, 3, 4])
    >>> t.times.round(1)
    array([  27.6,   84.2,    inf, 1010.5])
    >>> learning_times("relu", dim=3, error=0.1, s=1.5, degrees=[1, 2, 4]).times.round(2)
    array([3.45, 3.12, 8.08])
    >>> best = learning_times("relu", dim=3, error=0.1, degrees=[1, 2, 4], momentum="best")
    >>> round(best.step_size, 1), round(best.momentum, 3), best.times.round(1)
    (35.3, 0.513, array([6.9, 6.9, 6.9]))
    >>> from ntkspec import Torus, spectrum
    >>> learning_times(spectrum("erf", Torus([[1, 0], [0, 1]]), 1), error=0.1)
    LearningTimes: domain = torus, dim = 2, error = 0.1, s = 0.0
    row  frequency_1  frequency_2  log_rate     time  log_time
      0            0            0      -inf      inf       inf
      1            0            1   -2.0897  18.6106   2.92373
      2            1           -1      -inf      inf       inf
      3            1            0   -2.0897  18.6106   2.92373
      4            1            1      -inf      inf       inf
    """
    check_optimizer(optimizer)
    where = one_given(domain, dim)
    left = _checked(error, "error", 0.0, 1.0)
    s = _checked(s, "s", -1e3, 1e3)
    if isinstance(source, TorusSpectrum) or isinstance(where, Torus):
        torus = source.domain if isinstance(source, TorusSpectrum) else where
        found = frequency_modes(
            source, torus, where, degrees, size, kernel, torus.default_size, beside=True
        )
        weights = frequency_weights(found.index, s, one_of(weight, "weight", get_args(Weight)))
        at = slice(None) if degrees is None else check_degrees(degrees)
        alone = np.zeros(len(found.index), np.int64)
        every = found.log_eigenvalues + weights
        return _times(torus, found.index, alone, every, at, left, s, weight, step_size, momentum)
    check_frequencies(None, degrees, size)
    wanted = None if degrees is None else check_degrees(degrees)
    if s:
        refuse_density("a Sobolev loss", source, where)
    if wanted is None and isinstance(where, DensitySphere):
        known = modes(source, where, kernel=kernel)
        at = np.arange(known.degrees.size)
    elif wanted is None:
        known = modes_to(source, where, kernel, first_degree(as_domain(where), 100))
        at = np.arange(known.degrees.size)
    else:
        known = modes(source, where, kernel=kernel, max_degree=int(wanted.max()))
        at = np.array([place for k in wanted for place in known.places(int(k))])
    every = known.log_eigenvalues + sobolev_weights(known.domain, known.degrees, s, weight)
    return _times(
        known.domain, known.degrees, known.radial, every, at, left, s, weight, step_size, momentum
    )


def _times(
    domain: Domain, names: NDArray[np.int64], radial: NDArray[np.int64], log_rates: Array,
    at: Any, left: float, s: float, weight: Weight, step_size: float | Best | None,
    momentum: float | Best,
) -> LearningTimes:  # fmt: skip
    """Times of some of the rates, none of which may diverge."""
    logs = log_rates[at]
    step, beta = settled(logs, step_size, momentum, names, log_rates, mode_name(domain))
    log_times = log_times_to(left, logs, step, beta)
    with np.errstate(over="ignore"):
        times = np.exp(log_times)
    return LearningTimes(
        domain, names[at], radial[at], logs, times, log_times, left, s, weight, step, beta
    )


def _checked(value: float, name: str, low: float, high: float) -> float:
    number = as_number(value)
    if not low < number < high:
        raise NtkspecError(
            f"{name} = {shown(value)} is not allowed; it must be a number between {low:g} and "
            f"{high:g}"
        )
    return number
