"""Zonal kernels K(t), t = <x, x'>, and what is declared about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ntkspec.callables import Arithmetic, InDoubles, ball_function, checked_function, checked_name
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, number, one_of, shown
from ntkspec.zonal.formula import Formula

__all__ = ["Singularity", "ZonalKernel"]

Array = NDArray[np.float64]

#: Where declarations are compared with the function, and to which fraction of its largest value.
POINTS = np.array([0.0, 0.15, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0])
CLOSE = 1e-9
#: Coefficients that are compared with the function at |t| <= 1/2.
COMPARED = 64
#: Bits of functions in high precision that are rounded to doubles.
POINTWISE_BITS = 128
#: Largest power of |x| and |x'|.
MOST_POWER = 1e4
#: Distance from the end at which a singularity is compared, and the accuracy asked of it.
NEAR, ROUGH = 1e-9, 0.05
#: Change near the end, relative to the value there, that is no rounding.
VISIBLE = 1e-12


@dataclass(frozen=True)
class Singularity:
    """A term c (1 - t)^exponent, or c (1 + t)^exponent, of a kernel.

    Parameters
    ----------
    at : {1, -1}
        Where t lies: the term is one in 1 - t, or in 1 + t.
    exponent : float
        The lowest that is not a whole number, above 0.
    coefficient : float, optional
        c, if it is known; laws then have their constant.

    Examples
    --------
    >>> Singularity(1, 0.5, coefficient=-2**0.5)
    Singularity(at=1, exponent=0.5, coefficient=-1.4142135623730951)
    """

    at: int
    exponent: float
    coefficient: float | None = None

    def __post_init__(self) -> None:
        if self.at not in (1, -1) or isinstance(self.at, bool):
            raise NtkspecError(f"at = {shown(self.at)} is not allowed; use 1 or -1")
        exponent = number(self.exponent, "exponent", 1e-6, 1e6)
        if exponent.is_integer():
            raise NtkspecError(
                f"exponent = {exponent:g} is not allowed; a whole power of 1 - t is a polynomial "
                "and no singularity"
            )
        object.__setattr__(self, "at", int(self.at))
        object.__setattr__(self, "exponent", exponent)
        if self.coefficient is not None:
            found = as_number(self.coefficient)
            if not math.isfinite(found) or found == 0.0:
                raise NtkspecError(
                    f"coefficient = {shown(self.coefficient)} is not allowed; it must be a number "
                    "other than 0"
                )
            object.__setattr__(self, "coefficient", found)

    @property
    def amplitude(self) -> float:
        """The factor c / Gamma(-exponent) of a law; NaN if c is not known."""
        if self.coefficient is None:
            return math.nan
        from flint import arb

        return self.coefficient * float(arb(-self.exponent).rgamma())


@dataclass(frozen=True, repr=False)
class ZonalKernel:
    """A kernel K(t), t = <x, x'>, given by a function.

    `ntkspec.zonal` has the kernels of the literature: Gaussian, Laplace, Matern and others.

    Parameters
    ----------
    function : callable
        Of a float64 array ("double"), of a `flint.arb` or of an `mpmath.mpf`.
    arithmetic : {"double", "flint", "mpmath"}
        The numbers that the function takes and returns.  In doubles only eigenvalues above the
        rounding are computed; with the others all are.
    name : str
    symmetry : {"even", "odd"}, optional
        Whether K(-t) is K(t) or -K(t): the other eigenvalues are exactly 0.
    singularities : iterable of Singularity, optional
        The terms of lowest exponent at t = 1 and t = -1 that are not analytic; K must be analytic
        elsewhere on [-1, 1].  They give the power law.
    radius : float, optional
        K is analytic for complex t inside of the ellipse with foci -1 and 1 through t = radius;
        ``math.inf`` for entire functions.  With arithmetic = "flint" the spectrum can be
        certified if the function takes `flint.acb` too, and is computed faster.
    coefficients : sequence or callable, optional
        K(t) = sum_n a_n t^n with all a_n >= 0: all of them, as numbers or fractions, or a function
        of n that returns an int, a `fractions.Fraction` or a `flint.arb` (an exact float counts
        as itself).  A function needs arithmetic = "flint": K(1), or K(radius), bounds the rest.

    radial_power : float, optional
        P >= 0: off the unit sphere the kernel is ``(|x| |x'|)**P K(t)``, t the cosine.  The
        Gaussian measure needs it, where inputs have all norms.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed, or a declaration contradicts the function at some points.

    Notes
    -----
    In high precision and without declarations, K(cos theta) must be analytic in theta on [0, pi],
    as kernels of the distance 2 sin(theta/2) between the points are.  Others are refused: the
    values at some ten thousand points are compared with a series in theta.

    Declarations are compared with the function at some points only: certificates and bounds
    are right if the declarations are.

    Examples
    --------
    >>> import ntkspec
    >>> laplace = ZonalKernel(lambda t: (-(2 - 2 * t).sqrt()).exp(), arithmetic="flint")
    >>> ntkspec.eigenvalues(laplace, dim=3, degrees=[0, 1, 50])
    array([2.96997075e-01, 8.26822659e-02, 3.88159666e-06])
    >>> kernel = ZonalKernel(lambda t: t + t**4, symmetry="even")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: symmetry = 'even' is not that of kernel: at t = 0.15 and -0.15 it \
is 0.150506 and -0.149494
    """

    function: Callable[[Any], Any]
    arithmetic: Arithmetic = field(default="double", kw_only=True)
    name: str = field(default="kernel", kw_only=True)
    symmetry: Literal["even", "odd"] | None = field(default=None, kw_only=True)
    singularities: tuple[Singularity, ...] = field(default=(), kw_only=True)
    radius: float | None = field(default=None, kw_only=True)
    coefficients: tuple[Any, ...] | Callable[[int], Any] | None = field(default=None, kw_only=True)
    radial_power: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "function", checked_function(self.function, self.arithmetic, "function"))
        checked_name(self.name)
        if self.symmetry is not None:
            one_of(self.symmetry, "symmetry", ("even", "odd"))
        set_(self, "singularities", _singularities(self.singularities))
        if self.radius is not None:
            found = as_number(self.radius)
            if not found > 1.0:
                raise NtkspecError(
                    f"radius = {shown(self.radius)} is not allowed; it must be a number above 1, "
                    "or math.inf for an entire function"
                )
            set_(self, "radius", found)
        if self.radius is not None and self.singularities:
            raise NtkspecError(
                f"radius = {self.radius:g} and singularities contradict each other: K is "
                "analytic beyond t = 1 and -1, or singular there; declare one of them"
            )
        if self.coefficients is not None and not callable(self.coefficients):
            set_(self, "coefficients", _all_coefficients(self.coefficients))
        if callable(self.coefficients) and self.arithmetic != "flint":
            raise NtkspecError(
                f"arithmetic = {self.arithmetic!r} is not allowed with a function for "
                "coefficients; use 'flint', as K(1) in balls bounds the coefficients left out, or "
                "give all coefficients as a list"
            )
        if self.formula is not None:
            set_(self, "radial_power", self.formula.radial_power)
            return
        if self.radial_power is not None:
            set_(self, "radial_power", number(self.radial_power, "radial_power", 0.0, MOST_POWER))
        self._check_declarations()

    @property
    def formula(self) -> Formula | None:
        """The formula of a built-in kernel."""
        return self.function if isinstance(self.function, Formula) else None

    @property
    def zeros(self) -> tuple[int | None, tuple[int, ...], int | None]:
        """Which eigenvalues do not vanish: see `ntkspec.spectra.parity.Parity`."""
        if self.formula is not None:
            return self.formula.zeros  # type: ignore[no-any-return]
        main = None if self.symmetry is None else int(self.symmetry == "odd")
        if not isinstance(self.coefficients, tuple):
            return main, (), None
        last = len(self.coefficients) - 1
        others = [n for n in range(last - 1, -1, -2) if self.coefficients[n]]
        return last % 2, tuple(range(1 - last % 2, max(others, default=-1) + 1, 2)), last

    @property
    def in_high_precision(self) -> bool:
        """Whether the eigenvalues can be computed to any accuracy."""
        return self.arithmetic != "double" or self.coefficients is not None

    def in_doubles(self, t: Array) -> Array:
        """K of a float64 array, in any arithmetic.

        Examples
        --------
        >>> ZonalKernel(lambda t: t * t, arithmetic="flint").in_doubles(np.array([0.5, -1.0]))
        array([0.25, 1.  ])
        """
        return self._in_doubles(t, 0.0)

    def apart(self, minus: Array, plus: Array) -> Array:
        """K of points with these 1 - t and 1 + t; in flint and mpmath t near +-1 keeps its digits.

        Examples
        --------
        >>> kernel = ZonalKernel(lambda t: (1 - t).sqrt(), arithmetic="flint")
        >>> kernel.apart(np.array([1e-20]), np.array([2.0]))
        array([1.e-10])
        """
        right = minus <= plus
        return self._in_doubles(np.where(right, -minus, plus), np.where(right, 1.0, -1.0))

    def _in_doubles(self, x: Array, base: Any) -> Array:
        values = InDoubles(self.function, self.arithmetic, self.name)
        if self.arithmetic == "double":
            return values(x, base)
        from ntkspec.precision import working_precision

        with working_precision(POINTWISE_BITS):
            return values(x, base)

    def in_balls(self, dim: int) -> Callable[[Any], Any]:
        """K of a `flint.arb` in a dimension, for functions in high precision."""
        function = self.function if self.formula is None else self.formula.in_dim(dim)
        return ball_function(function, self.arithmetic, self.name)

    def first_coefficients(self, count: int) -> list[Any]:
        """The first Taylor coefficients as balls.

        Raises
        ------
        NtkspecError
            When one is negative or no number.
        """
        if self.formula is not None:
            known: list[Any] = self.formula.coefficients(count)
            return known
        given = self.coefficients
        if callable(given):
            values = []
            for n in range(count):
                try:
                    values.append(given(n))
                except NtkspecError:
                    raise
                except Exception as error:
                    raise NtkspecError(
                        f"coefficients of {self.name} failed at n = {n}: {type(error).__name__}: "
                        f"{error}"
                    ) from error
        else:
            assert given is not None
            values = [*given[:count], *[0] * (count - len(given))]
        return [_ball(value, n) for n, value in enumerate(values)]

    @property
    def fixed(self) -> bool:
        """Whether K is the same function of t in all dimensions."""
        return self.formula is None or self.formula.fixed

    @property
    def positive(self) -> bool:
        """Whether all Taylor coefficients at t = 0 are known to be >= 0, in all dimensions."""
        return self.fixed and (self.formula is not None or self.coefficients is not None)

    def ends(self) -> dict[int, tuple[float, float]]:
        """Exponent and amplitude of the singularities at t = 1 and -1, as far as they are known."""
        if self.formula is not None:
            return self.formula.ends()
        return {one.at: (one.exponent, one.amplitude) for one in self.singularities}

    def parameters(self) -> dict[str, Any]:
        """Return what makes it: the call of a built-in kernel, or its name and arithmetic.

        Examples
        --------
        >>> ZonalKernel(abs).parameters()
        {'name': 'kernel', 'arithmetic': 'double'}
        >>> from ntkspec.zonal import laplace
        >>> laplace(2).parameters()
        {'zonal': 'laplace(2.0)'}
        """
        if self.formula is not None or ":" in self.name:
            return {"zonal": self.name}
        return {"name": self.name, "arithmetic": self.arithmetic}

    def __repr__(self) -> str:
        if self.formula is not None:
            return self.name
        parts = [getattr(self.function, "__qualname__", None) or repr(self.function)]
        for key, usual in _USUAL.items():
            value = getattr(self, key)
            if value != usual:
                parts.append(f"{key}={shown(value)}")
        return f"ZonalKernel({', '.join(parts)})"

    def _check_declarations(self) -> None:
        """Compare what is declared with the function at some points."""
        if self.symmetry is not None:
            right, left = self.in_doubles(POINTS), self.in_doubles(-POINTS)
            sign = 1.0 if self.symmetry == "even" else -1.0
            off = ~(np.abs(right - sign * left) <= CLOSE * np.max(np.abs(right)))
            if off.any():
                at = int(np.flatnonzero(off)[0])
                raise NtkspecError(
                    f"symmetry = {self.symmetry!r} is not that of {self.name}: at t = "
                    f"{POINTS[at]:g} and {-POINTS[at]:g} it is {right[at]:g} and {left[at]:g}"
                )
        for one in self.singularities:
            self._check_singularity(one)
        if self.coefficients is not None:
            self._check_coefficients()
        if self.radius is not None and self.arithmetic == "flint":
            beyond = min(0.5 * (1.0 + self.radius), 2.0)
            value = self.in_doubles(np.array([beyond]))[0]
            if not math.isfinite(value):
                raise NtkspecError(
                    f"radius = {self.radius:g} is not that of {self.name}: it is {value} at t = "
                    f"{beyond:g}"
                )

    def _check_singularity(self, one: Singularity) -> None:
        """Compare an exponent below 1 with the function near the end, and its coefficient.

        Beside one above 1 no power below 1 may be there.
        """
        near = NEAR * np.array([0.0, 1.0, 16.0])
        end, first, second = self.in_doubles(one.at * (1.0 - near)).tolist()
        fall = math.inf
        if first != end != second:
            fall = math.log(abs((second - end) / (first - end)), 16)
        if one.exponent >= 1.0:
            lower = abs(first - end) > VISIBLE * abs(end) and fall < 1.0 - ROUGH
        else:
            lower = not abs(fall - one.exponent) < ROUGH
        if lower:
            raise NtkspecError(
                f"exponent = {one.exponent:g} at t = {one.at} is not that of {self.name}: near "
                f"there it changes as a power {fall:.3g} of the distance"
            )
        if one.exponent >= 1.0:
            return
        # 1 - NEAR is rounded.
        found = (first - end) / (1.0 - (1.0 - NEAR)) ** one.exponent
        if one.coefficient is not None and not abs(found / one.coefficient - 1.0) < ROUGH:
            raise NtkspecError(
                f"coefficient = {one.coefficient:g} at t = {one.at} is not that of {self.name}: "
                f"near there it is {found:.4g}"
            )

    def _check_coefficients(self) -> None:
        count = COMPARED if callable(self.coefficients) else max(len(self.coefficients or ()), 1)
        a = np.array([float(x) for x in self.first_coefficients(count)])
        t = POINTS[POINTS <= 0.5]
        t = np.concatenate([t, -t[1:]])
        values, one = self.in_doubles(t), float(self.in_doubles(np.ones(1))[0])
        found = np.polynomial.polynomial.polyval(t, a)
        off = ~(np.abs(found - values) <= CLOSE * max(abs(one), np.max(np.abs(values))))
        if off.any():
            at = int(np.flatnonzero(off)[0])
            raise NtkspecError(
                f"coefficients are not those of {self.name}: at t = {t[at]:g} their sum is "
                f"{found[at]:g}, and the function is {values[at]:g}"
            )
        if self.symmetry is not None and np.any(a[int(self.symmetry == "even") :: 2]):
            raise NtkspecError(
                f"symmetry = {self.symmetry!r} contradicts coefficients, which have other powers"
            )


_USUAL = {
    "arithmetic": "double", "name": "kernel", "symmetry": None, "singularities": (),
    "radius": None, "coefficients": None, "radial_power": None,
}  # fmt: skip


def _singularities(given: Any) -> tuple[Singularity, ...]:
    if isinstance(given, Singularity):
        given = (given,)
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    places = [one.at if isinstance(one, Singularity) else None for one in found]
    if None in places or len(set(places)) < len(places):
        raise NtkspecError(
            f"singularities = {shown(given)} is not allowed; give ntkspec.zonal.Singularity "
            "objects, at most one for t = 1 and one for t = -1"
        )
    return found


def _all_coefficients(given: Any) -> tuple[Any, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise NtkspecError(
            f"coefficients = {shown(given)} is not allowed; give a list of numbers or a function"
        )
    found = tuple(given)
    for n, value in enumerate(found):
        _ball(value, n)
    while found and found[-1] == 0:
        found = found[:-1]
    if not found:
        raise NtkspecError("coefficients are all 0; give at least one above 0")
    return found


def _ball(value: Any, n: int) -> Any:
    """A coefficient as a ball that is not negative."""
    from flint import arb, fmpq

    try:
        if hasattr(value, "numerator") and not isinstance(value, (float, arb)):
            ball = arb(fmpq(int(value.numerator), int(value.denominator)))
        else:
            ball = arb(value)
    except (TypeError, ValueError):
        ball = arb("nan")
    if not ball.is_finite() or ball < 0:
        raise NtkspecError(
            f"coefficients: number {n} is {shown(value)}, which is not allowed; all must be "
            "numbers >= 0"
        )
    return ball
