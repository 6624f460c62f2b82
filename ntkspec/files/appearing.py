"""Files that appear complete under their final name or not at all, even on a full disk."""

from __future__ import annotations

import _thread
import errno
import io
import os
import re
import secrets
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any, TextIO

import h5py

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.placed import Placed
from ntkspec.files.seals import Numbers, begins_as_hdf5, carries_seal, copy_structure, seal

__all__ = [
    "appearing",
    "appearing_hdf5",
    "appearing_text",
    "check_outputs",
    "check_part",
    "followed",
    "is_own",
    "is_stream",
    "output_file",
    "part_names",
    "waiting_for_disk",
    "write_whole",
    "writing",
]

#: In the names of files that are being written, before the process and a random number.
PART = ".part-"
#: Errors of a full disk or an exceeded quota.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Errors for names under which nothing can be written.
NOT_WRITABLE = (
    *NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EISDIR, errno.EBADF,
)  # fmt: skip
#: Arrays of so many bytes begin at a page, where they are written faster.
ALIGNED, PAGE = 2**18, 2**12
#: Symbolic links that one path may go through, as in Linux.
MOST_LINKS = 40
#: Seconds until a signal that arrived during a callback of HDF5 is raised again.
SOON = 0.01
#: Seconds to wait for the reader of a pipe, and between two attempts.
READER_SECONDS, LOOK_SECONDS = 10.0, 0.05


#: Called when a file is written but not yet on the disk, so that other work can go on meanwhile.
waiting_for_disk: ContextVar[Callable[[], None]] = ContextVar(
    "waiting_for_disk", default=lambda: None
)


# --- resolving output paths ----------------------------------------------------------------------


def followed(path: Path) -> Path:
    """Return the final target of a symbolic link, or the path itself."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a character device or an open descriptor, written directly."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or _descriptor(path) is not None


def output_file(path: Path) -> Path:
    """Return the file that an output replaces: the path, or the target of its symbolic links.

    It need not exist yet: a dangling link stands for the file that it names.  Raises an
    NtkspecError for a pipe, device, socket, open descriptor or loop of links, and a TableError for
    a folder or a write-protected file.
    """
    target = followed(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return target
    except NotADirectoryError:
        raise TableError(f"{path}: {path.parent} is not a folder") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NtkspecError(
                f"output = {str(path)!r} is a symbolic link that leads back to itself; give a file"
            ) from None
        raise TableError(f"{path} cannot be written ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        raise TableError(f"{path} is a folder; give the name of a file")
    if not stat.S_ISREG(mode) or _descriptor(path) is not None:
        raise NtkspecError(
            f"output = {str(path)!r} is {_kind(mode)}; give the name of a regular file"
        )
    if not (mode & 0o222 and os.access(target, os.W_OK)):
        raise TableError(f"{path} is write-protected; remove it, or give another name")
    return target


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path], *, streams: bool = False
) -> None:
    """Check outputs before any work is done; `streams` allows pipes and devices.

    Raises as `output_file`, and an NtkspecError for an output that would replace an input, or a
    part of one.
    """
    sources = list(inputs)
    for output in outputs:
        if streams and is_stream(output):
            continue
        target = output_file(output)
        for source in sources:
            folders = (source, source.with_name(f"{source.name}.parts"))
            if _same(target, source) or (
                target.exists() and any(_same(target.parent, folder) for folder in folders)
            ):
                raise NtkspecError(
                    f"output = {str(output)!r} would replace the input {str(source)!r}; "
                    "give it another name"
                )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _descriptor(path: Path) -> int | None:
    """The open descriptor that a path such as /dev/stdout or /dev/fd/3 names."""
    for _ in range(MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if path.name.isdecimal() and re.fullmatch(rf"/proc/{os.getpid()}(/task/\d+)?/fd", folder):
            return int(path.name)
        if not path.is_symlink():
            break
        path = Path(folder, os.readlink(path))
    return None


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "an open file")


def part_names(name: str) -> str:
    """Return a regular expression for the names under which a file of a name is written."""
    return re.escape(name) + re.escape(PART) + r"[0-9]+-[0-9a-f]{8}"


# --- complete files ------------------------------------------------------------------------------


@contextmanager
def appearing(path: Path, *, follow: bool = True, over: Path | None = None) -> Iterator[Path]:
    """Yield a temporary name in the same folder; flush the file and rename it at the end.

    The name is unique, so that two writers of the same file do not collide.  The new file gets the
    owner and the permissions of the file that it replaces.  With `follow` a symbolic link is kept
    and its target replaced; without it the file is one of the program's own: see `check_part`.
    With `over`, a file that has the chunks of the new one, the rest is written into that file,
    which is renamed.  Raises as `output_file`, and a TableError if the folder cannot be written or
    the disk is full.
    """
    if not follow:
        check_part(path)
    target = output_file(path) if follow else path
    if not target.parent.is_dir():
        raise TableError(f"{path}: the folder {target.parent} does not exist")
    part = target.with_name(f"{target.name}{PART}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with writing(path):
            yield part
            waiting_for_disk.get()()
            if over is not None:
                copy_structure(part, over)
            made = over or part
            if follow:
                _copy_owner(target, made)
            _flush(made)
            os.replace(made, target)
            _flush(target.parent)
    finally:
        with suppress(OSError):  # where nothing may be written there is nothing to remove
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise a TableError for errors of a full disk or a name that cannot be written."""
    try:
        yield
    except OSError as error:
        hidden = f"{path.name}{PART}" in str(error.filename)  # as on /proc, which has no new files
        if error.errno in NOT_WRITABLE or (hidden and error.errno == errno.ENOENT):
            raise TableError(f"{path} cannot be written ({error.strerror})") from None
        raise


def check_part(path: Path) -> None:
    """Raise TableError if a foreign file has the name of a part; see `is_own`."""
    try:
        about = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise TableError(f"{path} cannot be written ({error.strerror})") from None
    if not (stat.S_ISREG(about.st_mode) and is_own(path)):
        raise TableError(
            f"{path} was not written by ntkspec, which needs a file of that name; move it elsewhere"
        )


def is_own(path: Path) -> bool:
    """Whether a regular file with the name of a part may be one, whole or damaged.

    Files named .h5 are not without HDF5's signature and a seal.
    """
    return path.suffix != ".h5" or begins_as_hdf5(path) or carries_seal(path)


def _copy_owner(old: Path, new: Path) -> None:
    """Give the new file the owner and permissions of the old one, as far as allowed."""
    try:
        about = old.stat()
    except FileNotFoundError:
        return
    mine = new.stat()
    if (about.st_uid, about.st_gid) != (mine.st_uid, mine.st_gid):
        with suppress(OSError):
            os.chown(new, about.st_uid, about.st_gid)
    new.chmod(stat.S_IMODE(about.st_mode) & 0o777)


@contextmanager
def appearing_text(path: Path) -> Iterator[TextIO]:
    """Yield a text file to write, which appears complete; pipes and devices are written directly.

    Raises as `appearing`, and an NtkspecError for a pipe without a reader.
    """
    if is_stream(path):
        try:
            with _opened(path) as stream:
                yield stream
        except BrokenPipeError:
            raise
        except OSError as error:
            raise TableError(f"{path} cannot be written ({error.strerror})") from None
        return
    with appearing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file


def _opened(path: Path) -> TextIO:
    """Open a pipe, a device or a descriptor."""
    number = _descriptor(path)
    if number is not None:
        sys.stdout.flush()  # which may share the descriptor
        handle = os.dup(number)
    else:
        handle = _opened_pipe(path)
    return open(handle, "w", encoding="utf-8", newline="")


def _opened_pipe(path: Path) -> int:
    """Open a pipe that has a reader, or a device."""
    deadline = time.monotonic() + READER_SECONDS
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            os.set_blocking(handle, True)
            return handle
        if time.monotonic() > deadline:
            raise NtkspecError(
                f"output = {str(path)!r} is a pipe without a reader; start the reader first"
            )
        time.sleep(LOOK_SECONDS)


@contextmanager
def appearing_hdf5(
    path: Path,
    bytes_needed: int,
    numbers: Numbers | None = None,
    *,
    follow: bool = True,
    over: Path | None = None,
) -> Iterator[h5py.File]:
    """Yield an HDF5 file to write, which appears complete under its name; see `appearing`.

    Safe against Ctrl-C at any moment.  Nothing is written if the disk has less room than
    `bytes_needed`.  With `numbers` the file is sealed, with separate checksums for the chunks of
    these arrays; the writer may fill it while writing.
    """
    with appearing(path, follow=follow, over=over) as part:
        if shutil.disk_usage(part.parent).free < bytes_needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _signals_wait(), _Enduring(part) as plain:
            # Older chunk indexes take up two thirds of a small table's metadata.
            aligned = dict(alignment_threshold=ALIGNED, alignment_interval=PAGE)
            with h5py.File(plain, "w", libver=("v110", "v110"), **aligned) as file:
                yield file
                if numbers is not None:
                    kind = str(file.attrs.get("format", ""))
                    arrays, chunks = numbers.located(file)
            if plain.error is not None:
                raise plain.error
        if numbers is not None:
            with part.open("r+b") as closed:
                for name, array in arrays.items():
                    if name in numbers.contents:
                        placed = Placed(int(chunks["offset"][array.first]), array)
                        values = numbers.contents.pop(name)  # which frees their memory
                        digests = placed.write(closed.fileno(), (0, 0), values).ravel()
                        chunks["digest"][array.first :][: digests.size] = digests
                        del values
            numbers.fingerprint = seal(part, kind, arrays, chunks)


class _Enduring(io.FileIO):
    """A file that accepts every write and reports errors at the end.

    HDF5 crashes the process if a write fails, so errors are hidden from it and the file is
    discarded afterwards.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def readinto(self, buffer: Any) -> int:
        return super().readinto(buffer) or 0

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        end = self.tell() + size
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        self.seek(end)
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Keep signal handlers from raising within a method of `_Enduring`: HDF5 would crash.

    Also while a file is opened or closed.  A signal that arrives there is raised again a little
    later.
    """
    handlers: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if _called_by_hdf5(frame):
            # Not by threading, which would wait here until the thread has begun.
            _thread.start_new_thread(_raise_again, (number,))
        else:
            handlers[number](number, frame)

    if threading.current_thread() is threading.main_thread():  # only the main thread runs handlers
        found = {number: signal.getsignal(number) for number in signal.valid_signals()}
        handlers |= {number: handler for number, handler in found.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _raise_again(number: int) -> None:
    time.sleep(SOON)
    signal.raise_signal(number)


def _called_by_hdf5(frame: FrameType | None) -> bool:
    """Whether a frame is of a method of `_CALLED_BY_HDF5`, or was called by one."""
    while frame is not None:
        if frame.f_code in _CALLED_BY_HDF5:
            return True
        frame = frame.f_back
    return False


#: A file that is left half opened or half closed would be closed after its `_Enduring`.
_CALLED_BY_HDF5 = {
    method.__code__
    for method in (*vars(_Enduring).values(), h5py.File.__init__, h5py.File.close)
    if isinstance(method, FunctionType)
}


def write_whole(path: Path, text: str, *, follow: bool = True) -> None:
    """Write a complete text file; `follow` as for `appearing`."""
    with appearing(path, follow=follow) as part:
        part.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
