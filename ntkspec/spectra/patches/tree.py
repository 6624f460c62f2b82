"""Two layers on patches, the second over all of them: eigenvalues as sums of positive terms.

The covariance before the second activation is q rho, rho = (1 - w) + w mean_i f(t_i), where f is
the first layer's dual divided by its value at 1.  A power of it is a sum over how many of the m
factors fall on each patch, with the probabilities of a multinomial distribution:

    rho^m = sum Prob(n_1, ..., n_p) f^(n_1)(t_1) ... f^(n_p)(t_p),

and an eigenvalue of degrees k_1, ..., k_p is sum_m b_m sum Prob prod_i [f^(n_i)]_(k_i), with [.]_k
the eigenvalue of degree k on one patch.  Groups of patches are joined by binomial weights.  The
tangent kernel also has mean_i g(t_i) times these powers, g = T_1 D_1: in each group, the product
rule makes its sequence from those of its parts.

Terms are left out for powers t^j beyond J in f^n, and for m beyond M.  The first are bounded by the
sum of the coefficients of f^n beyond J, itself a sum of positive terms, times the largest
eigenvalue of degree k of a t^j; the second by the sum of the coefficients b_m left out times
E |rho|^m, which falls with m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from flint import arb
from numpy.typing import NDArray

from ntkspec.duals import taylor
from ntkspec.duals.squares import VARIANCE_BITS, variances_of
from ntkspec.duals.tails import tail_bounds
from ntkspec.errors import NtkspecError
from ntkspec.kernels import series
from ntkspec.kernels import taylor as kernels
from ntkspec.networks import Kernel, Linear, Network
from ntkspec.precision import split, working_precision
from ntkspec.rules import Activate, Affine
from ntkspec.spectra.kernel_at_one import kernel_at_one
from ntkspec.spectra.parity import parity

__all__ = ["Sums", "Tree", "partitions"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
Degrees = tuple[int, ...]

UNIT = 2.0**-53
#: Products of small numbers that leave the range of doubles lose at most this.
LOST = 1e-270
#: Smallest and largest variance before the second activation.
LEAST_VARIANCE, MOST_VARIANCE = 0.01, 1e4
#: Roundings of numpy's sums in pairs, of up to 2^20 terms, and of a group's sequence for each
#: factor and join: three of a binomial weight, and those of the sum.
PAIRWISE, JOINED = 36.0, 6.0
#: Error of K(1), relative.
AT_ONE = 1e-13


def partitions(total: int, most: int, largest: int | None = None) -> Iterator[Degrees]:
    """Whole numbers >= 1 with a sum, at most so many, none larger than the one before.

    Examples
    --------
    >>> list(partitions(4, 2))
    [(4,), (3, 1), (2, 2)]
    """
    if total == 0:
        yield ()
    elif most > 0:
        for first in range(min(total, largest or total), 0, -1):
            for others in partitions(total - first, most - 1, first):
                yield (first, *others)


class Tree:
    """The kernel of a tree: the first hidden layer on each patch, the second over all patches.

    Raises
    ------
    NtkspecError
        For networks that are not two hidden layers, one after another, with Taylor coefficients.

    Examples
    --------
    >>> tree = Tree(Network("relu", depth=2), 4, 3, "ntk")
    >>> tree.top, tree.variance, tree.kinked
    (0.5, 0.5, True)
    """

    def __init__(self, network: Network, count: int, dim: int, kernel: Kernel) -> None:
        _refuse(network)
        self.network, self.count, self.dim, self.kernel = network, count, dim, kernel
        steps = [step for step in network.program.steps if isinstance(step, Affine)]
        self.first, self.second, self.last = steps
        with working_precision(VARIANCE_BITS):
            after = variances_of(network.program)[0][1]
            before = (after - self.second.bias) / self.second.weight
            self.top = float(before.mid())  # F_1(1)
            self.variance = float(after.mid())
            self.shares = (
                float((arb(self.second.bias) / after).mid()),
                float((before * self.second.weight / after).mid()),
            )
        if not LEAST_VARIANCE <= self.variance <= MOST_VARIANCE:
            raise NtkspecError(
                f"the variance before the second activation is {self.variance:.6g}, and must be "
                f"from {LEAST_VARIANCE:g} to {MOST_VARIANCE:g}; change weight_variance"
            )
        line, sigma, _, outer, _ = network.parts
        self.inner = Network.serial(line, sigma, Linear())
        self.outer = Network.serial(Linear(self.variance), outer, Linear())
        self.slope = Network.serial(Linear(self.variance), outer, Linear(trained=False))
        self.branch = None
        if kernel == "ntk" and self.first.own + self.first.own_bias > 0.0:
            self.branch = Network.serial(line, sigma, Linear(trained=False))

    @property
    def kinked(self) -> bool:
        """Whether an activation has kinks: then what is left out falls slowly."""
        return self.network.kind in ("kink", "kinks")


def _refuse(network: Network) -> None:
    """Raise for networks that the tree does not know."""
    steps = network.program.steps
    if [type(step) for step in steps] != [Affine, Activate, Affine, Activate, Affine]:
        raise NtkspecError(
            f"network = {network!r} is not allowed with depth = 2: the tree has one hidden layer "
            "on the patches and one over them, without Residual or Normalize; give a Network of "
            "depth = 2, or depth = 1 for any network on each patch"
        )
    if network.user:
        raise NtkspecError(
            f"{network.name} is not allowed with depth = 2: the tree needs Taylor coefficients, "
            "which a user's function does not have; give names of activations"
        )
    if network.weights == "sphere":
        raise NtkspecError("weights = 'sphere' is not allowed with depth = 2; use 'gaussian'")


class _Series(NamedTuple):
    """Coefficients >= 0, a bound on their relative errors, and on the sum of those left out."""

    values: Array
    error: float
    rest: float


class _Pair(NamedTuple):
    """Sequences, or rows of them, of a group's powers, and of the same times the sum of the g."""

    plain: Array
    marked: Array


class Sums:
    """Sums over m <= powers and powers of t below a length; bounds of what they lack.

    Parameters
    ----------
    tree : Tree
    powers : int
        Even.
    length : int
    wanted : list of tuples
        Degrees in the patches that are not constant, falling.
    support : bool
        With all coefficients that are not 0 made equal: what vanishes then is exactly 0.

    Examples
    --------
    >>> tree = Tree(Network("erf", depth=2), 2, 3, "nngp")
    >>> mantissas, exponents, errors, _ = Sums(tree, 64, 256, [(1,), (2, 1)]).results()
    >>> np.ldexp(mantissas, exponents).round(6), bool(errors.max() < 1e-13)
    (array([0.049893, 0.000202]), True)
    >>> Sums(tree, 40, 72, [(1,), (1, 1)], support=True).vanish()
    array([False,  True])
    """

    def __init__(
        self, tree: Tree, powers: int, length: int, wanted: list[Degrees], support: bool = False
    ) -> None:
        self.tree, self.powers, self.length, self.wanted = tree, powers, length, wanted
        self.support = support
        self.most = max((k for one in wanted for k in one), default=0)
        self.parts = max(map(len, wanted))
        self.weights = _weights(tree.dim, self.most, length)
        self.functionals = _functionals(tree, powers, support)

    def vanish(self) -> NDArray[np.bool_]:
        """Whether no term is positive."""
        (value,) = self._applied(self._on_patch()[0], [self.functionals[0]])
        return np.asarray(value + self._bias() == 0.0)

    def results(self) -> tuple[Array, Whole, Array, Array]:
        """Mantissas, exponents, bounds on relative errors, and their part from terms left out."""
        lower, upper, f_error = self._on_patch()
        (plain, marked), (felt_plain, felt_marked) = self.functionals
        n = np.arange(self.powers + 1.0)
        value, factors, from_b = self._applied(
            lower,
            [(plain, marked), (plain * n, marked * (n + 1.0)), (felt_plain, felt_marked)],
        )
        (most,) = self._applied(upper, [(plain, marked)])
        rest = self._rest(upper)
        exponents = self.weights[1]
        shifts = np.array([sum(int(exponents[k]) for k in one) for one in self.wanted], np.int64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            more = most - value + np.ldexp(rest, -shifts) + LOST
            truncation = np.where(value > 0.0, more / value, np.inf)
            each = f_error + (2.0 + PAIRWISE + JOINED * (self.tree.count + 1.0)) * UNIT
            relative = truncation + (from_b + factors * each) / value
            relative += (2.0 * self.powers + 40.0) * UNIT + f_error
        value += self._bias()
        mantissa, more_exponents = np.frexp(value)
        zero = value == 0.0
        exponent = np.where(zero, 0, shifts + more_exponents - 1)
        return 2.0 * mantissa, exponent, np.where(zero, np.inf, relative), truncation

    def _bias(self) -> Array:
        """What the readout's bias adds to the eigenvalue of the constant function."""
        last = self.tree.last
        bias = last.own_bias if self.tree.kernel == "ntk" else last.bias
        return np.array([0.0 if one else bias for one in self.wanted])

    def _on_patch(self) -> tuple[_Pair, _Pair, float]:
        """Eigenvalues of f^n and of g f^n by degree, (K, M + 1), in the unit of each degree.

        Without what is left out, with it, and the relative error of a factor.
        """
        tree, size, count = self.tree, self.length, self.powers + 1
        f = _coefficients(tree.inner, "nngp", size, tree.top, self.support)
        g = _Series(np.zeros(size), 0.0, 0.0)
        if tree.branch is not None:
            g = _coefficients(tree.branch, "ntk", size, 1.0, self.support)
        tails = [np.cumsum(x.values[::-1]) + x.rest for x in (f, g)]
        powers, marked = np.zeros((count, size)), np.zeros((count, size))
        rests = np.zeros((2, count))
        powers[0, 0] = 1.0
        total = float(tails[1][-1])
        for n in range(count):
            if tree.branch is not None:
                kernels.product(g.values, 0, powers[n], 0, size, True, marked[n])
            rests[1, n] = total * rests[0, n] + powers[n] @ tails[1]
            if n + 1 < count:
                kernels.product(f.values, 0, powers[n], 0, size, True, powers[n + 1])
                rests[0, n + 1] = rests[0, n] + powers[n] @ tails[0]
        weights, _, largest = self.weights
        lower = _Pair(*(
            np.stack([np.sum(x * row, axis=1) for row in weights]) for x in (powers, marked)
        ))  # fmt: skip
        with np.errstate(over="ignore"):
            added = [np.outer(largest, rest * (1.0 + 1e-9) + LOST) for rest in rests]
        added[0][:, 0] = 0.0  # f^0 = 1
        upper = _Pair(lower.plain + added[0], lower.marked + added[1])
        return lower, upper, max(f.error, g.error)

    def _applied(self, table: _Pair, functionals: list[tuple[Array, Array]]) -> list[Array]:
        """Linear functionals of the sequences of all patches, (E,) each."""
        tree = self.tree
        out = [np.zeros(len(self.wanted)) for _ in functionals]
        groups = self._groups(table)
        others = _constant_patches(table, tree.count, min(self.parts, tree.count))
        for size in range(self.parts + 1):
            at = [i for i, one in enumerate(self.wanted) if len(one) == size]
            if not at:
                continue
            group = _Pair(*(
                np.stack([groups[self.wanted[i]][j] for i in at]) for j in (0, 1)
            ))  # fmt: skip
            if size == 0:
                group = _Pair(*(x[np.newaxis] for x in others[tree.count]))
            elif size < tree.count:
                group = _joined(group, others[tree.count - size], size, tree.count - size)
            for values, (plain, marked) in zip(out, functionals, strict=True):
                values[at] = group.plain @ plain + group.marked @ marked
        return out

    def _groups(self, table: _Pair) -> dict[Degrees, _Pair]:
        """Sequences of the patches that are not constant."""
        found: dict[Degrees, _Pair] = {(): _Pair(np.zeros(0), np.zeros(0))}
        needed = sorted({one[:i] for one in self.wanted for i in range(1, len(one) + 1)}, key=len)
        for size in range(1, self.parts + 1):
            for degree in range(1, self.most + 1):
                mine = [one for one in needed if len(one) == size and one[-1] == degree]
                last = _Pair(table.plain[degree], table.marked[degree])
                if size == 1:
                    found |= dict.fromkeys(mine, last)
                elif mine:
                    before = _Pair(
                        *(np.stack([found[one[:-1]][j] for one in mine]) for j in (0, 1))
                    )
                    after = _joined(before, last, size - 1, 1)
                    found |= {one: _Pair(*x) for one, *x in zip(mine, *after, strict=True)}
        return found

    def _rest(self, upper: _Pair) -> float:
        """Bound of what m beyond the last adds: sums of coefficients times E |rho|^M, M even."""
        tree = self.tree
        constant = _constant_patches(upper, tree.count, 0)[tree.count].plain
        power = float(_binomials(self.powers, *tree.shares)[-1] @ constant)
        b = _coefficients(tree.outer, "nngp", self.powers + 1)
        if tree.kernel == "nngp":
            return tree.last.weight * b.rest * power
        slope = _coefficients(tree.slope, "ntk", self.powers + 1).rest / tree.variance
        marked = 0.0
        if tree.branch is not None:
            marked = kernel_at_one(tree.branch, "ntk", 2)[0]
        top = tree.second.own * tree.top + tree.second.own_bias + tree.second.weight * marked
        return (tree.last.own * b.rest + tree.last.weight * top * slope) * power * (1.0 + AT_ONE)


def _coefficients(
    network: Network, kernel: Kernel, count: int, unit: float = 1.0, support: bool = False
) -> _Series:
    """The first Taylor coefficients of a kernel over a unit, which is exact up to rounding.

    support: all that are not 0 equal, and of sum 1 at most.
    """
    try:
        found = taylor.coefficients(network, kernel, count, parity(network, kernel))
    except taylor.OutOfRangeError:
        raise NtkspecError(
            f"{count} Taylor coefficients of {network!r} are beyond the range of doubles; change "
            "its variances, or use depth = 1"
        ) from None
    if support:
        return _Series(np.where(found.mantissa > 0.0, 1.0 / count, 0.0), 0.0, 0.0)
    values = np.ldexp(found.mantissa, np.clip(found.exponent, -1100, 1000).astype(np.int32)) / unit
    error = found.relative_error + 3.0 * UNIT
    proved = math.exp(tail_bounds(network, kernel).log_sum(count)) / unit
    left = kernel_at_one(network, kernel, 2)[0] / unit * (1.0 + AT_ONE)
    left -= math.fsum(values.tolist()) * (1.0 - error)
    return _Series(values, error, max(min(proved, left), 0.0))


def _functionals(
    tree: Tree, powers: int, support: bool
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """What sequences of all patches are multiplied by, and the same times errors of the b_m."""
    found = _coefficients(tree.outer, "nngp", powers + 3, 1.0, support)
    b, m = found.values[: powers + 1], np.arange(powers + 1.0)
    # The variance is rounded: d log h_m / d log q = m/2 +- sqrt((m + 1)(m + 2)) h_(m+2) / (2 h_m).
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt((m + 1.0) * (m + 2.0) * found.values[2:] / b)
    felt = found.error + 2.0 * UNIT * np.where(b > 0.0, m + ratio, 0.0)
    chances = _binomials(powers, *tree.shares)
    out = []
    for each in (b, b * felt):
        whole = each @ chances
        if tree.kernel == "nngp":
            out.append((tree.last.weight * whole, np.zeros(powers + 1)))
            continue
        slope = np.append(m[1:] * each[1:] / tree.variance, 0.0) @ chances
        plain = tree.last.own * whole + tree.last.weight * tree.second.own_bias * slope
        plain[1:] += tree.last.weight * tree.second.own * tree.top * slope[:-1]
        out.append((plain, tree.last.weight * tree.second.weight / tree.count * slope))
    return out[0], out[1]


def _weights(dim: int, most: int, length: int) -> tuple[Array, Whole, Array]:
    """(K, J) eigenvalues of degrees 0 to `most` of t^j, exponents of their units, and the largest.

    The largest: bounds for j >= J, in the same units.  w(k, j) grows with j up to
    ((k - 2)(k + d) + 2) / (d - 1) and falls beyond.
    """
    values, exponents = np.zeros((most + 1, length)), np.zeros(most + 1, np.int64)
    largest = np.empty(most + 1)
    with working_precision(96):
        first = arb(1)
        for k in range(most + 1):
            if k:
                first = first * k / (dim + 2 * (k - 1))
            weight, mantissas, scales = first, [], []
            for j in range(k, length, 2):
                mantissa, scale = split(weight)
                mantissas.append(mantissa)
                scales.append(scale)
                weight = weight * ((j + 1) * (j + 2)) / ((j - k + 2) * (j + k + dim))
            exponents[k] = max(scales)
            shifts = np.array(scales) - exponents[k]
            values[k, k::2] = np.ldexp(mantissas, np.maximum(shifts, -1100).astype(np.int32))
            peak = max(length, math.ceil(((k - 2) * (k + dim) + 2) / (dim - 1)))
            logs = np.empty(1)
            series.log_weights(np.array([k]), dim, peak, logs)
            largest[k] = math.exp(min(0.0, float(logs[0]) + 1e-9) - exponents[k] * math.log(2.0))
    return values, exponents, largest


@cache
def _binomials(count: int, other: float, one: float) -> Array:
    """(M + 1, M + 1) probabilities that a of n factors fall on one of two: row n, column a.

    Each is the sum of two products of the row above: it has 3 n roundings at most.
    """
    out = np.zeros((count + 1, count + 1))
    out[0, 0] = 1.0
    for n in range(count):
        out[n + 1, : n + 1] = other * out[n, : n + 1]
        out[n + 1, 1 : n + 2] += one * out[n, : n + 1]
    out.flags.writeable = False
    return out


def _joined(group: _Pair, other: _Pair, size: int, more: int) -> _Pair:
    """Rows of sequences of one group, joined with the sequence of another group of patches."""
    total = size + more
    count = other.plain.size
    chances = _binomials(count - 1, size / total, more / total)
    n = np.arange(count)
    fallen = n[:, np.newaxis] - n
    at = np.maximum(fallen, 0)
    spread = np.where(fallen >= 0, np.take_along_axis(chances, at, axis=1), 0.0)
    plain, marked = (spread * x[at] for x in other)
    return _Pair(group.plain @ plain.T, group.marked @ plain.T + group.plain @ marked.T)


def _constant_patches(table: _Pair, count: int, fewer: int) -> dict[int, _Pair]:
    """Sequences of so many patches of degree 0, and of up to `fewer` fewer."""
    one = _Pair(table.plain[0], table.marked[0])

    @cache
    def together(size: int) -> _Pair:
        if size == 1:
            return one
        half = size // 2 if size <= count - fewer else size - 1
        rows = _Pair(*(x[np.newaxis] for x in together(half)))
        return _Pair(*(x[0] for x in _joined(rows, together(size - half), half, size - half)))

    return {size: together(size) for size in range(max(count - fewer, 1), count + 1)}
