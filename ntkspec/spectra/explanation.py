"""Why a spectrum was computed by its route, and not by another."""

from __future__ import annotations

from dataclasses import dataclass

from ntkspec.errors import NtkspecError
from ntkspec.spectra.density.result import DensitySpectrum
from ntkspec.spectra.route import Route
from ntkspec.spectra.routes import ROUTES
from ntkspec.spectra.spectrum import Spectrum
from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["Considered", "explain"]


@dataclass(frozen=True)
class Considered:
    """A route, whether it computed the spectrum, and the reason.

    Examples
    --------
    >>> Considered("closed form", True, "one piecewise linear layer without bias").route
    'closed form'
    """

    route: str
    taken: bool
    reason: str


def explain(found: Spectrum | DensitySpectrum | TorusSpectrum) -> list[Considered]:
    """The routes of a spectrum's domain in the order in which they are tried.

    Parameters
    ----------
    found : Spectrum, DensitySpectrum or TorusSpectrum

    Returns
    -------
    list of Considered
        One of them is taken.

    Examples
    --------
    >>> from ntkspec import spectrum
    >>> first, second, *_ = explain(spectrum("tanh", 3, [1]))
    >>> first
    Considered(route='closed form', taken=False, reason='serves one piecewise linear layer without \
bias')
    >>> second
    Considered(route='positive series', taken=True, reason='one layer of tanh or sigmoid without \
bias')
    """
    if isinstance(found, (DensitySpectrum, TorusSpectrum)):
        name, _, why = found.route.partition(": ")
        return [Considered(name, True, why)]
    considered: list[Considered] = []
    for route in ROUTES[found.domain.name]():
        taken = any(one.taken for one in considered)
        considered.append(_considered(route, found, taken))
    return considered


def _considered(route: Route, found: Spectrum, taken: bool) -> Considered:
    try:
        why = route.takes(found.network, found.domain, found.kernel)
    except NtkspecError as error:
        return Considered(route.name, False, str(error))
    if why is None:
        what = f"serves {route.serves}" if route.serves else "does not serve this kernel"
        return Considered(route.name, False, what)
    if taken:
        return Considered(route.name, False, "would serve, but an earlier route does")
    if found.route == f"{route.name}: {why}":
        return Considered(route.name, True, why)
    return Considered(route.name, False, "serves this kernel, but passed these degrees on")
