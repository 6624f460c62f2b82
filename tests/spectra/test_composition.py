"""Taylor coefficients composed in doubles, against the same series in balls."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from flint import acb, arb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ntkspec import Network, spectrum
from ntkspec.duals import taylor
from ntkspec.duals.composition import Composition, OutOfRangeError, first_terms
from ntkspec.duals.paired import composed_pairs
from ntkspec.duals.squares import FAMILIES, RATIOS
from ntkspec.precision import working_precision
from ntkspec.reference.mpmath import gauss_jacobi_spectrum
from ntkspec.spectra.parity import parity
from ntkspec.spectra.taylor import TaylorRows, series_sum

NETWORKS = st.builds(
    lambda name, depth, log_weight, bias, trained: Network(
        name,
        depth=depth,
        weight_variance=round(math.exp(log_weight), 3),
        bias_variance=bias,
        trained=trained,
    ),
    st.sampled_from([name for name in FAMILIES if name != "mish"]),  # its balls take minutes
    st.integers(1, 3),
    st.floats(-2.0, 1.2),
    st.sampled_from([0.0, 1e-5, 0.1, 3.0]),
    st.sampled_from(["all", "hidden"]),
)


def check(network, kernel, count, exactly):
    """Every coefficient is within the bound that the composition states."""
    try:
        found = Composition(network, kernel, count, exactly).result()
    except OutOfRangeError:
        assume(False)
    compare(found, network, kernel, count)


def compare(found, network, kernel, count):
    bits = 160 + count
    while True:
        with working_precision(bits):
            try:
                balls = taylor.in_balls(network, kernel, count)
            except OutOfRangeError:
                assume(False)  # no value to compare with
            if all(x.rel_accuracy_bits() > 80 or x.contains(0) for x in balls) or bits > 1000:
                break
        bits *= 2
    with working_precision(bits):
        for m, e, exact, error in zip(
            found.mantissa, found.exponent, balls, found.errors, strict=True
        ):
            if exact.contains(0):
                assert m == 0.0 or abs(exact).upper() < 1e-25
                continue
            value = arb(float(m)) * arb(2) ** int(e)
            assert abs(value / exact - 1).upper() <= error


@given(NETWORKS, st.sampled_from(["ntk", "nngp"]), st.booleans())
@settings(max_examples=4, deadline=None)
def test_coefficients_are_within_their_bound(network, kernel, exactly):
    check(network, kernel, 34, exactly)


@pytest.mark.slow
@given(NETWORKS, st.sampled_from(["ntk", "nngp"]), st.booleans(), st.sampled_from([129, 257]))
@settings(max_examples=40, deadline=None)
def test_many_coefficients_are_within_their_bound(network, kernel, exactly, count):
    check(network, kernel, count, exactly)


@pytest.mark.slow
@given(
    st.builds(
        Network, st.sampled_from(RATIOS), depth=st.integers(1, 3),
        weight_variance=st.sampled_from([0.1, 0.3, 1.0, 4.0, 10.0]),
        bias_variance=st.sampled_from([0.0, 0.1, 1.0]),
    ),
    st.booleans(), st.sampled_from([700, 1500, 2200]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_coefficients_that_fall_far_are_within_their_bound(network, exactly, count):
    check(network, "ntk", count, exactly)


@pytest.mark.parametrize("name", ["tanh", "silu", "softplus"])
def test_sharper_moments_lower_the_bound_of_large_variances(name):
    network = Network(name, depth=2, weight_variance=3.0, bias_variance=0.1)
    exact, plain = (Composition(network, "ntk", 480, exactly).result() for exactly in (True, False))
    assert exact.relative_error < 0.2 * plain.relative_error


@pytest.mark.parametrize(
    ("name", "bias"),
    [
        ("tanh", 0.0),
        ("tanh", 0.1),
        ("sigmoid", 0.0),
        ("silu", 0.0),
        ("softplus", 0.1),
        ("elu", 0.1),
    ],
)
def test_coefficients_in_double_doubles_are_within_their_bounds(name, bias):
    network = Network(name, depth=3, weight_variance=2.0, bias_variance=bias)
    found = composed_pairs(network, "ntk", 24)
    with working_precision(256):
        for n, exact in enumerate(taylor.in_balls(network, "ntk", 24)):
            assert found[n].overlaps(exact)
            assert float(found[n].rad()) <= 1e-15 * abs(float(exact)) + 1e-30


@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_coefficients_of_mish_in_double_doubles_and_doubles(bias):
    network = Network("mish", depth=2, weight_variance=2.0, bias_variance=bias)
    found = composed_pairs(network, "ntk", 300)
    plain = Composition(network, "ntk", 300, False).result()
    values = np.ldexp(plain.mantissa, plain.exponent)
    assert np.all(np.abs(found.rows[0] - values) <= plain.errors * values)
    assert np.all(found.rows[2] < 1e-16 * values)


@pytest.mark.parametrize(
    ("name", "depth", "weight", "dim"),
    [("gelu", 3, 2.0, 3), ("gelu", 2, 3.0, 10), ("erf", 3, 2.0, 4), ("gaussian", 2, 1.0, 3)],
)
def test_errors_count_where_the_coefficients_do(name, depth, weight, dim):
    """Eigenvalues from doubles are within their bound of those of the duals in closed form."""
    network = Network(name, depth=depth, weight_variance=weight, bias_variance=0.1)
    rows = TaylorRows(network, "ntk")
    rows.prepare(dim, dim, 120)
    assert rows.error <= rows.found.relative_error
    count = rows.found.mantissa.size
    with working_precision(160 + count):
        balls = taylor.in_balls(network, "ntk", count)
        for k in (0, 1, 20, 119, 120):
            (m,), (e,) = rows.row(dim, np.array([k]))
            exact, _ = series_sum(balls, k, dim)
            value = arb(float(m)) * arb(2) ** int(e)
            assert abs(value / exact - 1).upper() <= rows.relative_error


def test_zeros_among_tiny_coefficients():
    """(1 + t) cosh(t) / e: a_n comes from F of the next order alone where its own moment is 0."""
    network = Network("sin", bias="zero", bias_variance=1.0)
    found = taylor.coefficients(network, "ntk", 260, parity(network, "ntk"))
    for n in (0, 3, 128, 201, 250):
        log = math.log(found.mantissa[n]) + found.exponent[n] * math.log(2.0)
        assert log == pytest.approx(-1.0 - math.lgamma(n + 1 - n % 2), rel=1e-14)


@pytest.mark.parametrize(
    ("name", "dual"),
    [
        ("erf", lambda q, x: (2 * q * x / (1 + 2 * q)).asin() * 2 / arb.pi()),
        ("sin", lambda q, x: (-q).exp() * (q * x).sinh()),
        ("gaussian", lambda q, x: 1 / (1 + 2 * q + q * q * (1 - x * x)).sqrt()),
    ],
)
@pytest.mark.parametrize("n", [4199, pytest.param(3000, marks=pytest.mark.slow)])
def test_coefficients_beyond_the_range_of_doubles(name, dual, n):
    """4,200 of two layers, by Cauchy's integral over the kernel of the plane (NNGP)."""
    network, count = Network(name, depth=2, bias_variance=0.1), 4200
    found = taylor.coefficients(network, "nngp", count, parity(network, "nngp"))
    assert found.exponent[-1] < -2400
    assert found.relative_error < 1e-12
    points, bias = 8192, arb(0.1)
    with working_precision(600):
        q = 1 + bias
        second = dual(q, acb(1)).real + bias
        # By how much the coefficients fall, less e^100 over the points for those aliased.
        fall = int(found.exponent[n] - found.exponent[n - 200])
        r = arb(2) ** (-arb(fall) / 200) * (-arb(100) / points).exp()
        total = acb(0)
        for j in range(points):
            z = (2 * acb(0, 1) * acb.pi() * j / points).exp()
            first = dual(q, (r * z + bias) / q)
            total += dual(second, (first + bias) / second) / z**n
        exact = (total / points).real / r**n
        ours = arb(float(found.mantissa[n])) * arb(2) ** int(found.exponent[n])
        assert abs(ours / exact - 1) < found.relative_error, n


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "depth", "bias", "dim"),
    [("mish", 3, 0.1, 3), ("silu", 3, 3.0, 4), ("mish", 2, 0.0, 10)],
)
def test_deep_networks_of_he_variance_against_the_reference(name, depth, bias, dim):
    """Coefficients whose errors in doubles are too large, with their count set by degree 256."""
    network = Network(name, depth=depth, weight_variance=2.0, bias_variance=bias)
    degrees = [0, 1, 7, 24]
    found = spectrum(network, dim, [*degrees, 256])
    exact = gauss_jacobi_spectrum(network, dim, degrees, digits=16)
    for m, e, value in zip(found.mantissas, found.exponents, exact):
        assert float(mpmath.ldexp(mpmath.mpf(float(m)), int(e)) / value.value - 1) == pytest.approx(
            0.0, abs=1e-13
        )


@pytest.mark.parametrize("part", [1e-4, 1e-7, 1e-300])
def test_a_layer_that_is_almost_constant_is_left_to_balls_before_it_fills_the_memory(part):
    # Correlations that begin at 1 - part need as many moments as coefficients over the part.
    with pytest.raises(OutOfRangeError):
        first_terms(256, part)
