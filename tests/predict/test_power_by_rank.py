"""Power under the Gaussian measure by degree and rank: moments, rules in the plane, regressions."""

import math

import numpy as np
import pytest
from command_line import ntkspec as run
from numpy.testing import assert_allclose
from scipy.special import gammaln

import ntkspec
from ntkspec import Ball, Gaussian, Network, NtkspecError, Sphere, Torus, predict
from ntkspec.predict.radial import split_by_rank


def moment(dim, power):
    """E (|x| / sqrt(d))^power for x ~ N(0, I_d): a chi distribution."""
    logs = gammaln(0.5 * (dim + power)) - gammaln(0.5 * dim) + 0.5 * power * math.log(2.0 / dim)
    return math.exp(logs)


@pytest.mark.parametrize(
    ("network", "norm_power"),
    [
        (Network("relu", trained="all"), 1),
        (Network("leaky_relu", slope=0.3, depth=2), 1),
        (Network("relu_power", power=2), 2),
        (ntkspec.ZonalKernel(lambda t: t.exp(), arithmetic="flint", radial_power=1.5), 1.5),
    ],
)
@pytest.mark.parametrize(("dim", "axis"), [(2, None), (3, None), (4, None), (60, True)])
def test_homogeneous_kernels_have_one_function_of_the_norm(network, norm_power, dim, axis):
    """<x, a>^2 has |x|^2 in degrees 0 and 2; the eigenfunctions have |x|^P."""
    direction = np.ones(dim) / math.sqrt(dim)
    target = predict.power(
        lambda x: (x @ direction) ** 2,
        Gaussian(dim),
        max_degree=2,
        axis=direction if axis else None,
    )
    share = moment(dim, 2 + norm_power) ** 2 / moment(dim, 4) / moment(dim, 2 * norm_power)
    constant = moment(dim, 4) / dim**2
    whole = np.array([constant, 0.0, 3.0 / dim**2 - constant])
    assert_allclose(target.power, whole, atol=1e-14)
    split = split_by_rank(network, "ntk", dim, target.profiles)
    assert_allclose([one.powers.sum() for one in split], share * whole, rtol=1e-6, atol=1e-14)
    assert all(one.beyond == 0.0 for one in split)
    # What is left is never learned, whatever the number of samples, and both bounds say so.
    spectrum = ntkspec.spectrum(network, Gaussian(dim, radial=2), range(3))
    learned = spectrum.eigenvalues[:, 0] > 0.0
    never = whole.sum() - share * whole[learned].sum()
    for source in (network, ntkspec.spectrum(network, Gaussian(dim), range(9)), spectrum):
        where = Gaussian(dim) if source is network else None
        curve = predict.learning_curve(source, where, [1e3], target, ridge=1e-3)
        assert curve.test_error_bounds[0, 0] >= never * (1.0 - 1e-6)
        assert curve.test_error[0] >= curve.test_error_bounds[0, 0]
    by_rank = predict.power(
        lambda x: (x @ direction) ** 2, spectrum, axis=direction if axis else None
    )
    assert by_rank.power.shape == (3, 2) and np.all(by_rank.power[:, 1] == 0.0)
    assert_allclose(by_rank.power[:, 0], share * whole, rtol=1e-6, atol=1e-14)
    assert np.all(np.abs(by_rank.power[:, 0] - share * whole) <= by_rank.errors[:, 0] + 1e-16)


@pytest.mark.parametrize(
    ("name", "kernel", "value_of", "degrees"),
    [
        ("sin", "ntk", lambda c, q, p: np.exp(-0.5 * (q + p)) * c * np.cosh(c), (1, 3)),
        ("gaussian", "nngp", lambda c, q, p: ((1.0 + q) * (1.0 + p) - c * c) ** -0.5, (0, 2)),
    ],
    ids=["sin", "gaussian"],
)
def test_smooth_kernels_by_a_rule_in_the_plane(name, kernel, value_of, degrees):
    """Eigenvectors on a Gauss-Hermite grid, without harmonics.

    With c = s <x, x'>, q = s |x|^2 the dual of cos is e^(-(q+q')/2) cosh c, and the mean of
    exp(-(u^2 + v^2)/2) is the root of a determinant.
    """

    def function(x):
        even = 1.0 - 2.0 * x[:, 0] * x[:, 1] ** 3 + x[:, 0] ** 2
        return even if degrees[0] == 0 else x[:, 0] ** 3 - 0.5 * x[:, 1]

    s = 0.25
    z, w = np.polynomial.hermite_e.hermegauss(24)
    x = np.array([(a, b) for a in z for b in z]) / math.sqrt(2.0)
    roots = np.sqrt(np.outer(w, w).ravel() / w.sum() ** 2)
    q = np.sum(x * x, axis=1)
    gram = value_of(s * x @ x.T, s * q[:, None], s * q) * np.outer(roots, roots)
    values, vectors = np.linalg.eigh(gram)
    parts = (vectors.T @ (roots * function(x))) ** 2
    network = Network(name, weight_variance=s)
    spectrum = ntkspec.spectrum(network, Gaussian(2, radial=2), range(4), kernel=kernel)
    found = predict.power(function, spectrum)
    assert found.rest > 0.0
    for degree in degrees:
        for radial in range(2):
            value = float(spectrum.eigenvalues[degree, radial])
            at = np.abs(values - value) < 1e-3 * value
            assert np.count_nonzero(at) == (1 if degree == 0 else 2)
            right = float(parts[at].sum())
            assert found.power[degree, radial] == pytest.approx(right, rel=1e-4, abs=1e-10)
    # The split of the power by degree is the same, and the curves too.
    plain = predict.power(function, Gaussian(2), max_degree=3)
    assert_allclose(
        plain.power,
        found.power.sum(axis=1)
        + np.array(
            [
                max(0.0, one.whole - one.powers[:2].sum())
                for one in split_by_rank(network, kernel, 2, plain.profiles)
            ]
        ),
        atol=1e-12,
    )
    for target in (plain, found):
        curve = predict.learning_curve(spectrum, samples=[20], power=target, ridge=1e-2)
        assert_allclose(curve.power.reshape(4, 2), found.power, rtol=1e-9, atol=1e-13)


def regression(network, dim, function, size, ridge, sets, seed=5):
    """Mean square error of kernel ridge regressions on random points, and its standard error."""
    rng = np.random.default_rng(seed)
    new = rng.standard_normal((1000, dim)) / math.sqrt(dim)
    found = []
    for _ in range(sets):
        x = rng.standard_normal((size, dim)) / math.sqrt(dim)
        matrix = network.ntk_matrix(x) + ridge * np.eye(size)
        fitted = network.ntk_matrix(new, x) @ np.linalg.solve(matrix, function(x))
        found.append(np.mean((fitted - function(new)) ** 2))
    return np.mean(found), np.std(found) / math.sqrt(sets)


def product(x):
    return x[:, 0] * x[:, 1]


def first(x):
    return x[:, 0]


def mixed(x):
    return x[:, 0] + x[:, 1] * x[:, 2] / 2.0


@pytest.mark.parametrize(
    ("name", "depth", "dim", "function", "size", "sets"),
    [
        ("relu", 1, 3, product, 50, 60),
        ("relu", 1, 3, product, 500, 6),
        ("erf", 1, 3, first, 20, 80),
        ("erf", 1, 5, first, 20, 60),
        ("erf", 1, 5, first, 100, 8),
        ("relu", 2, 5, mixed, 100, 10),
        ("relu", 2, 5, mixed, 500, 6),
    ],
)
def test_learning_curves_against_regressions(name, depth, dim, function, size, sets):
    """The theory's error is up to 40 % here; that of one eigenvalue for a degree was 2 to 10^6."""
    network, ridge = Network(name, depth=depth, trained="all"), 1e-3
    target = predict.power(function, Gaussian(dim), max_degree=2)
    curve = predict.learning_curve(network, Gaussian(dim), [size], target, ridge=ridge)
    measured, error = regression(network, dim, function, size, ridge, sets)
    assert 1.0 - 3.0 * error / measured < measured / curve.test_error[0] < 1.5
    assert curve.test_error_bounds[0, 0] <= measured + 3.0 * error


def test_what_a_spectrum_leaves_out_is_in_the_bounds():
    """A spectrum with more ranks has errors between the bounds of one with fewer."""
    network, dim = Network("erf", trained="all"), 5
    target = predict.power(first, Gaussian(dim), max_degree=2)
    many = ntkspec.spectrum(network, Gaussian(dim, radial=4), range(5))
    full = predict.learning_curve(many, samples=[20, 500], power=target, ridge=1e-3)
    network_curve = predict.learning_curve(
        network, Gaussian(dim), [20, 500], target, ridge=1e-3, max_degree=4
    )
    assert_allclose(network_curve.test_error, full.test_error, rtol=1e-2)
    for radial in (1, 2):
        few = ntkspec.spectrum(network, Gaussian(dim, radial), range(5))
        curve = predict.learning_curve(few, samples=[20, 500], power=target, ridge=1e-3)
        least, most = curve.test_error_bounds.T
        assert np.all((least <= full.test_error) & (full.test_error <= most))
        assert curve.power.sum() < target.total


@pytest.mark.parametrize(
    "where", [Gaussian(3), Gaussian(3, radial=2), Ball(3), Ball(3, [0.5, 2.0])]
)
@pytest.mark.parametrize("power", [{1: 1.0}, [0.0, 1.0]])
def test_the_power_of_a_degree_alone_is_refused(where, power):
    words = r"is not allowed .*: its degree 1 does not say .*Give \(degree, radial\) -> power"
    with pytest.raises(NtkspecError, match=words):
        predict.learning_curve("erf", where, [10], power, max_degree=3)
    with pytest.raises(NtkspecError, match=words):
        predict.minibatch_curve("erf", where, samples=9, batch=3, power=power, max_degree=3)
    found = predict.learning_curve("erf", where, [10], {(1, 0): 1.0}, max_degree=3)
    assert found.power.sum() == 1.0 and "bounds of the theory's value" in repr(found)


def test_on_patches_where_degrees_have_several():
    tree = ntkspec.patches_spectrum("erf", 3, 4, depth=2)
    assert np.count_nonzero(tree.degrees == 3) > 1
    assert predict.learning_curve(tree, samples=[10], power={1: 1.0}).power.sum() == 1.0
    with pytest.raises(NtkspecError, match="its degree 3 does not say"):
        predict.learning_curve(tree, samples=[10], power={3: 1.0})


def test_slices_of_tables_split_it_too():
    target = predict.power(mixed, Gaussian(4), max_degree=2)
    part = ntkspec.spectrum("erf", [Gaussian(4), Gaussian(6)], range(6))
    whole = ntkspec.spectrum("erf", Gaussian(4), range(6))
    of_part = predict.learning_curve(part, Gaussian(4), [30], target)
    of_whole = predict.learning_curve(whole, samples=[30], power=target)
    assert_allclose(of_part.test_error_bounds, of_whole.test_error_bounds, rtol=1e-9)


def test_sources_without_a_network_are_refused():
    target = predict.power(first, Gaussian(3), max_degree=1)
    with pytest.raises(NtkspecError, match="give a network or a spectrum as the source"):
        predict.learning_curve(predict.modes("erf", Gaussian(3)), samples=[9], power=target)
    for other in (Gaussian(4), Sphere(3)):
        with pytest.raises(NtkspecError, match="power is that of a target under the Gaussian"):
            predict.learning_curve("erf", other, [10], target)
    with pytest.raises(NtkspecError, match="degree of the target = 1 is not among"):
        predict.learning_curve(
            ntkspec.spectrum("erf", Gaussian(3), [0, 2]), samples=[9], power=target
        )


def test_energies_of_minibatches_take_it():
    target = predict.power(product, Gaussian(3), max_degree=2)
    options = {"samples": 100, "batch": 10, "steps": [0, 1000]}
    found = predict.minibatch_curve("relu", Gaussian(3, radial=2), 0.1, power=target, **options)
    assert found.loss[0] == pytest.approx(target.total)
    share = moment(3, 3) ** 2 / moment(3, 4)
    assert found.power.sum() == pytest.approx(share * target.total)
    assert found.loss[1] >= (1.0 - share) * target.total


@pytest.mark.parametrize("dim", [5, 6])
def test_dimensions_in_which_fewer_points_must_do(dim):
    for where in (Gaussian(dim), Sphere(dim)):
        found = predict.power(first, where, max_degree=2)
        assert_allclose(found.power, [0.0, 1.0 / dim, 0.0], atol=1e-14)


def test_functions_of_one_direction_and_the_norm():
    """exp(s <x, a>) r^2 under N(0, I / d): moments of a normal number and of the others."""
    dim, s = 200, 3.0
    axis = np.arange(1.0, dim + 1.0)
    a = axis / np.linalg.norm(axis)
    found = predict.power(
        lambda x: np.exp(s * (x @ a)) * np.sum(x * x, axis=1), Gaussian(dim), axis=axis
    )
    # E e^(2 s u) (u^2 + v)^2, u ~ N(0, 1/d), v = chi^2_(d-1) / d; tilted, u has the mean 2 s / d.
    m, q = 2.0 * s / dim, 1.0 / dim
    fourth, second = m**4 + 6.0 * m * m * q + 3.0 * q * q, m * m + q
    v = (dim - 1.0) / dim
    right = math.exp(2.0 * s * s / dim) * (fourth + 2.0 * second * v + v * v + 2.0 * v / dim)
    assert abs(found.total - right) <= found.total_error + 1e-13 * right
    assert found.rest <= 1e-12
    low = predict.power(lambda x: np.exp(x[:, 0]), Gaussian(3), max_degree=5, axis=[1, 0, 0])
    full = predict.power(lambda x: np.exp(x[:, 0]), Gaussian(3), max_degree=5)
    assert_allclose(low.power, full.power, rtol=1e-9)
    with pytest.raises(NtkspecError, match="no function of that"):
        predict.power(product, Gaussian(3), axis=[1, 0, 0])


def test_a_spectrum_stands_for_its_domain():
    sphere = ntkspec.spectrum("erf", 3, range(4))
    found = predict.power(first, sphere)
    assert_allclose(found.power, [0.0, 1.0 / 3.0, 0.0, 0.0], atol=1e-15)
    assert predict.learning_curve("relu", 3, [10], found).test_error[0] > 0.0
    torus = Torus([[1], [2]])
    wave = predict.power(lambda x: np.sin(2 * np.pi * x[:, 0]), ntkspec.spectrum("erf", torus, 3))
    assert wave.power.sum() == pytest.approx(0.5)
    with pytest.raises(NtkspecError, match="powers are for Sphere, Gaussian and Torus"):
        predict.power(first, ntkspec.spectrum("erf", Ball(3), range(3)))


def test_targets_by_rank_on_the_command_line():
    under = ("--domain", "gaussian", "--radial", 2, "--max-degree", 3)
    result = run(
        "predict", "curve", "erf", *under, "--target", "1,1:2", "--samples", 10, "--by-degree"
    )
    assert result.exit_code == 0, result.output
    names, values = (line.split() for line in result.output.splitlines()[-2:])
    found = dict(zip(names, map(float, values), strict=True))
    right = predict.learning_curve("erf", Gaussian(3, radial=2), [10], {(1, 1): 2.0}, max_degree=3)
    assert (found["degree"], found["radial"]) == (1.0, 1.0)
    assert found["bias"] == pytest.approx(right.bias.sum(), rel=1e-5)
    alone = run("predict", "curve", "erf", *under, "--target", "1:2", "--samples", 10)
    assert alone.exit_code != 0 and "--target 1,0:1" in alone.output
    wrong = run("predict", "curve", "erf", *under, "--target", "1,x:2")
    assert wrong.exit_code != 0 and "write DEGREE:POWER" in wrong.output
