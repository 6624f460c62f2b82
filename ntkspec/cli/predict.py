"""``ntkspec predict``: predictions from a network's spectrum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.domain import density_option, domain_options
from ntkspec.cli.group import ErrorsAsMessages
from ntkspec.cli.options import (
    PATH,
    added,
    format_option,
    is_given,
    network_options,
    output_option,
)

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.networks import Network
    from ntkspec.predict.by_degree import ByDegree

__all__ = ["predict"]

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

COMMON = (
    click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp"),
    format_option(help="In JSON null stands for what is not finite."),
    output_option,
)
DEGREES = click.option(
    "--degrees", metavar="RANGE",
    help="a:b (without b), a:b:step, or a list; ranks under a density.  [default: 0 to 12, if the "
    "domain has them]",
)  # fmt: skip
RIDGE = click.option("--ridge", type=float, default=0.0, show_default=True)
MAX_DEGREE = click.option(
    "--max-degree", type=int,
    help="Largest degree, or rank under a density, that is treated separately.  [default: as many "
    "as needed]",
)  # fmt: skip


OPTIMIZER = click.option(
    "--optimizer", default="gd", show_default=True,
    help="gd, gradient descent; others are not predicted.",
)  # fmt: skip
SOBOLEV = click.option(
    "--s", type=float, default=0.0, show_default=True, help="Sobolev exponent; 0: L2."
)


class Best(click.ParamType):  # type: ignore[type-arg]
    """A number, or the word best."""

    name = "NUMBER|best"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number, or the text for the function to judge."""
        try:
            return float(value)
        except ValueError:
            return value


DESCENT = (
    click.option(
        "--step-size", type=Best(), help="Step size; without it the time of gradient flow."
    ),
    click.option(
        "--momentum", type=Best(), default=0.0, show_default=True, help="Of the heavy ball."
    ),
    OPTIMIZER,
)


def _error(default: float) -> Option:
    return click.option(
        "--error", type=float, default=default, show_default=True, help="Fraction left."
    )


def _ridge_scale(default: str, other: str) -> Option:
    return click.option(
        "--ridge-scale", default=default, show_default=True, metavar=f"{default}|{other}",
        help="matrix: delta of K + delta I; operator: r of K/n + r I, on the scale of the "
        "eigenvalues.",
    )  # fmt: skip


@click.group(cls=ErrorsAsMessages)
def predict() -> None:
    """Predict from the spectrum how a wide network learns.

    \b
    Examples
      ntkspec predict times tanh --dim 3 --degrees 1:12:2 --error 0.1
      ntkspec predict samples relu --dim 10 --degrees 0:5
      ntkspec predict curve relu --dim 10 --target 1:1 --target 2:0.5 --samples 10:2001:*2
      ntkspec predict freedom gelu --depth 3 --ridge 1e-2 --ridge 1e-4
      ntkspec predict curve relu --domain cube --dim 30 --target 1:1
      ntkspec predict data relu X.npy y.npy --samples 50,200,800
      ntkspec predict pinn tanh --operator 'laplace(shift=-1)' --degrees 1:14:2
      ntkspec predict minibatch tanh --samples 1000 --batch 32 --target 1:1 --step-size 2
    """


def _prediction(*options: Option) -> Callable[[Callable[..., Mapping[str, Any]]], click.Command]:
    """Make a command of a function that returns columns, with its own and the common options."""

    def make(function: Callable[..., Mapping[str, Any]]) -> click.Command:
        @wraps(function)
        def command(*, layout: str, **parameters: Any) -> None:
            columns = function(**parameters)
            lists = {name: values.tolist() for name, values in columns.items()}
            print_columns(layout, lists, text="{:.6g}".format)

        with_options = network_options(domain_options(added((*COMMON, *options), command)))
        return predict.command()(with_options)

    return make


@_prediction(
    DEGREES,
    _error(0.01),
    SOBOLEV,
    click.option("--weight", default="power", show_default=True, metavar="power|laplacian"),
    density_option,
    *DESCENT,
)
def times(
    network: Network, domain: Domain, degrees: str | None, **options: Any
) -> Mapping[str, Any]:
    """Time to learn each degree to an error, under L2 or a Sobolev loss.

    \b
    Examples:
      ntkspec predict times relu --dim 2 --degrees 1,2,4,8 --error 0.1 --s 1
      ntkspec predict times tanh --degrees 1:12:2 --error 0.1 --momentum best
    """
    from ntkspec.predict import learning_times

    return learning_times(network, domain, degrees=_degrees(degrees, domain), **options).columns()


@_prediction(
    click.option(
        "--operator", default="laplace", show_default=True,
        help="A of the residual A u - g: 'laplace(shift=-1)', 'laplace(power=2)', and on the "
        "circle or a torus of one dimension derivative.",
    ),
    click.option(
        "--degrees", metavar="RANGE",
        help="As for the other predictions; on a torus of one dimension frequencies.",
    ),
    click.option(
        "--size", type=int,
        help="Frequencies of --domain torus: those up to this in all coordinates.",
    ),
    _error(0.01),
    SOBOLEV,
    click.option(
        "--weight", default="power", show_default=True, metavar="power|laplacian|inverse"
    ),
    click.option(
        "--residual-weight", type=float, default=1.0, show_default=True,
        help="alpha of the loss alpha/2 (A u - g)^2 + beta/2 (u - y)^2.",
    ),
    click.option("--data-weight", type=float, help="beta, on the same points.  [default: 0]"),
    click.option(
        "--data-s", type=float, help="Sobolev exponent of the data.  [default: 0]"
    ),
    click.option(
        "--points", type=int, help="Equispaced points of the circle, where degrees alias."
    ),
    click.option(
        "--boundary-weight", type=float,
        help="beta of a single point of data: prints the rates with it, without times.",
    ),
    *DESCENT,
)  # fmt: skip
def pinn(
    network: Network,
    domain: Domain,
    degrees: str | None,
    operator: str,
    boundary_weight: float | None,
    **options: Any,
) -> Mapping[str, Any]:
    """Time in which each degree of a PINN's residual A u - g falls to an error.

    \b
    Examples:
      ntkspec predict pinn tanh --operator 'laplace(shift=-1)' --degrees 1:14:2 --error 0.1
      ntkspec predict pinn relu_power --power 3 --dim 2 --points 64 --s 1
      ntkspec predict pinn gelu --bias-variance 0.1 --boundary-weight 10
    """
    from ntkspec.predict import boundary_rates
    from ntkspec.predict import pinn as of_residual
    from ntkspec.ranges import parse_range

    wanted = None if degrees is None else parse_range(degrees, "degrees")
    if boundary_weight is None:
        given = {name: value for name, value in options.items() if value is not None}
        return of_residual(network, domain, operator, degrees=wanted, **given).columns()
    names = ("s", "weight", "residual_weight", "kernel", "size")
    kept = {name: options.pop(name) for name in names}
    changed = [name for name in options if is_given(name)]
    if changed:
        raise click.UsageError(
            f"--{changed[0].replace('_', '-')} has no effect with --boundary-weight, which prints "
            "rates; leave one of them out"
        )
    return boundary_rates(
        network, domain, operator, boundary_weight, degrees=wanted, **kept
    ).columns()


@_prediction(
    click.option(
        "--target", "target", multiple=True, required=True, metavar="DEGREE:POWER",
        help="Energy of the residual at the start in a degree; may be given several times.  For "
        "--domain gaussian and ball DEGREE,RADIAL:POWER.",
    ),
    click.option("--samples", type=int, required=True, help="Number of points."),
    click.option("--batch", type=int, required=True, help="Points in a step, at most as many."),
    click.option("--step-size", type=float, default=1.0, show_default=True),
    click.option("--steps", default="0,1,10,100", show_default=True, metavar="RANGE"),
    OPTIMIZER,
    click.option(
        "--max-degree", type=int, help="Largest degree that is treated separately."
    ),
)  # fmt: skip
def minibatch(
    network: Network, domain: Domain, target: Sequence[str], steps: str, **options: Any
) -> Mapping[str, Any]:
    """Energies of a target's degrees in minibatch descent on an L2 loss.

    \b
    Example:
      ntkspec predict minibatch tanh --samples 1000 --batch 32 --target 1:1 --step-size 2

    most_step_size is that from which on they grow.
    """
    from ntkspec.predict import minibatch_curve

    found = minibatch_curve(network, domain, power=_powers(target), steps=steps, **options)
    at = found.power.nonzero()[0]
    return {
        "step": found.steps.repeat(at.size),
        "degree": found.degrees[list(at) * found.steps.size],
        **_radial(found, at.tolist() * found.steps.size),
        "energy": found.energy[:, at].ravel(),
        "mean_energy": found.mean_energy[:, at].ravel(),
        "loss": found.loss.repeat(at.size),
        "most_step_size": found.steps.repeat(at.size) * 0.0 + found.most_step_size,
    }


@_prediction(DEGREES, _error(0.5), RIDGE, _ridge_scale("matrix", "operator"), density_option)
def samples(
    network: Network, domain: Domain, degrees: str | None, **options: Any
) -> Mapping[str, Any]:
    """Number of samples at which each degree starts to be learned.

    \b
    Examples:
      ntkspec predict samples relu --dim 10 --degrees 0:5
      ntkspec predict samples relu --dim 2 --density "pieces(1, 2, 4)" --degrees 0:5
    """
    from ntkspec.predict import samples_to_learn

    return samples_to_learn(network, domain, degrees=_degrees(degrees, domain), **options).columns()


@_prediction(
    click.option(
        "--target", "target", multiple=True, required=True, metavar="DEGREE:POWER",
        help="Power of the target in a degree, or rank under a density; may be given several "
        "times.  For --domain gaussian and ball DEGREE,RADIAL:POWER, in the eigenfunctions of one "
        "eigenvalue of the degree.",
    ),
    click.option("--samples", "sizes", default="10:2001:*2", show_default=True, metavar="RANGE"),
    click.option(
        "--noise", type=float, default=0.0, show_default=True, help="Variance of labels."
    ),
    RIDGE,
    _ridge_scale("matrix", "operator"),
    MAX_DEGREE,
    density_option,
    click.option(
        "--by-degree", is_flag=True, help="Print the contribution of each degree of the target."
    ),
)  # fmt: skip
def curve(
    network: Network,
    domain: Domain,
    target: Sequence[str],
    sizes: str,
    by_degree: bool,
    **options: Any,
) -> Mapping[str, Any]:
    """Learning curve of kernel regression for a target given by its power per degree.

    \b
    Example:
      ntkspec predict curve relu --dim 10 --target 1:1 --target 2:0.5 --noise 0.1 --ridge 1e-3

    at_least and at_most bound the error, including degrees that are not treated separately.
    """
    from ntkspec.predict import learning_curve
    from ntkspec.ranges import MOST, whole_numbers

    number = whole_numbers(sizes, "samples", 1, MOST, "samples")
    found = learning_curve(network, domain, number, _powers(target), **options)
    if not by_degree:
        return found.columns()
    at = found.power.nonzero()[0]
    return {
        "samples": found.samples.repeat(at.size),
        "degree": found.degrees[list(at) * found.samples.size],
        **_radial(found, at.tolist() * found.samples.size),
        "learnability": found.learnability[:, at].ravel(),
        "bias": found.bias[:, at].ravel(),
        "variance": found.variance[:, at].ravel(),
    }


@predict.command()
@network_options
@click.argument("points", type=PATH, metavar="X")
@click.argument("targets", type=PATH, metavar="Y")
@click.option(
    "--samples", "sizes", metavar="RANGE",
    help="Numbers of training points.  [default: 12 from 10 to those in X]",
)  # fmt: skip
@click.option(
    "--method", default="eigenvectors", show_default=True, metavar="eigenvectors|hermite",
    help="eigenvectors: up to 5000 points and as many samples; hermite: beyond, from covariances.",
)  # fmt: skip
@click.option("--ridge", type=float, default=1e-3, show_default=True)
@_ridge_scale("matrix", "operator")
@click.option("--noise", type=float, default=0.0, show_default=True, help="Variance of targets.")
@click.option("--as-given", is_flag=True, help="Do not centre the points and scale them.")
@click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp")
@format_option(help="In JSON null stands for what is not finite.")
@output_option
def data(
    network: Network,
    points: Path,
    targets: Path,
    sizes: str | None,
    as_given: bool,
    layout: str,
    **options: Any,
) -> None:
    """Learning curve of kernel regression on your own vectors and targets.

    X and Y are .npy or .csv files, with vectors in rows and a target, or several, for each.  The
    points are centred and divided by their root mean square norm.

    \b
    Examples:
      ntkspec predict data relu X.npy y.npy --samples 50,200,800
      ntkspec predict data gelu X.csv y.csv --method hermite --samples 100:100001:*10
    """
    from ntkspec.errors import NtkspecError, TableError
    from ntkspec.files.vectors import read_finite, read_targets
    from ntkspec.parameters import vectors
    from ntkspec.predict import from_data
    from ntkspec.ranges import MOST, whole_numbers

    number = None if sizes is None else whole_numbers(sizes, "samples", 1, MOST, "samples")
    x = read_finite(points)
    y = read_targets(targets, x, points)
    try:
        vectors(x, str(points))
    except NtkspecError as error:
        raise TableError(str(error)) from None
    found = from_data(network, x, y, samples=number, centre=not as_given, **options)
    columns = {name: values.tolist() for name, values in found.columns().items()}
    print_columns(layout, columns, about=found.heading(), text="{:.6g}".format)


@_prediction(
    click.option(
        "--ridge", type=float, multiple=True, default=(1e-1, 1e-2, 1e-3, 1e-4), show_default=True,
        help="May be given again.",
    ),
    _ridge_scale("operator", "matrix"),
    click.option(
        "--samples", type=int,
        help="Number of points; of_samples is then the expectation for the kernel's matrix.",
    ),
    MAX_DEGREE,
    density_option,
)  # fmt: skip
def freedom(
    network: Network, domain: Domain, ridge: Sequence[float], **options: Any
) -> Mapping[str, Any]:
    """Effective dimension and degrees of freedom at a ridge.

    \b
    Example:
      ntkspec predict freedom tanh --dim 3 --ridge 1e-3
    """
    from ntkspec.predict import effective_dimension

    return effective_dimension(network, domain, list(ridge), **options).columns()


def _degrees(text: str | None, domain: Domain) -> Sequence[int]:
    """The degrees given, or the first thirteen that the domain has; ranks under a density."""
    from ntkspec.domains import DensitySphere
    from ntkspec.ranges import parse_range

    if text is not None:
        return parse_range(text, "degrees")
    return range(13) if isinstance(domain, DensitySphere) else domain.default_degrees[:13]


def _radial(found: ByDegree, at: list[int]) -> dict[str, Any]:
    """The column of ranks where a degree has several eigenvalues."""
    return {} if found.domain.single else {"radial": found.radial[at]}


def _powers(texts: Sequence[str]) -> dict[int | tuple[int, ...], float]:
    from ntkspec.errors import NtkspecError

    found: dict[int | tuple[int, ...], float] = {}
    for text in texts:
        name, _, power = text.partition(":")
        try:
            places = tuple(int(place) for place in name.split(","))
            found[places[0] if len(places) == 1 else places] = float(power)
        except ValueError:
            raise NtkspecError(
                f"target = {text!r} is not allowed; write DEGREE:POWER, such as 2:0.5, or "
                "DEGREE,RADIAL:POWER, such as 2,0:0.5"
            ) from None
    return found
