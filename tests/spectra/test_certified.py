"""Enclosures: the engine's doubles and the reference lie inside; refusals."""

import mpmath
import numpy as np
import pytest
from flint import acb, arb, ctx

import ntkspec
from ntkspec import Network, NtkspecError, certify
from ntkspec.duals import Correlation, elu_dual
from ntkspec.duals.elu import enclosed_elu_dual
from ntkspec.duals.hermite import hermite_series, tanh_moments
from ntkspec.reference.balls import reference_spectrum

NETWORKS = [
    Network("relu"),
    Network("relu", depth=2),
    Network("relu", depth=2, bias_variance=0.3, trained="all"),
    Network("leaky_relu", slope=0.2, depth=2),
    Network("abs", depth=3),
    Network("relu_power", power=2, depth=2),
    Network("step"),
    Network("step", depth=2, bias_variance=0.3),
    Network("step", depth=3),
    Network("elu"),
    Network("erf", depth=2, weight_variance=3.0),
    Network("gelu", depth=3, bias_variance=0.1, trained="all"),
    Network("cos"),
    Network("sin", depth=2, bias_variance=0.5),
    Network("gaussian"),
    Network("tanh"),
    Network("tanh", depth=3, bias_variance=0.2),
    Network("sigmoid", depth=2),
    Network("silu", trained="all"),
    Network("softplus", depth=2),
]
NAMES = [f"{n.name}-{n.depth}-{n.bias_variance}" for n in NETWORKS]


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
@pytest.mark.parametrize("dim", [2, 5])
def test_the_promise_of_the_engine_is_proved(network, dim):
    degrees = [0, 1, 2, 3, 6, 11, 20]
    kernel = "nngp" if network.name == "step" else "ntk"
    proof = certify(network, dim, degrees, digits=18, kernel=kernel)
    result = ntkspec.spectrum(network, dim, degrees, kernel=kernel)
    with mpmath.workdps(60):
        check_promise(proof, result)


def check_promise(proof, result):
    for i in range(result.degrees.size):
        lower, upper = proof.lower[i], proof.upper[i]
        value = mpmath.ldexp(mpmath.mpf(float(result.mantissas[i])), int(result.exponents[i]))
        if value == 0:
            assert lower == upper == 0
            continue
        error = float(result.relative_error[i])
        assert value * (1 - error) <= lower <= upper <= value * (1 + error)
        assert upper - lower <= lower * mpmath.mpf(10) ** -17


@pytest.mark.parametrize("network", [NETWORKS[1], NETWORKS[10], NETWORKS[16]])
def test_the_independent_reference_lies_inside(network):
    degrees = [0, 3, 8]
    proof = certify(network, 3, degrees, digits=18)
    for i, reference in enumerate(reference_spectrum(network, 3, degrees, digits=24)):
        # The interval may be narrower than the reference's own error.
        with mpmath.workdps(50):
            low, high = proof.lower[i] - reference.error, proof.upper[i] + reference.error
        assert low <= reference.value <= high


def test_moments_of_tanh_enclose_the_integral():
    # E[tanh(Z) Z] and E[tanh(Z) (Z^3 - 3 Z)] / sqrt(6), mpmath at 30 digits
    with mpmath.workdps(30):

        def mean(f):
            density = lambda z: mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)  # noqa: E731
            return mpmath.quad(lambda z: f(z) * density(z), [-12, -4, 0, 4, 12])

        first = mean(lambda z: mpmath.tanh(z) * z)
        third = abs(mean(lambda z: mpmath.tanh(z) * (z**3 - 3 * z))) / mpmath.sqrt(6)
    ctx.prec = 120
    try:
        moments = tanh_moments(arb(1), 2, 60.0)
        for ball, value in zip(moments, (first, third)):
            assert abs(ball - arb(mpmath.nstr(value, 30))) < 1e-24
            assert ball.rad() < 1e-24
    finally:
        ctx.prec = 53


@pytest.mark.parametrize("q", [0.02, 0.4, 1.0, 5.0])
@pytest.mark.parametrize("bits", [80, 200])
def test_moments_at_two_precisions_overlap(q, bits):
    ctx.prec = bits
    try:
        coarse = hermite_series(arb(q), "tanh", bits * 0.69).terms
        ctx.prec = 2 * bits
        fine = hermite_series(arb(q), "tanh", 2 * bits * 0.69).terms
        for a, b in zip(coarse, fine):
            assert a.overlaps(b)
            assert a.is_finite() and b.is_finite()
    finally:
        ctx.prec = 53


def test_parseval_bounds_what_is_left_out():
    # sum a_n over all n is E[tanh^2]; the sum of the first lies below by less than the bound
    from ntkspec.duals.growth import series_tail

    ctx.prec = 200
    try:
        terms = hermite_series(arb(1), "tanh", 130.0).terms
        whole = sum(terms, arb(0))
        for count in (20, 60, 200):
            left = whole - sum(terms[:count], arb(0))
            bound, _ = series_tail("tanh", arb(1), 2 * count + 1)
            assert left > 0 and left < bound
    finally:
        ctx.prec = 53


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(ntkspec.user_activation(np.tanh)), "callable"),
        (Network("step", depth=9), "depth = 9"),
        (Network("tanh", weights="sphere"), "sphere"),
    ],
)
def test_without_a_proof_it_refuses(network, words):
    with pytest.raises(NtkspecError, match=words):
        certify(network, kernel="nngp")


@pytest.mark.parametrize("q", ["0.02", "2"])
def test_the_duals_of_elu_are_enclosed_at_all_angles(q):
    with ctx.workprec(150):
        q = arb(q)
        value, slope = enclosed_elu_dual(q)
        for angle in (arb(0), arb("0.001"), arb("0.7"), arb("2.9"), arb.pi()):
            point = Correlation(angle.cos(), angle)
            for found, other in zip((value, slope), elu_dual(q), strict=True):
                ball = found(point)
                assert ball.overlaps(other(point)) and ball.rad() < 1e-38 * (1 + q)
        # Over a box that holds real angles.
        box = Correlation(None, acb(arb(0.7, 0.01), arb(0, 0.01)))
        for angle in ("0.6901", "0.7", "0.7099"):
            point = Correlation(arb(angle).cos(), arb(angle))
            assert value(box).contains(acb(value(point)))
            assert slope(box).contains(acb(slope(point)))


@pytest.mark.slow
def test_elu_of_depth_2_is_proved_in_low_and_in_high_dimensions():
    network = Network("elu", depth=2, trained="all")
    for dim in (3, 100_000):
        degrees = [0, 1, 6, 11]
        proof = certify(network, dim, degrees, digits=18)
        check_promise(proof, ntkspec.spectrum(network, dim, degrees))


def test_a_deep_step_function_is_proved_where_few_coefficients_count():
    network = Network("step", depth=9, bias_variance=0.1)
    proof = certify(network, 100, [0, 3], digits=18, kernel="nngp")
    check_promise(proof, ntkspec.spectrum(network, 100, [0, 3], kernel="nngp"))


@pytest.mark.parametrize("digits", [0, 501, 2.5, True, "20"])
def test_digits_are_checked(digits):
    with pytest.raises(NtkspecError, match="digits"):
        certify("relu", digits=digits)


def test_elu_with_a_large_bias_is_refused_at_once():
    network = Network("elu", depth=2, weight_variance=0.011, bias_variance=0.13)
    with pytest.raises(NtkspecError, match="Hermite moments"):
        certify(network, 3000, degrees=[1])
