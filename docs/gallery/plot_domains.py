r"""
Which depth for which degree: the Boolean cube
==============================================

The shares of the degrees in the variance of a random network on the cube
:math:`\{-1, 1\}^{128}`, after Yang and Salman (arXiv:1907.10599): the depth at which the share of
degree k is largest grows with k, and the tangent kernel favours higher degrees than the network at
its start.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec import Cube, Gaussian, spectrum
from ntkspec.predict import fractional_variances

COLOURS = ["#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2"]
MARKERS = ["o", "s", "^", "D", "v", "p"]


def shares(activation, depths, kernel, weight, degrees):
    """Fractional variances, (depth, degree)."""
    rows = []
    for depth in depths:
        network = ntkspec.Network(activation, depth=depth, weight_variance=weight, trained="all")
        rows.append(fractional_variances(network, 128, degrees, kernel=kernel))
    return np.array(rows)


# %%
# Each share is divided by its largest value, which a ring marks.  ReLU has weight variance 2 and
# erf 1, without bias, so that the even degrees of erf vanish.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
cases = [
    ("relu", range(1, 17), 2.0, [3, 4, 5, 6, 7, 8], "ReLU"),
    ("erf", [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90], 1.0, [1, 3, 5, 7, 9], "erf"),
]
for axis, (name, depths, weight, degrees, title) in zip(axes, cases, strict=True):
    table = shares(name, depths, "ntk", weight, degrees)
    for i, degree in enumerate(degrees):
        curve = table[:, i] / table[:, i].max()
        style = {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1.3}
        axis.plot(depths, curve, label=f"k = {degree}", **style)
        best = curve.argmax()
        axis.plot(depths[best], 1.0, "o", color=COLOURS[i], mfc="none", markersize=11)
    axis.set(xscale="log", xlabel="hidden layers", ylim=(0, 1.5), title=f"{title}, NTK, d = 128")
    axis.plot([], [], "o", color="0.3", mfc="none", markersize=11, label="maximum")
    ticks = [1, 2, 4, 8, 16] if name == "relu" else [1, 4, 16, 64]
    axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, ncols=3, fontsize=9, loc="upper center")
axes[0].set_ylabel("share of degree k over its maximum")

# %%
# Left: at every depth the NTK has a larger share of every degree from 2 on than the NNGP kernel.
# Right: on the cube, the sphere and under the Gaussian measure the eigenvalues converge to each
# other like 1/d as d grows.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
degrees = np.arange(0, 9)
for i, depth in enumerate((1, 3, 10)):
    for kernel, line in (("ntk", "-"), ("nngp", "--")):
        row = shares("relu", [depth], kernel, 2.0, degrees)[0]
        shown = row > 0
        name = {"ntk": "NTK", "nngp": "NNGP"}[kernel]
        axes[0].plot(
            degrees[shown], row[shown], line, color=COLOURS[i], marker=MARKERS[i], markersize=4,
            label=f"{name}, depth {depth}",
        )  # fmt: skip
axes[0].set(yscale="log", xlabel="degree k", ylabel="share of degree k", title="ReLU, d = 128")
axes[0].legend(frameon=False)

dims = np.array([10, 30, 100, 300, 1000])
degree = 3
limit = 2 / np.pi * (2 / 3) ** 3  # third derivative of (2/pi) arcsin(2t/3) at 0
domains = {
    "cube": lambda d: spectrum("erf", Cube(d), [degree], kernel="nngp").eigenvalues[0],
    "sphere": lambda d: ntkspec.eigenvalues("erf", d, [degree], kernel="nngp")[0],
    "Gaussian": lambda d: spectrum("erf", Gaussian(d), [degree], kernel="nngp").eigenvalues[0, 0],
}
for i, (name, of_dim) in enumerate(domains.items()):
    gap = [abs(of_dim(int(d)) * float(d) ** degree / limit - 1) for d in dims]
    axes[1].plot(dims, gap, color=COLOURS[i], marker=MARKERS[i], label=name)
axes[1].plot(dims, 10.0 / dims, color="#999999", linestyle=":", label="10 / d")
axes[1].set(
    xscale="log", yscale="log", xlabel="dimension d",
    ylabel="relative distance of $d^3 \\mu_3$ from K'''(0)", title="erf, NNGP, degree 3",
)  # fmt: skip
axes[1].legend(frameon=False)
for axis in axes:
    axis.grid(alpha=0.25)
plt.show()
