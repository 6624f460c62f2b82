"""Files that appear whole under their final name, or not at all; room on the disk made sure of."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import h5py

from ntkspec.errors import TableError

__all__ = ["NO_ROOM", "PART", "appearing", "appearing_hdf5", "write_whole"]

#: In the names of files that are being written.
PART = ".part-"
#: What a disk or a quota says when there is no room.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
def appearing_hdf5(path: Path, bytes_needed: int) -> Iterator[h5py.File]:
    """Give an HDF5 file to fill, which appears whole under its name; see `appearing`.

    Parameters
    ----------
    path : Path
    bytes_needed : int
        Bound on the size of the file.  The room is taken before anything is written: HDF5 crashes
        the process when the disk fills up under it.
    """
    with appearing(path) as part:
        with part.open("wb") as plain:
            plain.write(_empty_hdf5())
            plain.flush()
            _take_room(plain.fileno(), bytes_needed)
        with h5py.File(part, "r+") as file:
            yield file
        # What was taken beyond the end of the data is given back when HDF5 closes the file.


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole."""
    with appearing(path) as part:
        part.write_text(text, encoding="utf-8")


@lru_cache(maxsize=1)
def _empty_hdf5() -> bytes:
    with h5py.File("empty", "w", driver="core", backing_store=False) as file:
        file.flush()
        return bytes(file.id.get_file_image())


def _take_room(handle: int, size: int) -> None:
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        # Some file systems cannot.
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
