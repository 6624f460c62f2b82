"""The derived laws against the spectrum itself."""

import numpy as np
import pytest

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.spectra import eigenvalues
from ntkspec.spectra.laws import law


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("dim", [2, 3, 7])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_the_spectrum_tends_to_its_law_constant_included(name, dim, kernel):
    net = Network(name, weight_variance=1.7)
    one = law(net, dim, kernel)
    degrees = np.array([1000, 8000]) + one.parity
    log = eigenvalues(net, dim, degrees, kernel, log=True)
    distance = np.abs(log - one.log_eigenvalue(degrees))
    # The next term falls as k^-1 or faster (kinks), as k/n* = k^(-1/3) (poles).
    order = 1.0 if one.kind == "power" else 1 / 3
    assert distance[1] < 0.4
    assert distance[1] <= distance[0] * 8.0**-order * 1.3 + 1e-10


def test_exponents():
    assert law("relu", 5).power == -5.0
    assert law("relu", 5, "nngp").power == -7.0
    stretched = law("tanh", 3)
    assert (stretched.kind, stretched.stretch) == ("stretched", 2 / 3)
    assert stretched.rate == pytest.approx(1.5 * np.pi ** (2 / 3))
    assert law("sigmoid", 3).rate == pytest.approx(1.5 * (2 * np.pi) ** (2 / 3))


def test_a_linear_network_has_no_law():
    with pytest.raises(NtkspecError, match="slope"):
        law(Network("leaky_relu", slope=1.0))
