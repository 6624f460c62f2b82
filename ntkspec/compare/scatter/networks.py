"""Rates by the own kernels of random networks: their bias and scatter, without training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from ntkspec.activations import Activation, activation
from ntkspec.compare.scatter.kernel import independent_neurons
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.parameters import whole_number
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.network import Trained, start
from ntkspec.trainer.points import Points
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = ["OwnRates", "own_rates"]

Array = NDArray[np.float64]

#: Networks by default: they give a bias to a fourteenth of the scatter of one.
NETWORKS = 200


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
    sigma: Activation | str,
    points: Points,
    target: Target | SampledTarget,
    width: int,
    step_size: float,
    steps: ArrayLike,
    *,
    loss: L2Loss | SobolevLoss | None = None,
    networks: int = NETWORKS,
    first_seed: int = 0,
    antisymmetric: bool = True,
    weight_variance: float = 1.0,
    trained: Trained = "hidden",
) -> OwnRates:
    """Rates that random networks would show if their kernels stayed as at the start.

    Parameters
    ----------
    sigma : Activation or str
    points : Points
    target : Target or SampledTarget
    width : int
    step_size : float
    steps : (R,) array_like of int
        The records, from 0 on.
    loss : L2Loss or SobolevLoss, optional
        On the points; by default L2.
    networks : int
        At least 2.
    first_seed : int
        The networks are `ntkspec.trainer.network.start` with the seeds from this on.
    antisymmetric, weight_variance, trained
        As for `ntkspec.trainer.network.start`.

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
    sigma = activation(sigma) if isinstance(sigma, str) else sigma
    neurons = independent_neurons(width, antisymmetric)
    count = whole_number(networks, "networks", least=2)
    degrees = tuple(target.degrees)
    components = [target.component(k, points.x) for k in degrees]
    if not degrees or any(one is None for one in components):
        raise NtkspecError(
            "the target has no known degrees, so there are no rates; use a target made of "
            "harmonics, or samples"
        )
    factor = loss_factor((L2Loss(points) if loss is None else loss).matrix())
    functionals = np.array(components, dtype=np.float64) * points.weights
    start_of_residual = -target.values(points.x)

    def rates(kernel: Array) -> Array:
        curves = LinearTraining(kernel, factor).amplitudes(
            step_size, steps, start_of_residual, functionals
        )
        return np.array([decay_rate(steps, curve).rate for curve in curves.T])

    kernel = _infinite(sigma, points.x, weight_variance, trained)
    ratios = np.empty((count, len(degrees)))
    with threadpool_limits(1, "blas"):  # the matrices are small: more threads take longer
        infinite = rates(kernel)
        for i in range(count):
            # The kernel of antisymmetric pairs is that of one neuron of each.
            one = start(
                sigma, neurons, points.dim, first_seed + i,
                antisymmetric=False, weight_variance=weight_variance, trained=trained,
            )  # fmt: skip
            ratios[i] = rates(one.tangent_matrix(points.x)) / infinite
    return OwnRates(degrees, width, infinite, ratios)


def _infinite(sigma: Activation, x: Array, variance: float, trained: Trained) -> Array:
    """The mean of the networks' kernels: gradients with respect to the weights themselves.

    The engine's kernel is that of weights divided by the root of their variance.
    """
    hidden = Network(sigma, weight_variance=variance, trained="hidden")
    kernel = np.asarray(hidden.ntk_matrix(x), dtype=np.float64) / variance
    return kernel + np.asarray(hidden.nngp_matrix(x)) if trained == "all" else kernel
