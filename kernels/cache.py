"""The folder of compiled code, writable by this user only.

numba unpickles the files in its cache, so anyone who can write there can run code as this user.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cache_folder", "is_private"]

#: Environment variable with the temporary folder, for child processes.
INHERITED = "NTKSPEC_KERNEL_CACHE"
#: Symbolic links that one path may go through, as in Linux.
MOST_LINKS = 40
PRIVATE = 0o700


def cache_folder(digest: str) -> Path:
    """Return the folder of the code compiled from the sources of a digest; make it if needed.

    It is ``ntkspec/kernels-DIGEST`` in NUMBA_CACHE_DIR, XDG_CACHE_HOME or ``~/.cache``.  Where
    that cannot be written, or others could write there, it is a new temporary folder, which is
    removed at the end of this process and shared with the processes that this one starts.

    Raises
    ------
    ImportError
        When there is no place at all that others cannot write.
    """
    root = _root()
    folder = root / "ntkspec" / f"kernels-{digest}" if root else None
    if folder and _made(folder):
        return folder
    inherited = Path(os.environ.get(INHERITED, ""))
    if inherited.is_absolute() and inherited.name.endswith(f"-{digest}") and is_private(inherited):
        return inherited
    fresh = _fresh(digest)
    os.environ[INHERITED] = str(fresh)
    warnings.warn(
        f"{folder or 'the cache folder'} cannot be written, or others could write there: this "
        "process compiles its functions again, which takes up to a minute; let NUMBA_CACHE_DIR "
        "name a folder that only you can write (chmod 700)",
        RuntimeWarning,
        stacklevel=3,
    )
    return fresh


def is_private(folder: Path) -> bool:
    """Whether a folder is this user's, of mode 0700, and cannot be replaced by others.

    Every folder above it, links included, is this user's or root's, and others can write there
    only under the sticky bit, which leaves our entries alone.
    """
    try:
        about = folder.lstat()
        return (
            stat.S_ISDIR(about.st_mode)
            and about.st_uid == os.geteuid()
            and stat.S_IMODE(about.st_mode) & 0o777 == PRIVATE
            and all(map(_is_safe, _above(folder)))
        )
    except OSError:
        return False


def _root() -> Path | None:
    """Folders for caches; relative paths and an unknown home are ignored."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given).absolute()
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    home = os.path.expanduser("~")  # "~" unchanged if the home is unknown
    return Path(home, ".cache") if os.environ.get("HOME") != "" and os.path.isabs(home) else None


def _made(folder: Path) -> bool:
    """Make a folder and missing ones above it; return whether it is private."""
    missing = []
    at = folder
    while not os.path.lexists(at):
        missing.append(at)
        at = at.parent
    try:
        if not all(map(_is_safe, _above(at / "any"))):
            return False  # do not make a folder that others could replace
        for one in reversed(missing):
            one.mkdir(PRIVATE, exist_ok=True)
    except OSError:
        return False
    return is_private(folder) and os.access(folder, os.W_OK | os.X_OK)


def _above(path: Path) -> Iterator[os.stat_result]:
    """Status of each folder and link above an entry, from the root on.

    Raises
    ------
    OSError
        When one is missing or inaccessible, or links form a loop.
    """
    at, left, links = Path(path.anchor), list(reversed(path.parent.parts[1:])), 0
    yield at.lstat()
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent
            continue
        about = (at / name).lstat()
        yield about
        if not stat.S_ISLNK(about.st_mode):
            at = at / name
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(f"{path}: too many symbolic links")
        target = Path(os.readlink(at / name))
        if target.is_absolute():
            at = Path(target.anchor)
        left += [part for part in reversed(target.parts) if part != target.anchor]


def _is_safe(about: os.stat_result) -> bool:
    """Whether others cannot replace this user's entries in a folder, or a link's target."""
    if about.st_uid not in (0, os.geteuid()):
        return False
    if stat.S_ISLNK(about.st_mode):
        return True
    others_write = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(about.st_mode) and (not others_write or bool(about.st_mode & stat.S_ISVTX))


def _fresh(digest: str) -> Path:
    """Make a folder with an unpredictable name, which is removed at exit."""
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        try:
            folder = Path(tempfile.mkdtemp("-" + digest, "ntkspec-kernels-", place))
        except OSError:
            continue
        if is_private(folder):
            atexit.register(_remove, folder, os.getpid())
            return folder
        shutil.rmtree(folder, ignore_errors=True)
    raise ImportError(
        "there is no folder for compiled code that others cannot write; let NUMBA_CACHE_DIR name "
        "one (chmod 700)"
    )


def _remove(folder: Path, process: int) -> None:
    """Remove the folder, in the process that made it: not in one forked from it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
