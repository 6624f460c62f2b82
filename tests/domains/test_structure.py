"""What domains own, how they are chosen, and which route computes a spectrum on them."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import ntkspec
from ntkspec import Cube, Gaussian, Network, NtkspecError, Sphere, ZonalKernel, predict, spectrum
from ntkspec.cli import main
from ntkspec.domains import as_domain, named_domain


def test_a_kernel_is_the_sum_of_its_zonal_functions():
    """K(t) = sum_k N_k lambda_k P_k(t), by the pointwise kernel."""
    network = Network("tanh", trained="all")
    for domain, degrees in ((Sphere(10), range(80)), (Cube(10), None)):
        s = spectrum(network, domain, degrees)
        t = np.array([1.0, 0.6, 0.0, -0.2, -1.0])
        total = (s.multiplicities * s.eigenvalues) @ domain.zonal(s.degrees, t)
        np.testing.assert_allclose(total, network.ntk(t), rtol=1e-12, atol=1e-14)


def test_domains_name_themselves_in_titles():
    titles = [spectrum("relu", domain, [0]).title() for domain in (3, Cube(3), Gaussian(3))]
    places = ("on the sphere", "on the cube", "under the Gaussian measure")
    assert titles == [f"Spectrum of relu {one}, dim = 3 (ntk, probability)" for one in places]


def test_zonal_functions_have_a_row_for_each_degree():
    for domain in (Sphere(4), Cube(4), Gaussian(4)):
        assert domain.zonal([0, 1], []).shape == (2, 0)
        assert domain.zonal([0, 1, 2], 1.0).tolist() == [[1.0], [1.0], [1.0]]


def test_domains_are_values():
    assert Sphere(3) == Sphere(3.0) != Cube(3) and len({Cube(4), Cube(4), Gaussian(4)}) == 2
    assert spectrum("relu", 5).domain == spectrum("relu", dim=5).domain == Sphere(5)
    assert spectrum("relu", Cube(4)).degrees.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spectrum("relu", 3, dim=4), "domain = 3 and dim = 4 are both given"),
        (lambda: spectrum("relu", "cube"), r"domain = 'cube' is not allowed; give a dimension"),
        (lambda: spectrum("relu", "cube", dim=20), r"such as ntkspec\.Cube\(20\)$"),
        (lambda: spectrum("relu", "Gaussian", dim=20), r"such as ntkspec\.Gaussian\(20\)$"),
        (lambda: spectrum("relu", Cube, dim=7), r"such as ntkspec\.Cube\(7\)$"),
        (
            lambda: spectrum("relu", "cube", dim=[3, 5]),
            r"\[ntkspec\.Cube\(d\) for d in \[3, 5\]\]$",
        ),
        (lambda: ntkspec.law("relu", "cube", dim=20), r"such as ntkspec\.Cube\(20\)$"),
        (lambda: ntkspec.law("relu", "ball"), r"such as ntkspec\.Ball\(30\)$"),
        (lambda: spectrum("relu", "torus", dim=1), r"such as ntkspec\.Torus\("),
        (lambda: spectrum("relu", "square", dim=3), r"domain = 'square' and dim = 3 .*Cube\(3\)$"),
        (lambda: as_domain(Cube), "give a dimension"),
        (lambda: Sphere(1), "dim = 1 is not allowed; it must be a whole number from 2"),
        (lambda: Gaussian(3, radial=13), "radial = 13 is not allowed"),
        (lambda: named_domain("torus", 3), "use one of sphere, cube, gaussian"),
        (lambda: named_domain("cube", 3, radial=2), "radial = 2 is not a parameter of"),
        (lambda: spectrum(ZonalKernel(np.exp), Gaussian(3)), "has no values off the sphere"),
        (lambda: spectrum(ZonalKernel(np.exp), [2, 3]), "which is not enough for tables"),
        (lambda: spectrum("relu", [2, 3], normalization="surface"), "with several dimensions"),
        (lambda: spectrum("relu", Cube(3), normalization="surface"), "not allowed on the cube"),
        (lambda: Cube(4).zonal([1], [0.3]), "it must be 1 - 2j/4"),
        (lambda: Sphere(4).zonal([1], [1.3]), r"cosines must lie in \[-1, 1\]"),
        (lambda: Cube(4).log_multiplicity([5]), "the cube of dimension 4 has degrees 0 to 4"),
        (lambda: Cube(4).multiplicity([-1]), "degree = -1 is not allowed"),
        (lambda: Sphere(4).zonal([1], "x"), "t = 'x' is not allowed; give numbers"),
        (lambda: Gaussian(4).zonal([1], 1j), "t = 1j is not allowed; give numbers"),
        (lambda: spectrum(ZonalKernel(np.exp), 3, kernel="rbf"), "kernel = 'rbf' is not allowed"),
        (lambda: spectrum(ZonalKernel(lambda t: "a"), 3), "kernel failed at an array of numbers"),
        (lambda: spectrum(ZonalKernel(lambda t: t + 0j), 3), "it returned complex numbers"),
        (lambda: spectrum("relu", [3, 2], [0]), r"dims = \[3, 2\] is not allowed for several"),
        (lambda: spectrum("relu", [2, 3], [1, 0]), r"degrees = \[1, 0\] is not allowed for sev"),
        (lambda: ntkspec.certify("tanh", Gaussian(3)), "no proof is known there"),
        (lambda: predict.modes(spectrum("relu", Cube(3)), Cube(4)), "is on the cube, dim = 3"),
    ],
)
def test_refusals_say_what_to_do(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()


@pytest.mark.parametrize(
    ("network", "domain", "route"),
    [
        (Network("relu"), Sphere(3), "closed form: one piecewise linear layer without bias"),
        (Network("tanh"), Sphere(3), "positive series: one layer of tanh or sigmoid"),
        (Network("erf"), Sphere(3), "Taylor series: Taylor coefficients at t = 0, all positive"),
        (Network("tanh", weights="sphere"), Sphere(3), "integrals of the activation"),
        (ZonalKernel(np.exp), Sphere(3), "quadrature in doubles: a function of doubles"),
        (Network("tanh"), Cube(3), "positive series"),
        (Network("relu"), Cube(3), "sums over the cube"),
        (Network("relu", depth=2), Gaussian(3), "sphere times a moment of the radius"),
        (Network("erf"), Gaussian(3), "Gram matrix of Hermite coefficients"),
    ],
)
def test_the_route_is_named_with_its_reason(network, domain, route):
    assert spectrum(network, domain, [1], tolerance=np.inf).route.startswith(route)


def test_several_dimensions_are_a_table():
    found = spectrum("tanh", [3, 10], range(6))
    for dim in found:
        alone = ntkspec.eigenvalues("tanh", dim, range(6))
        np.testing.assert_allclose(found[dim], alone, rtol=1e-13)
    assert np.array_equal(ntkspec.eigenvalues("tanh", dim=[3, 10], degrees=range(6)), [*map(
        found.__getitem__, found)])  # fmt: skip


@pytest.mark.parametrize(("network", "domain"), [("relu", Cube(9)), ("erf", Gaussian(4))])
def test_predictions_take_a_domain_as_they_take_its_spectrum(network, domain):
    given = spectrum(network, domain)
    assert predict.modes(network, domain) == predict.modes(given)
    direct = predict.learning_curve(network, domain, [5, 20], {(1, 0): 1.0}, noise=0.1)
    assert direct == predict.learning_curve(given, None, [5, 20], {(1, 0): 1.0}, noise=0.1)


@pytest.mark.parametrize("network", [Network("relu"), Network("erf", depth=2)])
def test_enclosures_on_the_cube_hold_its_spectrum(network):
    proof = ntkspec.certify(network, Cube(12), range(5), digits=25)
    s = spectrum(network, Cube(12), range(5))
    for low, high, value in zip(proof.lower, proof.upper, s.eigenvalues, strict=True):
        assert (high - low) <= 1e-24 * high
        assert float(low) * (1 - 1e-15) <= value <= float(high) * (1 + 1e-15)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("eig relu --dim 4 --domain cube --explain", "# sums over the cube: a network"),
        ("certify relu --dim 4 --domain cube --degrees 1", "[0.0625"),
        ("predict curve relu --domain cube --dim 6 --target 1:1 --samples 5", "test_error"),
        ("predict samples relu --domain gaussian --dim 6", "radial"),
    ],
)
def test_commands_take_any_domain(command, words):
    run = CliRunner().invoke(main, command.split())
    assert run.exit_code == 0 and words in run.output, run.output
