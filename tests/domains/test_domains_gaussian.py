"""The Gaussian measure: exact spectra, plain rules in the radius, and the limit of all domains."""

import math

import mpmath
import numpy as np
import pytest

import ntkspec
from ntkspec import Cube, Gaussian, Network, NtkspecError, spectrum
from ntkspec.domains import legendre


def squared_exponential(dim, scale, orders):
    """Spectrum of exp(-scale |x - y|^2 / (2 d)) under N(0, I_d), by the total order n.

    Rasmussen and Williams 2006, eqs. 4.40 and 4.41, with sigma = 1 and 1 / l^2 = scale / d, one
    factor for each dimension.
    """
    with mpmath.workdps(30):
        a, b = mpmath.mpf(1) / 4, mpmath.mpf(scale) / (2 * dim)
        total = a + b + mpmath.sqrt(a * a + 2 * a * b)
        top = (2 * a / total) ** (mpmath.mpf(dim) / 2)
        return [float(top * (b / total) ** n) for n in orders]


@pytest.mark.parametrize(
    "name, bias, dim",
    [
        ("sin", 0.0, 2), ("cos", 0.0, 3), ("sin", 0.0, 300), ("cos", 0.0, 10),
        ("cos", 0.3, 300), pytest.param("sin", 0.3, 10, marks=pytest.mark.slow),
        pytest.param("cos", 0.3, 3, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_sine_and_cosine_have_known_spectra(name, bias, dim):
    """E[sin u sin v] is (G(x, y) - e^(-2 s_b) G(x, -y)) / 2, and cos has the sum: exact."""
    network = Network(name, weight_variance=1.7, bias_variance=bias)
    found = spectrum(network, Gaussian(dim, 2), [0, 1, 2, 5], kernel="nngp")
    sign = -1.0 if name == "sin" else 1.0
    for i, degree in enumerate([0, 1, 2, 5]):
        orders = [degree, degree + 2]
        parity = (-1) ** degree
        factor = (1.0 + sign * parity * math.exp(-2.0 * bias)) / 2.0
        exact = [factor * x for x in squared_exponential(dim, 1.7, orders)]
        for j in range(2):
            if factor == 0.0:
                assert found.mantissas[i, j] == 0.0
            else:
                error = abs(found.eigenvalues[i, j] / exact[j] - 1.0)
                assert error <= found.relative_error[i, j] + 4e-16
    assert found.relative_error.max() <= 1e-12


def erf_kernel(t, r, s, network, kernel):
    """Williams 1997, eq. 11, through the layers, for radii r and s."""
    w, b = network.weight_variance, network.bias_variance
    p, q, c = w * r * r + b, w * s * s + b, w * r * s * t + b
    tangent = c
    for layer in range(network.depth):
        root = np.sqrt((1 + 2 * p) * (1 + 2 * q) - 4 * c * c)
        value = 2 / np.pi * np.arctan2(2 * c, root)
        slope = 4 / np.pi / root
        if layer < network.depth - 1:
            c = w * value + b
            tangent = c + w * tangent * slope
            p, q = (w * 2 / np.pi * np.arcsin(2 * v / (1 + 2 * v)) + b for v in (p, q))
    if kernel == "nngp":
        return value
    return tangent * slope + (value if network.trained == "all" else 0.0)


def plain_rule(network, kernel, dim, degree, count=60, angles=80):
    """Gauss-Laguerre in |x|^2 / 2 and Gauss-Jacobi in t, in doubles: largest eigenvalues."""
    from scipy.special import roots_genlaguerre, roots_jacobi

    u, weights = roots_genlaguerre(count, dim / 2 - 1)
    weights = weights / weights.sum()
    r = np.sqrt(2 * u / dim)
    t, tw = roots_jacobi(angles, (dim - 3) / 2, (dim - 3) / 2)
    tw = tw / tw.sum()
    values = erf_kernel(t[:, None, None], r[:, None], r[None, :], network, kernel)
    matrix = np.einsum("k,kij->ij", tw * legendre(degree, dim, t).ravel(), values) * np.sqrt(
        np.outer(weights, weights)
    )
    return np.linalg.eigvalsh(matrix)[::-1]


@pytest.mark.parametrize(
    "network, kernel, dim, radial",
    [
        (Network("erf", weight_variance=1.4), "nngp", 100, 2),
        (Network("erf", trained="all"), "ntk", 30, 2),
        (Network("erf", depth=2, trained="all", bias_variance=0.1), "ntk", 300, 1),
        pytest.param(Network("erf", bias_variance=0.2), "ntk", 30, 2, marks=pytest.mark.slow),
        pytest.param(Network("erf", depth=2), "nngp", 30, 2, marks=pytest.mark.slow),
    ],
)
def test_erf_against_a_plain_rule_on_its_closed_form(network, kernel, dim, radial):
    found = spectrum(network, Gaussian(dim, radial), [1, 3], kernel=kernel)
    for i, degree in enumerate([1, 3]):
        plain = plain_rule(network, kernel, dim, degree)[:radial]
        # doubles: an absolute error of a few units of K, and the rule's own below that
        np.testing.assert_allclose(found.eigenvalues[i], plain, rtol=1e-11, atol=3e-16)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "softplus", "gelu", "gaussian"])
def test_coefficients_against_quadrature(name):
    from flint import arb, ctx
    from scipy.special import roots_hermitenorm

    from ntkspec.spectra.gaussian.hermite import coefficients

    sigma = Network(name).sigma
    z, weights = roots_hermitenorm(200)
    weights = weights / weights.sum()
    for q in (0.003, 0.1, 0.4):
        values = sigma.value(math.sqrt(q) * z)
        with ctx.workprec(100):
            found = [float(h) for h in coefficients(sigma.shape, arb(q), 9)]
        for n in range(9):
            hermite = np.polynomial.hermite_e.hermeval(z, [0.0] * n + [1.0])
            direct = weights @ (values * hermite) / math.sqrt(math.factorial(n))
            assert abs(abs(found[n]) - abs(direct)) < 2e-14 * max(1.0, abs(values).max())


def plain_polynomial_kernel(network, x, kernel):
    """K of points by Gauss and Hermite's rule in the plane, exact for polynomials."""
    z, weight = np.polynomial.hermite_e.hermegauss(16)
    weight = weight / weight.sum()
    c = np.array(network.sigma.coefficients or (0.0, 1.0))
    sigmas = [np.polynomial.Polynomial(c), np.polynomial.Polynomial(c).deriv()]

    def expectations(p, q, covariance):
        u = np.sqrt(p)[..., None, None] * z[:, None]
        along = (covariance / np.sqrt(p))[..., None, None]
        rest = np.sqrt(np.maximum(q - covariance**2 / p, 0.0))[..., None, None]
        v = along * z[:, None] + rest * z
        return [np.einsum("...ij,i,j->...", f(u) * f(v), weight, weight) for f in sigmas]

    w, b = network.weight_variance, network.bias_variance
    size = (x * x).sum(1) / x.shape[1]
    q, covariance = w * size + b, w * x @ x.T / x.shape[1] + b
    tangent = covariance
    for layer in range(network.depth):
        f, d = expectations(q[:, None], q[None, :], covariance)
        q = w * expectations(q, q, q)[0] + b
        covariance, tangent = w * f + b, w * tangent * d
        if layer == network.depth - 1:
            return f if kernel == "nngp" else (network.trained == "all") * f + tangent / w
        tangent = tangent + covariance
    raise AssertionError


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize(
    "name, options",
    [
        ("square", {}),
        ("square", {"depth": 2, "bias_variance": 0.3, "trained": "all"}),
        ("polynomial(0.2, 1, -0.5, 0.3)", {"weight_variance": 0.7}),
        ("polynomial(0.2, 1, 0.5)", {"depth": 2, "bias_variance": 0.1, "weight_variance": 0.4}),
        ("leaky_relu(1)", {"depth": 2, "bias_variance": 0.5, "trained": "all"}),
    ],
)
def test_polynomials_have_the_spectrum_of_an_exact_rule(name, options, kernel):
    """Hermite's rule in the plane makes the operator on polynomials a matrix, without error."""
    network = Network(name, **options)
    z, weight = np.polynomial.hermite_e.hermegauss(12)
    weight = weight / weight.sum()
    x = np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2)
    root = np.sqrt(np.outer(weight, weight).ravel())
    matrix = plain_polynomial_kernel(network, x, kernel) * np.outer(root, root)
    expected = np.linalg.eigvalsh(matrix)[::-1]
    found = spectrum(network, Gaussian(2, 6), range(12), kernel=kernel)
    every = np.repeat(found.eigenvalues, found.multiplicities.astype(int), axis=0)
    mine = np.sort(every.ravel())[::-1]
    mine = mine[mine > 0.0]
    assert np.allclose(mine, expected[: mine.size], rtol=0.0, atol=1e-13 * expected[0])
    assert np.abs(expected[mine.size :]).max() < 1e-13 * expected[0]
    assert found.relative_error.max() < 1e-15


def test_large_polynomials_are_refused():
    with pytest.raises(NtkspecError, match="power 64 in"):
        spectrum(Network("square", depth=6), Gaussian(3), [0])


def test_homogeneous_activations_have_rank_one():
    """K = (r r')^P K(t): against the sphere's eigenvalue and E[r^(2P)] = prod (1 + 2i/d)."""
    dim = 7
    for network, power in (
        (Network("relu", depth=3, trained="all"), 1),
        (Network("relu_power", power=2, depth=2), 4),
        (Network("abs"), 1),
    ):
        found = spectrum(network, Gaussian(dim, 3), [0, 1, 2, 4])
        moment = math.prod(1 + 2 * i / dim for i in range(power))
        sphere = ntkspec.eigenvalues(network, dim, [0, 1, 2, 4])
        np.testing.assert_allclose(found.eigenvalues[:, 0], moment * sphere, rtol=4e-15)
        assert not found.mantissas[:, 1:].any()
    step = spectrum("step", Gaussian(5), [1], kernel="nngp")
    assert step.eigenvalues[0, 0] == ntkspec.eigenvalues("step", 5, [1], kernel="nngp")[0]


def test_trace():
    """The sum over degrees and radii tends to E[K(x, x)] from below."""
    dim = 40
    network = Network("erf", weight_variance=0.5)
    found = spectrum(network, Gaussian(dim, 2), range(1, 8, 2), kernel="nngp")
    from scipy.stats import gamma

    u, weights = np.polynomial.legendre.leggauss(200)
    # |x|^2 / d beyond 5 has a weight below 1e-30
    square, weights = 2.5 * (1 + u), 2.5 * weights
    density = gamma.pdf(square, dim / 2, scale=2 / dim)
    trace = weights @ (density * 2 / np.pi * np.arcsin(square / (1 + square)))
    total = (found.multiplicities[:, None] * found.eigenvalues).sum()
    assert total < trace * (1 + 1e-12)
    assert total == pytest.approx(trace, rel=1e-3)


@pytest.mark.slow
def test_tanh_by_sampling():
    """Rayleigh quotient of x_1 by Monte Carlo: below the largest eigenvalue of degree 1."""
    dim, rng = 20, np.random.default_rng(3)
    w, x = rng.standard_normal((400, dim)), rng.standard_normal((20_000, dim))
    features = np.tanh(x @ w.T / math.sqrt(dim))
    projected = features.T @ x[:, 0] / x.shape[0]
    quotient, spread = np.mean(projected**2), np.std(projected**2) / 20.0
    found = spectrum("tanh", Gaussian(dim), [1], kernel="nngp").eigenvalues[0, 0]
    # x_1 is nearly the eigenfunction; 400 weights scatter by their spread
    assert abs(quotient / found - 1) < 0.02 + 5 * spread / found


def refused(source, dim, degrees=None, kernel="ntk", radial=1):
    return spectrum(source, Gaussian(dim, radial), degrees, kernel=kernel)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((Network("relu", bias_variance=0.1), 5), "bias_variance = 0.1 is not allowed with relu"),
        (("elu", 5), "activation 'elu' is not available under the Gaussian measure"),
        (("erf", 5, [201]), "degree = 201 is not allowed under the Gaussian measure"),
        (("erf", 5, [1], "ntk", 0), "radial = 0 is not allowed"),
        (("erf", 1), "dim = 1 is not allowed"),
        (("erf", 5, [1], "k"), "kernel = 'k' is not allowed"),
        ((Network("erf", weights="sphere"), 5), "weights = 'sphere' is not allowed under"),
        ((Network("erf", weight_variance=100.0), 10, [1], "ntk", 2), "do not settle"),
        ((Network("relu_power", power=16, depth=4), 5), "of power 65536"),
    ],
)
def test_what_is_not_allowed(arguments, message):
    with pytest.raises(NtkspecError) as caught:
        refused(*arguments)
    assert message in str(caught.value)


# --- the limit of many dimensions ----------------------------------------------------------------


def derivatives_at_zero(name, last):
    """K^(k)(0) of the one-layer NNGP kernel: squared Hermite moments by mpmath, times k!."""
    with mpmath.workdps(25):
        sigma = {"erf": mpmath.erf, "tanh": mpmath.tanh}[name]
        out = []
        for k in range(last + 1):
            moment = mpmath.quad(
                lambda z, k=k: sigma(z) * mpmath.hermite(k, z / mpmath.sqrt(2))
                * mpmath.mpf(2) ** (-mpmath.mpf(k) / 2) * mpmath.npdf(z),
                [-15, -4, 0, 4, 15],
            )  # fmt: skip
            out.append(float(moment**2))
        return out


@pytest.mark.parametrize("name", ["erf", "tanh"])
def test_all_domains_tend_to_the_power_series(name):
    """mu_k d^k -> K^(k)(0) on cube, sphere and Gaussian alike, the difference falling as 1/d."""
    exact = derivatives_at_zero(name, 5)
    degrees = [1, 3, 5]

    def scaled(spectrum, dim):
        return [spectrum[i] * float(dim) ** k / exact[k] - 1.0 for i, k in enumerate(degrees)]

    domains = {
        "sphere": lambda d: ntkspec.eigenvalues(name, d, degrees, kernel="nngp"),
        "cube": lambda d: spectrum(name, Cube(d), degrees, kernel="nngp").eigenvalues,
        "gaussian": lambda d: spectrum(name, Gaussian(d), degrees, kernel="nngp").eigenvalues[:, 0],
    }
    for domain, of_dim in domains.items():
        dims = (100, 1000, 10_000) if domain == "sphere" or name == "erf" else (100, 1000)
        dims = dims[:2] if domain == "cube" else dims
        gaps = np.array([scaled(of_dim(d), d) for d in dims])
        assert np.all(np.abs(gaps[-1]) < 300.0 / dims[-1]), domain
        # ten times the dimension, a tenth of the difference, up to the next order
        ratios = gaps[:-1] / gaps[1:]
        assert np.all(np.abs(ratios[-1] - 10.0) < 1.5), (domain, ratios)
