r"""
Predicted and measured learning curves
======================================

Kernel regression on :math:`n` random points on the sphere, compared with predictions from the
spectrum (:doc:`/theory`): the test error for targets of a single degree, and the learned
fraction of the target.  Lines are predictions; markers are means of ten repetitions, with bars of
two standard deviations.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg
from scipy.special import eval_gegenbauer

import ntkspec
from ntkspec.domains import multiplicity
from ntkspec.plots.pictures import STYLES

DIM, NOISE, RIDGE, REPETITIONS = 10, 0.02, 1e-3, 10
network = ntkspec.Network("relu", trained="all")
rng = np.random.default_rng(1)


def sphere(n):
    """Uniform points."""
    x = rng.standard_normal((n, DIM))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def harmonic(degree, t):
    """A zonal harmonic with mean square 1."""
    nu = (DIM - 2) / 2
    count = multiplicity(DIM, [degree])[0]
    return eval_gegenbauer(degree, nu, t) / eval_gegenbauer(degree, nu, 1.0) * math.sqrt(count)


def measured(degrees, n, fresh=500):
    """Errors of one regression for each target, on points that it has not seen, and parts learned.

    The part learned is the coefficient of the target in what was found, on the new points.
    """
    x, pole = sphere(n + fresh), sphere(1)[0]
    gram = network.ntk_matrix(x)
    f = np.stack([harmonic(k, x @ pole) for k in degrees], axis=1)
    y = f[:n] + math.sqrt(NOISE) * rng.standard_normal((n, len(degrees)))
    weights = linalg.solve(gram[:n, :n] + RIDGE * np.eye(n), y, assume_a="pos")
    found, new = gram[n:, :n] @ weights, f[n:]
    return np.mean((found - new) ** 2, axis=0), np.sum(found * new, axis=0) / np.sum(new**2, axis=0)


# %%
# Degrees are learned in the order of their eigenvalues: 1, then 2, then 4.  Degree 3 is never
# learned, because its eigenvalue is exactly zero: its error tends to the power of the target.  At
# first the error is larger, as unlearned components act as noise on the others.

DEGREES = [1, 2, 3, 4]
sizes = np.array([8, 13, 24, 42, 74, 130, 230, 400, 700, 1200, 2000])
runs = np.array([[measured(DEGREES, n) for _ in range(REPETITIONS)] for n in sizes])
mean, spread = runs.mean(axis=1), 2 * runs.std(axis=1, ddof=1)
grid = np.geomspace(6, 2500, 120)

# %%
# :func:`ntkspec.predict.samples_to_learn` gives the number of points at which half of a degree is
# learned:

learned = ntkspec.predict.samples_to_learn(network, DIM, ridge=RIDGE, degrees=DEGREES)
for degree, count in zip(learned.degrees, learned.samples, strict=True):
    print(f"degree {degree}: {count:8.1f} points")

# %%
# Markers are means of kernel regression on random points with two standard deviations, lines the
# predictions; dotted lines mark where half of a degree is learned.

figure, (errors, parts) = plt.subplots(1, 2, figsize=(9.5, 4.8), layout="constrained", sharex=True)
for at, degree in enumerate(DEGREES):
    colour, marker, size = STYLES[at]
    curve = ntkspec.predict.learning_curve(
        network, DIM, grid, {degree: 1.0}, noise=NOISE, ridge=RIDGE
    )
    errors.plot(grid, curve.test_error, color=colour, linewidth=1.3)
    parts.plot(grid, curve.learnability[:, degree], color=colour, linewidth=1.3)
    below = np.minimum(spread[:, 0, at], 0.9 * mean[:, 0, at])
    marks = dict(
        fmt=marker, color=colour, markersize=size + 1, markerfacecolor="white", capsize=2,
        linewidth=0.9,
    )  # fmt: skip
    errors.errorbar(sizes, mean[:, 0, at], [below, spread[:, 0, at]], **marks)
    parts.errorbar(sizes, mean[:, 1, at], spread[:, 1, at], **marks, label=f"degree {degree}")
errors.set(
    xscale="log",
    yscale="log",
    xlabel="training points $n$",
    ylabel="test error",
    title=f"ReLU, $d = {DIM}$, noise {NOISE}, ridge {RIDGE}",
)
parts.set(
    xlabel="training points $n$",
    ylabel="part of the target that is learned",
    title="learned fraction",
    ylim=(-0.35, 1.35),
)
for count, (colour, _, _) in zip(learned.samples, STYLES, strict=False):
    if math.isfinite(count):
        parts.axvline(count, color=colour, linewidth=1.0, linestyle=":")
parts.axhline(0.5, color="0.5", linewidth=0.8, linestyle=":", label="one half")
parts.plot([], [], color="0.3", linewidth=1.3, label="predicted")
for axes in (errors, parts):
    axes.grid(color="0.92")
parts.legend(frameon=False, loc="upper left", ncols=2)
plt.show()

# %%
# Distance of the means from the predictions, in standard errors of the mean:

predicted = np.array(
    [
        ntkspec.predict.learning_curve(
            network, DIM, sizes, {degree: 1.0}, noise=NOISE, ridge=RIDGE
        ).test_error
        for degree in DEGREES
    ]
).T
off = (mean[:, 0] - predicted) / (spread[:, 0] / 2 / math.sqrt(REPETITIONS))
print(
    "root mean square:", np.sqrt(np.mean(off**2)).round(2), " largest:", np.abs(off).max().round(2)
)
