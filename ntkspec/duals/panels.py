"""Tables of a network's duals in doubles, for the compiled pointwise kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from ntkspec.duals.correlation import Correlation
from ntkspec.duals.layers import Layers
from ntkspec.errors import NtkspecError
from ntkspec.kernels.layers import (
    ACTIVATE,
    AFFINE,
    BRANCH,
    COEFFICIENTS,
    EVEN,
    JOIN,
    NONE,
    ODD,
    SCALE,
)
from ntkspec.precision import exclusive, working_precision
from ntkspec.rules import Activate, Affine, Branch, Program, Scale

__all__ = ["NetworkPanels", "homogeneous_panels", "network_panels", "step_rows"]

#: Bits: few where the duals are series whose length grows with them (elu's lose some each layer),
#: many where they are formulas and panels may reach close to 0: F(1) - F is small there.
BITS, BITS_OF_FORMULAS = 84, 400
LEVELS = (3, 4, 5, 6, 8, 10, 13, 17, 22, 29, 38, 50, 66, 87, 115)
#: Allowed error of the polynomials, relative to the largest value of their function.
ALLOWED = 8e-16
#: Largest value that is treated as zero, relative to F(1).
NOISE = 1e-30
#: Largest and smallest variance of a layer that is allowed in doubles.
RANGE = 1e-290, 1e290


class NetworkPanels(NamedTuple):
    """Arguments of `ntkspec.kernels.layers.kernel` that do not depend on t or the kernel."""

    steps: NDArray[np.float64]
    variances: NDArray[np.float64]
    fulls: NDArray[np.float64]
    tables: NDArray[np.float64]
    starts: NDArray[np.int64]
    levels: NDArray[np.int64]
    symmetry: NDArray[np.int64]
    root: NDArray[np.int64]
    far: NDArray[np.int64]
    line: NDArray[np.float64]


@exclusive()
def network_panels(network: Any) -> NetworkPanels:
    """Tabulate the duals of all layers of a network.

    Raises
    ------
    NtkspecError
        When the variance of a layer leaves the range of doubles.
    """
    sigmas = network.sigmas
    kinds = [sigma.singularity.kind for sigma in sigmas]
    formula = all(
        s.singularity.kind == "entire" or s.homogeneous is not None or s.kinks for s in sigmas
    )
    extra = 8 * min(len(sigmas), 20) if "kink" in kinds else 0
    known: dict[Any, _Table] = {}
    with working_precision(BITS_OF_FORMULAS if formula else BITS + extra):
        layers = Layers(network, "nngp")
        variances = [float(q.mid()) for q in layers.variances]
        for number, q in enumerate([*variances, float(layers.last.mid())], 1):
            if not RANGE[0] < q < RANGE[1]:
                raise NtkspecError(
                    f"the variance before layer {number} is {q:.3g}, which is out of range; "
                    "change weight_variance, bias_variance or depth"
                )
        for sigma, q, ball, duals in zip(
            sigmas, variances, layers.variances, layers.duals, strict=True
        ):
            if (sigma, q) in known:
                continue
            if sigma.homogeneous is None:
                known[sigma, q] = _table(sigma, ball, *duals)
                continue
            with working_precision(BITS_OF_FORMULAS):  # `_without_line` cancels
                known[sigma, q] = _table(sigma, ball, *sigma.dual(ball))
    tables = [known[key] for key in zip(sigmas, variances, strict=True)]
    sizes = [float(size.mid()) for size in layers.sizes]
    return NetworkPanels(
        step_rows(network.program, sizes), np.array(variances), np.array([t.full for t in tables]),
        np.concatenate([np.zeros((0, 3, COEFFICIENTS)), *(t.table for t in tables)]),
        np.cumsum([0, *(len(t.table) for t in tables)]),
        np.array([t.levels for t in tables], np.int64),
        np.array([t.symmetry for t in tables], np.int64),
        np.array([t.root for t in tables], np.int64),
        np.array([t.far for t in tables], np.int64),
        np.array([t.line for t in tables], np.float64),
    )  # fmt: skip


def step_rows(program: Program, sizes: Sequence[float]) -> NDArray[np.float64]:
    """The rules of the parts as rows of numbers; a join has the place of its branch's start."""
    rows = np.zeros((len(program.steps), 5))
    begun: list[int] = []
    for at, (row, step) in enumerate(zip(rows, program.steps, strict=True)):
        if isinstance(step, Affine):
            row[:] = AFFINE, step.weight, step.bias, step.own, step.own_bias
        elif isinstance(step, Activate):
            row[:2] = ACTIVATE, step.number
        elif isinstance(step, Scale):
            row[:2] = SCALE, sizes[step.number]
        elif isinstance(step, Branch):
            row[0] = BRANCH
            begun.append(at)
        else:
            row[:3] = JOIN, step.square, begun.pop()
    return rows


@exclusive()
def homogeneous_panels(sigma: Any) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """The panels of a power at variance 1, and levels, symmetry, root, far, line and F(1)."""
    with working_precision(BITS_OF_FORMULAS):
        table = _table(sigma, arb(1), *sigma.dual(arb(1)))
    return table.table, (
        table.levels, table.symmetry, table.root, table.far, table.line, table.full,
    )  # fmt: skip


class _Table(NamedTuple):
    """The panels of one activation at a variance, and what they need to be read."""

    table: NDArray[np.float64]
    levels: int
    full: float
    symmetry: int
    root: int
    far: int
    line: float


def _table(sigma: Any, q: arb, value: Any, slope: Any) -> _Table:
    symmetry = {"odd": ODD, "even": EVEN, None: NONE}[sigma.symmetry]
    root = 1 if sigma.singularity.kind == "kink" and sigma.singularity.order == 0 else 2
    far, line = _far_end(sigma)
    flat = sigma.derivative is None
    rest = partial(_without_line, value, slope, q, far, line, flat)
    # Beyond kinks away from 0 the duals may be far below their values at 1.
    floor = 1.0 if sigma.kinks else NOISE
    layer = _layer(value, slope, symmetry, root, rest, flat, floor)
    return _Table(*layer, symmetry, root, far, line)


def _far_end(sigma: Any) -> tuple[int, float]:
    """Power and line of F = line q rho + z^power f(z), z^2 = (1 + rho)/2, at rho = -1.

    Where sigma = x^p for x > 0 and 0 for x < 0, F vanishes there like z^(2p + 1), and D like
    z^(2p - 1); a polynomial for F itself would lose all digits.  A leaky relu adds a line.
    """
    if sigma.homogeneous is None:
        return 0, 0.0
    power, right, left = sigma.homogeneous
    if power == 1:
        return 3, -right * left
    return (2 * power + 1, 0.0) if left == 0.0 else (0, 0.0)


def _without_line(
    value: Any, slope: Any, q: arb, far: int, line: float, no_slope: bool, z: arb
) -> list[arb]:
    """F and D at rho = 2 z^2 - 1 without their line, over z^far and z^(far - 2)."""
    point = Correlation(2 * z * z - 1, arb.pi() - 2 * z.asin())
    f = (value(point) - line * q * point.cosine) / z**far
    if no_slope:
        return [arb(0), f, arb(0)]
    return [arb(0), f, (slope(point) - line) / z ** max(far - 2, 0)]


def _layer(
    value: Any, slope: Any, symmetry: int, root: int, far: Any, no_slope: bool, floor: float
) -> tuple[NDArray[np.float64], int, float]:
    """Table, levels and F(1) of one layer: more levels until the polynomials fit."""
    full = value(Correlation.full())

    def near(y: arb) -> list[arb]:
        point = Correlation(1 - 2 * y * y, 2 * y.asin())
        f = value(point)
        d = arb(0) if no_slope else slope(point)
        deficit = (full - f) / y**root
        if symmetry == ODD:
            f = f / point.cosine
        elif symmetry == EVEN:
            d = d / point.cosine
        return [deficit, f, d]

    steep = full if no_slope else slope(Correlation.full())
    least = floor * np.array([NOISE / floor * float(full.mid()), *map(_double, (full, steep))])
    sides = [near] if symmetry != NONE else [near, far]
    for levels in LEVELS:
        tables = [_panels(side, levels, least) for side in sides]
        if all(table is not None for table in tables):
            return np.concatenate(tables), levels, float(full.mid())  # type: ignore[arg-type]
    raise NtkspecError("the duals of this activation could not be tabulated to double precision")


def _panels(
    function: Callable[[arb], list[arb]], levels: int, scale: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Polynomials on [0, 2^-levels] and four panels per octave up to 1; None if inaccurate.

    scale: the least sizes of the functions; a part that vanishes, like the curved part of a linear
    sigma, is only rounding.
    """
    edges = [(0.0, 2.0**-levels)]
    for octave in range(levels, 0, -1):
        low = 2.0**-octave
        edges += [(low * (1 + i / 4), low * (1 + (i + 1) / 4)) for i in range(4)]
    edges = edges[:-2]  # values beyond sqrt(1/2) are not needed
    table = np.zeros((len(edges), 3, COEFFICIENTS))
    errors = np.zeros(3)
    for at, (low, high) in enumerate(edges):
        table[at], error, size = _fit(function, low, high)
        scale, errors = np.maximum(scale, size), np.maximum(errors, error)
        if at == 0 and np.any(errors > ALLOWED * scale):
            return None
    if np.any(errors > ALLOWED * scale):
        return None
    return table


def _fit(
    function: Callable[[arb], list[arb]], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Interpolation at Chebyshev points, in monomials of [-1, 1]; its error, and the size."""
    nodes, inverse = _interpolation()
    middle, half = arb(0.5 * (low + high)), arb(0.5 * (high - low))
    values = arb_mat([function(middle + half * x) for x in nodes])
    monomials = np.array([[_double(c) for c in row] for row in (inverse * values).tolist()])
    checks = [-0.99, 0.05, 0.97]
    exact = np.array([[_double(v) for v in function(middle + half * x)] for x in checks])
    got = np.polynomial.polynomial.polyval(np.array(checks), monomials).T
    size = np.abs(exact).max(axis=0)
    return monomials.T, np.abs(got - exact).max(axis=0), size


@lru_cache(maxsize=1)
def _interpolation() -> tuple[list[arb], arb_mat]:
    """Chebyshev points, and the matrix from values there to coefficients of monomials."""
    n = COEFFICIENTS
    with working_precision(BITS_OF_FORMULAS):
        nodes = [(arb.pi() * (2 * i + 1) / (2 * n)).cos() for i in range(n)]
        powers = arb_mat([[x**j for j in range(n)] for x in nodes])
        return nodes, powers.inv()


def _double(ball: arb) -> float:
    if not ball.is_finite():
        return math.nan
    return float(ball.mid())
