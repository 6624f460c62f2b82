"""Networks at their start, their tangent kernels, and gradient descent until it is stopped."""

import math

import numpy as np
import pytest
from draws import examples
from hypothesis import given
from hypothesis import strategies as st

import ntkspec
from ntkspec import Linear, Network, Normalize, Residual
from ntkspec.errors import NtkspecError
from ntkspec.trainer.descent import (
    Descent,
    Diverged,
    flattening_exponent,
    largest_stable_step,
)
from ntkspec.trainer.network import start
from ntkspec.trainer.passes import AdamRule
from ntkspec.trainer.points import circle, product_rule, random_points
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss
from ntkspec.trainer.targets import Target, Term


def sine(points, *degrees):
    angle = np.arctan2(points.x[:, 1], points.x[:, 0])
    return sum(np.sin(k * angle) for k in degrees)


# --- the network ---------------------------------------------------------------------------------

#: One hidden layer in the compiled loops, and what only matrix products can do.
SHALLOW = (
    Network("relu"),
    Network("tanh", trained="all", weight_variance=2.0, bias_variance=0.3),
    Network("tanh", bias="zero", bias_variance=0.5, trained="all", readout_variance=2.0),
)
DEEP = (
    Network("tanh", depth=2, weight_variance=1.5, bias_variance=0.1, trained="all"),
    Network("gelu", depth=3, bias="zero", bias_variance=1.0, trained="all"),
    Network(["tanh", "relu"], trained={1}, readout_variance=2.0),
    Network("relu", depth=2, normalize=True, trained="all", readout_bias_variance=0.2),
    Network("relu", depth=2, parameterization="standard", bias_variance=0.1, trained="all"),
    Network("tanh", trained={2}),
    Network.serial(
        Linear(), Residual("relu", Linear(2.0, 0.1), scale=0.5), Normalize(), "gelu", Linear()
    ),
    Network.serial(Linear(), Residual("tanh", Linear(trained=False)), Residual("relu", Linear())),
)


ADAM = {"adam": AdamRule()}


def plain_values(network, parameters, x):
    """f by the definition of each part, in plain numpy; no part is moved more than its rates."""
    numbers = iter(range(1, 100))

    def linear(part, h, first, last):
        number = next(numbers)
        w, b, u, v = part.rule
        weights = parameters[f"weights_{number}"]
        z = h @ weights.T * math.sqrt((u or w) / (1 if first else weights.shape[1]))
        if b or v:
            z = z + math.sqrt(v or b) * parameters[f"bias_{number}"]
        return z

    def follow(parts, h, first):
        for part in parts:
            if isinstance(part, Linear):
                h, first = linear(part, h, first, False), False
            elif isinstance(part, Residual):
                h = h + part.scale * follow(part.parts, h, first)
            elif isinstance(part, Normalize):
                h = h - h.mean(axis=1, keepdims=True)
                h = h / np.sqrt((h**2).mean(axis=1, keepdims=True))
            else:
                h = np.asarray(part.value(h))
        return h

    return follow(network.parts, np.asarray(x, dtype=np.float64), True)[:, 0]


def moved(network):
    """Names of the parameters that descent moves."""
    layers = [part for part in flat(network.parts) if isinstance(part, Linear)]
    for number, part in enumerate(layers, 1):
        _, _, u, v = part.rule
        yield from [f"weights_{number}"] * (u > 0.0) + [f"bias_{number}"] * (v > 0.0)


def flat(parts):
    for part in parts:
        yield from flat(part.parts) if isinstance(part, Residual) else [part]


def jacobian(network, parameters, x):
    """Derivatives by all parameters that are moved, from central differences."""
    columns = []
    for name in moved(network):
        for place in np.ndindex(parameters[name].shape):
            kept, ends = parameters[name][place], []
            for h in (1e-5, -1e-5):
                parameters[name][place] = kept + h
                ends.append(plain_values(network, parameters, x))
            parameters[name][place] = kept
            columns.append((ends[0] - ends[1]) / 2e-5)
    return np.array(columns).T


def copied(network):
    return {name: one.astype(np.float64) for name, one in network.parameters.items()}


@pytest.mark.parametrize("network", [*SHALLOW, *DEEP], ids=str)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_start_is_zero_to_the_bit(network, precision):
    made = start(network, 102, 3, seed=4, precision=precision)
    assert not made.values(random_points(50, 3, seed=0).x).any()


def test_the_start_is_as_it_says():
    network = Network("relu", depth=2, weight_variance=4.0, bias_variance=0.5, trained="all")
    made = start(network, 1000, 3, seed=1, start="random")
    assert set(np.unique(made.parameters["weights_3"])) == {-1.0, 1.0}
    # What is trained is drawn in units of its rate.
    for name in ("weights_1", "weights_2", "bias_1", "bias_2"):
        assert made.parameters[name].var() == pytest.approx(1.0, rel=0.1)
    frozen = start(Network("relu", weight_variance=4.0, trained={2}), 1000, 3, seed=1)
    assert frozen.layers[0].scale == 2.0
    zero = start(Network("tanh", bias="zero", bias_variance=2.0), 10, 3, seed=0)
    assert not zero.parameters["bias_1"].any() and zero.layers[0].bias_scale == math.sqrt(2.0)
    again = start(network, 1000, 3, seed=1, start="random")
    for name, one in made.parameters.items():
        assert one.tobytes() == again.parameters[name].tobytes()
    single = start("relu", 64, 2, seed=1, precision="float32").parameters["weights_1"]
    double = start("relu", 64, 2, seed=1).parameters["weights_1"]
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("network", [*SHALLOW, *DEEP], ids=str)
def test_the_tangent_matrix_is_that_of_differences(network):
    points = random_points(5, 3, seed=2)
    made = start(network, 12, 3, seed=0, start="random")
    parameters = copied(made)
    np.testing.assert_allclose(
        made.values(points.x), plain_values(network, parameters, points.x), rtol=1e-13, atol=1e-14
    )
    slopes = jacobian(network, parameters, points.x)
    matrix = made.tangent_matrix(points.x)
    np.testing.assert_allclose(matrix, slopes @ slopes.T, rtol=1e-6, atol=1e-8)
    applied = made.tangent_operator(points.x).matvec(points.x[:, 0])
    np.testing.assert_allclose(applied, matrix @ points.x[:, 0], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("network", [*SHALLOW, *DEEP], ids=str)
def test_wide_networks_have_the_kernel_of_the_engine(network):
    """The mean of ten; each scatters by some 10 % at this width, and has a bias of 1/width."""
    points, width = random_points(6, 3, seed=3), 512
    exact = network.ntk_matrix(points.x)
    found = [start(network, width, 3, seed=s).tangent_matrix(points.x) for s in range(10)]
    scatter = np.std(found, axis=0, ddof=1) / math.sqrt(10)
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < 5 * scatter + 0.02 * exact.max())
    assert scatter.max() < 0.1 * exact.max()


@pytest.mark.parametrize(
    "changed,message",
    [
        ({"width": -4}, "width = -4 is not allowed; it must be a whole number from 1"),
        ({"width": 5}, "width = 5 is not allowed; a start at f = 0 needs an even one"),
        ({"width": 4.5}, "width = 4.5 is not allowed"),
        ({"dim": 1}, "dim = 1 is not allowed"),
        ({"seed": -1}, "seed = -1 is not allowed"),
        ({"start": "none"}, "start = 'none' is not allowed; use 'zero' or 'random'"),
        ({"precision": "half"}, "precision = 'half' is not allowed"),
        ({"network": "step"}, "step cannot be trained by gradient descent"),
        (
            {"network": Network.serial(Residual(Linear()), Linear(), "relu", Linear())},
            "starts with a residual branch",
        ),
        ({"network": "relu,relu", "width": 2**20}, "the weights would take"),
    ],
)
def test_starts_that_are_not_allowed(changed, message):
    with pytest.raises(NtkspecError, match=message):
        start(**({"network": "relu", "width": 4, "dim": 2, "seed": 0} | changed))


# --- descent -------------------------------------------------------------------------------------


def plain_descent(network, parameters, points, y, matrix, size, steps, momentum=0.0):
    """Plain numpy: heavy-ball steps against the gradient by differences."""
    last = 0.0
    for _ in range(steps):
        residual = plain_values(network, parameters, points.x) - y
        gradient = jacobian(network, parameters, points.x).T @ (matrix @ residual)
        last = momentum * last - size * gradient
        first = 0
        for name in moved(network):
            one = parameters[name]
            one += last[first : first + one.size].reshape(one.shape)
            first += one.size
    return parameters


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("s", [None, 1.0])
@pytest.mark.parametrize("network", [*SHALLOW, *DEEP[:4]], ids=str)
def test_descent_is_that_of_plain_numpy(network, s, momentum):
    points = circle(12)
    y = sine(points, 1, 4)
    loss = L2Loss(points) if s is None else SobolevLoss(points, s)
    made = start(network, 10, 2, seed=0, start="random")
    parameters = copied(made)
    plain_descent(network, parameters, points, y, loss.matrix(), 0.02, 3, momentum)
    descent = Descent(made, points.x, y, loss, step_size=0.02, momentum=momentum)
    descent.advance(3)
    for name, one in made.parameters.items():
        np.testing.assert_allclose(one, parameters[name], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(descent.residual, made.values(points.x) - y, atol=1e-13)
    r = descent.residual
    assert descent.loss == pytest.approx(0.5 * r @ loss.matrix() @ r, rel=1e-12)


@pytest.mark.parametrize("network", [SHALLOW[1], DEEP[1], DEEP[5]], ids=str)
def test_adam_is_that_of_the_paper(network):
    """Algorithm 1 of Kingma and Ba (2015), with its two corrected means, by differences."""
    points, rule = circle(12), AdamRule((0.8, 0.95), 1e-3)
    y, made = sine(points, 1, 4), start(network, 10, 2, seed=0, start="random")
    parameters, mean, square = copied(made), 0.0, 0.0
    for step in range(1, 5):
        residual = plain_values(network, parameters, points.x) - y
        gradient = jacobian(network, parameters, points.x).T @ residual / 12
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        corrected = mean / (1 - 0.8**step), square / (1 - 0.95**step)
        moves, first = 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-3), 0
        for name in moved(network):
            one = parameters[name]
            one -= moves[first : first + one.size].reshape(one.shape)
            first += one.size
    descent = Descent(made, points.x, y, L2Loss(points), step_size=0.01, adam=rule)
    assert descent.largest_stable_step == math.inf
    descent.advance(4)
    for name, one in made.parameters.items():
        np.testing.assert_allclose(one, parameters[name], rtol=1e-6, atol=1e-7)


def test_batches_are_drawn_without_replacement():
    """Their steps are those of plain numpy, with P of the points drawn."""
    points, network = circle(12), Network("tanh", trained="all")
    y, made = sine(points, 1, 4), start(network, 10, 2, seed=0)
    parameters = copied(made)
    Descent(made, points.x, y, L2Loss(points), step_size=0.1, batch=5, seed=3).advance(4)
    for number in range(4):
        chosen = np.random.default_rng([3, number]).permutation(12)[:5]
        mask = np.zeros(12)
        mask[chosen] = 1.0 / 5
        plain_descent(network, parameters, points, y, np.diag(mask), 0.1, 1)
    for name, one in made.parameters.items():
        np.testing.assert_allclose(one, parameters[name], rtol=1e-7, atol=1e-8)
    with pytest.raises(NtkspecError, match="batch = 5 is not allowed with this loss"):
        Descent(made, points.x, y, SobolevLoss(points, 1.0), batch=5)
    with pytest.raises(NtkspecError, match="batch = 13"):
        Descent(made, points.x, y, L2Loss(points), batch=13)


@given(
    st.integers(0, 12), st.integers(0, 12), st.sampled_from([*SHALLOW, *DEEP]),
    st.sampled_from(
        [{}, {"momentum": 0.9}, {"batch": 10}, {"batch": 10, "momentum": 0.5}, ADAM,
         {"batch": 4, **ADAM}]
    ),
    st.sampled_from(["float64", "float32"]),
)  # fmt: skip
@examples(6, 40)
def test_interrupted_it_goes_on_to_the_same_bits(first, second, network, optimizer, precision):
    points = product_rule(4, 3)
    y = points.x[:, 0] * points.x[:, 2]
    loss = L2Loss(points) if "batch" in optimizer else SobolevLoss(points, 0.5)

    def descent(**options):
        made = start(network, 300, 3, seed=7, precision=precision)
        return Descent(made, points.x, y, loss, **optimizer, **options)

    whole = descent(threads=2)
    whole.advance(first + second)
    part = descent()
    part.advance(first)
    kept = part.state()
    part.advance(1)  # a state is a copy
    rest = descent(threads=1, state=kept)
    rest.advance(second)
    assert rest.steps == whole.steps and rest.step_size == whole.step_size
    for name, one in whole.state().items():
        assert np.asarray(rest.state()[name]).tobytes() == np.asarray(one).tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "it has no weights_1, weights_2, residual"),
        ({"weights_1": 0.0}, r"weights_1'\] of shape \(\) is not allowed; this network needs"),
        ({"residual": np.zeros(3)}, r"shape \(3,\)"),
        ({"weights_2": np.full((1, 50), np.nan)}, "finite"),
        ({"weights_1": np.full((50, 2), "x")}, "finite numbers"),
        ({"steps": -3}, "steps = -3"),
        ({"steps": 1.7}, "steps = 1.7"),
        ({"step_size": "a"}, "step_size = 'a'"),
    ],
)
def test_a_state_that_does_not_fit(change, message):
    points = circle(16)
    descent = Descent(start("tanh", 50, 2, seed=0), points.x, points.x[:, 0], L2Loss(points))
    network, state = start("tanh", 50, 2, seed=1), descent.state()
    before = network.parameters["weights_1"].copy()
    given = 3 if change is None else {**state, **change}
    with pytest.raises(NtkspecError, match=message):
        Descent(network, points.x, points.x[:, 0], L2Loss(points), state=given)
    with pytest.raises(NtkspecError, match="step_size is that of the state"):
        Descent(network, points.x, points.x[:, 0], L2Loss(points), step_size=0.1, state=state)
    np.testing.assert_array_equal(network.parameters["weights_1"], before)


@pytest.mark.parametrize("s", [None, 1.0])
@pytest.mark.parametrize("points", [circle(12), random_points(40, 3, seed=0), circle(300)])
def test_the_largest_stable_step_is_two_over_the_largest_eigenvalue(points, s):
    """Few points and many go different ways; rounded down to three digits."""
    loss = L2Loss(points) if s is None else SobolevLoss(points, s)
    network = start("tanh", 400, points.dim, seed=0)
    product = network.tangent_matrix(points.x) @ loss.matrix()
    exact = 2.0 / np.abs(np.linalg.eigvals(product)).max()
    found = largest_stable_step(network, points.x, loss)
    assert 0.99 * exact <= found <= exact * (1 + 1e-4)


def test_the_stable_step_is_the_border():
    """A little below it the linear part of training falls; a given step above it is refused."""
    points = circle(32)
    y = 1e-3 * sine(points, 1)
    network = start("relu", 4096, 2, seed=0)
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
    network = start(Network("relu", trained="all"), 16, 2, seed=0)
    y = 300.0 * sine(points, 1)
    descent = Descent(network, points.x, y, L2Loss(points))
    with pytest.raises(Diverged, match=r"diverged at step \d+: the loss .* largest stable one"):
        descent.advance(2000)


def test_a_loss_that_is_not_a_number_is_reported():
    points = circle(16)
    descent = Descent(start("relu", 8, 2, seed=0), points.x, sine(points, 1), L2Loss(points))
    descent.network.parameters["weights_1"][:] = np.nan
    with pytest.raises(Diverged, match="diverged at step 1: the loss became nan"):
        descent.advance(3)


@pytest.mark.parametrize(
    "x,y,step_size,message",
    [
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
        Descent(start("relu", 8, 2, seed=0), x, y, L2Loss(circle(4)), step_size=step_size)


def test_a_dead_network_is_reported():
    network = start("relu", 4, 2, seed=0)
    for one in network.parameters.values():
        one[:] = 0.0
    with pytest.raises(NtkspecError, match="learns nothing"):
        Descent(network, circle(8).x, sine(circle(8), 1), L2Loss(circle(8)))


# --- the exponent that flattens ------------------------------------------------------------------


@pytest.mark.parametrize("dim,s", [(2, 1.0), (3, 1.5), (10, 5.0)])
def test_relu_is_flattened_by_half_the_dimension(dim, s):
    points = circle(16) if dim == 2 else random_points(200, dim, seed=0)
    target = Target((Term(1), Term(2)))
    assert flattening_exponent(start("relu", 16, dim, seed=0), points, target) == s


@pytest.mark.parametrize("weight", ["power", "laplacian"])
def test_others_are_fitted_to_the_targets_degrees(weight):
    """The spread of predicted rates, by the engine's eigenvalues, is least at the s chosen."""
    degrees = np.array([1, 3, 5])
    target = Target(tuple(Term(int(k)) for k in degrees))
    points = product_rule(16, 3)
    s = flattening_exponent(start("tanh", 2**13, 3, seed=0), points, target, weight)
    rates = ntkspec.eigenvalues("tanh", dim=3, degrees=degrees)

    def spread(s):
        loss = SobolevLoss(points, s, weight, max_degree=8)
        return np.std(np.log(rates * loss.multiplier(degrees)))

    assert spread(s) < 0.2 * spread(0.0)
    assert spread(s) <= min(spread(s - 0.2), spread(s + 0.2))


def test_a_target_of_one_degree_has_nothing_to_flatten():
    with pytest.raises(NtkspecError, match="needs a target with two degrees or more"):
        flattening_exponent(start("tanh", 64, 3, seed=0), product_rule(8, 3), Target((Term(1),)))
