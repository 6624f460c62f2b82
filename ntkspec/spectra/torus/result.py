"""The result of a spectrum on the torus: eigenvalues by frequency vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import numbers, shown
from ntkspec.results import axes_to_draw, library
from ntkspec.spectra.route import Source, qualified, which_kernel
from ntkspec.spectra.scaled_result import ScaledResult
from ntkspec.spectra.torus.reach import box

__all__ = ["TorusSpectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class TorusSpectrum(ScaledResult):
    """Eigenvalues of a kernel on the torus, by frequency vectors m of half a box.

    The arrays have an axis for each coordinate: m_1 = 0, ..., size, and the others from -size to
    size; m and -m have the same eigenvalue.  ``s[3]`` in one dimension, and ``s[3, -2]`` in two,
    is the eigenvalue of a frequency with any signs.

    Attributes
    ----------
    network : Network or ZonalKernel
    domain : Torus
    kernel : str
    size : int
    mantissas, exponents : arrays
        eigenvalue = mantissa * 2**exponent, in and beyond the range of doubles; a mantissa is 0 for
        exact zeros and NaN where the bound on the error exceeds the tolerance.
    relative_error : float64 array
        Bound on the relative error of each.
    floor : float
        No eigenvalue that is not known exceeds it; 0 if all are.
    route : str

    Examples
    --------
    >>> import ntkspec
    >>> s = ntkspec.spectrum("erf", ntkspec.Torus.plain(2), 8)
    >>> s.eigenvalues.shape, s[1, 2] == s[-1, -2], s[1, 1]
    ((9, 17), True, 0.0)
    """

    network: Source
    domain: Torus
    kernel: Kernel
    size: int
    mantissas: Array
    exponents: NDArray[np.int64]
    relative_error: Array
    floor: float
    route: str

    @property
    def frequencies(self) -> NDArray[np.int64]:
        """(..., dim) frequency vectors of the entries."""
        return box(self.dim, self.size)

    @property
    def multiplicities(self) -> Array:
        """How many frequencies of the whole box an entry stands for.

        2 where m_1 > 0, for m and -m; 1 where m_1 = 0, where both are entries (except for m = 0,
        and in one dimension).
        """
        counts = np.ones(self.mantissas.shape)
        counts[1:] = 2.0
        return counts

    def axes(self) -> dict[str, NDArray[Any]]:
        """Coordinates of the frequencies."""
        others = np.arange(-self.size, self.size + 1)
        first = {"frequency": np.arange(self.size + 1)}
        if self.dim == 1:
            return first
        return {
            "frequency_1": first["frequency"],
            **{f"frequency_{d + 1}": others for d in range(1, self.dim)},
        }

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, logarithms, multiplicities and bounds on the errors."""
        value, log = self.doubles()
        along = tuple(self.axes())
        return {
            "eigenvalue": (along, value),
            "log_eigenvalue": (along, log),
            "multiplicity": (along, self.multiplicities),
            "relative_error": (along, self.relative_error),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the domain, the kernel and the route."""
        return {
            **self.network.parameters(),
            "domain": self.domain.name,
            "dim": self.dim,
            "torus": shown(self.domain),
            **which_kernel(self.network, self.kernel),
            "size": self.size,
            "route": self.route,
        }

    def title(self) -> str:
        """Return a one-line description."""
        kind = qualified(self.network, self.kernel)
        return f"Spectrum of {full_name(self.network)} {self.domain}{kind}"

    def __getitem__(self, frequency: Any) -> Any:
        """Return the eigenvalue of a frequency vector, of any signs."""
        return float(self.eigenvalues[self._place(frequency)])

    def __contains__(self, frequency: object) -> bool:
        try:
            self._place(frequency)
        except NtkspecError:
            return False
        return True

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the spectrum: against the frequency, or as a picture of the plane in colours.

        Eigenvalues that are 0 or not known are left out.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default the current axes.
        **style
            For `matplotlib.axes.Axes.plot`, or in two dimensions `imshow`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        NtkspecError
            In three dimensions, when matplotlib is not installed, and for an ax that is none.
        """
        if self.dim == 1:
            return super().plot(ax, **style)
        if self.dim == 3:
            raise NtkspecError(
                "plot is not allowed in three dimensions; draw a slice of log_eigenvalues with "
                "matplotlib, such as s.log_eigenvalues[0]"
            )
        ax = axes_to_draw(ax)
        log = np.where(np.isfinite(self.log_eigenvalues), self.log_eigenvalues, np.nan)
        log = log / np.log(10.0)
        # m_1 to the right, from -size to size.
        whole = np.concatenate([log[:0:-1, ::-1], log])
        end = self.size + 0.5
        ax.set(xscale="linear", yscale="linear")
        image = ax.imshow(whole.T, **{"origin": "lower", "extent": (-end, end, -end, end), **style})
        ax.set_xlabel("frequency $m_1$")
        ax.set_ylabel("frequency $m_2$")
        library("matplotlib.pyplot", "plot", "plots").colorbar(
            image, ax=ax, fraction=0.046, pad=0.04, label=r"$\log_{10}$ of the eigenvalue"
        )
        return ax

    def _place(self, frequency: Any) -> tuple[int, ...]:
        """Place of a frequency in the arrays."""
        m = np.atleast_1d(numbers(_vector(frequency), "frequency"))
        if m.shape != (self.dim,) or np.any(m != np.rint(m)) or np.any(np.abs(m) > self.size):
            raise NtkspecError(
                f"frequency = {shown(frequency)} is not in this {type(self).__name__}; give "
                f"{self.dim} whole number{'s' if self.dim > 1 else ''} from {-self.size} to "
                f"{self.size}"
            )
        m = -m if m[0] < 0 else m
        return (int(m[0]), *(int(x) + self.size for x in m[1:]))


def _vector(frequency: Any) -> ArrayLike:
    return list(frequency) if isinstance(frequency, tuple) else frequency
