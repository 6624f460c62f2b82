"""``ntkspec predict``: predictions from a network's spectrum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.domain import domain_options
from ntkspec.cli.group import ErrorsAsMessages
from ntkspec.cli.options import network_options

if TYPE_CHECKING:
    from ntkspec.domains import Domain
    from ntkspec.results import Result

__all__ = ["predict"]

COMMON = (
    click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp"),
    click.option(
        "--format", "layout", type=click.Choice(["text", "csv", "json"]), default="text",
        show_default=True, help="In JSON null stands for what is not finite.",
    ),
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
    """


RIDGE_SCALE = (
    "matrix: delta of K + delta I; operator: r of K/n + r I, on the scale of the eigenvalues."
)
DEGREES = "a:b (without b), a:b:step, or a list.  [default: 0 to 12, if the domain has them]"


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(COMMON):
        command = option(command)
    return network_options(domain_options(command))


@predict.command()
@_shared
@click.option("--degrees", metavar="RANGE", help=DEGREES)
@click.option("--error", type=float, default=0.01, show_default=True, help="Fraction left.")
@click.option("--s", type=float, default=0.0, show_default=True, help="Sobolev exponent; 0: L2.")
@click.option("--weight", default="power", show_default=True, metavar="power|laplacian")
@click.option("--step-size", type=float, help="Step size; without it the time of gradient flow.")
def times(
    activation: str,
    domain: Domain,
    kernel: Any,
    layout: str,
    degrees: str | None,
    error: float,
    s: float,
    weight: Any,
    step_size: float | None,
    **parameters: Any,
) -> None:
    """Time to learn each degree to an error, under L2 or a Sobolev loss.

    \b
    Example:
      ntkspec predict times relu --dim 2 --degrees 1,2,4,8 --error 0.1 --s 1
    """
    from ntkspec.networks import Network
    from ntkspec.predict import learning_times

    found = learning_times(
        Network(activation, **parameters), domain, error, s=s, weight=weight, step_size=step_size,
        degrees=_degrees(degrees, domain), kernel=kernel,
    )  # fmt: skip
    _show(layout, found)


@predict.command()
@_shared
@click.option("--degrees", metavar="RANGE", help=DEGREES)
@click.option("--error", type=float, default=0.5, show_default=True, help="Fraction left.")
@click.option("--ridge", type=float, default=0.0, show_default=True)
@click.option(
    "--ridge-scale", default="matrix", show_default=True, metavar="matrix|operator",
    help=RIDGE_SCALE,
)  # fmt: skip
def samples(
    activation: str,
    domain: Domain,
    kernel: Any,
    layout: str,
    degrees: str | None,
    error: float,
    ridge: float,
    ridge_scale: Any,
    **parameters: Any,
) -> None:
    """Number of samples at which each degree starts to be learned.

    \b
    Example:
      ntkspec predict samples relu --dim 10 --degrees 0:5
    """
    from ntkspec.networks import Network
    from ntkspec.predict import samples_to_learn

    found = samples_to_learn(
        Network(activation, **parameters), domain, error, ridge=ridge, ridge_scale=ridge_scale,
        degrees=_degrees(degrees, domain), kernel=kernel,
    )  # fmt: skip
    _show(layout, found)


@predict.command()
@_shared
@click.option(
    "--target", "target", multiple=True, required=True, metavar="DEGREE:POWER",
    help="Power of the target in a degree; may be given several times.",
)  # fmt: skip
@click.option("--samples", "sizes", default="10:2001:*2", show_default=True, metavar="RANGE")
@click.option("--noise", type=float, default=0.0, show_default=True, help="Variance of labels.")
@click.option("--ridge", type=float, default=0.0, show_default=True)
@click.option(
    "--ridge-scale", default="matrix", show_default=True, metavar="matrix|operator",
    help=RIDGE_SCALE,
)  # fmt: skip
@click.option(
    "--max-degree", type=int,
    help="Largest degree that is treated separately.  [default: as many as needed]",
)  # fmt: skip
@click.option(
    "--by-degree", is_flag=True, help="Print the contribution of each degree of the target."
)
def curve(
    activation: str,
    domain: Domain,
    kernel: Any,
    layout: str,
    target: Sequence[str],
    sizes: str,
    noise: float,
    ridge: float,
    ridge_scale: Any,
    max_degree: int | None,
    by_degree: bool,
    **parameters: Any,
) -> None:
    """Learning curve of kernel regression for a target given by its power per degree.

    \b
    Example:
      ntkspec predict curve relu --dim 10 --target 1:1 --target 2:0.5 --noise 0.1 --ridge 1e-3

    at_least and at_most bound the error, including degrees that are not treated separately.
    """
    from ntkspec.networks import Network
    from ntkspec.predict import learning_curve
    from ntkspec.ranges import MOST, whole_numbers

    found = learning_curve(
        Network(activation, **parameters), domain,
        whole_numbers(sizes, "samples", 1, MOST, "samples"), _powers(target), noise=noise,
        ridge=ridge, ridge_scale=ridge_scale, kernel=kernel,
        max_degree=max_degree,
    )  # fmt: skip
    if by_degree:
        at = found.power.nonzero()[0]
        parts = (found.learnability, found.bias, found.variance)
        columns = {
            "samples": found.samples.repeat(at.size),
            "degree": found.degrees[list(at) * found.samples.size],
            **{
                name: part[:, at].ravel()
                for name, part in zip(("learnability", "bias", "variance"), parts, strict=True)
            },
        }
        _print(layout, columns)
        return
    _show(layout, found)


@predict.command()
@_shared
@click.option(
    "--ridge", type=float, multiple=True, default=(1e-1, 1e-2, 1e-3, 1e-4), show_default=True,
    help="May be given again.",
)  # fmt: skip
@click.option(
    "--ridge-scale", default="operator", show_default=True, metavar="operator|matrix",
    help=RIDGE_SCALE,
)  # fmt: skip
@click.option(
    "--samples",
    type=int,
    help="Number of points; of_samples is then the expectation for the kernel's matrix.",
)
@click.option(
    "--max-degree", type=int,
    help="Largest degree that is treated separately.  [default: as many as needed]",
)  # fmt: skip
def freedom(
    activation: str,
    domain: Domain,
    kernel: Any,
    layout: str,
    ridge: Sequence[float],
    ridge_scale: Any,
    samples: int | None,
    max_degree: int | None,
    **parameters: Any,
) -> None:
    """Effective dimension and degrees of freedom at a ridge.

    \b
    Example:
      ntkspec predict freedom tanh --dim 3 --ridge 1e-3
    """
    from ntkspec.networks import Network
    from ntkspec.predict import effective_dimension

    found = effective_dimension(
        Network(activation, **parameters), domain, list(ridge), samples=samples,
        ridge_scale=ridge_scale, kernel=kernel, max_degree=max_degree,
    )  # fmt: skip
    _show(layout, found)


def _degrees(text: str | None, domain: Domain) -> Sequence[int]:
    """The degrees given, or the first thirteen that the domain has."""
    from ntkspec.ranges import parse_range

    return domain.default_degrees[:13] if text is None else parse_range(text, "degrees")


def _powers(texts: Sequence[str]) -> dict[int, float]:
    from ntkspec.errors import NtkspecError

    found: dict[int, float] = {}
    for text in texts:
        degree, _, power = text.partition(":")
        try:
            found[int(degree)] = float(power)
        except ValueError:
            raise NtkspecError(
                f"target = {text!r} is not allowed; write DEGREE:POWER, such as 2:0.5"
            ) from None
    return found


def _show(layout: str, found: Result) -> None:
    _print(layout, found.columns())


def _print(layout: str, columns: Mapping[str, Any]) -> None:
    lists = {name: values.tolist() for name, values in columns.items()}
    print_columns(layout, lists, text="{:.6g}".format)
