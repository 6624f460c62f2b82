"""The known domains, and how callers specify one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains.ball import Ball
from ntkspec.domains.cube import Cube
from ntkspec.domains.domain import Domain, WithoutDegrees
from ntkspec.domains.gaussian import Gaussian
from ntkspec.domains.sphere import DensitySphere, Sphere
from ntkspec.domains.torus import Torus
from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_whole, nearest, read_literal_call, shown

__all__ = [
    "DOMAINS",
    "Family",
    "as_domain",
    "check_existing",
    "domain_text",
    "existing_degrees",
    "family",
    "last_degrees",
    "named_domain",
    "one_given",
    "refuse_density",
]


#: Every domain, one line each; the names are those of the command line and of recipes.
DOMAINS: dict[str, type[Domain]] = {
    "sphere": Sphere,
    "cube": Cube,
    "gaussian": Gaussian,
    "ball": Ball,
}
#: Longest text of a family, which is part of the names in a table.
MOST_TEXT = 1000


def as_domain(domain: Domain | int | None = None, dim: int | None = None) -> Domain:
    """Return a domain; an integer stands for `Sphere`, nothing for `Sphere(3)`.

    Raises
    ------
    NtkspecError
        When both are given, or neither a domain nor a dimension, and for a `Torus`, which has no
        degrees.

    Examples
    --------
    >>> as_domain(5), as_domain(dim=5), as_domain(Cube(30)), as_domain()
    (Sphere(dim=5), Sphere(dim=5), Cube(dim=30), Sphere(dim=3))
    """
    given = one_given(domain, dim)
    if isinstance(given, Torus):
        raise NtkspecError(
            f"domain = {shown(given)} is not allowed here, where eigenvalues go by degree; on the "
            "torus they go by frequency: ntkspec.spectrum(network, torus, size) and "
            "ntkspec.predict.choose_features take it"
        )
    if isinstance(given, Domain):
        return given
    named = isinstance(given, str) and given.partition("(")[0].strip().isidentifier()
    if named or isinstance(given, type):
        raise NtkspecError(
            f"domain = {shown(given)} is not allowed; give a dimension, which stands for the "
            f"sphere, or a domain such as {_written(given, 30)}"
        )
    return Sphere(3 if given is None else given)


def one_given(domain: Any, dim: Any) -> Any:
    """Return `domain` or `dim`, whichever is given, or None.

    Raises
    ------
    NtkspecError
        When both are given.

    Examples
    --------
    >>> one_given(None, 5), one_given(Cube(30), None), one_given(None, None)
    (5, Cube(dim=30), None)
    """
    if domain is not None and dim is not None:
        way = "give one of them"
        if isinstance(domain, (str, type)):
            way = f"give the domain with its dimension, such as {_written(domain, dim)}"
        raise NtkspecError(f"domain = {shown(domain)} and dim = {shown(dim)} are both given; {way}")
    return dim if domain is None else domain


def _written(given: Any, dim: Any) -> str:
    """How the domain is written that was given by its name or type, with these dimensions."""
    named: Any = given.strip().lower() if isinstance(given, str) else given
    if named in (Torus, Torus.name):
        return "ntkspec.Torus([[1], [2], [4]]), by its frequencies"
    kind = DOMAINS.get(named, Cube) if isinstance(named, str) else named
    name = (kind if kind in DOMAINS.values() else Cube).__name__
    if isinstance(dim, Iterable) and not isinstance(dim, (str, bytes)):
        return f"[ntkspec.{name}(d) for d in {shown(dim)}]"
    whole = as_whole(dim)
    return f"ntkspec.{name}({30 if whole is None else whole})"


def named_domain(name: str, dim: int, **parameters: Any) -> Domain:
    """Return a domain from its name and parameters, as given on the command line or in recipes.

    The name may be a call with parameters, as `family` reads it.

    Raises
    ------
    NtkspecError
        When the name is unknown, or a parameter is not one of the domain's.

    Examples
    --------
    >>> named_domain("gaussian", 10, radial=2)
    Gaussian(dim=10, radial=2)
    >>> named_domain("ball(radius=2)", 3, radial=4)
    Ball(dim=3, radii='uniform', weights=None, radius=2.0, radial=4)
    """
    known, given = _read(name)
    return _made(known, dim, {**given, **parameters})


@dataclass(frozen=True)
class Family:
    """The domains of a kind and its parameters, in all dimensions, with one eigenvalue a degree.

    Where a degree has several it is the largest.  `str` returns the text that `family` reads.

    Parameters
    ----------
    name : str
        A name of `DOMAINS`.
    parameters : tuple of (str, value)
        Those that are not the defaults, as text has them.

    Examples
    --------
    >>> ball = Family.of("ball", {"radius": 2})
    >>> str(ball), ball(10).radius
    ('ball(radius=2.0)', 2.0)
    """

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, parameters: Mapping[str, Any]) -> Family:
        """Check a name and parameters, which may be the defaults.

        Raises
        ------
        NtkspecError
            For an unknown name, parameters that are not allowed, and domains without degrees.

        Examples
        --------
        >>> Family.of("ball", {"radius": 1.0, "radii": "gaussian"})
        Family(name='ball', parameters=(('radii', 'gaussian'),))
        """
        kind = _kind(name)
        if not parameters:
            return cls(name)
        if "radial" in parameters and "radial" in kind.__dataclass_fields__:
            raise NtkspecError(
                "radial is not allowed here, where a degree has its largest eigenvalue only: for "
                f"more use ntkspec.spectrum(network, ntkspec.{kind.__name__}(dim, radial=2))"
            )
        dim = max(kind.least_dim, 2)
        domain = _made(name, dim, parameters)
        if isinstance(domain, WithoutDegrees):
            raise NtkspecError(
                f"{', '.join(parameters)} is not allowed here, where eigenvalues go by degree, and "
                f"{domain.place.strip()} they have none: ntkspec.scan takes such domains"
            )
        known = {
            key: _literal(parameters[key], getattr(domain, key))
            for key in kind.__dataclass_fields__
            if key in parameters
        }
        for key in list(known):
            others = {one: value for one, value in known.items() if one != key}
            if _equals(domain, name, others):
                known = others
        found = cls(name, tuple(known.items()))
        if len(str(found)) > MOST_TEXT:
            raise NtkspecError(
                f"{', '.join(known)} would make a name of {len(str(found))} characters; at most "
                f"{MOST_TEXT} are allowed in a table: give fewer numbers, or shorter ones"
            )
        return found

    @classmethod
    def containing(cls, domain: Domain) -> Family:
        """The family of a domain, of which `radial` is no parameter.

        Examples
        --------
        >>> str(Family.containing(Ball(3, "gaussian", radius=0.5, radial=2)))
        "ball(radii='gaussian',radius=0.5)"
        """
        given = {one.name: getattr(domain, one.name) for one in fields(domain)}
        return cls.of(
            domain.name,
            {
                key: value
                for key, value in given.items()
                if key not in ("dim", "radial") and value is not None
            },
        )

    @property
    def kind(self) -> type[Domain]:
        """The class of the domains."""
        return DOMAINS[self.name]

    def __call__(self, dim: int) -> Domain:
        """Return the domain of a dimension."""
        return self.kind(dim, **dict(self.parameters))

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({','.join(f'{key}={_text(value)}' for key, value in self.parameters)})"


def family(text: Any) -> Family:
    """Read a family of domains: a name, or a call with parameters by name.

    Raises
    ------
    NtkspecError
        For an unknown name, parameters that are not allowed, and domains without degrees.

    Examples
    --------
    >>> family("cube")
    Family(name='cube', parameters=())
    >>> str(family("ball(radii=[1, 2], weights=[0.25, 0.75], radius=1)"))
    'ball(radii=[1.0,2.0],weights=[0.25,0.75])'
    """
    return Family.of(*_read(text))


def domain_text(domain: Domain) -> str:
    """The name of a domain, with its parameters but the dimension and `radial`.

    Examples
    --------
    >>> domain_text(Ball(3, radius=2.0, radial=2)), domain_text(Cube(3))
    ('ball(radius=2.0)', 'cube')
    """
    known = DOMAINS.get(domain.name) is type(domain)
    return str(Family.containing(domain)) if known else domain.name


def _read(text: Any) -> tuple[str, dict[str, Any]]:
    """A name and its parameters."""
    if isinstance(text, str) and text in DOMAINS:
        return text, {}
    try:
        if not isinstance(text, str):
            raise ValueError
        name, given, parameters = read_literal_call(text)
    except ValueError:
        raise _unknown(text) from None
    if given:
        raise NtkspecError(
            f"domain = {shown(text)} is not allowed; give parameters by name, as in "
            "ball(radius=2.0)"
        )
    _kind(name)
    return name, parameters


def _kind(name: Any) -> type[Domain]:
    if not isinstance(name, str) or name not in DOMAINS:
        raise _unknown(name)
    return DOMAINS[name]


def _unknown(given: Any) -> NtkspecError:
    name = str(given).partition("(")[0]
    hint = nearest(name, DOMAINS) if isinstance(given, str) else ""
    if name == Torus.name:
        hint = ", or ntkspec.Torus for ntkspec.spectrum, and ntkspec.scan"
    return NtkspecError(
        f"domain = {shown(given)} is not allowed; use one of {', '.join(DOMAINS)}{hint}"
    )


def _made(name: str, dim: int, parameters: Mapping[str, Any]) -> Domain:
    kind = _kind(name)
    known = [key for key in kind.__dataclass_fields__ if key != "dim"]
    for key, value in parameters.items():
        if key not in known:
            raise NtkspecError(
                f"{key} = {shown(value)} is not a parameter of the domain {name!r}"
                + nearest(key, known)
            )
    return kind(dim, **parameters)


def _equals(domain: Domain, name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether other parameters make the same domain."""
    try:
        return _made(name, domain.dim, parameters) == domain
    except NtkspecError:
        return False


def _literal(given: Any, kept: Any) -> Any:
    """A parameter as Python's literals have it: a text, a number, or a tuple of numbers."""
    if isinstance(given, str):
        return given
    if isinstance(kept, tuple):
        return tuple(np.atleast_1d(np.asarray(given, np.float64)).tolist())
    return kept


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{','.join(map(repr, value))}]"
    return repr(value)


def last_degrees(name: str, dims: NDArray[np.int64]) -> NDArray[np.float64]:
    """(D,) last degree of a family in each dimension, inf if there are infinitely many.

    Examples
    --------
    >>> last_degrees("cube", np.array([1, 2])), last_degrees("sphere", np.array([3]))
    (array([1., 2.]), array([inf]))
    """
    make = family(name)
    if make(int(dims[0])).last_degree is None:
        return np.full(dims.size, np.inf)
    return np.array([make(dim).last_degree for dim in dims.tolist()], np.float64)


def existing_degrees(
    name: str, dims: NDArray[np.int64], degrees: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(D, K) mask: whether a family has each degree in each dimension.

    Examples
    --------
    >>> existing_degrees("cube", np.array([1, 2]), np.arange(3))
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    return np.asarray(degrees <= last_degrees(name, dims)[:, None])


def check_existing(name: str, dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> None:
    """Raise unless a family has at least one of the degrees in every dimension.

    Raises
    ------
    NtkspecError
        When a dimension has none of them.

    Examples
    --------
    >>> check_existing("cube", np.array([2, 9]), np.array([1, 5]))
    """
    empty = dims[last_degrees(name, dims) < degrees.min()]
    if empty.size:
        dim = int(empty[0])
        raise NtkspecError(
            f"dims: dim = {dim} has none of the degrees; the {name} of dimension {dim} has degrees "
            f"0 to {family(name)(dim).last_degree}: leave out the dimension or add lower degrees"
        )


def refuse_density(what: str, *given: Any) -> None:
    """Raise where a spectrum or a domain with a density is given to what works by degree.

    Raises
    ------
    NtkspecError
        With what to use instead.

    Examples
    --------
    >>> refuse_density("law", 3)
    """
    for one in given:
        sphere = getattr(one, "domain", one)
        if isinstance(sphere, DensitySphere):
            raise NtkspecError(
                f"{what} does not take a density, {sphere}: it works by degree, and these "
                f"eigenvalues have none; use the eigenvalues of ntkspec.spectrum(network, sphere, "
                f"count=100), or ntkspec.Sphere({sphere.dim}) without a density"
            )
