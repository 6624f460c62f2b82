"""``ntkspec train --plan``: members, disk and time of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.trainer.recipe import RunRecipe
    from ntkspec.trainer.targets import SampledTarget, Target

__all__ = ["named_target", "show_run_plan", "trainings"]

#: Largest number of degrees of a target that are all listed.
FEW = 12


def named_target(target: Target | SampledTarget) -> str:
    """Describe a target in words."""
    from ntkspec.trainer.targets import SampledTarget

    degrees = [str(degree) for degree in target.degrees]
    if len(degrees) > FEW:
        degrees = [*degrees[:3], "...", f"{degrees[-1]} ({len(degrees)} {target.part}s)"]
    part = target.part
    named = f"{part}s {', '.join(degrees)}" if degrees else f"no {part}s"
    return f"samples with {named}" if isinstance(target, SampledTarget) else named


def show_run_plan(recipe: RunRecipe, threads: int | None) -> None:
    """Print members, points, bytes, and an estimate of time."""
    from ntkspec.cli.terminal import Grid, console, duration
    from ntkspec.trainer.runs import make_problem
    from ntkspec.trainer.runs.estimate import estimate_cost
    from ntkspec.trainer.runs.file import run_bytes

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
    say(f"target: {named_target(problem.target)}")
    if recipe.optimizer.name == "adam":
        say("optimizer: Adam, whose rates are not predicted")
    say(f"recorded {problem.target.part}s: {problem.degrees[0]} to {problem.degrees[-1]}")
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
