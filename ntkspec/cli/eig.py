"""``ntkspec eig``: one spectrum, on the standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ntkspec.cli.columns import print_columns
from ntkspec.cli.options import print_heading, spectrum_options

if TYPE_CHECKING:
    from ntkspec.networks import Network
    from ntkspec.spectra import Spectrum

__all__ = ["eig"]


@click.command()
@click.pass_context
@spectrum_options(degrees="0:101")
@click.option(
    "--normalization", default="probability", show_default=True,
    metavar="probability|surface|poster", help="Measure of the operator.",
)  # fmt: skip
@click.option(
    "--domain",
    type=click.Choice(["sphere", "cube", "gaussian"]),
    default="sphere",
    show_default=True,
    help="Where the inputs lie: unit sphere, x / sqrt(d) for x in {-1, 1}^d or x ~ N(0, I_d).",
)
@click.option(
    "--radial",
    type=int,
    default=1,
    show_default=True,
    help="Eigenvalues of each degree, from the largest; for --domain gaussian.",
)
@click.option(
    "--format", "layout", type=click.Choice(["text", "csv", "json"]), default="text",
    show_default=True, help="In JSON null stands for what is not finite: the logarithm of 0.",
)  # fmt: skip
def eig(
    context: click.Context,
    activation: str,
    dim: int,
    degrees: str,
    kernel: Any,
    normalization: Any,
    domain: str,
    radial: int,
    layout: str,
    **parameters: Any,
) -> None:
    """Print the eigenvalues of one network's kernel in one dimension.

    ACTIVATION is relu, leaky_relu, abs, step, relu_power, elu, sigmoid, tanh, silu, softplus,
    erf, gelu, sin, cos or gaussian (exp(-x^2/2)); relu**3 is relu_power with power 3.

    An eigenvalue below the range of doubles is printed as 0.0; its logarithm is right.  The
    logarithm of an exact zero is -inf.

    With --domain cube the degrees are the sizes k of the parities x^S, all of them unless
    --degrees is given; with --domain gaussian they are those of spherical harmonics, 0 to 8, with
    one or more eigenvalues each.  These two have the probability measure only.

    \b
    Example: tanh at every second degree; three hidden layers with biases, all of them trained
      ntkspec eig tanh --dim 3 --degrees 1:12:2 --format csv
      ntkspec eig gelu --depth 3 --bias-variance 0.1 --trained all --degrees 0:20
      ntkspec eig relu --dim 100 --domain cube --degrees 0:9
      ntkspec eig erf --dim 10 --domain gaussian --degrees 0:4 --radial 2
    """
    from ntkspec.errors import NtkspecError
    from ntkspec.networks import Network
    from ntkspec.ranges import parse_range

    network = Network(activation, **parameters)
    given = context.get_parameter_source("degrees") is not ParameterSource.DEFAULT
    wanted = parse_range(degrees, "degrees") if given or domain == "sphere" else None
    if domain != "gaussian" and radial != 1:
        raise NtkspecError(f"radial = {radial} is for --domain gaussian; domain is {domain}")
    if domain != "sphere" and normalization != "probability":
        raise NtkspecError(
            f"normalization = {normalization!r} is for the sphere; on --domain {domain} the "
            "measure is a probability"
        )
    table = _columns(network, dim, wanted, kernel, normalization, domain, radial)
    heading = {"network": network.parameters(), "dim": dim, "kernel": kernel}
    if domain != "sphere":
        heading["domain"] = domain
    heading["normalization"] = normalization
    if layout == "text":
        measure = normalization if domain == "sphere" else f"{domain}, {normalization}"
        print_heading(heading["network"], kernel, dim, measure)
    print_columns(layout, table, about=heading)


def _columns(
    network: Network,
    dim: int,
    degrees: Any,
    kernel: Any,
    normalization: Any,
    domain: str,
    radial: int,
) -> dict[str, list[Any]]:
    """Columns by their names; under the Gaussian measure one row for every eigenvalue."""
    if domain == "gaussian":
        from ntkspec.domains import gaussian_spectrum

        found = gaussian_spectrum(
            network, dim, range(9) if degrees is None else degrees, radial, kernel
        )
        ranks = list(range(radial)) * found.degrees.size
        repeated = {"degree": found.degrees, "multiplicity": found.multiplicities}
        long = {name: values.repeat(radial).tolist() for name, values in repeated.items()}
        return {
            "degree": long["degree"],
            "radial": ranks,
            "eigenvalue": found.eigenvalues.ravel().tolist(),
            "log_eigenvalue": found.log_eigenvalues.ravel().tolist(),
            "multiplicity": [_whole(n) for n in long["multiplicity"]],
            "relative_error": found.relative_error.ravel().tolist(),
        }
    result: Spectrum
    if domain == "cube":
        from ntkspec.domains import cube_spectrum

        result = cube_spectrum(network, dim, degrees, kernel)
    else:
        from ntkspec.spectra import spectrum

        result = spectrum(network, dim, degrees, kernel, normalization)
    return {
        "degree": result.degrees.tolist(),
        "eigenvalue": result.eigenvalues.tolist(),
        "log_eigenvalue": result.log_eigenvalues.tolist(),
        "multiplicity": [_whole(n) for n in result.multiplicities.tolist()],
        "relative_error": result.relative_error.tolist(),
    }


def _whole(number: float) -> int | float:
    """Without a decimal point as long as it is exact."""
    return int(number) if number < 2**53 else number
