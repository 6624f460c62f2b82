"""Caches of values prepared for a ball at a precision.

Callers hold the lock of `ntkspec.precision`, like all computations with balls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flint import arb, ctx

from ntkspec.errors import NtkspecError

__all__ = ["remembered"]

Result = TypeVar("Result")


def remembered(maker: Callable[..., Result], size: int = 64) -> Callable[..., Result]:
    """Cache of a function of a ball and further hashable arguments, at the working precision."""
    kept: OrderedDict[Any, Result] = OrderedDict()

    @wraps(maker)
    def cached(q: arb, *arguments: Any) -> Result:
        if not q.is_finite():
            raise NtkspecError(
                "a variance is lost to rounding; raise weight_variance or bias_variance, or lower "
                "depth"
            )
        parts = (*q.mid().man_exp(), *q.rad().man_exp())
        key = (ctx.prec, *(int(part) for part in parts), *arguments)
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        result = kept[key] = maker(q, *arguments)
        if len(kept) > size:
            kept.popitem(last=False)
        return result

    return cached
