"""A user's own activation, as a Python callable."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations.activation import Activation, Singularity
from ntkspec.activations.recognized import recognized
from ntkspec.activations.traced import traced_symmetry
from ntkspec.callables import Arithmetic, InDoubles, ball_function, checked_function, checked_name
from ntkspec.errors import NtkspecError
from ntkspec.parameters import is_one_of, number, shown, whole_number

__all__ = ["user_activation"]


def user_activation(
    function: Callable[[Any], Any],
    derivative: Callable[[Any], Any] | None = None,
    *,
    name: str = "user",
    arithmetic: Arithmetic = "double",
    kinks: Iterable[float] = (),
    symmetry: Literal["odd", "even"] | None = None,
    polynomial: int | None = None,
) -> Activation:
    """Make an activation from a Python callable.

    Parameters
    ----------
    function : callable
        sigma, elementwise: of a float64 array ("double"), a `flint.arb` or an `mpmath.mpf`.
    derivative : callable, optional
        sigma', in the same form.  If it is not given, doubles compute it from sigma, which costs
        about two digits, and balls differentiate the dual; a sigma that jumps has no NTK then.
    name : str
    arithmetic : {"double", "flint", "mpmath"}
        The numbers that the functions take.  In doubles only eigenvalues above the rounding are
        computed.
    kinks : iterable of float
        Where sigma or a derivative of it jumps.  In doubles kinks and jumps are found anywhere; a
        function of flint or mpmath numbers must be smooth but for these.  With kinks away from 0
        its kernels are computed in doubles.
    symmetry : {"odd", "even"}, optional
        Declare it to make the zeros that it forces exact.  It is found where sums, products and
        elementary functions show it, as for ``lambda x: x * np.exp(-x * x)``; values alone prove
        no symmetry.  A spectrum with other zeros is refused, and the message says what to declare.
    polynomial : int, optional
        sigma is a polynomial of this degree and parity plus a function of the other parity, as
        swish is x/2 plus an even one (1): declare it to make the zeros that it forces exact.  With
        the symmetry of its own parity too, sigma is that polynomial: x*x has symmetry="even" and
        polynomial=2.

    Returns
    -------
    Activation
        For `Network(activation=...)`.

    Raises
    ------
    NtkspecError
        When a function is not callable, an option is unknown or the name not printable, and when
        values of the function contradict its derivative, symmetry or polynomial part.  A function
        that returns NaN, returns another shape, or is not square integrable against the Gaussian
        is refused when a kernel is computed, since that depends on the variance.

    Warns
    -----
    UserWarning
        When a function of doubles has the values of a catalogued activation, which is exact.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkspec import Network
    >>> swish = user_activation(lambda x: x / (1 + np.exp(-1.5 * x)))
    >>> round(float(Network(swish).nngp(1.0)), 6)
    0.406885
    """
    function, name = checked_function(function, arithmetic, "function"), checked_name(name)
    if derivative is not None:
        derivative = checked_function(derivative, arithmetic, "derivative")
    if symmetry is not None and not is_one_of(symmetry, ("odd", "even")):
        raise NtkspecError(
            f"symmetry = {shown(symmetry)} is not allowed; use 'odd', 'even' or None"
        )
    places = checked_kinks(kinks)
    if polynomial is not None:
        polynomial = whole_number(polynomial, "polynomial", 0, 100)
    if arithmetic == "double" and (known := recognized(function)) is not None:
        warnings.warn(
            f"the function of {name!r} has the values of the catalogue's {known}; "
            f"Network({known!r}) is exact, and fast in every dimension",
            UserWarning,
            stacklevel=2,
        )
    proved = symmetry, polynomial
    if proved == (None, None):
        proved = traced_symmetry(function)
    sigma = Activation(
        name,
        InDoubles(function, arithmetic, name),
        _NoDerivative(name) if derivative is None else InDoubles(derivative, arithmetic, name),
        function,
        derivative,
        _SampledDual(function, derivative, name, arithmetic, bool(places)),
        Singularity("kinks" if any(places) else "kink", 1) if places else Singularity("unknown"),
        symmetry=proved[0],
        polynomial=proved[1],
        user=True,
        arithmetic=arithmetic,
    )
    if derivative is not None:
        from ntkspec.activations.declared import check_derivative

        check_derivative(sigma)
    if proved != (None, None):
        from ntkspec.activations.declared import check_declared

        try:
            check_declared(sigma)
        except NtkspecError:
            if proved == (symmetry, polynomial):
                raise
            return replace(sigma, symmetry=None, polynomial=None)
    return sigma


def checked_kinks(kinks: Iterable[float]) -> tuple[float, ...]:
    """Return the places of kinks, increasing."""
    try:
        given = list(kinks)
    except TypeError:
        raise NtkspecError(
            f"kinks = {shown(kinks)} is not allowed; give a list of numbers, such as [0.0]"
        ) from None
    return tuple(sorted({number(place, "kinks", -1e100, 1e100) for place in given}))


@dataclass(frozen=True)
class _NoDerivative:
    """Placeholder for a derivative that was not given; raises when called."""

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
    """Cached expectations in doubles; at rising precision a dual is made several times."""
    return dual.resolved(q)
