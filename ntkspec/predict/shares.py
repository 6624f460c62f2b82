"""Shares of the trace on the Boolean cube: the fractional variances of Yang and Salman (2019)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Cube
from ntkspec.duals import Layers
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import as_number, lacking, shown
from ntkspec.precision import exclusive, working_precision
from ntkspec.spectra import spectrum

__all__ = ["fractional_variances"]


@exclusive()
@lacking("tolerance")
def fractional_variances(
    network: Network | str,
    domain: Cube | int,
    degrees: int | str | Iterable[int] | None = None,
    *,
    kernel: Kernel = "ntk",
    readout: tuple[float, float] = (1.0, 0.0),
) -> NDArray[np.float64]:
    """Share of each degree in the trace of the kernel on the cube, binom(d, k) mu_k / K(1).

    It is the part of degree k in the variance of a function drawn from the Gaussian process with
    this kernel (Yang and Salman 2019, section 3).

    Parameters
    ----------
    network : Network or str
    domain : Cube or int
        An integer stands for the cube of that dimension.
    degrees, kernel
        As for `ntkspec.spectrum`.
    readout : (float, float)
        Variances w > 0 and b >= 0 of the readout's weights and bias: the shares are those of
        w K + b.  Yang and Salman's networks have w and b of the hidden layers here too, and
        trained = "all".

    Returns
    -------
    (K,) float64 array
        Over all degrees they add to 1.

    Raises
    ------
    NtkspecError
        As for `ntkspec.spectrum`, and for variances that are not allowed.

    Examples
    --------
    >>> fractional_variances("relu", Cube(3))
    array([0.15204336, 0.5       , 0.34795664, 0.        ])
    """
    source = as_network(network)
    weight, bias = _checked_readout(readout)
    cube = domain if isinstance(domain, Cube) else Cube(domain)
    found = spectrum(source, cube, degrees, kernel=kernel)
    with working_precision(96):
        top = float(Layers(source, kernel).at_one().mid())
    whole = weight * top + bias
    shares = np.empty(found.degrees.size)
    for i, k in enumerate(found.degrees.tolist()):
        count = math.comb(cube.dim, k)
        m, e = _times(float(found.mantissas[i]), int(found.exponents[i]), count)
        shares[i] = math.ldexp(weight * m / whole, e) + (bias / whole if k == 0 else 0.0)
    return shares


def _times(mantissa: float, exponent: int, whole: int) -> tuple[float, int]:
    """A scaled number times an integer of any size."""
    shift = max(whole.bit_length() - 64, 0)
    return mantissa * float(whole >> shift), exponent + shift


def _checked_readout(readout: tuple[float, float]) -> tuple[float, float]:
    try:
        weight, bias = (as_number(x) for x in readout)
    except (TypeError, ValueError):
        weight, bias = 0.0, 0.0
    if not (0.0 < weight < math.inf and 0.0 <= bias < math.inf):
        raise NtkspecError(
            f"readout = {shown(readout)} is not allowed; give the variances of its weights, "
            "positive, and of its bias, at least 0"
        )
    return weight, bias
