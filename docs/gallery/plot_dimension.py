r"""
Which degrees matter in which dimension
=======================================

:math:`K(1) = \sum_k N(d,k)\, \lambda_k`, so :math:`N(d,k)\, \lambda_k / K(1)` is the share of
degree :math:`k` in the kernel's trace.  As :math:`d` grows a single eigenvalue of degree :math:`k`
falls like :math:`d^{-k}`, but there are ever more of them, and each share tends to a limit: the
coefficient of :math:`t^k` in :math:`K`.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES

DIMS = np.unique(np.geomspace(2, 4096, 45).astype(int))


def shares(network, degrees):
    """N(d,k) lambda_k / K(1), a row for each dimension."""
    rows = []
    for dim in DIMS:
        s = ntkspec.spectrum(network, dim=int(dim), degrees=degrees)
        rows.append(s.multiplicities * s.eigenvalues)
    return np.array(rows) / network.ntk(1.0)


# %%
# The NTK of ReLU and that of tanh, one hidden layer, only the inner weights trained.

figure, grid = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, layout="constrained")
degrees = {"relu": [0, 1, 2, 4, 6], "tanh": [1, 3, 5, 7, 9]}
for axes, (name, some) in zip(grid, degrees.items()):
    parts = shares(ntkspec.Network(name), some)
    for k, part, (colour, marker, _) in zip(some, parts.T, STYLES):
        axes.plot(
            DIMS,
            part,
            marker,
            linestyle="-",
            color=colour,
            markersize=4,
            markevery=4,
            label=f"k = {k}",
        )
    axes.plot(DIMS, 1 - parts.sum(axis=1), "--", color="0.45", label="all others")
    axes.set(xscale="log", xlabel="dimension $d$", title=name)
    axes.grid(color="0.92")
    axes.legend(frameon=False, ncols=2, loc="upper right")
grid[0].set_ylabel(r"share of the trace, $N(d,k)\,\lambda_k / K(1)$")
grid[0].set_ylim(-0.02, 1)
plt.show()

# %%
# The limits for ReLU are the Taylor coefficients of :math:`K(t) = t\,(\pi - \arccos t)/2\pi` over
# :math:`K(1) = \frac12`: one half for :math:`k = 1`, :math:`1/\pi` for :math:`k = 2`.

last = shares(ntkspec.Network("relu"), [0, 1, 2, 4])[-1]
for k, found, limit in zip((0, 1, 2, 4), last, (0, 1 / 2, 1 / np.pi, 1 / (6 * np.pi))):
    print(f"k = {k}: {found:.6f} at d = {DIMS[-1]}, limit {limit:.6f}")
