r"""
What depth and a bias change
============================

One layer of ReLU without bias has :math:`\lambda_k = 0` for odd :math:`k \ge 3`, so it never learns
these degrees.  With depth or a bias it learns them, and both parities follow a law with the same
power :math:`k^{-d}`.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES

DIM = 3
DEPTHS = (1, 2, 4, 8)
BIASES = (0.0, 0.1)
degrees = np.unique(np.geomspace(1, 400, 60).astype(int))


def relu(depth, bias):
    """All weights trained; with weight variance 2 the variance is the same in every layer."""
    return ntkspec.Network(
        "relu", depth=depth, weight_variance=2.0, bias_variance=bias, trained="all"
    )


# %%
# Filled markers are even degrees, hollow ones odd.

figure, grid = plt.subplots(1, 2, figsize=(9, 4.8), sharey=True, layout="constrained")
for axes, bias in zip(grid, BIASES):
    for depth, (colour, marker, _) in zip(DEPTHS, STYLES):
        values = ntkspec.eigenvalues(relu(depth, bias), dim=DIM, degrees=degrees)
        for parity, fill in ((0, colour), (1, "white")):
            shown = (degrees % 2 == parity) & (values > 0)
            axes.loglog(
                degrees[shown], values[shown], marker, color=colour, markerfacecolor=fill,
                markersize=5, label=f"depth {depth}" if parity == 0 else None,
            )  # fmt: skip
    for parity, fill in (("even", "0.3"), ("odd", "white")):
        axes.plot([], [], "o", color="0.3", markerfacecolor=fill, label=f"{parity} degrees")
    axes.set(xlabel="degree $k$", title=f"bias variance {bias:g}")
    axes.grid(color="0.92")
    axes.legend(frameon=False)
grid[0].set_ylabel(rf"$\lambda_k$ for $d = {DIM}$")
plt.show()

# %%
# Degree 3, which one layer without bias cannot learn, and the ratio of degree 2 to degree 12, the
# factor by which degree 12 takes longer:

for bias in BIASES:
    for depth in DEPTHS:
        low, zero, high = ntkspec.eigenvalues(relu(depth, bias), dim=DIM, degrees=[2, 3, 12])
        print(
            f"bias {bias:3.1f}  depth {depth}:  lambda_3 = {zero:.3e}   2 : 12 = {low / high:6.1f}"
        )
