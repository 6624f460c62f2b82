"""Zonal kernels K(t), t = <x, x'>, that a user gives as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.callables import Arithmetic, InDoubles, checked_function, checked_name

__all__ = ["ZonalKernel"]


@dataclass(frozen=True)
class ZonalKernel:
    """A kernel K(t), t = <x, x'>, given by a function.

    Parameters
    ----------
    function : callable
        Of a float64 array ("double"), of a `flint.arb` or of an `mpmath.mpf`.
    arithmetic : {"double", "flint", "mpmath"}
        The numbers that the function takes and returns.  In doubles only eigenvalues above the
        rounding are computed; with the others all are.
    name : str

    Raises
    ------
    NtkspecError
        When the function is not callable, the arithmetic is unknown or the name not printable.

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
    arithmetic: Arithmetic = field(default="double", kw_only=True)
    name: str = field(default="kernel", kw_only=True)

    def __post_init__(self) -> None:
        function = checked_function(self.function, self.arithmetic, "function")
        object.__setattr__(self, "function", function)
        checked_name(self.name)

    def in_doubles(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """K of a float64 array, in any arithmetic.

        Examples
        --------
        >>> ZonalKernel(lambda t: t * t, arithmetic="flint").in_doubles(np.array([0.5, -1.0]))
        array([0.25, 1.  ])
        """
        return InDoubles(self.function, self.arithmetic, self.name)(t)

    def parameters(self) -> dict[str, Any]:
        """Return its name and arithmetic.

        Examples
        --------
        >>> ZonalKernel(abs).parameters()
        {'name': 'kernel', 'arithmetic': 'double'}
        """
        return {"name": self.name, "arithmetic": self.arithmetic}
