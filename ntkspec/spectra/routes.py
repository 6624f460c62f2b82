"""The dispatcher that chooses the route for a kernel and a domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.spectra.ball import ball_routes
from ntkspec.spectra.cube import cube_routes
from ntkspec.spectra.gaussian import gaussian_routes
from ntkspec.spectra.route import Eigenvalues, Route, Source, candidates, double_only
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.sphere_routes import sphere_routes

__all__ = ["ROUTES", "chosen_route", "routed"]

#: The routes of each domain, by its name, in the order in which they are tried.
ROUTES: dict[str, Callable[[], Iterator[Route]]] = {
    "sphere": sphere_routes,
    "cube": cube_routes,
    "gaussian": gaussian_routes,
    "ball": ball_routes,
}


def chosen_route(source: Source, domain: Domain, kernel: Kernel) -> tuple[Route, str]:
    """Return the first route that takes a kernel on a domain, and the reason.

    Raises
    ------
    NtkspecError
        When no route does, or the kernel's name is unknown.

    Examples
    --------
    >>> from ntkspec import Network, Sphere
    >>> route, why = chosen_route(Network("relu"), Sphere(3), "ntk")
    >>> route.name, why
    ('closed form', 'one piecewise linear layer without bias')
    """
    return next(candidates(ROUTES[domain.name](), source, domain, kernel))


def routed(
    source: Source,
    domain: Domain,
    degrees: NDArray[np.int64],
    kernel: Kernel,
    tolerance: float = math.inf,
) -> tuple[Eigenvalues, str]:
    """Return eigenvalues of increasing degrees by the first route that serves, and its name.

    The relative errors may exceed the tolerance where no route has smaller ones.

    Raises
    ------
    NtkspecError
        When no route does, or the kernel's name is unknown.

    Examples
    --------
    >>> from ntkspec import Network, Sphere
    >>> routed(Network("relu"), Sphere(3), np.arange(3), "ntk")[1]
    'closed form: one piecewise linear layer without bias'
    """
    least, best = math.inf, None
    reasons: list[str] = []
    try:
        for route, why in candidates(ROUTES[domain.name](), source, domain, kernel):
            try:
                found = route.eigenvalues(source, domain, degrees, kernel)
            except Passed as passed:
                reasons.append(str(passed))
                continue
            worst = float(found[2].max())
            if best is None or worst < least:
                least, best = worst, (found, f"{route.name}: {why}")
            if worst <= tolerance or double_only(source):
                break
    except NtkspecError:
        if best is None:
            raise
    if best is None:
        raise NtkspecError(
            f"no route computes these degrees of {source.name} {domain} ({'; '.join(reasons)}); "
            "lower the degrees"
        )
    return best
