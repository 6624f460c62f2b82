"""The shifted contour on the circle against the ball seeds and the independent reference."""

import math

import numpy as np
import pytest

from ntkspec import Network, NtkspecError, Sphere, spectrum
from ntkspec.duals import Layers
from ntkspec.precision import working_precision
from ntkspec.reference.balls import reference_spectrum
from ntkspec.spectra import contour
from ntkspec.spectra.routes import chosen_route
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds

NETWORKS = [
    (Network("gelu", trained="all"), "ntk", range(120)),
    (Network("gelu", depth=4, bias_variance=0.1), "ntk", range(60)),
    (Network("gelu", depth=2, weight_variance=9.0, bias_variance=10.0), "nngp", [7, 150]),
    (Network("erf", depth=3, trained="all"), "ntk", range(100)),
    (Network("erf", weight_variance=0.1, bias_variance=1e-6), "ntk", range(40)),
    (Network("sin"), "ntk", range(100)),
    (Network("sin", depth=4, weight_variance=9.0), "ntk", [0, 1, 2, 101]),
    (Network("cos", depth=3, weight_variance=0.2, bias_variance=0.01), "nngp", range(60)),
    (Network("gaussian", depth=4, trained="all", bias_variance=1.0), "ntk", range(100)),
]


@pytest.mark.parametrize("network,kernel,degrees", NETWORKS)
def test_every_bit_is_that_of_the_ball_seeds(network, kernel, degrees):
    found = spectrum(network, 2, degrees, kernel=kernel)
    assert found.route.startswith("shifted contour")
    mantissas, exponents = both_parities(
        BallSeeds.of_network(network, kernel), 2, np.array(degrees, np.int64)
    )
    assert np.array_equal(found.mantissas, mantissas)
    assert np.array_equal(found.exponents, exponents)
    assert found.relative_error.max() <= 2.0**-52


def test_the_reference_agrees():
    network = Network("gelu", depth=2, bias_variance=0.1, trained="all")
    degrees = [0, 1, 2, 15]
    for k, reference in zip(degrees, reference_spectrum(network, 2, degrees, digits=20)):
        assert math.isclose(spectrum(network, 2, k)[k], float(reference.value), rel_tol=3e-16)


@pytest.mark.parametrize("name", ["gelu", "sin"])
def test_enclosures_hold_with_too_few_points(name):
    """The bound on the aliases is wide then, and true."""
    network = Network(name, depth=2, bias_variance=0.1)
    degrees = np.arange(40)
    exact = spectrum(network, 2, degrees)
    with working_precision(140):
        layers = Layers(network, "ntk")
        growth = contour.growth_of(layers, 39)
        for shift in (5, 15, 28):
            for points in (48, 64, 96):
                few = contour.Contour(shift, points, degrees)
                balls = contour.enclosed(layers, growth, few, None)
                for k, ball in enumerate(balls):
                    low, high = float(ball.lower()), float(ball.upper())
                    assert low <= exact[k] * (1 + 1e-15) and exact[k] * (1 - 1e-15) <= high


def test_no_eigenvalue_exceeds_the_growth_of_its_kernel():
    network = Network("gaussian", depth=3, bias_variance=0.5)
    degrees = np.arange(80)
    with working_precision(80):
        growth = contour.growth_of(Layers(network, "ntk"), 79)
    logs = spectrum(network, 2, degrees).log_eigenvalues
    assert np.all(logs[:, np.newaxis] <= growth.log_bounds(degrees))
    # The best bounds are not far off: the contours are chosen by them.
    assert np.all(growth.log_bounds(degrees).min(axis=1) - logs < contour.BELOW)


def test_far_degrees_and_few_of_them():
    """Degrees where sums over real angles would need more bits than are allowed."""
    found = spectrum(Network("sin"), 2, [1001, 8001])
    assert found.exponents[1] < -100_000 and found.relative_error.max() <= 2.0**-52
    with working_precision(80):
        # lambda_k = s_w e^(-s_w) (I_(k-1)(s_w) + I_(k+1)(s_w)) / 2
        from flint import arb

        bessel = arb(1).bessel_i(8000) + arb(1).bessel_i(8002)
        log = float(((-arb(1)).exp() * bessel / 2).log())
    assert math.isclose(found.log_eigenvalues[1], log, rel_tol=3e-16)


def test_an_eigenvalue_that_hardly_differs_from_zero():
    """The odd degrees of a kernel that is almost even keep every digit."""
    network = Network("cos", depth=1, bias_variance=1e-12)
    found = spectrum(network, 2, [0, 1, 2, 3])
    mantissas, _ = both_parities(BallSeeds.of_network(network, "ntk"), 2, np.arange(4))
    assert np.array_equal(found.mantissas, mantissas)


@pytest.mark.parametrize("network,dim,name", [
    (Network("gelu"), 2, "shifted contour"),
    (Network("erf", depth=5, bias_variance=0.1), 2, "shifted contour"),
    (Network("gelu"), 3, None),
    (Network("tanh", depth=2), 2, None),
    (Network("relu", depth=2), 2, None),
    (Network("sin", weights="sphere"), 2, "integrals of the activation"),
])  # fmt: skip
def test_both_sides_of_the_switch(network, dim, name):
    route, _ = chosen_route(network, Sphere(dim), "ntk")
    assert route.name == name if name else route.name != "shifted contour"


def test_what_is_too_far_below_its_bound_is_refused(monkeypatch):
    network = Network("cos", bias_variance=1e-280)
    assert spectrum(network, 2, [15]).exponents[0] < -930
    monkeypatch.setattr(contour, "MOST_BELOW", 100.0)
    with pytest.raises(NtkspecError, match="bias_variance"):
        spectrum(network, 2, [17])
