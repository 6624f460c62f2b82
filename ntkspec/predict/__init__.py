"""Predictions from a spectrum: learning times, degrees of freedom, learning curves.

Each takes a network or a kernel and a domain, or a spectrum.  `modes` gathers the eigenvalues,
`regularization` solves for kappa; `times`, `freedom`, `curves`, `shares` and `features` are
the predictions, `residuals` and `boundary` those of PINNs, `minibatch` that of energies.  `data`
predicts from points and targets, with or without the `ansatz`; `targets` has the powers of a
function, `descent` the decay in a step.
"""

from ntkspec.operators import Operator
from ntkspec.predict.boundary import BoundaryRates, boundary_rates
from ntkspec.predict.curves import LearningCurve, SampleSizes, learning_curve, samples_to_learn
from ntkspec.predict.data import DataCurve, DataModes, from_data, target_modes
from ntkspec.predict.features import FeatureChoices, choose_features
from ntkspec.predict.freedom import EffectiveDimension, effective_dimension
from ntkspec.predict.minibatch import MinibatchCurve, minibatch_curve
from ntkspec.predict.modes import Modes, modes
from ntkspec.predict.residuals import PinnTimes, pinn
from ntkspec.predict.shares import fractional_variances
from ntkspec.predict.targets import TargetPower, power
from ntkspec.predict.times import LearningTimes, learning_times

__all__ = [
    "BoundaryRates",
    "DataCurve",
    "DataModes",
    "EffectiveDimension",
    "FeatureChoices",
    "LearningCurve",
    "LearningTimes",
    "MinibatchCurve",
    "Modes",
    "Operator",
    "PinnTimes",
    "SampleSizes",
    "TargetPower",
    "boundary_rates",
    "choose_features",
    "effective_dimension",
    "fractional_variances",
    "from_data",
    "learning_curve",
    "learning_times",
    "minibatch_curve",
    "modes",
    "pinn",
    "power",
    "samples_to_learn",
    "target_modes",
]
