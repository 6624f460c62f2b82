"""``ntkspec merge``: shards into their table, or tables into a larger one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ntkspec.cli.options import TABLE
from ntkspec.cli.streams import say

__all__ = ["merge"]


@click.command(short_help="Merge shards' blocks, or tables, into one table.")
@click.argument("sources", nargs=-1, required=True, type=TABLE)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Table to write (HDF5)."
)
@click.option(
    "--layout", default="single", show_default=True, metavar="single|virtual",
    help="For folders: a single file, or a file that refers to the block files.",
)  # fmt: skip
@click.option("--log-json", is_flag=True, help="Report events and progress as lines of JSON.")
def merge(sources: tuple[Path, ...], output: Path, layout: Any, log_json: bool) -> None:
    """Merge SOURCES: folders with the blocks of shards, or tables.

    Every block is verified, and missing checks are computed.  Tables may have different networks
    or adjacent ranges of dimension and degree; where they overlap they must agree.

    \b
    Examples: the blocks of four shards; two tables
      ntkspec merge out/spectra.h5.parts -o out/spectra.h5
      ntkspec merge low.h5 high.h5 -o all.h5
    """
    from ntkspec.cli.watchers import watching
    from ntkspec.sweeps.merge import merge as merge_sources

    with watching("blocks and checks", as_json=log_json) as observer:
        merge_sources(sources, output, layout=layout, observer=observer)
    say(f"wrote {output}")
