"""Which input features learn a band of frequencies fastest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.parameters import as_number, lacking, number, one_of, shown
from ntkspec.results import Result
from ntkspec.spectra import spectrum
from ntkspec.spectra.route import Source, as_source
from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["FeatureChoices", "choose_features"]

Array = NDArray[np.float64]

#: The parameter that is scanned, and the features that have it.
FEATURES: dict[str, Callable[..., Torus]] = {
    "sigma": Torus.random_features,
    "bands": Torus.positional_encoding,
    "omega_0": Torus.siren,
}
#: The name of a scan of features that are given themselves.
OWN = "features"


@dataclass(frozen=True, eq=False, repr=False)
class FeatureChoices(Result):
    """What several input features do for a band of frequencies.

    ``len`` counts the choices, and indexing by a value of the parameter gives the time.

    Attributes
    ----------
    parameter : str
    values : (C,) array
        Values of the parameter, or names or numbers of features that were given themselves.
    features : tuple of Torus
        The features of each.
    band : tuple of float
        The frequencies m that are wanted have band[0] <= abs(m) <= band[1], Euclidean.
    error : float
    eigenvalues : (C,) float64 array
        The smallest eigenvalue in the band; 0 where one is exactly 0, and NaN where one is not
        known, which is then at most `floors`.
    floors : (C,) float64 array
    frequencies : (C, dim) int64 array
        The frequency of that eigenvalue, or one that is not known.
    collapsed : (C,) int64 array
        Features that add nothing: `Torus.collapsed`.
    best : scalar
        The value whose smallest eigenvalue is largest.

    Examples
    --------
    >>> found = choose_features("relu", "bands", [1, 3, 5], band=(1, 10))
    >>> found.best, found.eigenvalues.round(6)
    (np.int64(5), array([0.      , 0.001465, 0.004373]))
    """

    main: ClassVar[str] = "time"

    network: Source
    kernel: Kernel
    parameter: str
    values: NDArray[Any]
    features: tuple[Torus, ...]
    band: tuple[float, float]
    error: float
    eigenvalues: Array
    floors: Array
    frequencies: NDArray[np.int64]
    collapsed: NDArray[np.int64]

    @property
    def times(self) -> Array:
        """(C,) times of gradient flow until every component in the band is `error` of its start."""
        with np.errstate(divide="ignore"):
            return np.asarray(-math.log(self.error) / self.eigenvalues)

    @property
    def best(self) -> Any:
        """The value of the parameter that learns the band fastest.

        Raises
        ------
        NtkspecError
            When none learns all of it.
        """
        place = self._fastest()
        if place is None:
            raise NtkspecError(
                f"no {self.parameter} of {shown(self.values.tolist())} is known to learn all "
                f"frequencies from {self.band[0]:g} to {self.band[1]:g}; try larger values, more "
                "features, or a network with a bias, without which half of the frequencies may "
                "be missing"
            )
        return self.values[place]

    def _fastest(self) -> int | None:
        """The place of the best value, None where none is known to learn all of the band."""
        known = np.nan_to_num(self.eigenvalues)
        return int(np.argmax(known)) if np.any(known > 0.0) else None

    def _notes(self) -> list[str]:
        """Whether other values may be better, and what collapsed features mean."""
        notes, place = [], self._fastest()
        if place is not None and self.parameter != OWN and np.unique(self.values).size > 1:
            best = self.values[place]
            if best == self.values.max():
                notes.append(
                    f"The best {self.parameter}, {best:g}, is the largest of these: larger ones "
                    "may be better."
                )
            elif best == self.values.min() and not (self.parameter == "bands" and best == 1):
                notes.append(
                    f"The best {self.parameter}, {best:g}, is the smallest of these: smaller ones "
                    "may be better."
                )
        if self.collapsed.any():
            most = int(np.argmax(self.collapsed))
            count = len(self.features[most].frequencies)
            notes.append(
                f"collapsed: features that add nothing, as their whole frequencies are 0 or those "
                f"of another, {self.collapsed[most]} of {count} with {self.parameter} = "
                f"{self.values[most]}.  The times are those of what is left: compare values of "
                "which few collapse."
            )
        return notes

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the times, as `Result.plot`; features of your own stand beside each other."""
        ax = super().plot(ax, **style)
        if self.parameter == OWN:
            ax.set_xscale("linear")
            ax.set_xticks(range(self.values.size), self.values.tolist())
        return ax

    def axes(self) -> dict[str, NDArray[Any]]:
        """The parameter's values."""
        return {self.parameter: self.values}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Times, smallest eigenvalues and collapsed features."""
        along = (self.parameter,)
        return {
            "time": (along, self.times),
            "smallest_eigenvalue": (along, self.eigenvalues),
            "floor": (along, self.floors),
            "collapsed": (along, self.collapsed),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the kernel, the band and the error."""
        return {
            **self.network.parameters(),
            "kernel": self.kernel,
            "band": f"{self.band[0]:g} to {self.band[1]:g}",
            "error": self.error,
        }


@lacking("tolerance", "size")
def choose_features(
    source: Source | str,
    parameter: str,
    values: Iterable[Any],
    *,
    band: tuple[float, float],
    error: float = 0.01,
    kernel: Kernel = "ntk",
    **features: Any,
) -> FeatureChoices:
    """Compare input features by how fast a network on them learns a band of frequencies.

    Parameters
    ----------
    source : Network, ZonalKernel or str
    parameter : {"sigma", "bands", "omega_0", "features"}
        What is scanned: the deviation of `Torus.random_features`, the number of bands of
        `Torus.positional_encoding`, the first layer's factor of `Torus.siren`, or features of your
        own.
    values : iterable or dict
        Its values.  Features of your own are `Torus` objects or arrays of frequencies, (J, dim); a
        dict names them, and in a list they have the numbers from 0 on.
    band : tuple of two numbers
        The lowest and the highest wanted frequency, in periods per unit length: all m with
        band[0] <= abs(m) <= band[1].
    error : float
        The part of a component that may be left.
    kernel : {"ntk", "nngp"}
    **features
        The other parameters of those features, such as ``count=64, dim=2, seed=0``; none with
        features of your own.

    Returns
    -------
    FeatureChoices

    Raises
    ------
    NtkspecError
        For parameters that are not allowed.

    Notes
    -----
    Under gradient flow a component of frequency m falls as exp(-lambda_m t) (Tancik et al. 2020,
    section 4), so that the smallest eigenvalue of a band decides.  Random frequencies
    are rounded to whole ones, and those that become 0 or equal to others collapse; the times are
    exact for what is left.  Different sigma are comparable only where few collapse: in one
    dimension about 3 sigma frequencies are all there are, whatever the count.  What is printed
    says where the best value is the first or the last of those given, and others may be better.

    Examples
    --------
    >>> import ntkspec
    >>> network = ntkspec.Network("gelu", bias_variance=0.1)
    >>> found = choose_features(
    ...     network, "sigma", [1.0, 3.0, 9.0], band=(1, 6), count=32, dim=1, seed=1
    ... )
    >>> float(found.best)
    3.0
    >>> mine = {"octaves": [1, 2, 4, 8], "thirds": [1, 3, 9], "all": range(1, 9)}
    >>> print(choose_features(network, "features", mine, band=(1, 8)).best)
    all
    """
    network = as_source(source)
    one_of(parameter, "parameter", (*FEATURES, OWN))
    low, high = _band(band)
    left = number(error, "error", 1e-300, 1.0)
    given = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
    if not given:
        what = "" if parameter == OWN else " number"
        raise NtkspecError(f"values = {shown(values)} is not allowed; give at least one{what}")
    if parameter == OWN:
        made = _own(given, values, features)
        given = given if isinstance(values, Mapping) else list(range(len(given)))
    else:
        made = [_made(FEATURES[parameter], parameter, value, features) for value in given]
    found = [spectrum(network, torus, math.floor(high), kernel=kernel) for torus in made]
    smallest = [_smallest(one, low, high) for one in found]
    return FeatureChoices(
        network,
        kernel,
        parameter,
        np.array(given),
        tuple(made),
        (low, high),
        left,
        np.array([value for value, _ in smallest]),
        np.array([one.floor for one in found]),
        np.array([place for _, place in smallest], np.int64),
        np.array([torus.collapsed for torus in made], np.int64),
    )


def _own(given: list[Any], values: Any, features: dict[str, Any]) -> list[Torus]:
    """Features that are given themselves, of one dimension."""
    if features:
        raise NtkspecError(
            f"{shown(features)} is not allowed with parameter = {OWN!r}, whose values are the "
            "features themselves; leave it out"
        )
    if isinstance(values, Mapping):
        if not all(isinstance(name, str) for name in given):
            raise NtkspecError(f"names = {shown(given)} are not allowed; give texts")
        given = list(values.values())
    found = [
        one if isinstance(one, Torus) else Torus(list(one) if isinstance(one, range) else one)
        for one in given
    ]
    dims = {torus.dim for torus in found}
    if len(dims) > 1:
        raise NtkspecError(
            f"features of dimensions {sorted(dims)} are not allowed together; give features of one "
            "dimension"
        )
    return found


def _made(make: Callable[..., Torus], name: str, value: Any, features: dict[str, Any]) -> Torus:
    try:
        return make(**{name: value, **features})
    except TypeError as problem:
        raise NtkspecError(
            f"{shown(features)} are not the other parameters of features with {name}: {problem}"
        ) from None


def _band(band: Any) -> tuple[float, float]:
    ends = [as_number(end) for end in band] if isinstance(band, (tuple, list)) else []
    if len(ends) != 2 or not 0.0 <= ends[0] <= ends[1] or not 0.0 < ends[1] < math.inf:
        raise NtkspecError(
            f"band = {shown(band)} is not allowed; give the lowest and the highest frequency, "
            "such as (1, 16)"
        )
    return ends[0], ends[1]


def _smallest(found: TorusSpectrum, low: float, high: float) -> tuple[float, NDArray[np.int64]]:
    """The smallest eigenvalue of a band, NaN if one may be smaller, and its frequency."""
    frequencies = found.frequencies.reshape(-1, found.dim)
    squares = np.sum(frequencies**2, axis=1)
    inside = np.flatnonzero((squares >= low * low) & (squares <= high * high))
    if not inside.size:
        raise NtkspecError(
            f"band = {(low, high)} has no frequency; give one that holds whole numbers"
        )
    values = found.eigenvalues.ravel()[inside]
    logs = found.log_eigenvalues.ravel()[inside]
    unknown = np.isnan(values)
    # An exact zero is the smallest, whatever is not known.
    if unknown.any() and not np.any(np.isneginf(logs)):
        return math.nan, frequencies[inside[np.argmax(unknown)]]
    at = int(np.nanargmin(logs))
    return float(values[at]), frequencies[inside[at]]
