"""Vectors from files that people have: arrays of numpy and CSV."""

from __future__ import annotations

import io
import tokenize
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.inputs import opened_regular
from ntkspec.parameters import check_finite, shown, size_of

__all__ = ["FileVectors", "read_finite", "read_targets", "read_vectors"]

#: Bytes of a CSV file that are read; an array of numpy is read in parts and may be larger.
MOST_CSV = 2 * 10**9
#: Characters of a line that are looked at for a header.
MOST_HEADER = 2**20
#: What numpy raises for files that are damaged.
UNREADABLE = (
    EOFError, MemoryError, OSError, SyntaxError, TypeError, ValueError, tokenize.TokenError,
)  # fmt: skip


class FileVectors(NamedTuple):
    """An array that was read, and the path with the size of the file, for messages."""

    array: NDArray[Any]
    name: str


def read_vectors(path: Path, *, booleans: bool = False) -> FileVectors:
    r"""Read an array from a .npy file, by parts when they are used, or a .csv file.

    A CSV file may have a line of names at the top.  A first line with numbers and other cells is
    refused: it may be vectors with a number that is missing.  With booleans, True and False are
    read as 1 and 0.

    Returns
    -------
    FileVectors

    Raises
    ------
    TableError
        For a file that is missing, damaged, empty, or has anything but numbers: with its size.
    NtkspecError
        For a file of another kind.

    Examples
    --------
    >>> path = folder / "x.csv"
    >>> _ = path.write_text("height,width\n1,2\n3,4\n")
    >>> read_vectors(path).array
    array([[1., 2.],
           [3., 4.]])
    """
    kind = path.suffix.lower()
    if kind == ".npz":
        raise NtkspecError(
            f"{path} is not read, as it may hold several arrays; write one of them with "
            "numpy.save('X.npy', numpy.load('FILE.npz')['NAME'])"
        )
    if kind not in (".npy", ".csv"):
        raise NtkspecError(
            f"{path} is no .npy or .csv file; numpy.save('X.npy', X) writes an array of numpy"
        )
    with io.FileIO(opened_regular(path, "file")) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        name = f"{path} ({size_of(size)})"
        if size == 0:
            raise TableError(f"{name} is empty; give vectors in rows")
        try:
            found = (
                _from_csv(file, size, booleans)
                if kind == ".csv"
                else _from_numpy(path, file, booleans)
            )
            return FileVectors(found, name)
        except UNREADABLE as error:
            raise TableError(f"{name} cannot be read: {_reason(error)}") from None


def read_finite(path: Path, *, booleans: bool = False) -> NDArray[Any]:
    r"""Read an array as `read_vectors` does, and check that all numbers are finite.

    Raises
    ------
    TableError
        Also for no number, and for one that is not finite, with its place.

    Examples
    --------
    >>> path = folder / "x.csv"
    >>> _ = path.write_text("1,2\n3,4\n")
    >>> read_finite(path)
    array([[1., 2.],
           [3., 4.]])
    """
    found, name = read_vectors(path, booleans=booleans)
    if found.ndim == 0 or found.size == 0:
        raise TableError(f"{name} holds an array of shape {found.shape}; give vectors in rows")
    try:
        check_finite(found.reshape(len(found), -1), name)
    except NtkspecError as error:
        raise TableError(str(error)) from None
    return found


def read_targets(path: Path, points: NDArray[Any], vectors: Path) -> NDArray[Any]:
    r"""Read targets for the points of another file, vectors; a single column has one axis.

    True and False are read as 1 and 0.

    Raises
    ------
    TableError
        As `read_finite`, and for another number of targets.

    Examples
    --------
    >>> y = folder / "y.csv"
    >>> _ = y.write_text("height\n1\n3\n")
    >>> read_targets(y, np.eye(2), Path("x.csv"))
    array([1., 3.])
    """
    found = read_finite(path, booleans=True)
    if found.ndim > 2:
        raise TableError(
            f"{path} holds an array of shape {found.shape}; give targets as an array (n,) or "
            "(n, outputs)"
        )
    count = len(points) if points.ndim else 0
    if len(found) != count:
        raise TableError(
            f"{path} has {len(found)} targets and {vectors} has {count} vectors; give one target "
            "for each vector"
        )
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _from_numpy(path: Path, file: io.FileIO, booleans: bool) -> NDArray[Any]:
    if file.read(6) != b"\x93NUMPY":
        raise ValueError("it is no array that numpy.save wrote")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a shape that overflows
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if booleans and found.dtype == bool:
        return np.asarray(found, np.float64)
    if found.dtype.kind not in "iuf":
        raise ValueError(f"it holds an array of {found.dtype}; give numbers")
    return np.asanyarray(found)


def _from_csv(file: io.FileIO, size: int, booleans: bool) -> NDArray[Any]:
    if size > MOST_CSV:
        raise ValueError(
            f"CSV files of at most {size_of(MOST_CSV)} are read; numpy.save('X.npy', X) writes a "
            "file that is read in parts"
        )
    text = io.TextIOWrapper(io.BufferedReader(file), encoding="utf-8-sig")
    named = _are_names(text.readline(MOST_HEADER), booleans)
    text.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a file without data
        found = np.loadtxt(
            text,
            delimiter=",",
            ndmin=2,
            skiprows=int(named),
            converters=_number if booleans else None,
            encoding=None,  # converters get text
        )
    text.detach()
    return found


def _are_names(line: str, booleans: bool) -> bool:
    """Whether no cell of the first line is a number; a line with both is refused."""
    if len(line) == MOST_HEADER and not line.endswith("\n"):
        line = line.rpartition(",")[0] or line  # its last cell may be cut
    others = [cell for cell in line.split(",") if not _is_number(cell, booleans)]
    if others and len(others) <= line.count(","):
        raise ValueError(
            f"line 1 has numbers and {shown(others[0].strip())}; fill in what is no number, or "
            "give names without numbers"
        )
    return bool(others)


def _number(cell: str) -> float:
    """The number of a cell that may be a boolean."""
    word = cell.strip().lower()
    return float(word == "true") if word in ("true", "false") else float(cell)


def _is_number(cell: str, booleans: bool) -> bool:
    try:
        _number(cell) if booleans else float(cell)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    """What numpy says, without its advice to programmers."""
    said = str(error).partition(";")[0] if str(error).startswith("the number") else str(error)
    return " ".join(said.split()).rstrip(".") or type(error).__name__
