"""The stored eigenvalues of random networks, and the engine's errors against them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mpmath

from ntkspec import Network, Spectrum, spectrum
from ntkspec.networks import Kernel

__all__ = ["REFERENCES", "Reference", "errors", "references"]

REFERENCES = Path(__file__).parents[1] / "tests/data/random_spectra.csv"


@dataclass(frozen=True)
class Reference:
    """An eigenvalue to 20 digits, as text."""

    family: int
    network: Network
    kernel: Kernel
    dim: int
    degree: int
    value: str


def references(path: Path = REFERENCES) -> list[Reference]:
    """All cases that have a value; some could not be computed in the time that was given."""
    with path.open() as file:
        return [_reference(row) for row in csv.DictReader(file) if row["value"]]


def _reference(row: dict[str, str]) -> Reference:
    parameters = {
        name: kind(row[name]) for name, kind in (("slope", float), ("power", int)) if row[name]
    }
    network = Network(
        row["activation"], depth=int(row["depth"]), trained=row["trained"],
        weight_variance=float(row["weight_variance"]), bias_variance=float(row["bias_variance"]),
        **parameters,
    )  # fmt: skip
    return Reference(
        int(row["family"]), network, row["kernel"], int(row["dim"]), int(row["degree"]),
        row["value"],
    )  # fmt: skip


def errors(cases: Iterable[Reference]) -> list[tuple[Reference, float, float]]:
    """Each case with the engine's relative error and the bound that the engine gives."""
    together = defaultdict(list)
    for case in cases:
        together[case.network, case.dim, case.kernel].append(case)
    found = []
    for (network, dim, kernel), mine in together.items():
        s = spectrum(network, dim, [case.degree for case in mine], kernel=kernel)
        found += [(case, *_error(s, i, case.value)) for i, case in enumerate(mine)]
    return found


def _error(s: Spectrum, i: int, true: str) -> tuple[float, float]:
    with mpmath.workdps(40):
        value = mpmath.ldexp(mpmath.mpf(float(s.mantissas[i])), int(s.exponents[i]))
        if mpmath.mpf(true) == 0:
            error = 0.0 if value == 0 else float("inf")
        else:
            error = float(abs(value / mpmath.mpf(true) - 1))
    return error, float(s.relative_error[i])
