"""The errors that ntkspec raises."""

from __future__ import annotations

__all__ = ["NotPositiveDefiniteWarning", "NtkspecError", "TableError"]


class NtkspecError(ValueError):
    """A parameter that is not allowed; the message has its name, value and allowed range.

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.Network("relu", depth=0)
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: depth = 0 is not allowed; it must be a whole number from 1 to 100
    """


class TableError(NtkspecError):
    """A table or block file that is missing, damaged or of another kind.

    Examples
    --------
    >>> import ntkspec
    >>> ntkspec.open_table("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """


class NotPositiveDefiniteWarning(UserWarning):
    """A kernel has an eigenvalue that lies below 0 by more than its error bound.

    Such a kernel is no covariance and no NTK.  Turn the warning into an error with
    `warnings.simplefilter("error", NotPositiveDefiniteWarning)`.

    Examples
    --------
    >>> import warnings, ntkspec
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     kernel = ntkspec.ZonalKernel(lambda t: -t)
    ...     value = ntkspec.eigenvalues(kernel, dim=3, degrees=[1])
    >>> value.round(6), caught[0].category.__name__
    (array([-0.333333]), 'NotPositiveDefiniteWarning')
    """
