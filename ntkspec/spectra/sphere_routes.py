"""The routes on the sphere, and the rows of eigenvalues that the dimension walk starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ntkspec.domains import Sphere
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.route import Route, candidates
from ntkspec.spectra.rows import FirstRows, Rows

__all__ = ["row_provider", "sphere_routes"]


def sphere_routes() -> Iterator[Route]:
    """Yield the routes in the order in which they are tried; each is imported when needed.

    By statements, so that the digest of the code and the contracts between modules see them.
    """
    from ntkspec.spectra import closed_form

    yield closed_form.ROUTE
    from ntkspec.spectra import series

    yield series.ROUTE
    from ntkspec.spectra import endpoint

    yield endpoint.ROUTE
    from ntkspec.spectra import kinks

    yield kinks.ROUTE
    from ntkspec.spectra import contour

    yield contour.ROUTE
    from ntkspec.spectra import taylor

    yield taylor.ROUTE
    from ntkspec.spectra import direct

    yield direct.ROUTE
    yield direct.ZONAL
    from ntkspec.spectra import sphere_weights

    yield sphere_weights.ROUTE
    from ntkspec.spectra import seeds

    yield seeds.ROUTE


def row_provider(network: Network, kernel: Kernel) -> Rows:
    """Return a new provider of rows and columns of a network's eigenvalues.

    Raises
    ------
    NtkspecError
        When the network's eigenvalues can only be computed in single dimensions.

    Examples
    --------
    >>> row_provider(Network("relu"), "ntk").degrees_alone
    True
    """
    makers: list[Callable[[], Rows]] = []
    for route, _ in candidates(sphere_routes(), network, Sphere(3), kernel):
        if route.rows is None:
            break
        makers.append(partial(route.rows, network, kernel))
    if not makers:
        raise NtkspecError(
            f"{network.sigma.name} is known in doubles only, which is not enough for tables; give "
            "the function for flint or mpmath numbers, or compute one dimension with "
            "ntkspec.spectrum and a tolerance"
        )
    return makers[0]() if len(makers) == 1 else FirstRows(makers)
