"""The Boolean cube: eigenvalues of a network's kernel at the parities x^S.

The inputs x in {-1, 1}^d enter the network as x / sqrt(d), a unit vector, so that the kernel is
K(t) with t = <x, x'> / d in {-1, -1 + 2/d, ..., 1} (Yang and Salman 2019, section 3).  Every
product x^S of |S| = k coordinates is an eigenfunction, with the eigenvalue

    mu_k = E[x^S K(sum_i x_i / d)] = 2^-d sum_j [z^j] (1 - z)^k (1 + z)^(d - k) K(1 - 2j/d),

the coefficients being Krawtchouk's polynomials.  The d + 1 values of K are taken as integers of a
fixed unit; the sums over them, for all k at once, are two Taylor shifts of a polynomial with whole
coefficients and add no rounding.  What the values lack is divided by sqrt(binom(d, k)) at least,
and the precision is raised until every eigenvalue keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from flint import arb, ctx, fmpq, fmpz, fmpz_poly
from numpy.typing import NDArray

from ntkspec.callables import ball_function
from ntkspec.domains.positive import PowerSeries
from ntkspec.duals import Correlation, Layers
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import as_whole, shown
from ntkspec.precision import exclusive, working_precision
from ntkspec.spectra.conventions import check_degrees
from ntkspec.spectra.domain import Domain
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.seeds import KEPT, bits_kept, like_zeros, refuse_zeros, split
from ntkspec.spectra.spectrum import Spectrum, warn_of_negative
from ntkspec.zonal import ZonalKernel

__all__ = ["Cube", "CubeSpectrum", "cube_spectrum"]

MAX_DIM = 10_000
MOST_BITS = 40_000
#: For a function whose error is not known: two precisions must agree instead.
MOST_BITS_UNPROVED = 4_000
ROUNDING = 2.0**-53


@dataclass(frozen=True)
class CubeSpectrum(Spectrum):
    """The spectrum of a network's kernel on the Boolean cube; attributes as for `Spectrum`.

    Examples
    --------
    >>> cube_spectrum("relu", dim=4, degrees=range(5)).multiplicities
    array([1., 4., 6., 4., 1.])
    """

    @property
    def domain(self) -> Cube:
        """The cube: multiplicities binom(d, k), degrees that end at d."""
        return Cube(self.dim)


@dataclass(frozen=True)
class Cube(Domain):
    """The Boolean cube {-1, 1}^d under its uniform measure; degrees of the parities x^S.

    Examples
    --------
    >>> Cube(4).multiplicity(np.arange(5)), Cube(4).last_degree
    (array([1., 4., 6., 4., 1.]), 4)
    """

    name: ClassVar[str] = "cube"

    @property
    def last_degree(self) -> int:
        """The dimension."""
        return self.dim

    def multiplicity(self, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
        """(K,) binom(d, k)."""
        return np.array([_to_double(count) for count in self._counts(degrees)])

    def log_multiplicity(self, degrees: NDArray[np.int64]) -> NDArray[np.float64]:
        """(K,) natural logarithms of binom(d, k)."""
        return np.array([math.log(count) for count in self._counts(degrees)])

    def falls(self, source: Network | ZonalKernel) -> bool:
        """For networks, whose kernels have power series with terms >= 0.

        The walk of Ehrenfest gives each power of t eigenvalues that fall by twos (Yang and Salman
        2019, theorem 4.1): docs/domains.rst.
        """
        return isinstance(source, Network)

    def log_count_beyond(self, degrees: NDArray[np.int64]) -> float:
        """Of all 2^d functions on the cube those that are left."""
        left = 2**self.dim - sum(self._counts(np.unique(degrees)))
        return math.log(left) if left else -math.inf

    def _counts(self, degrees: NDArray[np.int64]) -> list[int]:
        """Each from the one before: a binomial of its own would take far longer."""
        wanted, found, count = set(degrees.tolist()), {}, 1
        for k in range(max(wanted, default=-1) + 1):
            if k in wanted:
                found[k] = count
            count = count * (self.dim - k) // (k + 1)
        return [found[k] for k in degrees.tolist()]


def _to_double(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return math.inf


def cube_spectrum(
    network: Network | ZonalKernel | str,
    dim: int,
    degrees: int | str | Iterable[int] | None = None,
    kernel: Kernel = "ntk",
) -> CubeSpectrum:
    """Eigenvalues on the Boolean cube {-1, 1}^dim under its uniform probability measure.

    Parameters
    ----------
    network : Network, ZonalKernel or str
        A name stands for the poster's network with that activation; a zonal kernel is taken as
        a function of t = <x, x'> / dim, for flint or mpmath numbers.
    dim : int
        1 to 10**4; inputs x in {-1, 1}^dim enter as x / sqrt(dim).
    degrees : int, str or iterable of int, optional
        Numbers k of coordinates in the parity, 0 to dim, in any order; all of them if not given.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    CubeSpectrum
        With `degrees`, `eigenvalues`, `log_eigenvalues`, `multiplicities` (binom(dim, k)) and
        `relative_error`; sum of multiplicity times eigenvalue over all degrees is K(1).

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed; for weights on a sphere and for functions of doubles,
        which this domain does not have; and where an eigenvalue cannot be told from 0.

    Notes
    -----
    mu_k = 2^-d sum_j K_j(k) K(1 - 2j/d) with Krawtchouk's polynomials (Yang and Salman 2019,
    arXiv:1907.10599, section 3, where the sum is written with finite differences), in ball
    arithmetic; tanh and sigmoid with one layer and without bias by their series of positive
    terms (docs/domains.rst).

    Examples
    --------
    >>> s = cube_spectrum("relu", dim=3)
    >>> s.eigenvalues
    array([0.07602168, 0.08333333, 0.05799277, 0.        ])
    >>> float(s.multiplicities @ s.eigenvalues)  # K(1)
    0.5
    """
    source = network if isinstance(network, ZonalKernel) else as_network(network)
    dim = _checked_dim(dim)
    wanted = _checked_degrees(range(dim + 1) if degrees is None else degrees, dim)
    zeros = Parity() if isinstance(source, ZonalKernel) else parity(source, kernel)
    values = _values(source, kernel, zeros)
    balls = _settled(values, zeros, dim, sorted({int(k) for k in wanted}))
    mantissa, exponent = np.zeros(wanted.size), np.zeros(wanted.size, np.int64)
    error = np.zeros(wanted.size)
    for i, k in enumerate(wanted.tolist()):
        if not zeros.vanishes(k):
            mantissa[i], exponent[i] = split(balls[k])
            error[i] = values.relative_error + 2.0 * ROUNDING
    warn_of_negative(wanted, mantissa, error)
    return CubeSpectrum(source, dim, kernel, "probability", wanted, mantissa, exponent, error)


# --- the kernel's values -------------------------------------------------------------------------


class Values(Protocol):
    """K at the d + 1 points of the cube."""

    #: Whether the balls enclose; if not, two precisions must agree.
    proved: bool
    #: Bound on a relative error that all eigenvalues share, beyond what the balls show.
    relative_error: float

    def at(self, dim: int, count: int) -> list[arb]:
        """Return K(1 - 2j/dim) for j < count, at the working precision."""

    def slack(self, dim: int) -> arb | None:
        """Return a bound on what all eigenvalues lack, if it is not in the balls of the values."""


def _values(source: Network | ZonalKernel, kernel: Kernel, zeros: Parity) -> Values:
    if isinstance(source, ZonalKernel):
        if source.arithmetic == "double":
            raise NtkspecError(
                f"{source.name} is known in doubles only, which cannot give eigenvalues on the "
                "cube; give the function for flint or mpmath numbers"
            )
        return _Zonal(source)
    source.mixture(kernel)  # refuses another kernel's name
    if source.weights == "sphere":
        raise NtkspecError(
            "weights = 'sphere' is not allowed on the cube; use weights = 'gaussian'"
        )
    if source.sigma.user and source.sigma.arithmetic == "double":
        raise NtkspecError(
            f"{source.name} is known in doubles only, which cannot give eigenvalues on the cube; "
            "give the function for flint or mpmath numbers"
        )
    if source.sigma.tanh and source.depth == 1 and source.bias_variance == 0.0:
        return PowerSeries(source, kernel)
    return _Layered(source, kernel)


class _Layered:
    """Any network, by the duals of its layers."""

    relative_error = 0.0

    def __init__(self, network: Network, kernel: Kernel) -> None:
        self.network, self.kernel = network, kernel
        self.proved = not network.sigma.user

    def at(self, dim: int, count: int) -> list[arb]:
        layers = Layers(self.network, self.kernel)
        inner = [layers.at(_correlation(dim, j)) for j in range(1, count)]
        return [layers.at_one(), *inner]

    def slack(self, dim: int) -> arb | None:
        return None


class _Zonal:
    """A user's kernel in high precision."""

    proved = False
    relative_error = 0.0

    def __init__(self, source: ZonalKernel) -> None:
        self.function = ball_function(source.function, source.arithmetic, source.name)

    def at(self, dim: int, count: int) -> list[arb]:
        return [self.function(arb(fmpq(dim - 2 * j, dim))) for j in range(count)]

    def slack(self, dim: int) -> arb | None:
        return None


def _correlation(dim: int, j: int) -> Correlation:
    """t = 1 - 2j/d, with the angle where it is known."""
    if j == dim:
        return Correlation(arb(-1), arb.pi())
    return Correlation(arb(fmpq(dim - 2 * j, dim)))


# --- from values to eigenvalues ------------------------------------------------------------------


@exclusive()
def _settled(values: Values, zeros: Parity, dim: int, degrees: list[int]) -> dict[int, arb]:
    """Eigenvalues that do not vanish, the precision raised until each keeps KEPT bits."""
    degrees = [k for k in degrees if k <= dim and not zeros.vanishes(k)]
    bits = _first_bits(dim, degrees[-1]) if degrees else 64
    before: dict[int, arb] | None = None
    most = MOST_BITS if values.proved else MOST_BITS_UNPROVED
    while True:
        if bits > most:
            raise NtkspecError(
                f"some eigenvalue of degree {degrees[0]} to {degrees[-1]} in dimension {dim} "
                f"cannot be told from 0 with {most} bits, by which the sums over the cube cancel; "
                "leave out degrees that vanish, or lower the degree or the dimension"
            )
        with working_precision(bits):
            balls = _eigenvalues(values, zeros, dim, degrees)
            missing = KEPT - min((bits_kept(ball) for ball in balls.values()), default=KEPT)
            if missing <= 0:
                if values.proved or (before and not _differ(balls, before)):
                    return balls
                before, bits = balls, bits + bits // 4
                continue
            if not values.proved:
                refuse_zeros(like_zeros(balls, balls))
        bits += max(missing + 16, 32) if missing < KEPT else bits // 2


def _eigenvalues(values: Values, zeros: Parity, dim: int, degrees: list[int]) -> dict[int, arb]:
    """At the working precision: whole numbers in, whole numbers out, one bound on the rest."""
    mirror = zeros.whole
    count = dim + 1 if mirror is None else dim // 2 + 1
    balls = values.at(dim, count)
    size = max((abs(ball).upper() for ball in balls), default=arb(0))
    shift = ctx.prec - (int(size.man_exp()[1]) + _length(size) if not size.is_zero() else 0)
    unit = arb(2) ** -shift
    whole = [_nearest(ball, shift) for ball in balls]
    radius = max(arb(ball.rad()) for ball in balls) + unit
    if mirror is not None:
        whole += [(-1) ** mirror * whole[dim - j] for j in range(count, dim + 1)]
        if dim % 2 == 0 and mirror == 1:
            whole[dim // 2] = fmpz(0)
    sums = krawtchouk_sums(whole)
    slack = values.slack(dim)
    result = {}
    for k in degrees:
        states = fmpz(math.comb(dim, k))
        middle = arb(sums[k]) * unit / (arb(states) * arb(2) ** dim)
        error = radius / arb(states).sqrt()
        if slack is not None:
            error += slack
        result[k] = middle + arb(0, error.upper())
    return result


def krawtchouk_sums(values: list[fmpz]) -> list[fmpz]:
    """2^d binom(d, k) mu_k for k = 0..d from whole values of K(1 - 2j/d), exactly.

    sum_k binom(d, k) 2^d mu_k y^k = sum_j binom(d, j) f_j (1 - y)^j (1 + y)^(d - j): with
    u = 1 + y this is u^d P(2/u - 1), P(w) = sum_j binom(d, j) f_j w^j; one shift of the variable
    of P, one of u.

    Examples
    --------
    >>> krawtchouk_sums([fmpz(3), fmpz(0), fmpz(-3)])  # 3 t has mu_1 = 3/2 alone
    [0, 12, 0]
    """
    dim = len(values) - 1
    weighted = fmpz_poly([math.comb(dim, j) * value for j, value in enumerate(values)])
    shifted = weighted(fmpz_poly([-1, 1]))
    homogeneous = fmpz_poly([shifted[dim - i] << (dim - i) for i in range(dim + 1)])
    result = homogeneous(fmpz_poly([1, 1]))
    return [result[k] for k in range(dim + 1)]


def _nearest(ball: arb, shift: int) -> fmpz:
    """Midpoint in units of 2^-shift, rounded down."""
    man, exp = (int(x) for x in ball.mid().man_exp())
    move = exp + shift
    return fmpz(man << move if move >= 0 else man >> -move)


def _length(ball: arb) -> int:
    return int(abs(int(ball.mid().man_exp()[0]))).bit_length()


def _differ(balls: dict[int, arb], before: dict[int, arb]) -> bool:
    limit = arb(2) ** (4 - KEPT)
    return any(not abs(ball - before[k]) < abs(ball).upper() * limit for k, ball in balls.items())


def _first_bits(dim: int, degree: int) -> int:
    """Bits below which an eigenvalue can hardly fall: k! a_k / d^k, or the limit 2^(1-d)."""
    k = max(degree, 1)
    fall = min(k * math.log2(dim) - math.lgamma(k + 1) / math.log(2.0), float(dim))
    return KEPT + 48 + int(fall + 4.0 * math.log2(k + 1.0))


# --- parameters ----------------------------------------------------------------------------------


def _checked_dim(dim: int) -> int:
    whole = as_whole(dim)
    if whole is None or not 1 <= whole <= MAX_DIM:
        raise NtkspecError(
            f"dim = {shown(dim)} is not allowed; on the cube it must be a whole number from 1 to "
            f"{MAX_DIM}"
        )
    return whole


def _checked_degrees(degrees: int | str | Iterable[int], dim: int) -> NDArray[np.int64]:
    wanted = check_degrees(degrees)
    if wanted.max() > dim:
        raise NtkspecError(
            f"degree = {int(wanted.max())} is not allowed; the cube of dimension {dim} has "
            f"degrees 0 to {dim}"
        )
    return wanted
