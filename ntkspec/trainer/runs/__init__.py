"""Runs: from a recipe of trainings to a file of measurements, resumed after interruptions."""

from ntkspec.jobs.progress import Observer
from ntkspec.trainer.runs.file import Member, Missing, Run, is_run, open_run
from ntkspec.trainer.runs.problem import Problem, make_problem, start_network
from ntkspec.trainer.runs.progress import TrainingProgress
from ntkspec.trainer.runs.run import RunResult, train_run

__all__ = [
    "Member",
    "Missing",
    "Observer",
    "Problem",
    "Run",
    "RunResult",
    "TrainingProgress",
    "is_run",
    "make_problem",
    "open_run",
    "start_network",
    "train_run",
]
