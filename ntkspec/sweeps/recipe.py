"""Recipes: which networks, dimensions and degrees a table holds (TOML)."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.networks import Kernel, Network
from ntkspec.ranges import parse_range
from ntkspec.spectra.conventions import check_degrees, check_dim

__all__ = ["Recipe", "group_name", "parse_recipe", "read_recipe"]

BLOCK_EIGENVALUES = 2**17
KEYS = {"name", "dims", "degrees", "block_eigenvalues", "checks", "networks"}
CHECK_KEYS = {"samples", "digits", "seed"}
NETWORK_KEYS = {
    "activation", "slope", "power", "weight_variance", "bias_variance", "depth", "trained",
    "weights", "kernel",
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What a sweep computes.

    Attributes
    ----------
    name : str
    networks : tuple of (Network, Kernel)
    dims, degrees : increasing int64 arrays
    block_eigenvalues : int
        Largest number of eigenvalues in a block: it sets the memory of a worker.
    samples, digits, seed : int
        Entries of each network that the sweep recomputes independently, to how many digits.
    text : str
        The recipe as written.
    """

    name: str
    networks: tuple[tuple[Network, Kernel], ...]
    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    block_eigenvalues: int
    samples: int
    digits: int
    seed: int
    text: str

    @property
    def digest(self) -> str:
        """Digest of what the recipe means: comments and layout do not count."""
        meaning = {
            "networks": [[net.parameters(), kernel] for net, kernel in self.networks],
            "dims": self.dims.tolist(),
            "degrees": self.degrees.tolist(),
            "block_eigenvalues": self.block_eigenvalues,
            "checks": [self.samples, self.digits, self.seed],
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a file.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When something in it is not allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise TableError(f"{path}: the recipe cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise NtkspecError(f"{path}: the recipe is not text in UTF-8") from None
    try:
        return parse_recipe(text)
    except NtkspecError as error:
        raise NtkspecError(f"{path}: {error}") from None


def parse_recipe(text: str) -> Recipe:
    r"""Read a recipe from its text.

    Examples
    --------
    >>> text = 'dims = "2:5"\ndegrees = [0, 1]\nnetworks = [{activation = "relu"}]'
    >>> parse_recipe(text).dims
    array([2, 3, 4])
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NtkspecError(f"the recipe is not TOML: {error}") from None
    _known(raw, KEYS, "the recipe")
    checks = raw.get("checks", {})
    if not isinstance(checks, dict):
        raise NtkspecError(f"checks = {checks!r} is not allowed; it must be a table [checks]")
    _known(checks, CHECK_KEYS, "[checks]")
    name = raw.get("name", "")
    if not isinstance(name, str):
        raise NtkspecError(f"name = {name!r} is not allowed; it must be a text")
    return Recipe(
        name=name,
        networks=_networks(raw.get("networks")),
        dims=_increasing([check_dim(dim) for dim in _values(raw, "dims")], "dims"),
        degrees=_increasing(check_degrees(_values(raw, "degrees")), "degrees"),
        block_eigenvalues=_count(raw, "block_eigenvalues", BLOCK_EIGENVALUES, 1, 2**26),
        samples=_count(checks, "samples", 6, 0, 10**6),
        digits=_count(checks, "digits", 50, 20, 1000),
        seed=_count(checks, "seed", 0, 0, 2**31),
        text=text,
    )


def group_name(network: Network, kernel: Kernel) -> str:
    """Name of a network in a table: its activation, and what differs from the poster's.

    Examples
    --------
    >>> group_name(Network("leaky_relu", slope=0.2, trained="all"), "ntk")
    'leaky_relu(slope=0.2,trained=all)'
    """
    usual = Network("tanh").parameters()
    parameters = {**network.parameters(), "kernel": kernel}
    del parameters["activation"]
    differing = [
        f"{key}={value}"
        for key, value in parameters.items()
        if value != {**usual, "kernel": "ntk"}.get(key)
    ]
    return network.name + (f"({','.join(differing)})" if differing else "")


def _known(table: dict[str, Any], keys: set[str], where: str) -> None:
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(keys))}"
            raise NtkspecError(f"key {key!r} is unknown in {where}; {hint}")


def _values(raw: dict[str, Any], key: str) -> Iterable[int]:
    value = raw.get(key)
    if isinstance(value, str):
        return parse_range(value, key)
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list) and value:
        return value
    raise NtkspecError(
        f'{key} = {value!r} is not allowed; write a range "a:b" or a list of whole numbers'
    )


def _increasing(values: Any, key: str) -> NDArray[np.int64]:
    array = np.asarray(values, dtype=np.int64)
    if np.any(np.diff(array) <= 0):
        raise NtkspecError(f"{key} must increase from each value to the next")
    return array


def _count(table: dict[str, Any], key: str, default: int, least: int, most: int) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise NtkspecError(
            f"{key} = {value!r} is not allowed; it must be a whole number from {least} to {most}"
        )
    return value


def _networks(entries: Any) -> tuple[tuple[Network, Kernel], ...]:
    if not isinstance(entries, list) or not entries:
        raise NtkspecError("networks are missing; write at least one table [[networks]]")
    networks: list[tuple[Network, Kernel]] = []
    for number, entry in enumerate(entries, 1):
        where = f"[[networks]] number {number}"
        if not isinstance(entry, dict) or "activation" not in entry:
            raise NtkspecError(f"{where} has no activation")
        _known(entry, NETWORK_KEYS, where)
        entry = dict(entry)
        kernel = entry.pop("kernel", "ntk")
        try:
            network = Network(**entry)
            network.mixture(kernel)
        except NtkspecError as error:
            raise NtkspecError(f"{where}: {error}") from None
        if (network, kernel) in networks:
            raise NtkspecError(f"{where} repeats {group_name(network, kernel)}")
        networks.append((network, kernel))
    return tuple(networks)
