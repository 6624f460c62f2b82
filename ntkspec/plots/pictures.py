"""What all pictures share: colours and markers, and files that appear whole."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import appearing, check_outputs
from ntkspec.files.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["NAMES", "STYLES", "checked_outputs", "plain", "save", "say_missing"]

# Okabe and Ito's colours, ordered so that their grey values differ; each with its own marker.
# Sizes differ too, for curves that nearly coincide.
STYLES = (
    ("#000000", "o", 6.5), ("#D55E00", "s", 3.0), ("#56B4E9", "^", 4.5), ("#009E73", "D", 4.0),
    ("#CC79A7", "v", 4.5), ("#0072B2", "p", 4.5), ("#E69F00", "h", 4.0), ("#999999", "<", 4.0),
)  # fmt: skip
#: Names of activations as they are printed.
NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "sigmoid": "sigmoid", "tanh": "tanh"}

#: Missing trainings that a picture names.
MOST_NAMED = 3


def checked_outputs(outputs: Sequence[str | Path], source: Path) -> list[Path]:
    """Return the paths of pictures of a file, once it is known that they can be written.

    Raises
    ------
    NtkspecError
        For other endings than .png, .svg and .pdf, and for what is no file or is the source.
    TableError
        For a folder, or a file that is protected.
    """
    paths = [Path(path) for path in outputs]
    for path in paths:
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise NtkspecError(
                f"output = {str(path)!r} is not allowed; it must end in .png, .svg or .pdf"
            )
    check_outputs(paths, [source])
    return paths


def plain(text: str) -> str:
    r"""Return a text from a file as a picture shows it: no control characters, no formulas.

    Examples
    --------
    >>> print(plain("5 $\x1b"))
    5 \$\x1b
    """
    return printable(text).replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a picture, which appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.removeprefix(".")
    with appearing(path) as part, warnings.catch_warnings():
        # A box stands for a letter that the font lacks.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
        # Ticks beyond the range of doubles are not drawn.
        warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning, "matplotlib")
        figure.savefig(part, format=kind, metadata={"Date": None} if kind == "svg" else None)


def say_missing(figure: Figure, missing: Sequence[object]) -> None:
    """Say above the lowest legend which trainings are not in a picture, or not to the end."""
    if not missing:
        return
    from matplotlib.font_manager import FontProperties

    count = len(missing)
    lines = [f"{count} training{'s' if count > 1 else ''} of the run not finished:"]
    lines += [plain(str(one)) for one in missing[:MOST_NAMED]]
    if count > MOST_NAMED:
        lines.append(f"and {count - MOST_NAMED} more")
    legend = figure.legends[-1]  # outside the axes, where the layout leaves room for it
    legend.set_title("\n".join(lines), prop=FontProperties(size=9))
    legend.get_title().set(color="#B00020", multialignment="center")
