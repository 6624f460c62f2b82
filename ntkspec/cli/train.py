"""``ntkspec train``: train the networks of a recipe and write a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntkspec.cli.options import PATH
from ntkspec.cli.streams import say

if TYPE_CHECKING:
    from ntkspec.trainer.runs import RunResult

__all__ = ["train"]


@click.command(short_help="Train the networks of RECIPE and measure their rates.")
@click.argument("recipe", type=PATH)
@click.option("-o", "--output", type=PATH, help="Run to write (HDF5); required except with --plan.")
@click.option(
    "--plan",
    is_flag=True,
    help="Show trainings, time and disk space without training.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="The results do not depend on it.  [default: all]"
)
@click.option("--restart", is_flag=True, help="Discard the work of earlier runs.")
@click.option("--log-json", is_flag=True, help="Report events and progress as lines of JSON.")
@click.option(
    "--checkpoint", type=click.FloatRange(min=0.0), default=5.0, show_default=True,
    metavar="SECONDS", help="Time between checkpoints; a kill loses at most so much work.",
)  # fmt: skip
@click.pass_context
def train(
    ctx: click.Context,
    /,
    recipe: Path,
    output: Path | None,
    plan: bool,
    threads: int | None,
    restart: bool,
    log_json: bool,
    checkpoint: float,
) -> None:
    """Train the networks that RECIPE (TOML) describes, and measure what they learn.

    Every combination of exponent, width and seed is trained, one after another.  After an
    interruption the same command resumes the work, to the same bits.  A training that diverges is
    kept with the reason, the others are trained, and the exit code is 1.

    \b
    Example: show the plan, train, plot
      ntkspec train data/recipes/figure2.toml --plan
      ntkspec train data/recipes/figure2.toml -o out/figure2.h5
      ntkspec plot out/figure2.h5 -o out/figure2.png
    """
    if plan:
        from ntkspec.cli.run_plan import show_run_plan
        from ntkspec.trainer.recipe import read_run_recipe

        show_run_plan(read_run_recipe(recipe), threads)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    from ntkspec.cli.interrupts import ending_soon
    from ntkspec.cli.watchers import watching
    from ntkspec.trainer.runs import train_run

    again = "the same command again" + (" without --restart" if restart else "")
    ctx.find_root().obj = message = f"interrupted; {again} resumes the work"
    with ending_soon(message), watching("steps", as_json=log_json) as observer:
        result = train_run(
            recipe, output, threads=threads, restart=restart, checkpoint=checkpoint,
            observer=observer,
        )  # fmt: skip
    say(_outcome(result))
    for name, message in result.diverged:
        say(f"{name}: {message}", err=True)
    if result.diverged:
        raise click.exceptions.Exit(1)


def _outcome(result: RunResult) -> str:
    from ntkspec.cli.run_plan import trainings

    if not result.trained:
        return f"{result.output} is complete already"
    earlier = f", {result.reused} by earlier runs" if result.reused else ""
    return f"wrote {result.output}: {trainings(result.trained + result.reused)}{earlier}"
