"""What the activations say of themselves."""

import pickle
import re

import numpy as np
import pytest
from flint import arb, ctx
from scipy.special import roots_legendre

from ntkspec import Cube, Network, certify, eigenvalues, spectrum, user_activation
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.duals import Correlation
from ntkspec.errors import NtkspecError
from ntkspec.laws import law
from ntkspec.reference.balls import reference_spectrum

#: Those whose duals take some seconds at 200 bits.
BY_MOMENTS = ("mish", "softsign", "finer")
X = np.array([-7.3, -1.2, -0.4, 0.3, 0.9, 2.5, 6.1])
RULE = roots_legendre(400)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_the_values(name):
    sigma = activation(name)
    if sigma.derivative is None:
        return
    h = 2e-4
    one, two = (sigma.value(X + i * h) - sigma.value(X - i * h) for i in (1, 2))
    slope = (8 * one - two) / (12 * h)
    assert sigma.derivative(X) == pytest.approx(slope, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_balls_and_doubles_agree(name):
    sigma = activation(name)
    kinked = sigma.singularity.kind == "kink"
    for function, of_ball in (
        (sigma.value, sigma.ball), (sigma.derivative, sigma.ball_derivative),
    ):  # fmt: skip
        if function is None:
            continue
        for x in X:
            ball = of_ball(arb(x), 1 if x > 0 else -1) if kinked else of_ball(arb(x))
            rounding = 1e-15 * (1.0 + 4.0 * x * x if name == "finer" else 1.0)
            assert float(ball) == pytest.approx(float(function(x)), rel=1e-14, abs=rounding)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_symmetry_holds(name):
    sigma = activation(name)
    mirrored = sigma.value(-X)
    if sigma.symmetry == "odd":
        assert mirrored == pytest.approx(-sigma.value(X))
    elif sigma.symmetry == "even":
        assert mirrored == pytest.approx(sigma.value(X))
    elif sigma.polynomial is not None:
        # The part of the polynomial's parity, as a polynomial of that degree.
        part = 0.5 * (sigma.value(X) + (-1) ** sigma.polynomial * mirrored)
        fit = np.polynomial.Polynomial.fit(X, part, sigma.polynomial)
        assert fit(X) == pytest.approx(part, abs=1e-9 * np.abs(part).max())


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [0.05, 1.0, 7.0])
def test_dual_at_one_is_the_mean_square(name, q):
    if name == "finer":
        q = min(q, 2.0)  # it turns too fast for the rule below
    sigma = activation(name)
    x, w = RULE
    kinks = {float(kink.place) / np.sqrt(q) for kink in sigma.kinks}
    edges = np.array(sorted({-13.0, 0.0, 13.0, *(a for a in kinks if abs(a) < 13.0)}))
    half = 0.5 * np.diff(edges)[:, None]
    z = (edges[:-1, None] + half * (1 + x)).ravel()
    density = (half * w).ravel() * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    ctx.prec = 100
    try:
        value, slope = sigma.dual(arb(q))
        pairs = [(sigma.value, value), (sigma.derivative, slope)]
        for function, dual in pairs[: 1 if sigma.derivative is None else 2]:
            mean = density @ function(np.sqrt(q) * z) ** 2
            assert float(dual(Correlation.full())) == pytest.approx(mean, rel=1e-12)
    finally:
        ctx.prec = 53


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in BY_MOMENTS else name
        for name in ACTIVATIONS
        if name != "step"
    ],
)
def test_slope_of_the_dual_is_its_derivative(name):
    # Price's theorem: F'(rho) = q D(rho), for all with a derivative
    ctx.prec = 200
    try:
        q, h = arb(1.3), arb(2) ** -40
        value, slope = activation(name).dual(q)
        for rho in (arb(-0.7), arb(0.1), arb(0.8)):
            difference = (value(Correlation(rho + h)) - value(Correlation(rho - h))) / (2 * h)
            assert abs(float(difference / (q * slope(Correlation(rho))) - 1)) < 1e-20
    finally:
        ctx.prec = 53


def test_powers_have_a_short_name():
    assert activation("relu**3").homogeneous == (3, 1.0, 0.0)
    assert activation("relu_power", power=3).homogeneous == (3, 1.0, 0.0)
    for bad in ("relu**0", "relu**x", "relu**2.5", "relu**"):
        with pytest.raises(NtkspecError, match="power"):
            activation(bad)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "relu**5"])
def test_activations_equal_their_pickled_copies(name):
    sigma = activation(name)
    copy = pickle.loads(pickle.dumps(sigma))
    assert copy == sigma == activation(name)
    assert hash(copy) == hash(sigma)
    assert copy.value(X) == pytest.approx(sigma.value(X), rel=0)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("ReLU", "relu"), ("Tanh", "tanh"), ("GELU", "gelu"), ("SiLU", "silu"), ("sine", "sin"),
        ("heaviside", "step"), ("LeakyReLU(0.2)", "leaky_relu(slope=0.2)"), ("prelu", "leaky_relu"),
        ("squared_relu", "relu_power"), ("relu2", "relu**2"), (" relu_power( 3 ) ", "relu**3"),
    ],
)  # fmt: skip
def test_other_names_give_the_same_activation(name, same):
    assert activation(name) == activation(same)
    assert Network(name) == Network(same)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rleu", "did you mean relu"), ("relu(1)", "takes no parameters"), ("", "is unknown"),
        ("leaky_relu(1, 2)", "takes only slope"), ("leaky_relu(nan)", "slope = nan"),
        ("leaky_relu(gamma=1)", "takes only slope"), ("relu(beta=1)", "only swish has one"),
        ("relu_power(17)", "from 1 to 16"),
        ("leaky_relu(slope=1, slope=2)", "twice"), ("leaky_relu(slope=1, 2)", "by name last"),
        ("relu2(3)", "takes only power"), ("leaky_relu(x)", "slope = 'x'"),
    ],
)  # fmt: skip
def test_names_that_are_not_allowed(name, message):
    with pytest.raises(NtkspecError, match=re.escape(message)) as error:
        activation(name)
    assert len(str(error.value).splitlines()) == 1


# --- polynomials ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("polynomial(0,1,0.5)", "polynomial(0, 1, 0.5)"), ("square", "polynomial(0, 0, 1)"),
        ("polynomial(1, 2, 0, 0)", "polynomial(1, 2)"), ("polynomial", "polynomial(0, 0, 1)"),
        ("polynomial(0, 1)", "leaky_relu"),
    ],
)  # fmt: skip
def test_polynomials_have_canonical_names(name, canonical):
    sigma = activation(name)
    assert sigma.name == canonical
    assert eval(repr(Network(name))) == Network(sigma)


@pytest.mark.parametrize(
    "name", ["polynomial(3)", "polynomial(0, 0)", "polynomial(c=1)", "polynomial(x, 1)",
             "polynomial(1e9, 1)", f"polynomial({', '.join(18 * ['1'])})"],
)  # fmt: skip
def test_polynomials_that_are_not_allowed(name):
    with pytest.raises(NtkspecError, match=r"not allowed|takes no parameters"):
        activation(name)


def test_the_square_has_exact_eigenvalues():
    """T D = 4 t^2, whose parts are 4/d and 8 / (d (d + 2)), and F = 2 t^2 + 1."""
    for dim in (2, 3, 64, 10**6):
        found = spectrum("square", dim, range(5))
        assert found.eigenvalues.tolist() == [4 / dim, 0, 8 / (dim * (dim + 2)), 0, 0]
        nngp = eigenvalues("square", dim, range(5), kernel="nngp")
        assert nngp == pytest.approx([1 + 2 / dim, 0, 4 / (dim * (dim + 2)), 0, 0], rel=1e-15)
    # On the cube t^2 = 1/d + the sum of products of two coordinates, each 2/d^2.
    assert eigenvalues("square", Cube(6)).tolist() == pytest.approx([4 / 6, 0, 8 / 36, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("network", "last"),
    [
        (Network("polynomial(0, 1, 0.5)", depth=2, bias_variance=0.1, trained="all"), 4),
        (Network("polynomial(0, -3, 0, 1)", depth=3), 27),
        (Network("polynomial(1, -1, 0.5, 2, 0.1)"), 4),
        (Network(["square", "polynomial(0, 1, 1)"], bias_variance=0.1), 4),
    ],
)
def test_polynomials_in_depth_have_finitely_many_eigenvalues(network, last):
    for kernel in ("ntk", "nngp"):
        for dim in (2, 3, 10):
            found = spectrum(network, dim, range(last + 6), kernel=kernel)
            right = reference_spectrum(network, dim, range(last + 6), kernel=kernel, digits=20)
            assert np.all(found.eigenvalues[last + 1 :] == 0.0) and found.eigenvalues[last] > 0.0
            for one, known in zip(found.eigenvalues, right, strict=True):
                assert one == pytest.approx(float(known.value), rel=3e-16, abs=0.0) or (
                    one == 0.0 and known.is_zero
                )
    with pytest.raises(NtkspecError, match=r"all eigenvalues beyond degree|alike"):
        law(network)
    if network.uniform:
        (lower,) = certify(network, 3, [last]).lower
        assert float(lower) == pytest.approx(eigenvalues(network, 3, [last])[0], rel=1e-15)


def test_a_polynomial_of_doubles_is_recognized():
    with pytest.warns(UserWarning, match=r"polynomial\(0.25, 1, 0.1\)"):
        user_activation(lambda x: 0.25 + x + 0.1 * x**2)
