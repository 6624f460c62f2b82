"""Descriptions of activation functions: the catalogue, and a user's own.

One file for each family of activations; `catalogue` lists them and looks them up by name.
`activation` holds the class that describes one.
"""

from ntkspec.activations.activation import Activation, Kink, Singularity
from ntkspec.activations.catalogue import ACTIVATIONS, activation
from ntkspec.activations.clipped import piecewise_polynomial, shifted_relu
from ntkspec.activations.user import refuse_bare_function, user_activation

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Kink",
    "Singularity",
    "activation",
    "piecewise_polynomial",
    "refuse_bare_function",
    "shifted_relu",
    "user_activation",
]
