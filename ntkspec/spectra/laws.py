"""How spectra decay: leading asymptotics in the degree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.spectra.conventions import check_dim

__all__ = ["Law", "law"]


@dataclass(frozen=True)
class Law:
    """lambda_k ~ exp(log_constant) * k**power * exp(-rate * k**stretch), k to infinity.

    Attributes
    ----------
    kind : {"power", "stretched"}
    log_constant, power, rate, stretch : float
        rate is 0 for a power law.
    parity : {0, 1}
        The degrees that follow it; those of the other parity are 0 from degree 2 on.
    """

    kind: Literal["power", "stretched"]
    log_constant: float
    power: float
    rate: float
    stretch: float
    parity: int

    def log_eigenvalue(self, degrees: ArrayLike) -> NDArray[np.float64]:
        """Natural logarithm of the law at degrees >= 1 of its parity, elementwise."""
        k = np.asarray(degrees, dtype=np.float64)
        return self.log_constant + self.power * np.log(k) - self.rate * k**self.stretch


def law(network: Network | str, dim: int = 3, kernel: Kernel = "ntk") -> Law:
    """Asymptotic law of a network's spectrum.

    Parameters
    ----------
    network : Network or str
    dim : int
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Law

    Raises
    ------
    NtkspecError
        For a linear network (slope 1), which has no law: its spectrum ends at degree 1.

    Notes
    -----
    Piecewise linear: Stirling's formula in the closed form gives
    q (1-a)^2 2^(d-2) Gamma(d/2)^2 / pi^2 k^-d for the NTK, times d / k^2 for the NNGP.

    tanh: the Hermite moments tend to h_n^2 = (4 pi / q) (2 pi n)^(-1/2) exp(c^2/8 - c sqrt n),
    c = pi / sqrt(q); the weight of t^n in degree k to Gamma(d/2) (2 / (pi n))^(1/2)
    (n/2)^(1-d/2) exp(-k^2/(2n) - k^4/(12 n^3)) (local limit theorem with its first correction).
    Laplace's method at n* = (k^2/c)^(2/3), where the correction is c^2/12, gives the rest.

    Examples
    --------
    >>> law("relu", dim=3).power
    -3.0
    >>> round(float(law("tanh", dim=3).log_eigenvalue(2001)), 1)
    -506.8
    """
    network, dim = as_network(network), check_dim(dim)
    sigma, variance = network.sigma, network.weight_variance
    dual, tangent = network.mixture(kernel)
    if sigma.homogeneous is not None:
        slope = -sigma.homogeneous[2]
        if slope == 1.0:
            raise NtkspecError("slope = 1.0 makes the network linear; its spectrum has no law")
        size = variance * (1.0 - slope) ** 2 * (1.0 if tangent else dual * dim)
        constant = math.log(size / math.pi**2) + (dim - 2) * math.log(2.0)
        constant += 2.0 * math.lgamma(dim / 2)
        return Law("power", constant, -float(dim) - (0.0 if tangent else 2.0), 0.0, 1.0, 0)
    return _stretched(variance * sigma.tanh[2] ** 2, sigma.tanh[1], dim, 1.0 if tangent else 0.0)


def _stretched(variance: float, amplitude: float, dim: int, growth: float) -> Law:
    """Law of sum over odd n of n^growth amplitude^2 h_n^2 t^n."""
    c = math.pi / math.sqrt(variance)
    # Powers of n at the peak, n* = k^(4/3) c^(-2/3): moments, weight, and n^growth
    peak = growth - 0.5 - 0.5 + 1.0 - dim / 2
    constant = math.log(0.5 * amplitude**2 * 4.0 * math.pi / variance / math.sqrt(2.0 * math.pi))
    constant += c * c / 8.0 - c * c / 12.0
    constant += math.lgamma(dim / 2) + 0.5 * math.log(2.0 / math.pi)
    constant += (dim / 2 - 1.0) * math.log(2.0)
    constant += -2.0 / 3.0 * peak * math.log(c)
    constant += 0.5 * math.log(8.0 * math.pi / 3.0) - math.log(c)
    return Law("stretched", constant, 1.0 + 4.0 / 3.0 * peak, 1.5 * c ** (2 / 3), 2 / 3, 1)
