"""Zonal functions of a neuron, and rules for expectations over the length of its weights.

A neuron of weights w = r w^ has sigma(w . x) = sum_k N(d,k) b_k(r) P_k(<w^, x>) with
b_k(r) = int sigma(r t) P_k(t) d nu(t), nu the distribution of a coordinate of a uniform point.
Both functions that the tangent kernel needs are integrals of sigma':

    b_k'(r) = int sigma'(r t) t P_k(t) d nu(t)
    b_k(r) / r = 1/kappa int sigma'(r t) (1 - t^2) P_k'(t) d nu(t),   kappa = k (k + d - 2),

the second by parts, (1 - t^2) P_k' = k (P_(k-1) - t P_k).  They are computed by Gauss-Legendre
rules on panels in the angle arccos(t), whose edges are where the neuron's kinks lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ntkspec.activations import Activation
from ntkspec.duals.pieces import resolve
from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.harmonics import recurrence

__all__ = ["Radial", "Zonal", "radial_rule", "zonal_functions"]

Array = NDArray[np.float64]

#: Gauss-Legendre nodes of a panel.
NODES = 16
#: Relative difference of the moments of two rules, the second with half the panels' widths.
SETTLED = 1e-6
#: Halvings of the panels until rules must agree.
MOST_HALVINGS = 6
#: Share of any fourth moment that the last panel of the lengths may have.
TAIL = 1e-9
#: Lengths over sqrt(weight variance) are taken within these distances of sqrt(dim).
BELOW, ABOVE, STRETCH, MOST_ABOVE = 12.0, 9.0, 3.0, 36.0
#: Largest relative error of a moment from rounding: four digits of a relative variance.
MOST_ERROR = 1e-4
ROUNDING = 2.0**-52
#: Numbers in one block of values of sigma'.
BLOCK = 1 << 20


class Zonal(NamedTuple):
    """Zonal functions b_k, b_k' and b_k / r at lengths r, (K, R) each, and their rounding errors.

    `over_length` is 0 for degree 0.  `error`, (K, R), bounds the rounding errors of
    sqrt(b_k'^2 + kappa (b_k/r)^2).

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> zonal_functions(activation("relu"), 3, [1, 2], [1.0]).value.shape
    (2, 1)
    """

    value: Array
    slope: Array
    over_length: Array
    error: Array


@dataclass(frozen=True, eq=False)
class Radial:
    """Zonal functions at the nodes of a rule for expectations over the length r of the weights.

    Attributes
    ----------
    dim : int
    degrees : (K,) tuple of int
    length, weights : (R,) ndarray of float64
        Nodes r and weights, with sum 1: sum_i weights_i f(length_i) = E f(r).
    zonal : Zonal
        At the nodes.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> rule = radial_rule(activation("relu"), 3, [2])
    >>> round(float(rule.weights @ rule.length**2), 6)
    3.0
    """

    dim: int
    degrees: tuple[int, ...]
    length: Array
    weights: Array
    zonal: Zonal

    def moments(self, trained: str = "hidden") -> tuple[Array, Array]:
        """E g_k and E g_k^2, (K,) each, g_k = b_k'^2 + kappa (b_k/r)^2 (+ b_k^2 for "all").

        The first ones are the eigenvalues.
        """
        g = self._squares(trained)
        return np.asarray(g @ self.weights), np.asarray(g**2 @ self.weights)

    def _squares(self, trained: str) -> Array:
        kappa = np.array([k * (k + self.dim - 2.0) for k in self.degrees])[:, np.newaxis]
        g = self.zonal.slope**2 + kappa * self.zonal.over_length**2
        return np.asarray(g + self.zonal.value**2 if trained == "all" else g)


def zonal_functions(
    sigma: Activation, dim: int, degrees: Sequence[int], length: ArrayLike, panels: int = 8
) -> Zonal:
    """Zonal functions of an activation at lengths of the weights.

    Parameters
    ----------
    sigma : Activation
        With a derivative.
    dim : int
    degrees : sequence of int
    length : (R,) array_like
        r > 0.
    panels : int
        Panels between two edges, the edges being the ends, 0 and the kinks of sigma.

    Returns
    -------
    Zonal

    Examples
    --------
    ReLU on the circle has b_2(r) = r / (3 pi):

    >>> from ntkspec.activations import activation
    >>> found = zonal_functions(activation("relu"), 2, [2], [1.0, 2.0])
    >>> (found.value * 3 * np.pi).round(12), (found.slope * 3 * np.pi).round(12)
    (array([[1., 2.]]), array([[1., 1.]]))
    """
    r = np.asarray(length, dtype=np.float64)
    return _zonal(sigma, dim, tuple(degrees), r, panels, _breaks(sigma, float(r.max(initial=1.0))))


def _zonal(
    sigma: Activation, dim: int, degrees: tuple[int, ...], r: Array, panels: int, breaks: Array
) -> Zonal:
    """The same, with the places of the activation's breaks, in blocks of lengths."""
    cosine, measure = _angles(dim, r[:1], np.empty(0), panels)
    rows = max(1, BLOCK // (cosine.shape[1] * (1 + breaks.size)))
    parts = []
    for start in range(0, r.size, rows):
        some = r[start : start + rows]
        if breaks.size:
            cosine, measure = _angles(dim, some, breaks, panels)
        parts.append(_sums(sigma, dim, degrees, some, cosine, measure))
    return Zonal(*(np.concatenate(found, axis=1) for found in zip(*parts, strict=True)))


def _angles(dim: int, r: Array, breaks: Array, panels: int) -> tuple[Array, Array]:
    """Cosines and weights of nodes for d nu: (R, T), or (1, T) where no break moves with r."""
    inner = np.clip(breaks / r[:, np.newaxis], -1.0, 1.0)
    ends = np.broadcast_to([1.0, 0.0, -1.0], (r.size, 3))
    edges = np.arccos(np.sort(np.concatenate((ends, inner), axis=1), axis=1)[:, ::-1])
    share = np.arange(panels) / panels
    width = np.repeat(np.diff(edges, axis=1) / panels, panels, axis=1)
    low = (edges[:, :-1, np.newaxis] + np.diff(edges, axis=1)[:, :, np.newaxis] * share).reshape(
        r.size, -1
    )
    x, weights = _legendre()
    theta = (low[:, :, np.newaxis] + width[:, :, np.newaxis] * x).reshape(r.size, -1)
    measure = (width[:, :, np.newaxis] * weights).reshape(r.size, -1)
    log_scale = special.gammaln(dim / 2) - special.gammaln((dim - 1) / 2) - 0.5 * math.log(math.pi)
    return np.cos(theta), measure * math.exp(log_scale) * np.sin(theta) ** (dim - 2)


def _legendre() -> tuple[Array, Array]:
    """Nodes and weights of the Gauss-Legendre rule on [0, 1]."""
    x, weights = np.polynomial.legendre.leggauss(NODES)
    return 0.5 + 0.5 * x, 0.5 * weights


def _sums(
    sigma: Activation, dim: int, degrees: tuple[int, ...], r: Array, t: Array, measure: Array
) -> Zonal:
    assert sigma.derivative is not None
    z = r[:, np.newaxis] * t
    with np.errstate(over="ignore", invalid="ignore"):
        derivative = np.asarray(sigma.derivative(z), dtype=np.float64)
        values = np.asarray(sigma.value(z), dtype=np.float64) if 0 in degrees else None
    found = Zonal(*np.zeros((4, len(degrees), r.size)))
    size = np.abs(derivative)
    before, now = np.zeros_like(t), np.ones_like(t)
    for k in range(max(degrees) + 1):
        for i in (i for i, degree in enumerate(degrees) if degree == k):
            along = t * now * measure
            across = (before - t * now) * measure / (k + dim - 2.0) if k else np.zeros_like(t)
            found.slope[i] = _along(derivative, along)
            found.over_length[i] = _along(derivative, across)
            found.value[i] = r * found.over_length[i]
            weight = np.abs(along) + math.sqrt(k * (k + dim - 2.0)) * np.abs(across)
            found.error[i] = ROUNDING * _along(size, weight)
            if values is not None and k == 0:
                found.value[i] = _along(values, measure)
        a, b = recurrence(dim, k) if k else (1.0, 0.0)
        before, now = now, a * t * now - b * before
    return found


def _along(values: Array, weights: Array) -> Array:
    """Sums over the nodes of each length, whose weights may be the same for all lengths."""
    if weights.shape[0] == 1:
        return np.asarray(values @ weights[0])
    return np.asarray(np.einsum("rt,rt->r", values, weights))


def _breaks(sigma: Activation, reach: float) -> Array:
    """Places other than 0 within a reach where sigma' or a derivative of it jumps."""
    if sigma.user:
        assert sigma.derivative is not None
        edges = np.linspace(-reach, reach, 9)
        size = float(np.abs(sigma.derivative(edges)).max())
        found = resolve(
            sigma.derivative, edges, lambda low, high: np.full(np.shape(low), 1e-12 * size)
        )
        places = found.breaks
    else:
        places = np.array([float(kink.place) for kink in sigma.kinks])
    return np.unique(places[places != 0.0])


def radial_rule(
    sigma: Activation,
    dim: int,
    degrees: Sequence[int],
    *,
    small: Sequence[int] = (),
    weight_variance: float = 1.0,
    trained: str = "hidden",
) -> Radial:
    """Rule for expectations over the length of a neuron's normal weights, with zonal functions.

    Parameters
    ----------
    sigma : Activation
    dim : int
    degrees : sequence of int
    small : sequence of int
        Further degrees, which need be accurate only beside the smallest of the others.
    weight_variance : float
        r is sqrt(weight_variance) times a chi variable of `dim` degrees of freedom.
    trained : {"hidden", "all"}

    Returns
    -------
    Radial

    Raises
    ------
    NtkspecError
        If the activation has no derivative, if rounding leaves fewer than four digits of a moment,
        if a fourth moment is infinite, or if rules with finer and finer panels do not agree.

    Notes
    -----
    The moments E g^2 of `Radial.moments` decide: panels are halved until two rules agree to 1e-6,
    and lengths are added until the last panel holds less than 1e-9 of each.  Degrees that the
    parity of sigma forbids are exactly 0.

    Examples
    --------
    >>> from ntkspec.activations import activation
    >>> rule = radial_rule(activation("relu"), 3, [1, 2, 8, 9])
    >>> rule.moments()[0]
    array([0.08333333, 0.02734375, 0.00027847, 0.        ])
    """
    if sigma.derivative is None:
        raise NtkspecError(
            f"{sigma.name} has no tangent kernel: its derivative is 0 except at the kink"
        )
    dim = whole_number(dim, "dim", least=2)
    wanted = tuple(whole_number(k, "degrees", least=0) for k in (*degrees, *small))
    own = len(wanted) - len(small)
    scale, middle = math.sqrt(weight_variance), math.sqrt(dim)
    breaks = _breaks(sigma, scale * (middle + ABOVE + STRETCH))
    panels, width = 2 + max(wanted) // 16 + math.isqrt(dim) // 2, 1.0
    above, before = ABOVE, None
    for _ in range(MOST_HALVINGS):
        while True:
            ends = (max(0.0, middle - BELOW), middle + above)
            r, weights, last = _lengths(dim, scale, ends, width, np.abs(breaks) / scale)
            zonal = _without_zeros(_zonal(sigma, dim, wanted, r, panels, breaks), sigma, wanted)
            rule = Radial(dim, wanted, r, weights, zonal)
            _check_finite(rule, sigma, trained)
            squares = rule._squares(trained) ** 2 * weights
            total = _beside(squares.sum(axis=1), own)
            if np.all(squares[:, last:].sum(axis=1) <= TAIL * total):
                break
            above += STRETCH
            if above > MOST_ABOVE:
                raise _unbounded(sigma, r)
        now = np.array(rule.moments(trained))
        size = np.array([_beside(moments, own) for moments in now])
        _check_rounding(rule, size, sigma)
        if before is not None and np.all(np.abs(now - before) <= SETTLED * size):
            return rule
        before, panels, width = now, 2 * panels, width / 2
    raise NtkspecError(
        f"{sigma.name} in dim = {dim}: the moments of degrees {list(wanted)} do not settle; "
        "lower weight_variance, or leave out the largest degrees"
    )


def _lengths(
    dim: int, scale: float, ends: tuple[float, float], width: float, breaks: Array
) -> tuple[Array, Array, int]:
    """Lengths, their weights, and the first node of the last panel.

    Beyond a break the zonal functions have half-integer powers of the distance from it: the panel
    there has nodes that are squares.
    """
    inside = np.unique(breaks[(breaks > ends[0]) & (breaks < ends[1])])
    edges = np.concatenate(([ends[0]], inside, [ends[1]]))
    x, gauss = _legendre()
    z, weights = [], []
    for i, (low, high) in enumerate(pairwise(edges)):
        count = max(1, math.ceil((high - low) / width))
        steps = low + (high - low) * np.arange(count + 1) / count
        for j in range(count):
            long = steps[j + 1] - steps[j]
            squared = i > 0 and j == 0
            z.append(steps[j] + long * (x**2 if squared else x))
            weights.append(long * gauss * (2.0 * x if squared else 1.0))
    node, weight = np.concatenate(z), np.concatenate(weights)
    log_scale = (dim / 2 - 1) * math.log(2.0) + special.gammaln(dim / 2)
    weight *= np.exp((dim - 1) * np.log(node) - 0.5 * node**2 - log_scale)
    return scale * node, weight, node.size - NODES


def _without_zeros(zonal: Zonal, sigma: Activation, degrees: tuple[int, ...]) -> Zonal:
    """Exact zeros where sigma's part of the degree's parity is a polynomial of lower degree."""
    flat = np.array([max(k, 1) > sigma.degrees[k % 2] for k in degrees])
    zonal.slope[flat] = zonal.over_length[flat] = zonal.error[flat] = 0.0
    zonal.value[[k > sigma.degrees[k % 2] for k in degrees]] = 0.0
    return zonal


def _check_finite(rule: Radial, sigma: Activation, trained: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(rule._squares(trained) ** 2).all():
            raise _unbounded(sigma, rule.length)


def _unbounded(sigma: Activation, length: Array) -> NtkspecError:
    return NtkspecError(
        f"{sigma.name}: the variance of the tangent kernel is infinite, or its values overflow or "
        f"are not numbers at preactivations up to {length[-1]:.3g}; lower weight_variance"
    )


def _beside(moments: Array, own: int) -> Array:
    """Moments that errors are compared to: of small degrees at least the others' smallest."""
    positive = moments[:own][moments[:own] > 0.0]
    if not positive.size:
        return moments
    return np.concatenate((moments[:own], np.maximum(moments[own:], positive.min())))


def _check_rounding(rule: Radial, size: Array, sigma: Activation) -> None:
    """Raise unless rounding errors leave four digits of each second and fourth moment."""
    error, (first, second) = rule.zonal.error, size
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.maximum(
            2.0 * np.sqrt(error**2 @ rule.weights / first),
            4.0 * (error**4 @ rule.weights / second) ** 0.25,
        )
    for k, value, eigenvalue in zip(rule.degrees, relative, first, strict=True):
        if value > MOST_ERROR:
            raise NtkspecError(
                f"{sigma.name} in dim = {rule.dim}: degree {k} has an eigenvalue near "
                f"{eigenvalue:.1e}, too small for its scatter in doubles; leave it out"
            )
