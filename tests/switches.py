"""Spectra on either side of every switch between routes, and their stored references."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ntkspec import Cube, Network, Sphere
from ntkspec.networks import Kernel

PATH = Path(__file__).parent / "data/switches.csv"
FIELDS = ("switch", "side", "degree", "value")

CLOSED, POSITIVE, ENDPOINT = "closed form", "positive series", "endpoint series"
CONTOUR, TAYLOR, BALLS = "shifted contour", "Taylor series", "ball arithmetic"
WEIGHTS, SUMS = "integrals of the activation", "sums over the cube"


@dataclass(frozen=True)
class Side:
    """Some degrees of a spectrum, and the route that computes them."""

    route: str
    network: Network
    domain: Sphere | Cube
    degrees: tuple[int, ...] = (0, 1, 2, 9, 12)

    @property
    def kernel(self) -> Kernel:
        return "nngp" if self.network.sigma.name == "step" else "ntk"


def _side(route: str, domain: Sphere | Cube, degrees: tuple[int, ...] | None, name: str, **options):
    network = Network(name, **options)
    return Side(route, network, domain, degrees) if degrees else Side(route, network, domain)


def sphere(route: str, dim: int, name: str, degrees: tuple[int, ...] | None = None, **options):
    """One side, on the sphere."""
    return _side(route, Sphere(dim), degrees, name, **options)


def cube(route: str, dim: int, name: str, degrees: tuple[int, ...] | None = None, **options):
    """One side, on the cube."""
    return _side(route, Cube(dim), degrees, name, **options)


#: Sides of each switch, by the route and what is switched on.
SWITCHES: dict[str, list[Side]] = {
    "closed form: bias": [
        sphere(CLOSED, 3, "relu"),
        sphere(ENDPOINT, 3, "relu", bias_variance=1e-9),
    ],
    "closed form: depth": [
        sphere(CLOSED, 7, "leaky_relu", slope=0.65),
        sphere(ENDPOINT, 7, "leaky_relu", slope=0.55, depth=2),
    ],
    "positive series: bias": [
        sphere(POSITIVE, 5, "tanh", trained="all"),
        sphere(TAYLOR, 5, "tanh", trained="all", bias_variance=1e-9),
    ],
    "positive series: depth": [
        sphere(POSITIVE, 4, "sigmoid"),
        sphere(TAYLOR, 4, "sigmoid", depth=2),
    ],
    "endpoint series: depth": [
        sphere(ENDPOINT, 7, "relu", depth=12),
        sphere(BALLS, 7, "relu", depth=13),
    ],
    "endpoint series: roots of 1 - t": [
        sphere(ENDPOINT, 7, "step", depth=6),
        sphere(BALLS, 7, "step", depth=7),
    ],
    "endpoint series: correlation of both sides": [
        sphere(ENDPOINT, 7, "leaky_relu", slope=0.55, depth=2),
        sphere(BALLS, 7, "leaky_relu", slope=0.6, depth=2),
        sphere(BALLS, 7, "leaky_relu", slope=0.65, depth=2),
    ],
    "endpoint series: powers of z + t": [
        sphere(ENDPOINT, 3, "relu", (63, 64, 65, 66, 255, 256, 257, 258), bias_variance=1e-4),
    ],
    "shifted contour: dimension": [
        sphere(CONTOUR, 2, "gelu", depth=2),
        sphere(TAYLOR, 3, "gelu", depth=2),
    ],
    "shifted contour: singularity": [
        sphere(CONTOUR, 2, "erf", bias_variance=0.1),
        sphere(TAYLOR, 2, "silu", bias_variance=0.1),
    ],
    "Taylor series: coefficients in balls": [
        sphere(TAYLOR, 34, "leaky_relu", (0, 20, 21), slope=0.65, depth=2),
        sphere(BALLS, 34, "leaky_relu", (0, 20, 21, 23), slope=0.65, depth=2),
    ],
    "integrals of the activation: weights": [
        sphere(WEIGHTS, 2, "sin", weights="sphere"),
        sphere(WEIGHTS, 4, "sin", weights="sphere"),
        sphere(TAYLOR, 4, "sin"),
    ],
    "cube: dimension, smooth": [
        cube(SUMS, 63, "silu"),
        cube(TAYLOR, 64, "silu"),
        cube(POSITIVE, 63, "tanh"),
        cube(TAYLOR, 64, "tanh"),
    ],
    "cube: dimension, kinked": [
        cube(SUMS, 1999, "relu", (0, 1, 4, 7)),
        cube(TAYLOR, 2000, "relu", (0, 1, 4, 7)),
    ],
}


def stored() -> dict[tuple[str, int], dict[int, str]]:
    """Eigenvalues by degree, by switch and number of the side."""
    values: dict[tuple[str, int], dict[int, str]] = {}
    with PATH.open() as file:
        for row in csv.DictReader(file):
            key = row["switch"], int(row["side"])
            values.setdefault(key, {})[int(row["degree"])] = row["value"]
    return values
