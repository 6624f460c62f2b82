"""``ntkspec data``: the leading eigenvalues of a kernel on a data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.columns import print_columns
from ntkspec.cli.options import PATH, format_option, named_network_options, output_option
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.spectra.route import Source

__all__ = ["data"]


@click.command()
@click.argument("vectors", type=PATH, metavar="X")
@named_network_options
@click.option(
    "--fan-in", is_flag=True, help="Divide the weight variance of the first layer by the dimension."
)
@click.option("--kernel", default="ntk", show_default=True, metavar="ntk|nngp")
@click.option("--count", type=int, default=20, show_default=True, help="Eigenvalues.")
@click.option(
    "--further", type=int, default=0, show_default=True,
    help="So many more, with the residuals that they have.",
)  # fmt: skip
@click.option(
    "--tolerance",
    type=float,
    default=1e-6,
    show_default=True,
    help="Largest norm of K v / n - eigenvalue v, divided by the eigenvalue.",
)
@click.option(
    "--memory", default="256MB", show_default=True, help="To work in, besides the data: 2GB."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random start.")
@click.option(
    "--save", type=PATH, metavar="FILE",
    help="Write the numbers to a .csv file as well, or with the eigenvectors to a .npz file.",
)  # fmt: skip
@click.option(
    "--target", type=PATH, metavar="Y",
    help="A .npy or .csv file with a target for each vector: how much of it lies along each "
    "eigenvector, and when that is learned.",
)  # fmt: skip
@click.option(
    "--error", type=float, help="Fraction left when it counts as learned.  [default: 0.01]"
)
@click.option("--log-json", is_flag=True, help="Report progress as lines of JSON.")
@format_option(help="In JSON null stands for what is not finite.")
@partial(output_option, others={".npz": "use --save"})
def data(
    network: Source,
    vectors: Path,
    save: Path | None,
    target: Path | None,
    error: float | None,
    log_json: bool,
    layout: str,
    **options: Any,
) -> None:
    """Print the leading eigenvalues of a kernel's matrix of vectors.

    They are those of K / n, for n vectors, and comparable with ntkspec eig.  X is a .npy or .csv
    file with vectors in rows, of any norm; a CSV file may have a line of names at the top.  The
    matrix is not stored unless it fits in the memory.  share is the fraction of the trace, the sum
    of all eigenvalues.

    With --target, power is the mean square of the target along the eigenvector, cumulative its
    fraction up to there, and time that of gradient flow until the error is left.

    \b
    Examples:
      ntkspec data X.npy --network relu --count 10
      ntkspec data X.npy --network relu --target y.npy --error 0.1
      ntkspec data X.csv --network gelu --depth 2 --fan-in --trained all --save s.npz
    """
    from ntkspec.cli.watchers import watching
    from ntkspec.errors import NtkspecError, TableError
    from ntkspec.files.appearing import check_outputs
    from ntkspec.files.vectors import read_targets, read_vectors
    from ntkspec.parameters import number
    from ntkspec.spectra.data_set import check_spectrum_file, data_spectrum

    if save is not None:
        check_spectrum_file(save)
        check_outputs([save], [vectors, *([target] if target else [])])
        if not save.parent.is_dir():  # said before the work, which may take long
            raise TableError(f"{save}: the folder {save.parent} does not exist")
    if error is not None and target is None:
        raise NtkspecError(f"error = {error} is for --target; leave it out without one")
    read = read_vectors(vectors)
    wanted = None if target is None else read_targets(target, read.array, vectors)
    if error is not None:
        number(error, "error", 1e-300, 1.0)
    with watching("rows", as_json=log_json) as observer:
        found = data_spectrum(network, read, observer=observer, **options)
    more: dict[str, Any] = {}
    about = found.heading()
    if wanted is not None:
        from ntkspec.predict import target_modes

        modes = target_modes(found, wanted, **({} if error is None else {"error": error}))
        more = modes.by_rank()
        about["error"] = modes.error
    if save is not None:
        found.save(save, more)
    if layout == "text":
        say(f"# {found.title()}")
        say(f"# {found.route}; {found.products} products")
        if wanted is not None:
            say(f"# error = {about['error']}")
    columns = {name: values.tolist() for name, values in (found.columns() | more).items()}
    print_columns(layout, columns, about=about, text=_cell)


def _cell(value: float) -> str:
    return repr(value) if isinstance(value, int) else f"{value:.10g}"
