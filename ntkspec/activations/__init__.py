"""Descriptions of activation functions: the catalogue, and a user's own.

One file for each family of activations; `catalogue` lists them and looks them up by name.
`activation` holds the class that describes one.
"""

from ntkspec.activations.activation import Activation, Singularity
from ntkspec.activations.catalogue import ACTIVATIONS, activation, is_catalogued
from ntkspec.activations.names import refuse_bare_function
from ntkspec.activations.powers import own_parameters
from ntkspec.activations.user import user_activation

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Singularity",
    "activation",
    "is_catalogued",
    "own_parameters",
    "refuse_bare_function",
    "user_activation",
]
