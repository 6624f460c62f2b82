"""The scatter of a finite network's tangent kernel at its start, exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ntkspec.activations import Activation, activation
from ntkspec.compare.scatter.angular import angular_integrals
from ntkspec.compare.scatter.harmonics import Component
from ntkspec.compare.scatter.radial import Radial, radial_rule
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, one_of, shown, whole_number

__all__ = ["KernelScatter", "independent_neurons", "kernel_scatter"]

Array = NDArray[np.float64]


def independent_neurons(width: int, antisymmetric: bool = True) -> int:
    """Neurons that are drawn independently: half of the width in antisymmetric pairs.

    Examples
    --------
    >>> independent_neurons(1024), independent_neurons(1024, antisymmetric=False)
    (512, 1024)
    """
    width = whole_number(width, "width", least=2 if antisymmetric else 1)
    return width // 2 if antisymmetric else width


@dataclass(frozen=True, eq=False)
class KernelScatter:
    """Mean and covariance of <Y_i, H Y_j>, H the tangent kernel of a random finite network.

    Attributes
    ----------
    components : (K,) tuple of Component
        The functions Y_i.
    eigenvalues : (K,) ndarray of float64
        Means of <Y_i, H Y_i>: the eigenvalues of infinite width, and with aliases those of the
        points.
    covariance : (K, K, K, K) ndarray of float64
        Entry [i, j, k, l] is the covariance of <Y_i, H Y_j> and <Y_k, H Y_l> for one neuron; that
        of a network is this over the number of its independent neurons.

    Examples
    --------
    ReLU on the circle has the relative variance ((k^2-1)/(k^2+1))^2 / 2:

    >>> found = kernel_scatter("relu", 2, [2, 4, 8])
    >>> found.relative_variances.round(6)
    array([0.18    , 0.389273, 0.469704])
    >>> found.deviations(width=1024).round(4)
    array([0.0188, 0.0276, 0.0303])
    """

    components: tuple[Component, ...]
    eigenvalues: Array
    covariance: Array

    @property
    def degrees(self) -> tuple[int, ...]:
        """Degrees of the components."""
        return tuple(one.degree for one in self.components)

    @property
    def relative_variances(self) -> Array:
        """(K,) variances of <Y_i, H Y_i> for one neuron, over its squared mean.

        NaN where the mean is 0.
        """
        own = np.maximum(np.einsum("iiii->i", self.covariance), 0.0)  # 0 up to rounding
        with np.errstate(invalid="ignore"):
            return np.asarray(own / self.eigenvalues**2)

    def deviations(self, width: int, antisymmetric: bool = True) -> Array:
        """(K,) relative standard deviations of <Y_i, H Y_i> for networks of a width."""
        neurons = independent_neurons(width, antisymmetric)
        return np.asarray(np.sqrt(self.relative_variances / neurons))


def kernel_scatter(
    sigma: Activation | str,
    dim: int,
    components: Iterable[Component | int],
    *,
    weight_variance: float = 1.0,
    trained: str = "hidden",
) -> KernelScatter:
    """Scatter of the tangent kernel of random networks with one hidden layer and no bias.

    Parameters
    ----------
    sigma : Activation or str
    dim : int
    components : iterable of Component or int
        Functions Y_i (`components_of` makes them from a target); a degree stands for the basis
        function of index 0, which is zonal.
    weight_variance : float
        Variance of each inner weight, which is normal.
    trained : {"hidden", "all"}
        As for `ntkspec.trainer.network.start`, with readouts +1 and -1.

    Returns
    -------
    KernelScatter

    Raises
    ------
    NtkspecError
        If a parameter is not allowed, or `radial_rule` refuses the activation or a degree.

    Notes
    -----
    A neuron w = r w^ adds to <Y, H Z>, for basis functions Y of degree k and Z of degree j,

        q = b_k' b_j' Y Z + (b_k/r) (b_j/r) grad Y . grad Z    (+ b_k b_j Y Z for "all")

    at w^, with the zonal functions b_k of `radial_rule`.  Length and direction are independent, so
    E[q q'] is a sum of products of expectations over r and integrals over the sphere, which
    `angular_integrals` computes exactly.  The readouts enter by their squares, which are 1.

    The gradients are with respect to weights over sqrt(weight_variance), as in `ntkspec.Network`:
    the first two terms are multiplied by the variance.

    Examples
    --------
    >>> kernel_scatter("tanh", 2, [1, 3, 5, 7]).relative_variances.round(2)
    array([0.39, 0.65, 2.47, 6.51])
    """
    sigma = activation(sigma) if isinstance(sigma, str) else sigma
    one_of(trained, "trained", ("hidden", "all"))
    if not 0.0 < as_number(weight_variance) < math.inf:
        raise NtkspecError(
            f"weight_variance = {shown(weight_variance)} is not allowed; it must be > 0"
        )
    chosen = tuple(one if isinstance(one, Component) else _zonal(one) for one in components)
    if not chosen:
        raise NtkspecError("components are needed; give at least one degree")
    functions = sorted({at for one in chosen for at in one.coefficients})
    degrees = {one.degree for one in chosen}
    rule = radial_rule(
        sigma, dim, sorted(degrees), small=sorted({k for k, _ in functions} - degrees),
        weight_variance=weight_variance, trained=trained,
    )  # fmt: skip
    root, zonal = math.sqrt(weight_variance), rule.zonal
    scaled = zonal._replace(slope=root * zonal.slope, over_length=root * zonal.over_length)
    rule = replace(rule, zonal=scaled)
    return _scatter(chosen, functions, rule, trained)


def _zonal(degree: int) -> Component:
    k = whole_number(degree, "degree", least=0)
    return Component(k, {(k, 0): 1.0})


def _scatter(
    components: tuple[Component, ...],
    functions: Sequence[tuple[int, int]],
    rule: Radial,
    trained: str,
) -> KernelScatter:
    pairs = [(a, b) for a in range(len(functions)) for b in range(a, len(functions))]
    first, second = np.array(pairs).T
    at = np.array([rule.degrees.index(k) for k, _ in functions])
    slope, across = rule.zonal.slope[at], rule.zonal.over_length[at]
    straight, turned = slope[first] * slope[second], across[first] * across[second]
    if trained == "all":
        straight = straight + rule.zonal.value[at][first] * rule.zonal.value[at][second]
    sphere = angular_integrals(rule.dim, functions, pairs)
    weighted = straight * rule.weights
    mixed = (weighted @ turned.T) * sphere.mixed
    second_moment = (
        (weighted @ straight.T) * sphere.products
        + mixed
        + mixed.T
        + ((turned * rule.weights) @ turned.T) * sphere.gradients
    )
    mean = np.where(first == second, rule.moments(trained)[0][at][first], 0.0)
    combine = _combinations(components, functions, first, second)
    count = len(components)
    means = (combine @ mean).reshape(count, count)
    product = combine @ second_moment @ combine.T - np.outer(means, means)
    return KernelScatter(
        components, np.diagonal(means).copy(), product.reshape(count, count, count, count)
    )


def _combinations(
    components: tuple[Component, ...],
    functions: Sequence[tuple[int, int]],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> Array:
    """(K K, P) such that <Y_i, H Y_j> is this times the pairs of basis functions."""
    coefficients = np.zeros((len(components), len(functions)))
    for i, one in enumerate(components):
        for j, at in enumerate(functions):
            coefficients[i, j] = one.coefficients.get(at, 0.0)
    left, right = coefficients[:, np.newaxis], coefficients[np.newaxis]
    both = left[..., first] * right[..., second]
    both = both + np.where(first == second, 0.0, left[..., second] * right[..., first])
    return np.asarray(both.reshape(-1, first.size))
