"""PyTorch: Sobolev losses, and the infinite width of a model of dense layers."""

from ntkspec.torch.describe import Described, describe
from ntkspec.torch.losses import IntervalLoss, SobolevLoss

__all__ = ["Described", "IntervalLoss", "SobolevLoss", "describe"]
