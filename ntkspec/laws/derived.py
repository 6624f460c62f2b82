"""The law derived for a network from its activation's nearest singularity."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

from ntkspec.domains import Domain, Gaussian, Sphere, as_domain, refuse_density
from ntkspec.errors import NtkspecError
from ntkspec.laws.entire import entire_law
from ntkspec.laws.form import Law
from ntkspec.laws.kinks import general_kink_law, kink_law
from ntkspec.laws.poles import pole_law
from ntkspec.laws.zonal import zonal_law
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import one_of, shown
from ntkspec.precision import exclusive
from ntkspec.spectra.gaussian import homogeneous
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Source, as_source
from ntkspec.spectra.spectrum import Spectrum
from ntkspec.zonal import ZonalKernel

__all__ = ["known_law", "law"]

_DERIVED = {
    "kink": kink_law, "kinks": general_kink_law, "pole": pole_law, "entire": entire_law,
}  # fmt: skip


@exclusive()
def law(
    source: Network | ZonalKernel | Spectrum | str,
    domain: Domain | int | None = None,
    *,
    dim: int | None = None,
    kernel: Kernel = "ntk",
) -> Law:
    """Asymptotic law of a kernel's spectrum.

    Parameters
    ----------
    source : Network, ZonalKernel, Spectrum or str
        A string is the poster's network with that activation.  A spectrum has its domain and
        kernel.
    domain : Sphere, Gaussian or int, optional
        An integer stands for the sphere of that dimension; `Sphere(3)` by default.  Under the
        Gaussian measure, networks whose kernel is a power of the norms times a function of the
        cosine: piecewise powers without bias.
    dim : int, optional
        Dimension of the sphere, instead of `domain`.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Law
        Numbers that are not derived are NaN: the constant and the power for deep tanh, sigmoid,
        silu and softplus if two layers tie; all numbers for decay faster than geometric, except
        for one layer of sin, cos, exp or snake, and of a parity whose leading singularities
        cancel.  The same of entire zonal kernels that are not built in, and the constant of a
        declared singularity without a coefficient.

    Raises
    ------
    NtkspecError
        For a domain without a derived law; for a linear network (slope 1), whose spectrum ends at
        degree 1; for a user's activation or kernel whose singularities are unknown; for mish and
        gabor, and where sin, cos or another entire activation follows gelu or gaussian, whose
        variance is infinite at the nearest singularity; when variances leave the range of doubles.

    Notes
    -----
    The nearest singularity of the activation determines the law: a kink gives a power of k, a
    pole exp(-3/2 (c k)^(2/3)), and an entire activation a geometric or faster law.  Where layers
    differ, kinks come before poles, and poles before entire activations.

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
    >>> law("relu", ntkspec.Gaussian(5))
    Law of relu under the Gaussian measure, dim = 5 (ntk): 1.432 k^-5, even k
    """
    refuse_density("law", source, domain)
    if isinstance(source, Spectrum):
        if domain is not None or dim is not None:
            raise NtkspecError("domain and dim are those of the spectrum; leave them out")
        known, where, kernel = source.network, source.domain, source.kernel
    else:
        known, where = as_source(source), as_domain(domain, dim)
    if isinstance(known, ZonalKernel):
        _only_on_spheres(known, where)
        one_of(kernel, "kernel", get_args(Kernel))
        found = zonal_law(known, where.dim)
        other = None if found.other is None else _placed(found.other, known, where, kernel, 0.0)
        return replace(_placed(found, known, where, kernel, 0.0), other=other)
    network = known
    dim, shift = where.dim, _log_factor(network, where, kernel)
    network.check_kernel(kernel)
    last = parity(network, kernel).last
    if network.kind == "entire" and last is not None:
        raise NtkspecError(f"{network.name} has no law: all eigenvalues beyond degree {last} are 0")
    derived = _DERIVED.get(network.kind)
    if derived is None or network.user:
        raise NtkspecError(
            f"{network.name} has no derived law: the singularities of an activation are unknown; "
            "ntkspec.fit(spectrum) fits one to computed eigenvalues"
        )
    if network.kind == "kink" and not network.uniform:
        derived = general_kink_law
    try:
        found = derived(network, dim, kernel)
    except NtkspecError:
        raise
    except (ArithmeticError, IndexError, ValueError):
        # Kernels that are constant to all digits, or whose growth leaves the range of doubles.
        raise NtkspecError(
            f"the law of {network!r} cannot be derived in doubles; use less extreme values"
        ) from None
    other = None if found.other is None else _placed(found.other, network, where, kernel, shift)
    return replace(_placed(found, network, where, kernel, shift), other=other)


def known_law(source: Network | ZonalKernel, domain: Domain, kernel: Kernel) -> Law | None:
    """The law of a kernel's spectrum, or None if none is derived."""
    try:
        return law(source, domain, kernel=kernel)
    except NtkspecError:
        return None


def _placed(found: Law, network: Source, where: Domain, kernel: Kernel, shift: float) -> Law:
    constant = found.log_constant + shift
    return replace(found, log_constant=constant, spectrum=(network, where, kernel))


def _log_factor(network: Network, where: Domain, kernel: Kernel) -> float:
    """Logarithm of the factor between the eigenvalues on a domain and those on the sphere.

    Raises
    ------
    NtkspecError
        When there is none.
    """
    if isinstance(where, Sphere):
        return 0.0
    why = "laws are derived for piecewise powers without bias there, and on the sphere"
    if isinstance(where, Gaussian) and homogeneous.ROUTE.takes(network, where, kernel) is not None:
        assert network.sigma.homogeneous is not None
        power = network.sigma.homogeneous[0] ** network.depth
        return sum(math.log1p(2.0 * i / where.dim) for i in range(power))
    raise _no_law(network, where, why)


def _only_on_spheres(kernel: ZonalKernel, where: Domain) -> None:
    if not isinstance(where, Sphere):
        raise _no_law(kernel, where, "laws of zonal kernels are derived on the sphere")


def _no_law(network: Source, where: Domain, why: str) -> NtkspecError:
    if where.last_degree is not None:
        why = f"its degrees end at {where.last_degree}, and laws are for large degrees"
    return NtkspecError(
        f"domain = {shown(where)} has no derived law for {network.name}: {why}; on the sphere use "
        f"ntkspec.Sphere({max(where.dim, Sphere.least_dim)})"
    )
