"""The routes on the sphere, and the rows of eigenvalues that the dimension walk starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ntkspec.domains import Sphere
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.spectra.route import Route, Source, better_than_doubles, candidates
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
    from ntkspec.spectra import zonal

    yield zonal.CLOSED
    yield zonal.SERIES
    yield zonal.POWERS
    yield zonal.GAPS
    yield zonal.ANALYTIC
    from ntkspec.spectra import direct

    yield direct.ROUTE
    yield direct.ZONAL
    from ntkspec.spectra import sphere_weights

    yield sphere_weights.ROUTE
    from ntkspec.spectra import seeds

    yield seeds.ROUTE


def row_provider(source: Source, kernel: Kernel) -> Rows:
    """Return a new provider of rows and columns of a kernel's eigenvalues.

    Raises
    ------
    NtkspecError
        When the eigenvalues can only be computed in single dimensions.

    Examples
    --------
    >>> from ntkspec import Network
    >>> row_provider(Network("relu"), "ntk").degrees_alone
    True
    """
    makers: list[Callable[[], Rows]] = []
    for route, _ in candidates(sphere_routes(), source, Sphere(3), kernel):
        if route.rows is None:
            break
        makers.append(partial(route.rows, source, kernel))
    if not makers:
        raise NtkspecError(
            f"{source.name} is known in doubles only, which is not enough for tables; "
            f"{better_than_doubles(source)}, or compute one dimension with ntkspec.spectrum and a "
            "tolerance"
        )
    return makers[0]() if len(makers) == 1 else FirstRows(makers)
