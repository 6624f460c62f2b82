"""What a spectrum foretells: learning times, degrees of freedom, learning curves.

`modes` gathers what all of them need of a kernel, `regularization` solves for kappa; `times`,
`freedom` and `curves` are the predictions.
"""

from ntkspec.predict.curves import LearningCurve, SampleSizes, learning_curve, samples_to_learn
from ntkspec.predict.freedom import EffectiveDimension, effective_dimension
from ntkspec.predict.modes import Modes, modes
from ntkspec.predict.times import LearningTimes, learning_times

__all__ = [
    "EffectiveDimension",
    "LearningCurve",
    "LearningTimes",
    "Modes",
    "SampleSizes",
    "effective_dimension",
    "learning_curve",
    "learning_times",
    "modes",
    "samples_to_learn",
]
