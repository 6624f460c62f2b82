"""Functions known in doubles only: default tolerances and degrees, against catalogued twins."""

import numpy as np
import pytest

import ntkspec
from ntkspec import Network, NtkspecError, user_activation

#: Functions of doubles, what is declared, and catalogued activations with the same values.
TWINS = {
    "softplus": (lambda x: np.log1p(np.exp(x)), {"polynomial": 1}),
    "tanh": (np.tanh, {}),
    "relu": (lambda x: np.maximum(x, 0.0), {"polynomial": 1}),
}


@pytest.fixture(params=TWINS)
def twins(request):
    function, declared = TWINS[request.param]
    with pytest.warns(UserWarning, match="exact"):
        mine = user_activation(function, name="mine", **declared)
    return mine, request.param


def depth_of(name):
    """One layer where two take seconds."""
    return 1 if name == "relu" else 2


@pytest.mark.parametrize(("depth", "normalization"), [(1, "surface"), (2, "probability")])
def test_the_default_gives_the_leading_degrees_with_bounds_that_hold(twins, depth, normalization):
    mine, name = twins
    found = ntkspec.spectrum(Network(mine, depth=depth), 3, normalization=normalization)
    count = len(found)
    assert found.degrees.tolist() == list(range(count)) and count >= 4
    assert found.relative_error.max() <= 1e-6
    exact = ntkspec.eigenvalues(
        Network(name, depth=depth), 3, range(count + 1), normalization=normalization
    )
    allowed = (found.relative_error + 1e-13) * exact[:count]
    assert np.all(np.abs(found.eigenvalues - exact[:count]) <= allowed)
    if count < 101:
        with pytest.raises(NtkspecError, match=f"degree = {count}: .*tolerance = 1e-06"):
            ntkspec.spectrum(Network(mine, depth=depth), 3, [0, count])
        beyond = ntkspec.spectrum(
            Network(mine, depth=depth), 3, count, normalization=normalization, tolerance=np.inf
        )
        bound = beyond.relative_error * np.abs(beyond.eigenvalues)
        assert beyond.relative_error[0] > 1e-6
        assert abs(beyond.eigenvalues[0] - exact[count]) <= bound[0]


def test_an_explicit_tolerance_is_a_promise(twins):
    net = Network(twins[0], depth=depth_of(twins[1]))
    for tolerance in (1e-9, 1e-3):
        assert ntkspec.spectrum(net, 3, tolerance=tolerance).relative_error.max() <= tolerance
    with pytest.raises(NtkspecError, match=r"degree = [01]: .*tolerance = 1e-16"):
        ntkspec.spectrum(net, 3, tolerance=1e-16)


def test_predictions_patches_and_densities_take_the_same_default(twins):
    nets = tuple(Network(sigma, depth=depth_of(twins[1])) for sigma in twins)
    known = ntkspec.spectrum(nets[0], 3)
    patches = ntkspec.patches_spectrum(nets[0], 2, 3)
    assert np.array_equal(np.unique(patches.degrees), known.degrees)
    times, exact = (
        ntkspec.predict.learning_times(net, dim=3, error=0.1, degrees=[1, 2]) for net in nets
    )
    np.testing.assert_allclose(times.times, exact.times, rtol=2e-6)
    dense = ntkspec.Sphere(3, density="von_mises(1)")
    few, exact = (ntkspec.spectrum(net, dense, count=4) for net in nets)
    np.testing.assert_allclose(few.eigenvalues, exact.eigenvalues, rtol=1e-2)


def test_kernels_of_deep_networks_of_doubles_need_no_tolerance(twins):
    mine, name = twins
    t = np.linspace(-1.0, 1.0, 9)
    x = np.stack([np.cos(t), np.sin(t)], axis=1)
    deep, exact = Network(mine, depth=3), Network(name, depth=3)
    top = float(exact.ntk(1.0))
    value, error = deep.with_error(t)
    assert error.max() <= 1e-6 * top
    assert np.all(np.abs(value - exact.ntk(t)) <= error + 1e-13 * top)
    np.testing.assert_allclose(deep.ntk(t), exact.ntk(t), atol=1e-6 * top)
    np.testing.assert_allclose(deep.nngp_matrix(x), exact.nngp_matrix(x), atol=1e-6 * top)
    with pytest.raises(NtkspecError, match="tolerance = 1e-16"):
        deep.ntk(t, tolerance=1e-16)
