"""Routes under the Gaussian measure."""

from __future__ import annotations

from collections.abc import Iterator

from ntkspec.spectra.route import Route

__all__ = ["gaussian_routes"]


def gaussian_routes() -> Iterator[Route]:
    """Yield the routes in the order in which they are tried; each is imported when needed."""
    from ntkspec.spectra.gaussian import homogeneous

    yield homogeneous.ROUTE
    from ntkspec.spectra.gaussian import polynomials

    yield polynomials.ROUTE
    from ntkspec.spectra.gaussian import gram

    yield gram.ROUTE
    from ntkspec.spectra.gaussian import layers

    yield layers.ROUTE
