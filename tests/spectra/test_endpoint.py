"""Networks with a kink at 0: powers at the ends against balls, parities, degrees to 10^6."""

import time

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkspec import Network, eigenvalues
from ntkspec.domains import Sphere
from ntkspec.precision import working_precision
from ntkspec.reference.balls import reference_spectrum
from ntkspec.spectra import closed_form
from ntkspec.spectra.endpoint import ROUTE, Kinked, _hypergeometric, has_parts
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds

NETWORKS = [
    (Network("relu", depth=2), "ntk"),
    (Network("relu", depth=3, bias_variance=0.1, trained="all"), "ntk"),
    (Network("relu", depth=2, bias_variance=1e-6), "nngp"),
    (Network("relu", bias_variance=1e3, weight_variance=0.01, trained="all"), "ntk"),
    (Network("leaky_relu", depth=4, weight_variance=2.0), "nngp"),
    (Network("leaky_relu", slope=0.9, depth=2, bias_variance=0.1), "ntk"),
    (Network("abs", depth=2), "ntk"),
    (Network("abs", depth=3), "ntk"),
    (Network("abs", depth=3, bias_variance=0.3, trained="all"), "ntk"),
    (Network("step", depth=2), "nngp"),
    (Network("step", depth=3, bias_variance=0.1), "nngp"),
    (Network("relu_power"), "ntk"),
    (Network("relu_power", power=3, depth=2, bias_variance=0.01), "nngp"),
]
SLOW = [
    (Network("leaky_relu", slope=0.3, depth=2, bias_variance=1e-9), "ntk"),
    (Network("leaky_relu", slope=-0.5, depth=2), "nngp"),
    (Network("relu", depth=8), "ntk"),
    (Network("step", depth=5), "nngp"),
    (Network("elu", bias_variance=0.2), "ntk"),
    (Network("elu", depth=3), "ntk"),
    (Network("leaky_relu", slope=0.999, depth=3, bias_variance=0.03), "ntk"),
    (Network("abs", depth=6, bias_variance=1e-3), "ntk"),
    (Network("relu_power", power=16, bias_variance=0.1), "ntk"),
    (Network("relu", depth=3, weight_variance=1e4, bias_variance=1e-3), "nngp"),
]


def gap(one, other):
    """Largest relative difference of scaled values, which must have the same zeros."""
    (mine, shift), (theirs, scale) = one, other
    assert np.array_equal(mine == 0.0, theirs == 0.0)
    some = theirs != 0.0
    ratio = mine[some] / theirs[some] * 2.0 ** (shift[some] - scale[some])
    return np.abs(ratio - 1.0).max(initial=0.0)


@pytest.mark.parametrize(("network", "kernel"), NETWORKS)
def test_rows_agree_with_balls(network, kernel):
    agree_with_balls(network, kernel, 9)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "kernel"), [*NETWORKS, *SLOW])
@pytest.mark.parametrize("dim", [2, 3, 64])
def test_rows_of_more_dimensions_agree_with_balls(network, kernel, dim):
    agree_with_balls(network, kernel, dim)


def agree_with_balls(network, kernel, dim):
    assert ROUTE.takes(network, Sphere(dim), kernel) and has_parts(network, kernel)
    rows, degrees = Kinked(network, kernel), np.arange(81)
    known = both_parities(BallSeeds.of_network(network, kernel), dim, degrees)
    assert gap(both_parities(rows, dim, degrees), known) <= rows.relative_error
    assert rows.relative_error < 1e-15


@pytest.mark.parametrize(("network", "kernel"), NETWORKS)
def test_columns_are_those_of_rows(network, kernel):
    rows = Kinked(network, kernel)
    for degree in (0, 3, 40, 101):
        dims = np.array([3, 5, 7, 65, 1001])
        column = rows.column(degree, dims)
        for i, dim in enumerate(dims):
            one = rows.row(int(dim), np.array([degree]))
            assert gap(one, (column[0][i : i + 1], column[1][i : i + 1])) <= 4e-16


@pytest.mark.parametrize(
    "network", [Network("relu"), Network("leaky_relu", slope=0.3), Network("abs", trained="all")]
)
@pytest.mark.parametrize("dim", [2, 7, 10**6])
def test_closed_forms_to_a_million_degrees(network, dim):
    degrees = np.unique(np.geomspace(1, 10**6, 300).astype(int))
    degrees = np.union1d(np.union1d(degrees, 10**6 - degrees), np.arange(100))
    other = closed_form.ROUTE.rows(network, "ntk")
    known = both_parities(other, dim, degrees)
    assert gap(both_parities(Kinked(network, "ntk"), dim, degrees), known) <= other.relative_error


@pytest.mark.parametrize("bias", [1e-9, 1e-5, 1e-3, 0.02])
@pytest.mark.parametrize("dim", [3, 4, 1000])
def test_every_degree_of_a_row_is_the_degree_alone(bias, dim):
    """Alone, the powers of z + t start at that degree, from hypergeometric functions."""
    rows = Kinked(Network("relu", depth=2, bias_variance=bias), "ntk")
    for parity in (0, 1):
        degrees = np.arange(parity, 40_001, 2)
        mantissa, exponent = rows.row(dim, degrees)
        for at in (0, 1, 31, 64, 200, 3000, -1):
            alone = rows.row(dim, degrees[at : degrees.size + at + 1 if at < 0 else at + 1])
            one = mantissa[at : at + 1 or None], exponent[at : at + 1 or None]
            assert gap(alone, one) <= 2.0 * rows.relative_error


@pytest.mark.parametrize(("a", "dim"), [(32.25, 256), (64.0, 1024), (127.75, 1023), (50.0, 10**5)])
@pytest.mark.parametrize("bias", [1e-9, 0.01, 100.0])
def test_sums_of_hypergeometric_functions(a, dim, bias):
    with working_precision(192):
        x, c = 1 / (1 + 2 * arb(bias)) ** 2, 0.5 * dim + 2.0 * a
        known = x.hypgeom_2f1(arb(a), arb(a + 0.5), arb(c))
        found = _hypergeometric(a, c, x)
        assert found.overlaps(known) and found.rel_accuracy_bits() > 160


def test_continuity_in_the_bias():
    """Across the bias from which the Taylor coefficients of the far powers are summed."""
    near = [
        eigenvalues(Network("relu", depth=2, bias_variance=b), 5, range(200))
        for b in (0.0103, 0.0104, 0.0105)
    ]
    assert np.abs(near[0] * near[2] / near[1] ** 2 - 1.0).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("depth", [9, 30])
def test_networks_without_parts_are_computed_by_balls(depth):
    network = Network("relu_power", power=6, depth=3) if depth == 9 else Network("relu", depth=30)
    kernel = "ntk"
    known = both_parities(BallSeeds.of_network(network, kernel), 4, np.arange(9))
    degrees = np.arange(9)
    assert eigenvalues(network, 4, degrees) == pytest.approx(known[0] * 2.0 ** known[1], rel=4e-16)


def test_thousands_of_routes_are_chosen_at_once():
    started = time.process_time()
    for bias in np.linspace(0.1, 5.0, 2000):
        assert ROUTE.takes(Network("relu", depth=3, bias_variance=bias), Sphere(3), "ntk")
    # Some 0.6 ms each; a route that prepared its kernel would take milliseconds.
    assert time.process_time() - started < 5.0


kinked = st.builds(
    Network,
    st.sampled_from(["relu", "leaky_relu", "abs", "relu_power", "elu"]),
    depth=st.integers(1, 4),
    weight_variance=st.floats(-2, 1).map(lambda x: 10.0**x),
    bias_variance=st.one_of(st.just(0.0), st.floats(-9, 3).map(lambda x: 10.0**x)),
    trained=st.sampled_from(["all", "hidden"]),
)


@pytest.mark.slow
@settings(max_examples=60)
@given(kinked, st.sampled_from(["ntk", "nngp"]), st.sampled_from([2, 3, 8, 50]), st.integers(0, 60))
def test_random_networks_meet_the_reference(network, kernel, dim, last):
    degrees = np.unique([0, 1, last // 2, last])
    if not has_parts(network, kernel):
        return
    found = eigenvalues(network, dim, degrees, kernel=kernel)
    known = reference_spectrum(network, dim, degrees.tolist(), kernel=kernel, digits=20)
    for value, reference in zip(found, known, strict=True):
        assert value == pytest.approx(float(reference.value), rel=1e-15)
