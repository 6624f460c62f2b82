"""Networks: the description, and the pointwise kernels K(t) and matrices computed from it."""

from ntkspec.networks.network import Kernel, Network, as_network
from ntkspec.networks.parts import Linear, Normalize, Residual

__all__ = ["Kernel", "Linear", "Network", "Normalize", "Residual", "as_network"]
