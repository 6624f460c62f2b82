"""``ntkspec sweep --plan``: blocks, memory, disk and time of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.sweeps import Recipe

__all__ = ["show_plan"]


def show_plan(recipe: Recipe, layout: str) -> None:
    """Print blocks, eigenvalues, bytes, memory of a task and an estimate of time."""
    from ntkspec.cli.terminal import Grid, console
    from ntkspec.parameters import duration
    from ntkspec.sweeps import Plan
    from ntkspec.sweeps.assembly import check_layout
    from ntkspec.sweeps.checks import LEAST_SECONDS
    from ntkspec.sweeps.estimate import checks_seconds, estimate_cost

    check_layout(layout)
    plan = Plan(recipe)
    shown = Grid("network", "domain", "kernel", "blocks", "of dims x degrees", "memory", "one core")
    seconds, memory = 0.0, 0
    for n, key in enumerate(recipe.networks):
        grid, cost = plan.grids[n], estimate_cost(plan, n)
        seconds, memory = seconds + cost.seconds, max(memory, cost.memory)
        shown.add_row(
            key.name, key.domain, key.kernel, str(len(plan.of_network(n))),
            f"{min(grid.block[0], grid.dims)} x {min(grid.block[1], grid.degrees)}",
            _megabytes(cost.memory), duration(cost.seconds),
        )  # fmt: skip
    console().print(shown)
    say(f"{len(plan)} blocks, {plan.eigenvalues} eigenvalues")
    size = plan.bytes / 1e9
    once = layout == "virtual" or recipe.compression == "none"
    twice = "" if once else ", and the same again while the blocks are assembled"
    say(f"disk: {size:.3g} GB uncompressed (compression = {recipe.compression!r}){twice}")
    say(f"memory: {_megabytes(memory)} for a task, plus about 200 MB for each worker")
    say(f"time: about {duration(seconds)} on one core, without the checks and the disk")
    most, checking = recipe.checks.most * len(recipe.networks), checks_seconds(plan)
    limit = max(seconds, LEAST_SECONDS)
    if recipe.checks.samples is not None or checking <= limit:
        say(f"checks: at most {most}, about {duration(checking)} on one core")
    else:
        say(
            f"checks: at most {most} ({duration(checking)} on one core), as many as take "
            f"{duration(limit)}; --checks {recipe.checks.most} asks for all"
        )


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"
