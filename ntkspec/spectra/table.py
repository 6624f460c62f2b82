"""Spectra of one kernel in several dimensions of one domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import check_existing, existing_degrees, family
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import shown
from ntkspec.ranges import whole_numbers
from ntkspec.results import Result
from ntkspec.spectra.block import block_numbers
from ntkspec.spectra.route import Source, as_source, qualified

__all__ = ["TableSlice", "table_block"]


@dataclass(frozen=True, eq=False, repr=False)
class TableSlice(Result):
    """Eigenvalues of one kernel in some dimensions of a domain, under its probability measure.

    Returned by `Table.select`, and by `ntkspec.spectrum` for several domains.  ``len(part)``
    is the number of dimensions, ``part[3]`` the row of eigenvalues in dimension 3, and iteration
    runs over the dimensions.

    Attributes
    ----------
    name : str
        The network's group in a table, or its name with parameters.
    network : Network or ZonalKernel
    kernel : str
    domain : str
        "sphere", "cube", "gaussian", "ball", or one with parameters, "ball(radius=2.0)": the text
        of a `ntkspec.domains.Family`.
    dims : (D,) int64 array
    degrees : (K,) int64 array
    eigenvalues : (D, K) float64 array
        0 for exact zeros and below the smallest normal double.  NaN where the domain does not
        have the degree: on the cube, degrees above the dimension; `columns` and data frames have
        no row for it.  Under the Gaussian measure and in balls, the largest
        eigenvalue of each degree.
    log_eigenvalues : (D, K) float64 array
        Natural logarithm, accurate even if the eigenvalue underflows; -inf for exact zeros.
    relative_error : (D,) float64 array
        Bound on the relative error of all eigenvalues in a dimension.  The error of a logarithm
        is at most this bound plus the rounding of a double of its size.

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     part = table.select("tanh", dim=[2, 3], degrees=[1, 11])
    >>> part.eigenvalues.shape, part.network.name, part.kernel
    ((2, 2), 'tanh', 'ntk')
    """

    main: ClassVar[str] = "eigenvalue"

    name: str
    network: Source
    kernel: Kernel
    domain: str
    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    eigenvalues: NDArray[np.float64]
    log_eigenvalues: NDArray[np.float64]
    relative_error: NDArray[np.float64]

    def axes(self) -> dict[str, NDArray[Any]]:
        """Dimensions and degrees."""
        return {"dim": self.dims, "degree": self.degrees}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, logarithms and bounds on the errors."""
        along = ("dim", "degree")
        return {
            "eigenvalue": (along, self.eigenvalues),
            "log_eigenvalue": (along, self.log_eigenvalues),
            "relative_error": (("dim",), self.relative_error),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the domain, the kernel and the normalization."""
        return {
            **self.network.parameters(),
            "domain": self.domain,
            "kernel": self.kernel,
            "normalization": "probability",
        }

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return flat columns of equal length, without the degrees that do not exist."""
        exist = existing_degrees(self.domain, self.dims, self.degrees).ravel()
        found = super().columns()
        return found if exist.all() else {name: one[exist] for name, one in found.items()}

    def title(self) -> str:
        """Return a one-line description."""
        known = family(self.domain)
        where = known.kind.place + (f" {known}" if known.parameters else "")
        return (
            f"TableSlice of {self.name}{where}{qualified(self.network, self.kernel)}: "
            f"dims {_span(self.dims)}, "
            f"degrees {_span(self.degrees)}"
        )


def table_block(
    network: Source | str,
    dims: int | str | Iterable[int],
    degrees: int | str | Iterable[int],
    *,
    kernel: Kernel = "ntk",
    domain: str = "sphere",
    out: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> TableSlice:
    """Eigenvalues for all pairs of some dimensions and some degrees.

    Parameters
    ----------
    network : Network, ZonalKernel or str
    dims, degrees : iterable of int
        Both increasing.
    kernel : {"ntk", "nngp"}
    domain : str
        "sphere", "cube", "gaussian", "ball" or "ball(radius=2.0)", as `ntkspec.domains.family`
        reads it.
    out : pair of (D, K) float64 arrays, optional
        Receives the eigenvalues and their logarithms; both are then the arrays of the result.
        Memory that was written before takes a fraction of the time of new memory.

    Returns
    -------
    TableSlice

    Raises
    ------
    NtkspecError
        For parameters that are not allowed.

    Notes
    -----
    On the sphere one multiply-add computes most eigenvalues (the dimension walk); on other domains
    every dimension is computed separately.

    Examples
    --------
    >>> table_block("relu", [2, 3], [0, 1, 2]).eigenvalues.round(6)
    array([[0.101321, 0.125   , 0.05629 ],
           [0.0625  , 0.083333, 0.027344]])
    >>> table_block("relu", [1, 2], [0, 1, 2], domain="cube")
    TableSlice of relu on the cube (ntk): dims 1, 2, degrees 0, 1, 2
    dim  degree  eigenvalue  log_eigenvalue  relative_error
      1       0        0.25        -1.38629     2.22045e-16
      1       1        0.25        -1.38629     2.22045e-16
      2       0       0.125        -2.07944     2.22045e-16
      2       1       0.125        -2.07944     2.22045e-16
      2       2       0.125        -2.07944     2.22045e-16
    """
    network = as_source(network)
    known = family(domain)
    domain, kind = str(known), known.kind
    d = whole_numbers(dims, "dim", kind.least_dim, kind.most_dim)
    k = whole_numbers(degrees, "degree", 0, kind.most_degree)
    for name, values in (("dims", d), ("degrees", k)):
        if values.size == 0 or np.any(np.diff(values) <= 0):
            raise NtkspecError(
                f"{name} = {shown(values.tolist())} is not allowed for several dimensions at once; "
                "give increasing ones"
            )
    check_existing(domain, d, k)
    for array in out or ():
        _check_array(array, (d.size, k.size))
    numbers = block_numbers(network, kernel, domain, d, k, out)
    return TableSlice(full_name(network), network, kernel, domain, d, k, *numbers)


def _check_array(array: object, shape: tuple[int, int]) -> None:
    """Refuse an array that cannot receive numbers."""
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != np.float64
        or array.shape != shape
        or not (array.flags.c_contiguous and array.flags.writeable)
    ):
        raise NtkspecError(
            f"out = {shown(array)} is not allowed; give two writeable C-contiguous float64 arrays "
            f"of shape {shape}"
        )


def _span(values: NDArray[np.int64]) -> str:
    return ", ".join(map(str, values)) if values.size < 4 else f"{values[0]} to {values[-1]}"
