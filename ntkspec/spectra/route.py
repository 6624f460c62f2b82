"""Routes: ways to compute the eigenvalues of some kernels on a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import one_of
from ntkspec.spectra.rows import Rows
from ntkspec.zonal import ZonalKernel

__all__ = [
    "Eigenvalues",
    "Route",
    "Source",
    "as_source",
    "better_than_doubles",
    "candidates",
    "default_tolerance",
    "double_only",
    "is_user",
    "qualified",
    "which_kernel",
]

Source: TypeAlias = Network | ZonalKernel
#: Default bounds on the relative errors of eigenvalues: of functions known to any precision, and of
#: those known in doubles only.
TOLERANCE, IN_DOUBLES = 1e-12, 1e-6
#: Mantissas in [1, 2) or 0, exponents of 2, and bounds on the relative errors.
Eigenvalues: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True)
class Route:
    """A way to compute eigenvalues, without state.

    Parameters
    ----------
    name : str
    takes : callable
        ``takes(source, domain, kernel)`` returns the reason for which the route computes this
        spectrum, in a few words, or None if it does not.  It may raise NtkspecError for spectra
        that no route of its domain computes.
    eigenvalues : callable
        ``eigenvalues(source, domain, degrees, kernel)`` returns mantissas, exponents and relative
        errors, with one row for each of the increasing degrees.
    rows : callable, optional
        ``rows(network, kernel)`` returns the rows and columns from which the dimension walk
        starts, as a new object for each computation.
    serves : str, optional
        The spectra that the route computes, in a few words, for those who ask why it was not taken.

    Examples
    --------
    >>> from ntkspec import Network, Sphere
    >>> from ntkspec.spectra.routes import chosen_route
    >>> route, _ = chosen_route(Network("tanh"), Sphere(3), "ntk")
    >>> route.takes(Network("relu"), Sphere(3), "ntk") is None
    True
    """

    name: str
    takes: Callable[[Source, Domain, Kernel], str | None]
    eigenvalues: Callable[[Source, Domain, NDArray[np.int64], Kernel], Eigenvalues]
    rows: Callable[[Any, Kernel], Rows] | None = None
    serves: str = ""


def candidates(
    routes: Iterable[Route], source: Source, domain: Domain, kernel: Kernel
) -> Iterator[tuple[Route, str]]:
    """The routes that take a kernel on a domain, and the reasons; at least one."""
    if isinstance(source, Network):
        source.check_kernel(kernel)  # refuses a kernel that the network does not have
    else:
        one_of(kernel, "kernel", get_args(Kernel))
    found = False
    for route in routes:
        why = route.takes(source, domain, kernel)
        if why is not None:
            found = True
            yield route, why
    if not found:
        raise NtkspecError(f"no route computes the spectrum of {source.name} {domain}")


def as_source(source: Source | str) -> Source:
    """Return a network or a zonal kernel; a name stands for the poster's network."""
    return source if isinstance(source, ZonalKernel) else as_network(source)


def which_kernel(source: Source, kernel: Kernel) -> dict[str, str]:
    """The kernel of a network, to name a spectrum by; nothing for a zonal kernel.

    Examples
    --------
    >>> which_kernel(as_source("relu"), "ntk")
    {'kernel': 'ntk'}
    """
    return {} if isinstance(source, ZonalKernel) else {"kernel": kernel}


def qualified(source: Source, kernel: Kernel, *others: str) -> str:
    """What follows a name in titles: the kernel of a network, which a zonal kernel is itself.

    Examples
    --------
    >>> qualified(as_source("relu"), "ntk", "probability")
    ' (ntk, probability)'
    """
    words = (*which_kernel(source, kernel).values(), *others)
    return f" ({', '.join(words)})" if words else ""


def double_only(source: Source) -> bool:
    """Whether the source is a user's function that is known in doubles only."""
    if isinstance(source, ZonalKernel):
        return not source.in_high_precision
    return any(sigma.in_doubles for sigma in source.sigmas)


def default_tolerance(source: Source) -> float:
    """Bound on the relative error of every eigenvalue, where none is asked for.

    Examples
    --------
    >>> default_tolerance(as_source("relu")), default_tolerance(ZonalKernel(np.exp))
    (1e-12, 1e-06)
    """
    return IN_DOUBLES if double_only(source) else TOLERANCE


def better_than_doubles(source: Source) -> str:
    """What to give instead of a function that is known in doubles only."""
    if isinstance(source, Network) and all(one.arithmetic != "double" for one in source.sigmas):
        return (
            "give ntkspec.activations.piecewise_polynomial, as the activation has kinks away from 0"
        )
    return "give the function for flint or mpmath numbers"


def is_user(source: Source) -> bool:
    """Whether the source is, or has, a user's function."""
    if isinstance(source, ZonalKernel):
        return source.formula is None
    return source.user
