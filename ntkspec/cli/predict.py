"""``ntkspec predict``: predictions from a network's spectrum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.domain import density_option, domain_options, print_heading
from ntkspec.cli.group import ErrorsAsMessages
from ntkspec.cli.options import (
    PATH,
    added,
    format_option,
    is_given,
    network_options,
    output_option,
)
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.networks import Network
    from ntkspec.predict import LearningCurve
    from ntkspec.predict.by_degree import ByDegree

__all__ = ["predict"]

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
#: A result, and the columns that are printed of it.
Predicted = tuple["ByDegree", Mapping[str, Any]]
#: Options that results do not name.
UNNAMED = ("target", "ridge", "ridge_scale")

COMMON = (
    click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp"),
    format_option(help="In JSON null stands for what is not finite."),
    output_option,
)
DEGREES = click.option(
    "--degrees", metavar="RANGE",
    help="a:b (without b), a:b:step, or a list; ranks under a density, and on a torus of one "
    "dimension frequencies.  [default: 0 to 12, if the domain has them]",
)  # fmt: skip
SIZE = click.option(
    "--size", type=int,
    help="Frequencies of --domain torus: those up to this in all coordinates, instead of degrees.",
)  # fmt: skip
RIDGE = click.option("--ridge", type=float, default=0.0, show_default=True)
MAX_DEGREE = click.option(
    "--max-degree", type=int,
    help="Largest degree, rank under a density or modulus of a torus's frequency that is treated "
    "separately.  [default: as many as needed]",
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


def _prediction(*options: Option) -> Callable[[Callable[..., Predicted]], click.Command]:
    """Make a command of a function, with its own options and the common ones.

    It prints what the prediction is about, then the columns.
    """

    def make(function: Callable[..., Predicted]) -> click.Command:
        @wraps(function)
        def command(*, layout: str, network: Network, domain: Domain, **parameters: Any) -> None:
            from ntkspec.files.text import json_value
            from ntkspec.spectra.route import which_kernel

            kernel = parameters["kernel"]
            found, columns = function(network=network, domain=domain, **parameters)
            lists = {name: values.tolist() for name, values in columns.items()}
            about = found.heading() | {
                name: parameters[name]
                for name in UNNAMED
                if name in parameters and name not in columns
            }
            if layout == "text":
                print_heading(network, kernel, domain, "probability")
                _print_about(
                    {name: about[name] for name in about if name not in ("domain", "dim", *columns)}
                )
                for note in found._notes():
                    say(f"# {note}")
            which = {"network": network.parameters(), **which_kernel(network, kernel)}
            if (density := click.get_current_context().params.get("density")) is not None:
                which["density"] = density
            print_columns(layout, lists, about=json_value(which | about), text="{:.6g}".format)

        with_options = network_options(domain_options(added((*COMMON, *options), command)))
        return predict.command()(with_options)

    return make


def _print_about(about: Mapping[str, Any]) -> None:
    """Print one comment line of names and values."""
    values = (", ".join(one) if isinstance(one, tuple) else one for one in about.values())
    say("# " + ", ".join(f"{name} = {value}" for name, value in zip(about, values, strict=True)))


@_prediction(
    DEGREES,
    SIZE,
    _error(0.01),
    SOBOLEV,
    click.option("--weight", default="power", show_default=True, metavar="power|laplacian"),
    density_option,
    *DESCENT,
)
def times(network: Network, domain: Domain, degrees: str | None, **options: Any) -> Predicted:
    """Time to learn each degree to an error, under L2 or a Sobolev loss.

    \b
    Examples:
      ntkspec predict times relu --dim 2 --degrees 1,2,4,8 --error 0.1 --s 1
      ntkspec predict times tanh --degrees 1:12:2 --error 0.1 --momentum best
      ntkspec predict times erf --domain torus --frequencies "1,0;0,1" --size 1
    """
    from ntkspec.predict import learning_times

    wanted = _degrees(degrees, domain, options["size"])
    found = learning_times(network, domain, degrees=wanted, **options)
    return found, found.columns()


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
    SIZE,
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
) -> Predicted:
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
        times = of_residual(network, domain, operator, degrees=wanted, **given)
        return times, times.columns()
    names = ("s", "weight", "residual_weight", "kernel", "size")
    kept = {name: options.pop(name) for name in names}
    changed = [name for name in options if is_given(name)]
    if changed:
        raise click.UsageError(
            f"--{changed[0].replace('_', '-')} has no effect with --boundary-weight, which prints "
            "rates; leave one of them out"
        )
    rates = boundary_rates(network, domain, operator, boundary_weight, degrees=wanted, **kept)
    return rates, rates.columns()


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
) -> Predicted:
    """Energies of a target's degrees in minibatch descent on an L2 loss.

    \b
    Example:
      ntkspec predict minibatch tanh --samples 1000 --batch 32 --target 1:1 --step-size 2

    most_step_size is that from which on they grow.
    """
    from ntkspec.predict import minibatch_curve

    found = minibatch_curve(network, domain, power=_powers(target), steps=steps, **options)
    at = found.power.nonzero()[0]
    return found, {
        "step": found.steps.repeat(at.size),
        "degree": found.degrees[list(at) * found.steps.size],
        **_radial(found, at.tolist() * found.steps.size),
        "energy": found.energy[:, at].ravel(),
        "mean_energy": found.mean_energy[:, at].ravel(),
        "loss": found.loss.repeat(at.size),
        "most_step_size": found.steps.repeat(at.size) * 0.0 + found.most_step_size,
    }


@_prediction(DEGREES, SIZE, _error(0.5), RIDGE, _ridge_scale("matrix", "operator"), density_option)
def samples(network: Network, domain: Domain, degrees: str | None, **options: Any) -> Predicted:
    """Number of samples at which each degree starts to be learned.

    \b
    Examples:
      ntkspec predict samples relu --dim 10 --degrees 0:5
      ntkspec predict samples relu --dim 2 --density "pieces(1, 2, 4)" --degrees 0:5
      ntkspec predict samples relu --domain torus --frequencies 1,2,4 --degrees 0:5
    """
    from ntkspec.predict import samples_to_learn

    wanted = _degrees(degrees, domain, options["size"])
    found = samples_to_learn(network, domain, degrees=wanted, **options)
    return found, found.columns()


@_prediction(
    click.option(
        "--target", "target", multiple=True, required=True, metavar="DEGREE:POWER",
        help="Power of the target in a degree, rank under a density, or frequency on a torus, "
        "1:0.5 or 1,-2:0.5; may be given several times.  For --domain gaussian and ball "
        "DEGREE,RADIAL:POWER, in the eigenfunctions of one eigenvalue of the degree.",
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
) -> Predicted:
    """Learning curve of kernel regression for a target given by its power per degree.

    \b
    Examples:
      ntkspec predict curve relu --dim 10 --target 1:1 --target 2:0.5 --noise 0.1 --ridge 1e-3
      ntkspec predict curve relu --domain torus --frequencies "1,0;0,1" --target 1,2:1

    at_least and at_most bound the theory's value, including degrees that are not treated
    separately.  In few dimensions and with little noise regressions may have larger errors.
    """
    from ntkspec.predict import learning_curve
    from ntkspec.ranges import MOST, whole_numbers

    number = whole_numbers(sizes, "samples", 1, MOST, "samples")
    found = learning_curve(network, domain, number, _powers(target), **options)
    if not by_degree:
        return found, found.columns()
    at = found.power.nonzero()[0]
    return found, {
        "samples": found.samples.repeat(at.size),
        **_indexed(found, list(at) * found.samples.size),
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
@click.option(
    "--reach", type=float,
    help="Print, instead of the curve, from how many samples on the test error is this part of the "
    "target's mean square; inf: more than the largest of --samples.  [default of --samples then: "
    "1:n:*1.05,n for n points in X, with hermite to 1000 n]",
)  # fmt: skip
@click.option("--as-given", is_flag=True, help="Do not centre the points and scale them.")
@click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp")
@format_option(help="In JSON null stands for what is not finite.")
@output_option
def data(
    network: Network,
    points: Path,
    targets: Path,
    sizes: str | None,
    reach: float | None,
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
      ntkspec predict data relu X.npy y.npy --reach 0.1
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
    if reach is not None and number is None:
        most = max(len(x), 2) * (1000 if options["method"] == "hermite" else 1)
        number = whole_numbers(f"1:{most}:*1.05,{most}", "samples", 1, MOST, "samples")
    found = from_data(network, x, y, samples=number, centre=not as_given, **options)
    about = {**found.heading(), "ridge_scale": options["ridge_scale"]}
    columns = {name: values.tolist() for name, values in found.columns().items()}
    if reach is not None:
        about |= {"ridge": options["ridge"], "reach": reach}
        enough = found.samples_to_learn(reach).ravel().tolist()
        outputs = {"output": list(range(len(enough)))} if "output" in columns else {}
        columns = {**outputs, "samples": enough}
    if layout == "text":
        _print_about(about)
    print_columns(layout, columns, about=about, text="{:.6g}".format)


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
def freedom(network: Network, domain: Domain, ridge: Sequence[float], **options: Any) -> Predicted:
    """Effective dimension and degrees of freedom at a ridge.

    \b
    Examples:
      ntkspec predict freedom tanh --dim 3 --ridge 1e-3
      ntkspec predict freedom tanh --domain torus --frequencies 1,2,4 --ridge 1e-3
    """
    from ntkspec.predict import effective_dimension

    found = effective_dimension(network, domain, list(ridge), **options)
    return found, found.columns()


def _degrees(text: str | None, domain: Domain, size: int | None) -> Sequence[int] | None:
    """The degrees given, or the first thirteen that the domain has; ranks under a density.

    None on a torus of more dimensions, and with a size, where frequencies are taken instead.
    """
    from ntkspec.domains import DensitySphere, Torus
    from ntkspec.ranges import parse_range

    if text is not None:
        return parse_range(text, "degrees")
    if isinstance(domain, Torus):
        return None if domain.dim > 1 or size is not None else range(13)
    return range(13) if isinstance(domain, DensitySphere) else domain.default_degrees[:13]


def _indexed(found: LearningCurve, at: list[Any]) -> dict[str, Any]:
    """The columns that say which degrees, or frequencies, these are."""
    if found.degrees.ndim == 1:
        return {"frequency" if found.index == "frequency" else "degree": found.degrees[at]}
    return {f"frequency_{i + 1}": m for i, m in enumerate(found.degrees[at].T)}


def _radial(found: ByDegree, at: list[int]) -> dict[str, Any]:
    """The column of ranks where a degree has several eigenvalues."""
    return {} if found.domain.single else {"radial": found.radial[at]}


def _powers(texts: Sequence[str]) -> dict[Any, float]:
    """Powers by degree, or by the coordinates of a frequency."""
    from ntkspec.errors import NtkspecError

    found: dict[Any, float] = {}
    for text in texts:
        name, _, power = text.partition(":")
        try:
            at = tuple(int(one) for one in name.split(","))
            found[at if len(at) > 1 else at[0]] = float(power)
        except ValueError:
            raise NtkspecError(
                f"target = {text!r} is not allowed; write DEGREE:POWER, such as 2:0.5, or "
                "DEGREE,RADIAL:POWER, such as 2,0:0.5, or on a torus 1,-2:0.5"
            ) from None
    return found
