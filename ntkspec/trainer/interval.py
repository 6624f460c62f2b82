"""Sobolev losses 1/2 r' P r of a residual on an interval, by its sine, cosine or Fourier series."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.parameters import one_of, whole_number
from ntkspec.trainer.checks import checked_values
from ntkspec.trainer.points import circle
from ntkspec.trainer.sobolev import Quadratic, SobolevLoss, Weight

__all__ = ["Ends", "IntervalLoss", "midpoints"]

Array = NDArray[np.float64]
Ends = Literal["dirichlet", "neumann", "periodic"]


def midpoints(n: int) -> Array:
    """Midpoints (j + 1/2)/n of n equal cells of (0, 1): (n,).

    Examples
    --------
    >>> midpoints(4)
    array([0.125, 0.375, 0.625, 0.875])
    """
    n = whole_number(n, "n", least=1)
    return (np.arange(n) + 0.5) / n


class IntervalLoss(Quadratic):
    """1/2 r' P r on an interval, which weights the component of each frequency k by mu_k.

    Parameters
    ----------
    n : int
        Number of `midpoints`, scaled to the interval, at which r is sampled.
    s, max_degree
        As for `ntkspec.trainer.sobolev.SobolevLoss`, of frequencies.
    ends : {"dirichlet", "neumann", "periodic"}
        How r continues beyond the ends, which decides its series on (0, 1): odd, sin(pi k x),
        k >= 1; even, cos(pi k x), k >= 0; or with period 1, the full Fourier series.
    weight : {"power", "laplacian"}
        mu_k = (1+k)^(2s), or (1 + k^2)^s.

    Attributes
    ----------
    n, s, ends, weight
        As given.
    x : (n,) ndarray of float64
        The midpoints on (0, 1).
    parity : {-1, 1, None}
        Of the continuation: odd, even, or none.
    extended : SobolevLoss
        The loss of the continuation, on the circle.

    Raises
    ------
    NtkspecError
        If n < 1, `ends` is unknown, or `ntkspec.trainer.sobolev.SobolevLoss` raises.

    Notes
    -----
    P = E' Q E, where E continues r to a whole period (2n equispaced points on the circle for an odd
    or even continuation) and Q is the matrix of `SobolevLoss` there.  So P = S' diag(mu) S / n with
    the orthonormal sine transform S of the second kind (DST-II; DCT-II for an even continuation),
    and s = 0 is the mean square, 1/2 sum r_i^2 / n.

    With "dirichlet" the residual need not vanish at the ends.  If it does not, its sine
    coefficients fall as 1/k, and for s >= 1/2 the loss grows with n.

    Examples
    --------
    >>> loss = IntervalLoss(16, s=-1.0)
    >>> r = np.sin(3 * np.pi * loss.x)
    >>> round(loss.value(r), 12), float(loss.multiplier(3)) / 4  # the mean of sin^2 is 1/2
    (0.015625, 0.015625)
    """

    places = "midpoints"

    def __init__(
        self,
        n: int,
        s: float,
        ends: Ends = "dirichlet",
        weight: Weight = "power",
        max_degree: int | None = None,
    ) -> None:
        self.x = midpoints(n)
        self.n = len(self.x)
        self.ends: Ends = one_of(ends, "ends", get_args(Ends))
        self.parity = {"dirichlet": -1, "neumann": 1, "periodic": None}[ends]
        period = self.n if self.parity is None else 2 * self.n
        self.extended = SobolevLoss(circle(period), s, weight, max_degree)
        self.s, self.weight = self.extended.s, self.extended.weight
        self.max_degree = self.extended.max_degree

    def apply(self, r: ArrayLike) -> Array:
        """P r: (n,) -> (n,)."""
        values = checked_values(r, self.n, "r", self.places)
        if self.parity is None:
            return self.extended.apply(values)
        # Q keeps the symmetry, so that E' adds two equal halves.
        whole = self.extended.apply(np.concatenate((values, self.parity * values[::-1])))
        return 2.0 * whole[: self.n]

    def matrix(self) -> Array:
        """P, (n, n), symmetric."""
        whole = self.extended.matrix()
        if self.parity is None:
            return whole
        return 2.0 * (whole[: self.n, : self.n] + self.parity * whole[: self.n, : self.n - 1 : -1])

    def multiplier(self, degrees: ArrayLike) -> Array:
        """mu_k for frequencies of any shape; 0 above max_degree."""
        return self.extended.multiplier(degrees)
