"""Zonal kernels by their names: "laplace(2.0)", or "package.module:kernel"."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, replace
from typing import Any

from ntkspec.errors import NtkspecError
from ntkspec.parameters import read_literal_call, shown
from ntkspec.zonal.kernel import ZonalKernel
from ntkspec.zonal.library import BUILT_IN

__all__ = ["stored_kernel", "zonal_kernel"]


def zonal_kernel(zonal: str | ZonalKernel) -> ZonalKernel:
    """Return the kernel of a name.

    Parameters
    ----------
    zonal : str or ZonalKernel
        The call of a built-in kernel, ``"laplace(2)"`` or ``"matern(nu=1.5, length=0.3)"``, or
        ``"package.module:kernel"`` for a `ZonalKernel` that a module has under this name; the
        module is imported, and the kernel bears this name.

    Returns
    -------
    ZonalKernel

    Raises
    ------
    NtkspecError
        When there is no such kernel, or the module cannot be imported.

    Examples
    --------
    >>> zonal_kernel("matern(1.5, length=0.3)")
    matern(1.5, 0.3)
    """
    if isinstance(zonal, ZonalKernel):
        return zonal
    if not isinstance(zonal, str):
        raise NtkspecError(f"zonal = {shown(zonal)} is not allowed; {_WAYS}")
    return _imported(zonal) if ":" in zonal else _built_in(zonal)


def stored_kernel(zonal: str) -> ZonalKernel:
    """Return the kernel of a name that a table has; a module is not imported before it is used.

    Reading a table never imports a module: its kernel can be compared and named, and is computed
    only after the user has imported that module.
    """
    if isinstance(zonal, str) and ":" in zonal:
        if zonal.partition(":")[0] in sys.modules:
            return _imported(zonal)
        return ZonalKernel(NotImported(zonal), arithmetic="flint", name=zonal)
    return zonal_kernel(zonal)


@dataclass(frozen=True)
class NotImported:
    """The function of a kernel whose module is not imported."""

    name: str

    def __call__(self, t: Any) -> Any:
        """Refuse."""
        module = self.name.partition(":")[0]
        raise NtkspecError(
            f"{self.name} is a kernel of a module that is not imported, and a table's kernel is "
            f"never imported by itself; import {module} first"
        )


_WAYS = (
    f"use one of {', '.join(BUILT_IN)} with its parameters, as in 'laplace(2.0)', or "
    "'package.module:kernel'"
)


def _built_in(name: str) -> ZonalKernel:
    try:
        called, arguments, options = read_literal_call(name)
        make = BUILT_IN[called]
    except (ValueError, KeyError):
        raise NtkspecError(f"zonal = {shown(name)} is not allowed; {_WAYS}") from None
    try:
        return make(*arguments, **options)  # type: ignore[no-any-return]
    except TypeError as error:
        raise NtkspecError(f"zonal = {shown(name)} is not allowed: {error}") from None


def _imported(name: str) -> ZonalKernel:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the module raises
        raise NtkspecError(
            f"zonal = {shown(name)} cannot be imported ({type(error).__name__}: {error}); {_WAYS}"
        ) from None
    if not isinstance(found, ZonalKernel):
        raise NtkspecError(
            f"zonal = {shown(name)} is {shown(found)}; it must be a ZonalKernel, for example "
            "kernel = ZonalKernel(function, arithmetic='flint')"
        )
    return replace(found, name=name)
