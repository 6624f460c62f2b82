"""``ntkspec info``: contents of a table or a run, or progress of an unfinished one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntkspec.cli.options import TABLE
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ntkspec.tables import Table

__all__ = ["info"]


@click.command(short_help="Show the contents and the provenance of a table or a run.")
@click.argument("table", type=TABLE)
def info(table: Path) -> None:
    """Show the contents, the provenance and the checks of TABLE, or of a run.

    For an unfinished sweep or training it shows the progress.  TABLE may be a recipe, whose
    eigenvalues are computed when they are read.

    \b
    Example:
      ntkspec info out/spectra.h5
      ntkspec info out/figure2.h5
    """
    from ntkspec.jobs.parts import parts_folder
    from ntkspec.opening import open_table
    from ntkspec.trainer.runs import is_run

    folder = table if table.is_dir() else parts_folder(table)
    unfinished = not table.is_file() and folder.is_dir()
    if is_run(folder if unfinished else table):
        _show_run(folder if unfinished else table)
        return
    if unfinished:
        _show_unfinished(folder)
        return
    with open_table(table) as source:
        attributes = source.attributes
        stored = attributes.get("layout") != "computed"
        if stored:
            _show_making(table, attributes)
        else:
            say(f"{table}: a recipe, whose table is computed when it is read")
        if stored and source.computed:
            count, of = len(source.computed), len(source.networks)
            say(f"{count} of its {of} networks are not stored: computed when they are read")
        if attributes.get("layout") == "virtual":
            say("a virtual table: the numbers are in the files of its blocks")
        _show_networks(source, stored)


def _show_making(path: Path, attributes: dict[str, Any]) -> None:
    """Print format and provenance of a file."""
    say(f"{path}: {attributes['format']}, version {attributes['format_version']}")
    say(f"made {attributes['time']} by: {attributes['command']}")
    versions = json.loads(attributes["versions"])
    say("with " + ", ".join(f"{name} {number}" for name, number in versions.items()))


def _show_run(path: Path) -> None:
    """Print the trainings of a run and their progress."""
    from ntkspec.cli.run_plan import named_target
    from ntkspec.cli.terminal import Grid, console, number
    from ntkspec.jobs.parts import is_locked
    from ntkspec.trainer.runs import open_run

    run = open_run(path)
    recipe, members = run.recipe, len(run.recipe.members)
    if run.finished:
        _show_making(path, run.attributes)
    else:
        total = recipe.steps * members
        say(f"{path}: an unfinished run" + (", running now" if is_locked(path) else ""))
        finished = members - len(run.missing)
        say(
            f"{len(run.members)} of {members} trainings have begun, {finished} are finished, "
            f"{run.steps_done} of {total} steps are done ({run.steps_done / total:.1%})"
        )
        for message in run.damaged.values():
            say(f"damaged, to be trained again: {message}")
    say(
        f"{recipe.network.network}, {run.points.n} points ({run.points.kind}) in dimension "
        f"{run.points.dim}, target: {named_target(run)}"
    )
    shown = Grid("training", "s", "step size", "steps", "loss", "kernel moved", "status")
    for m in run.members:
        shown.add_row(
            m.name, number(m.s), number(m.step_size),
            f"{m.steps_done}/{recipe.steps}", f"{m.loss[-1]:.3e}" if m.loss.size else "",
            number(m.start_kernel_movement), m.status,
        )  # fmt: skip
    console().print(shown)
    for m in run.members:
        if m.message:
            say(f"{m.name}: {m.message}")


def _show_networks(source: Table, stored: bool) -> None:
    from ntkspec.cli.terminal import Grid, console
    from ntkspec.verification import method_name

    shown = Grid(
        "network",
        "domain",
        "kernel",
        "dim",
        "degree",
        "eigenvalues",
        "promised",
        "checked",
        "by",
        "worst",
    )
    for name in source.networks:
        key, dims, degrees = source.key(name), source.dims(name), source.degrees(name)
        promised = f"{source.relative_error(name).max():.1e}" if stored else ""
        drawn = source.checks(name)
        checks = [check for check in drawn if check["reference"]]
        errors = [check["relative_error"] for check in checks]
        left_out = f", {len(drawn) - len(checks)} left out" if len(checks) < len(drawn) else ""
        methods = ", ".join(sorted({method_name(str(check["method"])) for check in checks}))
        shown.add_row(
            name, key.domain, key.kernel, _span(dims), _span(degrees),
            str(source.size(name)),
            promised, f"{len(errors)}{left_out}", methods,
            f"{max(errors):.1e}" if errors else "",
        )  # fmt: skip
    console().print(shown)


def _show_unfinished(folder: Path) -> None:
    """Print the finished blocks of each network."""
    from ntkspec.cli.terminal import Grid, console
    from ntkspec.jobs.parts import is_locked
    from ntkspec.sweeps import Plan
    from ntkspec.sweeps.folder import remembered, survey

    plan = Plan(remembered(folder))
    there = survey(plan, folder)
    share = there.eigenvalues / plan.entries
    say(f"{folder}: an unfinished sweep" + (", running now" if is_locked(folder) else ""))
    say(
        f"{there.blocks} of {len(plan)} blocks, {there.eigenvalues} of {plan.entries} "
        f"eigenvalues ({share:.1%}), {there.checks} checks"
    )
    shown = Grid("network", "domain", "kernel", "blocks", "of")
    for n, key in enumerate(plan.recipe.networks):
        count = there.by_network.get(n, 0)
        shown.add_row(key.name, key.domain, key.kernel, str(count), str(len(plan.of_network(n))))
    console().print(shown)


def _span(values: NDArray[np.int64]) -> str:
    """Format values as in a recipe, or only the first and the last."""
    first, last = values[[0, -1]].tolist()
    steps = set((values[1:] - values[:-1]).tolist())
    if not steps:
        return str(first)
    if len(steps) > 1:
        return f"{first}, ..., {last} ({values.size} values)"
    (step,) = steps
    return f"{first}:{last + 1}" + (f":{step}" if step > 1 else "")
