"""Smoothness of a kernel where its points meet, and the derivatives that a residual may take.

K(t) has beside whole powers of 1 - t a leading theta^m, theta = arccos t, m = 2 p - 1 for the
tangent kernel of a kink of order p.  Its eigenvalues fall as k^(1 - d - m).
"""

from __future__ import annotations

import math

from ntkspec.domains import Sphere
from ntkspec.errors import NtkspecError
from ntkspec.laws import law
from ntkspec.networks import Kernel, Network
from ntkspec.operators import Operator, refused_kink
from ntkspec.zonal import ZonalKernel

__all__ = ["check_valid", "leading_power"]


def leading_power(source: Network | ZonalKernel, kernel: Kernel) -> float:
    """m, inf for a kernel without a kink, and NaN where the kernel's smoothness is not known.

    Examples
    --------
    >>> leading_power(Network("relu"), "ntk"), leading_power(Network("tanh"), "ntk")
    (1.0, inf)
    """
    try:
        found = law(source, Sphere(3), kernel=kernel)
    except NtkspecError:
        return _of_activations(source, kernel)
    if found.kind != "power":
        return math.inf
    power = found.power
    if math.isnan(power) and found.other is not None:
        power = found.other.power
    return _of_activations(source, kernel) if math.isnan(power) else -2.0 - power


def _of_activations(source: Network | ZonalKernel, kernel: Kernel) -> float:
    """The least m that kinks of the activations can make."""
    if isinstance(source, ZonalKernel):
        return math.nan
    found = [sigma.singularity for sigma in source.sigmas]
    if any(one.kind == "unknown" for one in found):
        return math.nan
    orders = [one.order for one in found if one.kind in ("kink", "kinks")]
    return 2.0 * min(orders, default=math.inf) + (1.0 if kernel == "nngp" else -1.0)


def check_valid(source: Network | ZonalKernel, kernel: Kernel, operator: Operator) -> float:
    """Return m, as `leading_power`, where the residual's kernel is finite.

    Raises
    ------
    NtkspecError
        Where sum a_k^2 lambda_k N_k diverges.

    Examples
    --------
    >>> check_valid(Network("relu_power", power=3), "ntk", Operator())
    5.0
    """
    m = leading_power(source, kernel)
    if m > 2.0 * operator.order or math.isnan(m):
        return m
    nngp = kernel == "nngp"
    has = (m - 1.0) / 2.0 if nngp else (m + 1.0) / 2.0
    needed = math.floor(operator.order + 1.5 - nngp)
    known = not (isinstance(source, Network) and source.user)
    raise NtkspecError(refused_kink(operator, source.name, has, needed, known=known))
