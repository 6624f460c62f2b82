"""Eigenvalues under the Gaussian measure, in ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.precision import exclusive
from ntkspec.reference.balls.agreement import agreed_value
from ntkspec.reference.balls.eigenvalue import reference_eigenvalue
from ntkspec.reference.balls.radial import RadialOperator
from ntkspec.reference.description import (
    Description,
    Kernel,
    Reference,
    describe,
    radial_moment,
    scaled_exactly,
)

__all__ = ["gaussian_references"]

#: Of smooth networks, whose matrices grow with the digits.
MOST_DIGITS = 15


@exclusive()
def gaussian_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 50,
) -> dict[tuple[int, int], Reference]:
    """Compute the largest eigenvalue of each degree independently of the engine.

    Of smooth networks to 15 digits at most.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(gaussian_references("relu", {3: [1]}, digits=20)[3, 1].value, 10)
    '0.08333333333'
    """
    net = describe(network)
    if net.weights != "gaussian" or not (net.smooth or net.radial_power is not None):
        raise NtkspecError(
            f"activation = {net.activation!r} with weights = {net.weights!r} and bias_variance = "
            f"{net.bias_variance} is not allowed under the Gaussian measure; use a smooth "
            "activation or powers without bias, and Gaussian weights"
        )
    return {
        (dim, k): _reference(net, kernel, dim, k, digits)
        for dim, wanted in degrees.items()
        for k in wanted
    }


def _reference(net: Description, kernel: Kernel, dim: int, degree: int, digits: int) -> Reference:
    power = net.radial_power
    if power is None:
        digits = min(digits, MOST_DIGITS)
        return agreed_value(RadialOperator(net, kernel, dim, degree, digits), digits)
    one = reference_eigenvalue(net, dim, degree, kernel=kernel, digits=digits + 2)
    scaled = scaled_exactly(one, ("value", "error"), radial_moment(dim, power), digits)
    return replace(one, **scaled, method=f"{one.method}, times a moment of the radius")
