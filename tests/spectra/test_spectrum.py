"""Spectra: well-known values, invariants, normalizations, bad input."""

import math
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from draws import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import POSTER

from ntkspec.domains import Sphere, multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.spectra import eigenvalues, spectrum
from ntkspec.spectra.kernel_at_one import kernel_at_one


def networks_of(largest_variance):
    return st.builds(
        Network,
        st.sampled_from(POSTER),
        weight_variance=st.floats(0.01, largest_variance),
        trained=st.sampled_from(["hidden", "all"]),
    )


networks = networks_of(300.0)


def test_well_known_values():
    # relu: rational closed form; tanh: also in data/spectra.csv, by the independent route
    assert eigenvalues("relu", 3, [0, 1, 2, 8]).tolist() == pytest.approx(
        [1 / 16, 1 / 12, 0.02734375, 2.78472900390625e-4], rel=1e-15
    )
    assert eigenvalues("tanh", 3, [1, 11, 61]).tolist() == pytest.approx(
        [0.139477224119675774, 1.00151518753135e-6, 3.632790934084651e-21], rel=1e-14
    )
    assert eigenvalues("tanh", 3, 2001, log=True)[0] == pytest.approx(-506.84, abs=0.005)
    assert eigenvalues("relu", 100, 32)[0] == pytest.approx(2.4e-34, rel=0.02)


@pytest.mark.parametrize("dim", [2, 3, 10, 257, 10**6])
def test_exact_zeros(dim):
    degrees = np.arange(0, 400)
    odd, even = degrees[(degrees % 2 == 1) & (degrees >= 3)], degrees[degrees % 2 == 0]
    for name in ("relu", "leaky_relu"):
        for kernel in ("ntk", "nngp"):
            values = spectrum(name, dim, odd, kernel=kernel)
            assert not values.eigenvalues.any() and np.all(values.log_eigenvalues == -np.inf)
            assert np.all(np.isfinite(eigenvalues(name, dim, even, kernel=kernel, log=True)))
    for name in ("tanh", "sigmoid"):
        assert not eigenvalues(name, dim, even).any()
        assert not eigenvalues(name, dim, even[1:], kernel="nngp").any()
        assert np.all(np.isfinite(eigenvalues(name, dim, odd, log=True)))
    assert eigenvalues("tanh", dim, 0, kernel="nngp")[0] == 0.0
    assert eigenvalues("sigmoid", dim, 0, kernel="nngp")[0] == 0.25


def test_a_linear_network_has_degree_one_only():
    values = eigenvalues(Network("leaky_relu", slope=1.0, trained="all"), 5, range(8))
    assert values.tolist() == [0, 2 / 5, 0, 0, 0, 0, 0, 0]
    assert eigenvalues(Network("leaky_relu", slope=-1.0), 5, 1)[0] == 0.0


def legendre(dim, degrees, t):
    """P_k(t) for k = 0, 1, ... by the three-term recurrence, plainly."""
    p = np.empty((degrees, np.size(t)))
    p[0], p[1] = 1.0, t
    for k in range(1, degrees - 1):
        p[k + 1] = ((2 * k + dim - 2) * t * p[k] - k * p[k - 1]) / (k + dim - 2)
    return p


@examples(3, 8)
@given(networks_of(20.0), st.integers(8, 40), st.sampled_from(["ntk", "nngp"]))
def test_the_kernel_is_rebuilt_from_its_spectrum(net, dim, kernel):
    """Trace K(1), alternating trace K(-1), and points between: sums of N lambda P_k."""
    s = spectrum(net, dim, range(600), kernel=kernel)
    share = np.exp(s.log_eigenvalues + np.log(s.multiplicities))
    t = np.array([1.0, -1.0, 0.9, 0.3, 0.0, -0.5])
    rebuilt = share @ legendre(dim, 600, t)
    pointwise = net.ntk(t) if kernel == "ntk" else net.nngp(t)
    # What is left out: for relu sum over k > 600 of N lambda, of the order 600^-2 (d/8)^4
    tail = 0.0
    if net.activation in ("relu", "leaky_relu"):
        tail = 3 * share[598] * 600
    np.testing.assert_allclose(rebuilt, pointwise, rtol=3e-13, atol=tail + 1e-13 * share.sum())


@pytest.mark.parametrize("name", POSTER)
def test_the_trace_converges_to_the_kernel_at_one(name):
    # d = 2: N = 2, relu's tail beyond K is sum 2 lambda_k = O(1/K)
    for dim, tolerance in ((2, 4e-6), (3, 2e-5), (5, 1e-4)):
        s = spectrum(name, dim, range(100001) if name in ("relu", "leaky_relu") else range(1500))
        trace = math.fsum(s.eigenvalues * s.multiplicities)
        kernel = float(Network(name).ntk(1.0))
        smooth = name in ("tanh", "sigmoid")
        assert trace == pytest.approx(kernel, rel=1e-13 if smooth else tolerance)
        assert trace <= kernel * (1 + 1e-13)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "exp", "hard_swish", "elu"])
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_the_kernel_at_one_is_that_of_the_pointwise_kernel(name, kernel):
    net = Network(name, depth=2, weight_variance=[0.5, 1.5], bias_variance=0.1, trained="all")
    value, error = kernel_at_one(net, kernel, 3)
    assert abs(value - float(getattr(net, kernel)(1.0))) <= error + 1e-14 * value


def test_a_kernel_at_one_beyond_doubles_is_refused():
    with pytest.raises(NtkspecError, match="beyond the range of doubles"):
        kernel_at_one(Network("relu", depth=90, weight_variance=1e4), "nngp", 3)


@settings(deadline=None, max_examples=60)
@given(networks, st.integers(2, 3000), st.integers(0, 3000), st.sampled_from(["ntk", "nngp"]))
def test_the_dimension_recurrence_holds_between_direct_spectra(net, dim, degree, kernel):
    """lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2), through the logarithms."""
    here = eigenvalues(net, dim, [degree, degree + 2], kernel=kernel, log=True)
    above = eigenvalues(net, dim + 2, degree, kernel=kernel, log=True)[0]
    if here[0] == -np.inf:
        assert above == -np.inf and here[1] == -np.inf
        return
    ratio = np.exp(here[1] - here[0]) + (1 + 2 * degree / dim) * np.exp(above - here[0])
    assert ratio == pytest.approx(1.0, abs=1e-13 + 4e-16 * abs(here[0]))


@settings(deadline=None, max_examples=40)
@given(networks, st.integers(2, 500), st.lists(st.integers(0, 900), min_size=1, max_size=8))
def test_degrees_in_any_order_give_the_same_numbers(net, dim, degrees):
    s = spectrum(net, dim, degrees)
    whole = spectrum(net, dim, range(901))
    at = np.array(degrees)
    np.testing.assert_allclose(s.log_eigenvalues, whole.log_eigenvalues[at], rtol=1e-13, atol=2e-14)
    assert s.degrees.tolist() == degrees


@settings(deadline=None)
@given(st.sampled_from(POSTER), st.integers(2, 400), st.integers(0, 300))
def test_normalizations_convert_back_and_forth(name, dim, degree):
    logs = {n: eigenvalues(name, dim, degree, normalization=n, log=True)[0]
            for n in ("probability", "surface", "poster")}  # fmt: skip
    if logs["probability"] == -np.inf:
        assert set(logs.values()) == {-np.inf}
        return
    with mpmath.workdps(30):
        half = mpmath.mpf(dim) / 2
        volume = mpmath.log(2) + half * mpmath.log(mpmath.pi) - mpmath.loggamma(half)
        c = mpmath.loggamma(half) - mpmath.log(mpmath.pi) / 2 - mpmath.loggamma(half - 0.5)
        size = 1 + abs(logs["probability"]) + abs(float(volume))
        assert abs(logs["surface"] - logs["probability"] - float(volume)) < 1e-15 * 4 * size
        assert abs(logs["poster"] - logs["surface"] + float(c)) < 1e-15 * 4 * size


def test_surface_and_poster_on_the_sphere_of_three_dimensions():
    # Vol(S^2) = 4 pi, c_3 = 1/2: surface lambda_0 of relu is pi/4; the poster's is pi/2
    assert eigenvalues("relu", 3, 0, normalization="surface")[0] == pytest.approx(
        math.pi / 4, rel=1e-15
    )
    assert eigenvalues("relu", 3, 0, normalization="poster")[0] == pytest.approx(
        math.pi / 2, rel=1e-15
    )


@example(33, 28)  # halfway between two doubles
@given(st.integers(2, 60), st.integers(0, 60))
def test_multiplicities_are_those_of_the_formula(dim, degree):
    exact = 1 if degree == 0 else Fraction(2 * degree + dim - 2, degree) * math.comb(
        degree + dim - 3, degree - 1) if (dim, degree) != (2, 0) else 1  # fmt: skip
    assert multiplicity(dim, degree)[0] == float(exact)


def test_multiplicities_beyond_doubles_are_infinite():
    assert multiplicity(10**6, [100000])[0] == np.inf


@pytest.mark.parametrize("name", POSTER)
def test_the_largest_degree_and_dimension(name):
    for dim, degree in ((2, 100000), (3, 99999), (10**6, 3), (10**6, 1000), (10**6, 99999)):
        value = spectrum(name, dim, [degree, degree - 1])
        finite = np.isfinite(value.log_eigenvalues)
        assert finite.any() and value.relative_error.max() <= 1e-13


@pytest.mark.parametrize("network", [Network("relu"), Network("relu", depth=3, bias_variance=0.1)])
def test_a_million_degrees(network):
    """Of any dimension, in a second; the last by itself is the same."""
    for dim in (3, 10**6):
        started = time.process_time()
        value = spectrum(network, dim, range(10**6 + 1))
        assert time.process_time() - started < 2.0
        assert value.relative_error.max() <= 2e-15
        last = spectrum(network, dim, [10**6]).log_eigenvalues[0]
        assert value.log_eigenvalues[-1] == pytest.approx(last, rel=1e-15)
    assert multiplicity(3, [10**6])[0] == 2 * 10**6 + 1
    assert Sphere(4).log_multiplicity([10**6])[0] == pytest.approx(2 * np.log(10**6 + 1))


@pytest.mark.parametrize(
    "arguments,words",
    [
        (dict(dim=1), ["dim", "1", "2"]),
        (dict(dim=2.5), ["dim", "2.5"]),
        (dict(dim=True), ["dim"]),
        (dict(dim=10**7), ["dim", "10000000"]),
        (dict(degrees=-1), ["degree", "-1"]),
        (dict(degrees=[]), ["degrees", "empty"]),
        (dict(degrees=range(5, 5)), ["degrees", "empty"]),
        (dict(degrees=[1.5]), ["degrees", "1.5"]),
        (dict(degrees="0:x"), ["degrees", "0:x"]),
        (dict(degrees=range(10**12)), ["degree", "999999999999"]),
        (dict(degrees=[[1, 2]]), ["degrees"]),
        (dict(kernel="ntkk"), ["kernel", "ntkk"]),
        (dict(normalization="unit"), ["normalization", "unit"]),
    ],
)
def test_bad_input_gets_a_message(arguments, words):
    for function in (spectrum, eigenvalues):
        with pytest.raises(NtkspecError) as caught:
            function("relu", **arguments)
        for word in words:
            assert word in str(caught.value)
        assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)
