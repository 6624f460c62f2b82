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

__all__ = ["lost", "remembered"]

Result = TypeVar("Result")


def lost(variance: str) -> NtkspecError:
    """The error of a variance whose ball holds no digit."""
    return NtkspecError(
        f"{variance} is lost to rounding; raise weight_variance or bias_variance, or lower depth"
    )


def remembered(maker: Callable[..., Result], size: int = 64) -> Callable[..., Result]:
    """Cache of a function of a ball and further hashable arguments, at the working precision."""
    kept: OrderedDict[Any, Result] = OrderedDict()

    @wraps(maker)
    def cached(q: arb, *arguments: Any) -> Result:
        if not q.is_finite():
            raise lost("a variance")
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
