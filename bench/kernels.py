"""Kernel evaluations per second, pointwise and as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.report import seconds, write
from ntkspec.networks import Network

NAMES = ("relu", "leaky_relu", "sigmoid", "tanh")


def run(count: int = 20000, points: int = 400) -> list[dict[str, Any]]:
    """Measure, print, write; no goal is set for these."""
    t = np.linspace(-1.0, 1.0, count)
    x = np.random.default_rng(0).standard_normal((points, 10))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = []
    for name in NAMES:
        net = Network(name)
        few = t if name.endswith("relu") else t[:: max(1, count // 1000)]
        rows.append(
            {
                "network": name,
                "ntk, million/s": few.size / seconds(lambda n=net, f=few: n.ntk(f), 3) / 1e6,
                "nngp, million/s": few.size / seconds(lambda n=net, f=few: n.nngp(f), 3) / 1e6,
                "ntk_matrix, million/s": points**2
                / seconds(lambda n=net: n.ntk_matrix(x), 3)
                / 1e6,
            }
        )
    naive = seconds(lambda: t * (np.pi - np.arccos(t)) / (2 * np.pi), 3)
    rows.append(
        {
            "network": "relu in numpy", "ntk, million/s": count / naive / 1e6,
            "nngp, million/s": "-", "ntk_matrix, million/s": "-",
        }
    )  # fmt: skip
    write("kernels", rows)
    return []
