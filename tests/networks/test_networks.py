"""Networks and their pointwise kernels."""

import math
import pickle

import mpmath
import numpy as np
import pytest
from draws import examples
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from problems import POSTER

from ntkspec.activations import activation, user_activation
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network

T = [-1.0, -1 + 2**-50, -0.999, -0.3, -1e-9, 0.0, 1e-12, 0.5, 0.99, 1 - 1e-7, 1 - 2**-53, 1.0]


def relu_reference(t, slope, variance):
    """F and q t D of leaky relu at 60 digits: Cho and Saul 2009, equations 3 to 6."""
    with mpmath.workdps(60):
        t, a, q = mpmath.mpf(t), mpmath.mpf(slope), mpmath.mpf(variance)
        angle = mpmath.acos(t)
        j0 = (mpmath.pi - angle) / (2 * mpmath.pi)
        j1 = (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)) / (2 * mpmath.pi)
        if t == -1:  # both vanish there; acos leaves 1e-62
            j0 = j1 = mpmath.mpf(0)
        return q * (a * t + (1 - a) ** 2 * j1), q * t * (a + (1 - a) ** 2 * j0)


def gaussian_reference(t, variance, function):
    """E[f(u) f(v)] with u = sqrt(q) x, v = sqrt(q) (t x + sqrt(1-t^2) y): the double integral
    itself by the trapezoid rule in ball arithmetic (the kernels use u + v and u - v)."""
    ctx.prec = 120
    try:
        t, root = arb(t), arb(variance).sqrt()
        spread = math.sqrt(variance)
        step = 0.12 / max(1.0, spread)
        count = int(12.0 / step)
        nodes = [arb(step) * i for i in range(-count, count + 1)]
        weights = [(-x * x / 2).exp() for x in nodes]
        rest = (1 - t * t).sqrt() if float(abs(t)) < 1 else arb(0)
        if float(abs(t)) == 1:
            pairs = (
                w * function(root * x) * function(root * t * x) for x, w in zip(nodes, weights)
            )
            total = sum(pairs, arb(0)) * step / (2 * arb.pi()).sqrt()
        else:
            total = arb(0)
            for x, w in zip(nodes, weights):
                inner = sum(
                    (v * function(root * (t * x + rest * y)) for y, v in zip(nodes, weights)),
                    arb(0),
                )
                total += w * function(root * x) * inner
            total = total * step * step / (2 * arb.pi())
        return mpmath.mpf(total.mid().str(30, radius=False))
    finally:
        ctx.prec = 53


def relative(value, reference):
    if reference == 0:
        return abs(float(value))
    with mpmath.workdps(40):
        return abs(float(mpmath.mpf(float(value)) / reference - 1))


@pytest.mark.parametrize("name,slope", [("relu", None), ("leaky_relu", 0.2), ("leaky_relu", -0.7)])
@pytest.mark.parametrize("variance", [1.0, 3.7])
def test_piecewise_linear_kernels_at_sixty_digits(name, slope, variance):
    net = Network(name, slope=slope, weight_variance=variance)
    both = Network(name, slope=slope, weight_variance=variance, trained="all")
    for t in T:
        dual, tangent = relu_reference(t, slope or 0.0, variance)
        size = abs(dual) + abs(tangent)
        if slope is None:  # one sign: full relative accuracy, both ends included
            assert relative(net.nngp(t), dual) < 1e-14
            assert relative(net.ntk(t), tangent) < 1e-14
        assert abs(net.nngp(t) - float(dual)) < 1e-14 * float(size) + 1e-300
        assert abs(net.ntk(t) - float(tangent)) < 1e-14 * float(size) + 1e-300
        assert abs(both.ntk(t) - float(dual + tangent)) < 1e-14 * float(size) + 1e-300


@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("t", [-1.0, -0.7, 0.3, 0.95, 1.0])
def test_tanh_kernels_against_the_double_integral(t, variance):
    net = Network("tanh", weight_variance=variance)
    slope = gaussian_reference(t, variance, lambda z: 1 / z.cosh() ** 2)
    assert relative(net.ntk(t), variance * mpmath.mpf(t) * slope) < 1e-14
    assert relative(net.nngp(t), gaussian_reference(t, variance, arb.tanh)) < 1e-14


@pytest.mark.parametrize("t", [-0.6, 1e-8, 0.6])
def test_sigmoid_kernels_against_the_double_integral(t):
    net = Network("sigmoid", weight_variance=2.0)
    value = gaussian_reference(t, 2.0, lambda z: 1 / (1 + (-z).exp()))
    assert relative(net.nngp(t), value) < 1e-14
    slope = gaussian_reference(t, 2.0, lambda z: 1 / (z / 2).cosh() ** 2 / 4)
    assert relative(net.ntk(t), 2 * mpmath.mpf(t) * slope) < 1e-14


def test_tanh_near_zero_keeps_relative_digits():
    # F is odd: F(t)/t is continuous, F'(0) = q E[sech^2(sqrt(q) Z)]^2 = h_1^2 for q = 1
    value = Network("tanh").nngp(1e-200)
    assert value / 1e-200 == pytest.approx(0.60570550960215882558**2, rel=1e-14)


@examples(10, 100)
@given(st.floats(-1, 1), st.floats(0.01, 1e4), st.sampled_from(["tanh", "sigmoid"]))
def test_tangent_is_odd_and_grows(t, variance, name):
    net = Network(name, weight_variance=variance)
    assert net.ntk(-t) == pytest.approx(-net.ntk(t), rel=1e-13)
    assert abs(net.ntk(t)) <= net.ntk(1.0) * (1 + 1e-13)


def test_shapes():
    net = Network("tanh")
    assert net.ntk(0.5).shape == ()
    assert net.ntk(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert net.ntk([]).shape == (0,)
    assert net.ntk(np.linspace(-1, 1, 6).reshape(2, 3).T).shape == (3, 2)


@pytest.mark.parametrize("name", POSTER)
def test_matrix_is_the_pointwise_kernel(name):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    net = Network(name, trained="all")
    t = np.clip(x @ x.T, -1, 1)
    for matrix, pointwise in ((net.ntk_matrix, net.ntk), (net.nngp_matrix, net.nngp)):
        result = matrix(x)
        np.testing.assert_array_equal(result, result.T)
        np.testing.assert_allclose(result, pointwise(t), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(np.diag(result), pointwise(1.0), rtol=1e-14)
        assert np.linalg.eigvalsh(result).min() > -1e-14 * 40


def test_matrix_keeps_digits_for_close_points():
    angle = 1e-9
    x = np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    value = Network("relu").ntk_matrix(x)[0, 1]
    with mpmath.workdps(40):
        a = mpmath.mpf(angle)
        true = mpmath.cos(a) * (mpmath.pi - a) / (2 * mpmath.pi)
    assert relative(value, true) < 1e-15  # t = 1 - 5e-19 rounds to 1: x @ x.T gives 0.5


def test_matrix_of_two_thousand_points_needs_no_second_matrix():
    tracemalloc = pytest.importorskip("tracemalloc")
    x = np.random.default_rng(1).standard_normal((1000, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    net = Network("relu")
    net.ntk_matrix(x[:2])
    tracemalloc.start()
    net.ntk_matrix(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 1000**2 * 1.1


@pytest.mark.parametrize(
    "arguments,words",
    [
        (dict(activation="rleu"), ["rleu", "relu"]),
        (dict(activation=3), ["3"]),
        (dict(activation="tanh", slope=0.1), ["slope", "tanh"]),
        (dict(activation="leaky_relu", slope=math.nan), ["slope", "nan"]),
        (dict(activation="leaky_relu", slope="steep"), ["slope", "steep"]),
        (dict(activation="tanh", weight_variance=0.0), ["weight_variance", "0.0"]),
        (dict(activation="tanh", weight_variance=-1), ["weight_variance", "-1"]),
        (dict(activation="tanh", weight_variance=math.inf), ["weight_variance", "inf"]),
        (dict(activation="tanh", weight_variance=None), ["weight_variance", "None"]),
        (dict(activation="relu", depth=0), ["depth", "0"]),
        (dict(activation="relu", depth=1.5), ["depth", "1.5"]),
        (dict(activation="relu", depth=True), ["depth", "True"]),
        (dict(activation="relu", bias_variance=-0.1), ["bias_variance", "-0.1"]),
        (dict(activation="relu", bias_variance=math.inf), ["bias_variance", "inf"]),
        (dict(activation="relu_power", power=0), ["power", "0"]),
        (dict(activation="relu", power=2), ["power", "relu_power"]),
        (dict(activation="relu", weights="cube"), ["weights", "cube"]),
        (dict(activation="tanh", weights="sphere", depth=2), ["sphere", "depth = 2"]),
        (dict(activation="relu", trained="inner"), ["trained", "inner"]),
    ],
)
def test_bad_parameters_get_a_message(arguments, words):
    with pytest.raises(NtkspecError) as caught:
        Network(**arguments)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cosines_that_rounding_put_outside_are_taken_as_the_ends():
    for network in (Network("relu"), Network("tanh", depth=2), Network(user_activation(np.tanh))):
        for end in (-1.0, 1.0):
            beyond = end * (1 + 4 * 2.0**-52)
            assert network.ntk([beyond, 0.5])[0] == network.ntk(end)
            assert network.with_error(beyond)[0] == network.ntk(end)
        with pytest.raises(NtkspecError, match=r"t = 1\.0"):
            network.nngp(1 + 5 * 2.0**-52)


def test_a_catalogued_activation_stands_for_its_name():
    leaky = activation("leaky_relu", slope=0.25)
    assert Network(leaky) == Network("leaky_relu", slope=0.25)
    assert Network(activation("tanh")) == Network("tanh")
    mine = Network(user_activation(np.tanh, name="tanh"))
    assert mine != Network("tanh") and pickle.loads(pickle.dumps(mine)) == mine


@pytest.mark.parametrize("t", [1.0000001, -2, math.nan, "half", [0.0, math.inf]])
def test_bad_cosines(t):
    with pytest.raises(NtkspecError, match="t = "):
        Network("relu").ntk(t)


@pytest.mark.parametrize(
    "points", [[[1.0, 1.0]], [1.0, 0.0], [["a", "b"]], [[1.0]], [[math.nan, 0]]]
)
def test_bad_points(points):
    with pytest.raises(NtkspecError, match="points"):
        Network("relu").matrix_with_error(points)


def exactly(network, kernel, t):
    """K by the layers' duals in balls, at a precision that leaves 17 digits."""
    from ntkspec.duals import Layers

    before, bits = ctx.prec, 200
    try:
        while True:
            ctx.prec = bits
            angle = arb(float(t)).acos() if abs(t) < 1 else arb(0) if t > 0 else arb.pi()
            ball = Layers(network, kernel)(angle)
            if ball.rel_accuracy_bits() > 57:
                return float(ball.mid())
            bits += 100
    finally:
        ctx.prec = before


@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs", "erf", "gelu", "sin", "gaussian"])
def test_depth_ten_keeps_its_digits_next_to_the_ends(name, bias):
    network = Network(name, depth=10, bias_variance=bias, weight_variance=1.5, trained="all")
    for kernel in ("ntk", "nngp"):
        for t in (1 - 1e-15, 1 - 1e-9, 0.3, -1 + 1e-15):
            got = float(getattr(network, kernel)(t))
            assert got == pytest.approx(exactly(network, kernel, t), rel=1e-12)


@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize(
    "name",
    ["tanh", "sigmoid", "silu", "softplus", "cos", pytest.param("elu", marks=pytest.mark.slow)],
)
def test_depth_ten_keeps_its_digits_for_series_too(name, bias):
    network = Network(name, depth=10, bias_variance=bias, trained="all")
    for kernel in ("ntk", "nngp"):
        for t in (1 - 1e-15, 1 - 1e-9, 0.3):
            got = float(getattr(network, kernel)(t))
            assert got == pytest.approx(exactly(network, kernel, t), rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "silu", "softplus", "elu"])
def test_depth_ten_next_to_the_end_for_series(name):
    from ntkspec.reference.balls.expectations import make_dual
    from ntkspec.reference.description import describe

    network = Network(name, depth=10)
    # 1 - K(t) / K(1) to first order in 1 - t is K'(1) (1 - t) / K(1): by finite differences of the
    # kernel, which would be noise if 1 - t were lost on the way
    one, near, nearer = network.nngp([1.0, 1 - 1e-6, 1 - 1e-15])
    assert nearer <= one
    chain = 1.0
    variance = 1.0
    for _ in range(10):
        value, slope = make_dual(describe(name), arb(variance), 40.0).at_zero()
        chain *= float(slope)
        variance = float(value)
    assert one == pytest.approx(variance, rel=1e-13)
    assert (one - near) / 1e-6 == pytest.approx(chain, rel=2e-3)


def test_close_points_keep_their_distance_through_ten_layers():
    # tanh, no bias: K(1) - K(t) for points 1e-9 apart, against 1 - t = 5e-19, below the doubles
    angle = 1e-9
    points = np.array([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
    matrix = Network("relu", depth=10, trained="all").ntk_matrix(points)
    assert np.all(np.isfinite(matrix))
    assert matrix[0, 1] < matrix[0, 0]
    # relu's NTK falls linearly in the angle
    other = Network("relu", depth=10, trained="all").ntk(math.cos(1e-4))
    slope = (matrix[0, 0] - matrix[0, 1]) / angle
    assert slope == pytest.approx((matrix[0, 0] - other) / 1e-4, rel=1e-2)


@pytest.mark.parametrize(
    "parameters",
    [
        dict(activation="erf", depth=15, weight_variance=256.0),
        dict(activation="erf", depth=3, weight_variance=256.0, bias_variance=1.0),
        dict(activation="gelu", depth=15, weight_variance=256.0),
        dict(activation="relu", depth=15, weight_variance=256.0),
        dict(activation="tanh", depth=1, weight_variance=256.0),
        dict(activation="tanh", depth=50, weight_variance=0.8, bias_variance=0.1),
        dict(activation="erf", depth=50, weight_variance=0.5, bias_variance=0.2),
    ],
)
def test_large_variances_and_great_depths_are_finite_and_positive(parameters):
    network = Network(**parameters, trained="all")
    random = np.random.default_rng(1)
    points = random.standard_normal((60, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for matrix in (network.ntk_matrix(points), network.nngp_matrix(points)):
        assert np.all(np.isfinite(matrix))
        values = np.linalg.eigvalsh(matrix)
        assert values[0] > -60 * 2.3e-16 * values[-1]


@pytest.mark.slow
def test_deep_tanh_networks_at_large_variance():
    network = Network("tanh", depth=15, weight_variance=256.0, trained="all")
    points = np.random.default_rng(1).standard_normal((60, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for matrix in (network.ntk_matrix(points), network.nngp_matrix(points)):
        assert np.all(np.isfinite(matrix))
        assert np.linalg.eigvalsh(matrix)[0] > -60 * 2.3e-16 * np.linalg.eigvalsh(matrix)[-1]


def test_a_variance_beyond_doubles_gets_a_message():
    with pytest.raises(NtkspecError, match="variance before layer"):
        Network("relu_power", power=4, depth=12, weight_variance=100.0).nngp(0.5)


@pytest.mark.parametrize("slope", [1.0, 1.0 - 1e-7, 1.0 - 1e-12])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_linear_activation_has_the_kernel_of_linear_layers(slope, depth):
    """q_(l+1) = s_w q_l + s_b and T_(l+1) = q_(l+1) + s_w T_l, up to 1 - slope."""
    t = np.array([-1.0, -0.3, 0.5, 1.0])
    network = Network(
        "leaky_relu", slope=slope, depth=depth, weight_variance=2.0, bias_variance=0.1
    )
    q = tangent = 2.0 * t + 0.1
    for _ in range(depth - 1):
        q = 2.0 * q + 0.1
        tangent = q + 2.0 * tangent
    apart = 1e-14 + 2.0 * depth * (1.0 - slope)
    np.testing.assert_allclose(network.nngp(t), q, atol=apart * q[-1])
    np.testing.assert_allclose(network.ntk(t), tangent, atol=apart * tangent[-1])


@pytest.mark.parametrize("values", ["0.5", True, [True], ["0.1"], 1j, b"1", [[1.0], [1.0, 2.0]]])
def test_kernels_take_numbers_alone(values):
    for call in (Network("relu").ntk, Network("relu").nngp, Network("relu").ntk_matrix):
        with pytest.raises(NtkspecError, match="give numbers"):
            call(values)


@pytest.mark.parametrize("given", [{"slope": 0.3}, {"power": 3}])
def test_parameters_of_a_named_activation_are_refused_with_an_activation(given):
    from ntkspec import user_activation

    with pytest.raises(NtkspecError, match=f"{next(iter(given))} = .* is given with an Activation"):
        Network(user_activation(np.tanh), **given)
