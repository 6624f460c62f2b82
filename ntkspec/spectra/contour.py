"""Spectra on the circle by the trapezoid rule on a shifted contour, in balls.

With t = cos(x + iy) the kernel is sum_k lambda_k (e^(i k (x+iy)) + e^(-i k (x+iy))), so that its
Fourier coefficient of e^(-ikx) is lambda_k e^(ky): the shift by y lifts the eigenvalues of high
degree out of the rounding, as far as K is analytic.  All Taylor coefficients of K are >= 0, and
three things follow:

* the singularity nearest to 0 is on the positive axis (Pringsheim), so K is analytic up to the
  first T > 1 where one of its layers has no finite value;
* |K| <= K(cosh y) on the contour, and lambda_k <= K(cosh y) e^(-ky) for every such y;
* this bounds the aliases lambda_(k+lM) and lambda_(lM-k) of the rule with M points.

So every value is an enclosure.  One contour serves the degrees whose bounds at its y are nearly
their best ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from flint import acb, arb, fmpq
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.duals import Correlation, Layers
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.precision import exclusive, split, working_precision
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Route, Source
from ntkspec.spectra.seeds import KEPT, bits_kept

__all__ = ["ROUTE", "Contour", "Growth", "chosen_contours", "enclosed", "growth_of"]

LN2 = math.log(2.0)
#: Nats by which a contour's bound on an eigenvalue may exceed the best one.
SLACK = 36.0
#: Shifts at which the kernel's growth is known, and the largest.
SHIFTS, FARTHEST = 36, 40.0
#: Nats that aliases must lie below an eigenvalue.
ALIAS = 46.0
#: Nats by which an eigenvalue lies below its bound: the first guess, and where to stop.
BELOW, MOST_BELOW = 16.0, 4000.0


@dataclass(frozen=True)
class Growth:
    """Log K(cosh y) at increasing shifts y; K is finite, hence analytic, to the last of them."""

    shifts: NDArray[np.float64]
    logs: NDArray[np.float64]

    def log_bounds(self, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log K(cosh y) e^(-ky), a row for each degree, a column for each shift."""
        return self.logs - np.multiply.outer(degrees, self.shifts)

    def log_aliases(
        self, degrees: NDArray[np.int64], shift: int, points: int
    ) -> NDArray[np.float64]:
        """Logs of bounds on the aliases of eigenvalues e^(ky) at one shift, over e^(ky)."""
        y = self.shifts[shift]
        rise, fall = self.shifts[shift + 1 :] - y, self.shifts + y
        up = self.logs[shift + 1 :] - np.multiply.outer(degrees + points, rise)
        down = self.logs - np.multiply.outer(points - degrees, fall)
        up -= np.log(-np.expm1(-points * rise))
        down -= np.log(-np.expm1(-points * fall))
        both: NDArray[np.float64] = np.logaddexp(up.min(axis=1), down.min(axis=1)) - degrees * y
        return both

    def points(self, degree: int, shift: int, floor: float) -> int:
        """Number of points for which the aliases of a degree are below e^floor."""
        y = self.shifts[shift]
        beyond, above = self.shifts[shift + 1 :], self.logs[shift + 1 :]
        up = (above - degree * beyond - floor) / (beyond - y)
        down = degree + (self.logs - degree * y - floor) / (self.shifts + y)
        return int(max(up.min(), down.min()))


@dataclass(frozen=True)
class Contour:
    """A shift, by its index, the number of points, and the degrees that they serve."""

    shift: int
    points: int
    degrees: NDArray[np.int64]


def growth_of(layers: Layers, last: int) -> Growth:
    """Find the shifts that matter to a degree."""

    def log_kernel(y: float) -> float:
        value = layers.at(Correlation(arb(y).cosh()))
        return float(value.log().upper()) if value > 0 and value.is_finite() else math.inf

    # Contours that serve a degree lie some SLACK / degree from the nearest singularity.
    near = 2.0 / (last + 200.0)
    low, high = 0.0, FARTHEST
    if log_kernel(high) == math.inf:
        while high - low > near * high:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if log_kernel(middle) < math.inf else (low, middle)
    else:
        low = high
    # The bounds of ever higher degrees, which their aliases need, are best at ever larger shifts.
    top, reach = low, 6.0 * last + 100.0
    while top > 1e-2 * low and log_kernel(0.8 * top) - reach * 0.8 * top < (
        log_kernel(top) - reach * top
    ):
        top *= 0.8
    shifts = top * -np.expm1(np.linspace(0.0, math.log(near), SHIFTS)[1:]) / (1.0 - near)
    logs = np.array([log_kernel(y) for y in shifts.tolist()])
    known = np.isfinite(logs)
    return Growth(shifts[known], logs[known] + 1e-9 * (1.0 + np.abs(logs[known])))


def chosen_contours(growth: Growth, degrees: NDArray[np.int64], below: float) -> list[Contour]:
    """Choose contours from the highest degree down."""
    excess = growth.log_bounds(degrees)
    best = excess.min(axis=1)
    excess -= best[:, np.newaxis]
    contours, left = [], degrees.size
    while left:
        # The last shift has none beyond it to bound the aliases.
        fits = np.flatnonzero(excess[left - 1, :-1] <= SLACK)
        choices = []
        for j in fits[:: max(1, fits.size // 12)].tolist():
            missed = np.flatnonzero(excess[:left, j] > SLACK)
            first = int(missed[-1]) + 1 if missed.size else 0
            points = max(
                growth.points(int(degrees[i]), j, float(best[i]) - below - ALIAS)
                for i in (first, left - 1)
            )
            choices.append((points / (left - first), first, j, 16 * (points // 16 + 2)))
        _, first, shift, points = min(choices)  # the fewest points for each degree
        contours.append(Contour(shift, points, degrees[first:left]))
        left = first
    return contours


def enclosed(layers: Layers, growth: Growth, contour: Contour, whole: int | None) -> list[arb]:
    """Enclosures of the eigenvalues of a contour's degrees; `whole` is the parity of K."""
    n = contour.points
    y = arb(float(growth.shifts[contour.shift]))
    far, turn = y.cosh(), y.sinh()
    last = n // 4 if whole is not None else n // 2
    values = []
    for j in range(last + 1):
        sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * j, n))
        values.append(layers.at(Correlation(acb(cosine * far, -sine * turn))))
    if whole is not None:
        # t(pi - x) is minus the conjugate of t(x)
        sign = 1 - 2 * whole
        values += [sign * z.conjugate() for z in values[-2::-1]]
    values += [z.conjugate() for z in values[-2:0:-1]]
    series = acb.dft([acb(z) for z in values])
    aliases = growth.log_aliases(contour.degrees, contour.shift, n)
    return [
        series[-k % n].real / n * (-k * y).exp() + arb(0, arb(alias + 1e-6).exp().upper())
        for k, alias in zip(contour.degrees.tolist(), aliases.tolist(), strict=True)
    ]


@exclusive()
def _enclosures(network: Network, kernel: Kernel, degrees: NDArray[np.int64]) -> list[arb]:
    """Enclosures that keep the bits of a double, for increasing degrees."""
    zeros = parity(network, kernel)
    wanted = np.array([k for k in degrees.tolist() if not zeros.vanishes(k)], np.int64)
    found: dict[int, arb] = {}
    if wanted.size:
        with working_precision(64):
            growth = growth_of(Layers(network, kernel), int(wanted[-1]))
    below = BELOW
    while wanted.size:
        if below > MOST_BELOW:
            raise NtkspecError(
                f"the eigenvalue of degree {wanted[0]} is more than e^{MOST_BELOW:.0f} times "
                "smaller than the kernel's growth allows, and is not computed; leave this degree "
                "out, or give bias_variance = 0 instead of a tiny one"
            )
        with working_precision(KEPT + int((SLACK + below) / LN2) + 24):
            layers = Layers(network, kernel)
            for contour in chosen_contours(growth, wanted, below):
                balls = enclosed(layers, growth, contour, zeros.whole)
                found.update(zip(contour.degrees.tolist(), balls, strict=True))
            wanted = np.array([k for k in wanted.tolist() if bits_kept(found[k]) < KEPT], np.int64)
        below *= 2.0
    return [found.get(k, arb(0)) for k in degrees.tolist()]


@lru_cache(maxsize=64)
def _remembered(
    network: Network, kernel: Kernel, degrees: bytes
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cached read-only eigenvalues."""
    scaled = [
        split(ball) for ball in _enclosures(network, kernel, np.frombuffer(degrees, np.int64))
    ]
    mantissa = np.array([m for m, _ in scaled])
    exponent = np.array([e for _, e in scaled], np.int64)
    mantissa.flags.writeable = exponent.flags.writeable = False
    return mantissa, exponent


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    """The reason for a shifted contour, if the kernel is analytic beyond t = 1."""
    if not isinstance(source, Network) or domain.dim != 2 or source.weights != "gaussian":
        return None
    if all(sigma.singularity.kind == "entire" for sigma in source.sigmas):
        return "the kernel on the circle is analytic beyond t = 1"
    return None


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    assert isinstance(source, Network)
    mantissa, exponent = _remembered(source, kernel, degrees.tobytes())
    return mantissa, exponent, np.full(degrees.size, 2.0**-52)


ROUTE = Route(
    "shifted contour",
    _takes,
    _eigenvalues,
    serves="entire activations on the circle, with Gaussian weights",
)
