"""Write neural_tangents_general.csv: kernels of networks whose layers differ, by neural-tangents.

Run it from the root by the interpreter of neural-tangents (`bench/neural_tangents/environment.py`):
    .venv-neural-tangents/bin/python tests/data/make_neural_tangents_general.py

Inputs of squared norm DIM stand for unit vectors, as its kernels begin with x . x' / DIM.  In its
"standard" parameterization a Dense adds n q to the tangent kernel, n the number of its inputs and q
the covariance before it, and 1 for its bias, also where b_std = 0: rates (n, 1) here.
"""

from __future__ import annotations

import csv
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
# Its experiments import TensorFlow, which is not installed.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

from neural_tangents import stax  # noqa: E402

DIM, WIDTH = 4, 1024
AT = (-0.9, 0.2, 0.9, 1.0)


def dense(weight: float, bias: float = 0.0, standard: bool = False) -> Any:
    """A layer of some variances."""
    if standard:
        return stax.Dense(WIDTH, weight**0.5, bias**0.5, parameterization="standard")
    return stax.Dense(WIDTH, weight**0.5, bias**0.5 if bias else None)


def residual(*branch: Any) -> Any:
    """A sum of the branch and what it starts from."""
    return stax.serial(
        stax.FanOut(2), stax.parallel(stax.Identity(), stax.serial(*branch)), stax.FanInSum()
    )


def norm() -> Any:
    """LayerNorm without trained parameters."""
    return stax.LayerNorm(eps=0.0)


#: Written as in `Network.serial`, and the same for neural-tangents.
NETWORKS: dict[str, list[Any]] = {
    "Linear(2.0, 0.1), 'relu', Linear(0.5, 0.3), 'erf', Linear(1.5)": [
        dense(2.0, 0.1), stax.Relu(), dense(0.5, 0.3), stax.Erf(), dense(1.5),
    ],
    "Linear(1.0), 'erf', Linear(3.0, 0.7)": [dense(1.0), stax.Erf(), dense(3.0, 0.7)],
    "Linear(2.0, 0.3), Normalize(), 'relu', Linear(1.0, 0.1), Normalize(), 'relu', Linear(1.0)": [
        dense(2.0, 0.3), norm(), stax.Relu(), dense(1.0, 0.1), norm(), stax.Relu(), dense(1.0),
    ],
    "Linear(1.0, 0.2), Normalize(), 'gelu', Linear(2.0)": [
        dense(1.0, 0.2), norm(), stax.Gelu(), dense(2.0),
    ],
    "Linear(1.0, 0.1), Residual('relu', Linear(2.0)), Residual('erf', Linear(0.5)), 'relu', "
    "Linear(1.0)": [
        dense(1.0, 0.1), residual(stax.Relu(), dense(2.0)), residual(stax.Erf(), dense(0.5)),
        stax.Relu(), dense(1.0),
    ],
    "Linear(1.0), Residual('gelu', Linear(2.0), 'sin', Linear(0.5, 0.1)), Normalize(), 'relu', "
    "Linear(1.0)": [
        dense(1.0), residual(stax.Gelu(), dense(2.0), stax.Sin(), dense(0.5, 0.1)), norm(),
        stax.Relu(), dense(1.0),
    ],
    "Linear(2.0, 0.1, rates=(4.0, 1.0)), 'relu', Linear(2.0, 0.1, rates=(1024.0, 1.0)), 'erf', "
    "Linear(1.0, 0.5, rates=(1024.0, 1.0))": [
        dense(2.0, 0.1, True), stax.Relu(), dense(2.0, 0.1, True), stax.Erf(),
        dense(1.0, 0.5, True),
    ],
    "Linear(2.0, rates=(4.0, 1.0)), 'relu', Linear(2.0, rates=(1024.0, 1.0)), 'relu', "
    "Linear(1.0, rates=(1024.0, 1.0))": [
        dense(2.0, 0.0, True), stax.Relu(), dense(2.0, 0.0, True), stax.Relu(),
        dense(1.0, 0.0, True),
    ],
}  # fmt: skip


def main() -> None:
    """Write the file beside this one."""
    first = np.zeros((1, DIM))
    first[0, 0] = DIM**0.5
    others = np.array([[t, (1.0 - t * t) ** 0.5, 0.0, 0.0] for t in AT]) * DIM**0.5
    path = Path(__file__).parent / "neural_tangents_general.csv"
    with path.open("w", newline="") as file:
        versions = f"neural-tangents {version('neural-tangents')}, jax {jax.__version__}"
        file.write(f"# {versions}; made by {Path(__file__).name}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["layers", "t", "nngp", "ntk"])
        for layers, parts in NETWORKS.items():
            kernel = stax.serial(*parts)[2]
            found = kernel(first, others, ("nngp", "ntk"))
            for t, nngp, ntk in zip(AT, found.nngp[0], found.ntk[0], strict=True):
                writer.writerow([layers, t, f"{nngp:.17g}", f"{ntk:.17g}"])


if __name__ == "__main__":
    main()
