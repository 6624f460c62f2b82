"""Spectra of one network in several dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.networks import Kernel, Network
from ntkspec.results import Result

__all__ = ["TableSlice"]


@dataclass(frozen=True, eq=False, repr=False)
class TableSlice(Result):
    """Eigenvalues of one network in some dimensions, under the uniform probability measure.

    Returned by `Table.select`, and by `ntkspec.spectrum` for several dimensions.  ``len(part)``
    is the number of dimensions, ``part[3]`` the row of eigenvalues in dimension 3, and iteration
    runs over the dimensions.

    Attributes
    ----------
    name : str
        The network's group in a table, or its activation.
    network : Network
    kernel : str
    dims : (D,) int64 array
    degrees : (K,) int64 array
    eigenvalues : (D, K) float64 array
        0 for exact zeros and below the smallest normal double.
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
    network: Network
    kernel: Kernel
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
        """The network's parameters, the kernel and the normalization."""
        return {
            **self.network.parameters(), "kernel": self.kernel, "normalization": "probability"
        }  # fmt: skip

    def title(self) -> str:
        """Return a one-line description."""
        return (
            f"TableSlice of {self.name} ({self.kernel}): dims {_span(self.dims)}, "
            f"degrees {_span(self.degrees)}"
        )


def _span(values: NDArray[np.int64]) -> str:
    return ", ".join(map(str, values)) if values.size < 4 else f"{values[0]} to {values[-1]}"
