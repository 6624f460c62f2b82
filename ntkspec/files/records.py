"""Records: small JSON files with a checksum, so that a damaged one is never believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xxhash

from ntkspec.errors import TableError
from ntkspec.files.inputs import read_bounded

__all__ = ["read_record", "record"]


def record(said: dict[str, Any]) -> str:
    r"""Return the text of a record: one line of JSON with a checksum.

    Examples
    --------
    >>> record({"dim": 3})
    '{"dim": 3, "checksum": "370d3dd5ae431b3a610c0f74b7d329af"}\n'
    """
    checksum = xxhash.xxh3_128_hexdigest(json.dumps(said).encode())
    return json.dumps(said | {"checksum": checksum}) + "\n"


def read_record(path: Path, what: str, most: int) -> dict[str, Any]:
    """Read a record of at most so many bytes; `what` is its name in error messages.

    Raises a TableError if it is missing or damaged.
    """
    data = read_bounded(path, what, most)
    try:
        said = json.loads(data)
        checksum = said.pop("checksum")
        if record(said).encode() == data and isinstance(checksum, str):
            return dict(said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise TableError(f"{path}: the {what} is damaged")
