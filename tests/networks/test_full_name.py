"""Two networks are never printed by one name."""

import itertools

import numpy as np
import pytest

import ntkspec
from ntkspec import Cube, Linear, Network, Residual, Torus, ZonalKernel, zonal
from ntkspec.networks.full_name import full_name
from ntkspec.tables.layout import GroupKey

NETWORKS = [
    Network("relu"),
    Network("relu", depth=2),
    Network("relu", weight_variance=2.0),
    Network("relu", weight_variance=2.0 + 2.0**-40),
    Network("relu", bias_variance=0.1),
    Network("relu", trained="all"),
    Network("relu", weights="sphere"),
    Network("relu", depth=2, normalize=True),
    Network(["relu", "tanh"]),
    Network(["tanh", "relu"]),
    Network("leaky_relu", slope=0.2),
    Network("leaky_relu", slope=0.3),
    Network.serial(Linear(), Residual("relu", Linear()), "relu", Linear()),
    zonal.gaussian(1.0),
    zonal.gaussian(2.0),
]


def prints(network):
    """Titles of what there is of a network on its own."""
    x = np.eye(3)
    makers = (
        lambda: ntkspec.spectrum(network, 3, [1]),
        lambda: ntkspec.spectrum(network, [3, 4], [1]),
        lambda: ntkspec.spectrum(network, Cube(3)),
        lambda: ntkspec.spectrum(network, Torus([[1]]), 1),
        lambda: ntkspec.data_spectrum(network, x, count=1),
        lambda: ntkspec.patches_spectrum(network, 2, 3, degrees=[1]),
        lambda: ntkspec.law(network, 3),
        lambda: ntkspec.fit(ntkspec.spectrum(network, 3, range(40)))[0],
    )
    found = []
    for make in makers:
        try:
            found.append(repr(make()).splitlines()[0].partition(":")[0])
        except ntkspec.NtkspecError:  # what these networks do not have
            found.append(None)
    return found


def test_full_names_differ():
    names = [full_name(one) for one in NETWORKS]
    assert len(set(names)) == len(names)
    groups = [GroupKey(one).name for one in NETWORKS]
    assert groups == names


def test_titles_differ():
    every = [prints(one) for one in NETWORKS]
    for one, other in itertools.combinations(every, 2):
        for mine, theirs in zip(one, other, strict=True):
            assert mine is None or mine != theirs
    for titles in zip(*every, strict=True):
        assert sum(title is not None for title in titles) >= 5


@pytest.mark.parametrize("network", [Network("relu", depth=2), ZonalKernel(lambda t: t * t)])
def test_scans_have_these_names(network):
    found = ntkspec.scan([network, "tanh"], [3], [0])
    assert found.columns()["network"].tolist() == [full_name(network), "tanh"]


def test_predictions_from_data_name_the_network():
    x = np.random.default_rng(0).standard_normal((20, 3))
    found = ntkspec.predict.from_data(Network("relu", depth=2), x, x[:, 0], samples=[5])
    assert "network = relu(depth=2)" in repr(found)
