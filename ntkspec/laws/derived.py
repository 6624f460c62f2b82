"""The law derived for a network: the activation's nearest singularity decides."""

from __future__ import annotations

from dataclasses import replace

from ntkspec.conventions import check_dim
from ntkspec.errors import NtkspecError
from ntkspec.laws.entire import entire_law
from ntkspec.laws.form import Law
from ntkspec.laws.kinks import kink_law
from ntkspec.laws.poles import pole_law
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.precision import exclusive

__all__ = ["law"]

_DERIVED = {"kink": kink_law, "pole": pole_law, "entire": entire_law}


@exclusive()
def law(network: Network | str, dim: int = 3, *, kernel: Kernel = "ntk") -> Law:
    """Asymptotic law of a network's spectrum.

    Parameters
    ----------
    network : Network or str
    dim : int
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Law
        What is not derived is NaN: the constant and the power for deep tanh and its relatives
        where two layers tie; all numbers for what falls faster than geometrically, except one
        layer of sin or cos.

    Raises
    ------
    NtkspecError
        For a linear network (slope 1), whose spectrum ends at degree 1; for a user's activation,
        whose singularities are unknown; when variances leave the range of doubles.

    Notes
    -----
    The nearest singularity of the activation decides: a kink gives a power of k, a pole
    exp(-3/2 (c k)^(2/3)), none a geometric law or a faster one.

    Examples
    --------
    >>> law("relu", dim=3).power
    -3.0
    >>> round(float(law("tanh", dim=3).log_eigenvalue(2001)), 1)
    -506.8
    >>> law(Network("gelu", depth=2)).kind
    'geometric'
    """
    network, dim = as_network(network), check_dim(dim)
    network.mixture(kernel)  # refuses what has no such kernel
    kind = network.sigma.singularity.kind
    if kind not in _DERIVED or network.sigma.user:
        raise NtkspecError(
            f"activation {network.sigma.name!r} has no derived law: its singularities are unknown"
        )
    try:
        found = _DERIVED[kind](network, dim, kernel)
    except (ArithmeticError, IndexError):
        # Kernels that are constant to all digits, or whose growth leaves the range of doubles.
        raise NtkspecError(
            f"the law of {network.name} cannot be derived in doubles at weight_variance = "
            f"{network.weight_variance}, bias_variance = {network.bias_variance}, depth = "
            f"{network.depth}; use less extreme values"
        ) from None
    of = network, dim, kernel
    other = None if found.other is None else replace(found.other, spectrum=of)
    return replace(found, other=other, spectrum=of)
