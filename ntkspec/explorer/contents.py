"""The contents of a page: numbers of a table in one array of doubles, and a header."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain, Sphere, Torus, last_degrees, named_domain
from ntkspec.errors import NtkspecError
from ntkspec.files.text import json_value
from ntkspec.laws import Law, law
from ntkspec.laws.reach import holds_within
from ntkspec.networks import Kernel, Network
from ntkspec.operators import Operator
from ntkspec.predict.smoothness import check_valid
from ntkspec.spectra import spectrum
from ntkspec.spectra.torus.result import TorusSpectrum
from ntkspec.spectra.trace import trace
from ntkspec.tables import Table, TableSlice
from ntkspec.zonal import ZonalKernel

__all__ = ["MOST_ENTRIES", "Contents", "encoded", "read_contents"]

#: Most eigenvalues in a page: this many take about 20 MB.
MOST_ENTRIES = 2_000_000
#: Smallest normal double.
SMALLEST = float(np.finfo(np.float64).tiny)
#: Largest frequency of a spectrum on the torus, if the table has no smaller degrees.
MOST_FREQUENCY = 128
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
        each dimension), error bounds, laws, and ``residual``: why a residual of second order has no
        learning times, or None if it has.
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
    tori: Iterable[Torus] = (),
) -> Contents:
    """Read from a table what a page shows.

    Parameters
    ----------
    table : Table
    networks : iterable of str, optional
        Names in the table; by default all.
    dims, degrees : int or iterable of int, optional
        By default all.  Of networks that have only some of them, those are taken.
    tori : iterable of Torus, optional
        Tori of one dimension, on which the spectra of the networks on the sphere are computed too.

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
    have = {name: (table.dims(name).tolist(), table.degrees(name).tolist()) for name in names}
    every = [{one for mine in have.values() for one in mine[n]} for n in range(2)]
    selected = [
        part
        for name, (mine, its) in have.items()
        for part in table.parts(
            name, _of_one(dims, mine, every[0]), _of_one(degrees, its, every[1])
        )
    ]
    on_sphere = [part for part in selected if part.key.domain == Sphere.name]
    on_tori = [(part, torus) for torus in tori for part in on_sphere]
    size = min([MOST_FREQUENCY, *(int(part.degrees[-1]) for part in on_sphere)])
    count = sum(part.dims.size * part.degrees.size for part in selected)
    count += len(on_tori) * (size + 1)
    if count > MOST_ENTRIES:
        raise NtkspecError(
            f"table = {str(table.path)!r} would put {count} eigenvalues into a page; the most "
            f"is {MOST_ENTRIES}; select networks, dims or degrees"
        )
    grids: list[dict[str, Any]] = []
    parts: list[NDArray[np.float64]] = []
    entries = []
    for part in (chosen.read() for chosen in selected):
        grid = _grid(part, grids, parts)
        entries.append({**_described(part), "grid": grid, "place": _add(_numbers(part), parts)})
    for one, torus in on_tori:
        network, kernel, _ = one.key
        found = spectrum(network, torus, size, kernel=kernel)
        grid = _torus_grid(found, grids, parts)
        numbers = encoded(found.eigenvalues, found.log_eigenvalues)
        described = _described_on_torus(one.name, found)
        entries.append({**described, "grid": grid, "place": _add(numbers, parts)})
    header = {"source": _source(table), "grids": grids, "networks": entries}
    return Contents(header, np.concatenate(parts))


def _of_one(wanted: Selection, mine: list[int], every: set[int]) -> Selection:
    """Those of the wanted dimensions or degrees that a network has, if each is one of some network.

    Others remain as they are, and are refused when they are selected.
    """
    if not isinstance(wanted, list | range):
        return wanted
    few = wanted[: len(every) + 1]  # of a range that may be endless
    if not (all(isinstance(one, int | np.integer) for one in few) and every.issuperset(few)):
        return wanted
    return [one for one in few if one in set(mine)] or wanted


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


def _torus_grid(
    found: TorusSpectrum, grids: list[dict[str, Any]], parts: list[NDArray[np.float64]]
) -> int:
    """Return the index of the grid of a spectrum on the torus; add it if it is new."""
    name, degrees = _torus_name(found.domain), found.frequencies.ravel().tolist()
    for i, grid in enumerate(grids):
        if (grid["domain"], grid["degrees"]) == (name, degrees):
            return i
    grids.append(
        {
            "domain": name, "dims": [1], "degrees": degrees, "counts": [len(degrees)],
            "laplacian": [True], "place": _add(found.multiplicities, parts),
        }
    )  # fmt: skip
    return len(grids) - 1


def _torus_name(torus: Torus) -> str:
    """The features of a torus of one dimension."""
    amplitudes = set(torus.amplitudes)
    name = f"torus, features {', '.join(str(b) for (b,) in torus.frequencies)}"
    if len(amplitudes) == 1:
        return name
    return f"{name} of amplitudes {', '.join(f'{a:g}' for a in torus.amplitudes)}"


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


def _parameters(network: Network | ZonalKernel, kernel: Kernel, domain: str) -> dict[str, Any]:
    short = "layers" not in network.parameters()
    parameters = {
        name: _plain(getattr(network, name, None)) if short else None for name in PARAMETERS
    }
    return parameters | {"kernel": kernel, "domain": domain, "activation": network.name}


def _residual(network: Network | ZonalKernel, kernel: Kernel, domain: str) -> str | None:
    """Why the residual of an operator of second order has no learning times; None if it has."""
    if domain not in (Sphere.name, Torus.name):
        return "operators are diagonal on the sphere and the torus only"
    try:
        check_valid(network, kernel, Operator())
    except NtkspecError:
        return "the activation is not smooth enough, so its kernel is infinite"
    return None


def _described_on_torus(name: str, found: TorusSpectrum) -> dict[str, Any]:
    """A spectrum on the torus as the page's header describes it."""
    torus = _torus_name(found.domain)
    return {
        "name": f"{name} on the {torus}",
        "parameters": _parameters(found.network, found.kernel, torus),
        "traces": [_trace(found.network, Sphere(2), found.kernel)],  # the inputs are unit vectors
        "relative_error": [float(found.relative_error.max())],
        "laws": [{"unknown": "none is derived on the torus"}],
        "residual": _residual(found.network, found.kernel, Torus.name),
    }


def _described(part: TableSlice) -> dict[str, Any]:
    """A network and its kernel as the page's header describes them."""
    network = part.network
    domains = [named_domain(part.domain, dim) for dim in part.dims.tolist()]
    return {
        "name": part.name,
        "parameters": _parameters(network, part.kernel, part.domain),
        "residual": _residual(network, part.kernel, part.domain),
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
        return {"value": trace(network, domain, kernel)[0]}
    except NtkspecError as error:
        return {"unknown": str(error)}


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
