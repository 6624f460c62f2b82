"""`python -m bench.measured`: store results of benchmarks for the manual's page of figures.

A benchmark writes all its rows to `out/bench/NAME.json`.  What the repository keeps of it are its
goals and the machine's facts, in `bench/results.json`; the manual's build makes tables of them, and
five rows stand in the README.
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
from ntkspec.activations import ACTIVATIONS

__all__ = ["README", "RESULTS", "keep", "readme_rows", "rows_table", "tables", "write_readme"]

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE.parent / "README.md"
#: The lines of the README between which its rows stand.
MARKS = "<!-- measured: written by `python -m bench.measured` -->", "<!-- end of measured -->"
#: A row of the README: what it says, the goals it is of by the beginning of their names, and how
#: the largest of their figures is written, before its unit.
ROWS = (
    ("largest relative error of an eigenvalue, against stored references",
     "accuracy", "relative error everywhere", "{:.1e}"),
    ("error bounds that hold", "accuracy", "promised bounds that hold", "{:.0%}"),
    ("a spectrum of one hidden layer, degrees 0 to 1000, in a running process",
     "single", "one spectrum, k <= 1000, warm", "{:.1f}"),
    ("the slowest warm spectrum (compiled, not remembered) of {activations} of the {all} "
     "activations: depth 1 to 4, with and without bias, degrees 0 to 256",
     "engine", "slowest warm spectrum, from d = 2", "{:.2f}"),
    ("measured rates of wide networks, largest difference from the prediction",
     "rates", "measured over predicted for the points", "{:.1%}"),
)  # fmt: skip
#: Additional files of a benchmark.
FURTHER = {"growth": ("single",), "scale": ("scale-costs",), "training": ("deep", "pinn")}
#: Benchmarks whose rows are kept too, for pages of their own.
WITH_ROWS = ("engine", "data")
VERSIONS = ("python", "numpy", "scipy", "numba", "mpmath", "h5py")


def keep(folder: Path, results: Path) -> list[str]:
    """Copy goals and machines from a folder's JSON files into the results, and return their names.

    Benchmarks that left no file in the folder keep the results that they have.

    Raises
    ------
    FileNotFoundError
        When no benchmark has left a file in the folder.
    """
    found = {name: folder / f"{name}.json" for name in _names()}
    new = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    if not new:
        raise FileNotFoundError(f"{folder} holds no benchmark's JSON; `python -m bench` writes it")
    kept = json.loads(results.read_text()) if results.exists() else {}
    for name, d in new.items():
        kept[name] = {"machine": d["machine"], "goals": d["goals"]}
        if name in WITH_ROWS:
            kept[name]["rows"] = d["rows"]
    results.write_text(_dumped({name: kept[name] for name in _names() if name in kept}))
    return list(new)


def _names() -> list[str]:
    return [one for name in NAMES for one in (name, *FURTHER.get(name, ()))]


def _dumped(results: dict[str, Any]) -> str:
    """Return JSON with one line per machine, goal and row, for readable diffs."""
    parts = []
    for name, result in results.items():
        lists = [f'"{key}": {_lines(result[key])}' for key in ("goals", "rows") if key in result]
        fields = ",\n ".join([f'"machine": {json.dumps(result["machine"])}', *lists])
        parts.append(f'"{name}": {{{fields}}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(values: Sequence[Any]) -> str:
    text = ",\n  ".join(json.dumps(value) for value in values)
    return f"[\n  {text}]" if values else "[]"


def rows_table(results: dict[str, Any], name: str) -> Iterator[str]:
    """Lines of reStructuredText: the rows of a benchmark, a table for each activation they have."""
    if name not in results:
        yield from ("Not measured yet.", "")
        return
    rows = results[name]["rows"]
    for activation in dict.fromkeys(row.get("activation") for row in rows):
        if activation is not None:
            yield from (f".. rubric:: {_escaped(activation)}", "")
        mine = [row for row in rows if row.get("activation") == activation]
        yield from _table(
            [{k: _escaped(_cell(v)) for k, v in row.items() if k != "activation"} for row in mine]
        )
    yield from _table([_benchmark_row(name, results[name]["machine"])])


def readme_rows(results: dict[str, Any]) -> Iterator[str]:
    """Lines of Markdown: the table of the README."""
    yield from ("| What | Measured | Date |", "|---|---|---|")
    for text, name, figure, form in ROWS:
        goals = [goal for goal in results[name]["goals"] if goal["figure"].startswith(figure)]
        largest = form.format(max(goal["measured"] for goal in goals)).replace("%", " %")
        figures = f"{largest} {goals[0]['unit']}".strip()
        text = text.format(activations=_activations(results[name]), all=len(ACTIVATIONS))
        yield f"| {text} | {figures} | {results[name]['machine']['date'][:10]} |"


def _activations(result: dict[str, Any]) -> int:
    """Number of activations of a benchmark's rows."""
    return len({row["activation"] for row in result.get("rows", ()) if "activation" in row})


def write_readme(results: dict[str, Any], readme: Path) -> None:
    """Write the rows between the marks of a README."""
    before, rest = readme.read_text(encoding="utf-8").split(f"{MARKS[0]}\n")
    rows = "".join(f"{line}\n" for line in readme_rows(results))
    after = rest.partition(MARKS[1])[2]
    readme.write_text(f"{before}{MARKS[0]}\n{rows}{MARKS[1]}{after}", encoding="utf-8")


def tables(results: dict[str, Any]) -> Iterator[str]:
    """Lines of reStructuredText: a table of the goals, and one of the benchmarks.

    Goals of a benchmark that differ only after the first comma of their names, and are alike met or
    missed, share a row, which gives the range of what was measured.
    """
    goals = [goal for result in results.values() for goal in result["goals"]]
    yield from (f"{sum(goal['met'] for goal in goals)} of {len(goals)} goals are met.", "")
    rows = []
    for name, result in results.items():
        rows += [_goals_row(name, group) for group in _alike(result["goals"])]
    yield from _table(rows)
    missing = [name for name in NAMES if name not in results]
    if missing:
        yield from (f"Not measured yet: {', '.join(missing)}.", "")
    yield from _table([_benchmark_row(name, result["machine"]) for name, result in results.items()])


def _alike(goals: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for goal in goals:
        key = (goal["figure"].partition(",")[0], goal["goal"], goal["unit"], goal["met"])
        groups.setdefault(key, []).append(goal)
    return list(groups.values())


def _goals_row(name: str, goals: Sequence[dict[str, Any]]) -> dict[str, str]:
    first = goals[0]
    figure, measured = first["figure"], _cell(first["measured"])
    if len(goals) > 1:
        figure = f"{figure.partition(',')[0]} ({len(goals)} goals)"
        values = [goal["measured"] for goal in goals]
        low, high = _cell(min(values)), _cell(max(values))
        measured = low if low == high else f"{low} to {high}"
    return {
        "benchmark": name,
        "figure": _escaped(figure),
        "goal": _escaped(first["goal"]),
        "measured": f"{measured} {first['unit']}".strip(),
        "met": "yes" if first["met"] else "**no**",
    }


def _benchmark_row(name: str, machine: dict[str, Any]) -> dict[str, str]:
    versions = ", ".join(f"{one} {machine[one]}" for one in VERSIONS if one in machine)
    return {
        "benchmark": name,
        "what it measures": _marked(_purpose(name)),
        "date": machine["date"][:10],
        "commit": machine.get("commit", ""),
        "machine": _escaped(f"{machine['processor']}, {machine['cores']} cores; {versions}"),
    }


def _purpose(name: str) -> str:
    """First paragraph of the benchmark's docstring, read without importing the benchmark."""
    owner = next(one for one in NAMES if name == one or name in FURTHER.get(one, ()))
    tree = ast.parse((HERE / f"{owner}.py").read_text(encoding="utf-8"))
    return " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())


def _table(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in [{key: key for key in rows[0]}, *rows]:
        for i, cell in enumerate(row.values()):
            yield f"   {'* ' if i == 0 else '  '}- {cell}".rstrip()
    yield ""


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    """Return the text with all markup escaped."""
    return "".join(f"\\{c}" if c in "\\*`|_<>" else c for c in text)


def _marked(text: str) -> str:
    """Return the text of a docstring: what stands in backticks is code."""
    parts = text.split("`")
    return "".join(f"``{part}``" if i % 2 else _escaped(part) for i, part in enumerate(parts))


@click.command()
@click.option("--from", "folder", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=RESULTS,
    show_default="bench/results.json",
)  # fmt: skip
@click.option("--readme", type=click.Path(path_type=Path), default=README, show_default="README.md")
def main(folder: Path, output: Path, readme: Path) -> None:
    r"""Keep the goals and machines of the last benchmarks, for the manual and the README.

    \b
    Example:
      python -m bench accuracy && python -m bench.measured
    """
    try:
        names = keep(folder, output)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None
    write_readme(json.loads(output.read_text()), readme)
    click.echo(f"updated {output}: {', '.join(names)}")


if __name__ == "__main__":
    main()
