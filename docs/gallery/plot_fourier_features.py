r"""
Choose Fourier features
=======================

How wide random Fourier features must be for a network on them to learn an image's frequencies
(Tancik et al., arXiv:2006.10739), from the spectrum over the plane of frequencies (:doc:`/torus`).
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
network = ntkspec.Network("relu", bias_variance=0.1)

# %%
# The eigenvalues of frequencies up to 12 periods a side.  Narrow features (left) learn coarse
# structure only; wide ones (right) hardly prefer it to detail, and learn all slowly.

figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), layout="constrained")
for ax, sigma in zip(axes, (1, 4, 16), strict=True):
    torus = ntkspec.Torus.random_features(128, sigma=sigma, dim=2, seed=0)
    ntkspec.spectrum(network, torus, size=12).plot(ax=ax, vmin=-5, vmax=-1.5)
    ax.set_title(f"$\\sigma$ = {sigma}")
for ax in axes[:2]:
    ax.images[0].colorbar.remove()

# %%
# The time until the slowest frequency of a band is learned to 1 %, against sigma.  Rings mark the
# best: it grows with the band.

sigmas = [1, 2, 3, 4, 6, 8, 12, 16]
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for (low, high), colour in zip([(1, 2), (1, 4), (1, 8)], COLOURS, strict=False):
    found = ntkspec.predict.choose_features(
        network, "sigma", sigmas, band=(low, high), count=128, dim=2, seed=0
    )
    ax.plot(
        sigmas, found.times, "o-", color=colour, markersize=4, label=f"|m| from {low} to {high}"
    )
    best = sigmas.index(found.best)
    ax.plot(found.best, found.times[best], "o", color=colour, mfc="none", markersize=12)
ax.plot([], [], "o", color="0.3", mfc="none", markersize=12, label="the best sigma")
ax.set(xscale="log", yscale="log", xlabel="sigma", ylabel="time of gradient flow to 1 %")
ax.set_xticks(sigmas, [str(s) for s in sigmas])
ax.minorticks_off()
ax.legend(frameon=False)

# %%
# The operator's eigenvalues against those of a kernel matrix: one dimension, positional encoding
# with 3 bands, 96 points on a grid.  On a grid frequencies that differ by 96 are one, so that the
# matrix has the sums of their eigenvalues; frequencies beyond 2000 are left out here.

torus = ntkspec.Torus.positional_encoding(3)
grid = np.arange(96)[:, np.newaxis] / 96
gram = network.ntk_matrix(torus.features(grid)) / 96
measured = np.fft.fft(gram[0]).real[:49]
c = ntkspec.spectrum(network, torus, size=2000).eigenvalues
frequencies = np.arange(-2000, 2001)
sums = np.bincount(frequencies % 96, weights=c[np.abs(frequencies)])[:49]
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.plot(measured, "o", color=COLOURS[0], mfc="white", label="of the kernel matrix")
ax.plot(c[:49], color=COLOURS[1], label="of the operator")
ax.plot(sums, "--", color=COLOURS[2], label="summed over m + 96 l")
ax.set(yscale="log", xlabel="frequency m", ylabel="eigenvalue")
ax.legend(frameon=False)
plt.show()

print(f"largest relative difference from the sums: {np.abs(measured / sums - 1).max():.1e}")
