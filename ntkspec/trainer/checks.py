"""Checks of points, of values at points, and of functions on the sphere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import numbers, shown, target_values, whole_number

__all__ = ["checked_degree", "checked_dim", "checked_values", "checked_vectors", "function_values"]

Array = NDArray[np.float64]

#: Largest distance from the sphere of a vector that counts as a point on it.
OFF_SPHERE = 1e-8
#: Largest norm of a vector, and number of a target: squares of kernels must not overflow.
MOST_NORM, MOST_VALUE = 1e50, 1e100


def checked_dim(dim: int) -> int:
    """Return a dimension, or raise."""
    return whole_number(dim, "dim", least=2)


def checked_degree(degree: int) -> int:
    """Return a degree, or raise."""
    return whole_number(degree, "degree", least=0)


def checked_vectors(x: ArrayLike, dim: int | None = None, tolerance: float = OFF_SPHERE) -> Array:
    """Return points on the sphere as an (n, dim) array of float64, not normalized, or raise.

    An infinite tolerance allows vectors of any finite norm.
    """
    try:
        array = numbers(x, "points")
    except NtkspecError:
        raise NtkspecError(
            f"points = {shown(x)} is not allowed; points must be an (n, dim) array of numbers"
        ) from None
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise NtkspecError(
            f"points of shape {array.shape} are not allowed; give (n, dim), n >= 1, dim >= 2"
        )
    if dim is not None and array.shape[1] != dim:
        raise NtkspecError(f"points have dimension {array.shape[1]}; dim = {dim} is needed")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(array, axis=1)
    off = ~(np.abs(norms - 1.0) <= tolerance) | ~(norms <= MOST_NORM)
    if off.any():
        i = int(np.flatnonzero(off)[0])
        raise NtkspecError(
            f"points[{i}] has norm {norms[i]:.10g}; "
            + (
                f"all norms must be 1 to {tolerance:g}"
                if tolerance < np.inf
                else f"give numbers, of norm up to {MOST_NORM:g}"
            )
        )
    return array


def checked_values(
    values: ArrayLike, n: int, name: str, places: str = "points", *, finite: bool = False
) -> Array:
    """Return one number for each of n places as a contiguous array of float64, or raise."""
    try:
        array = np.ascontiguousarray(target_values(values, name))
    except NtkspecError:
        raise NtkspecError(
            f"{name} = {shown(values)} is not allowed; {name} must be numbers, one for each of {n} "
            f"{places}"
        ) from None
    if array.shape != (n,):
        raise NtkspecError(
            f"{name} of shape {array.shape} is not allowed; give one value for each of {n} {places}"
        )
    if finite and not (small := np.abs(array) <= MOST_VALUE).all():
        i = int(np.flatnonzero(~small)[0])
        raise NtkspecError(
            f"{name}[{i}] = {array[i]} is not allowed; all must be finite, up to {MOST_VALUE:g}"
        )
    return array


def function_values(function: Callable[[Array], ArrayLike], x: Array, name: str) -> Array:
    """Return the values (n,) of a user's function at points (n, dim), finite, or raise."""
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused
            values = target_values(function(x), "a value").copy()
    except Exception as error:  # whatever a user's function raises
        raise NtkspecError(
            f"{name} failed on an (n, dim) array: {type(error).__name__}: {error}"
        ) from error
    if values.shape != x.shape[:1]:
        raise NtkspecError(
            f"{name} returned shape {values.shape} for {x.shape[0]} points; it must map (n, dim) "
            "to (n,)"
        )
    if not np.isfinite(values).all():
        i = int(np.flatnonzero(~np.isfinite(values))[0])
        raise NtkspecError(f"{name} is {values[i]} at points[{i}]; it must be finite everywhere")
    return values
