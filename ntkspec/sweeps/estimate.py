"""Estimates of the processor time and memory of a block, made before the computation.

The formulas follow the routes: a few nanoseconds per eigenvalue for walked blocks; sums over the
significant terms for the rows and columns of a series; precision, nodes and balls for the others.
The constants were fitted on one machine; `python -m bench estimate` compares them with
measurements on another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Ball, Cube, Gaussian, Sphere, family
from ntkspec.duals.hermite import MOST_MOMENTS, moments_needed
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.reference.balls.eigenvalue import has_samples
from ntkspec.reference.balls.layered import reference_effort
from ntkspec.rules import Affine
from ntkspec.spectra.closed_form import ClosedForm
from ntkspec.spectra.endpoint import Kinked
from ntkspec.spectra.kinks import KinkedRows
from ntkspec.spectra.rows import FirstRows, Rows
from ntkspec.spectra.seeds import KEPT, LN2, MOST_BITS, MOST_NODES, BallSeeds, first_bits
from ntkspec.spectra.series import PositiveSeries
from ntkspec.spectra.sphere_routes import row_provider
from ntkspec.spectra.taylor import TaylorRows
from ntkspec.spectra.walk import is_walked
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.recipe import Recipe
from ntkspec.tables.layout import GroupKey
from ntkspec.zonal import ZonalKernel

__all__ = ["Cost", "check_seconds", "checks_seconds", "estimate_cost", "memory", "seconds"]

Integers = NDArray[np.int64]

#: Seconds per walked eigenvalue, per block, and per row or column by route.
WALKED, BLOCK, ROW = 6e-9, 8e-5, 3e-5
#: Seconds per ball at 0 bits, and per bit.
BALL, BIT = 2e-7, 4e-10
#: Largest number of blocks of a network that are estimated.
LOOKED_AT = 64


@dataclass(frozen=True)
class Cost:
    """Cost of a network's part of a sweep: processor time in seconds, bytes of its largest task."""

    seconds: float
    memory: int


def estimate_cost(plan: Plan, network: int) -> Cost:
    """Estimate the cost of a network's blocks; if there are many, from a sample."""
    numbers = plan.of_network(network)
    some = numbers[:: -(-len(numbers) // LOOKED_AT)]
    times, sizes, kernels = [], [], [0.0]
    for key in (plan[number] for number in (*some, numbers[-1])):
        dims, degrees = plan.recipe.dims[slice(*key.rows)], plan.recipe.degrees[slice(*key.columns)]
        net, kernel, domain = plan.recipe.networks[network]
        block, once = _block_and_kernel(net, kernel, dims, degrees, domain)
        times.append(block)
        kernels.append(once)
        sizes.append(memory(net, kernel, dims, degrees, domain))
    return Cost(len(numbers) * sum(times) / len(times) + max(kernels), max(sizes))


def seconds(
    network: Network | ZonalKernel,
    kernel: Kernel,
    dims: Integers,
    degrees: Integers,
    domain: str = Sphere.name,
) -> float:
    """Estimate the processor time of a block with increasing dims and degrees, in seconds.

    Mostly within a factor of 2 for closed forms and series, and of 4 for seeds in ball arithmetic
    and on other domains.

    Examples
    --------
    >>> seconds(Network("relu"), "ntk", np.arange(2, 1026), np.arange(2049)) < 0.1
    True
    """
    return sum(_block_and_kernel(network, kernel, dims, degrees, domain))


def _block_and_kernel(
    network: Network | ZonalKernel, kernel: Kernel, dims: Integers, degrees: Integers, domain: str
) -> tuple[float, float]:
    """Seconds of a block, and of the kernel's series, computed once for all blocks."""
    if isinstance(network, ZonalKernel):
        return _zonal_block(network, dims, degrees, domain), 0.0
    domain = family(domain).name
    source = None if domain in APART else _source(network, kernel, dims, degrees)
    network = _alike(network)
    if isinstance(source, KinkedRows):
        # A column of the walk costs some milliseconds, a row as much for each hundred degrees.
        rows = 2 if is_walked(source, dims, degrees) else dims.size
        block = 4e-3 * dims.size + 1e-4 * rows * _span(degrees)
        return BLOCK + block + WALKED * _span(dims) * _span(degrees), 0.15 * network.depth
    if not isinstance(source, TaylorRows | Kinked):
        return _other_block(source, network, kernel, dims, degrees, domain), 0.0
    block, once = _by_series(source, network, dims, degrees)
    if is_walked(source, dims, degrees):
        block += WALKED * _span(dims) * _span(degrees)
    return BLOCK + block, once


def _zonal_block(kernel: ZonalKernel, dims: Integers, degrees: Integers, domain: str) -> float:
    """Rows in balls, or two rows and two columns that a walk starts from."""
    last = int(degrees[-1])
    if domain in APART:
        return BLOCK + 3e-7 * float(np.sum(dims.astype(np.float64) ** 2)) + 1e-3 * dims.size
    row, column = 0.01 + 4e-5 * last, 4e-4
    if kernel.positive and is_walked(row_provider(kernel, "ntk"), dims, degrees):
        return BLOCK + 4 * row + 2 * column * dims.size + WALKED * _span(dims) * _span(degrees)
    return BLOCK + dims.size * row * (1.0 if kernel.positive or kernel.formula else 20.0)


def _other_block(
    source: Rows | None,
    network: Network,
    kernel: Kernel,
    dims: Integers,
    degrees: Integers,
    domain: str,
) -> float:
    """Seconds of a block whose rows are no series of the kernel."""
    if source is None:
        return BLOCK + sum(APART[domain](network, int(dim), int(degrees[-1])) for dim in dims)
    if not source.walks:
        return BLOCK + dims.size * _sphere_row(network, kernel, degrees)
    low, high, last = int(dims[0]), int(dims[-1]), int(degrees[-1])
    shallow = isinstance(source, ClosedForm | PositiveSeries)
    if not is_walked(source, dims, degrees):
        if shallow:
            return BLOCK + _rows(network, dims, int(degrees[0]), last, degrees.size)
        values = dims.size * degrees.size * 10.0 * BALL
        if high - low <= 4 * dims.size:
            return BLOCK + values + _plane(network, low, high, last)[0]
        return BLOCK + values + sum(
            _plane(network, int(dim), int(dim), last)[0] for dim in dims
        )  # fmt: skip
    spans = (high - low + 1) * (last - int(degrees[0]) + 1)
    walked = BLOCK + WALKED * (spans + (dims.size * degrees.size if _cut(dims, degrees) else 0))
    if not shallow:
        return walked + _plane(network, low, high, last + 2)[0]
    first, top = int(degrees[0]), np.array([high - 1, high])
    rows = _rows(network, top, first, last, last - first + 1)
    return walked + rows + _columns(network, dims, last + 2)


def memory(
    network: Network | ZonalKernel,
    kernel: Kernel,
    dims: Integers,
    degrees: Integers,
    domain: str = Sphere.name,
) -> int:
    """Estimate the peak memory of a block in bytes, without that of the imports.

    Examples
    --------
    >>> memory(Network("relu"), "ntk", np.arange(2, 1026), np.arange(2048)) >> 20
    36
    """
    low, high, last = int(dims[0]), int(dims[-1]), int(degrees[-1])
    if family(domain).name in APART:
        # On the cube numbers of about a bit for each dimension, at every point.
        return 16 * dims.size * degrees.size + 2 * min(high, last) * (high + 256) + 2**24
    if isinstance(network, ZonalKernel):
        return 16 * (_span(dims) + 4) * (_span(degrees) + 4) + 2**24
    source = _source(network, kernel, dims, degrees)
    walked, network = is_walked(source, dims, degrees), _alike(network)
    size = 16 * dims.size * degrees.size
    if walked and _cut(dims, degrees):
        size += 16 * (high - low + 1) * (last - int(degrees[0]) + 1)
    if isinstance(source, BallSeeds):
        apart = not walked and high - low > 4 * dims.size
        size += _plane(network, high if apart else low, high, last + 2)[1]
    coefficients = 45.0 * math.cbrt(_variance(network)) * last ** (4 / 3)
    return size + int(coefficients) + 2**22


def _alike(network: Network) -> Network:
    """A network of layers that are alike and that costs about as much."""
    if network.uniform:
        return network
    dearest = max(network.sigmas, key=lambda sigma: _RANKS.get(sigma.singularity.kind, 0))
    layers = [step for step in network.program.steps if isinstance(step, Affine)]
    return Network(
        dearest,
        depth=min(len(network.sigmas), 100),
        weight_variance=max(0.01, max(layer.weight for layer in layers)),
        bias_variance=max(layer.bias for layer in layers),
        weights=network.weights,
    )


#: Kinds of singularities, the dearest last.
_RANKS = {"kink": 1, "kinks": 2, "entire": 3, "pole": 4, "unknown": 5}


def _source(network: Network, kernel: Kernel, dims: Integers, degrees: Integers) -> Rows:
    """The rows that a block starts from."""
    source = row_provider(network, kernel)
    if isinstance(source, FirstRows):
        return source.serving(int(dims[0]), int(degrees[-1]) + 2)
    return source


def _span(numbers: Integers) -> int:
    """How many whole numbers lie between the first and the last."""
    return int(numbers[-1] - numbers[0]) + 1


def _by_series(
    source: TaylorRows | Kinked, network: Network, dims: Integers, degrees: Integers
) -> tuple[float, float]:
    """Cost of a block's rows and columns, and of the coefficients of its kernel."""
    walked = is_walked(source, dims, degrees)
    rows = 2 if walked else dims.size
    columns = 2 * _span(dims) if walked else 0
    if isinstance(source, Kinked):
        return rows * (ROW + 2e-8 * int(degrees[-1])) + columns * 5e-8, _ends(network)
    low = int(dims[0]) if walked or dims.size == 1 else int(np.median(dims))
    count = source.series.predicted(low, int(degrees[-1]) + 2)
    composed = 0.0
    if source.series.in_doubles:
        composed = 1e-6 * count + 3e-10 * (network.depth - 1) * count**2.5
    else:
        composed = (0.01 + 4e-5 * count) * network.depth
    sums = rows * (2 * ROW + 3e-9 * count * int(degrees[-1])) + columns * 3e-9 * count
    return sums, composed * (1 if walked else min(dims.size, 8))


def _ends(network: Network) -> float:
    """Cost of the expansions of a kinked kernel; elu's duals are interpolated in balls."""
    if network.name != "elu":
        return 0.01 * network.depth
    return 0.06 if network.depth == 1 else 1.0 * network.depth


def _cut(dims: Integers, degrees: Integers) -> bool:
    """Whether a walked block includes dimensions or degrees that were not requested."""
    return bool(np.ptp(dims) >= dims.size or np.ptp(degrees) >= degrees.size)


# --- closed forms and series ---------------------------------------------------------------------


def _rows(network: Network, dims: Integers, first: int, last: int, size: int) -> float:
    """Cost of dimensions with separate sums, at `size` degrees from the first to the last."""
    if network.sigma.tanh is None:
        return float(np.sum(ROW + 5e-9 * last + 2e-9 * dims + 4.5e-8 * size))
    runs = size / 128 if last - first < size else size / 2
    middle = (first + last) / 2
    return dims.size * (ROW + 1e-8 * last) + _terms(network, middle, dims, size / 2, runs)


def _columns(network: Network, dims: Integers, degree: int) -> float:
    """The two degrees after a block's last, one of which is zero by parity."""
    size = int(np.ptp(dims)) + 1
    if network.sigma.tanh is None:
        return 4 * ROW + 8e-9 * degree + 4e-9 * int(dims[0]) + 2e-8 * size
    runs = 2 * math.ceil(size / 128)
    middle = np.array([(dims[0] + dims[-1]) // 2])
    return 4 * ROW + 2e-8 * degree + _terms(network, degree, middle, size, runs)


def _terms(network: Network, degree: float, dims: Integers, sums: float, runs: float) -> float:
    """Sums over significant terms, whose number grows with the degree and falls with the dim.

    The sums of each of the `runs` share terms, whose computation costs as much as sixty sums.
    """
    variance = _variance(network)
    shares = 1.0 + 0.8 * math.cbrt(variance) * dims / max(degree, 1.0) ** (2 / 3)
    count = math.sqrt(variance) * degree * float(np.sum(1.0 / shares))
    return 1.1e-7 * sums * dims.size + count * (4.5e-10 * sums + 2.6e-8 * runs)


def _variance(network: Network) -> float:
    """Variance of the argument of tanh; 0 for other activations."""
    return network.weight_variance * network.sigma.tanh[2] ** 2 if network.sigma.tanh else 0.0


# --- seeds in ball arithmetic --------------------------------------------------------------------


def _plane(network: Network, low: int, high: int, last: int) -> tuple[float, int]:
    """Seconds and bytes for all degrees up to the last in dimensions low to high."""
    count, bits = last + 1 + high - low, first_bits(high, last)
    balls = (high - low + 1) * (count + last) / 2
    runs = 2.0 if network.sigma.singularity.kind == "kink" else 1.0
    total = 0.0
    for bits in _precisions(network, high, last):
        ball = BALL + BIT * bits
        rows = sum(dim > 2 for dim in range(low, min(high, low + 1) + 1)) * count**2 / 4
        total += _nodes(network, bits, count, high)
        total += runs * (ball * (balls + rows) + 2.5e-7 * (high - low + 1) * last)
    if network.sigma.singularity.kind == "pole":
        balls += 12 * _hermite_terms(network, bits)
    return total, int(runs * balls * (100 + bits / 8))


def _precisions(network: Network, high: int, last: int) -> list[int]:
    """Precisions that are tried, from a first guess to that of the smallest eigenvalue."""
    bits = first_bits(high, last)
    rate, stretch = _decay(network)
    if math.isinf(rate):  # as Gamma(d/2) / Gamma(k + d/2)
        fall = (math.lgamma(last + high / 2) - math.lgamma(high / 2)) / LN2 + last
    else:  # as the square root of the multiplicity, which the first guess includes
        fall = rate * last**stretch / LN2 + 0.5 * (bits - 2.6 * KEPT)
    tried, needed = [bits], 1.1 * KEPT + fall
    while tried[-1] < min(needed, MOST_BITS):
        missing = int(needed) - tried[-1]
        tried.append(tried[-1] + (max(missing + 16, 32) if missing < KEPT else tried[-1] // 2))
    return tried if rate else tried[:1]


def _decay(network: Network) -> tuple[float, float]:
    """Rate and stretch of exp(-rate k^stretch), 0 for a power law, infinite beyond exp(-k).

    The laws of one layer without bias, which deeper networks nearly follow.
    """
    kind, variance = network.sigma.singularity.kind, network.weight_variance
    if kind == "kink":
        return 0.0, 1.0
    if kind == "pole":
        wide = (2.0 * network.sigma.singularity.distance) ** 2 / variance
        return 1.5 * math.cbrt(wide), 2.0 / 3.0
    if network.name in ("sin", "cos"):
        return math.inf, 1.0
    return math.acosh(1.0 + 1.0 / (variance * (2.0 if network.name == "erf" else 1.0))), 1.0


def _nodes(network: Network, bits: int, count: int, high: int) -> float:
    """The kernel at the nodes, and the moments from there."""
    depth, kind = network.depth, network.sigma.singularity.kind
    if kind == "kink":
        root = 2 ** (depth - 1) if (network.sigma.homogeneous or (1,))[0] == 0 else 1
        n = 0.55 * (count + high) * root + 0.25 * bits + 24.0
        node = 6e-6 + 8.7e-8 * n + (5.8e-8 + 1.4e-8 * depth) * bits
        once = 0.0 if network.sigma.homogeneous else 7e-7 * bits**2.6 * depth
        return once + 2.15 * n * (node + 1.5 * count * (BALL + BIT * bits))
    rate, stretch = _decay(network)
    fallen = (bits * LN2 / (3.0 if math.isinf(rate) else rate)) ** (1.0 / stretch)
    n = min(1.05 * (fallen + count) / 2 + 16.0, MOST_NODES)
    moments = 8e-6 * (n + count) * bits / 600
    if kind == "entire":
        return float(moments + n * (1.5e-5 + (3.0 + 2.0 * depth) * 1e-8 * bits))
    terms = _hermite_terms(network, bits)
    return float(moments + terms * (4e-5 + 1e-7 * bits + 2.2e-8 * n) + 3e-5 * n)


def _hermite_terms(network: Network, bits: int) -> float:
    """Terms of all layers' duals for activations with poles: fewer for smaller variances."""
    variance = network.weight_variance + network.bias_variance
    try:
        scale = 0.5 * math.pi / network.sigma.singularity.distance
        first = moments_needed(variance * scale**2, bits * LN2)
    except NtkspecError:
        first = MOST_MOMENTS
    return first * (network.depth + 1) / 4


def _sphere_row(network: Network, kernel: Kernel, degrees: Integers) -> float:
    """Cost of one dimension with weights on a sphere: two or three runs of its integrals."""
    last = int(degrees[-1])
    bits, functions = 128 + 2 * last, sum(map(bool, network.mixture(kernel)))
    ball, n = BALL + BIT * bits, 0.25 * bits + last + 40.0
    sums = 3.0 * n * last if network.sigma.singularity.kind == "kink" else 5.0 * n
    return functions * 2.5 * (n * (1e-5 + 3e-8 * bits) + ball * (last**2 / 4 + sums))


def _cube_seconds(network: Network, dim: int, last: int) -> float:
    """The kernel at d + 1 points, with about a bit for each dimension, and the sums over them."""
    kind = network.sigma.singularity.kind
    if network.sigma.homogeneous is not None:
        rate = 8e-8 * network.depth
    elif kind == "entire":
        rate = 3e-7 * network.depth
    elif network.sigma.tanh is not None and network.depth == 1 and not network.bias_variance:
        rate = 7e-7
    else:
        rate = (1e-5 if kind == "pole" else 1e-4) * network.depth
    return 5e-4 + rate * dim * (dim + 40)


def _gaussian_seconds(network: Network, dim: int, last: int) -> float:
    """Matrices in the radius of growing size, the smaller the dimension the larger."""
    if network.sigma.homogeneous is not None:
        return ROW + 1e-6 * last
    layers = 10.0 * network.depth if network.depth > 1 or network.bias_variance else 1.0
    rate = 0.2 if network.sigma.singularity.kind == "entire" else 0.6
    return layers * rate * (1.0 + 7.0 / math.sqrt(dim)) * (1.0 + last / 8.0) / 2.0


def _ball_seconds(network: Network, dim: int, last: int) -> float:
    """Factors of two rules, by nodes and terms: the more, the wider the law of the norm is."""
    if network.sigma.homogeneous is not None:
        return ROW + 1e-6 * last
    rate = 1.5 if network.sigma.singularity.kind == "pole" else 0.15
    return rate * (1.0 + 3.0 / math.sqrt(dim)) * (1.0 + last / 12.0)


#: Seconds of a spectrum: of a network, in a dimension, to a last degree.
APART: dict[str, Callable[[Network, int, int], float]] = {
    Cube.name: _cube_seconds,
    Gaussian.name: _gaussian_seconds,
    Ball.name: _ball_seconds,
}


# --- checks --------------------------------------------------------------------------------------

#: Seconds of the samples of one layer at 256 bits in both passes, and the power of the bits.
SAMPLES = {
    "pole": (0.85, 4.2), "entire": (0.75, 3.0), "kink": (0.08, 2.3), "elu": (0.9, 3.8),
    "sin": (0.1, 3.0), "cos": (0.1, 3.0), "kinks": (3.0, 2.5),
}  # fmt: skip


def checks_seconds(plan: Plan) -> float:
    """Estimate the processor time of the largest number of checks of a plan, in seconds.

    Of each network the entry with the largest dimension and degree, which is mostly the dearest,
    and others halfway.
    """
    checks, recipe = plan.recipe.checks, plan.recipe
    if not checks.most:
        return 0.0
    ends = [
        int(values[-1] if most is None else values[values <= most][-1])
        for values, most in ((recipe.dims, checks.max_dim), (recipe.degrees, checks.max_degree))
    ]
    total = 0.0
    for key in recipe.networks:
        first, again = check_seconds(recipe, key, *ends)
        halfway = check_seconds(recipe, key, (int(recipe.dims[0]) + ends[0]) // 2, ends[1] // 2)
        other = min(halfway) if first > 2 * again else halfway[0]
        total += first + (checks.most - 1) * max(again, other)
    return total


def check_seconds(recipe: Recipe, key: GroupKey, dim: int, degree: int) -> tuple[float, float]:
    """Estimate the processor time of the check of one entry: alone, and after a similar one.

    Mostly within a factor of 3.
    """
    method, digits = recipe.checks.method, recipe.checks.digits
    network, size = key.network, float(dim + degree)
    if isinstance(network, ZonalKernel):
        alone = 0.2 + 2e-3 * size * digits / 25
        return alone, alone
    network = _alike(network)
    if key.domain == Cube.name:
        alone = 0.02 + network.depth * (0.2 + 0.005 * dim) * (digits + 0.3 * dim) / 25
        return alone, alone
    if family(key.domain).name in (Gaussian.name, Ball.name):
        powers = network.sigma.homogeneous is not None and not network.bias_variance
        alone = 0.02 if powers else 2.5 * (1.0 if network.depth == 1 else 10.0 * network.depth)
        return alone, alone
    if method == "mpmath":
        alone = 0.5 + network.depth * (0.02 * size) ** 2
        return alone, alone
    if not has_samples(key.network):
        scale = 1.0 if network.weights == "gaussian" else 5.0
        start = 0.006 if network.sigma.homogeneous else 0.06
        alone = scale * (start + 2e-6 * size**2) * digits / 25
        return alone, alone
    bits, _, bandwidth = reference_effort(
        key.network, dim, degree, kernel=key.kernel, digits=digits
    )
    kind = network.name if network.name in SAMPLES else network.sigma.singularity.kind
    at_256, power = SAMPLES[kind]
    variance = math.sqrt(max(network.weight_variance + network.bias_variance, 1.0))
    first = network.depth * variance * at_256 * (bits / 256) ** power
    again = (0.01 + 4e-5 * bandwidth**1.2) * (bits / 256)
    return first + again + 3e-4 * network.depth * bandwidth * bits / 256, again
