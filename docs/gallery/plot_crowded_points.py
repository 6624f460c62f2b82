r"""
Points that crowd in places
===========================

Where inputs are four times as frequent, eigenfunctions oscillate twice as fast, and a frequency is
learned four times as soon, as Basri et al. (arXiv:2003.04560) found: a ReLU network with bias on a
circle of three arcs with densities 1 : 2 : 4 (:doc:`/density`).
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import ntkspec

COLOURS = ["#0072B2", "#D55E00", "#009E73"]
network = ntkspec.Network("relu", bias_variance=0.1)
circle = ntkspec.Sphere(2, density=ntkspec.Pieces([1, 2, 4]))
edges = np.linspace(0.0, 2.0 * math.pi, 4)

# %%
# Left: an eigenfunction.  Right: the frequency of several in each arc, counted from their zeros
# (markers), and the local frequency of Weyl's law (lines).

s = ntkspec.spectrum(network, circle, count=121)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
s.plot_eigenfunction(60, ax=axes[0], color="black", linewidth=1)
for arc, colour in enumerate(COLOURS):
    axes[0].axvspan(edges[arc], edges[arc + 1], color=colour, alpha=0.15, linewidth=0)
    inside = np.linspace(edges[arc], edges[arc + 1], 4001)
    ranks = range(20, 121, 20)
    zeros = [np.count_nonzero(np.diff(np.sign(s.eigenfunction(i, inside)))) for i in ranks]
    axes[1].plot(ranks, 1.5 * np.array(zeros), "o", color=colour, mfc="white")
    local = [s.local_frequency(i, [inside[2000]])[0] for i in ranks]
    density = s.density([inside[2000]])[0]
    axes[1].plot(ranks, local, color=colour, label=f"density {density:.2f}")
axes[1].plot([], [], color="0.3", label="Weyl's law")
axes[1].plot([], [], "o", color="0.3", mfc="white", label="counted")
axes[1].set(xlabel="rank", ylabel="frequency in the arc", ylim=0)
axes[1].legend(frameon=False)

# %%
# The target :math:`\cos k\theta` at 1000 points of that density, trained by gradient flow: what is
# left of it in each arc against the time, with :math:`e^{-2 p \lambda_k t}` of each arc's density p
# (dashed).

degree, count = 12, 1000
shares = np.array([1, 2, 4]) / 7
arc = np.repeat(np.arange(3), np.round(shares * count).astype(int))
place = np.concatenate([(np.arange(n) + 0.5) / n for n in np.bincount(arc)])
angle = edges[arc] + place * edges[1]
values, vectors = np.linalg.eigh(
    network.ntk_matrix(np.stack([np.cos(angle), np.sin(angle)], axis=1)) / angle.size
)
start = np.cos(degree * angle)
uniform = ntkspec.eigenvalues(network, 2, [degree])[0]
times = np.geomspace(20.0, 20000.0, 60)
left = vectors @ (np.exp(-np.outer(values, times)) * (vectors.T @ start)[:, np.newaxis])
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
tenths = []
for number, colour in enumerate(COLOURS):
    mine = arc == number
    fraction = np.sum(left[mine] ** 2, axis=0) / np.sum(start[mine] ** 2)
    density = 3 * shares[number]
    ax.plot(times, fraction, color=colour, label=f"density {density:.2f}")
    ax.plot(times, np.exp(-2 * density * uniform * times), "--", color=colour, linewidth=1)
    tenths.append(np.exp(np.interp(math.log(10), -np.log(fraction), np.log(times))))
ax.plot([], [], color="0.3", label="1000 points")
ax.plot([], [], "--", color="0.3", linewidth=1, label="density of the arc alone")
ax.set(xscale="log", xlabel="time of gradient flow", ylabel="share of the target left in the arc")
ax.legend(frameon=False)
plt.show()

print(
    "times to a tenth:",
    np.round(tenths),
    "ratio of first and last:",
    round(tenths[0] / tenths[2], 1),
)
