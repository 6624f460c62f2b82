"""Assemble the page in one HTML file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ntkspec
from ntkspec.domains import Cube, Torus
from ntkspec.explorer.contents import Contents, Selection, read_contents
from ntkspec.files.appearing import appearing_text, check_outputs
from ntkspec.opening import open_table
from ntkspec.tables import Table
from ntkspec.tables.atlas import atlas_path

__all__ = ["ATLAS_DIMS", "page", "write_page"]

#: Dimensions of a page of the whole atlas.
ATLAS_DIMS = (2, 3, 5, 10, 32, 128, 1024, 1_000_000)
WEB = files("ntkspec.explorer") / "web"
#: Scripts, each a module named explorer/NAME.js; the last one starts the page.  uPlot draws the
#: charts: the module uplot, whose files stand unaltered in web/uplot with their checksums.
SCRIPTS = (
    "numbers", "store", "spectra", "choice", "controls", "plot", "charts", "readout", "listing",
    "theme", "main",
)  # fmt: skip


def write_page(
    table: Table | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    networks: Iterable[str] | None = None,
    dims: Selection = None,
    degrees: Selection = None,
    tori: Iterable[Torus] | None = None,
) -> Path:
    """Write the explorer of a table as one self-contained HTML file.

    Parameters
    ----------
    table : Table or path
    output : path
        The file is complete or does not appear; a pipe or a device is written directly.
    networks : iterable of str, optional
        Names in the table; by default all, of the atlas those it stores, and those of one layer
        on the cube.
    dims, degrees : int or iterable of int, optional
        By default all; of the atlas the dimensions `ATLAS_DIMS`.
    tori : iterable of Torus, optional
        Tori of one dimension, on which the spectra of the networks on the sphere are computed too.
        By default none; of the atlas, that of the frequencies 1, 2, 4, 8.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    NtkspecError
        If the table does not have a network, dimension or degree, or if there are more than
        `MOST_ENTRIES` eigenvalues.
    TableError
        If the table is missing or damaged, or the page cannot be written.

    Examples
    --------
    ``write_page("out/spectra.h5", "explorer.html", dims=[3, 10])`` writes a page of two
    dimensions.

    >>> write_page("missing.h5", "explorer.html")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    output = Path(output)
    with ExitStack() as stack:
        if not isinstance(table, Table):
            table = stack.enter_context(open_table(table))
        check_outputs([output], [table.path], streams=True)
        if table.path == atlas_path() and networks is None:
            networks, dims = _of_atlas(table), ATLAS_DIMS if dims is None else dims
            tori = [Torus([1, 2, 4, 8])] if tori is None else tori
        text = page(read_contents(table, networks, dims, degrees, tori or ()))
    with appearing_text(output) as file:
        file.write(text)
    return output


def _of_atlas(table: Table) -> list[str]:
    """What a page of the atlas has: what it stores, and networks of one layer on the cube."""
    stored = [name for name in table.names() if name not in table.computed]
    cubes = table.names(domain=Cube.name)
    return stored + [name for name in cubes if getattr(table.networks[name], "depth", None) == 1]


def page(contents: Contents) -> str:
    """Return the HTML of a page; the same contents give the same text.

    Names from the table cannot become HTML: the header is packed, and the scripts only set text.
    """
    imports = {f"explorer/{name}.js": _data_url(_read(f"{name}.js")) for name in SCRIPTS}
    imports["uplot"] = _data_url(_read("uplot/uPlot.iife.min.js") + "\nexport default uPlot;")
    parts = {
        "style": _read("style.css"),
        "chart_style": _read("uplot/uPlot.min.css"),
        "chart_licence": _read("uplot/LICENSE"),
        "chart_version": json.loads(_read("uplot/source.json"))["version"],
        "imports": _json({"imports": imports}),
        "header": _packed(_json(contents.header).encode()),
        "numbers": _packed(_planes(contents.numbers)),
        "version": html.escape(ntkspec.__version__),
    }
    digest = hashlib.sha256("".join(parts.values()).encode()).digest()
    nonce = base64.b64encode(digest[:18]).decode()
    return Template(_read("page.html")).substitute(parts, nonce=nonce)


def _planes(numbers: NDArray[np.float64]) -> bytes:
    """The first bytes of all doubles, then the second ones, and so on: they compress better."""
    return numbers.astype("<f8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _read(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON in which characters that HTML would read as tags are escaped."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _data_url(script: str) -> str:
    return "data:text/javascript;base64," + base64.b64encode(script.encode()).decode()
