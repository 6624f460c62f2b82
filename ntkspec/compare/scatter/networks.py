"""Scatter of a network's kernels and rates: exact where it is known, else by random networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.compare.kernels import components_at, functionals, infinite_kernel
from ntkspec.compare.scatter.harmonics import components_of
from ntkspec.compare.scatter.kernel import KernelScatter, independent_neurons, kernel_scatter
from ntkspec.compare.scatter.rates import RateScatter, rate_scatter
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network, as_network
from ntkspec.parameters import whole_number
from ntkspec.rules import Affine
from ntkspec.threads import one_blas_thread
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.network import is_shallow, start
from ntkspec.trainer.points import Points
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.recipe import AnyLoss, LossRecipe
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = ["OwnRates", "exact_rates", "exact_scatter", "own_rates"]

Array = NDArray[np.float64]

#: Networks by default: they give a bias to a fourteenth of the scatter of one.
NETWORKS = 200


def exact_scatter(
    network: Network, target: Target | SampledTarget, dim: int
) -> KernelScatter | None:
    """`kernel_scatter` of a network for a target; None with more layers or biases, and on a torus.

    Parameters
    ----------
    network : Network
    target : Target or SampledTarget
    dim : int

    Returns
    -------
    KernelScatter or None

    Raises
    ------
    NtkspecError
        As by `components_of` and `kernel_scatter`.

    Examples
    --------
    >>> from ntkspec.trainer.targets import Term
    >>> exact_scatter(Network("relu"), Target([Term(2)]), 2).relative_variances.round(2)
    array([0.18])
    >>> exact_scatter(Network("relu", depth=2), Target([Term(2)]), 2) is None
    True
    """
    if not is_shallow(network.program) or network.weights != "gaussian":
        return None
    if target.part != "degree":
        return None
    inner, out = (one for one in network.program.steps if isinstance(one, Affine))
    biased, plain = inner.bias or inner.own_bias, inner.own == inner.weight
    if biased or not plain or out.own not in (0.0, out.weight):
        return None
    found = kernel_scatter(
        network.sigma, dim, components_of(target, dim), weight_variance=inner.weight,
        trained="all" if out.own else "hidden",
    )  # fmt: skip
    return replace(
        found, eigenvalues=out.weight * found.eigenvalues,
        covariance=out.weight**2 * found.covariance,
    )  # fmt: skip


def exact_rates(
    network: Network,
    target: Target | SampledTarget,
    points: Points,
    loss: AnyLoss,
    step_size: float,
    steps: ArrayLike,
) -> RateScatter | None:
    """`rate_scatter` of a network for a target and a loss; None where there is no formula."""
    try:
        kernel = exact_scatter(network, target, points.dim)
        if kernel is not None:
            mu = loss.multiplier(kernel.degrees)
            return rate_scatter(kernel, step_size, steps, multipliers=mu)
    except NtkspecError:  # no formula for this activation, target, degree or loss
        pass
    return None


@dataclass(frozen=True, eq=False)
class OwnRates:
    """Rates by the own kernels of random networks of one width.

    Attributes
    ----------
    degrees : (K,) tuple of int
    width : int
    infinite : (K,) ndarray of float64
        Rates at infinite width on the same points; NaN for degrees whose records measure none.
    ratios : (networks, K) ndarray of float64
        Each network's rates, divided by those; NaN where its records measure none.

    Examples
    --------
    >>> found = OwnRates((1,), 64, np.array([0.1]), np.array([[0.9], [1.0], [1.1]]))
    >>> found.bias.round(3), found.error.round(3), found.deviations.round(3)
    (array([0.]), array([0.058]), array([0.1]))
    """

    degrees: tuple[int, ...]
    width: int
    infinite: Array
    ratios: Array

    @property
    def bias(self) -> Array:
        """(K,) mean relative deviation; NaN for degrees that some network does not measure."""
        return np.asarray(self.ratios.mean(axis=0) - 1.0)

    @property
    def error(self) -> Array:
        """(K,) standard error of the bias."""
        return np.asarray(self.deviations / np.sqrt(len(self.ratios)))

    @property
    def deviations(self) -> Array:
        """(K,) standard deviation of the relative rates over the networks."""
        return np.asarray(self.ratios.std(axis=0, ddof=1))


def own_rates(
    network: Network | str,
    points: Points,
    target: Target | SampledTarget,
    width: int,
    step_size: float,
    steps: ArrayLike,
    *,
    loss: AnyLoss | None = None,
    recipe: LossRecipe | None = None,
    networks: int = NETWORKS,
    first_seed: int = 0,
    antisymmetric: bool = True,
) -> OwnRates:
    """Rates that random networks would show if their kernels stayed as at the start.

    Parameters
    ----------
    network : Network or str
    points : Points
    target : Target or SampledTarget
    width : int
    step_size : float
    steps : (R,) array_like of int
        The records, from 0 on.
    loss : L2Loss, SobolevLoss, SumLoss or KernelLoss, optional
        On the points; by default L2.
    recipe : LossRecipe, optional
        Of the residual of a PDE, of which the rates then are; `loss` is `LossRecipe.at`.
    networks : int
        At least 2.
    first_seed : int
        The networks are `ntkspec.trainer.network.start` with the seeds from this on.
    antisymmetric : bool
        Whether the neurons of one hidden layer come in pairs, so that f = 0 at the start.

    Returns
    -------
    OwnRates

    Raises
    ------
    NtkspecError
        If a parameter is not allowed, or the target has no known degrees.

    Notes
    -----
    The mean over networks has a bias of order 1/width, which first-order perturbation does not
    have and second-order perturbation predicts badly; this measures it, with the standard error.
    Each network takes one eigendecomposition of its kernel on the points.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.targets import Term
    >>> target = Target([Term(k, 0.1, "sine") for k in (1, 2)])
    >>> found = own_rates("relu", circle(16), target, 256, 1.0, range(0, 200, 2), networks=50)
    >>> bool((abs(found.bias) < 4 * found.error + 0.05).all())
    True
    """
    network = as_network(network)
    pairs = antisymmetric and is_shallow(network.program)
    neurons = independent_neurons(width, pairs)
    count = whole_number(networks, "networks", least=2)
    recipe = LossRecipe() if recipe is None else recipe
    parts = components_at(recipe.observed(target, points.dim), points)
    factor = loss_factor((recipe.at(points, None, network) if loss is None else loss).matrix())
    start_of_residual = -recipe.observations(target, points)
    rows = functionals(parts, points, start_of_residual.size)

    def rates(kernel: Array) -> Array:
        curves = LinearTraining(kernel, factor).amplitudes(
            step_size, steps, start_of_residual, rows
        )
        return np.array([decay_rate(steps, curve).rate for curve in curves.T])

    kernel = infinite_kernel(network, recipe, points)
    ratios = np.empty((count, len(parts)))
    with one_blas_thread():  # the matrices are small: more threads take longer
        infinite = rates(kernel)
        for i in range(count):
            # The kernel of antisymmetric pairs is that of one neuron of each.
            one = start(network, neurons, points.dim, first_seed + i, start="random")
            ratios[i] = rates(recipe.of(one, points).tangent_matrix(points.x)) / infinite
    return OwnRates(tuple(parts), width, infinite, ratios)
