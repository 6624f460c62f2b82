"""Opening and reading of untrusted files, within bounds."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from ntkspec.errors import TableError

__all__ = ["opened_regular", "read_bounded"]


def opened_regular(path: Path, what: str) -> int:
    """Open a regular file; refuse a pipe or a device without waiting for it."""
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind):
            raise TableError(f"{path}: the {what} must be a regular file")
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except TableError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise TableError(f"{path}: the {what} is missing") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: the {what} cannot be read ({error})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise TableError(f"{path}: the {what} must be a regular file")
    return handle


def read_bounded(path: Path, what: str, most: int, *, streams: bool = False) -> bytes:
    """Read a small file of at most so many bytes; `streams` allows pipes and devices.

    `what` is its name in error messages.  Raises a TableError if it cannot be read or is larger; at
    most one byte more is read.
    """
    try:
        # A pipe's reader waits for its writer.
        with io.FileIO(path if streams else opened_regular(path, what)) as file:
            found = bytearray()
            while len(found) <= most and (part := file.read(most + 1 - len(found))):
                found += part
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TableError(f"{path}: the {what} cannot be read ({reason})") from None
    if len(found) > most:
        raise TableError(f"{path}: the {what} is larger than the {most} bytes allowed")
    return bytes(found)
