"""`python -m bench.measured`: the manual's page of measured figures.

Every number of the page stands in a JSON file that a benchmark wrote to `out/bench`; a benchmark
without a file is named as not measured.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bench.__main__ import NAMES
from bench.report import OUT

__all__ = ["page"]

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "measured.rst"
#: Longer tables are summed up by their goals; all their rows are in the JSON file.
MOST_ROWS = 40
#: What one benchmark writes beside the table of its own name.
FURTHER = {"growth": ("single",), "scale": ("scale-inputs", "scale-blocks", "scale-validation")}
VERSIONS = ("python", "numpy", "scipy", "numba", "mpmath", "h5py")


def page(folder: Path) -> str:
    """Return the page, as reStructuredText, of the JSON files in a folder.

    Raises
    ------
    FileNotFoundError
        When no benchmark has left a file there.
    """
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in _written(folder)}
    if not found:
        raise FileNotFoundError(f"{folder} holds no benchmark's JSON; `python -m bench` writes it")
    missing = [name for name in NAMES if name not in found]
    lines = [*_head(found, missing)]
    for name in NAMES:
        for one in (name, *FURTHER.get(name, ())):
            if one in found:
                lines += _section(name, one, found[one])
    return "\n".join(lines).rstrip() + "\n"


def _written(folder: Path) -> list[str]:
    wanted = [one for name in NAMES for one in (name, *FURTHER.get(name, ()))]
    return [name for name in wanted if (folder / f"{name}.json").exists()]


def _head(found: dict[str, Any], missing: Sequence[str]) -> Iterator[str]:
    yield from (
        ".. Written by `python -m bench.measured`, the last step of `make bench`; do not edit.",
        "",
        "Measured accuracy and speed",
        "===========================",
        "",
        "What ``make bench`` measured, each benchmark with its date, machine and versions.  Ratios "
        "are taken",
        "within one run; times are those of a machine that others may have used too.",
        "",
    )
    if missing:
        yield from (f"Not measured in this run: {', '.join(missing)}.", "")
    goals = [(name, goal) for name, document in found.items() for goal in document["goals"]]
    met = sum(goal["met"] for _, goal in goals)
    yield from ("Goals", "-----", "", f"{met} of {len(goals)} are met.", "")
    yield from _table(
        [
            {
                "benchmark": f"`{name}`_",
                "figure": _escaped(goal["figure"]),
                "goal": _escaped(goal["goal"]),
                "measured": f"{_cell(goal['measured'])} {goal['unit']}".strip(),
                "met": "yes" if goal["met"] else "**no**",
            }
            for name, goal in goals
        ]
    )


def _section(benchmark: str, name: str, document: dict[str, Any]) -> Iterator[str]:
    machine, rows = document["machine"], document["rows"]
    versions = ", ".join(f"{one} {machine[one]}" for one in VERSIONS if one in machine)
    commit = f"; commit {machine['commit']}" if machine.get("commit") else ""
    yield from (name, "-" * len(name), "")
    yield from (_escaped(_purpose(benchmark)), "")
    yield f"*{machine['date'][:10]}, {machine['processor']}, {machine['cores']} cores; "
    yield from (f"{versions}{commit}.*", "")
    if len(rows) > MOST_ROWS:
        yield from (
            f"{len(rows)} rows, in ``out/bench/{name}.json``; the goals above sum them up.",
            "",
        )
    elif rows:
        yield from _table([{key: _escaped(_cell(v)) for key, v in row.items()} for row in rows])


def _purpose(benchmark: str) -> str:
    """First paragraph of the benchmark's docstring; it is not imported for that."""
    tree = ast.parse((HERE / f"{benchmark}.py").read_text(encoding="utf-8"))
    return " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())


def _table(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in [dict(zip(columns, map(_escaped, columns), strict=True)), *rows]:
        for i, column in enumerate(columns):
            yield f"   {'* ' if i == 0 else '  '}- {row.get(column, '')}".rstrip()
    yield ""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{c}" if c in "\\*`|_<>" else c for c in text)


@click.command()
@click.option("--from", "folder", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(folder: Path, output: Path) -> None:
    r"""Write the manual's page of measured figures.

    \b
    Example:
      python -m bench accuracy && python -m bench.measured -o /tmp/measured.rst
    """
    try:
        text = page(folder)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    output.write_text(text, encoding="utf-8")
    click.echo(f"wrote {output}")


if __name__ == "__main__":
    main()
