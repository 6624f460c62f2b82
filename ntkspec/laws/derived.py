"""The law derived for a network from its activation's nearest singularity."""

from __future__ import annotations

from dataclasses import replace

from ntkspec.domains import Domain, Sphere, as_domain
from ntkspec.errors import NtkspecError
from ntkspec.laws.entire import entire_law
from ntkspec.laws.form import Law
from ntkspec.laws.kinks import kink_law
from ntkspec.laws.poles import pole_law
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import shown
from ntkspec.precision import exclusive
from ntkspec.spectra.spectrum import Spectrum

__all__ = ["law"]

_DERIVED = {"kink": kink_law, "pole": pole_law, "entire": entire_law}


@exclusive()
def law(
    source: Network | Spectrum | str,
    domain: Domain | int | None = None,
    *,
    dim: int | None = None,
    kernel: Kernel = "ntk",
) -> Law:
    """Asymptotic law of a network's spectrum on the sphere.

    Parameters
    ----------
    source : Network, Spectrum or str
        A string is the poster's network with that activation.  A spectrum has its domain and
        kernel.
    domain : Sphere or int, optional
        An integer stands for the sphere of that dimension; `Sphere(3)` by default.
    dim : int, optional
        Dimension of the sphere, instead of `domain`.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Law
        Numbers that are not derived are NaN: the constant and the power for deep tanh, sigmoid,
        silu and softplus if two layers tie; all numbers for decay faster than geometric, except
        for one layer of sin or cos.

    Raises
    ------
    NtkspecError
        For a domain other than a sphere; for a linear network (slope 1), whose spectrum ends at
        degree 1; for a user's activation, whose singularities are unknown; when variances leave
        the range of doubles.

    Notes
    -----
    The nearest singularity of the activation determines the law: a kink gives a power of k, a
    pole exp(-3/2 (c k)^(2/3)), and an entire activation a geometric or faster law.

    Examples
    --------
    >>> law("relu", dim=3).power
    -3.0
    >>> round(float(law("tanh", dim=3).log_eigenvalue(2001)), 1)
    -506.8
    >>> law(Network("gelu", depth=2)).kind
    'geometric'
    >>> import ntkspec
    >>> law(ntkspec.spectrum("relu", dim=5, degrees=[2])).power
    -5.0
    """
    if isinstance(source, Spectrum):
        if domain is not None or dim is not None:
            raise NtkspecError("domain and dim are those of the spectrum; leave them out")
        network, where, kernel = _network_of(source), source.domain, source.kernel
    else:
        network, where = as_network(source), as_domain(domain, dim)
    if not isinstance(where, Sphere):
        raise NtkspecError(
            f"domain = {shown(where)} has no derived law; laws are derived on the sphere, "
            f"as for ntkspec.Sphere({where.dim})"
        )
    dim = where.dim
    network.mixture(kernel)  # raises if the network has no such kernel
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


def _network_of(spectrum: Spectrum) -> Network:
    if isinstance(spectrum.network, Network):
        return spectrum.network
    raise NtkspecError(
        f"the spectrum is that of {shown(spectrum.network)}; laws are derived for networks"
    )
