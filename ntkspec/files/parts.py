"""The folder of parts beside a file that is to be: its lock, and what killed runs left there."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import followed, output_file, part_names
from ntkspec.files.seals import carries_seal
from ntkspec.files.text import printable

__all__ = ["clear", "is_locked", "is_part", "locked", "parts_folder", "sweep_up"]

#: How the contents of a lock begin.
SIGNATURE = b'{"pid": '
MOST_SIGNED = 2**16


def parts_folder(out: Path) -> Path:
    """Return the folder in which the parts of a file to be are kept: beside the file itself."""
    out = followed(out)
    return out.with_name(f"{out.name}.parts")


@contextmanager
def locked(out: Path, work: str, product: str, *, together: bool) -> Iterator[Path]:
    """Hold the lock of a file to be; give the folder of its parts.

    The lock goes with this process, however that ends.

    Parameters
    ----------
    out : Path
    work, product : str
        What is done and what it makes, for the sentence of an error: "sweep" and "table".
    together : bool
        Whether others may hold it too who say so, as shards do.

    Raises
    ------
    NtkspecError
        When another process is at work there: which; and when the file to be is a pipe or device.
    TableError
        When nothing can be written there, or something else has the name of the folder or lock.
    """
    output_file(out)
    folder = parts_folder(out)
    path = _lock(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        kind = "a symbolic link" if folder.is_symlink() else "a file"
        raise TableError(
            f"{folder}: this is {kind}, and the parts of the {product} need a folder of that name"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _opened_lock(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise TableError(f"{folder}: it cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NtkspecError(
                f"{out}: another {work} is at work on it ({_holder(file.fileno())})"
            ) from None
        except OSError as error:
            # Two would only do each other's work: parts appear whole, and are the same.
            print(
                printable(f"{path}: files cannot be locked here ({error.strerror})"),
                file=sys.stderr,
            )
        _sign(file.fileno())
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            with suppress(OSError):  # only where it is empty
                folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Whether anyone is at work in a folder of parts."""
    try:
        with _opened_lock(_lock(folder), os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, TableError):
        return False
    return False


def is_part(path: Path, names: re.Pattern[str]) -> bool:
    """Whether a path is a part made here, whole or damaged: by its name, kind and contents.

    Parameters
    ----------
    path : Path
    names : pattern
        Of the names of all parts of this kind of work.
    """
    if not (names.fullmatch(path.name) and _is_regular(path)):
        return False
    return path.suffix != ".h5" or carries_seal(path)


def sweep_up(folder: Path, out: Path, names: re.Pattern[str]) -> None:
    """Remove what killed runs left half written; the lock says that they are dead."""
    out = followed(out)
    inside = re.compile(f"(?:{names.pattern})" + part_names(""))
    beside = re.compile(part_names(out.name))
    for place, pattern in ((folder, inside), (out.parent, beside)):
        for path in list(place.iterdir()):
            if pattern.fullmatch(path.name) and _is_regular(path):
                path.unlink(missing_ok=True)


def clear(folder: Path, names: re.Pattern[str]) -> None:
    """Remove the parts that earlier runs made, and nothing else that lies in their folder."""
    for path in list(folder.iterdir()):
        if is_part(path, names):
            path.unlink(missing_ok=True)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _opened_lock(path: Path, flags: int) -> IO[bytes]:
    """Open a lock, and nothing else that has its name: its contents would be lost.

    Raises
    ------
    TableError
        When something else has its name.
    OSError
        When it cannot be opened.
    """
    if path.is_symlink():
        raise _not_a_lock(path)
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        start = (
            os.pread(handle, len(SIGNATURE), 0) if stat.S_ISREG(os.fstat(handle).st_mode) else b"no"
        )
        if not SIGNATURE.startswith(start):
            raise _not_a_lock(path)
        return os.fdopen(handle, "rb" if flags == os.O_RDONLY else "r+b", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def _not_a_lock(path: Path) -> TableError:
    return TableError(f"{path}: this is no lock of ntkspec's, and is in its way; move it elsewhere")


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _sign(handle: int) -> None:
    """Say in the lock's file who holds it."""
    who = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(who).encode(), 0)


def _holder(handle: int) -> str:
    try:
        who = json.loads(os.pread(handle, MOST_SIGNED, 0))
        return f"process {who['pid']} on {who['host']}: {who['command']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "one that did not sign"
