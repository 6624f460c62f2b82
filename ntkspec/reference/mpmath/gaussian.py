"""Eigenvalues under the Gaussian measure, from those on the sphere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.reference.description import Kernel, describe_for_mpmath, radial_moment, scaled_exactly
from ntkspec.reference.mpmath.spectrum import GaussJacobiValue, gauss_jacobi_spectra

__all__ = ["gaussian_references"]


def gaussian_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 20,
) -> dict[tuple[int, int], GaussJacobiValue]:
    """Compute the largest eigenvalue of each degree independently of the engine.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(gaussian_references("relu", {3: [1]})[3, 1].value, 10)
    '0.08333333333'
    """
    net = describe_for_mpmath(network)
    power = net.radial_power
    if power is None:
        raise NtkspecError(
            f"activation = {net.activation!r} is not allowed under the Gaussian measure in the "
            "method 'mpmath', which takes powers without bias only; use method = 'balls'"
        )
    found = gauss_jacobi_spectra(net, degrees, kernel=kernel, digits=digits + 2)
    return {
        (dim, k): replace(
            one,
            **scaled_exactly(one, ("value", "error", "change"), radial_moment(dim, power), digits),
            method=f"{one.method}, times a moment of the radius",
        )
        for (dim, k), one in found.items()
    }
