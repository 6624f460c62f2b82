"""What Yang and Salman 2019 (arXiv:1907.10599) state of spectra on the cube of dimension 128.

Their figures are those of the notebook NeuralNetworkGeneralization in github.com/thegregyang/
NNspectra: all parameters trained, and a readout with the variances of the hidden layers.
"""

import math

import numpy as np
import pytest

from ntkspec import Cube, Network, spectrum
from ntkspec.predict import fractional_variances

DIM = 128


def shares(name, depths, kernel, weight, bias, degrees=range(9)):
    """Fractional variances, (depth, degree)."""
    return np.array(
        [
            fractional_variances(
                Network(name, depth=depth, weight_variance=weight, bias_variance=bias,
                        trained="all"),
                DIM, degrees, kernel=kernel, readout=(weight, bias),
            )
            for depth in depths
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [
        Network("relu", depth=2, bias_variance=0.1), Network("erf", depth=3),
        Network("tanh", bias_variance=0.5), Network("gelu"), Network("cos", depth=2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_theorem_4_1_simplicity_bias(network, kernel):
    """mu_0 >= mu_2 >= ... and mu_1 >= mu_3 >= ..., whatever the network."""
    logs = spectrum(network, Cube(24), kernel=kernel).log_eigenvalues
    for parity in (0, 1):
        chain = logs[parity::2]
        assert np.all(chain[1:] <= chain[:-1])


@pytest.mark.parametrize(
    "kernel, best", [("ntk", [3, 4, 6, 7, 8, 9]), ("nngp", [3, 4, 5, 6, 7, 7])]
)
def test_optimal_depth_of_relu_grows_with_the_degree(kernel, best):
    """Figure of the section "Deeper networks learn more complex features", (a) and (c)."""
    depths = list(range(1, 15))
    found = shares("relu", depths, kernel, 2.0, 0.0, range(3, 9))
    optimal = [depths[i] for i in found.argmax(axis=0)]
    assert optimal == best
    assert max(optimal) < depths[-1]  # "but not too deep"


@pytest.mark.slow
def test_optimal_depth_of_erf_grows_over_odd_degrees():
    """(b) and (d) of the same figure: s_w = 1, s_b = 0, odd degrees; much deeper than ReLU."""
    depths = [1, 2, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90]
    found = shares("erf", depths, "ntk", 1.0, 0.0, [1, 3, 5, 7])
    optimal = [depths[i] for i in found.argmax(axis=0)]
    assert optimal == sorted(optimal) and len(set(optimal)) >= 3
    assert optimal[-1] > 9
    assert not shares("erf", [3], "ntk", 1.0, 0.0, [2, 4]).any()


def test_no_bias_is_best():
    """ "For relu NTK and CK, s_b = 0 maximizes fractional variance in general" (k >= 1)."""
    for kernel in ("ntk", "nngp"):
        none, *others = (
            shares("relu", range(1, 11), kernel, 2.0, bias).max(axis=0)[1:]
            for bias in (0.0, 0.05, 0.5, 2.0)
        )
        assert all(np.all(none > other) for other in others)


def test_ntk_favours_more_complex_features():
    """ "Higher than that of CK when k is large, and vice versa when k is small"."""
    for depth in (1, 3, 8):
        tangent, conjugate = (shares("relu", [depth], k, 2.0, 0.1)[0] for k in ("ntk", "nngp"))
        assert tangent[0] < conjugate[0]
        assert np.all(tangent[2:] > conjugate[2:])


def doubles(network, degrees):
    """Differences of double step and binomial means in doubles, as their section 3 proposes."""
    values = network.ntk(np.linspace(-1.0, 1.0, DIM + 1))
    found = []
    for k in range(max(degrees) + 1):
        rest = DIM - 2 * k
        weights = np.array([math.comb(rest, i) for i in range(rest + 1)], float) / 2.0**rest
        found.append(values @ weights)
        values = (values[2:] - values[:-2]) / 4.0
    return np.array(found)[degrees]


def test_where_doubles_fail():
    """Their degrees, to 8, are safe in doubles, but for zeros; noise takes over further on."""
    network = Network("relu", depth=2, weight_variance=2.0, trained="all")
    degrees = np.arange(0, 49, 4)
    exact = spectrum(network, Cube(DIM), degrees).eigenvalues
    error = np.abs(doubles(network, degrees) / exact - 1.0)
    assert np.all(error[:3] < 1e-4)
    assert error.max() > 1.0
    odd = doubles(Network("relu"), [5])[0]
    assert odd != 0.0 and spectrum("relu", Cube(DIM), [5]).mantissas[0] == 0.0
