"""The folder of parts beside a file that is to be: its lock, and what killed runs left there."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import PART

__all__ = ["clear", "is_locked", "locked", "parts_folder", "sweep_up"]


def parts_folder(out: Path) -> Path:
    """Return the folder in which the parts of a file to be are kept."""
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
        When another process is at work there: which.
    TableError
        When nothing can be written there.
    """
    folder = parts_folder(out)
    path = _lock(folder)
    if out.is_dir():
        raise TableError(f"{out}: this is a folder, and a {product} is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise TableError(f"{folder}: it cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NtkspecError(
                f"{out}: another {work} is at work on it ({_holder(path)})"
            ) from None
        except OSError as error:
            # Two would only do each other's work: parts appear whole, and are the same.
            print(f"{path}: no lock is to be had here ({error.strerror})", file=sys.stderr)
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
        with _lock(folder).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def sweep_up(folder: Path, out: Path) -> None:
    """Remove what killed runs left half written; the lock says that they are dead."""
    name = glob.escape(out.name)
    for path in (*folder.glob(f"*{PART}*"), *out.parent.glob(f"{name}{PART}*")):
        path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Throw away what earlier runs did."""
    shutil.rmtree(folder)
    folder.mkdir()


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _sign(handle: int) -> None:
    """Say in the lock's file who holds it."""
    who = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    os.truncate(handle, 0)
    os.write(handle, json.dumps(who).encode())


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}: {who['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "one that did not sign"
