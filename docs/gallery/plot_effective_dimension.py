r"""
Effective dimension at a ridge
==============================

:math:`N(r) = \sum_k N(d,k)\,\lambda_k / (\lambda_k + r)`, the number of functions that kernel ridge
regression can still fit: of the operator (thin lines), and of the kernel matrices of 250 random
points, measured (markers, four repetitions) and predicted (thick lines; :doc:`/predictions`).
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg

import ntkspec
from ntkspec.plots.pictures import STYLES

DIM, POINTS = 5, 250
NETWORKS = {
    "tanh": ntkspec.Network("tanh"),
    "gelu, depth 2": ntkspec.Network("gelu", depth=2, trained="all"),
    "ReLU": ntkspec.Network("relu"),
    "ReLU, depth 3": ntkspec.Network("relu", depth=3, trained="all", weight_variance=2.0),
}
rng = np.random.default_rng(0)
ridges = np.geomspace(1e-4, 1.0, 80)
marked = ridges[::11]


def counted(network):
    """Tr K (K + n r)^-1 of a random kernel matrix, for all ridges."""
    x = rng.standard_normal((POINTS, DIM))
    gram = network.ntk_matrix(x / np.linalg.norm(x, axis=1, keepdims=True))
    values = linalg.eigvalsh(gram) / POINTS
    return [np.sum(values / (values + r)) for r in marked]


figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
for (label, network), (colour, marker, size) in zip(NETWORKS.items(), STYLES, strict=False):
    found = ntkspec.predict.effective_dimension(network, DIM, ridges, samples=POINTS)
    axes.plot(ridges, found.effective_dimension, color=colour, linewidth=0.7)
    axes.plot(ridges, found.of_samples, color=colour, linewidth=1.8)
    runs = np.array([counted(network) for _ in range(4)])
    axes.plot(
        np.tile(marked, 4),
        runs.ravel(),
        marker,
        color=colour,
        markersize=size,
        markerfacecolor="white",
        label=label,
    )
axes.plot([], [], color="0.3", linewidth=0.7, label="of the operator")
axes.plot([], [], color="0.3", linewidth=1.8, label=f"of {POINTS} points")
axes.axhline(POINTS, color="0.6", linewidth=0.8, linestyle="--")
axes.annotate(f"{POINTS} points", (0.5, POINTS), color="0.4", va="bottom", ha="center")
axes.set(
    xscale="log",
    yscale="log",
    xlabel="ridge $r$",
    ylabel="effective dimension",
    title=f"$d = {DIM}$: lines from the spectrum, markers from kernel matrices",
)
axes.grid(color="0.92")
axes.legend(frameon=False)
plt.show()

# %%
# If the operator's effective dimension approaches the number of points, the matrices have a smaller
# one, as predicted: :math:`n` points can fit at most :math:`n` functions.
