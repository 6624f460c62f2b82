"""Eigenvalues on the torus, by frequency, as predictions take them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import check_degrees
from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import lacking, shown, whole_number
from ntkspec.predict.by_degree import Array
from ntkspec.spectra import spectrum
from ntkspec.spectra.route import as_source
from ntkspec.spectra.torus.result import TorusSpectrum
from ntkspec.zonal import ZonalKernel

__all__ = [
    "FrequencyModes", "check_frequencies", "first_coordinates", "frequency_modes",
    "frequency_weights", "pairs", "torus_of",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class FrequencyModes:
    """Known eigenvalues of frequencies on a torus.

    Attributes
    ----------
    spectrum : TorusSpectrum
        The spectrum they are taken from.
    index : (K,) or (K, dim) int64 array
        The frequencies, one of m and -m; one axis in one dimension.
    log_eigenvalues, log_multiplicities : (K,) float64 arrays
    """

    spectrum: TorusSpectrum
    index: NDArray[np.int64]
    log_eigenvalues: Array
    log_multiplicities: Array


def torus_of(source: Any, domain: Any) -> Torus | None:
    """The torus of a prediction, that of its source or the domain; None elsewhere."""
    for one in (getattr(source, "domain", None), domain):
        if isinstance(one, Torus):
            return one
    return None


def check_frequencies(torus: Torus | None, degrees: Any, size: Any) -> None:
    """Refuse degrees and size that do not say which frequencies, or size elsewhere.

    Raises
    ------
    NtkspecError
        For them.
    """
    if torus is None and size is not None:
        raise NtkspecError(
            f"size = {shown(size)} is not allowed; it is that of the frequencies of a torus, and "
            "elsewhere there are degrees"
        )
    if torus is None or degrees is None:
        return
    if torus.dim > 1:
        raise NtkspecError(
            f"degrees = {shown(degrees)} is not allowed on a torus of dimension {torus.dim}; give "
            "size, for all frequencies up to it"
        )
    if size is not None:
        raise NtkspecError(f"degrees and size = {shown(size)} are both given; give one of them")


def pairs(found: TorusSpectrum) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """One of m and -m: places in the flat spectrum, frequencies (K, dim) and multiplicities.

    Examples
    --------
    >>> pairs(spectrum("erf", Torus.plain(2), 1))[1].tolist()
    [[0, 0], [0, 1], [1, -1], [1, 0], [1, 1]]
    """
    vectors = found.frequencies.reshape(-1, found.dim)
    at = np.flatnonzero(first_coordinates(vectors) >= 0)
    return at, vectors[at], np.where(np.any(vectors[at] != 0, axis=1), 2.0, 1.0)


def first_coordinates(vectors: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first coordinate of each vector (K, dim) that is not 0.

    Examples
    --------
    >>> first_coordinates(np.array([[0, -2], [1, 3], [0, 0]]))
    array([-2,  1,  0])
    """
    return np.asarray(vectors[np.arange(len(vectors)), np.argmax(vectors != 0, axis=1)])


@lacking("tolerance")
def frequency_modes(
    source: Any, torus: Torus, given: Any, degrees: Iterable[int] | None, size: int | None,
    kernel: Kernel, default: int, beside: bool = False,
) -> FrequencyModes:  # fmt: skip
    """Gather the eigenvalues of a network, a zonal kernel or a spectrum on a torus.

    Without degrees and size a spectrum has all of its frequencies, and a network those up to
    `default`.  With `beside` all up to the largest of the degrees.

    Raises
    ------
    NtkspecError
        For what is not allowed, and where an eigenvalue is not known.

    Examples
    --------
    >>> found = frequency_modes("erf", Torus([[1]]), None, [1, 3], None, "ntk", 12)
    >>> found.index, found.log_eigenvalues.round(3)
    (array([1, 3]), array([-1.338, -3.92 ]))
    """
    wanted = None if degrees is None else check_degrees(degrees)
    check_frequencies(torus, wanted, size)
    most = size if wanted is None else int(wanted.max())
    if isinstance(source, TorusSpectrum):
        if given is not None and given != source.domain:
            raise NtkspecError(
                f"domain = {given!r} is not allowed; what is given is {source.domain}"
            )
        if kernel not in ("ntk", source.kernel):
            raise NtkspecError(
                f"kernel = {shown(kernel)} is not allowed; what is given has kernel = "
                f"{source.kernel!r}"
            )
        found = source
        last = found.size if most is None else whole_number(most, "size", 0, 2**62)
        if last > found.size:
            raise NtkspecError(
                f"{'size' if wanted is None else 'degrees'}: {last} is not among the frequencies "
                f"of the spectrum, up to {found.size}"
            )
    elif isinstance(source, (Network, ZonalKernel, str)):
        found = spectrum(as_source(source), torus, default if most is None else most, kernel=kernel)
        last = found.size
    else:
        raise NtkspecError(
            f"source = {shown(source)} is not allowed on the torus; give a network, a zonal "
            "kernel, or a spectrum on it"
        )
    places, vectors, counts = pairs(found)
    inside = np.flatnonzero(np.abs(vectors).max(axis=1) <= last)
    at = inside if wanted is None or beside else wanted
    index, logs = vectors[at], found.log_eigenvalues.ravel()[places[at]]
    if np.isnan(logs).any():
        raise NtkspecError(
            f"frequency {index[np.isnan(logs)][0]}: its eigenvalue is not known, at most "
            f"{found.floor:.3g}; give a smaller size, or degrees without it"
        )
    return FrequencyModes(
        found, index[:, 0] if torus.dim == 1 else index, logs,
        np.log(counts[at]),
    )  # fmt: skip


def frequency_weights(index: NDArray[np.int64], s: float, weight: str) -> Array:
    """(K,) ln mu of H^s of frequencies: (1 + abs(m))^(2s) for "power", or (1 + abs(m)^2)^s.

    Examples
    --------
    >>> np.exp(frequency_weights(np.array([[3, 4]]), 1.0, "power")).round(6)
    array([36.])
    """
    squares = np.sum(index.reshape(len(index), -1).astype(np.float64) ** 2, axis=1)
    if weight == "power":
        return np.asarray(2.0 * s * np.log1p(np.sqrt(squares)))
    return np.asarray(s * np.log1p(squares))
