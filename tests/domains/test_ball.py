"""Laws of the norm: against Nystrom in many digits over radius and direction, and the Gaussian."""

import itertools
import math
from functools import partial

import mpmath
import numpy as np
import pytest
from mpmath_rules import gauss_legendre
from scipy.special import roots_jacobi

import ntkspec
from ntkspec import Gaussian, Linear, Network, NtkspecError, spectrum
from ntkspec.domains import Ball
from ntkspec.spectra.ball import angles


def erf_ntk(a, b, c):
    """q D at variances a, b and covariance c, of one trained layer of erf (Williams 1997)."""
    return c * 4 / mpmath.pi / mpmath.sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * c * c)


def nystrom(radii, weights, degree, count):
    """Eigenvalues of a degree for d = 3, from the pointwise kernel alone."""
    angles = [(t, w * mpmath.legendre(degree, t)) for t, w in gauss_legendre(40)]
    size = len(radii)
    matrix = mpmath.matrix(size, size)
    for i, r in enumerate(radii):
        for j, s in enumerate(radii[: i + 1]):
            value = sum(w * erf_ntk(r * r, s * s, r * s * t) for t, w in angles)
            matrix[i, j] = matrix[j, i] = value * mpmath.sqrt(weights[i] * weights[j])
    found = mpmath.eigsy(matrix, eigvals_only=True)
    return sorted(found, reverse=True)[:count]


@pytest.mark.parametrize("law", ["uniform", "discrete"])
def test_against_nystrom(law):
    with mpmath.workdps(30):
        if law == "uniform":
            ball = Ball(3, radial=3)
            rule = [((1 + x) / 2, w) for x, w in gauss_legendre(20)]
            radii, weights = [r for r, _ in rule], [3 * r * r * w for r, w in rule]
        else:
            ball = Ball(3, [0.5, 1.0, 1.75], weights=[0.25, 0.25, 0.5], radial=4)
            radii = [mpmath.mpf(r) for r in ball.radii]
            weights = [mpmath.mpf(w) for w in ball.weights]
        s = spectrum("erf", ball, [1, 2, 5], tolerance=1e-10)
        for i, k in enumerate((1, 5)):
            true = nystrom(radii, weights, k, 3)
            for j, value in enumerate(true):
                got = s.eigenvalues[2 * i, j]
                assert abs(got / value - 1) <= min(float(s.relative_error[2 * i, j]), 1e-12)
        assert np.all(s.eigenvalues[1] == 0.0)
        assert law == "uniform" or np.all(s.eigenvalues[:, 3] == 0.0)


@pytest.mark.parametrize(("activation", "dim"), [("sin", 3), ("sin", 10), ("gelu", 10)])
def test_the_gaussian_law(activation, dim):
    # By balls and another rule: `ntkspec.Gaussian`.
    found = spectrum(activation, Ball(dim, "gaussian", radial=3), range(4))
    known = spectrum(activation, Gaussian(dim, radial=3), range(4))
    assert np.array_equal(found.eigenvalues == 0.0, known.eigenvalues == 0.0)
    some = known.eigenvalues > 0.0
    apart = np.abs(found.eigenvalues[some] / known.eigenvalues[some] - 1.0)
    assert apart.max() <= 5e-12
    assert np.all(apart <= found.relative_error[some] + known.relative_error[some])
    assert found.relative_error.max() < 5e-12


def test_norms_whose_part_is_lost_count_for_nothing():
    # Nodes near 0 have norms of 1e-10: their part of degree 7 is below the balls' precision.
    found = spectrum("tanh", Ball(3, "gaussian", radius=0.5), [7])
    # Gauss-Legendre in the radius: ntkspec.reference.balls.norms, 25 digits.
    assert found.eigenvalues[0, 0] == pytest.approx(2.576257867581989098820216e-6, rel=1e-14)
    assert found.relative_error.max() < 1e-13


def test_a_rank_that_is_lost_is_refused():
    # The second eigenvalue of degree 81 is 1e-324 of the first.
    assert spectrum("erf", Ball(3, [0.01, 1.0]), [81]).relative_error.max() < 1e-13
    with pytest.raises(NtkspecError, match=r"relative error of|the range of doubles"):
        spectrum("erf", Ball(3, [0.01, 1.0], radial=2), [81])


def test_one_norm_is_the_sphere():
    for activation in ("tanh", "silu", "relu"):
        found = spectrum(activation, Ball(5, [1.0]), range(6))
        sphere = spectrum(activation, 5, range(6))
        assert found.eigenvalues[:, 0] == pytest.approx(sphere.eigenvalues, rel=1e-12)
        wide = spectrum(activation, Ball(5, [0.75], radius=2.0), range(6))
        scaled = spectrum(Network(activation, weight_variance=2.25), 5, range(6))
        assert wide.eigenvalues[:, 0] == pytest.approx(scaled.eigenvalues, rel=1e-12)


def test_a_rule_of_ones_own_is_the_law():
    # Norms uniform in [1, 2], by Gauss's rule of more and of fewer nodes.
    found = []
    for nodes in (10, 14):
        x, w = np.polynomial.legendre.leggauss(nodes)
        ball = Ball(4, 1.5 + 0.5 * x, weights=0.5 * w, radial=2)
        found.append(spectrum("erf", ball, [1, 3]).eigenvalues)
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def relu_bias_ntk(a, b, c):
    """f F + g q D of one layer of ReLU: Cho and Saul 2009, eqs. 3 to 6, both layers trained."""
    size = mpmath.sqrt(a * b)
    angle = mpmath.acos(max(-1, min(1, c / size)))
    rise = mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)
    return size * rise / (2 * mpmath.pi) + c * (mpmath.pi - angle) / (2 * mpmath.pi)


@pytest.mark.parametrize("dim", [2, 5])
def test_bias_against_adaptive_integrals(dim):
    network = Network("relu", bias_variance=0.25, trained="all")
    ball = Ball(dim, [0.5, 1.0, 1.03], weights=[0.25, 0.5, 0.25], radial=3)
    s = spectrum(network, ball, [1, 8], tolerance=1e-6)
    norm = mpmath.quad(lambda x: mpmath.sin(x) ** (dim - 2), [0, 1, mpmath.pi])

    def integrand(x, r, q, k):
        t = mpmath.cos(x)
        value = relu_bias_ntk(r * r + 0.25, q * q + 0.25, r * q * t + 0.25)
        if dim == 2:
            return value * mpmath.cos(k * x)
        top = mpmath.binomial(k + dim - 3, k)
        return value * mpmath.gegenbauer(k, dim / 2 - 1, t) / top * mpmath.sin(x) ** (dim - 2)

    for row, k in enumerate((1, 8)):
        matrix = np.empty((3, 3))
        for i, j in itertools.combinations_with_replacement(range(3), 2):
            edges = [0, 0.01, 0.1, 1, mpmath.pi]
            value = mpmath.quad(partial(integrand, r=ball.radii[i], q=ball.radii[j], k=k), edges)
            weight = math.sqrt(ball.weights[i] * ball.weights[j])
            matrix[i, j] = matrix[j, i] = float(value / norm) * weight
        true = np.linalg.eigvalsh(matrix)[::-1]
        apart = np.abs(s.eigenvalues[row] - true)
        assert np.all(apart <= s.relative_error[row] * true + 1e-15 * true[0])


@pytest.mark.parametrize(
    ("network", "dim"),
    [
        (Network("erf", depth=2, bias_variance=0.1), 3),
        (Network("relu", bias_variance=0.1), 2),
        (Network("relu", bias_variance=0.1), 3),
        (Network("relu6", depth=2), 4),
        (Network("elu"), 3),
        (Network("tanh", bias_variance=1.0), 8),
    ],
)
def test_one_norm_of_any_network_is_the_sphere(network, dim):
    # The sphere's routes are series, whose first layer takes the norm as a variance.
    found = spectrum(network, Ball(dim, [0.5], radius=3.0), range(7))
    first = Linear(2.25, trained=False)
    sphere = spectrum(Network.serial(first, *network.parts), dim, range(7))
    apart = np.abs(found.eigenvalues[:, 0] - sphere.eigenvalues)
    assert np.all(apart <= found.relative_error[:, 0] * sphere.eigenvalues)
    assert found.relative_error.max() < 1e-4


@pytest.mark.parametrize("dim", [2, 3])
def test_bounds_of_laws_with_a_density_hold_at_kinks(dim):
    # Against a rule of another family in the norm, with many more nodes.
    network = Network("relu", weight_variance=0.04, bias_variance=0.01)
    s = spectrum(network, Ball(dim, radius=5.0, radial=3), range(9))
    x, w = roots_jacobi(100, 0.0, dim - 1.0)
    fine = Ball(dim, 0.5 * (1.0 + x), weights=w / w.sum(), radius=5.0, radial=3)
    known = spectrum(network, fine, range(9))
    apart = np.abs(s.eigenvalues / known.eigenvalues - 1.0)
    assert np.all(apart <= s.relative_error)
    assert s.relative_error.max() < 1e-2
    assert np.median(s.relative_error / apart) < 100.0


def test_angles_without_weight_take_no_time():
    # Of the law of the cosine: variance 1/d, fourth moment 3 / (d (d + 2)).
    for dim in (2, 3, 1000, 10**6):
        theta, weights = angles._angles(dim, 4, 12, 0.25)
        assert theta.size < 3000
        for power, moment in ((0, 1.0), (2, 1.0 / dim), (4, 3.0 / (dim * (dim + 2.0)))):
            assert weights @ np.cos(theta) ** power == pytest.approx(moment, rel=1e-9)


def test_blocks_of_angles(monkeypatch):
    network, ball = Network("relu", bias_variance=0.1), Ball(3, [0.5, 1.0, 1.5], radial=3)
    whole = spectrum(network, ball, range(5)).eigenvalues
    monkeypatch.setattr(angles, "MOST_VALUES", 100)
    assert spectrum(network, ball, range(5)).eigenvalues == pytest.approx(whole, rel=1e-12)


def test_messages_say_how_to_have_what_is_known():
    network = Network("relu", bias_variance=0.25)
    close = [1.0, 1.0 + 1e-6]
    with pytest.raises(NtkspecError, match=r"radial = 1$"):
        spectrum(network, Ball(3, close, radial=2), [0, 1])
    assert spectrum(network, Ball(3, close, radial=1), [0, 1]).relative_error.max() < 1e-9
    with pytest.raises(NtkspecError, match="leave these degrees out, or give tolerance = inf"):
        spectrum(network, Ball(2), [1, 200])
    assert math.isinf(spectrum(network, Ball(2), [200], tolerance=math.inf).relative_error[0, 0])


@pytest.mark.slow
def test_the_gaussian_law_of_deep_networks():
    # By balls, and rules in a logarithm: `ntkspec.Gaussian`.
    network = Network("erf", depth=2)
    found = spectrum(network, Ball(4, "gaussian"), [1])
    known = spectrum(network, Gaussian(4), [1]).eigenvalues
    assert np.all(np.abs(found.eigenvalues / known - 1.0) <= found.relative_error)
    assert found.relative_error.max() < 1e-11


def test_homogeneous_networks_have_one_eigenvalue_a_degree():
    network = Network("relu", depth=3, trained="all")
    found = spectrum(network, Ball(6, radius=2.0, radial=2), range(5))
    sphere = spectrum(network, 6, range(5))
    # E |x|^2 = 4 d / (d + 2) in the ball of radius 2.
    assert found.eigenvalues[:, 0] == pytest.approx(3.0 * sphere.eigenvalues, rel=1e-13)
    assert np.all(found.eigenvalues[:, 1] == 0.0)


@pytest.mark.parametrize("ball", [Ball(3, radial=6), Ball(3, [0.5, 1.5], radial=2)])
@pytest.mark.parametrize("activation", ["gelu", "relu", "erf"])
def test_all_eigenvalues_sum_to_the_trace(activation, ball):
    modes = ntkspec.predict.modes(activation, ball, max_degree=16)
    x = ball.points(40_000, seed=1)
    norms = np.linalg.norm(x, axis=1)
    known = Network(activation).ntk_matrix(np.unique(norms.round(2))[:, np.newaxis])
    sampled = np.interp(norms, np.unique(norms.round(2)), np.diag(known))
    assert modes.trace == pytest.approx(sampled.mean(), abs=5.0 * sampled.std() / 200.0)
    assert 0.95 < modes.shares.sum() <= 1.0 + 1e-12


def test_learning_curve_against_regression():
    ball, ridge, sizes = Ball(6, [0.9, 1.2], radial=2), 1e-2, [40, 80, 120]
    network = Network("erf")
    curve = ntkspec.predict.learning_curve(
        network, ball, samples=sizes, power={(3, 0): 1.0}, ridge=ridge, max_degree=9
    )
    # The leading eigenfunction of degree 3 takes a value at either norm: from the 2 x 2 matrix.
    t, w = np.polynomial.legendre.leggauss(60)
    w = w * (1.0 - t * t) ** 1.5
    w /= w.sum()
    p = (8.0 * t**3 - 3.0 * t) / 5.0
    r = np.array([0.9, 1.2])
    c = r[:, None, None] * r[:, None] * t
    a = 1.0 + 2.0 * r**2
    radial = 4.0 / np.pi * c / np.sqrt(a[:, None, None] * a[:, None] - 4.0 * c * c) @ (w * p)
    profile = np.linalg.eigh(0.5 * radial)[1][:, -1] * math.sqrt(2.0)

    def target(x):
        norms = np.linalg.norm(x, axis=1)
        harmonic = math.sqrt(6.0 * 8.0 * 10.0) * np.prod(x[:, :3], axis=1) / norms**3
        return profile[(norms > 1.0).astype(int)] * harmonic

    new = ball.points(600, seed=99)
    for size, predicted in zip(sizes, curve.test_error, strict=True):
        errors = []
        for seed in range(12):
            x = ball.points(size, seed=seed)
            inner = network.ntk_matrix(x) + ridge * np.eye(size)
            found = network.ntk_matrix(new, x) @ np.linalg.solve(inner, target(x))
            errors.append(np.mean((found - target(new)) ** 2))
        assert np.mean(errors) == pytest.approx(predicted, rel=0.2), size


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"radii": "normal"}, "'uniform', 'gaussian'"),
        ({"radii": [1.0, 1.0]}, "equal"),
        ({"radii": [0.0, 1.0]}, "must be from 0.001"),
        ({"radii": [1.0, np.nan]}, "must be from"),
        ({"radii": [1.0, 2.0], "weights": [0.5, 0.6]}, "sum 1.1"),
        ({"radii": [1.0, 2.0], "weights": [1.0]}, "each of the 2 radii"),
        ({"radii": [1.0, 2.0], "weights": [1.0, 0.0]}, "number > 0"),
        ({"weights": [1.0]}, "not allowed with radii"),
        ({"radius": 0.0}, "radius"),
        ({"radial": 13}, "radial"),
    ],
)
def test_refused_laws(given, words):
    with pytest.raises(NtkspecError, match=words):
        Ball(3, **given)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Network("relu", weights="sphere"), "weights = 'gaussian'"),
        (ntkspec.zonal.gaussian(), "no values off the sphere"),
    ],
)
def test_refused_networks(source, words):
    with pytest.raises(NtkspecError, match=words):
        spectrum(source, Ball(3))


def test_a_ball_too_large_for_a_series_is_refused():
    network = Network("tanh", bias_variance=0.1)
    with pytest.raises(NtkspecError, match=r"norms to 99.* is known to .* lower the radius"):
        spectrum(network, Ball(3, radius=100.0))


def test_bounds_grow_until_they_refuse():
    # Two norms that hardly differ: the second eigenvalue is what they differ by.
    s = spectrum("erf", Ball(3, [1.0, 1.0 + 2.0**-14], radial=2), [1])
    assert 1e-14 < s.relative_error[0, 1] < 1e-2
    with pytest.raises(NtkspecError, match="raise the tolerance"):
        spectrum("erf", Ball(3, [1.0, 1.0 + 2.0**-50], radial=2), [1])


@pytest.mark.parametrize("law, share", [("gaussian", "0.0007"), ("uniform", "1e-06")])
def test_a_lost_rank_is_refused_with_the_spread_of_the_norms(law, share):
    ball = Ball(10**6, law, radial=3)
    with pytest.raises(NtkspecError, match=rf"give radial = \d \(norms spread by .* of {share},"):
        spectrum(Network("erf", bias_variance=0.1), ball, [1])
    norms = np.linalg.norm(Ball(50, law).points(20_000), axis=1)
    assert abs(norms.std() / norms.mean() / Ball(50, law).spread - 1.0) < 0.05


def test_ranks_in_many_dimensions_follow_the_spread():
    # Of erf under the Gaussian law: eigenvalues of each rank fall as a power of the spread.
    found = [
        spectrum(Network("erf"), Ball(dim, "gaussian", radial=3), [1]) for dim in (10**5, 10**6)
    ]
    ratios = found[1].eigenvalues[0] / found[0].eigenvalues[0]
    np.testing.assert_allclose(ratios, [1e-1, 1e-3, 1e-5], rtol=1e-3)
