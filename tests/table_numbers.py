"""Reading all numbers of a table, past the package."""

import h5py


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
