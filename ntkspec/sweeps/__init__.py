"""Sweeps: recipe -> plan -> run (dask) -> blocks (files) -> assembly."""

from ntkspec.sweeps.recipe import Recipe, group_name, parse_recipe, read_recipe
from ntkspec.sweeps.run import SweepResult, run_sweep

__all__ = ["Recipe", "SweepResult", "group_name", "parse_recipe", "read_recipe", "run_sweep"]
