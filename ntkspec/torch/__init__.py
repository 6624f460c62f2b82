"""PyTorch: Sobolev losses, a model's infinite width, its own kernel, and both compared."""

from ntkspec.torch.comparison import KernelMatrix, ModelComparison, compare_model
from ntkspec.torch.describe import Described, describe
from ntkspec.torch.empirical import empirical_ntk
from ntkspec.torch.losses import IntervalLoss, SobolevLoss

__all__ = [
    "Described",
    "IntervalLoss",
    "KernelMatrix",
    "ModelComparison",
    "SobolevLoss",
    "compare_model",
    "describe",
    "empirical_ntk",
]
