"""Files that appear whole under their final name, or not at all, whatever the disk does."""

from __future__ import annotations

import _thread
import errno
import io
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import h5py

from ntkspec.errors import TableError
from ntkspec.files.seals import Numbers, seal

__all__ = ["NO_ROOM", "PART", "appearing", "appearing_hdf5", "waiting_for_disk", "write_whole"]

#: In the names of files that are being written.
PART = ".part-"
#: What a disk or a quota says when there is no room.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Seconds until a signal is raised again that came while HDF5 called back.
SOON = 0.01


#: Called when a file is written but not yet on the disk: whoever waits for it may let others work.
waiting_for_disk: ContextVar[Callable[[], None]] = ContextVar(
    "waiting_for_disk", default=lambda: None
)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a name in the same folder to write to; flush it and rename it at the end.

    The name is unique, so that two writers of the same file cannot meet.

    Raises
    ------
    TableError
        When the folder cannot be written, or the disk is full.
    """
    part = path.with_name(f"{path.name}{PART}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield part
        waiting_for_disk.get()()
        _flush(part)
        os.replace(part, path)
        _flush(path.parent)
    except OSError as error:
        if error.errno in (*NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM):
            raise TableError(f"{path}: it cannot be written ({error.strerror})") from None
        raise
    finally:
        with suppress(OSError):  # where nothing may be written there is nothing to remove
            part.unlink(missing_ok=True)


@contextmanager
def appearing_hdf5(
    path: Path, bytes_needed: int, numbers: Numbers | None = None
) -> Iterator[h5py.File]:
    """Give an HDF5 file to fill, which appears whole under its name; see `appearing`.

    Ctrl-C may come at any moment.

    Parameters
    ----------
    path : Path
    bytes_needed : int
        Bound on the size of the file: where there is less room nothing is begun.
    numbers : Numbers, optional
        The file gets a seal, in which these arrays have checksums of their own; who writes the
        file may fill it as he goes.
    """
    with appearing(path) as part:
        if shutil.disk_usage(path.parent).free < bytes_needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _signals_wait(), _Enduring(part) as plain:
            with h5py.File(plain, "w") as file:
                yield file
                if numbers is not None:
                    kind = str(file.attrs.get("format", ""))
                    arrays, chunks = numbers.located(file)
            plain.complain()
        if numbers is not None:
            seal(part, kind, arrays, chunks)


class _Enduring(io.RawIOBase):
    """A file that takes everything and complains at the end.

    HDF5 crashes the process when it cannot write; so it hears of no error, and its file is thrown
    away afterwards.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._at = 0
        self._error: OSError | None = None

    def complain(self) -> None:
        """Raise the first error there was."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset if whence == os.SEEK_SET else self._file.seek(offset, whence)
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._file.fileno(), [buffer], self._at)
        self._at += count
        return count

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        at = self._at
        try:
            while rest and self._error is None:
                count = os.pwrite(self._file.fileno(), rest, at)
                rest, at = rest[count:], at + count
        except OSError as error:
            self._error = error
        self._at += size
        return size

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        try:
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let no handler of a signal raise within a method of `_Enduring`: HDF5 would crash.

    Signals that come there come again a little later.
    """
    handlers: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if _called_by_hdf5(frame):
            # Not by threading, which would wait here until the thread has begun.
            _thread.start_new_thread(_again, (number,))
        else:
            handlers[number](number, frame)

    if threading.current_thread() is threading.main_thread():  # no other runs handlers
        found = {number: signal.getsignal(number) for number in signal.valid_signals()}
        handlers |= {number: handler for number, handler in found.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _again(number: int) -> None:
    time.sleep(SOON)
    signal.raise_signal(number)


def _called_by_hdf5(frame: FrameType | None) -> bool:
    """Whether a frame is of a method of `_Enduring`, or was called by one."""
    while frame is not None:
        if frame.f_code in _CALLED_BY_HDF5:
            return True
        frame = frame.f_back
    return False


_CALLED_BY_HDF5 = {
    method.__code__ for method in vars(_Enduring).values() if isinstance(method, FunctionType)
}


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole."""
    with appearing(path) as part:
        part.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
