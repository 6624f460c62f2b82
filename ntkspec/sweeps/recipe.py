"""Recipes: which networks, domains, dimensions and degrees a table holds (TOML)."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DEGREE, MAX_DIM
from ntkspec.domains import DOMAINS, Domain, Family, Sphere, check_existing, family
from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath, attributed
from ntkspec.jobs.recipes import (
    NO_KEY,
    Between,
    Key,
    Read,
    known_keys,
    parsed,
    read_text,
    structured,
)
from ntkspec.locks import cached_property
from ntkspec.networks import Network
from ntkspec.parameters import shown
from ntkspec.ranges import parse_range
from ntkspec.spectra.routes import chosen_route
from ntkspec.sweeps.batch import Batch
from ntkspec.tables.layout import GroupKey
from ntkspec.verification import DIGITS, Method, has_reference
from ntkspec.zonal import ZonalKernel, zonal_kernel

__all__ = [
    "Checks",
    "Place",
    "Recipe",
    "about_lists",
    "combinations",
    "increasing",
    "parse_recipe",
    "products",
    "read_network",
    "read_recipe",
    "source_of",
]

MOST_NETWORKS = 10_000
#: Keys of a network.
NETWORK_KEYS = (*(field.name for field in dataclasses.fields(Network)), "kernel", "domain")
#: Keys of a zonal kernel.
ZONAL_KEYS = ("zonal", "domain")

#: Parameters of domains whose values may be lists.
LISTS = ("radii", "weights", "edges", "frequencies", "amplitudes")

#: Domains whose limits dimensions and degrees must keep.
Kinds = Sequence[type[Domain]]


# --- readers of single keys ----------------------------------------------------------------------


def increasing(given: Any, path: KeyPath, kinds: Kinds) -> NDArray[np.int64]:
    """Read dims or degrees: a whole number, a range or a list of both."""
    key = str(path[-1])
    items: list[Any] = given if isinstance(given, list) else [given]
    if not items:
        raise Fault(f'{key} = [] is empty; write a range "a:b" or whole numbers', path)
    parts: list[NDArray[np.int64]] = []
    place = 0

    def at(i: int) -> KeyPath:
        return (*path, place + i) if items is given else path

    # Runs of whole numbers are checked together, so that long lists are fast.
    for kind, group in itertools.groupby(items, type):
        run = list(group)
        if kind is int:
            parts.append(_checked(run, key, at, kinds))
        elif kind is str:
            parts += [_ranged(one, key, at(i), kinds) for i, one in enumerate(run)]
        else:
            raise Fault(
                f'{key} = {run[0]!r} is not allowed; write a range "a:b" or whole numbers', at(0)
            )
        place += len(run)
    array = np.concatenate(parts)
    if falls := np.flatnonzero(np.diff(array) <= 0).tolist():
        before, after = array[falls[0] : falls[0] + 2]
        raise Fault(f"{key} must increase, and {after} comes after {before}", path)
    return array


def _ranged(text: str, key: str, path: KeyPath, kinds: Kinds) -> NDArray[np.int64]:
    with attributed(*path):
        values = parse_range(text, key)
    return _checked(values, key, lambda _: path, kinds)


def _checked(
    values: Sequence[int], key: str, at: Callable[[int], KeyPath], kinds: Kinds
) -> NDArray[np.int64]:
    """Check the smallest and the largest value, and return all as an array."""
    ends = (values[0], values[-1]) if isinstance(values, range) else (min(values), max(values))
    for end, kind in itertools.product(ends, kinds):
        limits = {"dims": (kind.least_dim, kind.most_dim), "degrees": (0, kind.most_degree)}
        least, most = limits[key]
        place = kind.place or (" on the sphere" if len(kinds) > 1 else "")
        if not least <= end <= most:
            raise Fault(
                f"{key}: {key.removesuffix('s')} = {end} is not allowed{place}; it must be a "
                f"whole number from {least} to {most}",
                at(values.index(end)),
            )
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step, dtype=np.int64)
    return np.array(values, dtype=np.int64)


def _domains(entries: Any) -> Kinds:
    """The domains that the networks of a recipe name; none if one is unknown, refused later."""
    given = [entry.get("domain", Sphere.name) for entry in entries if isinstance(entry, dict)]
    names = [name for one in given for name in (one if isinstance(one, list) else [one])]
    try:
        kinds = {_without_parameters(name).kind for name in names}
    except NtkspecError:
        return []
    return sorted(kinds, key=lambda kind: kind.name)


def _without_parameters(given: Any) -> Family:
    """The family of a domain's name, its text, or its table."""
    return family(given.get("name") if isinstance(given, dict) else given)


def _texts(given: Any, path: KeyPath, where: str) -> Iterator[tuple[str, KeyPath]]:
    """The domains that a value of the key stands for, as their texts, and the path of each."""
    if not isinstance(given, dict):
        with attributed(*path, before=f"{where}: "):
            named = str(family(given))
        yield named, path
        return
    if "name" not in given:
        raise Fault(
            f"{where}: domain = {shown(given)} is not allowed; use one of {', '.join(DOMAINS)}, or "
            'a name and parameters: {name = "ball", radius = 2.0}',
            path,
        )
    for values, paths in products(given, path, f"{where}: domain", "domains"):
        try:
            yield str(Family.of(values.pop("name"), values)), path
        except NtkspecError as error:
            at = paths.get(str(error).split(maxsplit=1)[0].rstrip(":"), path)
            hint = about_lists(given, at)
            raise Fault(f"{where}: domain: {error}{hint}", at) from None


def about_lists(given: dict[str, Any], at: KeyPath) -> str:
    """What to add to an error about a value of a list that may have been meant as one value."""
    key = at[-2] if isinstance(at[-1], int) else ""
    if key not in LISTS or not isinstance(given[key][0], float | int):
        return ""
    return f"; a list is several values: one value of several numbers is {key} = [[...]]"


def _networks(entries: Any, root: KeyPath) -> tuple[GroupKey, ...]:
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and "radial" in entry:
            raise Fault(
                f"[[networks]] number {number + 1}: radial is not allowed; a table has the largest "
                "eigenvalue of each degree: for more use "
                "ntkspec.spectrum(network, ntkspec.Gaussian(dim, radial=2))",
                (*root, number, "radial"),
            )
    networks: dict[GroupKey, Place] = {}
    for place, values in combinations(entries, root):
        network = _network(values, place)
        if network in networks:
            first = networks[network]
            raise Fault(
                f"{place} makes {network.name}, as does {first}",
                place.path, first.path,
            )  # fmt: skip
        networks[network] = place
        if len(networks) > MOST_NETWORKS:
            raise Fault(f"there are more than {MOST_NETWORKS} networks", place.path)
    return tuple(networks)


#: Reads the domains that a value of the key stands for, and the path of each.
Reader = Callable[[Any, KeyPath, str], Iterator[tuple[Any, KeyPath]]]


def products(
    entry: dict[str, Any],
    path: KeyPath,
    where: str,
    what: str = "networks",
    domains: Reader = _texts,
) -> Iterator[tuple[dict[str, Any], dict[str, KeyPath]]]:
    """Every combination of one value per key, the last key varying fastest, and their paths."""
    choices: list[list[tuple[str, Any, KeyPath]]] = []
    for key, value in entry.items():
        at = (*path, key)
        values = [(value, at)]
        if isinstance(value, list):
            values = [(one, (*at, i)) for i, one in enumerate(value)]
        if not values:
            raise Fault(f"{where}: {key} = [] is empty; write at least one value", at)
        if key == "domain":
            values = [text for one, of in values for text in domains(one, of, where)]
        choices.append([(key, one, of) for one, of in values])
    count = math.prod(map(len, choices))
    if count > MOST_NETWORKS:
        raise Fault(f"{where} would be {count} {what}; at most {MOST_NETWORKS} are allowed", path)
    for chosen in itertools.product(*choices):
        yield {key: one for key, one, _ in chosen}, {key: at for key, _, at in chosen}


class Place(NamedTuple):
    """Where the values of a network stand in a recipe; its text begins error messages."""

    number: int
    path: KeyPath
    paths: dict[str, KeyPath]

    def __str__(self) -> str:
        return f"[[networks]] number {self.number + 1}"

    def of(self, error: Exception) -> KeyPath:
        """The path of the key with which an error's text begins."""
        return self.paths.get(str(error).split(maxsplit=1)[0].rstrip(":"), self.path)


def combinations(
    entries: Any, root: KeyPath, domains: Reader = _texts
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every combination of values that the tables [[networks]] stand for, and its place."""
    if not isinstance(entries, list) or not entries:
        raise Fault(
            f"networks = {entries!r} is not allowed; write at least one table [[networks]]", root
        )
    for number, entry in enumerate(entries):
        path = (*root, number)
        place = Place(number, path, {})
        if not isinstance(entry, dict) or not {"activation", "layers", "zonal"} & entry.keys():
            raise Fault(f"{place} has no activation", path)
        known_keys(entry, ZONAL_KEYS if "zonal" in entry else NETWORK_KEYS, path, str(place))
        given = {"domain": Sphere.name, **entry}
        for values, paths in products(given, path, str(place), domains=domains):
            yield place._replace(paths=paths), values


def _network(values: dict[str, Any], place: Place) -> GroupKey:
    kernel, domain = values.pop("kernel", "ntk"), values.pop("domain")
    try:
        network = source_of(values)
        if isinstance(network, ZonalKernel) and not network.in_high_precision:
            raise NtkspecError(
                f"zonal = {network.name} is known in doubles only; tables need a kernel of "
                "arithmetic = 'flint' or 'mpmath'"
            )
        chosen_route(network, family(domain)(3), kernel)
        if not any(has_reference(network, domain, method) for method in get_args(Method)):
            raise NtkspecError(
                f"domain = {shown(domain)} is not allowed with {network!r}: tables are checked "
                "by a second computation, and there is none; use ntkspec.scan"
            )
    except NtkspecError as error:
        raise Fault(f"{place}: {error}", place.of(error)) from None
    return GroupKey(network, kernel, domain)


def source_of(values: dict[str, Any]) -> Network | ZonalKernel:
    """The network or zonal kernel of a table's values."""
    return zonal_kernel(**values) if "zonal" in values else Network(**values)


#: Values that `parse_recipe` has read.
AS_READ = Read(lambda value, _: value)


# --- recipes --------------------------------------------------------------------------------------


#: Entries of each network that are checked where a recipe has no number.
SAMPLES = 6


@dataclass(frozen=True)
class Checks:
    """The entries that a sweep recomputes independently.

    Attributes
    ----------
    samples : int or None
        Entries of each network; None for up to 6, as many as take no longer than the sweep or a
        minute.
    method : {"balls", "mpmath"}
        How they are recomputed.
    digits : int
        Digits of the recomputation; by default 25 with balls, 20 with mpmath.
    seed : int
        Of the random choice.
    max_dim, max_degree : int or None
        Largest dimension and degree of those entries; None for the table's.

    Examples
    --------
    >>> Checks(samples=2).digits
    25
    """

    samples: Annotated[int, Between(0, 10**6)] | None = None
    method: Method = "balls"
    digits: Annotated[int, Between(20, 1000)] = None  # type: ignore[assignment]
    seed: Annotated[int, Between(0, 2**31)] = 0
    max_dim: Annotated[int, Between(1, MAX_DIM)] | None = None
    max_degree: Annotated[int, Between(0, MAX_DEGREE)] | None = None

    def __post_init__(self) -> None:
        if self.digits is None:
            object.__setattr__(self, "digits", DIGITS[self.method])

    @property
    def most(self) -> int:
        """Largest number of entries of each network."""
        return SAMPLES if self.samples is None else self.samples


@dataclass(frozen=True)
class Recipe:
    """What a sweep computes.

    Attributes
    ----------
    networks : tuple of GroupKey
        Networks with kernel and domain.
    dims, degrees : increasing int64 arrays
    name : str
    block_eigenvalues : int
        Largest number of eigenvalues in a block; it determines the memory of a worker.
    compression : {"gzip", "none", "zstd", "blosc"}
        Of the table's numbers.
    checks : Checks
        Which entries the sweep recomputes independently.
    cluster : Batch or None
        Resources to request from a batch system.
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

    networks: Annotated[
        tuple[GroupKey, ...],
        Read(_networks),
        Key(example="at least one table [[networks]]"),
    ]
    dims: Annotated[NDArray[np.int64], AS_READ, Key(example='dims = "2:100"')]
    degrees: Annotated[NDArray[np.int64], AS_READ, Key(example='degrees = "0:100"')]
    name: str = ""
    block_eigenvalues: Annotated[int, Between(1, 2**28)] = 2**21
    compression: Literal["gzip", "none", "zstd", "blosc"] = "gzip"
    checks: Checks = Checks()
    cluster: Batch | None = None
    text: Annotated[str, NO_KEY] = ""

    def __post_init__(self) -> None:
        for domain in dict.fromkeys(key.domain for key in self.networks):
            with attributed("dims"):
                check_existing(domain, self.dims, self.degrees)
        for key in self.networks if self.checks.most else ():
            if not has_reference(key.network, key.domain, self.checks.method):
                raise Fault(
                    f"method = {self.checks.method!r} is not allowed for {key.name}; use 'balls'",
                    ("checks", "method"),
                )
        for name, values in (("max_dim", self.dims), ("max_degree", self.degrees)):
            limit = getattr(self.checks, name)
            if limit is not None and limit < values[0]:
                raise Fault(
                    f"{name} = {limit} is not allowed; the smallest "
                    f"{name.removeprefix('max_')} of the table is {values[0]}",
                    ("checks", name),
                )

    @cached_property
    def digest(self) -> str:
        """Digest of the recipe's meaning; comments, layout, name and cluster do not change it."""
        meaning = {
            "networks": [key.parameters() for key in self.networks],
            "dims": self.dims.tolist(),
            "degrees": self.degrees.tolist(),
            "block_eigenvalues": self.block_eigenvalues,
            "compression": self.compression,
            "checks": asdict(self.checks),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a file.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When something in it is not allowed; the message has file, line, key and allowed values.

    Examples
    --------
    >>> read_recipe("missing.toml")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.toml: the recipe cannot be read (No such file or directory)
    """
    return parse_recipe(read_text(path), str(path))


def read_network(path: str | Path) -> dict[str, Any]:
    """Read the parameters of one network from a TOML file with the keys of a recipe's network.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When it is no TOML or has another key; the message has file and line.
    """
    keys = [key for key in NETWORK_KEYS if key not in ("kernel", "domain")]

    def make(table: dict[str, Any]) -> dict[str, Any]:
        known_keys(table, keys, (), "a network")
        return table

    return parsed(read_text(path), str(path), make)


def parse_recipe(text: str, source: str = "") -> Recipe:
    r"""Read a recipe from its text.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for error messages: they begin with "source:line:", or with "line N:"
        without it.

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

    def make(raw: dict[str, Any]) -> Recipe:
        networks = raw.get("networks")
        kinds = _domains(networks if isinstance(networks, list) else [])
        read = {
            key: increasing(raw[key], (key,), kinds) for key in ("dims", "degrees") if key in raw
        }
        return dataclasses.replace(structured(Recipe, raw | read, (), "the recipe"), text=text)

    return parsed(text, source, make)
