"""Learning curves, and what is learned when, of a network on given data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.networks.full_name import full_name
from ntkspec.parameters import (
    check_finite,
    number,
    numbers,
    one_of,
    shown,
    target_values,
    truth,
    whole_number,
)
from ntkspec.predict.ansatz import Product, ansatz, powers, principal_axes
from ntkspec.predict.by_degree import Array, Variables, along
from ntkspec.predict.regularization import RidgeScale, log_root
from ntkspec.results import Result
from ntkspec.spectra.data_set import DataSpectrum
from ntkspec.threads import one_blas_thread

__all__ = ["DataCurve", "DataModes", "from_data", "target_modes"]

Method = Literal["eigenvectors", "hermite"]

#: Largest number of points whose kernel matrix is diagonalized: 45 s of one processor, 1.2 GB.
MOST_POINTS = 5000
#: Error of the kernel that regression can bear, relative to its diagonal.
ENOUGH = 1e-8
#: Eigenvalues below this part of the largest are rounding.
ROUNDING = 1e-14
LEAST_POINTS = 10
#: Moduli of points and targets, whose squares are summed: that of the largest is in this range.
SMALLEST, LARGEST = 1e-100, 1e100
#: Standard deviations by which the mean square of Gaussian noise may be below its variance.
MOST_SPREAD = 5.0
#: The deviation of points that is rounding, relative to their size.
EQUAL = 1e-13


@dataclass(frozen=True, eq=False, repr=False)
class DataModes(Result):
    """What a network learns of a target on given data, and when.

    By `from_data` or `target_modes`.

    Attributes
    ----------
    method : {"eigenvectors", "hermite"}
    ranks : (M,) int64 array
        From 0 on, in falling order of the eigenvalues.
    eigenvalues : (M,) float64 array
        Of the kernel matrix over n, or by the ansatz.
    power : (M,) or (M, outputs) float64 array
        Mean square of the target's part along each eigenvector or eigenfunction.
    rest : (outputs,) float64 array
        Power of the target outside of all of them; 0 for all eigenvectors.
    error : float
    products : tuple of tuples
        Eigenfunctions by the ansatz: (0, 0, 3) is h_2(z_0) h_1(z_3) of the principal coordinates
        z; () is the constant.  Empty for eigenvectors.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 5))
    >>> modes = from_data("relu", x, x[:, 0], method="hermite").modes
    >>> modes.products[:2], bool(modes.cumulative[9] > 0.9)
    (((0,), (1,)), True)
    """

    main: ClassVar[str] = "time"

    method: Method
    ranks: NDArray[np.int64]
    eigenvalues: Array
    power: Array
    rest: Array
    error: float
    products: tuple[Product, ...]

    @property
    def times(self) -> Array:
        """(M,) times of gradient flow until a part is `error` of its start."""
        with np.errstate(divide="ignore"):
            return np.asarray(-math.log(self.error) / self.eigenvalues)

    @property
    def cumulative(self) -> Array:
        """Fraction of the target's power in this mode and those before; 0 for a target of 0."""
        sums = np.cumsum(self.power, axis=0)
        whole = sums[-1] + self.rest.reshape(sums[-1].shape)
        shares = np.zeros_like(sums)
        np.divide(sums, whole, out=shares, where=whole > 0.0)
        return shares

    @property
    def degrees(self) -> NDArray[np.int64]:
        """(M,) degrees of the products; empty for eigenvectors."""
        return np.array([len(product) for product in self.products], np.int64)

    def loss(self, times: ArrayLike) -> Array:
        """Mean square that is left after gradient flow for given times, (T,) or (T, outputs).

        Raises
        ------
        NtkspecError
            For negative times.

        Examples
        --------
        >>> x = np.random.default_rng(0).standard_normal((100, 5))
        >>> from_data("relu", x, x[:, 0]).modes.loss([0.0, 1e6]).round(3)
        array([0.825, 0.   ])
        """
        t = np.atleast_1d(numbers(times, "times"))
        if not (t.ndim == 1 and np.all(t >= 0.0)):
            raise NtkspecError(f"times = {shown(times)} is not allowed; give numbers >= 0")
        with np.errstate(invalid="ignore"):
            exponents = -2.0 * np.multiply.outer(t, self.eigenvalues)
        decay = np.exp(np.where(self.eigenvalues > 0.0, exponents, 0.0))
        return np.asarray(decay @ self.power + self.rest.reshape(self.power.shape[1:]))

    def axes(self) -> dict[str, NDArray[Any]]:
        """Ranks, and outputs if there are several."""
        return {"rank": self.ranks} | _outputs(self.power)

    def variables(self) -> Variables:
        """Times, eigenvalues, powers and their cumulative fraction."""
        names = ("rank", *_outputs(self.power))
        degrees = along("rank", degree=self.degrees) if self.products else {}
        return {
            **along("rank", eigenvalue=self.eigenvalues, time=self.times),
            **degrees,
            **along(*names, power=self.power, cumulative=self.cumulative),
        }

    def columns(self) -> dict[str, NDArray[Any]]:
        """Flat columns, a row for each rank, and each output if there are several."""
        names, count = _outputs(self.power), max(1, self.power[0].size)
        return {
            "rank": np.repeat(self.ranks, count),
            **{name: np.tile(axis, self.ranks.size) for name, axis in names.items()},
            **{
                name: array.ravel() if len(axes) > 1 or not names else np.repeat(array, count)
                for name, (axes, array) in self.variables().items()
            },
        }

    def by_rank(self) -> dict[str, NDArray[Any]]:
        """Times, powers and cumulative fractions, a number for each rank and output."""
        found = {"time": self.times}
        for name, array in (("power", self.power), ("cumulative", self.cumulative)):
            if array.ndim == 1:
                found[name] = array
            else:
                found |= {f"{name}_{i}": column for i, column in enumerate(array.T)}
        return found

    def heading(self) -> dict[str, Any]:
        """The method, and the error."""
        return {"method": self.method, "error": self.error}


@dataclass(frozen=True, eq=False, repr=False)
class DataCurve(Result):
    """Expected errors of kernel regression on given data, by `from_data`.

    Errors have a second axis where the targets have several outputs.

    Attributes
    ----------
    network : Network
    kernel : {"ntk", "nngp"}
    method : {"eigenvectors", "hermite"}
    points : int
        Number of points that were given.
    dim : int
        Number of coordinates.
    repeated : int
        Points that are equal to one before.
    mean : (dim,) float64 array
    scale : float
        The regression is on (x - mean) / scale.
    samples : (S,) float64 array
        Numbers of training points.
    noise : float
    ridge : (S,) float64 array
        delta of (K + delta I)^-1.
    kappa : (S,) float64 array
        The implicit regularization, on the scale of the eigenvalues.
    overfitting : (S,) float64 array
        E_0 = n / (n - sum L^2), the overfitting coefficient.
    test_error : (S,) or (S, outputs) float64 array
        Expected mean square on new points, against the targets without their noise; 0 where the
        noise is all of it.
    noisy_test_error : (S,) or (S, outputs) float64 array
        The same against the targets as they are.
    train_error : (S,) or (S, outputs) float64 array
        Expected mean square on the training points.
    variances : (r,) float64 array
        gamma_i of the ansatz, the shares of the principal axes in the variance of the points;
        1 / sum gamma_i^2 is the number of directions that count.  Empty for eigenvectors.
    modes : DataModes
        What is learned when.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((200, 10))
    >>> found = from_data("relu", x, x[:, 0], samples=[10, 100])
    >>> found.test_error.shape, found.method, found.repeated
    ((2,), 'eigenvectors', 0)
    """

    main: ClassVar[str] = "test_error"

    network: Network
    kernel: Kernel
    method: Method
    points: int
    dim: int
    repeated: int
    mean: Array
    scale: float
    samples: Array
    noise: float
    ridge: Array
    kappa: Array
    overfitting: Array
    test_error: Array
    noisy_test_error: Array
    train_error: Array
    variances: Array
    modes: DataModes

    @property
    def learnability(self) -> Array:
        """(S, M) L = lambda / (lambda + kappa), the part of each mode that is learned."""
        values = self.modes.eigenvalues
        return np.asarray(values / (values + self.kappa[:, np.newaxis]))

    def samples_to_learn(self, error: float = 0.1) -> Array:
        """Number of samples from which on the test error is a part of the target's mean square.

        Parameters
        ----------
        error : float
            The part that is left, between 0 and 1.

        Returns
        -------
        () or (outputs,) float64 array
            The least of `samples` if it is enough, and inf if not all are; between, a whole number
            by a straight line of the error over the logarithm of the samples.  Give `from_data`
            close samples for a close answer.

        Raises
        ------
        NtkspecError
            For an error that is not allowed.

        Notes
        -----
        The noise that is known counts neither in the error nor in the mean square.

        Examples
        --------
        >>> x = np.random.default_rng(0).standard_normal((300, 3))
        >>> found = from_data("relu", x, x[:, 0], samples=range(1, 300))
        >>> n = int(found.samples_to_learn(0.1))
        >>> bool(found.test_error[n - 1] <= 0.1 * np.mean(x[:, 0] ** 2) < found.test_error[n - 2])
        True
        """
        left = number(error, "error", 1e-300, 1.0)
        order = np.argsort(self.samples)
        sizes, errors = self.samples[order], self.test_error[order].reshape(order.size, -1)
        power = np.reshape(self.modes.power.sum(axis=0) + self.modes.rest, -1)
        found = np.full(power.size, sizes[0])
        for j, level in enumerate(left * np.maximum(power - self.noise, 0.0)):
            above = np.flatnonzero(errors[:, j] > level)
            if above.size and (last := above[-1]) == sizes.size - 1:
                found[j] = np.inf
            elif above.size:
                part = (errors[last, j] - level) / (errors[last, j] - errors[last + 1, j])
                step = np.log(sizes[last + 1] / sizes[last])
                found[j] = min(np.ceil(sizes[last] * np.exp(part * step)), sizes[last + 1])
        return np.asarray(found.reshape(self.test_error.shape[1:]))

    def axes(self) -> dict[str, NDArray[Any]]:
        """Numbers of samples, and outputs if there are several."""
        return {"samples": self.samples} | _outputs(self.test_error)

    def variables(self) -> Variables:
        """Errors, and the regularization."""
        names = ("samples", *_outputs(self.test_error))
        return {
            **along(*names, test_error=self.test_error, noisy_test_error=self.noisy_test_error),
            **along(*names, train_error=self.train_error),
            **along("samples", kappa=self.kappa, overfitting=self.overfitting, ridge=self.ridge),
        }

    def heading(self) -> dict[str, Any]:
        """The network, the method, the size of the data, and repeated points if there are any."""
        found = {
            "network": full_name(self.network),
            "kernel": self.kernel,
            "method": self.method,
            "points": self.points,
            "dim": self.dim,
            "noise": self.noise,
        }
        return found | ({"repeated": self.repeated} if self.repeated else {})


def from_data(
    network: Network | str,
    points: ArrayLike,
    targets: ArrayLike,
    *,
    samples: ArrayLike | None = None,
    ridge: float = 1e-3,
    ridge_scale: RidgeScale = "matrix",
    noise: float = 0.0,
    error: float = 0.01,
    method: Method = "eigenvectors",
    kernel: Kernel = "ntk",
    centre: bool = True,
    count: int = 20_000,
) -> DataCurve:
    """Predict what a network learns of a target on given data, and from how many points.

    Parameters
    ----------
    network : Network or str
    points : (n, dim) array_like
        Vectors in rows, of any norm, a random sample of what the network will see.
    targets : (n,) or (n, outputs) array_like
        What is to be learned, at the points.  Booleans are 0 and 1.
    samples : array_like, optional
        Numbers of training points; by default from 10 to n.  "eigenvectors" goes up to n.
    ridge : float
        delta >= 0 of K(x, X) (K + delta I)^-1 y.
    ridge_scale : {"matrix", "operator"}
        "operator": the ridge is r of K / n + r I, so that delta = n r grows with n.
    noise : float
        Variance of the noise that the targets are known to have.
    error : float
        The part of a mode that is left when it counts as learned, for the times.
    method : {"eigenvectors", "hermite"}
        The eigenvectors of the points' kernel matrix, for up to 5000 points; or the Hermite
        eigenstructure ansatz from the covariance of the points, which goes beyond n.
    kernel : {"ntk", "nngp"}
    centre : bool
        Subtract the mean of the points and divide by their root mean square norm.  False takes
        them as they are, for "eigenvectors" only.
    count : int
        Number of eigenvalues of the ansatz.

    Returns
    -------
    DataCurve

    Raises
    ------
    NtkspecError
        For parameters, points and targets that are not allowed.

    Notes
    -----
    Both methods use kappa of `learning_curve`: m samples and the ridge delta' leave
    B(kappa) m / (m - D_2(kappa)), B = sum (1 - L)^2 p + noise, D_2 = sum L^2, with
    m = D_1 + delta' / kappa, D_1 = sum L.

    "eigenvectors" reads B, D_1 and D_2 off the kernel matrix K of all n points.  With a ridge delta
    of its own, R = (K + delta)^-1 and T_j = tr R^j,

        kappa = 1 / T_1,  D_1 = n - delta T_1,  D_2 = n - T_1^2 / T_2,
        B = mean_i ((R y)_i / R_ii)^2 T_1^2 / (n T_2),

    and delta follows from n - m = (delta - delta') T_1.  The mean is the error at points that are
    left out, one at a time (Craven and Wahba 1979); with the mean T_1 / n for R_ii it is that of
    generalized cross-validation, which Jacot et al. 2020 and Wei et al. 2022 derive from the
    equation for kappa.  No model of the data enters, and for m = n none of the theory.

    "hermite" takes the eigenvalues l! a_l prod gamma_i^alpha_i of Karkada et al. 2025, and the
    powers p by Gram-Schmidt on the points, less what noise would have: power that is not found
    in up to n / 2 products counts as never learned.

    The manual, "What will my network learn of my data?", has measurements of the accuracy of both.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 10))
    >>> found = from_data("relu", x, x[:, 0] + x[:, 1] * x[:, 2], samples=[30, 300])
    >>> bool(0.5 < found.test_error[0] < 2.0), bool(found.test_error[1] < 0.5)
    (True, True)
    """
    source, way = as_network(network), one_of(method, "method", get_args(Method))
    source.check_kernel(kernel)
    x, y = _checked(points, targets)
    single, n = y.ndim == 1, x.shape[0]
    y = y.reshape(n, -1)
    moved = truth(centre, "centre")
    if way == "hermite" and not moved:
        raise NtkspecError(
            "centre = False is not allowed with method = 'hermite', which is about centred points; "
            "use method = 'eigenvectors'"
        )
    if way == "eigenvectors" and n > MOST_POINTS:
        raise NtkspecError(
            f"{n} points are too many for method = 'eigenvectors', which takes up to "
            f"{MOST_POINTS}; give a random part of them, or use method = 'hermite'"
        )
    sizes = _sizes(samples, n, way)
    noise, ridge = number(noise, "noise", 0.0, LARGEST**2), number(ridge, "ridge", 0.0, 1e300)
    _check_noise(noise, y)
    left, most = number(error, "error", 1e-300, 1.0), whole_number(count, "count", 1, 10**6)
    scale = one_of(ridge_scale, "ridge_scale", get_args(RidgeScale))
    deltas = ridge * (sizes if scale == "operator" else np.ones(sizes.size))
    mean, norm = np.zeros(x.shape[1]), 1.0
    if moved:
        mean = x.mean(axis=0)
        size = float(np.abs(x).max())
        x = x - mean
        norm = float(np.sqrt(np.mean(np.einsum("ij,ij->i", x, x))))
        if not norm > EQUAL * size:
            raise NtkspecError("all points are equal to rounding; give points that differ")
        x = x / norm
    repeated = n - np.unique(x, axis=0).shape[0]
    variances = np.zeros(0)
    with one_blas_thread():  # results would depend on the number of BLAS threads
        if way == "eigenvectors":
            modes, found = _by_eigenvectors(source, kernel, x, y, sizes, deltas, left, repeated)
        else:
            axes = principal_axes(x)
            known = ansatz(source, kernel, axes.variances, most)
            power, rest = powers(axes.whitened, known.products, y)
            ranks, variances = np.arange(known.eigenvalues.size), axes.variances
            modes = DataModes(way, ranks, known.eigenvalues, power, rest, left, known.products)
            found = _by_ansatz(known.eigenvalues, known.rest, power, rest, sizes, deltas)
    kappa, bare, second = found
    with np.errstate(divide="ignore", invalid="ignore"):
        overfitting = sizes / (sizes - second)
        noisy = overfitting[:, np.newaxis] * bare
        # delta / kappa, or where both are 0 its limit: samples less functions.
        ridged = np.where(kappa > 0.0, deltas / kappa, np.maximum(sizes - second, 0.0))
        train = (ridged / sizes)[:, np.newaxis] ** 2 * noisy
    if single:
        noisy, train = noisy[:, 0], train[:, 0]
        modes = DataModes(
            way, modes.ranks, modes.eigenvalues, modes.power[:, 0], modes.rest, left,
            modes.products,
        )  # fmt: skip
    return DataCurve(
        source, kernel, way, n, x.shape[1], repeated, mean, norm, sizes, noise, deltas, kappa,
        overfitting, np.maximum(noisy - noise, 0.0), noisy, train, variances, modes,
    )  # fmt: skip


def target_modes(spectrum: DataSpectrum, targets: ArrayLike, *, error: float = 0.01) -> DataModes:
    """What gradient flow learns of targets on data whose spectrum is known, and when.

    Parameters
    ----------
    spectrum : DataSpectrum
        Of `ntkspec.data_spectrum`, with any number of eigenvalues.
    targets : (n,) or (n, outputs) array_like
        What is to be learned, at the vectors of the spectrum.
    error : float
        The part of a mode that is left when it counts as learned, for the times.

    Returns
    -------
    DataModes
        `rest` is the power outside of the eigenvectors of the spectrum, which takes longer.

    Raises
    ------
    NtkspecError
        For another spectrum, and targets of another length, or that are not finite numbers.

    Examples
    --------
    >>> import ntkspec
    >>> angles = 2 * np.pi * np.arange(1000) / 1000
    >>> circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> s = ntkspec.data_spectrum("relu", circle, count=5)
    >>> modes = target_modes(s, circle[:, 0] + 0.1 * np.cos(9 * angles))
    >>> modes.times.round(1), modes.power.sum().round(3), modes.rest.round(3)
    (array([36.8, 36.8, 45.5, 81.8, 81.8]), np.float64(0.5), array([0.005]))
    """
    if not isinstance(spectrum, DataSpectrum):
        raise NtkspecError(
            f"spectrum = {shown(spectrum)} is not allowed; give what ntkspec.data_spectrum returns"
        )
    y = _checked_targets(targets, spectrum.size)
    left = number(error, "error", 1e-300, 1.0)
    columns = y.reshape(spectrum.size, -1)
    parts = spectrum.eigenvectors.T @ columns
    rest = np.mean((columns - spectrum.eigenvectors @ parts) ** 2, axis=0)
    power = parts**2 / spectrum.size
    return DataModes(
        "eigenvectors", np.arange(len(spectrum)), spectrum.eigenvalues,
        power[:, 0] if y.ndim == 1 else power, rest, left, (),
    )  # fmt: skip


def _by_eigenvectors(
    network: Network, kernel: Kernel, x: Array, y: Array, sizes: Array, deltas: Array,
    error: float, repeated: int,
) -> tuple[DataModes, tuple[Array, Array, Array]]:  # fmt: skip
    """Modes, and kappa, B and D_2 by number of samples."""
    matrix = network.ntk_matrix if kernel == "ntk" else network.nngp_matrix
    n = x.shape[0]
    values, vectors = np.linalg.eigh(np.asarray(matrix(x, tolerance=ENOUGH), np.float64))
    values, vectors = values[::-1], np.ascontiguousarray(vectors[:, ::-1])
    parts = vectors.T @ y
    floor = n * ROUNDING * values[0]
    values = np.where(values > floor, values, 0.0)
    if values[-1] == 0.0 and not deltas.min() > 0.0:
        why = f": {repeated} points are repeated" if repeated else ""
        raise NtkspecError(
            f"the kernel matrix of {n} points is singular to rounding{why}, and ridge = 0 is not "
            "allowed then; give a ridge, such as 1e-3"
        )
    modes = DataModes(
        "eigenvectors", np.arange(n), values / n, parts**2 / n, np.zeros(y.shape[1]),
        error, (),
    )  # fmt: skip
    shares = vectors**2
    kappa, second = np.empty(sizes.size), np.empty(sizes.size)
    bare = np.empty((sizes.size, y.shape[1]))
    for at, (size, ridge) in enumerate(zip(sizes.tolist(), deltas.tolist(), strict=True)):
        damped = values + _own_ridge(values, n - size, ridge)
        inverse = damped[-1] / damped  # in units in which squares are in range
        first, two = inverse.sum(), (inverse**2).sum()
        kappa[at], second[at] = damped[-1] / first, n - first**2 / two
        # The error at each point when it is left out.
        missed = (vectors @ (inverse[:, np.newaxis] * parts)) / (shares @ inverse)[:, np.newaxis]
        bare[at] = np.mean(missed**2, axis=0) * first**2 / (n * two)
    return modes, (kappa, bare, second)


def _own_ridge(values: Array, fewer: float, ridge: float) -> float:
    """delta of the whole matrix with the kappa of fewer samples: (delta - ridge) T_1 = fewer."""
    if fewer == 0.0:
        return ridge

    def excess(log_inverse: float) -> float:
        more = math.exp(-log_inverse)
        return float((more / (values + ridge + more)).sum()) - fewer

    # more / (value + ridge + more) sums to at most n more / (smallest + ridge + more).
    size = values.size
    least = math.log((values[-1] + ridge) + 1e-300) + math.log(fewer / size) - 1e-9
    return ridge + math.exp(-log_root(excess, -least))


def _by_ansatz(
    values: Array, rest: float, power: Array, left: Array, sizes: Array, deltas: Array
) -> tuple[Array, Array, Array]:
    """Kappa, B and D_2 by number of samples; the rest of the trace is as good as a ridge."""
    kappa = np.empty(sizes.size)
    for at, (size, ridge) in enumerate(zip(sizes.tolist(), deltas.tolist(), strict=True)):
        flat = rest + ridge

        def excess(log_kappa: float, flat: float = flat, size: float = size) -> float:
            k = math.exp(log_kappa)
            of_rest = flat / k if flat else 0.0
            return float((values / (values + k)).sum()) + of_rest - size

        kappa[at] = math.exp(log_root(excess, math.log((values.sum() + flat) / size) + 1e-9))
    learned = values / (values + kappa[:, np.newaxis])
    return kappa, (1.0 - learned) ** 2 @ power + left, (learned**2).sum(axis=1)


def _checked(points: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Points and targets, refused where they do not fit."""
    x = numbers(points, "points")
    if x.ndim != 2 or x.shape[0] < LEAST_POINTS or x.shape[1] < 1:
        raise NtkspecError(
            f"points of shape {x.shape} are not allowed; give at least {LEAST_POINTS} vectors, as "
            "an array (n, dim)"
        )
    _check_size(x, "points")
    return x, _checked_targets(targets, x.shape[0])


def _checked_targets(targets: ArrayLike, n: int) -> Array:
    y = target_values(targets, "targets")
    if y.ndim not in (1, 2) or y.size == 0:
        raise NtkspecError(
            f"targets of shape {y.shape} are not allowed; give an array (n,) or (n, outputs)"
        )
    if y.shape[0] != n:
        raise NtkspecError(f"{n} points have {y.shape[0]} targets; give one for each point")
    _check_size(y, "targets")
    return y


def _check_size(array: Array, name: str) -> None:
    """Refuse numbers whose squares are out of range."""
    check_finite(array, name, LARGEST)
    top = float(np.abs(array).max())
    if 0.0 < top < SMALLEST:
        raise NtkspecError(
            f"the largest modulus of {name} is {top:.3g}, whose square is out of range; scale "
            f"{name} so that it is at least {SMALLEST:g}"
        )


def _check_noise(noise: float, targets: Array) -> None:
    """Refuse more noise than targets of noise alone would show: their mean square varies."""
    n = targets.shape[0]
    squares = np.mean(targets * targets, axis=0)
    for output in np.flatnonzero(noise > squares * (1.0 + MOST_SPREAD * math.sqrt(2.0 / n))):
        of = f" of output {output}" if squares.size > 1 else ""
        raise NtkspecError(
            f"noise = {noise:g} is more than the mean square {squares[output]:.4g} of the "
            f"targets{of}, and is a part of it; give the variance of the noise that they have"
        )


def _sizes(samples: ArrayLike | None, n: int, method: Method) -> Array:
    """Numbers of samples."""
    if samples is None:
        return np.unique(np.round(np.geomspace(LEAST_POINTS, n, 12)))
    sizes = np.atleast_1d(numbers(samples, "samples"))
    if not (sizes.size and sizes.ndim == 1 and np.all((sizes >= 1.0) & np.isfinite(sizes))):
        raise NtkspecError(
            f"samples = {shown(samples)} is not allowed; give numbers that are at least 1"
        )
    if method == "eigenvectors" and sizes.max() > n:
        raise NtkspecError(
            f"samples = {sizes.max():.10g} is not allowed; {n} points predict up to {n} samples "
            "with method = 'eigenvectors'; use method = 'hermite' to go beyond"
        )
    return sizes


def _outputs(array: Array) -> dict[str, NDArray[Any]]:
    """The axis of outputs where there are several."""
    return {} if array.ndim == 1 else {"output": np.arange(array.shape[1])}
