r"""
Learning times of degrees
=========================

How long gradient flow takes until a tenth of each degree's component is left, under L2 and under
Sobolev losses: predicted from the eigenvalues (lines; :doc:`/predictions`), and measured by
integrating the flow exactly with the kernel matrix (markers), on 256 equispaced points on the
circle and on 1000 random points on the sphere.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg, optimize
from scipy.special import eval_legendre

import ntkspec
from ntkspec.plots.pictures import NAMES, STYLES
from ntkspec.trainer.points import circle
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss

network = ntkspec.Network("relu", trained="all")
points = circle(256)
gram = network.ntk_matrix(points.x)
angle = np.arctan2(points.x[:, 1], points.x[:, 0])
LEFT = 0.1


def measured(degree, loss):
    """Time until the residual cos(k x) has fallen to a tenth: bisection of the exact flow.

    exp(-t K P) = R^T exp(-t R P R^T) R^-T with K = R^T R.
    """
    values, vectors = flow[loss]
    mode = np.cos(degree * angle)
    start = vectors.T @ linalg.solve_triangular(root, mode, trans="T")
    low, high = 0.0, 1e8
    for _ in range(60):
        middle = 0.5 * (low + high)
        left = root.T @ (vectors @ (np.exp(-middle * values) * start))
        low, high = (
            (middle, high) if np.linalg.norm(left) > LEFT * np.linalg.norm(mode) else (low, middle)
        )
    return high


root = linalg.cholesky(gram + 1e-13 * np.eye(256))
LOSSES = {-0.5: "$s = -1/2$", 0.0: "L2", 0.5: "$s = 1/2$", 1.0: "$s = 1$"}
flow = {}
for s in LOSSES:
    loss = SobolevLoss(points, s=s) if s else L2Loss(points)
    flow[s] = linalg.eigh(root @ loss.matrix() @ root.T)

# %%
# With :math:`s = d/2 = 1` the times of the large even degrees are equal: :math:`\lambda_k` falls as
# :math:`k^{-2}`, and :math:`\mu_k` grows as much.  Odd degrees from 3 on are never learned, for
# any :math:`s`.

degrees = np.array([1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32])
figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
worst = 0.0
for (s, label), (colour, marker, size) in zip(LOSSES.items(), STYLES, strict=False):
    times = ntkspec.predict.learning_times(network, 2, LEFT, s=s, degrees=degrees).times
    finite = np.isfinite(times)
    found = np.array([measured(k, s) for k in degrees[finite]])
    small = degrees[finite] <= 8
    worst = max(worst, np.abs(found / times[finite] - 1)[small].max())
    axes.plot(degrees[finite], times[finite], color=colour, linewidth=1.3)
    axes.plot(
        degrees[finite],
        found,
        marker,
        color=colour,
        markersize=size + 1,
        markerfacecolor="white",
        label=label,
    )
axes.plot([], [], color="0.3", linewidth=1.3, label="predicted")
axes.set(
    xscale="log",
    yscale="log",
    xlabel="degree $k$",
    ylabel="time to a tenth",
    title="ReLU on 256 points of the circle",
)
axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
axes.minorticks_off()
axes.grid(color="0.92")
axes.legend(frameon=False)
plt.show()
print(f"up to degree 8 the points are within {100 * worst:.1f} % of the continuum")

# %%
# The remaining difference is aliasing: on 256 points degrees :math:`k` and :math:`256 - k` are
# the same function, so their eigenvalues add.  On random points on the sphere the kernel matrix
# mixes all degrees slightly, so times depend on the points: a zonal harmonic with a random pole,
# in four draws.

POINTS, DRAWS = 1000, 4
rng = np.random.default_rng(2)


def sphere(n):
    """Uniform points of the sphere in three dimensions."""
    x = rng.standard_normal((n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def times_of_points(network, degrees, predicted):
    """Times in which <y, r(t)> of y = P_k(<x, pole>) falls to a tenth of <y, y>."""
    x = sphere(POINTS)
    values, vectors = linalg.eigh(network.ntk_matrix(x) / POINTS)
    found = []
    for degree, time in zip(degrees, predicted, strict=True):
        part = (vectors.T @ eval_legendre(degree, x @ sphere(1)[0])) ** 2
        part /= part.sum()
        found.append(
            optimize.brentq(
                lambda log_time, part=part: part @ np.exp(-values * math.exp(log_time)) - LEFT,
                math.log(time) - 3.0,
                math.log(time) + 3.0,
            )
        )
    return np.exp(found)


DEGREES = {"relu": [0, 1, 2, 4, 6, 8, 10, 12], "tanh": [1, 3, 5, 7, 9]}
figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
for (name, degrees), (colour, marker, size) in zip(DEGREES.items(), STYLES, strict=False):
    network = ntkspec.Network(name, trained="all")
    predicted = ntkspec.predict.learning_times(network, 3, LEFT, degrees=degrees).times
    found = np.array([times_of_points(network, degrees, predicted) for _ in range(DRAWS)])
    axes.plot(degrees, predicted, color=colour, linewidth=1.3)
    axes.plot(
        np.tile(degrees, DRAWS),
        found.ravel(),
        marker,
        color=colour,
        markersize=size + 1,
        markerfacecolor="none",
        label=NAMES[name],
    )
    print(name, "mean / predicted:", (found.mean(axis=0) / predicted).round(3))
axes.plot([], [], color="0.3", linewidth=1.3, label="predicted")
axes.set(
    yscale="log",
    xlabel="degree $k$",
    ylabel="time to a tenth",
    title=f"L2 on {POINTS} random points of the sphere, four draws",
)
axes.grid(color="0.92")
axes.legend(frameon=False)
plt.show()

# %%
# The mixing grows with the degree, as :math:`K(1)/n` is no longer small compared with
# :math:`\lambda_k`: degree 12 of ReLU is learned a tenth sooner than predicted.
