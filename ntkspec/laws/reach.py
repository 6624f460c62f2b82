"""The degree from which a law holds, found from the spectrum."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.spectra.route import Source
from ntkspec.spectra.spectrum import spectrum
from ntkspec.spectra.sphere_routes import row_provider
from ntkspec.spectra.trace import trace

if TYPE_CHECKING:
    from ntkspec.laws.form import Law

__all__ = ["first_degree", "holds_within", "too_large_at"]

#: Relative distance from the spectrum within which a law holds.
CLOSE = 0.1
#: Smallest and largest numbers of degrees computed: by closed forms or series, by balls.
LEAST, MOST, MOST_BY_BALLS = 64, 16384, 512
#: Degrees at which a law is held against the trace, evenly spaced in logarithm.
AGAINST_TRACE = 400
#: A law is given up early if it would hold only this many times beyond the largest degree.
FAR = 16.0


def holds_within(law: Law, degrees: NDArray[np.int64], logs: NDArray[np.float64]) -> int | None:
    """First of increasing degrees from which a law holds to 10 %, or None if it is not seen.

    The law holds at all degrees of its parity from there to the last, which is at least twice as
    high, and is closest at the end.
    """
    at = (degrees > 0) & ((law.parity is None) | (degrees % 2 == law.parity))
    k = degrees[at]
    if k.size < 4 or not math.isfinite(law.log_constant):
        return None
    off = np.abs(np.expm1(np.minimum(logs[at] - law.log_eigenvalue(k), 700.0)))
    far = np.flatnonzero(~(off <= CLOSE))
    first = int(far[-1]) + 1 if far.size else 0
    if first >= k.size or 2 * k[first] > k[-1]:
        return None
    before = int(np.searchsorted(k, 0.75 * k[-1]))
    if off[-1] > off[before] and off[-1] > 1e-6:
        return None
    return int(k[first])


@lru_cache(maxsize=256)
def first_degree(network: Source, domain: Domain, kernel: Kernel, law: Law) -> int | None:
    """`holds_within` for the degrees that can be computed within some seconds."""
    most = MOST if row_provider(network, kernel).degrees_alone else MOST_BY_BALLS
    most, last, before = min(most, domain.most_degree), LEAST, math.inf
    while last <= most:
        degrees = np.arange(law.parity or 0, last + 1, 1 if law.parity is None else 2)
        try:
            logs = spectrum(network, domain, degrees, kernel=kernel).log_eigenvalues
        except NtkspecError:
            return None
        logs = logs.reshape(logs.shape[0], -1)[:, 0]
        found = holds_within(law, degrees, logs)
        if found is not None:
            return found
        off = abs(float(logs[-1] - law.log_eigenvalue(degrees[-1])))
        fall = before / off if off > 0.0 else math.inf
        if not math.isfinite(off):
            return None
        # Assuming decay as a power of the degree, the distance falls to a tenth at this degree.
        if fall > 1.01 and last * (off / CLOSE) ** (math.log(2.0) / math.log(fall)) > FAR * most:
            return None
        before, last = off, min(2 * last, most) if last < most else most + 1
    return None


@lru_cache(maxsize=256)
def too_large_at(network: Source, domain: Domain, kernel: Kernel, law: Law) -> int:
    """A large degree at which a law is over 10 % too large, seen without a spectrum; 0 if none is.

    There the law, with the multiplicity of the degree, alone exceeds the trace, the sum of all
    eigenvalues.  Of unit vectors only, whose trace is K(1).

    Examples
    --------
    >>> from ntkspec import law
    >>> found = law("relu", dim=10)
    >>> 0 < too_large_at(*found.spectrum, found) < found.holds_from
    True
    """
    if not domain.unit:
        return 0
    try:
        total, error = trace(network, domain, kernel)
    except NtkspecError:
        return 0
    degrees = np.unique(
        np.round(np.geomspace(1, domain.most_degree, AGAINST_TRACE)).astype(np.int64)
    )
    if law.parity is not None:
        degrees = np.unique(degrees - (degrees + law.parity) % 2)
        degrees = degrees[degrees > 0]
    least = domain.log_multiplicity(degrees) + law.log_eigenvalue(degrees) + math.log1p(-CLOSE)
    most = math.log(total + error) + 1e-9 if total > 0.0 else math.inf
    return int(degrees[least > most].max(initial=0))
