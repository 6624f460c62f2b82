"""``ntkspec eig``: print one spectrum."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.domain import density_option, print_heading, spectrum_options
from ntkspec.cli.options import format_option, output_option
from ntkspec.cli.streams import say
from ntkspec.files.text import text_values

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.networks import Network
    from ntkspec.spectra import Spectrum
    from ntkspec.spectra.density.result import DensitySpectrum
    from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["eig"]


@click.command()
@spectrum_options(degrees=None)
@click.option(
    "--normalization", default="probability", show_default=True,
    metavar="probability|surface|poster", help="Measure of the operator.",
)  # fmt: skip
@density_option
@click.option(
    "--count", type=int, help="With --density: the largest eigenvalues, so many.  [default: 100]"
)
@click.option(
    "--max-degree",
    type=int,
    help="With --density: largest degree of the harmonics that eigenfunctions consist of.",
)
@click.option(
    "--size",
    type=int,
    help="Frequencies of --domain torus: those up to this in all coordinates, instead of degrees.",
)
@click.option(
    "--tolerance", type=float,
    help="Largest relative error of an eigenvalue that is accepted.  [default: that of the domain]",
)  # fmt: skip
@click.option(
    "--explain",
    is_flag=True,
    help="Say which route is tried first, before it computes; then print the route that computed "
    "the spectrum, why, at what cost and accuracy, and why the other routes did not.",
)
@format_option(help="In JSON null stands for what is not finite: the logarithm of 0.")
@output_option
def eig(
    network: Network,
    domain: Domain,
    degrees: str | None,
    kernel: Any,
    normalization: Any,
    count: int | None,
    max_degree: int | None,
    size: int | None,
    tolerance: float | None,
    explain: bool,
    layout: str,
) -> None:
    """Print the eigenvalues of one network's kernel on one domain.

    ACTIVATION is relu, leaky_relu, abs, step, relu_power, elu, celu, selu, sigmoid, tanh, silu,
    swish, softplus, mish, softsign, hard_tanh, relu6, hard_sigmoid, hard_swish, shifted_relu, erf,
    gelu, sin, cos, gaussian (exp(-x^2/2)), exp, snake, finer, gabor or polynomial, with its
    parameters in parentheses: 'swish(2)', 'leaky_relu(0.2)', 'polynomial(0, 1, 0.5)'.  relu**3 is
    relu_power with power 3.

    An eigenvalue below the range of doubles is printed as 0.0; its logarithm is correct.  The
    logarithm of an exact zero is -inf.

    The default degrees are 0 to 100 on the sphere, all sizes k of the parities x^S with --domain
    cube, and 0 to 8 with --domain gaussian, where a degree may have several eigenvalues.  The
    torus has frequencies up to --size instead of degrees, and a density the largest eigenvalues, in
    falling order.  All but the uniform sphere have the probability measure only.

    \b
    Examples: tanh at odd degrees; three hidden layers with biases, all trained; other domains
      ntkspec eig tanh --dim 3 --degrees 1:12:2 --format csv
      ntkspec eig gelu --depth 3 --bias-variance 0.1 --trained all --degrees 0:20
      ntkspec eig relu --dim 100 --domain cube --degrees 0:9
      ntkspec eig erf --dim 10 --domain gaussian --degrees 0:4 --radial 2
      ntkspec eig gelu --dim 10 --domain 'ball(radius=2)' --degrees 0:4 --radial 2
      ntkspec eig erf --domain torus --frequencies 1,2,4 --size 8
      ntkspec eig erf --dim 2 --density "von_mises(2)" --count 10
    """
    from ntkspec.domains import domain_text
    from ntkspec.ranges import parse_range
    from ntkspec.spectra import spectrum
    from ntkspec.spectra.explanation import explain as considered
    from ntkspec.spectra.route import which_kernel

    if explain and (first := _first_route(network, domain, kernel)) is not None:
        say(f"trying first: {first}", err=True)
    wanted = None if degrees is None else parse_range(degrees, "degrees")
    start = time.process_time()
    found = spectrum(
        network, domain, wanted, kernel=kernel, normalization=normalization, count=count,
        max_degree=max_degree, size=size, tolerance=tolerance,
    )  # fmt: skip
    seconds = time.process_time() - start
    heading = {"network": network.parameters(), "dim": domain.dim, **which_kernel(network, kernel)}
    if domain.name != "sphere":
        heading["domain"] = domain_text(domain)
    density = click.get_current_context().params["density"]
    if density is not None:
        heading["density"] = density
    heading["normalization"] = normalization
    if explain:
        others = [(one.route, one.reason) for one in considered(found) if not one.taken]
        worst = float(found.relative_error.max())
        heading["route"] = found.route
        heading["seconds"], heading["worst_relative_error"] = seconds, worst
        heading["other_routes"] = [{"route": name, "reason": why} for name, why in others]
    if layout == "text":
        print_heading(network, kernel, domain, normalization)
        if explain:
            say(f"# {found.route}")
            say(f"# {seconds:.2g} s of processor time; relative errors are at most {worst:.2g}")
            for name, reason in others:
                say(f"# not by {name}: {reason}")
    print_columns(layout, _columns(found), about=heading)


def _first_route(network: Network, domain: Domain, kernel: Any) -> str | None:
    """The route that is tried first, known without computing; None on a density or a torus.

    If it passes the degrees on, another one computes them.
    """
    from ntkspec.domains import DensitySphere
    from ntkspec.spectra.routes import ROUTES, chosen_route

    if isinstance(domain, DensitySphere) or domain.name not in ROUTES:
        return None
    route, why = chosen_route(network, domain, kernel)
    return f"{route.name}: {why}"


def _columns(found: Spectrum | DensitySpectrum | TorusSpectrum) -> dict[str, Sequence[Any]]:
    """Columns by their names, one row for every eigenvalue."""
    return {name: text_values(name, values.tolist()) for name, values in found.columns().items()}
