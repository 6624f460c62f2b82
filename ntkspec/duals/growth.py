"""Proven bounds on derivatives of duals at correlation 1, and on tails of cosine coefficients.

f_j = F^(j)(1) / j! = q^j E[(sigma^(j))^2] / j! (Price's theorem) is bounded by Cauchy's estimate
for sigma^(j) on discs of radius r < y0, the distance of the nearest pole:
|sigma^(j)(x)| <= j! r^-j max |sigma|.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

from flint import arb, arb_series, fmpq

from ntkspec.conventions import Shape
from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import series_length
from ntkspec.precision import working_precision
from ntkspec.rules import State, follow

__all__ = ["DISTANCES", "Growth", "derivative_bound", "mish_factor", "series_tail"]

#: Distance of the nearest pole from the real line over pi, where it is not 1.
DISTANCES = {"tanh": 0.5, "mish": 0.75}
#: Derivatives that bounds use.
ORDER = 400


def mish_factor(y: arb) -> arb:
    """Bound of |sigma(x) / x| of mish for |Im x| <= y < 3 pi / 4.

    It is |1 - 2 / ((w + 1 - i) (w + 1 + i))|, w = e^x, whose zeros have the angles +- 3 pi / 4.
    """
    angle = 3 * arb.pi() / 4 - y
    sine = angle.sin() if angle < arb.pi() / 2 else arb(1)
    return 1 + 1 / (sine * sine)


def derivative_bound(family: str, q: arb, j: int) -> arb:
    """Upper bound of F^(j)(1) / j!, j >= 1, for tanh, sigmoid, silu, softplus and mish."""
    distance = DISTANCES.get(family, 1.0) * arb.pi()
    if family == "softplus":  # its derivative is the sigmoid
        return q * derivative_bound("sigmoid", q, j - 1) / j if j > 1 else q
    if j == 0:
        return arb(1)
    r = distance * j / (j + 1)
    if family == "mish":
        square = 2 * (q + r * r) * mish_factor(r) ** 2
        return (q**j * arb(j).fac() * r ** (-2 * j) * square).upper()
    # |tanh(x + iy)| <= max(1, tan|y|); sigmoid is (1 + tanh(x/2)) / 2
    of_tanh = (r if family == "tanh" else r / 2).tan().max(arb(1))
    size = of_tanh if family == "tanh" else (1 + of_tanh) / 2
    square = size * size
    if family == "silu":  # |z| <= |x| + r, E[(|x| + r)^2] <= 2 (q + r^2)
        square *= 2 * (q + r * r)
    return (q**j * arb(j).fac() * r ** (-2 * j) * square).upper()


def series_tail(family: str, q: arb, first: int) -> tuple[arb, arb]:
    """Bounds of sum a_n and of sum n a_n / q over n >= first.

    sum a_n <= f_j / binom(first, j), since every binom(n, j) is at least that.
    """
    distance = DISTANCES.get(family, 1.0) * math.pi
    best = int(distance * math.sqrt(first / float(q.mid())))
    j = max(1, min(best, first - 1, 4000))
    value = derivative_bound(family, q, j) / arb.bin_uiui(first, j)
    # n a_n / q is the coefficient of D, D^(j)(1) / j! = (j + 1) f_(j+1) / q
    slope = (j + 1) * derivative_bound(family, q, j + 1) / q / arb.bin_uiui(first - 1, j)
    return value.upper(), slope.upper()


class Growth:
    """Bounds of the sum of c_j over j >= n: cosine coefficients of a smooth network's kernel."""

    def __init__(self, network: Any, layers: Any) -> None:
        self.layers = layers
        self.shapes = [sigma.shape for sigma in network.sigmas]
        self.entire = all(sigma.singularity.kind == "entire" for sigma in network.sigmas)
        if self.entire:
            self.how = "K(cosh eta)"
            self._by_eta = self._continued()
        else:
            self.how = "derivatives at t = 1"
            self._moments = self._derivatives()

    def tail(self, n: int) -> arb:
        """Upper bound of the sum of c_j over j >= n >= 1."""
        with working_precision(64):
            if self.entire:
                bounds = (size / (n * eta).cosh() for eta, size in self._by_eta)
            else:
                start = self._near(n)
                bounds = (
                    self._moments[p] / arb(n) ** (2 * p)
                    for p in range(max(1, start - 12), min(start + 12, len(self._moments)))
                )
            best = min(bounds, key=lambda bound: float(bound.log().mid()))
            return best.upper()

    def _near(self, n: int) -> int:
        """The order with about the smallest bound: the ratio of moments passes n^2 there."""
        moments, square = self._moments, arb(n) ** 2
        orders = range(1, len(moments) - 1)
        return 1 + bisect_left(orders, True, key=lambda p: not moments[p + 1] / moments[p] < square)

    def _continued(self) -> list[tuple[arb, arb]]:
        """(eta, K(cosh eta)) for many eta below the singularity of K."""
        found = []
        with working_precision(128):
            for i in range(-60, 40):
                eta = arb(2) ** (arb(i) / 8)
                value = self.layers.at(Correlation(eta.cosh()))
                if not (value.is_finite() and value > 0):
                    break
                found.append((eta, value.upper()))
        return found

    @staticmethod
    def _bounds(shape: Shape, q: arb, count: int) -> list[arb]:
        """Upper bounds of F^(j)(1) / j! of a layer."""
        base, inner, outer = shape
        narrow = q * fmpq(inner.numerator, inner.denominator) ** 2
        factor = fmpq(outer.numerator, outer.denominator) ** 2
        return [(factor * derivative_bound(base, narrow, j)).upper() for j in range(count)]

    def _derivatives(self) -> list[arb]:
        """Bounds of sum c_j j^(2p): (2p)! times the coefficients of K(cosh eta) in eta^2.

        All derivatives of the duals are positive, so that bounds of them compose to bounds.
        """
        layers, order = self.layers, ORDER
        with working_precision(64), series_length(order + 1):
            rise = arb_series([0, *(1 / arb(2 * k).fac() for k in range(1, order + 1))], order + 1)

            def activate(index: int, state: State) -> State:
                q = layers.variances[index]
                above = -state.gap / q  # rho - 1 in powers of eta^2
                bounds = self._bounds(self.shapes[index], q, order + 2)
                full = layers.fulls[index].upper()
                value = arb_series([full, *bounds[1 : order + 1]], order + 1)(above)
                slopes = [(j + 1) * bounds[j + 1] / q for j in range(order + 1)]
                tangent = state.tangent
                if tangent is not None:
                    tangent = tangent * arb_series(slopes, order + 1)(above)
                return State(value, tangent, value[0] - value)

            end = follow(
                layers.program, State(1 + rise, None, -rise), activate,
                lambda index, _: layers.sizes[index], arb, layers.ntk,
            )  # fmt: skip
            kernel = end.tangent if layers.ntk else end.covariance
            return [(kernel[p] * arb(2 * p).fac()).upper() for p in range(order + 1)]
