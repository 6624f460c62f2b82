r"""
Nine activations and their laws
===============================

The singularity of the activation nearest to the real line determines how fast :math:`\lambda_k`
falls: a kink gives a power of :math:`k`, poles a stretched exponential, and without
either the decay is geometric or faster (:doc:`/laws`).  Markers are eigenvalues, lines the derived
laws: nothing is fitted.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES

DIM = 3
KINKS = ("relu", "abs", "elu")
SMOOTH = ("tanh", "sigmoid", "silu", "erf", "gelu", "sin")

# %%
# Each activation is drawn at the degrees of the parity of its law.  The other degrees are exactly
# zero, except for elu, where they follow another law.


def draw(axes, name, degrees, style):
    """Markers for the eigenvalues, a line for the law, in logarithms to base 10."""
    law = ntkspec.law(name, dim=DIM)
    k = degrees[degrees % 2 == law.parity]
    colour, marker, size = style
    exact = ntkspec.spectrum(name, dim=DIM, degrees=k).log_eigenvalues / np.log(10)
    axes.plot(
        k,
        exact,
        marker,
        color=colour,
        markersize=size,
        markerfacecolor="white",
        label=name,
        zorder=3,
    )
    line = np.linspace(k[0], k[-1], 400)
    axes.plot(line, law.log_eigenvalue(line) / np.log(10), color=colour, linewidth=1)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for name, style in zip(KINKS, STYLES):
    draw(left, name, np.unique(np.geomspace(4, 2000, 50).astype(int)), style)
for name, style in zip(SMOOTH, STYLES):
    draw(right, name, np.arange(3, 124, 5), style)
left.set(xscale="log", title="a kink: powers of $k$")
right.set(title="poles (tanh, sigmoid, silu) or none", ylim=(-92, 2))
for axes in (left, right):
    axes.set(xlabel="degree $k$", ylabel=rf"$\log_{{10}} \lambda_k$ for $d = {DIM}$")
    axes.grid(color="0.92")
left.plot([], [], color="0.3", linewidth=1, label="derived law")
left.legend(frameon=False, loc="lower left")
right.legend(frameon=False, ncols=2, loc="lower right")
plt.show()

# %%
# The constants of the laws, and their error at a degree near 120: the logarithm of law over
# eigenvalue.

for name in KINKS + SMOOTH:
    law = ntkspec.law(name, dim=DIM)
    k = 120 + law.parity
    off = law.log_eigenvalue(k) - ntkspec.spectrum(name, dim=DIM, degrees=k).log_eigenvalues[0]
    print(
        f"{name:8s} {law.kind:16s} power {law.power:6.3f}  rate {law.rate:.4f}  off by {off:+.4f}"
    )

# %%
# The laws of tanh, sigmoid and silu converge slowly, as their next term is smaller only by
# :math:`k^{-1/3}`.
