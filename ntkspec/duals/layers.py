"""Composition through the layers: the recursion for any arithmetic, and the kernels in balls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flint import arb, arb_series, ctx

from ntkspec.duals.correlation import Correlation
from ntkspec.errors import NtkspecError

__all__ = ["Layer", "Layers", "compose", "series_length", "taylor_at_zero"]


#: Largest power of 10 of the variance after a layer that is no power on either side of 0.
LARGEST = 1000


class Layer(NamedTuple):
    """One layer at some t: q_l, T_l, F_l and D_l, in the arithmetic of its network.

    The slope D_l is None where it is not computed, and then the tangent after it.
    """

    covariance: Any
    tangent: Any
    dual: Any
    slope: Any

    def kernel(self, trained: str) -> Any:
        """K of a network that ends here: the NNGP kernel without a slope, else the NTK."""
        if self.slope is None:
            return self.dual
        hidden = self.tangent * self.slope
        return self.dual + hidden if trained == "all" else hidden


def compose(
    weight: Any,
    bias: Any,
    covariance: Any,
    duals: Callable[[int, Any], tuple[Any, Any]],
    depth: int,
) -> Iterator[Layer]:
    """Follow a covariance through the layers of a network (Jacot et al. 2018, theorem 1).

    q_(l+1) = s_w F_l + s_b, T_1 = q_1, T_(l+1) = q_(l+1) + s_w T_l D_l, from q_1 = `covariance`.
    duals(l, q) returns F and D of layer l = 0, 1, ... at the covariance q; D may be None.

    Examples
    --------
    >>> identity = lambda layer, covariance: (covariance, 1.0)
    >>> list(compose(1.0, 0.0, 0.5, identity, 2))[-1]
    Layer(covariance=0.5, tangent=1.0, dual=0.5, slope=1.0)
    """
    tangent, dual, slope = covariance, None, None
    for layer in range(depth):
        if layer:
            covariance = weight * dual + bias
            tangent = None if slope is None else covariance + weight * tangent * slope
        dual, slope = duals(layer, covariance)
        yield Layer(covariance, tangent, dual, slope)


class Layers:
    """The NTK or NNGP kernel K(cos theta) of a network, for balls: `compose` with its duals."""

    def __init__(self, network: Any, kernel: str) -> None:
        self.kernel, self.trained = kernel, network.trained
        self.with_dual = kernel == "nngp" or network.trained == "all"
        self.weight, self.bias = arb(network.weight_variance), arb(network.bias_variance)
        self.has_bias = not self.bias.is_zero()
        self.variances = [self.weight + self.bias]
        self.duals = []
        for number in range(network.depth):
            self.duals.append(network.sigma.dual(self.variances[-1]))
            self.variances.append(self.weight * self.duals[-1][0](Correlation.full()) + self.bias)
            if network.sigma.homogeneous is None and self.variances[-1] > arb(10) ** LARGEST:
                raise NtkspecError(
                    f"the variance after layer {number + 1} is beyond 1e{LARGEST}; lower "
                    "weight_variance, bias_variance or depth"
                )

    def __call__(self, angle: Any) -> Any:
        """K at t = cos(angle), 0 <= angle <= pi for real balls."""
        return self.at(Correlation(angle.cos(), angle))

    def at(self, point: Correlation) -> Any:
        """K at the correlation of two inputs."""

        def place(layer: int, covariance: Any, dual: Any) -> Correlation:
            if layer or self.has_bias:
                return Correlation(covariance / self.variances[layer])
            return point

        return self.composed(self.weight * point.cosine + self.bias, place)

    def at_one(self) -> Any:
        """K(1), the correlations kept at exactly 1: a ball around 1 loses half of its digits."""
        return self.composed(self.variances[0], lambda *layer: Correlation.full())

    def composed(self, start: Any, place: Callable[[int, Any, Any], Correlation]) -> Any:
        """K from q_1; `place` returns a layer's correlation from its number, q_l and F_(l-1)."""
        last = len(self.duals) - 1
        before: Any = None

        def duals(layer: int, covariance: Any) -> tuple[Any, Any]:
            nonlocal before
            point, (value, slope) = place(layer, covariance, before), self.duals[layer]
            before = value(point) if self.with_dual or layer < last else None
            return before, slope(point) if self.kernel == "ntk" else None

        layers = compose(self.weight, self.bias, start, duals, last + 1)
        return deque(layers, 1).pop().kernel(self.trained)


def taylor_at_zero(layers: Layers, count: int) -> list[arb]:
    """The first Taylor coefficients of K at t = 0, where the duals take power series."""
    with series_length(count):
        series = layers.at(Correlation(arb_series([0, 1], count)))
        return [series[n] for n in range(count)]


@contextmanager
def series_length(count: int) -> Iterator[None]:
    """Number of coefficients that power series in balls keep, in a block."""
    before, ctx.cap = ctx.cap, count
    try:
        yield
    finally:
        ctx.cap = before
