"""Duals E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)] in ball arithmetic (python-flint).

`correlation` is the pair's angle, `kinked`, `piecewise` and `hermite` prepare the duals that are
more than one formula, `layers` composes them through a network.
"""

from ntkspec.duals.correlation import Correlation, powers
from ntkspec.duals.hermite import hermite_dual
from ntkspec.duals.kinked import elu_dual, homogeneous_dual
from ntkspec.duals.layers import Layers
from ntkspec.duals.moments import moment_dual
from ntkspec.duals.piecewise import piecewise_dual

__all__ = [
    "Correlation",
    "Layers",
    "elu_dual",
    "hermite_dual",
    "homogeneous_dual",
    "moment_dual",
    "piecewise_dual",
    "powers",
]
