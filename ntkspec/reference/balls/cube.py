"""Eigenvalues on the Boolean cube, from values of the kernel in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from flint import acb, arb, fmpq

from ntkspec.errors import NtkspecError
from ntkspec.precision import exclusive, working_precision
from ntkspec.reference.balls.agreement import GROWTH
from ntkspec.reference.balls.kernels import GUARD_BITS
from ntkspec.reference.balls.parts import layers_of
from ntkspec.reference.cube import cube_eigenvalues
from ntkspec.reference.description import Kernel, Reference, describe
from ntkspec.reference.zeros import is_zero

__all__ = ["cube_references"]


@exclusive()
def cube_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 50,
) -> dict[tuple[int, int], Reference]:
    """Compute eigenvalues on the cube independently of the engine, by dimension and degree.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(cube_references("relu", {2: [1]}, digits=20)[2, 1].value, 10)
    '0.125'
    """
    net = describe(network)
    net.mixture(kernel)
    if net.weights != "gaussian":
        raise NtkspecError(f"weights = {net.weights!r} is not allowed on the cube")
    found = {}
    zero = partial(is_zero, net, kernel)
    for dim, wanted in degrees.items():

        def values(working: int, second: bool, dim: int = dim) -> tuple[list[int], int, int]:
            nats = working * math.log(10.0) + 10.0
            bits = int(nats / math.log(2.0)) + GUARD_BITS * (1 if net.smooth else 2)
            with working_precision(bits):
                kernels = layers_of(net, net.depth, nats * (GROWTH if second else 1.0))
                row = kernels.at([_point(dim, j) for j in range(dim + 1)])
                mine = row[kernel, net.depth, net.trained]
                noise = max(_fixed(arb(x.rad()), bits) for x in mine) + 1
                return [_fixed(x, bits) for x in mine], noise, bits

        for k, one in cube_eigenvalues(values, dim, wanted, digits, zero).items():
            method = f"Gaussian expectation of every layer in polar form, {dim + 1} cosines"
            found[dim, k] = Reference(one.value, one.error, method)
    return found


def _point(dim: int, j: int) -> acb:
    """e^(i theta) with cos(theta) = 1 - 2j/d."""
    return acb(fmpq(dim - 2 * j, dim), (arb(fmpq(4 * j * (dim - j), dim * dim))).sqrt())


def _fixed(ball: arb, bits: int) -> int:
    """The integer next to the midpoint in units of 2^-bits."""
    mantissa, exponent = (int(x) for x in ball.mid().man_exp())
    shift = exponent + bits
    return mantissa << shift if shift >= 0 else mantissa >> -shift
