r"""
A network that really trains
============================

The spectrum predicts that under gradient descent with step size :math:`\eta` the component of the
residual of degree :math:`k` decays as :math:`(1 - \eta\lambda_k)^t`.  Here a ReLU network of width
8192 is trained on 64 points on the circle, and the amplitude of each degree is recorded
(:doc:`/rates`).
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.points import circle
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.sobolev import L2Loss
from ntkspec.trainer.targets import Target, Term

DEGREES = (1, 2, 3, 4, 8)
STEP = 1.5
EVERY, RECORDS, POINTS = 5, 300, 64

points = circle(POINTS)
target = Target([Term(k, 0.03, "cosine") for k in DEGREES])
network = start("relu", 8192, dim=2, seed=0)
descent = Descent(network, points.x, target.values(points.x), L2Loss(points), step_size=STEP)

# %%
# The amplitude of a degree is the residual's component along the target's own function of that
# degree.

along = np.array([points.weights * target.component(k, points.x) for k in DEGREES])
amplitudes = [along @ descent.residual]
for _ in range(RECORDS):
    descent.advance(EVERY)
    amplitudes.append(along @ descent.residual)
steps = EVERY * np.arange(RECORDS + 1)
amplitudes = np.array(amplitudes)
predicted = STEP * ntkspec.eigenvalues("relu", dim=2, degrees=DEGREES)

# %%
# Markers are measured, lines are predicted from the eigenvalues.  Degree 3 has
# :math:`\lambda_3 = 0` and does not decay.

figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
for i, (k, (colour, marker, _)) in enumerate(zip(DEGREES, STYLES)):
    left = np.abs(amplitudes[:, i] / amplitudes[0, i])
    axes.semilogy(
        steps, left, marker, color=colour, markersize=5, markevery=(5 * i, 25),
        markerfacecolor="white", label=f"k = {k}",
    )  # fmt: skip
    axes.semilogy(steps, (1 - predicted[i]) ** steps, color=colour, linewidth=1.2)
axes.plot([], [], color="0.3", linewidth=1.2, label="predicted")
axes.set(
    xlabel="step", ylabel="part of the residual that is left", ylim=(3e-4, 1.6), xlim=(-20, 1520)
)
axes.grid(color="0.92")
axes.legend(frameon=False, loc="lower right", ncols=2)
plt.show()

# %%
# Measured over predicted rates.  On 64 equispaced points degrees :math:`k`, :math:`64 - k`,
# :math:`64 + k`, ... are the same function, and the rate is the sum of their eigenvalues: for
# degree 8 it is 5 % above :math:`\lambda_8`.

for k, a, rate in zip(DEGREES, amplitudes.T, predicted):
    if rate == 0:
        print(f"k = {k}: eigenvalue 0, {a[-1] / a[0]:.4f} is left")
        continue
    same = np.r_[k : 10**5 : POINTS, POINTS - k : 10**5 : POINTS]
    aliased = ntkspec.eigenvalues("relu", dim=2, degrees=same).sum() * STEP
    found = decay_rate(steps, a).rate
    print(f"k = {k}: {found / rate:.3f} of lambda_k, {found / aliased:.3f} of the sum")

# %%
# The curves leave the lines near the bottom: the kernel of a finite network scatters about its
# limit, so degrees mix, and leakage from a slow degree into a fast one decays slowly.
