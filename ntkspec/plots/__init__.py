"""Pictures of tables, runs and comparisons; matplotlib is imported when one is drawn."""

from ntkspec.plots.figure3 import figure3
from ntkspec.plots.training import run_picture

__all__ = ["figure3", "run_picture"]
