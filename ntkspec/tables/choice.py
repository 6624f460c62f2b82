"""Choosing dimensions and degrees of a table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError

__all__ = ["Choice", "chosen"]

Choice = int | Iterable[int] | None
#: Values that a choice may have, repeated ones counted.
MOST = 2**24


def chosen(
    have: NDArray[np.int64], want: Choice, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of wanted values among those there are, and the values.

    Parameters
    ----------
    have : int64 array
        Increasing.
    want : int or iterable of int, optional
        All if not given.
    name : str
        "dim" or "degree", for the sentence of an error.

    Raises
    ------
    NtkspecError
        When these are no whole numbers in one row, or one is not there.

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
        raise _absent(values[missing][0], have, name)
    return at, values


def _whole_numbers(want: Any, have: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    if isinstance(want, range) and abs(want.stop - want.start) > MOST * abs(want.step):
        # More values than an axis can have; they are not listed.
        for end in (want[0], want[-1]):
            if not have[0] <= end <= have[-1]:
                raise _absent(end, have, name)
        raise NtkspecError(f"{name} has more than {MOST} values; choose fewer at once")
    if isinstance(want, np.ndarray):
        listed: Any = want
    elif isinstance(want, Iterable) and not isinstance(want, (str, bytes)):
        listed = list(islice(want, MOST + 1))
    else:
        listed = want
    try:
        values = np.atleast_1d(np.asarray(listed))
    except (ValueError, TypeError, OverflowError):
        raise _no_numbers(want, name) from None
    if values.dtype.kind == "O" and all(type(value) is int for value in values.flat):
        raise _absent(next(v for v in values.flat if abs(v) > have[-1]), have, name)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu":
        raise _no_numbers(want, name)
    if values.size > MOST:
        raise NtkspecError(f"{name} has more than {MOST} values; choose fewer at once")
    if values.dtype.kind == "u" and (beyond := values > have[-1]).any():
        raise _absent(values[beyond][0], have, name)
    return values.astype(np.int64)


def _absent(value: Any, have: NDArray[np.int64], name: str) -> NtkspecError:
    return NtkspecError(
        f"{name} = {value} is not in the table, which has {have.size} from {have[0]} to {have[-1]}"
    )


def _no_numbers(want: Any, name: str) -> NtkspecError:
    shown = repr(want)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return NtkspecError(f"{name} = {shown} is not allowed; give whole numbers")
