"""Reading and changing the numbers of a table, past the package."""

import h5py
import numpy as np

from ntkspec.tables.layout import group_checksum, numbers_checksum


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


def reseal(group):
    """Make a network's checksums fit its numbers again."""
    blocks = group["blocks"][...]
    for block in blocks:
        at = np.s_[block["row"] : block["row_end"], block["column"] : block["column_end"]]
        block["checksum"] = numbers_checksum(group["eigenvalue"][at], group["log_eigenvalue"][at])
    group["blocks"][...] = blocks
    group.attrs["checksum"] = group_checksum(group)
