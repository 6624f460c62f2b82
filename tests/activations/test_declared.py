"""What is declared about a user's function, against its values."""

import math
import warnings

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import ntkspec
from ntkspec import Cube, Network, NtkspecError, user_activation
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.activations.declared import advice, seen_degrees
from ntkspec.activations.traced import traced_degrees, traced_symmetry
from ntkspec.spectra import table_block

#: Functions of doubles, of flint and of mpmath numbers without symmetry or polynomial part.
WITHOUT = {
    "double": lambda x: np.exp(np.sin(x)),
    "flint": lambda x: x.sin().exp(),
    "mpmath": lambda x: mpmath.exp(mpmath.sin(x)),
}
coefficients = st.lists(st.floats(-2, 2).filter(lambda c: abs(c) > 0.1), min_size=1, max_size=4)


def polynomial(c, odd):
    """The sum of c_i x^(2i) or c_i x^(2i + 1), for any numbers, and its degree."""
    return (lambda x: sum(a * x ** (2 * i + odd) for i, a in enumerate(c))), 2 * len(c) - 2 + odd


@settings(max_examples=30, deadline=None)
@given(c=coefficients, odd=st.integers(0, 1), arithmetic=st.sampled_from(list(WITHOUT)))
def test_right_declarations_are_taken_and_wrong_ones_refused(c, odd, arithmetic):
    """A polynomial of one parity, alone and with a function of the other parity."""
    few, degree = polynomial(c, odd)
    symmetry, other = ("odd", "even") if odd else ("even", "odd")
    bell = WITHOUT[arithmetic]

    def mixed(x):
        return few(x) + bell(x) - (-1) ** odd * bell(-x)

    given = {"arithmetic": arithmetic}
    user_activation(few, symmetry=symmetry, polynomial=degree, **given)
    user_activation(mixed, polynomial=degree, **given)
    user_activation(mixed, polynomial=degree + 2, **given)
    with pytest.raises(NtkspecError, match=f"symmetry = '{other}' is not that of user: its"):
        user_activation(few, symmetry=other, **given)
    with pytest.raises(NtkspecError, match="symmetry = "):
        user_activation(mixed, symmetry=symmetry, **given)
    for wrong in (degree - 2, degree + 1):
        if wrong >= 0:
            with pytest.raises(NtkspecError, match=f"polynomial = {wrong} is not the degree"):
                user_activation(mixed, polynomial=wrong, **given)


@settings(max_examples=30, deadline=None)
@given(
    size=st.floats(1e-7, 1.0), power=st.integers(0, 5), scale=st.floats(0.2, 3.0),
    arithmetic=st.sampled_from(["double", "flint"]),
)  # fmt: skip
def test_a_small_part_of_the_other_parity_refutes(size, power, scale, arithmetic):
    """In high precision a part of 1e-35 does, too."""
    small = size if arithmetic == "double" else arb(size) * arb(10) ** -28
    odd = (lambda x: np.tanh(scale * x)) if arithmetic == "double" else lambda x: (scale * x).tanh()
    user_activation(odd, symmetry="odd", arithmetic=arithmetic)
    with pytest.raises(NtkspecError, match="its even part at x = "):
        user_activation(
            lambda x: odd(x) + small * x ** (2 * power), symmetry="odd", arithmetic=arithmetic
        )


@given(place=st.floats(0.1, 7.5), width=st.floats(0.005, 0.1))
def test_a_narrow_part_of_the_other_parity_refutes(place, width):
    def bent(x):
        return x + 0.01 * np.exp(-(((x - place) / width) ** 2))

    with pytest.raises(NtkspecError, match="its even part at x = "):
        user_activation(bent, symmetry="odd")
    if place < 3.9:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # not that it is linear
            user_activation(bent)


SLOPES = {
    "tanh": lambda x: 1 / np.cosh(x) ** 2, "sin": np.cos, "erf": lambda x: 2 / np.sqrt(np.pi)
    * np.exp(-x * x), "relu": lambda x: (x > 0) * 1.0, "hard_tanh": lambda x: (np.abs(x) < 1) * 1.0,
    "exp": np.exp, "softsign": lambda x: 1 / (1 + np.abs(x)) ** 2, "step": np.zeros_like,
}  # fmt: skip


@pytest.mark.parametrize("declared", SLOPES)
@pytest.mark.parametrize("name", SLOPES)
def test_a_derivative_of_another_function_is_refused(name, declared):
    scale = 1.0 if name == "step" else 1.5

    def function(x):
        return scale * activation(name).value(x)

    def slope(x):
        return scale * SLOPES[declared](x)

    if name == declared:
        user_activation(function, slope)
    else:
        with pytest.raises(NtkspecError, match="derivative is not that of user"):
            user_activation(function, slope)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "polynomial"])
def test_the_parts_of_the_catalogue_are_seen(name):
    sigma = activation(name)
    with pytest.warns(UserWarning, match="catalogue"):
        assert seen_degrees(user_activation(sigma.value)) == sigma.degrees


def test_symmetry_and_polynomial_part_may_contradict_each_other():
    with pytest.raises(NtkspecError, match="polynomial = 1 contradicts symmetry = 'even'"):
        user_activation(np.cosh, symmetry="even", polynomial=1)


@pytest.mark.parametrize("function", [lambda x: 1 / 0, np.log, lambda x: x[:1]])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_has_no_values_is_not_checked(function):
    sigma = user_activation(function, symmetry="odd", polynomial=3)
    assert seen_degrees(sigma) == sigma.degrees == (-math.inf, 3)


def test_a_function_of_doubles_is_asked_for_its_declaration():
    """On all domains and for tables too, before anything is computed; not for all tolerances."""
    swish = Network(user_activation(lambda x: x / (1 + np.exp(-1.5 * x)), name="swish"))
    text = r"degrees 3, 5: .* swish is a polynomial plus an even function; declare polynomial=1"
    for domain in (3, Cube(7)):
        with pytest.raises(NtkspecError, match=text):
            ntkspec.spectrum(swish, domain, range(6), tolerance=1e-6)
    with pytest.raises(NtkspecError, match=text):
        table_block(swish, [3, 4], [0, 1, 3, 5])
    assert ntkspec.eigenvalues(swish, 3, [0, 1, 2], tolerance=1e-9).all()
    found = ntkspec.spectrum(swish, 3, range(6), tolerance=np.inf)
    assert np.all(found.relative_error[[3, 5]] > 0.1)
    declared = user_activation(lambda x: x / (1 + np.exp(-1.5 * x)), name="swish", polynomial=1)
    found = ntkspec.eigenvalues(Network(declared), 3, range(6), tolerance=1e-6)
    assert np.flatnonzero(found == 0.0).tolist() == [3, 5]


def test_layers_of_several_activations_are_asked_for_each():
    one = user_activation(lambda x: np.arctan(x.astype(float)), name="one")
    network = Network([one, "tanh"], bias_variance=0.0)
    with pytest.raises(NtkspecError, match="by its values one is an odd function"):
        ntkspec.eigenvalues(network, 3, [0, 1])
    biased = Network([one, "tanh"], bias_variance=0.1)
    assert ntkspec.eigenvalues(biased, 3, [0, 1], tolerance=1e-6).all()


def test_advice():
    assert advice((2, 1)).startswith("a polynomial; give Network('polynomial(")
    assert advice((-math.inf, math.inf)) == "an odd function; declare symmetry='odd'"
    for zero, arithmetic in ((lambda x: 0 * x, "flint"), (np.zeros_like, "double")):
        sigma = user_activation(zero, arithmetic=arithmetic)
        with pytest.raises(NtkspecError, match="by its values user is 0 everywhere"):
            ntkspec.spectrum(Network(sigma), 3, range(3))


# --- what the operations of a function show ------------------------------------------------------

FOLLOWED = [
    (np.arctan, (-math.inf, math.inf)),
    (special.erf, (-math.inf, math.inf)),
    (lambda x: x * np.exp(-x * x), (-math.inf, math.inf)),
    (lambda x: np.power(x, 3) - 2 * x, (-math.inf, 3)),
    (lambda x: np.sqrt(1 + x**2) / np.float64(3), (math.inf, -math.inf)),
    (lambda x: x + np.abs(np.sin(x)), (math.inf, 1)),
    (lambda x: 1 / x + x**-2, (math.inf, math.inf)),
    (lambda x: x.tanh() * arb.pi(), (-math.inf, math.inf)),
    (lambda x: (-x * x / 2).exp(), (math.inf, -math.inf)),
    (lambda x: mpmath.mpf(2) / (1 + x * x), (math.inf, -math.inf)),
]
#: Functions that look at their argument.
LOOKING = [
    lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, x, 0.0), lambda x: np.clip(x, -1, 1),
    lambda x: x if x == 0 else -x, lambda x: x if x else 1, lambda x: np.asarray(x, float) ** 3,
    lambda x: x[0] * x, math.tanh, len, lambda x: 2.0, lambda x: x.mid(), mpmath.sin,
    lambda x: np.sin(x, where=np.array([True])), np.add.reduce, lambda x: np.ones(2) * x,
]  # fmt: skip


@pytest.mark.parametrize(("function", "degrees"), FOLLOWED)
def test_operations_are_followed(function, degrees):
    assert traced_degrees(function) == degrees


@pytest.mark.parametrize("function", LOOKING)
def test_functions_that_look_at_their_argument_are_not_followed(function):
    assert traced_degrees(function) == (math.inf, math.inf)


expressions = st.recursive(
    st.sampled_from(["x", "2.0", "-0.5", "x * x"]),
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from("+-*"), parts).map(lambda e: f"({' '.join(e)})"),
        st.tuples(st.sampled_from(["sin", "cos", "tanh", "arctan", "abs", "exp"]), parts).map(
            lambda e: f"np.{e[0]}({'np.sin' if e[0] == 'exp' else ''}({e[1]}))"
        ),
        parts.map(lambda e: f"({e}) ** 2"),
        parts.map(lambda e: f"1 / (2 + np.sin({e}))"),
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(expression=expressions)
def test_what_is_followed_agrees_with_values(expression):
    """No value of any expression contradicts the symmetry and the polynomial part."""
    function = eval(f"lambda x: {expression}", {"np": np})
    symmetry, degree = traced_symmetry(function)
    if (symmetry, degree) != (None, None):
        user_activation(function, symmetry=symmetry, polynomial=degree)


def test_zeros_that_operations_show_are_exact():
    for function in (np.arctan, lambda x: x / np.sqrt(1 + x * x)):
        network = Network(user_activation(function))
        found = ntkspec.eigenvalues(network, 3, range(6), tolerance=1e-6)
        assert np.flatnonzero(found).tolist() == [1, 3, 5]
    cubic = Network(user_activation(lambda x: x * x * x, arithmetic="flint"))
    assert np.flatnonzero(ntkspec.eigenvalues(cubic, 3, range(8))).tolist() == [1, 3]


def test_values_overrule_operations():
    sigma = user_activation(lambda x: np.exp(x) if isinstance(x, np.ndarray) else x)
    assert sigma.symmetry is None and sigma.polynomial is None
