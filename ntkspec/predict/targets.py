"""The power of a function in each degree, frequency or eigenfunction, by quadrature.

On the sphere the points are those of a product rule: x = (t, sqrt(1 - t^2) w), Gauss in t, w on the
sphere of one dimension less, down to equispaced points of the circle.  The coefficients of the
harmonics follow one dimension after the other.  Under a zonal density t has the rule of the
density, and w the others.  Under the Gaussian measure the sphere's rules are at the nodes of a rule
for the norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ntkspec.conventions import MAX_DEGREE
from ntkspec.domains import DensitySphere, Domain, Gaussian, Sphere, Torus, as_domain, one_given
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, as_whole, number, numbers, shown, whole_number
from ntkspec.predict.by_degree import Array, Variables, along
from ntkspec.predict.frequencies import first_coordinates
from ntkspec.predict.radial import radial_nodes, split_by_rank
from ntkspec.results import Result
from ntkspec.spectra import Spectrum
from ntkspec.spectra.quadrature import gauss_gegenbauer

if TYPE_CHECKING:
    from ntkspec.spectra.density.result import DensitySpectrum
    from ntkspec.spectra.density.rule import Rule

__all__ = ["TargetPower", "frequency_power", "power"]

Function = Callable[[Array], Any]

#: Largest number of points of a rule: their coordinates take some hundred megabytes.
MOST_POINTS = 3_000_000
#: Largest number of nodes of a rule in one coordinate.
MOST_NODES = 4096
#: Nodes in the norm under the Gaussian measure, and how many the second rule has more.
RADII, MORE_RADII = 24, 5
#: Largest number of points at all norms, at which the function is called one after another.
MOST_AT_NORMS = 10_000_000
#: Nodes in one coordinate of the first rule, at most: the first that is not too many.
STARTS = (16, 12, 8, 6)
#: Rounding of a power, relative to the whole.
ROUNDING = 1e-14
#: Error of the finer of two rules over what they differ by, at most: for a jump on the sphere they
#: agreed to half of the error in one of five cases.
DOUBT = 4.0
#: Angle by which the second rule is turned in each plane of neighbouring coordinates.
TURN = 0.7


@dataclass(frozen=True, eq=False, repr=False)
class TargetPower(Result):
    """Power of a function in each degree, frequency or eigenfunction, by `power`.

    It can be given to `learning_curve` as `power`.

    Attributes
    ----------
    domain : Domain
    max_degree : int
        The last degree, the largest modulus of the coordinates of a frequency, or the last rank.
    power : (K,) float64 array
        E f_k(x)^2 for degrees or ranks 0 to max_degree.  On the torus the square of the Fourier
        coefficient, an axis for each coordinate, m from -max_degree to max_degree.  Of a spectrum
        under the Gaussian measure (K, J), by degree and rank.
    errors : float64 array
        Errors of the powers, from two rules with different points, and rounding.
    total : float
        E f(x)^2, over all degrees.
    total_error : float
        Its error.
    points : int
        Number of points of the finer rule.
    spectrum : DensitySpectrum or Spectrum, optional
        Whose eigenfunctions they are, under a density or the Gaussian measure.
    profiles : (K, R, R) float64 array, optional
        Under the Gaussian measure, from which the power of each rank follows for any kernel:
        products of coefficients at two norms, summed over the harmonics of a degree.

    Examples
    --------
    >>> found = power(lambda x: x[:, 0] * x[:, 1], dim=3, max_degree=4)
    >>> found.power.round(12), round(found.rest, 12)
    (array([0.        , 0.        , 0.06666667, 0.        , 0.        ]), 0.0)
    """

    main: ClassVar[str] = "power"

    domain: Domain
    max_degree: int
    power: Array
    errors: Array
    total: float
    total_error: float
    points: int
    spectrum: DensitySpectrum | Spectrum | None = None
    profiles: Array | None = None

    @property
    def rest(self) -> float:
        """Power in all other degrees, ranks or frequencies; at least 0."""
        return max(0.0, self.total - float(self.power.sum()))

    @property
    def rest_error(self) -> float:
        """Error of the rest."""
        return self.total_error + float(self.errors.sum())

    def axes(self) -> dict[str, NDArray[Any]]:
        """Degrees, ranks, or coordinates of frequencies."""
        if isinstance(self.domain, DensitySphere) and self.spectrum is not None:
            return self.spectrum.axes()
        if not isinstance(self.domain, Torus):
            degrees = {"degree": np.arange(self.max_degree + 1)}
            ranks = {"radial": np.arange(self.power.shape[1])} if self.power.ndim == 2 else {}
            return degrees | ranks
        values = np.arange(-self.max_degree, self.max_degree + 1)
        if self.domain.dim == 1:
            return {"frequency": values}
        return {f"frequency_{i + 1}": values for i in range(self.domain.dim)}

    def variables(self) -> Variables:
        """Powers and their errors."""
        return along(*self.axes(), power=self.power, absolute_error=self.errors)

    def heading(self) -> dict[str, Any]:
        """The domain, the whole power and the rest."""
        return {
            "domain": self.domain.name,
            "dim": self.domain.dim,
            "total": self.total,
            "rest": self.rest,
        }


def power(
    function: Function,
    domain: Domain | DensitySpectrum | Spectrum | int | None = None,
    *,
    dim: int | None = None,
    max_degree: int | None = None,
    axis: ArrayLike | None = None,
    tolerance: float = 1e-8,
) -> TargetPower:
    """Power of a function in each degree, frequency or eigenfunction, for predictions.

    Parameters
    ----------
    function : callable
        Takes points in rows, (n, dim), and returns (n,) real numbers.
    domain : Domain, int or a spectrum
        Sphere, Gaussian (whose points are x / sqrt(d)) or Torus; an integer stands for `Sphere`.
        A spectrum stands for its domain.  Under a density and the Gaussian measure, the spectrum
        whose eigenfunctions count.
    dim : int, optional
        Dimension of the sphere, instead of `domain`.
    max_degree : int, optional
        The last degree, by default 16; on the torus the largest modulus of the coordinates of a
        frequency.  A spectrum on the sphere or under the Gaussian measure has its last degree, and
        under a density its own ranks.
    axis : (dim,) array_like, optional
        The function depends on <x, axis> only, on the sphere: then any dimension and degrees in the
        thousands can be had.  Under the Gaussian measure it may depend on the norm too.  Under a
        zonal density only the first coordinate's axis is one.
    tolerance : float
        Largest error accepted, relative to the whole power.

    Returns
    -------
    TargetPower

    Raises
    ------
    NtkspecError
        For parameters that are not allowed, a function that does not return finite real numbers,
        or is not a function of <x, axis>, and when the tolerance is not reached.

    Notes
    -----
    On the circle and the torus by FFT, on the sphere by Gauss's rules and an FFT, one coordinate
    after another, with numbers of nodes that are doubled until the tolerance is reached.  Errors
    are four times what two rules differ by, the second with half as many nodes again, for the
    function turned, or shifted on the torus, which changes no power.  The root of each power is
    taken to be as uncertain as the worst of them, so that no two agree by accident.  Features that
    are too narrow for the points of both rules are missed.  At kinks and jumps errors fall slowly;
    give a larger tolerance then.

    Under the Gaussian measure the power of a degree is that of harmonics of x / abs(x), whatever
    their factors in abs(x).  A kernel has several eigenvalues in a degree, each with its factor,
    and what lies in none of them is never learned: `learning_curve` splits the power by those of
    its source, and with a spectrum as `domain` the result has it by degree and rank.

    Under a density the power of a rank is that in its eigenfunctions, all of a multiple eigenvalue
    together, as the spectrum has them: errors are of the quadrature, and not of eigenfunctions that
    the spectrum's last degree of harmonics cuts off.

    Examples
    --------
    >>> import ntkspec
    >>> target = power(lambda x: np.exp(x[:, 0]), dim=3, max_degree=6)
    >>> found = ntkspec.predict.learning_curve("relu", dim=3, samples=[100], power=target)
    >>> round(float(found.test_error[0]), 3)
    0.001
    >>> torus = ntkspec.Torus.plain(1)
    >>> wave = power(lambda x: np.sin(6 * np.pi * x[:, 0]), torus, max_degree=3)
    >>> wave.power.round(6)
    array([0.25, 0.  , 0.  , 0.  , 0.  , 0.  , 0.25])
    >>> crowded = ntkspec.Sphere(2, density=ntkspec.VonMises(1.0))
    >>> s = ntkspec.spectrum("relu", crowded, count=4)
    >>> power(lambda x: x[:, 1], s).power.round(4)
    array([0.    , 0.4163, 0.    , 0.0301])
    >>> s = ntkspec.spectrum("erf", ntkspec.Gaussian(3, radial=2), degrees=range(3))
    >>> power(lambda x: x[:, 1], s).power.round(4)
    array([[0.    , 0.    ],
           [0.3217, 0.0107],
           [0.    , 0.    ]])
    """
    spectrum: Any = None
    given: Any = domain
    if isinstance(getattr(given, "domain", None), Domain):
        spectrum, given = given, given.domain
        if not isinstance(given, (DensitySphere, Torus)) and max_degree is None:
            max_degree = int(spectrum.degrees.max())
        if not isinstance(given, (DensitySphere, Gaussian)):
            spectrum = None
        if isinstance(given, DensitySphere) and max_degree is not None:
            raise NtkspecError(
                f"max_degree = {shown(max_degree)} is not allowed with a spectrum, whose ranks "
                "count; give ntkspec.spectrum the count that you want"
            )
    chosen = one_given(given, dim)
    where = chosen if isinstance(chosen, Torus) else as_domain(chosen)
    if not callable(function):
        raise NtkspecError(
            f"function = {shown(function)} is not allowed; give a function of points"
        )
    limit = number(tolerance, "tolerance", 1e-15, 1.0)
    line = None if axis is None else _checked_axis(axis, where)
    compute: _Rule
    if isinstance(where, DensitySphere) and spectrum is not None:
        last = spectrum.mantissas.size - 1
        compute, least = _Density(function, spectrum, line is not None), 0
    else:
        wanted = 16 if max_degree is None else max_degree
        last = whole_number(wanted, "max_degree", 0, MOST_NODES // 3 - 2)
        compute, least = _chosen(function, where, line, spectrum), 2 * (last + 1)
    starts = [max(least, start) for start in STARTS]
    nodes = next((n for n in starts if compute.count(_finer(n)) <= compute.most), starts[-1])
    worst = math.inf
    while True:
        finer = _finer(nodes)
        if finer > MOST_NODES or compute.count(finer) > compute.most:
            raise _refusal(where, last, worst, limit, line)
        one, other = compute(nodes, last, False), compute(finer, last, True)
        apart = max(
            float(np.abs(np.sqrt(one[0]) - np.sqrt(other[0])).max()),
            abs(math.sqrt(one[1]) - math.sqrt(other[1])),
        )
        errors, total_error = (_error(found, apart, other[1]) for found in other)
        errors = errors + compute.unsure
        worst = max(float(errors.max()), total_error) / (other[1] or 1.0)
        if worst <= limit:
            return TargetPower(
                where, last, other[0], errors, other[1], total_error, compute.count(finer),
                spectrum, compute.profiles,
            )  # fmt: skip
        nodes *= 2


def _finer(nodes: int) -> int:
    """Number of nodes of the second rule."""
    return nodes + nodes // 2 + 1


def _error(found: Any, apart: float, whole: float) -> Any:
    """Error of powers, whose roots differ by at most that much between two rules."""
    return DOUBT * apart * (2.0 * np.sqrt(found) + apart) + ROUNDING * whole


class _Rule:
    """Powers by a rule with a number of nodes in each coordinate, plain or turned.

    After a call `unsure` is what eigenfunctions add to the errors of powers, and `profiles` are
    those of the Gaussian measure.
    """

    most: ClassVar[int] = MOST_POINTS
    unsure: float | Array = 0.0
    profiles: Array | None = None

    def __init__(self, function: Function, dim: int) -> None:
        self.function, self.dim = function, dim

    def count(self, nodes: int) -> int:
        """Number of points."""
        return 2 * math.prod([nodes] * (self.dim - 1))

    def __call__(self, nodes: int, last: int, turned: bool) -> tuple[Array, float]:
        """Powers, and the whole."""
        points = _sphere_points(self.dim, nodes) @ _turn(self.dim, turned)
        return _by_degree(_values(self.function, points), self.dim, nodes, last)


class _Zonal(_Rule):
    """Functions of <x, axis>: one coordinate, with two points at each t, which must agree."""

    def __init__(self, function: Function, axis: Array) -> None:
        super().__init__(function, axis.size)
        self.axis = axis

    def count(self, nodes: int) -> int:
        return 2 * nodes

    def __call__(self, nodes: int, last: int, turned: bool) -> tuple[Array, float]:
        t, weights = gauss_gegenbauer(nodes, self.dim)
        values = _along_axis(self.function, self.axis, t)
        squares = (_orthonormal(t, self.dim, last + 1) * weights) @ values
        return squares**2, float(weights @ values**2)


class _Radial(_Rule):
    """The Gaussian measure: rules of the sphere, or of <x, axis>, at the nodes of the norm."""

    most: ClassVar[int] = MOST_AT_NORMS

    def __init__(
        self, function: Function, dim: int, axis: Array | None, spectrum: Spectrum | None
    ) -> None:
        super().__init__(function, dim)
        self.axis, self.spectrum = axis, spectrum

    def count(self, nodes: int) -> int:
        each = super().count(nodes) if self.axis is None else 2 * nodes
        return (RADII + MORE_RADII) * each

    def __call__(self, nodes: int, last: int, turned: bool) -> tuple[Array, float]:
        norms, weights = radial_nodes(self.dim, RADII + MORE_RADII * turned)
        found = self._at_norms(norms, nodes, last, turned)
        total = float(weights @ [squares for _, squares in found])
        profiles = np.empty((last + 1, norms.size, norms.size))
        for k in range(last + 1):
            part = np.stack([parts[k] for parts, _ in found]) * np.sqrt(weights)[:, np.newaxis]
            profiles[k] = part @ part.T
        self.profiles = profiles
        if self.spectrum is None:
            return np.trace(profiles, axis1=1, axis2=2), total
        powers, self.unsure = _by_rank(self.spectrum, profiles)
        return powers, total

    def _at_norms(
        self, norms: Array, nodes: int, last: int, turned: bool
    ) -> list[tuple[list[Array], float]]:
        """Coefficients of each degree, and the mean square, at each norm."""
        found: list[tuple[list[Array], float]] = []
        if self.axis is not None:
            t, weights = gauss_gegenbauer(nodes, self.dim)
            harmonics = _orthonormal(t, self.dim, last + 1) * weights
            for norm in norms:
                values = _along_axis(self.function, self.axis, t, float(norm))
                parts = list((harmonics @ values)[:, np.newaxis])
                found.append((parts, float(weights @ values**2)))
            return found
        points = _sphere_points(self.dim, nodes) @ _turn(self.dim, turned)
        for norm in norms:
            parts, squares = _parts(_values(self.function, norm * points), self.dim, nodes, last)
            found.append(([part.ravel() for part in parts], float(squares)))
        return found


def _by_rank(spectrum: Spectrum, profiles: Array) -> tuple[Array, Array]:
    """Powers by degree and rank of a spectrum, (K, J), and errors from its eigenfunctions."""
    shape = profiles.shape[0], spectrum.mantissas.shape[1]
    powers, errors = np.zeros(shape), np.zeros(shape)
    split = split_by_rank(spectrum.network, spectrum.kernel, spectrum.dim, profiles)
    for k, one in enumerate(split):
        count = min(shape[1], one.powers.size)
        powers[k, :count], errors[k, :count] = one.powers[:count], one.errors[:count]
        # What the ranks that are not told apart may have.
        errors[k, count:] = max(0.0, one.whole - float(one.powers.sum())) if one.beyond else 0.0
    return powers, errors


class _Periodic(_Rule):
    """The torus: equispaced points, shifted for the second rule."""

    def count(self, nodes: int) -> int:
        return math.prod([nodes] * self.dim)

    def __call__(self, nodes: int, last: int, turned: bool) -> tuple[Array, float]:
        places = np.mod(np.arange(nodes) / nodes + (TURN / nodes if turned else 0.0), 1.0)
        grid = np.stack(np.meshgrid(*[places] * self.dim, indexing="ij"), axis=-1)
        values = _values(self.function, grid.reshape(-1, self.dim)).reshape((nodes,) * self.dim)
        found = np.abs(np.fft.fftn(values) / values.size) ** 2
        for along_axis in range(self.dim):
            found = np.take(found, np.arange(-last, last + 1), axis=along_axis)
        return found, float(np.mean(values**2))


class _Density(_Rule):
    """A density: its rule in the angle, and for each angle that of the sphere of other coordinates.

    A function of t alone has the eigenfunctions of azimuthal degree 0 alone.
    """

    def __init__(self, function: Function, spectrum: DensitySpectrum, zonal: bool) -> None:
        from ntkspec.spectra.density.rule import profile

        super().__init__(function, spectrum.dim)
        self.spectrum, self.zonal = spectrum, zonal
        self.profile = profile(spectrum.domain)

    def _rule(self, nodes: int) -> Rule:
        from ntkspec.spectra.density.rule import rule

        return rule(self.profile, nodes + self.spectrum.max_degree)

    def _around(self, nodes: int) -> int:
        return nodes + int(self.spectrum.azimuthal.max())

    def count(self, nodes: int) -> int:
        angles = self._rule(nodes).angles.size
        if self.zonal or self.dim == 2:
            return 2 * angles
        return angles * 2 * math.prod([self._around(nodes)] * (self.dim - 2))

    def __call__(self, nodes: int, last: int, turned: bool) -> tuple[Array, float]:
        found, dim, s = self._rule(nodes), self.dim, self.spectrum
        angles = found.angles
        measure = found.weights * np.sin(angles) ** (0 if dim == 2 else dim - 2)
        masses = measure / measure.sum() * found.density
        masses /= masses.sum()
        if dim == 2:
            if not found.profile.around:
                angles, masses = np.append(angles, -angles), 0.5 * np.append(masses, masses)
            points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            values = _values(self.function, points)
            squares = s.eigenfunctions(points) @ (masses * values)
            return squares**2, float(masses @ values**2)
        if self.zonal:
            axis = np.eye(dim)[0]
            values = _along_axis(self.function, axis, np.cos(angles))
            parts, means = [values[np.newaxis]], values**2
        else:
            around = self._around(nodes)
            others = _sphere_points(dim - 1, around) @ _turn(dim - 1, turned)
            points = np.empty((angles.size, others.shape[0], dim))
            points[..., 0] = np.cos(angles)[:, np.newaxis]
            points[..., 1:] = np.sin(angles)[:, np.newaxis, np.newaxis] * others
            values = _values(self.function, points.reshape(-1, dim))
            parts, means = _parts(
                values.reshape(angles.size, -1), dim - 1, around, int(s.azimuthal.max())
            )
        powers = np.zeros(last + 1)
        for j, part in enumerate(parts):
            at = np.flatnonzero(s.azimuthal == j)
            if at.size:
                factors = s.radial_factors(at, angles)
                powers[at] = np.sum((factors @ (masses * part).T) ** 2, axis=1)
        return powers, float(masses @ means)


def _along_axis(function: Function, axis: Array, t: Array, norm: float = 1.0) -> Array:
    """Values at <x, axis> = norm t, each at two points of that norm, which must agree."""
    rng = np.random.default_rng(t.size)
    both = []
    for _ in range(2):
        aside = rng.standard_normal((t.size, axis.size))
        aside -= np.outer(aside @ axis, axis)
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        points = np.outer(t, axis) + np.sqrt(1.0 - t * t)[:, np.newaxis] * aside
        both.append(_values(function, norm * points))
    size = float(np.abs(both[0]).max())
    apart = float(np.abs(both[0] - both[1]).max())
    if apart > 1e-9 * size:
        raise NtkspecError(
            f"the function differs by {apart:.3g} between points of the same <x, axis>, so it "
            "is no function of that; leave axis out, or give the right one"
        )
    return both[0]


def _chosen(
    function: Function, where: Domain, axis: Array | None, spectrum: Spectrum | None
) -> _Rule:
    if isinstance(where, Gaussian):
        return _Radial(function, where.dim, axis, spectrum)
    if axis is not None:
        return _Zonal(function, axis)
    if isinstance(where, Torus):
        return _Periodic(function, where.dim)
    if isinstance(where, Sphere):
        return _Rule(function, where.dim)
    raise NtkspecError(
        f"domain = {where} is not allowed; powers are for Sphere, Gaussian and Torus, and under a "
        "density for a spectrum: power(function, ntkspec.spectrum(network, sphere, count=100))"
    )


def _checked_axis(axis: ArrayLike, where: Domain) -> Array:
    found = numbers(axis, "axis")
    size = float(np.linalg.norm(found))
    if isinstance(where, DensitySphere) and found.shape == (where.dim,) and found[1:].any():
        raise NtkspecError(
            f"axis = {shown(axis)} is not allowed under a density; give the first coordinate's, "
            "about which the density is symmetric"
        )
    if not (
        isinstance(where, (Sphere, DensitySphere, Gaussian))
        and found.shape == (where.dim,)
        and 0.0 < size < math.inf
    ):
        raise NtkspecError(
            f"axis = {shown(axis)} is not allowed; give {where.dim} coordinates of a vector "
            "that is not 0, on the sphere or under the Gaussian measure"
        )
    return np.asarray(found / size)


def _refusal(
    where: Domain, last: int, worst: float, limit: float, axis: Array | None
) -> NtkspecError:
    reached = (
        "needs more points than are allowed"
        if math.isinf(worst)
        else f"is known to {worst:.2g} of the whole only, which exceeds tolerance = {limit:g}"
    )
    hint = "; if the function depends on one direction, give axis" if axis is None else ""
    return NtkspecError(
        f"the power to degree {last} in dimension {where.dim} {reached}: raise the tolerance or "
        f"lower max_degree{hint}"
    )


def _values(function: Function, points: Array) -> Array:
    """Values of a user's function, checked."""
    try:
        found = np.asarray(function(points))
    except Exception as error:
        raise NtkspecError(
            f"function failed at an array of points of shape {points.shape}: "
            f"{type(error).__name__}: {error}; give a function of points in rows"
        ) from error
    if found.dtype.kind not in "iufb" or found.shape != points.shape[:1]:
        raise NtkspecError(
            f"function returned an array of {found.dtype} of shape {found.shape} for "
            f"{points.shape[0]} points; it must return a real number for each"
        )
    values = found.astype(np.float64)
    bad = np.flatnonzero(~(np.abs(values) <= 1e100))
    if bad.size:
        raise NtkspecError(
            f"function is {values[bad[0]]:.6g} at {shown(points[bad[0]].tolist())}; it must be "
            "finite everywhere"
        )
    return values


def _turn(dim: int, turned: bool) -> Array:
    """A rotation that mixes all coordinates, or none."""
    found = np.eye(dim)
    for i in range(dim - 1 if turned else 0):
        plane = np.eye(dim)
        c, s = math.cos(TURN + i), math.sin(TURN + i)
        plane[i : i + 2, i : i + 2] = [[c, -s], [s, c]]
        found = found @ plane
    return found


def _off_diagonal(count: int, dim: int) -> Array:
    """Coefficients b_1, b_2, ... of t Q_n = b_(n+1) Q_(n+1) + b_n Q_(n-1)."""
    n = np.arange(1.0, count + 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt(n * (n + dim - 3.0) / ((2.0 * n + dim - 2.0) * (2.0 * n + dim - 4.0)))
    found[:1] = math.sqrt(1.0 / dim)
    return np.asarray(found)


def _orthonormal(t: Array, dim: int, count: int) -> Array:
    """(count, T) orthonormal Gegenbauer polynomials under the measure of a coordinate."""
    b = _off_diagonal(count, dim)
    found = np.ones((count, t.size))
    for n in range(1, count):
        found[n] = t * found[n - 1]
        if n > 1:
            found[n] -= b[n - 2] * found[n - 2]
        found[n] /= b[n - 1]
    return found


def _angles(nodes: int) -> Array:
    return 2.0 * math.pi * np.arange(2 * nodes) / (2 * nodes)


def _sphere_points(dim: int, nodes: int) -> Array:
    """Points of the product rule, the first coordinate slowest."""
    angles = _angles(nodes)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for d in range(3, dim + 1):
        t, _ = gauss_gegenbauer(nodes, d)
        scaled = np.sqrt(1.0 - t * t)[:, np.newaxis, np.newaxis] * points
        first = np.broadcast_to(t[:, np.newaxis, np.newaxis], (nodes, points.shape[0], 1))
        points = np.concatenate([first, scaled], axis=2).reshape(-1, d)
    return points


def _by_degree(values: Array, dim: int, nodes: int, last: int) -> tuple[Array, float]:
    """Powers of degrees, and the mean square, of values at the points of the product rule."""
    parts, squares = _parts(values, dim, nodes, last)
    return np.array([float(np.sum(part**2)) for part in parts]), float(squares)


def _parts(values: Array, dim: int, nodes: int, last: int) -> tuple[list[Array], Array]:
    """Coefficients of each degree, (M, ...), and mean squares, of (..., P) values at the points."""
    grid = values.reshape(*values.shape[:-1], *[nodes] * (dim - 2), 2 * nodes)
    squares = (grid**2).mean(axis=-1)
    found = np.fft.rfft(grid, axis=-1)[..., : last + 1] / (2 * nodes)
    coefficients = [found[..., k] * (1.0 if k == 0 else math.sqrt(2.0)) for k in range(last + 1)]
    # Of each degree, real coefficients along the first axis.
    parts = [
        np.stack([one.real, one.imag] if k else [one.real]) for k, one in enumerate(coefficients)
    ]
    for d in range(3, dim + 1):
        t, weights = gauss_gegenbauer(nodes, d)
        squares = squares @ weights
        above: list[list[Array]] = [[] for _ in range(last + 1)]
        for j, part in enumerate(parts):
            # (1 - t^2)^(j/2) Q_n of dimension d + 2 j, orthonormal under the measure of d.
            scale = np.exp(0.5 * (_log_constant(d + 2 * j) - _log_constant(d)))
            factor = scale * np.exp(0.5 * j * np.log1p(-t * t)) * weights
            functions = _orthonormal(t, d + 2 * j, last + 1 - j) * factor
            for n, one in enumerate(np.moveaxis(part @ functions.T, -1, 0)):
                above[j + n].append(one)
        parts = [np.concatenate(some) for some in above]
    return parts, squares


def _log_constant(dim: int) -> float:
    """ln c_d, c_d (1 - t^2)^((d - 3)/2) being the density of a coordinate."""
    return float(gammaln(0.5 * dim) - gammaln(0.5 * (dim - 1)) - 0.5 * math.log(math.pi))


def frequency_power(power: Any, dim: int) -> tuple[NDArray[np.int64], Array]:
    """Frequencies (F, dim) and their powers, which are not negative; those of m and -m add up.

    Raises
    ------
    NtkspecError
        For what is neither a mapping, nor by `ntkspec.predict.power`, nor a list from 0 on.

    Examples
    --------
    >>> frequency_power({(1, -2): 0.5, (-1, 2): 0.25, (0, 0): 1.0}, 2)
    (array([[ 0,  0],
           [ 1, -2]]), array([1.  , 0.75]))
    """
    form = "m" if dim == 1 else f"({', '.join(f'm_{i + 1}' for i in range(dim))})"
    refusal = NtkspecError(
        f"power = {shown(power)} is not allowed on a torus of dimension {dim}; give a power >= 0 "
        f"for each frequency, {{{form}: power}} of whole numbers"
    )
    if isinstance(power, Mapping):
        keys = [key if isinstance(key, tuple) else (key,) for key in power]
        whole = [[as_whole(one) for one in key] for key in keys]
        if not whole or any(len(key) != dim or None in key for key in whole):
            raise refusal
        if max(abs(one) for key in whole for one in key if one is not None) > MAX_DEGREE:
            raise refusal
        vectors = np.array(whole, np.int64)
        values = np.array([as_number(value) for value in power.values()])
    else:
        values = np.atleast_1d(numbers(power, "power"))
        last = (values.shape[0] - 1) // 2 if isinstance(power, TargetPower) else 0
        if values.ndim != dim or not (isinstance(power, TargetPower) or dim == 1):
            raise refusal
        vectors, values = np.argwhere(np.ones(values.shape, bool)) - last, values.ravel()
    if not np.all((values >= 0.0) & np.isfinite(values)):
        raise refusal
    vectors = np.where(first_coordinates(vectors)[:, np.newaxis] < 0, -vectors, vectors)
    found, at = np.unique(vectors, axis=0, return_inverse=True)
    return found, np.bincount(at.ravel(), values).astype(np.float64)
