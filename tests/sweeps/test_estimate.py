"""Estimates of blocks before they are computed; `bench/estimate.py` has the ratios."""

import math
import time

import numpy as np
import pytest
from draws import examples
from hypothesis import example, given
from hypothesis import strategies as st

from ntkspec.activations import ACTIVATIONS
from ntkspec.networks import Network
from ntkspec.spectra import table_block
from ntkspec.spectra.walk import is_walked
from ntkspec.sweeps.estimate import memory, seconds

BLOCKS = [(np.arange(2, 40), np.arange(100)), (np.array([3]), np.array([0, 7, 50]))]


#: Those whose layers take long in great depth, and elu, exp and polynomial, whose variances leave
#: any range.
SLOW = ("mish", "softsign", "finer", "elu", "exp", "selu", "celu", "gabor", "snake", "polynomial")


@examples(2, 6)
@example("sin", 11, 1e4, 0.0, [2], [0])  # each layer knows its variance once
@example("tanh", 1, 0.01, 1e4, [2], [254])  # fewer derivatives are in range than are asked for
@given(
    st.sampled_from([name for name in ACTIVATIONS if name not in SLOW]),
    st.integers(1, 100),
    st.sampled_from([0.01, 1.0, 1e4]),
    st.sampled_from([0.0, 1e4]),
    st.lists(st.integers(2, 10**6), min_size=1, max_size=9, unique=True).map(sorted),
    st.lists(st.integers(0, 10**5), min_size=1, max_size=9, unique=True).map(sorted),
)
def test_any_block_has_an_estimate(activation, depth, weight, bias, dims, degrees):
    network = Network(activation, depth=depth, weight_variance=weight, bias_variance=bias)
    kernel = "nngp" if activation == "step" else "ntk"
    spent = seconds(network, kernel, np.array(dims), np.array(degrees))
    assert 0.0 < spent < math.inf
    assert memory(network, kernel, np.array(dims), np.array(degrees)) > 0


@pytest.mark.parametrize("network", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("dims,degrees", BLOCKS)
def test_the_estimate_is_of_the_right_size(network, dims, degrees):
    network = Network(network)
    spent = []
    for _ in range(5):
        start = time.process_time()
        table_block(network, dims, degrees)
        spent.append(time.process_time() - start)
    assert 1 / 6 < seconds(network, "ntk", dims, degrees) / min(spent) < 6


@pytest.mark.parametrize(
    "network",
    [
        Network("relu"),
        Network("tanh"),
        Network("relu", depth=3),
        Network("tanh", bias_variance=0.1),
        Network("relu", weights="sphere"),
    ],
)
def test_more_work_costs_more(network):
    dims, degrees = np.arange(2, 60), np.arange(200)
    whole = seconds(network, "ntk", dims, degrees)
    assert seconds(network, "ntk", dims[:30], degrees) < whole
    assert seconds(network, "ntk", dims, degrees[:100]) < whole
    assert memory(network, "ntk", dims[:30], degrees) < memory(network, "ntk", dims, degrees)


def test_depth_and_precision_cost():
    dims, degrees = np.arange(2, 60), np.arange(200)
    shallow, deep = (
        seconds(Network("tanh", depth=depth), "ntk", dims, degrees) for depth in (1, 4)
    )
    assert deep > 20 * shallow


def test_thin_blocks_go_row_by_row():
    from ntkspec.spectra.sphere_routes import row_provider

    source = row_provider(Network("relu"), "ntk")
    assert is_walked(source, np.arange(2, 40), np.arange(100))
    assert is_walked(source, np.arange(2, 40, 2), np.arange(0, 100, 2))
    assert not is_walked(source, np.arange(2, 40, 3), np.arange(0, 100, 2))
    assert not is_walked(source, np.arange(2, 5), np.arange(100))


def test_an_estimate_takes_no_time():
    dims, degrees = np.arange(2, 66), np.arange(32769)
    seconds(Network("tanh"), "ntk", dims, degrees)
    start = time.process_time()
    for _ in range(100):
        seconds(Network("tanh"), "ntk", dims, degrees)
    assert time.process_time() - start < 0.2
