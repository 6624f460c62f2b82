"""Relative errors against the references of the tests, computed by the independent route."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from bench.report import goal, write
from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block

REFERENCES = Path("tests/data/spectra.csv")


def run() -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    with REFERENCES.open() as file:
        references = [row for row in csv.DictReader(file) if row["value"] != "0"]
    rows, everything, honest = [], [], True
    for name in ("relu", "leaky_relu", "sigmoid", "tanh"):
        mine = [row for row in references if row["activation"] == name]
        direct = [_direct(row) for row in mine]
        walked = _walked(name, [row for row in mine if _is_plain(row)])
        for how, pairs in (("spectrum", direct), ("table", walked)):
            errors = np.array([error for error, _ in pairs])
            honest = honest and all(error <= bound for error, bound in pairs)
            everything.extend(errors)
            rows.append(
                {
                    "network": name, "route": how, "references": len(pairs),
                    "worst": float(errors.max()), "nine in ten": float(np.quantile(errors, 0.9)),
                    "promised": max(bound for _, bound in pairs),
                }
            )  # fmt: skip
    worst, most = float(np.max(everything)), float(np.quantile(everything, 0.9))
    goals = [
        goal("relative error everywhere", "<= 1e-12", worst, worst <= 1e-12),
        goal("relative error, nine in ten", "<= 1e-13", most, most <= 1e-13),
        goal("promised bounds that hold", "all", float(honest), honest),
    ]
    write("accuracy", rows, goals)
    return goals


def _is_plain(row: dict[str, str]) -> bool:
    poster = (row["weight_variance"], row["trained"], row["kernel"])
    # A logarithm below -700 has at most 13 digits after the point as a double.
    return poster == ("1.0", "hidden", "ntk") and mpmath.mpf(row["value"]) > 2.3e-308


def _direct(row: dict[str, str]) -> tuple[float, float]:
    net = Network(
        row["activation"], weight_variance=float(row["weight_variance"]), trained=row["trained"]
    )
    degree = int(row["degree"])
    around = np.arange(max(0, degree - 40), degree + 1)
    s = spectrum(net, int(row["dim"]), around, kernel=row["kernel"])
    with mpmath.workdps(50):
        value = mpmath.ldexp(mpmath.mpf(float(s.mantissas[-1])), int(s.exponents[-1]))
        error = abs(float(value / mpmath.mpf(row["value"]) - 1))
    return error, float(s.relative_error[-1])


def _walked(name: str, rows: list[dict[str, str]]) -> list[tuple[float, float]]:
    block = table_block(name, range(2, 1025), range(4097))
    pairs = []
    for row in rows:
        i, j = int(row["dim"]) - 2, int(row["degree"])
        with mpmath.workdps(50):
            ratio = mpmath.mpf(float(block.eigenvalues[i, j])) / mpmath.mpf(row["value"])
            pairs.append((abs(float(ratio - 1)), float(block.relative_error[i])))
    return pairs
