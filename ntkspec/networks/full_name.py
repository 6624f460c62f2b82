"""Names of networks and kernels that tell them apart."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

from ntkspec.networks.network import Network

__all__ = ["full_name"]


#: Parameters that `name` has already.
IN_NAME = ("activation", "layers", "zonal", "name", "arithmetic")


class Named(Protocol):
    """A network or a zonal kernel."""

    @property
    def name(self) -> str:
        """The activations, parts or kernel."""

    def parameters(self) -> dict[str, Any]:
        """What makes it, by name."""


def full_name(source: Named, **others: Any) -> str:
    """The name with parameters that are not the poster's, so that no two networks share it.

    Further parameters follow.

    Examples
    --------
    >>> full_name(Network("relu")), full_name(Network("relu", depth=2), kernel="nngp")
    ('relu', 'relu(depth=2,kernel=nngp)')
    """
    differing = [
        f"{key}={value}"
        for key, value in {**source.parameters(), **others}.items()
        if key not in IN_NAME and value != _usual().get(key)
    ]
    return source.name + (f"({','.join(differing)})" if differing else "")


@lru_cache(maxsize=1)
def _usual() -> dict[str, Any]:
    """Parameters of the poster's networks, which names omit."""
    return Network("tanh").parameters()
