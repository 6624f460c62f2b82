"""Descriptions of activation functions: the catalogue, and a user's own.

One file for each family of activations; `catalogue` lists them and looks them up by name.
`activation` holds the class that describes one.
"""

from ntkspec.activations.activation import Activation, Kink, Singularity
from ntkspec.activations.catalogue import ACTIVATIONS, activation, is_catalogued
from ntkspec.activations.clipped import piecewise_polynomial, shifted_relu
from ntkspec.activations.names import refuse_bare_function
from ntkspec.activations.powers import own_parameters
from ntkspec.activations.user import user_activation

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Kink",
    "Singularity",
    "activation",
    "is_catalogued",
    "own_parameters",
    "piecewise_polynomial",
    "refuse_bare_function",
    "shifted_relu",
    "user_activation",
]
