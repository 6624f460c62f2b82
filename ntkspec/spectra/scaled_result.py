"""The base of results that hold eigenvalues as mantissas and exponents."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.kernels import scaled
from ntkspec.results import Result

__all__ = ["ScaledResult"]

Array = NDArray[np.float64]


class ScaledResult(Result):
    """Eigenvalues mantissa * 2**exponent on a domain.

    Examples
    --------
    >>> import ntkspec
    >>> found = ntkspec.spectrum("tanh", 100, degrees=[2001])
    >>> isinstance(found, ScaledResult), found.mantissas.round(6), found.exponents
    (True, array([1.627651]), array([-1138]))
    """

    main: ClassVar[str] = "eigenvalue"

    domain: Domain
    mantissas: Array
    exponents: NDArray[np.int64]

    @property
    def dim(self) -> int:
        """Dimension of the inputs."""
        return self.domain.dim

    @property
    def eigenvalues(self) -> Array:
        """Float64 array; 0 below the smallest normal double (the logarithm is still accurate)."""
        return self.doubles()[0]

    @property
    def log_eigenvalues(self) -> Array:
        """Natural logarithms; -inf for exact zeros."""
        return self.doubles()[1]

    def doubles(self) -> tuple[Array, Array]:
        """Eigenvalues and their natural logarithms."""
        value, log = np.empty(self.mantissas.size), np.empty(self.mantissas.size)
        scaled.to_doubles(self.mantissas.ravel(), self.exponents.ravel(), value, log)
        return value.reshape(self.mantissas.shape), log.reshape(self.mantissas.shape)
