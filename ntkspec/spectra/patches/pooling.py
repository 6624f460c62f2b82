"""Pooling: the matrix A of sum_ij A_ij kappa(<x_i, x'_j>), and its eigenvalues."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import numbers, shown

__all__ = ["Pooling", "pooling_of"]

Array = NDArray[np.float64]

UNIT = 2.0**-53
NAMES = ("sum", "mean")
#: Largest modulus of its entries, whose sums stay in the range of doubles.
LARGEST = 1e290
#: Most patches with a pooling matrix of the user's own.
MOST_PATCHES = 512
#: Bounds on the errors of eigenvalues beyond which they are computed with more digits, for
#: matrices of at most so many rows.
POOR, MOST_REFINED, DIGITS = 1e-13, 48, 40


@dataclass(frozen=True)
class Pooling:
    """Eigenvalues of A, each once and falling, and what the constant functions need.

    Attributes
    ----------
    eigenvalues, counts, errors : (R,) float64 arrays
        Eigenvalues, how often each occurs, and bounds on their relative errors.
    total : float
        The sum of the entries of A.
    name : str
        "none", "sum", "mean" or "matrix".

    Examples
    --------
    >>> pooling_of("sum", 3).total, pooling_of("sum", 3).counts
    (9.0, array([1., 2.]))
    """

    eigenvalues: Array
    counts: Array
    errors: Array
    total: float
    name: str


def pooling_of(given: Any, count: int) -> Pooling:
    """The pooling of `count` patches by its name, its matrix, or None.

    Raises
    ------
    NtkspecError
        For another name, and a matrix that is not symmetric and positive semidefinite.

    Examples
    --------
    >>> pooling_of(None, 4).eigenvalues, pooling_of("mean", 4).eigenvalues
    (array([0.25]), array([0.25, 0.  ]))
    >>> pooling_of([[2.0, 1.0], [1.0, 2.0]], 2).eigenvalues
    array([3., 1.])
    """
    if given is None:
        return Pooling(
            np.array([1.0 / count]), np.array([float(count)]), np.array([UNIT]), 1.0, "none"
        )
    if isinstance(given, str):
        if given not in NAMES:
            raise NtkspecError(
                f"pooling = {shown(given)} is not allowed; give None, 'sum', 'mean' or the matrix "
                "A of sum_ij A_ij kappa(<x_i, x_j>); pooling that is trained has no exact spectrum"
            )
        first = float(count) if given == "sum" else 1.0 / count
        kept = np.s_[: 1 if count == 1 else 2]
        return Pooling(
            np.array([first, 0.0])[kept], np.array([1.0, count - 1.0])[kept],
            np.array([UNIT, 0.0])[kept], first * count if given == "sum" else 1.0, given,
        )  # fmt: skip
    return _of_matrix(given, count)


def _of_matrix(given: ArrayLike, count: int) -> Pooling:
    a = numbers(given, "pooling")
    if a.shape != (count, count):
        raise NtkspecError(
            f"pooling of shape {a.shape} is not allowed; give a matrix of numbers of shape "
            f"({count}, {count}), a row for each patch"
        )
    if not np.all(np.abs(a) <= LARGEST):
        i, j = np.argwhere(~(np.abs(a) <= LARGEST))[0].tolist()
        raise NtkspecError(
            f"pooling[{i}, {j}] = {a[i, j]:g} is not allowed; give numbers of modulus up to "
            f"{LARGEST:g}"
        )
    if count > MOST_PATCHES:
        raise NtkspecError(
            f"pooling by a matrix is not allowed for count = {count}; give at most "
            f"{MOST_PATCHES} patches, or pooling = None, 'sum' or 'mean'"
        )
    if not np.array_equal(a, a.T):
        i, j = np.argwhere(a != a.T)[0].tolist()
        raise NtkspecError(
            f"pooling is not symmetric: A[{i}, {j}] = {a[i, j]:g}, A[{j}, {i}] = {a[j, i]:g}; give "
            "W.T @ W of the weights of the pooled sums"
        )
    found = np.linalg.eigvalsh(a)[::-1]
    # Rounded entries change eigenvalues by no more than this.
    rounding = 2.0 * count * UNIT * float(np.abs(found).max())
    if not found[0] > 0.0 or found[-1] < -4.0 * rounding:
        raise NtkspecError(
            f"pooling has the eigenvalue {found[-1]:.6g}, and no kernel is made of it; give a "
            "matrix that is positive semidefinite and not 0, such as W.T @ W"
        )
    positive = found[found > 4.0 * rounding]
    errors = 4.0 * rounding / positive
    if errors[-1] > POOR and count <= MOST_REFINED:
        with mpmath.workdps(DIGITS):
            exact = mpmath.eigsy(mpmath.matrix(a.tolist()), eigvals_only=True)
        positive = np.sort(np.array(exact, dtype=np.float64))[::-1][: positive.size]
        errors = np.full(positive.size, 2.0 * UNIT)
    total = math.fsum(a.ravel().tolist())
    if total <= 4.0 * rounding * count:
        total = 0.0
    zeros = count - positive.size
    none = np.zeros(1 if zeros else 0)
    return Pooling(
        np.append(positive, none), np.append(np.ones(positive.size), none + float(zeros)),
        np.append(errors, none), total, "matrix",
    )  # fmt: skip
