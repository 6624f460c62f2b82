"""Write neural_tangents_vectors.csv: kernels between vectors of several norms, by neural-tangents.

Run it from the root by the interpreter of neural-tangents (`bench/neural_tangents/environment.py`):
    .venv-neural-tangents/bin/python tests/data/make_neural_tangents_vectors.py

It divides by the dimension of the vectors, as `fan_in=True` does.
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

WIDTH = 64
VECTORS = np.array([[1.0, 2.0, -0.5], [0.3, -0.1, 0.2], [-2.0, 1.5, 3.0], [2.0, 4.0, -1.0]])
#: Those of `ntkspec.Network`, and the activations of neural-tangents.
NETWORKS: list[dict[str, Any]] = [
    {"activation": "relu", "depth": 2, "weight_variance": 2.0, "bias_variance": 0.1},
    {"activation": "leaky_relu", "depth": 1, "weight_variance": 1.5, "bias_variance": 0.0},
    {"activation": "abs", "depth": 3, "weight_variance": 1.0, "bias_variance": 0.3},
    {"activation": "erf", "depth": 3, "weight_variance": 1.5, "bias_variance": 0.2},
    {"activation": "gelu", "depth": 2, "weight_variance": 1.0, "bias_variance": 0.0},
    {"activation": "sin", "depth": 2, "weight_variance": 1.2, "bias_variance": 0.1},
    {"activation": "cos", "depth": 2, "weight_variance": 0.7, "bias_variance": 0.0},
    {"activation": "gaussian", "depth": 1, "weight_variance": 1.0, "bias_variance": 0.5},
]
ACTIVATIONS = {
    "relu": stax.Relu, "leaky_relu": lambda: stax.LeakyRelu(0.1), "abs": stax.Abs,
    "erf": stax.Erf, "gelu": stax.Gelu, "sin": stax.Sin, "cos": stax.Cos,
    "gaussian": lambda: stax.Gaussian(a=1.0, b=-0.5),
}  # fmt: skip


def matrices(network: dict[str, Any]) -> Any:
    """The NNGP and the tangent kernel between all vectors."""
    weight, bias = network["weight_variance"] ** 0.5, network["bias_variance"] ** 0.5
    layers: list[Any] = []
    for _ in range(network["depth"]):
        layers += [stax.Dense(WIDTH, weight, bias or None), ACTIVATIONS[network["activation"]]()]
    kernel = stax.serial(*layers, stax.Dense(1, 1.0))[2]
    return kernel(VECTORS, None, ("nngp", "ntk"))


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).parent / "neural_tangents_vectors.csv"
    with path.open("w", newline="") as file:
        versions = f"neural-tangents {version('neural-tangents')}, jax {jax.__version__}"
        file.write(f"# {versions}; made by {Path(__file__).name}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*NETWORKS[0], "x", "y", "nngp", "ntk"])
        for network in NETWORKS:
            found = matrices(network)
            for i, x in enumerate(VECTORS):
                for j in range(i + 1):
                    pair = (f"{v:.17g}" for v in (found.nngp[i, j], found.ntk[i, j]))
                    words = (" ".join(map(str, v)) for v in (x, VECTORS[j]))
                    writer.writerow([*network.values(), *words, *pair])


if __name__ == "__main__":
    main()
