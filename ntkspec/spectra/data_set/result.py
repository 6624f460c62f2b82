"""The leading eigenvalues of a kernel on a data set, and the density of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.files.appearing import appearing, appearing_text
from ntkspec.files.text import CsvWriter
from ntkspec.jobs.progress import Observer
from ntkspec.networks import Kernel
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import numbers, shown, whole_number
from ntkspec.results import Result
from ntkspec.spectra.data_set.operator import DataMatrix, Operator
from ntkspec.spectra.data_set.progress import Tally
from ntkspec.spectra.data_set.quadrature import counted, measures
from ntkspec.spectra.route import Source, qualified, which_kernel
from ntkspec.threads import one_blas_thread

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["DataSpectrum", "SpectralDensity", "check_spectrum_file"]

Array = NDArray[np.float64]

#: Levels of a density that are chosen, and the smallest of them relative to the mean eigenvalue.
LEVELS, LOWEST = 25, 1e-3
MOST_PROBES, MOST_STEPS = 10_000, 1000
#: Standard errors that the bounds on a number of eigenvalues take up.
SURE = 3.0


@dataclass(frozen=True, eq=False, repr=False)
class DataSpectrum(Result):
    """The leading eigenvalues and eigenvectors of K / n, K a kernel's matrix of n vectors.

    ``len(s)`` counts them and ``s[5]`` is the one of rank 5, the largest being of rank 0.  They are
    eigenvalues of the kernel's integral operator under the empirical measure of the data, and
    comparable with those of `ntkspec.spectrum`.

    Attributes
    ----------
    network : Network or ZonalKernel
    kernel : str
    fan_in : bool
    points : (n, dim) array
        The data, not copied.
    eigenvalues : (C,) float64 array
        In falling order.
    eigenvectors : (n, C) float64 array
        In columns, of norm 1, the entry of largest modulus positive.
    residuals : (C,) float64 array
        Norm of K v / n - eigenvalue v, relative to the eigenvalue.
    relative_error : (C,) float64 array
        Bound on the relative error of each eigenvalue, from the residuals and for rounding; it
        takes for granted that no larger eigenvalue was missed, which no residual can show, and
        the random start makes as good as certain.
    count : int
        How many have residuals within the tolerance; those of the ranks after them are as they
        came.
    trace, frobenius_norm : float
        Of K / n: the sum of all eigenvalues, and the root of the sum of their squares.
    repeated : int
        Vectors that equal an earlier one; the matrix has that many eigenvalues 0 at least.
    products : int
        How often the matrix was multiplied with a block of vectors.
    tolerance : float
    seed : int
    route : str

    Examples
    --------
    >>> import numpy as np
    >>> import ntkspec
    >>> s = ntkspec.data_spectrum("relu", np.eye(4), count=2)
    >>> s.eigenvalues.round(6), round(s.trace, 6)
    (array([0.125, 0.125]), 0.5)
    """

    main: ClassVar[str] = "eigenvalue"

    network: Source
    kernel: Kernel
    fan_in: bool
    points: NDArray[Any]
    eigenvalues: Array
    eigenvectors: Array
    residuals: Array
    relative_error: Array
    count: int
    trace: float
    frobenius_norm: float
    repeated: int
    products: int
    tolerance: float
    seed: int
    route: str
    #: Largest error of an entry of the matrix that was accepted.
    entries_tolerance: float = field(default=1e-8)

    @property
    def size(self) -> int:
        """Number of vectors, n."""
        return len(self.points)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self.points.shape[1])

    @property
    def shares(self) -> Array:
        """Fraction of the trace that each eigenvalue has."""
        return self.eigenvalues / (self.trace or 1.0)

    @property
    def explained(self) -> float:
        """Fraction of the trace that the eigenvalues of this result have together."""
        return float(np.sum(self.shares))

    @property
    def multiplicities(self) -> Array:
        """1 for each: an eigenvalue that is multiple has several ranks."""
        return np.ones(self.eigenvalues.size)

    def axes(self) -> dict[str, NDArray[Any]]:
        """Ranks, and the vectors of the data by their rows."""
        return {"rank": np.arange(self.eigenvalues.size), "row": np.arange(self.size)}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Eigenvalues, residuals, bounds, fractions of the trace, and eigenvectors."""
        return {
            "eigenvalue": (("rank",), self.eigenvalues),
            "residual": (("rank",), self.residuals),
            "relative_error": (("rank",), self.relative_error),
            "share": (("rank",), self.shares),
            "eigenvector": (("row", "rank"), self.eigenvectors),
        }

    def heading(self) -> dict[str, Any]:
        """The network's parameters, the kernel, and what is known of the whole matrix."""
        return {
            **self.network.parameters(),
            **which_kernel(self.network, self.kernel),
            "fan_in": str(self.fan_in),
            "points": self.size,
            "dim": self.dim,
            "repeated": self.repeated,
            "trace": self.trace,
            "frobenius_norm": self.frobenius_norm,
            "explained": self.explained,
            "route": self.route,
        }

    def title(self) -> str:
        """Return a one-line description."""
        kind = qualified(self.network, self.kernel)
        singular = ""
        if self.repeated:
            many = f"{self.repeated} are repeated" if self.repeated > 1 else "1 is repeated"
            singular = f"; {many}, so that the matrix is singular"
        return (
            f"Spectrum of {full_name(self.network)} on {self.size} vectors of dimension {self.dim}"
            f"{kind}, {100.0 * self.explained:.3g} % of the trace{singular}"
        )

    def save(self, path: Path, more: Mapping[str, ArrayLike] | None = None) -> None:
        """Write the columns to a .csv file, or all variables and the heading to a .npz file.

        The file appears complete under its name or not at all.  `numpy.load` reads a .npz file.

        Parameters
        ----------
        path : Path
        more : mapping, optional
            Further columns by name, a number for each rank.

        Raises
        ------
        NtkspecError
            For a file of another kind; TableError when it cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> import ntkspec
        >>> ntkspec.data_spectrum("relu", np.eye(3), count=2).save(folder / "s.npz")
        >>> np.load(folder / "s.npz")["eigenvalue"].round(6)
        array([0.166667, 0.166667])
        """
        path = Path(path)
        check_spectrum_file(path)
        added = {name: np.asarray(values) for name, values in (more or {}).items()}
        for name, values in added.items():
            if values.shape != self.eigenvalues.shape or name in self.variables():
                raise NtkspecError(
                    f"more[{name!r}] of shape {values.shape} is not allowed; give columns of "
                    f"{len(self)} numbers, of other names than {', '.join(self.variables())}"
                )
        if path.suffix == ".csv":
            with appearing_text(path) as text:
                writer = CsvWriter(text)
                columns = self.columns() | added
                writer.row(columns)
                writer.rows(zip(*(values.tolist() for values in columns.values()), strict=True))
            return
        arrays: dict[str, Any] = {name: one for name, (_, one) in self.variables().items()}
        arrays |= added | {name: np.array(one) for name, one in self.heading().items()}
        with appearing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)

    def density(
        self,
        levels: ArrayLike | None = None,
        *,
        probes: int = 16,
        steps: int = 20,
        seed: int = 0,
        client: Client | None = None,
        observer: Observer | None = None,
    ) -> SpectralDensity:
        """How many eigenvalues exceed each level, by stochastic Lanczos quadrature.

        The matrix is computed again, `steps` times.

        Parameters
        ----------
        levels : array_like, optional
            Rising, above 0; by default 25 from a thousandth of the mean eigenvalue to the largest.
        probes : int
            Random vectors; the standard errors fall as 1 / sqrt(probes).
        steps : int
            Products with the matrix; more resolve finer.
        seed : int
        client : distributed.Client, optional
            As for `data_spectrum`.
        observer : Observer, optional
            As for `data_spectrum`.

        Returns
        -------
        SpectralDensity

        Raises
        ------
        NtkspecError
            For a parameter that is not allowed.

        Notes
        -----
        The eigenvalues of this result are counted exactly.  Of the others a random vector of signs
        in the complement of the eigenvectors has a spectral measure, whose mean weight above a
        level is their number there; the Lanczos method gives its Gauss rule (Golub and Meurant
        1994, Ubaru, Chen and Saad 2017).

        Examples
        --------
        >>> import numpy as np
        >>> import ntkspec
        >>> x = np.random.default_rng(0).standard_normal((300, 5))
        >>> density = ntkspec.data_spectrum("erf", x, count=10).density([1e-4, 1e-3])
        >>> density.above.round()  # all eigenvalues of the matrix: 262 and 128
        array([253., 126.])
        >>> density.at_least.round(), density.at_most.round()
        (array([201.,  82.]), array([300., 161.]))
        """
        number = whole_number(probes, "probes", 2, MOST_PROBES)
        nodes = min(whole_number(steps, "steps", 2, MOST_STEPS), self.size)
        at = self._levels(levels)
        tally = Tally(observer or Observer(), self.size, products=nodes)
        matrix = DataMatrix(
            self.network, self.points, self.kernel, self.entries_tolerance, self.fan_in
        )
        operator = Operator(matrix, client=client, done=tally.rows)
        rng = np.random.default_rng(whole_number(seed, "seed", 0))
        known = np.sum(self.eigenvalues >= at[:, np.newaxis], axis=1)
        with one_blas_thread():
            found = measures(operator.times, self.eigenvectors, number, nodes, rng)
            value, least, most = counted(found, at)
        for part in (value, least, most):  # the eigenvalues that are known are the largest
            part[:, at > self.eigenvalues[-1]] = 0.0
        tally.end()
        falls = -np.gradient(value, np.log(at), axis=1) if at.size > 1 else 0.0 * value
        ladder = -np.gradient(known.astype(float), np.log(at)) if at.size > 1 else 0.0 * known
        return SpectralDensity(
            at, known + value.mean(axis=0), _error(value), ladder + falls.mean(axis=0),
            _error(falls), known + np.maximum(least.mean(axis=0) - SURE * _error(least), 0.0),
            np.minimum(known + most.mean(axis=0) + SURE * _error(most), self.size), self.size,
            number, nodes, seed,
        )  # fmt: skip

    def _levels(self, levels: ArrayLike | None) -> Array:
        top = float(self.eigenvalues[0])
        if levels is None:
            if top <= 0.0:
                raise NtkspecError("the kernel matrix is 0 and has no density of eigenvalues")
            return np.geomspace(min(LOWEST * self.trace / self.size, top), top, LEVELS)
        at = np.atleast_1d(numbers(levels, "levels"))
        if at.ndim != 1 or at.size == 0 or not (at > 0.0).all() or not (np.diff(at) > 0.0).all():
            raise NtkspecError(
                f"levels = {shown(levels)} is not allowed; give numbers above 0 in rising order"
            )
        return at


def check_spectrum_file(path: Path) -> None:
    """Refuse a name that `DataSpectrum.save` does not write.

    Raises
    ------
    NtkspecError

    Examples
    --------
    >>> check_spectrum_file(Path("spectrum.npz"))
    """
    if path.suffix not in (".csv", ".npz"):
        raise NtkspecError(
            f"output = {str(path)!r} is not allowed; give a name that ends with .csv, or with .npz "
            "for the eigenvectors too"
        )


def _error(value: Array) -> Array:
    """Standard error of the mean over probes."""
    return np.asarray(value.std(axis=0, ddof=1) / np.sqrt(len(value)))


@dataclass(frozen=True, eq=False, repr=False)
class SpectralDensity(Result):
    """Numbers of eigenvalues of K / n above levels, with standard errors.

    Attributes
    ----------
    levels : (L,) float64 array
    above : (L,) float64 array
        Estimated number of eigenvalues that are at least each level.
    above_error : (L,) float64 array
        Standard error of `above` from the scatter of the probes.  It does not tell that their nodes
        resolve a level only so far: at_least and at_most do, and are wider.
    densities, density_error : (L,) float64 arrays
        Eigenvalues for a change of the logarithm by 1, and the standard error of the scatter.
    at_least, at_most : (L,) float64 arrays
        What the Gauss rules of the probes prove of `above`, and three standard errors of it.  More
        steps bring them together.
    size : int
        Number of all eigenvalues, n.
    probes, steps, seed : int

    Examples
    --------
    >>> import numpy as np
    >>> import ntkspec
    >>> found = ntkspec.data_spectrum("relu", np.eye(8), count=1).density([0.01, 0.1], probes=4)
    >>> found.above.round(), found.size
    (array([8., 0.]), 8)
    """

    main: ClassVar[str] = "density"

    levels: Array
    above: Array
    above_error: Array
    densities: Array
    density_error: Array
    at_least: Array
    at_most: Array
    size: int
    probes: int
    steps: int
    seed: int

    def axes(self) -> dict[str, NDArray[Any]]:
        """Levels."""
        return {"level": self.levels}

    def variables(self) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
        """Densities, numbers above the levels, and their errors."""
        return {
            "density": (("level",), self.densities),
            "density_error": (("level",), self.density_error),
            "above": (("level",), self.above),
            "above_error": (("level",), self.above_error),
            "at_least": (("level",), self.at_least),
            "at_most": (("level",), self.at_most),
        }

    def heading(self) -> dict[str, Any]:
        """Numbers of eigenvalues, probes and steps."""
        return {
            "eigenvalues": self.size, "probes": self.probes, "steps": self.steps,
            "seed": self.seed,
        }  # fmt: skip

    def title(self) -> str:
        """Return a one-line description."""
        return f"Density of {self.size} eigenvalues by {self.probes} probes with {self.steps} nodes"
