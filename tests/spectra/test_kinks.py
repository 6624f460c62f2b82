"""Activations with kinks away from 0: duals, spectra, laws and refusals.

The references integrate truncated moments and Owen's function (`ntkspec.reference.balls`), or the
plane by mpmath; they share no formula with the engine.
"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import acb, arb, arb_series

import ntkspec
from ntkspec import Linear, Network, Normalize, NtkspecError, Residual
from ntkspec.activations import Kink, activation, piecewise_polynomial, shifted_relu
from ntkspec.duals import Correlation, Layers
from ntkspec.duals.clipped import coefficients
from ntkspec.duals.layers import series_length, taylor_at_zero
from ntkspec.precision import working_precision
from ntkspec.reference.balls import Case, reference_spectra
from ntkspec.spectra import table_block
from ntkspec.spectra.kinks import KinkedRows
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds

NAMES = ["hard_tanh", "relu6", "hard_sigmoid", "hard_swish"]
SHIFTED = shifted_relu(0.5)


RULE = np.polynomial.legendre.leggauss(60)


def panels(edges):
    """Gauss-Legendre nodes and weights of the normal density between increasing edges."""
    x, w = RULE
    half = 0.5 * np.diff(np.clip(edges, -9, 9))[:, None]
    nodes = np.clip(edges, -9, 9)[:-1, None] + half * (1 + x)
    weights = half * w * np.exp(-0.5 * nodes**2) / np.sqrt(2 * np.pi)
    return nodes.ravel(), weights.ravel()


def plane(function, breaks, q, angle):
    """E[f(u) f(v)]: over u, and over v given u, both split at the breaks."""
    a, r, s = np.array(breaks) / np.sqrt(q), np.cos(angle), np.sin(angle)
    total = 0.0
    for x, weight in zip(*panels([-9.0, *a, 9.0]), strict=True):
        y, inner = panels([-9.0, *sorted((a - r * x) / s), 9.0])
        total += (
            weight * function(np.sqrt(q) * x) * (inner @ function(np.sqrt(q) * (r * x + s * y)))
        )
    return total


@pytest.mark.parametrize("angle", [0.7, 2.1])
@pytest.mark.parametrize("sigma", [*map(activation, NAMES), SHIFTED], ids=lambda x: x.name)
def test_duals_are_integrals_over_the_plane(sigma, angle):
    breaks = sorted({float(kink.place) for kink in sigma.kinks})
    with working_precision(80):
        for dual, function in zip(sigma.dual(arb(2)), (sigma.value, sigma.derivative), strict=True):
            found = float(dual(Correlation(arb(angle).cos(), arb(angle))))
            assert found == pytest.approx(plane(function, breaks, 2.0, angle), rel=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_duals_of_series_and_complex_balls_continue_those_of_balls(name):
    with working_precision(128), series_length(60):
        for dual in activation(name).dual(arb(1.5)):
            angle = arb_series([1.2, 1], 60)
            series = dual(Correlation(angle.cos(), angle))
            for step in (acb(0.1), acb(0.05, 0.08)):
                point = Correlation((acb(1.2) + step).cos(), acb(1.2) + step)
                total = sum((acb(series[n]) * step**n for n in range(60)), acb(0))
                assert abs(dual(point) - total) < 1e-20


@pytest.mark.parametrize("name", NAMES)
def test_a_dual_at_an_end_encloses_its_neighbours(name):
    with working_precision(100):
        for dual in activation(name).dual(arb(2)):
            for end in (arb(0), arb.pi()):
                wide = end + arb(0, 1e-6)
                inside = abs(end - arb(5e-7))
                found = dual(Correlation(wide.cos(), wide))
                assert found.contains(dual(Correlation(inside.cos(), inside)))


@pytest.mark.parametrize("q", [0.01, 0.7, 3.0, 400.0])
@pytest.mark.parametrize("sigma", [*map(activation, NAMES), SHIFTED], ids=lambda x: x.name)
def test_a_mean_square_widens_as_its_slope_says(sigma, q):
    full, radius = Correlation.full(), 1e-9 * q
    with working_precision(100):
        found = sigma.dual(arb(q, radius))[0](full)
        inside = [sigma.dual(arb(q + x * radius))[0](full) for x in (-0.99, -0.3, 0.5, 0.99)]
    assert all(found.contains(x) for x in inside)
    assert float(found.rad()) < 1.03 * max(abs(float((x - found.mid()).mid())) for x in inside)


@pytest.mark.parametrize("sigma", [*map(activation, NAMES), SHIFTED], ids=lambda x: x.name)
def test_no_variance_is_lost_in_great_depth(sigma):
    breaks = np.array(sorted({float(kink.place) for kink in sigma.kinks}))
    with working_precision(112):
        layers = Layers(Network(sigma, depth=60, weight_variance=2.0, bias_variance=0.1), "nngp")
    q = 2.1
    for found in layers.variances:
        assert found.rel_accuracy_bits() > 90
        assert float(found) == pytest.approx(q, rel=1e-11)
        z, weights = panels(np.array([-9.0, *breaks / np.sqrt(q), 9.0]))
        q = 2.0 * float(weights @ sigma.value(np.sqrt(q) * z) ** 2) + 0.1


def worst(network, kernel, dims, degrees, digits=18):
    """Largest relative error against the reference."""
    trained = network.trained if network.uniform else "hidden"
    case = [Case(dim, kernel, len(network.sigmas), trained) for dim in dims]
    found = reference_spectra(network, case, degrees, digits=digits)
    error = 0.0
    for dim, one in zip(dims, case, strict=True):
        spectrum = ntkspec.spectrum(network, dim, degrees, kernel=kernel)
        for m, e, bound, reference in zip(
            spectrum.mantissas, spectrum.exponents, spectrum.relative_error, found[one], strict=True
        ):
            assert reference.is_zero == (m == 0.0)
            if m:
                off = abs(float(m / (reference.value * 2 ** -int(e)) - 1))
                assert off <= bound
                error = max(error, off)
    return error


@pytest.mark.parametrize(
    "network",
    [
        Network("relu6", trained="all"),
        Network("hard_tanh", depth=2, bias_variance=0.1),
    ],
    ids=str,
)  # fmt: skip
def test_eigenvalues_of_the_reference(network):
    assert worst(network, "ntk", (3,), [0, 1, 2, 5], digits=15) < 1e-13


GENERAL = [
    Network(["hard_tanh", "relu6"]),
    Network(["hard_tanh", "gelu"], bias_variance=0.1),
    Network(["gaussian", "hard_tanh"]),
    Network(["relu", "gelu"]),
    Network(["relu", "hard_tanh"], bias="zero", bias_variance=1.0, readout_variance=2.0),
    Network("relu6", depth=2, normalize=True),
    Network("hard_tanh", depth=2, trained={3}),
]
MORE = [
    Network("hard_tanh", weight_variance=[2.0, 1.0], bias_variance=[0.1, 0.3]),
    Network("hard_tanh", readout_variance=2.0, readout_bias_variance=0.3),
    Network(["erf", "hard_tanh"]),
    Network(["sin", "hard_sigmoid"]),
    Network(["erf", "relu"]),
    Network(["relu", "erf"], bias_variance=1e-3),
    Network(["gaussian", "leaky_relu(0.3)"]),
    Network(["relu", "sin", "relu"], bias="zero", bias_variance=1.0),
    Network(["leaky_relu(-0.9)", "erf", "relu"]),
    Network(["gelu", "hard_swish"], bias_variance=0.2),
    Network(["snake(0.5)", "hard_tanh"], weight_variance=[1.0, 2.0], bias_variance=[0.0, 0.2]),
    Network(["relu_power(2)", "hard_tanh"]),
    Network(["abs", "abs", "hard_tanh"]),
    Network(["hard_tanh", "erf", "relu"], bias_variance=[0.1, 0.0, 0.0], trained={1, 4}),
    Network(["erf", "hard_tanh"], bias_variance=1e-6),
    Network(["leaky_relu(-0.95)", "hard_tanh"]),
    Network.serial(
        Linear(1.0, 0.1), Residual("hard_tanh", Linear(2.0), scale=0.5), Normalize(), "hard_tanh",
        Linear(1.0),
    ),
]  # fmt: skip


@pytest.mark.parametrize("network", GENERAL, ids=str)
def test_layers_that_differ(network):
    assert "kinks" in ntkspec.spectrum(network, 3, [5], kernel="nngp").route
    assert worst(network, "ntk", (3,), [0, 1, 2, 31], digits=15) < 1e-14


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("network", [*GENERAL, *MORE], ids=str)
def test_layers_that_differ_far_out(network, kernel):
    assert worst(network, kernel, (2, 3, 16), [0, 1, 5, 60, 99, 100, 199, 200, 256]) < 1e-13


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_wide_family(name, bias, depth):
    network = Network(name, depth=depth, bias_variance=bias, weight_variance=4.0, trained="all")
    degrees = [*range(12), 30, 31]
    for kernel in ("ntk", "nngp"):
        assert worst(network, kernel, (2, 3, 5, 16), degrees) < 1e-12


@pytest.mark.parametrize("depth,bias", [(1, 0.0), (2, 0.0), (2, 0.2)])
def test_a_shifted_relu_by_two_routes(depth, bias):
    network = Network(SHIFTED, depth=depth, bias_variance=bias)
    for dim in (2, 9):
        degrees = np.arange(9)
        fast, slow = (
            np.ldexp(*both_parities(rows, dim, degrees))
            for rows in (KinkedRows(network, "ntk"), BallSeeds.of_network(network, "ntk"))
        )
        np.testing.assert_allclose(fast, slow, rtol=2e-14)


@pytest.mark.parametrize("network", [Network("hard_tanh", depth=2), Network(SHIFTED, depth=2)])
def test_coefficients_from_the_circle_keep_their_bounds(network):
    found = coefficients(network, "nngp", 600)
    with working_precision(300):
        balls = taylor_at_zero(Layers(network, "nngp"), 160)
    for n, ball in enumerate(balls):
        if found.high[n]:
            assert abs(found.high[n] - ball) <= found.error[n] + 1e-16 * abs(found.high[n])


def test_far_degrees_follow_the_law():
    for network in (Network("hard_swish"), Network("relu6", depth=2), Network(SHIFTED)):
        law = ntkspec.law(network, 3)
        spectrum = ntkspec.spectrum(network, 3, [4000, 4001])
        for degree, value in zip((4000, 4001), spectrum.log_eigenvalues, strict=True):
            mine = law.of_parity(degree % 2)
            if mine is None:
                assert value == -np.inf
            else:
                assert value == pytest.approx(mine.log_eigenvalue(degree), abs=1e-3)


def test_tables_hold_the_spectra():
    network = Network("relu6", bias_variance=0.1)
    block = table_block(network, [2, 3, 4, 5, 6, 7, 8, 9], range(20))
    for i in (0, 1, 4, 7):
        row = ntkspec.eigenvalues(network, int(2 + i), range(20))
        np.testing.assert_allclose(block.eigenvalues[i], row, rtol=3e-14)


def test_high_dimensions_and_degrees():
    for dim, degrees in ((1000, [0, 3, 41]), (10**6, [1, 201]), (3, [1, 5001, 10**6 - 1])):
        spectrum = ntkspec.spectrum("hard_tanh", dim, degrees)
        assert "kinks" in spectrum.route
        assert np.all(spectrum.relative_error < 1e-13)
        assert np.all(np.isfinite(spectrum.log_eigenvalues[1:]))


def test_the_pointwise_kernel_of_a_user_in_doubles():
    mine = ntkspec.user_activation(
        lambda x: np.clip(x, -1, 1), lambda x: 1.0 * (np.abs(x) < 1), kinks=[-1.0, 1.0]
    )
    t = np.linspace(-1, 1, 9)
    known = Network("hard_tanh", depth=2)
    assert Network(mine, depth=2).ntk(t) == pytest.approx(known.ntk(t), abs=1e-12)


def test_what_is_refused():
    with pytest.raises(NtkspecError, match="no proof"):
        ntkspec.certify("hard_tanh", 3, [1])
    with pytest.raises(NtkspecError, match="list of numbers"):
        ntkspec.user_activation(np.abs, kinks=0.0)
    with pytest.raises(NtkspecError, match="order 1"):
        piecewise_polynomial("jump", (), [Kink(Fraction(1), 0, Fraction(1))])
    with pytest.raises(NtkspecError, match="threshold"):
        shifted_relu(float("nan"))


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["relu6", "shifted_relu(-2)", "shifted_relu(0.7)"])
@pytest.mark.parametrize(
    "options",
    [
        {"trained": "all", "readout_variance": 1 / 3, "readout_bias_variance": 0.3},
        {"trained": {2}, "readout_variance": 0.7},
        {"trained": "all", "parameterization": "mup", "readout_variance": 1.3},
    ],
)
def test_readouts_of_one_layer_by_two_routes(name, options, kernel):
    network = Network(name, weight_variance=0.6, **options)
    rows, balls = KinkedRows(network, kernel), BallSeeds.of_network(network, kernel)
    degrees = np.array([0, 1, 2, 3, 8, 13, 20])
    for provider in (rows, balls):
        provider.prepare(3, 3, 20, frozenset(degrees.tolist()))
    (m, e), (n, f) = both_parities(rows, 3, degrees), both_parities(balls, 3, degrees)
    assert np.array_equal(m == 0.0, n == 0.0)
    there = m != 0.0
    ratio = np.ldexp(m[there] / n[there], (e - f)[there])
    assert np.abs(ratio - 1.0).max() <= rows.relative_error + 4e-16
    assert rows.relative_error < 1e-13


@pytest.mark.parametrize("place", [39.0, -39.0])
def test_a_kink_far_out_leaves_no_range(place):
    # K(t) = t P(t), P'(s) = exp(-x^2 / (1 + s)) / (2 pi sqrt(1 - s^2)): by parts, s = 1 - v^2.
    degree = 5
    spectrum = ntkspec.spectrum(Network(shifted_relu(place)), 3, [degree])
    with mpmath.workdps(30):
        legendre = mpmath.taylor(lambda t: mpmath.legendre(degree, t), 0, degree)
        whole = [0, 0] + [c / (n + 2) for n, c in enumerate(legendre)]

        def integrand(v):
            s = 1 - v * v
            inner = sum(whole) - mpmath.polyval(whole[::-1], s)
            return inner * mpmath.exp(-(place**2) / (1 + s)) / mpmath.sqrt(1 + s)

        cuts = [mpmath.mpf(i) / 33 for i in range(40)]
        integral = mpmath.quad(integrand, cuts, method="gauss-legendre")
        expected = integral / (2 * mpmath.pi)
        assert float(abs(spectrum.log_eigenvalues[0] - mpmath.log(expected))) < 1e-12


def test_kinks_too_far_out_are_refused_at_once():
    with pytest.raises(NtkspecError, match=r"needs about 721.* move the kinks"):
        ntkspec.spectrum(Network(shifted_relu(1000.0)), 3, [5])


@pytest.mark.parametrize(("place", "depth"), [(1.0, 3), (1.0, 4), (0.5, 4), (0.5, 12)])
def test_layers_that_do_not_reach_their_kinks_are_refused_at_once(place, depth):
    """Without a bias the variances fall from layer to layer: K(1) is 2^-629592 at depth 3."""
    with pytest.raises(NtkspecError, match=r"needs about .* move the kinks|variance is lost"):
        ntkspec.spectrum(Network(shifted_relu(place), depth=depth), 3, range(6))


def test_a_shift_of_0_is_the_relu():
    assert shifted_relu(0.0) is activation("relu")
    assert shifted_relu(-1.5).name == "shifted_relu(-1.5)"
