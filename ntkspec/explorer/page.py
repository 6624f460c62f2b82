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

import ntkspec
from ntkspec.errors import NtkspecError
from ntkspec.explorer.contents import Contents, Selection, read_contents
from ntkspec.files.appearing import appearing_text, check_outputs
from ntkspec.opening import open_table
from ntkspec.tables import Table

__all__ = ["page", "write_page"]

WEB = files("ntkspec.explorer") / "web"
#: Scripts, each a module named explorer/NAME.js; the last one starts the page.
SCRIPTS = (
    "numbers", "store", "spectra", "choice", "controls", "charts", "readout", "listing", "theme",
    "main",
)  # fmt: skip


def write_page(
    table: Table | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    networks: Iterable[str] | None = None,
    dims: Selection = None,
    degrees: Selection = None,
) -> Path:
    """Write the explorer of a table as one self-contained HTML file.

    Parameters
    ----------
    table : Table or path
    output : path
        The file is complete or does not appear; a pipe or a device is written directly.
    networks : iterable of str, optional
        Names in the table; by default all.
    dims, degrees : int or iterable of int, optional
        By default all.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    NtkspecError
        If plotly is not installed, if the table does not have a network, dimension or degree, or
        if there are more than `MOST_ENTRIES` eigenvalues.
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
        text = page(read_contents(table, networks, dims, degrees))
    with appearing_text(output) as file:
        file.write(text)
    return output


def page(contents: Contents) -> str:
    """Return the HTML of a page; the same contents give the same text.

    Names from the table cannot become HTML: the header is JSON in which ``<`` is escaped, and the
    scripts only set text.
    """
    library, version = _library()
    imports = {f"explorer/{name}.js": _data_url(_read(f"{name}.js")) for name in SCRIPTS}
    parts = {
        "style": _read("style.css"),
        "imports": _json({"imports": imports}),
        "header": _json(contents.header),
        "numbers": _packed(contents.numbers.astype("<f8").tobytes()),
        "library": _packed(library.encode()),
        "library_version": html.escape(version),
        "version": html.escape(ntkspec.__version__),
    }
    digest = hashlib.sha256("".join(parts.values()).encode()).digest()
    nonce = base64.b64encode(digest[:18]).decode()
    return Template(_read("page.html")).substitute(parts, nonce=nonce)


def _library() -> tuple[str, str]:
    """Plotly's JavaScript, and its version."""
    try:
        from plotly.offline import get_plotlyjs, get_plotlyjs_version
    except ImportError:
        raise NtkspecError(
            "the explorer needs plotly, which is not installed: pip install 'ntkspec[explorer]'"
        ) from None
    return get_plotlyjs(), get_plotlyjs_version()


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
