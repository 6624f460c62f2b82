"""Eigenvalues under the Gaussian measure, in ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.precision import exclusive
from ntkspec.reference.balls.eigenvalue import reference_eigenvalue
from ntkspec.reference.description import (
    Kernel,
    Reference,
    describe,
    radial_moment,
    scaled_exactly,
)

__all__ = ["gaussian_references"]


@exclusive()
def gaussian_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 50,
) -> dict[tuple[int, int], Reference]:
    """Compute the largest eigenvalue of each degree independently of the engine.

    Parameters
    ----------
    network : Network or str
        With Gaussian weights; only its parameters are used.
    degrees : mapping from dim to iterable of int
    kernel : {"ntk", "nngp"}
    digits : int
        Correct decimal digits.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(gaussian_references("relu", {3: [1]}, digits=20)[3, 1].value, 10)
    '0.08333333333'
    """
    net = describe(network)
    power = net.radial_power
    found = {}
    for dim, wanted in degrees.items():
        for k in wanted:
            if power is None:
                raise NtkspecError(
                    f"activation = {net.activation!r} is not allowed under the Gaussian measure"
                )
            one = reference_eigenvalue(net, dim, k, kernel=kernel, digits=digits + 2)
            found[dim, k] = replace(
                one,
                **scaled_exactly(one, ("value", "error"), radial_moment(dim, power), digits),
                method=f"{one.method}, times a moment of the radius",
            )
    return found
