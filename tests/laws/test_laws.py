"""The derived laws against the spectrum itself."""

import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from problems import POSTER
from scipy import integrate

import ntkspec
from ntkspec import Linear, Normalize, Residual, spectrum
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.conventions import Shape
from ntkspec.duals import Correlation
from ntkspec.errors import NtkspecError
from ntkspec.laws import law
from ntkspec.laws.expectations import derivative, expectations
from ntkspec.laws.kinks import general_kink_law, kink_law
from ntkspec.laws.reach import too_large_at
from ntkspec.networks import Network
from ntkspec.spectra import eigenvalues

KINKS = [
    dict(activation="relu", bias_variance=0.3),
    dict(activation="relu", depth=3, trained="all"),
    dict(activation="relu", depth=2, bias_variance=0.2),
    dict(activation="abs", depth=2),
    dict(activation="abs", bias_variance=0.1),
    dict(activation="leaky_relu", slope=-0.5, depth=2),
    dict(activation="relu_power", power=2),
    dict(activation="relu_power", power=3, depth=2),
    dict(activation="elu"),
    dict(activation="elu", depth=2),
    dict(activation="elu", bias_variance=0.3, weight_variance=2.0),
]
POLES = [
    dict(activation="silu"),
    dict(activation="softplus"),
    dict(activation="sigmoid", bias_variance=0.5),
    dict(activation="tanh", depth=2, bias_variance=0.2),
    dict(activation="tanh", depth=2, weight_variance=3.0),
    dict(activation="silu", depth=2, weight_variance=4.0),
    dict(activation="softplus", depth=2),
    dict(activation="sigmoid", depth=2, weight_variance=2.0),
]
ENTIRE = [
    dict(activation="erf"),
    dict(activation="erf", depth=2, weight_variance=3.0, bias_variance=0.1),
    dict(activation="gelu"),
    dict(activation="gaussian"),
    dict(activation="gaussian", depth=2, bias_variance=0.3),
    dict(activation="sin"),
    dict(activation="cos", bias_variance=0.3),
]


def distances(network, dim, kernel, *degrees):
    """Logarithms of the spectrum over its law, at each degree and the next.

    Where there is no law the spectrum must end.
    """
    one, found = law(network, dim, kernel=kernel), []
    both = [k + more for k in degrees for more in (0, 1)]
    log = eigenvalues(network, dim, both, kernel=kernel, log=True)
    for k, value in zip(both, log, strict=True):
        model = one.of_parity(k % 2)
        if model is None:
            assert value == -math.inf
        else:
            found.append(abs(value - float(model.log_eigenvalue(k))))
    return np.array(found).reshape(len(degrees), -1)


def identity(parameters):
    return "-".join(str(value) for value in parameters.values())


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("dim", [2, 3, 7])
@pytest.mark.parametrize("name", POSTER)
def test_the_spectrum_tends_to_its_law_constant_included(name, dim, kernel):
    net = Network(name, weight_variance=1.7)
    one = law(net, dim, kernel=kernel)
    degrees = np.array([1000, 8000]) + one.parity
    log = eigenvalues(net, dim, degrees, kernel=kernel, log=True)
    distance = np.abs(log - one.log_eigenvalue(degrees))
    # The next term falls as k^-1 or faster (kinks), as k/n* = k^(-1/3) (poles).
    order = 1.0 if one.kind == "power" else 1 / 3
    assert distance[1] < 0.4
    assert distance[1] <= distance[0] * 8.0**-order * 1.3 + 1e-10


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("parameters", KINKS, ids=identity)
def test_kinks_in_depth_and_with_bias(parameters, kernel):
    net = Network(**parameters)
    near, far = distances(net, 3, kernel, 100, 400)
    assert far.max() < 0.015
    assert (far < near / 2.5).all()  # the next term is 1/k


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("parameters", POLES, ids=identity)
def test_poles_in_depth_and_with_bias(parameters, kernel):
    (far,) = distances(Network(**parameters), 3, kernel, 401)
    assert far.max() < 0.35
    assert law(Network(**parameters), 3, kernel=kernel).kind == "stretched"


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("parameters", ENTIRE, ids=identity)
def test_entire_activations(parameters, kernel):
    net = Network(**parameters)
    near, far = distances(net, 3, kernel, 50, 200)
    assert far.max() < 0.03
    assert (far < near / 2.5).all()


MIXED = [
    Network(["erf", "gelu"]),
    Network(["gelu", "erf"], readout_variance=2.0),
    Network(["erf", "gaussian"], bias="zero", bias_variance=1.0),
    Network(["erf", "sin"], trained={2, 3}),
    Network(["erf", "gelu"], weight_variance=[1.0, 0.1], trained={2}),
    Network("gelu", depth=2, normalize=True),
    Network("sin", bias="zero", bias_variance=1.0, readout_variance=2.0),
    Network("sin", trained={2}, bias_variance=0.3),
    Network("exp", trained={2}, bias_variance=0.3),
    Network("snake(0.5)", bias="zero", bias_variance=0.3, trained="all"),
    Network.serial(Linear(1.0, 0.1), Residual("sin", Linear(2.0))),
    Network.serial(Linear(), Residual("gelu", Linear(2.0), scale=0.1)),
    Network.serial(
        Linear(1.0, 0.1), Residual("gelu", Linear(2.0)), Normalize(), "erf", Linear(1.0)
    ),
]
MIXED_POLES = [
    Network("tanh", bias="zero", bias_variance=1.0, readout_variance=3.0),
    Network(["tanh", "softplus"], weight_variance=[1.0, 4.0]),
    Network(["tanh", "gelu"], bias_variance=0.1),
    Network.serial(
        Linear(), Residual("tanh", Linear(2.0)), Residual("tanh", Linear(0.5)), Linear()
    ),
]


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("network", MIXED, ids=str)
def test_entire_layers_that_differ(network, kernel):
    near, far = distances(network, 3, kernel, 50, 200).max(axis=1)
    assert far < 0.03 and far < near / 2.5  # the next term is 1/k


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("network", MIXED_POLES, ids=str)
def test_poles_in_layers_that_differ(network, kernel):
    near, far = distances(network, 3, kernel, 101, 301)
    assert law(network, 3, kernel=kernel).kind == "stretched"
    assert far.max() < 0.2 and far.max() < near.max()


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_a_parity_whose_singularities_cancel_has_no_numbers(kernel):
    """The odd part of gelu is x/2: odd degrees have the kernel of sin and decay faster."""
    found = law(Network(["sin", "gelu"], weight_variance=[3.0, 0.5]), 3, kernel=kernel)
    assert found.kind == "geometric" and found.parity == 0
    assert math.isnan(found.other.log_constant) and math.isnan(found.other.rate)


@pytest.mark.parametrize(
    "names, message",
    [
        ("gelu,sin", "sin follows an infinite variance"),
        ("gabor(3,1),gelu", "is essential"),
        ("tanh,mish", "mish"),
    ],
)
def test_layers_without_a_derived_law_say_why(names, message):
    with pytest.raises(NtkspecError, match=message):
        law(Network(names), 3)


@pytest.mark.parametrize("names", ["hard_tanh,relu6", "relu,hard_tanh", "erf,relu6"])
def test_kinks_anywhere_in_layers_that_differ(names):
    found = law(Network(names), 3)
    assert found.power == -3.0 and math.isfinite(found.log_constant)


def test_a_parity_without_a_kink_has_no_numbers():
    found = law(Network("erf,relu"), 3)
    assert found.parity == 0 and math.isnan(found.other.power)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        dict(activation="erf", depth=3),
        dict(activation="gelu", depth=2),
        dict(activation="gelu", depth=3, bias_variance=0.2, trained="all"),
    ],
    ids=identity,
)
def test_laws_that_set_in_late(parameters):
    net = Network(**parameters)
    near, far = distances(net, 3, "ntk", 401, 1201).max(axis=1)
    assert far < 0.4
    assert far < near


@pytest.mark.parametrize(
    "name",
    [name for name in ACTIVATIONS if name != "step" and Network(name).kind == "kink"],
)
@pytest.mark.parametrize("bias_variance", [0.0, 0.1])
def test_laws_in_doubles_agree_with_those_in_balls(name, bias_variance):
    """Their expectations are quadrature; balls have the exact duals."""
    network = Network(name, depth=3, bias_variance=bias_variance)
    one, other = (derive(network, 3, "ntk") for derive in (kink_law, general_kink_law))
    assert one.log_constant == pytest.approx(other.log_constant, rel=1e-10)
    assert (one.power, one.parity) == (other.power, other.parity)


def test_expectations_of_a_function_that_oscillates():
    """E[finer'(u)^2] at variance 2, by scipy's adaptive rule."""
    sigma = activation("finer")

    def density(x):
        return sigma.derivative(np.array([x]))[0] ** 2 * math.exp(-x * x / 4) / math.sqrt(math.pi)

    right = integrate.quad(density, 0.0, 14.0, limit=2000, epsabs=1e-13)[0]
    (found,) = expectations([sigma.derivative], 2.0, 1.0)
    assert found == pytest.approx(right, rel=1e-10)


def test_the_step_in_depth():
    net = Network("step", depth=2)
    near, far = distances(net, 3, "nngp", 100, 400)
    assert law(net, 3, kernel="nngp").power == -2.5
    assert far.max() < 0.05
    assert (far < near / 1.7).all()  # the next term is k^-1/2


def sphere_eigenvalue(network, dim, kernel, k, sigma, slope):
    """By the definition: squares of Gegenbauer coefficients at the fixed radius."""
    weight = mpmath.mpf(network.weight_variance)
    radius, nu = mpmath.sqrt(weight * dim), mpmath.mpf(dim - 2) / 2

    def squared(function, j):
        def integrand(angle):
            harmonic = mpmath.gegenbauer(j, nu, mpmath.cos(angle)) / mpmath.gegenbauer(j, nu, 1)
            return function(radius * mpmath.cos(angle)) * harmonic * mpmath.sin(angle) ** (dim - 2)

        scale = mpmath.gamma(nu + 1) / (mpmath.sqrt(mpmath.pi) * mpmath.gamma(nu + 0.5))
        return (
            scale
            * mpmath.quad(integrand, mpmath.linspace(0, mpmath.pi, 9), method="gauss-legendre")
        ) ** 2

    if kernel == "nngp":
        return squared(sigma, k)
    below, above = mpmath.mpf(k) / (2 * k + dim - 2), mpmath.mpf(k + dim - 2) / (2 * k + dim - 2)
    return weight * (below * squared(slope, k - 1) + above * squared(slope, k + 1))


def logistic(x):
    return 1 / (1 + mpmath.exp(-x))


ON_A_SPHERE = {
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2, 1),
    "silu": (
        lambda x: x * logistic(x),
        lambda x: logistic(x) * (1 + x * logistic(-x)),
        0,
    ),
    "softplus": (lambda x: mpmath.log(1 + mpmath.exp(x)), logistic, 0),
    "sin": (mpmath.sin, mpmath.cos, 1),
    "elu": (
        lambda x: x if x > 0 else mpmath.expm1(x),
        lambda x: mpmath.mpf(1) if x > 0 else mpmath.exp(x),
        1,
    ),
}


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ON_A_SPHERE)
def test_weights_on_a_sphere(name, kernel):
    sigma, slope, parity = ON_A_SPHERE[name]
    net = Network(name, weights="sphere", weight_variance=1.7)
    model = law(net, 3, kernel=kernel)
    expected = dict(tanh="geometric", sin="superexponential", elu="power")
    assert model.kind == expected.get(name, "geometric")
    with mpmath.workdps(50):
        k = 30 + parity
        value = sphere_eigenvalue(net, 3, kernel, k, sigma, slope)
        gap = float(mpmath.log(value)) - float(model.of_parity(parity).log_eigenvalue(k))
    assert abs(gap) < 0.15


def test_exponents():
    assert law("relu", 5).power == -5.0
    assert law("relu", 5, kernel="nngp").power == -7.0
    assert law(Network("relu", depth=4, bias_variance=1.0), 5).power == -5.0
    assert law(Network("relu_power", power=3), 5).power == -9.0
    elu = law("elu", 3)
    assert (elu.of_parity(1).power, elu.of_parity(0).power) == (-5.0, -7.0)
    stretched = law("tanh", 3)
    assert (stretched.kind, stretched.stretch) == ("stretched", 2 / 3)
    assert stretched.rate == pytest.approx(1.5 * np.pi ** (2 / 3))
    assert law("sigmoid", 3).rate == pytest.approx(1.5 * (2 * np.pi) ** (2 / 3))
    assert law("gelu", 3).rate == pytest.approx(math.acosh(2.0))
    assert law("erf", 3).rate == pytest.approx(math.acosh(1.5))


def test_chaos_and_order_decide_which_layer_rules():
    order, chaos = (law(Network("tanh", depth=3, weight_variance=q), 3).rate for q in (0.8, 4.0))
    assert order == pytest.approx(law(Network("tanh", weight_variance=0.8), 3).rate)
    assert chaos < 0.95 * law(Network("tanh", weight_variance=4.0), 3).rate


def test_what_is_not_derived_is_nan():
    deep = law(Network("sin", depth=2), 3)
    assert deep.kind == "superexponential"
    assert math.isnan(deep.log_constant)
    assert np.isnan(deep.log_eigenvalue([1, 3])).all()
    assert law(Network("erf", weights="sphere"), 3).kind == "superexponential"


def test_a_linear_network_has_no_law():
    with pytest.raises(NtkspecError, match="slope"):
        law(Network("leaky_relu", slope=1.0))


def leaky(x):
    return np.where(x > 0, x, 0.3 * x)


@pytest.mark.parametrize("kinks", [[0.0], [-1.0, 1.0], []])
def test_a_users_activation_has_no_law(kinks):
    mine = ntkspec.user_activation(leaky, name="mine", kinks=kinks)
    with pytest.raises(NtkspecError, match=r"mine has no derived law.*ntkspec\.fit\(spectrum\)"):
        law(Network(mine))


def test_the_fit_that_is_offered_finds_the_rate_of_the_poles():
    """The poles of x tanh(x) are those of tanh, whose law is derived."""
    mine = ntkspec.user_activation(
        lambda x: x * x.tanh(), name="xtanh", arithmetic="flint", symmetry="even"
    )
    with pytest.raises(NtkspecError, match=r"xtanh has no derived law.*ntkspec\.fit"):
        law(Network(mine))
    (found,) = ntkspec.fit(ntkspec.spectrum(Network(mine), 3, range(0, 61, 2)))
    assert found.fit.best.rate == pytest.approx(law("tanh", dim=3).rate, rel=2e-3)


def test_variances_beyond_doubles_are_refused():
    with pytest.raises(NtkspecError, match="beyond doubles"):
        law(Network("relu_power", power=16, depth=4, weight_variance=100.0))


@pytest.mark.parametrize("rho", [1.0, -1.0, 0.3, -0.9])
@pytest.mark.parametrize("q", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("name", ["tanh", "silu", "softplus", "sigmoid", "elu"])
def test_expectations_against_the_engines_duals(name, q, rho):
    sigma = activation(name)
    found = tuple(expectations((sigma.value, sigma.derivative), q, rho))
    with ctx.workprec(128):
        point = Correlation(arb(rho), arb(rho).acos())
        exact = [float(dual(point).mid()) for dual in sigma.dual(arb(q))]
    assert found == pytest.approx(exact, rel=1e-11)


def test_laws_are_public():
    assert ntkspec.law is law
    assert isinstance(ntkspec.law("relu"), ntkspec.Law)


@pytest.mark.parametrize(
    "parameters",
    [
        dict(activation="relu_power", weight_variance=0.01, depth=100),
        dict(activation="tanh", weight_variance=1e4, depth=100),
    ],
)
def test_laws_beyond_doubles_are_refused_with_a_message(parameters):
    with pytest.raises(NtkspecError, match="cannot be derived in doubles"):
        law(Network(**parameters), 3)


def test_a_law_takes_a_domain_or_a_spectrum():
    known = law("tanh", 5, kernel="nngp")
    assert law("tanh", ntkspec.Sphere(5), kernel="nngp") == known
    assert law("tanh", dim=5, kernel="nngp") == known
    spectrum = ntkspec.spectrum("tanh", 5, degrees=[1], kernel="nngp")
    assert law(spectrum) == known and hash(law(spectrum)) == hash(known)
    for bad in (
        lambda: law("tanh", ntkspec.Cube(5)),
        lambda: law(spectrum, dim=5),
        lambda: law(ntkspec.spectrum(ntkspec.ZonalKernel(np.exp), 3, degrees=[0])),
    ):
        with pytest.raises(NtkspecError, match=r"law|spectrum"):
            bad()


def test_laws_that_are_not_derived_compare_print_and_are_not_drawn():
    network = Network("sin", depth=2)
    assert law(network) == law(network) != law("sin")
    title = "Law of sin(depth=2), dim = 3 (ntk)"
    assert repr(law(network)) == f"{title}: faster than exp(-r k) for every r, odd k"
    assert "<td>faster than exp(-r k) for every r</td>" in law(network)._repr_html_()
    with pytest.raises(NtkspecError, match="not derived"):
        law(network).plot()


@pytest.mark.parametrize("dim", [3, 10, 30, 100, 1000])
@pytest.mark.parametrize(
    "network",
    [
        "relu", "tanh", "erf", "elu", Network("softplus", trained="all"),
        Network("relu", depth=3, bias_variance=0.1, trained="all"),
        Network("leaky_relu", weight_variance=4.0),
    ],
)  # fmt: skip
def test_a_printed_law_names_a_degree_where_it_is_too_large(network, dim):
    """It is there, against the spectrum, which is not computed to print it."""
    found = law(network, dim=dim)
    most = too_large_at(*found.spectrum, found)
    told = re.search(r"; a limit, still too large at k = (\d+): see holds_from$", repr(found))
    assert (told is None) == (most < 10) and (told is None or int(told[1]) == most)
    assert ("still too large at" in found._repr_html_()) == (told is not None)
    if told is not None:
        (log,) = spectrum(network, dim=dim, degrees=[most]).log_eigenvalues
        assert found.log_eigenvalue(most) - log > math.log(1.0 / 0.9)
        assert found.holds_from is None or found.holds_from > most
    assert told is None or dim > 3
    assert told is not None or dim < 1000


@pytest.mark.parametrize("name", ["sin", "cos", "exp", "erf", "tanh", "relu", "snake"])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_form_that_is_printed_is_that_of_the_kind(name, depth):
    found = law(Network(name, depth=depth))
    form = {
        "power": "exp(" not in repr(found),
        "stretched": "exp(-" in repr(found) and " k^" in repr(found).split("exp(-")[1],
        "geometric": " k)" in repr(found) and "k!" not in repr(found),
        "superexponential": "k!" in repr(found) or "for every r" in repr(found),
    }
    assert form[found.kind], found


@pytest.mark.parametrize(
    "network,rows",
    [
        ("relu", ["even</td><td>0.1592 k^-3", "odd</td><td>0 from some degree on"]),
        ("elu", ["odd</td><td>0.4775 k^-5", "even</td><td>2.387 k^-7"]),
        (Network("gelu", bias_variance=0.1), ["all</td>"]),
    ],
)
def test_laws_are_tables_in_notebooks(network, rows):
    html = law(network, dim=3)._repr_html_()
    assert html.count("<tr>") == 1 + len(rows) and all(row in html for row in rows)
    assert html.startswith("<table><caption>Law of ") and ", dim = 3 (ntk)</caption>" in html


def assert_law_of_kinks(names, bias, kernel="ntk"):
    """Compare with the engine's spectrum, which the law nears as 1 + O(1/k)."""
    degrees = np.array([1000, 1001])
    network = Network(names, bias_variance=bias)
    found = law(network, dim=3, kernel=kernel)
    logs = spectrum(network, dim=3, degrees=degrees, kernel=kernel).log_eigenvalues
    for k, log in zip(degrees, logs, strict=True):
        followed = found.of_parity(k % 2)
        if followed is None:
            assert log == -np.inf
        elif np.isnan(followed.power):  # faster than the other parity
            assert log < -150.0
        else:
            assert log == pytest.approx(followed.log_eigenvalue(k), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.0, 0.1])
@pytest.mark.parametrize("kinked", ["relu", "hard_tanh", "elu"])
@pytest.mark.parametrize("smooth", ["tanh", "sigmoid", "silu", "softplus", "mish"])
def test_laws_of_kinks_beside_poles(smooth, kinked, bias):
    assert_law_of_kinks([smooth, kinked], bias)
    assert_law_of_kinks([kinked, smooth], bias)


@pytest.mark.parametrize(
    ("names", "bias", "kernel"),
    [
        ("relu tanh", 0.1, "ntk"),
        ("relu silu", 0.0, "ntk"),
        ("hard_tanh softplus", 0.1, "ntk"),
        ("step sigmoid gelu", 0.1, "nngp"),
    ],
)
def test_laws_of_some_kinks_beside_poles(names, bias, kernel):
    assert_law_of_kinks(names.split(), bias, kernel)


def test_a_parity_without_a_power_law_is_not_printed_as_one():
    network = Network(["tanh", "relu"])
    assert repr(law(network)).endswith(" k^-3, even k; a faster decay, not derived, other k")


DEFINITIONS = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log(1 + mpmath.exp(x))),
}


@pytest.mark.parametrize("base", DEFINITIONS)
@pytest.mark.parametrize("order", range(8))
def test_derivatives_of_sigmas(base, order):
    """Against differences of 60 digits."""
    shape = Shape(base, Fraction(3, 2), Fraction(2, 3))
    x = np.array([-30.0, -2.5, -0.3, 0.0, 0.7, 4.0, 30.0])
    sigma = DEFINITIONS[base]
    with mpmath.workdps(60):
        exact = [float(mpmath.diff(lambda s: 2 * sigma(3 * s / 2) / 3, v, order)) for v in x]
    assert derivative(shape, order)(x) == pytest.approx(exact, rel=1e-12, abs=1e-11)
