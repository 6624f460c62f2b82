"""Compare the decay rates that a run measured with those that the spectrum predicts."""

from ntkspec.compare.comparison import compare
from ntkspec.compare.planned import TrainingPlan, plan
from ntkspec.compare.predicted import NetworkAtStart
from ntkspec.compare.results import Comparison, Curves, ExtrapolatedRow, Level, Row

__all__ = [
    "Comparison",
    "Curves",
    "ExtrapolatedRow",
    "Level",
    "NetworkAtStart",
    "Row",
    "TrainingPlan",
    "compare",
    "plan",
]
