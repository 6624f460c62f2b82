"""
Training on real data
=====================

Is a digit odd?  Two losses for images (:doc:`/losses`): a Sobolev loss after PCA to the sphere in
three dimensions, with quadrature weights, and a power of the kernel on all 64 pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import ntkspec

BLUE, ORANGE = "#0072B2", "#D55E00"
images, digit = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
images, target = images[order] - images.mean(axis=0), 2.0 * (digit[order] % 2) - 1.0


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# %%
# Three principal components of 800 images, as points on the sphere.  Where images crowd, many get
# the weight 0; the others integrate polynomials to degree 9 exactly, so that the loss weighs
# degrees to 4.  The lines are what the kernel matrix of the points predicts.

data = ntkspec.points(unit(PCA(3).fit_transform(images))[:800], weights="quadrature")
print(f"exact to degree {data.exact_degree}; {np.sum(data.weights > 0)} weights are not 0")
run = ntkspec.train(
    "relu", data, 0.1 * target[:800], width=2048, steps=300, records=60,
    loss=["l2", ntkspec.Sobolev(1.0)],
)  # fmt: skip
found = run.compare()
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
for ax, loss, title in zip(axes, ("l2", "s=1"), ("$L^2$", "Sobolev, $s = 1$"), strict=True):
    for color, degree in zip((BLUE, ORANGE, "#009E73"), (1, 2, 4), strict=True):
        curves = found.curves[loss, 2048, degree]
        steps, measured = curves.measured[0]
        ax.plot(steps[::2], np.abs(measured[::2]), "o", ms=3.5, mfc="none", color=color)
        ax.plot(steps, np.abs(curves.points), color=color, lw=1, label=f"degree {degree}")
    ax.set(xscale="symlog", yscale="log", ylim=(1e-3, 1.5), xlabel="step", title=title)
axes[0].set_ylabel("component of the residual / start")
axes[1].plot([], [], "k-", lw=1, label="predicted")
axes[1].plot([], [], "ko", ms=3.5, mfc="none", label="trained")
axes[1].legend(frameon=False, loc="upper right")

# %%
# All 64 pixels of 500 images have no rule of a useful degree, but a kernel.  A power of -1/2 of it
# fits them in a tenth of the steps.  Of the other 1297 images both networks have as many right:
# this is faster fitting, not better generalization.

x = unit(images)
data = ntkspec.points(x[:500])
figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")


def trained(loss, steps):
    run = ntkspec.train(
        "relu", data, target[:500], width=2048, steps=steps, loss=loss, precision="float32",
        records=min(30, steps + 1),
    )  # fmt: skip
    error = np.mean((run.members[0].learned - target[:500]) ** 2)
    right = np.mean(np.sign(run.predict(x[500:])) == target[500:])
    print(f"{loss}: {steps} steps, mean square {error:.4f}, right on new images {right:.1%}")
    return run.members[0], error


plain, _ = trained("l2", 300)
ax.plot(plain.steps, 2.0 * plain.loss, color=BLUE, label="$L^2$")
steps = [3, 10, 30]
errors = [trained(ntkspec.KernelPower(-0.5), count)[1] for count in steps]
ax.plot([0, *steps], [1.0, *errors], "o-", color=ORANGE, label="$K^{-1/2}$")
ax.set(xscale="symlog", yscale="log", xlabel="step", ylabel="mean square error")
ax.legend(frameon=False)
plt.show()
