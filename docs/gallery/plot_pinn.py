r"""
A PINN on the circle, predicted and trained
===========================================

A network is trained on the residual of :math:`u'' - u = g`. Degree :math:`k` of the residual falls
as :math:`(1 - \eta a_k^2 \lambda_k \mu_k)^t`, :math:`a_k = -k^2 - 1` (:doc:`/pinns`), so that the
weights :math:`\mu_k` of the loss decide which degree is last. Three losses: L2, the Sobolev loss
:math:`\mu_k = 1 + k^2`, and the inverse weights :math:`\mu_k = 1/(a_k^2 \lambda_k)`, which give
all degrees one rate.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec import predict
from ntkspec.plots.pictures import STYLES
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.residual import Applied
from ntkspec.trainer.sobolev import Fourier, L2Loss, SobolevLoss
from ntkspec.trainer.targets import applied

SCREENED = predict.Operator("laplace", shift=-1.0)
POINTS, WIDTH = ntkspec.circle(64), 4096
LOSSES = {"L2": {}, "Sobolev": {"s": 1.0, "weight": "laplacian"}, "inverse": {"weight": "inverse"}}


def compare(network, degrees, steps):
    """Worst part of a degree that is left after each step, predicted and trained, by loss."""
    # Equal residuals in all degrees: leaks from one degree to another then count alike.
    target = ntkspec.harmonics(degrees, 0.1 / np.abs(SCREENED.symbol(degrees, 2)), kind="cosine")
    residual = applied(target, SCREENED, 2)
    along = np.array([POINTS.weights * residual.component(k, POINTS.x) for k in degrees])
    inverse = np.zeros(max(degrees) + 1)
    inverse[degrees] = np.exp(-predict.pinn(network, 2, SCREENED, degrees=degrees).log_rates)
    losses = (L2Loss(POINTS), SobolevLoss(POINTS, 1.0, "laplacian"), Fourier(POINTS.n, inverse))
    found = {}
    for (name, options), loss, count in zip(LOSSES.items(), losses, steps):
        times = predict.pinn(network, 2, SCREENED, degrees=degrees, step_size="best", **options)
        # A tenth below the best step size: that of a finite network's kernel is smaller.
        size = 0.9 * times.step_size
        made = Applied(start(network, WIDTH, 2, seed=0), SCREENED)
        descent = Descent(made, POINTS.x, residual.values(POINTS.x), loss, step_size=size)
        left = [along @ descent.residual]
        for _ in range(count):
            descent.advance()
            left.append(along @ descent.residual)
        trained = np.abs(np.array(left) / left[0]).max(axis=1)
        falls = np.abs(1.0 - size * np.exp(times.log_rates))
        found[name] = (falls ** np.arange(count + 1)[:, np.newaxis]).max(axis=1), trained
    return found


def draw(axes, found, title):
    """Draw lines for what is predicted, markers for what is trained."""
    for (name, (predicted, trained)), (colour, marker, _) in zip(found.items(), STYLES):
        axes.semilogy(predicted, color=colour, linewidth=1.2, label=f"{name}, predicted")
        axes.semilogy(
            trained, marker, color=colour, markersize=5, markevery=max(1, trained.size // 15),
            markerfacecolor="white", label=f"{name}, trained",
        )  # fmt: skip
    for error, label in ((0.1, "10 % and 1 %"), (0.01, None)):
        axes.axhline(error, color="0.6", linewidth=0.8, linestyle="--", label=label)
    axes.set(xlabel="step of gradient descent", ylim=(3e-3, 1.5), title=title)
    axes.grid(color="0.92")


def table(found):
    """Steps until 10 % and 1 % of every degree are left."""
    for name, curves in found.items():
        ends = [[np.flatnonzero(curve <= error)[:1] for error in (0.1, 0.01)] for curve in curves]
        shown = [", ".join(str(e[0]) if e.size else "-" for e in one) for one in ends]
        print(f"{name:8s} predicted {shown[0]:9s} trained {shown[1]}")


# %%
# tanh, the degrees 1, 3, ..., 13, and the cube of ReLU, whose even degrees and 1 and 3 are learned.
# Lines are predicted, markers trained; the dashed lines are 10 % and 1 %.

tanh = compare(ntkspec.Network("tanh"), list(range(1, 14, 2)), (280, 50, 12))
cube = compare(ntkspec.Network("relu_power", power=3), [1, 2, 3, 4, 6, 8], (280, 80, 12))
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained", sharey=True)
draw(left, tanh, "tanh, degrees 1 to 13")
draw(right, cube, "cube of ReLU, degrees 1 to 8")
left.set_ylabel("largest part of a degree of the residual left")
left.legend(frameon=False)
plt.show()

# %%
# Steps until 10 % and 1 % of every degree are left, tanh:

table(tanh)

# %%
# And the cube of ReLU:

table(cube)

# %%
# The Sobolev loss gains what is predicted, within an eighth of the steps, at this width and where
# all degrees of the residual start at one size.  That is not so in general.  The predictions are
# for infinite width; the kernel of a residual scatters more than that of regression, and a degree
# is fed by the others with the square of :math:`a_j/a_k` where they start with equal errors of
# :math:`u`.  The slowest degree of tanh under L2 needs 107 steps for 77 here and 231 for 153, and
# the inverse weights, for which one step is predicted for 10 %, need three: they divide by the
# eigenvalues of the infinite network, not by those of this one.  :func:`ntkspec.plan` says at which
# width rates are as predicted.
#
# The same residual in PyTorch, with :class:`ntkspec.torch.SobolevLoss` and automatic
# differentiation, falls in the predicted steps too: :doc:`/pytorch_examples`.  There a step takes
# two and a half to fifty times as long (``python -m bench training``).
