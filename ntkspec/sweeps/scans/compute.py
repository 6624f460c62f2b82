"""Scans: spectra on several domains, each with the options that its kind takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from ntkspec.conventions import check_degrees
from ntkspec.domains import DensitySphere, Domain, Torus, as_domain, density_parameters
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import shown
from ntkspec.spectra.route import Source, as_source
from ntkspec.spectra.spectrum import spectrum
from ntkspec.sweeps.scans.result import Scan, joined
from ntkspec.tables.layout import GroupKey
from ntkspec.zonal import ZonalKernel

__all__ = ["Item", "Options", "Part", "check_options", "part_of", "scan"]

#: Most spectra of a scan.
MOST = 10_000


@dataclass(frozen=True)
class Options:
    """Options of `ntkspec.spectrum`, each for domains of some kinds; None for the default."""

    degrees: tuple[int, ...] | None = None
    count: int | None = None
    max_degree: int | None = None
    size: int | None = None
    tolerance: float | None = None

    def of(self, domain: Domain) -> dict[str, Any]:
        """Those that a domain takes; degrees that it does not have are left out."""
        every = {name: value for name, value in asdict(self).items() if name in _taken(domain)}
        last = domain.last_degree if every.get("degrees") is not None else None
        if last is not None:
            degrees = [k for k in every["degrees"] if k <= last]
            every["degrees"] = degrees or every["degrees"]  # refused with all that are wanted
        return every


class Item(NamedTuple):
    """A spectrum of a scan."""

    source: Source
    kernel: Kernel
    domain: Domain

    def about(self) -> dict[str, Any]:
        """The network, kernel and domain, with its parameters, by the names of columns."""
        source = self.source
        return {
            "network": GroupKey(source).name,
            "kernel": self.kernel,
            "domain": "sphere" if isinstance(self.domain, DensitySphere) else self.domain.name,
            "dim": self.domain.dim,
            **{name: _plain(value) for name, value in _parameters(self.domain).items()},
        }


#: What a spectrum is about, and its columns as lists.
Part = tuple[dict[str, Any], dict[str, list[Any]]]


def scan(
    networks: Source | str | Iterable[Source | str],
    domains: Iterable[Domain | int],
    degrees: int | str | Iterable[int] | None = None,
    *,
    kernel: Kernel = "ntk",
    count: int | None = None,
    max_degree: int | None = None,
    size: int | None = None,
    tolerance: float | None = None,
    client: Any = None,
) -> Scan:
    """Compute spectra on several domains of any kind, as one table with a row per eigenvalue.

    Parameters
    ----------
    networks : Network, ZonalKernel, str, or several
    domains : iterable of Domain or int
        An integer stands for `Sphere`.
    degrees : int, str or iterable of int, optional
        For domains with degrees; those that one does not have are left out there.
    kernel : {"ntk", "nngp"}
    count, max_degree : int, optional
        For spheres with a density, as for `ntkspec.spectrum`.
    size : int, optional
        For the torus.
    tolerance : float, optional
        Largest relative error accepted.
    client : distributed.Client, optional
        Computes the spectra on the workers of a dask cluster; by default in this process.

    Returns
    -------
    Scan

    Raises
    ------
    NtkspecError
        For parameters that are not allowed, and when a spectrum cannot be computed; the message
        names its network and domain.

    Notes
    -----
    ``ntkspec.predict.choose_features`` compares Fourier features by how fast they learn a band.

    Examples
    --------
    >>> import ntkspec
    >>> spheres = [
    ...     ntkspec.Sphere(3, density=ntkspec.VonMises(kappa)) for kappa in (0.5, 2.0, 8.0)
    ... ]
    >>> scan("erf", spheres, count=2)
    Scan of 3 spectra: 6 eigenvalues
    concentration  rank  azimuthal  eigenvalue
              0.5     0          0    0.172186
              0.5     1          1    0.164039
                2     0          0    0.232531
                2     1          1    0.135367
                8     0          0    0.406409
                8     1          1   0.0662638
    """
    if isinstance(networks, (str, Network, ZonalKernel)):
        networks = [networks]
    if not isinstance(domains, Iterable) or isinstance(domains, str):
        raise NtkspecError(
            f"domains = {shown(domains)} is not allowed; give a list of domains, such as "
            "[ntkspec.Sphere(3), ntkspec.Cube(10)]"
        )
    places = [one if isinstance(one, Torus | DensitySphere) else as_domain(one) for one in domains]
    items = list(
        dict.fromkeys(Item(as_source(one), kernel, place) for one in networks for place in places)
    )
    wanted = None if degrees is None else tuple(check_degrees(degrees).tolist())
    options = Options(wanted, count, max_degree, size, tolerance)
    check_items(items)
    check_options(options, places)
    if client is None:
        return joined(part_of(item, options) for item in items)
    futures = [client.submit(part_of, item, options, pure=False) for item in items]
    return joined(client.gather(futures))


def check_items(items: Sequence[Item]) -> None:
    """Refuse a scan of no spectra, and of too many."""
    if not 1 <= len(items) <= MOST:
        raise NtkspecError(
            f"the scan would be of {len(items)} spectra; give networks and domains that make 1 to "
            f"{MOST}"
        )


def check_options(options: Options, domains: Iterable[Domain]) -> None:
    """Refuse options that no domain takes."""
    taken = {name for domain in domains for name in _taken(domain)}
    for name, value in asdict(options).items():
        if value is not None and name not in taken:
            kind = {"degrees": "has degrees", "size": "is a torus"}.get(name, "has a density")
            raise NtkspecError(f"{name} is given, and no domain {kind}; leave it out")


def part_of(item: Item, options: Options) -> Part:
    """Compute a spectrum; raise NtkspecError with its network and domain."""
    source, kernel, domain = item
    about = item.about()
    try:
        found = spectrum(source, domain, kernel=kernel, **options.of(domain))
    except NtkspecError as error:
        given = {name: _plain(value) for name, value in _parameters(domain).items()}
        text = "".join(f", {name} = {x}" for name, x in given.items() if x is not None)
        raise NtkspecError(f"{about['network']} {domain}{text}: {error}") from None
    return about, {name: column.tolist() for name, column in found.columns().items()}


def _taken(domain: Domain) -> tuple[str, ...]:
    if isinstance(domain, DensitySphere):
        return "count", "max_degree", "tolerance"
    return ("size" if isinstance(domain, Torus) else "degrees"), "tolerance"


def _parameters(domain: Domain) -> Mapping[str, Any]:
    if isinstance(domain, DensitySphere):
        return density_parameters(domain.density)
    given = {one.name: getattr(domain, one.name) for one in fields(domain)}
    return {name: value for name, value in given.items() if name not in ("dim", "radial")}


def _plain(value: Any) -> Any:
    """A number, a text, or None; lists as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return str(list(map(list, value)) if isinstance(value[0], tuple) else list(value))
