"""Recipes of scans: networks, and domains of any kind with a grid of parameters (TOML)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ntkspec.conventions import MAX_DEGREE
from ntkspec.domains import DOMAINS, Domain, Torus, named_density, named_domain
from ntkspec.errors import NtkspecError
from ntkspec.jobs.lines import Fault, KeyPath
from ntkspec.jobs.recipes import (
    NO_KEY,
    Between,
    Key,
    Read,
    parsed,
    read_text,
    structured,
)
from ntkspec.parameters import nearest, shown
from ntkspec.sweeps.recipe import (
    Place,
    about_lists,
    combinations,
    increasing,
    products,
    source_of,
)
from ntkspec.sweeps.scans.compute import Item, Options, check_items, check_options

__all__ = ["ScanRecipe", "parse_scan", "read_scan"]

NAMES = (*DOMAINS, Torus.name)
#: A domain's name and parameters, and the path of each parameter.
Named = tuple[str, dict[str, Any], dict[str, KeyPath]]


def _numbers(given: Any, path: KeyPath) -> tuple[int, ...]:
    return tuple(increasing(given, path, ()).tolist())


@dataclass(frozen=True)
class ScanRecipe:
    """What a scan computes.

    Attributes
    ----------
    networks : list of tables
        As written.
    dims : tuple of int
        Of all domains but the torus.
    degrees : tuple of int, optional
    count, max_degree, size, tolerance : optional
        As for `ntkspec.scan`.
    name : str

    Examples
    --------
    >>> recipe = parse_scan('''
    ... dims = [2, 3]
    ... count = 10
    ... [[networks]]
    ... activation = "relu"
    ... domain = {name = "sphere", density = {name = "von_mises", concentration = [0.5, 2, 8]}}
    ... ''')
    >>> len(recipe.items)
    6
    """

    networks: Annotated[
        list[Any], Read(lambda value, _: value), Key(example="at least one table [[networks]]")
    ]
    dims: Annotated[tuple[int, ...], Read(_numbers)] = ()
    degrees: Annotated[tuple[int, ...], Read(_numbers)] | None = None
    count: Annotated[int, Between(1, 10**6)] | None = None
    max_degree: Annotated[int, Between(0, MAX_DEGREE)] | None = None
    size: Annotated[int, Between(0, 10**6)] | None = None
    tolerance: Annotated[float, Between(0.0, 1.0)] | None = None
    name: str = ""
    items: Annotated[tuple[Item, ...], NO_KEY] = ()

    def __post_init__(self) -> None:
        items = list(dict.fromkeys(_items(self.networks, ("networks",), self.dims)))
        object.__setattr__(self, "items", tuple(items))
        check_items(items)
        check_options(self.options, [item.domain for item in items])

    @property
    def options(self) -> Options:
        """The options of the spectra."""
        return Options(self.degrees, self.count, self.max_degree, self.size, self.tolerance)


def read_scan(path: str | Path) -> ScanRecipe:
    r"""Read the recipe of a scan from a file.

    Raises
    ------
    TableError
        When there is no such file.
    NtkspecError
        When something in it is not allowed; the message has file, line, key and allowed values.

    Examples
    --------
    >>> recipe = folder / "scan.toml"
    >>> _ = recipe.write_text('dims = [2, 3]\nnetworks = [{activation = "relu"}]')
    >>> read_scan(recipe).items[1].domain
    Sphere(dim=3)
    """
    return parse_scan(read_text(path), str(path))


def parse_scan(text: str, source: str = "") -> ScanRecipe:
    """Read the recipe of a scan from its text; see `read_scan`."""
    return parsed(text, source, lambda raw: structured(ScanRecipe, raw, (), "the recipe"))


def _items(entries: Any, root: KeyPath, dims: tuple[int, ...]) -> Iterator[Item]:
    for place, values in combinations(entries, root, _named):
        name, parameters, of = values.pop("domain")
        kernel = values.pop("kernel", "ntk")
        try:
            source = source_of(values)
        except NtkspecError as error:
            raise Fault(f"{place}: {error}", place.of(error)) from None
        if name != Torus.name and not dims:
            raise Fault(f"{place}: {name} needs dims; write dims = [3, 10]", place.path)
        at = Place(place.number, place.paths["domain"], of)
        for dim in dims if name != Torus.name else (0,):
            yield Item(source, kernel, _domain(name, dim, parameters, at))


def _domain(name: str, dim: int, parameters: dict[str, Any], place: Place) -> Domain:
    given = dict(parameters)
    try:
        if isinstance(given.get("density"), dict):
            given["density"] = named_density(**given["density"])
        return _torus(given) if name == Torus.name else named_domain(name, dim, **given)
    except NtkspecError as error:
        at = place.of(error)
        lists = {key: [value] for key, value in {**parameters, **_inner(parameters)}.items()}
        raise Fault(f"{place}: domain: {error}{about_lists(lists, at)}", at) from None


def _inner(parameters: dict[str, Any]) -> dict[str, Any]:
    density = parameters.get("density")
    return density if isinstance(density, dict) else {}


def _torus(given: dict[str, Any]) -> Torus:
    known = ("frequencies", "amplitudes")
    for key, value in given.items():
        if key not in known:
            raise NtkspecError(
                f"{key} = {shown(value)} is not a parameter of the domain 'torus'"
                + nearest(key, known)
            )
    if "frequencies" not in given:
        raise NtkspecError("domain = 'torus' is not allowed alone; give its frequencies")
    return Torus(**given)


def _named(given: Any, path: KeyPath, where: str) -> Iterator[tuple[Named, KeyPath]]:
    """The domains that a value of the key stands for."""
    if not isinstance(given, dict):
        if isinstance(given, str) and given.startswith(f"{Torus.name}("):
            raise Fault(
                f"{where}: domain = {shown(given)} is not allowed, since a torus has no text; "
                'write a table, such as {name = "torus", frequencies = [[1, 2, 4]]}',
                path,
            )
        yield (given, {}, {}), path
        return
    if given.get("name") not in NAMES and not isinstance(given.get("name"), list):
        raise Fault(
            f"{where}: domain = {shown(given.get('name', given))} is not allowed; use one of "
            f"{', '.join(NAMES)}{nearest(given.get('name'), NAMES)}",
            path,
        )
    for values, paths in products(_spread(given, path, where), path, f"{where}: domain", "domains"):
        of = dict(paths)
        if isinstance(density := values.get("density"), tuple):
            values["density"], inner = density
            of |= inner
        yield (values.pop("name"), values, of), path


def _spread(given: dict[str, Any], path: KeyPath, where: str) -> dict[str, Any]:
    """A domain's table with every density of a table of densities."""
    if "density" not in given:
        return given
    listed = given["density"] if isinstance(given["density"], list) else [given["density"]]
    found: list[Any] = []
    for i, one in enumerate(listed):
        at = (*path, "density", *((i,) if listed is given["density"] else ()))
        if not isinstance(one, dict):
            found.append(one)
            continue
        if "name" not in one:
            raise Fault(f"{where}: domain: density has no name", at)
        found += list(products(one, at, f"{where}: density", "densities"))
    return {**given, "density": found}
