"""Measured over predicted test errors of kernel regression on data that scikit-learn ships.

A random half of the points predicts (`ntkspec.predict.from_data`), and the prediction is the mean
over some halves.  The regression is done on random parts of all points.  The network has one hidden
ReLU layer with the bias variance 0.1, all trained, and the ridge is 0.001.  Features are
standardized, except those of the digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import goal, write
from ntkspec import Network
from ntkspec.predict import from_data

Array = NDArray[np.float64]

NETWORK = Network("relu", trained="all", bias_variance=0.1)
RIDGE = 1e-3
METHODS = ("eigenvectors", "hermite")
SIZES = (25, 50, 100, 200, 400, 800)
HALVES, REPETITIONS = 10, 24
#: Sizes for each set of data: at most half of its points.
SETS = {
    "digits": SIZES[1:],
    "breast_cancer": SIZES[:4],
    "diabetes": SIZES[:4],
    "wine": SIZES[:2],
}


def run(
    sets: Sequence[str] = tuple(SETS), halves: int = HALVES, repetitions: int = REPETITIONS
) -> list[dict[str, Any]]:
    """Write a row for each set of data, target and method, and return the goals."""
    rows = sorted(
        (row for name in sets for row in _rows(name, halves, repetitions)),
        key=lambda row: METHODS.index(row["method"]),
    )
    goals = []
    for method, most in zip(METHODS, (0.25, 0.35), strict=True):
        ratios = [
            float(row[f"n = {n}"]) for row in rows for n in SIZES
            if row["method"] == method and row[f"n = {n}"] != ""
        ]  # fmt: skip
        worst = max(abs(ratio - 1.0) for ratio in ratios)
        what = f"measured over predicted test errors of data, {method}: largest distance from 1"
        goals.append(goal(what, f"<= {most}", worst, worst <= most))
    write("data", rows, goals)
    return goals


def targets_of(name: str) -> tuple[Array, dict[str, Array]]:
    """Points, and targets by what they are."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, label = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name != "digits":
        x = StandardScaler().fit_transform(x)
    if name == "diabetes":
        return x, {"progress": (label - label.mean()) / label.std()}
    chosen = {
        "digits": {
            "odd or even": label % 2 == 1,
            "at least 5": label >= 5,
            "zero or not": label == 0,
        },
        "breast_cancer": {"malignant or not": label == 0},
        "wine": {"first kind or not": label == 0, "second kind or not": label == 1},
    }[name]
    return x, {what: 2.0 * one - 1.0 for what, one in chosen.items()}


def _rows(name: str, halves: int, repetitions: int) -> Iterator[dict[str, Any]]:
    x, targets = targets_of(name)
    y, sizes = np.stack(list(targets.values()), axis=1), SETS[name]
    found = _measured(x, y, sizes, repetitions)
    error = found.std(axis=0, ddof=1) / found.mean(axis=0) / math.sqrt(repetitions)
    for method in METHODS:
        predicted = np.array(
            [
                from_data(
                    NETWORK, x[half], y[half], samples=sizes, ridge=RIDGE, method=method
                ).test_error  # type: ignore[arg-type]
                for half in _halves(len(x), halves)
            ]
        )
        ratio = found.mean(axis=0) / predicted.mean(axis=0)
        spread = predicted.std(axis=0, ddof=1) / predicted.mean(axis=0)
        for i, what in enumerate(targets):
            by_size = dict(zip(sizes, ratio[:, i].tolist(), strict=True))
            yield {
                "data, target": f"{name.replace('_', ' ')}, {what}",
                "method": method,
                **{f"n = {n}": f"{by_size[n]:.2f}" if n in by_size else "" for n in SIZES},
                "standard error": f"{error[:, i].max():.2f}",
                "spread of halves": f"{spread[:, i].max():.2f}",
            }


def _halves(n: int, count: int) -> Iterator[NDArray[np.int64]]:
    for seed in range(count):
        yield np.random.default_rng(seed).permutation(n)[: n // 2]


def _measured(x: Array, y: Array, sizes: Sequence[int], repetitions: int) -> Array:
    """Errors on new points of regression on random ones, (repetitions, sizes, targets)."""
    x = x - x.mean(axis=0)
    matrix = NETWORK.ntk_matrix(x / math.sqrt(np.mean(np.sum(x**2, axis=1))))
    rng = np.random.default_rng(1)
    found = np.empty((repetitions, len(sizes), y.shape[1]))
    for repetition in found:
        for row, n in zip(repetition, sizes, strict=True):
            old, new = np.split(rng.permutation(len(x)), [n])
            weights = np.linalg.solve(matrix[np.ix_(old, old)] + RIDGE * np.eye(n), y[old])
            row[:] = np.mean((matrix[np.ix_(new, old)] @ weights - y[new]) ** 2, axis=0)
    return found
