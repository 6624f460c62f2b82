"""The lock for libraries with state per process, python-flint and mpmath, and how to need no other.

python-flint has one precision for all threads, and mpmath 1.3 caches constants such as pi and
log(2); two threads at different precisions can corrupt these caches, even with separate contexts.
"""

from __future__ import annotations

import functools
import os
import threading
from types import TracebackType
from typing import Any, TypeVar, overload

__all__ = ["PROCESS_STATE", "ForkSafeLock", "cached_property"]

T = TypeVar("T")


class cached_property(functools.cached_property[T]):  # noqa: TID251
    """`functools.cached_property` without the lock that Python 3.11 holds while it computes.

    That lock stays locked in a child that is forked meanwhile, and two threads that take it and
    `PROCESS_STATE` in different orders wait for each other.  Two threads may compute one value;
    both get that of the first.

    Examples
    --------
    >>> class Square:
    ...     @cached_property
    ...     def area(self) -> float:
    ...         return 4.0
    >>> Square().area
    4.0
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> cached_property[T]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Any:
        """Return the value, computed if it is asked for the first time."""
        if instance is None:
            return self
        known, name = instance.__dict__, self.attrname
        assert name is not None  # by __set_name__
        if name not in known:
            known.setdefault(name, self.func(instance))
        return known[name]


class ForkSafeLock:
    """A reentrant lock that is free in a forked child.

    It stays locked there only if the thread that forked holds it.

    Examples
    --------
    >>> with PROCESS_STATE, PROCESS_STATE:
    ...     pass
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._thread: int | None = None
        self._depth = 0
        os.register_at_fork(after_in_child=self._after_fork)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._thread = threading.get_ident()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._thread = None
        self._lock.release()

    def _after_fork(self) -> None:
        if self._thread not in (None, threading.get_ident()):
            self._lock, self._thread, self._depth = threading.RLock(), None, 0


PROCESS_STATE = ForkSafeLock()
