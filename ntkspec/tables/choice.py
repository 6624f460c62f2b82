"""Selection of dimensions and degrees of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import shown
from ntkspec.ranges import MOST, parse_range, whole_numbers

__all__ = ["Choice", "chosen"]

Choice = int | str | Iterable[int] | None


def chosen(
    have: NDArray[np.int64], want: Choice, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of wanted values in a table, and the values.

    Examples
    --------
    >>> chosen(np.array([2, 3, 10]), [10, 2], "dim")
    (array([2, 0]), array([10,  2]))
    """
    if want is None:
        return np.arange(have.size), have
    values = _whole_numbers(want, have, name)
    at = np.searchsorted(have, values)
    missing = (at >= have.size) | (have[np.minimum(at, have.size - 1)] != values)
    if missing.any():
        raise _absent(int(values[missing][0]), have, name)
    return at, values


def _whole_numbers(want: Any, have: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    if isinstance(want, str):
        want = parse_range(want, f"{name}s")
    if not isinstance(want, range) or not want:
        return whole_numbers(want, name, -MOST, MOST)
    first = want[: have.size + 1]  # if there are more, one of the first is not in the table
    if max(abs(first[0]), abs(first[-1])) > MOST:
        raise _absent(next(one for one in first if not have[0] <= one <= have[-1]), have, name)
    return np.fromiter(first, np.int64, len(first))


def _absent(value: Any, have: NDArray[np.int64], name: str) -> NtkspecError:
    return NtkspecError(
        f"{name} = {shown(value)} is not in the table, "
        f"which has {have.size} from {have[0]} to {have[-1]}"
    )
