"""Options for domains, and for commands about a single spectrum."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.options import network_options
from ntkspec.cli.streams import say
from ntkspec.errors import NtkspecError

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.networks import Kernel
    from ntkspec.spectra.route import Source

__all__ = ["density_option", "domain_options", "print_heading", "spectrum_options"]

OPTIONS = (
    click.option(
        "--domain", default="sphere", show_default=True, metavar="sphere|cube|gaussian|ball|torus",
        help="Inputs: the unit sphere, x / sqrt(d) for x in {-1, 1}^d or x ~ N(0, I_d), a ball "
        "('ball(radius=2)'), or Fourier features.",
    ),
    click.option(
        "--dim", type=int, default=3, show_default=True, help="Dimension d of the inputs."
    ),
    click.option(
        "--radial", type=int,
        help="Eigenvalues of each degree, from the largest; for --domain gaussian and ball.  "
        "[default: 1]",
    ),
    click.option(
        "--frequencies", metavar="1,2,4|1,0;0,1",
        help="Frequency vectors of the features; for --domain torus.",
    ),
)  # fmt: skip


def domain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a domain; the command gets it as `domain`."""

    @wraps(command)
    def with_domain(
        *, domain: str, dim: int, radial: int | None, frequencies: str | None, **parameters: Any
    ) -> Any:
        from ntkspec.domains import named_domain

        if domain == "torus":
            return command(domain=_torus(frequencies), **parameters)
        if frequencies is not None:
            raise NtkspecError(
                "--frequencies are those of --domain torus; add it or leave them out"
            )
        ranks = {} if radial is None else {"radial": radial}
        return command(domain=named_domain(domain, dim, **ranks), **parameters)

    found: Callable[..., Any] = with_domain
    for option in reversed(OPTIONS):
        found = option(found)
    return found


def density_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the density of inputs on the sphere to a command that gets a `domain`."""

    @wraps(command)
    def with_density(*, domain: Domain, density: str | None, **parameters: Any) -> Any:
        from ntkspec.domains import Sphere

        if density is None:
            return command(domain=domain, **parameters)
        if not isinstance(domain, Sphere):
            raise NtkspecError(
                f"--density is for --domain sphere, not for {domain.name}; leave one of them out"
            )
        return command(domain=Sphere(domain.dim, density=density), **parameters)

    return click.option(
        "--density", metavar="DENSITY",
        help="Of inputs on the sphere that are not uniform: 'von_mises(2)', 'pieces(1, 2, 4)' or "
        "'cap(1.0, outside=0.1)'; eigenvalues in falling order have ranks instead of degrees.",
    )(with_density)  # fmt: skip


def _torus(frequencies: str | None) -> Domain:
    """The torus with these frequency vectors, in lists with semicolons between them."""
    from ntkspec.domains import Torus
    from ntkspec.parameters import shown

    if frequencies is None:
        raise NtkspecError("--domain torus needs --frequencies, such as 1,2,4 or '1,0;0,1'")
    vectors = [part.split(",") for part in frequencies.split(";")]
    rows = vectors if len(vectors) > 1 else [[one] for one in vectors[0]]
    try:
        numbers = [[float(one) for one in row] for row in rows]
    except ValueError:
        numbers = []
    if len({len(row) for row in numbers}) != 1:
        raise NtkspecError(
            f"--frequencies {shown(frequencies)} is not allowed; give vectors of one length, such "
            "as 1,2,4 or '1,0;0,1'"
        )
    return Torus(numbers)


def spectrum_options(degrees: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a network's parameters, a domain, degrees (a default) and kernel to a command."""
    options = (
        click.option(
            "--degrees", default=degrees, show_default=degrees is not None, metavar="RANGE",
            help="a:b (without b), a:b:step, a:b:*ratio, or a list of these, 0,4,8:20."
            + ("" if degrees else "  [default: those of the domain]"),
        ),
        click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp"),
    )  # fmt: skip

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return network_options(domain_options(command))

    return add


def print_heading(source: Source, kernel: Kernel, domain: Domain, measure: str) -> None:
    """Print the comment lines above a listing.

    A readout whose variances are not those of the hidden layers is named.
    """
    from ntkspec.domains import DensitySphere, domain_text
    from ntkspec.spectra.route import which_kernel

    named = ", ".join(
        f"{key} = {value}" for key, value in {**source.parameters(), **_readout(source)}.items()
    )
    of = "".join(f"{key} = {value}, " for key, value in which_kernel(source, kernel).items())
    where = "" if domain.name == "sphere" else f"{domain_text(domain)}, "
    if isinstance(domain, DensitySphere):
        from ntkspec.parameters import shown

        where = f"density = {shown(domain.density)}, "
    say(f"# {named}")
    say(f"# {of}dim = {domain.dim}, {where}{measure} measure")


def _readout(source: Source) -> dict[str, float]:
    """Variances of a readout that a reader could take for those of the hidden layers."""
    from ntkspec.networks import Network

    if not isinstance(source, Network) or source.layers is not None:
        return {}
    hidden = (source.weight_variance, source.bias_variance)
    readout = (source.readout_variance, source.readout_bias_variance)
    if hidden == readout:
        return {}
    return dict(zip(("readout_variance", "readout_bias_variance"), readout, strict=True))
