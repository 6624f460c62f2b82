"""Both sides of every switch between routes: which one serves, and how near it comes.

The references in data/switches.csv are from `ntkspec.reference.balls`, beside their generator.
"""

import mpmath
import numpy as np
import pytest
from switches import SUMS, SWITCHES, TAYLOR, stored

from ntkspec import Cube, Network, NtkspecError, certify, spectrum
from ntkspec.spectra import taylor
from ntkspec.spectra.cube import taylor as cube_taylor
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds
from ntkspec.spectra.sphere_routes import row_provider
from ntkspec.spectra.walk import is_walked, sphere_block

SIDES = [(switch, i, side) for switch, sides in SWITCHES.items() for i, side in enumerate(sides)]
NAMES = [f"{switch}, {i}" for switch, i, _ in SIDES]
STORED = stored()


@pytest.mark.parametrize(("switch", "number", "side"), SIDES, ids=NAMES)
def test_each_side_is_the_reference(switch, number, side):
    found = spectrum(side.network, side.domain, side.degrees, kernel=side.kernel)
    assert found.route.partition(":")[0] == side.route
    values = STORED[switch, number]
    for i, degree in enumerate(side.degrees):
        true = mpmath.mpf(values[degree])
        with mpmath.workdps(40):
            value = mpmath.ldexp(mpmath.mpf(float(found.mantissas[i])), int(found.exponents[i]))
            error = abs(value - mpmath.mpf(values[degree]))
            assert error <= abs(true) * (float(found.relative_error[i]) + 1e-19), degree
        assert found.relative_error[i] <= 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("degree", [721, 801])
def test_many_coefficients_composed_in_doubles(degree):
    network, degrees = Network("tanh", depth=2), np.array([degree])
    found = spectrum(network, 3, degrees)
    assert found.route.partition(":")[0] == TAYLOR
    mantissa, exponent = both_parities(BallSeeds.of_network(network, "ntk"), 3, degrees)
    ratio = np.ldexp(found.mantissas / mantissa, found.exponents - exponent)
    assert abs(ratio[0] - 1.0) <= found.relative_error[0] + 2.0**-52


@pytest.mark.parametrize(("dim", "proof"), [(2000, "intervals"), (2001, "Taylor coefficients")])
@pytest.mark.parametrize("name", ["gelu", "tanh"])
def test_both_proofs_enclose_the_spectrum(name, dim, proof):
    degrees = [0, 1, 4, 5]
    found, network = spectrum(name, dim, degrees), Network(name)
    certificate = certify(network, dim, degrees, digits=20)
    assert proof in certificate.method
    for i in range(len(degrees)):
        low, high = certificate.lower[i], certificate.upper[i]
        with mpmath.workdps(40):
            value = mpmath.ldexp(mpmath.mpf(float(found.mantissas[i])), int(found.exponents[i]))
            slack = abs(value) * float(found.relative_error[i])
            assert low - slack <= value <= high + slack


def test_elu_is_proved_by_its_series_in_any_dimension():
    assert "Taylor coefficients" in certify(Network("elu"), 500, [0, 3], digits=15).method


@pytest.mark.parametrize(("dims", "walks"), [((64, 65, 66), False), ((64, 65, 66, 67), True)])
@pytest.mark.parametrize("network", [
    Network("relu"), Network("relu", depth=2, bias_variance=0.1), Network("tanh", depth=2),
    Network("relu", depth=13),
])  # fmt: skip
def test_walked_and_separate_dimensions_are_the_spectrum(network, dims, walks):
    dims, degrees = np.array(dims), np.arange(8)
    assert is_walked(row_provider(network, "ntk"), dims, degrees) is walks
    value, _, error = sphere_block(network, "ntk", dims, degrees)
    for row, bound, dim in zip(value, error, dims.tolist(), strict=True):
        alone = spectrum(network, dim, degrees)
        allowed = np.abs(alone.eigenvalues) * (bound + alone.relative_error)
        assert np.all(np.abs(row - alone.eigenvalues) <= allowed)


@pytest.mark.parametrize(("most", "route"), [(64, TAYLOR), (32, SUMS)])
def test_the_cube_falls_back_to_sums_over_its_points(monkeypatch, most, route):
    network = Network("silu", depth=2, bias_variance=0.125)
    true = spectrum(network, Cube(100), [0, 1, 2]).eigenvalues
    monkeypatch.setattr(taylor, "MOST_COMPOSED", most)
    found = spectrum(network, Cube(100), [0, 1, 2])
    assert found.route.partition(":")[0] == route
    assert found.eigenvalues == pytest.approx(true, rel=1e-13)


def test_a_cube_of_too_many_points_is_refused(monkeypatch):
    monkeypatch.setattr(taylor, "MOST_COMPOSED", 32)
    monkeypatch.setattr(cube_taylor, "MOST_POINTS", 99)
    with pytest.raises(NtkspecError, match="lower the degree"):
        spectrum(Network("silu", depth=2, bias_variance=0.25), Cube(100), [0, 1, 2])
