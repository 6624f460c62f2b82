"""The known domains, and how callers specify one."""

from __future__ import annotations

from typing import Any

from ntkspec.domains.cube import Cube
from ntkspec.domains.domain import Domain
from ntkspec.domains.gaussian import Gaussian
from ntkspec.domains.sphere import Sphere
from ntkspec.errors import NtkspecError
from ntkspec.parameters import shown

__all__ = ["DOMAINS", "as_domain", "named_domain", "one_given"]


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
        When both are given, or neither a domain nor a dimension.

    Examples
    --------
    >>> as_domain(5), as_domain(dim=5), as_domain(Cube(30)), as_domain()
    (Sphere(dim=5), Sphere(dim=5), Cube(dim=30), Sphere(dim=3))
    """
    given = one_given(domain, dim)
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
