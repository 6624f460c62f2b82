"""Activations with parameters in their names, and a user's that the catalogue knows."""

import warnings

import numpy as np
import pytest

import ntkspec
from ntkspec import Network, user_activation
from ntkspec.activations import activation
from ntkspec.errors import NtkspecError
from ntkspec.laws import law
from ntkspec.sweeps.recipe import parse_recipe
from ntkspec.trainer.layer import slopes_of, values_of

#: base(rate x) / rate, and its base.
SCALED = [("swish(2)", "silu", 2.0), ("celu(0.5)", "elu", 2.0), ("celu(4)", "elu", 0.25)]


@pytest.mark.parametrize(("name", "base", "rate"), SCALED)
@pytest.mark.parametrize("dim", [2, 3, 5, 16, 64])
@pytest.mark.parametrize("bias", [0.0, 0.25])
def test_a_scaled_activation_has_the_spectrum_of_its_base(name, base, rate, dim, bias):
    """One layer at the variances of the base times rate^2; powers of 2, so that all is exact."""
    mine = Network(name, bias_variance=bias, trained="all")
    theirs = Network(base, weight_variance=rate**2, bias_variance=rate**2 * bias, trained="all")
    found, known = (ntkspec.spectrum(one, dim, range(32)) for one in (mine, theirs))
    assert np.array_equal(found.eigenvalues * rate**2, known.eigenvalues)
    for t in (-1.0, 0.3, 1.0):
        assert mine.ntk(t) * rate**2 == pytest.approx(float(theirs.ntk(t)), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize(("name", "base", "rate"), SCALED)
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_a_scaled_activation_has_the_law_of_its_base(name, base, rate, kernel):
    mine, theirs = (
        law(name, kernel=kernel),
        law(Network(base, weight_variance=rate**2), kernel=kernel),
    )
    assert mine.log_constant + 2 * np.log(rate) == pytest.approx(theirs.log_constant)
    assert (mine.kind, mine.power, mine.parity) == (theirs.kind, theirs.power, theirs.parity)
    assert mine.rate == pytest.approx(theirs.rate)


@pytest.mark.parametrize(
    ("network", "degree", "near"),
    [
        (Network("selu"), 2000, 0.01),
        (Network("selu", depth=2, bias_variance=0.1), 2001, 0.01),
        (Network("exp", bias_variance=0.2), 60, 0.03),
        (Network("snake(0.5)"), 60, 0.1),
        (Network("celu(0.5)", depth=3, bias_variance=0.1), 2000, 0.03),
    ],
)
def test_laws_hold(network, degree, near):
    found = ntkspec.spectrum(network, 3, [degree]).log_eigenvalues[0]
    assert law(network, dim=3).log_eigenvalue(degree) == pytest.approx(found, abs=near)


@pytest.mark.parametrize("name", ["mish", "gabor(1, 1)"])
def test_laws_that_are_not_derived_say_why(name):
    with pytest.raises(NtkspecError, match=r"has no derived law: .* (oscillate|essential)"):
        law(name)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("swish", "silu"), ("swish(1)", "silu"), ("celu(1.0)", "elu"), ("swish(2.0)", "swish(2)"),
        ("Swish(beta=0.1)", "swish(0.1)"), ("CELU(2)", "celu(2)"), ("snake", "snake(1)"),
        ("gabor", "gabor(10, 1)"), ("gabor(2,scale=0.5)", "gabor(2, 0.5)"), ("gabor(1, 0)", "cos"),
        ("SELU", "selu"), ("Mish", "mish"), ("Softsign", "softsign"), ("exponential", "exp"),
    ],
)  # fmt: skip
def test_names_are_canonical(name, canonical):
    sigma = activation(name)
    assert sigma.name == canonical
    assert activation(canonical) == sigma
    network = Network(name)
    assert network == Network(sigma) == Network(canonical)
    assert eval(repr(network)) == network
    assert network.parameters()["activation"] == canonical


def test_parameters_may_be_given_by_name():
    assert activation("celu", alpha=2.0) == activation("celu(2)")
    assert activation("gabor", omega=3) == activation("gabor(3, 1)")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("swish(0)", "beta = 0 is not allowed; it must be a number from 0.001 to 1000"),
        ("celu(-1)", "alpha = -1 is not allowed"), ("gabor(nan)", "omega = nan is not allowed"),
        ("gabor(0, 0)", "it is constant"), ("snake(1, 2)", "which takes only a"),
        ("gabor(1, 2, 3)", "which takes only omega and scale"),
    ],
)  # fmt: skip
def test_parameters_out_of_range(name, message):
    with pytest.raises(NtkspecError) as error:
        activation(name)
    assert message in str(error.value)


def test_a_recipe_takes_names_with_parameters():
    text = 'dims = [3]\ndegrees = [0, 1]\nnetworks = [{activation = "gabor(10,1)"}]'
    (key,) = parse_recipe(text).networks
    assert key.name == "gabor(10, 1)"


@pytest.mark.parametrize(
    "name",
    [
        "swish(2)",
        "celu(0.3)",
        "selu",
        "mish",
        "softsign",
        "finer",
        "snake(2)",
        "gabor(3, 1)",
        "exp",
    ],
)
@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_the_trainer_has_their_values_and_slopes(name, number):
    sigma = activation(name)
    x = np.array([-20.0, -3.2, -1e-3, 1e-3, 0.7, 2.5, 5.5]).astype(number)
    wide, eps = x.astype(np.float64), 40 * float(np.finfo(number).eps)
    np.testing.assert_allclose(values_of(sigma, x), sigma.value(wide), rtol=eps, atol=eps)
    np.testing.assert_allclose(slopes_of(sigma, x), sigma.derivative(wide), rtol=eps, atol=eps)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.tanh, "tanh"), (lambda x: np.maximum(x, 0.0), "relu"),
        (lambda x: np.where(x > 0, x, 0.25 * x), r"leaky_relu\(0.25\)"),
        (lambda x: x / (1.0 + np.exp(-x)), "silu"), (lambda x: np.maximum(x, 0) ** 3, "relu_power"),
    ],
)  # fmt: skip
def test_a_function_of_the_catalogue_is_recognized(function, name):
    with pytest.warns(UserWarning, match=f"the values of the catalogue's {name}"):
        user_activation(function)


def test_other_functions_are_not_recognized():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (np.tan, lambda x: x / (1.0 + np.exp(-1.5 * x)), lambda x: 1 / 0, len):
            user_activation(function)
