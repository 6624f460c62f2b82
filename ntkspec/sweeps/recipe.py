"""Recipes: which networks, dimensions and degrees a table holds (TOML)."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath
from ntkspec.jobs.recipes import (
    checked_count,
    checked_table,
    known_keys,
    named,
    parsed,
    read_text,
)
from ntkspec.networks import Kernel, Network
from ntkspec.ranges import parse_range
from ntkspec.spectra.conventions import MAX_DEGREE, MAX_DIM
from ntkspec.sweeps.batch import Batch
from ntkspec.tables.layout import COMPRESSIONS, group_name
from ntkspec.verification import DIGITS, Method, check_method

__all__ = ["Recipe", "group_name", "parse_recipe", "read_recipe"]

BLOCK_EIGENVALUES = 2**21
MOST_BLOCK_EIGENVALUES = 2**28
MOST_NETWORKS = 10_000
LIMITS = {"dims": (2, MAX_DIM), "degrees": (0, MAX_DEGREE)}
KEYS = (
    "name", "dims", "degrees", "block_eigenvalues", "compression", "checks", "cluster", "networks",
)  # fmt: skip
CHECK_KEYS = ("samples", "method", "digits", "seed", "max_dim", "max_degree")
CLUSTER_KEYS = tuple(field.name for field in dataclasses.fields(Batch))
#: Keys of a network, and what each must be.
NETWORK_KEYS: dict[str, tuple[type, ...]] = {
    "activation": (str,), "slope": (int, float), "power": (int,),
    "weight_variance": (int, float), "bias_variance": (int, float), "depth": (int,),
    "trained": (str,), "weights": (str,), "kernel": (str,),
}  # fmt: skip
KINDS: dict[tuple[type, ...], str] = {
    (str,): "a text", (int,): "a whole number", (int, float): "a number",
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
    compression : {"gzip", "none", "zstd", "blosc"}
        Of the table's numbers.
    samples, digits, seed : int
        Entries of each network that the sweep recomputes independently, to how many digits.
    check_method : {"balls", "mpmath"}
        How they are recomputed.
    max_dim, max_degree : int or None
        Largest dimension and degree of those entries; None: the table's.
    cluster : Batch or None
        What a batch system is asked for.
    text : str
        The recipe as written.

    Examples
    --------
    >>> recipe = parse_recipe('''
    ... dims = "2:5"
    ... degrees = "0:9"
    ... networks = [{activation = "relu"}]
    ... ''')
    >>> recipe.dims, recipe.degrees.size, recipe.compression
    (array([2, 3, 4]), 9, 'gzip')
    """

    name: str
    networks: tuple[tuple[Network, Kernel], ...]
    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    block_eigenvalues: int
    compression: str
    samples: int
    digits: int
    seed: int
    check_method: Method
    max_dim: int | None
    max_degree: int | None
    cluster: Batch | None
    text: str

    @cached_property
    def digest(self) -> str:
        """Digest of what the recipe means: comments, layout and the cluster do not count."""
        meaning = {
            "networks": [[net.parameters(), kernel] for net, kernel in self.networks],
            "dims": self.dims.tolist(),
            "degrees": self.degrees.tolist(),
            "block_eigenvalues": self.block_eigenvalues,
            "compression": self.compression,
            "checks": [self.samples, self.digits, self.seed],
        }
        if (self.max_dim, self.max_degree) != (None, None):
            meaning["checked_to"] = [self.max_dim, self.max_degree]
        if self.check_method != "balls":
            meaning["checked_by"] = self.check_method
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a file.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When something in it is not allowed: file, line, key and what is allowed.

    Examples
    --------
    >>> read_recipe("missing.toml")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.toml: the recipe cannot be read (No such file or directory)
    """
    return parse_recipe(read_text(path), str(path))


def parse_recipe(text: str, source: str = "") -> Recipe:
    r"""Read a recipe from its text.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for the sentence of an error: it begins with "source:line:", or with
        "line N:" where there is no name.

    Raises
    ------
    NtkspecError
        When something in it is not allowed.

    Examples
    --------
    >>> text = 'dims = "2:5"\ndegrees = [0, "1:9:*2"]\nnetworks = [{activation = "relu"}]'
    >>> parse_recipe(text).degrees
    array([0, 1, 2, 4, 8])
    """
    return parsed(text, source, lambda raw: _recipe(raw, text))


# --- from what the parser read to a recipe; faults carry the path of their key -------------------


def _recipe(raw: dict[str, Any], text: str) -> Recipe:
    known_keys(raw, KEYS, (), "the recipe")
    checks = checked_table(raw, "checks", CHECK_KEYS)
    name = raw.get("name", "")
    if not isinstance(name, str):
        raise Fault(f"name = {name!r} is not allowed; it must be a text", ("name",))
    compression = raw.get("compression", COMPRESSIONS[0])
    if compression not in COMPRESSIONS:
        raise Fault(
            f"compression = {compression!r} is not allowed; use one of {', '.join(COMPRESSIONS)}",
            ("compression",),
        )
    method = _method(checks.get("method", "balls"))
    networks = _networks(raw.get("networks"))
    dims, degrees = _increasing(raw, "dims"), _increasing(raw, "degrees")
    return Recipe(
        name=name,
        networks=networks,
        dims=dims,
        degrees=degrees,
        block_eigenvalues=checked_count(
            raw, ("block_eigenvalues",), BLOCK_EIGENVALUES, 1, MOST_BLOCK_EIGENVALUES
        ),
        compression=compression,
        samples=checked_count(checks, ("checks", "samples"), 6, 0, 10**6),
        digits=checked_count(checks, ("checks", "digits"), DIGITS[method], 20, 1000),
        seed=checked_count(checks, ("checks", "seed"), 0, 0, 2**31),
        check_method=method,
        max_dim=_limit(checks, "max_dim", dims),
        max_degree=_limit(checks, "max_degree", degrees),
        cluster=_cluster(checked_table(raw, "cluster", CLUSTER_KEYS)) if "cluster" in raw else None,
        text=text,
    )


def _method(value: Any) -> Method:
    try:
        return check_method(value)
    except NtkspecError as error:
        raise Fault(str(error), ("checks", "method")) from None


def _limit(checks: dict[str, Any], key: str, values: NDArray[np.int64]) -> int | None:
    """Largest dimension or degree of a check, at least the table's smallest."""
    if key not in checks:
        return None
    most = LIMITS[key.removeprefix("max_") + "s"][1]
    return checked_count(checks, ("checks", key), 0, int(values[0]), most)


def _cluster(table: dict[str, Any]) -> Batch:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            raise Fault(f"[cluster]: {key} = {value!r} is not allowed", ("cluster", key))
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return Batch(**values)
    except NtkspecError as error:
        raise Fault(f"[cluster]: {error}", ("cluster", named(error, values))) from None


def _increasing(raw: dict[str, Any], key: str) -> NDArray[np.int64]:
    """The values of dims or degrees, of a whole number, a range or a list of both."""
    given = raw.get(key)
    if given is None or given == []:
        raise Fault(
            f'{key} are missing; write {key} = "a:b", a range, or a list of whole numbers', (key,)
        )
    items: list[Any] = given if isinstance(given, list) else [given]
    parts: list[NDArray[np.int64]] = []
    place = 0

    def at(i: int) -> KeyPath:
        return (key, place + i) if items is given else (key,)

    # Whole numbers that follow each other are one part, so that long lists take no time.
    for kind, group in itertools.groupby(items, type):
        run = list(group)
        if kind is int:
            parts.append(_checked(run, key, at))
        elif kind is str:
            parts += [_ranged(one, key, at(i)) for i, one in enumerate(run)]
        else:
            raise Fault(
                f'{key} = {run[0]!r} is not allowed; write a range "a:b" or whole numbers', at(0)
            )
        place += len(run)
    array = np.concatenate(parts)
    if falls := np.flatnonzero(np.diff(array) <= 0).tolist():
        before, after = array[falls[0] : falls[0] + 2]
        raise Fault(f"{key} must increase, and {after} comes after {before}", (key,))
    return array


def _ranged(text: str, key: str, path: KeyPath) -> NDArray[np.int64]:
    try:
        values = parse_range(text, key)
    except NtkspecError as error:
        raise Fault(str(error), path) from None
    return _checked(values, key, lambda _: path)


def _checked(values: Sequence[int], key: str, at: Callable[[int], KeyPath]) -> NDArray[np.int64]:
    """The values as an array, once the smallest and the largest are known to be allowed."""
    ends = (values[0], values[-1]) if isinstance(values, range) else (min(values), max(values))
    least, most = LIMITS[key]
    for end in ends:
        if not least <= end <= most:
            raise Fault(
                f"{key}: {key.removesuffix('s')} = {end} is not allowed; it must be a whole number "
                f"from {least} to {most}",
                at(values.index(end)),
            )
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step, dtype=np.int64)
    return np.array(values, dtype=np.int64)


# --- networks ------------------------------------------------------------------------------------


def _networks(entries: Any) -> tuple[tuple[Network, Kernel], ...]:
    if not isinstance(entries, list) or not entries:
        raise Fault("networks are missing; write at least one table [[networks]]", ("networks",))
    networks: dict[tuple[Network, Kernel], int] = {}
    for number, entry in enumerate(entries):
        path: KeyPath = ("networks", number)
        where = f"[[networks]] number {number + 1}"
        if not isinstance(entry, dict) or "activation" not in entry:
            raise Fault(f"{where} has no activation", path)
        known_keys(entry, NETWORK_KEYS, path, where)
        for values, paths in _products(entry, path, where):
            network = _network(values, paths, path, where)
            if network in networks:
                first = networks[network]
                raise Fault(
                    f"{where} makes {group_name(*network)}, as does [[networks]] number "
                    f"{first + 1}",
                    path, ("networks", first),
                )  # fmt: skip
            networks[network] = number
        if len(networks) > MOST_NETWORKS:
            raise Fault(f"there are more than {MOST_NETWORKS} networks", path)
    return tuple(networks)


def _products(
    entry: dict[str, Any], path: KeyPath, where: str
) -> Iterator[tuple[dict[str, Any], dict[str, KeyPath]]]:
    """Every choice of one value for each key, the last key's changing fastest, and their paths."""
    choices: list[list[tuple[str, Any, KeyPath]]] = []
    for key, value in entry.items():
        at = (*path, key)
        if isinstance(value, list):
            choices.append([(key, one, (*at, i)) for i, one in enumerate(value)])
        else:
            choices.append([(key, value, at)])
        for _, one, place in choices[-1]:
            allowed = NETWORK_KEYS[key]
            if type(one) not in allowed:
                raise Fault(
                    f"{where}: {key} = {one!r} is not allowed; it must be {KINDS[allowed]} or a "
                    "list",
                    place,
                )
        if not choices[-1]:
            raise Fault(f"{where}: {key} = [] is empty; write at least one value", at)
    count = math.prod(map(len, choices))
    if count > MOST_NETWORKS:
        raise Fault(f"{where} would be {count} networks; allowed are {MOST_NETWORKS}", path)
    for chosen in itertools.product(*choices):
        yield {key: one for key, one, _ in chosen}, {key: at for key, _, at in chosen}


def _network(
    values: dict[str, Any], paths: dict[str, KeyPath], path: KeyPath, where: str
) -> tuple[Network, Kernel]:
    kernel = values.pop("kernel", "ntk")
    try:
        network = Network(**values)
        network.mixture(kernel)
    except NtkspecError as error:
        at = paths.get(named(error, paths), path)
        raise Fault(f"{where}: {error}", at) from None
    return network, kernel
