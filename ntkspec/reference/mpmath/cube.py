"""Eigenvalues on the Boolean cube, from values of the kernel in mpmath's arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.locks import PROCESS_STATE
from ntkspec.reference.cube import cube_eigenvalues
from ntkspec.reference.description import Kernel, describe_for_mpmath
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.kernels import NetworkKernel, lost_digits
from ntkspec.reference.mpmath.spectrum import GaussJacobiValue
from ntkspec.reference.zeros import is_zero

__all__ = ["cube_references"]


def cube_references(
    network: Any,
    degrees: Mapping[int, Iterable[int]],
    *,
    kernel: Kernel = "ntk",
    digits: int = 20,
) -> dict[tuple[int, int], GaussJacobiValue]:
    """Compute eigenvalues on the cube independently of the engine, by dimension and degree.

    Examples
    --------
    >>> import mpmath
    >>> mpmath.nstr(cube_references("relu", {2: [1]})[2, 1].value, 10)
    '0.125'
    """
    net = describe_for_mpmath(network)
    net.mixture(kernel)
    if net.weights != "gaussian":
        raise NtkspecError(f"weights = {net.weights!r} is not allowed on the cube")
    found = {}
    zero = partial(is_zero, net, kernel)
    for dim, wanted in degrees.items():

        def values(working: int, second: bool, dim: int = dim) -> tuple[list[int], int, int]:
            precision = Precision(working + lost_digits(net) + net.depth)
            points = [1 - precision.mp.mpf(2 * j) / dim for j in range(dim + 1)]
            row = NetworkKernel(precision, net, kernel, second).values(points)
            return [precision.fixed(x) for x in row], 0, precision.bits

        with PROCESS_STATE:
            for k, one in cube_eigenvalues(values, dim, wanted, digits, zero).items():
                method = f"sum over the {dim + 1} cosines of the cube"
                found[dim, k] = GaussJacobiValue(one.value, one.error, method, one.change, dim + 1)
    return found
