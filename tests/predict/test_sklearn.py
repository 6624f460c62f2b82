"""The estimators of `ntkspec.sklearn`."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from ntkspec import Network
from ntkspec.errors import NtkspecError
from ntkspec.sklearn import NTKClassifier, NTKRegressor

X, Y = load_diabetes(return_X_y=True)


@parametrize_with_checks([NTKRegressor(), NTKClassifier()])
def test_what_scikit_learn_asks_of_estimators(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_it_is_kernel_ridge_regression(kernel):
    """scikit-learn's own solver, given the same matrices."""
    network = Network("gelu", depth=2, bias_variance=0.2, trained="all")
    model = NTKRegressor(network, kernel=kernel, ridge=1e-3, fan_in=False).fit(X[:200], Y[:200])
    matrix = network.ntk_matrix if kernel == "ntk" else network.nngp_matrix
    gram = matrix(X[:200])
    assert model.ridge_ == pytest.approx(1e-3 * np.mean(np.diag(gram)))
    other = KernelRidge(alpha=model.ridge_, kernel="precomputed").fit(
        gram, Y[:200] - Y[:200].mean()
    )
    right = other.predict(matrix(X[200:], X[:200])) + Y[:200].mean()
    np.testing.assert_allclose(model.predict(X[200:]), right, rtol=1e-9)


def test_several_outputs_are_single_ones():
    both = np.stack([Y, Y**2], axis=1)
    found = NTKRegressor().fit(X, both).predict(X[:5])
    for i in (0, 1):
        one = NTKRegressor().fit(X, both[:, i]).predict(X[:5])
        np.testing.assert_allclose(found[:, i], one, rtol=1e-9)


def test_digits_are_told_apart():
    x, y = load_digits(return_X_y=True)
    model = NTKClassifier(Network("relu", depth=2, trained="all")).fit(x[:600], y[:600])
    assert model.score(x[600:1200], y[600:1200]) > 0.9
    assert model.decision_function(x[:3]).shape == (3, 10)


def test_it_stands_in_pipelines_and_searches():
    model = make_pipeline(StandardScaler(), NTKRegressor("erf", ridge=0.1))
    assert np.mean(cross_val_score(model, X, Y, cv=3)) > 0.3
    networks = [Network("relu", trained="all"), Network("gelu", depth=2)]
    search = GridSearchCV(NTKRegressor(), {"network": networks, "ridge": [0.1, 1.0]}, cv=2)
    assert search.fit(X, Y).best_params_["network"] in networks
    assert clone(NTKRegressor(networks[0])).get_params()["network"] == networks[0]


def test_booleans_are_classes_and_numbers():
    x = np.random.default_rng(2).standard_normal((40, 3))
    y = x[:, 0] > 0
    classes = NTKClassifier(ridge=1e-2).fit(x, y).predict(x)
    assert classes.dtype == bool and np.mean(classes == y) > 0.9
    right = NTKRegressor(ridge=1e-2).fit(x, y.astype(float)).predict(x)
    assert np.array_equal(NTKRegressor(ridge=1e-2).fit(x, y).predict(x), right)


def test_a_singular_matrix_is_refused_with_a_sentence():
    x = np.concatenate([X[:20], X[:1]])
    with pytest.raises(NtkspecError, match=r"21 vectors is singular.*ridge = 0.*1e-8"):
        NTKRegressor(ridge=0.0).fit(x, Y[:21])
    assert NTKRegressor(ridge=1e-8).fit(x, Y[:21]).ridge_ > 0.0
    with pytest.raises(NtkspecError, match="the kernel of all 21 vectors is 0; give vectors that"):
        NTKRegressor("relu").fit(0.0 * x, Y[:21])


@pytest.mark.parametrize(
    "parameters, words",
    [({"ridge": -1.0}, "ridge"), ({"kernel": "rbf"}, "kernel"), ({"network": "rellu"}, "relu")],
)
def test_parameters_that_are_not_allowed(parameters, words):
    with pytest.raises(NtkspecError, match=words):
        NTKRegressor(**parameters).fit(X, Y)
