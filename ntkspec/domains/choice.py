"""The known domains, and how callers specify one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains.cube import Cube
from ntkspec.domains.domain import Domain
from ntkspec.domains.gaussian import Gaussian
from ntkspec.domains.sphere import DensitySphere, Sphere
from ntkspec.domains.torus import Torus
from ntkspec.errors import NtkspecError
from ntkspec.parameters import shown

__all__ = [
    "DOMAINS",
    "as_domain",
    "check_existing",
    "existing_degrees",
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
}


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
    if (isinstance(given, str) and given in DOMAINS) or isinstance(given, type):
        raise NtkspecError(
            f"domain = {shown(given)} is not allowed; give a dimension, which stands for the "
            "sphere, or a domain such as ntkspec.Cube(30)"
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
        raise NtkspecError(
            f"domain = {shown(domain)} and dim = {shown(dim)} are both given; give one of them"
        )
    return dim if domain is None else domain


def named_domain(name: str, dim: int, **parameters: Any) -> Domain:
    """Return a domain from its name and parameters, as given on the command line or in recipes.

    Raises
    ------
    NtkspecError
        When the name is unknown, or a parameter is not one of the domain's.

    Examples
    --------
    >>> named_domain("gaussian", 10, radial=2)
    Gaussian(dim=10, radial=2)
    """
    if not isinstance(name, str) or name not in DOMAINS:
        raise NtkspecError(
            f"domain = {shown(name)} is not allowed; use one of {', '.join(DOMAINS)}"
        )
    kind = DOMAINS[name]
    for key, value in parameters.items():
        if key not in kind.__dataclass_fields__:
            raise NtkspecError(f"{key} = {shown(value)} is not a parameter of the domain {name!r}")
    return kind(dim, **parameters)


def last_degrees(name: str, dims: NDArray[np.int64]) -> NDArray[np.float64]:
    """(D,) last degree of a named domain in each dimension, inf if there are infinitely many.

    Examples
    --------
    >>> last_degrees("cube", np.array([1, 2])), last_degrees("sphere", np.array([3]))
    (array([1., 2.]), array([inf]))
    """
    kind = DOMAINS[name]
    if kind(int(dims[0])).last_degree is None:
        return np.full(dims.size, np.inf)
    return np.array([kind(dim).last_degree for dim in dims.tolist()], np.float64)


def existing_degrees(
    name: str, dims: NDArray[np.int64], degrees: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(D, K) mask: whether a named domain of each dimension has each degree.

    Examples
    --------
    >>> existing_degrees("cube", np.array([1, 2]), np.arange(3))
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    return np.asarray(degrees <= last_degrees(name, dims)[:, None])


def check_existing(name: str, dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> None:
    """Raise unless a named domain has at least one of the degrees in every dimension.

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
            f"0 to {DOMAINS[name](dim).last_degree}: leave out the dimension or add lower degrees"
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
