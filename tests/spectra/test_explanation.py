"""What a user is told about the choice of a route."""

import json

import pytest
from click.testing import CliRunner

from ntkspec import Cube, Gaussian, Network, NtkspecError, Sphere, spectrum
from ntkspec.cli import main
from ntkspec.spectra.explanation import explain


@pytest.mark.parametrize("network,domain", [
    (Network("relu"), Sphere(3)),
    (Network("tanh"), Sphere(1000)),
    (Network("gelu", depth=2), Sphere(2)),
    (Network("silu", depth=2), Sphere(5)),
    (Network("sin", weights="sphere"), Sphere(4)),
    (Network("relu", depth=2), Cube(5)),
    (Network("tanh"), Cube(5)),
    (Network("relu"), Gaussian(4)),
    (Network("erf"), Gaussian(4)),
])  # fmt: skip
def test_one_route_is_taken_and_it_is_that_of_the_spectrum(network, domain):
    found = spectrum(network, domain, [0, 1])
    routes = explain(found)
    (taken,) = [one for one in routes if one.taken]
    assert f"{taken.route}: {taken.reason}" == found.route
    assert all(one.reason for one in routes)
    before = routes[: routes.index(taken)]
    assert not any("would serve" in one.reason for one in before)


def test_a_route_that_passed_the_degrees_on_says_so():
    """The route of the spectrum is not the first that takes its kernel."""
    found = spectrum(Network("gelu"), 2, [1])
    object.__setattr__(
        found, "route", "ball arithmetic: quadrature at a precision that the result decides"
    )
    reasons = {one.route: one.reason for one in explain(found)}
    assert reasons["shifted contour"] == "serves this kernel, but passed these degrees on"


def test_the_command_prints_the_routes():
    run = CliRunner().invoke(main, ["eig", "gelu", "--dim", "2", "--degrees", "0:2", "--explain"])
    assert run.exit_code == 0, run.output
    assert "# shifted contour: the kernel on the circle is analytic beyond t = 1" in run.output
    assert "s of processor time; relative errors are at most 2.2e-16" in run.output
    assert "# not by closed form: serves one piecewise linear layer without bias" in run.output


def test_json_holds_the_routes():
    command = ["eig", "relu", "--dim", "3", "--degrees", "0:2", "--explain", "--format", "json"]
    run = CliRunner().invoke(main, command)
    found = json.loads(run.stdout)
    assert run.stderr == f"trying first: {found['route']}\n"
    assert found["route"].startswith("closed form")
    assert {"route", "reason"} == set(found["other_routes"][0])
    assert found["seconds"] >= 0 and found["worst_relative_error"] < 1e-14


def test_a_route_whose_bound_exceeds_the_tolerance_hands_on():
    network = Network("silu", depth=2)
    loose = spectrum(network, 5, [0, 1, 6])
    bound = float(loose.relative_error.max())
    tight = spectrum(network, 5, [0, 1, 6], tolerance=bound / 10)
    assert tight.route != loose.route
    assert tight.relative_error.max() <= bound / 10
    assert abs(tight.eigenvalues / loose.eigenvalues - 1).max() <= bound
    considered = {one.route: one for one in explain(tight)}
    assert considered["Taylor series"].reason.endswith("passed these degrees on")
    with pytest.raises(NtkspecError, match="exceeds tolerance"):
        spectrum(network, 5, [0, 1, 6], tolerance=1e-17)
