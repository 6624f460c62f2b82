r"""
Learning curves, foretold and measured
======================================

Kernel regression on :math:`n` random points of the sphere, really done, against what the spectrum
alone says its error will be (:doc:`/predictions`): one curve for each target of a single degree, as
lines, and the means of ten repetitions with two standard deviations as markers.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from scipy import linalg
from scipy.special import eval_gegenbauer

import ntkspec
from ntkspec.plots.pictures import STYLES
from ntkspec.spectra.spectrum import multiplicity

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
    """Errors of one regression for each target, on points that it has not seen."""
    x, pole = sphere(n + fresh), sphere(1)[0]
    gram = network.ntk_matrix(x)
    f = np.stack([harmonic(k, x @ pole) for k in degrees], axis=1)
    y = f[:n] + math.sqrt(NOISE) * rng.standard_normal((n, len(degrees)))
    weights = linalg.solve(gram[:n, :n] + RIDGE * np.eye(n), y, assume_a="pos")
    return np.mean((gram[n:, :n] @ weights - f[n:]) ** 2, axis=0)


# %%
# ReLU's kernel learns degree 0 and 1 first, then 2, then 4; degree 3 comes only with the even part
# of the readout's kernel ... that is, never: its eigenvalue is exactly zero.

DEGREES = [1, 2, 3, 4]
sizes = np.unique(np.geomspace(8, 700, 9).astype(int))
found = np.array([[measured(DEGREES, n) for _ in range(REPETITIONS)] for n in sizes])
mean, spread = found.mean(axis=1), 2 * found.std(axis=1)
grid = np.geomspace(6, 2000, 120)

figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
for at, degree in enumerate(DEGREES):
    colour, marker, size = STYLES[at]
    curve = ntkspec.predict.learning_curve(
        network, DIM, grid, {degree: 1.0}, noise=NOISE, ridge=RIDGE
    )
    axes.plot(grid, curve.test_error, color=colour, linewidth=1.3)
    low = np.minimum(spread[:, at], 0.9 * mean[:, at])
    axes.errorbar(
        sizes,
        mean[:, at],
        [low, spread[:, at]],
        fmt=marker,
        color=colour,
        markersize=size + 1,
        markerfacecolor="white",
        capsize=2,
        linewidth=0.9,
        label=f"target of degree {degree}",
    )
axes.set(
    xscale="log",
    yscale="log",
    xlabel="training points $n$",
    ylabel="test error",
    title=f"ReLU, $d = {DIM}$, noise {NOISE}, ridge {RIDGE}: lines foretold, markers measured",
)
axes.grid(color="0.92", which="both")
axes.legend(frameon=False, loc="lower left")
plt.show()

# %%
# The number of points at which half of a degree's component is learned:

learned = ntkspec.predict.samples_to_learn(network, DIM, degrees=DEGREES)
for degree, count in zip(learned.degrees, learned.samples, strict=False):
    print(f"degree {degree}: {count:8.1f} points")
