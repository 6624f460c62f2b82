"""Write neural_tangents.csv: kernels by neural-tangents and to 30 digits, and what fails there.

neural-tangents runs in the environment that `bench.neural_tangents` makes from PyPI; the digits
are of `bench/neural_tangents/exact.py`, a quadrature that uses no dual.  From the root, in about
ten minutes: `python -m tests.data.make_neural_tangents`; after an interruption it goes on.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, TextIO

from bench.neural_tangents.environment import ask
from bench.neural_tangents.exact import exact

HERE = Path(__file__).parent
AT = [-0.9, 0.2, 0.9, 1.0]
VARIANCES = ((1.0, 0.0), (2.0, 0.2))
DEPTH = 4
NETWORKS: list[dict[str, Any]] = [
    {"activation": "relu"},
    {"activation": "leaky_relu", "slope": 0.2},
    {"activation": "abs"},
    {"activation": "step", "depth": 1},
    {"activation": "relu_power", "power": 2, "depth": 2},
    {"activation": "relu_power", "power": 3, "depth": 1},
    {"activation": "sin"},
    {"activation": "cos"},
    {"activation": "gaussian"},
    {"activation": "erf"},
    {"activation": "gelu"},
    {"activation": "elu", "nodes": 25},
    {"activation": "tanh", "nodes": 25},
    {"activation": "sigmoid", "nodes": 25},
    {"activation": "softplus", "nodes": 25},
    {"activation": "silu", "nodes": 25},
]
NAMES = (
    "activation", "slope", "power", "nodes", "depth", "weight_variance", "bias_variance",
)  # fmt: skip
HARD = [
    {"activation": name, "depth": depth, "weight_variance": weight, "bias_variance": bias}
    for name in ("relu", "erf", "gelu")
    for depth, weight, bias in (
        (1, 256.0, 0.0), (3, 2.0, 0.2), (3, 256.0, 0.0), (15, 2.0, 0.0), (15, 256.0, 0.0),
        (50, 1.5, 0.1), (100, 256.0, 0.0),
    )
]  # fmt: skip
CIRCLE = 128


def write_values(file: TextIO, done: set[tuple[str, ...]]) -> None:
    """Kernels at a few t, by neural-tangents in doubles and to 30 digits."""
    writer = csv.writer(file, lineterminator="\n")
    if not done:
        writer.writerow([*NAMES, "t", "nngp", "ntk", "exact_nngp", "exact_ntk"])
    for network in NETWORKS:
        for weight, bias in VARIANCES:
            deepest = {"depth": DEPTH, **network, "weight_variance": weight, "bias_variance": bias}
            if (*(str(deepest.get(n, "")) for n in NAMES), str(AT[-1])) in done:
                continue
            cases = [{**deepest, "depth": n + 1, "t": AT} for n in range(deepest["depth"])]
            theirs = ask(cases)["results"]
            for case, values, digits in zip(cases, theirs, exact(deepest, AT), strict=True):
                for i, t in enumerate(AT):
                    both = [_text(values[kernel][i]) for kernel in ("nngp", "ntk")]
                    if digits[i][1] == "nan":  # theirs leaves out what is not there
                        both[1] = "nan"
                    writer.writerow([*(case.get(n, "") for n in NAMES), t, *both, *digits[i]])
            file.flush()


def write_hard(file: TextIO) -> None:
    """Gram matrices of equispaced points of the circle, in single and double precision."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*NAMES, "x64", "circle", "not_finite", "lowest", "highest"])
    for x64 in (False, True):
        results = ask([{**case, "circle": CIRCLE} for case in HARD], x64)["results"]
        for case, result in zip(HARD, results, strict=True):
            extremes = [_text(result[name]) for name in ("lowest", "highest")]
            row = [case.get(name, "") for name in NAMES]
            writer.writerow([*row, int(x64), CIRCLE, result["not_finite"], *extremes])


def write_hard_file(header: str) -> None:
    """The smaller file, as a whole."""
    text = io.StringIO(newline="")
    text.write(header)
    write_hard(text)
    (HERE / "neural_tangents_gram.csv").write_text(text.getvalue())


def _text(value: float | None) -> str:
    return "nan" if value is None else f"{value:.17g}"


def main() -> None:
    """Write both files, under another name first; go on with the longer one."""
    versions = ", ".join(f"{name} {version}" for name, version in ask([])["versions"].items())
    header = f"# {versions}; made by {Path(__file__).name}\n"
    path = HERE / "neural_tangents.csv"
    partial = path.with_suffix(".partial")
    lines = partial.read_text().splitlines()[1:] if partial.exists() else []
    done = {tuple(row[: len(NAMES) + 1]) for row in csv.reader(lines)}
    with partial.open("a", newline="") as file:
        if not done:
            file.write(header)
        write_values(file, done)
    partial.replace(path)
    write_hard_file(header)


if __name__ == "__main__":
    main()
