"""Training with a constant kernel and momentum, against the steps themselves."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntkspec
from ntkspec.compare import compare
from ntkspec.trainer.linear import LinearTraining, heavy_ball, loss_factor
from ntkspec.trainer.points import circle
from ntkspec.trainer.runs import open_run, train_run
from ntkspec.trainer.sobolev import SobolevLoss


def simulated(z, steps, momentum):
    """What is learned after each step, by the steps in 40 digits."""
    with mpmath.workdps(40):
        left, last, found = mpmath.mpf(1), mpmath.mpf(0), [mpmath.mpf(0)]
        for _ in range(steps):
            last = mpmath.mpf(momentum) * last - mpmath.mpf(z) * left
            left += last
            found.append(1 - left)
        return np.array([float(x) for x in found])


@given(st.floats(-12.0, 0.0), st.floats(0.0, 0.99))
def test_the_heavy_ball_is_its_recursion(place, momentum):
    z = 10.0**place * 1.99 * (1 + momentum)
    exact = simulated(z, 40, momentum)
    found = heavy_ball(z, np.arange(41), momentum)
    # Where the roots are equal they are taken 1e-7 apart, which changes steps by its square.
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.9])
def test_equal_roots(momentum):
    z = (1.0 - np.sqrt(momentum)) ** 2
    for one in (z * (1 - 1e-9), z, z * (1 + 1e-9)):
        found = heavy_ball(one, np.arange(101), momentum)
        np.testing.assert_allclose(found, simulated(one, 100, momentum), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_descent_with_a_kernel_is_its_steps(momentum):
    """With eigenvalues that are 0, and from steps by plain numpy."""
    points = circle(16)
    loss = SobolevLoss(points, 0.5, max_degree=3)
    kernel = ntkspec.Network("relu").ntk_matrix(points.x)
    training = LinearTraining(kernel, loss_factor(loss.matrix()))
    r, rows = points.x[:, 0] ** 3 + 0.5, np.eye(16)
    residual, last, found = r.copy(), 0.0, [r]
    for _ in range(50):
        last = momentum * last - 0.4 * kernel @ (loss.matrix() @ residual)
        residual = residual + last
        found.append(residual)
    ours = training.amplitudes(0.4, range(51), r, rows, momentum)
    np.testing.assert_allclose(ours, found, atol=1e-10)
    directions = LinearTraining([[2.0, 0.0], [0.0, 0.0]], np.eye(2))
    ours = directions.amplitudes(0.1, range(4), [1.0, 1.0], np.eye(2), momentum)
    np.testing.assert_allclose(ours[:, 1], 1.0)


RECIPE = """
steps = 400
network = {{activation = "{activation}", depth = {depth}, width = 256, seeds = 2, trained = "all"}}
data = {{kind = "circle", points = 24}}
target = {{kind = "cosine", degrees = [1, {degree}], amplitudes = 0.003}}
optimizer = {{momentum = {momentum}, step_size = {step_size}}}
"""


@pytest.mark.parametrize(
    ("activation", "depth", "momentum", "step_size"),
    [("tanh", 1, 0.9, 0.5), ("relu", 1, 0.9, 0.05), ("tanh", 2, 0.9, 0.05), ("tanh", 2, 0.0, 0.5)],
)
def test_trained_networks_go_their_own_kernels_way(
    tmp_path, activation, depth, momentum, step_size
):
    """Rates and curves to 0.1 %, also where they swing.

    What is left is the kernel's movement, in proportion to the amplitude or its square: at 0.02 and
    width 128 the slower rate of two layers of tanh is off by 0.18 %, at 0.005 by 0.05 %.
    """
    degree = 3 if activation == "tanh" else 2
    text = RECIPE.format(
        activation=activation, depth=depth, degree=degree, momentum=momentum, step_size=step_size
    )
    (tmp_path / "r.toml").write_text(text)
    train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    run = open_run(tmp_path / "run.h5")
    found = compare(run)
    measured = [row.finite.ratio for row in found if row.finite.ratio is not None]
    assert len(measured) >= 1
    assert measured == pytest.approx([1.0] * len(measured), abs=1e-3)
    for (_, _, degree), curves in found.curves.items():
        (_, amplitude), _ = curves.measured  # `finite` is that of the first seed
        assert amplitude == pytest.approx(curves.finite, abs=1e-3)
        assert degree > 1 or (amplitude.min() < -0.1) == (momentum > 0.0)


def test_equal_weights_need_no_products_and_give_the_same():
    """A factor that is diagonal against one that differs from it by nothing."""
    rng = np.random.default_rng(4)
    root = rng.standard_normal((12, 5))
    kernel, start, rows = root @ root.T, rng.standard_normal(12), rng.standard_normal((3, 12))
    diagonal = np.diag(rng.uniform(0.5, 2.0, 12))
    dense = diagonal.copy()
    dense[0, 1] = 1e-300
    found, other = (LinearTraining(kernel, factor) for factor in (diagonal, dense))
    np.testing.assert_allclose(found.eigenvalues, other.eigenvalues, atol=1e-13)
    for momentum in (0.0, 0.5):
        one, two = (
            x.amplitudes(1e-2, [0, 1, 10, 1000], start, rows, momentum) for x in (found, other)
        )
        np.testing.assert_allclose(one, two, atol=1e-11)
