"""``ntkspec train --plan``: members, disk and time of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.trainer.recipe import RunRecipe
    from ntkspec.trainer.runs import Problem

__all__ = ["named_target", "show_run_plan", "trainings"]

#: Largest number of degrees of a target that are all listed.
FEW = 12


def named_target(problem: Problem) -> str:
    """Describe a run's target in words."""
    from ntkspec.trainer.runs.history import degree_name, plural
    from ntkspec.trainer.targets import SampledTarget

    target = problem.target
    degrees, parts = [degree_name(problem, k) for k in target.degrees], plural(target.part)
    if len(degrees) > FEW:
        degrees = [*degrees[:3], "...", f"{degrees[-1]} ({len(degrees)} {parts})"]
    named = f"{parts} {', '.join(degrees)}" if degrees else f"no {parts}"
    return f"samples with {named}" if isinstance(target, SampledTarget) else named


def show_run_plan(recipe: RunRecipe, threads: int | None) -> None:
    """Print members, points, bytes, and an estimate of time."""
    from ntkspec.cli.terminal import Grid, console
    from ntkspec.parameters import duration
    from ntkspec.trainer.runs import make_problem
    from ntkspec.trainer.runs.estimate import estimate_cost
    from ntkspec.trainer.runs.file import run_bytes
    from ntkspec.trainer.runs.history import degree_name, plural

    problem = make_problem(recipe)
    shown = Grid("loss", "width", "seeds", "a step", "a training", "all its seeds")
    seeds, seconds = recipe.network.seeds, 0.0
    for key in recipe.members:
        if key.seed == seeds[0]:
            cost = estimate_cost(problem, key, threads)
            seconds += len(seeds) * cost.whole
            shown.add_row(
                key.loss, str(key.width), _listed(seeds), duration(cost.step),
                duration(cost.whole), duration(len(seeds) * cost.whole),
            )  # fmt: skip
    console().print(shown)
    points, grid = problem.points, problem.grid
    count = trainings(len(recipe.members))
    say(f"{count} of {recipe.steps} steps each, {recipe.records} records")
    say(f"points: {points.n} ({points.kind}) in dimension {points.dim}; grid: {grid.n}")
    say(f"target: {named_target(problem)}")
    if recipe.optimizer.name == "adam":
        say("optimizer: Adam, whose rates are not predicted")
    first, last = (degree_name(problem, int(k)) for k in problem.degrees[[0, -1]])
    say(f"recorded {plural(problem.target.part)}: {first} to {last}")
    size = run_bytes(problem) / 1e6
    say(f"disk: at most {2 * size:.3g} MB during training, half of that at the end")
    say(f"time: about {duration(seconds)}, from steps measured on this machine")


def trainings(count: int) -> str:
    """Return "1 training" or "N trainings"."""
    return f"{count} training{'' if count == 1 else 's'}"


def _listed(values: tuple[int, ...]) -> str:
    """Format a list of values; only the first and the last if they are consecutive."""
    if len(values) > 2 and values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    few = [str(value) for value in values[:FEW]]
    return ", ".join(few) + ", ..." * (len(values) > FEW)
