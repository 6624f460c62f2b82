"""Colours, markers and file output that all pictures share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import appearing, check_outputs
from ntkspec.files.text import printable
from ntkspec.results import STYLES, library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["NAMES", "STYLES", "checked_outputs", "name_missing", "plain", "save"]

#: Names of activations in pictures.
NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "sigmoid": "sigmoid", "tanh": "tanh"}

#: Most missing trainings that a picture names.
MOST_NAMED = 3


def checked_outputs(outputs: Sequence[str | Path], source: Path) -> list[Path]:
    """Return the paths of pictures of a file, after checking that they can be drawn and written."""
    paths = [Path(path) for path in outputs]
    for path in paths:
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise NtkspecError(
                f"output = {str(path)!r} is not allowed; it must end in .png, .svg or .pdf"
            )
    library("matplotlib", "a picture", "plots")
    check_outputs(paths, [source])
    return paths


def plain(text: str) -> str:
    r"""Return text from a file for use in a picture: no control characters, no formulas.

    Examples
    --------
    >>> print(plain("5 $\x1b"))
    5 \$\x1b
    """
    return printable(text).replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a picture; the file is complete or does not appear."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.removeprefix(".")
    with appearing(path) as part, warnings.catch_warnings():
        # A letter that is not in the font is drawn as a box.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
        # Ticks beyond the range of doubles are not drawn.
        warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning, "matplotlib")
        figure.savefig(part, format=kind, metadata={"Date": None} if kind == "svg" else None)


def name_missing(figure: Figure, missing: Sequence[object]) -> None:
    """List unfinished trainings above the lowest legend."""
    if not missing:
        return
    from matplotlib.font_manager import FontProperties

    count = len(missing)
    lines = [f"{count} training{'s' if count > 1 else ''} of the run not finished:"]
    lines += [plain(str(one)) for one in missing[:MOST_NAMED]]
    if count > MOST_NAMED:
        lines.append(f"and {count - MOST_NAMED} more")
    legend = figure.legends[-1]  # outside the axes, where the layout leaves room
    legend.set_title("\n".join(lines), prop=FontProperties(size=9))
    legend.get_title().set(color="#B00020", multialignment="center")
