"""Sweeps: recipe -> plan -> run (dask) -> blocks (files) -> assembly."""

from ntkspec.jobs.progress import Observer
from ntkspec.sweeps.batch import Batch
from ntkspec.sweeps.clusters import External, Local
from ntkspec.sweeps.plan import Plan
from ntkspec.sweeps.progress import SweepProgress
from ntkspec.sweeps.recipe import Recipe, parse_recipe, read_recipe
from ntkspec.sweeps.run import SweepResult, run_shard, run_sweep

__all__ = [
    "Batch",
    "External",
    "Local",
    "Observer",
    "Plan",
    "Recipe",
    "SweepProgress",
    "SweepResult",
    "parse_recipe",
    "read_recipe",
    "run_shard",
    "run_sweep",
]
