"""Residuals A f of networks: against mpmath derivatives, differences and the engine's kernel."""

import mpmath
import numpy as np
import pytest

import ntkspec
from ntkspec import Network, NtkspecError
from ntkspec.domains.sphere import legendre
from ntkspec.operators import Operator
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.network import start
from ntkspec.trainer.points import circle, product_rule, random_points
from ntkspec.trainer.recipe import parse_run_recipe
from ntkspec.trainer.residual import ResidualSteps, check_residual, slopes_of
from ntkspec.trainer.sobolev import L2Loss

SMOOTH = ("tanh", "sigmoid", "gelu", "silu", "softplus", "erf", "gaussian", "exp", "sin", "cos")
CUBE = Network("relu_power", power=3)
LAPLACE, HELMHOLTZ, ALONG = Operator(), Operator("laplace", -1.5), Operator("derivative", 0.5)


@pytest.mark.parametrize("network", [*map(Network, SMOOTH), CUBE], ids=str)
def test_slopes_are_derivatives(network):
    """Each by central differences of the one before; the first by the activation's own."""
    sigma, z = network.sigma, np.array([-2.3, -0.7, 0.01, 0.4, 1.9])
    slopes = slopes_of(sigma)
    np.testing.assert_allclose(slopes(z)[0], sigma.derivative(z), rtol=1e-14, atol=1e-16)
    for order in (1, 2):
        ends = [slopes(z + h)[order - 1] for h in (1e-6, -1e-6)]
        np.testing.assert_allclose(
            slopes(z)[order], (ends[0] - ends[1]) / 2e-6, rtol=1e-7, atol=1e-8
        )


def f_of(network, angle):
    """f on the circle at an angle, in mpmath."""
    w = network.parameters["weights_1"] * network.layers[0].scale
    a = network.parameters["weights_2"][0] * network.layers[1].scale
    x, y = mpmath.cos(angle), mpmath.sin(angle)
    return sum(
        mpmath.mpf(float(c)) * mpmath.tanh(mpmath.mpf(float(u)) * x + mpmath.mpf(float(v)) * y)
        for c, (u, v) in zip(a, w, strict=True)
    )


@pytest.mark.parametrize("operator", [LAPLACE, HELMHOLTZ, ALONG], ids=str)
def test_the_values_on_the_circle_are_derivatives(operator):
    network = start(Network("tanh", weight_variance=2.0), 6, 2, seed=1, start="random")
    points = circle(5)
    found = ResidualSteps(network, points.x, operator).values()
    with mpmath.workdps(40):
        for value, j in zip(found, range(5), strict=True):
            angle, order = 2 * mpmath.pi * j / 5, operator.order
            exact = mpmath.diff(lambda t: f_of(network, t), angle, order)
            exact += mpmath.mpf(operator.shift) * f_of(network, angle)
            assert value == pytest.approx(float(exact), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("dim", [3, 5])
def test_harmonics_are_eigenfunctions(dim):
    """Of wide networks of x_1^3's harmonic parts: relu_power gives homogeneous cubics."""
    rng = np.random.default_rng(0)
    network = start(CUBE, 8, dim, seed=0, start="random")
    # (w.x)_+^3 - (-w.x)_+^3 = (w.x)^3, a harmonic of degree 3 and one of degree 1
    w = rng.standard_normal((1, dim))
    network.parameters["weights_1"][:] = 0.0
    network.parameters["weights_1"][:2] = np.concatenate((w, -w))
    network.parameters["weights_2"][0, :2] = 1.0, -1.0
    x = random_points(20, dim, seed=1).x
    t = x @ w[0] / np.linalg.norm(w)
    one, cubic = legendre([1, 3], dim, t)
    # t^3 = alpha P_3 + beta P_1
    alpha, beta = np.linalg.lstsq(np.stack([cubic, one], 1), t**3, rcond=None)[0]
    size = np.linalg.norm(w) ** 3 * network.layers[1].scale
    exact = size * (
        LAPLACE.symbol([3], dim) * alpha * cubic + LAPLACE.symbol([1], dim) * beta * one
    )
    found = ResidualSteps(network, x, LAPLACE).values()
    np.testing.assert_allclose(found, exact, rtol=1e-11, atol=1e-11)


CASES = [
    (Network("tanh"), 2, LAPLACE), (Network("gelu", weight_variance=2.0), 3, HELMHOLTZ),
    (CUBE, 4, HELMHOLTZ), (Network("sin"), 2, ALONG),
]  # fmt: skip


@pytest.mark.parametrize(("network", "dim", "operator"), CASES, ids=str)
def test_steps_and_kernels_are_those_of_differences(network, dim, operator):
    points, made = random_points(6, dim, seed=2), start(network, 8, dim, seed=0, start="random")
    steps = ResidualSteps(made, points.x, operator)
    weights, columns = made.parameters["weights_1"], []
    for place in np.ndindex(weights.shape):
        kept, ends = weights[place], []
        for h in (1e-5, -1e-5):
            weights[place] = kept + h
            ends.append(steps.values())
        weights[place] = kept
        columns.append((ends[0] - ends[1]) / 2e-5)
    slopes = np.array(columns).T
    matrix = steps.tangent_matrix()
    np.testing.assert_allclose(matrix, slopes @ slopes.T, rtol=1e-6, atol=1e-6 * matrix.max())
    before, g = weights.copy(), np.linspace(-1.0, 1.0, 6)
    new = steps.step(g, 1e-3)
    np.testing.assert_allclose(
        weights - before, -1e-3 * (slopes.T @ g).reshape(weights.shape), rtol=1e-5, atol=1e-9
    )
    np.testing.assert_allclose(new, steps.values(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "dim", "operator"), [("tanh", 2, HELMHOLTZ), ("gelu", 3, HELMHOLTZ), ("sin", 2, ALONG)]
)
def test_wide_networks_have_the_kernel_of_the_engine(name, dim, operator):
    """sum_k abs(a_k)^2 N lambda_k P_k, from the spectrum."""
    points = circle(7) if dim == 2 else random_points(7, dim, seed=3)
    degrees = np.arange(120)
    s = ntkspec.spectrum(name, dim, degrees)
    weights = np.abs(operator.symbol(degrees, dim)) ** 2 * s.eigenvalues * s.multiplicities
    exact = np.tensordot(weights, legendre(degrees, dim, np.clip(points.x @ points.x.T, -1, 1)), 1)
    found = [
        ResidualSteps(start(name, 8192, dim, seed=i, start="random"), points.x, operator)
        .tangent_matrix() for i in range(6)
    ]  # fmt: skip
    error = np.std(found, axis=0, ddof=1) / np.sqrt(6)
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < 6 * error + 1e-9 * exact.max())
    assert error.max() < 0.1 * exact.max()


@pytest.mark.parametrize(
    ("network", "operator", "words"),
    [
        (Network("relu"), LAPLACE, "its kink has the order 1, which must be above 2.5"),
        (Network("relu_power", power=2), LAPLACE, "the order 2, which must be above 2.5"),
        (Network("relu"), ALONG, "must be above 1.5"),
        (Network("tanh", depth=2), LAPLACE, "one hidden layer without biases"),
        (Network("tanh", bias_variance=0.1), LAPLACE, "one hidden layer without biases"),
        (Network("tanh", trained="all"), LAPLACE, "train the inner weights"),
        (Network("mish"), LAPLACE, "mish has no second and third derivatives here"),
        (Network("tanh"), Operator(power=2), "its power must be 1"),
    ],
)
def test_what_is_not_allowed(network, operator, words):
    with pytest.raises(NtkspecError, match=words):
        check_residual(network, operator)


# --- trained -------------------------------------------------------------------------------------


def solved(name, dim, operator, degrees, amplitudes, kind="zonal", **options):
    points = circle(16) if dim == 2 else product_rule(8, 3)
    return ntkspec.train(
        name, points, ntkspec.harmonics(degrees, amplitudes, kind=kind), loss=operator, **options
    )


@pytest.mark.parametrize(
    ("name", "dim", "loss", "degrees", "kind"),
    [
        ("tanh", 2, ntkspec.PDE("laplace", shift=-1.0), [1, 3], "cosine"),
        ("gelu", 3, ntkspec.PDE("laplace", shift=-1.0, s=0.5), [1, 2], "zonal"),
        ("sin", 2, ntkspec.PDE("derivative", shift=0.5), [1, 3], "sine"),
    ],
)
def test_trained_residuals_go_their_own_kernels_way(name, dim, loss, degrees, kind):
    """Each degree's rate is that of its eigenvalue times the symbol's square and the weight."""
    run = solved(name, dim, loss, degrees, [0.05, 0.01], kind, width=1024, steps=100, records=40)
    assert run.recipe.operator == Operator(loss.operator, loss.shift)
    seen = 0
    for row in run.compare().rows:
        if row.finite.ratio is not None:
            seen += 1
            assert row.finite.ratio == pytest.approx(1.0, abs=0.01)
            if row.measured < 0.6:  # the records of faster ones differ too much
                # The solution's error has the rate of the residual, up to aliasing on the points.
                assert row.grid == pytest.approx(row.measured, rel=0.03)
        if row.continuum.ratio is not None:
            assert row.continuum.ratio == pytest.approx(1.0, abs=0.4)
    assert seen
    member = run.members[0]
    assert member.grid_energy[-1].sum() < 0.3 * member.grid_energy[0].sum()


def test_an_interrupted_descent_on_a_residual_goes_on_to_the_same_bits():
    points = circle(16)
    y, loss = points.x[:, 0], L2Loss(points)

    def descent(**options):
        made = start("tanh", 300, 2, seed=7)
        return Descent(made, points.x, y, loss, operator=HELMHOLTZ, **options)

    whole = descent()
    whole.advance(9)
    part = descent()
    part.advance(4)
    rest = descent(state=part.state())
    rest.advance(5)
    for name, one in whole.state().items():
        assert np.asarray(rest.state()[name]).tobytes() == np.asarray(one).tobytes()


RECIPE = """
steps = 10
[network]
activation = "tanh"
width = 64
[data]
kind = "circle"
points = 16
[target]
kind = "sine"
degrees = [1, 3]
[loss]
operator = "laplace(shift=-1)"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("laplace(shift=-1)", "laplac", "operator = 'laplac' is not allowed"),
        ('"tanh"', '"relu"', "r.toml:13: relu is not allowed with an operator of order 2"),
        ("width = 64", "width = 64\ndepth = 2", "one hidden layer without biases"),
        ('"sine"', '"basis"\nindex = 1', ""),
        ('operator = "laplace(shift=-1)"', 'operator = "derivative"', ""),
        ('kind = "sine"\ndegrees = [1, 3]', 'kind = "zonal"\ndegrees = 1', ""),
        ("laplace(shift=-1)", 'laplace"\ns = "auto', "s = 'auto' is not allowed with operator"),
        (
            '"laplace(shift=-1)"', '"laplace"\n[optimizer]\nmomentum = 0.5',
            "momentum = 0.5 is not allowed with operator",
        ),
    ],
)  # fmt: skip
def test_recipes(old, new, words):
    text = RECIPE.replace(old, new)
    assert text != RECIPE
    if not words:
        assert parse_run_recipe(text).operator is not None
        return
    with pytest.raises(NtkspecError) as caught:
        parse_run_recipe(text, "r.toml")
    assert words in str(caught.value)


def test_a_derivative_needs_sines_and_cosines():
    text = RECIPE.replace("laplace(shift=-1)", "derivative").replace('"sine"', '"zonal"')
    with pytest.raises(NtkspecError, match="kind = 'zonal' is not allowed with operator"):
        parse_run_recipe(text)
    with pytest.raises(NtkspecError, match="A u must be known"):
        ntkspec.train("tanh", circle(8), lambda x: x[:, 0], width=8, loss=ntkspec.PDE())
