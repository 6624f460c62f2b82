"""Error bars of measured rates before training: their scatter over random networks of a width.

For networks with one hidden layer and no bias `kernel_scatter` has the scatter of the tangent
kernel, exactly, and `rate_scatter` that of the rates that a training measures, at first order.
`own_rates` has the rates of random networks of any kind, with their bias; `width_for` and `choices`
plan with them.
"""

from ntkspec.compare.scatter.harmonics import Component, components_of, with_aliases
from ntkspec.compare.scatter.kernel import KernelScatter, independent_neurons, kernel_scatter
from ntkspec.compare.scatter.networks import OwnRates, exact_scatter, own_rates
from ntkspec.compare.scatter.planning import Choice, accuracy_of, choices, width_for
from ntkspec.compare.scatter.radial import Radial, Zonal, radial_rule, zonal_functions
from ntkspec.compare.scatter.rates import RateScatter, rate_scatter

__all__ = [
    "Choice",
    "Component",
    "KernelScatter",
    "OwnRates",
    "Radial",
    "RateScatter",
    "Zonal",
    "accuracy_of",
    "choices",
    "components_of",
    "exact_scatter",
    "independent_neurons",
    "kernel_scatter",
    "own_rates",
    "radial_rule",
    "rate_scatter",
    "width_for",
    "with_aliases",
    "zonal_functions",
]
