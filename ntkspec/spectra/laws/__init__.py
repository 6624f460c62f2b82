"""How spectra decay: leading asymptotics in the degree.

`kinks` have power laws, `poles` stretched exponentials, `entire` activations geometric laws or
faster ones; `form` holds what they share, `profile` the values of the layers at one t,
`expectations` their duals where the engine has no closed form, `reach` from which degree on a law
holds.  The derivations are in the manual, "Laws".
"""

from __future__ import annotations

from dataclasses import replace

from ntkspec.conventions import check_dim
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.precision import exclusive
from ntkspec.spectra.laws.entire import entire_law
from ntkspec.spectra.laws.form import Kind, Law
from ntkspec.spectra.laws.kinks import kink_law
from ntkspec.spectra.laws.poles import pole_law

__all__ = ["Kind", "Law", "law"]

_DERIVED = {"kink": kink_law, "pole": pole_law, "entire": entire_law}


@exclusive()
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
        What is not derived in it is NaN: of tanh and its relatives in depth where two layers
        tie, the constant and the power; of what falls faster than geometrically, all but for
        one layer of sin or cos.

    Raises
    ------
    NtkspecError
        For a linear network (slope 1), which has no law: its spectrum ends at degree 1; for a
        user's activation, of which nothing is known; when variances leave the range of doubles.

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
            f"{network.depth}; take less extreme ones"
        ) from None
    of = network, dim, kernel
    other = None if found.other is None else replace(found.other, spectrum=of)
    return replace(found, other=other, spectrum=of)
