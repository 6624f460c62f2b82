"""`python -m bench [NAME ...]`: run the benchmarks and sum up."""

from __future__ import annotations

import importlib
import sys

import click

from bench.report import console, write

NAMES = (
    "accuracy", "spectra", "seeds", "engine", "estimate", "growth", "start", "kernels", "memory",
    "pointwise", "inputs", "seals", "sweep", "scale", "training", "rates", "data",
)  # fmt: skip


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
def main(names: tuple[str, ...]) -> None:
    r"""Run benchmarks (all if none is named); each prints its table and writes out/bench/NAME.json.

    \b
    Example:
      python -m bench spectra
    """
    goals = []
    for name in names or NAMES:
        goals += importlib.import_module(f"bench.{name}").run()
        console.print()
    write("summary", goals)


if __name__ == "__main__":
    sys.exit(main())
