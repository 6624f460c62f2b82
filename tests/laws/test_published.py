"""Statements of the literature beside our numbers: docs/published.rst has their sources."""

import math

import numpy as np
import pytest

from ntkspec import Network, law, spectrum, zonal
from ntkspec.duals import Layers
from ntkspec.duals.layers import taylor_at_zero
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


#: Table 1 of Murray et al. 2022: per cent of K(1) in the first coefficients of K's power series.
MURRAY = {
    "relu": [43.944, 77.277, 93.192, 93.192, 95.403, 95.403],
    "tanh": [41.362, 91.468, 91.468, 97.487, 97.487, 99.090],
    "sigmoid": [91.557, 99.729, 99.729, 99.977, 99.977, 99.997],
    "density": [95.834, 95.834, 98.729, 98.729, 99.634, 99.634],
}
#: exp(-x^2 / 2), to be scaled by its norm, 1 / sqrt(2 pi).
BELL = f"gabor(0, {math.sqrt(0.5)!r})"


@pytest.mark.parametrize("name", MURRAY)
def test_murray_et_al_2022_first_coefficients(name):
    """One hidden layer, all trained, a readout bias of variance 1 - E[phi(Z)^2]: all 24 numbers."""
    scale = 1.0 if name != "density" else 0.5 / math.pi
    plain = Network(name if name in ("relu", "tanh", "sigmoid") else BELL, readout_variance=scale)
    bias = 1.0 - float(plain.nngp(1.0))
    network = Network(
        plain.activation, readout_variance=scale, readout_bias_variance=bias, trained="all"
    )
    # the first coefficients are the traces of the degrees, up to 1 / d: extrapolated
    near, far = (spectrum(network, dim, range(6)) for dim in (500_000, 1_000_000))
    series = 2.0 * far.eigenvalues * far.multiplicities - near.eigenvalues * near.multiplicities
    shares = 100.0 * np.cumsum(series) / float(network.ntk(1.0))
    assert shares.round(3).tolist() == MURRAY[name]


def yu_yang_and_townsend(degree, dim):
    """mu_l of the supplement as printed, for odd d: the surface's measure, K of trace 1/2."""
    half = (dim - 3) // 2
    first = (-1) ** degree * 2.0 * math.pi ** ((dim - 1) / 2)
    first /= (dim - 1) * 2**degree * math.gamma(degree + (dim - 1) / 2)
    if degree == 0:
        total = math.comb(dim - 1, half + 1) / ((dim - 1) * 2.0**dim)
        total += 2.0 ** (dim - 2) / ((dim - 1) * math.comb(dim - 2, half + 1))
        signed = ((-1) ** p * math.comb(half, p) / (2 * p + 1) for p in range(half + 1))
        return 0.5 * first * (total - 0.5 * sum(signed))
    total = 0.0
    for p in range((degree + 1) // 2, degree + half + 1):
        n = 2 * p - degree + (2 if degree % 2 == 0 else 1)
        term = {0: -0.5 / (n - 1), 1: 0.0}[degree % 2] if degree > 1 else 0.5 / (2 * p + 1)
        term += 0.5 / n * (1.0 - math.comb(n, n // 2) / 2.0**n)
        falling = math.factorial(2 * p) // math.factorial(2 * p - degree)
        total += (-1) ** p * math.comb(degree + half, p) * falling * term
    return 0.5 * first * total


@pytest.mark.parametrize("dim", [3, 5, 7, 9])
def test_yu_yang_and_townsend_2023_eigenvalues_lack_a_factor(dim):
    """As printed they are 1 / (d - 1) of the eigenvalues of (t + 1)(pi - arccos t) / (4 pi)."""
    network = Network("relu", bias="zero", bias_variance=1.0)
    found = spectrum(network, dim, range(7), normalization="surface").eigenvalues / 2.0
    printed = [yu_yang_and_townsend(degree, dim) for degree in range(7)]
    assert np.multiply(printed, dim - 1.0) == pytest.approx(found, rel=1e-10)


def bietti_and_bach(dim, power):
    """C(d, nu) / 2^(nu + 1) as printed in the proof of their theorem 1, version 4."""
    half = (dim - 1) / 2
    inner = math.gamma(dim / 2) / (math.sqrt(math.pi) * math.gamma(half))
    size = 2.0 ** (2 * power + dim - 2) * inner * math.gamma(power + half) ** 2
    size *= math.gamma(power + dim / 2) * math.gamma(half) * math.gamma(power + 1)
    size /= math.gamma(2 * power + dim - 1) * math.gamma(power + 2) * math.gamma(-power - 1)
    return size / math.gamma(-0.5) * 2.0 ** (dim + 2 * power - 1) / 2.0 ** (power + 1)


@pytest.mark.parametrize("dim", [3, 5, 10])
@pytest.mark.parametrize(
    "network, kernel, power, sizes",
    [
        # K = t (pi - arccos t) / (2 pi): even degrees
        (Network("relu"), "ntk", 0.5, [-0.5 * math.sqrt(2.0) / math.pi] * 2),
        # (pi - arccos t) / (2 pi): odd degrees
        (Network("step"), "nngp", 0.5,
         [-0.5 * math.sqrt(2.0) / math.pi, 0.5 * math.sqrt(2.0) / math.pi]),
        (Network("relu"), "nngp", 1.5, [math.sqrt(2.0) / (3.0 * math.pi)] * 2),
    ],
)  # fmt: skip
def test_bietti_and_bach_2021_constant_is_twice_the_printed_one(dim, network, kernel, power, sizes):
    """mu_k ~ (c_1 +- c_-1) 2 C k^(-d - 2 nu + 1), the degrees to 10^6."""
    degree = 10**6 if sizes[0] != -sizes[1] else 10**6 - 1
    found = spectrum(network, dim, [degree], kernel=kernel).log_eigenvalues[0]
    found += (dim + 2 * power - 1) * math.log(degree)
    both = sizes[0] + (-1) ** degree * sizes[1]
    assert math.exp(found) == pytest.approx(2.0 * bietti_and_bach(dim, power) * both, rel=1e-4)
    derived = law(network, dim=dim, kernel=kernel)
    assert math.exp(derived.log_constant) == pytest.approx(
        2.0 * bietti_and_bach(dim, power) * both, rel=1e-12
    )


@pytest.mark.parametrize("power", [1, 2, 4, 6, 12, 20])
@pytest.mark.parametrize("dim", [3, 10])
def test_arora_et_al_2019_norms_of_monomials(dim, power):
    """sqrt(y H^-1 y) <= 3 p for y = (b . x)^p, |b| = 1: points, the sphere, 1 / a_p, 9 p^2."""
    network = Network("relu")
    with working_precision(128):
        series = taylor_at_zero(Layers(network, "ntk"), power + 1)
    bound = 1.0 / float(series[power].mid())
    ours = spectrum(network, dim, range(power % 2, power + 1, 2))
    monomial = spectrum(zonal.polynomial(power, 0.0), dim, range(power % 2, power + 1, 2))
    norm = np.sum(ours.multiplicities * monomial.eigenvalues**2 / ours.eigenvalues)
    points = np.random.default_rng(7).standard_normal((60, dim))
    points /= np.linalg.norm(points, axis=1)[:, None]
    values = points[:, 0] ** power
    on_points = values @ np.linalg.solve(network.ntk_matrix(points), values)
    assert on_points <= norm * (1.0 + 1e-9)
    assert norm <= bound * (1.0 + 1e-12)
    assert bound <= 9.0 * power**2
