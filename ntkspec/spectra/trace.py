"""The trace of a kernel on a domain: the sum of all eigenvalues with their multiplicities."""

from __future__ import annotations

from ntkspec.domains import Ball, Domain
from ntkspec.networks import Kernel
from ntkspec.spectra.kernel_at_one import kernel_at_one
from ntkspec.spectra.route import Source

__all__ = ["trace"]


def trace(source: Source, domain: Domain, kernel: Kernel) -> tuple[float, float]:
    """E K(x, x) over the domain's measure, and a bound on its error.

    Examples
    --------
    >>> from ntkspec import Cube, Network
    >>> trace(Network("relu"), Cube(30), "ntk")[0]
    0.5
    """
    if domain.unit:
        return kernel_at_one(source, kernel, domain.dim)
    if isinstance(domain, Ball):
        from ntkspec.spectra.ball.norms import ball_mean

        return ball_mean(source, kernel, domain)
    from ntkspec.spectra.gaussian.norms import mean_square

    return mean_square(source, kernel, domain.dim)
