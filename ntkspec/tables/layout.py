"""Layout of a table in HDF5, format version 3: names, types, checksums, filters.

A group for each network, kernel and domain holds ``dim`` (D,), ``degree`` (K,), ``eigenvalue`` and
``log_eigenvalue`` (D, K), NaN where the domain does not have the degree, ``relative_error`` (D,),
``checks`` and ``blocks``: which rectangles of the table were computed at once, and the checksum of
each.  The file ends with a seal, see `ntkspec.files.seals`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from ntkspec.domains import Sphere
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.networks.full_name import full_name
from ntkspec.zonal import ZonalKernel

__all__ = [
    "BLOCK_KIND",
    "BLOCK_TYPE",
    "CHECK_KIND",
    "CHECK_TYPE",
    "COMPRESSIONS",
    "FORMAT",
    "FORMAT_VERSION",
    "LAYOUTS",
    "MEANINGS",
    "MEMBERS",
    "NUMBERS",
    "READABLE",
    "GroupKey",
    "create_axes",
    "describe_numbers",
    "numbers_checksum",
    "storage",
]

Axis = NDArray[np.int64]

FORMAT = "ntkspec-spectra"
FORMAT_VERSION = 3
#: Versions that are read: 2 has networks of alike layers only.
READABLE = (2, 3)
#: Datasets with an entry for each dimension and degree.
NUMBERS = ("eigenvalue", "log_eigenvalue")
#: All members of a network's group.
MEMBERS = (
    "dim", "degree", *NUMBERS, "relative_error", "blocks", "block", "checks", "check",
)  # fmt: skip
LAYOUTS = ("single", "virtual")
#: Descriptions of the datasets, as readers of netCDF4 show them.
MEANINGS = {
    "dim": "dimension d of the inputs",
    "degree": "degree k of the harmonics",
    "eigenvalue": "eigenvalue lambda_k under the domain's probability measure; NaN: no degree k",
    "log_eigenvalue": "natural logarithm of the eigenvalue; -inf for an exact zero",
    "relative_error": "bound on the relative error of the eigenvalues in a dimension",
}
BLOCK_TYPE = np.dtype(
    [
        ("row", "i8"),
        ("row_end", "i8"),
        ("column", "i8"),
        ("column_end", "i8"),
        ("checksum", "S32"),
        # File of the numbers, relative to the table; empty if they are in the table itself.
        ("file", h5py.string_dtype()),
        # Fingerprint of that file's seal.
        ("seal", "S32"),
    ]
)
CHECK_TYPE = np.dtype(
    [
        ("dim", "i8"),
        ("degree", "i8"),
        ("reference", h5py.string_dtype()),
        ("relative_error", "f8"),
        ("method", h5py.string_dtype()),
    ]
)
#: The same types, for the comparison when a table is opened.
BLOCK_KIND = {
    "row": "i8", "row_end": "i8", "column": "i8", "column_end": "i8", "checksum": "text",
    "file": "text", "seal": "text",
}  # fmt: skip
CHECK_KIND = {
    "dim": "i8", "degree": "i8", "reference": "text", "relative_error": "f8", "method": "text",
}  # fmt: skip
COMPRESSIONS = ("gzip", "none", "zstd", "blosc")


def create_axes(group: h5py.Group, key: GroupKey, dims: Axis, degrees: Axis) -> None:
    """Write a group's parameters and its axes, as dimension scales."""
    group.attrs.update({**key.parameters(), "normalization": "probability"})
    for name, axis in (("dim", dims), ("degree", degrees)):
        group[name] = axis
        group[name].make_scale(name)
        group[name].attrs["long_name"] = MEANINGS[name]


def describe_numbers(group: h5py.Group) -> None:
    """Attach the axes to a group's numbers, and the CF attributes long_name and units."""
    for name in (*NUMBERS, "relative_error"):
        for axis, scale in zip(group[name].dims, ("dim", "degree"), strict=False):
            axis.attach_scale(group[scale])
        group[name].attrs["long_name"] = MEANINGS[name]
        group[name].attrs["units"] = "1"


def storage(compression: str) -> dict[str, Any]:
    """Return the arguments of h5py's create_dataset for a compression.

    Compressed chunks carry a checksum (gzip's own, or Fletcher's), so that any reader detects
    damage; "none" is fastest: its chunks have their places in the file at once.
    """
    if compression == "none":
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        return dict(dcpl=plist, fill_time="never")
    if compression == "gzip":
        return dict(shuffle=True, compression="gzip", compression_opts=1)
    if compression not in COMPRESSIONS:
        raise NtkspecError(
            f"compression = {compression!r} is not allowed; use {', '.join(COMPRESSIONS)}"
        )
    try:
        import hdf5plugin
    except ImportError:
        raise NtkspecError(
            f"compression = {compression!r} needs hdf5plugin; pip install 'ntkspec[compression]'"
        ) from None
    if compression == "zstd":
        return dict(fletcher32=True, shuffle=True, compression=hdf5plugin.Zstd(clevel=3))
    # Blosc splits and shuffles by itself.
    return dict(fletcher32=True, compression=hdf5plugin.Blosc(cname="zstd", clevel=3))


def numbers_checksum(*arrays: NDArray[np.float64]) -> str:
    """XXH3 (128 bits, hexadecimal) of the bytes of a block's eigenvalues and their logarithms."""
    digest = xxhash.xxh3_128()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class GroupKey(NamedTuple):
    """What a group of a table is about.

    Attributes
    ----------
    network : Network or ZonalKernel
    kernel : {"ntk", "nngp"}
    domain : str
        "sphere", "cube", "ball(radius=2.0)" and so on.

    Examples
    --------
    >>> GroupKey(Network("leaky_relu", slope=0.2, trained="all")).name
    'leaky_relu(slope=0.2,trained=all)'
    >>> GroupKey(Network("tanh"), "nngp", "cube").name
    'tanh(kernel=nngp,domain=cube)'
    >>> GroupKey(Network("relu"), "ntk", "ball(radius=2.0)").name
    'relu(domain=ball(radius=2.0))'
    """

    network: Network | ZonalKernel
    kernel: Kernel = "ntk"
    domain: str = Sphere.name

    def parameters(self) -> dict[str, Any]:
        """Return the attributes of the group: the parameters of the network, kernel and domain."""
        return {**self.network.parameters(), "kernel": self.kernel, "domain": self.domain}

    @property
    def name(self) -> str:
        """Name of the group: the activation, and parameters that are not the poster's."""
        usual = GroupKey(self.network)
        others = {"kernel": self.kernel, "domain": self.domain}
        differing = {key: x for key, x in others.items() if x != getattr(usual, key)}
        return full_name(self.network, **differing)
