"""Figures; matplotlib is imported when one is drawn."""

from ntkspec.plots.figure3 import figure3

__all__ = ["figure3"]
