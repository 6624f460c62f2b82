"""
What a network will learn of your data
======================================

Is a digit odd?  The error on new images against the number of training images, and when each part
is learned, from 898 images and without training (:doc:`/from_data`).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import ntkspec

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
images, digit = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
images, target = images[order], 2.0 * (digit[order] % 2) - 1.0
network = ntkspec.Network("relu", bias_variance=0.1, trained="all")
half = len(images) // 2

# %%
# Predictions from one half: by the eigenvectors of its kernel matrix up to 898 images, by the
# Hermite eigenstructure ansatz beyond.

sizes = np.unique(np.geomspace(10, half, 12).astype(int))
near = ntkspec.predict.from_data(network, images[:half], target[:half], samples=sizes)
far = ntkspec.predict.from_data(
    network, images[:half], target[:half], samples=np.geomspace(10, 3000, 12), method="hermite"
)

# %%
# Kernel regression on random images of both halves, eight times for each size, and the means.

scaled = (images - near.mean) / near.scale
matrix = network.ntk_matrix(scaled)
rng = np.random.default_rng(1)
measured = []
for n in sizes[::2]:
    errors = []
    for _ in range(8):
        some = rng.permutation(len(images))
        old, new = some[:n], some[n:]
        weights = np.linalg.solve(matrix[np.ix_(old, old)] + 1e-3 * np.eye(n), target[old])
        errors.append(np.mean((matrix[np.ix_(new, old)] @ weights - target[new]) ** 2))
    measured.append(np.mean(errors))

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.plot(near.samples, near.test_error, color=BLUE, label="predicted by eigenvectors")
ax.plot(far.samples, far.test_error, "--", color=ORANGE, label="predicted by the Hermite ansatz")
ax.plot(sizes[::2], measured, "o", color="black", mfc="white", label="measured, means of eight")
ax.set(xscale="log", yscale="log", xlabel="training images", ylabel="mean square error")
ax.set_yticks([0.05, 0.1, 0.2, 0.5, 1.0], ["0.05", "0.1", "0.2", "0.5", "1"])
ax.minorticks_off()
ax.legend(frameon=False)

# %%
# Under gradient flow on the first half: what is left of the target, and what each eigenvector has
# of it.  Ten eigenvectors hold more than half, a hundred nine tenths; the rest, in many small
# parts, is learned last.

figure, (ax, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
times = np.geomspace(0.1, 1e5, 200)
ax.plot(times, near.modes.loss(times), color=BLUE)
ax.set(xscale="log", xlabel="time of gradient flow", ylabel="mean square left", ylim=(0, 1.05))
right.plot(near.modes.times, near.modes.cumulative, color=GREEN)
right.set(
    xscale="log", xlabel="time until 1 % is left", ylabel="fraction of the target", ylim=(0, 1.05)
)
plt.show()

print(near.modes.cumulative[[9, 99, 299]].round(2))
