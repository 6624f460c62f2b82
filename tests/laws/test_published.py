"""Statements of the literature beside our numbers: docs/published.rst has their sources."""

import math

import numpy as np
import pytest

from ntkspec import Network, law, spectrum, zonal
from ntkspec.duals import Layers
from ntkspec.duals.singular import powers_at_one, root_at_one
from ntkspec.precision import working_precision


def leading(network, kernel):
    """The first power of 1 - t that is no whole number, and its coefficient."""
    with working_precision(128):
        powers = powers_at_one(Layers(network, kernel), root_at_one(network), 3)
        power, size = next((s, c) for s, c in powers if not c.contains(0))
        return float(power.p) / float(power.q), float(size.mid())


def test_basri_2019_on_the_circle():
    """One ReLU layer, no bias: coefficients of cos(k theta), and zeros at odd k > 1."""
    found = spectrum("relu", 2, range(40))
    cosines = found.eigenvalues * found.multiplicities
    assert cosines[0] == pytest.approx(1.0 / math.pi**2, rel=1e-14)
    assert cosines[1] == pytest.approx(0.25, rel=1e-14)
    k = np.arange(2, 40, 2)
    expected = 2.0 * (k**2 + 1.0) / (math.pi**2 * (k**2 - 1.0) ** 2)
    assert np.allclose(cosines[2::2], expected, rtol=1e-13, atol=0.0)
    assert not cosines[3::2].any()


def test_basri_2019_a_bias_that_starts_at_zero_removes_the_zeros():
    found = spectrum(Network("relu", bias="zero", bias_variance=1.0), 2, range(40))
    assert np.all(found.eigenvalues > 0.0)


@pytest.mark.parametrize("depth", [2, 3, 5, 8])
def test_bietti_and_bach_2021_growth_with_depth(depth):
    """The leading coefficients at t = 1 grow as L and as L (L + 1) / 2."""
    one, many = (
        Network("relu", depth=n, weight_variance=2.0, readout_variance=2.0, trained="all")
        for n in (1, depth)
    )
    (power, first), (same, last) = leading(one, "nngp"), leading(many, "nngp")
    assert power == same == 1.5 and last / first == pytest.approx(depth, rel=1e-12)
    (power, first), (same, last) = leading(one, "ntk"), leading(many, "ntk")
    assert power == same == 0.5
    assert last / first == pytest.approx(depth * (depth + 1) / 2, rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_bietti_and_bach_2021_step(depth):
    """The step's kernel has the power 1 / 2^L of 1 - t with L hidden layers as we count them."""
    assert leading(Network("step", depth=depth), "nngp")[0] == 0.5**depth


@pytest.mark.parametrize("dim", [3, 5, 10])
def test_geifman_2020_and_chen_and_xu_2020(dim):
    """The Laplace kernel and the NTK of ReLU networks decay by the same power, k^-d."""
    ours = law(Network("relu", depth=3, bias="zero", bias_variance=1.0), dim=dim)
    assert law(zonal.laplace(1.0), dim=dim).power == ours.power == -float(dim)


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0])
def test_belfer_2021_residual_networks_keep_the_exponent(scale):
    """Residual networks of ReLU have the decay of the others, with another constant."""
    from ntkspec import Linear, Residual

    block = Residual("relu", Linear(2.0), scale=scale)
    residual = law(Network.serial(Linear(), block, block, "relu", Linear()), dim=5)
    plain = law(Network("relu", depth=3, weight_variance=2.0, trained="all"), dim=5)
    assert residual.power == plain.power == -5.0
    assert residual.log_constant != plain.log_constant


def test_ho_takeishi_and_takeuchi_2025_three_eigenspaces():
    """Degrees 0, 1 and 2 hold 97.7 % of the trace in high dimensions: 1/2 + 3/(2 pi) there."""
    found = spectrum("relu", 10**6, range(3), kernel="nngp")
    share = np.sum(found.eigenvalues * found.multiplicities) / Network("relu").nngp(1.0)
    assert round(100.0 * share, 1) == 97.7
    assert share == pytest.approx(0.5 + 1.5 / math.pi, abs=1e-6)
