"""Values of the kernels of a network whose layers are not alike, part by part, in balls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from flint import acb, arb

from ntkspec.reference.balls.expectations import Dual
from ntkspec.reference.balls.kernels import LayeredKernels, point_at, prepared_dual
from ntkspec.reference.description import Dense, Description, Norm, Sum

__all__ = ["PartsKernels", "layers_of"]

#: q and T at some points, and 1 - t there as T where a derivative is wanted.
_Rows: TypeAlias = tuple[list[Any], list[Any]]


def layers_of(network: Description, depth: int, nats: float) -> LayeredKernels | PartsKernels:
    """The kernels of a network at angles: of every depth, or of its parts."""
    if network.parts is None:
        return LayeredKernels(network, depth, nats)
    return PartsKernels(network, nats)


class PartsKernels:
    """Both kernels of a network of parts."""

    def __init__(self, network: Description, nats: float) -> None:
        assert network.parts is not None
        self.network, self.parts = network, network.parts
        #: q(1), the dual and the activation of every layer; q(1) at every normalization.
        self.layers: list[tuple[arb, Dual, Description]] = []
        self.sizes: list[arb] = []

        def prepare(sigma: Description, q: arb) -> arb:
            self.layers.append((q, prepared_dual(sigma, q, nats), sigma))
            return self.layers[-1][1].at_zero()[0]

        self._variance(self.parts, arb(1), prepare)

    def _variance(
        self, parts: tuple[Any, ...], q: arb, prepare: Callable[[Description, arb], arb]
    ) -> arb:
        """q(1) after the parts."""
        for part in parts:
            if isinstance(part, Dense):
                q = part.weight * q + part.bias
            elif isinstance(part, Sum):
                q = q + part.square * self._variance(part.branch, q, prepare)
            elif isinstance(part, Norm):
                self.sizes.append(q)
                q = arb(1)
            else:
                q = prepare(part, q)
        return q

    def at(self, points: list[acb]) -> dict[tuple[str, int, str], list[arb]]:
        """Values at the points e^(i theta), by kernel, depth and what is trained."""
        start = [p.real for p in points], [arb(0)] * len(points)
        q, tangent = self._through(self.parts, start, iter(self.layers), iter(self.sizes), points)
        depth = self.network.depth
        return {
            (kernel, depth, trained): values
            for kernel, values in (("nngp", q), ("ntk", tangent))
            for trained in ("hidden", "all")
        }

    def _through(
        self, parts: tuple[Any, ...], rows: _Rows, layers: Any, sizes: Any, points: Sequence[acb]
    ) -> _Rows:
        q, tangent = rows
        for part in parts:
            if isinstance(part, Dense):
                tangent = [
                    part.own * x + part.own_bias + part.weight * y
                    for x, y in zip(q, tangent, strict=True)
                ]
                q = [part.weight * x + part.bias for x in q]
            elif isinstance(part, Sum):
                ends = self._through(part.branch, (q, tangent), layers, sizes, points)
                q, tangent = (
                    [x + part.square * y for x, y in zip(mine, branch, strict=True)]
                    for mine, branch in zip((q, tangent), ends, strict=True)
                )
            elif isinstance(part, Norm):
                size = next(sizes)
                q, tangent = [x / size for x in q], [x / size for x in tangent]
            else:
                variance, dual, _ = next(layers)
                q, slopes = dual.at(
                    [self._place(x / variance, p) for x, p in zip(q, points, strict=True)]
                )
                tangent = [x * y for x, y in zip(tangent, slopes, strict=True)]
        return q, tangent

    @staticmethod
    def _place(cosine: arb, point: acb) -> acb:
        """e^(i theta_l); the input's where the cosines cannot be distinguished."""
        return point if cosine.overlaps(point.real) else point_at(cosine)

    def steepness(self) -> list[tuple[Description, float]]:
        """dq_l/dt at t = 1 of every layer, with its activation: how fast its argument turns."""
        found: list[tuple[Description, float]] = []
        layers, sizes = iter(self.layers), iter(self.sizes)

        def through(parts: tuple[Any, ...], slope: float) -> float:
            for part in parts:
                if isinstance(part, Dense):
                    slope *= part.weight
                elif isinstance(part, Sum):
                    slope += part.square * through(part.branch, slope)
                elif isinstance(part, Norm):
                    slope /= float(next(sizes))
                else:
                    _, dual, sigma = next(layers)
                    found.append((sigma, slope))
                    slope *= float(dual.at_zero()[1])
            return slope

        through(self.parts, 1.0)
        return found

    def at_minus_one(self) -> list[tuple[arb, arb]]:
        """q_l(-1) and q_l(1) of every layer."""
        found: list[tuple[arb, arb]] = []
        layers, sizes = iter(self.layers), iter(self.sizes)

        def through(parts: tuple[Any, ...], q: arb) -> arb:
            for part in parts:
                if isinstance(part, Dense):
                    q = part.weight * q + part.bias
                elif isinstance(part, Sum):
                    q = q + part.square * through(part.branch, q)
                elif isinstance(part, Norm):
                    q = q / next(sizes)
                else:
                    variance, dual, _ = next(layers)
                    found.append((q, variance))
                    cosine = q / variance
                    point = acb(-1 if cosine < 0 else 1)
                    q = dual.at([point_at(cosine) if abs(cosine) < 1 else point])[0][0]
            return q

        through(self.parts, arb(-1))
        return found
