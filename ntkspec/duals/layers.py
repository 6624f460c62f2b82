"""The kernels of networks in balls: duals of the layers, composed by the rules of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flint import acb, arb, arb_series, ctx

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.memory import lost
from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.rules import Activate, Affine, Program, Scale, State, follow

__all__ = ["Layers", "series_length", "taylor_at_zero"]


#: Largest power of 10 of the variance after a layer that is no power on either side of 0.
LARGEST = 1000


class Layers:
    """The NTK or NNGP kernel K(cos theta) of a network or a program, for balls.

    `variances` and `duals` have those of the activations in their order: q(1), and F and D as
    functions of a correlation; `sizes` has q(1) at each normalization.
    """

    def __init__(self, network: Any, kernel: str) -> None:
        self.program: Program = network if isinstance(network, Program) else network.program
        self.ntk = kernel == "ntk"
        self.needed = self.program.needed(not self.ntk)
        self.variances: list[arb] = []
        self.sizes: list[arb] = []
        self.duals: list[Any] = []
        #: The variance at the end.
        self.last = follow(
            self.program, State(arb(1)), self._prepare, self._measure, arb, tangent=False
        ).covariance

    def _prepare(self, index: int, state: State) -> State:
        sigma = self.program.activations[index]
        if not state.covariance > 0:
            raise lost(f"the variance before layer {index + 1}")
        if sigma.homogeneous is None and not state.covariance < arb(10) ** LARGEST:
            raise NtkspecError(
                f"the variance before layer {index + 1} is beyond 1e{LARGEST}; lower "
                "weight_variance, bias_variance or depth"
            )
        self.variances.append(state.covariance)
        self.duals.append(self.program.activations[index].dual(state.covariance))
        return State(self.duals[-1][0](Correlation.full()))

    def _measure(self, index: int, state: State) -> Any:
        self.sizes.append(state.covariance)
        return state.covariance

    @cached_property
    def lines(self) -> list[tuple[arb, arb] | None]:
        """(s, c) of each activation whose covariance is q = s t + c, else None."""
        lines: list[tuple[arb, arb] | None] = self.program.lines(acb(0, 1), arb)
        return lines

    @property
    def ratio(self) -> tuple[arb, arb]:
        """(c, s) of the first activation, whose covariance is q = s t + c."""
        line = self.lines[0]
        assert line is not None
        return line[1], line[0]

    @cached_property
    def centres(self) -> list[Correlation]:
        """The correlations of the activations' arguments at t = 0."""
        found: list[Correlation] = []

        def activate(index: int, state: State) -> State:
            found.append(Correlation(state.covariance / self.variances[index]))
            return State(self.duals[index][0](found[-1]))

        follow(
            self.program, State(arb(0)), activate, lambda index, _: self.sizes[index], arb,
            tangent=False,
        )  # fmt: skip
        return found

    def __call__(self, angle: Any) -> Any:
        """K at t = cos(angle), 0 <= angle <= pi for real balls."""
        return self.at(Correlation(angle.cos(), angle))

    def at(self, point: Correlation) -> Any:
        """K at the correlation of two inputs."""

        def place(index: int, state: State) -> Correlation:
            line = self.lines[index]
            if line is not None and line[1].is_zero():
                return point
            return Correlation(state.covariance / self.variances[index])

        return self.composed(State(point.cosine), place)

    def at_one(self) -> Any:
        """K(1), the correlations kept at exactly 1: a ball around 1 loses half of its digits."""
        return self.composed(State(arb(1)), lambda index, state: Correlation.full())

    def composed(self, start: State, place: Callable[[int, State], Correlation]) -> Any:
        """K from t (and 1 - t); `place` returns the correlation of an activation's arguments."""

        def activate(index: int, state: State) -> State:
            point, (value, slope) = place(index, state), self.duals[index]
            dual = gap = tangent = None
            if self.needed[index]:
                dual = value(point)
                gap = None if state.gap is None else self.fulls[index] - dual
            if state.tangent is not None:
                tangent = state.tangent * slope(point)
            return State(dual, tangent, gap)

        end = follow(
            self.program, start, activate, lambda index, _: self.sizes[index], arb, self.ntk
        )
        if not self.ntk:
            return end.covariance
        return 0 * start.covariance if end.tangent is None else end.tangent

    @cached_property
    def between(self) -> list[arb]:
        """Factors of the gap F(1) - F of an activation in that of the next one's covariance.

        Without residual branches; the first is that of 1 - t.
        """
        factors, normalized = [arb(1)], 0
        for step in self.program.steps:
            if isinstance(step, Affine):
                factors[-1] *= arb(step.weight)
            elif isinstance(step, Scale):
                factors[-1] /= self.sizes[normalized]
                normalized += 1
            elif isinstance(step, Activate):
                factors.append(arb(1))
        return factors[:-1]

    @cached_property
    def fulls(self) -> list[arb]:
        """F(1) of each activation."""
        return [value(Correlation.full()) for value, _ in self.duals]


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
