"""Routes on the Boolean cube."""

from __future__ import annotations

from collections.abc import Iterator

from ntkspec.spectra.route import Route

__all__ = ["cube_routes"]


def cube_routes() -> Iterator[Route]:
    """Yield the routes in the order in which they are tried; each is imported when needed."""
    from ntkspec.spectra.cube import taylor

    yield taylor.ROUTE
    from ntkspec.spectra.cube import series

    yield series.ROUTE
    from ntkspec.spectra.cube import layers

    yield layers.ZONAL
    yield layers.LAYERS
