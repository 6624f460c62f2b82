"""The lock for libraries with state per process: python-flint and mpmath.

python-flint has one precision for all threads, and mpmath 1.3 caches constants such as pi and
log(2); two threads at different precisions can corrupt these caches, even with separate contexts.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType

__all__ = ["PROCESS_STATE", "ForkSafeLock"]


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
