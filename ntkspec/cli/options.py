"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any

import click

__all__ = [
    "DEGREES",
    "DIM",
    "EXPORTED",
    "PATH",
    "RANGE",
    "TABLE",
    "added",
    "format_option",
    "is_given",
    "layout_of",
    "named_network_options",
    "network_options",
    "output_option",
    "table_options",
]


class TablePath(click.Path):
    """Path of a table or a recipe; `atlas` stands for the table installed with the package."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path."""
        if value == "atlas":
            from ntkspec.tables.atlas import atlas_path

            return atlas_path()
        return super().convert(value, param, ctx)


class Range(click.ParamType):  # type: ignore[type-arg]
    """Dimensions or degrees, see `ntkspec.ranges.parse_range`."""

    name = "RANGE"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the values."""
        from ntkspec.ranges import parse_range

        return parse_range(value, param.name)


class PerLayer(click.ParamType):  # type: ignore[type-arg]
    """One number, or one for each layer with commas between them; or a word."""

    name = "NUMBERS"

    def __init__(self, kind: Callable[[str], Any] = float, words: bool = False) -> None:
        self.kind, self.words = kind, words

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a number, a list, or the word."""
        if not isinstance(value, str) or (self.words and value.isalpha()):
            return value
        try:
            found = [self.kind(one) for one in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not allowed; give a number, or one for each layer: 2,1,1")
        return found[0] if len(found) == 1 and not self.words else found


PATH, TABLE, RANGE = click.Path(path_type=Path), TablePath(), Range()
#: Options that choose dimensions and degrees of a table.
DIM = click.option("--dim", type=RANGE, help="As --degrees.  [default: all]")
DEGREES = click.option(
    "--degrees", type=RANGE, help="a:b, a:b:step, a:b:*ratio, 0,4,8:20.  [default: all]"
)

OPTIONS = (
    click.option(
        "--zonal", metavar="KERNEL",
        help="Instead of a network: 'laplace(2)', another of ntkspec.zonal, or module:kernel.",
    ),
    click.option("--slope", type=float, help="Slope of leaky_relu below 0.  [default: 0.1]"),
    click.option("--power", type=int, help="Power of relu_power.  [default: 2]"),
    click.option("--depth", type=int, default=1, show_default=True, help="Hidden layers."),
    click.option(
        "--weight-variance", type=PerLayer(), default="1.0", show_default=True,
        help="Of all hidden layers, or of each: 900,1,1.",
    ),
    click.option(
        "--bias-variance", type=PerLayer(), default="0.0", show_default=True,
        help="The same of their biases; the readout has its own.",
    ),
    click.option(
        "--trained", type=PerLayer(int, words=True), default="hidden", show_default=True,
        metavar="hidden|all|LAYERS",
        help="Trained parameters: without (hidden) or with (all) the readout, or layers by their "
        "numbers: 1,3.",
    ),
    click.option(
        "--bias", default="gaussian", show_default=True, metavar="gaussian|zero",
        help="Biases at the start; zero: their variance is the square of their scale.",
    ),
    click.option("--readout-variance", type=float, default=1.0, show_default=True),
    click.option("--readout-bias-variance", type=float, default=0.0, show_default=True),
    click.option("--normalize", is_flag=True, help="LayerNorm before each activation."),
    click.option(
        "--parameterization", default="ntk", show_default=True,
        metavar="ntk|standard|mean_field|mup",
    ),
    click.option(
        "--weights", default="gaussian", show_default=True, metavar="gaussian|sphere",
        help="Law of the inner weights.",
    ),
)  # fmt: skip


NAMES = (
    "slope", "power", "depth", "weight_variance", "bias_variance", "trained", "weights", "bias",
    "readout_variance", "readout_bias_variance", "normalize", "parameterization",
)  # fmt: skip

#: Formats of printed text by the suffixes of files.
PRINTED = {"": "text", ".txt": "text", ".csv": "csv", ".json": "json"}
#: Formats of tables of numbers by the suffixes of files.
EXPORTED = {
    "": "csv", ".txt": "csv", ".csv": "csv", ".json": "json", ".nc": "netcdf",
    ".parquet": "parquet",
}  # fmt: skip

GROUPS = (
    click.option("--network", help="Its name in the table.  [default: all]"),
    click.option("--kernel", metavar="ntk|nngp", help="Of the networks.  [default: all]"),
    click.option(
        "--domain",
        metavar="sphere|cube|gaussian|ball|'ball(radius=2)'",
        help="Of the networks.  [default: all]",
    ),
)


def added(options: Iterable[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with options, which its help lists in this order."""
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose groups of a table."""
    return added(GROUPS, command)


def format_option(
    *kinds: str, help: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option for the format of the output; the command gets it as `layout`."""
    return click.option(
        "--format", "layout", type=click.Choice(kinds or ["text", "csv", "json"]), default="text",
        show_default=True, help=help,
    )  # fmt: skip


def layout_of(output: Path, layout: str, suffixes: Mapping[str, str]) -> str:
    """The format in which a file is written: that of --format, or else that of its suffix.

    It replaces none of the command's inputs.
    """
    from ntkspec.errors import NtkspecError
    from ntkspec.files.appearing import check_outputs, is_stream

    check_outputs([output], _files_given(), streams=True)
    if is_given("layout") or is_stream(output):
        return layout
    if (suffix := output.suffix.lower()) not in suffixes:
        raise NtkspecError(
            f"output = {str(output)!r}: {suffix} files are not written; give a name that ends in "
            f"{', '.join(filter(None, suffixes))}, or --format for what it shall hold"
        )
    return suffixes[suffix]


def output_option(
    command: Callable[..., Any], others: Mapping[str, str] | None = None
) -> Callable[..., Any]:
    """Add -o to a command that prints text, CSV or JSON: it is written to a file instead.

    The file appears whole or not at all.  Other suffixes are those of another option, as told.
    """

    @wraps(command)
    def with_output(*, output: Path | None, **parameters: Any) -> Any:
        if output is None or str(output) == "-":
            return command(**parameters)
        from ntkspec.cli.streams import say
        from ntkspec.files.appearing import appearing_text

        if others is not None and output.suffix in others:
            raise click.UsageError(
                f"-o writes what is printed, which {output} is not for; {others[output.suffix]}"
            )
        parameters["layout"] = layout_of(output, parameters["layout"], PRINTED)
        found, exit_ = None, None
        with appearing_text(output) as file, redirect_stdout(file):
            try:
                found = command(**parameters)
            except click.exceptions.Exit as left:  # with a result that is not complete
                exit_ = left
        say(f"wrote {output}", err=True)
        if exit_ is not None:
            raise exit_
        return found

    option = click.option(
        "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True),
        help="Write to this file, in the format of its suffix .csv, .json or .txt unless --format "
        "is given; - is the standard output, the default.",
    )  # fmt: skip
    return option(with_output)


def _files_given() -> list[Path]:
    """The files that the arguments and options of this command name, but for its output."""
    given = {**click.get_current_context().params, "output": None}
    words = [one for v in given.values() for one in (v if isinstance(v, tuple) else (v,))]
    return [Path(one) for one in words if isinstance(one, (str, Path)) and os.path.isfile(one)]


def _network(activation: str, given: dict[str, Any]) -> Any:
    """A network from a TOML file, from its parts as text, or from its parameters."""
    from ntkspec.networks import Network

    if not activation.endswith(".toml") and "(" in activation and "Linear" in activation:
        values: dict[str, Any] = {"layers": activation}
    elif activation.endswith(".toml"):
        from ntkspec.sweeps.recipe import read_network

        values = read_network(activation)
    else:
        return Network(activation, **given)
    if changed := [name for name in NAMES if is_given(name)]:
        raise click.UsageError(
            f"--{changed[0].replace('_', '-')} is given with {activation}, which describes the "
            "whole network; leave one of them out"
        )
    return Network(**values)


def is_given(name: str) -> bool:
    """Whether an option of the current command was given."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a kernel; the command gets it as `network`."""
    inner = _with_network(command, "argument 'ACTIVATION'")

    @wraps(inner)
    def with_one(*, activations: tuple[str, ...], named: str | None, **parameters: Any) -> Any:
        from ntkspec.parameters import shown

        given = [*activations, *([] if named is None else [named])]
        if len(given) > 1:
            raise click.UsageError(
                "one network is taken at a time, not "
                f"{', '.join(map(shown, given[:-1]))} and {shown(given[-1])}; run the command once "
                "for each"
            )
        return inner(activation=given[0] if given else None, **parameters)

    # Of any number, so that it may be left out before other arguments, and others are named.
    argument = click.argument("activations", nargs=-1, metavar="[ACTIVATION]")
    option = click.option("--network", "named", metavar="ACTIVATION", help="As the argument.")
    return added((argument, option, *OPTIONS), with_one)


def named_network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options where the argument is a file: the activation is an option, too."""
    option = click.option(
        "--network", "activation", metavar="ACTIVATION",
        help="An activation's name, a network's parts, or a TOML file, as for ntkspec eig.",
    )  # fmt: skip
    return added((option, *OPTIONS), _with_network(command, "option '--network ACTIVATION'"))


def _check_files() -> None:
    """Blame a file that is missing, not the activation, where an activation stands for a file."""
    from ntkspec.parameters import shown

    ctx = click.get_current_context()
    arguments = [one for one in ctx.command.params if isinstance(one, click.Argument)]
    if len(arguments) < 2:
        return
    names = [one.make_metavar(ctx).strip("[]") for one in arguments]
    first = ctx.params[arguments[1].name or ""]
    if not os.path.isfile(first):
        raise click.UsageError(
            f"missing argument '{names[-1]}': {shown(str(first))} is no file for {names[1]}; the "
            f"arguments are {' '.join(names)}"
        )


def _with_network(command: Callable[..., Any], needed: str) -> Callable[..., Any]:
    name = needed.split("'")[1].partition(" ")[0]

    @wraps(command)
    def with_network(*, activation: str | None, zonal: str | None, **parameters: Any) -> Any:
        given = {name: parameters.pop(name) for name in NAMES}
        if activation is None and zonal is None:
            _check_files()
            raise click.UsageError(f"missing {needed}, or --zonal KERNEL")
        if activation is not None and zonal is not None:
            raise click.UsageError(f"--zonal is instead of {name}; leave one of them out")
        if activation is None:
            if changed := [name for name in NAMES if is_given(name)]:
                raise click.UsageError(
                    f"--{changed[0].replace('_', '-')} is for networks; leave it out with --zonal"
                )
            from ntkspec.zonal import zonal_kernel

            return command(network=zonal_kernel(zonal or ""), **parameters)
        return command(network=_network(activation, given), **parameters)

    return with_network
