"""Networks: the description, and the pointwise kernels K(t) and matrices computed from it."""

from ntkspec.networks.network import Kernel, Network, as_network

__all__ = ["Kernel", "Network", "as_network"]
