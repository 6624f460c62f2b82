"""The folder with the parts of an output file: lock, disk space, and leftovers of killed jobs."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import followed, is_own, output_file, part_names
from ntkspec.files.text import printable
from ntkspec.jobs.provenance import command_line

__all__ = [
    "check_room",
    "clear",
    "is_locked",
    "is_part",
    "locked",
    "parts_folder",
    "resumable",
    "sweep_up",
]

logger = logging.getLogger(__name__)

#: First characters of a lock file.
SIGNATURE = b'{"pid": '
MOST_SIGNED = 2**16


def parts_folder(out: Path) -> Path:
    """Return the folder with the parts of an output file; it is next to the file."""
    out = followed(out)
    return out.with_name(f"{out.name}.parts")


@contextmanager
def locked(out: Path, work: str, product: str, *, together: bool) -> Iterator[Path]:
    """Hold the lock of an output file; yield the folder of its parts.

    The operating system releases the lock when this process ends, even if it is killed.  `work` and
    `product` are names for messages, such as "sweep" and "table".  Processes that pass `together`,
    as shards do, share the lock.  Raises an NtkspecError if another process holds it or the output
    is a pipe or a device, and a TableError if the folder cannot be written or a foreign file has
    its name.
    """
    output_file(out)
    folder = parts_folder(out)
    path = _lock(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        kind = "a symbolic link" if folder.is_symlink() else "a file"
        raise TableError(
            f"{folder} is {kind}; the parts of the {product} need a folder of that name, so move "
            "it elsewhere"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _opened_lock(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise TableError(f"{folder} cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NtkspecError(
                f"{out}: another {work} is writing it ({_holder(file.fileno())}); wait for it"
            ) from None
        except OSError as error:
            # Harmless: two processes would only repeat work, as parts are complete and equal.
            logger.warning(
                "%s", printable(f"{path}: locking is not supported here ({error.strerror})")
            )
        _sign(file.fileno())
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            with suppress(OSError):  # only if it is empty
                folder.rmdir()


@contextmanager
def resumable(out: Path, *, restart: bool) -> Iterator[None]:
    """Add to a KeyboardInterrupt how the interrupted work is resumed.

    Examples
    --------
    >>> try:
    ...     with resumable(Path("run.h5"), restart=True):
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt as interrupt:
    ...     print(*interrupt.__notes__)
    run.h5 is not finished; the same call without restart resumes the work
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        again = " without restart" if restart else ""
        interrupt.add_note(f"{out} is not finished; the same call{again} resumes the work")
        raise


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock of a folder of parts."""
    try:
        with _opened_lock(_lock(folder), os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, TableError):
        return False
    return False


def is_part(path: Path, names: re.Pattern[str]) -> bool:
    """Whether a path is a part of this kind of job, by its name, type and contents.

    A damaged part counts too.  `names` matches the names of all parts of this kind of job.
    """
    return bool(names.fullmatch(path.name)) and _is_regular(path) and is_own(path)


def sweep_up(folder: Path, out: Path, names: re.Pattern[str]) -> None:
    """Remove partial files of killed jobs; call it only while holding the lock."""
    out = followed(out)
    inside = re.compile(f"(?:{names.pattern})" + part_names(""))
    beside = re.compile(part_names(out.name))
    for place, pattern in ((folder, inside), (out.parent, beside)):
        for path in list(place.iterdir()):
            if pattern.fullmatch(path.name) and _is_regular(path):
                path.unlink(missing_ok=True)


def clear(folder: Path, names: re.Pattern[str]) -> None:
    """Remove the parts of earlier jobs; keep all other files in the folder."""
    for path in list(folder.iterdir()):
        if is_part(path, names):
            path.unlink(missing_ok=True)


def check_room(folder: Path, needed: float, what: str) -> None:
    """Raise TableError unless the disk of a folder has room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TableError(
            f"{folder}: {what} needs at least {needed / 1e9:.3g} GB of disk, and only "
            f"{free / 1e9:.3g} GB are free"
        )


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _opened_lock(path: Path, flags: int) -> IO[bytes]:
    """Open a lock file; refuse a foreign file of that name, whose contents would be lost."""
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
    return TableError(f"{path} is not a lock file of ntkspec; move it elsewhere")


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _sign(handle: int) -> None:
    """Write into the lock file which process holds it."""
    who = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": command_line(),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(who).encode(), 0)


def _holder(handle: int) -> str:
    try:
        who = json.loads(os.pread(handle, MOST_SIGNED, 0))
        return f"process {who['pid']} on {who['host']}: {who['command']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown process"
