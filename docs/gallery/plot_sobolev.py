r"""
Sobolev exponents that flatten the rates
========================================

Under the loss of the Sobolev space :math:`H^s` degree :math:`k` is learned at the rate
:math:`\lambda_k \mu_k`.  For ReLU :math:`\lambda_k \sim k^{-d}` and :math:`\mu_k \sim k^{2s}`, so
that :math:`s = d/2` removes the frequency bias for large :math:`k`, and nearly for small
:math:`k`.  No :math:`s` helps for the odd degrees from 3 on, whose eigenvalue is 0.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES

k = np.arange(2, 65, 2)
WEIGHTS = {
    "power": lambda dim, s: (1.0 + k) ** (2 * s),
    "laplacian": lambda dim, s: (1.0 + k * (k + dim - 2.0)) ** s,
}

# %%
# Rates over that of degree 2, for four exponents in dimensions 2, 3 and 10; full lines are the
# weight ``"laplacian"``, dashed ones ``"power"``.

figure, grid = plt.subplots(1, 3, figsize=(9.5, 4.2), layout="constrained")
for axes, dim in zip(grid, (2, 3, 10)):
    eigenvalues = ntkspec.eigenvalues("relu", dim=dim, degrees=k)
    for share, (colour, _, _) in zip((0, 0.5, 1, 1.2), STYLES):
        for weight, line in (("laplacian", "-"), ("power", "--")):
            rate = eigenvalues * WEIGHTS[weight](dim, share * dim / 2)
            label = f"$s = {share * dim / 2:g}$" if weight == "laplacian" else None
            axes.loglog(k, rate / rate[0], line, color=colour, linewidth=1.4, label=label)
    for weight, line in (("laplacian", "-"), ("power", "--")):
        axes.plot([], [], line, color="0.3", linewidth=1.4, label=weight)
    axes.set(xlabel="degree $k$", title=f"$d = {dim}$", xticks=(2, 4, 8, 16, 32, 64))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.minorticks_off()
    axes.grid(color="0.92")
    axes.legend(frameon=False, loc="lower left")
grid[0].set_ylabel(r"$\lambda_k \mu_k / \lambda_2 \mu_2$")
plt.show()

# %%
# Largest over smallest rate of the even degrees 2 to 64 at :math:`s = d/2`:

for dim in (2, 3, 10):
    eigenvalues = ntkspec.eigenvalues("relu", dim=dim, degrees=k)
    spread = {"L2": eigenvalues} | {w: eigenvalues * mu(dim, dim / 2) for w, mu in WEIGHTS.items()}
    print(f"d = {dim:2d}: " + ", ".join(f"{w} {r.max() / r.min():.4g}" for w, r in spread.items()))
