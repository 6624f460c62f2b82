"""Laws of the norm: rules of quadrature in its square, and moments."""

from __future__ import annotations

import math

import numpy as np
from flint import arb, ctx, fmpq

from ntkspec.domains import Ball
from ntkspec.networks import Kernel, Network
from ntkspec.precision import working_precision
from ntkspec.spectra.gaussian.radial import radial_moment, radial_rule
from ntkspec.spectra.route import Source

__all__ = ["ball_mean", "norm_moment", "norm_rule"]

#: The weight that the rule of the Gaussian law leaves out on either side is below e^-NATS.
NATS = 56.0
BITS = 160
#: Nodes of the mean of K(x, x), and relative error of its values.
MEAN_NODES, MEAN_ERROR = (40, 61), 2e-14


def norm_rule(ball: Ball, count: int) -> tuple[list[arb], list[arb]]:
    """Nodes |x|^2 and weights: those of a discrete law, or a rule with so many.

    Examples
    --------
    >>> squares, weights = norm_rule(Ball(3), 4)
    >>> round(sum(float(w * s) for s, w in zip(squares, weights)), 12)
    0.6
    """
    scale = arb(ball.radius) ** 2
    if ball.radii == "gaussian":
        squares, weights = radial_rule(ball.dim, count, NATS)
    elif ball.radii == "uniform":
        squares, weights = _uniform_rule(ball.dim, count)
    else:
        squares = [arb(r) ** 2 for r in ball.radii]
        weights = [arb(w) for w in ball.weights]
    return [scale * s for s in squares], weights


def _uniform_rule(dim: int, count: int) -> tuple[list[arb], list[arb]]:
    """Gauss's rule for s = |x|^2 of density (d/2) s^(d/2 - 1) on [0, 1]: Jacobi polynomials.

    s p_k = b_(k+1) p_(k+1) + a_k p_k + b_k p_(k-1) with, for c = d/2 - 1,
    a_k = 1/2 + c^2 / (2 (2k + c)(2k + c + 2)), b_k = k (k + c) / ((2k + c) sqrt((2k + c)^2 - 1)).
    """
    from scipy.linalg import eigvalsh_tridiagonal

    c = fmpq(dim - 2, 2)
    a = [fmpq(1, 2) + (c * c / (2 * (2 * k + c) * (2 * k + c + 2)) if c != 0 else 0)
         for k in range(count)]  # fmt: skip
    squares = [
        (k * (k + c) / (2 * k + c)) ** 2 / ((2 * k + c) ** 2 - 1) for k in range(1, count + 1)
    ]
    diagonal = np.array([float(x.p) / float(x.q) for x in a])
    sides = np.array([math.sqrt(float(x.p) / float(x.q)) for x in squares])
    starts = eigvalsh_tridiagonal(diagonal, sides[:-1])
    middle, b = [arb(x) for x in a], [arb(0), *(arb(x).sqrt() for x in squares)]
    nodes, weights = [], []
    for start in starts.tolist():
        s = arb(start)
        for _ in range(2 + int(math.log2(ctx.prec / 40.0)) + 1):
            value, slope, _ = _orthonormal(s, middle, b)
            s = (s - value / slope).mid()
        nodes.append(s)
        weights.append((1 / _orthonormal(s, middle, b)[2]).mid())
    return nodes, weights


def _orthonormal(s: arb, a: list[arb], b: list[arb]) -> tuple[arb, arb, arb]:
    """p_n, its derivative, and the sum of the squares before it."""
    before, value, slope_before, slope = arb(0), arb(1), arb(0), arb(0)
    total = arb(0)
    for k, middle in enumerate(a):
        total += value * value
        slope_before, slope = (
            slope,
            (value + (s - middle) * slope - b[k] * slope_before) / b[k + 1],
        )
        before, value = value, ((s - middle) * value - b[k] * before) / b[k + 1]
    return value.mid(), slope.mid(), total


def norm_moment(ball: Ball, power: float) -> arb:
    """E |x|^(2 power).

    Examples
    --------
    >>> round(float(norm_moment(Ball(3), 1)), 12)
    0.6
    """
    scale = arb(ball.radius) ** arb(2.0 * power)
    if ball.radii == "gaussian":
        return scale * radial_moment(ball.dim, power)
    if ball.radii == "uniform":
        return scale * ball.dim / (ball.dim + arb(2.0 * power))
    squares, weights = norm_rule(ball, 0)
    return sum((w * s ** arb(power) for s, w in zip(squares, weights, strict=True)), arb(0))


def ball_mean(source: Source, kernel: Kernel, ball: Ball) -> tuple[float, float]:
    """E K(x, x), and a bound on its error.

    Examples
    --------
    >>> round(ball_mean(Network("relu"), "ntk", Ball(3))[0], 12)
    0.3
    """
    assert isinstance(source, Network)
    found = []
    for count in MEAN_NODES if ball.continuous else (0,):
        with working_precision(BITS):
            squares, weights = norm_rule(ball, count)
        norms = np.sqrt([[float(s)] for s in squares])
        matrix = source.ntk_matrix if kernel == "ntk" else source.nngp_matrix
        found.append(math.fsum(np.array([float(w) for w in weights]) * np.diag(matrix(norms))))
    return found[-1], 2.0 * abs(found[-1] - found[0]) + MEAN_ERROR * abs(found[-1])
