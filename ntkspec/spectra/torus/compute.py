"""Spectra on the torus: the choice of the route, exact zeros, and what is not known."""

from __future__ import annotations

import math

import numpy as np

from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.parameters import one_of, ways, whole_number
from ntkspec.spectra.kernel_at_one import kernel_at_one
from ntkspec.spectra.parity import parity
from ntkspec.spectra.route import Eigenvalues, Source
from ntkspec.spectra.rows import Passed
from ntkspec.spectra.torus.grids import by_grid
from ntkspec.spectra.torus.powers import by_powers, takes_powers
from ntkspec.spectra.torus.reach import box, reached
from ntkspec.spectra.torus.result import TorusSpectrum

__all__ = ["torus_spectrum"]

#: Default bound on the relative error up to which an eigenvalue is given.
TOLERANCE = 1e-2
#: Most frequencies of half a box.
MOST_BOX = 2**22


def torus_spectrum(
    source: Source, torus: Torus, size: int | None, kernel: Kernel, tolerance: float | None
) -> TorusSpectrum:
    """Eigenvalues of a box of frequencies; see `ntkspec.spectrum`.

    Raises
    ------
    NtkspecError
        For parameters that are not allowed, and kernels without a route.

    Examples
    --------
    >>> from ntkspec import Network
    >>> torus_spectrum(Network("relu"), Torus([[1]]), 2, "ntk", 1e-2).eigenvalues.round(6)
    array([0.101321, 0.125   , 0.05629 ])
    """
    if isinstance(source, Network):
        source.check_kernel(kernel)
        if source.weights == "sphere":
            raise NtkspecError(
                "weights = 'sphere' is not allowed on the torus, where the kernel must not depend "
                "on the dimension; use weights = 'gaussian'"
            )
    else:
        one_of(kernel, "kernel", ("ntk", "nngp"))
    wanted = torus.default_size if size is None else whole_number(size, "size", 0)
    count = (wanted + 1) * (2 * wanted + 1) ** (torus.dim - 1)
    if count > MOST_BOX:
        raise NtkspecError(
            f"frequencies up to {wanted} in dimension {torus.dim} are too many: half their box has "
            f"{count}, and at most {MOST_BOX} are computed"
            + (ways(("size", "lower the size")) or "; take lower ones")
        )
    (mantissas, exponents, errors), route = _routed(source, torus, wanted, kernel)
    zero = ~reached(torus, parity(source, kernel), box(torus.dim, wanted))
    mantissas[zero], exponents[zero], errors[zero] = 0.0, 0, 0.0
    unknown = ~(errors <= (TOLERANCE if tolerance is None else tolerance))
    floor = -math.inf
    if unknown.any():
        # Below this, bounds are too large; each is less than what it is known to be at most.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = np.log(np.abs(mantissas)) + exponents * math.log(2.0)
            floor = float(np.max((logs + np.log1p(errors))[unknown]))
        if not math.isfinite(floor):
            floor = math.log(kernel_at_one(source, kernel, torus.dim)[0])
    mantissas[unknown], exponents[unknown] = math.nan, 0
    return TorusSpectrum(
        source, torus, kernel, wanted, mantissas, exponents, errors, math.exp(floor), route
    )


def _routed(source: Source, torus: Torus, size: int, kernel: Kernel) -> tuple[Eigenvalues, str]:
    """Eigenvalues by the first route that serves; in one dimension of coprime frequencies."""
    common = int(np.gcd.reduce(torus.distinct[0], axis=None)) if torus.dim == 1 else 1
    if common > 1:
        b, amplitudes = np.array(torus.frequencies), torus.amplitudes
        inner, route = _routed(source, Torus(b // common, amplitudes), size // common, kernel)
        mantissas, errors = np.zeros(size + 1), np.zeros(size + 1)
        exponents = np.zeros(size + 1, np.int64)
        mantissas[::common], exponents[::common], errors[::common] = inner
        return (mantissas, exponents, errors), route
    why = ""
    if takes_powers(source, kernel):
        try:
            found = by_powers(source, torus, size, kernel)
            return found, "Taylor series: coefficients at t = 0, all positive"
        except Passed as passed:
            why = f", as the Taylor series {passed}"
    if not isinstance(source, Network):
        raise NtkspecError(
            f"no route computes the spectrum of {source.name} on the torus{why}; it needs a zonal "
            "kernel with known Taylor coefficients, few of which count"
        )
    return by_grid(source, torus, size, kernel), f"grid: values by fast Fourier transform{why}"
