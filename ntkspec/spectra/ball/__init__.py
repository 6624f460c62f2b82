"""Routes for laws of the norm that do not depend on the direction."""

from __future__ import annotations

from collections.abc import Iterator

from ntkspec.spectra.route import Route

__all__ = ["ball_routes"]


def ball_routes() -> Iterator[Route]:
    """Yield the routes in the order in which they are tried; each is imported when needed."""
    from ntkspec.spectra.ball import homogeneous

    yield homogeneous.ROUTE
    from ntkspec.spectra.ball import factors

    yield factors.ROUTE
    from ntkspec.spectra.ball import angles

    yield angles.ROUTE
