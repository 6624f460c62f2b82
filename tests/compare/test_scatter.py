"""The scatter of kernels and rates: closed forms, brute-force quadrature, random networks."""

import math

import numpy as np
import pytest
from scipy import special
from threadpoolctl import threadpool_limits

from ntkspec import Linear, Network, spectrum, user_activation
from ntkspec.activations import activation
from ntkspec.activations.catalogue import ACTIVATIONS
from ntkspec.compare.scatter import (
    Component,
    accuracy_of,
    choices,
    components_of,
    exact_scatter,
    independent_neurons,
    kernel_scatter,
    own_rates,
    radial_rule,
    rate_scatter,
    width_for,
    with_aliases,
    zonal_functions,
)
from ntkspec.compare.scatter.angular import angular_integrals
from ntkspec.errors import NtkspecError
from ntkspec.trainer.harmonics import harmonic
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.network import start
from ntkspec.trainer.points import circle, product_rule, random_points
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.sobolev import L2Loss, SobolevLoss
from ntkspec.trainer.targets import SampledTarget, Target, Term, target_of

TRAINABLE = [name for name in ACTIVATIONS if activation(name).derivative is not None]


# ---------------------------------------------------------------- zonal functions


@pytest.mark.parametrize("name", TRAINABLE)
@pytest.mark.parametrize(
    "dim", [2, 10, *[pytest.param(d, marks=pytest.mark.slow) for d in (3, 100)]]
)
def test_the_means_are_the_eigenvalues_of_the_engine(name, dim):
    degrees = [0, 1, 2, 3, 8]
    for trained in ("hidden", "all"):
        rule = radial_rule(activation(name), dim, degrees, trained=trained)
        right = spectrum(Network(name, trained=trained), dim, degrees).eigenvalues
        assert rule.moments(trained)[0] == pytest.approx(right, rel=1e-6, abs=0.0), trained
        assert rule.weights.sum() == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("variance", [0.05, 30.0])
def test_other_variances_of_the_weights(variance):
    for name in ("tanh", "hard_tanh", "sin"):
        rule = radial_rule(activation(name), 3, [1, 3, 5], weight_variance=variance)
        network = Network(name, weight_variance=variance, trained="hidden")
        # The engine's kernel is that of weights divided by the root of their variance.
        right = spectrum(network, 3, [1, 3, 5]).eigenvalues / variance
        assert rule.moments()[0] == pytest.approx(right, rel=1e-6), name


def test_sin_on_the_circle_has_bessel_functions():
    r = np.array([0.1, 1.0, 3.0, 9.0])
    found = zonal_functions(activation("sin"), 2, [1, 5, 9], r)
    k = np.array([[1], [5], [9]])
    # sin(r cos phi) = 2 sum (-1)^((k-1)/2) J_k(r) cos(k phi).
    sign = (-1.0) ** ((k - 1) // 2)
    assert found.value == pytest.approx(sign * special.jv(k, r), rel=1e-9, abs=1e-15)
    assert found.slope == pytest.approx(sign * special.jvp(k, r), rel=1e-9, abs=1e-15)
    assert found.over_length == pytest.approx(sign * special.jv(k, r) / r, rel=1e-9, abs=1e-15)


def test_a_users_activation_has_its_kinks_found():
    clipped = user_activation(
        lambda x: np.clip(0.7 * x, -1.0, 1.3), lambda x: 0.7 * ((0.7 * x > -1) & (0.7 * x < 1.3))
    )
    own = radial_rule(clipped, 3, [1, 2, 5]).moments()
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((2, 100_000, 3))
    x /= np.linalg.norm(x, axis=1)[:, np.newaxis]
    other = rng.standard_normal((100_000, 3))
    other /= np.linalg.norm(other, axis=1)[:, np.newaxis]
    t = np.sum(x * other, axis=1)
    slope = clipped.derivative
    kernel = t * slope(np.sum(w * x, axis=1)) * slope(np.sum(w * other, axis=1))
    for k, value in zip((1, 2, 5), own[0]):
        sample = kernel * special.eval_legendre(k, t)
        assert abs(sample.mean() - value) < 4.0 * sample.std() / math.sqrt(sample.size)


def test_parity_makes_zeros_exact():
    rule = radial_rule(activation("relu"), 3, [1, 2, 3, 5])
    assert (rule.moments()[0] == 0.0).tolist() == [False, False, True, True]
    assert math.isnan(kernel_scatter("relu", 3, [3]).relative_variances[0])


def test_what_doubles_do_not_hold_is_refused():
    with pytest.raises(NtkspecError, match=r"degree 60 has an eigenvalue near .*too small"):
        radial_rule(activation("gelu"), 2, [2, 60])
    steep = user_activation(lambda x: np.exp(0.2 * x * x), lambda x: 0.4 * x * np.exp(0.2 * x * x))
    with pytest.raises(NtkspecError, match="infinite"):
        radial_rule(steep, 2, [2])
    with pytest.raises(NtkspecError, match="no tangent kernel"):
        kernel_scatter("step", 2, [1])


# ---------------------------------------------------------------- integrals over the sphere


def gradient(dim, degree, index, x, h=1e-3):
    """Tangential gradient, by central differences of the extension that is constant in r."""

    def at(shift):
        moved = x + shift
        return harmonic(dim, degree, index, moved / np.linalg.norm(moved, axis=1)[:, np.newaxis])

    steps = h * np.eye(dim)
    return np.stack(
        [(8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * h) for e in steps],
        axis=1,
    )


@pytest.mark.parametrize(
    "dim, functions, exact",
    [
        (2, [(0, 0), (2, 1), (4, 0), (6, 1)], 24),
        (3, [(0, 0), (2, 3), (3, 2), (4, 0), (1, 1)], 16),
        (4, [(2, 0), (2, 3), (2, 7), (3, 5)], 12),
    ],
)
def test_integrals_of_four_harmonics_are_those_of_a_product_rule(dim, functions, exact):
    pairs = [(a, b) for a in range(len(functions)) for b in range(a, len(functions))]
    found = angular_integrals(dim, functions, pairs)
    rule = product_rule(exact, dim)
    values = [harmonic(dim, *one, rule.x) for one in functions]
    slopes = [gradient(dim, *one, rule.x) for one in functions]
    v = np.array([values[a] * values[b] for a, b in pairs])
    c = np.array([np.sum(slopes[a] * slopes[b], axis=1) for a, b in pairs])
    w = rule.weights
    assert found.products == pytest.approx(v * w @ v.T, rel=1e-9, abs=1e-9)
    assert found.mixed == pytest.approx(v * w @ c.T, rel=1e-6, abs=1e-6)
    assert found.gradients == pytest.approx(c * w @ c.T, rel=1e-6, abs=1e-5)


def test_the_fourth_moment_of_a_zonal_harmonic_in_a_large_dimension():
    # Y_2 = c (t^2 - 1/d), E t^(2n) = (1/2)_n / (d/2)_n.
    d = 1000
    even = [special.poch(0.5, n) / special.poch(d / 2, n) for n in range(5)]
    powers = [
        sum(math.comb(n, i) * even[i] * (-1 / d) ** (n - i) for i in range(n + 1)) for n in (2, 4)
    ]
    found = angular_integrals(d, [(2, 0)], [(0, 0)]).products[0, 0]
    assert found == pytest.approx(powers[1] / powers[0] ** 2, rel=1e-6)


# ---------------------------------------------------------------- relative variances


def test_relu_on_the_circle_has_a_closed_form():
    k = np.array([2, 4, 8, 16, 32, 64])
    found = kernel_scatter("relu", 2, k.tolist()).relative_variances
    assert found == pytest.approx(((k**2 - 1) / (k**2 + 1)) ** 2 / 2, rel=1e-10)


@pytest.mark.parametrize(
    "name, dim, degrees, values",
    [
        ("tanh", 2, [1, 3, 5, 7, 11, 15], [0.39, 0.65, 2.5, 6.5, 32.0, 128.0]),
        ("gelu", 2, [2, 4, 8, 16], [0.27, 2.2, 32.0, 5900.0]),
        ("relu", 10, [2, 4, 8, 16], [1.0, 8.5, 126.0, 4075.0]),
    ],
)
def test_the_figures_of_a_separate_program(name, dim, degrees, values):
    """Relative variances that another program found, to the digits it gave."""
    found = kernel_scatter(name, dim, degrees).relative_variances
    assert found == pytest.approx(values, rel=0.02)


@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_brute_force_in_the_plane(name, trained):
    """q = v_Y . v_Z with v_Y = int grad_w sigma(w . x) Y(x) dx, by sums over x and over w."""
    sigma, degrees = activation(name), [1, 2, 3, 4]
    fine, coarse, m = 720, 36, 120
    angle = 2.0 * np.pi * (np.arange(fine) + 0.5) / fine
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y = np.sqrt(2.0) * np.stack([np.sin(k * angle) for k in degrees]) / fine
    along = np.einsum("kx,xc->xkc", y, x).reshape(fine, -1)
    around = 2.0 * np.pi * np.arange(coarse) / coarse
    node, weight = np.polynomial.legendre.leggauss(m)
    r, weight = 5.0 + 5.0 * node, 5.0 * weight
    weight = weight * r * np.exp(-0.5 * r * r)
    second = np.zeros((len(degrees),) * 4)
    first = np.zeros((len(degrees),) * 2)
    for radius, share in zip(r, weight):
        z = radius * np.cos(angle - around[:, np.newaxis])
        v = (sigma.derivative(z) @ along).reshape(coarse, len(degrees), 2)
        if trained == "all":
            v = np.concatenate([v, (sigma.value(z) @ y.T)[..., np.newaxis]], axis=2)
        q = np.einsum("wkc,wjc->wkj", v, v)
        first += share * q.mean(axis=0)
        second += share * np.einsum("wab,wcd->abcd", q, q) / coarse
    right = second - np.einsum("ab,cd->abcd", first, first)
    sines = [Component(k, {(k, 1): 1.0}) for k in degrees]
    found = kernel_scatter(sigma, 2, sines, trained=trained)
    assert np.diag(found.eigenvalues) == pytest.approx(first, abs=1e-4 * first.max())
    assert found.covariance == pytest.approx(right, abs=2e-4 * np.abs(right).max())


@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize(
    "name, dim, terms",
    [
        ("tanh", 3, [(1, 2), (3, 0), (3, 4)]),
        ("gelu", 3, [(1, 0), (2, 1), (4, 7)]),
        ("relu", 5, [(1, 3), (2, 0), (2, 9)]),
    ],
)
def test_monte_carlo_over_neurons_on_spheres(name, dim, terms, trained):
    """The same by random neurons, their gradients by a cubature over the inputs."""
    sigma, count = activation(name), 8_000
    rule = product_rule(24 if dim == 3 else 9, dim)
    network = start(Network(sigma, trained=trained), count, dim, seed=5, start="random")
    y = np.array([harmonic(dim, *at, rule.x) for at in terms]) * rule.weights
    along = np.einsum("kx,xc->xkc", y, rule.x).reshape(len(rule.x), -1)
    q = np.empty((count, len(terms), len(terms)))
    for first in range(0, count, 500):
        part = slice(first, first + 500)
        z = network.parameters["weights_1"][part] @ rule.x.T
        v = (sigma.derivative(z) @ along).reshape(len(z), len(terms), dim)
        if trained == "all":
            v = np.concatenate([v, (sigma.value(z) @ y.T)[..., np.newaxis]], axis=2)
        q[part] = v @ v.transpose(0, 2, 1)
    made = [Component(k, {(k, i): 1.0}) for k, i in terms]
    found = kernel_scatter(sigma, dim, made, trained=trained)
    centred = q - np.diag(found.eigenvalues)
    product = np.einsum("nab,ncd->nabcd", centred, centred)
    error = product.std(axis=0) / math.sqrt(count)
    # The cubature's own error at a kink is small beside that of the sample.
    slack = 0.01 * np.abs(found.covariance).max()
    assert np.all(np.abs(product.mean(axis=0) - found.covariance) <= 4.5 * error + slack)


def test_the_scatter_does_not_depend_on_the_basis():
    """Sine or cosine, index or pole: turned functions scatter alike."""
    plain = kernel_scatter("tanh", 3, [2 + 1]).relative_variances
    pole = (1.0, 2.0, -0.5)
    other = Target([Term(3, 1.0, "zonal", pole=pole), Term(1, 0.0, "basis", 1)])
    turned = kernel_scatter("tanh", 3, components_of(other, 3)).relative_variances
    assert len(components_of(other, 3)[0].coefficients) > 1
    assert turned == pytest.approx(plain, rel=1e-9)
    alone = components_of(Target([Term(3, 1.0, "zonal", pole=pole)]), 3)
    assert dict(alone[0].coefficients) == {(3, 0): 1.0}
    for index in (0, 1):
        one = kernel_scatter("relu", 2, [Component(4, {(4, index): 1.0})])
        assert one.relative_variances == pytest.approx([((16 - 1) / (16 + 1)) ** 2 / 2])


def test_samples_have_the_components_of_their_terms():
    terms = [Term(1, 0.5, "sine"), Term(4, 0.2, "cosine"), Term(4, 0.1, "sine")]
    target, points = Target(terms), circle(32)
    sampled = SampledTarget(points, target.values(points.x), last=10)
    for a, b in zip(components_of(target, 2), components_of(sampled, 2), strict=True):
        assert a.degree == b.degree and a.amplitude == pytest.approx(b.amplitude)
        assert {k: pytest.approx(v) for k, v in a.coefficients.items()} == dict(b.coefficients)


def test_targets_without_known_or_few_functions_are_refused():
    with pytest.raises(NtkspecError, match="no known degrees"):
        components_of(target_of(lambda x: x[:, 0]), 2)
    poles = [(1.0,) + (0.0,) * 9, (0.0,) * 9 + (1.0,)]
    with pytest.raises(NtkspecError, match="different poles"):
        components_of(Target([Term(4, 1.0, "zonal", pole=p) for p in poles]), 10)
    many = [Term(k, 1.0, "basis", i) for k in (5, 6, 7, 8, 9) for i in range(2 * k + 1)]
    with pytest.raises(NtkspecError, match="75 functions of the basis"):
        components_of(Target(many), 3)


@pytest.mark.parametrize("degree, index", [(1, 0), (1, 1), (3, 0), (3, 1), (0, 0)])
def test_aliases_are_the_sums_over_the_points(degree, index):
    points = circle(8)
    found = with_aliases(Component(degree, {(degree, index): 1.0}), 8, order=2).coefficients
    y = harmonic(2, degree, index, points.x) / 8
    for k in range(17):
        for i in range(1 if k == 0 else 2):
            right = float(y @ harmonic(2, k, i, points.x))
            assert found.get((k, i), 0.0) == pytest.approx(right, abs=1e-12)
    with pytest.raises(NtkspecError, match="below 4"):
        with_aliases(Component(4, {(4, 0): 1.0}), 8)


# ---------------------------------------------------------------- rates


def test_first_order_is_the_derivative_of_the_trained_rate():
    """Perturb a kernel by little, train exactly, and compare with the predicted coefficients."""
    degrees, amplitudes, mu = [1, 2, 4], np.array([1.0, 0.4, 0.1]), np.array([1.0, 1.5, 4.0])
    kernel = kernel_scatter("relu", 2, degrees)
    steps = np.unique(np.rint(np.geomspace(1, 600, 80)).astype(int)) - 1
    found = rate_scatter(kernel, 1.2, steps, amplitudes=amplitudes, multipliers=mu)
    factor = np.diag(np.sqrt(mu))

    def rates(change):
        training = LinearTraining(np.diag(kernel.eigenvalues) + change, factor)
        curves = training.amplitudes(1.2, steps, amplitudes, np.eye(3))
        return np.array([decay_rate(steps, curve).rate for curve in curves.T])

    h, derivative = 1e-6, np.zeros((3, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            one = np.zeros((3, 3))
            one[i, j] = one[j, i] = h
            both = (rates(one) - rates(-one)) / (2.0 * h)
            derivative[:, i, j] = derivative[:, j, i] = both if i == j else both / 2.0
    right = np.einsum("kij,lmn,ijmn->kl", derivative, derivative, kernel.covariance)
    right /= np.outer(found.rates, found.rates)
    assert rates(np.zeros((3, 3))) == pytest.approx(found.rates, rel=1e-9)
    assert found.covariance == pytest.approx(right, rel=1e-4)


def test_two_equal_rates_leak_as_the_limit_of_near_ones():
    kernel = kernel_scatter("relu", 2, [2, 4])
    steps = np.arange(0, 300, 3)
    equal = kernel.eigenvalues[0] / kernel.eigenvalues[1]
    exact = rate_scatter(kernel, 1.0, steps, multipliers=[1.0, equal])
    for shift in (1e-5, -1e-5):
        near = rate_scatter(kernel, 1.0, steps, multipliers=[1.0, equal * (1.0 + shift)])
        assert near.covariance == pytest.approx(exact.covariance, rel=1e-3)


def test_degrees_whose_records_measure_nothing_have_no_scatter():
    kernel = kernel_scatter("relu", 2, [2, 16])
    found = rate_scatter(kernel, 1.0, np.arange(0, 100, 2))
    assert np.isnan(found.relative_variances).tolist() == [False, True]
    assert width_for(found.relative_variances, 0.03, 5) > 1
    with pytest.raises(NtkspecError, match="one for each component"):
        rate_scatter(kernel, 1.0, [0, 1, 2], amplitudes=[1.0])
    with pytest.raises(NtkspecError, match="step_size"):
        rate_scatter(kernel, 0.0, [0, 1, 2])


CASES = [
    ("relu", [1, 2, 4], None, "hidden"),
    ("tanh", [1, 3, 5], None, "hidden"),
    ("gelu", [1, 2, 4], None, "hidden"),
    ("tanh", [1, 3], 0.5, "all"),
]


def predicted_and_own(name, degrees, s, trained, networks, width=1024, n=64):
    points = circle(n)
    target = Target([Term(k, 0.1, "sine") for k in degrees])
    loss = L2Loss(points) if s is None else SobolevLoss(points, s)
    mu = loss.multiplier(degrees)
    aliased = [with_aliases(one, n) for one in components_of(target, 2)]
    kernel = kernel_scatter(name, 2, aliased, trained=trained)
    step = 0.5 / float((kernel.eigenvalues * mu).max())
    last = 3.0 / (step * float((kernel.eigenvalues * mu).min()))
    steps = np.unique(np.r_[0, np.rint(np.geomspace(1, last, 100))]).astype(int)
    found = rate_scatter(kernel, step, steps, multipliers=mu)
    own = own_rates(
        Network(name, trained=trained),
        points,
        target,
        width,
        step,
        steps,
        loss=loss,
        networks=networks,
    )
    assert found.rates == pytest.approx(own.infinite, rel=0.01)
    return found.deviations(width), own


@pytest.mark.parametrize("name, degrees, s, trained", CASES)
def test_own_kernels_of_random_networks_scatter_as_predicted(name, degrees, s, trained):
    right, own = predicted_and_own(name, degrees, s, trained, networks=100)
    # Four standard errors of a standard deviation, and what the first order leaves out.
    assert own.deviations == pytest.approx(right, rel=4.0 / math.sqrt(200.0) + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name, degrees, s, trained", CASES)
def test_own_kernels_of_1200_networks_scatter_as_predicted(name, degrees, s, trained):
    right, own = predicted_and_own(name, degrees, s, trained, networks=1200)
    assert own.deviations == pytest.approx(right, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, degrees", [("relu", [2, 4, 8, 16]), ("tanh", [1, 3, 5]), ("gelu", [2, 4])]
)
def test_own_elements_of_1200_kernels_scatter_as_predicted(name, degrees):
    """<Y, H Y> itself, without training: exact at any width."""
    n, width = 256, 1024
    x = circle(n).x
    y = np.array([harmonic(2, k, 1, x) for k in degrees]) / n
    values = np.empty((1200, len(degrees)))
    with threadpool_limits(1, "blas"):
        for seed in range(1200):
            network = start(name, width // 2, 2, seed, start="random")
            z = network.layers[0].weights @ x.T
            v = [(activation(name).derivative(z) * row) @ x for row in y]
            values[seed] = [np.sum(one**2) / len(z) for one in v]
    aliased = [with_aliases(Component(k, {(k, 1): 1.0}), n) for k in degrees]
    found = kernel_scatter(name, 2, aliased)
    relative = values / found.eigenvalues
    assert relative.mean(axis=0) == pytest.approx(1.0, abs=0.01)
    assert relative.std(axis=0) == pytest.approx(found.deviations(width), rel=0.1)


def test_own_rates_of_pairs_are_those_of_the_paired_network():
    points, target = circle(16), Target([Term(1, 0.1, "sine")])
    steps = np.arange(0, 60, 2)
    own = own_rates("tanh", points, target, 32, 1.0, steps, networks=2, first_seed=3)
    network = start(activation("tanh"), 32, 2, seed=4)
    training = LinearTraining(
        network.tangent_matrix(points.x), loss_factor(np.diag(points.weights))
    )
    y = target.values(points.x)
    curve = training.amplitudes(1.0, steps, -y, y[np.newaxis])[:, 0]
    right = decay_rate(steps, curve).rate / own.infinite[0]
    assert own.ratios[1, 0] == pytest.approx(right, rel=1e-9)
    with pytest.raises(NtkspecError, match="no known degrees"):
        own_rates("tanh", points, target_of(lambda x: x[:, 0]), 32, 1.0, steps)


@pytest.mark.parametrize("trained", ["hidden", "all"])
def test_own_rates_of_weights_of_another_variance(trained):
    points, target = circle(16), Target([Term(1, 0.1, "sine")])
    network = Network("tanh", weight_variance=4.0, trained=trained)
    own = own_rates(network, points, target, 2048, 0.1, np.arange(0, 200, 4), networks=20)
    assert abs(own.bias[0]) < 0.02 + 4.0 * own.error[0]
    part = components_of(target, 2)
    kernel = kernel_scatter("tanh", 2, part, weight_variance=4.0, trained=trained)
    assert own.infinite == pytest.approx(0.1 * kernel.eigenvalues, rel=1e-3)


def test_own_rates_on_points_of_a_sphere():
    points = random_points(60, 3, seed=1).with_quadrature_weights()
    target = Target([Term(1, 0.1), Term(2, 0.1)])
    own = own_rates("gelu", points, target, 2048, 1.0, np.arange(0, 800, 8), networks=20)
    assert np.all(np.abs(own.bias) < 0.05) and np.all(own.deviations < 0.1)


@pytest.mark.parametrize(
    "network",
    [
        Network("tanh", readout_variance=3.0, trained="all"),
        Network("tanh", weight_variance=2.0, readout_variance=0.5, trained={1}),
        Network.serial(Linear(2.0), "tanh", Linear(0.5)),
    ],
    ids=str,
)
def test_the_exact_scatter_has_the_kernel_of_the_network(network):
    """However its layers are given: eigenvalues by sums over points, the scatter by networks."""
    points, target = circle(64), Target([Term(k, 0.1, "sine") for k in (1, 3)])
    found = exact_scatter(network, target, 2)
    angle = 2.0 * np.pi * np.arange(64) / 64
    row = network.ntk_matrix(points.x)[0]
    right = [np.mean(row * np.cos(k * angle)) for k in (1, 3)]
    assert found.eigenvalues == pytest.approx(right, rel=1e-6)
    y = np.sqrt(2.0) * np.sin(np.outer([1, 3], angle)) / 64
    kernels = [
        start(network, 256, 2, i, start="random").tangent_matrix(points.x) for i in range(60)
    ]
    own = np.array([np.einsum("ki,ij,kj->k", y, one, y) for one in kernels]) / right
    spread = own.std(axis=0, ddof=1)
    assert spread == pytest.approx(found.deviations(256, False), rel=4.0 / math.sqrt(120.0))


def test_other_networks_have_no_exact_scatter():
    target = Target([Term(1, 0.1, "sine")])
    for network in (
        Network("tanh", depth=2),
        Network("tanh", bias_variance=0.1),
        Network("tanh", bias="zero", bias_variance=0.1),
        Network("tanh", weights="sphere"),
        Network("tanh", trained={2}),
        Network("tanh", parameterization="standard", weight_variance=4.0, trained="all"),
    ):
        assert exact_scatter(network, target, 2) is None, network


# ---------------------------------------------------------------- plans


def test_a_width_has_the_accuracy_and_a_smaller_one_has_not():
    variances, bias = [0.4, np.nan, 2.0], [20.0, 5.0, -40.0]
    for seeds in (2, 5, 40):
        for given in (0.0, bias):
            for antisymmetric in (True, False):
                options = {"antisymmetric": antisymmetric, "bias": given}
                width = width_for(variances, 0.02, seeds, **options)
                assert accuracy_of(variances, width, seeds, **options).max() <= 0.02 + 1e-12
                if width > 50:  # the least that first order needs
                    below = width - (2 if antisymmetric else 1)
                    assert accuracy_of(variances, below, seeds, **options).max() > 0.02
    assert independent_neurons(1024) == 512


def test_few_seeds_take_wide_networks_and_none_takes_too_narrow_ones():
    found = choices([2.5], 0.03, seeds=[2, 10, 10**6])
    assert [one.seeds for one in found] == [2, 10, 10**6]
    assert found[0].width == pytest.approx(5 * found[1].width, abs=10)
    assert found[2].width == 50
    with pytest.raises(NtkspecError, match="no degree has a rate"):
        choices([np.nan], 0.03)
    with pytest.raises(NtkspecError, match="accuracy"):
        width_for([1.0], 0.0, 5)
    with pytest.raises(NtkspecError, match="must be finite"):
        width_for([-1.0], 0.1, 5)
