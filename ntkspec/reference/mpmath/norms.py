"""Largest eigenvalues of degrees for any law of the norm, from those on the sphere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.reference.description import Kernel, describe_for_mpmath, scaled_exactly
from ntkspec.reference.mpmath.spectrum import GaussJacobiValue, gauss_jacobi_spectra
from ntkspec.reference.norms import NormLaw

__all__ = ["ball_references"]


def ball_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 20,
    **law: Any,
) -> dict[tuple[int, int], GaussJacobiValue]:
    """Compute the largest eigenvalue of each degree independently of the engine.

    The law has the parameters of `ntkspec.reference.norms.NormLaw`.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(ball_references("relu", {3: [1]}, radius=2.0)[3, 1].value, 10)
    '0.2'
    """
    net = describe_for_mpmath(network)
    power = net.radial_power
    if power is None:
        raise NtkspecError(
            f"activation = {net.activation!r} is not allowed in a ball in the method 'mpmath', "
            "which takes powers without bias only; use method = 'balls'"
        )
    norms = NormLaw(**law)
    found = gauss_jacobi_spectra(net, degrees, kernel=kernel, digits=digits + 2)
    return {
        (dim, k): replace(
            one,
            **scaled_exactly(one, ("value", "error", "change"), norms.moment(dim, power), digits),
            method=f"{one.method}, times a moment of the norm",
        )
        for (dim, k), one in found.items()
    }
