"""Predictions from a slice of a table are those from the spectrum of the same domain."""

import numpy as np
import pytest

import ntkspec
from ntkspec import Cube, Gaussian, Network, Sphere
from ntkspec.errors import NtkspecError
from ntkspec.predict import (
    effective_dimension,
    learning_curve,
    learning_times,
    modes,
    samples_to_learn,
)

CASES = [
    (kind, network, kernel)
    for kind in (Sphere, Cube, Gaussian)
    for network in (Network("relu"), Network("erf", depth=2))
    for kernel in ("ntk", "nngp")
    # Two layers under the Gaussian measure take a minute.
    if kind is not Gaussian or (kernel == "ntk" and network.depth == 1)
]


@pytest.mark.parametrize(("kind", "network", "kernel"), CASES)
def test_a_slice_has_the_modes_of_its_domain(kind, network, kernel):
    """On the cube also where the slice has degrees that the dimension does not have."""
    dims, last = [3, 6], 7
    part = ntkspec.spectrum(network, list(map(kind, dims)), range(last + 1), kernel=kernel)
    for dim in dims:
        where = kind(dim)
        degrees = range(min(last, where.last_degree or last) + 1)
        whole = modes(ntkspec.spectrum(network, where, degrees, kernel=kernel))
        for chosen in (dim, where):
            found = modes(part, chosen)
            assert found.domain == where
            np.testing.assert_array_equal(found.degrees, whole.degrees)
            for name in ("log_eigenvalues", "log_multiplicities", "trace", "log_count"):
                np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
            np.testing.assert_allclose(found.rest, whole.rest, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [Cube, Gaussian])
def test_predictions_from_a_slice(kind):
    part = ntkspec.spectrum("relu", [kind(5)], range(6))
    whole = ntkspec.spectrum("relu", kind(5), range(6))
    for predict in (
        lambda s: learning_curve(s, samples=[30, 100], power={(2, 0): 1.0}, noise=0.1).test_error,
        lambda s: samples_to_learn(s, degrees=[1, 2]).samples,
        lambda s: learning_times(s, error=0.1, degrees=[1, 2]).times,
        lambda s: effective_dimension(s, ridge=1e-2).effective_dimension,
    ):
        np.testing.assert_allclose(predict(part), predict(whole), rtol=1e-9)
    for wrong, message in (
        (Sphere(5), "what is given is"), (4, "the slice of the table has 5"),
        (Gaussian(5, radial=2), "what is given is"),
    ):  # fmt: skip
        with pytest.raises(NtkspecError, match=message):
            modes(part, wrong)
    with pytest.raises(NtkspecError, match="laplacian"):
        learning_times(part, error=0.1, s=1.0, weight="laplacian", degrees=[1])
