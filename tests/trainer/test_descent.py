"""Networks at their start, their tangent kernels, and gradient descent until it is stopped."""

import numpy as np
import pytest
from draws import examples
from hypothesis import given
from hypothesis import strategies as st

import ntkspec
from ntkspec.activations import activation
from ntkspec.errors import NtkspecError
from ntkspec.trainer.descent import (
    Descent,
    Diverged,
    flattening_exponent,
    largest_stable_step,
)
from ntkspec.trainer.network import WideNetwork, start
from ntkspec.trainer.points import circle, product_rule, random_points
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss
from ntkspec.trainer.targets import Target, Term

RELU, TANH = activation("relu"), activation("tanh")


def sine(points, *degrees):
    angle = np.arctan2(points.x[:, 1], points.x[:, 0])
    return sum(np.sin(k * angle) for k in degrees)


# --- the network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_an_antisymmetric_start_is_zero_to_the_bit(name, precision):
    network = start(activation(name), 1002, 3, seed=4, precision=precision)
    assert not network.values(random_points(50, 3, seed=0).x).any()


def test_the_start_is_as_it_says():
    network = start(RELU, 100_000, 3, seed=1, antisymmetric=False, weight_variance=4.0)
    assert set(np.unique(network.readout)) == {-1.0, 1.0}
    assert abs(network.readout.mean()) < 4 / np.sqrt(1e5)
    assert network.weights.var() == pytest.approx(4.0, rel=0.02)
    again = start(RELU, 100_000, 3, seed=1, antisymmetric=False, weight_variance=4.0)
    assert network.weights.tobytes() == again.weights.tobytes()
    single = start(RELU, 64, 2, seed=1, precision="float32")
    double = start(RELU, 64, 2, seed=1)
    np.testing.assert_array_equal(single.weights, double.weights.astype(np.float32))


@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
def test_the_tangent_matrix_is_that_of_differences(name, trained):
    """Derivatives by all parameters from central differences of plain numpy values."""
    sigma, points = activation(name), random_points(5, 3, seed=2)
    network = start(sigma, 12, 3, seed=0, antisymmetric=False, trained=trained)
    parts = [network.weights] + ([network.readout] if trained == "all" else [])
    columns = []
    for part in parts:
        for place in np.ndindex(part.shape):
            kept, ends = part[place], []
            for h in (1e-6, -1e-6):
                part[place] = kept + h
                hidden = sigma.value(points.x @ network.weights.T)
                ends.append(hidden @ network.readout / np.sqrt(12))
            part[place] = kept
            columns.append((ends[0] - ends[1]) / 2e-6)
    jacobian = np.array(columns).T
    matrix = network.tangent_matrix(points.x)
    np.testing.assert_allclose(matrix, jacobian @ jacobian.T, rtol=1e-7, atol=1e-8)
    applied = network.tangent_operator(points.x).matvec(points.x[:, 0])
    np.testing.assert_allclose(applied, matrix @ points.x[:, 0], rtol=1e-12)


@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_wide_networks_have_the_kernel_of_the_engine(name, trained):
    """Of 2^18 neurons, within five standard deviations of the mean of their entries."""
    points = random_points(6, 3, seed=3)
    network = start(activation(name), 2**18, 3, seed=0, trained=trained)
    exact = ntkspec.Network(name, trained=trained).ntk_matrix(points.x)
    np.testing.assert_allclose(network.tangent_matrix(points.x), exact, atol=5 / np.sqrt(2**17))


@pytest.mark.parametrize(
    "changed,message",
    [
        ({"width": -4}, "width = -4 is not allowed; it must be a whole number from 1"),
        ({"width": 5}, "width = 5 is not allowed; an antisymmetric start needs an even width"),
        ({"width": 4.5}, "width = 4.5 is not allowed"),
        ({"dim": 1}, "dim = 1 is not allowed"),
        ({"seed": -1}, "seed = -1 is not allowed"),
        ({"weight_variance": 0.0}, "weight_variance = 0.0 is not allowed"),
        ({"weight_variance": np.nan}, "weight_variance = nan is not allowed"),
        ({"trained": "none"}, "trained = 'none' is not allowed; use 'hidden' or 'all'"),
        ({"precision": "half"}, "precision = 'half' is not allowed"),
    ],
)
def test_starts_that_are_not_allowed(changed, message):
    with pytest.raises(NtkspecError, match=message):
        start(**({"sigma": RELU, "width": 4, "dim": 2, "seed": 0} | changed))


# --- descent -------------------------------------------------------------------------------------


def plain_descent(network, points, y, matrix, size, steps):
    """Plain numpy: W <- W - eta d(1/2 r' P r)/dW, with all that is trained."""
    sigma, w, a = network.sigma, network.weights.copy(), network.readout.copy()
    root = np.sqrt(len(w))
    for _ in range(steps):
        z = points.x @ w.T
        g = matrix @ (sigma.value(z) @ a / root - y)
        dw = a[:, np.newaxis] * ((sigma.derivative(z) * g[:, np.newaxis]).T @ points.x) / root
        da = sigma.value(z).T @ g / root
        w -= size * dw
        if network.trained == "all":
            a -= size * da
    return w, a


@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize("s", [None, -1.0, 1.0])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_descent_is_that_of_plain_numpy(name, s, trained):
    points = circle(32)
    y = sine(points, 1, 4)
    loss = L2Loss(points) if s is None else SobolevLoss(points, s)
    network = start(activation(name), 200, 2, seed=0, trained=trained)
    w, a = plain_descent(network, points, y, loss.matrix(), 0.2, 40)
    descent = Descent(network, points.x, y, loss, step_size=0.2)
    descent.advance(40)
    np.testing.assert_allclose(network.weights, w, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(network.readout, a, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(descent.residual, network.values(points.x) - y, atol=1e-13)
    r = descent.residual
    assert descent.loss == pytest.approx(0.5 * r @ loss.matrix() @ r, rel=1e-12)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["relu", "tanh"]))
@examples(4, 10)
def test_interrupted_it_goes_on_to_the_same_bits(first, second, name):
    points = product_rule(4, 3)
    y = points.x[:, 0] * points.x[:, 2]
    loss = SobolevLoss(points, 0.5)

    def made():
        return start(activation(name), 500, 3, seed=7, trained="all")

    whole = Descent(made(), points.x, y, loss)
    whole.advance(first + second)
    part = Descent(made(), points.x, y, loss)
    part.advance(first)
    kept = part.state()
    part.advance(1)  # a state is a copy
    rest = Descent(made(), points.x, y, loss, threads=1, state=kept)
    rest.advance(second)
    assert rest.steps == whole.steps and rest.step_size == whole.step_size
    for name_ in ("weights", "readout", "residual"):
        assert np.asarray(rest.state()[name_]).tobytes() == whole.state()[name_].tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "it has no weights, readout, residual"),
        ({"weights": 0.0}, r"weights'\] of shape \(\) is not allowed; this network needs"),
        ({"residual": np.zeros(3)}, r"shape \(3,\)"),
        ({"readout": np.full(50, np.nan)}, "finite"),
        ({"weights": np.full((50, 2), "x")}, "finite numbers"),
        ({"steps": -3}, "steps = -3"),
        ({"steps": 1.7}, "steps = 1.7"),
        ({"step_size": "a"}, "step_size = 'a'"),
    ],
)
def test_a_state_that_does_not_fit(change, message):
    points = circle(16)
    descent = Descent(start(TANH, 50, 2, seed=0), points.x, points.x[:, 0], L2Loss(points))
    network, state = start(TANH, 50, 2, seed=1), descent.state()
    before = network.weights.copy()
    given = 3 if change is None else {**state, **change}
    with pytest.raises(NtkspecError, match=message):
        Descent(network, points.x, points.x[:, 0], L2Loss(points), state=given)
    with pytest.raises(NtkspecError, match="step_size is that of the state"):
        Descent(network, points.x, points.x[:, 0], L2Loss(points), step_size=0.1, state=state)
    np.testing.assert_array_equal(network.weights, before)


@pytest.mark.parametrize("s", [None, 1.0])
@pytest.mark.parametrize("points", [circle(12), random_points(40, 3, seed=0), circle(300)])
def test_the_largest_stable_step_is_two_over_the_largest_eigenvalue(points, s):
    """Few points and many go different ways; rounded down to three digits."""
    loss = L2Loss(points) if s is None else SobolevLoss(points, s)
    network = start(TANH, 400, points.dim, seed=0)
    product = network.tangent_matrix(points.x) @ loss.matrix()
    exact = 2.0 / np.abs(np.linalg.eigvals(product)).max()
    found = largest_stable_step(network, points.x, loss)
    assert 0.99 * exact <= found <= exact * (1 + 1e-4)


def test_the_stable_step_is_the_border():
    """A little below it the linear part of training falls; a given step above it is refused."""
    points = circle(32)
    y = 1e-3 * sine(points, 1)
    network = start(RELU, 4096, 2, seed=0)
    most = largest_stable_step(network, points.x, L2Loss(points))
    descent = Descent(network, points.x, y, L2Loss(points), step_size=0.97 * most)
    before = descent.loss
    descent.advance(300)
    assert descent.loss < 0.2 * before
    with pytest.raises(NtkspecError, match="the largest stable step size is"):
        Descent(network, points.x, y, L2Loss(points), step_size=1.05 * most)
    assert Descent(network, points.x, y, L2Loss(points)).step_size == pytest.approx(
        0.5 * most, rel=0.01
    )


def test_a_descent_that_diverges_is_stopped():
    """relu with its readout trained: stable at the start, not where a large target takes it."""
    points = circle(16)
    network = start(RELU, 16, 2, seed=0, trained="all")
    y = 300.0 * sine(points, 1)
    descent = Descent(network, points.x, y, L2Loss(points))
    with pytest.raises(Diverged, match=r"diverged at step \d+: the loss .* largest stable one"):
        descent.advance(2000)


def test_a_loss_that_is_not_a_number_is_reported():
    points = circle(16)
    descent = Descent(start(RELU, 8, 2, seed=0), points.x, sine(points, 1), L2Loss(points))
    descent.network.weights[:] = np.nan
    with pytest.raises(Diverged, match="diverged at step 1: the loss became nan"):
        descent.advance(3)


@pytest.mark.parametrize(
    "x,y,step_size,message",
    [
        (np.ones((4, 2)), np.zeros(4), None, r"points\[0\] has norm 1.414213562; all norms must"),
        (np.full((4, 2), np.nan), np.zeros(4), None, r"points\[0\] has norm nan"),
        (np.eye(3), np.zeros(3), None, "dim = 2 is needed"),
        (circle(4).x, np.zeros(5), None, r"target of shape \(5,\) is not allowed"),
        (circle(4).x, np.full(4, np.inf), None, r"target\[0\] = inf is not allowed"),
        (
            circle(4).x,
            np.zeros(4),
            -1.0,
            "step_size = -1.0 is not allowed; it must be",
        ),
        (circle(4).x, np.zeros(4), np.nan, "step_size = nan is not allowed"),
    ],
)
def test_descents_that_are_not_allowed(x, y, step_size, message):
    with pytest.raises(NtkspecError, match=message):
        Descent(start(RELU, 8, 2, seed=0), x, y, L2Loss(circle(4)), step_size=step_size)


def test_a_dead_network_is_reported():
    network = WideNetwork(RELU, np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(NtkspecError, match="learns nothing"):
        Descent(network, circle(8).x, sine(circle(8), 1), L2Loss(circle(8)))


# --- the exponent that flattens ------------------------------------------------------------------


@pytest.mark.parametrize("dim,s", [(2, 1.0), (3, 1.5), (10, 5.0)])
def test_relu_is_flattened_by_half_the_dimension(dim, s):
    points = circle(16) if dim == 2 else random_points(200, dim, seed=0)
    target = Target((Term(1), Term(2)))
    assert flattening_exponent(start(RELU, 16, dim, seed=0), points, target) == s


@pytest.mark.parametrize("weight", ["power", "laplacian"])
def test_others_are_fitted_to_the_targets_degrees(weight):
    """The spread of predicted rates, by the engine's eigenvalues, is least at the s chosen."""
    degrees = np.array([1, 3, 5])
    target = Target(tuple(Term(int(k)) for k in degrees))
    points = product_rule(16, 3)
    s = flattening_exponent(start(TANH, 2**13, 3, seed=0), points, target, weight)
    rates = ntkspec.eigenvalues("tanh", dim=3, degrees=degrees)

    def spread(s):
        loss = SobolevLoss(points, s, weight, max_degree=8)
        return np.std(np.log(rates * loss.multiplier(degrees)))

    assert spread(s) < 0.2 * spread(0.0)
    assert spread(s) <= min(spread(s - 0.2), spread(s + 0.2))


def test_a_target_of_one_degree_has_nothing_to_flatten():
    with pytest.raises(NtkspecError, match="needs a target with two degrees or more"):
        flattening_exponent(start(TANH, 64, 3, seed=0), product_rule(8, 3), Target((Term(1),)))
