"""The Boolean cube: against brute force over its points, and what must hold of any spectrum."""

import itertools
import json
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from draws import examples
from flint import acb, arb, ctx, fmpz
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkspec
from ntkspec import Cube, Network, NtkspecError, ZonalKernel, spectrum
from ntkspec.activations import ACTIVATIONS
from ntkspec.cli import main
from ntkspec.kernels.ehrenfest import powers_sum
from ntkspec.predict import fractional_variances
from ntkspec.reference.balls.expectations import make_dual
from ntkspec.reference.description import describe
from ntkspec.spectra.cube.layers import LayerValues
from ntkspec.spectra.cube.sums import enclosed, krawtchouk_sums
from ntkspec.spectra.cube.taylor import log_power
from ntkspec.spectra.parity import parity

NATS = 80.0
#: Error of the reference, e^-NATS of K(1) with a margin.
REFERENCE = 1e-30


def on_circle(correlation):
    c = correlation.mid()
    square = 1 - c * c
    return acb(c, square.sqrt()) if square > 0 else acb(1 if c > 0 else -1)


def pointwise(network, kernel, cosines):
    """K from the Gaussian expectations by two-dimensional quadrature: no dual of the engine."""
    weight, bias = arb(network.weight_variance), arb(network.bias_variance)
    variance = weight + bias
    covariances = [weight * t + bias for t in cosines]
    tangents = list(covariances)
    for layer in range(network.depth):
        dual = make_dual(describe(network), variance, NATS)
        values, slopes = dual.at([on_circle(c / variance) for c in covariances])
        if layer == network.depth - 1:
            break
        covariances = [weight * v + bias for v in values]
        tangents = [
            c + weight * t * s for c, t, s in zip(covariances, tangents, slopes, strict=True)
        ]
        variance = weight * dual.at_zero()[0] + bias
    if kernel == "nngp":
        return values
    tangent = [t * s for t, s in zip(tangents, slopes, strict=True)]
    if network.trained == "hidden":
        return tangent
    return [v + t for v, t in zip(values, tangent, strict=True)]


def brute_force(network, kernel, dim):
    """E[x_1 ... x_k K(sum x_i / d)] over all 2^d points."""
    values = pointwise(network, kernel, [arb(dim - 2 * j) / dim for j in range(dim + 1)])
    points = list(itertools.product((1, -1), repeat=dim))
    sums = [[0] * (dim + 1) for _ in range(dim + 1)]
    for x in points:
        minus = x.count(-1)
        sign = 1
        for k in range(dim + 1):
            sums[k][minus] += sign
            if k < dim:
                sign *= x[k]
    return [sum((s * v for s, v in zip(row, values, strict=True)), arb(0)) / 2**dim for row in sums]


def assert_right(network, kernel, dim):
    with ctx.workprec(160):
        exact = brute_force(network, kernel, dim)
        found = spectrum(network, Cube(dim), kernel=kernel)
        zeros = parity(network, kernel)
        for k in range(dim + 1):
            if zeros.vanishes(k):
                assert found.eigenvalues[k] == 0.0 and found.log_eigenvalues[k] == -math.inf
                assert abs(float(exact[k].mid())) < REFERENCE
            else:
                error = abs(float(arb(float(found.eigenvalues[k])) / exact[k].mid() - 1))
                reference = REFERENCE / abs(float(exact[k].mid()))
                assert error <= found.relative_error[k] + reference, (network, kernel, dim, k)
                assert found.relative_error[k] <= 1e-13
                assert reference < 1e-13


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("finer", "softsign") else name
        for name in ACTIVATIONS
    ],
)
def test_one_layer_against_all_points_of_the_cube(name):
    assert_right(Network(name), "nngp", 6)
    if name != "step":
        assert_right(Network(name, trained="all", weight_variance=1.5), "ntk", 5)


@pytest.mark.parametrize("name", ["relu", "elu", "tanh", "sigmoid", "gelu", "cos"])
def test_deep_and_biased_networks_against_all_points(name):
    assert_right(Network(name, depth=2, bias_variance=0.3, trained="all"), "ntk", 7)
    assert_right(Network(name, depth=2), "nngp", 6)


@pytest.mark.slow
@pytest.mark.parametrize("dim", range(1, 11))
@pytest.mark.parametrize("name", ["relu", "tanh", "erf"])
def test_every_small_dimension(name, dim):
    for depth, bias in itertools.product((1, 3), (0.0, 0.2)):
        for kernel in ("ntk", "nngp"):
            assert_right(Network(name, depth=depth, bias_variance=bias), kernel, dim)


def test_the_matrix_of_the_kernel_has_these_eigenvalues():
    dim, network = 6, Network("relu", depth=2, trained="all", bias_variance=0.1)
    x = np.array(list(itertools.product((1.0, -1.0), repeat=dim))) / math.sqrt(dim)
    measured = np.sort(np.linalg.eigvalsh(network.ntk_matrix(x) / 2**dim))
    found = spectrum(network, Cube(dim))
    each = np.repeat(found.eigenvalues, found.multiplicities.astype(int))
    # eigvalsh is right to a few units of the largest eigenvalue
    np.testing.assert_allclose(measured, np.sort(each), rtol=0, atol=1e-15 * each.max() * 8)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=24))
def test_sums_are_those_of_krawtchouk_polynomials(values):
    dim = len(values) - 1
    for k, found in enumerate(krawtchouk_sums([fmpz(v) for v in values])):
        # K_j(k) = sum_i (-1)^i binom(k, i) binom(d-k, j-i): MacWilliams and Sloane, ch. 5, (14)
        total = sum(
            v * sum((-1) ** i * math.comb(k, i) * math.comb(dim - k, j - i) for i in range(j + 1))
            for j, v in enumerate(values)
        )
        assert int(found) == total * math.comb(dim, k)


@pytest.mark.parametrize("dim", [3, 40])
def test_eigenvalues_of_powers_lie_below_their_bound(dim):
    for n in (1, 2, 7, 30, 31, 200):
        values = [fmpz((dim - 2 * j) ** n) for j in range(dim + 1)]
        degrees = np.arange(min(dim, n) + 1)
        bounds = log_power(dim, n, n, degrees)
        wide = log_power(dim, n, n + 5, degrees)
        for k, found in zip(degrees, krawtchouk_sums(values)):
            exact = Fraction(int(found), 2**dim * math.comb(dim, int(k)) * dim**n)
            assert exact == 0 or math.log(exact) <= min(bounds[k], wide[k])
            # By a saddle point: not far above.
            assert exact == 0 or bounds[k] <= math.log(exact) + math.log(10 * n)


def test_powers_walk_like_ehrenfest():
    dim = 7
    exact = [Fraction(1)] + [Fraction(0)] * dim
    for n in range(12):
        values = [fmpz((dim - 2 * j) ** n) for j in range(dim + 1)]
        for k, found in enumerate(krawtchouk_sums(values)):
            scale = 2**dim * math.comb(dim, k) * dim**n
            assert Fraction(int(found), scale) == exact[k]
        exact = [
            Fraction(k, dim) * (exact[k - 1] if k else 0)
            + Fraction(dim - k, dim) * (exact[k + 1] if k < dim else 0)
            for k in range(dim + 1)
        ]


@examples(10, 100)
@given(data=st.data(), dim=st.integers(1, 40))
def test_sums_of_powers_with_coefficients_of_any_size(data, dim):
    """In whole numbers: gaps, and exponents that jump or fall beyond those of doubles."""
    steps = st.one_of(st.integers(-90, 10), st.integers(-3000, 300))
    fall = data.draw(st.lists(steps, min_size=1, max_size=60))
    exponent = np.cumsum(np.array(fall, np.int64))
    present = data.draw(st.lists(st.booleans(), min_size=exponent.size, max_size=exponent.size))
    odd = data.draw(st.sampled_from([None, 0, 1]))
    kept = np.array(present) & (True if odd is None else np.arange(exponent.size) % 2 == odd)
    mantissa = np.where(kept, np.linspace(1.0, 1.9, exponent.size), 0.0)
    exponent[~kept] = 0
    degrees = min(dim, exponent.size - 1) + 1
    found = np.empty(degrees), np.empty(degrees, np.int64)
    roundings = np.empty(degrees)
    powers_sum(dim, mantissa, exponent, *found, roundings)
    total = [Fraction(0)] * degrees
    for n in np.flatnonzero(kept):
        values = [fmpz((dim - 2 * j) ** int(n)) for j in range(dim + 1)]
        a = Fraction(mantissa[n]) * Fraction(2) ** int(exponent[n])
        for k, x in enumerate(krawtchouk_sums(values)[:degrees]):
            total[k] += a * Fraction(int(x), 2**dim * math.comb(dim, k) * dim ** int(n))
    for k, exact in enumerate(total):
        ours = Fraction(found[0][k]) * Fraction(2) ** int(found[1][k])
        assert abs(ours - exact) <= Fraction(roundings[k] * 2.0**-53) * exact, k


@pytest.mark.parametrize("name", ["erf", "sin", "cos", "gaussian", "tanh"])
@pytest.mark.parametrize("depth", [1, 2])
def test_coefficients_below_the_range_of_doubles(name, depth):
    """By the series, against sums over the points; half of the coefficients are 0."""
    network, dim = Network(name, depth=depth, weight_variance=0.02), 500
    degrees = np.arange(250, 300)
    found = spectrum(network, Cube(dim), degrees)
    assert found.route.startswith("Taylor series")
    zeros = parity(network, "ntk")
    exact = enclosed(LayerValues(network, "ntk"), zeros, dim, degrees.tolist())
    assert len(exact) == 25
    for k, value in exact.items():
        log, error = float(value.log()), found.relative_error[0]
        at = int(np.flatnonzero(degrees == k)[0])
        assert abs(found.log_eigenvalues[at] - log) <= error + 4e-16 * abs(log)


def test_walk_in_the_dimension():
    """mu_k^(d) = mu_k^(d-2) + mu_(k+2)^(d) for a fixed function of the sum of the coordinates."""
    dim = 12

    def of_sum(x):
        t = x / arb(dim)
        return t * t * t + (t * arb(3)).exp()

    wide = spectrum(ZonalKernel(lambda t: of_sum(t * dim), arithmetic="flint"), Cube(dim))
    narrow = spectrum(
        ZonalKernel(lambda t: of_sum(t * (dim - 2)), arithmetic="flint"), Cube(dim - 2)
    )
    left, right = wide.eigenvalues, narrow.eigenvalues
    np.testing.assert_allclose(left[:-2], right + left[2:], rtol=4e-15)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("trained", ["hidden", "all"])
def test_both_routes_agree(name, trained):
    """The series in doubles and the duals in balls share no number; digits to d = 100."""
    network = Network(name, trained=trained, weight_variance=0.7)
    for dim in (9, 100):
        zeros = parity(network, "ntk")
        degrees = [k for k in range(dim + 1) if not zeros.vanishes(k)]
        layered = enclosed(LayerValues(network, "ntk"), zeros, dim, degrees)
        found = spectrum(network, Cube(dim), degrees)
        for i, k in enumerate(degrees):
            with ctx.workprec(200):
                mine = arb(float(found.mantissas[i])) * arb(2) ** int(found.exponents[i])
                assert abs(float(mine / layered[k].mid() - 1)) <= found.relative_error[i]


@pytest.mark.parametrize(
    "network",
    [
        Network("relu"), Network("relu", depth=3, bias_variance=0.2, trained="all"),
        Network("tanh"), Network("erf", depth=2, weight_variance=3.0),
    ],
)  # fmt: skip
def test_trace_and_bounds_in_high_dimension(network):
    dim = 300
    found = spectrum(network, Cube(dim))
    total = sum(
        mpmath.mpf(float(m)) * mpmath.mpf(2) ** int(e) * math.comb(dim, int(k))
        for m, e, k in zip(found.mantissas, found.exponents, found.degrees)
    )
    assert float(abs(total / float(network.ntk(1.0)) - 1)) < 2e-14
    # Deep kernels are composed in doubles: their bound, not their error, may come near 1e-12.
    assert found.relative_error.max() <= (2e-13 if network.depth == 1 else 1e-12)
    assert np.isfinite(found.log_eigenvalues[found.mantissas > 0]).all()


def test_a_thousand_dimensions_and_underflow():
    found = spectrum("gelu", Cube(1000))
    assert found.eigenvalues[1000] == 0.0 and found.log_eigenvalues[1000] < -1500.0
    assert found.multiplicities[500] == pytest.approx(math.comb(1000, 500), rel=1e-15)
    some = spectrum("gelu", Cube(1000), [1000, 3, 4])
    np.testing.assert_array_equal(some.mantissas, found.mantissas[[1000, 3, 4]])
    assert some.mantissas[1] == 0.0


def test_zeros_are_exact():
    assert spectrum("relu", Cube(8)).eigenvalues[3::2].tolist() == [0.0] * 3
    assert spectrum("tanh", Cube(8)).eigenvalues[::2].tolist() == [0.0] * 5
    linear = spectrum(Network("leaky_relu", slope=1.0), Cube(5))
    assert np.flatnonzero(linear.mantissas).tolist() == [1]
    even = spectrum(Network("abs"), Cube(7), kernel="nngp")
    assert np.flatnonzero(even.mantissas).tolist() == [0, 2, 4, 6]


def test_users_functions():
    mine = ntkspec.user_activation(
        lambda x: x.erf(), lambda x: 2 / arb.pi().sqrt() * (-x * x).exp(), arithmetic="flint",
        symmetry="odd",
    )  # fmt: skip
    own = spectrum(Network(mine), Cube(6))
    np.testing.assert_allclose(own.eigenvalues, spectrum("erf", Cube(6)).eigenvalues, rtol=1e-14)
    cube = spectrum(ZonalKernel(lambda t: t**3, arithmetic="mpmath"), Cube(4), degrees=[1, 3])
    np.testing.assert_allclose(cube.eigenvalues, [10 / 64, 6 / 64], rtol=1e-15)


def refused(source, dim, degrees=None, kernel="ntk"):
    return spectrum(source, Cube(dim), degrees, kernel=kernel)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("relu", 0), "dim = 0 is not allowed on the cube; it must be a whole number from 1"),
        (("relu", 2.5), "dim = 2.5 is not allowed"),
        (("relu", 10**7), "from 1 to 1000000"),
        (("relu", 4, [5]), "degree = 5 is not allowed; the cube of dimension 4 has degrees 0 to 4"),
        (("relu", 4, []), "is empty"),
        (("relu", 4, None, "kernel"), "kernel = 'kernel' is not allowed"),
        ((Network("relu", weights="sphere"), 4), "weights = 'sphere' is not allowed on the cube"),
        ((ntkspec.user_activation(np.tanh), 4), "known in doubles only"),
        ((ZonalKernel(np.exp), 4), "known in doubles only"),
        ((Network("tanh", weight_variance=1e4), 10), "needs more than 200000 terms"),
    ],
)
def test_what_is_not_allowed(arguments, message):
    if isinstance(arguments[0], ntkspec.Activation):
        arguments = (Network(arguments[0]), *arguments[1:])
    with pytest.raises(NtkspecError) as caught:
        refused(*arguments)
    assert message in str(caught.value)


def test_shares():
    shares = fractional_variances(Network("relu", depth=2, trained="all"), 40)
    assert shares.sum() == pytest.approx(1.0, abs=1e-13)
    with_bias = fractional_variances("relu", 40, readout=(2.0, 1.0))
    plain = fractional_variances("relu", 40)
    np.testing.assert_allclose(with_bias[1:], plain[1:] / 2.0, rtol=1e-14)  # K(1) = 1/2
    assert with_bias.sum() == pytest.approx(1.0, abs=1e-13)
    with pytest.raises(NtkspecError, match="readout = "):
        fractional_variances("relu", 4, readout=(0.0, 1.0))


def test_command_line():
    run = CliRunner().invoke(
        main, ["eig", "relu", "--dim", "4", "--domain", "cube", "--format", "json"]
    )
    table = json.loads(run.output)
    assert table["domain"] == "cube" and table["degree"] == [0, 1, 2, 3, 4]
    assert table["multiplicity"] == [1, 4, 6, 4, 1]
    assert table["eigenvalue"] == spectrum("relu", Cube(4)).eigenvalues.tolist()
    command = [
        "eig",
        "erf",
        "--dim",
        "10",
        "--domain",
        "gaussian",
        "--degrees",
        "1,3",
        "--radial",
        "2",
    ]
    run = CliRunner().invoke(main, [*command, "--format", "csv"])
    lines = run.output.splitlines()
    assert lines[0].startswith("degree,radial,eigenvalue") and len(lines) == 5
    text = CliRunner().invoke(main, [*command]).output
    assert "gaussian, probability measure" in text
    for bad, word in (
        (["--domain", "cube", "--degrees", "0:200"], "degree = 199"),
        (["--domain", "cube", "--normalization", "surface"], "normalization = 'surface'"),
        (["--radial", "2"], "radial = 2"),
    ):
        run = CliRunner().invoke(main, ["eig", "relu", "--dim", "9", *bad])
        assert run.exit_code == 2 and word in run.output and "Traceback" not in run.output
