r"""
Eigenvalues and proven intervals
================================

:func:`ntkspec.eigenvalues` gives doubles with a bound on their error; :func:`ntkspec.certify` gives
intervals in which the eigenvalues are *proved* to lie, to as many digits as are asked for
(:doc:`/certified`).  The two routes are independent, so each checks the other: every double must be
within its bound of the interval.
"""

import matplotlib.pyplot as plt
import mpmath
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES

NETWORKS = {
    "tanh": ntkspec.Network("tanh"),
    "ReLU, depth 2": ntkspec.Network("relu", depth=2),
    "gelu, depth 2": ntkspec.Network("gelu", depth=2),
}
DIGITS = 25
degrees = np.arange(0, 41, 3)

# %%
# An interval consists of a midpoint and a radius.

proof = ntkspec.certify(NETWORKS["ReLU, depth 2"], dim=3, degrees=[12], digits=DIGITS)
print(proof.balls[0])

# %%
# Markers show the relative distance of the double from the midpoint of its interval, lines the
# error bound of the double, and dotted lines the half width of the proven intervals.

figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
with mpmath.workdps(60):
    for (name, network), (colour, marker, size) in zip(NETWORKS.items(), STYLES):
        s = ntkspec.spectrum(network, dim=3, degrees=degrees)
        proof = ntkspec.certify(network, dim=3, degrees=degrees, digits=DIGITS)
        some = [i for i, value in enumerate(s.eigenvalues) if value > 0]
        middle = [(proof.lower[i] + proof.upper[i]) / 2 for i in some]
        off = [float(abs(s.eigenvalues[i] - m) / m) for i, m in zip(some, middle)]
        width = [float((proof.upper[i] - m) / m) for i, m in zip(some, middle)]
        assert all(off[j] <= s.relative_error[i] + width[j] for j, i in enumerate(some))
        axes.semilogy(
            degrees[some], np.maximum(off, 1e-19), marker, color=colour, markersize=size, label=name
        )
        axes.semilogy(degrees[some], s.relative_error[some], color=colour, linewidth=1.2)
        axes.semilogy(degrees[some], width, ":", color=colour, linewidth=1.2)
axes.plot([], [], color="0.3", linewidth=1.2, label="error bound of the double")
axes.plot([], [], ":", color="0.3", linewidth=1.2, label="half width of the interval")
axes.axhline(2.0**-53, color="0.6", linewidth=0.8, linestyle="--")
axes.text(41, 2.0**-53, "half a unit of\nthe last digit", color="0.35", fontsize=10, va="center")
axes.set(xlabel="degree $k$", ylabel="relative to the eigenvalue", xlim=(-1, 51))
axes.grid(color="0.92")
axes.legend(frameon=False, loc="center left")
plt.show()
