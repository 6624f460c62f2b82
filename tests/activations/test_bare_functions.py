"""Bare functions are refused, negative eigenvalues are said, and users' functions pickle."""

import copy
import multiprocessing
import pickle
import warnings

import numpy as np
import pytest

import ntkspec
from ntkspec import (
    Network,
    NotPositiveDefiniteWarning,
    NtkspecError,
    ZonalKernel,
    predict,
    user_activation,
)
from ntkspec.spectra import table_block


def bend(x):
    return np.tanh(x)


def bend_slope(x):
    return 1 / np.cosh(x) ** 2


@pytest.mark.parametrize(
    "call",
    [
        lambda f: ntkspec.spectrum(f, 3, [1]),
        lambda f: ntkspec.eigenvalues(f, dim=3, degrees=[1, 3]),
        lambda f: ntkspec.certify(f, 3, [1]),
        lambda f: ntkspec.law(f, 3),
        lambda f: Network(f),
        lambda f: table_block(f, [2, 3], [0, 1]),
        lambda f: ntkspec.spectrum(f, ntkspec.Cube(4)),
        lambda f: ntkspec.spectrum(f, ntkspec.Gaussian(4)),
        lambda f: predict.fractional_variances(f, 4),
        lambda f: predict.learning_times(f, 3, error=0.1),
        lambda f: predict.effective_dimension(f, 3, ridge=0.1),
        lambda f: ntkspec.atlas().select(f),
    ],
)
@pytest.mark.parametrize("function", [np.tanh, abs, lambda t: t])
def test_a_bare_function_is_refused_with_both_ways_out(call, function):
    with pytest.raises(NtkspecError, match=r"user_activation.*ZonalKernel") as caught:
        call(function)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kernel", "negative"),
    [
        (lambda t: np.tanh(t), [3]),  # the odd coefficients of tanh alternate
        (lambda t: t - 0.2, [0]),
        (lambda t: t * t, []),  # lambda_0 = 1/3, lambda_2 = 2/15
        (lambda t: np.exp(t), []),
    ],
)
def test_a_negative_eigenvalue_is_reported(kernel, negative):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = ntkspec.spectrum(ZonalKernel(kernel), 3, [0, 1, 2, 3], tolerance=np.inf)
    said = [w for w in caught if issubclass(w.category, NotPositiveDefiniteWarning)]
    assert len(said) == bool(negative)
    for degree in negative:
        assert found.eigenvalues[degree] < 0 and f"degree {degree} is negative" in str(
            said[0].message
        )


def test_a_negative_eigenvalue_on_the_cube_is_said():
    with pytest.warns(NotPositiveDefiniteWarning, match="degree 1"):
        ntkspec.spectrum(
            ZonalKernel(lambda t: -t, arithmetic="flint"), ntkspec.Cube(4), degrees=[1]
        )


def _at_one(network):
    return float(network.nngp(1.0))


def test_functions_of_a_module_pickle_and_reach_another_process():
    sigma = user_activation(bend, bend_slope, symmetry="odd")
    for thing in (sigma, Network(sigma, depth=2), ZonalKernel(bend)):
        again = pickle.loads(pickle.dumps(thing))
        assert again == thing and hash(again) == hash(thing)
    assert user_activation(bend, bend_slope, symmetry="odd") == sigma
    assert user_activation(bend) != sigma
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_at_one, (Network(sigma),)) == _at_one(Network(sigma))


@pytest.mark.parametrize(
    "thing",
    [
        user_activation(lambda x: x),
        Network(user_activation(lambda x: x * x, lambda x: 2 * x)),
        ZonalKernel(lambda t: t),
    ],
)
def test_a_lambda_is_for_cloudpickle(thing):
    """As everywhere in Python: pickle takes only functions that a module defines by name."""
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(thing)
    assert copy.deepcopy(thing) == thing
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.loads(cloudpickle.dumps(thing))
