"""The kernels of a network at the nodes of a rule in theta, remembered for its other entries.

The nodes and the values there depend on the network and the precision, not on dimension and degree,
so one set of samples serves all entries of similar size.  The rules:

* smooth sigma: K is smooth and even on the circle, so its values at equal angles give its cosine
  coefficients, sum_j c_j cos(j theta);
* sigma with a kink at 0: K is analytic in theta on [0, pi], the ends included; Gauss-Legendre in
  theta, in panels where a small bias leaves a branch point close to theta = pi.  Only step, whose
  dual is linear in theta, composes to theta^(1/2), theta^(1/4), ...: with
  theta = pi y^(2^(depth-1)) the integrand is analytic in y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from flint import acb, arb, ctx, fmpq

from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.balls.expectations import highest_frequency, smooth_of
from ntkspec.reference.balls.kernels import LayeredKernels
from ntkspec.reference.balls.legendre import cosine_sums, entire_rule_size, gauss_legendre
from ntkspec.reference.balls.parts import PartsKernels, layers_of
from ntkspec.reference.description import Description

__all__ = ["Effort", "Samples", "forget_samples", "on_ladder", "samples"]

#: Samples that a process remembers.
MOST_REMEMBERED = 16


class Effort(NamedTuple):
    """What samples must serve.

    `nats` is -log of the error of the nodes, `bandwidth` the frequency in theta of what multiplies
    a kinked kernel.
    """

    bits: int
    nats: float
    bandwidth: float = 0.0

    def serves(self, other: Effort) -> bool:
        """Whether it is as large in everything."""
        return all(mine >= wanted for mine, wanted in zip(self, other, strict=True))

    def grown(self, factor: float) -> Effort:
        """More nodes at the same precision."""
        return Effort(self.bits, self.nats * factor, self.bandwidth * factor)


def on_ladder(x: float) -> int:
    """Round up to the next of 32, 39, 46, 54, 64, ..., so that similar entries share samples."""
    step = math.ceil(4 * math.log2(max(x, 32.0)) - 1e-9)
    return math.ceil(2 ** (step / 4) - 1e-9)


#: The last used come last.
_remembered: dict[tuple[Description, Effort], Samples] = {}


def forget_samples() -> None:
    """Free the memory."""
    with exclusive():
        _remembered.clear()


def samples(network: Description, effort: Effort) -> Samples:
    """Return samples of at least this effort: the least that are remembered, or new ones."""
    with exclusive():
        network = replace(network, trained="all")
        serving = [e for n, e in _remembered if n == network and e.serves(effort)]
        key = (network, min(serving, default=effort))
        found = _remembered.pop(key, None) or Samples(*key)
        _remembered[key] = found
        while len(_remembered) > MOST_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        return found


class Samples:
    """Values of the kernels of all depths up to the network's.

    Attributes
    ----------
    points : tuple of acb
        The nodes e^(i theta), 0 < theta < pi.
    base : tuple of arb
        For a kinked sigma: the weights of the rule for the measure d theta.
    """

    def __init__(self, network: Description, effort: Effort) -> None:
        self.network, self.effort = network, effort
        with working_precision(effort.bits):
            layers = layers_of(network, network.depth, effort.nats)
            self.points, self.base = (
                (self._equal_angles(layers), ()) if network.smooth else self._panels(layers)
            )
            self._values = layers.at(list(self.points))
        self._coefficients: dict[tuple[str, int, str], list[arb]] = {}

    def values(self, kernel: str, depth: int, trained: str) -> list[arb]:
        """Values at the nodes."""
        return self._values[kernel, depth, trained]

    def coefficients(self, kernel: str, depth: int, trained: str) -> list[arb]:
        """Return c_j of the sum c_j cos(j theta), j < n, with the values at n equal angles."""
        key = (kernel, depth, trained)
        if key not in self._coefficients:
            with working_precision(self.effort.bits):
                self._coefficients[key] = _cosine_coefficients(self._values[key])
        return self._coefficients[key]

    def _equal_angles(self, layers: LayeredKernels | PartsKernels) -> tuple[acb, ...]:
        """As many as resolve the roughest layer."""
        # dq_l/dt at t = 1 stands for q_l(1): the layer's singularity as seen in t
        highest = max(
            highest_frequency(smooth_of(sigma), slope, self.effort.nats)
            for sigma, slope in layers.steepness()
        )
        # The degree of composed polynomials is the product of theirs.
        composed = math.prod(max(smooth_of(one).degree, 1) for one, _ in layers.steepness())
        n = 2 * math.ceil((1.1 * max(highest, composed) + 8) / 2)
        points = []
        for m in range(n):
            sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * m + 1, 2 * n))
            points.append(acb(cosine, sine))
        return tuple(points)

    def _panels(
        self, layers: LayeredKernels | PartsKernels
    ) -> tuple[tuple[acb, ...], tuple[arb, ...]]:
        """Gauss-Legendre in y, theta = pi y^power, in one panel or in some graded towards y = 1."""
        power = 2 ** max(self.network.steps - 1, 0)
        points, base = [], []
        nats = self.effort.nats
        for low, width in _graded(_distance_at_pi(layers) / (math.pi * power)):
            # Other singularities lie at about the distance of the interval's length, or farther.
            wave = self.effort.bandwidth * math.pi / 2 * power * width
            size = max(entire_rule_size(wave + 1.0, nats), wave / 4 + nats / 1.4)
            size += 0.3 * nats**1.5 * _flatness(layers) ** (1.0 / 3.0)
            for x, w in gauss_legendre(2 * math.ceil(size / 2), ctx.prec):
                y = arb(low) + arb(width) * (1 + x) / 2
                sine, cosine = (arb.pi() * y**power).sin_cos()
                points.append(acb(cosine, sine))
                base.append(arb.pi() * power * y ** (power - 1) * w * arb(width) / 2)
        return tuple(points), tuple(base)


def _cosine_coefficients(values: Sequence[arb]) -> list[arb]:
    """Interpolate at theta = (m + 1/2) pi / n."""
    n = len(values)
    turns = []
    for j in range(n):
        sine, cosine = arb.sin_cos_pi_fmpq(fmpq(j, 2 * n))
        turns.append(acb(cosine, sine))
    (sums,) = cosine_sums([values], turns, first=1, step=2)
    return [x * (2 if j else 1) / n for j, x in enumerate(sums)]


def _distance_at_pi(layers: LayeredKernels | PartsKernels) -> float:
    """Estimate how near to theta = pi a layer's theta_l has a branch point, cos theta_l = +-1.

    A small bias, or leaky_relu almost linear, puts one there; cos theta_l = +-1 at theta = pi
    itself is none, for then theta_l is analytic.
    """
    gaps = (1 - abs(q / variance) for q, variance in layers.at_minus_one())
    return min((math.sqrt(2 * float(gap)) for gap in gaps if gap > 0), default=math.inf)


def _flatness(layers: LayeredKernels | PartsKernels) -> float:
    """Variances over the least square distance of two kinks: K has terms like exp(-1/theta^2).

    0 without kinks away from 0.
    """
    found = [0.0]
    for (sigma, _), (_, variance) in zip(layers.steepness(), layers.at_minus_one(), strict=True):
        if sigma.clipped:
            breaks, _ = sigma.pieces
            distances = {float(abs(a + s * b)) for a in breaks for b in breaks for s in (1, -1)}
            found.append(float(variance) / min(distances - {0.0}) ** 2)
    return max(found)


def _graded(distance: float) -> list[tuple[float, float]]:
    """Start and width of intervals that make up [0, 1], halved towards a singularity near 1."""
    panels, low, width = [], 0.0, 1.0
    while width > 4 * distance and width > 1e-12:
        width /= 2
        panels.append((low, width))
        low += width
    return [*panels, (low, width)]
