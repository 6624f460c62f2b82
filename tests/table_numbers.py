"""Reading and changing the numbers of a table without the package."""

import contextlib
from pathlib import Path

import h5py
import numpy as np

from ntkspec.files.seals import Numbers, seal
from ntkspec.tables.layout import NUMBERS, numbers_checksum


def datasets(path):
    """All datasets of a table, by name."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@contextlib.contextmanager
def altered(path):
    """Yield a file to change, and seal it again, like a file from someone else."""
    with h5py.File(path, "r+") as file:
        yield file
        kind = file.attrs.get("format", "")
        described = Numbers(chunked_numbers(file)).located(file)
    seal(Path(path), kind if isinstance(kind, str) else "", *described)


def sealed(path):
    """Seal a file that has no seal."""
    with altered(path):
        pass


def chunked_numbers(file):
    """Names of the chunked arrays of numbers; links and other objects are skipped."""
    found = []
    for place in ("", *file):
        for name in NUMBERS:
            with contextlib.suppress(KeyError, TypeError, AttributeError, OSError, RuntimeError):
                group = file[place or "/"] if is_hard(file, place) else {}
                if is_hard(group, name) and is_whole(group[name]):
                    found.append(f"{place}/{name}".strip("/"))
    return found


def is_whole(dataset):
    """Whether all chunks of a two-dimensional array were written."""
    grid = [-(-a // b) for a, b in zip(dataset.shape, dataset.chunks, strict=True)]
    return len(grid) == 2 and dataset.id.get_num_chunks() == grid[0] * grid[1]


def is_hard(group, name):
    return not name or isinstance(group.get(name, getlink=True), h5py.HardLink)


def reseal(group):
    """Update the checksums of a network's blocks for its numbers."""
    blocks = group["blocks"][...]
    for block in blocks:
        at = np.s_[block["row"] : block["row_end"], block["column"] : block["column_end"]]
        block["checksum"] = numbers_checksum(group["eigenvalue"][at], group["log_eigenvalue"][at])
    group["blocks"][...] = blocks
