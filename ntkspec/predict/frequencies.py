"""Eigenvalues on the torus, by frequency, as predictions take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DEGREE, check_degrees
from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import as_number, as_whole, lacking, numbers, shown, whole_number
from ntkspec.predict.by_degree import Array
from ntkspec.predict.targets import TargetPower
from ntkspec.spectra import spectrum
from ntkspec.spectra.route import as_source
from ntkspec.spectra.torus.result import TorusSpectrum
from ntkspec.zonal import ZonalKernel

__all__ = [
    "FrequencyModes", "check_frequencies", "frequency_modes", "frequency_power",
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
    at = np.flatnonzero(_first(vectors) >= 0)
    return at, vectors[at], np.where(np.any(vectors[at] != 0, axis=1), 2.0, 1.0)


def _first(vectors: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first coordinate of each vector that is not 0."""
    return np.asarray(vectors[np.arange(len(vectors)), np.argmax(vectors != 0, axis=1)])


def frequency_power(power: Any, dim: int) -> tuple[NDArray[np.int64], Array]:
    """Frequencies (F, dim) and their powers, which are not negative; those of m and -m add up.

    Raises
    ------
    NtkspecError
        For what is neither a mapping, nor by `ntkspec.predict.power`, nor a list from 0 on.

    Examples
    --------
    >>> frequency_power({(1, -2): 0.5, (-1, 2): 0.25, (0, 0): 1.0}, 2)
    (array([[ 0,  0],
           [ 1, -2]]), array([1.  , 0.75]))
    """
    form = "m" if dim == 1 else f"({', '.join(f'm_{i + 1}' for i in range(dim))})"
    refusal = NtkspecError(
        f"power = {shown(power)} is not allowed on a torus of dimension {dim}; give a power >= 0 "
        f"for each frequency, {{{form}: power}} of whole numbers"
    )
    if isinstance(power, Mapping):
        keys = [key if isinstance(key, tuple) else (key,) for key in power]
        whole = [[as_whole(one) for one in key] for key in keys]
        if not whole or any(len(key) != dim or None in key for key in whole):
            raise refusal
        if max(abs(one) for key in whole for one in key if one is not None) > MAX_DEGREE:
            raise refusal
        vectors = np.array(whole, np.int64)
        values = np.array([as_number(value) for value in power.values()])
    else:
        values = np.atleast_1d(numbers(power, "power"))
        last = (values.shape[0] - 1) // 2 if isinstance(power, TargetPower) else 0
        if values.ndim != dim or not (isinstance(power, TargetPower) or dim == 1):
            raise refusal
        vectors, values = np.argwhere(np.ones(values.shape, bool)) - last, values.ravel()
    if not np.all((values >= 0.0) & np.isfinite(values)):
        raise refusal
    vectors = np.where(_first(vectors)[:, np.newaxis] < 0, -vectors, vectors)
    found, at = np.unique(vectors, axis=0, return_inverse=True)
    return found, np.bincount(at.ravel(), values).astype(np.float64)


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
