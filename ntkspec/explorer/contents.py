"""The contents of a page: numbers of a table in one array of doubles, and a header."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain, last_degrees, named_domain
from ntkspec.errors import NtkspecError
from ntkspec.files.text import json_value
from ntkspec.laws import Law, law
from ntkspec.laws.reach import holds_within
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.trace import trace
from ntkspec.tables import Table, TableSlice
from ntkspec.zonal import ZonalKernel

__all__ = ["MOST_ENTRIES", "Contents", "encoded", "read_contents"]

#: Most eigenvalues in a page: this many take about 20 MB.
MOST_ENTRIES = 2_000_000
#: Smallest normal double.
SMALLEST = float(np.finfo(np.float64).tiny)
#: Parameters that distinguish networks, in the order in which a page asks for them.
PARAMETERS = (
    "activation", "slope", "power", "depth", "bias_variance", "bias", "weight_variance",
    "readout_variance", "readout_bias_variance", "normalize", "trained", "weights",
    "parameterization",
)  # fmt: skip

Selection = int | str | Iterable[int] | None


@dataclass(frozen=True)
class Contents:
    """The contents of a page.

    Attributes
    ----------
    header : dict
        JSON: ``source``; ``grids``, each with ``domain``, ``dims``, ``degrees``, how many of them
        each dimension has, and the place of its (D, K) multiplicities; ``networks``, each with its
        name, parameters, grid, place of its (D, K) eigenvalues, traces E K(x, x) (one, or one for
        each dimension), error bounds and laws.
    numbers : float64 array
        The arrays one after another, as `encoded`.

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     found = read_contents(table, networks=["tanh"], dims=[3, 10], degrees=range(5))
    >>> len(found.header["networks"])
    1
    """

    header: dict[str, Any]
    numbers: NDArray[np.float64]


def encoded(
    value: NDArray[np.float64], log: NDArray[np.float64], sign: float = 1.0
) -> NDArray[np.float64]:
    """Encode a number and its logarithm as one double, without loss.

    Examples
    --------
    >>> encoded(np.array([0.5, 0.0, 0.0]), np.array([-0.693, -np.inf, -788.25]))
    array([ 5.0000e-01,  0.0000e+00, -7.8825e+02])
    """
    outside = (value < SMALLEST) if sign > 0 else np.isinf(value)
    return np.where(outside & np.isfinite(log), sign * log, value)


def read_contents(
    table: Table,
    networks: Iterable[str] | None = None,
    dims: Selection = None,
    degrees: Selection = None,
) -> Contents:
    """Read from a table what a page shows.

    Parameters
    ----------
    table : Table
    networks : iterable of str, optional
        Names in the table; by default all.
    dims, degrees : int or iterable of int, optional
        By default all.

    Returns
    -------
    Contents

    Examples
    --------
    >>> import ntkspec
    >>> with ntkspec.atlas() as table:
    ...     found = read_contents(table, networks=["relu"], dims=3)
    >>> type(found).__name__
    'Contents'
    """
    names = list(table.networks) if networks is None else list(dict.fromkeys(networks))
    if not names:
        raise NtkspecError("the table has no networks to explore")
    dims, degrees = (
        list(one) if isinstance(one, Iterable) and not isinstance(one, str | range) else one
        for one in (dims, degrees)
    )
    selected = [part for name in names for part in table.parts(name, dims, degrees)]
    count = sum(part.dims.size * part.degrees.size for part in selected)
    if count > MOST_ENTRIES:
        raise NtkspecError(
            f"table = {str(table.path)!r} would put {count} eigenvalues into a page; the most "
            f"is {MOST_ENTRIES}; select networks, dims or degrees"
        )
    grids: list[dict[str, Any]] = []
    parts: list[NDArray[np.float64]] = []
    entries = []
    for part in (one.read() for one in selected):
        grid = _grid(part, grids, parts)
        entries.append({**_described(part), "grid": grid, "place": _add(_numbers(part), parts)})
    header = {"source": _source(table), "grids": grids, "networks": entries}
    return Contents(header, np.concatenate(parts))


def _add(array: NDArray[np.float64], parts: list[NDArray[np.float64]]) -> int:
    """Append an array; return its place among all numbers."""
    place = sum(part.size for part in parts)
    parts.append(array.ravel())
    return place


def _grid(
    part: TableSlice, grids: list[dict[str, Any]], parts: list[NDArray[np.float64]]
) -> int:  # fmt: skip
    """Return the index of the grid of a slice's dimensions and degrees; add it if it is new."""
    dims, degrees = part.dims.tolist(), part.degrees.tolist()
    for i, grid in enumerate(grids):
        if (grid["domain"], grid["dims"], grid["degrees"]) == (part.domain, dims, degrees):
            return i
    domains = [named_domain(part.domain, dim) for dim in dims]
    last = last_degrees(part.domain, part.dims)
    counts = np.searchsorted(part.degrees, last, "right").tolist()
    rows = np.zeros((len(dims), len(degrees)))
    for row, domain, count in zip(rows, domains, counts, strict=True):
        k = part.degrees[:count]
        row[:count] = encoded(domain.multiplicity(k), domain.log_multiplicity(k), sign=-1.0)
    grids.append(
        {
            "domain": part.domain, "dims": dims, "degrees": degrees, "counts": counts,
            "laplacian": [_has_laplacian(domain) for domain in domains],
            "place": _add(rows, parts),
        }
    )  # fmt: skip
    return len(grids) - 1


def _has_laplacian(domain: Domain) -> bool:
    """Whether the weight of the domain's Laplacian is defined by degree."""
    try:
        domain.laplacian(np.zeros(1, np.int64))
    except NtkspecError:
        return False
    return True


def _numbers(part: TableSlice) -> NDArray[np.float64]:
    if np.isinf(part.eigenvalues).any():
        raise NtkspecError(
            f"network = {part.name!r} has eigenvalues above the range of doubles, which a page "
            "cannot show; select other networks or dims"
        )
    return encoded(part.eigenvalues, part.log_eigenvalues)


def _described(part: TableSlice) -> dict[str, Any]:
    """A network and its kernel as the page's header describes them."""
    network = part.network
    short = "layers" not in network.parameters()
    parameters = {
        name: _plain(getattr(network, name, None)) if short else None for name in PARAMETERS
    }
    parameters |= {"kernel": part.kernel, "domain": part.domain}
    domains = [named_domain(part.domain, dim) for dim in part.dims.tolist()]
    return {
        "name": part.name,
        "parameters": parameters | {"activation": network.name},
        "traces": [
            _trace(network, domain, part.kernel)
            for domain in (domains[:1] if domains[0].unit else domains)
        ],
        "relative_error": part.relative_error.tolist(),
        "laws": [
            _law(network, domain, part.kernel, part.degrees, logs)
            for domain, logs in zip(domains, part.log_eigenvalues, strict=True)
        ],
    }


def _plain(value: Any) -> Any:
    """A parameter as a number, truth value or text."""
    if isinstance(value, (tuple, frozenset)):
        return ", ".join(str(one) for one in (value if isinstance(value, tuple) else sorted(value)))
    return value


def _trace(network: Network | ZonalKernel, domain: Domain, kernel: Kernel) -> dict[str, Any]:
    """E K(x, x), or why it is unknown."""
    try:
        if domain.unit and isinstance(network, Network):
            value = float(network.ntk(1.0) if kernel == "ntk" else network.nngp(1.0))
        else:
            value = trace(network, domain, kernel)[0]
    except NtkspecError as error:
        return {"unknown": str(error)}
    return {"value": value}


def _law(
    network: Network | ZonalKernel,
    domain: Domain,
    kernel: Kernel,
    degrees: NDArray[np.int64],
    logs: NDArray[np.float64],
) -> dict[str, Any]:
    """The law's parts, one for each parity or one for all degrees, or why there is no law."""
    try:
        found = law(network, domain, kernel=kernel)
    except NtkspecError as error:
        return {"unknown": str(error)}
    parts = [found] if found.other is None else [found, found.other]
    return {"kind": found.kind, "parts": [_law_part(x, degrees, logs) for x in parts]}


def _law_part(part: Law, degrees: NDArray[np.int64], logs: NDArray[np.float64]) -> dict[str, Any]:
    """A law's fields (null where not derived) and the degree from which it holds in the table."""
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    del values["kind"], values["other"], values["spectrum"]
    values["holds_from"] = holds_within(part, degrees, logs)
    return dict(json_value(values))


def _source(table: Table) -> dict[str, Any]:
    """The table's file name, its time and the version of the program that made it."""
    attributes = table.attributes
    program = json.loads(attributes["versions"])["ntkspec"]
    return {"file": table.path.name, "time": attributes["time"], "program": program}
