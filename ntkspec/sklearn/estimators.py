"""Kernel regression with a network's kernel, as estimators of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network, as_network
from ntkspec.parameters import lacking, number, one_of

__all__ = ["NTKClassifier", "NTKRegressor"]

Array = NDArray[np.float64]

#: Error of the kernel that regression can bear, relative to its diagonal.
ENOUGH = 1e-8


class _KernelEstimator(BaseEstimator):
    """What regression and classification share: the kernel, its ridge, and the solution."""

    def __init__(
        self,
        network: Network | str | None = None,
        *,
        kernel: str = "ntk",
        ridge: float = 1e-6,
        fan_in: bool = True,
    ) -> None:
        self.network = network
        self.kernel = kernel
        self.ridge = ridge
        self.fan_in = fan_in

    def _solve(self, x: Array, targets: Array) -> None:
        """Fit coefficients to the targets, (n, outputs), less their means."""
        gram = self._matrix(x)
        size = float(np.mean(np.diag(gram)))
        self.ridge_ = number(self.ridge, "ridge", 0.0, 1e6) * size
        gram[np.diag_indices_from(gram)] += self.ridge_
        largest = float(np.abs(gram).sum(axis=0).max())
        factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1)
        # The reciprocal of the condition, estimated.
        known = 0.0 if failed else float(lapack.dpocon(factor, largest, uplo="L")[0])
        if not known > np.finfo(float).eps:
            if not size > 0.0:
                raise NtkspecError(
                    f"the kernel of all {x.shape[0]} vectors is 0; give vectors that are not 0, or "
                    "a network with biases"
                )
            enough = ", such as 1e-8" if self.ridge < 1e-8 else ""
            raise NtkspecError(
                f"the kernel matrix of {x.shape[0]} vectors is singular to rounding with ridge = "
                f"{self.ridge}: vectors are repeated, or too close for the kernel; give a larger "
                f"ridge{enough}"
            )
        self.mean_ = targets.mean(axis=0)
        self.dual_coef_ = lapack.dpotrs(factor, targets - self.mean_, lower=1)[0]
        self.X_fit_ = x

    def _matrix(self, x: Array, others: Array | None = None) -> Array:
        network = _DEFAULT if self.network is None else as_network(self.network)
        one_of(self.kernel, "kernel", ("ntk", "nngp"))
        matrix = network.ntk_matrix if self.kernel == "ntk" else network.nngp_matrix
        with lacking("tolerance"):
            return np.asarray(matrix(x, others, fan_in=self.fan_in, tolerance=ENOUGH), np.float64)

    def _outputs(self, given: ArrayLike) -> Array:
        """Values at vectors, (n, outputs)."""
        check_is_fitted(self)
        x = validate_data(self, given, dtype=np.float64, reset=False)
        found: Array = self._matrix(x, self.X_fit_) @ self.dual_coef_ + self.mean_
        return found


#: The network that None stands for.
_DEFAULT = Network("relu", depth=2, weight_variance=2.0, bias_variance=0.1, trained="all")


class NTKRegressor(MultiOutputMixin, RegressorMixin, _KernelEstimator):
    """Kernel regression with the kernel of an infinitely wide network.

    With the tangent kernel it is what the network in the limit of infinite width, started at 0,
    predicts when it is trained on the squared loss for ever, or with a ridge as long as the ridge
    lets it (Jacot et al. 2018); with the NNGP kernel, the mean of the Gaussian process with noise.

    Parameters
    ----------
    network : Network, str or None
        Any network, or an activation's name.  Default: relu, two hidden layers, weight variance 2,
        bias variance 0.1, all trained.
    kernel : {"ntk", "nngp"}
    ridge : float
        What is added to the diagonal of the kernel matrix, over the mean of the diagonal.
    fan_in : bool
        Divide the weight variance of the first layer by the number of features, so that scaled
        features of any number are a network's usual input.

    Attributes
    ----------
    dual_coef_ : (n, outputs) ndarray
        Coefficients of the kernel at the training vectors.
    mean_ : (outputs,) ndarray
        Means of the targets, which are subtracted.
    ridge_ : float
        The number that was added to the diagonal.
    X_fit_ : (n, features) ndarray
    n_features_in_ : int

    Raises
    ------
    NtkspecError
        In `fit`, when the kernel matrix with the ridge is singular to rounding, and as
        `Network.ntk_matrix`.

    Notes
    -----
    Solved by Cholesky's factorization: n^3/3 multiplications and 8 n^2 bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkspec.sklearn import NTKRegressor
    >>> x = np.linspace(-1.0, 1.0, 30).reshape(-1, 1)
    >>> model = NTKRegressor(ridge=1e-4).fit(x, np.sin(3.0 * x[:, 0]))
    >>> bool(model.score(x, np.sin(3.0 * x[:, 0])) > 0.99)
    True
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NTKRegressor:
        """Fit to vectors X, (n, features), of any norm, and targets y, (n,) or (n, outputs)."""
        x, targets = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, multi_output=True
        )  # fmt: skip
        targets = np.asarray(targets, np.float64)
        self._single = targets.ndim == 1
        self._solve(x, targets.reshape(x.shape[0], -1))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Values at vectors, (n,) or (n, outputs) as the targets were."""
        found = self._outputs(X)
        return found[:, 0] if self._single else found


class NTKClassifier(ClassifierMixin, _KernelEstimator):
    """Classification by least squares on one-hot targets, with a network's kernel.

    Parameters and the attributes but `classes_` are those of `NTKRegressor`.

    Attributes
    ----------
    classes_ : (classes,) ndarray

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from ntkspec.sklearn import NTKClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> bool(NTKClassifier(ridge=1e-2).fit(x[::2], y[::2]).score(x[1::2], y[1::2]) > 0.9)
    True
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NTKClassifier:
        """Fit to vectors X, (n, features), of any norm, and their classes y, (n,)."""
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(np.asarray(y), return_inverse=True)
        self._solve(x, np.eye(self.classes_.size)[numbers])
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Values of the classes, (n, classes); for two, of the second less the first, (n,)."""
        found = self._outputs(X)
        return found[:, 1] - found[:, 0] if self.classes_.size == 2 else found

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Classes of vectors, (n,)."""
        numbers = np.argmax(self._outputs(X), axis=1)
        found: NDArray[Any] = self.classes_[numbers]
        return found
