"""Files that appear whole under their final name, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PART", "appearing", "write_whole"]

#: In the names of files that are being written.
PART = ".part-"


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a name in the same folder to write to; flush it and rename it at the end.

    The name is unique, so that two writers of the same file cannot meet.
    """
    part = path.with_name(f"{path.name}{PART}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield part
        _flush(part)
        os.replace(part, path)
        _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


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
