"""What users bring themselves: an activation, or a zonal kernel, as a Python callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation, Singularity
from ntkspec.errors import NtkspecError

__all__ = ["Arithmetic", "ZonalKernel", "ball_function", "user_activation"]

Arithmetic = Literal["double", "flint", "mpmath"]


@dataclass(frozen=True)
class ZonalKernel:
    """A kernel K(t), t = <x, x'>, given by a function.

    Parameters
    ----------
    function : callable
        Of a float64 array ("double"), of a `flint.arb` or of an `mpmath.mpf`.
    arithmetic : {"double", "flint", "mpmath"}
        What the function takes and returns.  In doubles only eigenvalues that stand out of the
        rounding can be had; with the others all can.
    name : str

    Raises
    ------
    NtkspecError
        When the function is not callable or the arithmetic is unknown.

    Notes
    -----
    In high precision K(cos theta) must be analytic in theta on [0, pi], as kernels of the distance
    2 sin(theta/2) between the points are: Laplace, Matern, Gaussian.  Others are refused: the
    values at some ten thousand points are compared with a series in theta.

    Examples
    --------
    >>> import ntkspec
    >>> laplace = ZonalKernel(lambda t: (-(2 - 2 * t).sqrt()).exp(), arithmetic="flint")
    >>> ntkspec.eigenvalues(laplace, dim=3, degrees=[0, 1, 50])
    array([2.96997075e-01, 8.26822659e-02, 3.88159666e-06])
    """

    function: Callable[[Any], Any]
    arithmetic: Arithmetic = "double"
    name: str = "kernel"

    def __post_init__(self) -> None:
        _check(self.function, self.arithmetic, "function")

    def in_doubles(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """K of a float64 array, whatever the function takes.

        Examples
        --------
        >>> ZonalKernel(lambda t: t * t, "flint").in_doubles(np.array([0.5, -1.0]))
        array([0.25, 1.  ])
        """
        return _InDoubles(self.function, self.arithmetic, self.name)(t)

    def parameters(self) -> dict[str, Any]:
        """Its name and arithmetic.

        Examples
        --------
        >>> ZonalKernel(abs).parameters()
        {'name': 'kernel', 'arithmetic': 'double'}
        """
        return {"name": self.name, "arithmetic": self.arithmetic}


def user_activation(
    function: Callable[[Any], Any],
    derivative: Callable[[Any], Any] | None = None,
    name: str = "user",
    arithmetic: Arithmetic = "double",
    kink: bool = False,
    symmetry: Literal["odd", "even"] | None = None,
    polynomial: int | None = None,
) -> Activation:
    """Make an activation of a Python callable.

    Parameters
    ----------
    function : callable
        sigma, elementwise: of a float64 array ("double"), a `flint.arb` or an `mpmath.mpf`.
    derivative : callable, optional
        sigma' likewise.  Without it, doubles take it from sigma itself, which costs about two
        digits, and balls differentiate the dual; a sigma that jumps has no NTK then.
    name : str
    arithmetic : {"double", "flint", "mpmath"}
        In doubles only eigenvalues that stand out of the rounding can be had.
    kink : bool
        Whether sigma or a derivative of it jumps at 0, for flint and mpmath numbers: it must be
        smooth elsewhere, or the spectrum is refused.  In doubles kinks and jumps are found
        wherever they are.
    symmetry : {"odd", "even"}, optional
        Makes the zeros it forces exact.
    polynomial : int, optional
        sigma is a polynomial of this degree and parity plus a function of the other parity, as
        swish is x/2 plus an even one (1): makes the zeros that it forces exact.  With the
        symmetry of its own parity too, sigma is that polynomial: x*x has symmetry="even" and
        polynomial=2.

    Returns
    -------
    Activation
        For `Network(activation=...)`.

    Raises
    ------
    NtkspecError
        When what is given is not callable or unknown.  That a function returns NaN, another
        shape, or is not square integrable against the Gaussian is found, and said, when a
        kernel is computed, since it depends on the variance.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkspec import Network
    >>> swish = user_activation(lambda x: x / (1 + np.exp(-1.5 * x)))
    >>> round(float(Network(swish).nngp(1.0)), 6)
    0.406885
    """
    _check(function, arithmetic, "function")
    if derivative is not None:
        _check(derivative, arithmetic, "derivative")
    if symmetry not in (None, "odd", "even"):
        raise NtkspecError(f"symmetry = {symmetry!r} is not allowed; use 'odd', 'even' or None")
    if polynomial is not None and not (isinstance(polynomial, int) and 0 <= polynomial <= 100):
        raise NtkspecError(f"polynomial = {polynomial!r} is not allowed; give a degree, 0 to 100")

    return Activation(
        name,
        _InDoubles(function, arithmetic, name),
        _NoDerivative(name) if derivative is None else _InDoubles(derivative, arithmetic, name),
        function,
        derivative,
        _SampledDual(function, derivative, name, arithmetic, kink),
        Singularity("kink", 1) if kink else Singularity("unknown"),
        symmetry=symmetry,
        polynomial=polynomial,
        user=True,
        arithmetic=arithmetic,
    )


def _check(function: Any, arithmetic: str, what: str) -> None:
    if not callable(function):
        raise NtkspecError(f"{what} = {function!r} is not allowed; it must be callable")
    if arithmetic not in get_args(Arithmetic):
        raise NtkspecError(
            f"arithmetic = {arithmetic!r} is not allowed; use 'double', 'flint' or 'mpmath'"
        )


def ball_function(
    function: Callable[[Any], Any], arithmetic: Arithmetic, name: str
) -> Callable[[Any], Any]:
    """The function as one of a `flint.arb`, with its errors as sentences.

    Examples
    --------
    >>> square = ball_function(lambda x: x * x, "flint", "square")
    >>> from flint import arb
    >>> square(arb(3)) == 9
    True
    """
    from flint import arb, ctx

    def of_mpmath(x: Any) -> Any:
        import mpmath

        with mpmath.workprec(ctx.prec):
            result = mpmath.mpf(function(mpmath.make_mpf(x.mid()._mpf_)))
        return arb(result)

    def checked(x: Any) -> Any:
        try:
            result = of_mpmath(x) if arithmetic == "mpmath" else arb(function(x))
        except NtkspecError:
            raise
        except Exception as error:
            raise NtkspecError(
                f"{name} failed at {float(x.mid())!r}: {type(error).__name__}: {error}"
            ) from error
        if not result.is_finite():
            raise NtkspecError(f"{name} returned a value that is not finite at {float(x.mid())!r}")
        return result

    return checked


@dataclass(frozen=True)
class _InDoubles:
    """A user's function as one of a float64 array, whatever it takes."""

    function: Callable[[Any], Any]
    arithmetic: Arithmetic
    name: str

    def __call__(self, x: Any) -> NDArray[np.float64]:
        points = np.asarray(x, dtype=np.float64)
        if self.arithmetic == "double":
            return np.asarray(self.function(points), dtype=np.float64)
        from flint import arb

        from ntkspec.precision import exclusive

        of_ball = ball_function(self.function, self.arithmetic, self.name)
        with exclusive():
            flat = [float(of_ball(arb(float(p))).mid()) for p in points.ravel()]
        return np.array(flat).reshape(points.shape)


@dataclass(frozen=True)
class _NoDerivative:
    """Stands for a derivative that was not given."""

    name: str

    def __call__(self, x: Any) -> NDArray[np.float64]:
        raise NtkspecError(f"{self.name} was given without its derivative")


@dataclass(frozen=True)
class _SampledDual:
    """The duals of a user's activation in high precision, at a variance."""

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any] | None
    name: str
    arithmetic: Arithmetic
    kink: bool

    def __call__(self, q: Any) -> Any:
        from ntkspec.duals.sampled import sampled_dual

        return sampled_dual(q, *self._balls(), self.kink, _resolved(self, float(q.mid())))

    def _balls(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any] | None]:
        of = ball_function(self.function, self.arithmetic, self.name)
        if self.derivative is None:
            return of, None
        return of, ball_function(self.derivative, self.arithmetic, self.name)

    def resolved(self, q: float) -> tuple[Any, Any]:
        """The expectations in doubles of sigma and, where it is given, of sigma'."""
        from ntkspec.duals.sampled import resolved

        of, slope = self._balls()
        first = resolved(q, of, self.kink, self.name)
        return first, None if slope is None else resolved(q, slope, self.kink, self.name)


@lru_cache(maxsize=32)
def _resolved(dual: _SampledDual, q: float) -> tuple[Any, Any]:
    """As precision rises a dual is made several times: what doubles say of it only once."""
    return dual.resolved(q)
