"""Write neural_tangents_frozen.csv: tangent kernels with frozen layers, by neural-tangents.

Run it from the root by the interpreter of neural-tangents (`bench/neural_tangents/environment.py`):
    .venv-neural-tangents/bin/python tests/data/make_neural_tangents_frozen.py

It cannot freeze layers.  But a Dense adds to the tangent kernel its own covariance q times the
derivative of the output's covariance by q, at fixed variances: JAX differentiates neural-tangents'
NNGP kernel alone, and no rule for tangent kernels is used.
"""

from __future__ import annotations

import csv
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
# Its experiments import TensorFlow, which is not installed.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")

from neural_tangents import stax  # noqa: E402

DIM, WIDTH = 4, 64
AT = (-0.9, 0.2, 0.9)
#: Those of `ntkspec.Network`, and the activations of neural-tangents.
NETWORKS: list[dict[str, Any]] = [
    {"activation": "relu", "depth": 2, "weight_variance": 2.0, "bias_variance": 0.1},
    {"activation": "erf", "depth": 3, "weight_variance": 1.5, "bias_variance": 0.2},
    {"activation": "gelu", "depth": 2, "weight_variance": 1.0, "bias_variance": 0.0},
]
ACTIVATIONS = {"relu": stax.Relu, "erf": stax.Erf, "gelu": stax.Gelu}


def shares(network: dict[str, Any]) -> np.ndarray:
    """What each layer adds to the tangent kernel, (layer, t); the last is the readout."""
    weight, bias = network["weight_variance"] ** 0.5, network["bias_variance"] ** 0.5
    depth, sigma = network["depth"], ACTIVATIONS[network["activation"]]
    dense = [stax.Dense(WIDTH, weight, bias or None)[2] for _ in range(depth)]
    readout = stax.Dense(1, 1.0)[2]
    first = np.zeros((1, DIM))
    first[0, 0] = DIM**0.5
    others = np.array([[t, (1.0 - t * t) ** 0.5, 0.0, 0.0] for t in AT]) * DIM**0.5

    def output(factors: Any) -> Any:
        """The covariances at the end, those after each Dense times a factor, near 1."""
        kernel = (first, others)
        for i, layer in enumerate([*dense, readout]):
            kernel = layer(*kernel, get=None) if i == 0 else layer(kernel)
            kernel = kernel.replace(nngp=kernel.nngp * factors[i])
            if i < depth:
                kernel = sigma()[2](kernel)
        return kernel.nngp[0]

    return np.asarray(jax.jacfwd(output)(jnp.ones(depth + 1))).T


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).parent / "neural_tangents_frozen.csv"
    with path.open("w", newline="") as file:
        versions = f"neural-tangents {version('neural-tangents')}, jax {jax.__version__}"
        file.write(f"# {versions}; made by {Path(__file__).name}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*NETWORKS[0], "layer", "t", "ntk"])
        for network in NETWORKS:
            for layer, values in enumerate(shares(network), start=1):
                for t, value in zip(AT, values, strict=True):
                    writer.writerow([*network.values(), layer, t, f"{value:.17g}"])


if __name__ == "__main__":
    main()
